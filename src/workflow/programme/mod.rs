//! The programme as read from `profiles/`: protocols, eligibility, policy, calendars, codes.
//!
//! For: everything in `workflow` that a site may change. Not for: search parameters (`profiles/search`) or the access
//! matrix (`profiles/policy/access.json`), which others read.

pub mod files;
mod kept;

use super::calendar::{Calendar, Hours};
use super::eligibility::{self, Criteria, Destinations};
use super::medicine::Tables;
use super::policy::Policy;
use super::protocol::{self, Choice, Plan};
use super::risk::Score;
use super::screen::Rules;
use super::zone::Zones;
use crate::access;
use crate::error::{Error, Kind, Result};
use crate::fhir::{Json, ResourceType};
#[cfg(test)]
use crate::search::{Active, Registry};
use crate::search::{Env, Live};
use files::Complaints;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The loaded, checked profiles, and what the workflow needs to write resources itself.
#[derive(Debug, Clone)]
pub struct Programme {
    /// Whether writes start what it calls for: see `Settings::programme`.
    pub is_on: bool,
    /// Makes the search rows of what the workflow writes.
    pub live: Arc<Live>,
    /// This server's base and zone, for the same.
    pub env: Env,
    /// The database's secret for derived ids: `Store::secret("workflow")`.
    pub secret: String,
    /// What follows a discharge where no rule says otherwise.
    pub follow_up: Arc<Plan>,
    /// All protocols by `url|version`: those of the files, and those that were in force before.
    pub plans: BTreeMap<String, Arc<Plan>>,
    /// Those of the files.
    current: std::collections::BTreeSet<String>,
    /// Which of them a discharge is followed up by.
    pub choice: Choice,
    /// Risk scores that every followed discharge gets.
    pub scores: Arc<Vec<Score>>,
    /// Zones of patients who say no other: (state, zone).
    pub zones: Zones,
    /// What follows a discharge without a word on medicines.
    pub list_not_sent: Plan,
    /// What follows when work that has begun is to be stopped.
    pub abort_work: Plan,
    /// What follows when a patient could not be reached.
    pub unreachable: Plan,
    /// What follows a drug therapy problem; actions by severity.
    pub review: Plan,
    /// Who is followed up.
    pub criteria: Criteria,
    /// Where patients go.
    pub destinations: Destinations,
    /// Who may change what.
    pub policy: Policy,
    /// What who could claim a Task sees of its hand-off before, beside that Task.
    pub before_claim: Vec<ResourceType>,
    /// The calendar that days are counted by where a plan names none.
    pub calendar: Arc<Calendar>,
    /// The words of medicines.
    pub medicines: Arc<Tables>,
    /// What finds problems.
    pub screening: Arc<Rules>,
    /// Concepts of own code systems: system name → code → (display, properties).
    codes: HashMap<String, BTreeMap<String, Concept>>,
    /// The CodeSystems, ValueSets and ConceptMaps as they are.
    terms: Vec<Arc<Json>>,
    /// StructureDefinitions, by folder and name of the file.
    structures: Vec<(String, Arc<Json>)>,
    /// What protocols are read with.
    shelf: Arc<protocol::Shelf>,
    /// PlanDefinitions, ActivityDefinitions and Questionnaires, old versions after those of the files.
    definitions: Vec<Arc<Json>>,
    /// What each file says, as a digest.
    files: BTreeMap<String, u64>,
}

/// A concept of an own code system.
#[derive(Debug, Clone, Default)]
pub struct Concept {
    /// For people.
    pub display: String,
    /// Code-valued, string-valued and boolean properties, as text.
    pub properties: BTreeMap<String, String>,
}

impl Programme {
    /// Reads and checks `dir` over the built-in profiles: a file of the same folder and name replaces the built-in one.
    ///
    /// # Errors
    /// `Invalid` with all complaints, each with file and path. Then nothing has changed: the caller keeps what it had.
    pub fn load(dir: Option<&Path>, live: Arc<Live>, env: Env, secret: &str) -> Result<Self> {
        Self::load_over(dir, live, env, secret, &[])
    }

