//! From scopes to the rows that they let through.
//!
//! For: principals whose token says `patient/…` or `?category=…`, and patients. What is made here is asked by every read of
//! the store, and of every new version before it is written.
//! Not for: rights (`access/scope.rs`), organisations (`access/limit.rs`).
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>,
//! <https://hl7.org/fhir/R4/compartmentdefinition-patient.html>. Own rules: `Task.for` and `Device.patient` count; `Patient.link` does not; a
//! Communication belongs to the patient who logs in only as its sender or recipient; where rights of one type reach
//! differently far, the narrowest holds for all of them.

use crate::access::limit::DIRECTORY;
use crate::access::scope::{Level, Rights, Scope, Scopes};
use crate::access::{Layer, Sieve};
use crate::fhir::{ResourceType, Target};
use crate::search::query::{self, Handling};
use crate::search::registry::sources;
use crate::search::{Cond, Env, Keys, Registry};
use std::sync::{Arc, LazyLock};

/// R4's own parameters: what a site adds changes neither compartments nor the parameters of granular scopes.
static R4: LazyLock<Registry> = LazyLock::new(Registry::builtin);

/// Whose token it is.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The scopes in force.
    pub scopes: &'a Scopes,
    /// Logical id of the patient in context.
    pub patient: Option<&'a str>,
    /// The user is that patient: `user/` scopes reach no further.
    pub is_patient: bool,
}

/// What lets rows through; `None`: every row passes. `hidden`: labels that the caller is not cleared for.
#[must_use]
pub fn of(who: Who<'_>, keys: &Keys, hidden: i64) -> Option<Arc<Sieve>> {
    let is_narrow = |s: &Scope| s.level == Level::Patient || !s.granular.is_empty();
    if !who.is_patient && !who.scopes.data.iter().any(is_narrow) {
        return (hidden != 0).then(|| Arc::new(Sieve { hidden, ..Sieve::default() }));
    }
    let owner = who.patient.zip(ResourceType::parse("Patient")).map(|(id, rtype)| Target::new(rtype, id));
    let mut sieve = Sieve { hidden, ..Sieve::default() };
    for right in [Rights::R, Rights::S, Rights::C, Rights::U, Rights::D] {
        let layer = layer(who, right, owner.as_ref(), keys);
        if !sieve.layers.contains(&layer) {
            sieve.layers.push(layer);
        }
    }
    Some(Arc::new(sieve))
}

fn layer(who: Who<'_>, right: Rights, owner: Option<&Target>, keys: &Keys) -> Layer {
    let mut layer = Layer::default();
    if who.is_patient {
        // One may always read oneself.
        layer.patient = owner.map(|o| self_key(keys, o));
    }
    for rtype in ResourceType::all().filter(|t| !DIRECTORY.contains(&t.as_str())) {
        let about: Vec<&Scope> =
            who.scopes.data.iter().filter(|s| s.rtype.is_none() || s.rtype == Some(rtype)).collect();
        let given: Vec<&&Scope> = about.iter().filter(|s| s.rights.covers(right)).collect();
        // Of a type that has rights, but not this one, the other layers say what passes.
        if given.is_empty() && !about.is_empty() {
            layer.free.push(rtype);
        }
        for scope in given {
            let in_context = who.is_patient || scope.level == Level::Patient;
            let plain = scope.granular.is_empty();
            if plain && !in_context {
                layer.free.push(rtype);
                continue;
            }
            let members = match (in_context, owner) {
                (true, None) => continue,
                (true, Some(owner)) => Some(members(who, owner, rtype, keys)),
                (false, _) => None,
            };
            if plain {
                layer.keys.extend(members.unwrap_or_default());
                layer.patient = layer.patient.or(owner.filter(|o| o.rtype == rtype).map(|o| self_key(keys, o)));
                continue;
            }
            let values = scope.granular.iter().map(|(name, value)| token(rtype, name, value, keys));
            if let Some(mut lists) = values.collect::<Option<Vec<_>>>() {
                lists.extend(members);
                layer.granular.push((rtype, lists));
            }
        }
    }
    // No patient's and of no kind: who sees it by organisation or share sees it.
    layer.free.extend(DIRECTORY.iter().filter_map(|name| ResourceType::parse(name)));
    layer.free.dedup();
    layer.keys.sort_unstable();
    layer.keys.dedup();
    layer
}

fn self_key(keys: &Keys, target: &Target) -> i64 {
    keys.target(target.rtype.as_str(), &target.id)
}

/// Keys of references by which a resource of that type is in the compartment.
fn members(who: Who<'_>, owner: &Target, rtype: ResourceType, keys: &Keys) -> Vec<i64> {
    let counts = |code: &str| match (rtype.as_str(), code) {
        ("Patient", _) => false,
        ("Communication", "subject") => !who.is_patient,
        _ => true,
    };
    let codes = sources(owner.rtype, rtype).iter().filter(|code| counts(code));
    codes.flat_map(|code| R4.reference_keys(keys, rtype, code, owner)).collect()
}

