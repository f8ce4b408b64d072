//! From the text of a query to a [`Plan`].
//!
//! For: search by GET and POST, conditional interactions, Bundle entries: all the same code.
//! Not for: carrying it out (`store/search.rs`).
//! Source: <https://hl7.org/fhir/R4/search.html>.

mod chain;
mod compartment;
mod criterion;
mod looked_up;
mod result;
pub mod text;

use super::terminology::{Known, Need, Stop, Terms};
use super::{Cond, Env, Keys, Plan, Registry};
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::ResourceType;
use std::cell::RefCell;

pub use compartment::{compartment, compartment_is_built};
pub use result::{has_element, is_result};
pub use text::pairs;

/// `Prefer: handling=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handling {
    /// An unknown parameter or modifier is an error. The default.
    #[default]
    Strict,
    /// It is left out with a warning.
    Lenient,
}

/// `_summary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Summary {
    /// Whole resources.
    #[default]
    False,
    /// Elements marked as summary.
    True,
    /// Narrative and mandatory elements.
    Text,
    /// Without narrative.
    Data,
    /// Only the number of matches.
    Count,
}

/// `_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// Not asked for.
    #[default]
    None,
    /// A guess is enough.
    Estimate,
    /// Counted.
    Accurate,
}

/// One `_include` or `_revinclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Type that holds the reference; `None` for `*`: any type.
    pub source: Option<ResourceType>,
    /// Code of its reference parameter, or `*`.
    pub param: String,
    /// Type it must lead to.
    pub target: Option<ResourceType>,
    /// `:iterate`: also from included resources.
    pub iterate: bool,
}

/// A parsed search.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What the store does.
    pub plan: Plan,
    /// `_include`.
    pub includes: Vec<Include>,
    /// `_revinclude`.
    pub revincludes: Vec<Include>,
    /// `_summary`.
    pub summary: Summary,
    /// `_elements`; empty: all.
    pub elements: Vec<String>,
    /// `_total`.
    pub total: Total,
    /// Parameters that were processed, for the self link.
    pub used: Vec<(String, String)>,
    /// Parameters left out (lenient), one issue each.
    pub warnings: Vec<Issue>,
    /// Other types that chains, `_has` and includes read: the caller must be allowed to search them.
    pub touched: Vec<ResourceType>,
    /// What has to be looked up before the plan holds: see [`parse_knowing`]. Empty: it holds.
    pub needs: Vec<Need>,
}

/// Why a parameter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::search) enum Refusal {
    /// Name or modifier is unknown: lenient handling leaves it out.
    Unknown(String),
    /// The value is wrong.
    Bad(String),
    /// The value is good, and says nothing about this type: a chain over several types passes the type over.
    Unfit(String),
    /// Over a limit.
    Costly(String),
    /// Its rows are still being made.
    Building(String),
}

impl Refusal {
    fn issue(&self, name: &str) -> Issue {
        let name = crate::fhir::resource::printable(name);
        let (code, why) = match self {
            Self::Unknown(why) => ("not-supported", why),
            Self::Bad(why) | Self::Unfit(why) => ("invalid", why),
            Self::Costly(why) => ("too-costly", why),
            Self::Building(why) => ("transient", why),
        };
        Issue::error(code, "", format!("Search parameter '{name}': {why}"))
    }
}

/// Refuses a parameter whose rows are still being made: some of them would look like all.
pub(in crate::search) fn is_built(param: &super::Param) -> Result<(), Refusal> {
    match param.building() {
        None => Ok(()),
        Some(building) => Err(Refusal::Building(format!(
            "the server is still reading its stored resources for it ({} % done); send the search again later, and see \
             $reindex-status",
            building.percent()
        ))),
    }
}

/// What a parameter can be refused with; `Bad` by default.
impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Bad(why)
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        Self::Bad(why.into())
    }
}

/// All that reading a query needs.
#[derive(Clone, Copy)]
pub(in crate::search) struct House<'a> {
    pub registry: &'a Registry,
    pub keys: &'a Keys,
    pub env: &'a Env,
    pub terms: &'a Terms,
    /// Needs that `terms` does not answer.
    pub asked: &'a RefCell<Vec<Need>>,
}

