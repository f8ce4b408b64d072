//! AuditEvents as lines that people read: who did what with a patient's record, and to whom it was disclosed.
//!
//! For: `$access-report` and `baton audit report`. Everything is escaped where it goes: as HTML, or as a cell that no
//! spreadsheet takes for a formula.
//! Source: HIPAA 164.528; own rules.

use crate::access::Limit;
use crate::error::Result;
use crate::fhir::json::Object;
use crate::fhir::{Json, Target};
use crate::store::Store;
use crate::workflow::report::page::escaped;
use std::collections::BTreeMap;

/// AuditEvents of one report: the newest.
pub const MOST: usize = 1000;
/// `type` of a disclosure.
pub const DISCLOSED: &str = "110106";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// UTC, to the second.
    pub when: String,
    /// Person or system.
    pub who: String,
    /// Their role.
    pub role: String,
    /// Their organisation.
    pub org: String,
    /// What they did; of a disclosure with the recipient.
    pub did: String,
    /// With what: `Type/id`.
    pub what: String,
}

const HEADS: [&str; 6] = ["When (UTC)", "Who", "Role", "Organisation", "Did", "Record"];

impl Line {
    fn cells(&self) -> [&str; 6] {
        [&self.when, &self.who, &self.role, &self.org, &self.did, &self.what]
    }
}

