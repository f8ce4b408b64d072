//! Criteria of conditional interactions and conditional references: each asked once, guessed before the transaction and
//! verified inside.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#cond-update>, <https://hl7.org/fhir/R4/http.html#trules>.

use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::{ResourceType, Target};
use crate::interaction::Engine;
use crate::interaction::search::terms;
use crate::search::terminology::{Need, Terms};
use crate::search::{Keys, Plan, query};
use std::collections::HashMap;

/// The criteria of one request, equal ones once.
#[derive(Debug, Default)]
pub(super) struct Criteria {
    plans: Vec<Plan>,
    names: HashMap<(ResourceType, String), usize>,
    /// Types that they search beside those of conditional interactions, which are judged as such.
    touched: Vec<ResourceType>,
    /// Those that need a look-up before they hold.
    waiting: Vec<Waiting>,
}

/// Criteria by a value set, a code system or a List.
#[derive(Debug)]
struct Waiting {
    criterion: usize,
    pairs: Vec<(String, String)>,
    needs: Vec<Need>,
}

impl Criteria {
    /// Reads criteria; the number under which [`Criteria::guess`] answers. `most`: matches that the interaction can take.
    ///
    /// # Errors
    /// `Invalid` when they are no search that identifies something.
    pub(super) fn add(&mut self, engine: &Engine, rtype: ResourceType, raw: &str, most: usize) -> Result<usize> {
        let raw = raw.trim().trim_start_matches('?');
        let raw = raw.strip_prefix(&format!("{rtype}?")).unwrap_or(raw);
        let pairs = query::pairs(raw)?;
        let mut sorted: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        sorted.sort_unstable();
        let name = (rtype, sorted.join("&"));
        let count = most.saturating_add(1);
        if let Some(known) = self.names.get(&name) {
            if let Some(plan) = self.plans.get_mut(*known) {
                plan.count = plan.count.max(count);
            }
            return Ok(*known);
        }
        let (house, criterion) = (engine.house(), self.plans.len());
        let active = house.active();
        let read = query::criteria_knowing(&active.registry, &house.keys, rtype, &pairs, &active.env, &Terms::new())?;
        self.touched.extend(read.touched);
        if !read.needs.is_empty() {
            self.waiting.push(Waiting { criterion, pairs, needs: read.needs });
        }
        self.plans.push(Plan { types: vec![rtype], cond: read.cond, sort: Vec::new(), count, total: false });
        self.names.insert(name, criterion);
        Ok(criterion)
    }

    /// The criteria of a reference: a search of that type, whatever the interaction that it stands in may do.
    ///
    /// # Errors
    /// As [`Criteria::add`].
    pub(super) fn add_reference(&mut self, engine: &Engine, rtype: ResourceType, raw: &str) -> Result<usize> {
        self.touched.push(rtype);
        self.add(engine, rtype, raw, 1)
    }

    /// Judges what the criteria read, and looks up what they need. A value set is read once, before the transaction: what is
    /// verified inside is what it said then.
    ///
    /// # Errors
    /// `Forbidden` for types that the caller may not search; `Invalid` for what cannot be looked up.
    pub(super) async fn look_up(&mut self, engine: &Engine, ctx: &Ctx, limit: &Limit) -> Result<()> {
        self.touched.sort_unstable();
        self.touched.dedup();
        for rtype in &self.touched {
            engine.permit(ctx, Action::SearchType, Some(*rtype))?;
        }
        let (house, active) = (engine.house(), engine.house().active());
        for waiting in self.waiting.drain(..) {
            let Some(plan) = self.plans.get_mut(waiting.criterion) else { continue };
            let Some(rtype) = plan.types.first().copied() else { continue };
            let moment = house.store.moment(plan, None).await?;
            let terms = terms::answer(house, limit, &waiting.needs, &moment).await?;
            let (registry, keys, env) = (&active.registry, &house.keys, &active.env);
            plan.cond = query::criteria_knowing(registry, keys, rtype, &waiting.pairs, env, &terms)?.cond;
        }
        Ok(())
    }

    /// What is asked.
    pub(super) fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// Locks that keep two requests with the same criteria apart.
    pub(super) fn locks<'a>(&'a self, keys: &'a Keys) -> impl Iterator<Item = i64> + 'a {
        self.names.keys().map(|(rtype, text)| keys.hash(&["criteria", rtype.as_str(), text]))
    }

    /// What each finds now, at most one more than its interaction can take.
    pub(super) async fn guess(&self, engine: &Engine, limit: &Limit) -> Result<Found> {
        let mut found = Vec::with_capacity(self.plans.len());
        for plan in &self.plans {
            let page = engine.house().store.search(limit, plan, None).await?;
            found.push(page.rows.into_iter().map(|v| v.target).collect());
        }
        Ok(Found(found))
    }
}

/// Per criterion the matches, at most one more than its interaction can take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found(pub(super) Vec<Vec<Target>>);

impl Found {
    /// All matches, newest first.
    pub(super) fn all(&self, criterion: usize) -> &[Target] {
        self.0.get(criterion).map_or(&[], Vec::as_slice)
    }

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
