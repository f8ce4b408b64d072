//! One AuditEvent, built as BALP has it.
//!
//! It is stored as what it says, a tenth of its size, and becomes FHIR when it is read.

use super::said::{Deed, Said, What, target};
use super::{Audit, Happening, NO_CALLER, NO_SCOPE};
use crate::fhir::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const REST: &str = "http://hl7.org/fhir/restful-interaction";
const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const PROVENANCE_ROLE: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const OWN_AGENT: &str = "http://baton.example/fhir/CodeSystem/audit-agent";
const OWN_ROLE: &str = "http://baton.example/fhir/CodeSystem/role";
const OWN_HAPPENING: &str = "http://baton.example/fhir/CodeSystem/audit-happening";

/// Under construction.
pub(super) struct Event {
    body: Value,
    /// Name of the BALP profile, where the event ended well: `Create`.
    profile: Option<&'static str>,
    has_patient_profile: bool,
}

impl Event {
    /// The whole of it.
    pub(super) fn of(said: &Said) -> Json {
        let mut event = match &said.what {
            What::Deed(deed) => Self::rest(said, *deed, deed.code()),
            What::Asked => Self::asked(said),
            What::Happened(what) => match Happening::parse(what) {
                Some(what) => Self::happening(said, what),
                None => Self::asked(said),
            },
            What::Disclosed(to) => Self::disclosure(said, to, ""),
            What::Opened(to, by) => Self::disclosure(said, to, by),
        };
        for (what, version) in &said.data {
            event.data(what, *version);
        }
        if let Some(patient) = &said.patient {
            event.patient(patient);
        }
        event.end()
    }

    /// What a row without versions asked for.
    fn asked(said: &Said) -> Self {
        let (action, detail) = (said.audit.action.as_str(), &said.audit.detail);
        let deed = Deed::of(action);
        let code = if action.contains('$') { "operation" } else { action };
        let mut event = Self::rest(said, deed, code);
        if said.asks_audit() {
            event.body["type"] = json!({"system": DCM, "code": "110101", "display": "Audit Log Used"});
            event.profile = None;
        }
        if deed == Deed::Query {
            let name = action.rsplit('/').next().filter(|n| n.starts_with('$')).unwrap_or_default();
            let slash = if name.is_empty() || detail.on.is_empty() { "" } else { "/" };
            let mark = if detail.query.is_some() { "?" } else { "" };
            let raw = format!("{}{slash}{name}{mark}{}", detail.on, detail.query.as_deref().unwrap_or_default());
            event.entity(json!({
                "type": coding(ENTITY_TYPE, "2", "System Object"), "role": coding(OBJECT_ROLE, "24", "Query"),
                "query": STANDARD.encode(raw),
            }));
        }
        event
    }

    /// What happened beside FHIR.
    fn happening(said: &Said, what: Happening) -> Self {
        let (code, display, subtype) = match what {
            Happening::Login => ("110114", "User Authentication", Some((DCM, "110122", "Login"))),
            Happening::LoginFailed => ("110114", "User Authentication", Some((DCM, "110122", "Login"))),
            Happening::Logout => ("110114", "User Authentication", Some((DCM, "110123", "Logout"))),
            Happening::TokenIssued | Happening::TokenRefused | Happening::TokenRevoked | Happening::ConsentGiven => {
                ("110114", "User Authentication", None)
            }
            Happening::AccountsChanged => ("110136", "Security Roles Changed", None),
            Happening::KeyRotated => ("110131", "Security Configuration", None),
            Happening::AuditUsed => ("110101", "Audit Log Used", None),
            Happening::BreakGlass => ("110113", "Security Alert", Some((DCM, "110127", "Emergency Override Started"))),
            Happening::GlassMended => ("110113", "Security Alert", Some((DCM, "110138", "Emergency Override Stopped"))),
            Happening::Denied | Happening::Lockout | Happening::Replay => ("110113", "Security Alert", None),
        };
        let mut subtypes: Vec<Value> = subtype.iter().map(|(s, c, d)| coding(s, c, d)).collect();
        if what == Happening::Denied && !matches!(said.audit.detail.why.as_deref(), Some(NO_SCOPE | NO_CALLER)) {
            let system = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType";
            subtypes.push(coding(system, "AuthZ-Role", "Authorization Decision using only Roles"));
        }
        subtypes.push(json!({"system": OWN_HAPPENING, "code": what.as_str()}));
        if let Some(refused) = &said.audit.detail.refused {
            let code = if refused.contains('$') { "operation" } else { refused };
            subtypes.push(json!({"system": REST, "code": code}));
        }
        let mut event = Self::new(&said.audit, "E", json!({"system": DCM, "code": code, "display": display}), subtypes);
        event.agents(said, ("110150", "Application"), "IRCP");
        let system = "http://terminology.hl7.org/CodeSystem/extra-security-role-type";
        let who = json!({"type": {"coding": [coding(system, "authserver", "authorization server")]},
            "who": {"display": "Baton"}, "requestor": false, "network": {"address": said.base, "type": "5"}});
        push(&mut event.body, "agent", who);
        let on = &said.audit.detail.on;
        if !on.is_empty() && target(on).is_none() {
            event.entity(json!({"type": coding(ENTITY_TYPE, "2", "System Object"), "name": on}));
        }
        event
    }

