//! What scopes let through: by choice of the user, by patient, by category.

use super::{Site, both_databases_with_site, observation};
use serde_json::{Value, json};

both_databases_with_site!(
    a_user_grants_a_part,
    a_user_grants_only_some_kinds,
    patient_scopes_reach_one_patient,
    granular_scopes_hold_on_every_path,
    v1_scopes_come_back_as_they_were_asked,
    long_scopes_stand_in_the_grant,
    each_entry_of_a_bundle_is_judged_by_itself,
);

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

fn token(body: &Value) -> &str {
    body["access_token"].as_str().expect("a token")
}

/// security R17: A user takes away what an app does not need; `scope` says what was left, other types are 403.
/// security R28: A scope never adds a right: what is not registered, or not the role's, is not granted.
async fn a_user_grants_a_part(site: Site) {
    let mut browser = site.browser();
    let asked =
        "launch/patient openid offline_access patient/Observation.rs patient/Condition.rs patient/DetectedIssue.rs";
    let page = browser.ask(&site.request("public", asked, &[])).await;
    let page = browser.sign_in(&page, "amira").await;
    assert!(page.html.contains("See diagnoses and health problems of this patient"), "{}", page.html);
    assert!(!page.html.contains("patient/DetectedIssue.rs"), "R28: a patient's role has no problems");
    let condition = page.box_of("patient/Condition.rs");
    let code = browser.allow(&page, &[&condition, "offline_access"]).await.sent("code");
    let answer = site.redeem("public", &code, &[]).await;
    assert_eq!(answer.text("scope"), "patient/Observation.rs launch/patient openid");
    assert!(answer.body.get("refresh_token").is_none());
    assert_eq!(site.read(answer.text("access_token"), "Observation").await.status, 200);
    assert_eq!(site.read(answer.text("access_token"), "Condition").await.status, 403);
    // beyond the registration
    let small = site
        .tokens("amira", "small", "launch/patient openid offline_access patient/Observation.rs patient/Patient.rs")
        .await;
    assert_eq!(small["scope"], "patient/Observation.rs launch/patient openid");
}

/// security R17: In place of all observations a user grants vital signs, and only those come.
async fn a_user_grants_only_some_kinds(site: Site) {
    let mut browser = site.browser();
    let page = browser.ask(&site.request("public", "launch/patient patient/Observation.rs", &[])).await;
    let page = browser.sign_in(&page, "amira").await;
    let code = browser.allow(&page, &["+d0k0"]).await.sent("code");
    let answer = site.redeem("public", &code, &[]).await;
    assert_eq!(answer.text("scope"), format!("patient/Observation.rs?category={CATEGORY}|vital-signs launch/patient"));
    let found = site.read(answer.text("access_token"), "Observation").await.body;
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["entry"][0]["resource"]["code"]["text"], "vital-signs");
}

