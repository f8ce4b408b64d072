//! One case: a patient is discharged, and then anybody tries anything, by any door (`deeds`).
//!
//! A step is five numbers, so that it shrinks; what they mean depends on what is there when it is tried. Some choose what is allowed
//! far more often than chance would: otherwise all would stop at the first door.

use super::hold::{self, Snapshot, is_final, owner};
use super::news::{self, Event, MEDICINES, News};
use crate::harness::{Answer, Client, TestServer, hours};
use crate::journey::doors::bundle;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// What is tried: (what, who, of what is there which one, a choice, the door).
pub type Step = (usize, usize, usize, usize, usize);

/// How a case begins, and its steps.
pub fn any_steps() -> impl Strategy<Value = (usize, Vec<Step>)> {
    let step = (0..WHAT.iter().map(|(_, weight)| weight).sum(), 0..4_000usize, 0..60usize, 0..120usize, 0..7usize);
    (0..6usize, prop::collection::vec(step, 8..40))
}

/// What is tried, and how often.
const WHAT: [(What, usize); 24] = [
    (What::News, 4),
    (What::Again, 3),
    (What::AgainAtOnce, 1),
    (What::Medicine, 2),
    (What::Claim, 4),
    (What::ClaimByWrite, 3),
    (What::ClaimAtOnce, 2),
    (What::Release, 2),
    (What::Attempt, 3),
    (What::GoOn, 10),
    (What::Move, 6),
    (What::Hand, 2),
    (What::Report, 4),
    (What::Resolve, 5),
    (What::ChangeProblem, 5),
    (What::Restore, 5),
    (What::Delete, 3),
    (What::Patient, 1),
    (What::Worker, 3),
    (What::Clock, 4),
    (What::Abort, 1),
    (What::Answers, 2),
    (What::Stay, 2),
    (What::Letters, 3),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A message of the hospital's: a discharge, a correction, a cancellation …
    News,
    /// A message that was taken before, as it was, or another under its id: L5.
    Again,
    /// Copies of a new message at the same time: L5.
    AgainAtOnce,
    /// A medicine alone.
    Medicine,
    Claim,
    ClaimByWrite,
    /// All pharmacies at the same time: L1.
    ClaimAtOnce,
    Release,
    Attempt,
    /// The next step that the protocol has in mind, by who may take it.
    GoOn,
    /// Any status.
    Move,
    /// Another owner.
    Hand,
    /// A drug therapy problem.
    Report,
    Resolve,
    ChangeProblem,
    /// An earlier version, put back.
    Restore,
    Delete,
    /// Death, refusal, and what takes them back.
    Patient,
    /// What the worker does once a minute.
    Worker,
    Clock,
    Abort,
    /// A red flag on the phone.
    Answers,
    /// The Encounter, by a plain write.
    Stay,
    /// Questions to prescribers, and reports attested.
    Letters,
}

pub(super) const SYSTEMS: [&str; 3] = ["elm-street", "harbour", "meadow"];

/// Everybody there is; `everyone` is the super-user.
const WHO: [&str; 14] = [
    "lakeside-ehr",
    "northgate-ehr",
    "elm-street-pms",
    "harbour-pms",
    "meadow-pms",
    "mara",
    "tomas",
    "tess",
    "jonas",
    "ines",
    "paul",
    "dora",
    "root",
    "everyone",
];

/// System, technician and pharmacist of a pharmacy.
fn staff(owner: &str) -> Option<[&'static str; 3]> {
    match owner {
        "Organization/elm-street" => Some(["elm-street-pms", "mara", "jonas"]),
        "Organization/harbour" => Some(["harbour-pms", "tomas", "ines"]),
        "Organization/meadow" => Some(["meadow-pms", "tess", "paul"]),
        _ => None,
    }
}

pub(super) fn practitioner(who: &str) -> String {
    let of = [("mara", "mara-lind"), ("tomas", "tomas-reyes"), ("tess", "tess-okoro"), ("jonas", "jonas-adler")];
    let more = [("ines", "ines-moreau"), ("paul", "paul-weiss"), ("dora", "dora-klein")];
    let id = of.iter().chain(&more).find(|(name, _)| *name == who).map_or("jonas-adler", |(_, id)| id);
    format!("Practitioner/{id}")
}

/// What was tried and what was taken, over all cases: an actor whom nobody lets in proves nothing.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<What, (usize, usize)>>);

impl Tally {
    fn add(&self, what: What, answers: &[(String, Answer)]) {
        let mut all = self.0.lock().expect("a tally");
        let count = all.entry(what).or_default();
        count.0 += answers.len();
        count.1 += answers.iter().filter(|(_, a)| a.status < 300).count();
    }

