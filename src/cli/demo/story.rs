//! The story that plays itself: discharges come in, a pharmacy claims one, a technician finds a problem, a pharmacist
//! resolves it.
//!
//! Every step looks first whether it is done already: a second run tells what is there and changes nothing.

use super::api::{Answer, Api, Ask, Caller};
use super::samples::DISCHARGES;
use super::transcript::Transcript;
use crate::clock::Instant;
use crate::fhir::Json;
use serde_json::json;
use std::collections::BTreeMap;

/// The sample around which the story turns.
const SUBJECT: &str = "04-duplicate-therapy";
const TASK_CODE: &str = "http://baton.example/fhir/CodeSystem/task-code";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// The people and programs of the story, by name.
pub struct Cast(pub BTreeMap<String, Caller>);

impl Cast {
    fn of(&self, name: &str) -> Result<&Caller, String> {
        self.0.get(name).ok_or_else(|| format!("nobody is called {name} in the demo's seed"))
    }
}

/// What the closing lines name.
#[derive(Debug, Default)]
pub struct Ending {
    /// Logical id of the story's Patient.
    pub patient: String,
    /// `DetectedIssue/id` of the story.
    pub issue: String,
}

/// Plays it.
///
/// # Errors
/// A step that is answered otherwise than the story needs, as one sentence.
pub async fn play(api: &Api, cast: &Cast, transcript: Transcript) -> Result<Ending, String> {
    let patient = hospitals(api, cast, transcript).await?;
    let task = claims(api, cast, transcript, &patient).await?;
    let issue = reports(api, cast, transcript, &patient, &task).await?;
    resolves(api, cast, transcript, &issue).await?;
    Ok(Ending { patient, issue })
}

/// All samples are posted; returns the logical id of the Patient of the story.
async fn hospitals(api: &Api, cast: &Cast, transcript: Transcript) -> Result<String, String> {
    transcript.chapter("1. Two hospitals discharge their patients");
    let mut patient = String::new();
    for discharge in DISCHARGES {
        let bundle = discharge.json(Instant::now()).map_err(|e| e.to_string())?;
        let hospital = cast.of(discharge.client)?;
        let answer = api.tell(hospital, Ask::post("", bundle), |a| posted(discharge.about, a)).await?;
        must(&answer, discharge.name)?;
        if discharge.name == SUBJECT {
            patient = id_of(answer.body["entry"][0]["response"]["location"].text()).to_string();
        }
    }
    for hospital in ["lakeside-ehr", "northgate-ehr"] {
        let opened = "EpisodeOfCare?_count=100";
        let meaning = |a: &Answer| {
            format!("{} follow-ups were opened, each in the same transaction as its discharge", a.resources().count())
        };
        must(&api.tell(cast.of(hospital)?, Ask::get(opened), meaning).await?, opened)?;
    }
    Ok(patient)
}

/// Elm Street claims the first call for the patient; returns that Task.
async fn claims(api: &Api, cast: &Cast, transcript: Transcript, patient: &str) -> Result<Json, String> {
    transcript.chapter("2. Elm Street Pharmacy looks for work, and claims a discharge that names no pharmacy");
    let (pharmacy, rival) = (cast.of("elm-street-pms")?, cast.of("harbour-pms")?);
    let open = "Task?status=requested&owner:missing=true&_count=100";
    api.tell(pharmacy, Ask::get(open), |a| format!("{} Tasks are open to whoever claims first", a.resources().count()))
        .await?;
    let call = format!("Task?patient={patient}&code={TASK_CODE}|first-call");
    let task = one(api, pharmacy, &call).await?.ok_or("the discharge opened no first call")?;
    if task["status"].text() != "requested" {
        transcript.says(&format!("  Claimed already: the first call is {}.", task["status"].text()));
        return Ok(task);
    }
    let (claim, version) = (format!("{}/$claim", path(&task)), version(&task));
    let answer = api.tell(pharmacy, Ask::command(&claim).if_match(&version), |_| "Elm Street has it".into()).await?;
    must(&answer, &claim)?;
    api.tell(rival, Ask::command(&claim).if_match(&version), |_| "two owners!".into()).await?;
    one(api, pharmacy, &call).await?.ok_or_else(|| "the claimed Task is gone".into())
}