/// security R32: A token with patient/ scopes sees the patient in context and nobody else, on every path.
async fn patient_scopes_reach_one_patient(site: Site) {
    let whole = site.tokens("drew", "public", "launch/patient user/*.rs").await;
    let all = site.read(token(&whole), "Observation").await.body;
    assert_eq!(all["entry"].as_array().map(Vec::len), Some(4), "user/ scopes see all that the user does: {all}");
    let others: Vec<String> = all["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["resource"])
        .filter(|r| r["subject"]["reference"] == format!("Patient/{}", site.other))
        .map(|r| r["id"].as_str().unwrap().to_owned())
        .collect();
    for (user, body) in [
        ("drew", site.tokens("drew", "public", "launch/patient patient/*.rs").await),
        ("amira", site.tokens("amira", "public", "launch/patient patient/*.rs user/*.rs").await),
    ] {
        let token = token(&body);
        assert_eq!(body["patient"], site.patient);
        assert_eq!(site.read(token, &format!("Patient/{}", site.patient)).await.status, 200, "{user}");
        for path in [
            format!("Patient/{}", site.other),
            format!("Patient/{}/_history", site.other),
            format!("Patient/{}/_history/1", site.other),
            format!("Observation/{}", others[0]),
            format!("Observation/{}/_history/1", others[0]),
            format!("Patient/{}/$everything", site.other),
            format!("Patient/{}/Observation", site.other),
        ] {
            let answer = site.read(token, &path).await;
            assert_eq!(answer.status, 404, "{user} {path}: {}", answer.body);
        }
        for (path, total) in [
            ("Observation".to_owned(), 2),
            ("Observation?_summary=count".to_owned(), 2),
            (format!("Observation?subject=Patient/{}", site.other), 0),
            ("Observation?subject:Patient.name=Other".to_owned(), 0),
            ("Observation?subject:Patient.name=Haddad".to_owned(), 2),
            ("Patient?_has:Observation:subject:category=laboratory".to_owned(), 1),
            (format!("Observation?_id={}", others[0]), 0),
            ("?_type=Patient,Observation".to_owned(), 3),
        ] {
            let body = site.read(token, &path).await.body;
            assert_eq!(body["total"], total, "{user} {path}: {body}");
        }
        let history = site.read(token, "Observation/_history").await.body;
        assert!(!history.to_string().contains(&site.other), "{user}: {history}");
    }
}

/// security R27: Granular scopes hold on read, vread, history, search, count, include, chain and write, both versions.
/// security leak 8: A narrowed token sees an old version only where it sees the newest as well.
async fn granular_scopes_hold_on_every_path(site: Site) {
    let whole = site.tokens("drew", "public", "launch/patient user/*.rs").await;
    let all = site.read(token(&whole), &format!("Observation?patient={}", site.patient)).await.body;
    let id = |category: &str| {
        let found = all["entry"].as_array().unwrap().iter().find(|e| e["resource"]["code"]["text"] == category);
        found.unwrap()["resource"]["id"].as_str().unwrap().to_owned()
    };
    let (vital, lab) = (id("vital-signs"), id("laboratory"));
    let scope = format!("launch/patient patient/Patient.rs patient/Observation.rs?category={CATEGORY}|vital-signs");
    for user in ["drew", "amira"] {
        let body = site.tokens(user, "public", &scope).await;
        let token = token(&body);
        for (path, status) in [
            (format!("Observation/{vital}"), 200),
            (format!("Observation/{lab}"), 404),
            (format!("Observation/{vital}/_history/1"), 200),
            (format!("Observation/{lab}/_history/1"), 404),
            (format!("Observation/{lab}/_history"), 404),
        ] {
            let answer = site.read(token, &path).await;
            assert_eq!(answer.status, status, "{user} {path}: {}", answer.body);
        }
        for (path, total) in [
            ("Observation", 1),
            ("Observation?_summary=count", 1),
            ("Observation?category=laboratory", 0),
            ("Observation?category:not=vital-signs", 0),
            ("Patient?_has:Observation:subject:category=laboratory", 0),
            ("Patient?_has:Observation:subject:category=vital-signs", 1),
        ] {
            let body = site.read(token, path).await.body;
            assert_eq!(body["total"], total, "{user} {path}: {body}");
        }
        let page = site.read(token, "Patient?_revinclude=Observation:subject").await.body.to_string();
        assert!(page.contains(&vital) && !page.contains(&lab), "{user}: {page}");
        let everything = site.read(token, &format!("Patient/{}/$everything", site.patient)).await.body.to_string();
        assert!(!everything.contains(&lab), "{user}: {everything}");
    }
    // a program writes within its scope only: what was there, and what is to be
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "lakeside-ehr"),
        ("client_secret", "for-the-demo-on-loopback-only-lakeside-ehr-0001"),
        ("scope", "system/Patient.rs system/Observation.cruds?category=vital-signs"),
    ];
    let answer = site.token("", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.text("access_token").to_owned();
    let write = async |method: reqwest::Method, path: &str, body: Value| {
        let request = site.http.request(method, format!("{}/fhir/{path}", site.root)).bearer_auth(&token);
        let answer =
            request.header("Content-Type", "application/fhir+json").body(body.to_string()).send().await.unwrap();
        answer.status().as_u16()
    };
    use reqwest::Method;
    assert_eq!(write(Method::POST, "Observation", observation(&site.patient, "vital-signs")).await, 201);
    assert_eq!(write(Method::POST, "Observation", observation(&site.patient, "laboratory")).await, 403);
    let with_id = |id: &str, category: &str| {
        let mut body = observation(&site.patient, category);
        body["id"] = json!(id);
        body
    };
    assert_eq!(write(Method::PUT, &format!("Observation/{vital}"), with_id(&vital, "vital-signs")).await, 200);
    assert_eq!(write(Method::PUT, &format!("Observation/{vital}"), with_id(&vital, "laboratory")).await, 403);
    assert_eq!(write(Method::PUT, &format!("Observation/{lab}"), with_id(&lab, "vital-signs")).await, 404);
    an_old_version_is_judged_with_the_newest(&site, &vital, &lab).await;
}

