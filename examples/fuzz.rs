//! Mutations of a small corpus against the whole server: `cargo run --example fuzz -- TARGET [SECONDS] [SEED]`.
//!
//! For: whoever touches a reader of what clients send. Targets, and what must hold: `fuzz/README.md`. Runs on stable Rust;
//! what draws an answer of a new shape joins the pool, which stands in for coverage.
//! Not for: semantics (the tests), or HTTP itself (actix-web, `tests/it/rest/wire.rs`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a fuzzer ends where something is not as it says"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use baton::access::scope::{Action, Scopes};
use baton::access::{Ctx, Principal};
use baton::auth::witness::Scene;
use baton::auth::{Asked, AuthState, TokenRequest, endpoint};
use baton::cli::open;
use baton::clock::Instant;
use baton::config::{AuthMode, Settings};
use baton::error::{Error, Kind, Result};
use baton::fhir::{Json, ResourceType, json, outcome, validate};
use baton::interaction::{Answer, Body, Engine, Media, Verb, Wire, route};
use baton::workflow::medicine::Line;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[path = "fuzz/mutate.rs"]
mod mutate;
use mutate::Mutator;

/// Inputs that the pool holds at most; a full pool forgets one at random.
const POOL: usize = 4000;
/// Bytes of an input at most.
const LONGEST: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(5);
const MEMORY_KIB: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Body,
    Patch,
    Bundle,
    Query,
    /// Tokens: bearer tokens and client assertions.
    Jwt,
    /// Texts that are read: medicines and directions, scopes, `X-Provenance`.
    Text,
}

impl Target {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "body" => Self::Body,
            "patch" => Self::Patch,
            "bundle" => Self::Bundle,
            "query" => Self::Query,
            "jwt" => Self::Jwt,
            "text" => Self::Text,
            _ => return None,
        })
    }

    /// What asks the server about an input.
    fn wire(self, input: &[u8], patient: &str) -> Option<(String, Wire)> {
        let body = || Body::Raw(input.to_vec().into());
        let text = || String::from_utf8_lossy(input);
        Some(match self {
            Self::Body => {
                let rtype = json::parse(input).ok().map(|j| j["resourceType"].text().to_owned()).unwrap_or_default();
                let rtype = if rtype.is_empty() { "Patient".to_owned() } else { rtype };
                let validates = input.len().is_multiple_of(3);
                (
                    if validates { format!("{rtype}/$validate") } else { rtype },
                    Wire { body: body(), ..Wire::new(Verb::Post, "") },
                )
            }
            Self::Patch => {
                let is_json = input.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
                let media = if is_json { Media::JsonPatch } else { Media::Fhir };
                (patient.to_owned(), Wire { body: body(), media, ..Wire::new(Verb::Patch, "") })
            }
            Self::Bundle => (String::new(), Wire { body: body(), ..Wire::new(Verb::Post, "") }),
            Self::Jwt => return None,
            Self::Text => {
                let provenance = Some(text().into_owned());
                let body = Body::Raw(r#"{"resourceType":"Patient"}"#.into());
                ("Patient".into(), Wire { body, provenance, ..Wire::new(Verb::Post, "") })
            }
            Self::Query => {
                let text = text();
                let (path, query) = text.split_once('?').unwrap_or((&text, ""));
                // What no URL can hold does not come that far.
                let is_url = |t: &str| t.len() < 8000 && !t.contains(|c: char| c.is_control() || c == ' ' || c == '#');
                if !is_url(path) || !is_url(query) {
                    return None;
                }
                (path.to_owned(), Wire::new(Verb::Get, query))
            }
        })
    }
}

#[derive(Clone)]
struct Run {
    engine: Engine,
    auth: Arc<AuthState>,
    target: Target,
    patient: String,
    slowest: Duration,
}

impl Run {
    /// What an answer looks like, without what differs from input to input; an error where it breaks what must hold.
    async fn shape(&mut self, input: &[u8]) -> std::result::Result<String, String> {
        if self.target == Target::Jwt {
            return self.token(input).await;
        }
        let read = if self.target == Target::Text { self.text(input)? } else { String::new() };
        let Some((path, wire)) = self.target.wire(input, &self.patient) else { return Ok("not sent".into()) };
        let start = std::time::Instant::now();
        let asked = route(&path, wire);
        let answer = match asked {
            Ok(request) => self.engine.handle(&ctx(), request).await,
            Err(error) => Err(error),
        };
        let took = start.elapsed();
        self.slowest = self.slowest.max(took);
        if took > PATIENCE {
            return Err(format!("an answer after {took:?}"));
        }
        judge(answer).map(|shape| format!("{read}{shape}"))
    }

