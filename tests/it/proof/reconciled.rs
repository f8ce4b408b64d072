//! Every discharge and every stay of the real data reconciled: each medication once, and the counts of `docs/programme.md`.
//!
//! `cargo test --test it proof::reconciled -- --nocapture` prints the columns of the table; a page that says otherwise fails.

use crate::harness::{Database, TestServer, data, with_server};
use crate::journey::reconcile::preview;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Which stays are read by hand, unless `BATON_TEST_PICK` says another seed.
const SEED: &str = "5";

/// Picks, of the stays with a line, those with the smallest SHA-256 of seed, `|` and id in the file. By the seed of the page they are those
/// that `docs/reconciliations.md` tells of, in its order.
fn pick(kind: &str, most: usize, mut with_lines: Vec<String>) {
    let seed = std::env::var("BATON_TEST_PICK").unwrap_or_else(|_| SEED.into());
    with_lines.sort_by_cached_key(|id| Sha256::digest(format!("{seed}|{id}")));
    with_lines.truncate(most);
    println!("{kind}: picked by the seed {seed}: {with_lines:?}");
    if seed != SEED {
        return;
    }
    let rows = include_str!("../../../docs/reconciliations.md").lines();
    let told: Vec<&str> = rows.filter_map(|l| l.strip_prefix(&format!("| {kind} "))?.split(' ').next()).collect();
    let picked: Vec<&str> = with_lines.iter().map(|id| &id[..8]).collect();
    assert_eq!(picked, told, "docs/reconciliations.md, {kind}");
}

#[derive(Default)]
struct Count {
    stays: usize,
    followed: usize,
    reasons: BTreeMap<String, usize>,
    sources: usize,
    outcomes: BTreeMap<String, usize>,
    why: BTreeMap<String, usize>,
    /// What screening would find, by rule.
    found: BTreeMap<String, usize>,
}

impl Count {
    fn print(&self, title: &str) {
        println!("{title}: {} stays, {} followed up, {} source lines", self.stays, self.followed, self.sources);
        println!("  not followed: {:?}", self.reasons);
        println!("  outcomes: {:?}", self.outcomes);
        println!("  unclear because: {:?}", self.why);
        println!("  candidates by rule: {:?}", self.found);
    }

    /// The rows of a column: (kind, code) and how many.
    fn rows(&self) -> BTreeMap<(&'static str, String), usize> {
        let mut out = BTreeMap::new();
        for (kind, n) in [("stays", self.stays), ("followed up", self.followed), ("source lines", self.sources)] {
            out.insert((kind, String::new()), n);
        }
        for (kind, counts) in [("not followed up", &self.reasons), ("line", &self.outcomes), ("problem", &self.found)] {
            out.extend(counts.iter().map(|(code, n)| ((kind, code.clone()), *n)));
        }
        out
    }

    /// Whether the page has the same: each row of the column, and none that was not counted.
    fn is_on_the_page(&self, title: &str) {
        self.print(title);
        let page = include_str!("../../../docs/programme.md");
        let cells = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_string()).collect::<Vec<_>>();
        let mut lines = page.lines().filter(|l| l.starts_with('|')).map(cells);
        let heads = lines.next().expect("a table");
        let at = heads.iter().position(|h| h == title).unwrap_or_else(|| panic!("no column '{title}' in {heads:?}"));
        let mut told = BTreeMap::new();
        for row in lines.skip(1).take_while(|row| row.len() == heads.len()) {
            let (kind, code) = row[0].split_once(": `").unwrap_or((&row[0], ""));
            let code = code.split('`').next().unwrap_or_default().to_string();
            told.insert((kind.to_string(), code), row[at].parse::<usize>().expect("a count"));
        }
        told.retain(|_, n| *n > 0);
        let counted: BTreeMap<_, _> = self
            .rows()
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|((kind, code), n)| ((kind.to_string(), code), n))
            .collect();
        assert_eq!(counted, told, "docs/programme.md, column '{title}', is not what was counted");
    }

    /// Takes in what screening would find in a stay; answers why, one sentence each.
    fn screened(&mut self, told: &Value) -> Vec<String> {
        let mut out = Vec::new();
        for medicine in told["parameter"].as_array().into_iter().flatten().filter(|p| p["name"] == "medicine") {
            let parts = medicine["part"].as_array().into_iter().flatten();
            for finding in parts.filter(|p| p["name"] == "finding") {
                let rule = finding["part"][0]["valueCode"].as_str().expect("a rule").to_string();
                out.push(format!(
                    "  ! {rule} {} {}",
                    finding["part"][2]["valueCode"], finding["part"][3]["valueString"]
                ));
                *self.found.entry(rule).or_default() += 1;
            }
        }
        out
    }

    /// Takes the reconciled list of a stay in.
    fn add(&mut self, stay: &str, list: &Value) {
        self.stays += 1;
        let mut seen = BTreeSet::new();
        for entry in list["entry"].as_array().into_iter().flatten() {
            let outcome = entry["flag"]["coding"][0]["code"].as_str().expect("an outcome").to_string();
            let parts = entry["extension"][0]["extension"].as_array().expect("what the line is made of");
            for source in parts.iter().filter(|p| p["url"] == "source") {
                let item =
                    source["extension"][0]["valueReference"]["reference"].as_str().expect("a source").to_string();
                assert!(seen.insert(item.clone()), "{stay}: {item} stands in two lines");
                self.sources += 1;
            }
            let remarks = parts.iter().filter(|p| p["url"] == "remark" && outcome == "unclear");
            for remark in remarks.filter_map(|r| r["valueString"].as_str()) {
                *self.why.entry(remark.to_string()).or_default() += 1;
            }
            *self.outcomes.entry(outcome).or_default() += 1;
        }
    }
}

