//! Each parameter type: what its values and modifiers find.

use super::*;

/// R4 search.html#string: Names and addresses: parts, punctuation, folding, `:exact`, `:contains`, long texts.
#[test]
fn strings_start_with_folded_text() {
    table(
        "Patient",
        &[
            json!({"resourceType": "Patient", "id": "a", "name": [{"family": "O'Brien", "given": ["Zoë", "Ann"]}],
                "address": [{"line": ["12 Main  St."], "city": "Łódź", "postalCode": "90-001"}]}),
            json!({"resourceType": "Patient", "id": "b", "name": [{"text": "Ann Zoe\u{308} Obrien"}]}),
            json!({"resourceType": "Patient", "id": "c", "name": [{"family": "Straße-Müller", "prefix": ["Dr."]}]}),
        ],
        &[
            ("name=zoe", "a", "string"),
            ("name=ZOË", "a", "string"),
            ("name=ann", "a b", "string"),
            ("name=ann zoe obrien", "b", "string"),
            ("name=o'b", "a", "string"),
            ("name=brien", "", "string"),
            ("name:contains=brien", "a b", "string"),
            ("name=strasse", "c", "string"),
            ("family=muller", "", "string"),
            ("family:contains=muller", "c", "string"),
            ("name=dr", "c", "string"),
            ("family:exact=O'Brien", "a", "modifiers"),
            ("family:exact=o'brien", "", "modifiers"),
            ("name:exact=O'Brien", "a", "modifiers"),
            ("family:exact=O'Bri", "", "modifiers"),
            ("address=lodz", "a", "string"),
            ("address=12 main st", "a", "string"),
            ("address-city=lodz", "a", "string"),
            ("address-city=12", "", "string"),
            ("address-postalcode=90001", "a", "string"),
            ("name=ann,strasse", "a b c", "combining"),
            ("name=ann&name=zoe", "a", "combining"),
            ("phonetic=zoe", "a", "string"),
        ],
    );
    let long = format!("{} needle {}", "word ".repeat(60), "word ".repeat(60));
    table(
        "ValueSet",
        &[json!({"resourceType": "ValueSet", "id": "a", "description": long})],
        &[
            ("description=word", "a", "string"),
            ("description:contains=d needle w", "a", "string"),
            ("description=needle", "", "string"),
        ],
    );
}

