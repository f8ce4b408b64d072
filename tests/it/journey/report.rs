//! The hand-off report: who takes part reads it as document, page and PDF; a technician prepares, a pharmacist attests.

use super::discharge;
use crate::harness::TestServer;
use crate::harness::client::reference;
use serde_json::{Value, json};

both_databases!(a_technician_prepares_the_report_and_a_pharmacist_attests_it);
async fn a_technician_prepares_the_report_and_a_pharmacist_attests_it(server: TestServer) {
    let sample = discharge("04-duplicate-therapy", server.now());
    server.user(sample.hospital).post(&sample.bundle).await.ok();
    let everyone = server.everyone();
    let call = everyone.search("Task?code=first-call").await.remove(0);
    let encounter = call["encounter"]["reference"].as_str().expect("a stay").to_string();
    let path = format!("{encounter}/$handoff-report");
    let (technician, pharmacist) = (server.technician(), server.pharmacist());
    technician.read(&path).await.is(404);
    server.pharmacy().operation(&format!("{}/$claim", reference(&call)), &Value::Null, Some("1")).await.ok();

    // As a document, a page, a PDF, and the patient's own list.
    let document = technician.read(&path).await.ok().body;
    assert_eq!((&document["resourceType"], &document["type"]), (&json!("Bundle"), &json!("document")));
    assert_eq!(document["entry"][0]["resource"]["status"], "preliminary");
    let again = technician.read(&path).await.ok();
    assert_eq!(again.body, document, "the same list gives the same document");
    let browser = [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    let page = technician.send("GET", &path, "", &browser).await.ok();
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let text = String::from_utf8(page.bytes.clone()).expect("UTF-8");
    assert!(text.contains("Haddad") && text.contains("which one is meant?"), "{text}");
    let pdf = technician.send("GET", &path, "", &[("Accept", "application/pdf")]).await.ok();
    assert!(pdf.header("content-type") == "application/pdf" && pdf.bytes.starts_with(b"%PDF-"));
    let list = technician.read(&format!("{path}?audience=patient&language=es")).await.ok();
    let text = String::from_utf8(list.bytes.clone()).expect("UTF-8");
    assert!(text.contains("Mis medicinas") && text.contains("clopidogrel 75 mg"), "{text}");
    assert!(
        text.contains("metoprolol 100 mg") && text.contains("metoprolol 25 mg"),
        "what is there twice is shown twice: {text}"
    );

    // Prepared, attested, and attested no more once the list has changed.
    let attest = json!({"resourceType": "Parameters", "parameter": [{"name": "attest", "valueBoolean": true}]});
    let prepared = technician.operation(&path, &Value::Null, None).await.ok().body;
    assert_eq!(prepared["entry"][0]["resource"]["author"][0]["reference"], "Practitioner/mara-lind");
    technician.operation(&path, &attest, None).await.refuses(403, "forbidden", "Composition.attester");
    let attested = pharmacist.operation(&path, &attest, None).await.ok().body;
    let composition = &attested["entry"][0]["resource"];
    assert_eq!(composition["status"], "final");
    assert_eq!(composition["attester"][0]["mode"], "professional");
    let hospital = server.user(sample.hospital).read(&path).await.ok().body;
    assert_eq!(hospital["entry"][0]["resource"]["status"], "final", "the hospital sees who attested");
    // What was attested stays, whoever asks for the report anew; the same attestation adds nothing.
    technician.operation(&path, &Value::Null, None).await.ok();
    let stored = async || {
        let mut found = everyone.search("Composition").await;
        assert_eq!(found.len(), 1);
        let c = found.remove(0);
        (c["status"].clone(), c["attester"][0]["party"]["reference"].clone(), c["meta"]["versionId"].clone())
    };
    let signed = stored().await;
    assert_eq!((signed.0.clone(), signed.1.clone()), (json!("final"), json!("Practitioner/jonas-adler")));
    pharmacist.operation(&path, &attest, None).await.ok();
    assert_eq!(stored().await, signed);
    let mut order = everyone
        .search(&format!(
            "MedicationRequest?patient={}&category=discharge",
            call["for"]["reference"].as_str().expect("a patient")
        ))
        .await
        .remove(0);
    order["status"] = "cancelled".into();
    everyone.update(&order).await.ok();
    let changed = pharmacist.read(&path).await.ok().body;
    assert_eq!(changed["entry"][0]["resource"]["status"], "preliminary");
    technician.operation(&path, &Value::Null, None).await.ok();
    assert_eq!(stored().await, signed, "it says what was attested, until somebody attests what is now");
    let anew = pharmacist.operation(&path, &attest, None).await.ok().body;
    assert_eq!(anew["entry"][0]["resource"]["status"], "amended");
    assert_eq!(stored().await.0, "amended");

    // Who takes no part learns nothing; what is not there is said.
    server.hospital().read(&path).await.is(404);
    technician.read(&format!("{path}?audience=nobody")).await.is(400);
    technician.read(&format!("{path}?x=1")).await.is(400);
    technician.send("GET", &path, "", &[("Accept", "application/fhir+xml")]).await.is(406);
    let wrong = json!({"resourceType": "Parameters", "parameter": [{"name": "attest", "valueString": "yes"}]});
    pharmacist.operation(&path, &wrong, None).await.is(400);
}
