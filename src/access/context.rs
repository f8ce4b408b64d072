//! The caller of one request: [`Principal`], its [`Role`], and the clock, id and base of the request.

use super::Sieve;
use super::scope::Scopes;
use crate::clock::Instant;
use crate::fhir::Target;
use std::sync::Arc;

/// What a caller is, which decides what it may change (`profiles/policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A hospital's EHR.
    HospitalSystem,
    /// A community pharmacy's system.
    PharmacySystem,
    /// A pharmacy technician: identifies.
    Technician,
    /// A pharmacist: decides.
    Pharmacist,
    /// A prescriber.
    Prescriber,
    /// A patient, through an app.
    Patient,
    /// Baton's own rules (author Device).
    RuleEngine,
    /// Reads measures only.
    Analyst,
    /// Manages directory and protocol; no clinical read.
    Admin,
    /// Reads the audit, and nothing clinical: of their organisation, or of all where they have none.
    Auditor,
    /// `--auth off` without `X-Baton-Actor`: everything of every organisation, but for the audit.
    SuperUser,
}

impl Role {
    /// All roles with their names as `profiles/policy`, tokens and seed files write them.
    pub const ALL: [(Role, &'static str); 11] = [
        (Role::HospitalSystem, "hospital-system"),
        (Role::PharmacySystem, "pharmacy-system"),
        (Role::Technician, "technician"),
        (Role::Pharmacist, "pharmacist"),
        (Role::Prescriber, "prescriber"),
        (Role::Patient, "patient"),
        (Role::RuleEngine, "rule-engine"),
        (Role::Analyst, "analyst"),
        (Role::Admin, "admin"),
        (Role::Auditor, "auditor"),
        (Role::SuperUser, "super-user"),
    ];

    /// Reads a name of [`Role::ALL`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(r, _)| *r)
    }

    /// The role's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(r, _)| *r == self).map_or("unknown", |(_, n)| n)
    }
}

/// Who is calling, as the token (or `X-Baton-Actor`) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What they are.
    pub role: Role,
    /// Logical id of their Organization: the tenant. `None` only for the super-user and for Baton itself.
    pub org: Option<String>,
    /// `Practitioner/id` of a person; `None` for systems.
    pub practitioner: Option<String>,
    /// Login name, for the audit and the log.
    pub user: Option<String>,
    /// Issuer of the login, and what it calls the user there (`sub`): for the audit.
    pub subject: Option<(String, String)>,
    /// OAuth client id.
    pub client: String,
    /// SMART scopes, read once; `None` when scopes do not apply (`--auth off`).
    pub scopes: Option<Arc<Scopes>>,
    /// Logical id of the patient in context, where the token is bound to one.
    pub patient: Option<String>,
    /// `iss` of the access token, where another issuer gave it.
    pub issuer: Option<String>,
    /// `jti` of the access token, for the audit; never the token.
    pub token: Option<String>,
    /// What the user allowed the app, by its id: taken back, it ends what is under way.
    pub grant: Option<String>,
    /// Whose law the organisation works by, where the matrix knows it: ISO 3166-2.
    pub jurisdiction: Option<String>,
    /// Which rows the token lets through, within what the organisation sees; `None`: all.
    pub sieve: Option<Arc<Sieve>>,
}

impl Principal {
    /// `--auth off` without an actor.
    #[must_use]
    pub fn super_user() -> Self {
        Self {
            role: Role::SuperUser,
            org: None,
            practitioner: None,
            user: None,
            subject: None,
            client: "auth-off".into(),
            scopes: None,
            patient: None,
            issuer: None,
            token: None,
            grant: None,
            jurisdiction: None,
            sieve: None,
        }
    }

    /// Baton itself: protocol, workers.
    #[must_use]
    pub fn rule_engine() -> Self {
        Self { role: Role::RuleEngine, client: "baton".into(), ..Self::super_user() }
    }

    /// Whether a resource is who is calling: one may always read oneself.
    #[must_use]
    pub fn is(&self, target: &Target) -> bool {
        match (self.role, target.rtype.as_str()) {
            (Role::Patient, "Patient") => self.patient.as_deref() == Some(&*target.id),
            (_, "Practitioner") => {
                self.practitioner.as_deref().and_then(|p| p.strip_prefix("Practitioner/")) == Some(&*target.id)
            }
            _ => false,
        }
    }

    /// `Organization/id` of the caller.
    #[must_use]
    pub fn organization(&self) -> Option<String> {
        self.org.as_ref().map(|id| format!("Organization/{id}"))
    }
}

/// One request's circumstances: first argument of everything below http.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// Who.
    pub principal: Arc<Principal>,
    /// When: the clock, or `X-Baton-Now` where that is allowed. Workflow decides by this; `meta.lastUpdated` never.
    pub now: Instant,
    /// `X-Request-Id`, made up when absent.
    pub request_id: Arc<str>,
    /// FHIR base without a slash at the end: `http://127.0.0.1:8080/fhir`.
    pub base: Arc<str>,
    /// Network address of the caller, for the audit; `None` inside the house.
    pub address: Option<Arc<str>>,
}

impl Ctx {
    /// The same request, acted by Baton itself: for what the workflow adds.
    #[must_use]
    pub fn as_baton(&self) -> Self {
        Self { principal: Arc::new(Principal::rule_engine()), ..self.clone() }
    }
}
