//! Apps that an EHR starts.

use super::{Site, both_databases_with_site};
use serde_json::{Value, json};

both_databases_with_site!(an_ehr_starts_an_app, a_launch_in_an_encounter_is_about_its_patient);

async fn mint(site: &Site, token: &str, body: Value) -> (u16, Value) {
    let request = site.http.post(format!("{}/auth/launch", site.root)).bearer_auth(token).body(body.to_string());
    let response = request.header("Content-Type", "application/json").send().await.unwrap();
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

/// security R33: A handle is made by a user who is signed in at the EHR, for one app, one user, one patient, and is good once.
/// security R34: patient, intent and fhirContext come with the token.
/// security A22: Launch fixation: the handle of another user leads to access_denied.
async fn an_ehr_starts_an_app(site: Site) {
    let scope = "launch openid fhirUser patient/Observation.rs";
    let ehr = site.tokens("drew", "house", "openid user/*.rs").await;
    let ehr = ehr["access_token"].as_str().unwrap();
    let context = json!([{"reference": "Task/1", "role": "https://baton.example/handoff"}]);
    let body = json!({"client_id": "public", "patient": site.patient, "intent": "review", "need_patient_banner": false, "fhirContext": context});
    let (status, made) = mint(&site, ehr, body.clone()).await;
    assert_eq!(status, 201, "{made}");
    let handle = made["launch"].as_str().unwrap();
    assert!(made["url"].as_str().unwrap().starts_with("https://app.example/launch?iss="), "{made}");
    assert_eq!(made["expires_in"], 300);

    let app = site.tokens("drew", "public", "launch/patient user/*.rs").await;
    for (what, token, body, expected) in [
        ("an app's token makes none", app["access_token"].as_str().unwrap(), body.clone(), 403),
        ("nobody's token", "x", body.clone(), 401),
        ("an unknown app", ehr, json!({"client_id": "nobody", "patient": site.patient}), 400),
        ("an unknown patient", ehr, json!({"client_id": "public", "patient": "nobody"}), 400),
        ("no patient", ehr, json!({"client_id": "public"}), 400),
    ] {
        assert_eq!(mint(&site, token, body).await.0, expected, "{what}");
    }

    for (client, launch) in [("public", "x"), ("secret", handle)] {
        let mut browser = site.browser();
        let page = browser.ask(&site.request(client, scope, &[("launch", launch)])).await;
        assert_eq!(page.sent("error"), "invalid_request", "{client} {launch}");
    }
    let mut victim = site.browser();
    let page = victim.ask(&site.request("public", scope, &[("launch", handle)])).await;
    let page = victim.sign_in(&page, "amira").await;
    assert_eq!(page.sent("error"), "access_denied", "another user's launch");

    let mut browser = site.browser();
    let page = browser.ask(&site.request("public", scope, &[("launch", handle)])).await;
    let page = browser.sign_in(&page, "drew").await;
    assert!(page.html.contains("Haddad") && !page.html.contains("Choose a patient"), "{}", page.html);
    let code = browser.allow(&page, &[]).await.sent("code");
    let answer = site.redeem("public", &code, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    for (name, value) in [
        ("patient", json!(site.patient)),
        ("intent", json!("review")),
        ("need_patient_banner", json!(false)),
        ("fhirContext", context),
    ] {
        assert_eq!(answer.body[name], value, "{name}");
    }
    let found = site.read(answer.text("access_token"), "Observation").await.body;
    assert_eq!(found["total"], 2, "{found}");
    let mut again = site.browser();
    let page = again.ask(&site.request("public", scope, &[("launch", handle)])).await;
    assert_eq!(page.sent("error"), "invalid_request", "used before");
}

/// security R33: A handle for an encounter alone is for the patient whose encounter it is, and for one whom the user sees.
/// security R34: patient and encounter come with the token.
async fn a_launch_in_an_encounter_is_about_its_patient(site: Site) {
    let stay = |subject: Value| {
        let mut stay = json!({"resourceType": "Encounter", "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}});
        if !subject.is_null() {
            stay["subject"] = json!({"reference": subject});
        }
        stay
    };
    let make = async |hospital: &str, subject: Value| {
        let number = if hospital == "lakeside" { "0001" } else { "0002" };
        let secret = format!("for-the-demo-on-loopback-only-{hospital}-ehr-{number}");
        let client = format!("{hospital}-ehr");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client.as_str()),
            ("client_secret", secret.as_str()),
            ("scope", "system/*.cruds"),
        ];
        let token = site.token("", &form).await.text("access_token").to_owned();
        let request = site.http.post(format!("{}/fhir/Encounter", site.root)).bearer_auth(token);
        let request = request.header("Content-Type", "application/fhir+json").body(stay(subject).to_string());
        let made = super::Answer::of(request.send().await.expect("an answer")).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("id").to_owned()
    };
    let of_patient = json!(format!("Patient/{}", site.patient));
    let encounter = make("lakeside", of_patient).await;
    let nobodys = make("lakeside", Value::Null).await;
    let elsewhere = make("northgate", Value::Null).await;
    let ehr = site.tokens("drew", "house", "openid user/*.rs").await;
    let ehr = ehr["access_token"].as_str().unwrap();
    for (what, body) in [
        ("of another patient", json!({"client_id": "public", "patient": site.other, "encounter": encounter})),
        ("of nobody", json!({"client_id": "public", "encounter": nobodys})),
        ("of another hospital", json!({"client_id": "public", "encounter": elsewhere})),
        ("unknown", json!({"client_id": "public", "encounter": "nobody"})),
    ] {
        assert_eq!(mint(&site, ehr, body).await.0, 400, "{what}");
    }
    let (status, made) = mint(&site, ehr, json!({"client_id": "public", "encounter": encounter})).await;
    assert_eq!(status, 201, "{made}");
    let handle = made["launch"].as_str().unwrap();
    let scope = "launch launch/encounter openid patient/Observation.rs";
    let mut browser = site.browser();
    let page = browser.ask(&site.request("public", scope, &[("launch", handle)])).await;
    let page = browser.sign_in(&page, "drew").await;
    assert!(page.html.contains("Haddad") && !page.html.contains("Choose"), "{}", page.html);
    let code = browser.allow(&page, &[]).await.sent("code");
    let answer = site.redeem("public", &code, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((&answer.body["patient"], &answer.body["encounter"]), (&json!(site.patient), &json!(encounter)));
}