    /// The same, with what was in force before: a running episode keeps the version that it began by.
    ///
    /// `kept`: what [`Programme::pinned`] said then.
    ///
    /// # Errors
    /// As [`Programme::load`]; also where a version that was in force says something else now.
    pub fn load_over(dir: Option<&Path>, live: Arc<Live>, env: Env, secret: &str, kept: &[Json]) -> Result<Self> {
        let mut complaints = Complaints::default();
        let mut resources = files::read(dir, &mut complaints);
        kept::add(&mut resources, kept, &mut complaints);
        let mut programme = Self::read(&resources, live, env, secret, &mut complaints);
        match access::Policy::load(dir) {
            Ok(policy) => programme.before_claim = policy.before_claim(),
            Err(error) => complaints.add("policy/access.json", "", error.to_string()),
        }
        complaints.settle()?;
        Ok(programme)
    }

    fn read(
        resources: &BTreeMap<String, Json>,
        live: Arc<Live>,
        env: Env,
        secret: &str,
        complaints: &mut Complaints,
    ) -> Self {
        let of = |rtype: &'static str| resources.iter().filter(move |(_, r)| r["resourceType"].text() == rtype);
        let (mut calendars, mut hours) = (HashMap::new(), HashMap::new());
        for (file, service) in of("HealthcareService") {
            let id = service["id"].text().to_string();
            let read = if Hours::tells(service) {
                Hours::read(service).map(|h| drop(hours.insert(id, Arc::new(h))))
            } else {
                Calendar::read(service).map(|c| drop(calendars.insert(id, Arc::new(c))))
            };
            if let Err((path, why)) = read {
                complaints.add(file, path, why);
            }
        }
        let by_canonical = |rtype| of(rtype).map(|(_, a)| (kept::canonical(a), a.clone())).collect();
        let default = calendars.get("us-federal").cloned().unwrap_or_else(|| Arc::new(Calendar::plain()));
        let shelf = protocol::Shelf {
            activities: by_canonical("ActivityDefinition"),
            questionnaires: by_canonical("Questionnaire"),
            calendars,
            hours,
            default: default.clone(),
        };
        let file = |name: &str| resources.get(name).cloned().unwrap_or_default();
        let mut plans: BTreeMap<String, Arc<Plan>> = BTreeMap::new();
        let mut before: BTreeMap<String, Arc<Plan>> = BTreeMap::new();
        for (name, resource) in of("PlanDefinition").filter(|(_, p)| element_is(&p["type"], "workflow-definition")) {
            let plan = Arc::new(protocol::read(name, resource, &shelf, complaints));
            let slot = if kept::is_kept(name) { &mut before } else { &mut plans };
            if slot.insert(plan.canonical.clone(), plan).is_some() {
                complaints.add(name, "PlanDefinition.url", "another file is the same version of the same protocol");
            }
        }
        let choice = Choice::read("protocol/choice.json", &file("protocol/choice.json"), &plans, complaints);
        let current = plans.keys().cloned().collect();
        plans.extend(before);
        let follow_up = choice.last().and_then(|c| plans.get(c).cloned()).unwrap_or_default();
        let mut plan = |name: &str| protocol::read(name, &file(name), &shelf, complaints);
        let list_not_sent = plan("protocol/list-not-sent.json");
        let abort_work = plan("protocol/abort-work.json");
        let unreachable = plan("protocol/unreachable.json");
        let review = plan("protocol/dtp-review.json");
        if review.action("moderate").is_none() {
            let why = "an action 'moderate' is needed: it also stands for problems without a severity";
            complaints.add("protocol/dtp-review.json", "PlanDefinition.action", why);
        }
        let codes: HashMap<String, BTreeMap<String, Concept>> =
            of("CodeSystem").map(|(_, c)| (c["id"].text().to_string(), concepts(&c["concept"]))).collect();
        let is_code = |system: &str, code: &str| codes.get(system).is_some_and(|c| c.contains_key(code));
        let eligibility = file("protocol/eligibility.json");
        let criteria = eligibility::read("protocol/eligibility.json", &eligibility, &is_code, complaints);
        Self {
            is_on: true,
            follow_up,
            plans,
            current,
            shelf: Arc::new(shelf),
            scores: Arc::new(
                resources
                    .iter()
                    .filter(|(file, _)| file.starts_with("risk/"))
                    .map(|(file, codes)| Score::read(file, codes, complaints))
                    .collect(),
            ),
            choice,
            zones: Zones::read("protocol/zone.json", &file("protocol/zone.json"), complaints),
            list_not_sent,
            abort_work,
            unreachable,
            review,
            criteria,
            destinations: Destinations::read(
                "protocol/disposition.json",
                &file("protocol/disposition.json"),
                &file("codes/destination.json"),
                complaints,
            ),
            policy: Policy::read("policy/rules.json", &file("policy/rules.json"), complaints),
            before_claim: Vec::new(),
            calendar: default,
            medicines: Arc::new(Tables::read(resources, complaints)),
            screening: Arc::new(Rules::read(resources, complaints)),
            codes,
            terms: of("CodeSystem")
                .chain(of("ValueSet"))
                .chain(of("ConceptMap"))
                .map(|(_, r)| Arc::new(r.clone()))
                .collect(),
            structures: of("StructureDefinition").map(|(file, r)| (file.clone(), Arc::new(r.clone()))).collect(),
            files: resources
                .iter()
                .filter(|(name, _)| !kept::is_kept(name))
                .map(|(n, r)| (n.clone(), digest(r)))
                .collect(),
            definitions: kept::KINDS.iter().flat_map(|rtype| of(rtype)).map(|(_, r)| Arc::new(r.clone())).collect(),
            live,
            env,
            secret: secret.into(),
        }
    }

