//! What `metadata` claims is so, and what it does not claim is refused: each type with each interaction, search parameter,
//! include and operation, on a running server; then the same of the OpenAPI document.
//! Source: <https://hl7.org/fhir/R4/http.html#capabilities>, <https://hl7.org/fhir/R4/capabilitystatement.html>.

use crate::harness::{Answer, Client, TestServer};
use baton::fhir::definition::{self, Structure, Type};
use baton::fhir::{ResourceType, primitive::Primitive};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

both_databases!(
    each_interaction_of_each_type_is_there,
    each_search_parameter_and_include_of_each_type_is_there,
    each_operation_is_there_and_its_definition_can_be_read,
    what_is_not_claimed_is_refused,
    the_openapi_document_lists_the_paths_and_methods_that_are_there,
    the_statement_comes_in_parts_and_as_terminology,
    published_definitions_are_searched_like_stored_ones,
);

/// Calls under way at a time.
const AT_ONCE: usize = 8;
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

pub async fn rest(client: &Client) -> Value {
    client.read("metadata").await.ok().body["rest"][0].clone()
}

pub fn resources(rest: &Value) -> Vec<(String, Value)> {
    let list = rest["resource"].as_array().expect("types");
    list.iter().map(|r| (r["type"].as_str().expect("a type").to_owned(), r.clone())).collect()
}

pub fn texts(list: &Value, key: &str) -> Vec<String> {
    let of = |v: &Value| if key.is_empty() { v.as_str() } else { v[key].as_str() }.map(str::to_owned);
    list.as_array().into_iter().flatten().filter_map(of).collect()
}

/// The smallest resource that has all that R4 requires.
pub fn smallest(rtype: &str) -> Value {
    let structure = definition::structure(rtype).expect("a structure of R4");
    let mut out = Map::from_iter([("resourceType".to_owned(), rtype.into())]);
    fill(structure, &mut out);
    if rtype == "Subscription" {
        out.insert("status".into(), "off".into()); // one that asks for nothing
    }
    out.into()
}

pub fn fill(structure: &'static Structure, out: &mut Map<String, Value>) {
    for element in structure.elements.iter().filter(|e| e.min > 0) {
        let kind = element.types[0];
        let value = match kind {
            Type::Primitive(Primitive::Code) => {
                element.codes().map_or(json!("x"), |set| set.codes().next().unwrap_or("text/plain").into())
            }
            Type::Primitive(primitive) => match primitive {
                Primitive::Boolean => json!(true),
                Primitive::Decimal | Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => json!(1),
                Primitive::Date | Primitive::DateTime => json!("2026-11-25"),
                Primitive::Instant => json!("2026-11-25T10:00:00Z"),
                Primitive::Base64Binary => json!("eHh4"),
                Primitive::Time => json!("10:00:00"),
                Primitive::Uri | Primitive::Url | Primitive::Canonical => json!("http://claims.example/x"),
                _ => json!("x"),
            },
            Type::Xhtml => json!("<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"),
            Type::Reference(_) => {
                let target = element.targets.first().map_or("Patient", |t| t.as_str());
                json!({"reference": format!("{target}/x")})
            }
            Type::Resource => json!({"resourceType": "Basic", "code": {"text": "x"}}),
            complex => {
                let mut inner = Map::new();
                let structure = complex.structure().expect("a structure");
                fill(structure, &mut inner);
                if inner.is_empty() {
                    match structure.name {
                        "CodeableConcept" => inner.insert("text".into(), "x".into()),
                        _ => inner.insert("id".into(), "x".into()),
                    };
                    if structure.element("value").is_some() {
                        inner
                            .insert("value".into(), if structure.name == "Identifier" { json!("x") } else { json!(1) });
                    }
                }
                inner.into()
            }
        };
        let (first, rest) = kind.name().split_at(1);
        let name = match element.choice {
            true => format!("{}{}{rest}", element.name, first.to_ascii_uppercase()),
            false => element.name.to_owned(),
        };
        out.insert(name, if element.many { json!([value]) } else { value });
    }
}

