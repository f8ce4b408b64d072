//! `--profiles DIR`: the search parameters of a site.

use super::*;

both_nodes!(a_file_of_a_site_becomes_a_parameter_and_one_in_its_place_replaces_ours);
async fn a_file_of_a_site_becomes_a_parameter_and_one_in_its_place_replaces_ours(settings: Settings) {
    let node = Node::start(&settings).await;
    patients(&node, 0, 3).await;
    let task = json!({"resourceType": "Task", "id": "t1", "status": "requested", "intent": "order",
        "restriction": {"period": {"end": "2026-01-05T10:00:00Z"}}, "authoredOn": "2026-01-01T10:00:00Z"});
    node.put(&task).await;
    assert_eq!(node.ids("Task?due=2026-01-05").await, ["t1"]);
    node.stop().await;

    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "kin.json", &parameter("kin", "Patient", "string", "Patient.contact.name"));
    file(dir.path(), "task-due.json", &parameter("due", "Task", "date", "Task.authoredOn"));
    file(dir.path(), "draft.json", &{
        let mut draft = parameter("draft", "Patient", "string", "Patient.contact.name");
        draft["status"] = "draft".into();
        draft
    });
    let with_dir = Settings { profiles: Some(dir.path().into()), ..settings.clone() };
    let node = Node::start(&with_dir).await;
    for query in ["Patient?kin=kin1", "Patient?_sort=kin"] {
        let (status, body) = node.ask(Verb::Get, query, None).await;
        assert_eq!((status, &body["code"]), (503, &json!("transient")), "{body}");
    }
    assert_eq!(node.ask(Verb::Get, "Patient?draft=x", None).await.0, 400);
    assert!(node.settle().await > 0);
    assert_eq!(node.ids("Patient?kin=kin1").await, ["p1"]);
    // R4 has rows for authored-on: nothing had to be built for the other one.
    assert_eq!(node.ids("Task?due=2026-01-01").await, ["t1"]);
    assert!(node.ids("Task?due=2026-01-05").await.is_empty(), "ours is replaced");
    assert_eq!(node.ids("DetectedIssue?status=final").await.len(), 0, "the others of ours stay");
    node.stop().await;

    // Without the folder it is gone at once; the same file again finds its rows, and those that came meanwhile are made.
    let node = Node::start(&settings).await;
    assert_eq!(node.ask(Verb::Get, "Patient?kin=kin1", None).await.0, 400);
    patients(&node, 3, 5).await;
    node.stop().await;
    let node = Node::start(&with_dir).await;
    assert_eq!(node.ask(Verb::Get, "Patient?kin=kin4", None).await.0, 503);
    node.settle().await;
    assert_eq!(node.ids("Patient?kin=kin").await, ["p0", "p1", "p2", "p3", "p4"]);
    node.stop().await;
}

#[test]
fn a_broken_file_is_refused_at_start_with_file_and_element() {
    use crate::harness::Settings as Own;
    let own = Own::new(Database::Sqlite).expect("SQLite is always there");
    let good = parameter("kin", "Patient", "string", "Patient.contact.name");
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        changed
    };
    for (resource, says) in [
        (with("expression", "Patient.contact.nam".into()), "no element Patient.contact.nam"),
        (with("expression", "Patient.contact.name.lower()".into()), "no function 'lower'"),
        (with("code", "family".into()), "has a search parameter 'family' already"),
        (with("base", json!(["Patient", "Nurse"])), "SearchParameter.base"),
        (with("kode", "x".into()), "kode"),
        (json!("not a resource"), "search/kin.json"),
    ] {
        file(own.dir.path(), "kin.json", &resource);
        let dir = own.dir.path().display().to_string();
        let (succeeded, text) = own.run(&["serve", "--auth", "off", "--listen", "127.0.0.1:0", "--profiles", &dir]);
        assert!(!succeeded && text.contains("search/kin.json") && text.contains(says), "{says}: {text}");
    }
}
