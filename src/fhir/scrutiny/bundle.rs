//! Bundles: links of pages, what a search found, and what documents and messages lead to.
//!
//! Source: <https://hl7.org/fhir/R4/bundle.html#references>, <https://hl7.org/fhir/R4/documents.html#bundle>,
//! <https://hl7.org/fhir/R4/search.html#entries>, <https://hl7.org/fhir/R4/http.html#paging>.

use super::Look;
use crate::fhir::json::{Json, Object};
use crate::fhir::path::Path;
use crate::fhir::resource::printable;

/// Relations of links by which a search or a history is read page by page.
const PAGING: [&str; 5] = ["first", "previous", "prev", "next", "last"];

/// Sections inside sections at most.
const MAX_DEPTH: usize = 32;

/// The entries of a document or message, and in which of them the look is.
#[derive(Debug)]
pub(super) struct Entries<'j> {
    list: Vec<Entry<'j>>,
    /// `fullUrl` of the entry.
    pub(super) here: &'j str,
}

#[derive(Debug)]
struct Entry<'j> {
    url: &'j str,
    name: (&'j str, &'j str),
    version: &'j str,
}

impl<'j> Entries<'j> {
    fn of(bundle: &'j Json) -> Self {
        let entry = |entry: &'j Json| {
            let resource = &entry["resource"];
            let name = (resource["resourceType"].text(), resource["id"].text());
            Entry { url: entry["fullUrl"].text(), name, version: resource["meta"]["versionId"].text() }
        };
        Self { list: bundle["entry"].items().iter().map(entry).collect(), here: "" }
    }

    /// How many entries a reference in an entry of this `fullUrl` leads to.
    fn matches(&self, from: &str, reference: &str) -> usize {
        let (plain, version) = reference.split_once("/_history/").map_or((reference, None), |(p, v)| (p, Some(v)));
        let absolute = if plain.contains(':') { plain.to_owned() } else { beside(from, plain) };
        let fits = |entry: &&Entry<'_>| entry.url == absolute && version.is_none_or(|v| v == entry.version);
        self.list.iter().filter(|_| !absolute.is_empty()).filter(fits).count()
    }

    /// Whether an entry has the type and id that a reference names.
    fn has_named(&self, reference: &str) -> bool {
        let plain = reference.split_once("/_history/").map_or(reference, |(plain, _)| plain);
        plain.split_once('/').is_some_and(|name| self.list.iter().any(|entry| entry.name == name))
    }
}

/// The address of a relative reference beside a RESTful `fullUrl`; "" where that is none.
fn beside(from: &str, reference: &str) -> String {
    let root = from.rsplitn(3, '/').nth(2).filter(|_| from.starts_with("http"));
    root.map_or(String::new(), |root| format!("{root}/{reference}"))
}

