//! SMART scopes: the grammar of v1 and v2, and what each interaction needs.
//!
//! For: granting at the token endpoint, and layer (a) of [`super::policy::decide`].
//! Not for: what a role may do (`policy.rs`); a scope never adds a right, it only takes away.
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>.
//!
//! Granular scopes (`?category=…`) give rights as plain ones do; which rows they reach is a [`super::Sieve`], which every read
//! and write passes.

use super::limit::DIRECTORY;
use crate::fhir::ResourceType;
use std::fmt;

/// Whose data a scope speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The patient in context.
    Patient,
    /// What the user may see.
    User,
    /// What the client is registered for.
    System,
}

impl Level {
    const ALL: [(Level, &'static str); 3] =
        [(Self::Patient, "patient"), (Self::User, "user"), (Self::System, "system")];

    /// As scopes write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(l, _)| *l == self).map_or("", |(_, n)| n)
    }
}

/// A set of the five rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);
    /// create
    pub const C: Self = Self(1);
    /// read, vread, history of an instance
    pub const R: Self = Self(2);
    /// update, patch, update-as-create
    pub const U: Self = Self(4);
    /// delete
    pub const D: Self = Self(8);
    /// search, history of a type or of the system
    pub const S: Self = Self(16);
    /// The letters in the one order that scopes allow.
    const LETTERS: [(char, Self); 5] = [('c', Self::C), ('r', Self::R), ('u', Self::U), ('d', Self::D), ('s', Self::S)];

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both have.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every right of `other` is here.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads letters of `cruds` in that order, each once, at least one.
    ///
    /// ```
    /// use baton::access::scope::Rights;
    /// assert!(Rights::parse("rs").is_some());
    /// assert!(Rights::parse("sr").is_none() && Rights::parse("rr").is_none() && Rights::parse("").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut left = Self::LETTERS.iter();
        let mut rights = Self::NONE;
        for letter in text.chars() {
            rights = rights.and(left.find(|(l, _)| *l == letter)?.1);
        }
        (!rights.is_empty()).then_some(rights)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, right) in Self::LETTERS {
            if self.covers(right) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

/// What a caller wants to do, as far as rights go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// read
    Read,
    /// vread
    VRead,
    /// history of one instance
    HistoryInstance,
    /// history of a type
    HistoryType,
    /// history of the system
    HistorySystem,
    /// search of a type, GET or POST; also each hop of a chain and each type that `_include` adds
    SearchType,
    /// search of the system
    SearchSystem,
    /// create
    Create,
    /// create with `If-None-Exist`
    ConditionalCreate,
    /// update, update-as-create
    Update,
    /// update by criteria that may end as a create
    ConditionalUpdate,
    /// patch
    Patch,
    /// patch by criteria
    ConditionalPatch,
    /// delete
    Delete,
    /// delete by criteria
    ConditionalDelete,
}

impl Action {
    /// All, in the order of the specification.
    pub const ALL: [Action; 15] = [
        Self::Read,
        Self::VRead,
        Self::HistoryInstance,
        Self::HistoryType,
        Self::HistorySystem,
        Self::SearchType,
        Self::SearchSystem,
        Self::Create,
        Self::ConditionalCreate,
        Self::Update,
        Self::ConditionalUpdate,
        Self::Patch,
        Self::ConditionalPatch,
        Self::Delete,
        Self::ConditionalDelete,
    ];

    /// Every right that must be there. A conditional update may create, so it needs c too (the scope must not depend on
    /// what the criteria happen to find).
    #[must_use]
    pub const fn needs(self) -> Rights {
        match self {
            Self::Read | Self::VRead | Self::HistoryInstance => Rights::R,
            Self::HistoryType | Self::HistorySystem | Self::SearchType | Self::SearchSystem => Rights::S,
            Self::Create => Rights::C,
            Self::ConditionalCreate => Rights::C.and(Rights::S),
            Self::Update | Self::Patch => Rights::U,
            Self::ConditionalUpdate => Rights::U.and(Rights::S).and(Rights::C),
            Self::ConditionalPatch => Rights::U.and(Rights::S),
            Self::Delete => Rights::D,
            Self::ConditionalDelete => Rights::D.and(Rights::S),
        }
    }

    /// The verb for a sentence: "a technician may not **delete** Patient".
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Read | Self::VRead | Self::HistoryInstance => "read",
            Self::HistoryType | Self::HistorySystem => "read the history of",
            Self::SearchType | Self::SearchSystem => "search",
            Self::Create => "create",
            Self::ConditionalCreate => "conditionally create",
            Self::Update => "update",
            Self::ConditionalUpdate => "conditionally update",
            Self::Patch => "patch",
            Self::ConditionalPatch => "conditionally patch",
            Self::Delete => "delete",
            Self::ConditionalDelete => "conditionally delete",
        }
    }
}

