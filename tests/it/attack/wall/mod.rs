//! The wall: two hospitals and two pharmacies with the same data in other names, rows of each that point across, and every route
//! of the server by every role. Nothing that the others own is in what is answered, and what names it is answered like what never was.
//!
//! The routes come from the server's own map: a route that `requests.txt` does not know fails the test. The owner asks the same at
//! the end: what no owner sees proves nothing, and fails the test as well.

mod property;
mod request;
mod world;

use crate::harness::{Answer, Client, Settings, TestServer, with_database};
use request::{Ask, Names, asks};
use std::collections::BTreeSet;
use world::World;

mod nothing_of_another_organisation_is_in_any_answer {
    use crate::harness::{Database, Settings};
    #[test]
    fn sqlite() {
        super::with_database(Database::Sqlite, |s: Settings| {
            super::nothing_of_another_organisation_is_in_any_answer(s)
        });
    }
    #[test]
    fn postgres() {
        super::with_database(Database::Postgres, |s: Settings| {
            super::nothing_of_another_organisation_is_in_any_answer(s)
        });
    }
}

/// Headers that differ from answer to answer.
const RESTLESS: [&str; 6] = ["date", "content-length", "last-modified", "retry-after", "connection", "keep-alive"];

/// An answer without what it was asked about, and without headers that every answer has of its own.
fn plain(answer: &Answer, names: &Names, ask: &Ask) -> String {
    let headers = answer.headers.iter().filter(|(name, _)| !RESTLESS.contains(&name.as_str()));
    let headers: BTreeSet<_> =
        headers.map(|(n, v)| format!("{n}: {}", String::from_utf8_lossy(v.as_bytes()))).collect();
    names.out(&format!("{}\n{headers:?}\n{}", answer.status, String::from_utf8_lossy(&answer.bytes)), ask)
}

/// Where an answer about what is another's differs from one about what never was.
fn difference(ask: &Ask, hidden: (&Answer, &Names), absent: (&Answer, &Names)) -> Option<String> {
    let (hidden, absent) = (plain(hidden.0, hidden.1, ask), plain(absent.0, absent.1, ask));
    if hidden == absent {
        return None;
    }
    // Numbers of rows that a write made, and times, are its own.
    let (hidden, absent) = (request::smooth(&hidden), request::smooth(&absent));
    (hidden != absent).then(|| format!("{ask:?}\n--- of another's\n{hidden}\n--- of nobody's\n{absent}"))
}

/// What an answer shows of the others, past what it was asked about.
fn shown<'a>(answer: &Answer, world: &'a World, asked: &str) -> Vec<&'a str> {
    shown_of(answer, &world.words, &world.ids, asked)
}

fn shown_of<'a>(answer: &Answer, words: &'a [String], ids: &'a BTreeSet<String>, asked: &str) -> Vec<&'a str> {
    let mut text = String::from_utf8_lossy(&answer.bytes).into_owned();
    for value in answer.headers.values() {
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    let mut found: Vec<&str> = words.iter().map(String::as_str).filter(|w| text.contains(w)).collect();
    // Ids are looked for as words of letters, digits and hyphens, of the lengths that ids have.
    let lengths: BTreeSet<usize> = ids.iter().map(String::len).collect();
    let (shortest, longest) = (lengths.first().copied().unwrap_or(1), lengths.last().copied().unwrap_or(0));
    let mut start = 0;
    for (at, byte) in text.bytes().chain([b'\n']).enumerate() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            continue;
        }
        let length = at - start;
        if length >= shortest && length <= longest && lengths.contains(&length) {
            found.extend(text.get(start..at).and_then(|token| ids.get(token)).map(String::as_str));
        }
        start = at + 1;
    }
    found.sort_unstable();
    found.dedup();
    found.retain(|mark| !asked.contains(mark));
    found
}

async fn send(client: &Client, ask: &Ask, names: &Names) -> (Answer, String) {
    let (path, body) = (names.put(&ask.path), names.put(&ask.body));
    let value = names.put(&ask.header.1);
    let mut headers = vec![("X-Request-Id", "the-wall")];
    if !ask.header.0.is_empty() {
        headers.push((ask.header.0.as_str(), value.as_str()));
    }
    let asked = format!("{path} {body} {value}");
    let sent = client.send_unread(ask.method, &format!("/{path}"), body, &headers).await;
    (sent.unwrap_or_else(|e| panic!("{ask:?}: no answer: {e:?}")), asked)
}

