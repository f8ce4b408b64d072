//! The seed file: organisations, people, users and clients, read and checked as a whole.
//!
//! For: [`Seed::parse`], which returns all problems at once, each with its place.
//! Not for: writing anything (`apply.rs`). Format: `docs/seed.md`.

use crate::access::scope::{ACCOUNTS, Scopes};
use crate::access::{Policy, Role};
use crate::auth::bearer::LOCAL_CLIENT;
use crate::auth::client::hash_secret;
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::resource::is_id;
use crate::store::oauth;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Shortest secret a file may give: 32 random bytes in base64url. A short one would not stand SHA-256 alone.
pub const SECRET_CHARS: usize = 43;

/// A whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Seed {
    /// Hospitals and pharmacies: the tenants.
    pub organizations: Vec<Organization>,
    /// People and what they are where.
    pub practitioners: Vec<Practitioner>,
    /// Logins of people.
    pub users: Vec<User>,
    /// Programs.
    pub clients: Vec<Client>,
}

/// What an organisation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrganizationKind {
    /// Sends discharges.
    Hospital,
    /// Follows them up.
    Pharmacy,
}

/// An Organization.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Organization {
    /// Logical id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Hospital or pharmacy.
    pub kind: OrganizationKind,
    /// FHIR Identifiers.
    #[serde(default)]
    pub identifiers: Vec<Map<String, Value>>,
    /// FHIR ContactPoints.
    #[serde(default)]
    pub telecom: Vec<Map<String, Value>>,
    /// FHIR Addresses.
    #[serde(default)]
    pub address: Vec<Map<String, Value>>,
    /// Hospitals: ids of the pharmacies to which a discharge is open when it names none.
    #[serde(default)]
    pub candidate_pharmacies: Vec<String>,
}

/// A Practitioner.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Practitioner {
    /// Logical id.
    pub id: String,
    /// FHIR HumanName.
    pub name: Map<String, Value>,
    /// FHIR Identifiers.
    #[serde(default)]
    pub identifiers: Vec<Map<String, Value>>,
    /// FHIR ContactPoints.
    #[serde(default)]
    pub telecom: Vec<Map<String, Value>>,
    /// What they are where: one PractitionerRole each.
    #[serde(default)]
    pub roles: Vec<PersonRole>,
}

/// A PractitionerRole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PersonRole {
    /// Id of the organisation.
    pub organization: String,
    /// `technician`, `pharmacist`, `prescriber`.
    pub role: String,
    /// First day or instant (FHIR dateTime).
    #[serde(default)]
    pub from: Option<String>,
    /// Last day or instant (FHIR dateTime).
    #[serde(default)]
    pub until: Option<String>,
    /// False ends it.
    #[serde(default = "yes")]
    pub active: bool,
}

/// A login.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    /// Login name.
    pub name: String,
    /// Id of the organisation; `admin`, `analyst` and `auditor` may go without.
    #[serde(default)]
    pub organization: Option<String>,
    /// Role name.
    pub role: String,
    /// Id of the practitioner who logs in.
    #[serde(default)]
    pub practitioner: Option<String>,
    /// Id of the Patient who logs in, a record of the organisation.
    #[serde(default)]
    pub patient: Option<String>,
    /// False disables the login.
    #[serde(default = "yes")]
    pub active: bool,
}

/// A program that gets tokens for itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// Id of the organisation it acts for.
    #[serde(default)]
    pub organization: Option<String>,
    /// Role name; of an app, which acts as its users, none.
    #[serde(default)]
    pub role: String,
    /// The most it can be granted: `system/…` for a program, `patient/…`, `user/…`, `launch/patient`, `openid` … for an app.
    pub scopes: String,
    /// An app: where codes may be sent.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// An app: where an EHR starts it.
    #[serde(default)]
    pub launch_uris: Vec<String>,
    /// Origins of browsers that call for it.
    #[serde(default)]
    pub origins: Vec<String>,
    /// An app without a secret, in a browser or on a phone.
    #[serde(default)]
    pub public: bool,
    /// An app of the house itself: users are not asked.
    #[serde(default)]
    pub first_party: bool,
    /// A secret of at least [`SECRET_CHARS`] random characters; without it and `jwks`, one is made and printed once.
    #[serde(default)]
    pub secret: Option<String>,
    /// Public keys (RFC 7517), for `private_key_jwt`.
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Where it publishes them, in place of `jwks`.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// False disables it.
    #[serde(default = "yes")]
    pub active: bool,
}

