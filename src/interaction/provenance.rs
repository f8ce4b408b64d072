//! `X-Provenance`: who says so of what is written, in the same transaction.
//!
//! The header holds a Provenance without `target`; the targets are what the interaction writes, each with its version. It is
//! judged as a Provenance that is created: scope, role, profile, references. A write that changes nothing - a conditional create
//! that finds its resource - stores none.
//! Source: <https://hl7.org/fhir/R4/provenance.html#6.4.4.2> (HTTP header), <https://hl7.org/fhir/R4/http.html#custom>.

use super::Engine;
use super::answer::Answer;
use super::request::Request;
use crate::access::Ctx;
use crate::access::scope::Action;
use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::fhir::json;
use crate::fhir::resource::{known, printable};

impl Engine {
    /// Carries out a write with its `X-Provenance`.
    pub(super) async fn accompanied(&self, ctx: &Ctx, header: &[u8], of: Request) -> Result<Answer> {
        if !matches!(
            of,
            Request::Create { .. } | Request::Update { .. } | Request::Patch { .. } | Request::Bundle { .. }
        ) {
            return Err(goes_with());
        }
        let provenance = read(header, &self.house().json)?;
        self.permit(ctx, Action::Create, Some(known("Provenance")))?;
        match of {
            Request::Bundle { body, prefer } => self.bundle(ctx, body, prefer, Some(provenance)).await,
            write => self.change(ctx, write, Some(provenance)).await,
        }
    }
}

/// What it goes with.
pub(super) fn goes_with() -> Error {
    let text = "X-Provenance goes with a create, an update, a patch and a transaction that answers at once; leave it out, or POST \
                the Provenance";
    Error::invalid(text).code("not-supported")
}

fn read(header: &[u8], limits: &json::Limits) -> Result<Json> {
    let named = |mut error: Error| {
        for issue in &mut error.issues {
            issue.diagnostics = format!("X-Provenance: {}", issue.diagnostics);
        }
        error
    };
    let provenance = json::parse_with(header, limits).map_err(named)?;
    match provenance["resourceType"].as_str() {
        Some("Provenance") => {}
        Some(other) => {
            let text = format!("X-Provenance holds a Provenance, and this is a {}", printable(other));
            return Err(Error::invalid(text).at("Provenance.resourceType"));
        }
        None => {
            let text = "X-Provenance holds a Provenance as JSON: {\"resourceType\":\"Provenance\", …}";
            return Err(Error::invalid(text).code("structure").at("Provenance.resourceType"));
        }
    }
    if provenance.get("target").is_some() {
        let text = "in X-Provenance, target is left out: it is what the request writes, and Baton fills it in";
        return Err(Error::invalid(text).at("Provenance.target"));
    }
    Ok(provenance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_no_provenance_is_refused_with_its_element() {
        for (header, at) in [
            ("", ""),
            ("x", ""),
            ("[]", "Provenance.resourceType"),
            ("{}", "Provenance.resourceType"),
            (r#"{"resourceType":"Patient"}"#, "Provenance.resourceType"),
            (r#"{"resourceType":"Provenance","target":[]}"#, "Provenance.target"),
        ] {
            let error = read(header.as_bytes(), &json::Limits::default()).unwrap_err();
            assert_eq!(error.kind.status(), 400, "{header}");
            assert_eq!(error.issues[0].expression, at, "{header}");
            assert!(error.issues[0].diagnostics.contains("X-Provenance"), "{header}");
        }
    }
}