impl House<'_> {
    /// What is known of a need; `None`: nothing yet, the plan is a draft.
    pub(in crate::search) fn known(&self, need: Need) -> std::result::Result<Option<&Known>, Refusal> {
        match self.terms.get(&need) {
            Some(Ok(known)) => Ok(Some(known)),
            Some(Err(Stop::Costly(why))) => Err(Refusal::Costly(why.clone())),
            Some(Err(Stop::Unknown(why))) => Err(Refusal::Bad(why.clone())),
            Some(Err(Stop::Wanted(_))) => Err(Refusal::Bad("it could not be looked up".into())),
            None => {
                let mut asked = self.asked.borrow_mut();
                if !asked.contains(&need) {
                    asked.push(need);
                }
                Ok(None)
            }
        }
    }
}

/// Conditions that one parameter may become (own limit: a database takes some hundreds in one statement).
const MAX_WEIGHT: usize = 300;
/// And all of them together.
const MAX_WEIGHTS: usize = 2_000;

fn bounded(cond: Cond) -> std::result::Result<Cond, Refusal> {
    let weight = cond.weight();
    if weight <= MAX_WEIGHT {
        return Ok(cond);
    }
    Err(Refusal::Costly(format!(
        "it becomes {weight} conditions and at most {MAX_WEIGHT} are asked; name the type that a reference leads to \
         (subject:Patient), or fewer values"
    )))
}

/// Gathers issues: all parameters are looked at before the query is refused.
#[derive(Default)]
struct Issues {
    errors: Vec<Issue>,
    warnings: Vec<Issue>,
    other_than_building: bool,
}

impl Issues {
    fn refuse(&mut self, name: &str, refusal: &Refusal, handling: Handling) {
        let mut issue = refusal.issue(name);
        if handling == Handling::Lenient && matches!(refusal, Refusal::Unknown(_)) {
            issue.severity = crate::error::Severity::Warning;
            issue.diagnostics.push_str(" It was left out.");
            self.warnings.push(issue);
            return;
        }
        self.other_than_building |= !matches!(refusal, Refusal::Building(_));
        self.errors.push(issue);
    }

    fn finish(self) -> Result<Vec<Issue>> {
        if self.errors.is_empty() {
            return Ok(self.warnings);
        }
        // Where nothing is wrong with the search itself, it can be sent again.
        let kind = if self.other_than_building { Kind::Invalid } else { Kind::Busy };
        Err(Error::with_issues(kind, self.errors))
    }
}

/// Reads a search. `types`: one, or several for a system search (`_type` narrows them).
///
/// # Errors
/// `Invalid` with one issue for each bad parameter, `too-costly` for one over a limit.
pub fn parse(
    registry: &Registry,
    keys: &Keys,
    types: &[ResourceType],
    pairs: &[(String, String)],
    env: &Env,
    handling: Handling,
) -> Result<Query> {
    parse_knowing(registry, keys, types, pairs, env, handling, &Terms::new())
}