    /// A handoff was opened to another organisation: by whose discharge, and by whose doing now.
    fn disclosure(said: &Said, to: &str, by: &str) -> Self {
        let subtype = coding(
            "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle",
            "disclose",
            "Disclose Record Lifecycle Event",
        );
        let kind = json!({"system": DCM, "code": "110106", "display": "Export"});
        let mut event = Self::new(&said.audit, "R", kind, vec![subtype]);
        event.profile = Some("PrivacyDisclosure.Source");
        let (base, owner) = (&said.base, json!({"reference": format!("Organization/{by}")}));
        let source = if by.is_empty() { json!({"display": "Baton"}) } else { owner.clone() };
        push(&mut event.body, "agent", role_id("110153", "Source Role ID", source, base));
        let mut recipient = json!({});
        if !to.is_empty() {
            recipient["reference"] = format!("Organization/{to}").into();
        }
        if said.audit.action == "notification" {
            // It is sent to the endpoint of a client.
            recipient["identifier"] = json!({"value": said.audit.client});
        }
        push(&mut event.body, "agent", role_id("110152", "Destination Role ID", recipient, base));
        if !by.is_empty() {
            for (system, code, display) in
                [(PROVENANCE_ROLE, "custodian", "Custodian"), (OWN_AGENT, "authorizer", "Authorizer")]
            {
                let kind = json!({"coding": [coding(system, code, display)]});
                push(&mut event.body, "agent", json!({"type": kind, "who": owner, "requestor": false}));
            }
        }
        event.agents(said, ("110150", "Application"), "IRCP");
        event
    }

    fn rest(said: &Said, deed: Deed, code: &str) -> Self {
        let (profile, action, flows_to_client) = deed.row();
        let kind = json!({"system": EVENT_TYPE, "code": "rest", "display": "RESTful Operation"});
        let mut event = Self::new(&said.audit, action, kind, vec![json!({"system": REST, "code": code})]);
        if said.audit.outcome < 400 && !matches!(code, "operation") && !code.starts_with("history") {
            (event.profile, event.has_patient_profile) = (Some(profile), true);
        }
        let (source, destination) = (("110153", "Source Role ID"), ("110152", "Destination Role ID"));
        let roles = match deed {
            Deed::Delete => (("110150", "Application"), None),
            _ if flows_to_client => (destination, Some(source)),
            _ => (source, Some(destination)),
        };
        let person = if matches!(deed, Deed::Read | Deed::Query) { "IRCP" } else { "AUT" };
        event.agents(said, roles.0, person);
        let who = json!({"display": "Baton"});
        let server = match roles.1 {
            Some((code, display)) => role_id(code, display, who, &said.base),
            None => {
                json!({"type": {"coding": [coding(PROVENANCE_ROLE, "custodian", "Custodian")]}, "who": who,
                    "requestor": false, "network": {"address": said.base, "type": "5"}})
            }
        };
        push(&mut event.body, "agent", server);
        event
    }

    fn new(audit: &Audit, action: &str, kind: Value, subtypes: Vec<Value>) -> Self {
        let outcome = match audit.outcome {
            ..400 => "0",
            400..500 => "4",
            _ => "8",
        };
        let mut body = json!({
            "resourceType": "AuditEvent",
            "type": kind,
            "subtype": subtypes,
            "action": action,
            "recorded": audit.at.to_string(),
            "outcome": outcome,
        });
        if let Some(why) = audit.detail.why.as_ref().filter(|w| !w.is_empty()) {
            body["outcomeDesc"] = why.as_str().into();
        }
        let mut event = Self { body, profile: None, has_patient_profile: false };
        if !audit.request_id.is_empty() {
            let system = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
            event.entity(json!({
                "type": coding(system, "XrequestId", "X-Request-Id"),
                "what": {"identifier": {"value": audit.request_id}},
            }));
        }
        event
    }

    fn entity(&mut self, entity: Value) {
        push(&mut self.body, "entity", entity);
    }