    /// Prints it; fails where something was never taken, or never refused.
    pub fn tell(&self) {
        let all = self.0.lock().expect("a tally");
        println!("tried and taken: {all:?}");
        for (what, _) in WHAT.iter().filter(|(what, _)| !matches!(what, What::Clock | What::Delete | What::Abort)) {
            let (tried, taken) = all.get(what).copied().unwrap_or_default();
            assert!(taken > 0, "{what:?} was tried {tried} times and never taken: it proves nothing");
        }
        let (tried, taken) = all.values().fold((0, 0), |(a, b), (x, y)| (a + x, b + y));
        assert!(taken * 10 > tried * 2 && taken * 10 < tried * 9, "{taken} of {tried} taken");
    }
}

/// One patient and what is known about them.
pub(super) struct Case<'a> {
    pub(super) server: &'a TestServer,
    pub(super) key: String,
    hospital: &'static str,
    begins: Timestamp,
    pub(super) patient: String,
    /// Messages that were taken.
    pub(super) sent: Vec<Value>,
    messages: usize,
    pub(super) last: Snapshot,
    pub(super) log: Vec<String>,
}

/// Plays a case; the first law that breaks is told with all that led to it.
pub async fn case(server: &TestServer, tally: &Tally, n: usize, begun: usize, steps: Vec<Step>) -> Result<(), String> {
    server.at(super::BEGINS);
    let hospital = ["lakeside", "northgate"][begun % 2];
    let key = format!("law-{n}");
    let mut case = Case {
        server,
        key,
        hospital,
        begins: server.now(),
        patient: String::new(),
        sent: Vec::new(),
        messages: 0,
        last: Snapshot::default(),
        log: Vec::new(),
    };
    case.begin(begun / 2).await;
    for step in steps {
        server.advance(Duration::from_secs(60));
        let what = what(step.0);
        let who = case.who(what, step);
        let answers = case.act(what, who, step).await;
        tally.add(what, &answers);
        let told = answers.iter().map(|(text, a)| format!("{text}: {}", a.status)).collect::<Vec<_>>().join(", ");
        case.log.push(format!("{what:?} by {who}: {told}"));
        if let Err(law) = case.judge(what, who, &answers).await {
            let said: Vec<String> =
                answers.iter().map(|(_, a)| a.body.to_string().chars().take(600).collect()).collect();
            return Err(format!("{law}\nafter\n{}\nlast answers {said:#?}", case.log.join("\n")));
        }
    }
    Ok(())
}

fn what(mut n: usize) -> What {
    for (what, weight) in WHAT {
        if n < weight {
            return what;
        }
        n -= weight;
    }
    What::Clock
}

pub(super) fn pick<T>(all: &[T], n: usize) -> Option<&T> {
    (!all.is_empty()).then(|| &all[n % all.len()])
}

