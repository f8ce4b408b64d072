//! Properties over the official examples of R4, through the server: what is accepted comes back as it was, however odd its digits
//! and letters; what has a fault is refused at the fault, and nothing of it is stored.
//!
//! The same without a server, for every kind of fault and at random: `fhir::validate::mutation`; of patches: `fhir::patch::tests`.

use super::real_data::{history, version_key};
use crate::harness::exact::{Exact, differences};
use crate::harness::{Client, TestServer, data};
use baton::fhir::ResourceType;
use baton::fhir::definition::{self, Type};
use baton::fhir::primitive::Primitive;
use serde_json::{Value, json};

both_databases!(
    odd_digits_and_letters_come_back_as_they_were_sent,
    a_fault_in_any_example_is_refused_where_it_is_and_nothing_is_stored,
);

/// Decimals as R4 takes them, none of which is a double's text.
const DIGITS: [&str; 8] = [
    "0.10",
    "1.00",
    "100.00000000000000000001",
    "1E-24",
    "12345678901234567890.123456789",
    "1.50e+2",
    "0.000000000000000000000001",
    "9007199254740993.0",
];

/// Contents of JSON strings, as they stand in the text.
const LETTERS: [&str; 6] = [
    r"\u0041\u00e9 e\u0301 \ud83d\ude00 😀",
    r"a\\b \/ \u002f \u0022 \u005c",
    "שלום \u{200f}مرحبا\u{202c}",
    "Å A\u{30a} \u{212b}",
    r"tab\tline\nreturn\r end",
    "\u{2028}\u{2029}\u{feff}\u{fffd}\u{10ffff}",
];

/// Entries of a batch.
const BATCH: usize = 60;

/// Puts other digits where a decimal stands; outside of strings only they have a point.
fn with_odd_digits(line: &str, from: usize) -> String {
    let (mut out, mut rest, mut n) = (String::with_capacity(line.len()), line, from);
    while let Some(at) = rest.find(|c: char| c == '"' || c.is_ascii_digit()) {
        let (before, here) = rest.split_at(at);
        out.push_str(before);
        let len = match here.strip_prefix('"') {
            Some(text) => {
                let mut is_escaped = false;
                let end = text.find(|c| {
                    let is_end = c == '"' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    is_end
                });
                end.expect("a closing quote") + 2
            }
            None => here.find(|c: char| !c.is_ascii_digit() && !".eE+-".contains(c)).unwrap_or(here.len()),
        };
        let (token, after) = here.split_at(len);
        if !token.starts_with('"') && token.contains('.') && !before.ends_with('-') {
            out.push_str(DIGITS[n % DIGITS.len()]);
            n += 1;
        } else {
            out.push_str(token);
        }
        rest = after;
    }
    out + rest
}

/// The official examples, and of each type that has none the smallest resource; with their type.
fn examples() -> Vec<(String, String)> {
    let lines = data::lines("r4-examples.ndjson.gz").unwrap_or_default();
    let kind = |line: &str| Exact::read(line).get("resourceType").map_or("", Exact::text).to_owned();
    let mut all: Vec<(String, String)> = lines.into_iter().map(|line| (kind(&line), line)).collect();
    // Those the server alone writes (docs/audit.md).
    all.retain(|(kind, _)| kind != "AuditEvent");
    let missing = |rtype: &ResourceType| all.iter().all(|(kind, _)| kind != rtype.as_str());
    let missing: Vec<ResourceType> =
        ResourceType::all().filter(missing).filter(|t| t.as_str() != "AuditEvent").collect();
    all.extend(missing.into_iter().map(|t| (t.to_string(), crate::rest::claims::smallest(t.as_str()).to_string())));
    all
}

