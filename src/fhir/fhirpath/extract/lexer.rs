//! Words of a FHIRPath expression.

use super::PathError;

/// One word with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub at: usize,
    pub word: Word,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A name, a keyword.
    Name(String),
    /// `'text'`, unescaped.
    Text(String),
    /// `12`, `1.5`.
    Number(String),
    /// `%resource`.
    Variable(String),
    /// `.`, `|`, `(`, `)`, `[`, `]`, `,`, `=`, `!=`, `$this`.
    Sign(&'static str),
}

const SIGNS: [&str; 10] = ["!=", "$this", ".", "|", "(", ")", "[", "]", ",", "="];

pub(super) fn words(text: &str) -> Result<Vec<Token>, PathError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let (word, len) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '\'' | '`' => quoted(rest, c).ok_or_else(|| PathError { at, message: "the quote is not closed".into() })?,
            c if c.is_ascii_digit() => {
                let len = number_len(rest);
                (Word::Number(rest.get(..len).unwrap_or_default().into()), len)
            }
            '%' => {
                let len = 1 + name_len(rest.get(1..).unwrap_or_default());
                (Word::Variable(rest.get(1..len).unwrap_or_default().into()), len)
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let len = name_len(rest);
                (Word::Name(rest.get(..len).unwrap_or_default().into()), len)
            }
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Word::Sign(sign), sign.len()),
                None => return Err(PathError { at, message: format!("'{c}' has no meaning here") }),
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

fn number_len(text: &str) -> usize {
    let digits = |t: &str| t.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    match text.get(whole..).and_then(|rest| rest.strip_prefix('.')).map(digits) {
        Some(fraction) if fraction > 0 => whole + 1 + fraction,
        _ => whole,
    }
}

/// A quoted text and its length with the quotes; a back-quoted one is a name.
fn quoted(rest: &str, quote: char) -> Option<(Word, usize)> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((n, c)) = chars.next() {
        if c == quote {
            let word = if quote == '`' { Word::Name(out) } else { Word::Text(out) };
            return Some((word, n + 1));
        }
        if c == '\\' {
            match chars.next()?.1 {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                other => out.push(other),
            }
        } else {
            out.push(c);
        }
    }
    None
}
