//! The role matrix: which role may do what with which type, as data.
//!
//! For: [`decide`], asked once by every interaction and every Bundle entry before anything is read or written.
//! Not for: which rows (`limit.rs`), which fields and states (`workflow::guard`), or what SMART scopes say (`scope.rs`,
//! which is the first layer here).
//! Source: `profiles/policy/access.json`; own rules. The table as it stands is printed to `docs/access.md` by a test.

use super::scope::{Action, Rights, Scopes};
use super::{Principal, Role};
use crate::error::{Error, Kind, Result};
use crate::fhir::resource::RESOURCE_TYPES;
use crate::fhir::{Json, ResourceType};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The matrix that is built in.
const BUILT_IN: &str = include_str!("../../profiles/policy/access.json");

/// What a role may do with one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// Rights on rows of the own organisation (and, for reading, on everything visible).
    pub own: Rights,
    /// Rights that hold on rows of other organisations, shared with the caller: `u`, `d`.
    pub shared: Rights,
}

/// Role × type × right.
#[derive(Debug, Clone)]
pub struct Policy {
    roles: Vec<(Role, Vec<Cell>)>,
    codes: Vec<(Role, Vec<String>)>,
    laws: Vec<Law>,
}

/// Where the law of a jurisdiction differs from the matrix.
#[derive(Debug, Clone)]
struct Law {
    /// ISO 3166-2.
    code: String,
    title: String,
    /// Of `Organization.address`, in capitals.
    countries: Vec<String>,
    states: Vec<String>,
    /// Whole rows, as they are there.
    roles: Vec<(Role, Vec<Cell>)>,
}

impl Law {
    fn row(&self, role: Role) -> Option<&[Cell]> {
        self.roles.iter().find(|(r, _)| *r == role).map(|(_, c)| c.as_slice())
    }
}

/// Why not, for a 403.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deny {
    /// One sentence for the sender.
    pub why: String,
    /// The token's scopes are to blame: RFC 6750 `insufficient_scope`.
    pub is_scope: bool,
}

/// The answer of [`decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// As far as role and scope go.
    Permit,
    /// 403.
    Deny(Deny),
}

impl Decision {
    /// As a result.
    ///
    /// # Errors
    /// `Forbidden` with the sentence.
    pub fn ok(self) -> Result<()> {
        match self {
            Self::Permit => Ok(()),
            Self::Deny(deny) if deny.is_scope => Err(Error::new(Kind::Forbidden, deny.why).caused_by(ScopeShortage)),
            Self::Deny(deny) => Err(Error::new(Kind::Forbidden, deny.why)),
        }
    }
}

/// The source of a 403 that is for want of scope, so that http can say `insufficient_scope`.
#[derive(Debug)]
struct ScopeShortage;

impl std::fmt::Display for ScopeShortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("insufficient_scope")
    }
}

impl std::error::Error for ScopeShortage {}

/// Whether a 403 is for want of scope.
#[must_use]
pub fn is_scope_shortage(error: &Error) -> bool {
    error.source.as_ref().is_some_and(|s| s.is::<ScopeShortage>())
}

/// Decides by scope and role. `rtype` `None`: a system-level search or history; what it returns is judged per type by
/// [`Judge`].
#[must_use]
pub fn decide(policy: &Policy, principal: &Principal, action: Action, rtype: Option<ResourceType>) -> Decision {
    policy.judge(principal).decide(action, rtype)
}

/// A principal's scopes and row of the matrix, read once for a request of many entries.
#[derive(Debug)]
pub struct Judge<'a> {
    role: Role,
    cells: Option<&'a [Cell]>,
    scopes: Option<Scopes>,
}

