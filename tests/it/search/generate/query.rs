//! Random searches: criteria, chains, order, what comes along.

use super::super::oracle::{Criterion, Include, PARAMS, Tree};
use super::{
    CODES, DATES, FAMILIES, GENDERS, GIVEN, IDS, LABELS, LISTS, NUMBERS, ORGS, Rng, SETS, SYSTEMS, TIMES, UCUM, UNITS,
    URLS,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What a search goes over.
#[derive(Debug, Clone)]
pub enum Path {
    Type(String),
    /// `_type=…`
    System(Vec<String>),
    /// A patient's.
    Compartment(String, Option<String>),
}

/// One search.
#[derive(Debug, Clone)]
pub struct Search {
    pub path: Path,
    pub criteria: Vec<Criterion>,
    /// Parameter, and whether downwards.
    pub sort: Vec<(String, bool)>,
    pub includes: Vec<Include>,
    /// Rows a page: then all pages are walked.
    pub page: Option<usize>,
}

/// What is searched. Of ValueSets the programme's own answer, too, behind those of the world.
const TYPES: &[&str] = &[
    "Patient",
    "Observation",
    "Observation",
    "Encounter",
    "RiskAssessment",
    "Task",
    "Condition",
    "Condition",
    "ValueSet",
    "QuestionnaireResponse",
    "List",
    "Organization",
];

/// References that lead to a type of the world: type, code, where to.
const LINKS: &[(&str, &str, &str)] = &[
    ("Patient", "organization", "Organization"),
    ("Patient", "link", "Patient"),
    ("Organization", "partof", "Organization"),
    ("Observation", "subject", "Patient"),
    ("Observation", "patient", "Patient"),
    ("Observation", "performer", "Organization"),
    ("Observation", "performer", "Patient"),
    ("Observation", "has-member", "Observation"),
    ("Observation", "encounter", "Encounter"),
    ("Encounter", "subject", "Patient"),
    ("Encounter", "patient", "Patient"),
    ("RiskAssessment", "subject", "Patient"),
    ("Task", "owner", "Organization"),
    ("Task", "focus", "Observation"),
    ("Task", "subject", "Patient"),
    ("Task", "patient", "Patient"),
    ("Condition", "subject", "Patient"),
    ("Condition", "patient", "Patient"),
    ("Condition", "asserter", "Patient"),
    ("QuestionnaireResponse", "subject", "Patient"),
    ("QuestionnaireResponse", "author", "Patient"),
    ("QuestionnaireResponse", "questionnaire", "Questionnaire"),
    ("QuestionnaireResponse", "questionnaire", "Questionnaire"),
    ("List", "item", "Patient"),
    ("List", "item", "Organization"),
    ("List", "item", "Task"),
];

const TOKENS: &[&str] = &[
    "gender",
    "active",
    "identifier",
    "code",
    "category",
    "status",
    "value-concept",
    "component-code",
    "combo-code",
    "class",
    "priority",
    "version",
    "_tag",
    "_security",
];
const REFERENCES: &[&str] = &[
    "organization",
    "link",
    "partof",
    "subject",
    "patient",
    "performer",
    "has-member",
    "encounter",
    "owner",
    "focus",
    "asserter",
    "questionnaire",
    "author",
    "item",
    "source",
];

/// Escapes what a value holds itself.
fn plain(text: &str) -> String {
    text.replace('\\', r"\\").replace(',', r"\,").replace('|', r"\|").replace('$', r"\$")
}

fn prefixed(rng: &mut Rng, value: &str) -> String {
    format!("{}{value}", rng.pick(&["", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]))
}

fn part(rng: &mut Rng, text: &str) -> String {
    let whole: Vec<char> = text.chars().collect();
    let part: String = whole[..1 + rng.below(whole.len())].iter().collect();
    // A part that is only a combining mark or punctuation is no text.
    if part.chars().next_back().is_some_and(char::is_alphanumeric) { part } else { text.to_string() }
}

fn token(rng: &mut Rng, code: &str) -> String {
    let known = match code {
        "gender" => ("http://hl7.org/fhir/administrative-gender", rng.pick(GENDERS)),
        "active" => return rng.pick(&["true", "false", "|true"]).into(),
        "status" => (
            rng.pick(&[
                "http://hl7.org/fhir/observation-status",
                "http://hl7.org/fhir/task-status",
                "http://hl7.org/fhir/encounter-status",
            ]),
            rng.pick(&["final", "preliminary", "finished", "planned", "draft", "requested", "completed", "active"]),
        ),
        "priority" => ("http://hl7.org/fhir/request-priority", rng.pick(&["routine", "urgent", "stat"])),
        "class" => ("http://terminology.hl7.org/CodeSystem/v3-ActCode", rng.pick(&["AMB", "IMP"])),
        "version" => return rng.pick(&["1", "2", "|1"]).into(),
        _ => (rng.pick(&SYSTEMS[..2]), rng.pick(CODES)),
    };
    let (system, code) = (plain(known.0), plain(known.1));
    match rng.below(4) {
        0 => code,
        1 => format!("|{code}"),
        2 => format!("{system}|"),
        _ => format!("{system}|{code}"),
    }
}

fn quantity(rng: &mut Rng) -> String {
    let n = rng.pick(NUMBERS);
    let n = prefixed(rng, n);
    let unit = rng.pick(UNITS);
    match rng.below(4) {
        0 => n,
        1 => format!("{n}||{}", rng.pick(&[unit, "milligram"])),
        2 => format!("{n}|{}|{unit}", rng.pick(&["http://other.example", UCUM])),
        _ => format!("{n}|{UCUM}|{unit}"),
    }
}

/// Modifier and one value of a parameter; the modifier is the same for all values of one parameter.
fn value(rng: &mut Rng, code: &str, modifier: &str) -> String {
    match (code, modifier) {
        (_, "in" | "not-in") => {
            let set =
                if code == "gender" { "http://hl7.org/fhir/ValueSet/administrative-gender" } else { rng.pick(SETS) };
            plain(set)
        }
        (_, "below" | "above") if TOKENS.contains(&code) => {
            format!("{}|{}", SYSTEMS[0], plain(rng.pick(CODES)))
        }
        (_, "of-type") => format!("http://id.example|{}|{}", rng.pick(&["MR", "SS"]), plain(rng.pick(CODES))),
        (_, "text") => {
            let label = rng.pick(LABELS);
            part(rng, label)
        }
        (_, "identifier") => {
            let (s, c) = (rng.pick(&SYSTEMS[..2]), plain(rng.pick(CODES)));
            rng.pick(&[c.clone(), format!("{s}|{c}"), format!("{s}|"), format!("|{c}")])
        }
        ("family" | "given" | "name", "exact") => {
            plain(if rng.chance(5) { rng.pick(FAMILIES) } else { rng.pick(GIVEN) })
        }
        ("family" | "given" | "name", _) => {
            let whole = if rng.chance(5) { rng.pick(FAMILIES) } else { rng.pick(GIVEN) };
            plain(&part(rng, whole))
        }
        ("birthdate" | "date" | "authored-on" | "onset-date" | "due", _) => {
            let extra = &[
                "2024-02-29T24:00:00Z",
                "2024-02-29T23:59Z",
                "2024-03-01T00:00:00",
                "2016-12-31T23:59:60Z",
                "2024-12-31T23:59:59.9Z",
            ];
            let v = match rng.below(5) {
                0 => rng.pick(extra),
                1 | 2 => rng.pick(TIMES),
                _ => rng.pick(DATES),
            };
            prefixed(rng, v)
        }
        ("probability", _) => {
            let v = rng.pick(NUMBERS);
            prefixed(rng, v)
        }
        ("value-quantity", _) => quantity(rng),
        ("component-code-value-quantity" | "code-value-quantity", _) => {
            format!("{}${}", coded(rng), quantity(rng))
        }
        ("code-value-concept", _) => format!("{}${}", coded(rng), coded(rng)),
        ("title", _) => {
            let label = rng.pick(LABELS);
            plain(&part(rng, label))
        }
        ("url" | "_source", _) => rng.pick(URLS).into(),
        ("_profile", _) => "http://v.example/a".into(),
        ("questionnaire", _) => {
            format!("http://q.example/Questionnaire/{}{}", rng.pick(&["a", "ab"]), rng.pick(&["", "|1", "|2"]))
        }
        ("_id", _) => rng.pick(&["X", "X1", "o1", "t0", "c3", "e2"]).into(),
        ("has-member" | "focus", _) => format!("{}o{}", rng.pick(&["", "Observation/"]), rng.below(14)),
        ("encounter", _) => format!("Encounter/e{}", rng.below(6)),
        ("organization" | "owner" | "partof", _) => {
            format!("{}{}", rng.pick(&["", "Organization/", "@base/Organization/"]), rng.pick(ORGS))
        }
        ("item", _) => rng.pick(&["Patient/X", "X", "Organization/X1", "t1", "Task/t0"]).into(),
        (_, "Patient" | "Group") => rng.pick(IDS).into(),
        (code, _) if REFERENCES.contains(&code) => {
            let id = rng.pick(IDS);
            rng.pick(&[
                id.to_string(),
                format!("Patient/{id}"),
                format!("Group/{id}"),
                format!("@base/Patient/{id}"),
                format!("Patient/{id}/_history/1"),
                format!("http://elsewhere.example/fhir/Patient/{id}"),
            ])
        }
        (code, _) if TOKENS.contains(&code) => token(rng, code),
        other => panic!("no values for {other:?}"),
    }
}

/// A token that names its code, as composites want it.
fn coded(rng: &mut Rng) -> String {
    let (s, c) = (rng.pick(&SYSTEMS[..2]), plain(rng.pick(CODES)));
    rng.pick(&[c.clone(), format!("|{c}"), format!("{s}|{c}")])
}

fn modifier(rng: &mut Rng, code: &str) -> &'static str {
    match code {
        "family" | "given" | "name" | "title" => rng.pick(&["", "", "exact", "contains"]),
        "identifier" => rng.pick(&["", "", "not", "text", "of-type"]),
        "code" | "category" | "value-concept" | "component-code" | "combo-code" | "_tag" => {
            rng.pick(&["", "", "", "not", "text", "in", "not-in", "below", "above"])
        }
        "gender" => rng.pick(&["", "", "not", "in", "not-in"]),
        "_id" => rng.pick(&["", "not"]),
        "questionnaire" | "organization" | "owner" | "partof" | "item" | "has-member" | "focus" | "encounter"
        | "link" => "",
        "subject" => rng.pick(&["", "", "", "Patient", "Group", "identifier"]),
        "patient" => rng.pick(&["", "", "", "Patient", "identifier"]),
        code if REFERENCES.contains(&code) => "",
        code if TOKENS.contains(&code) => rng.pick(&["", "", "not"]),
        "url" | "_source" => rng.pick(&["", "below", "above"]),
        _ => "",
    }
}

