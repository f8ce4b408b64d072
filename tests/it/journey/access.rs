//! Who gets in, over HTTP: tokens asked for and refused, roles and organisations apart, with Baton's own authorization
//! server. What an attacker does to tokens is in `attack`.

use crate::harness::{Answer, Client, Database, Settings, TestServer, with_database};
use serde_json::{Value, json};

/// One story per database, on a server that asks for tokens.
macro_rules! both_databases_embedded {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                super::with_tokens(crate::harness::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                super::with_tokens(crate::harness::Database::Postgres, super::$name);
            }
        }
    )+};
}

both_databases_embedded!(
    nothing_clinical_without_a_token,
    a_system_gets_a_token_and_its_scopes_hold,
    headers_of_trials_mean_nothing,
    a_person_gets_a_token_on_the_machine_while_the_server_runs,
    one_hospital_does_not_see_the_other,
    published_secrets_do_not_leave_the_machine,
);

fn with_tokens<F: Future<Output = ()>>(database: Database, story: impl FnOnce(TestServer) -> F) {
    with_database(database, |mut settings: Settings| async move {
        settings.arguments.extend(["--auth".into(), "embedded".into()]);
        story(TestServer::start(settings).await).await;
    });
}

fn secret(client: &str) -> String {
    let seed: Value = serde_json::from_str(include_str!("../../../profiles/demo/seed.json")).expect("JSON");
    let clients = seed["clients"].as_array().expect("clients");
    let found = clients.iter().find(|c| c["id"] == client).expect("a client of the seed");
    found["secret"].as_str().expect("a secret").to_owned()
}

async fn ask(server: &TestServer, client: &str, scope: &str) -> Answer {
    let form = format!(
        "grant_type=client_credentials&client_id={client}&client_secret={}&scope={}",
        secret(client),
        scope.replace(' ', "+")
    );
    let form_type = [("Content-Type", "application/x-www-form-urlencoded")];
    server.everyone().send("POST", "/auth/token", form, &form_type).await
}

/// `Authorization` of a system.
async fn system(server: &TestServer, client: &str, scope: &str) -> String {
    let answer = ask(server, client, scope).await.is(200);
    format!("Bearer {}", answer.body["access_token"].as_str().expect("a token"))
}

/// `Authorization` of a person, as `baton token` prints it.
fn person(server: &TestServer, name: &str) -> String {
    let (succeeded, printed) = server.settings().run(&["token", name]);
    assert!(succeeded, "{printed}");
    format!("Bearer {}", printed.trim())
}

async fn get(client: &Client, path: &str, authorization: &str) -> Answer {
    client.send("GET", path, "", &[("Authorization", authorization)]).await
}

/// security R8: `metadata` needs no token; all that is clinical does.
/// security R50: No token is 401 with a challenge.
async fn nothing_clinical_without_a_token(server: TestServer) {
    let open = server.everyone();
    for path in ["metadata", ".well-known/smart-configuration", "/auth/jwks", "/livez", "/readyz"] {
        open.read(path).await.is(200);
    }
    for (method, path) in [
        ("GET", "Patient"),
        ("GET", "Organization/lakeside"),
        ("GET", "_history"),
        ("POST", "Patient/_search"),
        ("POST", ""),
        ("PUT", "Patient/1"),
        ("PATCH", "Patient/1"),
        ("DELETE", "Patient/1"),
        ("POST", "Task/1/$claim"),
        ("GET", "Patient?access_token=x"),
    ] {
        let answer = open.send(method, path, if method == "GET" { "" } else { "{}" }, &[]).await;
        assert_eq!(answer.status, 401, "{method} {path}");
        assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{method} {path}");
        answer.refuses(401, "login", "");
    }
    let answer = get(&open, "Patient", "Bearer garbage").await;
    answer.refuses(401, "security", "");
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
}

