//! What can be asked of the one door, already split from its wire: paths, headers and Bundle entries all end here.
//!
//! Not for: reading paths (`route.rs`) or headers (`http/wire.rs`).

use crate::error::{Error, Result};
use crate::fhir::{Json, ResourceType, Target, json};
use bytes::Bytes;

/// One interaction.
#[derive(Debug, Clone)]
pub enum Request {
    /// create, conditional with `if_none_exist`.
    Create {
        /// Type of the URL.
        rtype: ResourceType,
        /// The resource as sent.
        body: Body,
        /// Criteria of `If-None-Exist`, raw.
        if_none_exist: Option<String>,
        /// `If-None-Match: *`: a match of the criteria is refused, not answered.
        when: When,
        /// `Prefer: return=…`.
        prefer: Prefer,
    },
    /// read, conditional with `unless`.
    Read {
        /// Which.
        target: Target,
        /// `If-None-Match`, `If-Modified-Since`.
        unless: Unless,
        /// `_summary`, `_elements`, raw.
        query: String,
    },
    /// vread.
    VRead {
        /// Which.
        target: Target,
        /// `meta.versionId`, raw.
        version: String,
        /// `_summary`, `_elements`, raw.
        query: String,
    },
    /// update, by id or by criteria.
    Update {
        /// Which.
        at: At,
        /// The resource as sent.
        body: Body,
        /// What the current version must be.
        when: When,
        /// `Prefer: return=…`.
        prefer: Prefer,
    },
    /// JSON Patch or FHIRPath Patch, by id or by criteria.
    Patch {
        /// Which.
        at: At,
        /// The patch document as sent.
        body: Body,
        /// What it is written in: JSON Patch, or a Parameters resource.
        media: Media,
        /// What the current version must be.
        when: When,
        /// `Prefer: return=…`.
        prefer: Prefer,
    },
    /// delete, by id or by criteria.
    Delete {
        /// Which.
        at: At,
        /// What the current version must be.
        when: When,
        /// `Prefer: return=…`.
        prefer: Prefer,
    },
    /// history of an instance, a type or the whole system.
    History {
        /// Of what.
        of: Scope,
        /// `_since`, `_at`, `_count`, `_page`, raw.
        query: String,
    },
    /// search.
    Search {
        /// Where.
        of: Scope,
        /// Raw query of the URL; of a form, its body appended.
        query: String,
        /// `Prefer: handling=lenient`.
        lenient: bool,
    },
    /// batch or transaction.
    Bundle {
        /// The Bundle as sent.
        body: Body,
        /// `Prefer: return=…`; without it writes are answered minimally, operations with what they give.
        prefer: Option<Prefer>,
    },
    /// batch or transaction, to be carried out in the background.
    Start {
        /// The Bundle as sent.
        body: Body,
        /// As of [`Request::Bundle`].
        prefer: Option<Prefer>,
    },
    /// What became of one that was started.
    Job {
        /// As the status address says.
        id: String,
        /// What of it.
        ask: JobAsk,
    },
    /// `$name`.
    Operation(Operation),
    /// A create, update, patch or transaction with what its `X-Provenance` says.
    Accompanied {
        /// The header: a Provenance without target.
        provenance: Bytes,
        /// The interaction.
        of: Box<Request>,
    },
    /// capabilities.
    Capabilities {
        /// `mode`, `_summary`, `_elements`, raw.
        query: String,
    },
}

impl Request {
    /// The text of its body, where it came as a text of its own.
    pub(super) fn text(&self) -> Option<Bytes> {
        match self {
            Self::Create { body, .. }
            | Self::Update { body, .. }
            | Self::Patch { body, .. }
            | Self::Bundle { body, .. }
            | Self::Start { body, .. }
            | Self::Operation(Operation { body, .. }) => body.text(),
            _ => None,
        }
    }
}

/// What `Prefer` may ask for.
///
/// Source: RFC 7240; <https://hl7.org/fhir/R4/http.html#ops>, <https://hl7.org/fhir/R4/search.html#errors>,
/// <https://hl7.org/fhir/R4/async.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// `return=…`
    Return,
    /// `handling=…`
    Handling,
    /// `respond-async`
    Async,
}

