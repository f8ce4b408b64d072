//! Which profiles are in force here, and what is asked of a write: the claims of the resource, and the site's policy.
//!
//! For: every write and `$validate`. R4's own profiles, those of `profiles/structure`, and packages that a site drops in
//! (setting `packages`) are read and compiled at start and by `$reload-profiles`; a file that cannot be used stops that with its
//! name, so that nothing takes the place of what is in force.
//! Not for: how a profile is held against a resource (`fhir::profile`), or what R4 asks (`fhir::validate`).
//!
//! StructureDefinitions that are posted are stored like any resource and judge nothing (own rule): every server of a
//! database judges alike, and a write cannot change what the next write must be.
//! Source: <https://hl7.org/fhir/R4/profiling.html>, `profiles/structure/README.md`, `profiles/policy/README.md`.

pub mod package;
mod policy;
#[cfg(test)]
mod tests;

use crate::access::Principal;
use crate::config::UnknownProfile;
use crate::error::{Error, Issue, Kind, Result, Severity};
use crate::fhir::profile::{Complaint, Loader, Profiles, canonical};
use crate::fhir::scrutiny::{self, Known, Parameter};
use crate::fhir::{Json, validate};
use crate::search::Registry;
use crate::workflow::Programme;
use policy::Policy;
use std::path::PathBuf;

/// Complaints that a failed start lists at most.
const MAX_SHOWN: usize = 20;

/// The search parameter of a canonical URL, as the closer look asks for it.
#[must_use]
pub fn parameter(registry: &Registry, url: &str) -> Option<Parameter> {
    let (kind, bases) = registry.by_url(url)?;
    Some(Parameter { kind: kind.as_str(), bases })
}

/// The profiles in force, and who must meet which.
#[derive(Debug)]
pub struct Conformance {
    profiles: Profiles,
    policy: Policy,
    unknown: UnknownProfile,
}

impl Conformance {
    /// Reads and compiles all of it.
    ///
    /// # Errors
    /// `Invalid` with each complaint: a package or file that cannot be read, is not of R4 or does not compile, a row of
    /// the policy that names an unknown type or profile.
    pub fn load(programme: &Programme, packages: &[PathBuf], unknown: UnknownProfile) -> Result<Self> {
        let started = std::time::Instant::now();
        let mut loader = Loader::new();
        for (file, resource) in programme.definitions() {
            loader.add(&format!("profiles/{file}"), resource);
        }
        let mut complaints = Vec::new();
        let mut budget = package::Budget::default();
        for path in packages {
            complaints.extend(package::read(path, &mut loader, &mut budget).err());
        }
        let (profiles, compiled) = loader.compile();
        complaints.extend(compiled);
        let mut policy = Policy::read(programme.concepts("profiles"), &profiles, &mut complaints);
        policy.ignored.retain(|prefix| !profiles.all().any(|p| p.url.starts_with(&**prefix)));
        let (fatal, notes): (Vec<Complaint>, Vec<Complaint>) = complaints.into_iter().partition(|c| c.is_fatal);
        for note in &notes {
            tracing::debug!(file = note.file, "profile: {}", note.text);
        }
        if !fatal.is_empty() {
            let issue = |c: &Complaint| Issue::error("invalid", "", format!("{}: {}", c.file, c.text));
            let mut issues: Vec<Issue> = fatal.iter().take(MAX_SHOWN).map(issue).collect();
            if fatal.len() > MAX_SHOWN {
                issues.push(Issue::error("invalid", "", format!("and {} more", fatal.len() - MAX_SHOWN)));
            }
            return Err(Error::with_issues(Kind::Invalid, issues));
        }
        let (sets, systems) = profiles.terms();
        tracing::info!(
            profiles = profiles.all().count(),
            value_sets = sets,
            code_systems = systems,
            passed_over = notes.len(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "profiles compiled"
        );
        Ok(Self { profiles, policy, unknown })
    }

    /// The profiles in force.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// Holds a resource against what it claims and what is `asked` by canonical: all issues, those that R4 has (`known`) among
    /// them, each fault once.
    #[must_use]
    pub fn issues(&self, resource: &Json, asked: &[&str], known: Vec<Issue>) -> Vec<Issue> {
        let told = self.profiles.check_beside(resource, asked, &known, &|url| self.severity(url, asked));
        if told.is_empty() {
            return known;
        }
        validate::tidy(known.into_iter().chain(told).collect())
    }

    /// Looks closer at a resource than a write does: what R4 asks in prose. `registry`: the search parameters in force.
    #[must_use]
    pub fn scrutiny(&self, registry: &Registry, resource: &Json) -> Vec<Issue> {
        let parameter = |url: &str| parameter(registry, url);
        let known = Known { rules: &self.policy.rules, profiles: &self.profiles, parameter: &parameter };
        scrutiny::resource(resource, &known)
    }

    /// Holds what a caller is about to store against R4, what it claims, and what policy requires of the caller. Warnings
    /// come back; they block nothing.
    ///
    /// # Errors
    /// All issues at once, of the kind that [`validate::kind`] says.
    pub fn judge(&self, principal: &Principal, resource: &Json) -> Result<Vec<Issue>> {
        let asked = self.policy.required(principal, resource);
        let issues = self.issues(resource, &asked, validate::resource(resource));
        match validate::kind(&issues) {
            Some(kind) => Err(Error::with_issues(kind, issues)),
            None => Ok(issues),
        }
    }

    fn severity(&self, url: &str, asked: &[&str]) -> Option<Severity> {
        let (plain, _) = canonical(url);
        if !asked.contains(&url) && self.policy.ignored.iter().any(|prefix| plain.starts_with(&**prefix)) {
            return None;
        }
        match self.unknown {
            _ if asked.contains(&url) => Some(Severity::Error),
            UnknownProfile::Error => Some(Severity::Error),
            UnknownProfile::Warning => Some(Severity::Warning),
            UnknownProfile::Ignore => None,
        }
    }
}
