//! What a token does not cover, no other door gives: operations that write, references that search, answers that show.

use super::{Answer, Site, both_databases_with_site};
use serde_json::{Value, json};

both_databases_with_site!(what_a_token_does_not_cover_no_door_gives,);

const JSON_PATCH: &str = "application/json-patch+json";

/// A token of Lakeside's EHR.
async fn token(site: &Site, scope: &str) -> String {
    let secret = "for-the-demo-on-loopback-only-lakeside-ehr-0001";
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "lakeside-ehr"),
        ("client_secret", secret),
        ("scope", scope),
    ];
    site.token("", &form).await.text("access_token").to_owned()
}

async fn send(site: &Site, token: &str, method: &str, path: &str, media: &str, body: &Value) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
    let request = site.http.request(method, format!("{}/fhir/{path}", site.root)).bearer_auth(token);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Answer::of(request.header("Content-Type", media).body(body).send().await.expect("an answer")).await
}

/// security R25: An operation needs the scopes of all that it writes, a conditional reference those of a search, a patch that asks those of a
/// read; a write shows nothing to who may not read it.
/// security R39: A program takes its own token back: it is over at once, and nobody else's is.
/// security R28: No operation adds a right that the token has not.
/// security A56: `test` is no oracle: it needs the right to read.
/// security leak 12: An answer to a write shows nothing to who may not read it.
async fn what_a_token_does_not_cover_no_door_gives(site: Site) {
    let whole = token(&site, "system/*.cruds").await;
    let fhir = "application/fhir+json";
    let sample = crate::journey::discharge("01-polypharmacy", site.server.now());
    assert_eq!(sample.hospital, "lakeside-ehr");
    let sent = send(&site, &whole, "POST", "", fhir, &sample.bundle).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    let tasks = site.read(&whole, "Task?code=first-call").await.body;
    let stay = tasks["entry"][0]["resource"]["encounter"]["reference"].as_str().expect("a stay").to_owned();
    operations(&site, &whole, &stay).await;
    references(&site).await;
    answers(&site).await;
    revoked(&site).await;
}

/// A program takes its own token back.
async fn revoked(site: &Site) {
    let (first, second) = (token(site, "system/Patient.rs").await, token(site, "system/Patient.rs").await);
    let secret = "for-the-demo-on-loopback-only-lakeside-ehr-0001";
    let as_ehr = |token| [("client_id", "lakeside-ehr"), ("client_secret", secret), ("token", token)];
    assert_eq!(site.post("/auth/revoke", "secret", &[("token", &first)]).await.status, 200);
    assert_eq!(site.read(&first, "Patient").await.status, 200, "another client ends nothing");
    assert_eq!(site.post("/auth/revoke", "", &as_ehr(&first)).await.status, 200);
    assert_eq!(site.read(&first, "Patient").await.status, 401);
    let seen = site.post("/auth/introspect", "", &as_ehr(&first)).await;
    assert_eq!(seen.body, json!({"active": false}));
    assert_eq!(site.read(&second, "Patient").await.status, 200);
}

/// Operations that write.
async fn operations(site: &Site, whole: &str, stay: &str) {
    let fhir = "application/fhir+json";
    let parameter =
        |name: &str| json!({"resourceType": "Parameters", "parameter": [{"name": name, "valueBoolean": true}]});
    let count = async |rtype: &str| {
        let body = site.read(whole, &format!("{rtype}?_summary=count")).await.body;
        body["total"].as_u64().expect("a total")
    };
    let drew = async |more: &str| {
        let scope = format!("user/Encounter.rs user/List.rs user/DetectedIssue.rs {more}");
        site.tokens("drew", "public", scope.trim()).await["access_token"].as_str().expect("a token").to_owned()
    };
    let (reads, prepares) = (drew("user/Composition.rs").await, drew("user/Composition.cru").await);
    let attests = drew("user/Composition.cru user/Procedure.cr").await;
    let (report, attest) = (format!("{stay}/$handoff-report"), parameter("attest"));
    for (who, token, path, body, status) in [
        ("reads", &reads, report.as_str(), Value::Null, 403),
        ("reads", &reads, &report, attest.clone(), 403),
        ("reads", &reads, &format!("{stay}/$reconcile"), Value::Null, 403),
        ("reads", &reads, &format!("{stay}/$reconcile"), parameter("preview"), 200),
        ("reads", &reads, &format!("{stay}/$screen"), Value::Null, 403),
        ("reads", &reads, &format!("{stay}/$screen"), parameter("preview"), 200),
        ("prepares", &prepares, &report, attest.clone(), 403),
    ] {
        let answer = send(site, token, "POST", path, fhir, &body).await;
        assert_eq!(answer.status, status, "{who} {path} {body}: {}", answer.body);
        if status == 403 {
            assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{who} {path}");
        }
    }
    let entry = json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "POST", "url": report}}]});
    assert_eq!(send(site, &reads, "POST", "", fhir, &entry).await.status, 403, "an entry is judged like a call");
    assert_eq!(site.read(&reads, &report).await.status, 200, "reading needs no more than reading");
    assert_eq!((count("Composition").await, count("Procedure").await), (0, 0), "nothing of it was stored");
    let status = async || site.read(whole, "Composition").await.body["entry"][0]["resource"]["status"].clone();
    assert_eq!(send(site, &prepares, "POST", &report, fhir, &Value::Null).await.status, 200);
    assert_eq!(status().await, "preliminary");
    assert_eq!(send(site, &attests, "POST", &report, fhir, &attest).await.status, 200);
    assert_eq!(send(site, &prepares, "POST", &report, fhir, &Value::Null).await.status, 200);
    assert_eq!((status().await, count("Procedure").await), (json!("final"), 1), "what was attested stays so");
}