/// Mara calls the patient and reports what she finds; returns `DetectedIssue/id`.
async fn reports(api: &Api, cast: &Cast, transcript: Transcript, patient: &str, task: &Json) -> Result<String, String> {
    transcript.chapter("3. Mara, a technician, calls Samir Haddad and finds a drug therapy problem");
    let mara = cast.of("mara")?;
    // Screening may have found problems of its own.
    let known = format!("DetectedIssue?patient={patient}&author=Practitioner/mara-lind");
    if let Some(issue) = one(api, mara, &known).await? {
        transcript.says(&format!("  Reported already: {} is {}.", path(&issue), issue["status"].text()));
        return Ok(path(&issue));
    }
    let at_discharge = format!("MedicationRequest?patient={patient}&category=discharge");
    let drugs = api
        .tell(mara, Ask::get(&at_discharge), |a| format!("{} medicines at discharge", a.resources().count()))
        .await?;
    let before = format!("MedicationStatement?patient={patient}");
    api.tell(mara, Ask::get(&before), |a| format!("{} medicines from before the stay", a.resources().count())).await?;
    let attempt = json!({"resourceType": "Parameters", "parameter": [
        {"name": "outcome", "valueCode": "reached"},
        {"name": "note", "valueString": "Has both metoprolol boxes on the table and takes from each."}]});
    let call = format!("{}/$attempt", path(task));
    let answer = api
        .tell(mara, Ask::post(&call, attempt.into()), |a| format!("the call is on record: {}", path(&a.body)))
        .await?;
    must(&answer, &call)?;

    let metoprolol = |r: &&Json| r["medicationCodeableConcept"].to_string().to_lowercase().contains("metoprolol");
    let implicated: Vec<_> = drugs.resources().filter(metoprolol).map(|r| json!({"reference": path(r)})).collect();
    let issue = json!({
        "resourceType": "DetectedIssue",
        "status": "preliminary",
        "code": {"coding": [{"system": ACT_CODE, "code": "DUPTHPGEN", "display": "duplicate generic alert"}], "text": "Metoprolol twice"},
        "severity": "high",
        "patient": {"reference": format!("Patient/{patient}")},
        "identifiedDateTime": Instant::now().to_seconds_text(),
        "author": {"reference": "Practitioner/mara-lind"},
        "implicated": implicated,
        "evidence": [{"detail": [{"reference": path(&answer.body)}]}],
        "detail": "High blood pressure and heart disease: metoprolol tartrate of before and metoprolol succinate of the hospital are taken together."
    });
    let reported = api
        .tell(mara, Ask::post("DetectedIssue", issue.into()), |_| {
            "reported; a review for a pharmacist was opened with it".into()
        })
        .await?;
    must(&reported, "DetectedIssue")?;
    one(api, mara, &known).await?.map(|i| path(&i)).ok_or_else(|| "the reported problem is gone".into())
}

/// Mara may not decide; Jonas does.
async fn resolves(api: &Api, cast: &Cast, transcript: Transcript, issue: &str) -> Result<(), String> {
    transcript.chapter("4. Jonas, a pharmacist, decides");
    let (mara, jonas) = (cast.of("mara")?, cast.of("jonas")?);
    let current = must(&api.ask(jonas, &Ask::get(issue)).await?, issue)?;
    if current["status"].text() != "preliminary" {
        transcript.says(&format!("  Decided already: {issue} is {}.", current["status"].text()));
        transcript.says(
            "  The story was told before, and posting the discharges again changed nothing new: --fresh tells it anew.",
        );
        return Ok(());
    }
    let decision = json!({"resourceType": "Parameters", "parameter": [
        {"name": "resolution", "valueCode": "resolved"},
        {"name": "mitigation", "valueCodeableConcept": {"coding": [{"system": ACT_CODE, "code": "13", "display": "Stopped Concurrent Therapy"}]}},
        {"name": "evidence", "valueReference": {"reference": current["implicated"][0]["reference"].text()}},
        {"name": "note", "valueString": "Tartrate stopped, succinate goes on. Told the patient and his doctor."}]});
    let decide = format!("{issue}/$resolve");
    let post = || Ask::post(&decide, decision.clone().into());
    api.tell(mara, post(), |a| a.diagnostics()).await?;
    let review = format!("Task?code={TASK_CODE}|review-dtp&focus={issue}");
    let meaning = |a: &Answer| {
        a.resources()
            .next()
            .map_or("no review".into(), |t| format!("a review, due {}", t["restriction"]["period"]["end"].text()))
    };
    let found = api.tell(jonas, Ask::get(&review), meaning).await?;
    let task = found.resources().next().ok_or("the problem has no review")?;
    start(api, jonas, task).await?;
    must(&api.tell(jonas, post(), |a| format!("decided: the problem is {}", a.body["status"].text())).await?, &decide)?;
    let reread = api
        .tell(jonas, Ask::get(issue), |a| {
            format!("{}, and what was done about it is on record", a.body["status"].text())
        })
        .await?;
    must(&reread, issue)?;
    Ok(())
}

/// The review is taken and begun, as far as it is not.
async fn start(api: &Api, who: &Caller, task: &Json) -> Result<(), String> {
    let task_path = path(task);
    let mut version = version(task);
    if task["status"].text() == "requested" {
        let claim = format!("{task_path}/$claim");
        let answer =
            api.tell(who, Ask::command(&claim).if_match(&version), |_| "the review is Elm Street's".into()).await?;
        version = self::version(&must(&answer, &claim)?);
    }
    if task["status"].text() != "in-progress" {
        let patch = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
        let ask = Ask { method: "PATCH", path: &task_path, body: Some(patch.into()), version: Some(&version) };
        must(&api.tell(who, ask, |_| "Jonas looks at it".into()).await?, &task_path)?;
    }
    Ok(())
}

fn posted(about: &str, answer: &Answer) -> String {
    let made =
        answer.body["entry"].items().iter().filter(|e| e["response"]["status"].text().starts_with("201")).count();
    match made {
        0 => format!("{about}: nothing new"),
        n => format!("{about}: {n} resources"),
    }
}

/// The body of an answer that the story needs.
fn must(answer: &Answer, what: &str) -> Result<Json, String> {
    if answer.is_ok() {
        Ok(answer.body.clone())
    } else {
        Err(format!("{what}: {} {}", answer.status, answer.diagnostics()))
    }
}

async fn one(api: &Api, who: &Caller, query: &str) -> Result<Option<Json>, String> {
    let answer = api.ask(who, &Ask::get(query)).await?;
    must(&answer, query)?;
    Ok(answer.resources().next().cloned())
}

fn path(resource: &Json) -> String {
    format!("{}/{}", resource["resourceType"].text(), resource["id"].text())
}

fn version(resource: &Json) -> String {
    resource["meta"]["versionId"].text().to_string()
}

/// `…/Patient/1/_history/2` → `1`.
fn id_of(location: &str) -> &str {
    location.split("/_history/").next().and_then(|l| l.rsplit('/').next()).unwrap_or_default()
}