const fn yes() -> bool {
    true
}

impl Client {
    /// As it is stored, but for a secret that is still to be made.
    #[must_use]
    pub fn row(&self) -> oauth::Client {
        let is_app = !self.redirect_uris.is_empty();
        let kind = match (self.public, self.jwks.is_some() || self.jwks_uri.is_some()) {
            (true, _) => oauth::Kind::Public,
            (_, true) => oauth::Kind::Asymmetric,
            _ => oauth::Kind::Symmetric,
        };
        let grants: &[&str] = if is_app { &["authorization_code", "refresh_token"] } else { &["client_credentials"] };
        oauth::Client {
            id: self.id.clone(),
            name: self.name.clone().unwrap_or_else(|| self.id.clone()),
            secret: self.secret.as_deref().map(hash_secret),
            jwks: self.jwks.as_ref().map(ToString::to_string),
            scopes: self.scopes.clone(),
            org: self.organization.clone(),
            role: self.role.clone(),
            is_active: self.active,
            kind,
            redirect_uris: self.redirect_uris.clone(),
            launch_uris: self.launch_uris.clone(),
            origins: self.origins.clone(),
            jwks_uri: self.jwks_uri.clone(),
            grants: grants.iter().map(|g| (*g).to_owned()).collect(),
            is_first_party: self.first_party,
        }
    }
}

impl Seed {
    /// Reads a file and checks that everything it names is in it.
    ///
    /// # Errors
    /// `Invalid` with all problems, each with its place (`clients[1].scopes`).
    pub fn parse(text: &str, policy: &Policy) -> Result<Self> {
        let seed: Self =
            serde_json::from_str(text).map_err(|e| Error::invalid(format!("the seed file does not read: {e}")))?;
        let mut problems = Problems(Vec::new());
        seed.check(policy, &mut problems);
        if problems.0.is_empty() { Ok(seed) } else { Err(Error::with_issues(Kind::Invalid, problems.0)) }
    }

    fn check(&self, policy: &Policy, problems: &mut Problems) {
        let hospitals_and_pharmacies: HashSet<&str> = self.organizations.iter().map(|o| o.id.as_str()).collect();
        let ids = |of: &mut dyn Iterator<Item = (String, &String)>, problems: &mut Problems| {
            let mut seen = HashSet::new();
            for (place, id) in of {
                if !is_id(id) {
                    problems.add(&place, "has 1 to 64 letters, digits, '-' and '.'");
                }
                if !seen.insert(id.as_str()) {
                    problems.add(&place, &format!("'{id}' is there twice"));
                }
            }
        };
        ids(&mut at("organizations", &self.organizations, |o| &o.id, "id"), problems);
        ids(&mut at("practitioners", &self.practitioners, |p| &p.id, "id"), problems);
        ids(&mut at("users", &self.users, |u| &u.name, "name"), problems);
        ids(&mut at("clients", &self.clients, |c| &c.id, "id"), problems);

        for (n, c) in self.clients.iter().enumerate() {
            if self.users.iter().any(|u| u.name == c.id) || c.id == LOCAL_CLIENT {
                problems.add(&format!("clients[{n}].id"), &format!("'{}' is the name of a user, or Baton's own", c.id));
            }
        }
        for (n, o) in self.organizations.iter().enumerate() {
            if o.kind == OrganizationKind::Pharmacy && !o.candidate_pharmacies.is_empty() {
                problems.add(&format!("organizations[{n}].candidate-pharmacies"), "is for hospitals");
            }
            for (m, id) in o.candidate_pharmacies.iter().enumerate() {
                let found = self.organizations.iter().find(|p| p.id == *id);
                if found.is_none_or(|p| p.kind != OrganizationKind::Pharmacy) {
                    problems
                        .add(&format!("organizations[{n}].candidate-pharmacies[{m}]"), "names no pharmacy of the file");
                }
            }
        }
        for (n, p) in self.practitioners.iter().enumerate() {
            for (m, role) in p.roles.iter().enumerate() {
                let place = format!("practitioners[{n}].roles[{m}]");
                if !hospitals_and_pharmacies.contains(role.organization.as_str()) {
                    problems.add(&format!("{place}.organization"), "names no organization of the file");
                }
                if Role::parse(&role.role).is_none_or(|r| policy.person_codes(r).is_empty()) {
                    problems.add(&format!("{place}.role"), "is technician, pharmacist or prescriber");
                }
            }
        }
        for (n, u) in self.users.iter().enumerate() {
            self.check_user(&format!("users[{n}]"), u, policy, problems);
        }
        for (n, c) in self.clients.iter().enumerate() {
            self.check_client(&format!("clients[{n}]"), c, problems);
        }
    }