    /// The protocol that an episode runs by: the version that it began by, whatever is chosen for new ones.
    #[must_use]
    pub fn plan_of(&self, episode: &Json) -> &Arc<Plan> {
        let canonical = super::element::extension(episode, "protocol").map_or("", |e| e["valueCanonical"].text());
        self.plans.get(canonical).unwrap_or(&self.follow_up)
    }

    /// Reads a protocol that is not in force, with the activities, forms and calendars of the files.
    ///
    /// # Errors
    /// `BusinessRule`, one issue for each element that cannot be used.
    pub fn try_plan(&self, plan: &Json) -> Result<Arc<Plan>> {
        let mut complaints = Complaints::default();
        let read = protocol::read("the protocol", plan, &self.shelf, &mut complaints);
        complaints.settle().map_err(|e| Error::with_issues(Kind::BusinessRule, e.issues))?;
        Ok(Arc::new(read))
    }

    /// What running episodes go by: protocols, activities and forms, those of the files and those that were in force before.
    pub fn pinned(&self) -> impl Iterator<Item = &Arc<Json>> {
        self.definitions.iter().filter(|r| kept::is_versioned(r))
    }

    /// Those protocols that a new discharge may be followed up by, and those that only episodes go by which began by them:
    /// `url|version`.
    #[must_use]
    pub fn protocols(&self) -> (Vec<&str>, Vec<&str>) {
        self.plans.keys().map(String::as_str).partition(|canonical| self.current.contains(*canonical))
    }

    /// Files that say something else than in `before`, are new, or are gone: folder/name.
    #[must_use]
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a str> {
        let all: std::collections::BTreeSet<&String> = self.files.keys().chain(before.files.keys()).collect();
        all.into_iter().filter(|name| self.files.get(*name) != before.files.get(*name)).map(String::as_str).collect()
    }

    /// All PlanDefinitions, ActivityDefinitions and Questionnaires, old versions last.
    #[must_use]
    pub fn artifacts(&self) -> &[Arc<Json>] {
        &self.definitions
    }

