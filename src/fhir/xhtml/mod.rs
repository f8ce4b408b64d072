//! Narrative: well-formed XHTML of the elements that FHIR allows, and nothing that runs or calls out.
//!
//! For: `Narrative.div` of every resource, and finding its links when a Bundle renames resources.
//! Not for: making narratives, or cleaning one: what is not allowed is refused, never changed.
//! Source: <https://hl7.org/fhir/R4/narrative.html#xhtml> (txt-1, txt-2); external images are refused by own rule: they
//! tell a third party who reads which record.

mod scan;
#[cfg(test)]
mod tests;

use scan::{Event, Scan};
use std::ops::Range;

const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// Elements of HTML 4.0 chapters 7 to 11 and 15 that are not deprecated, links and images.
const ELEMENTS: [&str; 53] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
];

const ATTRIBUTES: [&str; 47] = [
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "colspan",
    "coords",
    "dir",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "id",
    "ismap",
    "lang",
    "longdesc",
    "name",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "usemap",
    "valign",
    "width",
    "xml:lang",
    "xmlns",
];

/// What is said of a `div` that says nothing (txt-2).
pub const EMPTY: &str = "the div has neither text nor image; write some";

/// What is wrong with a `div`: a phrase that names what was found and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is no XHTML of the form that a narrative has.
    Form(String),
    /// It is, and holds what a narrative may not hold: what runs, calls out, or is no text.
    Forbidden(String),
}

/// What is wrong with a `div`; empty when nothing is. At most ten problems.
#[must_use]
pub fn problems(div: &str) -> Vec<Problem> {
    use Problem::{Forbidden, Form};
    let mut found = Vec::new();
    let mut scan = Scan::new(div);
    let mut open: Vec<Range<usize>> = Vec::new();
    let (mut begun, mut content) = (false, false);
    while found.len() < 10 {
        let event = match scan.next() {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(what) => {
                found.push(Form(format!("{what}; send well-formed XHTML")));
                return found;
            }
        };
        match event {
            Event::Text { span } => {
                let text = scan.get(&span);
                if open.is_empty() && !text.trim().is_empty() {
                    found.push(Form("there is text outside the div; put it inside".into()));
                }
                content |= !text.trim().is_empty();
                entities(text, &mut found);
            }
            Event::Comment { span } => {
                if scan.get(&span).contains(['<', '>']) || scan.get(&span).contains("--") {
                    found.push(Forbidden("a comment holds markup; remove it".into()));
                }
            }
            Event::Open { name, empty } => {
                let tag = scan.get(&name);
                if open.is_empty() {
                    if begun || tag != "div" {
                        found.push(Form(format!("found <{tag}> at the top; a narrative is one <div>")));
                    }
                    if !scan.attributes.iter().any(|(n, v)| scan.get(n) == "xmlns" && scan.get(v) == NAMESPACE) {
                        found.push(Form(format!("the div has no namespace; write <div xmlns=\"{NAMESPACE}\">")));
                    }
                    begun = true;
                }
                if !ELEMENTS.contains(&tag) {
                    let what = format!("found <{}>, which a narrative may not have; remove it", short(tag));
                    found.push(Forbidden(what));
                }
                content |= tag == "img";
                for (n, v) in &scan.attributes {
                    attribute(tag, scan.get(n), scan.get(v), &mut found);
                }
                if !empty {
                    open.push(name);
                }
            }
            Event::Close { name } => match open.pop() {
                Some(opened) if scan.get(&opened) == scan.get(&name) => {}
                _ => {
                    let tag = short(scan.get(&name));
                    found.push(Form(format!("found </{tag}> where another element is open; close it first")));
                    return found;
                }
            },
        }
    }
    if let Some(name) = open.last().filter(|_| found.is_empty()) {
        found.push(Form(format!("<{}> is not closed; close it", short(scan.get(name)))));
    } else if !begun && found.is_empty() {
        found.push(Form(format!("found no element; a narrative is <div xmlns=\"{NAMESPACE}\">…</div>")));
    } else if !content && found.is_empty() {
        found.push(Form(EMPTY.into()));
    }
    found
}

fn short(text: &str) -> String {
    super::resource::printable(text)
}

/// XML knows five named entities; `&nbsp;` is HTML's.
fn entities(text: &str, found: &mut Vec<Problem>) {
    for (_, rest) in text.match_indices('&').filter_map(|(n, _)| text.split_at_checked(n + 1)) {
        let name = rest.split(';').next().filter(|name| name.len() < rest.len()).unwrap_or_default();
        if decode_entity(name).is_none() {
            let name = short(name.get(..name.len().min(12)).unwrap_or_default());
            let what = format!("found the entity '&{name}', which XML does not have; write the character itself");
            found.push(Problem::Form(what));
            return;
        }
    }
}