    fn check_user(&self, place: &str, u: &User, policy: &Policy, problems: &mut Problems) {
        let role = match Role::parse(&u.role) {
            Some(Role::Patient) => {
                if u.patient.as_deref().is_none_or(|p| !is_id(p)) {
                    problems.add(&format!("{place}.patient"), "is the id of the Patient who logs in");
                }
                return self.check_organization(place, u.organization.as_deref(), Role::Patient, problems);
            }
            Some(
                r @ (Role::Technician
                | Role::Pharmacist
                | Role::Prescriber
                | Role::Analyst
                | Role::Auditor
                | Role::Admin),
            ) => r,
            _ => {
                let text = "is technician, pharmacist, prescriber, analyst, auditor, admin or patient";
                return problems.add(&format!("{place}.role"), text);
            }
        };
        self.check_organization(place, u.organization.as_deref(), role, problems);
        let person = u.practitioner.as_ref().map(|id| self.practitioners.iter().find(|p| p.id == *id));
        match person {
            Some(None) => problems.add(&format!("{place}.practitioner"), "names no practitioner of the file"),
            None if !policy.person_codes(role).is_empty() => {
                problems.add(&format!("{place}.practitioner"), &format!("a {} is a practitioner", u.role));
            }
            Some(Some(p)) if !policy.person_codes(role).is_empty() => {
                let has = p.roles.iter().any(|r| Some(&r.organization) == u.organization.as_ref() && r.role == u.role);
                if !has {
                    let text = format!("'{}' has no role {} in that organization; add it to roles", p.id, u.role);
                    problems.add(&format!("{place}.practitioner"), &text);
                }
            }
            _ => {}
        }
    }

    fn check_client(&self, place: &str, c: &Client, problems: &mut Problems) {
        let row = c.row();
        if row.may("authorization_code") {
            for (member, why) in crate::auth::register::problems(&row) {
                problems.add(&format!("{place}.{member}"), &why);
            }
            if let Some(org) = &c.organization
                && !self.organizations.iter().any(|o| o.id == *org)
            {
                problems.add(&format!("{place}.organization"), "names no organization of the file");
            }
            return self.check_keys(place, c, problems);
        }
        match Role::parse(&c.role) {
            Some(r @ (Role::HospitalSystem | Role::PharmacySystem | Role::Analyst | Role::Auditor | Role::Admin)) => {
                self.check_organization(place, c.organization.as_deref(), r, problems);
            }
            _ => {
                let text = "is hospital-system, pharmacy-system, analyst, auditor or admin: people log in as users";
                problems.add(&format!("{place}.role"), text);
            }
        }
        let words = c.scopes.split(' ').filter(|w| !w.is_empty()).count();
        let scopes = Scopes::parse(&c.scopes);
        let good =
            scopes.data.iter().filter(|s| s.level == crate::access::scope::Level::System && s.granular.is_empty());
        let manages = scopes.has(ACCOUNTS) && Role::parse(&c.role) == Some(Role::Admin);
        if words == 0 || good.count() + usize::from(manages) != words {
            let text = "is a list of different scopes such as system/*.cruds or system/Task.rs, divided by one space";
            problems.add(&format!("{place}.scopes"), text);
        }
        self.check_keys(place, c, problems);
    }