/// security R28: A scope narrows what the role may.
async fn a_system_gets_a_token_and_its_scopes_hold(server: TestServer) {
    let answer = ask(&server, "lakeside-ehr", "system/Patient.rs system/Task.rs").await.is(200);
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let token = format!("Bearer {}", answer.body["access_token"].as_str().expect("a token"));
    let everyone = server.everyone();
    get(&everyone, "Patient", &token).await.is(200);
    let answer = get(&everyone, "Observation", &token).await;
    answer.refuses(403, "forbidden", "");
    assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{}", answer.header("www-authenticate"));
    let patient = json!({"resourceType": "Patient", "name": [{"family": "Fox"}]}).to_string();
    everyone.send("POST", "Patient", patient, &[("Authorization", &token)]).await.refuses(403, "forbidden", "");
}

async fn headers_of_trials_mean_nothing(server: TestServer) {
    // the callers of the harness send X-Baton-Actor and, with a clock, X-Baton-Now
    server.at("2020-01-01T00:00:00Z");
    server.user("jonas").read("Patient").await.is(401);
    let ehr = system(&server, "lakeside-ehr", "system/*.rs").await;
    let answer = get(&server.user("root"), "Patient", &ehr).await;
    answer.is(200);
}

async fn a_person_gets_a_token_on_the_machine_while_the_server_runs(server: TestServer) {
    let everyone = server.everyone();
    let (mara, jonas) = (person(&server, "mara"), person(&server, "jonas"));
    for token in [&mara, &jonas] {
        get(&everyone, "Task", token).await.is(200);
        get(&everyone, "PractitionerRole", token).await.is(200);
        get(&everyone, "Subscription", token).await.refuses(403, "forbidden", "");
    }
    let procedure =
        json!({"resourceType": "Procedure", "status": "completed", "subject": {"display": "x"}}).to_string();
    let answer = everyone.send("POST", "Procedure", procedure, &[("Authorization", &mara)]).await;
    answer.refuses(403, "forbidden", "");
    let (succeeded, text) = server.settings().run(&["token", "nobody"]);
    assert!(!succeeded && text.contains("no active user 'nobody'"), "{text}");
}

/// security A31: Ids of another organisation are 404 on every route, with real tokens.
async fn one_hospital_does_not_see_the_other(server: TestServer) {
    let everyone = server.everyone();
    let lakeside = system(&server, "lakeside-ehr", "system/*.cruds").await;
    let northgate = system(&server, "northgate-ehr", "system/*.cruds").await;
    let patient =
        json!({"resourceType": "Patient", "name": [{"family": "Quetzalcoatl", "given": ["Xochipilli"]}]}).to_string();
    let made = everyone.send("POST", "Patient", patient, &[("Authorization", &lakeside)]).await.is(201);
    let path = made.reference();
    get(&everyone, &path, &lakeside).await.is(200);
    let hidden = get(&everyone, &path, &northgate).await.is(404);
    let absent = get(&everyone, "Patient/00000000-0000-4000-8000-000000000000", &northgate).await.is(404);
    let id = path.trim_start_matches("Patient/");
    assert_eq!(
        String::from_utf8_lossy(&hidden.bytes).replace(id, "ID"),
        String::from_utf8_lossy(&absent.bytes).replace("00000000-0000-4000-8000-000000000000", "ID"),
        "byte for byte as unknown"
    );
    for query in
        ["Patient", "Patient?family=Quetzalcoatl", "Patient/_history", "_history", &format!("Patient?_id={id}")]
    {
        let own = get(&everyone, query, &lakeside).await.is(200);
        assert!(String::from_utf8_lossy(&own.bytes).contains("Xochipilli"), "{query}: the positive control");
        let answer = get(&everyone, query, &northgate).await.is(200);
        let text = String::from_utf8_lossy(&answer.bytes);
        assert!(!text.contains("Xochipilli") && !text.contains(&format!("Patient/{id}\"")), "{query}: {text}");
    }
}

/// security A65: A server with the secrets of the demo refuses to listen beyond loopback.
async fn published_secrets_do_not_leave_the_machine(mut server: TestServer) {
    server.kill();
    let flags = ["serve", "--listen", "127.0.0.1:0", "--base-url", "https://baton.example.org"];
    let (succeeded, text) = server.settings().run(&flags);
    assert!(
        !succeeded
            && text.contains("lakeside-ehr")
            && text.contains("baton-demo-app")
            && text.contains("published secrets"),
        "{text}"
    );
}
