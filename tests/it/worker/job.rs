//! Jobs of the background after something has changed: who asked is looked at again when the job is carried out, and when its
//! answer is fetched.

use super::*;
use baton::access::Role;
use baton::access::scope::Scopes;
use baton::cli::seed::{Seed, apply, directory};
use baton::fhir::Target;
use baton::store::oauth::{Code, Grant};
use baton::store::{Share, Tx, Work};
use futures_util::future::BoxFuture;

fn seed() -> Value {
    json!({
        "organizations": [
            {"id": "st-anna", "name": "St. Anna", "kind": "hospital"},
            {"id": "mercy", "name": "Mercy", "kind": "hospital"},
            {"id": "corner", "name": "Corner Pharmacy", "kind": "pharmacy"}
        ],
        "practitioners": [{"id": "phil", "name": {"family": "Pharma"}, "roles": [{"organization": "corner", "role": "pharmacist"}]}],
        "users": [{"name": "phil", "organization": "corner", "role": "pharmacist", "practitioner": "phil"}],
        "clients": [
            {"id": "ehr", "organization": "st-anna", "role": "hospital-system", "secret": "a-secret-of-the-tests-with-more-than-43-characters",
                "scopes": "system/*.cruds"},
            {"id": "app", "name": "App", "public": true, "redirect-uris": ["https://app.example/cb"], "scopes": "user/*.cruds patient/*.cruds"}
        ]
    })
}

/// Puts the seed in force after a change of it.
async fn apply_seed(node: &Node, change: impl FnOnce(&mut Value)) {
    let mut file = seed();
    change(&mut file);
    let policy = baton::access::Policy::built_in().expect("a policy");
    let seed = Seed::parse(&file.to_string(), &policy).unwrap_or_else(|e| panic!("{e}"));
    for resource in directory::resources(&seed, &policy) {
        let text = String::from_utf8(resource.to_bytes()).expect("UTF-8");
        let resource: Value = serde_json::from_str(&text).expect("JSON");
        node.put(&resource).await;
    }
    apply::accounts(&node.store, &seed).await.expect("accounts");
}

fn scopes(text: &str) -> Option<std::sync::Arc<Scopes>> {
    Some(Scopes::parse(text).into())
}

const ISSUER: &str = "https://idp.example/a#b";

/// One that knows an organisation and a role of ours.
fn issuer(organization: &str, role: &str) -> baton::config::Issuer {
    let table = |to: &str| std::iter::once(("x".to_owned(), to.to_owned())).collect();
    baton::config::Issuer {
        issuer: ISSUER.into(),
        jwks_uri: None,
        audience: None,
        algorithms: vec!["RS256".into()],
        max_age_seconds: 600,
        capabilities: Vec::new(),
        claims: baton::config::ClaimNames::default(),
        organizations: table(organization),
        roles: table(role),
    }
}

fn system() -> Principal {
    Principal {
        role: Role::HospitalSystem,
        org: Some("st-anna".into()),
        client: "ehr".into(),
        scopes: scopes("system/*.cruds"),
        ..Principal::super_user()
    }
}

fn pharmacist() -> Principal {
    Principal {
        role: Role::Pharmacist,
        org: Some("corner".into()),
        practitioner: Some("Practitioner/phil".into()),
        user: Some("phil".into()),
        client: "app".into(),
        scopes: scopes("user/*.cruds"),
        grant: Some("the-grant".into()),
        ..Principal::super_user()
    }
}

async fn as_(node: &Node, who: &Principal, wire: Wire, path: &str) -> Result<Answer, baton::error::Error> {
    let ctx = Ctx {
        principal: who.clone().into(),
        now: Instant::now(),
        request_id: "test".into(),
        base: "http://worker.example/fhir".into(),
        address: None,
    };
    node.engine.handle(&ctx, route(path, wire).expect("a path of the API")).await
}

/// Starts a batch of one entry; the path of its status.
async fn start(node: &Node, who: &Principal, entry: Value) -> String {
    let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": [entry]});
    let mut wire = Wire::new(Verb::Post, "");
    wire.body = Body::Raw(bundle.to_string().into_bytes().into());
    wire.is_async = true;
    let answer = as_(node, who, wire, "").await.unwrap_or_else(|e| panic!("{e}"));
    let baton::interaction::Done::Accepted(progress) = answer.done else { panic!("not accepted") };
    format!("_async/{}", progress.id)
}

