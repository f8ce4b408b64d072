//! Words of a FHIRPath expression.
//!
//! Source: the grammar of <http://hl7.org/fhirpath/N1/#grammar>. One leniency: `\` before a character that no escape has
//! stays with it, as many published invariants write regular expressions so.

use super::PathError;

/// One word with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub at: usize,
    pub word: Word,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A name or keyword.
    Name(String),
    /// A name in back-quotes: never a keyword.
    Quoted(String),
    /// `'text'`, unescaped.
    Text(String),
    /// `12`, `1.5`.
    Number(String),
    /// `@2024-02-29T10:00`, without the `@`.
    Moment(String),
    /// `%resource`, without the `%`.
    Variable(String),
    /// `$this`, `$index`, `$total`.
    Special(&'static str),
    /// Everything else.
    Sign(&'static str),
}

const SIGNS: [&str; 24] = [
    "!=", "!~", "<=", ">=", ".", "|", "(", ")", "[", "]", "{", "}", ",", "=", "~", "<", ">", "+", "-", "*", "/", "&",
    ":", ";",
];
const SPECIALS: [&str; 3] = ["$this", "$index", "$total"];

pub(super) fn words(text: &str) -> Result<Vec<Token>, PathError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let fail = |message: String| Err(PathError { at, message });
        let Some(c) = rest.chars().next() else { break };
        if c.is_whitespace() || c == '\u{feff}' {
            at += c.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            continue;
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            let Some(end) = comment.find("*/") else { return fail("the comment is not closed".into()) };
            at += end + 4;
            continue;
        }
        let (word, len) = match c {
            '\'' | '`' | '"' => match quoted(rest, c) {
                Some((text, len)) if c == '`' => (Word::Quoted(text), len),
                Some((text, len)) => (Word::Text(text), len),
                None => return fail("the quote is not closed, or an escape in it is wrong".into()),
            },
            '%' => {
                let name = rest.get(1..).unwrap_or_default();
                match name.chars().next() {
                    Some(q @ ('\'' | '`' | '"')) => match quoted(name, q) {
                        Some((text, len)) => (Word::Variable(text), len + 1),
                        None => return fail("the quote is not closed".into()),
                    },
                    _ => {
                        let len = name_len(name);
                        (Word::Variable(name.get(..len).unwrap_or_default().into()), len + 1)
                    }
                }
            }
            '@' => {
                let len = moment_len(rest.get(1..).unwrap_or_default());
                (Word::Moment(rest.get(1..=len).unwrap_or_default().into()), len + 1)
            }
            '$' => match SPECIALS.iter().find(|s| rest.starts_with(**s)) {
                Some(special) => (Word::Special(special), special.len()),
                None => return fail("after '$' comes this, index or total".into()),
            },
            c if c.is_ascii_digit() => {
                let len = number_len(rest);
                (Word::Number(rest.get(..len).unwrap_or_default().into()), len)
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let len = name_len(rest);
                (Word::Name(rest.get(..len).unwrap_or_default().into()), len)
            }
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Word::Sign(sign), sign.len()),
                None => return fail(format!("'{c}' has no meaning here")),
            },
        };
        tokens.push(Token { at, word });
        at += len;
    }
    Ok(tokens)
}

fn name_len(text: &str) -> usize {
    text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count()
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn number_len(text: &str) -> usize {
    let whole = digits(text);
    match text.get(whole..).and_then(|rest| rest.strip_prefix('.')).map(digits) {
        Some(fraction) if fraction > 0 => whole + 1 + fraction,
        _ => whole,
    }
}

/// Length of a date, dateTime or time: what could belong to one, a point only before a digit. The parser checks the form.
fn moment_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut time = false;
    while let Some(b) = bytes.get(at) {
        let next_is_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        match b {
            b'0'..=b'9' => {}
            b'T' if !time => time = true,
            b'-' | b':' | b'+' if next_is_digit && (*b == b'-' || time) => {}
            b'.' if time && next_is_digit => {}
            b'Z' if time && at > 1 && !text.starts_with('T') => return at + 1,
            _ => break,
        }
        at += 1;
    }
    at
}

/// A quoted text and its length with the quotes.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((n, c)) = chars.next() {
        if c == quote {
            return Some((out, n + 1));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()?.1 {
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'f' => out.push('\u{c}'),
            c @ ('\\' | '/' | '\'' | '"' | '`') => out.push(c),
            'u' => {
                let mut code = 0;
                for _ in 0..4 {
                    code = code * 16 + chars.next()?.1.to_digit(16)?;
                }
                out.push(char::from_u32(code)?);
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    None
}
