//! Conditions of protocols: FHIRPath over what is known of a case.
//!
//! For: `PlanDefinition.action.condition` of kind applicability. The context is the Encounter; the variables are those of
//! [`VARIABLES`]. Not for: profiles (`conformance`).
//! Source: <https://hl7.org/fhir/R4/plandefinition-definitions.html#PlanDefinition.action.condition>.

use crate::clock::Instant;
use crate::fhir::Json;
use crate::fhir::fhirpath::{Env, Expression, Items, Node, Value};
use crate::workflow::element;
use crate::workflow::programme::files::Complaints;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// What an expression may name, beside the Encounter that it begins at.
pub const VARIABLES: [&str; 11] = [
    "patient",
    "hospital",
    "coverage",
    "diagnoses",
    "observations",
    "procedures",
    "encounters",
    "risk",
    "medicines",
    "days",
    "highrisk",
];

/// What is known of a discharge when its protocol is chosen and carried out.
#[derive(Debug, Clone, Default)]
pub struct Case<'a> {
    /// The stay.
    pub encounter: Option<&'a Json>,
    /// `%patient`.
    pub patient: Option<&'a Json>,
    /// `%hospital`: the Organization that discharges.
    pub hospital: Option<&'a Json>,
    /// `%coverage`: the patient's Coverages.
    pub coverage: Vec<&'a Json>,
    /// `%diagnoses`: the patient's Conditions.
    pub diagnoses: Vec<&'a Json>,
    /// `%observations`: of the stay.
    pub observations: Vec<&'a Json>,
    /// `%procedures`: of the stay.
    pub procedures: Vec<&'a Json>,
    /// `%encounters`: the patient's others.
    pub encounters: Vec<&'a Json>,
    /// `%risk`: RiskAssessments of the stay.
    pub risk: Vec<&'a Json>,
    /// `%medicines`: how many lines the discharge list has.
    pub medicines: i64,
    /// `%days`: of the stay, by the days of the calendar; nothing where a time of it is not known.
    pub days: Option<i64>,
    /// `%highrisk`: how many of the medicines are of a high-risk class; of criteria of who is followed up alone.
    pub high_risk: Option<i64>,
    /// `now()`.
    pub now: Option<Instant>,
}

impl<'a> Case<'a> {
    /// A case out of whatever is known around it, in any order.
    ///
    /// `around`: resources of the patient; those that the programme wrote itself tell nothing about the patient.
    pub fn of(
        encounter: Option<&'a Json>,
        patient: &'a Json,
        hospital: Option<&'a Json>,
        around: impl Iterator<Item = &'a Json>,
        medicines: usize,
        now: Instant,
    ) -> Self {
        let mut around: Vec<&Json> = around.collect();
        around.sort_by_key(|r| (element::type_of(r), r["id"].text()));
        around.dedup_by_key(|r| (element::type_of(r), r["id"].text()));
        let of = |rtype: &str| -> Vec<&'a Json> {
            let ours = |r: &&&Json| element::type_of(r) == rtype && !element::is_of_programme(r) && !is_void(r);
            around.iter().filter(ours).copied().collect()
        };
        let days = encounter.and_then(|e| {
            let at = |name: &str| element::earliest(e["period"][name].text(), &TimeZone::UTC);
            let day = |at: Instant| at.timestamp().to_zoned(TimeZone::UTC).date();
            Some(i64::from(day(at("start")?).until(day(at("end")?)).ok()?.get_days()))
        });
        let mut encounters = of("Encounter");
        encounters.retain(|e| encounter.is_none_or(|this| e["id"] != this["id"]));
        let of_stay = |mut list: Vec<&'a Json>| {
            let id = encounter.map_or("", |e| e["id"].text());
            list.retain(|r| r["encounter"]["reference"].text().rsplit('/').next() == Some(id));
            list
        };
        // In the order of time: the last one is the latest.
        let mut observations = of_stay(of("Observation"));
        observations.sort_by_key(|o| element::earliest(o["effectiveDateTime"].text(), &TimeZone::UTC));
        Self {
            encounter,
            patient: Some(patient),
            hospital,
            coverage: of("Coverage"),
            diagnoses: of("Condition"),
            observations,
            procedures: of_stay(of("Procedure")),
            encounters,
            risk: Vec::new(),
            medicines: i64::try_from(medicines).unwrap_or(i64::MAX),
            days,
            high_risk: None,
            now: Some(now),
        }
    }
}