impl Judge<'_> {
    /// See [`decide`].
    #[must_use]
    pub fn decide(&self, action: Action, rtype: Option<ResourceType>) -> Decision {
        let what = rtype.map_or("the whole system", ResourceType::as_str);
        if let Some(scopes) = &self.scopes
            && !scopes.allows(action, rtype)
        {
            let why =
                format!("the token's scopes do not let you {} {what}; ask for .{}", action.verb(), action.needs());
            return Decision::Deny(Deny { why, is_scope: true });
        }
        if self.right(action.needs(), rtype) {
            return Decision::Permit;
        }
        let why = format!("the role '{}' may not {} {what}", self.role.as_str(), action.verb());
        Decision::Deny(Deny { why, is_scope: false })
    }

    /// Whether an update, patch or delete that [`decide`] permits holds for a row of another organisation that is shared
    /// with the caller. To be asked once the stored row is known; a no is 403.
    #[must_use]
    pub fn may_change_shared(&self, action: Action, rtype: ResourceType) -> bool {
        let changes = Rights::U.and(Rights::D);
        let needs = action.needs().common(changes);
        match self.cells {
            None => true,
            Some(cells) => cell(cells, rtype).shared.covers(needs),
        }
    }

    /// The types that the caller may search or read: for system-level searches, `_include`, compartments.
    pub fn readable(&self) -> impl Iterator<Item = ResourceType> + '_ {
        ResourceType::all().filter(|t| self.decide(Action::SearchType, Some(*t)) == Decision::Permit)
    }

    fn right(&self, needs: Rights, rtype: Option<ResourceType>) -> bool {
        match (self.cells, rtype) {
            // The audit is no roles' but the auditor's, and nobody's to write.
            (None, Some(rtype)) if rtype.as_str() == "AuditEvent" => false,
            (None, _) => true,
            // A role reads the system as far as it reads types; which of them is judged per type.
            (Some(cells), None) => cells.iter().any(|c| c.own.covers(needs)),
            (Some(cells), Some(rtype)) => cell(cells, rtype).own.covers(needs),
        }
    }
}

fn cell(cells: &[Cell], rtype: ResourceType) -> Cell {
    cells.get(usize::from(rtype.0)).copied().unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "letters")]
    _letters: String,
    groups: BTreeMap<String, Vec<String>>,
    roles: BTreeMap<String, BTreeMap<String, String>>,
    person_codes: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    jurisdictions: BTreeMap<String, LawFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LawFile {
    title: String,
    country: Vec<String>,
    state: Vec<String>,
    #[serde(default)]
    roles: BTreeMap<String, BTreeMap<String, String>>,
}

impl Policy {
    /// The built-in matrix.
    ///
    /// # Errors
    /// `Fault`: a test reads the same text.
    pub fn built_in() -> Result<Self> {
        Self::parse(BUILT_IN).map_err(|e| Error::fault("the built-in access.json does not read").caused_by(e))
    }

    /// `DIR/policy/access.json` when it is there, else the built-in matrix.
    ///
    /// # Errors
    /// `Invalid` with one sentence that names the file and what is wrong in it.
    pub fn load(profiles: Option<&Path>) -> Result<Self> {
        let Some(path) = profiles.map(|d| d.join("policy/access.json")).filter(|p| p.is_file()) else {
            return Self::built_in();
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::invalid(format!("{} cannot be read: {e}", path.display())).caused_by(e))?;
        Self::parse(&text).map_err(|e| Error::invalid(format!("{}: {e}", path.display())))
    }

