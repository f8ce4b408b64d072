//! Folding of texts: what string search compares by.
//!
//! Lower case, accents and combining marks off, punctuation off, white space single.
//! Source: <https://hl7.org/fhir/R4/search.html#string>.

use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Folds a text.
///
/// ```
/// use baton::search::fold::fold;
/// assert_eq!(fold("  O'Brién-Łoś\t STRAßE "), "obrienlos strasse");
/// assert_eq!(fold("e\u{301}"), fold("é"));
/// ```
#[must_use]
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    if text.is_ascii() {
        text.bytes().for_each(|b| put(char::from(b), &mut out, &mut space));
    } else {
        for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
            match letters(c) {
                Some(letters) => letters.chars().for_each(|c| put(c, &mut out, &mut space)),
                None => c.to_lowercase().filter(|c| !is_combining_mark(*c)).for_each(|c| put(c, &mut out, &mut space)),
            }
        }
    }
    out
}

/// Calls back with each word of a text: folded letters and digits; an apostrophe joins, everything else parts.
pub fn each_word(text: &str, each: &mut dyn FnMut(&str)) {
    let mut word = String::new();
    let mut step = |c: char| {
        if c.is_alphanumeric() {
            word.push(c);
        } else if !matches!(c, '\'' | '\u{2019}') && !word.is_empty() {
            each(&word);
            word.clear();
        }
    };
    if text.is_ascii() {
        text.bytes().for_each(|b| step(char::from(b.to_ascii_lowercase())));
    } else {
        for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
            match letters(c) {
                Some(letters) => letters.chars().for_each(&mut step),
                None => c.to_lowercase().filter(|c| !is_combining_mark(*c)).for_each(&mut step),
            }
        }
    }
    step(' ');
}

fn put(c: char, out: &mut String, space: &mut bool) {
    if c.is_whitespace() {
        *space = !out.is_empty();
    } else if c.is_alphanumeric() || is_symbol(c) {
        if *space {
            out.push(' ');
            *space = false;
        }
        out.push(c.to_ascii_lowercase());
    }
}

/// Signs that carry meaning in clinical texts and are no punctuation.
fn is_symbol(c: char) -> bool {
    matches!(c, '+' | '<' | '>' | '=' | '%' | '$' | '^' | '|' | '~') || (!c.is_ascii() && !is_mark(c))
}

/// Punctuation and control characters outside ASCII.
fn is_mark(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{ad}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
            | '\u{200b}'..='\u{206f}' | '\u{3001}'..='\u{3003}'
            | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{feff}')
}

/// Letters whose plain form Unicode's decomposition does not give.
fn letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'ø' | 'Ø' => "o",
        'ł' | 'Ł' => "l",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'þ' | 'Þ' => "th",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// The first `n` characters.
#[must_use]
pub fn head(text: &str, n: usize) -> &str {
    if text.len() <= n {
        return text;
    }
    text.char_indices().nth(n).map_or(text, |(at, _)| text.get(..at).unwrap_or(text))
}

/// Lower case for codes of systems that do not tell cases apart.
#[must_use]
pub fn caseless(text: &str, on: bool) -> Cow<'_, str> {
    if on { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) }
}