/// One data scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Whose data.
    pub level: Level,
    /// `None` is `*`.
    pub rtype: Option<ResourceType>,
    /// What.
    pub rights: Rights,
    /// `?param=value&…`, a conjunction; empty for a plain scope.
    pub granular: Vec<(String, String)>,
    /// Written as `.read`, `.write` or `.*`: given back the same way.
    v1: bool,
}

/// Parameters that a granular scope may name (own rule: tokens that do not change meaning by modifiers).
const GRANULAR: [&str; 6] = ["category", "status", "code", "_security", "_tag", "type"];

impl Scope {
    /// Reads one scope; `None` when it is not a data scope of the grammar.
    ///
    /// ```
    /// use baton::access::scope::Scope;
    /// assert_eq!(Scope::parse("user/Task.rs").map(|s| s.to_string()).as_deref(), Some("user/Task.rs"));
    /// assert!(Scope::parse("user/Task.sr").is_none(), "out of order");
    /// assert!(Scope::parse("user/Nonsense.rs").is_none(), "no such type");
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (level, rest) = text.split_once('/')?;
        let level = Level::ALL.iter().find(|(_, n)| *n == level)?.0;
        let (rtype, rest) = rest.split_once('.')?;
        let rtype = match rtype {
            "*" => None,
            name => Some(ResourceType::parse(name)?),
        };
        let (rights, query) = match rest.split_once('?') {
            Some((rights, query)) => (rights, Some(query)),
            None => (rest, None),
        };
        let (rights, v1) = match rights {
            "read" => (Rights::R.and(Rights::S), true),
            "write" => (Rights::C.and(Rights::U).and(Rights::D), true),
            "*" => (Rights::parse("cruds")?, true),
            letters => (Rights::parse(letters)?, false),
        };
        let granular = match query {
            None => Vec::new(),
            Some(_) if v1 => return None,
            // Of all types, of the patient or of the directory a part by category is none that reads could tell.
            Some(_) if rtype.is_none_or(|t| t.as_str() == "Patient" || DIRECTORY.contains(&t.as_str())) => return None,
            Some(query) => query.split('&').map(granular).collect::<Option<Vec<_>>>()?,
        };
        Some(Self { level, rtype, rights, granular, v1 })
    }

    fn is_plain(&self) -> bool {
        self.granular.is_empty()
    }

    /// The rights it gives on a type; `None`: on every type.
    fn on(&self, rtype: Option<ResourceType>) -> Rights {
        if self.rtype.is_none() || self.rtype == rtype { self.rights } else { Rights::NONE }
    }

    /// The same scope for other rights, which are written in v2.
    #[must_use]
    pub fn narrowed(&self, granular: Vec<(String, String)>) -> Self {
        Self { granular, v1: false, ..self.clone() }
    }
}

/// One `param=value` of a granular scope: plain tokens only, no modifier, chain or prefix.
fn granular(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && !b",$\\\"&=".contains(&b));
    (GRANULAR.contains(&name) && plain).then(|| (name.into(), value.into()))
}

