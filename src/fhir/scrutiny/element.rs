//! Elements of any resource: ids, attachments, codings, texts, URLs, extensions.

use super::Look;
use crate::fhir::definition::Structure;
use crate::fhir::json::{Json, Object};
use crate::fhir::path::Path;
use crate::fhir::primitive::Primitive;
use crate::fhir::resource::printable;

/// Hosts that nobody owns (RFC 2606), and those below them.
const NOBODYS: [&str; 3] = ["example.org", "example.com", "example.net"];

impl<'j> Look<'_, 'j> {
    /// The id of an element. Those of ElementDefinitions name elements of what is defined, in differential and snapshot alike.
    pub(super) fn id(&mut self, id: &'j str, structure: &'static Structure, path: &Path<'_>) {
        self.links.anchor(id);
        if structure.name == "ElementDefinition" {
            return;
        }
        if !self.ids.insert(id) {
            let what = format!("found the id '{}' of another element; make them differ", printable(id));
            self.say("element-id", "duplicate", &path.member("id"), what);
        }
    }

    /// What some data types ask beyond their structure.
    pub(super) fn datatype(&mut self, members: &'j Object, structure: &'static Structure, path: &Path<'_>) {
        match structure.name {
            "Attachment" => self.attachment(members, path),
            "Coding" => self.coding(members, path),
            "Extension" => self.extension(members, path),
            _ => {}
        }
    }

    fn attachment(&mut self, members: &Object, path: &Path<'_>) {
        let (Some(data), Some(size)) = (
            members.get("data").and_then(Json::as_str),
            members.get("size").and_then(Json::as_i64).and_then(|n| usize::try_from(n).ok()),
        ) else {
            return;
        };
        let digits = data.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'=').count();
        let bytes = digits * 3 / 4;
        if bytes != size {
            let what = format!("found the size {size} beside data of {bytes} bytes; correct size, or leave it out");
            self.say("attachment-size", "value", &path.member("size"), what);
        }
    }

    fn coding(&mut self, members: &Object, path: &Path<'_>) {
        let Some(system) = members.get("system").and_then(Json::as_str) else { return };
        let path = path.member("system");
        if !system.contains(':') {
            let what = format!("found '{}', expected the absolute URL of a code system", printable(system));
            self.say("code-system", "value", &path, what);
        } else if system.contains("/ValueSet/") {
            let what = format!(
                "found {}, which names a value set; name the code system that the code is from",
                printable(system)
            );
            self.say("code-system", "value", &path, what);
        }
    }

    fn extension(&mut self, members: &Object, path: &Path<'_>) {
        let Some(url) = members.get("url").and_then(Json::as_str) else { return };
        // Parts of a complex extension have relative URLs: they are defined with it.
        if url.contains(':') && self.known.profiles.find(url).is_none() {
            let what = format!("found the extension {}, which is not known here; load its package", printable(url));
            self.say("unknown-extension", "extension", path, what);
        }
    }

    /// A primitive that is a string in JSON.
    pub(super) fn text(&mut self, primitive: Primitive, text: &str, path: &Path<'_>) {
        match primitive {
            Primitive::String | Primitive::Markdown => {
                if let Some(tag) = tag(text) {
                    let what = format!(
                        "found '{}', which a reader may take for HTML; write plain text, or a narrative",
                        printable(tag)
                    );
                    self.say("markup", "business-rule", path, what);
                }
            }
            Primitive::Uri | Primitive::Url | Primitive::Canonical if is_nobodys(text) => {
                let what =
                    format!("found {}, a URL for examples that leads nowhere; name the real one", printable(text));
                self.say("example-url", "business-rule", path, what);
            }
            _ => {}
        }
    }
}

/// What looks like a tag: `<b`, `</p`, up to a `>` or what else ends it.
fn tag(text: &str) -> Option<&str> {
    text.match_indices('<').find_map(|(at, _)| {
        let rest = text.get(at..)?;
        let name = rest.strip_prefix("</").or_else(|| rest.strip_prefix('<'))?;
        let letters = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let end = name.get(letters..)?.chars().next();
        // `a<b` is a comparison, `<b>`, `<br/>` and `<b class=…>` are tags.
        let is_ended = matches!(end, Some('>' | '/')) || (end.is_some_and(char::is_whitespace) && name.contains('>'));
        (is_name && is_ended).then(|| rest.get(..rest.len() - name.len() + letters).unwrap_or(rest))
    })
}

fn is_nobodys(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let host = rest.split(['/', ':', '?', '#', '|']).next().unwrap_or_default();
    NOBODYS.iter().any(|name| host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::{is_nobodys, tag};

    #[test]
    fn a_tag_is_told_from_a_comparison_and_an_example_from_a_host() {
        for (text, found) in [
            ("<b>x</b>", Some("<b")),
            ("x <br/>", Some("<br")),
            ("end</p>", Some("</p")),
            ("<img src=x onerror=y>", Some("<img")),
            ("a<b and c>d", Some("<b")),
            ("a<b", None),
            ("< 5 mg", None),
            ("<5>", None),
            ("x <- y", None),
        ] {
            assert_eq!(tag(text), found, "{text}");
        }
        for (url, is) in [
            ("http://example.org/a", true),
            ("https://fhir.example.com:8080", true),
            ("http://myexample.org/a", false),
            ("urn:oid:1.2", false),
            ("http://a.b/example.org", false),
        ] {
            assert_eq!(is_nobodys(url), is, "{url}");
        }
    }
}