/// Whether an answer says that there is no such interaction, operation or method.
fn is_missing(answer: &Answer) -> bool {
    let issue = &answer.body["issue"][0];
    let text = issue["diagnostics"].as_str().unwrap_or_default();
    matches!(answer.status, 405 | 501)
        || (answer.status == 404 && (issue["code"] == "not-supported" || text.contains("no interaction has the path")))
}

/// R4 capabilitystatement.html: Each interaction that `metadata` claims of each of the 146 types is there.
async fn each_interaction_of_each_type_is_there(server: TestServer) {
    let client = server.everyone();
    let rest = rest(&client).await;
    let types = resources(&rest);
    assert_eq!(types.len(), 146);
    let lived: Vec<bool> = futures_util::stream::iter(&types)
        .map(|(t, claims)| live(&client, t, claims))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let whole = lived.iter().filter(|l| **l).count();
    assert!(whole >= 120, "only {whole} types could be made, read, changed and deleted");

    let of_system: BTreeSet<String> = texts(&rest["interaction"], "code").into_iter().collect();
    assert_eq!(of_system, ["batch", "history-system", "search-system", "transaction"].map(String::from).into());
    client.read("?_type=Patient").await.is(200);
    client
        .send("POST", "_search", "_type=Patient", &[("Content-Type", "application/x-www-form-urlencoded")])
        .await
        .is(200);
    client.read("_history?_count=1").await.is(200);
    for kind in ["batch", "transaction"] {
        let answer = client.post(&json!({"resourceType": "Bundle", "type": kind})).await.is(200);
        assert_eq!(answer.body["type"], format!("{kind}-response"));
    }
}

/// One resource of a type from create to delete; false where the smallest one is refused for what it says.
async fn live(client: &Client, rtype: &str, claims: &Value) -> bool {
    let claimed = texts(&claims["interaction"], "code");
    if rtype == "AuditEvent" {
        // Written by the server, read by auditors: `audit`.
        assert_eq!(claimed, ["read", "vread", "history-instance", "history-type", "search-type"], "{rtype}");
        client.read("AuditEvent?_count=1").await.is(403);
        return false;
    }
    let all =
        ["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"];
    assert_eq!(claimed, all, "{rtype}");
    client.read(&format!("{rtype}?_count=1")).await.is(200);
    client.read(&format!("{rtype}/_history?_count=1")).await.is(200);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    client.send("POST", &format!("{rtype}/_search"), "_count=1", &form).await.is(200);
    let made = client.create(&smallest(rtype)).await;
    assert!(!is_missing(&made), "{made:?}");
    if made.status != 201 {
        assert!(matches!(made.status, 400 | 422), "{made:?}");
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let body = if method == "PUT" { smallest(rtype).to_string() } else { "[]".into() };
            let kind = if method == "PATCH" { "application/json-patch+json" } else { "application/fhir+json" };
            let answer = client.send(method, &format!("{rtype}/x"), &body, &[("Content-Type", kind)]).await;
            assert!(!is_missing(&answer), "{answer:?}");
        }
        return false;
    }
    let path = made.reference();
    let body = client.read(&path).await.is(200).body;
    client.read(&format!("{path}/_history/1")).await.is(200);
    client.update(&body).await.is(200);
    let patched = client.patch(&path, &json!([{"op": "add", "path": "/language", "value": "en"}])).await;
    assert!(patched.status == 200 || patched.status == 422, "{patched:?}");
    let history = client.read(&format!("{path}/_history")).await.is(200).body;
    assert!(history["total"].as_u64().is_none_or(|n| n >= 1), "{history}");
    if claims["conditionalCreate"] == true {
        let id = path.rsplit('/').next().expect("an id");
        client.create_if_none(&smallest(rtype), &format!("_id={id}")).await.is(200);
        let conditional = format!("{rtype}?_id={id}");
        let put = client.send("PUT", &conditional, body.to_string(), &[]).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    let deleted = client.delete(&path).await;
    if deleted.status == 204 {
        client.read(&path).await.is(410);
    } else {
        deleted.refuses(422, "business-rule", "");
    }
    true
}