    /// Reads and checks a matrix. In a role's row a group comes first and a type named by itself goes over it.
    ///
    /// # Errors
    /// `Invalid`: not JSON of that shape, a role, type, group or letter that does not exist, a role without a row.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File =
            serde_json::from_str(text).map_err(|e| Error::invalid(format!("not an access matrix: {e}")))?;
        for types in file.groups.values() {
            types.iter().try_for_each(|t| known_type(t).map(|_| ()))?;
        }
        let of_laws = file.jurisdictions.values().flat_map(|l| l.roles.keys());
        for name in file.roles.keys().chain(file.person_codes.keys()).chain(of_laws) {
            if Role::parse(name).is_none_or(is_unbound) {
                return Err(Error::invalid(format!("'{name}' is not a role of the matrix")));
            }
        }
        let mut roles = Vec::new();
        for (role, name) in Role::ALL.into_iter().filter(|(r, _)| !is_unbound(*r)) {
            let row = file.roles.get(name).ok_or_else(|| Error::invalid(format!("the role '{name}' has no row")))?;
            roles.push((role, cells(Vec::new(), row, &file.groups)?));
        }
        let mut laws = Vec::new();
        for (code, law) in file.jurisdictions {
            let mut rows = Vec::new();
            for (role, base) in &roles {
                if let Some(row) = law.roles.get(role.as_str()) {
                    let row = cells(base.clone(), row, &file.groups)
                        .map_err(|e| Error::invalid(format!("jurisdiction '{code}': {e}")))?;
                    rows.push((*role, row));
                }
            }
            let capitals = |words: &[String]| words.iter().map(|w| w.to_uppercase()).collect();
            let (countries, states) = (capitals(&law.country), capitals(&law.state));
            laws.push(Law { code, title: law.title, countries, states, roles: rows });
        }
        let codes = file.person_codes.into_iter().filter_map(|(n, c)| Some((Role::parse(&n)?, c))).collect();
        Ok(Self { roles, codes, laws })
    }

    /// What [`decide`] needs of a principal, read once.
    #[must_use]
    pub fn judge(&self, principal: &Principal) -> Judge<'_> {
        const NOTHING: &[Cell] = &[];
        let role = principal.role;
        let law = principal.jurisdiction.as_ref().and_then(|code| self.laws.iter().find(|l| l.code == *code));
        let base = || self.roles.iter().find(|(r, _)| *r == role).map(|(_, c)| c.as_slice());
        let row = law.and_then(|l| l.row(role)).or_else(base);
        Judge {
            role: principal.role,
            cells: if is_unbound(principal.role) { None } else { Some(row.unwrap_or(NOTHING)) },
            scopes: principal.scopes.as_deref().map(Scopes::parse),
        }
    }

    /// The jurisdiction whose law an organisation works by: the first address that is in one of those that the matrix knows. `None`:
    /// the matrix as it stands holds.
    #[must_use]
    pub fn jurisdiction(&self, organization: &Json) -> Option<&str> {
        let addresses = organization["address"].items().iter();
        let mut laws = addresses.filter_map(|a| {
            let (country, state) = (a["country"].text().to_uppercase(), a["state"].text().to_uppercase());
            // An address at home often leaves the country out.
            let is_there =
                |l: &&Law| (country.is_empty() || l.countries.contains(&country)) && l.states.contains(&state);
            self.laws.iter().find(is_there)
        });
        laws.next().map(|l| l.code.as_str())
    }

    /// Whether some jurisdiction is known: else nobody needs to look for one.
    #[must_use]
    pub fn has_jurisdictions(&self) -> bool {
        !self.laws.is_empty()
    }

    /// One cell.
    #[must_use]
    pub fn cell(&self, role: Role, rtype: ResourceType) -> Cell {
        self.roles.iter().find(|(r, _)| *r == role).map_or_else(Cell::default, |(_, c)| cell(c, rtype))
    }

    /// `system|code` of PractitionerRole.code, one of which a person of that role must have; empty: no PractitionerRole
    /// is asked for.
    #[must_use]
    pub fn person_codes(&self, role: Role) -> &[String] {
        self.codes.iter().find(|(r, _)| *r == role).map_or(&[], |(_, c)| c.as_slice())
    }

    /// The matrix as a Markdown table: types with the same cells share a line.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut lines: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
        for rtype in ResourceType::all() {
            let row: Vec<String> = self.roles.iter().map(|(_, c)| cell(c, rtype).to_string()).collect();
            match lines.iter_mut().find(|(r, _)| *r == row) {
                Some((_, types)) => types.push(rtype.as_str()),
                None => lines.push((row, vec![rtype.as_str()])),
            }
        }
        let names: Vec<&str> = self.roles.iter().map(|(r, _)| r.as_str()).collect();
        let mut out = format!("| types | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
        for (row, types) in lines {
            out.push_str(&format!("| {} | {} |\n", types.join(", "), row.join(" | ")));
        }
        out + &self.laws_to_markdown()
    }

    /// Each jurisdiction, with the cells that differ there.
    fn laws_to_markdown(&self) -> String {
        let mut out = String::from(
            "\n## By jurisdiction\n\n| jurisdiction | law | role | types | elsewhere | there |\n|---|---|---|---|---|---|\n",
        );
        for law in &self.laws {
            let mut differs = false;
            for (role, row) in &law.roles {
                let mut lines: Vec<(String, String, Vec<&str>)> = Vec::new();
                for rtype in ResourceType::all() {
                    let (base, there) = (self.cell(*role, rtype), cell(row, rtype));
                    if base == there {
                        continue;
                    }
                    let (base, there) = (base.to_string(), there.to_string());
                    match lines.iter_mut().find(|(b, t, _)| *b == base && *t == there) {
                        Some((.., types)) => types.push(rtype.as_str()),
                        None => lines.push((base, there, vec![rtype.as_str()])),
                    }
                }
                for (base, there, types) in lines {
                    differs = true;
                    let (code, title, role) = (&law.code, &law.title, role.as_str());
                    out.push_str(&format!("| {code} | {title} | {role} | {} | {base} | {there} |\n", types.join(", ")));
                }
            }
            if !differs {
                out.push_str(&format!("| {} | {} | all | all | as above | as above |\n", law.code, law.title));
            }
        }
        out
    }
}

