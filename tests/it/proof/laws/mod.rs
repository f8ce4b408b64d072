//! The laws of the programme (`docs/programme.md`) under a random actor: whoever tries whatever, by whatever door, in whatever order.
//!
//! `act`, `deeds`: what is tried, by whom, by which door · `news`: what a hospital sends · `hold`: the laws, asked of what the store answers
//! after each step · `order`, `gone`: laws that need a set-up of their own.
//! Each case has a patient of its own; the clock is the test's. A failing case is shrunk, and told step by step with its seed:
//! `BATON_TEST_SEED=7 cargo test --test it proof::laws`. `BATON_TEST_LAWS=10` makes ten times the cases (`.ci/nightly`).
//! The same without a server, with far more steps: `workflow::react::tests::laws`, `workflow::reconcile::tests::laws`.

mod act;
mod deeds;
mod gone;
mod hold;
mod news;
mod order;

use crate::harness::{Settings, TestServer, with_database};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// When a case begins: a Monday morning, so far away that the server's own worker finds nothing due.
const BEGINS: &str = "2033-03-07T15:00:00Z";

/// The seed of the usual run.
const SEED: u64 = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays `cases` cases of a strategy, more where `BATON_TEST_LAWS` says so; the first that breaks a law is shrunk and told.
fn play<S, F>(cases: u32, strategy: &S, story: impl Fn(S::Value, usize) -> F)
where
    S: Strategy,
    S::Value: std::fmt::Debug,
    F: Future<Output = Result<(), String>>,
{
    let times = u32::try_from(number("BATON_TEST_LAWS").unwrap_or(1)).expect("a small number");
    let seed = number("BATON_TEST_SEED").unwrap_or(SEED);
    let config = Config {
        cases: cases * times,
        max_shrink_iters: 60,
        failure_persistence: None,
        max_global_rejects: 10_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let nth = AtomicUsize::new(0);
    let told = runner.run(strategy, |value| {
        let story = story(value, nth.fetch_add(1, Ordering::Relaxed));
        let done = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(story));
        done.map_err(TestCaseError::fail)
    });
    if let Err(error) = told {
        panic!("BATON_TEST_SEED={seed} shows it again: {error}");
    }
}

/// The demo's seed with a third pharmacy and a prescriber.
fn seed(settings: &mut Settings) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo/seed.json");
    let mut seed: Value = serde_json::from_str(&std::fs::read_to_string(demo).expect("the demo's seed")).expect("JSON");
    let add = |list: &mut Value, more: Value| list.as_array_mut().expect("a list").push(more);
    add(&mut seed["organizations"], json!({"id": "meadow", "name": "Meadow Pharmacy", "kind": "pharmacy"}));
    for hospital in 0..2 {
        add(&mut seed["organizations"][hospital]["candidate-pharmacies"], json!("meadow"));
    }
    for (id, login, organization, role) in [
        ("tess-okoro", "tess", "meadow", "technician"),
        ("paul-weiss", "paul", "meadow", "pharmacist"),
        ("dora-klein", "dora", "lakeside", "prescriber"),
    ] {
        let roles = json!([{"organization": organization, "role": role}]);
        add(&mut seed["practitioners"], json!({"id": id, "name": {"family": login}, "roles": roles}));
        let user = json!({"name": login, "organization": organization, "role": role, "practitioner": id});
        add(&mut seed["users"], user);
    }
    let mut client = seed["clients"][3].clone();
    for (name, value) in [("id", "meadow-pms"), ("organization", "meadow")] {
        client[name] = value.into();
    }
    client["secret"] = "for-the-demo-on-loopback-only-meadow-pms-000005".into();
    add(&mut seed["clients"], client);
    let place = settings.dir.path().join("seed.json");
    std::fs::write(&place, seed.to_string()).expect("the seed is written");
    settings.seed = Some(place);
}

/// One test a database, on a server with that seed.
macro_rules! laws {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                $crate::proof::laws::on($crate::harness::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                $crate::proof::laws::on($crate::harness::Database::Postgres, super::$name);
            }
        }
    )+};
}
use laws;

fn on<F: Future<Output = ()>>(database: crate::harness::Database, story: impl FnOnce(TestServer) -> F) {
    with_database(database, |mut settings| async move {
        seed(&mut settings);
        story(TestServer::start(settings).await).await;
    });
}

laws!(whoever_tries_whatever_by_whatever_door_the_laws_hold);
/// Own docs/programme.md: L1 to L5 and L8 hold after each step of a random actor, by whatever door.
async fn whoever_tries_whatever_by_whatever_door_the_laws_hold(server: TestServer) {
    let tally = act::Tally::default();
    play(CASES, &act::any_steps(), |(begun, steps), n| act::case(&server, &tally, n, begun, steps));
    hold::the_rules_are_counted_right(&server.everyone()).await;
    tally.tell();
}

/// Cases of the usual run: some forty seconds on each database.
const CASES: u32 = 24;
