//! Records in a map, for tests.

use super::{Ask, Held, Records};
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::{Json, Target, meta};
use crate::search::Keys;
use crate::store::Share;
use crate::workflow::element;
use std::collections::{BTreeMap, BTreeSet};

/// A store of one organisation wall less: what is there, who was shared what, how often was written.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    /// Current resources.
    pub held: BTreeMap<Target, Held>,
    /// (org, target, handoff) → until.
    pub shares: BTreeMap<(i64, Target, String), Instant>,
    /// Versions written by the programme.
    pub puts: usize,
}

/// (type, parameter) → element that holds the reference.
const PARAMS: [(&str, &str); 15] = [
    ("organization", "organization"),
    ("practitioner", "practitioner"),
    ("patient", "patient"),
    ("patient", "subject"),
    ("patient", "for"),
    ("patient", "beneficiary"),
    ("subject", "subject"),
    ("encounter", "encounter"),
    ("encounter", "context"),
    ("context", "context"),
    ("focus", "focus"),
    ("part-of", "partOf"),
    ("based-on", "basedOn"),
    ("implicated", "implicated"),
    ("service-provider", "serviceProvider"),
];

impl Memory {
    /// Stores a client's resource.
    pub fn client(&mut self, json: Json, org: i64) -> Target {
        let target = element::target_of(&json).unwrap();
        let version = self.held.get(&target).map_or(1, |h| h.version + 1);
        self.held.insert(target.clone(), Held { target: target.clone(), json, org, version });
        target
    }

    /// All of a type.
    pub fn all(&self, rtype: &str) -> Vec<&Json> {
        self.held.values().filter(|h| h.target.rtype.as_str() == rtype).map(|h| &h.json).collect()
    }
}

impl Records for Memory {
    fn keys(&self) -> Keys {
        Keys(1, 2)
    }

    async fn fetch(&mut self, targets: &[Target]) -> Result<Vec<Option<Held>>> {
        Ok(targets.iter().map(|t| self.held.get(t).cloned()).collect())
    }

    fn assume_absent(&mut self, targets: &[Target]) {
        assert!(targets.iter().all(|t| !self.held.contains_key(t)), "what derives from something new is not there");
    }

    async fn referring(&mut self, asks: &[Ask]) -> Result<Vec<Held>> {
        let refers = |held: &Held, (rtype, param, to): &Ask| {
            held.target.rtype.as_str() == *rtype
                && PARAMS.iter().filter(|(p, _)| p == param).any(|(_, element)| {
                    let element = &held.json[*element];
                    std::iter::once(element).chain(element.items()).any(|r| r["reference"].text() == to.to_string())
                })
        };
        Ok(self.held.values().filter(|h| asks.iter().any(|a| refers(h, a))).cloned().collect())
    }

    async fn put(&mut self, target: &Target, json: &Json, org: i64) -> Result<()> {
        let before = self.held.get(target);
        let mut json = json.clone();
        meta::set_id(&mut json, &target.id);
        let issues = crate::fhir::validate::resource(&json);
        assert!(issues.is_empty(), "the programme writes valid R4: {issues:#?} in {json}");
        let held = Held {
            target: target.clone(),
            json,
            org: before.map_or(org, |b| b.org),
            version: before.map_or(1, |b| b.version + 1),
        };
        self.puts += 1;
        self.held.insert(target.clone(), held);
        Ok(())
    }

    async fn share(&mut self, share: Share) -> Result<()> {
        self.shares.insert((share.org, share.target, share.handoff), share.until);
        Ok(())
    }

    async fn unshare(&mut self, handoff: &str, org: Option<i64>) -> Result<()> {
        self.shares.retain(|(o, _, h), _| h != handoff || org.is_some_and(|org| org != *o));
        Ok(())
    }

    async fn unshare_one(&mut self, handoff: &str, target: &Target) -> Result<()> {
        self.shares.retain(|(_, t, h), _| h != handoff || t != target);
        Ok(())
    }

    async fn shared(&mut self, handoff: &str) -> Result<BTreeSet<Target>> {
        Ok(self.shares.keys().filter(|(_, _, h)| h == handoff).map(|(_, t, _)| t.clone()).collect())
    }

    async fn end_shares(&mut self, handoffs: &[String], but: i64) -> Result<()> {
        for ((org, _, handoff), until) in &mut self.shares {
            if handoffs.contains(handoff) && *org != but {
                *until = Instant(0);
            }
        }
        Ok(())
    }

    async fn lock(&mut self, _keys: &[i64]) -> Result<()> {
        Ok(())
    }
}
