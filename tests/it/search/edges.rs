//! The five corners of search where servers differ, as tables over a real server: (query, ids that must match, section of
//! <https://hl7.org/fhir/R4/search.html>). The first row of each is a positive control. `search::agree` compares the same rules
//! with a brute-force oracle over random resources.

use super::rules::{condition, fill, table};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(
    edge_08_dates_are_intervals_and_each_prefix_means_its_own,
    edge_09_not_missing_and_or_and_escapes,
    edge_10_a_token_without_a_bar_with_one_and_with_both,
    edge_11_a_reference_by_id_by_type_by_url_and_never_by_a_prefix_of_an_id,
    edge_12_strings_fold_numbers_have_the_precision_that_is_written_units_convert,
);

fn seen(id: &str, change: Value) -> Value {
    let mut r = json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}});
    for (name, value) in change.as_object().unwrap() {
        r[name] = value.clone();
    }
    r
}

/// R4 search.html#date: A date is an interval as wide as its precision; without prefix it must contain the value's.
/// R4 search.html#prefix: The nine prefixes compare intervals: dates, instants, Periods, open ones, Timings.
/// R4 search.html#errors: What is no date is 400.
async fn edge_08_dates_are_intervals_and_each_prefix_means_its_own(server: TestServer) {
    let client = server.everyone();
    fill(
        &client,
        &[
            seen("day", json!({"effectiveDateTime": "2024-01-15"})),
            seen("instant", json!({"effectiveInstant": "2024-01-15T10:00:00Z"})),
            seen("open", json!({"effectivePeriod": {"start": "2024-02-01"}})),
            seen("period", json!({"effectivePeriod": {"start": "2024-01-10", "end": "2024-01-20"}})),
            seen("timing", json!({"effectiveTiming": {"event": ["2024-01-15"]}})),
            seen("year", json!({"effectiveDateTime": "2024"})),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Observation?date=2024-01", "day instant period timing", "date"),
            ("Observation?date=eq2024-01-15", "day instant timing", "prefix"),
            ("Observation?date=ne2024-01", "open year", "prefix"),
            ("Observation?date=gt2024-01-15", "open period year", "prefix"),
            ("Observation?date=lt2024-01-15", "period year", "prefix"),
            ("Observation?date=ge2024-01-15", "day instant open period timing year", "prefix"),
            ("Observation?date=le2024-01-15", "day instant period timing year", "prefix"),
            ("Observation?date=sa2024-01-15", "open", "prefix"),
            ("Observation?date=sa2024-01-09", "day instant open period timing", "prefix"),
            ("Observation?date=eb2024-01-16", "day instant timing", "prefix"),
            ("Observation?date=eb2025", "day instant period timing year", "prefix"),
            ("Observation?date=2024-01-15T10:00:00Z", "instant", "date"),
            ("Observation?date=2024-01-15T12:00:00%2B02:00", "instant", "date"),
            ("Observation?date=2016-12-31T23:59:60Z", "", "date"),
            (
                "Observation?date=ge2024-01-10&date=le2024-01-20&date=eb2024-01-21",
                "day instant period timing",
                "combining",
            ),
        ],
    )
    .await;
    let near = client.search("Observation?date=ap2024-01-15").await;
    assert!(["day", "period"].iter().all(|id| near.iter().any(|r| r["id"] == *id)), "{near:?}");
    for wrong in ["2024-02-30", "2024-13", "yesterday", "gt"] {
        client.read(&format!("Observation?date={wrong}")).await.refuses(400, "invalid", "");
    }
    assert!(client.read("Observation?date=2024-01-14T24:00:00Z").await.status < 500);
}