/// What a patient sees of an event: who by role, organisation and directory entry, what and when; no login, no address, no token,
/// no query, no request id.
#[must_use]
pub fn for_patient(event: &Json, behind: &[String]) -> Json {
    let keep = |json: &Json, names: &[&str]| -> Json {
        let members = json.as_object().into_iter().flat_map(Object::iter);
        let mut out = Json::from(serde_json::json!({}));
        members.filter(|(name, _)| names.contains(name)).for_each(|(name, value)| out.set(name, value.clone()));
        out
    };
    let list = |key: &str, each: &dyn Fn(&Json) -> Option<Json>| -> Json {
        Json::Array(event[key].items().iter().filter_map(each).collect())
    };
    let mut out =
        keep(event, &["resourceType", "id", "type", "subtype", "action", "recorded", "outcome", "agent", "source"]);
    let agent = |agent: &Json| {
        let mut out = keep(agent, &["type", "role", "requestor", "purposeOfUse"]);
        if !agent["who"]["reference"].is_null() {
            out.set("who", keep(&agent["who"], &["reference"]));
        }
        Some(out)
    };
    out.set("agent", list("agent", &agent));
    let is_behind = |e: &Json| {
        let said = e["what"]["reference"].text();
        behind
            .iter()
            .any(|b| said.strip_prefix(b.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let is_told = |e: &Json| !e["what"]["reference"].is_null() && !is_behind(e);
    let entity = |e: &Json| is_told(e).then(|| keep(e, &["what", "type", "role", "detail"]));
    let entities = list("entity", &entity);
    if !entities.items().is_empty() {
        out.set("entity", entities);
    }
    out
}

/// A sentence when there are more than [`MOST`].
#[must_use]
pub fn cut(total: Option<u64>) -> Option<String> {
    let all = total.filter(|n| *n > MOST as u64)?;
    Some(format!("only the newest {MOST} of {all} events are listed; ask for shorter times by start and end"))
}

/// The lines of AuditEvents, with names of the directory.
///
/// # Errors
/// What the database says.
pub async fn lines(store: &Store, events: &[Json]) -> Result<Vec<Line>> {
    let references =
        events.iter().flat_map(|e| e["agent"].items()).filter_map(|a| Target::parse(a["who"]["reference"].text()));
    let mut wanted: Vec<Target> =
        references.filter(|t| matches!(t.rtype.as_str(), "Organization" | "Practitioner")).collect();
    wanted.sort();
    wanted.dedup();
    let mut names = BTreeMap::new();
    for version in store.get_many(&Limit::Directory, &wanted).await?.into_iter().flatten().filter(|v| !v.is_deleted()) {
        let json = version.json()?;
        let name = match &json["name"] {
            Json::String(name) => name.to_string(),
            list => list.items().first().map_or_else(String::new, person),
        };
        names.insert(version.target.to_string(), name);
    }
    Ok(events.iter().map(|event| line(event, &names)).collect())
}

fn person(name: &Json) -> String {
    let given = name["given"].items().iter().map(Json::text);
    given.chain([name["family"].text()]).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn line(event: &Json, names: &BTreeMap<String, String>) -> Line {
    let named = |reference: &str| match names.get(reference).filter(|name| !name.is_empty()) {
        Some(name) => name.clone(),
        None => reference.to_owned(),
    };
    let agents = || event["agent"].items().iter();
    let code = |agent: &Json| agent["type"]["coding"].items().first().map_or("", |c| c["code"].text()).to_owned();
    let asker = agents().find(|a| a["requestor"].as_bool() == Some(true));
    let who = asker.map_or_else(String::new, |a| match a["who"]["reference"].text() {
        "" => a["name"].text().to_owned(),
        reference => named(reference),
    });
    let role = agents()
        .find_map(|a| a["role"].items().first())
        .map_or("", |r| r["coding"].items().first().map_or("", |c| c["code"].text()));
    let org = agents().find(|a| code(a) == "PROV").map_or_else(String::new, |a| named(a["who"]["reference"].text()));
    let is_data = |e: &&Json| e["role"]["code"].text() == "4" || e["role"]["code"].text() == "1";
    let mut what: Vec<&str> =
        event["entity"].items().iter().filter(is_data).map(|e| e["what"]["reference"].text()).collect();
    what.dedup();
    let subtype = event["subtype"].items().first().map_or("", |s| s["code"].text());
    let did = match (event["type"]["code"].text(), subtype) {
        (DISCLOSED, _) => {
            let to = agents()
                .find(|a| code(a) == "110152")
                .map_or_else(String::new, |a| named(a["who"]["reference"].text()));
            format!("disclosed it to {to}")
        }
        ("110113", "110127") => "broke the glass".into(),
        ("110113", "110138") => "ended the broken glass".into(),
        ("110113", _) => "was refused".into(),
        (_, "create") => "wrote it".into(),
        (_, "read" | "vread") => "read it".into(),
        (_, "update" | "patch") => "changed it".into(),
        (_, "delete") => "deleted it".into(),
        (_, "search-type" | "search-system" | "search-compartment") => "found it in a search".into(),
        (_, "operation") => "read it in a report".into(),
        (_, history) if history.starts_with("history") => "read its history".into(),
        (_, other) => other.to_owned(),
    };
    let did = if matches!(event["outcome"].text(), "" | "0") || did == "was refused" {
        did
    } else {
        format!("{did}: failed")
    };
    let when = event["recorded"].text().get(..19).unwrap_or_default().replace('T', " ");
    Line { when, who, role: role.to_owned(), org, did, what: what.join(", ") }
}

/// One page, to read and to print: disclosures first, then everything.
#[must_use]
pub fn html(patient: &Target, lines: &[Line], total: Option<u64>) -> String {
    let row = |tag: &str, cells: &[&str]| {
        let cells: String = cells.iter().map(|c| format!("<{tag}>{}</{tag}>", escaped(c))).collect();
        format!("<tr>{cells}</tr>")
    };
    let table = |title: &str, empty: &str, rows: &[&Line]| {
        let body: String = rows.iter().map(|line| row("td", &line.cells())).collect();
        let table = if rows.is_empty() {
            format!("<p>{empty}</p>")
        } else {
            format!("<table><thead>{}</thead><tbody>{body}</tbody></table>", row("th", &HEADS))
        };
        format!("<h2>{title}</h2>{table}")
    };
    let disclosed: Vec<&Line> = lines.iter().filter(|l| l.did.starts_with("disclosed")).collect();
    let note = cut(total).map_or_else(String::new, |text| format!("<p><strong>{}</strong></p>", escaped(&text)));
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Access report</title><style>body{{font:16px/1.5 sans-serif;margin:2rem;color:#111}}table{{border-collapse:collapse;width:100%}}\
         th,td{{border:1px solid #999;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}}</style></head><body>\
         <h1>Who saw or changed this record</h1><p>{}</p>{note}{}{}</body></html>",
        escaped(&patient.to_string()),
        table("Disclosed to others", "Nothing was disclosed to another organisation.", &disclosed),
        table("Everything", "Nothing is on record.", &lines.iter().collect::<Vec<_>>()),
    )
}

/// A table for spreadsheets (RFC 4180), with a head.
#[must_use]
pub fn csv(lines: &[Line]) -> String {
    let row = |cells: &[&str]| cells.iter().map(|c| cell(c)).collect::<Vec<_>>().join(",") + "\r\n";
    std::iter::once(row(&HEADS)).chain(lines.iter().map(|line| row(&line.cells()))).collect()
}

/// A cell that a spreadsheet takes for text, whatever is in it.
///
/// Source: <https://owasp.org/www-community/attacks/CSV_Injection>.
fn cell(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let is_formula =
        text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security A51: What is in an access report is text: no tag on the page, no formula in a spreadsheet.
    #[test]
    fn texts_stay_texts() {
        let bad = "=HYPERLINK(\"http://x\")<script>alert(1)</script>";
        let line = Line {
            when: "2026-11-25 09:00:00".into(),
            who: bad.into(),
            role: "\t@SUM(A1)".into(),
            org: "-1+1".into(),
            did: "disclosed it to +1".into(),
            what: "a\"b\r\nc".into(),
        };
        let patient = Target::new(crate::fhir::resource::known("Patient"), "1");
        let page = html(&patient, std::slice::from_ref(&line), None);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
        let table = csv(&[line]);
        let row = table.lines().nth(1).unwrap();
        assert_eq!(
            row,
            "\"2026-11-25 09:00:00\",\"'=HYPERLINK(\"\"http://x\"\")<script>alert(1)</script>\",\"' @SUM(A1)\",\"'-1+1\",\
             \"disclosed it to +1\",\"a\"\"b  c\""
        );
    }

    #[test]
    fn a_patient_sees_no_login_address_token_or_query() {
        let event = Json::from(serde_json::json!({
            "resourceType": "AuditEvent", "type": {"code": "rest"}, "recorded": "2026-11-25T09:00:00Z",
            "agent": [{"who": {"reference": "Practitioner/1", "identifier": {"value": "mara"}}, "name": "mara",
                "network": {"address": "10.0.0.7"}, "policy": ["urn:x:jti:1"], "requestor": true,
                "role": [{"coding": [{"code": "technician"}]}]}],
            "entity": [{"what": {"identifier": {"value": "req-1"}}}, {"query": "bmFtZQ=="}, {"what": {"reference": "Patient/2"}}],
        }));
        let shown = for_patient(&event, &[]).to_string();
        for secret in ["mara", "10.0.0.7", "jti", "req-1", "bmFtZQ"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        assert!(shown.contains("Practitioner/1") && shown.contains("technician") && shown.contains("Patient/2"));
    }
}
