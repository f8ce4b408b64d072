//! What a Bundle of each type must and must not have: bdl-1 to bdl-12, and full URLs that agree with their resources.
//!
//! Native code, not the expressions of R4: an issue names the entry that is to blame, and a Bundle of ten thousand entries takes
//! one pass.
//! Source: <https://hl7.org/fhir/R4/bundle.html>, <https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl>.

use super::walk::Walk;
use crate::fhir::json::{Json, Object};
use crate::fhir::path::Path;
use crate::fhir::resource::{Target, printable};
use std::collections::HashMap;

/// The rules of one Bundle type.
struct Rules {
    request: bool,
    response: bool,
    search: bool,
    total: bool,
}

fn rules(kind: &str) -> Rules {
    Rules {
        request: matches!(kind, "batch" | "transaction" | "history"),
        response: matches!(kind, "batch-response" | "transaction-response" | "history"),
        search: kind == "searchset",
        total: matches!(kind, "searchset" | "history"),
    }
}

impl Walk<'_> {
    /// Checks a Bundle.
    pub(super) fn bundle(&mut self, bundle: &Object, path: &Path<'_>) {
        let Some(kind) = bundle.get("type").and_then(Json::as_str) else { return };
        let rules = rules(kind);
        let entries = bundle.get("entry").map_or(&[][..], Json::items);
        let list = path.member("entry");
        if bundle.get("total").is_some() && !rules.total {
            let what = format!(
                "found a total in a Bundle of type {}; only a searchset or history has one (bdl-1); remove it",
                printable(kind)
            );
            self.broken("bdl-1: total only when a search or history", &path.member("total"), &what);
        }
        self.first_entry(kind, bundle, entries, path);
        let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
        for (n, entry) in entries.iter().enumerate() {
            let here = list.item(n);
            let fine = self.parts(kind, &rules, entry, &here);
            if fine && ["resource", "request", "response"].iter().all(|name| entry.get(name).is_none()) {
                let what = "found an entry with neither resource, request nor response (bdl-5); add the resource, or remove the entry";
                self.broken("bdl-5: must be a resource unless there's a request or response", &here, what);
            }
            let Some(url) = entry.get("fullUrl").and_then(Json::as_str) else { continue };
            let here = here.member("fullUrl");
            self.full_url(url, &entry["resource"], &here);
            if kind == "history" {
                continue;
            }
            if let Some(first) = seen.insert((url, entry["resource"]["meta"]["versionId"].text()), n) {
                let what = format!(
                    "found the fullUrl of entry[{first}] again (bdl-7); each entry has its own, or versions that differ in meta.versionId"
                );
                self.broken("bdl-7: FullUrl must be unique in a bundle", &here, &what);
            }
        }
    }

    /// bdl-2 to bdl-4; whether all hold.
    fn parts(&mut self, kind: &str, rules: &Rules, entry: &Json, path: &Path<'_>) -> bool {
        let mut fine = true;
        let kind = printable(kind);
        for (name, wanted, key, rule) in [
            (
                "request",
                rules.request,
                "bdl-3",
                "bdl-3: entry.request mandatory for batch/transaction/history, otherwise prohibited",
            ),
            (
                "response",
                rules.response,
                "bdl-4",
                "bdl-4: entry.response mandatory for batch-response/transaction-response/history, otherwise prohibited",
            ),
        ] {
            if entry.get(name).is_some() != wanted {
                fine = false;
                let what = if wanted {
                    format!("found no {name}; each entry of a Bundle of type {kind} has one ({key}); add it")
                } else {
                    format!(
                        "found a {name}; an entry of a Bundle of type {kind} has none ({key}); remove it, or correct Bundle.type"
                    )
                };
                self.broken(rule, &path.member(name), &what);
            }
        }
        if entry.get("search").is_some() && !rules.search {
            fine = false;
            let what = format!("found search in a Bundle of type {kind}; only a searchset has it (bdl-2); remove it");
            self.broken("bdl-2: entry.search only when a search", &path.member("search"), &what);
        }
        fine
    }

    /// bdl-9 to bdl-12: what a document and a message begin with.
    fn first_entry(&mut self, kind: &str, bundle: &Object, entries: &[Json], path: &Path<'_>) {
        let (first, key, rule) = match kind {
            "document" => ("Composition", "bdl-11", "bdl-11: A document must have a Composition as the first resource"),
            "message" => {
                ("MessageHeader", "bdl-12", "bdl-12: A message must have a MessageHeader as the first resource")
            }
            _ => return,
        };
        let found = entries.first().map_or("", |e| e["resource"]["resourceType"].text());
        if found != first {
            let found = if found.is_empty() { "nothing".to_owned() } else { printable(found) };
            let what = format!("found {found}, expected {first} in the first entry ({key}); put it there");
            let list = path.member("entry");
            self.broken(rule, &list.item(0).member("resource"), &what);
        }
        if kind != "document" {
            return;
        }
        let identifier = bundle.get("identifier");
        if ["system", "value"].iter().any(|name| identifier.is_none_or(|i| i.get(name).is_none())) {
            let what = "a document has an identifier with system and value (bdl-9); add what is missing";
            self.broken(
                "bdl-9: A document must have an identifier with a system and a value",
                &path.member("identifier"),
                what,
            );
        }
        if bundle.get("timestamp").is_none() {
            let what = "a document has the time when it was put together (bdl-10); add timestamp";
            self.broken("bdl-10: A document must have a date", &path.member("timestamp"), what);
        }
    }

    /// A full URL is absolute, names no version, and the id in it is the resource's.
    fn full_url(&mut self, url: &str, resource: &Json, path: &Path<'_>) {
        if url.contains("/_history/") {
            let what = "found a version in the fullUrl (bdl-8); leave '/_history/…' out";
            return self.broken("bdl-8: fullUrl cannot be a version specific reference", path, what);
        }
        const RULE: &str = "fullUrl is an absolute URL that agrees with the id of the resource";
        if !url.contains(':') {
            let what =
                format!("found '{}', expected an absolute URL or urn:uuid:…; write the whole address", printable(url));
            return self.broken(RULE, path, &what);
        }
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return;
        }
        // The last two parts of the address of a resource: `…/Patient/1`.
        let mut parts = url.rsplitn(3, '/');
        let (Some(id), Some(name)) = (parts.next(), parts.next()) else { return };
        let Some(target) = Target::parse(&format!("{name}/{id}")) else { return };
        let rtype = resource["resourceType"].text();
        let own = resource["id"].text();
        if (!rtype.is_empty() && rtype != target.rtype.as_str()) || (!own.is_empty() && own != target.id.as_str()) {
            let what = format!(
                "found the address of {target} on {}/{}; make fullUrl and resource agree, or use urn:uuid:…",
                printable(rtype),
                printable(own)
            );
            self.broken(RULE, path, &what);
        }
    }
}