/// The text that was read, with rights in v1 words where v1 was asked.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.", self.level.as_str(), self.rtype.map_or("*", ResourceType::as_str))?;
        match (self.v1, self.rights) {
            (true, r) if r == Rights::R.and(Rights::S) => f.write_str("read")?,
            (true, r) if r == Rights::C.and(Rights::U).and(Rights::D) => f.write_str("write")?,
            (true, _) => f.write_str("*")?,
            (false, r) => write!(f, "{r}")?,
        }
        for (n, (name, value)) in self.granular.iter().enumerate() {
            write!(f, "{}{name}={value}", if n == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// Registering programs and people (`auth/admin.rs`): a scope of our own, which SMART has begin with two underscores.
pub const ACCOUNTS: &str = "__accounts";

/// Scopes that are no data scopes and mean something to SMART, and [`ACCOUNTS`].
const OTHERS: [&str; 9] = [
    ACCOUNTS,
    "launch",
    "launch/patient",
    "launch/encounter",
    "openid",
    "fhirUser",
    "profile",
    "online_access",
    "offline_access",
];

/// A list of scopes, doubles and undefined words dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes {
    /// The data scopes in the order given.
    pub data: Vec<Scope>,
    /// The others (`openid`, `launch/patient`, …).
    pub others: Vec<&'static str>,
}

impl Scopes {
    /// Longest text that is looked at (own rule; 30 ordinary scopes take 600 bytes).
    pub const MAX_BYTES: usize = 8 << 10;

    /// Reads a space-separated list. What the grammar does not know is dropped, whole; never half-granted.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            if let Some(scope) = Scope::parse(word) {
                if !scopes.data.contains(&scope) {
                    scopes.data.push(scope);
                }
            } else if let Some(other) = OTHERS.iter().find(|o| **o == word)
                && !scopes.others.contains(other)
            {
                scopes.others.push(other);
            }
        }
        scopes
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty() && self.others.is_empty()
    }

    /// The rights on one type, or on the system as a whole (`None`: only `*` counts), over all levels that the token has.
    #[must_use]
    pub fn rights(&self, rtype: Option<ResourceType>) -> Rights {
        self.data.iter().fold(Rights::NONE, |sum, s| sum.and(s.on(rtype)))
    }

    /// Whether these scopes let an interaction through. `rtype` `None`: a system-level interaction, which only a wildcard
    /// covers. Rights may come from several scopes: `Patient.c` and `Patient.s` cover a conditional create.
    #[must_use]
    pub fn allows(&self, action: Action, rtype: Option<ResourceType>) -> bool {
        self.rights(rtype).covers(action.needs())
    }

    /// The part of `self` (asked for) that `registered` covers wholly, at one of `levels`. A scope that asks for more
    /// than is registered is dropped, not narrowed: who asks for a wildcard and gets one type would not notice.
    #[must_use]
    pub fn within(&self, registered: &Scopes, levels: &[Level]) -> Scopes {
        let covered = |s: &&Scope| {
            let given =
                registered.data.iter().filter(|r| r.level == s.level && (r.is_plain() || r.granular == s.granular));
            levels.contains(&s.level) && given.fold(Rights::NONE, |sum, r| sum.and(r.on(s.rtype))).covers(s.rights)
        };
        Scopes { data: self.data.iter().filter(covered).cloned().collect(), others: Vec::new() }
    }

    /// As [`Scopes::within`], with [`ACCOUNTS`] where both have it: what a token can do.
    #[must_use]
    pub fn held(&self, registered: &Scopes, levels: &[Level]) -> Scopes {
        let mut held = self.within(registered, levels);
        held.others.extend(Some(ACCOUNTS).filter(|a| self.has(a) && registered.has(a)));
        held
    }

    /// Whether one of the others is there: `openid`, `offline_access`, ….
    #[must_use]
    pub fn has(&self, other: &str) -> bool {
        self.others.contains(&other)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.data.iter().enumerate() {
            write!(f, "{}{scope}", if n == 0 { "" } else { " " })?;
        }
        for (n, other) in self.others.iter().enumerate() {
            write!(f, "{}{other}", if n == 0 && self.data.is_empty() { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Whether a space-separated list lets an interaction through; see [`Scopes::allows`].
#[must_use]
pub fn allows(scopes: &str, action: Action, rtype: Option<ResourceType>) -> bool {
    Scopes::parse(scopes).allows(action, rtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::resource::known;

    /// Security contract, requirement 24 and attack row 15.
    /// security R24: The grammar of scopes as a table.
    #[test]
    fn the_grammar_of_smart_scopes_as_a_table() {
        for (text, reads_as) in [
            ("patient/Patient.rs", Some("patient/Patient.rs")),
            ("user/*.cruds", Some("user/*.cruds")),
            ("system/Task.c", Some("system/Task.c")),
            ("system/Task.read", Some("system/Task.read")),
            ("system/Task.write", Some("system/Task.write")),
            ("system/*.*", Some("system/*.*")),
            ("patient/Observation.rs?category=vital-signs", Some("patient/Observation.rs?category=vital-signs")),
            ("patient/Condition.rs?category=a|b&status=c", Some("patient/Condition.rs?category=a|b&status=c")),
            // out of order, doubled, unknown letters
            ("user/Task.dus", None),
            ("user/Task.sr", None),
            ("user/Task.rr", None),
            ("user/Task.", None),
            ("user/Task.x", None),
            ("user/Task.CRUDS", None),
            ("user/Task.reads", None),
            // shape
            ("system//.rs", None),
            ("system/Task", None),
            ("/Task.rs", None),
            ("Task.rs", None),
            ("system/Task.rs/", None),
            ("system/task.rs", None),
            ("System/Task.rs", None),
            ("system/Nope.rs", None),
            ("system/Task.rs.rs", None),
            ("system/**.rs", None),
            ("tenant/Task.rs", None),
            ("system\\/Task.rs", None),
            // look-alikes: Cyrillic a in Task, fullwidth slash, Kelvin sign, zero width joiner
            ("system/T\u{430}sk.rs", None),
            ("system\u{ff0f}Task.rs", None),
            ("system/Tas\u{212a}.rs", None),
            ("system/Task.r\u{200d}s", None),
            // granular: modifiers, chains, lists, prefixes, unknown parameters, v1
            ("patient/Observation.rs?", None),
            ("patient/Observation.rs?category", None),
            ("patient/Observation.rs?category=", None),
            ("patient/Observation.rs?category:in=x", None),
            ("patient/Observation.rs?category=a,b", None),
            ("patient/Observation.rs?subject.name=x", None),
            ("patient/Observation.rs?_filter=x", None),
            ("patient/Observation.rs?date=ge2020", None),
            ("patient/Observation.read?category=x", None),
            ("patient/*.rs?category=x", None),
            ("patient/Patient.rs?_tag=x", None),
            ("user/Location.rs?status=active", None),
        ] {
            assert_eq!(Scope::parse(text).map(|s| s.to_string()).as_deref(), reads_as, "{text}");
        }
    }

    /// Requirement 25: what each interaction needs.
    /// security R25: What each interaction needs as a table.
    #[test]
    fn what_each_interaction_needs_as_a_table() {
        let task = Some(known("Task"));
        for (action, enough, too_little) in [
            (Action::Read, "r", "cuds"),
            (Action::VRead, "r", "cuds"),
            (Action::HistoryInstance, "r", "cuds"),
            (Action::HistoryType, "s", "crud"),
            (Action::SearchType, "s", "crud"),
            (Action::Create, "c", "ruds"),
            (Action::ConditionalCreate, "cs", "crud"),
            (Action::Update, "u", "crds"),
            (Action::Patch, "u", "crds"),
            (Action::ConditionalUpdate, "cus", "us"),
            (Action::ConditionalPatch, "us", "crud"),
            (Action::Delete, "d", "crus"),
            (Action::ConditionalDelete, "ds", "crud"),
        ] {
            assert!(allows(&format!("user/Task.{enough}"), action, task), "{action:?} {enough}");
            assert!(allows(&format!("user/*.{enough}"), action, task), "{action:?} {enough} by wildcard");
            assert!(!allows(&format!("user/Task.{too_little}"), action, task), "{action:?} {too_little}");
            assert!(!allows(&format!("user/Patient.{enough}"), action, task), "{action:?} of another type");
            assert!(!allows("", action, task));
            assert!(!allows("openid fhirUser launch/patient offline_access", action, task), "R30: no data scopes");
        }
        for action in [Action::SearchSystem, Action::HistorySystem] {
            assert!(allows("user/*.s", action, None));
            assert!(!allows("user/Task.cruds user/Patient.cruds", action, None), "one type is not the system");
        }
        assert!(allows("user/Task.c user/Task.s", Action::ConditionalCreate, task), "rights add up over scopes");
    }

    #[test]
    fn a_granular_scope_gives_rights_whose_rows_a_sieve_holds() {
        let observation = Some(known("Observation"));
        assert!(allows("user/Observation.rs?category=vital-signs", Action::Read, observation));
        assert!(!allows("user/Observation.rs?category=vital-signs", Action::Create, observation));
    }

    /// Requirement 29 and attack row 14: asked ∩ registered.
    #[test]
    fn a_grant_is_what_was_asked_and_is_registered() {
        for (asked, registered, granted) in [
            ("system/Task.rs", "system/*.cruds", "system/Task.rs"),
            ("system/Task.read", "system/Task.cruds", "system/Task.read"),
            ("system/*.rs", "system/Task.rs system/Patient.rs", ""),
            ("system/Task.cruds", "system/Task.rs", ""),
            ("system/Task.rs", "system/Task.r system/Task.s", "system/Task.rs"),
            ("user/Task.rs patient/Task.rs offline_access", "system/*.cruds user/*.cruds", ""),
            ("user/Task.rs system/Patient.r", "system/*.cruds", "system/Patient.r"),
            ("system/Task.rs system/Task.rs nonsense", "system/Task.rs", "system/Task.rs"),
            ("system/Observation.rs?category=x", "system/*.cruds", "system/Observation.rs?category=x"),
            (
                "system/Observation.rs?category=x",
                "system/Observation.rs?category=x",
                "system/Observation.rs?category=x",
            ),
            ("system/Observation.rs", "system/Observation.rs?category=x", ""),
            ("system/Observation.rs?category=y", "system/Observation.rs?category=x", ""),
        ] {
            let got = Scopes::parse(asked).within(&Scopes::parse(registered), &[Level::System]);
            assert_eq!(got.to_string(), granted, "{asked} of {registered}");
        }
    }

    #[test]
    fn what_is_read_writes_itself_back() {
        let text = "launch/patient patient/Patient.rs user/Task.write patient/Patient.rs what fhirUser";
        assert_eq!(Scopes::parse(text).to_string(), "patient/Patient.rs user/Task.write launch/patient fhirUser");
        assert!(Scopes::parse("what ever").is_empty());
    }
}