/// Status and text of what is asked of a job.
async fn get(node: &Node, who: &Principal, path: &str) -> (u16, String) {
    match as_(node, who, Wire::new(Verb::Get, ""), path).await {
        Ok(answer) => (answer.done.status().0, String::from_utf8_lossy(&answer.body).into_owned()),
        Err(error) => (error.kind.status(), error.to_string()),
    }
}

struct Sharing(i64, Target, bool);

impl Work for Sharing {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, baton::error::Result<()>> {
        Box::pin(async move {
            let Self(org, target, shares) = self;
            if !shares {
                return tx.unshare("test", Some(*org)).await;
            }
            let until = Instant::now().plus_seconds(3_600);
            tx.share(Share { org: *org, target: target.clone(), handoff: "test".into(), until }).await
        })
    }
}

async fn grant(node: &Node) {
    let now = Instant::now();
    let text = String::new;
    let grant = Grant {
        id: "the-grant".into(),
        client: "app".into(),
        user: "phil".into(),
        scope: "user/*.cruds".into(),
        patient: text(),
        encounter: text(),
        context: "{}".into(),
        session: text(),
        made: now.0,
        used: now.0,
        expires: now.plus_seconds(3_600).0,
        revoked: 0,
        cnf: text(),
    };
    let code = Code {
        hash: "a-code".into(),
        grant: "the-grant".into(),
        redirect_uri: text(),
        challenge: text(),
        nonce: text(),
        auth_time: now.0,
        expires: now.0,
        used: 0,
    };
    node.store.add_grant(&grant, &code, now).await.expect("a grant");
}