fn location(answer: &Value, rtype: &str) -> Option<String> {
    let entries = answer["entry"].as_array()?;
    let of = |e: &Value| Some(e["response"]["location"].as_str()?.split("/_history").next()?.to_string());
    entries.iter().filter_map(of).find_map(|l| l.find(&format!("{rtype}/")).map(|at| l[at..].to_string()))
}

/// What each resource of a Bundle is called in the file, by where it was put.
fn named_in_the_file(bundle: &Value, answer: &Value) -> BTreeMap<String, String> {
    let entries = |of: &Value| of["entry"].as_array().cloned().unwrap_or_default();
    let address = |e: &Value| {
        let location = e["response"]["location"].as_str()?.split("/_history").next()?;
        let mut parts = location.rsplit('/');
        let id = parts.next()?;
        Some(format!("{}/{id}", parts.next()?))
    };
    let pairs = entries(bundle).into_iter().zip(entries(answer));
    pairs.filter_map(|(sent, got)| Some((address(&got)?, sent["resource"]["id"].as_str()?.to_string()))).collect()
}

async fn decision(server: &TestServer, encounter: &str, count: &mut Count) {
    for record in server.everyone().search(&format!("Observation?encounter={encounter}&code=decision")).await {
        if record["valueCodeableConcept"]["coding"][0]["code"] == "followed" {
            count.followed += 1;
        }
        for component in record["component"].as_array().into_iter().flatten() {
            let code = component["valueCodeableConcept"]["coding"][0]["code"].as_str().unwrap_or("?").to_string();
            *count.reasons.entry(code).or_default() += 1;
        }
    }
}

both_databases!(every_discharge_of_the_real_data_is_reconciled_line_by_line);
async fn every_discharge_of_the_real_data_is_reconciled_line_by_line(server: TestServer) {
    let Some(providers) = data::lines("discharges-providers.ndjson.gz") else { return };
    let everyone = server.everyone();
    for line in providers {
        everyone.send("POST", "", line, &[]).await.ok();
    }
    let mut count = Count::default();
    let mut shown = Vec::new();
    let mut with_lines = Vec::new();
    for line in data::lines("discharges.ndjson.gz").unwrap_or_default() {
        let bundle: Value = serde_json::from_str(&line).expect("JSON");
        let entries = bundle["entry"].as_array().expect("entries");
        let stay = entries.iter().map(|e| &e["resource"]).find(|r| r["resourceType"] == "Encounter").expect("a stay");
        // Each as of its own day: an hour after the discharge.
        let end: jiff::Timestamp = stay["period"]["end"].as_str().expect("an end").parse().expect("a time");
        server.at(&end.checked_add(jiff::SignedDuration::from_hours(1)).expect("a time").to_string());
        let answer = everyone.send("POST", "", line, &[]).await.ok().body;
        let encounter = location(&answer, "Encounter").expect("the stay's address");
        let list = everyone.operation(&format!("{encounter}/$reconcile"), &preview(), None).await.ok().body;
        count.add(&encounter, &list);
        decision(&server, &encounter, &mut count).await;
        let lines = list["entry"].as_array().cloned().unwrap_or_default();
        if !lines.is_empty() {
            with_lines.push(stay["id"].as_str().expect("an id").to_string());
        }
        shown.push(encounter.clone());
        let told = everyone.operation(&format!("{encounter}/$screen"), &preview(), None).await.ok().body;
        shown.extend(count.screened(&told));
        for line in &lines {
            let parts = line["extension"][0]["extension"].as_array().cloned().unwrap_or_default();
            let sources: Vec<String> =
                parts.iter().filter(|p| p["url"] == "source").map(|p| p["extension"].to_string()).collect();
            shown.push(format!("  {} | {} | {}", line["item"]["display"], line["flag"]["text"], sources.join(" ")));
        }
    }
    assert_eq!(count.stays, 30);
    assert!(count.sources > 100, "{}", count.sources);
    // A home medicine that is missing without a word is a problem; two lines of one substance are one.
    let (found, omitted) = (count.found["home-omitted"], count.outcomes["omitted-without-note"]);
    assert!(found <= omitted && found + 3 > omitted, "{found} of {omitted}");
    count.is_on_the_page("Discharges");
    pick("discharge", 12, with_lines);
    if std::env::var_os("BATON_TEST_SHOW").is_some() {
        println!("{}", shown.join("\n"));
    }
}