impl<'j> Look<'_, 'j> {
    /// Looks at a Bundle as such.
    pub(super) fn bundle(&mut self, bundle: &'j Json, path: &Path<'_>) {
        let kind = bundle["type"].text();
        self.paging(bundle, kind, path);
        let list = path.member("entry");
        if kind == "searchset" {
            for (n, entry) in bundle["entry"].items().iter().enumerate() {
                self.found(entry, &list.item(n));
            }
        }
        if !matches!(kind, "document" | "message") {
            return;
        }
        let entries = Entries::of(bundle);
        let first = &bundle["entry"][0];
        let item = list.item(0);
        let here = item.member("resource");
        let mut wanted = Vec::new();
        match (kind, first["resource"]["resourceType"].text()) {
            ("document", "Composition") => of_composition(&first["resource"], &here, &mut wanted),
            ("message", "MessageHeader") => each(&first["resource"], "focus", &here, &mut wanted),
            _ => {}
        }
        for (place, reference) in wanted {
            if reference.is_empty()
                || reference.starts_with('#')
                || entries.matches(first["fullUrl"].text(), reference) > 0
            {
                continue;
            }
            let hint = if entries.has_named(reference) {
                "; an entry has this type and id, and a fullUrl that does not fit: make it the address beside that of the first entry"
            } else {
                "; add the resource as an entry"
            };
            let what = format!("found a reference to {}, which no entry of the Bundle is{hint}", printable(reference));
            self.say_at("document-reference", "not-found", place, what);
        }
        self.entries = Some(entries);
    }

    fn paging(&mut self, bundle: &Json, kind: &str, path: &Path<'_>) {
        let list = path.member("link");
        let links = bundle["link"].items();
        for (n, link) in links.iter().enumerate() {
            let relation = link["relation"].text();
            let is_paging = PAGING.contains(&relation);
            let item = list.item(n);
            if is_paging && !matches!(kind, "searchset" | "history") {
                let what = format!(
                    "found a link '{}' in a Bundle of type {}; only searches and histories have pages, leave it out",
                    printable(relation),
                    printable(kind)
                );
                self.say("bundle-link", "business-rule", &item.member("relation"), what);
            } else if (is_paging || relation == "self")
                && links.iter().take(n).any(|other| other["relation"].text() == relation)
            {
                let what = format!("found a second link '{}', expected one; leave one out", printable(relation));
                self.say("bundle-link", "duplicate", &item, what);
            }
        }
    }

    /// An entry of a search's answer.
    fn found(&mut self, entry: &Json, path: &Path<'_>) {
        let resource = &entry["resource"];
        let (rtype, mode) = (resource["resourceType"].text(), entry["search"]["mode"].text());
        let here = path.member("resource");
        let is_outcome = rtype == "OperationOutcome";
        if mode == "outcome" && !is_outcome && !rtype.is_empty() {
            let what = format!("found {} as the outcome of a search, expected an OperationOutcome", printable(rtype));
            self.say("search-result", "structure", &here, what);
        }
        if !rtype.is_empty() && !is_outcome && rtype != "Parameters" && resource["id"].text().is_empty() {
            let what = format!("found {} without an id; what a search finds is stored and has one", printable(rtype));
            self.say("search-result", "required", &here, what);
        }
    }

    /// The literal of a Reference in a document or message.
    pub(super) fn reference(&mut self, reference: &Object, path: &Path<'_>) {
        let (Some(entries), Some(text)) = (&self.entries, reference.get("reference").and_then(Json::as_str)) else {
            return;
        };
        let count = entries.matches(entries.here, text);
        if count > 1 {
            let what = format!(
                "found a reference to {}, which {count} entries of the Bundle are; name the version, or make each fullUrl differ",
                printable(text)
            );
            self.say("ambiguous-reference", "multiple-matches", path, what);
        }
    }
}

/// The references of a Composition to what a document holds: place and literal.
fn of_composition<'j>(json: &'j Json, path: &Path<'_>, out: &mut Vec<(String, &'j str)>) {
    for name in ["subject", "encounter", "author", "custodian"] {
        each(json, name, path, out);
    }
    let list = path.member("attester");
    for (n, attester) in json["attester"].items().iter().enumerate() {
        each(attester, "party", &list.item(n), out);
    }
    sections(json, path, out, 0);
}

fn sections<'j>(json: &'j Json, path: &Path<'_>, out: &mut Vec<(String, &'j str)>, depth: usize) {
    let list = path.member("section");
    for (n, section) in json["section"].items().iter().enumerate().filter(|_| depth < MAX_DEPTH) {
        let here = list.item(n);
        for name in ["author", "focus", "entry"] {
            each(section, name, &here, out);
        }
        sections(section, &here, out, depth + 1);
    }
}

fn each<'j>(json: &'j Json, name: &str, path: &Path<'_>, out: &mut Vec<(String, &'j str)>) {
    let here = path.member(name);
    match &json[name] {
        Json::Array(items) => {
            out.extend(items.iter().enumerate().map(|(n, item)| (here.item(n).to_string(), item["reference"].text())));
        }
        one => out.push((here.to_string(), one["reference"].text())),
    }
}