    /// Nobody has the keys: every token is refused, as is every assertion, with a status that says so and an answer that reads.
    async fn token(&mut self, input: &[u8]) -> std::result::Result<String, String> {
        let text = String::from_utf8_lossy(input);
        // Three lines are header, claims and signature; one is a token as it is.
        let token = match text.split('\n').collect::<Vec<_>>().as_slice() {
            [one] => (*one).to_owned(),
            lines => lines.iter().map(|l| URL_SAFE_NO_PAD.encode(l)).collect::<Vec<_>>().join("."),
        };
        let start = std::time::Instant::now();
        let bearer = format!("Bearer {token}");
        let asked = Asked { authorization: vec![&bearer], actor: None, now: None };
        let refused = match self.auth.authenticate(&asked, Instant::now()).await {
            Ok(caller) => return Err(format!("a token was accepted: {:?}", caller.principal)),
            Err(error) if error.kind == Kind::Fault => return Err(format!("500: {error}; {:?}", error.source)),
            Err(error) => shape_of(&error),
        };
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let escaped: String = token.bytes().map(|b| format!("%{b:02x}")).collect();
        let body = format!(
            "grant_type=client_credentials&client_assertion_type={kind}&client_assertion={escaped}&scope=system/*.rs"
        );
        let asked = TokenRequest {
            content_type: Some("application/x-www-form-urlencoded"),
            has_query: false,
            authorization: Vec::new(),
            body: body.as_bytes(),
            scene: Scene { address: "192.0.2.1", request_id: "fuzz" },
        };
        let answer = endpoint::token(&self.auth, &asked, Instant::now()).await;
        let took = start.elapsed();
        self.slowest = self.slowest.max(took);
        if took > PATIENCE {
            return Err(format!("an answer after {took:?}"));
        }
        let read = json::parse(&answer.body).map_err(|e| format!("an answer that is no JSON: {e}"))?;
        match answer.status {
            400 | 401 | 413 | 429 => Ok(format!("{refused} {} {}", answer.status, read["error"].text())),
            status => Err(format!("an assertion is answered {status}: {read}")),
        }
    }

    /// Reads a text as each of those that people and machines write.
    fn text(&self, input: &[u8]) -> std::result::Result<String, String> {
        let text = String::from_utf8_lossy(input);
        let request = serde_json::json!({"resourceType": "MedicationRequest",
            "medicationCodeableConcept": {"text": text}, "dosageInstruction": [{"text": text}]});
        let start = std::time::Instant::now();
        let line = Line::of(&self.engine.programme().medicines, &request.into(), None);
        let (name, told) = (line.name(), line.regimen.text());
        let scopes = Scopes::parse(&text);
        let allowed = ResourceType::all().filter(|t| scopes.allows(Action::Read, Some(*t))).count();
        if start.elapsed() > PATIENCE {
            return Err(format!("read after {:?}", start.elapsed()));
        }
        Ok(format!("{} {} {} {allowed} ", name.is_empty(), told.is_empty(), line.gaps.len()))
    }
}

fn judge(answer: Result<Answer>) -> std::result::Result<String, String> {
    let error = match answer {
        Ok(answer) => {
            let json = if answer.body.is_empty() {
                Json::Null
            } else {
                json::parse_with(&answer.body, &json::Limits::STORED)
                    .map_err(|e| format!("an answer that is no JSON: {e}"))?
            };
            let entries: Vec<&str> = json["entry"].items().iter().map(|e| e["response"]["status"].text()).collect();
            if entries.iter().any(|status| status.starts_with("500")) {
                return Err(format!("a 500 in a Bundle: {json}"));
            }
            return Ok(format!("{:?} {} {entries:?}", answer.done, json["resourceType"].text()));
        }
        Err(error) => error,
    };
    if error.kind == Kind::Fault {
        return Err(format!("500: {error}; {:?}", error.source));
    }
    let outcome = outcome::of_error(&error);
    let wrong = validate::resource(&outcome);
    if !wrong.is_empty() {
        return Err(format!("an OperationOutcome that is not valid: {outcome}: {wrong:?}"));
    }
    Ok(shape_of(&error))
}

/// Kind, codes, and expressions and rules without numbers and quoted texts.
fn shape_of(error: &Error) -> String {
    let mut out = format!("{:?}", error.kind);
    for issue in error.issues.iter().take(3) {
        let words = issue.diagnostics.split('\'').step_by(2).collect::<String>();
        let plain: String = words.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
        out.push_str(&format!(
            "|{} {} {plain}",
            issue.code,
            issue.expression.split(['.', '[']).take(2).collect::<String>()
        ));
    }
    out
}