fn tree(rng: &mut Rng, depth: usize) -> Tree {
    if depth == 0 || rng.chance(5) {
        let word = rng.pick(&["bone", "pain", "marrow", "deja", "vu", "liver", "none"]);
        let is_begin = rng.chance(3);
        return Tree::Word(word[..if is_begin { 2 } else { word.len() }].to_string(), is_begin);
    }
    let mut inner = || Box::new(tree(rng, depth - 1));
    let (a, b) = (inner(), inner());
    match rng.below(5) {
        0 => Tree::Not(a),
        1 | 2 => Tree::Or(a, b),
        _ => Tree::And(a, b),
    }
}

/// A criterion on a type; `depth`: steps of chains it may still have, `has`: those of `_has`.
fn criterion(rng: &mut Rng, kind: &str, depth: usize, has: usize) -> Criterion {
    if depth > 0 && rng.chance(3) {
        let from: Vec<_> = LINKS.iter().filter(|l| l.0 == kind).collect();
        let to: Vec<_> = LINKS.iter().filter(|l| l.2 == kind).collect();
        if !from.is_empty() && rng.chance(6) {
            let (_, code, target) = *rng.pick(&from);
            let then = Box::new(criterion(rng, target, depth - 1, has));
            // A reference to anything must name its type, else there is too much to ask.
            let is_any = matches!((kind, code), (_, "item" | "focus") | ("Task" | "QuestionnaireResponse", "subject"));
            let kind = (is_any || rng.chance(6)).then(|| target.to_string());
            return Criterion::Chain { code: code.into(), kind, then };
        }
        if !to.is_empty() && has > 0 {
            let (source, code, _) = *rng.pick(&to);
            return Criterion::Has {
                kind: source.into(),
                code: code.into(),
                then: Box::new(criterion(rng, source, depth - 1, has - 1)),
            };
        }
    }
    match rng.below(40) {
        0 => return Criterion::List(rng.pick(LISTS).into()),
        1..4 if kind == "Condition" => {
            return Criterion::Text { narrative: rng.chance(5), tree: tree(rng, 2) };
        }
        _ => {}
    }
    let mut codes: Vec<&str> = PARAMS.iter().filter(|p| p.kind == kind).map(|p| p.code).collect();
    codes.extend(["_id", "_tag", "_tag", "_security", "_source"]);
    let code = rng.pick(&codes);
    if rng.chance(1) && code != "_id" {
        return Criterion::Missing { code: code.into(), missing: rng.chance(5) };
    }
    let modifier = modifier(rng, code);
    let values = (0..1 + rng.below(2)).map(|_| value(rng, code, modifier)).collect();
    Criterion::Plain { code: code.into(), modifier: modifier.into(), values }
}