/// Keys of references, one of which a row has that is of a patient.
#[must_use]
pub fn of_patient(patient: &Target, keys: &Keys) -> Vec<i64> {
    let scopes = Scopes::default();
    let who = Who { scopes: &scopes, patient: Some(&patient.id), is_patient: false };
    let types = ResourceType::all().filter(|t| !DIRECTORY.contains(&t.as_str()));
    let mut all: Vec<i64> = types.flat_map(|rtype| members(who, patient, rtype, keys)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Keys of a token, one of which a resource has; `None`: the type has no such parameter.
fn token(rtype: ResourceType, name: &str, value: &str, keys: &Keys) -> Option<Vec<i64>> {
    let pairs = [(name.to_owned(), value.to_owned())];
    let env = Env::utc("http://localhost/fhir");
    let query = query::parse(&R4, keys, &[rtype], &pairs, &env, Handling::Strict).ok()?;
    exact(&query.plan.cond)
}

fn exact(cond: &Cond) -> Option<Vec<i64>> {
    match cond {
        Cond::Exact(keys) => Some(keys.clone()),
        Cond::Any(list) | Cond::All(list) => match list.as_slice() {
            [one] => exact(one),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::resource::known;

    const KEYS: Keys = Keys(1, 2);

    /// Whether a resource that is found by these keys passes.
    fn passes(scopes: &str, is_patient: bool, rtype: &'static str, exact: &[i64]) -> bool {
        let scopes = Scopes::parse(scopes);
        let mut exact = exact.to_vec();
        exact.sort_unstable();
        let own = KEYS.target(rtype, "p");
        let who = Who { scopes: &scopes, patient: Some("p"), is_patient };
        of(who, &KEYS, 0).is_none_or(|s| s.lets(known(rtype), own, &exact))
    }

    /// security leak 7: No type that can be a patient's, by its parameter `patient` or by R4's compartment, is in the directory.
    #[test]
    fn what_can_be_a_patients_is_no_directory() {
        let patient = known("Patient");
        let can_be =
            |t: ResourceType| t == patient || R4.param(t, "patient").is_some() || !sources(patient, t).is_empty();
        let all: Vec<&str> = ResourceType::all().filter(|t| can_be(*t)).map(|t| t.as_str()).collect();
        assert!(all.contains(&"Device") && all.len() > 60, "{all:?}");
        assert!(all.iter().all(|t| !DIRECTORY.contains(t)), "{all:?}");
    }

    /// security R27: Granular scopes are a conjunction inside and a union across; a plain one beside them makes them moot.
    #[test]
    fn what_passes_as_a_table() {
        let of = |t: &'static str, code: &str, id: &str| {
            R4.reference_keys(&KEYS, known(t), code, &Target::new(known("Patient"), id))[0]
        };
        let of_p = |t: &'static str, code: &str| of(t, code, "p");
        let vital = token(known("Observation"), "category", "vital-signs", &KEYS).unwrap();
        let lab = token(known("Observation"), "category", "laboratory", &KEYS).unwrap();
        let is_final = token(known("Observation"), "status", "final", &KEYS).unwrap();
        let (v, l, f) = (vital[0], lab[0], is_final[0]);
        let subject = of_p("Observation", "subject");
        for (scopes, rtype, exact, goes) in [
            ("user/*.rs", "Observation", vec![], true),
            ("patient/*.rs", "Observation", vec![], false),
            ("patient/*.rs", "Observation", vec![subject], true),
            ("patient/*.rs", "Observation", vec![of_p("Observation", "focus")], false),
            ("patient/*.rs", "Observation", vec![of("Observation", "subject", "q")], false),
            ("patient/*.rs", "Patient", vec![], true),
            ("patient/*.rs", "Practitioner", vec![], true),
            ("patient/Observation.rs", "Patient", vec![], false),
            ("patient/*.rs", "Task", vec![of_p("Task", "patient")], true),
            ("patient/*.rs", "Task", vec![of_p("Task", "owner")], false),
            ("patient/Observation.rs?category=vital-signs", "Observation", vec![subject], false),
            ("patient/Observation.rs?category=vital-signs", "Observation", vec![v], false),
            ("patient/Observation.rs?category=vital-signs", "Observation", vec![subject, v], true),
            ("user/Observation.rs?category=vital-signs&status=final", "Observation", vec![v], false),
            ("user/Observation.rs?category=vital-signs&status=final", "Observation", vec![v, f], true),
            (
                "user/Observation.rs?category=vital-signs user/Observation.rs?category=laboratory",
                "Observation",
                vec![l],
                true,
            ),
            ("user/Observation.rs?category=vital-signs user/Observation.rs", "Observation", vec![l], true),
            ("user/Observation.rs patient/Observation.u", "Observation", vec![], false),
            ("user/Observation.rs patient/Task.rs", "Observation", vec![], true),
        ] {
            assert_eq!(passes(scopes, false, rtype, &exact), goes, "{scopes} {rtype}");
        }
        // the patient's own user/ scopes reach no further than patient/ ones
        assert!(!passes("user/*.rs", true, "Observation", &[]));
        assert!(passes("user/*.rs", true, "Observation", &[subject]));
        assert!(!passes("user/*.rs", true, "Communication", &[of_p("Communication", "subject")]));
        assert!(passes("user/*.rs", true, "Communication", &[of_p("Communication", "recipient")]));
    }
}