/// R4 search.html#token: Identifier, code, Coding, CodeableConcept, ContactPoint, boolean; `:text`, `:not`,
/// `:of-type`; case by code system.
#[test]
fn tokens_have_four_forms() {
    table(
        "Patient",
        &[
            json!({"resourceType": "Patient", "id": "a", "active": true, "gender": "female", "deceasedBoolean": false,
                "identifier": [{"system": "http://h/mrn", "value": "X1", "type": {"coding": [{"system": "t", "code": "MR"}], "text": "Medical record"}}],
                "telecom": [{"system": "phone", "value": "555", "use": "home"}, {"system": "email", "value": "a@x"}]}),
            json!({"resourceType": "Patient", "id": "b", "gender": "male", "identifier": [{"value": "X1"}], "deceasedDateTime": "2020"}),
            json!({"resourceType": "Patient", "id": "c", "identifier": [{"system": "http://other", "value": "X1"}, {"system": "http://h/mrn", "value": "X11"}]}),
        ],
        &[
            ("identifier=X1", "a b c", "token"),
            ("identifier=x1", "", "token"),
            ("identifier=http://h/mrn|X1", "a", "token"),
            ("identifier=|X1", "b", "token"),
            ("identifier=http://h/mrn|", "a c", "token"),
            ("identifier:not=|X1", "a c", "modifiers"),
            ("identifier:of-type=t|MR|X1", "a", "modifiers"),
            ("identifier:text=medical", "a", "modifiers"),
            ("active=true", "a", "token"),
            ("active:not=true", "b c", "token"),
            ("gender=female", "a", "token"),
            ("gender=http://hl7.org/fhir/administrative-gender|female", "a", "token"),
            ("gender=http://hl7.org/fhir/administrative-gender|", "a b", "token"),
            ("gender=http://other|female", "", "token"),
            ("gender=|female", "", "token"),
            ("deceased=true", "b", "token"),
            ("deceased=false", "a c", "token"),
            ("telecom=555", "a", "token"),
            ("telecom=phone|555", "a", "token"),
            ("phone=555", "a", "token"),
            ("email=555", "", "token"),
            ("email=a@x", "a", "token"),
        ],
    );
    table(
        "Condition",
        &[
            json!({"resourceType": "Condition", "id": "a", "code": {"coding": [{"system": "s", "code": "1", "display": "Heart failure"}, {"code": "2"}], "text": "Weak heart"}}),
            json!({"resourceType": "Condition", "id": "b", "code": {"text": "Heartburn"}}),
            json!({"resourceType": "Condition", "id": "c"}),
        ],
        &[
            ("code=1", "a", "token"),
            ("code=s|1", "a", "token"),
            ("code=|2", "a", "token"),
            ("code=|1", "", "token"),
            ("code:text=heart", "a b", "modifiers"),
            ("code:text=weak", "a", "modifiers"),
            ("code:not=1", "b c", "modifiers"),
            ("code:missing=true", "c", "modifiers"),
            ("code:not=1,2", "b c", "modifiers"),
        ],
    );
    table(
        "Patient",
        &[
            json!({"resourceType": "Patient", "id": "a", "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en-US"}]}}]}),
        ],
        &[
            ("language=en-us", "a", "token"),
            ("language=urn:ietf:bcp:47|EN-US", "a", "token"),
            ("language=en", "", "token"),
        ],
    );
    table(
        "DetectedIssue",
        &[json!({"resourceType": "DetectedIssue", "id": "a", "status": "preliminary", "severity": "high"})],
        &[
            ("status=preliminary", "a", "token"),
            ("status=http://hl7.org/fhir/observation-status|preliminary", "a", "token"),
            ("severity=high,moderate", "a", "token"),
        ],
    );
}