    /// The client, the person and the organisation behind a request.
    fn agents(&mut self, said: &Said, client: (&str, &str), person: &str) {
        let (audit, detail) = (&said.audit, &said.audit.detail);
        let name = if audit.client.is_empty() { "unknown" } else { &audit.client };
        let network = match &detail.address {
            Some(address) => json!({"address": address, "type": "2"}),
            None => json!({"address": said.base, "type": "5"}),
        };
        let mut agent = json!({
            "type": {"coding": [coding(DCM, client.0, client.1)]},
            "who": {"identifier": {"value": name}},
            "name": name,
            "requestor": audit.usr.is_empty(),
            "network": network,
        });
        if audit.usr.is_empty() {
            Self::standing(&mut agent, audit);
        }
        push(&mut self.body, "agent", agent);
        self.user(&said.audit, person);
        if let Some(org) = &detail.org {
            let system = "http://terminology.hl7.org/CodeSystem/v3-RoleClass";
            let agent = json!({
                "type": {"coding": [coding(system, "PROV", "healthcare provider")]},
                "who": {"reference": format!("Organization/{org}")},
                "requestor": false,
            });
            push(&mut self.body, "agent", agent);
        }
    }

    /// The person behind a request, where there is one.
    fn user(&mut self, audit: &Audit, kind: &str) {
        if audit.usr.is_empty() {
            return;
        }
        let mut who = match &audit.detail.subject {
            Some((issuer, sub)) => json!({"identifier": {"system": issuer, "value": sub}}),
            None => json!({"identifier": {"value": audit.usr}}),
        };
        if let Some(person) = &audit.detail.person {
            who["reference"] = person.as_str().into();
        }
        let display = if kind == "AUT" { "author (originator)" } else { "information recipient" };
        let mut agent = json!({
            "type": {"coding": [coding(PARTICIPATION, kind, display)]},
            "who": who,
            "altId": audit.usr,
            "name": audit.usr,
            "requestor": true,
        });
        Self::standing(&mut agent, audit);
        push(&mut self.body, "agent", agent);
    }

    /// Role, token and purpose of who asks.
    fn standing(agent: &mut Value, audit: &Audit) {
        let detail = &audit.detail;
        if !detail.role.is_empty() {
            agent["role"] = json!([{"coding": [{"system": OWN_ROLE, "code": detail.role}]}]);
            let is_override = !detail.glass.is_empty() || audit.action == Happening::BreakGlass.as_str();
            let purpose = match detail.role.as_str() {
                _ if is_override => "BTG",
                "admin" | "auditor" | "analyst" | "super-user" | "rule-engine" => "HOPERAT",
                "patient" => "PATRQT",
                _ => "TREAT",
            };
            agent["purposeOfUse"] = json!([{"coding": [{"system": ACT_REASON, "code": purpose}]}]);
        }
        if let Some(token) = &detail.token {
            agent["policy"] = json!([format!("urn:ietf:params:oauth:jti:{token}")]);
        }
    }

    /// With a resource that it is about; version 0: which is not known.
    fn data(&mut self, what: &str, version: i64) {
        let mut entity = json!({
            "what": {"reference": what},
            "type": coding(ENTITY_TYPE, "2", "System Object"),
            "role": coding(OBJECT_ROLE, "4", "Domain Resource"),
        });
        if version > 0 {
            entity["detail"] = json!([{"type": "versionId", "valueString": version.to_string()}]);
        }
        self.entity(entity);
    }

    /// With the patient.
    fn patient(&mut self, patient: &str) {
        self.entity(json!({
            "what": {"reference": patient},
            "type": coding(ENTITY_TYPE, "1", "Person"),
            "role": coding(OBJECT_ROLE, "1", "Patient"),
        }));
        if self.has_patient_profile {
            self.profile = self.profile.map(|p| match p {
                "Create" => "PatientCreate",
                "Read" => "PatientRead",
                "Update" => "PatientUpdate",
                "Delete" => "PatientDelete",
                "Query" => "PatientQuery",
                other => other,
            });
        }
    }

    /// The AuditEvent.
    fn end(mut self) -> Json {
        if let Some(profile) = self.profile {
            self.body["meta"] = json!({"profile": [format!("{BALP}{profile}")]});
        }
        let source = "http://terminology.hl7.org/CodeSystem/security-source-type";
        self.body["source"] = json!({
            "observer": {"display": "Baton"},
            "type": [coding(source, "4", "Application Server")],
        });
        self.body.into()
    }
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({"system": system, "code": code, "display": display})
}

fn role_id(code: &str, display: &str, who: Value, base: &str) -> Value {
    json!({"type": {"coding": [coding(DCM, code, display)]}, "who": who, "requestor": false,
        "network": {"address": base, "type": "5"}})
}

fn push(body: &mut Value, list: &str, item: Value) {
    match body[list].as_array_mut() {
        Some(list) => list.push(item),
        None => body[list] = json!([item]),
    }
}
