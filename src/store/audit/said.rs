//! What one AuditEvent says, in the form that is stored: ids and codes, once each.
//!
//! An AuditEvent as FHIR is 2 kB, of which nine tenths are the same words in each. So its version's body holds this, a JSON
//! array that begins with the number of its form; [`read`] makes the FHIR of it wherever a version is read. Events that were
//! written before that are FHIR in the table, too: they begin with a brace. The chain's hash covers what is stored.
//! Source: own rule.

use super::event::Event;
use super::{Audit, Detail};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::meta::Stampable;
use crate::fhir::{Json, ResourceType, Target};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The form that this Baton writes.
const FORM: u8 = 1;

/// What one AuditEvent says. Of the row's detail without `seen` and `disclosed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who, when, from where, with which outcome.
    pub audit: Audit,
    /// The server's FHIR base.
    pub base: String,
    /// What it is about.
    pub what: What,
    /// Resources that it is about, with the version; 0: which is not known.
    pub data: Vec<(String, i64)>,
    /// `Patient/id`.
    pub patient: Option<String>,
}

/// Kinds of AuditEvents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A write that went well.
    Deed(Deed),
    /// An interaction that made no version.
    Asked,
    /// Something beside FHIR: name of a [`super::Happening`].
    Happened(String),
    /// A handoff was opened to the Organization with this id, as events of before have it: by whom was not said.
    Disclosed(String),
    /// A handoff was opened to the Organization with the first id, by the one with the second, whose record it is; "": it is nobody's.
    Opened(String, String),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Deed {
    Create,
    Read,
    Update,
    Patch,
    Delete,
    Query,
}

impl Deed {
    /// Profile, code of the action, whether the data flow to the client.
    pub(super) const fn row(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::Create => ("Create", "C", false),
            Self::Read => ("Read", "R", true),
            Self::Update | Self::Patch => ("Update", "U", false),
            Self::Delete => ("Delete", "D", false),
            Self::Query => ("Query", "E", false),
        }
    }

    /// Of a row's action.
    #[must_use]
    pub fn of(action: &str) -> Self {
        match action {
            "read" | "vread" => Self::Read,
            "create" => Self::Create,
            "update" => Self::Update,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            _ => Self::Query,
        }
    }

    /// Code of the interaction.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Read => "read",
            Self::Query => "search-type",
        }
    }
}

type Form1 = (u8, i64, String, String, String, String, i64, Detail, String, What, Vec<(String, i64)>, Option<String>);

impl Said {
    /// As stored.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        let a = &self.audit;
        let (who, what) = ((&a.client, &a.usr, &a.request_id, &a.action), (&self.what, &self.data, &self.patient));
        let all = (FORM, a.at.0, who.0, who.1, who.2, who.3, a.outcome, &a.detail, &self.base, what.0, what.1, what.2);
        // Texts and numbers have no way to fail.
        serde_json::to_vec(&all).unwrap_or_default().into()
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// `Fault` for what no Baton wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let unread = |e| Error::fault("a stored AuditEvent does not read").caused_by(e);
        let (_, at, client, usr, request_id, action, outcome, detail, base, what, data, patient): Form1 =
            serde_json::from_slice(bytes).map_err(unread)?;
        let audit = Audit { at: Instant(at), org: 0, client, usr, request_id, action, outcome, detail };
        Ok(Self { audit, base, what, data, patient })
    }

    /// The AuditEvent, without id.
    #[must_use]
    pub fn event(&self) -> Json {
        Event::of(self)
    }

    /// Whether somebody looked at the audit.
    pub(super) fn asks_audit(&self) -> bool {
        let audit = &self.audit;
        self.what == What::Asked
            && (audit.detail.on.starts_with("AuditEvent") || audit.action.ends_with("$access-report"))
    }

    /// What tells it from others of the same caller, action and outcome: `recorded`, and each `entity.what`.
    #[must_use]
    pub fn own(&self) -> Json {
        let reference = |what: &str| serde_json::json!({"what": {"reference": what}});
        let mut entities = Vec::with_capacity(self.data.len() + 2);
        if !self.audit.request_id.is_empty() {
            entities.push(serde_json::json!({"what": {"identifier": {"value": self.audit.request_id}}}));
        }
        entities.extend(self.data.iter().map(|(what, _)| reference(what)));
        entities.extend(self.patient.as_deref().map(reference));
        let recorded = self.audit.at.to_string();
        serde_json::json!({"resourceType": "AuditEvent", "recorded": recorded, "entity": entities}).into()
    }

    /// Without what [`Said::own`] has and what nothing is found by: many events have the same.
    #[must_use]
    pub fn shared(&self) -> Self {
        let mut shared = self.clone();
        let on = if self.asks_audit() { "AuditEvent" } else { "" };
        shared.audit.at = Instant::default();
        shared.audit.request_id.clear();
        shared.audit.detail.on = on.into();
        shared.audit.detail.query = None;
        shared.audit.detail.why = None;
        shared.data.clear();
        shared.audit.detail.glass.iter_mut().for_each(|of| *of = "Patient/-".into());
        shared.patient = self.patient.as_ref().map(|_| "Patient/-".into());
        shared
    }
}

/// The body of a version as it goes out. `stored`: of the table; `id`, `number`, `pk`: of the version.
///
/// # Errors
/// `Fault` for an AuditEvent that no Baton wrote.
pub fn read(stored: Bytes, target: &Target, number: i64, pk: i64) -> Result<Bytes> {
    if stored.first() != Some(&b'[') || target.rtype.as_str() != "AuditEvent" {
        return Ok(stored);
    }
    Ok(Stampable::new(&Said::parse(&stored)?.event(), &target.id).stamp(number, Instant(pk)))
}

/// Reads `Type/id`, with what follows.
#[must_use]
pub fn target(on: &str) -> Option<Target> {
    let mut parts = on.split('/');
    let (rtype, id) = (ResourceType::parse(parts.next()?)?, parts.next()?);
    crate::fhir::resource::is_id(id).then(|| Target::new(rtype, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_reads_back_and_is_small() {
        let detail = Detail { role: "hospital".into(), on: "Observation".into(), ..Detail::default() };
        let audit = Audit {
            at: Instant(1_700_000_000_000_000),
            client: "ehr".into(),
            request_id: "r1".into(),
            action: "create".into(),
            outcome: 201,
            detail,
            ..Audit::default()
        };
        for what in [
            What::Deed(Deed::Create),
            What::Asked,
            What::Happened("denied".into()),
            What::Disclosed("elm".into()),
            What::Happened("of a later version".into()),
        ] {
            let data = vec![("Observation/1".to_owned(), 1)];
            let said = Said {
                audit: audit.clone(),
                base: "http://x/fhir".into(),
                what,
                data,
                patient: Some("Patient/2".into()),
            };
            let stored = said.bytes();
            assert_eq!(Said::parse(&stored).unwrap(), said);
            let target = Target::new(crate::fhir::resource::known("AuditEvent"), "a7-0");
            let out = read(stored.clone(), &target, 1, 7).unwrap();
            let text = String::from_utf8(out.to_vec()).unwrap();
            assert!(text.contains(r#""id":"a7-0""#) && text.contains("Patient/2"), "{text}");
            assert!(stored.len() * 4 < out.len(), "{} of {}", stored.len(), out.len());
            assert_eq!(read(out.clone(), &target, 1, 7).unwrap(), out, "one that is FHIR stays as it is");
        }
        assert!(Said::parse(b"[1,2]").is_err());
    }
}
