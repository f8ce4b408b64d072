//! What AuditEvents are found by, many at a time.
//!
//! The events of one caller that end alike differ in time, request and resources only. What the rest of them is found by is
//! extracted once a step; for the others it is copied. A site's own parameters may look at anything: with them each event is
//! extracted as a whole. A test holds that both give the same rows.

use crate::fhir::resource::known;
use crate::search::{Env, Keys, Registry, Rows};
use crate::store::audit::said::Said;
use std::collections::HashMap;

/// Slots of the values of [`Said::own`].
const OWN: [&str; 2] = ["date", "entity"];

/// For the events of one step.
pub(super) struct Index<'a> {
    keys: &'a Keys,
    registry: &'a Registry,
    env: &'a Env,
    is_plain: bool,
    kept: HashMap<bytes::Bytes, Rows>,
}

impl<'a> Index<'a> {
    pub(super) fn new(keys: &'a Keys, registry: &'a Registry, env: &'a Env) -> Self {
        let is_plain = registry.is_r4(known("AuditEvent"));
        Self { keys, registry, env, is_plain, kept: HashMap::new() }
    }

    /// The rows of one event. `id`: of its resource.
    pub(super) fn rows(&mut self, said: &Said, id: &str) -> Rows {
        let (keys, registry, env) = (self.keys, self.registry, self.env);
        // A patient who asks is found by `patient`, too, as is the one that it is about.
        let is_patient = said.audit.detail.person.as_ref().is_some_and(|p| p.starts_with("Patient/"));
        if !self.is_plain || is_patient {
            let mut event = said.event();
            crate::fhir::meta::set_id(&mut event, id);
            return registry.extract(keys, &event, env);
        }
        let is_own = |slot: &str| OWN.contains(&slot);
        let shared = said.shared();
        let kept = self
            .kept
            .entry(shared.bytes())
            .or_insert_with(|| registry.extract_some(keys, &shared.event(), env, |slot| !is_own(slot)));
        let mut rows = registry.extract_some(keys, &said.own(), env, is_own);
        rows.exact.extend(&kept.exact);
        rows.range.extend(&kept.range);
        rows.text.extend(kept.text.iter().cloned());
        rows.facts = match (rows.facts.strip_suffix('}'), kept.facts.strip_prefix('{')) {
            (Some("{"), _) | (None, _) | (_, None) => kept.facts.clone(),
            (Some(_), Some("}")) => rows.facts,
            (Some(one), Some(other)) => format!("{one},{other}"),
        };
        rows.finish();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Instant;
    use crate::search::Caps;
    use crate::store::Audit;
    use crate::store::audit::Detail;
    use crate::store::audit::said::{Deed, What};
    use std::collections::BTreeMap;

    /// Own docs/audit.md: What is copied from one event to the next finds the same as what is extracted from each.
    #[test]
    fn copied_rows_are_those_of_the_whole_event() {
        let (keys, registry) = (Keys(1, 2), Registry::builtin());
        let env = Env { base: "http://x/fhir".into(), zone: jiff::tz::TimeZone::UTC, caps: Caps::default() };
        let mut index = Index::new(&keys, &registry, &env);
        assert!(index.is_plain);
        let detail = Detail {
            role: "technician".into(),
            org: Some("elm".into()),
            person: Some("Practitioner/mara".into()),
            address: Some("127.0.0.1".into()),
            token: Some("t1".into()),
            ..Detail::default()
        };
        let facts = |text: &str| -> BTreeMap<String, String> { serde_json::from_str(text).unwrap() };
        let mut n = 0;
        for (action, on, outcome) in [
            ("create", "", 201),
            ("read", "Patient/9", 404),
            ("search-type", "Observation", 200),
            ("search-type", "AuditEvent", 200),
            ("$everything", "Patient/9", 200),
            ("denied", "Patient/9", 403),
            ("login", "app", 200),
        ] {
            for what in [
                What::Deed(Deed::Create),
                What::Deed(Deed::Delete),
                What::Asked,
                What::Happened(action.into()),
                What::Disclosed("oak".into()),
            ] {
                for (usr, patient) in [("mara", Some("Patient/2")), ("", None), ("mara", None)] {
                    for person in ["Practitioner/mara", "Patient/77"] {
                        n += 1;
                        let detail = Detail {
                            person: Some(person.into()),
                            on: on.into(),
                            query: Some(format!("q={n}")),
                            ..detail.clone()
                        };
                        let audit = Audit {
                            at: Instant(1_700_000_000_000_000 + n * 61_000_000),
                            client: "pms".into(),
                            usr: usr.into(),
                            request_id: format!("r{n}"),
                            action: action.into(),
                            outcome,
                            detail,
                            ..Audit::default()
                        };
                        let data = vec![(format!("Observation/{n}"), 1), (format!("Task/{n}"), 0)];
                        let said = Said {
                            audit,
                            base: env.base.clone(),
                            what: what.clone(),
                            data,
                            patient: patient.map(Into::into),
                        };
                        let quick = index.rows(&said, "a1-0");
                        let whole = registry.extract(&keys, &said.event(), &env);
                        assert_eq!(
                            (&quick.exact, &quick.range, &quick.text),
                            (&whole.exact, &whole.range, &whole.text)
                        );
                        assert_eq!(facts(&quick.facts), facts(&whole.facts), "{said:?}");
                        assert!(quick.words.is_empty() && whole.words.is_empty());
                    }
                }
            }
        }
    }
}