fn include(rng: &mut Rng, kind: &str) -> Option<Include> {
    let reverse = rng.chance(4);
    let iterate = rng.chance(3);
    let fits: Vec<_> = LINKS.iter().filter(|l| iterate || if reverse { l.2 == kind } else { l.0 == kind }).collect();
    if fits.is_empty() {
        return None;
    }
    let (source, code, target) = *rng.pick(&fits);
    let mut include = Include { reverse, source: source.into(), code: code.into(), target: None, iterate };
    match rng.below(6) {
        0 => include.code = "*".into(),
        1 => {
            include.source = "*".into();
            include.code = "*".into();
        }
        2 => include.target = Some(target.into()),
        _ => {}
    }
    Some(include)
}

/// A search.
pub fn search(rng: &mut Rng) -> Search {
    let kind = rng.pick(TYPES);
    let mut out =
        Search { path: Path::Type(kind.into()), criteria: vec![], sort: vec![], includes: vec![], page: None };
    match rng.below(20) {
        0 => {
            let (types, codes) = rng.pick(&[
                (&["Observation", "Encounter"][..], &["date", "status", "subject", "patient", "_tag", "_id"][..]),
                (&["Observation", "Task", "Condition"], &["patient", "subject", "_tag", "_source"]),
                (&["Patient", "Organization"], &["name", "_id", "_security"]),
            ]);
            let code = rng.pick(codes);
            out.path = Path::System(types.iter().map(|t| (*t).to_string()).collect());
            let modifier = if matches!(code, "_tag" | "status" | "_id") { rng.pick(&["", "not"]) } else { "" };
            out.criteria = vec![match rng.below(6) {
                0 if code != "_id" => Criterion::Missing { code: code.into(), missing: rng.chance(5) },
                1 => Criterion::List(rng.pick(LISTS).into()),
                _ => Criterion::Plain {
                    code: code.into(),
                    modifier: modifier.into(),
                    values: vec![value(rng, code, modifier)],
                },
            }];
            return out;
        }
        1 => {
            let kind = rng.pick(&[
                "Observation",
                "Task",
                "Condition",
                "Encounter",
                "RiskAssessment",
                "QuestionnaireResponse",
                "List",
            ]);
            let all = rng.chance(3);
            out.path = Path::Compartment(rng.pick(IDS).into(), (!all).then(|| kind.to_string()));
            if !all && rng.chance(7) {
                out.criteria.push(criterion(rng, kind, 1, 1));
            }
            return out;
        }
        2..5 => {
            for _ in 0..1 + rng.below(2) {
                out.includes.extend(include(rng, kind));
            }
            if rng.chance(6) {
                return out; // much comes along
            }
        }
        5..8 => {
            let sortable: Vec<&str> = PARAMS
                .iter()
                .filter(|p| p.kind == kind && !p.code.contains("code-value"))
                .map(|p| p.code)
                .chain(["_id", "_lastUpdated", "_tag", "_source"])
                .collect();
            out.sort = (0..rng.below(3)).map(|_| (rng.pick(&sortable).to_string(), rng.chance(5))).collect();
            out.page = Some(1 + rng.below(5));
            if rng.chance(6) {
                return out; // many rows, many pages
            }
        }
        _ => {}
    }
    out.criteria = (0..1 + rng.below(3)).map(|_| criterion(rng, kind, 3, 2)).collect();
    out
}