async fn an_old_version_is_judged_with_the_newest(site: &Site, vital: &str, lab: &str) {
    let secret = "for-the-demo-on-loopback-only-lakeside-ehr-0001";
    let ask = async |scope: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "lakeside-ehr"),
            ("client_secret", secret),
            ("scope", scope),
        ];
        site.token("", &form).await.text("access_token").to_owned()
    };
    let (whole, narrow) = (ask("system/*.cruds").await, ask("system/Observation.rs?category=vital-signs").await);
    let put = async |id: &str, category: &str| {
        let mut body = observation(&site.patient, category);
        body["id"] = json!(id);
        let request = site.http.put(format!("{}/fhir/Observation/{id}", site.root)).bearer_auth(&whole);
        let request = request.header("Content-Type", "application/fhir+json").body(body.to_string());
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200, "{id}");
    };
    // what was a vital sign is a laboratory value now, and the other way round
    put(vital, "laboratory").await;
    put(lab, "vital-signs").await;
    for (path, by_all, by_narrow) in [
        (format!("Observation/{vital}/_history/1"), 200, 404),
        (format!("Observation/{vital}/_history/3"), 200, 404),
        (format!("Observation/{vital}/_history"), 200, 404),
        (format!("Observation/{lab}/_history/1"), 200, 404),
        (format!("Observation/{lab}/_history/2"), 200, 200),
    ] {
        assert_eq!(site.read(&whole, &path).await.status, by_all, "{path}");
        assert_eq!(site.read(&narrow, &path).await.status, by_narrow, "{path}");
    }
    assert_eq!(site.read(&narrow, &format!("Observation/{lab}/_history")).await.body["total"], 1);
    let path = "Observation/_history?_count=200";
    let (all, some) = (site.read(&whole, path).await.body.to_string(), site.read(&narrow, path).await.body.to_string());
    assert!(all.contains(vital) && !some.contains(vital) && some.contains(lab), "{some}");
}

/// security R24: Scopes of v1 come back as v1, scopes of v2 as v2.
async fn v1_scopes_come_back_as_they_were_asked(site: Site) {
    let body = site.tokens("amira", "public", "launch/patient patient/Observation.read patient/Patient.rs").await;
    assert_eq!(body["scope"], "patient/Observation.read patient/Patient.rs launch/patient");
    assert_eq!(site.read(token(&body), "Observation").await.status, 200);
}

/// security R31: Scopes over 1 kB stand in the grant; the token stays short, and they hold all the same.
async fn long_scopes_stand_in_the_grant(site: Site) {
    let all = "AllergyIntolerance CarePlan CareTeam Composition Condition Consent Coverage DeviceRequest DiagnosticReport DocumentReference \
        Encounter EpisodeOfCare FamilyMemberHistory Flag Goal Immunization List Media MedicationAdministration MedicationDispense \
        MedicationRequest MedicationStatement Observation Patient Procedure QuestionnaireResponse RelatedPerson RiskAssessment \
        ServiceRequest Specimen SupplyRequest VisionPrescription";
    let scopes: Vec<String> = all.split_whitespace().map(|t| format!("patient/{t}.rs user/{t}.r")).collect();
    let body = site.tokens("amira", "secret", &format!("launch/patient {}", scopes.join(" "))).await;
    let granted = body["scope"].as_str().unwrap();
    assert!(granted.len() > 1_024 && token(&body).len() < 1_200, "{} {}", granted.len(), token(&body).len());
    assert_eq!(site.read(token(&body), "Observation").await.status, 200);
    assert_eq!(site.read(token(&body), "Account").await.status, 403);
    let seen = site.post("/auth/introspect", "secret", &[("token", token(&body))]).await;
    assert_eq!(seen.body["scope"], granted);
}