/// R4 capabilitystatement.html: Each search parameter, `_include` and `_revinclude` that is claimed is taken.
async fn each_search_parameter_and_include_of_each_type_is_there(server: TestServer) {
    let client = server.everyone();
    client.update(&json!({"resourceType": "List", "id": "x", "status": "current", "mode": "working"})).await.is(201);
    let mut asked = Vec::new();
    for (rtype, claims) in resources(&rest(&client).await) {
        let params = claims["searchParam"].as_array().cloned().unwrap_or_default();
        assert!(params.len() > 3, "{rtype}");
        let pair = |p: &Value| {
            let name = p["name"].as_str().expect("a name");
            match p["type"].as_str().expect("a type") {
                "date" => format!("{name}=2026"),
                "number" | "quantity" => format!("{name}=1"),
                "uri" => format!("{name}=http://claims.example/x"),
                "composite" => format!("{name}:missing=true"),
                "special" if name == "near" => "near=1|1".into(),
                _ => format!("{name}=x"),
            }
        };
        for some in params.chunks(25) {
            asked.push(format!("{rtype}?_count=1&{}", some.iter().map(pair).collect::<Vec<_>>().join("&")));
        }
        for (key, name) in [("searchInclude", "_include"), ("searchRevInclude", "_revinclude")] {
            let list = texts(&claims[key], "");
            for some in list.chunks(40) {
                let pairs: Vec<_> = some.iter().map(|value| format!("{name}={value}")).collect();
                asked.push(format!("{rtype}?_count=1&{}", pairs.join("&")));
            }
        }
    }
    let auditor = server.user("audit");
    let by = |path: &str| if path.starts_with("AuditEvent") { &auditor } else { &client };
    let answers = futures_util::stream::iter(&asked).map(|path| by(path).read(path)).buffer_unordered(AT_ONCE);
    let wrong: Vec<Answer> = answers.filter(|a| std::future::ready(a.status != 200)).collect().await;
    assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), asked.len(), wrong.first());
}

/// (type or "", name, definition) of each operation that is claimed.
fn operations(rest: &Value) -> Vec<(String, String, String)> {
    let of = |rtype: &str, list: &Value| {
        let list = list.as_array().cloned().unwrap_or_default();
        let text = |o: &Value, key: &str| o[key].as_str().expect("a text").to_owned();
        list.iter().map(|o| (rtype.to_owned(), text(o, "name"), text(o, "definition"))).collect::<Vec<_>>()
    };
    let mut all = of("", &rest["operation"]);
    all.extend(resources(rest).iter().flat_map(|(t, r)| of(t, &r["operation"])));
    all
}

/// R4 operationdefinition.html: Each operation that is claimed is there at its levels, and its OperationDefinition can
/// be read.
/// R4 capabilitystatement-operation-versions.html: `$versions` says 4.0.
async fn each_operation_is_there_and_its_definition_can_be_read(server: TestServer) {
    let client = server.everyone();
    let all = operations(&rest(&client).await);
    assert!(all.len() >= 7, "{all:?}");
    for (rtype, name, url) in all {
        let found = client.search(&format!("OperationDefinition?url={url}")).await;
        let own = if rtype.is_empty() { name.clone() } else { format!("{rtype}-{name}") };
        // One of all types has one definition.
        let is_own = client.read(&format!("OperationDefinition/{own}")).await.status == 200;
        let id = if is_own { own } else { format!("Resource-{name}") };
        let definition = client.read(&format!("OperationDefinition/{id}")).await.is(200).body;
        if url.starts_with("http://baton.example/") {
            assert_eq!(found, std::slice::from_ref(&definition), "{url}");
        } else {
            assert_eq!(definition["base"], url.as_str(), "HL7's own, carried out as a whole");
        }
        assert_eq!(definition["code"], name.as_str());
        for (level, path) in [
            ("system", format!("${name}")),
            ("type", format!("{rtype}/${name}")),
            ("instance", format!("{rtype}/nobody/${name}")),
        ] {
            if path.starts_with('/') {
                continue;
            }
            for method in ["GET", "POST"] {
                let answer = client.send(method, &path, "", &[]).await;
                let is_claimed = definition[level] == true && (method == "POST" || definition["affectsState"] == false);
                assert_eq!(is_missing(&answer), !is_claimed, "{method} {path}: {answer:?}");
            }
        }
    }
    let versions = client.read("$versions").await.ok().body;
    assert_eq!(versions["parameter"][1], json!({"name": "default", "valueCode": "4.0"}));
}

