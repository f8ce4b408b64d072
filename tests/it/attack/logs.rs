//! What the server writes about itself: no data of patients, no secrets, no lines of the caller's making.

use crate::harness::{Database, TestServer, with_database};
use crate::smart::{SECRET, Site, VERIFIER};
use serde_json::json;

/// Stands in names, values, queries, ids, tokens and headers of all that is sent.
const MARK: &str = "Qzxmarker";

mod nothing_of_a_patient_and_no_secret_reaches_log_or_metrics {
    use super::*;
    #[test]
    fn sqlite() {
        run(Database::Sqlite);
    }
    #[test]
    fn postgres() {
        run(Database::Postgres);
    }
}

/// On a server that logs as much as it can.
fn run(database: Database) {
    with_database(database, |mut settings| async move {
        settings.environment.push(("RUST_LOG", "info,baton=trace"));
        nothing_of_a_patient_and_no_secret_reaches_log_or_metrics(TestServer::start(settings).await).await;
    });
}

/// security A21: No token and no secret is in the log, after good and bad requests.
/// security A64: Names, values, queries, ids and headers of callers are in no line of the log, at its most talkative, and in no metric.
/// security leak 19: The log and the metrics tell nothing of a patient.
async fn nothing_of_a_patient_and_no_secret_reaches_log_or_metrics(server: TestServer) {
    let sample = crate::journey::discharge("04-duplicate-therapy", server.now());
    let hospital = server.user(sample.hospital);
    // A discharge with the mark in each name, text and identifier.
    let text = sample.bundle.to_string();
    let family =
        sample.bundle["entry"].as_array().and_then(|e| e.first()).map(|e| e["resource"]["name"][0]["family"].clone());
    let family = family.and_then(|f| f.as_str().map(str::to_owned)).expect("the Patient comes first");
    let marked = text.replace(&family, MARK);
    hospital.send("POST", "", &marked, &[]).await.ok();
    let everyone = server.everyone();
    let patient = everyone.search(&format!("Patient?name={MARK}")).await.remove(0);
    let id = patient["id"].as_str().expect("an id");
    let token = format!("Bearer {MARK}.{MARK}.{MARK}");
    let secret = format!("grant_type=client_credentials&client_id={MARK}&client_secret={MARK}");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let issue = json!({"resourceType": "DetectedIssue", "status": MARK, "detail": MARK}).to_string();
    for (method, path, body, headers) in [
        ("GET", format!("Patient?name={MARK}&_count=x"), "", vec![]),
        ("GET", format!("Patient?{MARK}=1"), "", vec![]),
        ("GET", format!("Patient/{MARK}"), "", vec![]),
        ("GET", format!("Patient/{MARK}%0d%0a2026-01-01 ERROR forged"), "", vec![]),
        ("GET", format!("{MARK}/1"), "", vec![]),
        (
            "GET",
            format!("Patient/{id}"),
            "",
            vec![("Authorization", token.as_str()), ("User-Agent", MARK), ("Referer", MARK)],
        ),
        ("GET", format!("Patient/{id}"), "", vec![("X-Request-Id", "Qzxmarker [31m; ERROR forged"), ("Cookie", MARK)]),
        ("GET", format!("Patient/{id}/$everything"), "", vec![]),
        ("POST", "Patient/_search".into(), "name=Qzxmarker", vec![form]),
        ("POST", "DetectedIssue".into(), &issue, vec![]),
        ("POST", "Patient".into(), "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"Qzxmarker\"", vec![]),
        ("POST", "/auth/token".into(), &secret, vec![form]),
        ("POST", "/auth/token?secret=Qzxmarker".into(), &secret, vec![form]),
        (
            "PATCH",
            format!("Patient/{id}"),
            "[{\"op\":\"test\",\"path\":\"/Qzxmarker\",\"value\":1}]",
            vec![("Content-Type", "application/json-patch+json")],
        ),
        ("DELETE", format!("Patient/{id}"), "", vec![]),
        ("PUT", format!("Patient/{MARK}"), "{}", vec![]),
    ] {
        let sent = everyone.try_send(method, &path, body, &headers).await;
        assert!(sent.is_ok_and(|a| a.status < 500), "{method} {path}");
    }
    let metrics = everyone.send("GET", "/metrics", "", &[]).await;
    let metrics = String::from_utf8_lossy(&metrics.bytes).into_owned();
    assert!(!metrics.is_empty());
    for (what, text) in [("the metrics", metrics), ("the log", server.log())] {
        let told: Vec<&str> = text.lines().filter(|l| l.contains(MARK) || l.contains("forged")).collect();
        assert!(told.is_empty(), "{what}: {told:#?}");
        assert!(!text.contains('\u{1b}'), "{what} has control characters");
    }
}

mod no_secret_of_a_login_reaches_log_or_metrics {
    use super::*;
    #[test]
    fn sqlite() {
        log_in(Database::Sqlite);
    }
    #[test]
    fn postgres() {
        log_in(Database::Postgres);
    }
}