/// security A31: Another's id is answered like one that never was, on every route of the map, by every role.
/// security A32: Chains and `_has` over another's rows find nothing.
/// security A33: Includes of every shape bring nothing of another's.
/// security A34: Conditional writes and references find nothing of another's.
/// security leak 1: Reads, versions and histories of what is known by its id, deleted rows too.
/// security leak 2: Search by id, identifier, name, tag, list, words and time, by every role.
/// security leak 3: Totals, counts and pages of every type.
/// security leak 4: Includes over planted references, both ways and again.
/// security leak 5: Chains and `_has`, over planted references too.
/// security leak 6: Sorting, `:missing`, `:not`.
/// security leak 7: Compartments and `$everything` of the own patient, to whom rows of others were tied.
/// security leak 8: Histories of types and of the system.
/// security leak 10: Conditional writes.
/// security leak 11: Entries of batch and transaction.
/// security leak 12: Refusals of writes that name another's rows.
/// security leak 13: References and contained copies bring no display and no row of another's.
/// security leak 14: Jobs of the background.
/// security leak 16: Documents and Binaries.
/// security leak 17: Every operation of the server.
/// security leak 18: What the server says about itself is the same whatever others own.
/// security leak 19: The audit of an organisation has nothing of another's.
async fn nothing_of_another_organisation_is_in_any_answer(settings: Settings) {
    let (server, world) = world::start(settings).await;
    let all = asks(&baton::http::map(), &world.theirs);
    // Who reads the audit goes first: it holds what others of their house ask about.
    let (first, rest) = world::CALLERS.split_at(2);
    let mut faults = Vec::new();
    for (n, caller) in first.iter().enumerate() {
        faults.extend(tries(&server, &world, (n, *caller), &audit_first(&all)).await);
    }
    let rest = rest.iter().enumerate().map(|(n, caller)| tries(&server, &world, (n + first.len(), *caller), &all));
    for found in futures_util::future::join_all(rest).await {
        faults.extend(found);
    }
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), some(&faults));
    counts(&server, &world).await;
    property::nothing_is_found_by_chance(&server, &world).await;
    proves(&server, &world, &all).await;
}

/// What an auditor asks about stands in the audit a second later: the audit is asked before anything is named.
fn audit_first(all: &[Ask]) -> Vec<Ask> {
    let mut asks = all.to_vec();
    asks.sort_by_key(|a| {
        if !a.names_something {
            0
        } else if a.path.contains("AuditEvent?") {
            1
        } else {
            2
        }
    });
    asks
}

/// Answers that are no longer are looked for among earlier ones.
const SHORT: usize = 4096;

/// One caller at every route; what is wrong with the answers.
///
/// Every row is asked about every type of the others. What is answered about a row of theirs is compared with what is answered about
/// one that never was: by a second question, or - where a type has not its turn - by an answer that was given before, at the same
/// row of the table, about what never was of another type.
async fn tries(
    server: &TestServer,
    world: &World,
    (n, (role, name)): (usize, (&str, &str)),
    all: &[Ask],
) -> Vec<String> {
    let (client, never) = (server.user(name), world.theirs.never());
    let mut faults = Vec::new();
    // A hospital asks twice about all types; what names nothing and is the same for all is tried once.
    let share = if role == "hospital-system" { usize::MAX } else { 3 };
    let asks = all.iter().filter(|a| n == 0 || a.names_something || !a.is_blind);
    // An administrator keeps the directory, and sees and changes all of it: of the rest nothing.
    let is_free = |ask: &&Ask| role == "admin" && ask.names_an_entry();
    let mut asks: Vec<(&Ask, bool)> = asks.filter(|a| !is_free(a)).map(|a| (a, a.takes_turn(n, share))).collect();
    // What has its turn comes first; but an auditor's order stays, as the audit holds what was asked about.
    if role != "auditor" {
        asks.sort_by_key(|(_, has_turn)| !has_turn);
    }
    let mut absences: BTreeSet<String> = BTreeSet::new();
    for (ask, has_turn) in asks {
        let (hidden, asked) = send(&client, ask, &world.theirs).await;
        let mut found = shown(&hidden, world, &asked);
        if role == "admin" {
            found.retain(|mark| *mark != world.entry && !world.entries.contains(*mark));
        }
        if !found.is_empty() || hidden.status >= 500 {
            faults.push(format!("{role} {name} sees {found:?} by {ask:?}: {hidden:?}"));
        }
        if ask.names_something {
            let is_known = |answer: &Answer, names: &Names| {
                let short = answer.bytes.len() <= SHORT;
                short.then(|| ask.without_type(&request::smooth(&plain(answer, names, ask))))
            };
            if !has_turn && is_known(&hidden, &world.theirs).is_some_and(|text| absences.contains(&text)) {
                continue;
            }
            let (absent, _) = send(&client, ask, &never).await;
            absences.extend(is_known(&absent, &never));
            let found = difference(ask, (&hidden, &world.theirs), (&absent, &never));
            faults.extend(found.map(|text| format!("{role} {name}: {text}")));
        }
    }
    faults
}