    /// One of them, by its type and `url|version`; without a version the last one that was put in force.
    #[must_use]
    pub fn artifact(&self, rtype: &str, canonical: &str) -> Option<&Arc<Json>> {
        let (url, version) = canonical.split_once('|').unwrap_or((canonical, ""));
        let is = |r: &&Arc<Json>| {
            r["resourceType"].text() == rtype
                && r["url"].text() == url
                && (version.is_empty() || r["version"].text() == version)
        };
        self.definitions.iter().find(is)
    }

    /// The CodeSystems, ValueSets and ConceptMaps of the programme.
    #[must_use]
    pub fn terms(&self) -> &[Arc<Json>] {
        &self.terms
    }

    /// One of them, by canonical URL.
    #[must_use]
    pub fn term(&self, rtype: &str, url: &str, version: Option<&str>) -> Option<Arc<Json>> {
        let is_it = |r: &&Arc<Json>| r["resourceType"].text() == rtype && r["url"].text() == url;
        self.terms.iter().filter(is_it).find(|r| version.is_none_or(|v| r["version"].text() == v)).cloned()
    }

    /// The StructureDefinitions of the programme: its profiles and extensions.
    pub fn structures(&self) -> impl Iterator<Item = &Json> {
        self.structures.iter().map(|(_, definition)| &**definition)
    }

    /// What profiles are made of: StructureDefinitions, with their files, and the CodeSystems and ValueSets.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, &Json)> {
        let terms = self.terms.iter().map(|term| ("codes", &**term));
        self.structures.iter().map(|(file, definition)| (file.as_str(), &**definition)).chain(terms)
    }

    /// All concepts of an own code system, by code.
    pub fn concepts(&self, system: &str) -> impl Iterator<Item = (&String, &Concept)> {
        self.codes.get(system).into_iter().flatten()
    }

    /// A concept of an own code system.
    #[must_use]
    pub fn concept(&self, system: &str, code: &str) -> Option<&Concept> {
        self.codes.get(system)?.get(code)
    }

    /// A CodeableConcept of an own code, with its display as text.
    #[must_use]
    pub fn coded(&self, system: &str, code: &str) -> Json {
        super::element::concept(system, code, self.concept(system, code).map_or("", |c| c.display.as_str()))
    }

    /// The codes of an own system, for a message.
    #[must_use]
    pub fn code_list(&self, system: &str) -> String {
        let codes = self.codes.get(system).into_iter().flat_map(BTreeMap::keys);
        codes.map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// A derived id of this database.
    #[must_use]
    pub fn id(&self, parts: &[&str]) -> String {
        super::ids::derived(&self.secret, parts)
    }

    /// The built-in programme over the built-in registry, in UTC, with a fixed secret.
    #[cfg(test)]
    #[must_use]
    pub fn for_tests() -> Self {
        let env = Env::utc("http://127.0.0.1:8080/fhir");
        static LIVE: std::sync::LazyLock<Arc<Live>> = std::sync::LazyLock::new(|| {
            Arc::new(Live::new(Active::new(0, Registry::builtin(), Env::utc("http://127.0.0.1:8080/fhir"))))
        });
        Self::load(None, LIVE.clone(), env, "test").unwrap()
    }
}

fn digest(resource: &Json) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    resource.to_bytes().hash(&mut hasher);
    hasher.finish()
}

fn element_is(concept: &Json, code: &str) -> bool {
    super::element::codings(concept).iter().any(|(_, c)| *c == code)
}

fn concepts(list: &Json) -> BTreeMap<String, Concept> {
    let mut out = BTreeMap::new();
    for concept in list.items() {
        let mut properties = BTreeMap::new();
        for property in concept["property"].items() {
            let value = property["valueCode"].as_str().map(String::from);
            let flag = property["valueBoolean"].as_bool().map(|b| b.to_string());
            let text = property["valueString"].as_str().map(String::from);
            properties.insert(property["code"].text().to_string(), value.or(text).or(flag).unwrap_or_default());
        }
        out.insert(
            concept["code"].text().to_string(),
            Concept { display: concept["display"].text().into(), properties },
        );
        out.extend(concepts(&concept["concept"]));
    }
    out
}

#[cfg(test)]
mod tests;