fn log_in(database: Database) {
    with_database(database, |mut settings| async move {
        settings.environment.push(("RUST_LOG", "info,baton=trace"));
        no_secret_of_a_login_reaches_log_or_metrics(Site::start(settings).await).await;
    });
}

/// security A21: Of real logins, launches and tokens - good, refused, refreshed, replayed, taken back - no password, secret, code, token, cookie or name is in
/// the log at its most talkative.
/// security A64: What apps and people send at the pages and the token endpoint is in no line of the log and in no metric.
async fn no_secret_of_a_login_reaches_log_or_metrics(site: Site) {
    let mut secrets: Vec<(&str, String)> = vec![
        ("a password", site.password("drew").into()),
        ("a wrong password", "wrong-Qzxmarker-password".into()),
        ("the secret of a client", SECRET.into()),
        ("a verifier", VERIFIER.into()),
        ("a state", "state-of-Qzxmarker".into()),
        ("a nonce", "nonce-of-Qzxmarker".into()),
        ("a patient", "Haddad".into()),
    ];
    let scope = "launch/patient openid fhirUser offline_access patient/*.rs";
    let mut browser = site.browser();
    let asked = site.request("secret", scope, &[("state", "state-of-Qzxmarker"), ("nonce", "nonce-of-Qzxmarker")]);
    let page = browser.ask(&asked).await;
    let page = browser.try_sign_in(&page, "drew", "wrong-Qzxmarker-password").await;
    let page = browser.sign_in(&page, "drew").await;
    let page = browser.choose_patient(page, &site.patient).await;
    secrets.extend([("a page", page.hidden("t")), ("a form", page.hidden("csrf"))]);
    let cookie = browser.cookie.clone().and_then(|c| c.split_once('=').map(|(_, value)| value.to_owned()));
    secrets.push(("a cookie", cookie.expect("a session")));
    let code = browser.allow(&page, &[]).await.sent("code");
    let refused = site.redeem("secret", &format!("{code}x"), &[]).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let tokens = site.redeem("secret", &code, &[]).await;
    let (access, refresh) = (tokens.text("access_token").to_owned(), tokens.text("refresh_token").to_owned());
    secrets.extend([("a code", code), ("an id_token", tokens.text("id_token").into())]);
    assert_eq!(site.read(&access, "Patient?name=Haddad").await.body["total"], 1);
    for path in ["Patient?name=Haddad&_count=x", "Observation?patient.name=Haddad", "Haddad/1", "Patient/Haddad"] {
        site.read(&access, path).await;
    }
    assert_eq!(site.read(&format!("{access}x"), "Patient").await.status, 401);
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let next = site.token("secret", &form).await;
    secrets.extend([
        ("a later token", next.text("access_token").into()),
        ("a later refresh", next.text("refresh_token").into()),
    ]);
    site.post("/auth/introspect", "secret", &[("token", &access)]).await;
    assert_eq!(site.token("secret", &form).await.status, 400, "a replay");
    site.post("/auth/revoke", "secret", &[("token", &access)]).await;
    secrets.extend([("a token", access), ("a refresh token", refresh)]);
    // A launch of an EHR, and a program.
    let ehr = site.tokens("drew", "house", "openid user/*.rs").await;
    let ehr = ehr["access_token"].as_str().expect("a token").to_owned();
    let launch = json!({"client_id": "public", "patient": site.patient}).to_string();
    let made = site.http.post(format!("{}/auth/launch", site.root)).bearer_auth(&ehr).body(launch);
    let made = crate::smart::Answer::of(made.send().await.expect("an answer")).await;
    let mut apps = site.browser();
    apps.ask(&site.request("public", "launch openid patient/*.rs", &[("launch", made.text("launch"))])).await;
    secrets.extend([("a token of the house", ehr), ("a launch", made.text("launch").into())]);
    let secret = "for-the-demo-on-loopback-only-lakeside-ehr-0001";
    let form = [("grant_type", "client_credentials"), ("client_id", "lakeside-ehr"), ("client_secret", secret)];
    let program = site.token("", &[&form[..], &[("scope", "system/*.rs")]].concat()).await;
    secrets.extend([("a program's secret", secret.into()), ("a program's token", program.text("access_token").into())]);
    let metrics = site.http.get(format!("{}/metrics", site.root)).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let log = site.server.log();
    assert!(!metrics.is_empty() && log.contains("a user let an app in"), "the log tells what happens");
    for (what, secret) in &secrets {
        assert!(secret.len() > 5, "{what}: {secret}");
        for (place, text) in [("the metrics", &metrics), ("the log", &log)] {
            let told: Vec<&str> = text.lines().filter(|l| l.contains(secret.as_str())).collect();
            assert!(told.is_empty(), "{what} in {place}: {told:#?}");
        }
    }
}
