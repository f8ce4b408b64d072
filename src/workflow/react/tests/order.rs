//! Law 6: the order and packing of what a hospital sends do not matter.

use crate::workflow::world::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What is there in the end, apart from versions.
fn state(world: &World) -> Vec<String> {
    let mut out: Vec<String> = world
        .memory
        .held
        .values()
        // A request for a list that came meanwhile is settled: who sends late causes it, who sends early does not.
        .filter(|h| {
            !(h.json["code"]["coding"][0]["code"].text() == "request-list" && h.json["status"].text() == "cancelled")
        })
        .map(|h| {
            let mut json = h.json.clone();
            json.remove("meta");
            if json["resourceType"].text() == "CarePlan" {
                json.remove("activity"); // holds the settled request too
            }
            json.to_string()
        })
        .collect();
    out.sort();
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Law 6 of the programme: order and packing of what a hospital sends do not matter.
    #[test]
    fn in_whatever_order_and_packing_it_arrives_the_state_is_the_same(
        order in Just((0..7usize).collect::<Vec<_>>()).prop_shuffle(),
        cuts in prop::collection::vec(any::<bool>(), 7),
        stepwise in any::<bool>(),
    ) {
        let parts = || vec![
            encounter(), home_medicine(), prescription("m", None), prescription("b", None), prescription("a", None),
            json!({"resourceType": "AllergyIntolerance", "id": "al", "patient": {"reference": "Patient/p"}}),
            json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot",
                "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]},
                "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/e"},
                "entry": [{"item": {"reference": "MedicationRequest/m"}}]}),
        ];
        let mut expected = World::new();
        let mut all = vec![patient()];
        all.extend(parts());
        expected.write("hospital", all).unwrap();

        let mut world = World::new();
        world.write("hospital", vec![patient()]).unwrap();
        if stepwise {
            let mut admitted = encounter();
            admitted["status"] = "in-progress".into();
            admitted["period"].as_object_mut().unwrap().remove("end");
            world.write("hospital", vec![admitted]).unwrap();
        }
        let mut bundle: Vec<Value> = Vec::new();
        for (n, cut) in order.iter().zip(&cuts) {
            bundle.push(parts()[*n].clone());
            if *cut {
                world.write("hospital", std::mem::take(&mut bundle)).unwrap();
            }
        }
        if !bundle.is_empty() {
            world.write("hospital", bundle).unwrap();
        }
        prop_assert_eq!(state(&world), state(&expected));
        // What a pharmacy will see once it has claimed is the same too.
        let shown = |w: &World| w.memory.shares.keys().filter(|(o, t, _)| *o == 0
            && !(t.rtype.as_str() == "Task" && w.status(t) == "cancelled")).map(|(_, t, _)| t.to_string()).collect::<Vec<_>>();
        prop_assert_eq!(shown(&world), shown(&expected));
    }
}