    fn check_keys(&self, place: &str, c: &Client, problems: &mut Problems) {
        if c.public && (c.secret.is_some() || c.jwks.is_some() || c.jwks_uri.is_some()) {
            problems.add(&format!("{place}.public"), "goes without secret, jwks and jwks-uri");
        }
        if let Some(uri) = &c.jwks_uri {
            if c.secret.is_some() || c.jwks.is_some() {
                let text = "goes without secret and jwks: a client has one way to sign in";
                problems.add(&format!("{place}.jwks-uri"), text);
            }
            if let Err(why) = crate::auth::register::keys_uri(uri) {
                problems.add(&format!("{place}.jwks-uri"), why);
            }
        }
        match (&c.secret, &c.jwks) {
            (Some(_), Some(_)) => {
                problems.add(&format!("{place}.secret"), "goes without jwks: a client has one way to sign in");
            }
            (Some(secret), None) if secret.len() < SECRET_CHARS || secret.contains(char::is_whitespace) => {
                let text =
                    format!("is at least {SECRET_CHARS} random characters; leave it out and one is made and printed");
                problems.add(&format!("{place}.secret"), &text);
            }
            (None, Some(jwks)) => {
                if let Err(why) = crate::auth::client::check_jwks(jwks) {
                    problems.add(&format!("{place}.jwks"), &why);
                }
            }
            _ => {}
        }
    }

    fn check_organization(&self, place: &str, id: Option<&str>, role: Role, problems: &mut Problems) {
        let place = format!("{place}.organization");
        let kind = match id {
            None if matches!(role, Role::Admin | Role::Analyst | Role::Auditor) => return,
            None => return problems.add(&place, &format!("a {} belongs to an organization", role.as_str())),
            Some(id) => match self.organizations.iter().find(|o| o.id == id) {
                None => return problems.add(&place, "names no organization of the file"),
                Some(o) => o.kind,
            },
        };
        let fits = match role {
            Role::HospitalSystem => kind == OrganizationKind::Hospital,
            Role::PharmacySystem | Role::Technician => kind == OrganizationKind::Pharmacy,
            _ => true,
        };
        if !fits {
            problems.add(&place, &format!("is not the kind of organization that has a {}", role.as_str()));
        }
    }
}