/// R4 capabilitystatement.html: What is not claimed is refused: other operations, methods and paths, of every type.
async fn what_is_not_claimed_is_refused(server: TestServer) {
    let client = server.everyone();
    let rest = rest(&client).await;
    let claimed: BTreeSet<(String, String)> = operations(&rest).into_iter().map(|(t, n, _)| (t, n)).collect();
    let names: BTreeSet<&String> = claimed.iter().map(|(_, n)| n).collect();
    let mut asked: Vec<(&str, String)> = Vec::new();
    for (rtype, _) in resources(&rest) {
        for name in &names {
            if !claimed.contains(&(rtype.clone(), (*name).clone())) {
                asked.extend([("GET", format!("{rtype}/${name}")), ("POST", format!("{rtype}/1/${name}"))]);
            }
        }
        for path in ["", "/1", "/_search", "/_history", "/1/_history", "/1/_history/1", "/1/Task"] {
            asked.extend(["OPTIONS", "TRACE"].map(|m| (m, format!("{rtype}{path}"))));
        }
        asked.extend([
            ("POST", format!("{rtype}/1")),
            ("PUT", format!("{rtype}/_search")),
            ("GET", format!("{rtype}/_search")),
        ]);
        asked.extend(["DELETE", "PUT", "PATCH"].map(|m| (m, format!("{rtype}/1/_history"))));
        asked.extend(["DELETE", "PUT", "PATCH", "POST"].map(|m| (m, format!("{rtype}/1/_history/1"))));
        asked.extend([("GET", format!("{rtype}/1/$nothing")), ("POST", format!("{rtype}/$nothing"))]);
        asked.extend([
            ("GET", format!("{rtype}/1/Nothing")),
            ("GET", format!("{rtype}/1/_nothing/1")),
            ("GET", format!("{rtype}/1/Task/1/2/3")),
        ]);
        asked.extend([("GET", format!("{}/1", rtype.to_lowercase())), ("GET", format!("{rtype}x"))]);
    }
    for path in [
        "$nothing",
        "_nothing",
        "metadata/1",
        "_history/1",
        "Nothing",
        "Nothing/1",
        "Nothing/1/_history",
        "openapi",
        "/nothing",
        "/auth/nothing",
        "/cds",
        "/fhirs",
    ] {
        asked.extend(METHODS.map(|m| (m, path.to_owned())));
    }
    for path in ["metadata", "openapi.json", "_history", "/livez", "/metrics", ".well-known/smart-configuration"] {
        asked.extend(METHODS.iter().filter(|m| **m != "GET").map(|m| (*m, path.to_owned())));
    }
    asked.extend(["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"].map(|m| (m, String::new())));
    let send = |(method, path): &(&'static str, String)| {
        let (client, method, path) = (client.clone(), *method, path.clone());
        async move { client.send(method, &path, if method == "POST" { "{}" } else { "" }, &[]).await }
    };
    let answers: Vec<Answer> = futures_util::stream::iter(&asked).map(send).buffer_unordered(AT_ONCE).collect().await;
    for answer in &answers {
        assert!(matches!(answer.status, 404 | 405), "{answer:?}");
        assert_eq!(answer.body["resourceType"], "OperationOutcome", "{answer:?}");
        assert_eq!(answer.status == 405, !answer.header("allow").is_empty(), "{answer:?}");
    }
    for (rtype, _) in resources(&rest).iter().step_by(10) {
        client.read(&format!("{rtype}?no-such-parameter=1")).await.refuses(400, "not-supported", "");
        client.read(&format!("{rtype}?_include={rtype}:no-such-parameter")).await.is(400);
    }
}

