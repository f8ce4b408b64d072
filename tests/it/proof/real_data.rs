//! Law 7 on data that nobody here wrote: what is accepted comes back to the digit, what is refused is refused by the spec.

use crate::harness::exact::{Exact, differences};
use crate::harness::{Answer, Client, TestServer, data};
use std::collections::{BTreeMap, BTreeSet};

/// All that was sent and accepted: `Type/id/_history/n` → (where it came from, the text sent).
#[derive(Default)]
struct Ledger {
    /// Key of the stored version → (place, what was sent, the Bundle's fullUrl → Type/id).
    sent: BTreeMap<String, (String, Exact, usize)>,
    bundles: Vec<BTreeMap<String, String>>,
    refused: Vec<String>,
    accepted: usize,
}

impl Ledger {
    /// Posts one line as a client would and notes what became of it.
    async fn post(&mut self, client: &Client, place: &str, line: &str) {
        let sent = Exact::read(line);
        let kind = sent.get("resourceType").map_or("", Exact::text);
        let id = sent.get("id").map_or("", Exact::text);
        match (kind, sent.get("type").map_or("", Exact::text)) {
            ("Bundle", "transaction" | "batch") => {
                let answer = client.send("POST", "", line, &[]).await;
                self.note_bundle(place, &sent, &answer);
            }
            _ => {
                let (method, path) =
                    if id.is_empty() { ("POST", kind.to_string()) } else { ("PUT", format!("{kind}/{id}")) };
                let answer = client.send(method, &path, line, &[]).await;
                if answer.status < 300 {
                    self.accepted += 1;
                    let key = version_key(answer.header("location"));
                    self.sent.insert(key, (place.to_string(), sent, usize::MAX));
                } else {
                    self.refused.push(reason(place, kind, &answer));
                }
            }
        }
    }

    fn note_bundle(&mut self, place: &str, sent: &Exact, answer: &Answer) {
        if answer.status != 200 {
            self.refused.push(reason(place, "Bundle", answer));
            return;
        }
        let entries = sent.get("entry").map_or(&[][..], Exact::items);
        let answers = answer.body["entry"].as_array().cloned().unwrap_or_default();
        assert_eq!(entries.len(), answers.len(), "{place}: an answer for each entry, in order");
        let mut urls = BTreeMap::new();
        for (entry, answer) in entries.iter().zip(&answers) {
            let location = answer["response"]["location"].as_str().unwrap_or_default();
            if let (Some(url), Some((target, _))) =
                (entry.get("fullUrl"), version_key(location).split_once("/_history/"))
            {
                urls.insert(url.text().to_string(), target.to_string());
            }
        }
        self.bundles.push(urls);
        for (n, (entry, answer)) in entries.iter().zip(&answers).enumerate() {
            let status = answer["response"]["status"].as_str().unwrap_or_default();
            let place = format!("{place}#{n}");
            if let (true, Some(resource)) = (status.starts_with("201"), entry.get("resource")) {
                self.accepted += 1;
                let key = version_key(answer["response"]["location"].as_str().unwrap_or_default());
                self.sent.insert(key, (place, resource.clone(), self.bundles.len() - 1));
            } else if !status.starts_with('2') {
                self.refused.push(format!("{place}: {status} {}", answer["response"]["outcome"]["issue"]));
            }
        }
    }

    /// Walks the system history: every accepted resource must be in it as it was sent.
    async fn check(&self, client: &Client) {
        let stored = history(client).await;
        let mut wrong = Vec::new();
        for (n, (key, (place, sent, bundle))) in self.sent.iter().enumerate() {
            let Some(back) = stored.get(key) else {
                wrong.push(format!("{place}: {key} is not in the history"));
                continue;
            };
            let none = BTreeMap::new();
            let urls = self.bundles.get(*bundle).unwrap_or(&none);
            let mut same = |a: &str, b: &str| is_rewritten(a, b, urls, &stored);
            let found = differences(&sent.without_server_fields(), &back.without_server_fields(), &mut same);
            wrong.extend(found.into_iter().map(|d| format!("{place} {key}{d}")));
            // A sample through the plain read as well.
            if n % 97 == 0 {
                let read = client.read(key).await.ok();
                assert_eq!(
                    &Exact::read(&String::from_utf8_lossy(&read.bytes)),
                    back,
                    "{key}: vread and history differ"
                );
            }
        }
        assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    }
}