fn decode_entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) if !hex.starts_with('+') => u32::from_str_radix(hex, 16).ok()?,
                None if !number.starts_with('+') => number.parse().ok()?,
                _ => return None,
            };
            // XML 1.0 section 2.2: what a document may hold.
            char::from_u32(code)
                .filter(|c| matches!(c, '\t' | '\n' | '\r' | ' '..) && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        }
    }
}

/// The text with its entities resolved; unknown ones stay.
fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match after.split_once(';').and_then(|(name, after)| Some((decode_entity(name)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn attribute(tag: &str, name: &str, value: &str, found: &mut Vec<Problem>) {
    if !ATTRIBUTES.contains(&name) {
        let (name, tag) = (short(name), short(tag));
        let what = format!("found the attribute '{name}' of <{tag}>, which a narrative may not have; remove it");
        found.push(Problem::Forbidden(what));
        return;
    }
    entities(value, found);
    if !matches!(name, "href" | "src" | "style" | "xmlns" | "cite" | "longdesc" | "usemap") {
        return;
    }
    // As a browser reads it: without entities, white space, control characters and capitals.
    let plain: String =
        decode(value).chars().filter(|c| !c.is_whitespace() && !c.is_control()).flat_map(char::to_lowercase).collect();
    let refused = match name {
        "xmlns" => (value != NAMESPACE).then_some("another namespace than XHTML's"),
        "style" => style(&plain),
        "src" => match scheme(&plain) {
            Some("data") if plain.starts_with("data:image/") && !plain.starts_with("data:image/svg") => None,
            Some("urn" | "cid") | None if !plain.starts_with("//") => None,
            _ => Some("an image from elsewhere; contain it, or refer to a Binary"),
        },
        _ => match scheme(&plain) {
            None | Some("http" | "https" | "mailto" | "tel" | "urn" | "ftp") => None,
            Some(_) => Some("a link that is none of http, https, mailto, tel, ftp, urn or relative"),
        },
    };
    if let Some(what) = refused {
        found.push(Problem::Forbidden(format!("the attribute '{name}' of <{}> holds {what}; remove it", short(tag))));
    }
}

/// The scheme of a link, if it has one.
fn scheme(plain: &str) -> Option<&str> {
    let (scheme, _) = plain.split_once(':')?;
    (!scheme.contains(['/', '?', '#'])).then_some(scheme)
}

fn style(plain: &str) -> Option<&'static str> {
    // A backslash escapes characters in CSS, and a comment parts words: neither has a place in an attribute of a narrative.
    if plain.contains(['\\', '<']) || plain.contains("/*") {
        return Some("CSS escapes or comments");
    }
    if ["expression(", "javascript:", "vbscript:", "@import", "behavior:", "-moz-binding"]
        .iter()
        .any(|w| plain.contains(w))
    {
        return Some("CSS that runs or loads something");
    }
    let external = plain.split("url(").skip(1).any(|url| {
        let url = url.trim_start_matches(['"', '\'']);
        let image = url.starts_with("data:image/") && !url.starts_with("data:image/svg");
        !image && (url.starts_with("//") || url.split([')', ';']).next().and_then(scheme).is_some())
    });
    (external || plain.contains("image-set(") || plain.contains("src(")).then_some("CSS that loads something")
}

/// Where the links of a `div` stand: the values of `href` and `src`, in order. Stops where the XML is not well-formed.
#[must_use]
pub fn links(div: &str) -> Vec<Range<usize>> {
    values(div, ["href", "src"])
}

/// Where what a link can lead to stands: the values of `id` and `name`, in order.
#[must_use]
pub fn anchors(div: &str) -> Vec<Range<usize>> {
    values(div, ["id", "name"])
}

fn values(div: &str, of: [&str; 2]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut scan = Scan::new(div);
    while let Ok(Some(event)) = scan.next() {
        if matches!(event, Event::Open { .. }) {
            let those = scan.attributes.iter().filter(|(name, _)| of.contains(&scan.get(name)));
            found.extend(those.map(|(_, value)| value.clone()));
        }
    }
    found
}

/// Replaces links: `lookup` gets each `href` and `src` with entities resolved. `None` when nothing changes.
#[must_use]
pub fn rewrite(div: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if !div.contains("href") && !div.contains("src") {
        return None;
    }
    let mut out = String::new();
    let mut done = 0;
    for span in links(div) {
        let Some(new) = div.get(span.clone()).and_then(|link| match link.contains('&') {
            true => lookup(&decode(link)),
            false => lookup(link),
        }) else {
            continue;
        };
        out.push_str(div.get(done..span.start).unwrap_or_default());
        for c in new.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&apos;"),
                c => out.push(c),
            }
        }
        done = span.end;
    }
    if done == 0 {
        return None;
    }
    out.push_str(div.get(done..).unwrap_or_default());
    Some(out)
}