fn spell_tree(tree: &Tree) -> String {
    match tree {
        Tree::Word(word, begin) => format!("{word}{}", if *begin { "*" } else { "" }),
        Tree::And(a, b) => {
            format!("({}) {}({})", spell_tree(a), if matches!(**b, Tree::Or(..)) { "and " } else { "" }, spell_tree(b))
        }
        Tree::Or(a, b) => format!("({} OR {})", spell_tree(a), spell_tree(b)),
        Tree::Not(a) => format!("not ({})", spell_tree(a)),
    }
}

/// Name and value of a criterion.
fn spell(criterion: &Criterion) -> (String, String) {
    match criterion {
        Criterion::Plain { code, modifier, values } => {
            let name = if modifier.is_empty() { code.clone() } else { format!("{code}:{modifier}") };
            (name, values.join(","))
        }
        Criterion::Missing { code, missing } => (format!("{code}:missing"), missing.to_string()),
        Criterion::Chain { code, kind, then } => {
            let (name, value) = spell(then);
            let kind = kind.as_ref().map(|k| format!(":{k}")).unwrap_or_default();
            (format!("{code}{kind}.{name}"), value)
        }
        Criterion::Has { kind, code, then } => {
            let (name, value) = spell(then);
            (format!("_has:{kind}:{code}:{name}"), value)
        }
        Criterion::List(id) => ("_list".into(), id.clone()),
        Criterion::Text { narrative, tree } => (if *narrative { "_text" } else { "_content" }.into(), spell_tree(tree)),
    }
}

