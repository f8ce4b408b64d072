//! Full text: the words of a resource, and what `_text` and `_content` ask of them.
//!
//! For: folding texts to words that both databases take as they are, and reading the small language of a query: words that
//! must all be there, `OR`, `AND`, `NOT`, parentheses, and `*` at the end of a beginning.
//! Not for: ranking, word forms, phrases (positions would double what is stored).
//! Source: <https://hl7.org/fhir/R4/search.html#content>, which leaves the language to the server. Own rules: the content of
//! a resource is its narrative and its strings for people; not identifiers, units, contact points, contained resources and
//! the names of what it refers to, which have parameters of their own.

use super::fold::each_word;
use super::plan::Cond;
use super::rows::Words;
use crate::fhir::definition::{self, Structure, Type};
use crate::fhir::primitive::Primitive;
use crate::fhir::resource::printable;
use crate::fhir::{Json, ResourceType};
use std::collections::HashSet;

/// Bytes of text that are looked at, words that are stored, and characters of a word (own limits).
const MAX_TEXT: usize = 256 << 10;
const MAX_WORDS: usize = 4_000;
const MAX_WORD: usize = 40;
/// Words of a query, and parentheses in parentheses.
const MAX_QUERY: usize = 32;
const MAX_DEPTH: usize = 16;

/// Data types whose strings are no text for people, or are found by a parameter of their own.
const SKIPPED: [&str; 8] =
    ["Identifier", "ContactPoint", "Meta", "Reference", "Quantity", "SampledData", "Signature", "Attachment"];

/// Words in the making, each once.
struct Gathered {
    seen: HashSet<Box<str>>,
    out: String,
    bytes: usize,
}

impl Gathered {
    fn add(&mut self, text: &str) {
        if self.bytes + text.len() > MAX_TEXT {
            return;
        }
        self.bytes += text.len();
        each_word(text, &mut |word| {
            let word = super::fold::head(word, MAX_WORD);
            if self.seen.len() < MAX_WORDS && !self.seen.contains(word) {
                self.seen.insert(word.into());
                if !self.out.is_empty() {
                    self.out.push(' ');
                }
                self.out.push_str(word);
            }
        });
    }

    /// What was gathered since the last call.
    fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }
}

/// The words of a resource.
#[must_use]
pub fn words(resource: &Json) -> Words {
    let Some(structure) = ResourceType::parse(resource["resourceType"].text()).and_then(definition::of_resource) else {
        return Words::default();
    };
    let mut all = Gathered { seen: HashSet::new(), out: String::new(), bytes: 0 };
    if let Some(div) = resource["text"]["div"].as_str() {
        tags_off(div, &mut |text| all.add(text));
    }
    let narrative = all.take();
    walk(resource, structure, &mut all);
    Words { narrative, content: all.take() }
}

fn walk(json: &Json, structure: &'static Structure, all: &mut Gathered) {
    let Some(object) = json.as_object() else { return };
    for (name, value) in object.iter() {
        // The parameters of `text` and `contained`: narrative, and resources that are not searched.
        if matches!(name, "contained" | "version") || matches!(value, Json::Bool(_) | Json::Number(_)) {
            continue;
        }
        let Some(found) = structure.member(name) else { continue };
        match found.kind {
            Type::Primitive(Primitive::String | Primitive::Markdown) => match value {
                Json::String(text) => all.add(text),
                list => list.items().iter().filter_map(Json::as_str).for_each(|text| all.add(text)),
            },
            Type::Complex(id) | Type::Extension(id) if !SKIPPED.contains(&id.get().name) => match value {
                Json::Object(_) => walk(value, id.get(), all),
                list => list.items().iter().for_each(|item| walk(item, id.get(), all)),
            },
            _ => {}
        }
    }
}

/// Calls back with each piece of text between the tags of a narrative.
fn tags_off(div: &str, each: &mut dyn FnMut(&str)) {
    for part in div.split('<') {
        // What stands before the first '>' is the tag; a narrative begins with one.
        let text = part.split_once('>').map_or("", |(_, text)| text);
        if text.contains('&') {
            each(&entities_off(text));
        } else if !text.trim().is_empty() {
            each(text);
        }
    }
}

fn entities_off(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let Some((name, rest)) = part.split_once(';').filter(|(name, _)| name.len() <= 10) else {
            out.push(' ');
            out.push_str(part);
            continue;
        };
        let number = name.strip_prefix('#').and_then(|n| match n.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => n.parse().ok(),
        });
        out.push(number.and_then(char::from_u32).unwrap_or(' '));
        out.push_str(rest);
    }
    out
}

/// The condition of one value of `_text` (`narrative`) or `_content`.
///
/// # Errors
/// Says what of the text cannot be read.
pub(super) fn cond(value: &str, narrative: bool) -> Result<Cond, String> {
    let spaced = value.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    if tokens.len() > 2 * MAX_QUERY {
        return Err(format!("it has more than {MAX_QUERY} words"));
    }
    let mut reader = Reader { tokens: &tokens, at: 0, narrative, words: 0 };
    let cond = reader.either(0)?;
    match reader.peek() {
        None => Ok(cond),
        Some(token) => Err(format!("'{}' stands where no word or end can be", printable(token))),
    }
}

