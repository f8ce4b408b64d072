//! Bad input through the FHIR API: refused with the right status, nothing stored, the server stays up.

use super::encode;
use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};

both_databases!(
    numbers_and_texts_that_no_database_holds_are_refused,
    ids_are_letters_digits_dashes_and_dots,
    sql_and_wildcards_are_text_wherever_they_stand,
    counts_and_dates_are_read_whole_or_refused,
    an_entry_reaches_nothing_but_what_its_address_may_name,
    a_head_reads_and_no_header_makes_another_method,
);

/// Refused by the caller's fault, with an outcome; never 5xx.
#[track_caller]
fn refused(answer: &Answer, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    assert_eq!(answer.body["resourceType"], "OperationOutcome", "{what}: {answer:?}");
}

/// How many Patients there are.
async fn patients(client: &Client) -> Value {
    client.read("Patient?_summary=count").await.ok().body["total"].clone()
}

/// security A44: Numbers beyond every type, NaN, signs and leading zeros that JSON has not are 400.
/// security A45: Members that stand twice, in the resource, inside an element, and as a half, are 400.
/// security A46: Bytes that are no UTF-8, lone surrogates, NUL and a byte order mark are 400.
async fn numbers_and_texts_that_no_database_holds_are_refused(server: TestServer) {
    let client = server.everyone();
    let before = patients(&client).await;
    let patient = |inner: &str| format!("{{\"resourceType\":\"Patient\",{inner}}}").into_bytes();
    let mut table: Vec<(&str, Vec<u8>)> = [
        ("1e999", r#""multipleBirthInteger":1e999"#),
        ("20 digits of an integer", r#""multipleBirthInteger":99999999999999999999"#),
        ("a fraction of an integer", r#""multipleBirthInteger":1.5"#),
        ("NaN", r#""multipleBirthInteger":NaN"#),
        ("a plus", r#""multipleBirthInteger":+1"#),
        ("a leading zero", r#""multipleBirthInteger":01"#),
        ("a number as text", r#""multipleBirthInteger":"1""#),
        ("a member twice", r#""active":true,"active":false"#),
        ("the type twice", r#""resourceType":"Patient""#),
        ("a member of an element twice", r#""name":[{"text":"a","text":"b"}]"#),
        ("a half twice", r#""birthDate":"1950","_birthDate":{"id":"a"},"_birthDate":{"id":"b"}"#),
        ("a member twice, once escaped", "\"active\":true,\"\\u0061ctive\":false"),
        ("NUL", r#""name":[{"text":"a\u0000b"}]"#),
        ("a lone surrogate", r#""name":[{"text":"\ud800"}]"#),
        ("two halves the wrong way", r#""name":[{"text":"\udc00\ud800"}]"#),
        ("a control character", "\"name\":[{\"text\":\"a\u{1}b\"}]"),
        ("an unknown escape", r#""name":[{"text":"\x"}]"#),
        ("text after the end", r#""active":true}{"a":1"#),
        ("a comma too many", r#""active":true,"#),
        ("a comment", "\"active\":true/* x */"),
    ]
    .into_iter()
    .map(|(what, inner)| (what, patient(inner)))
    .collect();
    table.push(("a byte order mark", [b"\xEF\xBB\xBF".as_slice(), &patient("\"active\":true")].concat()));
    let raw = |bytes: &[u8]| [br#"{"resourceType":"Patient","name":[{"text":""#.as_slice(), bytes, br#""}]}"#].concat();
    table.extend([
        ("a byte that never stands in UTF-8", raw(b"\xFF")),
        ("an overlong slash", raw(b"\xC0\xAF")),
        ("a surrogate in UTF-8", raw(b"\xED\xA0\x80")),
        ("UTF-16", patient("\"active\":true").iter().flat_map(|b| [*b, 0]).collect()),
        ("nothing", Vec::new()),
    ]);
    for (what, body) in table {
        refused(&client.send("POST", "Patient", &body, &[("Content-Type", "application/fhir+json")]).await, what);
        let entry = [br#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Patient"},"resource":"#.as_slice(), &body, b"}]}"].concat();
        refused(&client.send("POST", "", &entry, &[]).await, what);
    }
    assert_eq!(patients(&client).await, before, "nothing of it is stored");
}

/// security A47: An id with other characters than R4 allows, too long, or dots alone is no id: 400 or 404.
/// security A48: An id leads to a row, never to a path of the machine.
async fn ids_are_letters_digits_dashes_and_dots(server: TestServer) {
    let client = server.everyone();
    let long = "a".repeat(65);
    for id in [
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "a%0d%0aSet-Cookie:x=1",
        "a%00",
        "a%20b",
        "a_b",
        "%C3%A9",
        "%E2%80%AE",
        "a'--",
        "a;b",
        "a%ff",
        &long,
    ] {
        for path in [format!("Patient/{id}"), format!("Patient/{id}/_history"), format!("Binary/{id}")] {
            let answer = client.read(&path).await;
            assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
            assert!(answer.header("set-cookie").is_empty() && !answer.headers.contains_key("x"), "{path}");
            assert!(!String::from_utf8_lossy(&answer.bytes).contains("root:"), "{path}");
        }
        let body = json!({"resourceType": "Patient", "id": "a"}).to_string();
        let answer = client.send("PUT", &format!("Patient/{id}"), body, &[]).await;
        assert!(matches!(answer.status, 400 | 404 | 405), "PUT {id}: {answer:?}");
    }
    for version in ["0", "-1", "x", "1%00", "99999999999999999999", "1e1", "%2e%2e"] {
        let answer = client.read(&format!("Patient/a/_history/{version}")).await;
        assert!(matches!(answer.status, 400 | 404), "version {version}: {answer:?}");
    }
    for id in ["..", "a_b", "a b", "é", &long, ""] {
        let body = json!({"resourceType": "Patient", "id": id, "active": true});
        refused(&client.send("PUT", "Patient/a", body.to_string(), &[]).await, id);
    }
}

/// security A52: `%` and `_` of LIKE, `*` and regular expressions are plain text; a long pattern takes no longer than a short one.
/// security A54: SQL in values, names of parameters, sort keys, identifiers, systems and bodies is text.
async fn sql_and_wildcards_are_text_wherever_they_stand(server: TestServer) {
    let client = server.everyone();
    let names = ["O'Brien", "Robert'); DELETE FROM hub;--", "100%", "a_b", "x\\", "$1 ?1 {0}", "(z+)+$"];
    for (n, name) in names.iter().enumerate() {
        let body = json!({"resourceType": "Patient", "id": format!("sql-{n}"), "name": [{"family": name}],
            "identifier": [{"system": "urn:a';DELETE/**/FROM/**/idx;--", "value": name}]});
        client.update(&body).await.is(201);
    }
    let ask = async |parameter: &str, value: &str| {
        let query = encode(&[(parameter, value)]);
        client.read(&format!("Patient?{query}")).await
    };
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('$', "\\$").replace(',', "\\,").replace('|', "\\|");
    for (n, name) in names.iter().enumerate() {
        for parameter in ["family:exact", "family:contains", "family", "identifier"] {
            let page = ask(parameter, &escaped(name)).await.ok().body;
            let found: Vec<&str> =
                page["entry"].as_array().into_iter().flatten().filter_map(|e| e["resource"]["id"].as_str()).collect();
            assert_eq!(found, [format!("sql-{n}")], "{parameter}={name}");
        }
    }
    for (parameter, value) in [
        ("family:contains", "%"),
        ("family:contains", "_"),
        ("family:exact", "' OR '1'='1"),
        ("identifier", "' OR 1=1 --"),
        ("identifier", "urn:a';DELETE/**/FROM/**/idx;--|x"),
        ("_id", "a' OR 'a'='a"),
        ("_tag", "x') OR 1=1--"),
        ("general-practitioner", "Practitioner/a'--"),
        ("birthdate", "1950'--"),
        ("_content", "\"' OR 1=1 --"),
        ("name", &"%".repeat(3_000)),
    ] {
        let answer = ask(parameter, value).await;
        assert!(matches!(answer.status, 200 | 400), "{parameter}={value}: {answer:?}");
        let rows = answer.body["entry"].as_array().map_or(0, Vec::len);
        // `%` and `_` stand in one name each.
        let most = usize::from(parameter == "family:contains");
        assert!(rows <= most, "{parameter}={value}: {rows} rows");
    }
    for parameter in
        ["name'--", "_sort=name;--", "_sort=1", "_sort=(select 1)", "name:exact'", "_has:x'--:y:z=1", "\"=1"]
    {
        let query = parameter.replace(' ', "%20").replace('"', "%22").replace('\'', "%27");
        let query = if query.contains('=') { query } else { format!("{query}=1") };
        refused(&client.read(&format!("Patient?{query}")).await, parameter);
    }
    assert_eq!(client.search("Patient?_id=sql-0,sql-1,sql-2,sql-3,sql-4,sql-5,sql-6").await.len(), names.len());
}

/// security A36: `_filter` and named queries, which are not offered, are refused, and left out of what lenient search says it did.
/// security A53: Counts below nought, beyond every integer and no number at all are refused.
async fn counts_and_dates_are_read_whole_or_refused(server: TestServer) {
    let client = server.everyone();
    for query in [
        "_count=-1",
        "_count=abc",
        "_count=1e9",
        "_count=99999999999999999999",
        "_count=",
        "_count=1&_count=2",
        "_total=some",
        "_summary=yes",
        "birthdate=banana",
        "birthdate=ge2019-13",
        "birthdate=ge2019-02-30",
        "birthdate=99999",
        "_lastUpdated=zz2020",
        "name=%ff",
        "name=%",
        "_filter=name%20eq%20x",
        "_query=x",
        "_elements=",
        "_include=Patient",
        "_sort=",
    ] {
        refused(&client.read(&format!("Patient?{query}")).await, query);
    }
    for query in ["_filter=name%20eq%20x", "_query=x", "nonsense=1"] {
        let page =
            client.send("GET", &format!("Patient?{query}"), "", &[("Prefer", "handling=lenient")]).await.ok().body;
        let own = page["link"].as_array().into_iter().flatten().find(|l| l["relation"] == "self");
        let own = own.and_then(|l| l["url"].as_str()).expect("a self link");
        assert!(!own.contains(query.split('=').next().unwrap_or_default()), "{query}: {own}");
    }
}

/// security A35: Entries with absolute, protocol-relative, climbing and foreign addresses, with a Bundle inside, or with a
/// resource of another type are refused, and nothing of a transaction is stored.
async fn an_entry_reaches_nothing_but_what_its_address_may_name(server: TestServer) {
    let client = server.everyone();
    let before = patients(&client).await;
    let good = json!({"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}});
    let patient = json!({"resourceType": "Patient"});
    for (what, method, url, resource) in [
        ("an absolute address", "GET", "http://127.0.0.1:9/fhir/Patient", Value::Null),
        ("another host", "GET", "//evil.example/Patient", Value::Null),
        ("climbing", "GET", "../auth/token", Value::Null),
        ("climbing inside", "GET", "Patient/../../metrics", Value::Null),
        ("the token endpoint", "POST", "/auth/token", json!({"resourceType": "Parameters"})),
        ("another type", "POST", "Observation", patient.clone()),
        ("another type by PUT", "PUT", "Observation/a", json!({"resourceType": "Patient", "id": "a"})),
        ("another id", "PUT", "Patient/a", json!({"resourceType": "Patient", "id": "b"})),
        ("a Bundle inside", "POST", "", json!({"resourceType": "Bundle", "type": "transaction"})),
        ("TRACE", "TRACE", "Patient/a", Value::Null),
        ("no method", "", "Patient", patient.clone()),
        ("a method with a line break", "GET\r\nX: y", "Patient", Value::Null),
        ("a file", "GET", "file:///etc/passwd", Value::Null),
    ] {
        let mut entry = json!({"request": {"method": method, "url": url}});
        if !resource.is_null() {
            entry["resource"] = resource;
        }
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [good, entry]});
        refused(&client.post(&bundle).await, what);
        assert_eq!(patients(&client).await, before, "{what}: nothing is stored");
        let mut batch = bundle;
        batch["type"] = "batch".into();
        batch["entry"] = json!([entry]);
        let answer = client.post(&batch).await;
        let inside = answer.body["entry"][0]["response"]["status"].as_str().unwrap_or_default();
        assert!(answer.status == 400 || inside.starts_with('4'), "{what}: {answer:?}");
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("root:"), "{what}");
    }
}

/// security A59: A HEAD and headers that name another method change nothing.
async fn a_head_reads_and_no_header_makes_another_method(server: TestServer) {
    let client = server.everyone();
    let id = client.create(&json!({"resourceType": "Patient"})).await.is(201).reference();
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        client.send("GET", &id, "", &[(header, "DELETE")]).await.is(200);
        client.send("HEAD", &id, "", &[(header, "DELETE")]).await.is(200);
        let form = [(header, "DELETE"), ("Content-Type", "application/x-www-form-urlencoded")];
        client.send("POST", "Patient/_search", "_count=1", &form).await.is(200);
    }
    client.send("HEAD", &format!("{id}?_method=DELETE"), "", &[]).await;
    for path in ["Task/x/$claim", "Patient/$everything", "$reindex-status"] {
        let answer = client.send("HEAD", path, "", &[]).await;
        assert!(answer.status < 500 && answer.bytes.is_empty(), "{path}: {answer:?}");
    }
    let again = client.read(&id).await.is(200);
    assert_eq!(again.body["meta"]["versionId"], "1", "nothing came of it");
}