/// On one database: whole records take a minute to load, and what is compared does not depend on where they lie.
#[test]
fn every_stay_of_the_synthea_patients_is_reconciled_line_by_line() {
    with_server(Database::Sqlite, every_stay_of_the_synthea_patients_is_reconciled);
}

async fn every_stay_of_the_synthea_patients_is_reconciled(server: TestServer) {
    let Some(providers) = data::lines("synthea/providers-2025.ndjson.gz") else { return };
    let everyone = server.everyone();
    for line in providers {
        everyone.send("POST", "", line, &[]).await.ok();
    }
    for (file, title, (kind, most)) in [
        ("synthea/patients-2019.ndjson.gz", "Synthea 2019", ("2019", 3)),
        ("synthea/patients-2025.ndjson.gz", "Synthea 2025", ("2025", 5)),
    ] {
        let mut count = Count::default();
        let mut with_lines = Vec::new();
        for line in data::lines(file).unwrap_or_default() {
            let bundle: Value = serde_json::from_str(&line).expect("JSON");
            let answer = everyone.send("POST", "", line, &[]).await.ok().body;
            let patient = location(&answer, "Patient").expect("a patient");
            let named = named_in_the_file(&bundle, &answer);
            for stay in
                everyone.search(&format!("Encounter?subject={patient}&class=IMP,ACUTE,EMER,OBSENC&_count=500")).await
            {
                let encounter = crate::harness::client::reference(&stay);
                let list = everyone.operation(&format!("{encounter}/$reconcile"), &preview(), None).await;
                if list.status == 422 {
                    continue; // a class that the programme does not record
                }
                let list = list.ok().body;
                count.add(&encounter, &list);
                if list["entry"].as_array().is_some_and(|lines| !lines.is_empty()) {
                    with_lines.push(named[&encounter].clone());
                }
                let told = everyone.operation(&format!("{encounter}/$screen"), &preview(), None).await.ok().body;
                let why = count.screened(&told);
                if std::env::var_os("BATON_TEST_SHOW").is_some() {
                    println!("{encounter}\n{}", why.join("\n"));
                }
                decision(&server, &encounter, &mut count).await;
            }
        }
        assert!(count.stays > 5, "{file}: {}", count.stays);
        count.is_on_the_page(title);
        pick(kind, most, with_lines);
    }
}

both_databases!(the_examples_of_guides_that_speak_of_stays_are_taken);
/// Own docs/programme.md: The examples of Da Vinci's notifications, US Core and SDOH are taken; what becomes of their stays stands in the table.
async fn the_examples_of_guides_that_speak_of_stays_are_taken(server: TestServer) {
    let everyone = server.everyone();
    let mut known = BTreeSet::new();
    for (file, title) in [("ig/davinci-alerts", "Da Vinci"), ("ig/us-core", "US Core"), ("ig/sdoh", "SDOH")] {
        let Some(lines) = data::lines(&format!("{file}.ndjson.gz")) else { return };
        let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
        for line in lines {
            let mut resource: Value = serde_json::from_str(&line).expect("JSON");
            // As R4: the packages of profiles that they claim are not here.
            if resource["type"] != "message" {
                resource.as_object_mut().expect("a resource").remove("meta");
            }
            let line = resource.to_string();
            let answer = match (resource["resourceType"].as_str(), resource["type"].as_str(), resource["id"].as_str()) {
                (Some("Bundle"), Some("message"), _) => {
                    if let Some(said) = resource["timestamp"].as_str() {
                        server.at(said);
                    }
                    everyone.send("POST", "$process-message", line, &[]).await
                }
                (Some(rtype), _, Some(id)) => everyone.send("PUT", &format!("{rtype}/{id}"), line.clone(), &[]).await,
                (rtype, ..) => everyone.send("POST", rtype.expect("a type"), line, &[]).await,
            };
            assert!(answer.status < 500, "{file}: {answer:?}");
            *answers.entry(answer.status).or_default() += 1;
        }
        println!("{title}: answers {answers:?}");
        assert!(answers.keys().all(|status| *status < 300), "{title}: {answers:?}");
        let mut count = Count::default();
        for stay in everyone.search("Encounter?_count=500").await {
            let encounter = crate::harness::client::reference(&stay);
            if !known.insert(encounter.clone()) {
                continue;
            }
            let list = everyone.operation(&format!("{encounter}/$reconcile"), &preview(), None).await;
            if list.status == 422 {
                continue; // a class that the programme does not record
            }
            count.add(&encounter, &list.ok().body);
            let told = everyone.operation(&format!("{encounter}/$screen"), &preview(), None).await.ok().body;
            count.screened(&told);
            decision(&server, &encounter, &mut count).await;
        }
        count.is_on_the_page(title);
    }
}