/// Own docs/reading.md: The OpenAPI document lists the paths and methods that are there, and its references lead
/// somewhere.
async fn the_openapi_document_lists_the_paths_and_methods_that_are_there(server: TestServer) {
    let client = server.everyone();
    let document = client.read("openapi.json").await.ok();
    assert!(document.header("content-type").starts_with("application/json"));
    let document = document.body;
    assert_eq!(document["openapi"], "3.0.3");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 900, "{}", paths.len());
    let mut ids = BTreeSet::new();
    let mut references = BTreeSet::new();
    walk(&document, &mut references);
    for reference in &references {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let concrete = |path: &str| path.replace("{id}", "1").replace("{vid}", "1").replace("{member}", "Task");
    let probes: Vec<(String, BTreeSet<String>)> = paths
        .iter()
        .map(|(path, item)| {
            let calls = item.as_object().expect("calls");
            for call in calls.values() {
                let id = call["operationId"].as_str().expect("an id");
                assert!(ids.insert(id.to_owned()), "{id} stands twice");
                let has = |name: &str| call["parameters"].to_string().contains(&format!("parameters/{name}\""));
                assert_eq!(path.contains("{id}"), has("id"), "{path}");
            }
            (concrete(path), calls.keys().map(|m| m.to_uppercase()).collect())
        })
        .collect();
    let ask = |(path, methods): &(String, BTreeSet<String>)| {
        let (client, path, methods) = (client.clone(), path.clone(), methods.clone());
        async move { (client.send("OPTIONS", &path, "", &[]).await, methods) }
    };
    let answers: Vec<_> = futures_util::stream::iter(&probes).map(ask).buffer_unordered(AT_ONCE).collect().await;
    for (answer, methods) in answers {
        let allowed: BTreeSet<String> =
            answer.header("allow").split(", ").filter(|m| *m != "HEAD").map(str::to_owned).collect();
        assert_eq!(allowed, methods, "{answer:?}");
    }
    // Nothing is left out: each type has its paths.
    for rtype in ResourceType::all() {
        for path in ["", "/_search", "/_history", "/{id}", "/{id}/_history", "/{id}/_history/{vid}"] {
            assert!(paths.contains_key(&format!("/fhir/{rtype}{path}")), "{rtype}{path}");
        }
    }
}

fn walk(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|v| walk(v, references));
        }
        Value::Array(items) => items.iter().for_each(|v| walk(v, references)),
        _ => {}
    }
}

