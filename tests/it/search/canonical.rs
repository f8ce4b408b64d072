//! References by canonical: chains, `_has`, `_include` and `_revinclude` lead to the resources of this server that have the URL.

use super::rules::fill;
use crate::harness::{Client, TestServer};
use serde_json::{Value, json};

both_databases!(a_canonical_leads_to_what_has_its_url);

fn form(id: &str, version: &str, title: &str) -> Value {
    json!({"resourceType": "Questionnaire", "id": id, "status": "active", "url": "http://forms.example/q",
        "version": version, "title": title})
}

fn response(id: &str, form: &str, status: &str) -> Value {
    json!({"resourceType": "QuestionnaireResponse", "id": id, "status": status, "questionnaire": form})
}

/// Type/id of all that a search answers, sorted; what came along has a `+` before it.
async fn found(client: &Client, query: &str) -> Vec<String> {
    let body = client.read(&query.replace('|', "%7C").replace(' ', "%20")).await.ok().body;
    let name = |e: &Value| {
        let mark = if e["search"]["mode"] == "include" { "+" } else { "" };
        format!("{mark}{}/{}", e["resource"]["resourceType"].as_str().unwrap(), e["resource"]["id"].as_str().unwrap())
    };
    let mut all: Vec<String> = body["entry"].as_array().into_iter().flatten().map(name).collect();
    all.sort();
    all
}

/// R4 search.html#chaining: A chain follows a canonical to the resources that have its URL, and its version where one is named.
/// R4 search.html#has: `_has` finds a resource by those that name its URL.
/// R4 search.html#include: `_include` and `_revinclude` follow canonicals, with and without version, to what is stored and to what the server publishes.
async fn a_canonical_leads_to_what_has_its_url(server: TestServer) {
    let client = server.everyone();
    let url = "http://forms.example/q";
    fill(
        &client,
        &[
            form("q1", "1.0", "Zed one"),
            form("q2", "2.0", "Zed two"),
            json!({"resourceType": "Questionnaire", "id": "other", "status": "draft", "url": "http://forms.example/q1", "title": "Zed"}),
            response("plain", url, "completed"),
            response("first", &format!("{url}|1.0"), "completed"),
            response("second", &format!("{url}|2.0"), "amended"),
            response("lost", &format!("{url}|3.0"), "stopped"),
            json!({"resourceType": "Library", "id": "l", "status": "active", "url": "http://forms.example/l",
                "type": {"text": "logic"}}),
            json!({"resourceType": "PlanDefinition", "id": "p", "status": "active", "library": ["http://forms.example/l"],
                "relatedArtifact": [{"type": "depends-on", "resource": format!("{url}|2.0")}]}),
            // The url of a code system is searched as `system`, too.
            json!({"resourceType": "CodeSystem", "id": "base", "url": "http://forms.example/cs", "version": "1", "status": "active",
                "content": "complete", "name": "Base"}),
            json!({"resourceType": "CodeSystem", "id": "more", "url": "http://forms.example/more", "status": "active",
                "content": "supplement", "supplements": "http://forms.example/cs", "name": "More"}),
            json!({"resourceType": "PlanDefinition", "id": "own", "status": "active",
                "relatedArtifact": [{"type": "depends-on", "resource": "http://baton.example/fhir/Questionnaire/first-call|1"}]}),
        ],
    )
    .await;
    let all = |ids: &[&str]| ids.iter().map(|id| format!("QuestionnaireResponse/{id}")).collect::<Vec<_>>();
    let rows: Vec<(&str, Vec<String>)> = vec![
        ("QuestionnaireResponse?questionnaire.title=zed", all(&["first", "plain", "second"])),
        ("QuestionnaireResponse?questionnaire:Questionnaire.title=zed two", all(&["plain", "second"])),
        ("QuestionnaireResponse?questionnaire.version=1.0&status=completed", all(&["first", "plain"])),
        ("PlanDefinition?depends-on:Questionnaire.title=first call", vec!["PlanDefinition/own".into()]),
        ("QuestionnaireResponse?questionnaire.title=nothing", all(&[])),
        (
            "Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed",
            vec!["Questionnaire/q1".into(), "Questionnaire/q2".into()],
        ),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:status=amended", vec!["Questionnaire/q2".into()]),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:status=stopped", vec![]),
        (
            "Questionnaire?_has:QuestionnaireResponse:questionnaire:questionnaire.title=zed one",
            vec!["Questionnaire/q1".into(), "Questionnaire/q2".into()],
        ),
        (
            "QuestionnaireResponse?_id=first&_include=QuestionnaireResponse:questionnaire",
            vec!["+Questionnaire/q1".into(), "QuestionnaireResponse/first".into()],
        ),
        (
            "QuestionnaireResponse?_id=plain&_include=QuestionnaireResponse:*",
            vec!["+Questionnaire/q1".into(), "+Questionnaire/q2".into(), "QuestionnaireResponse/plain".into()],
        ),
        ("QuestionnaireResponse?_id=lost&_include=QuestionnaireResponse:questionnaire", all(&["lost"])),
        (
            "PlanDefinition?_id=own&_include=PlanDefinition:depends-on:Questionnaire",
            vec!["+Questionnaire/first-call".into(), "PlanDefinition/own".into()],
        ),
        (
            "Questionnaire?_id=q2&_revinclude=QuestionnaireResponse:questionnaire",
            vec![
                "+QuestionnaireResponse/plain".into(),
                "+QuestionnaireResponse/second".into(),
                "Questionnaire/q2".into(),
            ],
        ),
        ("Questionnaire?_id=other&_revinclude=QuestionnaireResponse:questionnaire", vec!["Questionnaire/other".into()]),
        (
            "PlanDefinition?_include=PlanDefinition:depends-on&_id=p",
            vec!["+Library/l".into(), "+Questionnaire/q2".into(), "PlanDefinition/p".into()],
        ),
        ("PlanDefinition?depends-on:Library.status=active&_id=p", vec!["PlanDefinition/p".into()]),
        ("Library?_id=l&_has:PlanDefinition:depends-on:status=active", vec!["Library/l".into()]),
        (
            "CodeSystem?_id=more&_include=CodeSystem:supplements",
            vec!["+CodeSystem/base".into(), "CodeSystem/more".into()],
        ),
        (
            "CodeSystem?_id=base&_revinclude=CodeSystem:supplements",
            vec!["+CodeSystem/more".into(), "CodeSystem/base".into()],
        ),
        ("CodeSystem?supplements.name=Base", vec!["CodeSystem/more".into()]),
        // As before: by the text of the canonical itself.
        ("QuestionnaireResponse?questionnaire=http://forms.example/q", all(&["first", "lost", "plain", "second"])),
        ("QuestionnaireResponse?questionnaire=http://forms.example/q|1.0", all(&["first"])),
    ];
    let mut wrong = Vec::new();
    for (query, expected) in rows {
        let answered = found(&client, query).await;
        if answered != expected {
            wrong.push(format!("{query}: {answered:?} and not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A deleted form leads nowhere.
    client.delete("Questionnaire/q2").await.ok();
    assert_eq!(found(&client, "QuestionnaireResponse?questionnaire.title=zed two").await, all(&[]));
}