/// References by criteria.
async fn references(site: &Site) {
    let blind = token(site, "system/Observation.c system/Patient.cr").await;
    let fhir = "application/fhir+json";
    for criteria in ["name=Haddad", "name=Nobody", "birthdate=1950-01-02"] {
        let mut seen = super::observation(&site.patient, "laboratory");
        seen["subject"]["reference"] = format!("Patient?{criteria}").into();
        let entry = json!({"resource": seen, "request": {"method": "POST", "url": "Observation"}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        for (path, body) in [("Observation", &seen), ("", &bundle)] {
            let answer = send(site, &blind, "POST", path, fhir, body).await;
            assert_eq!(answer.status, 403, "{criteria} {path}: {}", answer.body);
        }
    }
    let seeing = token(site, "system/Observation.c system/Patient.s").await;
    let mut seen = super::observation(&site.patient, "laboratory");
    seen["subject"]["reference"] = format!("Patient?_id={}", site.patient).into();
    assert_eq!(send(site, &seeing, "POST", "Observation", fhir, &seen).await.status, 201);
}

/// What writes show, and what patches find out.
async fn answers(site: &Site) {
    let (blind, seeing) = (token(site, "system/Patient.u").await, token(site, "system/Patient.ru").await);
    let (path, fhir) = (format!("Patient/{}", site.patient), "application/fhir+json");
    let fhirpath = |path: &str| {
        json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": path}, {"name": "value", "valueBoolean": true}]}]})
    };
    let plain = json!([{"op": "add", "path": "/active", "value": true}]);
    let whole = json!({"resourceType": "Patient", "id": site.patient, "active": true, "birthDate": "1950-01-02"});
    for (method, media, body, seen) in [
        ("PATCH", JSON_PATCH, json!([{"op": "test", "path": "/birthDate", "value": "1950-01-02"}]), 403),
        ("PATCH", JSON_PATCH, json!([{"op": "test", "path": "/birthDate", "value": "1950-01-03"}]), 403),
        ("PATCH", JSON_PATCH, json!([{"op": "copy", "from": "/birthDate", "path": "/language"}]), 403),
        ("PATCH", fhir, fhirpath("Patient.where(birthDate = @1950-01-02).active"), 403),
        ("PATCH", JSON_PATCH, plain.clone(), 200),
        ("PATCH", fhir, fhirpath("Patient.active"), 200),
        ("PUT", fhir, whole.clone(), 200),
    ] {
        let entry = json!({"fullUrl": format!("{}/fhir/{path}", site.root), "resource": body, "request": {"method": method, "url": path}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        let answer = send(site, &blind, method, &path, media, &body).await;
        assert_eq!(answer.status, seen, "{method} {body}: {}", answer.body);
        assert!(seen == 403 || answer.body.is_null(), "{method} {body} shows {}", answer.body);
        if media == fhir {
            let request =
                site.http.post(format!("{}/fhir", site.root)).bearer_auth(&blind).header("Content-Type", fhir);
            let request = request.header("Prefer", "return=representation").body(bundle.to_string());
            let answer = Answer::of(request.send().await.expect("an answer")).await;
            assert_eq!(answer.status, seen, "{method} {body}: {}", answer.body);
            assert!(!answer.body.to_string().contains("1950-01-02"), "{method} {body} shows {}", answer.body);
        }
    }
    assert_eq!(site.read(&blind, &path).await.status, 403);
    for (media, body) in
        [(JSON_PATCH, json!([{"op": "test", "path": "/birthDate", "value": "1950-01-02"}])), (JSON_PATCH, plain)]
    {
        let answer = send(site, &seeing, "PATCH", &path, media, &body).await;
        assert_eq!((answer.status, answer.body["birthDate"].as_str()), (200, Some("1950-01-02")), "{body}");
    }
}