both_nodes!(a_job_of_who_may_not_act_any_more_is_not_carried_out_and_not_answered);
/// security leak 14: Client, user, role, grant and scopes are looked at again when a job is carried out and when its answer is fetched; a share that was taken back since is heeded.
/// security A67: A job that waits does not outlive the right of who started it, nor the issuer's place in the settings.
async fn a_job_of_who_may_not_act_any_more_is_not_carried_out_and_not_answered(settings: Settings) {
    let node = Node::start(&settings).await;
    node.settle().await;
    apply_seed(&node, |_| ()).await;
    grant(&node).await;
    let ehr = system();
    let phil = pharmacist();
    let post = |family: &str| json!({"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient", "name": [{"family": family}]}});
    let read = || json!({"request": {"method": "GET", "url": "Organization?name=Corner"}});
    type Change = fn(&mut Value);
    let table: [(&str, &Principal, Change, &str); 7] = [
        ("nothing", &ehr, |_| (), ""),
        ("client disabled", &ehr, |s| s["clients"][0]["active"] = json!(false), "the client is disabled"),
        ("client moved", &ehr, |s| s["clients"][0]["organization"] = json!("mercy"), "the client changed"),
        ("nothing of the user", &phil, |_| (), ""),
        ("user disabled", &phil, |s| s["users"][0]["active"] = json!(false), "the user is disabled"),
        (
            "role lowered",
            &phil,
            |s| {
                s["practitioners"][0]["roles"][0]["role"] = json!("technician");
                s["users"][0]["role"] = json!("technician");
            },
            "the user changed",
        ),
        (
            "PractitionerRole ended",
            &phil,
            |s| s["practitioners"][0]["roles"][0]["active"] = json!(false),
            "the role does not hold",
        ),
    ];
    for (what, who, change, says) in table {
        apply_seed(&node, |_| ()).await;
        let entry = if who.user.is_some() { read() } else { post(what) };
        let job = start(&node, who, entry).await;
        apply_seed(&node, change).await;
        assert!(node.engine.run_job("test").await.expect("a job"), "{what}");
        apply_seed(&node, |_| ()).await;
        let (status, text) = get(&node, who, &job).await;
        let made = node.ids(&format!("Patient?family={}", what.replace(' ', "%20"))).await.len();
        if says.is_empty() {
            assert_eq!((status, made), (200, usize::from(who.user.is_none())), "{what}: {text}");
        } else {
            assert_eq!((status, made), (403, 0), "{what}: {text}");
            assert!(text.contains(says), "{what}: {text}");
        }
    }
    // Scopes that were taken away are gone; a job of a time without tokens is over.
    let job = start(&node, &ehr, post("Scopes")).await;
    apply_seed(&node, |s| s["clients"][0]["scopes"] = json!("system/Task.cruds")).await;
    assert!(node.engine.run_job("test").await.expect("a job"));
    apply_seed(&node, |_| ()).await;
    let (_, text) = get(&node, &ehr, &format!("{job}/result")).await;
    assert!(text.contains("scopes do not let you") && node.ids("Patient?family=Scopes").await.is_empty(), "{text}");
    let job = start(&node, &Principal::super_user(), post("Super")).await;
    assert!(node.engine.run_job("test").await.expect("a job"));
    assert_eq!(get(&node, &Principal::super_user(), &job).await.0, 403);
    assert!(node.ids("Patient?family=Super").await.is_empty());

    // The answer is for a token that reaches as far, of the same patient, and only as long as what it holds is in sight.
    let mine = node.put(&json!({"resourceType": "Patient", "id": "shared", "name": [{"family": "Zebrowski"}]})).await;
    let target = Target::parse("Patient/shared").expect("an address");
    let corner = node.store.keys().org("corner");
    assert_eq!(mine["id"], "shared");
    node.store.write(Sharing(corner, target.clone(), true)).await.expect("a share");
    let job = start(&node, &phil, json!({"request": {"method": "GET", "url": "Patient/shared"}})).await;
    assert!(node.engine.run_job("test").await.expect("a job"));
    let result = format!("{job}/result");
    let (status, text) = get(&node, &phil, &result).await;
    assert!(status == 200 && text.contains("Zebrowski"), "{status} {text}");
    let less = Principal { scopes: scopes("user/Task.rs"), ..phil.clone() };
    assert_eq!(get(&node, &less, &result).await.0, 403, "less scope");
    let more = Principal { scopes: scopes("user/*.cruds patient/*.rs"), ..phil.clone() };
    assert_eq!(get(&node, &more, &result).await.0, 200, "more scope");
    let other = Principal { patient: Some("other".into()), ..phil.clone() };
    for path in [&job, &result] {
        assert_eq!(get(&node, &other, path).await.0, 404, "of another patient");
    }
    node.store.write(Sharing(corner, target.clone(), false)).await.expect("a share less");
    let (status, text) = get(&node, &phil, &result).await;
    assert!(status == 410 && !text.contains("Zebrowski"), "{status} {text}");
    node.store.write(Sharing(corner, target, true)).await.expect("a share");
    assert_eq!(get(&node, &phil, &result).await.0, 200, "shared again");

    // Of another issuer: while the settings list it, and no longer. Tokens of Baton's own are not taken where they are not given.
    let foreign =
        Principal { user: Some(format!("{ISSUER}#f3b1")), issuer: Some(ISSUER.into()), grant: None, ..phil.clone() };
    let program = Principal { issuer: Some(ISSUER.into()), ..ehr.clone() };
    let unlisted = start(&node, &foreign, read()).await;
    assert!(node.engine.run_job("test").await.expect("a job"));
    assert!(get(&node, &foreign, &unlisted).await.1.contains("not listed any more"));
    let node = {
        node.stop().await;
        Node::start(&Settings { issuers: vec![issuer("corner", "pharmacist")], ..settings.clone() }).await
    };
    for (who, says) in [(&foreign, ""), (&program, "speaks for that organisation no more")] {
        let job = start(&node, who, read()).await;
        assert!(node.engine.run_job("test").await.expect("a job"));
        let (status, text) = get(&node, who, &job).await;
        assert_eq!((status, text.contains(says)), (if says.is_empty() { 200 } else { 403 }, true), "{text}");
    }

    // The grant of a token that is taken back takes along what waits.
    let job = start(&node, &phil, read()).await;
    node.store.revoke_grant("the-grant", Instant::now()).await.expect("a grant less");
    assert!(node.engine.run_job("test").await.expect("a job"));
    let (status, text) = get(&node, &phil, &job).await;
    assert!(status == 403 && text.contains("taken back"), "{status} {text}");
    node.stop().await;
}