/// Roles that the matrix does not bind: `--auth off` without an actor, and Baton's own rules.
fn is_unbound(role: Role) -> bool {
    matches!(role, Role::SuperUser | Role::RuleEngine)
}

fn known_type(name: &str) -> Result<usize> {
    RESOURCE_TYPES.binary_search(&name).map_err(|_| Error::invalid(format!("R4 has no resource type '{name}'")))
}

/// The cells of a row, over `base`.
fn cells(base: Vec<Cell>, row: &BTreeMap<String, String>, groups: &BTreeMap<String, Vec<String>>) -> Result<Vec<Cell>> {
    let mut cells = base;
    cells.resize(RESOURCE_TYPES.len(), Cell::default());
    let mut put = |name: &str, letters: &str| -> Result<()> {
        let at = known_type(name)?;
        if let Some(slot) = cells.get_mut(at) {
            *slot = read_cell(letters)?;
        }
        Ok(())
    };
    // A smaller group goes over a bigger one, a single type over every group: the order of the file does not matter.
    let mut named: Vec<(&Vec<String>, &String)> =
        row.iter().filter_map(|(n, letters)| Some((groups.get(n)?, letters))).collect();
    named.sort_by_key(|(types, _)| std::cmp::Reverse(types.len()));
    for (types, letters) in named {
        types.iter().try_for_each(|t| put(t, letters))?;
    }
    for (name, letters) in row.iter().filter(|(n, _)| !groups.contains_key(*n)) {
        put(name, letters)?;
    }
    Ok(cells)
}

fn read_cell(letters: &str) -> Result<Cell> {
    let mut cell = Cell::default();
    for letter in letters.chars() {
        let (right, is_shared) = match letter {
            'c' => (Rights::C, false),
            'r' => (Rights::R, false),
            'u' => (Rights::U, false),
            'U' => (Rights::U, true),
            'd' => (Rights::D, false),
            'D' => (Rights::D, true),
            's' => (Rights::S, false),
            other => return Err(Error::invalid(format!("'{other}' is not one of the letters c r u U d D s"))),
        };
        cell.own = cell.own.and(right);
        if is_shared {
            cell.shared = cell.shared.and(right);
        }
    }
    Ok(cell)
}

