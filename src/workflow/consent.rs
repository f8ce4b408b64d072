//! Consent: whether a patient wants to be followed up.
//!
//! For: [`refuses`], a pure function of the patient's Consents and the clock. Not for: what a refusal ends
//! (`react/consent.rs`), or who sees what by a Consent's actors and data (not enforced).
//! Source: <https://hl7.org/fhir/R4/consent.html>; scopes and purposes as in `profiles/protocol/eligibility.json`; own rules.

use super::Programme;
use super::element::{self, ACT_CODE, codings};
use crate::clock::Instant;
use crate::fhir::Json;

/// Elements that narrow a provision to some recipients or some data: then it does not speak about the follow-up as a whole.
const NARROWING: [&str; 6] = ["actor", "securityLabel", "class", "code", "dataPeriod", "data"];

/// Whether the patient has refused the follow-up, by the latest of the Consents that are in force at `now` and about it.
///
/// `consents`: all of the patient's, in any order. Of two of the same time the refusal counts.
#[must_use]
pub fn refuses<'a>(programme: &Programme, consents: impl IntoIterator<Item = &'a Json>, now: Instant) -> bool {
    let zone = &programme.env.zone;
    let said = consents.into_iter().filter_map(|c| {
        let refused = refusal(programme, c, now)?;
        Some((element::earliest(c["dateTime"].text(), zone), refused))
    });
    said.max().is_some_and(|(_, refused)| refused)
}

/// What one Consent says about the follow-up: `true` refuses, `false` permits, `None` is about something else or not in
/// force.
fn refusal(programme: &Programme, consent: &Json, now: Instant) -> Option<bool> {
    let criteria = &programme.criteria;
    let among = |element: &Json, known: &[(String, String)]| {
        codings(element).iter().any(|(s, c)| known.iter().any(|(system, code)| s == system && c == code))
    };
    if consent["status"].text() != "active" || !among(&consent["scope"], &criteria.consent_scopes) {
        return None;
    }
    let provision = &consent["provision"];
    let zone = &programme.env.zone;
    let period = &provision["period"];
    let begun = element::earliest(period["start"].text(), zone).is_none_or(|start| start <= now);
    let ended = element::latest(period["end"].text(), zone).is_some_and(|end| end < now);
    let elsewhere =
        !provision["purpose"].items().is_empty() && !among(&provision["purpose"], &criteria.consent_purposes);
    if !begun || ended || elsewhere || NARROWING.iter().any(|name| provision.get(name).is_some()) {
        return None;
    }
    let opts_out = element::has_code(&consent["policyRule"], ACT_CODE, "OPTOUT");
    Some(match provision["type"].text() {
        "deny" => true,
        "permit" => false,
        _ => opts_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn consent(change: &serde_json::Value) -> Json {
        let mut out = json!({
            "resourceType": "Consent", "status": "active", "dateTime": "2026-11-01",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": "Patient/p"},
            "provision": {"type": "deny"},
        });
        for (name, value) in change.as_object().unwrap() {
            out[name] = value.clone();
        }
        out.into()
    }

    #[test]
    fn what_a_consent_says_about_the_follow_up_as_a_table() {
        let programme = Programme::for_tests();
        let now = Instant::parse("2026-11-25T21:00:00Z").unwrap();
        let purpose =
            |code: &str| json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code}]);
        for (change, says) in [
            (json!({}), Some(true)),
            (json!({"status": "rejected"}), None),
            (json!({"status": "inactive"}), None),
            (json!({"status": "entered-in-error"}), None),
            (json!({"status": "proposed"}), None),
            (
                json!({"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment"}]}}),
                Some(true),
            ),
            (
                json!({"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}}),
                None,
            ),
            (json!({"scope": {"text": "privacy"}}), None),
            (json!({"provision": {"type": "permit"}}), Some(false)),
            (json!({"provision": null}), Some(false)),
            (
                json!({"provision": null, "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTOUT"}]}}),
                Some(true),
            ),
            (
                json!({"provision": null, "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN"}]}}),
                Some(false),
            ),
            (json!({"provision": {"type": "deny", "purpose": purpose("CAREMGT")}}), Some(true)),
            (json!({"provision": {"type": "deny", "purpose": purpose("HRESCH")}}), None),
            (json!({"provision": {"type": "deny", "period": {"start": "2026-12-01"}}}), None),
            (
                json!({"provision": {"type": "deny", "period": {"start": "2026-11-25", "end": "2026-11-25"}}}),
                Some(true),
            ),
            (json!({"provision": {"type": "deny", "period": {"end": "2026-11-24"}}}), None),
            (
                json!({"provision": {"type": "deny", "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}}),
                None,
            ),
        ] {
            assert_eq!(refusal(&programme, &consent(&change), now), says, "{change}");
        }
    }

    #[test]
    fn the_last_word_counts_whatever_the_order() {
        let programme = Programme::for_tests();
        let now = Instant::parse("2026-11-25T21:00:00Z").unwrap();
        let said = |date: &str, kind: &str| consent(&json!({"dateTime": date, "provision": {"type": kind}}));
        for (consents, refused) in [
            (vec![], false),
            (vec![said("2026-11-01", "deny"), said("2026-11-20", "permit")], false),
            (vec![said("2026-11-01", "permit"), said("2026-11-20", "deny")], true),
            (vec![said("2026-11-20", "permit"), said("2026-11-20", "deny")], true),
        ] {
            assert_eq!(refuses(&programme, &consents, now), refused, "{consents:?}");
            assert_eq!(refuses(&programme, consents.iter().rev(), now), refused, "{consents:?} the other way round");
        }
    }
}