/// R4 search.html#reference: Versions, URNs, foreign URLs, `:Type`, `:identifier`.
/// R4 references.html#canonical: Canonicals are found with and without their version.
#[test]
fn references_never_match_a_longer_id() {
    let subject = |id: &str, reference: &str| json!({"resourceType": "Observation", "id": id, "subject": {"reference": reference}});
    table(
        "Observation",
        &[
            subject("a", "Patient/X"),
            subject("b", "Patient/X1"),
            subject("c", "Patient/X-1"),
            subject("d", "http://own.example/fhir/Patient/X"),
            subject("e", "http://other.example/fhir/Patient/X"),
            subject("f", "Patient/X/_history/2"),
            subject("g", "Group/X"),
            subject("h", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
            subject("i", "#X"),
            json!({"resourceType": "Observation", "id": "j", "subject": {"identifier": {"system": "s", "value": "7"}, "type": "Patient"}}),
            json!({"resourceType": "Observation", "id": "k", "subject": {"identifier": {"value": "7"}}}),
        ],
        &[
            ("subject=Patient/X", "a d f", "reference"),
            ("subject=X", "a d f g", "reference"),
            ("patient=X", "a d f", "reference"),
            ("patient=Patient/X1", "b", "reference"),
            ("patient=Group/X", "", "reference"),
            ("subject:Patient=X", "a d f", "modifiers"),
            ("subject:Group=X", "g", "modifiers"),
            ("subject=http://own.example/fhir/Patient/X", "a d f", "reference"),
            ("subject=http://other.example/fhir/Patient/X", "e", "reference"),
            ("patient=http://other.example/fhir/Patient/X", "e", "reference"),
            ("patient=http://other.example/fhir/Group/X", "", "reference"),
            ("subject=Patient/X/_history/2", "f", "versions"),
            ("subject=Patient/X/_history/3", "", "versions"),
            ("subject=urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "h", "reference"),
            ("subject:identifier=s|7", "j", "modifiers"),
            ("subject:identifier=7", "j k", "modifiers"),
            ("subject:identifier=|7", "k", "modifiers"),
            ("patient:identifier=7", "j", "modifiers"),
            ("subject:missing=true", "i", "modifiers"),
            ("subject=X,X1", "a b d f g", "combining"),
        ],
    );
    table(
        "QuestionnaireResponse",
        &[
            json!({"resourceType": "QuestionnaireResponse", "id": "a", "questionnaire": "http://x/Questionnaire/q|1.0"}),
            json!({"resourceType": "QuestionnaireResponse", "id": "b", "questionnaire": "http://x/Questionnaire/q"}),
            json!({"resourceType": "QuestionnaireResponse", "id": "c", "questionnaire": "http://x/Questionnaire/q1"}),
        ],
        &[
            ("questionnaire=http://x/Questionnaire/q", "a b", "versions"),
            ("questionnaire=http://x/Questionnaire/q|1.0", "a", "versions"),
            ("questionnaire=http://x/Questionnaire/q|2.0", "", "versions"),
        ],
    );
}

/// The nine prefixes against dates, times and periods.
///
/// R4 search.html#prefix: The nine prefixes against dates, instants, Periods and Timings.
#[test]
fn dates_are_intervals() {
    let at = |id: &str, effective: Value| {
        let mut json = json!({"resourceType": "Observation", "id": id});
        let name = if effective.is_string() { "effectiveDateTime" } else { "effectivePeriod" };
        json[name] = effective;
        json
    };
    table(
        "Observation",
        &[
            at("day", json!("2013-03-14")),
            at("noon", json!("2013-03-14T12:00:00Z")),
            at("next", json!("2013-03-15T00:00:00Z")),
            at("year", json!("2013")),
            at("span", json!({"start": "2013-03-10", "end": "2013-03-14T06:00:00Z"})),
            at("open", json!({"start": "2013-03-14"})),
            at("past", json!({"end": "2013-03-13"})),
            json!({"resourceType": "Observation", "id": "none"}),
            json!({"resourceType": "Observation", "id": "timing", "effectiveTiming": {"event": ["2013-03-14T01:00:00Z", "2013-03-16"]}}),
        ],
        &[
            ("date=2013-03-14", "day noon", "date"),
            ("date=eq2013-03-14", "day noon", "date"),
            ("date=ne2013-03-14", "next year span open past timing", "prefix"),
            ("date=gt2013-03-14", "next year open timing", "prefix"),
            ("date=lt2013-03-14", "year span past", "prefix"),
            ("date=ge2013-03-14", "day noon next year open timing", "prefix"),
            ("date=le2013-03-14", "day noon year span past", "prefix"),
            ("date=sa2013-03-14", "next", "prefix"),
            ("date=eb2013-03-14", "past", "prefix"),
            ("date=ap2013-03-14", "day noon year span open timing", "prefix"),
            ("date=2013", "day noon next year span timing", "date"),
            ("date=2013-03", "day noon next span timing", "date"),
            ("date=2013-03-14T12:00", "noon", "date"),
            ("date=2013-03-14T14:00:00%2B02:00", "noon", "date"),
            ("date=2013-03-14T14:00:00+02:00", "noon", "date"),
            ("date=2013-03-14T24:00:00Z", "next", "date"),
            ("date=ge2013-03-14&date=lt2013-03-15", "day noon year open timing", "combining"),
        ],
    );
}

/// R4 search.html#date: A date without a zone is the day of the site's zone.
#[test]
fn a_date_without_a_zone_is_the_zone_s_day() {
    let registry = Registry::builtin();
    let mut env = env();
    env.zone = jiff::tz::TimeZone::get("America/Chicago").unwrap();
    let json: Json =
        json!({"resourceType": "Observation", "id": "a", "effectiveDateTime": "2013-03-15T04:00:00Z"}).into();
    let rows = registry.extract(&KEYS, &json, &env);
    let doc = Doc { target: Target::new(known("Observation"), "a"), pk: 1, rows };
    for (value, good) in [("2013-03-14", true), ("2013-03-15", false), ("2013-03-14T23:00", true)] {
        let query =
            parse(&registry, &KEYS, &[known("Observation")], &strings(&[("date", value)]), &env, Handling::Strict);
        assert_eq!(matches(&query.unwrap().plan.cond, &doc, &[], &KEYS), good, "{value}");
    }
}

/// R4 search.html#number: 100 is 99.5 to 100.5, 1e2 is 95 to 105; nine prefixes, negative numbers.
#[test]
fn numbers_are_as_wide_as_their_digits() {
    let risk = |id: &str, p: Value| json!({"resourceType": "RiskAssessment", "id": id, "prediction": [p]});
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    table(
        "RiskAssessment",
        &[
            risk("a", json!({"probabilityDecimal": number("99.5")})),
            risk("b", json!({"probabilityDecimal": number("100")})),
            risk("c", json!({"probabilityDecimal": number("100.5")})),
            risk("d", json!({"probabilityDecimal": number("95.0")})),
            risk("e", json!({"probabilityRange": {"low": {"value": number("0.2")}, "high": {"value": number("0.4")}}})),
            risk("f", json!({"probabilityDecimal": number("-3")})),
        ],
        &[
            ("probability=100", "a b", "number"),
            ("probability=100.0", "b", "number"),
            ("probability=1e2", "a b c d", "number"),
            ("probability=lt100", "a d e f", "number"),
            ("probability=le100", "a b d e f", "number"),
            ("probability=gt100", "c", "number"),
            ("probability=ge100", "b c", "number"),
            ("probability=ne100", "c d e f", "number"),
            ("probability=ap100", "a b c d", "number"),
            ("probability=gt0.3", "a b c d e", "number"),
            ("probability=sa0.1", "a b c d e", "number"),
            ("probability=eb0.5", "e f", "number"),
            ("probability=-3", "f", "number"),
            ("probability=lt-2.5", "f", "number"),
        ],
    );
}

/// R4 search.html#quantity: Unit by system and code or by text, comparators of the value, money.
#[test]
fn quantities_have_units() {
    let dose = |id: &str, value: Value| json!({"resourceType": "Observation", "id": id, "valueQuantity": value});
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let ucum = "http://unitsofmeasure.org";
    table(
        "Observation",
        &[
            dose("a", json!({"value": number("5.40"), "unit": "milligram", "system": ucum, "code": "mg"})),
            dose("b", json!({"value": number("5.4"), "unit": "mg"})),
            dose("c", json!({"value": number("5.4"), "unit": "g", "system": ucum, "code": "g"})),
            dose("d", json!({"value": number("6"), "comparator": ">", "system": ucum, "code": "mg"})),
            json!({"resourceType": "Observation", "id": "e", "component": [{"code": {"coding": [{"code": "x"}]}, "valueQuantity": {"value": 5, "unit": "mg"}}]}),
        ],
        &[
            ("value-quantity=5.4", "a b c", "quantity"),
            ("value-quantity=5.4|http://unitsofmeasure.org|mg", "a", "quantity"),
            ("value-quantity=5.4||mg", "a b", "quantity"),
            ("value-quantity=5.4||milligram", "a", "quantity"),
            ("value-quantity=5.40e0||mg", "a b", "quantity"),
            ("value-quantity=gt5.4||mg", "d", "quantity"),
            ("value-quantity=gt100||mg", "d", "quantity"),
            ("value-quantity=lt7||mg", "a b d", "quantity"),
            ("component-value-quantity=5||mg", "e", "quantity"),
            ("combo-value-quantity=ge5||mg", "a b d e", "quantity"),
            ("value-quantity=5.4||", "a b c", "quantity"),
            ("value-quantity=0.0054|http://unitsofmeasure.org|g", "a", "quantity"),
            ("value-quantity=5400|http://unitsofmeasure.org|ug", "a", "quantity"),
            ("value-quantity=0.005|http://unitsofmeasure.org|g", "a", "quantity"),
            ("value-quantity=gt0.0054|http://unitsofmeasure.org|g", "c d", "prefix"),
            ("value-quantity=ge0.0054|http://unitsofmeasure.org|g", "a c d", "prefix"),
            ("value-quantity=lt1|http://unitsofmeasure.org|kg", "a c d", "prefix"),
            ("value-quantity=5.4|http://unitsofmeasure.org|mL", "", "quantity"),
            ("value-quantity=5.4|http://unitsofmeasure.org|nonsense", "", "quantity"),
        ],
    );
    table(
        "Invoice",
        &[json!({"resourceType": "Invoice", "id": "a", "totalGross": {"value": 10, "currency": "EUR"}})],
        &[
            ("totalgross=10||EUR", "a", "quantity"),
            ("totalgross=10|urn:iso:std:iso:4217|EUR", "a", "quantity"),
            ("totalgross=10||USD", "", "quantity"),
        ],
    );
}

/// R4 search.html#uri: Uris are exact; `:below` and `:above` by path.
/// R4 search.html#profile: `_profile` with and without version.
#[test]
fn uris_are_exact_below_and_above() {
    table(
        "ValueSet",
        &[
            json!({"resourceType": "ValueSet", "id": "a", "url": "http://acme.org/fhir/ValueSet/123"}),
            json!({"resourceType": "ValueSet", "id": "b", "url": "http://acme.org/fhir/ValueSet/123/history/5"}),
            json!({"resourceType": "ValueSet", "id": "c", "url": "http://acme.org/fhir"}),
            json!({"resourceType": "ValueSet", "id": "d", "url": "http://acme.org/fhirs", "meta": {"profile": ["http://p|2"], "source": "http://s#1"}}),
            json!({"resourceType": "ValueSet", "id": "e", "url": "urn:oid:1.2.3"}),
        ],
        &[
            ("url=http://acme.org/fhir/ValueSet/123", "a", "uri"),
            ("url=http://acme.org/fhir/valueset/123", "", "uri"),
            ("url:below=http://acme.org/fhir/", "a b c", "uri"),
            ("url:below=http://acme.org/fhir", "a b c", "uri"),
            ("url:above=http://acme.org/fhir/ValueSet/123/history/5", "a b c", "uri"),
            ("url=urn:oid:1.2.3", "e", "uri"),
            ("_profile=http://p", "d", "profile"),
            ("_profile=http://p|2", "d", "profile"),
            ("_profile:below=http://p", "d", "profile"),
            ("_source=http://s#1", "d", "uri"),
        ],
    );
}

/// R4 search.html#composite: The parts of a composite hold inside one element.
#[test]
fn composites_hold_inside_one_element() {
    let component = |code: &str, value: i64| json!({"code": {"coding": [{"system": "l", "code": code}]}, "valueQuantity": {"value": value, "unit": "mmHg"}});
    table(
        "Observation",
        &[
            json!({"resourceType": "Observation", "id": "a", "code": {"coding": [{"system": "l", "code": "bp"}]},
                "component": [component("sys", 150), component("dia", 80)]}),
            json!({"resourceType": "Observation", "id": "b", "code": {"coding": [{"system": "l", "code": "sys"}]}, "valueQuantity": {"value": 150, "unit": "mmHg"}}),
            json!({"resourceType": "Observation", "id": "c", "code": {"coding": [{"code": "k"}]}, "valueCodeableConcept": {"coding": [{"code": "v"}]}}),
        ],
        &[
            ("component-code-value-quantity=sys$gt140", "a", "composite"),
            ("component-code-value-quantity=dia$gt140", "", "composite"),
            ("component-code-value-quantity=l|dia$80||mmHg", "a", "composite"),
            ("component-code-value-quantity=l|dia$80||kPa", "", "composite"),
            ("code-value-quantity=l|sys$150", "b", "composite"),
            ("code-value-quantity=bp$150", "", "composite"),
            ("combo-code-value-quantity=sys$150", "a b", "composite"),
            ("combo-code-value-quantity=sys$150,dia$gt70", "a b", "combining"),
            ("code-value-concept=k$v", "c", "composite"),
            ("component-code-value-quantity:missing=false", "a", "composite"),
            ("code-value-concept:missing=false", "c", "composite"),
        ],
    );
    table(
        "ActivityDefinition",
        &[json!({"resourceType": "ActivityDefinition", "id": "a", "useContext": [
            {"code": {"system": "u", "code": "age"}, "valueRange": {"low": {"value": 18, "unit": "a"}}},
            {"code": {"system": "u", "code": "venue"}, "valueCodeableConcept": {"coding": [{"code": "home"}]}}]})],
        &[
            ("context-type-value=venue$home", "a", "composite"),
            ("context-type-value=age$home", "", "composite"),
            ("context-type-quantity=u|age$gt20", "a", "composite"),
            ("context-type-quantity=u|venue$gt20", "", "composite"),
        ],
    );
    table(
        "MolecularSequence",
        &[
            json!({"resourceType": "MolecularSequence", "id": "a", "referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}, "windowStart": 10, "windowEnd": 20},
            "variant": [{"start": 12, "end": 13}, {"start": 15, "end": 19}]}),
        ],
        &[
            ("chromosome-window-coordinate=1$lt15$gt15", "a", "composite"),
            ("chromosome-variant-coordinate=1$gt14$lt20", "a", "composite"),
            ("chromosome-variant-coordinate=1$gt14$lt15", "", "composite"),
            ("chromosome-variant-coordinate=2$gt14$lt20", "", "composite"),
        ],
    );
}

/// Laws of the prefixes, for any interval of a resource and any of a query.
///
/// R4 search.html#prefix: For any interval: ne is not eq, ge and le hold what eq holds, sa and eb exclude overlap.
#[test]
fn prefixes_keep_their_laws() {
    use crate::search::param::{Bounds, Prefix};
    use proptest::prelude::*;
    let holds = |prefix, (a, b): (i64, i64), (lo, hi): (i64, i64)| {
        let within =
            |n: i64, (from, to): (Option<i64>, Option<i64>)| from.is_none_or(|f| n >= f) && to.is_none_or(|t| n <= t);
        Bounds::of(prefix, a, b).iter().any(|bounds| within(lo, bounds.lo) && within(hi, bounds.hi))
    };
    proptest!(ProptestConfig::with_cases(2_000), |(a in -20_i64..20, w in 0_i64..10, lo in -20_i64..20, v in 0_i64..10)| {
        let (query, value) = ((a, a + w), (lo, lo + v));
        let is = |prefix| holds(prefix, query, value);
        prop_assert_eq!(is(Prefix::Eq), query.0 <= value.0 && value.1 <= query.1);
        prop_assert_eq!(is(Prefix::Ne), !is(Prefix::Eq));
        prop_assert_eq!(is(Prefix::Gt), value.1 > query.1);
        prop_assert_eq!(is(Prefix::Lt), value.0 < query.0);
        prop_assert_eq!(is(Prefix::Ge), is(Prefix::Gt) || is(Prefix::Eq));
        prop_assert_eq!(is(Prefix::Le), is(Prefix::Lt) || is(Prefix::Eq));
        prop_assert_eq!(is(Prefix::Sa), value.0 > query.1);
        prop_assert_eq!(is(Prefix::Eb), value.1 < query.0);
        prop_assert_eq!(is(Prefix::Ap), value.0 <= query.1 && query.0 <= value.1);
        prop_assert!(!is(Prefix::Eq) || (is(Prefix::Ge) && is(Prefix::Le) && is(Prefix::Ap)));
    });
}

/// A number found by its own text, whatever its digits; and not by the same text with the last digit moved by two.
///
/// R4 search.html#number: Every number is found by its own text.
#[test]
fn every_number_is_found_by_its_own_text() {
    use crate::search::param::number;
    use proptest::prelude::*;
    proptest!(ProptestConfig::with_cases(2_000), |(digits in 0_i64..1_000_000_000, scale in 0_usize..9, negative: bool)| {
        let text = |n: i64| {
            let all = format!("{n:0width$}", width = scale + 1);
            let (whole, fraction) = all.split_at(all.len() - scale);
            format!("{}{whole}{}{fraction}", if negative { "-" } else { "" }, if scale > 0 { "." } else { "" })
        };
        let point = number::point(&text(digits)).unwrap();
        let hit = |query: &str| number::bounds(query).unwrap().iter().any(|b| {
            b.lo.0.is_none_or(|f| point >= f) && b.hi.1.is_none_or(|t| point <= t)
        });
        prop_assert!(hit(&text(digits)));
        prop_assert!(!hit(&text(digits + 2)));
    });
}
