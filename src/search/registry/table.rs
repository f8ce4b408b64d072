//! Definitions of parameters: R4's table and SearchParameter resources, in one form.

use super::{ParamType, every_type, types_of};
use crate::error::Issue;
use crate::fhir::fhirpath::{Expr, Step};
use crate::fhir::{Json, ResourceType};
use std::sync::LazyLock;

const R4: &str = include_str!("r4.tsv");
const COMPARTMENTS: &str = include_str!("compartments.tsv");
const URL: &str = "http://hl7.org/fhir/SearchParameter/";

/// A parameter as it is defined.
#[derive(Debug, Clone)]
pub(in crate::search) struct Definition {
    pub base: Vec<String>,
    pub code: String,
    pub kind: ParamType,
    pub url: String,
    /// Parts of the union at the top.
    pub alternatives: Vec<Expr>,
    pub targets: Vec<ResourceType>,
    /// URL of the defining parameter, and the expression on the element.
    pub components: Vec<(String, Expr)>,
    /// Base type (`*`: each) and the systems of its codes.
    pub systems: Vec<(String, Vec<Box<str>>)>,
}

impl Definition {
    pub fn bases(&self) -> Vec<ResourceType> {
        self.base.iter().flat_map(|base| types_of(base)).collect()
    }

    /// Its alternatives for one type.
    pub fn alternatives_of(&self, rtype: ResourceType) -> Vec<Expr> {
        let fits = |e: &&Expr| e.root().is_none_or(|r| r == rtype.as_str() || r == "Resource" || r == "DomainResource");
        let mut out: Vec<Expr> = Vec::new();
        for expr in self.alternatives.iter().filter(fits) {
            let looks_like_choice = matches!(
                (rtype.as_str(), self.code.as_str()),
                ("Coverage", "subscriber") | ("MedicinalProductAuthorization", "status")
            );
            let expr = if looks_like_choice { expr.clone().plain() } else { valued(expr.clone()) };
            if !out.contains(&expr) {
                out.push(expr);
            }
        }
        out
    }

    /// Systems implied by the bindings of its codes in one type.
    pub fn systems_of(&self, rtype: ResourceType) -> Vec<Box<str>> {
        let fits = |base: &str| base == "*" || base == rtype.as_str();
        self.systems.iter().filter(|(base, _)| fits(base)).flat_map(|(_, list)| list.iter().cloned()).collect()
    }
}

/// An expression that ends at an extension means the value in it.
fn valued(expr: Expr) -> Expr {
    match expr {
        Expr::Path(base, mut steps) => {
            if let Some(Step::Extension(_)) = steps.last() {
                steps.push(Step::Member("value".into()));
            }
            Expr::Path(base, steps)
        }
        other => other,
    }
}

/// R4's table.
pub(super) fn r4() -> Vec<Definition> {
    R4.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Definition> {
    let mut cells = line.split('\t');
    let mut next = || cells.next();
    let (base, code, kind, url, expression) = (next()?, next()?, next()?, next()?, next()?);
    let (targets, components, systems) = (next()?, next()?, next()?);
    let full = |url: &str| if url.contains(':') { url.to_string() } else { format!("{URL}{url}") };
    Some(Definition {
        base: list(base),
        code: code.into(),
        kind: ParamType::parse(kind)?,
        url: full(url),
        alternatives: if expression.is_empty() { vec![] } else { Expr::parse(expression).ok()?.alternatives() },
        targets: types(targets.split(',').filter(|t| !t.is_empty())),
        components: components
            .split(';')
            .filter_map(|c| c.split_once('='))
            .filter_map(|(url, expr)| Some((full(url), Expr::parse(expr).ok()?)))
            .collect(),
        systems: systems
            .split(';')
            .filter_map(|s| s.split_once('='))
            .map(|(base, list)| (base.to_string(), list.split(',').map(Into::into).collect()))
            .collect(),
    })
}

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|t| !t.is_empty()).map(Into::into).collect()
}

fn types<'a>(names: impl Iterator<Item = &'a str>) -> Vec<ResourceType> {
    names
        .flat_map(|name| if matches!(name, "*" | "Resource" | "Any") { every_type() } else { types_of(name) })
        .collect()
}

/// Reads a SearchParameter resource.
pub(super) fn definition(resource: &Json) -> Result<Definition, Issue> {
    let name = match resource["url"].text() {
        "" => "a SearchParameter without url".to_string(),
        url => format!("SearchParameter {url}"),
    };
    let bad = |at: &str, why: &str| Issue::error("invalid", format!("SearchParameter.{at}"), format!("{name}: {why}"));
    let texts =
        |key: &str| resource[key].items().iter().filter_map(Json::as_str).map(str::to_string).collect::<Vec<_>>();
    if resource["resourceType"].text() != "SearchParameter" {
        return Err(bad("resourceType", "this is no SearchParameter"));
    }
    let code = resource["code"].text();
    if code.is_empty() || !code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err(bad("code", "a code is letters, digits, '-' and '_'"));
    }
    let base = texts("base");
    if base.is_empty() || base.iter().any(|b| types_of(b).is_empty()) {
        return Err(bad("base", "each base is a resource type of R4, and there is at least one"));
    }
    let kind =
        ParamType::parse(resource["type"].text()).ok_or_else(|| bad("type", "this is no type of search parameter"))?;
    if kind == ParamType::Special {
        return Err(bad("type", "a special parameter has rules of its own, which Baton does not know"));
    }
    let parse = |at: &str, json: &Json| match json.as_str() {
        Some(text) => Expr::parse(text).map_err(|e| bad(at, &e.to_string())),
        None => Err(bad(at, "the expression is missing")),
    };
    let mut components = Vec::new();
    for component in resource["component"].items() {
        components
            .push((component["definition"].text().into(), parse("component.expression", &component["expression"])?));
    }
    if kind == ParamType::Composite && components.len() < 2 {
        return Err(bad("component", "a composite has at least two components"));
    }
    Ok(Definition {
        base,
        code: code.into(),
        kind,
        url: resource["url"].text().into(),
        alternatives: parse("expression", &resource["expression"])?.alternatives(),
        targets: types(texts("target").iter().map(String::as_str)),
        components,
        systems: Vec::new(),
    })
}

/// Row of `compartments.tsv`: compartment type, resource type, parameters.
type Compartment = (&'static str, &'static str, Vec<&'static str>);

static ROWS: LazyLock<Vec<Compartment>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let mut cells = line.split('\t');
        Some((cells.next()?, cells.next()?, cells.next()?.split(',').collect()))
    };
    COMPARTMENTS.lines().filter_map(row).collect()
});

/// Types that Baton counts into the compartment of a patient, by their parameter `patient`, and R4 does not; with the element.
pub const OWN: [(&str, &str); 2] = [("Device", "Device.patient"), ("Task", "Task.for")];

/// Parameters by which resources of `rtype` are in the compartment of an `owner` type; empty when they are in none.
///
/// R4 does not count Tasks and Devices into the Patient's compartment. Own rule: `Task.for` and `Device.patient` do ([`OWN`]).
#[must_use]
pub fn sources(owner: ResourceType, rtype: ResourceType) -> &'static [&'static str] {
    if owner.as_str() == "Patient" && OWN.iter().any(|(name, _)| *name == rtype.as_str()) {
        return &["patient"];
    }
    ROWS.iter().find(|(o, r, _)| *o == owner.as_str() && *r == rtype.as_str()).map_or(&[], |(_, _, params)| params)
}