/// What only counts names nothing: it counts what the caller can list, and no more; who sees all counts more.
async fn counts(server: &TestServer, world: &World) {
    let total = |answer: Answer| answer.ok().body["total"].as_u64().expect("a total");
    for (name, types) in [
        ("lakeside-ehr", &["Patient", "Observation", "Task", "Encounter", "List", "Provenance"][..]),
        ("jonas", &["Patient", "MedicationRequest", "Task", "DetectedIssue", "Communication"]),
        ("lakeside-patient", &["Patient", "Observation", "MedicationRequest"]),
    ] {
        let (client, everyone) = (server.user(name), server.everyone());
        for rtype in types {
            assert!(world.theirs.ids.contains_key(*rtype), "{rtype}");
            for path in [format!("{rtype}?"), format!("{rtype}/_history?"), format!("?_type={rtype}&")] {
                let listed = client.read(&format!("{path}_count=1000")).await.ok().body;
                let listed = listed["entry"].as_array().map_or(0, Vec::len) as u64;
                let counted = total(client.read(&format!("{path}_summary=count")).await);
                assert_eq!(counted, listed, "{name}: {path}");
                if !path.contains("_history") {
                    let page = client.read(&format!("{path}_count=1&_total=accurate")).await;
                    assert_eq!(total(page), listed, "{name}: {path}");
                }
                let all = total(everyone.read(&format!("{path}_summary=count")).await);
                assert!(all > counted, "{path}: more than {name} sees is there");
            }
        }
    }
    let simulated = |body: &serde_json::Value| {
        let all = body["parameter"].as_array().expect("parameters");
        all.iter().find(|p| p["name"] == "episodes").map(|p| p["valueInteger"].clone())
    };
    let path = "PlanDefinition/dms-3-stage/$simulate";
    assert_eq!(simulated(&server.hospital().read(path).await.ok().body), Some(1.into()));
    assert_eq!(simulated(&server.everyone().read(path).await.ok().body), Some(2.into()));
    let fired = |body: serde_json::Value| {
        let rules = body["parameter"].as_array().cloned().unwrap_or_default();
        let parts = rules.iter().flat_map(|r| r["part"].as_array().cloned().unwrap_or_default());
        parts.filter(|p| p["name"] == "fired").filter_map(|p| p["valueInteger"].as_u64()).sum::<u64>()
    };
    let path = "DetectedIssue/$rule-report";
    let ours = fired(server.pharmacist().read(path).await.ok().body);
    let all = fired(server.everyone().read(path).await.ok().body);
    assert!(ours > 0 && all == 2 * ours, "both sides have the same problems: {ours} of {all}");
}

fn some(faults: &[String]) -> String {
    let short = |f: &String| f.chars().take(1500).collect::<String>();
    faults.iter().take(12).map(short).collect::<Vec<_>>().join("\n\n")
}

/// The owners ask the same: of each row that is not said to be blind, at least one sees what is theirs.
async fn proves(server: &TestServer, world: &World, all: &[Ask]) {
    let never = world.theirs.never();
    let mut owners: Vec<Client> = world::OWNERS.iter().map(|name| server.user(name)).collect();
    // What no role may do at all.
    owners.push(server.everyone());
    // With the owner's own rows in place of the caller's.
    let theirs = world.theirs.as_own();
    let mut seen = BTreeSet::new();
    for ask in all.iter().filter(|ask| !ask.is_blind) {
        for owner in &owners {
            if seen.contains(&ask.row) {
                break;
            }
            let (answer, asked) = send(owner, ask, &theirs).await;
            let mut sees = !shown(&answer, world, &asked).is_empty();
            if !sees && ask.names_something {
                let (absent, _) = send(owner, ask, &never).await;
                sees = difference(ask, (&answer, &theirs), (&absent, &never)).is_some();
            }
            if sees {
                seen.insert(ask.row);
            }
        }
    }
    let lost: BTreeSet<_> = all.iter().filter(|a| !a.is_blind && !seen.contains(&a.row)).map(|a| &a.line).collect();
    assert!(lost.is_empty(), "no owner sees anything by these: {lost:#?}");
}
