//! Chains that share their first step.
//! Source: <https://hl7.org/fhir/R4/search.html#chaining>.

use super::rules::{fill, table};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(chains_are_about_one_target_where_there_is_only_one);

/// R4 search.html#chaining: Chains over a reference that is single are about one target, over repeated ones each about
/// its own.
async fn chains_are_about_one_target_where_there_is_only_one(server: TestServer) {
    let client = server.everyone();
    let person = |id: &str, family: &str, given: &str| json!({"resourceType": "Practitioner", "id": id, "name": [{"family": family, "given": [given]}]});
    let patient = |id: &str, family: &str, given: &str| json!({"resourceType": "Patient", "id": id, "name": [{"family": family, "given": [given]}]});
    let about = |id: &str, patient: &str| json!({"resourceType": "Condition", "id": id, "subject": {"reference": format!("Patient/{patient}")}});
    let team = |id: &str, members: &[&str]| {
        let members: Vec<Value> =
            members.iter().map(|m| json!({"member": {"reference": format!("Practitioner/{m}")}})).collect();
        json!({"resourceType": "CareTeam", "id": id, "participant": members})
    };
    fill(
        &client,
        &[
            person("ada-berg", "Berg", "Ada"),
            person("ida-cole", "Cole", "Ida"),
            patient("p1", "Berg", "Ada"),
            patient("p2", "Berg", "Ida"),
            about("c1", "p1"),
            about("c2", "p2"),
            team("t1", &["ada-berg"]),
            team("t2", &["ada-berg", "ida-cole"]),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Condition?patient.family=berg", "c1 c2", "chaining"),
            ("Condition?patient.family=berg&patient.given=ada", "c1", "chaining"),
            ("Condition?patient.family=berg&patient.given=ada&patient.given=ida", "", "chaining"),
            ("Condition?patient.family=berg&patient.given=ada,ida", "c1 c2", "chaining"),
            // A team has several members: one may be meant by one chain, another by the other.
            ("CareTeam?participant:Practitioner.family=berg", "t1 t2", "chaining"),
            ("CareTeam?participant:Practitioner.family=berg&participant:Practitioner.given=ida", "t2", "chaining"),
            ("CareTeam?participant:Practitioner.family=cole&participant:Practitioner.given=ada", "t2", "chaining"),
        ],
    )
    .await;
}