fn spell_include(i: &Include) -> (String, String) {
    let name =
        format!("{}{}", if i.reverse { "_revinclude" } else { "_include" }, if i.iterate { ":iterate" } else { "" });
    let target = i.target.as_ref().map(|t| format!(":{t}")).unwrap_or_default();
    (name, if i.source == "*" { "*".into() } else { format!("{}:{}{target}", i.source, i.code) })
}

/// A search as a URL under the base, percent-encoded; and the same for people.
pub fn encoded(search: &Search, base: &str) -> (String, String) {
    let mut pairs: Vec<(String, String)> = search.criteria.iter().map(spell).collect();
    pairs.extend(search.includes.iter().map(spell_include));
    let path = match &search.path {
        Path::Type(kind) => kind.clone(),
        Path::System(types) => {
            pairs.push(("_type".into(), types.join(",")));
            String::new()
        }
        Path::Compartment(patient, kind) => format!("Patient/{patient}/{}", kind.as_deref().unwrap_or("*")),
    };
    if !search.sort.is_empty() {
        let parts =
            search.sort.iter().map(|(code, descending)| format!("{}{code}", if *descending { "-" } else { "" }));
        pairs.push(("_sort".into(), parts.collect::<Vec<_>>().join(",")));
    }
    pairs.push(("_count".into(), search.page.unwrap_or(500).to_string()));
    pairs.push(("_total".into(), "accurate".into()));
    let encode = |s: &str| utf8_percent_encode(&s.replace("@base", base), NON_ALPHANUMERIC).to_string();
    let query: Vec<String> = pairs.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
    let shown: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
    (format!("{path}?{}", query.join("&")), format!("{path}?{}", shown.join("&")))
}
