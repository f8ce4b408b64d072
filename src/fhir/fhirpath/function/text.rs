//! Functions about texts.

use super::super::ast::{Ast, Call};
use super::super::eval::{Frame, Result, Run, fail};
use super::super::value::{Items, Value};
use super::{integer_argument, string, text_argument, text_of};
use crate::fhir::json::{parse, write_string};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;

/// Memory of a compiled regular expression.
const REGEX_SIZE: usize = 1 << 20;

type Text<'a> = Cow<'a, str>;

/// The input and the first argument as texts; `None` when one is empty.
fn pair<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: &Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Option<(Text<'a>, Text<'a>)>> {
    let text = text_of(call, input)?;
    let other = text_argument(run, call, 0, frame)?;
    if let Some(text) = &text {
        run.spend(text.len() / 64)?;
    }
    Ok(text.zip(other))
}

fn count(n: Option<usize>) -> Items<'static> {
    Value::Integer(n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1)).into()
}

/// Position in characters of a position in bytes.
fn characters(text: &str, at: Option<usize>) -> Option<usize> {
    at.and_then(|at| text.get(..at)).map(|before| before.chars().count())
}

pub(super) fn index_of<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let found = pair(run, call, &input, frame)?;
    Ok(found.map_or(Items::None, |(text, part)| count(characters(&text, text.find(&*part)))))
}

pub(super) fn last_index_of<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let found = pair(run, call, &input, frame)?;
    Ok(found.map_or(Items::None, |(text, part)| count(characters(&text, text.rfind(&*part)))))
}

pub(super) fn substring<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let start = integer_argument(run, call, 0, frame)?;
    let length = integer_argument(run, call, 1, frame)?;
    let (Some(text), Some(start)) = (text_of(call, &input)?, start) else { return Ok(Items::None) };
    let Ok(start) = usize::try_from(start) else { return Ok(Items::None) };
    let length = length.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(0));
    let Some((from, _)) = text.char_indices().nth(start) else { return Ok(Items::None) };
    let rest = text.get(from..).unwrap_or_default();
    let end = rest.char_indices().nth(length).map_or(rest.len(), |(end, _)| end);
    Ok(string(rest.get(..end).unwrap_or_default().to_owned()))
}

pub(super) fn starts_with<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok(pair(run, call, &input, frame)?.map(|(text, part)| text.starts_with(&*part)).into())
}

pub(super) fn ends_with<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok(pair(run, call, &input, frame)?.map(|(text, part)| text.ends_with(&*part)).into())
}

pub(super) fn contains<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok(pair(run, call, &input, frame)?.map(|(text, part)| text.contains(&*part)).into())
}

fn map<'a>(call: &Call, input: &Items<'a>, to: impl Fn(&str) -> String) -> Result<Items<'a>> {
    Ok(text_of(call, input)?.map_or(Items::None, |text| string(to(&text))))
}

pub(super) fn upper<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    map(call, &input, str::to_uppercase)
}

pub(super) fn lower<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    map(call, &input, str::to_lowercase)
}

pub(super) fn trim<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    map(call, &input, |text| text.trim().to_owned())
}

pub(super) fn length<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(text_of(call, &input)?.map_or(Items::None, |text| count(Some(text.chars().count()))))
}

pub(super) fn to_chars<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(text) = text_of(call, &input)? else { return Ok(Items::None) };
    run.spend(text.len())?;
    Ok(text.chars().map(|c| Value::String(c.to_string().into())).collect())
}

pub(super) fn replace<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let found = pair(run, call, &input, frame)?;
    let with = text_argument(run, call, 1, frame)?;
    let (Some((text, part)), Some(with)) = (found, with) else { return Ok(Items::None) };
    // Each place costs at most one copy of the new text.
    run.spend((text.len() + 1).saturating_mul(with.len() + 1) / 16)?;
    Ok(string(text.replace(&*part, &with)))
}

/// Runs `with` on the regular expression of an argument; one that is a literal is compiled once.
fn with_regex<'a, T>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    pattern: &str,
    full: bool,
    with: impl FnOnce(&Regex) -> T,
) -> Result<T> {
    let compile = || {
        let pattern = if full { format!("^(?:{pattern})$") } else { pattern.to_owned() };
        RegexBuilder::new(&pattern).dot_matches_new_line(true).size_limit(REGEX_SIZE).build().ok()
    };
    let is_literal = matches!(call.arguments.first(), Some(Ast::Literal(_)));
    let made;
    let regex = if is_literal {
        call.regex.get_or_init(compile).as_ref()
    } else {
        run.spend(1_000 + pattern.len() * 100)?;
        made = compile();
        made.as_ref()
    };
    match regex {
        Some(regex) => Ok(with(regex)),
        None => {
            fail(call.at, "the regular expression cannot be used: it is wrong, too large, or looks ahead or behind")
        }
    }
}