/// R4 http.html#capabilities: `metadata` takes `_summary`, `_elements` and `mode`; `mode=terminology` is a
/// TerminologyCapabilities.
async fn the_statement_comes_in_parts_and_as_terminology(server: TestServer) {
    let client = server.everyone();
    let summary = client.read("metadata?_summary=true").await.ok().body;
    assert_eq!(summary["meta"]["tag"][0]["code"], "SUBSETTED");
    assert!(summary["fhirVersion"] == "4.0.1" && summary["rest"].is_array(), "R4 has both in the summary");
    let text = client.read("metadata?_summary=text").await.ok().body;
    assert!(text["fhirVersion"] == "4.0.1" && text["rest"].is_null(), "fhirVersion is mandatory: {text:#}");
    let elements = client.read("metadata?_elements=format&mode=full").await.ok().body;
    assert!(elements["format"].is_array() && elements["rest"].is_null());
    assert!(client.read("metadata?mode=normative").await.ok().body["rest"].is_array());
    client.read("metadata?mode=other").await.refuses(400, "value", "");
    client.read("metadata?_summary=count").await.refuses(400, "invalid", "");
    client.read("metadata?name=x").await.refuses(400, "invalid", "");
    client.read("metadata?_format=xml").await.refuses(406, "not-supported", "");
    client.send("GET", "metadata", "", &[("Accept", "application/fhir+xml")]).await.refuses(406, "not-supported", "");
    client.read("$versions?_format=xml").await.refuses(406, "not-supported", "");
    let own = json!({"resourceType": "CodeSystem", "status": "active", "content": "complete", "url": "http://claims.example/cs"});
    client.create(&own).await.is(201);
    let terminology = client.read("metadata?mode=terminology").await.ok().body;
    assert_eq!(terminology["resourceType"], "TerminologyCapabilities");
    let systems = texts(&terminology["codeSystem"], "uri");
    for system in [
        "http://claims.example/cs",
        "http://baton.example/fhir/CodeSystem/task-code",
        "http://hl7.org/fhir/administrative-gender",
    ] {
        assert!(systems.iter().any(|s| s == system), "{system} in {systems:?}");
    }
}

/// Own docs/reading.md: Published definitions are searched and paged like stored ones; a stored one of the same id
/// takes the place.
async fn published_definitions_are_searched_like_stored_ones(server: TestServer) {
    let client = server.hospital();
    for (query, ids) in [
        ("CompartmentDefinition?code=Patient", &["patient"][..]),
        ("CompartmentDefinition?url=http://baton.example/fhir/CompartmentDefinition/encounter", &["encounter"]),
        ("CompartmentDefinition", &["device", "encounter", "patient", "practitioner", "relatedperson"]),
        ("CompartmentDefinition?code=Patient,Device&_sort=code", &["device", "patient"]),
        ("CompartmentDefinition?_lastUpdated=gt2999", &[]),
        ("CompartmentDefinition?resource=Task&code=Patient", &["patient"]),
        ("OperationDefinition?code=claim", &["Task-claim"]),
        (
            "OperationDefinition?base=http://hl7.org/fhir/OperationDefinition/CapabilityStatement-versions",
            &["versions"],
        ),
        ("SearchParameter?code=due", &["Task-due"]),
        ("SearchParameter?base=Task&_id=Task-due", &["Task-due"]),
        ("CodeSystem?url=http://baton.example/fhir/CodeSystem/task-code", &["task-code"]),
        ("CodeSystem?code=first-call", &["task-code"]),
    ] {
        let found = client.search(query).await;
        let found: Vec<_> = found.iter().map(|r| r["id"].as_str().expect("an id")).collect();
        assert_eq!(found, ids, "{query}");
    }
    // Pages and counts.
    let count = client.read("CompartmentDefinition?_summary=count").await.ok().body;
    assert_eq!(count["total"], 5);
    let stored = json!({"resourceType": "CompartmentDefinition", "id": "patient", "url": "http://claims.example/own", "name": "Own",
        "status": "active", "code": "Patient", "search": true});
    server.everyone().update(&stored).await.is(201);
    let mut page = client.read("CompartmentDefinition?_count=2&_total=accurate").await.ok().body;
    assert_eq!(page["total"], 5, "the stored one has taken the place of the published one");
    let mut ids = Vec::new();
    loop {
        ids.extend(
            page["entry"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|e| e["resource"]["id"].as_str().expect("an id").to_owned()),
        );
        let Some(next) = super::link(&page, "next") else { break };
        page = client.read(&next).await.ok().body;
    }
    assert_eq!(ids, ["patient", "device", "encounter", "practitioner", "relatedperson"]);
    assert_eq!(client.read("CompartmentDefinition/patient").await.ok().body["name"], "Own");
    let part = client.read("CompartmentDefinition/device?_elements=code").await.ok().body;
    assert!(part["code"] == "Device" && part["resource"].is_null(), "{part:#}");
}