struct Reader<'a> {
    tokens: &'a [&'a str],
    at: usize,
    narrative: bool,
    words: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn eat(&mut self, keyword: &str) -> bool {
        let is_it = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(keyword));
        self.at += usize::from(is_it);
        is_it
    }

    /// `a OR b`
    fn either(&mut self, depth: usize) -> Result<Cond, String> {
        let mut list = vec![self.each(depth)?];
        while self.eat("or") {
            list.push(self.each(depth)?);
        }
        Ok(Cond::any(list))
    }

    /// `a b`, `a AND b`
    fn each(&mut self, depth: usize) -> Result<Cond, String> {
        let mut words: Vec<(String, bool)> = Vec::new();
        let mut others = Vec::new();
        loop {
            match self.one(depth)? {
                Cond::Words { words: more, .. } => {
                    for word in more {
                        if !words.contains(&word) {
                            words.push(word);
                        }
                    }
                }
                other => others.push(other),
            }
            let goes_on = self.peek().is_some_and(|t| t != ")" && !t.eq_ignore_ascii_case("or"));
            if !self.eat("and") && !goes_on {
                break;
            }
        }
        if !words.is_empty() {
            others.insert(0, Cond::Words { words, narrative: self.narrative });
        }
        Ok(Cond::all(others))
    }

    fn one(&mut self, depth: usize) -> Result<Cond, String> {
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} parentheses stand in each other"));
        }
        if self.eat("not") {
            return Ok(Cond::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.eat("(") {
            let inner = self.either(depth + 1)?;
            return if self.eat(")") { Ok(inner) } else { Err("a ')' is missing".into()) };
        }
        let Some(token) = self.peek().filter(|t| *t != ")" && !["and", "or"].iter().any(|k| t.eq_ignore_ascii_case(k)))
        else {
            return Err("a word is missing".into());
        };
        self.at += 1;
        if token.contains('"') {
            return Err("phrases in quotes are not supported; give the words, all of which must be there".into());
        }
        let (text, begins) = token.strip_suffix('*').map_or((token, false), |text| (text, true));
        let mut words: Vec<(String, bool)> = Vec::new();
        each_word(text, &mut |word| words.push((super::fold::head(word, MAX_WORD).into(), false)));
        let Some(last) = words.last_mut() else {
            return Err(format!("'{}' has no letter and no digit", printable(token)));
        };
        last.1 = begins;
        self.words += words.len();
        if self.words > MAX_QUERY {
            return Err(format!("it has more than {MAX_QUERY} words"));
        }
        Ok(Cond::Words { words, narrative: self.narrative })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// R4 search.html#content: Words are those of texts for people, not of identifiers and units.
    #[test]
    fn words_are_those_of_the_narrative_and_of_texts_for_people() {
        let resource: Json = json!({
            "resourceType": "Condition", "id": "x", "meta": {"source": "http://no"},
            "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class=\"hidden\">Heart&#x20;failure &amp; Angstr&#246;m</p><b>Don't</b></div>"},
            "code": {"coding": [{"system": "http://no", "code": "no", "display": "Heart attack"}], "text": "Blood-pressure"},
            "identifier": [{"value": "no"}], "subject": {"reference": "Patient/no", "display": "no"},
            "note": [{"text": "see *plan*"}], "contained": [{"resourceType": "Patient", "id": "no"}],
            "extension": [{"url": "http://no", "valueString": "Extra"}]
        })
        .into();
        let words = words(&resource);
        assert_eq!(words.narrative, "heart failure angstrom dont");
        assert_eq!(words.content, "attack blood pressure see plan extra");
    }

    #[test]
    fn a_query_is_words_with_and_or_not() {
        let word = |list: &[(&str, bool)]| Cond::Words {
            words: list.iter().map(|(w, b)| ((*w).to_string(), *b)).collect(),
            narrative: true,
        };
        for (text, wanted) in [
            ("Bone", word(&[("bone", false)])),
            ("bone  Liver* bone", word(&[("bone", false), ("liver", true)])),
            ("blood-press*", word(&[("blood", false), ("press", true)])),
            (
                "(bone OR liver) and metastases",
                Cond::All(vec![
                    word(&[("metastases", false)]),
                    Cond::any(vec![word(&[("bone", false)]), word(&[("liver", false)])]),
                ]),
            ),
            ("not bone", Cond::Not(Box::new(word(&[("bone", false)])))),
        ] {
            assert_eq!(cond(text, true), Ok(wanted), "{text}");
        }
        for bad in ["", "(", "a )", "a or", "and a", "\"a b\"", "---", "not", &"(".repeat(40), &"a ".repeat(99)] {
            assert!(cond(bad, true).is_err(), "{bad}");
        }
    }
}
