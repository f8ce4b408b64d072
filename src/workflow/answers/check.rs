//! Items and answers against their form: known, enabled, of the right type, among the choices, and, when the answers are whole,
//! all that is required.
//!
//! Pure. Source: <https://hl7.org/fhir/R4/questionnaireresponse.html#link>; `enableWhen`:
//! <https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen>.

use crate::fhir::Json;
use crate::workflow::Programme;
use crate::workflow::element;
use crate::workflow::guard::Findings;
use std::cmp::Ordering;

/// Types of items, and the values that answer them.
const TYPES: [(&str, &[&str]); 15] = [
    ("boolean", &["valueBoolean"]),
    ("decimal", &["valueDecimal"]),
    ("integer", &["valueInteger"]),
    ("date", &["valueDate"]),
    ("dateTime", &["valueDateTime"]),
    ("time", &["valueTime"]),
    ("string", &["valueString"]),
    ("text", &["valueString"]),
    ("url", &["valueUri"]),
    ("choice", &["valueCoding", "valueString", "valueInteger", "valueDate", "valueTime", "valueReference"]),
    ("open-choice", &["valueCoding", "valueString", "valueInteger", "valueDate", "valueTime", "valueReference"]),
    ("attachment", &["valueAttachment"]),
    ("reference", &["valueReference"]),
    ("quantity", &["valueQuantity"]),
    ("question", &["valueString"]),
];

struct Check<'a> {
    programme: &'a Programme,
    is_whole: bool,
    findings: &'a mut Findings,
}

/// Judges all items of a response.
pub fn items(programme: &Programme, form: &Json, response: &Json, is_whole: bool, findings: &mut Findings) {
    Check { programme, is_whole, findings }.level(form, response, &[response], "QuestionnaireResponse");
}

impl Check<'_> {
    /// `asked`: the form, or one of its items. `given`: what answers it. `scopes`: what `enableWhen` looks through, the innermost
    /// first.
    fn level(&mut self, asked: &Json, given: &Json, scopes: &[&Json], path: &str) {
        let questions = asked["item"].items();
        for (n, item) in given["item"].items().iter().enumerate() {
            let link = item["linkId"].text();
            if !questions.iter().any(|q| q["linkId"].text() == link) {
                let known: Vec<&str> = questions.iter().map(|q| q["linkId"].text()).collect();
                let text = format!("the form has no item '{link}' here; there are {}", known.join(", "));
                self.findings.refuse(format!("{path}.item[{n}].linkId"), text);
            }
        }
        for question in questions {
            let link = question["linkId"].text();
            let found: Vec<(usize, &Json)> =
                given["item"].items().iter().enumerate().filter(|(_, i)| i["linkId"].text() == link).collect();
            let at = |n: &usize| format!("{path}.item[{n}]");
            if !is_enabled(question, scopes) {
                for (n, _) in &found {
                    let text = format!("'{link}' is not asked after the other answers (enableWhen): leave it out");
                    self.findings.refuse(at(n), text);
                }
                continue;
            }
            let is_group = question["type"].text() == "group";
            if found.len() > 1 && !(is_group && question["repeats"].as_bool() == Some(true)) {
                let text = format!("'{link}' stands once; several answers to it go into one item");
                self.findings.refuse(at(&found.last().map_or(0, |(n, _)| *n)), text);
            }
            let is_answered = found.iter().any(|(_, i)| is_group || !i["answer"].items().is_empty());
            if self.is_whole && question["required"].as_bool() == Some(true) && !is_answered {
                self.findings
                    .refuse(format!("{path}.item"), format!("'{link}' must be answered: {}", question["text"].text()));
            }
            for (n, item) in &found {
                self.item(question, item, scopes, &at(n));
            }
        }
    }

    fn item(&mut self, question: &Json, item: &Json, scopes: &[&Json], path: &str) {
        let (kind, answers) = (question["type"].text(), item["answer"].items());
        if matches!(kind, "group" | "display") {
            if !answers.is_empty() {
                self.findings.refuse(format!("{path}.answer"), format!("a {kind} has no answer"));
            }
            let mut inner: Vec<&Json> = vec![item];
            inner.extend(scopes);
            self.level(question, item, &inner, path);
            return;
        }
        if !item["item"].items().is_empty() {
            let text = "what is asked below a question stands in its answer: item.answer.item";
            self.findings.refuse(format!("{path}.item"), text);
        }
        if answers.len() > 1 && question["repeats"].as_bool() != Some(true) {
            self.findings.refuse(format!("{path}.answer"), format!("'{}' has one answer", item["linkId"].text()));
        }
        for (n, answer) in answers.iter().enumerate() {
            let at = format!("{path}.answer[{n}]");
            self.answer(question, answer, &at);
            let mut inner: Vec<&Json> = vec![answer];
            inner.extend(scopes);
            self.level(question, answer, &inner, &at);
        }
    }

    fn answer(&mut self, question: &Json, answer: &Json, at: &str) {
        let kind = question["type"].text();
        let Some((name, value)) = value_of(answer) else {
            self.findings.refuse(at, "an answer has a value");
            return;
        };
        let fits = TYPES.iter().find(|(k, _)| *k == kind).is_none_or(|(_, values)| values.contains(&name));
        if !fits {
            self.findings
                .refuse(format!("{at}.value"), format!("'{}' is a {kind}: not {name}", question["linkId"].text()));
            return;
        }
        let longest = question["maxLength"].as_i64().and_then(|m| usize::try_from(m).ok());
        if let (Some(longest), Some(text)) = (longest, value.as_str())
            && text.chars().count() > longest
        {
            self.findings.refuse(format!("{at}.value"), format!("the answer has more than {longest} characters"));
        }
        let is_open = kind == "open-choice" && name == "valueString";
        if matches!(kind, "choice" | "open-choice") && !is_open && !self.is_choice(question, name, value) {
            let text = format!("the answer is none of the choices of '{}'", question["linkId"].text());
            self.findings.refuse(format!("{at}.value"), text);
        }
    }

    /// Whether a value is among the options, or in the value set. One that is not of the programme cannot be asked here.
    fn is_choice(&self, question: &Json, name: &str, value: &Json) -> bool {
        let options = question["answerOption"].items();
        if !options.is_empty() {
            return options.iter().any(|o| value_of(o).is_some_and(|(n, v)| n == name && is_same(v, value)));
        }
        let set = question["answerValueSet"].text().split('|').next().unwrap_or_default();
        let own = format!("{}/ValueSet/", element::BASE);
        match set.strip_prefix(&own) {
            Some(system) => {
                value["system"].text() == element::system(system)
                    && self.programme.concept(system, value["code"].text()).is_some()
            }
            None => name == "valueCoding",
        }
    }
}