/// Whether a resource says of itself that what it tells is not so, or did not come to be.
fn is_void(resource: &Json) -> bool {
    let verification = element::codings(&resource["verificationStatus"]);
    matches!(resource["status"].text(), "entered-in-error" | "cancelled" | "not-done" | "planned")
        || verification.iter().any(|(_, code)| matches!(*code, "refuted" | "entered-in-error"))
}

/// An expression that says yes or no of a case.
#[derive(Debug, Clone)]
pub struct Condition(Arc<Expression>);

impl Condition {
    /// Reads `PlanDefinition.action.condition`: kind applicability, language text/fhirpath.
    pub fn read(file: &str, path: &str, condition: &Json, complaints: &mut Complaints) -> Option<Self> {
        if condition["kind"].text() != "applicability" {
            complaints.add(file, format!("{path}.kind"), "only conditions of kind applicability are read");
            return None;
        }
        let expression = &condition["expression"];
        if expression["language"].text() != "text/fhirpath" {
            complaints.add(file, format!("{path}.expression.language"), "expressions are text/fhirpath");
            return None;
        }
        let at = format!("{path}.expression.expression");
        parse(expression["expression"].text()).map_err(|why| complaints.add(file, at, why)).ok().map(Self)
    }

    /// Whether it holds. Nothing is no.
    ///
    /// # Errors
    /// What the expression cannot do with this case, or that it answers something else than yes or no.
    pub fn holds(&self, case: &Case<'_>) -> Result<bool, String> {
        evaluate(&self.0, case, |found| match found {
            [] => Ok(false),
            [one] => one.as_bool().ok_or_else(|| "answers something else than true or false".to_string()),
            _ => Err("answers more than one value".to_string()),
        })
    }

    /// The expression.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }
}

/// Reads an expression over a case, and tries it on one of which nothing is known: a variable or function that is not there
/// is found when the file is read.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Arc<Expression>, String> {
    let parsed = Expression::parse(text).map_err(|why| format!("'{text}' is no FHIRPath: {why}"))?;
    let parsed = Arc::new(parsed);
    let nothing = Json::from(serde_json::json!({"resourceType": "Encounter"}));
    let case = Case { encounter: Some(&nothing), ..Case::default() };
    evaluate(&parsed, &case, |_| Ok(())).map_err(|why| format!("'{text}' cannot be used: {why}"))?;
    Ok(parsed)
}

/// Evaluates an expression over a case.
///
/// # Errors
/// What the expression cannot do, or what `read` says.
pub fn evaluate<T>(
    expression: &Expression,
    case: &Case<'_>,
    read: impl FnOnce(&[Value<'_>]) -> Result<T, String>,
) -> Result<T, String> {
    fn all<'a>(list: &[&'a Json]) -> Items<'a> {
        Items::Many(list.iter().map(|json| Value::Node(Node::resource(json))).collect())
    }
    fn one(json: Option<&Json>) -> Items<'_> {
        json.map_or(Items::None, |json| Items::One(Value::Node(Node::resource(json))))
    }
    let nothing = Json::Null;
    let encounter = case.encounter.unwrap_or(&nothing);
    let variables = [
        ("patient", one(case.patient)),
        ("hospital", one(case.hospital)),
        ("coverage", all(&case.coverage)),
        ("diagnoses", all(&case.diagnoses)),
        ("observations", all(&case.observations)),
        ("procedures", all(&case.procedures)),
        ("encounters", all(&case.encounters)),
        ("risk", all(&case.risk)),
        ("medicines", Items::One(Value::Integer(case.medicines))),
        ("days", case.days.map_or(Items::None, |days| Items::One(Value::Integer(days)))),
        ("highrisk", case.high_risk.map_or(Items::None, |count| Items::One(Value::Integer(count)))),
    ];
    debug_assert!(variables.iter().map(|(name, _)| *name).eq(VARIABLES));
    let now = case.now.map(Instant::timestamp);
    let env = Env { variables: &variables, now, ..Env::of(encounter) };
    let found = expression.evaluate(&env).map_err(|why| why.to_string())?;
    read(found.as_slice())
}