/// R4 search.html#modifiers: `:not` finds resources without a value, too; of several values none may be it.
/// R4 search.html#modifiers: `:missing=true` and `false`.
/// R4 search.html#combining: Repeated parameters are and, commas are or.
/// R4 search.html#escaping: `\,` `\|` `\$` `\\` stand for the signs.
async fn edge_09_not_missing_and_or_and_escapes(server: TestServer) {
    let client = server.everyone();
    let patient = |id: &str, gender: Value| {
        let mut r = json!({"resourceType": "Patient", "id": id, "identifier": [{"value": format!("{id},a|b$c\\d")}]});
        if !gender.is_null() {
            r["gender"] = gender;
        }
        r
    };
    fill(
        &client,
        &[
            patient("f", "female".into()),
            patient("m", "male".into()),
            patient("n", Value::Null),
            condition("ab", &[("http://s", "a"), ("http://s", "b")]),
            condition("c", &[("http://s", "c")]),
            condition("none", &[]),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Patient?gender=female", "f", "token"),
            ("Patient?gender:not=female", "m n", "modifiers"),
            ("Patient?gender:not=female,male", "n", "modifiers"),
            ("Patient?gender:missing=true", "n", "modifiers"),
            ("Patient?gender:missing=false", "f m", "modifiers"),
            ("Condition?code:not=http://s|a", "c none", "modifiers"),
            ("Condition?code=a&code=b", "ab", "combining"),
            ("Condition?code=a&code=c", "", "combining"),
            ("Condition?code=a,c", "ab c", "combining"),
            ("Condition?code:missing=true", "none", "modifiers"),
            (r"Patient?identifier=f\,a\|b\$c\\d", "f", "escaping"),
            (r"Patient?identifier=f\,a\|b\$c\\d,m\,a\|b\$c\\d", "f m", "escaping"),
        ],
    )
    .await;
}

/// R4 search.html#token: `code`, `|code`, `system|` and `system|code` are four things; identifiers, booleans and
/// contact points among them.
/// R4 search.html#token: `:of-type` finds an identifier by its type and value.
async fn edge_10_a_token_without_a_bar_with_one_and_with_both(server: TestServer) {
    let client = server.everyone();
    let mut plain = condition("plain", &[]);
    plain["code"] = json!({"coding": [{"code": "c"}]});
    let kind = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]});
    fill(
        &client,
        &[
            condition("mine", &[("http://s", "c")]),
            condition("other", &[("http://t", "c")]),
            plain,
            json!({"resourceType": "Patient", "id": "p", "active": true, "telecom": [{"system": "phone", "value": "5551"}],
                "identifier": [{"type": kind, "system": "http://i", "value": "44"}]}),
            json!({"resourceType": "Patient", "id": "q", "active": false, "telecom": [{"system": "email", "value": "5551"}],
                "identifier": [{"value": "44"}]}),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Condition?code=c", "mine other plain", "token"),
            ("Condition?code=|c", "plain", "token"),
            ("Condition?code=http://s|", "mine", "token"),
            ("Condition?code=http://s|c", "mine", "token"),
            ("Condition?code=http://s|d", "", "token"),
            ("Patient?identifier=44", "p q", "token"),
            ("Patient?identifier=|44", "q", "token"),
            ("Patient?identifier=http://i|44", "p", "token"),
            ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|44", "p", "token"),
            ("Patient?active=true", "p", "token"),
            ("Patient?phone=5551", "p", "token"),
            ("Patient?telecom=5551", "p q", "token"),
        ],
    )
    .await;
}