fn ctx() -> Ctx {
    Ctx {
        principal: Principal::super_user().into(),
        now: Instant::now(),
        request_id: "fuzz".into(),
        base: "http://127.0.0.1:8080/fhir".into(),
        address: None,
    }
}

/// Peak of the process's memory in KiB, where the system tells.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(dir).expect("the corpus").flatten().map(|e| e.path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).expect("a file of the corpus");
        if file.extension().is_some_and(|e| e == "txt") {
            all.extend(bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec));
        } else {
            all.push(bytes);
        }
    }
    if let (Some(data), "body") = (std::env::var_os("BATON_TEST_DATA"), target) {
        let file = std::fs::File::open(Path::new(&data).join("r4-examples.ndjson.gz")).expect("the examples");
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).expect("text");
        all.extend(text.lines().filter(|l| l.len() < 8000).map(|l| l.as_bytes().to_vec()));
    }
    all
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, or: u64| arguments.get(n).and_then(|a| a.parse().ok()).unwrap_or(or);
    let name = arguments.first().map_or("", String::as_str);
    let Some(target) = Target::parse(name) else {
        eprintln!("usage: fuzz body|patch|bundle|query|jwt|text [SECONDS] [SEED]");
        std::process::exit(2);
    };
    let (seconds, seed) = (number(1, 600), number(2, 1));
    baton::auth::jws::install_crypto();
    let dir = tempfile::tempdir().expect("a folder");
    let database_url = format!("sqlite:{}", dir.path().join("fuzz.db").display());
    let settings = Settings { database_url, auth: AuthMode::Off, ..Settings::default() };
    let opened = open::server(&settings, "http://127.0.0.1:8080", false).await.expect("a database");
    let embedded = Settings { auth: AuthMode::Embedded, ..settings };
    let auth = AuthState::open(opened.store, opened.policy, &embedded, "http://127.0.0.1:8080").await.expect("keys");
    let seeds = corpus(name);
    let patient = first_patient(&opened.engine).await;
    let mut run = Run { engine: opened.engine, auth: Arc::new(auth), target, patient, slowest: Duration::ZERO };
    let mut mutator = Mutator::new(seed);
    let mut pool = seeds.clone();
    let mut shapes = HashSet::new();
    let (start, mut tried, mut accepted) = (std::time::Instant::now(), 0_u64, 0_u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        let input = match pool.get(usize::try_from(tried).unwrap_or(usize::MAX)) {
            Some(first) if tried < u64::try_from(seeds.len()).unwrap_or(0) => first.clone(),
            _ => mutator.next(&seeds, &pool, LONGEST),
        };
        tried += 1;
        // On a task of its own: a panic ends the task and is told.
        let shape = {
            let result = tokio::spawn({
                let input = input.clone();
                let mut one = Run { slowest: Duration::ZERO, ..run.clone() };
                async move { (one.shape(&input).await, one.slowest) }
            })
            .await;
            match result {
                Ok((shape, took)) => {
                    run.slowest = run.slowest.max(took);
                    shape
                }
                Err(panic) => Err(format!("a panic: {panic}")),
            }
        };
        let shape = shape.and_then(|s| match memory_kib() {
            much if tried.is_multiple_of(256) && much > MEMORY_KIB => Err(format!("{much} KiB of memory")),
            _ => Ok(s),
        });
        match shape {
            Err(why) => {
                let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/found");
                std::fs::create_dir_all(&found).expect("a folder");
                let file = found.join(format!("{name}-{seed}-{tried}"));
                std::fs::write(&file, &input).expect("written");
                eprintln!("{name}: {why}\n  input {tried} of seed {seed}: {}", file.display());
                std::process::exit(1);
            }
            Ok(shape) => {
                accepted += u64::from(shape.starts_with("Created") || shape.starts_with("Ok"));
                if shapes.insert(shape) {
                    if pool.len() >= POOL {
                        let at = mutator.below(pool.len());
                        pool.swap_remove(at);
                    }
                    pool.push(input);
                }
            }
        }
    }
    println!(
        "{name}: {tried} inputs in {seconds} s (seed {seed}), {accepted} accepted, {} shapes of answers, slowest {} ms, peak {} MiB: nothing found",
        shapes.len(),
        run.slowest.as_millis(),
        memory_kib() / 1024,
    );
}

/// What patches are tried on.
async fn first_patient(engine: &Engine) -> String {
    let text = include_bytes!("../fuzz/corpus/body/patient.json");
    let wire = Wire { body: Body::Raw(text.to_vec().into()), ..Wire::new(Verb::Post, "") };
    let answer = engine.handle(&ctx(), route("Patient", wire).expect("a create")).await.expect("a good Patient");
    answer.location.expect("its place").to_string()
}
