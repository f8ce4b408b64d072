//! Requests at random by principals of both sides: whatever is asked, and however it is put together, nothing of the other side is in
//! the answer, and what the matrix denies is 403.
//!
//! The model is [`decide`] and the sides: who owns what, and with whom it is shared, is known from how the world was made.

use super::world::World;
use crate::harness::{Answer, TestServer};
use baton::access::{Action, Decision, Policy, Principal, Role, decide};
use baton::fhir::ResourceType;
use futures_util::StreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Requests a database.
const MANY: usize = 500;

/// Who asks: role, name, and whether they are of the callers' side.
const WHO: [(Role, &str, bool); 8] = [
    (Role::HospitalSystem, "lakeside-ehr", true),
    (Role::PharmacySystem, "elm-street-pms", true),
    (Role::Technician, "mara", true),
    (Role::Pharmacist, "jonas", true),
    (Role::Prescriber, "lakeside-doctor", true),
    (Role::Patient, "lakeside-patient", true),
    (Role::HospitalSystem, "northgate-ehr", false),
    (Role::Pharmacist, "ines", false),
];

const LINKS: [&str; 12] = [
    "patient",
    "subject",
    "performer",
    "encounter",
    "focus",
    "item",
    "entry",
    "target",
    "based-on",
    "owner",
    "author",
    "link",
];

/// One request; `{0}` and its like are names of either side.
#[derive(Debug, Clone)]
struct Random {
    who: usize,
    method: &'static str,
    path: String,
    body: String,
    /// What the matrix is asked, where the request is about one type.
    asks: Option<(Action, String)>,
}

fn random(types: Vec<String>, values: Vec<String>, ids: Vec<String>) -> impl Strategy<Value = Random> {
    use proptest::sample::select;
    let rtype = move || select(types.clone());
    let (value, id) = (move || select(values.clone()), move || select(ids.clone()));
    let link = || select(LINKS.as_slice());
    let plain = prop_oneof![
        id().prop_map(|i| format!("_id={i}")),
        value().prop_map(|v| format!("identifier={v}")),
        value().prop_map(|v| format!("code={v}")),
        value().prop_map(|v| format!("_content={v}")),
        value().prop_map(|v| format!("_tag={v}")),
        (link(), id()).prop_map(|(l, i)| format!("{l}={i}")),
        (link(), rtype(), id()).prop_map(|(l, t, i)| format!("{l}:{t}={i}")),
        (link(), value()).prop_map(|(l, v)| format!("{l}.name={v}")),
        (link(), rtype(), value()).prop_map(|(l, t, v)| format!("{l}:{t}.identifier={v}")),
        (rtype(), link(), value()).prop_map(|(t, l, v)| format!("_has:{t}:{l}:code={v}")),
        (rtype(), link(), id()).prop_map(|(t, l, i)| format!("_has:{t}:{l}:_id={i}")),
        (link(), any::<bool>()).prop_map(|(l, yes)| format!("{l}:missing={yes}")),
        select(vec![
            "_lastUpdated=ge2000",
            "status:not=x",
            "_sort=-_lastUpdated",
            "_sort=patient",
            "_total=accurate",
            "_summary=text"
        ])
        .prop_map(str::to_owned),
        select(vec!["_include=*", "_revinclude=*", "_include:iterate=*", "_revinclude:iterate=*"])
            .prop_map(str::to_owned),
    ];
    let query = prop::collection::vec(plain, 0..4).prop_map(|list| list.join("&"));
    let tail = select(vec![
        "",
        "/_history",
        "/_history/1",
        "/_history/2",
        "/$everything",
        "/$meta",
        "/$validate",
        "/*",
        "/Observation",
    ]);
    let get = prop_oneof![
        4 => (rtype(), query).prop_map(|(t, q)| (format!("{t}?{q}"), Some((Action::SearchType, t)))),
        4 => (rtype(), id(), tail).prop_map(|(t, i, tail)| {
            let asks = tail.is_empty().then(|| (Action::Read, t.clone()));
            (format!("{t}/{i}{tail}"), asks)
        }),
        1 => rtype().prop_map(|t| (format!("{t}/_history?_count=100"), Some((Action::HistoryType, t)))),
        1 => (rtype(), id()).prop_map(|(t, i)| (format!("?_type={t},Patient&_id={i}"), None)),
    ];
    let entry = get.clone().prop_map(|(path, _)| format!(r#"{{"request":{{"method":"GET","url":"{path}"}}}}"#));
    let bundle = prop::collection::vec(entry, 1..4).prop_map(|list| {
        let body = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#, list.join(","));
        ("POST", String::new(), body, None)
    });
    let patch = (rtype(), id(), value()).prop_map(|(t, i, v)| {
        ("PATCH", format!("{t}/{i}"), format!(r#"[{{"op":"test","path":"/identifier/0/value","value":"{v}"}},{{"op":"test","path":"/id","value":"-"}}]"#), None)
    });
    let create = (id(), id(), value()).prop_map(|(p, o, v)| {
        let body = format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"a"}},"subject":{{"reference":"Patient/{p}"}},
               "hasMember":[{{"reference":"Observation/{o}"}}],"encounter":{{"reference":"Encounter?identifier={v}"}}}}"#
        );
        ("POST", "Observation".to_owned(), body, Some((Action::Create, "Observation".to_owned())))
    });
    let what = prop_oneof![
        8 => get.prop_map(|(path, asks)| ("GET", path, String::new(), asks)),
        1 => bundle,
        1 => patch,
        1 => create,
    ];
    (0..WHO.len(), what).prop_map(|(who, (method, path, body, asks))| Random { who, method, path, body, asks })
}