/// R4 search.html#reference: By id, `Type/id`, URL of this server, of another, `:Type`; never by a part of an id.
/// R4 search.html#reference: `:identifier` finds logical references; canonicals match with and without version.
async fn edge_11_a_reference_by_id_by_type_by_url_and_never_by_a_prefix_of_an_id(server: TestServer) {
    let client = server.everyone();
    let of = |id: &str, reference: &str| seen(id, json!({"subject": {"reference": reference}}));
    let mut all: Vec<Value> =
        ["X", "X1", "X-1"].map(|id| json!({"resourceType": "Patient", "id": id, "active": true})).into();
    all.extend([
        of("x", "Patient/X"),
        of("x1", "Patient/X1"),
        of("x-1", &format!("{}/Patient/X-1", server.base)),
        of("device", "Device/X"),
        of("far", "http://elsewhere.example/fhir/Patient/X"),
        seen("logical", json!({"subject": {"identifier": {"system": "http://i", "value": "7"}}})),
        json!({"resourceType": "QuestionnaireResponse", "id": "r1", "status": "completed", "questionnaire": "http://q.example/q|1"}),
        json!({"resourceType": "QuestionnaireResponse", "id": "r2", "status": "completed", "questionnaire": "http://q.example/q|2"}),
    ]);
    fill(&client, &all).await;
    let own = format!("Observation?subject={}/Patient/X", server.base);
    let own_1 = format!("Observation?subject={}/Patient/X-1", server.base);
    table(
        &client,
        &[
            ("Observation?subject=Patient/X", "x", "reference"),
            ("Observation?subject=X", "device x", "reference"),
            (own.as_str(), "x", "reference"),
            (own_1.as_str(), "x-1", "reference"),
            ("Observation?subject=Patient/X-1", "x-1", "reference"),
            ("Observation?subject:Patient=X", "x", "reference"),
            ("Observation?subject:Device=X", "device", "reference"),
            ("Observation?patient=X", "x", "reference"),
            ("Observation?subject=http://elsewhere.example/fhir/Patient/X", "far", "reference"),
            ("Observation?subject:identifier=http://i|7", "logical", "reference"),
            ("QuestionnaireResponse?questionnaire=http://q.example/q|1", "r1", "reference"),
            ("QuestionnaireResponse?questionnaire=http://q.example/q", "r1 r2", "reference"),
        ],
    )
    .await;
}

/// R4 search.html#string: Strings begin with the value, without case, accents and marks; `:exact` is to the letter,
/// `:contains` anywhere.
/// R4 search.html#number: A number means the range of its digits.
/// R4 search.html#quantity: `value|system|code` and `value||unit`; UCUM units are converted.
async fn edge_12_strings_fold_numbers_have_the_precision_that_is_written_units_convert(server: TestServer) {
    let client = server.everyone();
    let named = |id: &str, family: &str| json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]});
    let measured = |id: &str, value: &str, code: &str| {
        let value: Value = serde_json::from_str(value).unwrap();
        seen(id, json!({"valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": code}}))
    };
    fill(
        &client,
        &[
            named("composed", "Müller"),
            named("parted", "Mu\u{308}ller-O’Neil"),
            named("plain", "Muller"),
            measured("a", "5.40", "mg"),
            measured("b", "99.6", "mg"),
            measured("c", "1000", "mg"),
            measured("d", "96", "mg"),
        ],
    )
    .await;
    let unit = "http://unitsofmeasure.org";
    table(
        &client,
        &[
            ("Patient?family=muller", "composed parted plain", "string"),
            ("Patient?family=M%C3%BCLL", "composed parted plain", "string"),
            ("Patient?family:exact=Muller", "plain", "string"),
            ("Patient?family:exact=muller", "", "string"),
            ("Patient?family:contains=ULLER", "composed parted plain", "string"),
            ("Patient?family=uller", "", "string"),
            (&format!("Observation?value-quantity=5.4|{unit}|mg"), "a", "quantity"),
            (&format!("Observation?value-quantity=5.40|{unit}|mg"), "a", "quantity"),
            (&format!("Observation?value-quantity=5.400|{unit}|mg"), "a", "quantity"),
            (&format!("Observation?value-quantity=100|{unit}|mg"), "b", "quantity"),
            (&format!("Observation?value-quantity=1e2|{unit}|mg"), "b d", "quantity"),
            (&format!("Observation?value-quantity=1|{unit}|g"), "c", "quantity"),
            ("Observation?value-quantity=5.4||mg", "a", "quantity"),
        ],
    )
    .await;
}