impl Case<'_> {
    pub(super) fn client(&self, who: &str) -> Client {
        if who == "everyone" { self.server.everyone() } else { self.server.user(who) }
    }

    pub(super) fn now(&self) -> String {
        self.server.now().strftime("%FT%TZ").to_string()
    }

    pub(super) fn ago(&self, hours: i64) -> Timestamp {
        self.begins.checked_sub(SignedDuration::from_hours(hours)).expect("a time")
    }

    fn ehr(&self) -> &'static str {
        if self.hospital == "lakeside" { "lakeside-ehr" } else { "northgate-ehr" }
    }

    /// The patient comes into the world by a discharge: by message, by a transaction, or in pieces.
    async fn begin(&mut self, how: usize) {
        let mut news = self.news(Event::Discharge, 1, 0, how);
        news.medicines =
            vec![(0, true, "1 tablet daily"), (0, false, "1 tablet daily"), (1, false, "1 tablet as needed")];
        let client = self.client(self.ehr());
        let message = news.message();
        if how == 0 {
            news::send(&client, &message).await.ok();
            self.sent.push(message);
        } else {
            let entries = message["entry"].as_array().expect("entries").iter().skip(1);
            let entry = |e: &Value| {
                let (kind, id) = (&e["resource"]["resourceType"], &e["resource"]["identifier"][0]);
                let key = format!("identifier={}|{}", id["system"].as_str().unwrap(), id["value"].as_str().unwrap());
                let mut request = json!({"method": "POST", "url": kind, "ifNoneExist": key});
                if kind == "Encounter" || kind == "MedicationRequest" {
                    request = json!({"method": "PUT", "url": format!("{}?{key}", kind.as_str().unwrap())});
                }
                json!({"fullUrl": e["fullUrl"], "resource": e["resource"], "request": request})
            };
            let entries: Vec<Value> = entries.map(entry).collect();
            client.post(&bundle("transaction", entries.clone())).await.ok();
            if how == 2 {
                client.post(&bundle("transaction", entries)).await.ok();
            }
        }
        self.patient = news::patient(&client, self.hospital, &self.key).await.expect("the patient is there");
        self.last = Snapshot::read(self.server, &self.patient).await;
        self.log.push(format!("discharged from {} by door {how}", self.hospital));
    }

    pub(super) fn news(&mut self, event: Event, stay: usize, minutes_ago: i64, which: usize) -> News {
        self.messages += 1;
        let hour = |n: i64| if stay == 1 { self.ago(n) } else { self.server.now() - SignedDuration::from_hours(1) };
        let medicine =
            |n: usize| (n % MEDICINES.len(), n.is_multiple_of(3), ["1 tablet daily", "2 tablets twice a day"][n % 2]);
        News {
            key: self.key.clone(),
            hospital: self.hospital,
            id: format!("m{}-{}", self.messages, self.key),
            event,
            at: self.server.now() - SignedDuration::from_mins(minutes_ago),
            stay,
            starts: if stay == 1 { self.ago(90) } else { self.begins },
            ends: hour(1 + i64::try_from(which % 3).expect("small")),
            medicines: (0..which % 4).map(|n| medicine(which + 5 * n)).collect(),
        }
    }

    /// Who tries it: mostly somebody whose work it is, and anybody at all.
    fn who(&self, what: What, step: Step) -> &'static str {
        let who = step.1;
        let task = self.task(step);
        let staff = task.and_then(|t| staff(owner(t))).unwrap_or(["elm-street-pms", "tomas", "paul"]);
        let hospital = self.ehr();
        let likely: Vec<&'static str> = match what {
            What::News
            | What::Again
            | What::AgainAtOnce
            | What::Medicine
            | What::Stay
            | What::Abort
            | What::Patient => {
                vec![hospital]
            }
            What::Claim | What::ClaimByWrite => vec!["elm-street-pms", "tomas", "paul", staff[0], staff[1]],
            What::Release | What::Attempt | What::Move | What::Report | What::Answers => vec![staff[1], staff[2]],
            What::GoOn | What::Resolve | What::ChangeProblem => vec![staff[2], staff[2], staff[1], staff[2]],
            What::Letters => vec![staff[2], staff[1], "dora"],
            What::Hand => vec!["root", staff[0], hospital],
            What::ClaimAtOnce => return "the pharmacies",
            What::Worker | What::Clock => return "the worker",
            What::Restore | What::Delete => vec![staff[1], staff[2], hospital, staff[0]],
        };
        if !who.is_multiple_of(4) { likely[who / 4 % likely.len()] } else { WHO[who / 4 % WHO.len()] }
    }

    /// The Task that a step is about: of those that go on; now and then of all.
    pub(super) fn task(&self, (_, _, which, how, _): Step) -> Option<&Value> {
        let open: Vec<&Value> = self.last.tasks.iter().filter(|t| !is_final(t)).collect();
        if how % 6 == 5 { pick(&self.last.tasks, which) } else { pick(&open, which).copied() }
    }

    /// What must hold now.
    async fn judge(&mut self, what: What, who: &str, answers: &[(String, Answer)]) -> Result<(), String> {
        if let Some((text, answer)) = answers.iter().find(|(_, a)| a.status >= 500) {
            return Err(format!("{text} is answered {}", answer.status));
        }
        let now = Snapshot::read(self.server, &self.patient).await;
        let all_refused = !answers.is_empty() && answers.iter().all(|(_, a)| a.status >= 400);
        if all_refused && now.versions != self.last.versions {
            return Err("what is refused stores nothing".into());
        }
        // Another sender's messages have ids of their own.
        if what == What::Again && who == self.ehr() && now.versions != self.last.versions {
            return Err(format!("L5: {} versions more after a replay", now.versions - self.last.versions));
        }
        hold::always(&now)?;
        hold::kept(&self.last, &now, who)?;
        hold::only_pharmacists(&self.last, &now, who)?;
        self.last = now;
        Ok(())
    }

    async fn act(&mut self, what: What, who: &str, step: Step) -> Vec<(String, Answer)> {
        let client = self.client(who);
        match what {
            What::News => self.send_news(&client, step).await,
            What::Again => self.send_again(&client, step).await,
            What::AgainAtOnce => self.send_at_once(&client, step).await,
            What::Clock => {
                self.server.advance(hours([0, 2, 3, 24, 49, 72, 24 * 9][step.3 % 7]));
                Vec::new()
            }
            What::Worker => self.worker().await,
            What::Medicine => self.medicine(&client, step).await,
            What::Stay | What::Patient | What::Abort | What::Answers => {
                self.about_the_patient(what, &client, who, step).await
            }
            What::Report | What::Resolve | What::ChangeProblem | What::Letters => {
                self.about_a_problem(what, &client, who, step).await
            }
            What::Restore | What::Delete => self.history(what, &client, step).await,
            _ => self.about_a_task(what, &client, step).await,
        }
    }
}
