//! L6: whatever a hospital says of its stays, in whatever order it arrives, the last word counts.

use super::news::{self, EVENTS, Event, News};
use super::{laws, play};
use crate::harness::TestServer;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

laws!(news_in_any_order_ends_alike);

/// (event, which stay, hours before the end of all, medicines).
type Said = (usize, usize, i64, usize);

/// What is said, in two orders.
fn any_news() -> impl Strategy<Value = (Vec<Said>, Vec<Said>)> {
    let said = (0..EVENTS.len(), 1..3usize, 1..4i64, 0..64usize);
    prop::collection::vec(said, 2..6).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
}

/// Own docs/programme.md: L6: what a hospital says by message about two stays ends in the same state in whatever order it comes.
async fn news_in_any_order_ends_alike(server: TestServer) {
    play(20, &any_news(), |(sent, other), n| {
        let server = &server;
        async move {
            server.at(super::BEGINS);
            let now = server.now();
            let (a, b) = (format!("a{n}"), format!("b{n}"));
            // What was said when is the same for both; only when it arrives differs.
            let moment = |said: &Said| sent.iter().position(|s| s == said).expect("one of them");
            for (key, order) in [(&a, &sent), (&b, &other)] {
                for said in order {
                    let news = of(key, said, moment(said), now);
                    if news.is_one() {
                        let answer = news::send(&server.hospital(), &news.message()).await;
                        if answer.status != 200 {
                            return Err(format!("{said:?} is answered {}: {}", answer.status, answer.body));
                        }
                    }
                }
            }
            let (first, second) = (state(server, &a).await, state(server, &b).await);
            if first == second {
                return Ok(());
            }
            let count = |all: &[String], line: &String| all.iter().filter(|l| *l == line).count();
            let differ = |x: &[String], y: &[String]| {
                x.iter().filter(|l| count(x, l) > count(y, l)).cloned().collect::<Vec<_>>()
            };
            let (only_a, only_b) = (differ(&first, &second), differ(&second, &first));
            let named = |order: &[Said]| {
                order.iter().map(|s| format!("{:?} {s:?} {}", event_of(s), moment(s))).collect::<Vec<_>>()
            };
            let orders = (named(&sent), named(&other));
            Err(format!("L6: {orders:#?}\nmore in the first: {only_a:#?}\nmore in the second: {only_b:#?}"))
        }
    });
}

fn event_of((event, ..): &Said) -> Event {
    EVENTS[*event]
}

fn of(key: &str, said: &Said, moment: usize, now: Timestamp) -> News {
    let (_, stay, hours, medicines) = said;
    let event = event_of(said);
    let ago = |hours: i64| now - SignedDuration::from_hours(hours);
    let of_stay = if *stay == 1 { 20 } else { 0 };
    News {
        key: key.to_owned(),
        hospital: "lakeside",
        id: format!("m{moment}-{key}"),
        event,
        at: now - SignedDuration::from_mins(60 - i64::try_from(moment).expect("few")),
        stay: *stay,
        starts: ago(10 + of_stay),
        // A medication message says of its stay what all say who say nothing new.
        ends: ago(1 + of_stay + if event == Event::Medicines { 0 } else { *hours }),
        medicines: (0..medicines % 4).map(|n| ((medicines / 4 + n) % 8, n % 2 == 0, "1 tablet daily")).collect(),
    }
}

/// What is there in the end, without ids and times of writing. What was opened and is cancelled is history: in another order it was
/// never opened.
async fn state(server: &TestServer, key: &str) -> Vec<String> {
    let all = server.everyone();
    let Some(patient) = news::patient(&all, "lakeside", key).await else { return Vec::new() };
    let mut out = Vec::new();
    for stay in all.search(&format!("Encounter?patient={patient}")).await {
        out.push(format!("stay {} {}", stay["status"], stay["period"]));
    }
    for rtype in ["MedicationRequest", "MedicationStatement"] {
        for order in all.search(&format!("{rtype}?patient={patient}&_count=100")).await {
            let directions = &order["dosage"][0]["text"];
            out.push(format!(
                "{rtype} {} {} {directions}",
                order["status"], order["medicationCodeableConcept"]["text"]
            ));
        }
    }
    for task in all.search(&format!("Task?patient={patient}&status=requested,accepted&_count=200")).await {
        let is_list = task["code"]["coding"][0]["code"] == "request-list";
        out.push(format!("task {} {} {}", task["code"]["coding"][0]["code"], task["restriction"], is_list));
    }
    let live = all.search(&format!("EpisodeOfCare?patient={patient}&status=active,onhold")).await;
    out.extend(live.iter().map(|episode| format!("episode {} {}", episode["status"], episode["period"])));
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    for list in all.search(&format!("List?patient={patient}&code=10160-0&status=current")).await {
        // The list of an episode that is over is history, too.
        let stay = list["encounter"]["reference"].to_string();
        if !live.iter().any(|episode| episode.to_string().contains(&stay)) {
            continue;
        }
        for entry in list["entry"].as_array().into_iter().flatten() {
            out.push(format!("line {} {}", text(&entry["flag"]["coding"][0]["code"]), text(&entry["item"]["display"])));
        }
    }
    for issue in all.search(&format!("DetectedIssue?patient={patient}&status=preliminary&_count=200")).await {
        out.push(format!("problem {} {}", issue["severity"], issue["detail"]));
    }
    out.sort();
    out
}