/// Posts each in a batch; the answers.
async fn batch(client: &Client, resources: &[(String, String)]) -> Vec<Value> {
    let entry = |(kind, text): &(String, String)| {
        format!(r#"{{"resource":{text},"request":{{"method":"POST","url":"{kind}"}}}}"#)
    };
    let entries: Vec<String> = resources.iter().map(entry).collect();
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#, entries.join(","));
    let answer = client.send("POST", "", bundle, &[]).await.ok().body;
    answer["entry"].as_array().cloned().unwrap_or_default()
}

/// R4 datatypes.html#decimal: Every official example with odd decimals and odd texts put in comes back digit for digit and letter
/// for letter.
async fn odd_digits_and_letters_come_back_as_they_were_sent(server: TestServer) {
    let client = server.everyone();
    let mut sent: Vec<(String, String)> = Vec::new();
    for (n, (kind, line)) in examples().into_iter().enumerate() {
        let is_domain = !matches!(kind.as_str(), "Binary" | "Bundle" | "Parameters");
        let odd = with_odd_digits(&line, n);
        let head = format!(r#"{{"resourceType":"{kind}","#);
        let extension = format!(
            r#""extension":[{{"url":"http://odd.example/text","valueString":"{}"}},{{"url":"http://odd.example/n","valueDecimal":{}}}],"#,
            LETTERS[n % LETTERS.len()],
            DIGITS[n % DIGITS.len()]
        );
        let has_own = Exact::read(&line).get("extension").is_some();
        match odd.strip_prefix(&head).filter(|_| is_domain && !has_own) {
            Some(rest) => sent.push((kind, format!("{head}{extension}{rest}"))),
            None => sent.push((kind, odd)),
        }
    }
    let (mut accepted, mut decimals) = (Vec::new(), 0);
    for some in sent.chunks(BATCH) {
        for ((_, text), answer) in some.iter().zip(batch(&client, some).await) {
            // Odd digits may break a rule between elements, such as low below high: that is no reader's fault.
            if answer["response"]["status"].as_str().is_some_and(|s| s.starts_with("201")) {
                decimals += DIGITS.iter().map(|d| text.matches(d).count()).sum::<usize>();
                let location = answer["response"]["location"].as_str().expect("an address");
                accepted.push((version_key(location), text.clone()));
            }
        }
    }
    let stored = history(&client).await;
    let mut wrong = Vec::new();
    for (key, text) in &accepted {
        let back = stored.get(key).unwrap_or_else(|| panic!("{key} is not in the history"));
        let sent = Exact::read(text);
        let mut same = |a: &str, b: &str| super::real_data::is_the_servers(a, b);
        let found = differences(&sent.without_server_fields(), &back.without_server_fields(), &mut same);
        wrong.extend(found.into_iter().map(|d| format!("{key}{d}")));
    }
    assert!(wrong.is_empty(), "{} differences: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    let (most, all) = (accepted.len(), sent.len());
    assert!(most * 10 > all * 8 && decimals * 2 > most, "{most} of {all} accepted, {decimals} odd decimals");
}

/// A fault: the resource with it, and where it must be told, without the type in front.
fn faults(line: &str) -> Vec<(Value, String)> {
    let resource: Value = serde_json::from_str(line).expect("JSON");
    let rtype = ResourceType::parse(resource["resourceType"].as_str().expect("a type")).expect("a type of R4");
    let structure = definition::of_resource(rtype).expect("a structure");
    let mut found = Vec::new();
    let spoilt = |name: &str, value: Option<Value>| {
        let mut spoilt = resource.clone();
        match value {
            Some(value) => drop(spoilt.as_object_mut().expect("an object").insert(name.into(), value)),
            None => drop(spoilt.as_object_mut().expect("an object").shift_remove(name)),
        }
        spoilt
    };
    found.push((spoilt("unheardOf", Some(json!("x"))), ".unheardOf".to_owned()));
    for (key, value) in resource.as_object().expect("an object") {
        let Some(member) = structure.member(key).filter(|_| key != "id" && !key.starts_with('_')) else { continue };
        let element = member.element;
        let at = format!(".{}", if element.choice { element.name } else { key });
        let has_half = resource.get(format!("_{key}")).is_some();
        found.push((
            spoilt(key, Some(if value.is_object() || value.is_array() { json!("x") } else { json!({}) })),
            at.clone(),
        ));
        if element.min > 0 && !element.choice && !has_half {
            found.push((spoilt(key, None), at.clone()));
        }
        if element.many {
            found.push((spoilt(key, Some(json!([]))), at.clone()));
            let mut extra = value.clone();
            if let Some(Value::Object(first)) = extra.get_mut(0) {
                first.insert("unheardOf".into(), json!(1));
                found.push((spoilt(key, Some(extra)), format!("{at}[0].unheardOf")));
            }
        } else {
            found.push((spoilt(key, Some(json!([value]))), at.clone()));
            match member.kind {
                Type::Primitive(Primitive::Code) if element.codes().is_some() => {
                    found.push((spoilt(key, Some(json!("no-such-code"))), at));
                }
                Type::Primitive(Primitive::Date | Primitive::DateTime | Primitive::Instant) => {
                    found.push((spoilt(key, Some(json!("2023-02-29"))), at));
                }
                _ => {}
            }
        }
    }
    found
}

/// R4 validation.html: A fault put into any official example - an element dropped, of the wrong type, empty, unheard of, a bad code,
/// a bad date - is refused by the server at that element, and nothing is stored.
async fn a_fault_in_any_example_is_refused_where_it_is_and_nothing_is_stored(server: TestServer) {
    let client = server.everyone();
    let before = server.versions().await;
    assert!(before > 0, "the seed");
    let mut wanted = Vec::new();
    for (n, (kind, line)) in examples().into_iter().enumerate() {
        let all = faults(&line);
        // Those of every element would be thousands: three of each example, others each time.
        for pick in 0..3 {
            let (spoilt, at) = &all[(n * 5 + pick * 7) % all.len()];
            wanted.push((kind.clone(), spoilt.to_string(), at.clone()));
        }
    }
    let mut missed = Vec::new();
    for some in wanted.chunks(BATCH) {
        let resources: Vec<_> = some.iter().map(|(kind, text, _)| (kind.clone(), text.clone())).collect();
        for (n, ((kind, _, at), answer)) in some.iter().zip(batch(&client, &resources).await).enumerate() {
            let response = &answer["response"];
            let status = response["status"].as_str().unwrap_or_default();
            let expected = format!("Bundle.entry[{n}].resource{at}");
            let issues = response["outcome"]["issue"].as_array().cloned().unwrap_or_default();
            let is_named = issues.iter().any(|i| i["expression"][0] == expected.as_str() && i["severity"] == "error");
            if !(matches!(status.get(..3), Some("400" | "422")) && is_named) {
                missed.push(format!("{kind}{at}: {status} {issues:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{} of {}: {:?}", missed.len(), wanted.len(), &missed[..missed.len().min(5)]);
    assert!(wanted.len() > 400, "{}", wanted.len());
    assert_eq!(server.versions().await, before, "nothing is stored");
}