/// Whether an item is asked, after the other answers.
fn is_enabled(question: &Json, scopes: &[&Json]) -> bool {
    let conditions = question["enableWhen"].items();
    let holds = |c: &Json| {
        let answers = nearest(scopes, c["question"].text());
        let Some((name, wanted)) = c.as_object().and_then(|o| o.iter().find(|(k, _)| k.starts_with("answer"))) else {
            return false;
        };
        let is_value = format!("value{}", name.trim_start_matches("answer"));
        let values = answers.iter().filter_map(|a| value_of(a)).filter(|(n, _)| *n == is_value).map(|(_, v)| v);
        match c["operator"].text() {
            "exists" => wanted.as_bool() == Some(!answers.is_empty()),
            // R4: every answer differs; of no answer nothing differs.
            "!=" => !answers.is_empty() && values.into_iter().all(|v| !is_same(v, wanted)),
            "=" => values.into_iter().any(|v| is_same(v, wanted)),
            operator => values.into_iter().any(|v| {
                let order = compare(v, wanted);
                match operator {
                    ">" => order == Some(Ordering::Greater),
                    "<" => order == Some(Ordering::Less),
                    ">=" => order.is_some_and(Ordering::is_ge),
                    "<=" => order.is_some_and(Ordering::is_le),
                    _ => false,
                }
            }),
        }
    };
    if conditions.is_empty() {
        true
    } else if question["enableBehavior"].text() == "any" {
        conditions.iter().any(holds)
    } else {
        conditions.iter().all(holds)
    }
}

/// The answers to a question that stand nearest: in the same repetition of a group, else further out.
fn nearest<'a>(scopes: &[&'a Json], link: &str) -> Vec<&'a Json> {
    for scope in scopes {
        let mut found = Vec::new();
        collect(scope, link, &mut found);
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn collect<'a>(at: &'a Json, link: &str, out: &mut Vec<&'a Json>) {
    for item in at["item"].items() {
        if item["linkId"].text() == link {
            out.extend(item["answer"].items());
        }
        collect(item, link, out);
        for answer in item["answer"].items() {
            collect(answer, link, out);
        }
    }
}

/// The value of an answer or option.
pub(super) fn value_of(answer: &Json) -> Option<(&str, &Json)> {
    answer.as_object()?.iter().find(|(name, _)| name.starts_with("value"))
}

/// Codings are the same by system and code, everything else as written.
fn is_same(a: &Json, b: &Json) -> bool {
    match (a.get("code"), b.get("code")) {
        (Some(_), Some(_)) => a["code"] == b["code"] && a["system"] == b["system"],
        _ => a == b,
    }
}

fn compare(a: &Json, b: &Json) -> Option<Ordering> {
    let number = |j: &Json| j.as_number().or(j["value"].as_number()).and_then(|n| n.parse::<f64>().ok());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        // Dates and times of one precision compare as texts.
        _ => a.as_str().zip(b.as_str()).map(|(a, b)| a.cmp(b)),
    }
}