/// `crsU` as the file writes it, `–` for nothing.
impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.own.is_empty() {
            return f.write_str("–");
        }
        for letter in self.own.to_string().chars() {
            let is_shared = match letter {
                'u' => self.shared.covers(Rights::U),
                'd' => self.shared.covers(Rights::D),
                _ => false,
            };
            write!(f, "{}", if is_shared { letter.to_ascii_uppercase() } else { letter })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::limit::DIRECTORY;
    use crate::fhir::resource::known;

    fn caller(role: Role, scopes: Option<&str>) -> Principal {
        Principal { role, org: Some("o".into()), scopes: scopes.map(Into::into), ..Principal::super_user() }
    }

    fn may(role: &str, action: Action, rtype: &'static str) -> bool {
        let policy = Policy::built_in().unwrap();
        let role = Role::parse(role).unwrap();
        decide(&policy, &caller(role, None), action, Some(known(rtype))) == Decision::Permit
    }

    /// `BATON_BLESS=1 cargo test access_matrix` writes the file anew; look at the diff.
    #[test]
    fn the_access_matrix_is_the_committed_table() {
        let page = format!(
            "# Who may do what\n\nPrinted from `profiles/policy/access.json` by a test of `src/access/policy.rs`; change the JSON, not this page.\n\n\
             c create · r read · u update, d delete rows of the own organisation · U, D also rows shared with it · s search.\n\
             Scopes only take away from this; organisation walls and shares say which rows; `workflow::guard` says which fields and states.\n\n\
             What runs in the background (`Prefer: respond-async`) is seen under `_async/ID` and `_async/ID/result` by the very caller who started it - client, user and organisation -, whatever\n\
             the role; everybody else gets 404. It is carried out with the rights of its caller ([writes](writes.md)).\n\n\
             An old version, by vread or in a history, is judged like the newest one. A token of one patient or of some kinds sees it where the version itself and the newest one with a body pass both:\n\
             what moved to another patient takes its past along. The rows by which a version is judged so are taken away an hour after it died (limit `page-seconds`); from then on such tokens see the newest alone.\n\n\
             A resource with a security label of `profiles/policy/labels.json` (R, V, and codes of sensitivity) is there for those alone who are cleared for it, by role (the same file) or by name\n\
             (`baton user clear NAME R PSY`, `baton client clear ID R`; it holds within a minute): to all others it is unknown - by id, in old versions, searches, counts, includes, `$everything`, operations and jobs -, also inside\n\
             their own organisation. An old version needs the clearance for its own labels and for those of the newest. The directory has no such labels. A label is put on by who is cleared for it; an update keeps it; only roles that\n\
             `takes-away` names take one away, from what their organisation owns.\n\n\
             What refers to a protected resource is protected like it: at a write, by the references that the writer sees; when a label comes later, whatever referred to it, in every version, and what refers to that. A Task, an\n\
             Encounter, an EpisodeOfCare and the like are as protected as the patient, the stay and the problem they are about, not as each part that they name: whose id they name is the author's business.\n\n\
             The programme makes its records - lists, problems, decisions, risks, Tasks, reports - of clinical resources without such labels (or with those alone that the patient has), whoever asks: what is written is read by all, and\n\
             a count tells, too. What is answered and not kept (`$handoff-report`, `preview` of `$reconcile` and `$screen`) is made of what the caller is cleared for. To who is not cleared for everything a report says that it looks at\n\
             nothing behind labels, whether or not there is anything. What a decision had counted before a label came stays counted.\n\n\
             A person who treats may break the glass of a patient whom they know by organisation or share: `POST Patient/{{id}}/$break-glass` with a `reason`, a `note` in words and `minutes`. For that time they read - and only read - of this\n\
             patient what labels, and where the policy says so organisations, keep back; scopes and role stay. Which roles, reasons, labels and times: `break-glass` in `profiles/policy/labels.json`, by default prescribers and pharmacists,\n\
             for an hour, at most four. The grant is on record with its reason (110113, 110127), each read under it with the purpose of use BTG, for auditors of the caller's organisation and of the one whose patient it is, and in the patient's\n\
             `$access-report`. `baton user glass` lists grants with their notes, `--end` ends those of a login; that and a changed role or organisation hold within ten seconds. Old versions are seen while their rows are kept.\n\n\
             What another organisation owns is answered like what never was, on every path: `tests/it/attack/wall` asks every route of the server's own map by every role.\n\n\
             What is shared for a follow-up is shared until a time: the last Task's due time and `share-after-close` of the protocol (14 days), for a report a year and 14 days, for an abort Task of no episode 45 days. From then on it is answered like what never was,\n\
             by the clock of each request. A Consent may keep it from a pharmacy ([protocol](../profiles/protocol/README.md#consent)). A stay or patient labelled as protected by 42 CFR Part 2 is handed on only to whom a Consent with such a label lets in.\n\n{}",
            Policy::built_in().unwrap().to_markdown()
        );
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access.md");
        if std::env::var_os("BATON_BLESS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        println!("{page}");
        assert_eq!(
            std::fs::read_to_string(path).unwrap_or_default(),
            page,
            "run with BATON_BLESS=1 and look at the diff"
        );
    }

    #[test]
    fn rules_that_no_edit_of_the_matrix_may_lose() {
        // no role has clinical delete, nobody writes the audit trail over FHIR, and only the auditor reads it
        for (_, name) in Role::ALL.into_iter().filter(|(r, _)| !is_unbound(*r)) {
            for rtype in ["Patient", "MedicationRequest", "Task", "DetectedIssue", "Encounter", "Organization"] {
                assert!(!may(name, Action::Delete, rtype), "{name} deletes {rtype}");
            }
            for action in Action::ALL {
                let reads = !action.needs().covers(Rights::C)
                    && !action.needs().covers(Rights::U)
                    && !action.needs().covers(Rights::D);
                assert_eq!(may(name, action, "AuditEvent"), name == "auditor" && reads, "{name} {action:?} AuditEvent");
            }
        }
        // a patient writes nothing, and sees neither Tasks nor problems, which hold what pharmacists say to each other
        for rtype in ["Patient", "MedicationStatement", "Communication", "Consent"] {
            assert!(may("patient", Action::Read, rtype) && !may("patient", Action::Update, rtype), "{rtype}");
            assert!(!may("patient", Action::Create, rtype), "{rtype}");
        }
        for rtype in ["Task", "DetectedIssue", "Provenance"] {
            assert!(!may("patient", Action::Read, rtype), "{rtype}");
        }
        // admin has no clinical read, an analyst sees measures only
        for role in ["admin", "analyst", "auditor"] {
            for rtype in ["Patient", "Task", "DetectedIssue", "Communication", "MedicationStatement", "Encounter"] {
                assert!(!may(role, Action::Read, rtype) && !may(role, Action::SearchType, rtype), "{role} {rtype}");
            }
        }
        // roles come from PractitionerRole: nobody but the admin writes one
        for (_, name) in Role::ALL.into_iter().filter(|(r, _)| !is_unbound(*r) && *r != Role::Admin) {
            assert!(!may(name, Action::Create, "PractitionerRole") && !may(name, Action::Update, "PractitionerRole"));
            assert!(!may(name, Action::Update, "Practitioner") && !may(name, Action::Update, "Organization"));
        }
        // the directory is readable by all
        for (_, name) in Role::ALL {
            for rtype in DIRECTORY {
                assert!(may(name, Action::Read, rtype) && may(name, Action::SearchType, rtype), "{name} {rtype}");
            }
        }
        assert!(may("hospital-system", Action::ConditionalCreate, "Patient"));
        assert!(may("technician", Action::Create, "DetectedIssue"));
        assert!(!may("technician", Action::Create, "Procedure") && may("pharmacist", Action::Create, "Procedure"));
        assert!(may("super-user", Action::ConditionalDelete, "Basic") && may("rule-engine", Action::Create, "Task"));
        for action in Action::ALL {
            assert!(
                !may("super-user", action, "AuditEvent") && !may("rule-engine", action, "AuditEvent"),
                "{action:?}"
            );
        }
    }

    #[test]
    fn shared_rows_are_changed_only_where_the_matrix_says_so() {
        let policy = Policy::built_in().unwrap();
        for (role, rtype, may) in [
            (Role::Pharmacist, "Task", true),
            (Role::Pharmacist, "DetectedIssue", true),
            (Role::Pharmacist, "QuestionnaireResponse", false),
            (Role::Technician, "MedicationDispense", false),
            (Role::HospitalSystem, "Patient", false),
            (Role::HospitalSystem, "Task", false),
            (Role::HospitalSystem, "DetectedIssue", true),
            (Role::SuperUser, "Patient", true),
        ] {
            let judge = policy.judge(&caller(role, None));
            assert_eq!(judge.may_change_shared(Action::Patch, known(rtype)), may, "{role:?} {rtype}");
        }
    }

    /// The law of a jurisdiction goes over the matrix, for whose organisation lies there, by the same decision.
    #[test]
    fn a_jurisdiction_goes_over_the_matrix_where_the_organisation_lies() {
        let more = r#""jurisdictions": {
            "US-ZZ": {"title": "More", "country": ["US", "USA"], "state": ["ZZ", "Zeta"],
                "roles": {"technician": {"CommunicationRequest": "crus", "MedicationDispense": "rs"}}},
            "US-DC": {"title": "As above", "country": ["US"], "state": ["DC"]}}, "person-codes": {"#;
        let text = BUILT_IN.replacen("\"person-codes\": {", more, 1);
        let text = match BUILT_IN.contains("\"jurisdictions\"") {
            true => {
                let mut json: serde_json::Value = serde_json::from_str(BUILT_IN).unwrap();
                let other: serde_json::Value = serde_json::from_str(&format!("{{{more} }}}}")).unwrap();
                json["jurisdictions"] = other["jurisdictions"].clone();
                json.to_string()
            }
            false => text,
        };
        let policy = Policy::parse(&text).unwrap();
        let organization = |addresses: serde_json::Value| -> Json {
            serde_json::json!({"resourceType": "Organization", "address": addresses}).into()
        };
        for (addresses, jurisdiction) in [
            (serde_json::json!([]), None),
            (serde_json::json!([{"state": "TN"}]), None),
            (serde_json::json!([{"state": "zz"}]), Some("US-ZZ")),
            (serde_json::json!([{"state": "Zeta", "country": "usa"}]), Some("US-ZZ")),
            (serde_json::json!([{"state": "ZZ", "country": "Elsewhere"}]), None),
            (serde_json::json!([{"city": "x"}, {"state": "DC", "country": "US"}, {"state": "ZZ"}]), Some("US-DC")),
        ] {
            let address = organization(addresses);
            assert_eq!(policy.jurisdiction(&address), jurisdiction, "{address}");
        }
        let may = |jurisdiction: Option<&str>, role, action, rtype: &'static str| {
            let principal = Principal { jurisdiction: jurisdiction.map(Into::into), ..caller(role, None) };
            decide(&policy, &principal, action, Some(known(rtype))) == Decision::Permit
        };
        for (jurisdiction, asks, hands) in
            [(None, false, true), (Some("US-ZZ"), true, false), (Some("US-DC"), false, true)]
        {
            assert_eq!(
                may(jurisdiction, Role::Technician, Action::Create, "CommunicationRequest"),
                asks,
                "{jurisdiction:?}"
            );
            assert_eq!(
                may(jurisdiction, Role::Technician, Action::Create, "MedicationDispense"),
                hands,
                "{jurisdiction:?}"
            );
            assert!(may(jurisdiction, Role::Technician, Action::Read, "Patient"), "what it does not name stays");
            assert!(may(jurisdiction, Role::Pharmacist, Action::Create, "CommunicationRequest"));
        }
        let page = policy.to_markdown();
        for line in [
            "| US-DC | As above | all | all | as above | as above |",
            "| US-ZZ | More | technician | CommunicationRequest | rs | crus |",
            "| US-ZZ | More | technician | MedicationDispense | crs | rs |",
        ] {
            assert!(page.contains(line), "{line}: {page}");
        }
        let odd = text.replacen("\"technician\":{\"CommunicationRequest\"", "\"nobody\":{\"CommunicationRequest\"", 1);
        assert_ne!(odd, text);
        let error = Policy::parse(&odd).expect_err("an unknown role").to_string();
        assert!(error.contains("'nobody' is not a role"), "{error}");
    }

    /// security R28: A scope takes away and never adds.
    #[test]
    fn a_scope_takes_away_and_never_adds() {
        let policy = Policy::built_in().unwrap();
        let task = Some(known("Task"));
        let decide = |role, scopes, action, rtype| decide(&policy, &caller(role, Some(scopes)), action, rtype);
        assert_eq!(decide(Role::Pharmacist, "user/*.cruds", Action::Read, task), Decision::Permit);
        let Decision::Deny(deny) = decide(Role::Pharmacist, "user/Task.s", Action::Read, task) else { panic!() };
        assert!(deny.is_scope, "{}", deny.why);
        let Decision::Deny(deny) = decide(Role::Technician, "user/*.cruds", Action::Create, Some(known("Procedure")))
        else {
            panic!()
        };
        assert_eq!((deny.is_scope, deny.why.as_str()), (false, "the role 'technician' may not create Procedure"));
        let Decision::Deny(_) = decide(Role::Pharmacist, "", Action::Read, task) else { panic!("empty is no right") };
        assert_eq!(decide(Role::HospitalSystem, "system/*.s", Action::SearchSystem, None), Decision::Permit);
    }

    #[test]
    fn a_matrix_with_a_fault_is_refused_with_the_place() {
        for (from, to, says) in [
            ("\"technician\": {", "\"techniciann\": {", "not a role"),
            ("\"Task\": \"crus\"", "\"Tusk\": \"crus\"", "'Tusk'"),
            ("\"Task\": \"crus\"", "\"Task\": \"crux\"", "'x'"),
            ("\"Account\", ", "\"Acount\", ", "'Acount'"),
            ("\"title\"", "\"titel\"", "not an access matrix"),
            ("\"patient\": {", "\"super-user\": {", "not a role"),
        ] {
            assert!(BUILT_IN.contains(from), "{from}");
            let error = Policy::parse(&BUILT_IN.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(says), "{to}: {error}");
        }
        assert!(
            Policy::load(Some(Path::new("/nowhere"))).is_ok(),
            "a profiles folder without the file keeps the built-in"
        );
    }
}