impl Request {
    /// Whether a preference has a say in it: then the answer names it as applied.
    #[must_use]
    pub fn heeds(&self, preference: Preference) -> bool {
        if let Self::Accompanied { of, .. } = self {
            return of.heeds(preference);
        }
        match preference {
            Preference::Return => match self {
                Self::Create { .. } | Self::Update { .. } | Self::Patch { .. } | Self::Bundle { .. } => true,
                // There is nothing left that could be represented.
                Self::Delete { prefer, .. } => *prefer != Prefer::Representation,
                Self::Operation(call) => super::operation::changes(call),
                _ => false,
            },
            Preference::Handling => matches!(self, Self::Search { .. }),
            Preference::Async => matches!(self, Self::Start { .. }),
        }
    }
}

/// What is asked of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAsk {
    /// How far it is; where the answer is.
    Status,
    /// The answer.
    Result,
    /// That it ends.
    Cancel,
}

/// What a body is, as its media type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Media {
    /// A resource.
    #[default]
    Fhir,
    /// A form of search parameters.
    Form,
    /// A JSON Patch.
    JsonPatch,
}

/// What was sent: bytes of an HTTP body, or the tree of a Bundle entry.
#[derive(Debug, Clone)]
pub enum Body {
    /// Not parsed yet; may be empty.
    Raw(Bytes),
    /// Parsed with the Bundle around it.
    Tree(Json),
}

impl Body {
    /// Whether nothing was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Raw(bytes) => bytes.is_empty(),
            Self::Tree(tree) => tree.is_null(),
        }
    }

    /// The text, where it came as a text of its own.
    pub(super) fn text(&self) -> Option<Bytes> {
        match self {
            Self::Raw(bytes) if !bytes.is_empty() => Some(bytes.clone()),
            _ => None,
        }
    }

    /// The tree.
    ///
    /// # Errors
    /// `Invalid` with all issues of the JSON.
    pub fn json(self, limits: &json::Limits) -> Result<Json> {
        match self {
            Self::Raw(bytes) if bytes.is_empty() => {
                Err(Error::invalid("the interaction needs a body and came without"))
            }
            Self::Raw(bytes) => json::parse_with(&bytes, limits),
            Self::Tree(tree) => Ok(tree),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Raw(Bytes::new())
    }
}

/// Of what a search or a history is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The whole server.
    System,
    /// One type.
    Type(ResourceType),
    /// One resource (history).
    Instance(Target),
    /// One version of one resource, its number raw (operations).
    Version(Target, String),
    /// Resources of one type, or of all (`*`), in the compartment of one resource (search).
    Compartment(Target, Option<ResourceType>),
}

/// Which resource an update, patch or delete is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// This one.
    Id(Target),
    /// The one that meets these criteria (raw query).
    Query(ResourceType, String),
}

impl At {
    /// The type of the URL.
    #[must_use]
    pub fn rtype(&self) -> ResourceType {
        match self {
            Self::Id(target) => target.rtype,
            Self::Query(rtype, _) => *rtype,
        }
    }
}

/// What a write asks of the version that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct When {
    /// `If-Match`.
    pub if_match: Option<Match>,
    /// `If-None-Match: *`: there is none.
    pub if_none: bool,
}

/// `If-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// `*`: there is a current version, whichever.
    Any,
    /// `W/"3"`: the current version is this one; 0 is a tag that no version has.
    Version(i64),
}