fn at<'a, T>(
    list: &'static str,
    items: &'a [T],
    id: impl Fn(&'a T) -> &'a String + 'a,
    member: &'static str,
) -> impl Iterator<Item = (String, &'a String)> + 'a {
    items.iter().enumerate().map(move |(n, item)| (format!("{list}[{n}].{member}"), id(item)))
}

struct Problems(Vec<Issue>);

impl Problems {
    fn add(&mut self, place: &str, text: &str) {
        let member = place.rsplit('.').next().unwrap_or(place);
        self.0.push(Issue::error("invalid", place, format!("'{member}' {text}")));
    }
}

/// The JSON block of `docs/seed.md`: what the page shows is what the tests run.
#[cfg(test)]
pub(crate) fn example() -> &'static str {
    let page = include_str!("../../../docs/seed.md");
    page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::seed::directory::resources;
    use crate::fhir::validate;

    fn problems(text: &str) -> String {
        Seed::parse(text, &Policy::built_in().unwrap()).expect_err("a problem").to_string()
    }

    #[test]
    fn the_example_of_the_docs_and_the_seed_of_the_demo_read_and_make_valid_resources() {
        let policy = Policy::built_in().unwrap();
        for (text, count) in [(example(), 7), (include_str!("../../../profiles/demo/seed.json"), 12)] {
            let seed = Seed::parse(text, &policy).unwrap();
            let resources = resources(&seed, &policy);
            assert_eq!(resources.len(), count);
            for resource in &resources {
                validate::check(resource).unwrap_or_else(|e| panic!("{resource}: {e}"));
            }
        }
    }

    #[test]
    fn candidate_pharmacies_stand_on_the_hospital() {
        let policy = Policy::built_in().unwrap();
        let seed = Seed::parse(example(), &policy).unwrap();
        let all = resources(&seed, &policy);
        assert_eq!(
            all[0]["extension"].to_string(),
            r#"[{"url":"http://baton.example/fhir/StructureDefinition/candidate-pharmacy","valueReference":{"reference":"Organization/elm-street"}},{"url":"http://baton.example/fhir/StructureDefinition/candidate-pharmacy","valueReference":{"reference":"Organization/harbour"}}]"#
        );
        let role = all.iter().find(|r| r["id"].text() == "mara-lind-elm-street-technician").unwrap();
        assert_eq!(role["code"][0]["coding"][0]["code"].text(), "183700000X");
        assert_eq!(role["period"]["start"].text(), "2026-01-01");
    }

    #[test]
    fn every_problem_is_named_with_its_place() {
        for (from, to, says) in [
            ("\"kind\": \"hospital\"", "\"kind\": \"clinic\"", "unknown variant"),
            ("\"organizations\"", "\"organisations\"", "unknown field"),
            ("\"elm-street\", \"harbour\"]", "\"elm\", \"lakeside\"]", "organizations[0].candidate-pharmacies[1]"),
            ("\"id\": \"lakeside\",", "\"id\": \"lake side\",", "organizations[0].id"),
            ("\"id\": \"jonas-adler\"", "\"id\": \"mara-lind\"", "twice"),
            ("\"role\": \"technician\", \"from\"", "\"role\": \"admin\", \"from\"", "practitioners[0].roles[0].role"),
            ("\"role\": \"pharmacist\"}]", "\"role\": \"technician\"}]", "has no role pharmacist"),
            ("\"role\": \"admin\"", "\"role\": \"super-user\"", "users[2].role"),
            ("\"role\": \"admin\"", "\"role\": \"patient\"", "users[2].patient"),
            ("\"id\": \"lakeside-ehr\"", "\"id\": \"mara\"", "the name of a user"),
            ("\"id\": \"lakeside-ehr\"", "\"id\": \"baton-cli\"", "Baton's own"),
            ("\"role\": \"hospital-system\"", "\"role\": \"pharmacist\"", "people log in"),
            ("\"role\": \"hospital-system\"", "\"role\": \"pharmacy-system\"", "not the kind"),
            ("system/*.cruds", "user/*.cruds", "clients[0].scopes"),
            ("system/*.cruds", "system/*.cruds nonsense", "clients[0].scopes"),
            ("\"role\": \"hospital-system\"", "\"role\": \"hospital-system\", \"secret\": \"short\"", "at least 43"),
            ("\"role\": \"pharmacy-system\"", "\"role\": \"pharmacy-system\", \"secret\": \"x\"", "one way"),
            ("\"crv\": \"P-384\"", "\"crv\": \"P-256\"", "neither EC P-384"),
            ("\"kid\": \"2026-1\", ", "", "without kid"),
            ("\"use\": \"sig\"", "\"d\": \"x\"", "private key"),
            ("\"use\": \"sig\"", "\"use\": \"enc\"", "neither EC P-384"),
        ] {
            assert!(example().contains(from), "{from}");
            let found = problems(&example().replacen(from, to, 1));
            assert!(found.contains(says), "{to}: {found}");
        }
        let many = problems(
            &example()
                .replace("\"lakeside\"", "\"l k\"")
                .replace("\"organization\": \"elm-street\"", "\"organization\": \"x\""),
        );
        assert!(many.matches(';').count() >= 4, "all at once: {many}");
    }
}
