//! Criteria of conditional interactions and conditional references: each asked once, guessed before the transaction and
//! verified inside.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#cond-update>, <https://hl7.org/fhir/R4/http.html#trules>.

use crate::access::Limit;
use crate::error::{Error, Result};
use crate::fhir::{ResourceType, Target};
use crate::interaction::Engine;
use crate::search::{Keys, Plan, query};
use std::collections::HashMap;

/// The criteria of one request, equal ones once.
#[derive(Debug, Default)]
pub(super) struct Criteria {
    plans: Vec<Plan>,
    names: HashMap<(ResourceType, String), usize>,
}

impl Criteria {
    /// Reads criteria; the number under which [`Criteria::guess`] answers.
    ///
    /// # Errors
    /// `Invalid` when they are no search that identifies something.
    pub(super) fn add(&mut self, engine: &Engine, rtype: ResourceType, raw: &str) -> Result<usize> {
        let raw = raw.trim().trim_start_matches('?');
        let raw = raw.strip_prefix(&format!("{rtype}?")).unwrap_or(raw);
        let pairs = query::pairs(raw)?;
        let mut sorted: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        sorted.sort_unstable();
        let name = (rtype, sorted.join("&"));
        if let Some(known) = self.names.get(&name) {
            return Ok(*known);
        }
        let house = engine.house();
        let active = house.active();
        let cond = query::criteria(&active.registry, &house.keys, rtype, &pairs, &active.env)?;
        self.plans.push(Plan { types: vec![rtype], cond, sort: Vec::new(), count: 2, total: false });
        self.names.insert(name, self.plans.len() - 1);
        Ok(self.plans.len() - 1)
    }

    /// What is asked.
    pub(super) fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// Locks that keep two requests with the same criteria apart.
    pub(super) fn locks<'a>(&'a self, keys: &'a Keys) -> impl Iterator<Item = i64> + 'a {
        self.names.keys().map(|(rtype, text)| keys.hash(&["criteria", rtype.as_str(), text]))
    }

    /// What each finds now, at most two.
    pub(super) async fn guess(&self, engine: &Engine, limit: &Limit) -> Result<Found> {
        let mut found = Vec::with_capacity(self.plans.len());
        for plan in &self.plans {
            let page = engine.house().store.search(limit, plan, None).await?;
            found.push(page.rows.into_iter().map(|v| v.target).collect());
        }
        Ok(Found(found))
    }
}

/// Per criterion the matches, at most two: enough to tell none, one and many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found(pub(super) Vec<Vec<Target>>);

impl Found {
    /// The one match, or none.
    ///
    /// # Errors
    /// `ManyMatches` for more.
    pub(super) fn one(&self, criterion: usize) -> Result<Option<&Target>> {
        match self.0.get(criterion).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([one]) => Ok(Some(one)),
            Some(_) => Err(Error::many_matches("the criteria match more than one resource; make them name one")),
        }
    }
}