pub(super) fn matches<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some((text, pattern)) = pair(run, call, &input, frame)? else { return Ok(Items::None) };
    run.spend(text.len() / 8)?;
    Ok(with_regex(run, call, &pattern, false, |regex| regex.is_match(&text))?.into())
}

pub(super) fn matches_full<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some((text, pattern)) = pair(run, call, &input, frame)? else { return Ok(Items::None) };
    run.spend(text.len() / 8)?;
    Ok(with_regex(run, call, &pattern, true, |regex| regex.is_match(&text))?.into())
}

pub(super) fn replace_matches<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let found = pair(run, call, &input, frame)?;
    let with = text_argument(run, call, 1, frame)?;
    let (Some((text, pattern)), Some(with)) = (found, with) else { return Ok(Items::None) };
    if pattern.is_empty() {
        return Ok(string(text));
    }
    run.spend((text.len() + 1).saturating_mul(with.len() + 1) / 16)?;
    let out = with_regex(run, call, &pattern, false, |regex| regex.replace_all(&text, &*with).into_owned())?;
    run.spend(out.len() / 16)?;
    Ok(string(out))
}

pub(super) fn split<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some((text, by)) = pair(run, call, &input, frame)? else { return Ok(Items::None) };
    run.spend(text.len())?;
    Ok(text.split(&*by).map(|part| Value::String(part.to_owned().into())).collect())
}

pub(super) fn join<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let by = text_argument(run, call, 0, frame)?.unwrap_or_default();
    let mut out = String::new();
    for (n, item) in input.iter().enumerate() {
        let one = Items::One(item.clone());
        let text = text_of(call, &one)?.unwrap_or_default();
        run.spend((text.len() + by.len()) / 16 + 1)?;
        if n > 0 {
            out.push_str(&by);
        }
        out.push_str(&text);
    }
    Ok(if input.is_empty() { Items::None } else { string(out) })
}

pub(super) fn encode<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some((text, format)) = pair(run, call, &input, frame)? else { return Ok(Items::None) };
    Ok(match &*format {
        "base64" => string(STANDARD.encode(&*text)),
        "urlbase64" => string(URL_SAFE.encode(&*text)),
        "hex" => string(text.bytes().fold(String::new(), |out, b| out + &format!("{b:02x}"))),
        _ => Items::None,
    })
}

pub(super) fn decode<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some((text, format)) = pair(run, call, &input, frame)? else { return Ok(Items::None) };
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes = match &*format {
        "base64" => STANDARD.decode(&*text).ok(),
        "urlbase64" => URL_SAFE.decode(&*text).ok(),
        "hex" if text.len().is_multiple_of(2) => text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [a, b] => Some(digit(a)? * 16 + digit(b)?),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Items::None, string))
}

const HTML: [(&str, &str); 5] = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];

pub(super) fn escape<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some((text, format)) = pair(run, call, &input, frame)? else { return Ok(Items::None) };
    Ok(match &*format {
        "html" => string(HTML.iter().fold(text.into_owned(), |text, (plain, escaped)| text.replace(plain, escaped))),
        "json" => {
            let mut out = Vec::new();
            write_string(&text, &mut out);
            let inside = out.get(1..out.len() - 1).unwrap_or_default().to_vec();
            String::from_utf8(inside).map_or(Items::None, string)
        }
        _ => Items::None,
    })
}

pub(super) fn unescape<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some((text, format)) = pair(run, call, &input, frame)? else { return Ok(Items::None) };
    Ok(match &*format {
        "html" => {
            string(HTML.iter().rev().fold(text.into_owned(), |text, (plain, escaped)| text.replace(escaped, plain)))
        }
        // A quote that is not escaped is a quote.
        "json" => {
            let mut quoted = String::from("\"");
            let mut escaped = false;
            for c in text.chars() {
                if c == '"' && !escaped {
                    quoted.push('\\');
                }
                escaped = c == '\\' && !escaped;
                quoted.push(c);
            }
            quoted.push('"');
            match parse(quoted.as_bytes()) {
                Ok(json) => json.as_str().map_or(Items::None, |text| string(text.to_owned())),
                Err(_) => Items::None,
            }
        }
        _ => Items::None,
    })
}