/// The same, with answers to the [`Query::needs`] of a first reading.
///
/// # Errors
/// As [`parse`]; and what the answers say of a value set, code system or List that cannot be used.
pub fn parse_knowing(
    registry: &Registry,
    keys: &Keys,
    types: &[ResourceType],
    pairs: &[(String, String)],
    env: &Env,
    handling: Handling,
    terms: &Terms,
) -> Result<Query> {
    let asked = RefCell::new(Vec::new());
    let house = House { registry, keys, env, terms, asked: &asked };
    let mut issues = Issues::default();
    let types = match result::types(types, pairs) {
        Ok(types) => types,
        Err(why) => {
            issues.refuse("_type", &Refusal::Bad(why), handling);
            types.to_vec()
        }
    };
    let mut query = Query {
        plan: Plan {
            types: types.clone(),
            cond: Cond::All(vec![]),
            sort: vec![],
            count: env.caps.count_default,
            total: false,
        },
        includes: vec![],
        revincludes: vec![],
        summary: Summary::False,
        elements: vec![],
        total: Total::None,
        used: vec![],
        warnings: vec![],
        touched: vec![],
        needs: vec![],
    };
    let mut conds = Vec::new();
    let mut seen_results = Vec::new();
    for (name, value) in pairs {
        let once = result::is_once(name);
        let outcome = if once && seen_results.contains(name) {
            Err(Refusal::Bad("it may stand once only".into()))
        } else if result::is_result(name) {
            result::read(&house, &mut query, name, value)
        } else if conds.len() >= env.caps.parameters {
            let most = env.caps.parameters;
            Err(Refusal::Costly(format!("a query has at most {most} search parameters (limit search-parameters)")))
        } else {
            criterion::over_types(&house, &types, name, value, &mut query.touched)
                .and_then(bounded)
                .map(|cond| conds.push(cond))
        };
        match outcome {
            Ok(()) if result::is_silent(name) => {}
            Ok(()) => query.used.push((name.clone(), value.clone())),
            Err(refusal) => issues.refuse(name, &refusal, handling),
        }
        if once {
            seen_results.push(name.clone());
        }
    }
    for (name, refusal) in result::unfit(&mut query, handling) {
        issues.refuse(name, &refusal, handling);
    }
    query.plan.cond = Cond::all(conds);
    if query.plan.cond.weight() > MAX_WEIGHTS {
        let why = format!("all parameters together become more than {MAX_WEIGHTS} conditions; leave some out");
        let last = pairs.last().map_or("", |(name, _)| name.as_str());
        issues.refuse(last, &Refusal::Costly(why), Handling::Strict);
    }
    if query.summary == Summary::Count {
        query.plan.count = 0;
    }
    query.plan.total = query.total == Total::Accurate || query.plan.count == 0;
    query.touched.sort_unstable();
    query.touched.dedup();
    query.warnings = issues.finish()?;
    query.needs = asked.take();
    Ok(query)
}

/// What criteria of a conditional interaction ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Criteria {
    /// The condition; a draft while `needs` holds something.
    pub cond: Cond,
    /// Other types that chains and look-ups read: the caller must be allowed to search them.
    pub touched: Vec<ResourceType>,
    /// What has to be looked up first: value sets, code systems, Lists.
    pub needs: Vec<Need>,
}

/// Reads the criteria of a conditional interaction: search parameters only, at least one, always strict.
///
/// # Errors
/// As [`parse`]; and for criteria that need a look-up, see [`criteria_knowing`].
pub fn criteria(
    registry: &Registry,
    keys: &Keys,
    rtype: ResourceType,
    pairs: &[(String, String)],
    env: &Env,
) -> Result<Cond> {
    let read = criteria_knowing(registry, keys, rtype, pairs, env, &Terms::new())?;
    if read.needs.iter().all(Need::is_optional) {
        Ok(read.cond)
    } else {
        Err(Error::invalid("these criteria look into no other resource"))
    }
}

/// The same, with answers to the needs of a first reading.
///
/// # Errors
/// As [`parse_knowing`].
pub fn criteria_knowing(
    registry: &Registry,
    keys: &Keys,
    rtype: ResourceType,
    pairs: &[(String, String)],
    env: &Env,
    terms: &Terms,
) -> Result<Criteria> {
    let asked = RefCell::new(Vec::new());
    let house = House { registry, keys, env, terms, asked: &asked };
    let mut issues = Issues::default();
    let (mut conds, mut touched) = (Vec::new(), Vec::new());
    for (name, value) in pairs {
        let outcome = if result::is_silent(name) {
            continue;
        } else if result::is_result(name) {
            Err(Refusal::Bad(
                "it does not restrict what matches, so it has no place in the criteria of a conditional interaction"
                    .into(),
            ))
        } else if conds.len() >= env.caps.parameters {
            let most = env.caps.parameters;
            Err(Refusal::Costly(format!("criteria have at most {most} search parameters (limit search-parameters)")))
        } else {
            criterion::over_types(&house, &[rtype], name, value, &mut touched)
                .and_then(bounded)
                .map(|cond| conds.push(cond))
        };
        if let Err(refusal) = outcome {
            issues.refuse(name, &refusal, Handling::Strict);
        }
    }
    issues.finish()?;
    if conds.is_empty() {
        return Err(Error::invalid("the criteria of a conditional interaction name at least one search parameter"));
    }
    touched.sort_unstable();
    touched.dedup();
    Ok(Criteria { cond: Cond::all(conds), touched, needs: asked.take() })
}

#[cfg(test)]
mod tests;
