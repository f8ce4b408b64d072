//! Dates and times that name no zone are read in the configured one.

use super::*;

both_nodes!(a_day_is_the_day_of_the_configured_zone_and_a_change_of_it_makes_the_rows_again);
async fn a_day_is_the_day_of_the_configured_zone_and_a_change_of_it_makes_the_rows_again(settings: Settings) {
    let node = Node::start(&settings).await;
    let observation = |id: &str, when: &str| json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}, "effectiveDateTime": when});
    // Eleven in the evening of New Year's Eve in New York, in UTC; a day without a zone; a second with one.
    node.put(&observation("eve", "2020-01-01T04:00:00Z")).await;
    node.put(&observation("day", "2020-01-01")).await;
    node.put(&observation("noon", "2020-01-01T12:00:00-05:00")).await;
    let cases = [
        ("Observation?date=2020-01-01", ["day,eve,noon", "day,noon"]),
        ("Observation?date=2019-12-31", ["", "eve"]),
        ("Observation?date=2020-01-01T04:00", ["eve", ""]),
        ("Observation?date=2019-12-31T23:00", ["", "eve"]),
        ("Observation?date=lt2020-01-01", ["", "eve"]),
        ("Observation?date=ge2020-01-01T00:00:00Z", ["day,eve,noon", "day,eve,noon"]),
    ];
    for (query, [utc, _]) in &cases {
        assert_eq!(node.ids(query).await.join(","), *utc, "{query} in UTC");
    }
    node.stop().await;

    let zoned = Settings { zone: Some("America/New_York".into()), ..settings.clone() };
    let node = Node::start(&zoned).await;
    let (status, body) = node.ask(Verb::Get, "Observation?date=2020-01-01", None).await;
    assert_eq!((status, &body["code"]), (503, &json!("transient")), "{body}");
    assert_eq!(node.ids("Observation?status=final").await.len(), 3, "what holds no date goes on");
    assert_eq!(node.ids("Observation?_lastUpdated=gt2020-01-01").await.len(), 3);
    assert!(node.settle().await > 0);
    for (query, [_, new_york]) in &cases {
        assert_eq!(node.ids(query).await.join(","), *new_york, "{query} in New York");
    }
    // The row of the old zone is gone: a day of New York is from 05:00 to 05:00 UTC.
    assert_eq!(node.ids("Observation?date=lt2020-01-01T04:30:00Z").await.join(","), "eve");
    assert_eq!(node.ids("Observation?date=ge2020-01-02T04:30:00Z").await.join(","), "day");
    assert_eq!(node.ids("Observation?date=sa2020-01-01T04:30:00Z").await.join(","), "day,noon");
    node.put(&observation("later", "2020-01-02")).await;
    assert_eq!(node.ids("Observation?date=sa2020-01-02T04:30:00Z").await.join(","), "later");
    node.stop().await;

    // What no setting names stays as the database has it; nothing is made again.
    let node = Node::start(&settings).await;
    assert_eq!(node.ids("Observation?date=2019-12-31").await, ["eve"]);
    assert_eq!(node.settle().await, 0);
    node.stop().await;
}

both_nodes!(rows_of_a_zone_that_is_no_longer_in_force_go_with_the_versions_that_had_them);
async fn rows_of_a_zone_that_is_no_longer_in_force_go_with_the_versions_that_had_them(settings: Settings) {
    let observation = |id: usize, when: &str| json!({"resourceType": "Observation", "id": format!("o{id}"), "status": "final", "code": {"text": "x"}, "effectiveDateTime": when});
    let node = Node::start(&settings).await;
    for id in 0..3 {
        node.put(&observation(id, "2020-01-01")).await;
    }
    let needed = node.store.row_counts().await.unwrap();
    for id in 0..3 {
        node.put(&observation(id, "2020-01-02")).await;
    }
    node.stop().await;
    let node = Node::start(&Settings { zone: Some("America/New_York".into()), ..settings }).await;
    node.settle().await;
    while node.worker.step(Instant::now().plus_seconds(200_000)).await.unwrap() == Did::Something {}
    assert_eq!(node.store.row_counts().await.unwrap(), needed);
    assert_eq!(node.ids("Observation?date=sa2020-01-02T04:30:00Z").await.len(), 3);
    node.stop().await;
}