/// security R26: Each entry is judged by the scopes of its own interaction, and one that is refused refuses the transaction; of a batch it is
/// refused alone, whatever it asks.
async fn each_entry_of_a_bundle_is_judged_by_itself(site: Site) {
    let form = "grant_type=client_credentials&scope=system/Patient.crs";
    let secret = "for-the-demo-on-loopback-only-lakeside-ehr-0001";
    let request = site.http.post(format!("{}/auth/token", site.root)).basic_auth("lakeside-ehr", Some(secret));
    let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);
    let token = super::Answer::of(request.send().await.unwrap()).await.text("access_token").to_owned();
    let send = async |kind: &str, entries: Vec<Value>| {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
        let request = site.http.post(format!("{}/fhir", site.root)).bearer_auth(&token);
        let request = request.header("Content-Type", "application/fhir+json").body(bundle.to_string());
        super::Answer::of(request.send().await.unwrap()).await
    };
    let write = |resource: Value| {
        let url = resource["resourceType"].clone();
        json!({"resource": resource, "request": {"method": "POST", "url": url}})
    };
    let read = |url: &str| json!({"request": {"method": "GET", "url": url}});
    let patient = |name: &str| write(json!({"resourceType": "Patient", "name": [{"family": name}]}));
    let other = || write(observation(&site.patient, "laboratory"));
    let table = [
        vec![patient("Entry"), other()],
        vec![other(), patient("Entry")],
        vec![patient("Entry"), read("Observation")],
        vec![patient("Entry"), json!({"request": {"method": "DELETE", "url": format!("Patient/{}", site.patient)}})],
    ];
    for entries in table {
        let what = json!(entries).to_string();
        let answer = send("transaction", entries).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
        assert_eq!(site.read(&token, "Patient?family=Entry&_summary=count").await.body["total"], 0, "{what}");
    }

    // A batch: each entry for itself, in every place, by every method; what the scopes let through is done.
    let own = format!("Patient/{}", site.patient);
    let with = |method: &str, url: &str, resource: Value| {
        let mut entry = json!({"request": {"method": method, "url": url}});
        if !resource.is_null() {
            entry["resource"] = resource;
        }
        entry
    };
    let me = json!({"resourceType": "Patient", "id": site.patient, "name": [{"family": "Changed"}]});
    let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.birthDate"}]}]});
    let mut conditional = patient("Entry");
    conditional["request"]["ifNoneExist"] = json!("family=Entry");
    let entries = [
        (other(), "403"),
        (patient("Entry"), "201"),
        (read("Observation"), "403"),
        (read(&own), "200"),
        (read(&format!("{own}/_history")), "200"),
        (read(&format!("{own}/$everything")), "200"),
        (read("Patient?_has:Observation:subject:category=laboratory"), "403"),
        (read("Patient?_revinclude=Observation:subject"), "403"),
        (conditional, "200"),
        (with("PUT", &own, me.clone()), "403"),
        (with("PUT", "Patient?family=Entry", json!({"resourceType": "Patient", "name": [{"family": "Entry"}]})), "403"),
        (with("PATCH", &own, patch), "403"),
        (with("DELETE", &own, Value::Null), "403"),
        (with("DELETE", "Patient?family=Entry", Value::Null), "403"),
        (with("POST", &format!("{own}/$break-glass"), json!({"resourceType": "Parameters"})), "403"),
        (read("metadata"), "200"),
        (read("_history"), "403"),
        (patient("Entry"), "201"),
    ];
    let answer = send("batch", entries.iter().map(|(entry, _)| entry.clone()).collect()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answers = answer.body["entry"].as_array().expect("entries");
    assert_eq!(answers.len(), entries.len());
    for ((entry, status), answer) in entries.iter().zip(answers) {
        let said = answer["response"]["status"].as_str().unwrap_or_default();
        assert!(said.starts_with(status), "{entry}: {answer}");
        if *status == "403" {
            assert_eq!(answer["response"]["outcome"]["issue"][0]["code"], "forbidden", "{answer}");
        }
    }
    let shown = answer.body.to_string();
    assert!(
        !shown.contains("laboratory") && !shown.contains("valueString"),
        "nothing of a type without scope: {shown}"
    );
    assert_eq!(site.read(&token, "Patient?family=Entry&_summary=count").await.body["total"], 2);
    assert_eq!(site.read(&token, "Patient?family=Changed&_summary=count").await.body["total"], 0);
}