/// `http://host/fhir/Patient/1/_history/2` → `Patient/1/_history/2`.
pub(super) fn version_key(location: &str) -> String {
    let parts: Vec<_> = location.rsplitn(5, '/').take(4).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

fn reason(place: &str, kind: &str, answer: &Answer) -> String {
    let issues = answer.body["issue"].as_array().cloned().unwrap_or_default();
    let text = |i: &serde_json::Value| {
        format!(
            "{} {}: {}",
            i["code"].as_str().unwrap_or("?"),
            i["expression"][0].as_str().unwrap_or(""),
            i["diagnostics"].as_str().unwrap_or("")
        )
    };
    format!("{place} {kind} {}: {}", answer.status, issues.iter().map(text).collect::<Vec<_>>().join(" | "))
}

/// Every stored version, by key.
pub(super) async fn history(client: &Client) -> BTreeMap<String, Exact> {
    let mut stored = BTreeMap::new();
    let mut url = "_history?_count=1000".to_string();
    loop {
        let answer = client.read(&url).await.ok();
        let text = String::from_utf8(answer.bytes).expect("UTF-8");
        let page = Exact::read(&text);
        for entry in page.get("entry").map_or(&[][..], Exact::items) {
            let Some(resource) = entry.get("resource") else { continue };
            let part = |v: Option<&Exact>| v.map_or("", Exact::text).to_string();
            let version = part(resource.get("meta").and_then(|m| m.get("versionId")));
            let key = format!("{}/{}/_history/{version}", part(resource.get("resourceType")), part(resource.get("id")));
            stored.insert(key, resource.clone());
        }
        let link = page
            .get("link")
            .map_or(&[][..], Exact::items)
            .iter()
            .find(|l| l.get("relation").map_or("", Exact::text) == "next");
        match link.and_then(|l| l.get("url")) {
            Some(next) => url = next.text().to_string(),
            None => return stored,
        }
    }
}

/// The example of a Subscription: its header's value is not read again, and its end was in 2021, so that it is off.
pub(super) fn is_the_servers(a: &str, b: &str) -> bool {
    [("Authorization: Bearer secret-token-abc-123", "Authorization: ***"), ("requested", "off")].contains(&(a, b))
}

/// Whether `b` is what the transaction rules make of `a`: the place of an entry of the same Bundle, the one resource that a
/// conditional reference finds, or text (a narrative) in which only such places were put in.
fn is_rewritten(a: &str, b: &str, urls: &BTreeMap<String, String>, stored: &BTreeMap<String, Exact>) -> bool {
    if urls.get(a).is_some_and(|place| place == b) || is_the_servers(a, b) {
        return true;
    }
    let relative = urls.iter().find(|(url, _)| url.strip_suffix(a).is_some_and(|base| base.ends_with('/')));
    if relative.is_some_and(|(_, place)| place == b) {
        return true;
    }
    if let Some((kind, query)) = a.split_once('?') {
        let value = query.rsplit(['|', '=']).next().unwrap_or_default();
        let first = stored.range(format!("{b}/_history/")..).next();
        return b.starts_with(&format!("{kind}/"))
            && first.is_some_and(|(k, found)| k.starts_with(b) && found.holds(value));
    }
    let mut text = a.to_string();
    for (url, place) in urls.iter().filter(|(url, _)| a.contains(url.as_str())) {
        text = text.replace(url, place);
    }
    text == b
}

/// Fails unless exactly the expected lines were refused, each with a text that holds the expected words.
fn refused_as_expected(refused: &[String], expected: &[(&str, &str)]) {
    let unexpected: Vec<_> = refused
        .iter()
        .filter(|r| !expected.iter().any(|(place, why)| r.starts_with(place) && r.contains(why)))
        .collect();
    assert!(unexpected.is_empty(), "refused and not on the list:\n{unexpected:#?}");
    let places: BTreeSet<_> = expected
        .iter()
        .filter(|(place, why)| !refused.iter().any(|r| r.starts_with(place) && r.contains(why)))
        .collect();
    assert!(places.is_empty(), "on the list and accepted: {places:?}");
}

both_databases!(the_discharges_of_synthea_come_back_to_the_digit);
/// R4 json.html: Discharges of Synthea come back to the digit; a transaction changes what its rules say and nothing
/// else.
async fn the_discharges_of_synthea_come_back_to_the_digit(server: TestServer) {
    let (Some(providers), Some(discharges)) =
        (data::lines("discharges-providers.ndjson.gz"), data::lines("discharges.ndjson.gz"))
    else {
        return;
    };
    let client = server.everyone();
    let mut ledger = Ledger::default();
    for (n, line) in providers.iter().chain(&discharges).enumerate() {
        ledger.post(&client, &format!("discharges:{n}"), line).await;
    }
    refused_as_expected(&ledger.refused, &[]);
    assert!(ledger.accepted > 400, "{} accepted", ledger.accepted);
    ledger.check(&client).await;
}

both_databases!(forty_whole_synthea_patients_come_back_to_the_digit);
/// R4 json.html: 18,000 resources of whole Synthea patients, half of them on each database, come back to the digit.
async fn forty_whole_synthea_patients_come_back_to_the_digit(server: TestServer) {
    let files = ["providers-2025", "patients-2019", "patients-2025"];
    let client = server.everyone();
    let mut ledger = Ledger::default();
    let half = usize::from(server.settings().database_url.starts_with("sqlite:"));
    for file in files {
        let Some(lines) = data::lines(&format!("synthea/{file}.ndjson.gz")) else { return };
        for (n, line) in lines.iter().enumerate().filter(|(n, _)| file.starts_with("providers") || n % 2 == half) {
            ledger.post(&client, &format!("{file}:{n}"), line).await;
        }
    }
    refused_as_expected(&ledger.refused, &[]);
    assert!(ledger.accepted > 9_000, "{} accepted", ledger.accepted);
    ledger.check(&client).await;
}

both_databases!(the_official_examples_come_back_to_the_digit);
/// R4 json.html: The official R4 examples come back member for member and digit for digit, but for those that break
/// R4, each with its reason.
async fn the_official_examples_come_back_to_the_digit(server: TestServer) {
    let Some(lines) = data::lines("r4-examples.ndjson.gz") else { return };
    let client = server.everyone();
    let mut ledger = Ledger::default();
    for (n, line) in lines.iter().enumerate() {
        ledger.post(&client, &format!("example:{n}"), line).await;
    }
    // (line, what the refusal says): why the specification is against it.
    let expected = [
        // txt-2: "the narrative SHALL have some non-whitespace content"; these are empty.
        ("example:2 ", "ActivityDefinition.text.div"),
        ("example:198 ", "Questionnaire.text.div"),
        // One entry of the transaction is ValueSet/$lookup, which this server does not have: all of it is refused.
        ("example:24 ", "Bundle.entry[7]"),
        // A batch of searches for a Patient that is not loaded, by functional lists, and by a parameter that R4 does not have.
        ("example:27#0", "Patient/example is not known here"),
        ("example:27#1", "_list"),
        ("example:27#2", "_list"),
        ("example:27#3", "_list"),
        ("example:27#4", "notgiven"),
        // The fullUrl of Patient/pat12 on Patient/pat2: bundle.html#bundle-unique, they shall not disagree.
        ("example:22 ", "Bundle.entry[2].fullUrl"),
        // Observation.performer may not be an Encounter.
        ("example:155 ", "Observation.performer[0].reference"),
        // Five AuditEvents: the server alone writes those (docs/audit.md).
        ("example:12 ", "AuditEvent"),
        ("example:13 ", "AuditEvent"),
        ("example:14 ", "AuditEvent"),
        ("example:15 ", "AuditEvent"),
        ("example:16 ", "AuditEvent"),
    ];
    refused_as_expected(&ledger.refused, &expected);
    ledger.check(&client).await;
}