impl When {
    /// Reads the two header values (or `entry.request.ifMatch` and `ifNoneMatch`).
    ///
    /// # Errors
    /// `Invalid` when one is not of the form that FHIR uses.
    pub fn parse(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Self> {
        let if_none = match if_none_match.map(str::trim) {
            None => false,
            Some("*") => true,
            Some(_) => {
                return Err(Error::invalid(
                    "on a write, If-None-Match takes only '*': the resource must not exist yet",
                ));
            }
        };
        let read = |text: &str| if text.trim() == "*" { Ok(Match::Any) } else { etag(text).map(Match::Version) };
        Ok(Self { if_match: if_match.map(read).transpose()?, if_none })
    }

    /// The version that the caller has read, where it says so.
    #[must_use]
    pub fn version(&self) -> Option<i64> {
        match self.if_match {
            Some(Match::Version(version)) => Some(version),
            _ => None,
        }
    }
}

/// The version id of an ETag: `W/"3"`; the strong form `"3"` is taken too, as some clients drop the `W/`.
fn etag(text: &str) -> Result<i64> {
    let text = text.trim();
    let inner = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    match inner.map(str::parse::<i64>) {
        Some(Ok(version)) if version > 0 => Ok(version),
        // A well-formed tag that no version of ours has: it matches nothing, which is 412 and not 400.
        Some(_) if inner.is_some_and(|t| !t.is_empty() && !t.contains('"')) => Ok(0),
        _ => Err(Error::invalid(
            "If-Match takes one version as a weak ETag, such as W/\"3\", or *; read the resource to get it",
        )),
    }
}

/// What a conditional read has in hand already.
#[derive(Debug, Clone, Default)]
pub struct Unless {
    /// `If-None-Match`, raw: a list of ETags, or `*`.
    pub etags: Option<String>,
    /// `If-Modified-Since`, whole seconds since 1970.
    pub modified_since: Option<i64>,
}

impl Unless {
    /// Whether the caller has this version already. ETags go before times, as RFC 9110 13.2.2 says.
    #[must_use]
    pub fn has(&self, version: i64, updated_micros: i64) -> bool {
        match (&self.etags, self.modified_since) {
            (Some(list), _) => list.split(',').map(str::trim).any(|tag| {
                let inner = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
                tag == "*" || inner.parse() == Ok(version)
            }),
            (None, Some(since)) => updated_micros.div_euclid(1_000_000) <= since,
            (None, None) => false,
        }
    }
}

/// `Prefer: return=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefer {
    /// The resource as stored. The default.
    #[default]
    Representation,
    /// No body.
    Minimal,
    /// An OperationOutcome.
    Outcome,
}

/// An operation call.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Name without `$`.
    pub name: String,
    /// On what: system, type or instance.
    pub on: Scope,
    /// The body as sent: Parameters, or empty.
    pub body: Body,
    /// Raw query of the URL.
    pub query: String,
    /// Whether it came by GET, which only operations that change nothing allow.
    pub is_get: bool,
    /// `If-Match`.
    pub when: When,
    /// `Prefer: return=…`.
    pub prefer: Prefer,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R4 http.html#concurrency: `If-Match` takes one ETag, weak or not, or `*`.
    #[test]
    fn if_match_takes_one_version() {
        for (text, version) in
            [("W/\"3\"", Some(3)), ("\"3\"", Some(3)), ("W/\"abc\"", Some(0)), (" W/\"12\" ", Some(12))]
        {
            assert_eq!(etag(text).ok(), version, "{text}");
        }
        for text in ["3", "W/3", "", "W/\"\"", "\"3\", \"4\"", "*, \"3\""] {
            assert!(When::parse(Some(text), None).is_err(), "{text}");
        }
        assert_eq!(When::parse(Some("*"), None).unwrap().if_match, Some(Match::Any));
    }

    /// R4 http.html#cread: `If-None-Match` goes before `If-Modified-Since`; several ETags may be named.
    #[test]
    fn a_reader_who_has_the_version_is_told_so() {
        let by_tag = |t: &str| Unless { etags: Some(t.into()), modified_since: Some(0) }.has(3, 5_000_000);
        assert!(by_tag("W/\"3\"") && by_tag("W/\"1\", W/\"3\"") && by_tag("*"));
        assert!(!by_tag("W/\"33\""));
        let by_time = |s| Unless { etags: None, modified_since: Some(s) }.has(3, 5_900_000);
        assert!(by_time(5) && !by_time(4));
    }
}