/// Asks them all.
///
/// # Panics
/// Where an answer holds anything of the other side, or is not the 403 that the matrix says.
pub async fn nothing_is_found_by_chance(server: &TestServer, world: &World) {
    let types: Vec<String> = world.theirs.ids.keys().filter(|t| *t != "AuditEvent").cloned().collect();
    let ids =
        world.theirs.named.iter().chain(&world.ours).filter(|(k, _)| k.len() == 1 && !"fnkwd".contains(k.as_str()));
    let ids: Vec<String> = ids.map(|(_, v)| v.clone()).chain(world.theirs.ids.values().cloned()).collect();
    let values: Vec<String> = world.words.iter().chain(&world.our_words).cloned().collect();
    let strategy = random(types, values, ids);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let asks: Vec<Random> = (0..MANY).map(|_| strategy.new_tree(&mut runner).expect("a request").current()).collect();
    let policy = Policy::built_in().expect("a policy");
    let send = async |ask: &Random| {
        let kind = if ask.method == "PATCH" { "application/json-patch+json" } else { "application/fhir+json" };
        let (_, name, _) = WHO[ask.who];
        server.user(name).send(ask.method, &ask.path, &ask.body, &[("Content-Type", kind)]).await
    };
    let answers: Vec<(&Random, Answer)> = futures_util::stream::iter(&asks)
        .map(|ask| {
            let answer = send(ask);
            async move { (ask, answer.await) }
        })
        .buffered(4)
        .collect()
        .await;
    let (mut good, mut denied) = (0, 0);
    for (ask, answer) in answers {
        let (role, name, is_ours) = WHO[ask.who];
        let asked = format!("{} {}", ask.path, ask.body);
        let (words, others) = if is_ours { (&world.words, &world.ids) } else { (&world.our_words, &world.our_ids) };
        let found = super::shown_of(&answer, words, others, &asked);
        assert!(found.is_empty(), "{name} sees {found:?} by {ask:?}: {answer:?}");
        assert!(answer.status < 500, "{ask:?}: {answer:?}");
        good += usize::from(answer.status == 200);
        let Some((action, rtype)) = &ask.asks else { continue };
        let principal = Principal { role, org: Some("any".into()), ..Principal::super_user() };
        let rtype = ResourceType::parse(rtype).expect("a type");
        if matches!(decide(&policy, &principal, *action, Some(rtype)), Decision::Deny(_)) {
            denied += 1;
            assert!(matches!(answer.status, 400 | 403), "{name} {ask:?}: {answer:?}");
        } else if *action == Action::Read {
            assert!(matches!(answer.status, 200 | 404 | 410), "{name} {ask:?}: {answer:?}");
        }
    }
    assert!(good > MANY / 10 && denied > 5, "the requests are such as somebody makes: {good} found, {denied} denied");
}
