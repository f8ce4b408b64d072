//! Each `_include` and `_revinclude` that `metadata` claims brings what is referred to: a resource is made for each, out of the
//! structures of R4, that refers to another by the element which the parameter sees.
//! Source: <https://hl7.org/fhir/R4/capabilitystatement.html>, <https://hl7.org/fhir/R4/search.html#include>.

use super::claims::{fill, resources, rest, smallest, texts};
use crate::harness::{Client, TestServer};
use baton::fhir::definition::{self, Structure, Type};
use baton::fhir::{Json, ResourceType};
use baton::search::{Env, Registry};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

both_databases!(each_include_that_is_claimed_brings_what_is_referred_to);

/// Entries of one batch.
const BATCH: usize = 200;
/// Types that one parameter is tried with.
const TARGETS: usize = 2;

/// Data types in which parameters look for references.
const INSIDE: [&str; 2] = ["ElementDefinition", "RelatedArtifact"];
/// What a related artifact may be; parameters look at one kind each.
const RELATED: [&str; 5] = ["composed-of", "depends-on", "derived-from", "predecessor", "successor"];

/// Where a reference stands: the structures and elements to it, and whether it is a canonical.
type Path = Vec<(&'static str, bool)>;

/// Every place of a Reference or canonical in a structure, with the JSON names to it.
fn places(structure: &'static Structure, depth: usize, before: &Path, out: &mut Vec<(Path, bool)>) {
    for element in &structure.elements {
        for kind in &element.types {
            let name = kind.name();
            let (first, rest) = name.split_at(usize::from(!name.is_empty()));
            let member: &'static str = match element.choice {
                true => String::leak(format!("{}{}{rest}", element.name, first.to_ascii_uppercase())),
                false => element.name,
            };
            let mut path = before.clone();
            path.push((member, element.many));
            match kind {
                Type::Reference(_) => out.push((path, false)),
                Type::Primitive(_) if matches!(name, "canonical" | "uri") => out.push((path, true)),
                Type::Complex(_) if depth < 5 && (name.contains('.') || INSIDE.contains(&name)) => {
                    if let Some(inner) = kind.structure() {
                        places(inner, depth + 1, &path, out);
                    }
                }
                _ => {}
            }
        }
    }
}

/// A resource of a type with a value at a place.
fn with(base: &Value, structure: &'static Structure, path: &Path, value: &Value) -> Value {
    fn put(
        structure: &'static Structure,
        object: &mut Map<String, Value>,
        path: &[(&'static str, bool)],
        value: &Value,
    ) {
        let Some(((member, many), rest)) = path.split_first() else { return };
        let Some(found) = structure.member(member) else { return };
        // Of a choice one stands there.
        if found.element.choice {
            object.retain(|name, _| structure.member(name).is_none_or(|m| m.element.name != found.element.name));
        }
        let inner = if rest.is_empty() {
            value.clone()
        } else {
            let mut inner = Map::new();
            if let Some(of) = found.element.types.iter().find_map(Type::structure) {
                fill(of, &mut inner);
                put(of, &mut inner, rest, value);
            }
            inner.into()
        };
        object.insert((*member).to_owned(), if *many { json!([inner]) } else { inner });
    }
    let mut out = base.clone();
    put(structure, out.as_object_mut().expect("an object"), path, value);
    out
}

/// What is tried for one claim.
struct Trial {
    source: String,
    param: String,
    target: String,
    /// Resources that refer to the target in a way that the parameter sees.
    forms: Vec<Value>,
    /// The id of the one that the server took.
    id: Option<String>,
}

/// Answers of a batch, entry by entry.
async fn batch(client: &Client, entries: Vec<Value>) -> Vec<Value> {
    let mut out = Vec::new();
    for some in entries.chunks(BATCH) {
        let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": some});
        let answer = client.post(&bundle).await.ok().body;
        out.extend(answer["entry"].as_array().expect("entries").iter().cloned());
    }
    out
}

fn put(resource: &Value) -> Value {
    json!({"resource": resource, "request": {"method": "PUT", "url": crate::harness::client::reference(resource)}})
}

fn is_taken(entry: &Value) -> bool {
    entry["response"]["status"].as_str().is_some_and(|s| s.starts_with('2'))
}

/// R4 capabilitystatement.html: Each `_include` and `_revinclude` that is claimed brings what is referred to.
async fn each_include_that_is_claimed_brings_what_is_referred_to(server: TestServer) {
    let client = server.everyone();
    let types = resources(&rest(&client).await);
    let (registry, env) = (Registry::builtin(), Env::utc(&server.base));
    // Types that may be referred to: those whose smallest resource is taken.
    let url = |rtype: &str| format!("http://claims.example/{rtype}");
    let targets: Vec<Value> = types
        .iter()
        .filter(|(t, _)| t != "AuditEvent")
        .map(|(t, _)| {
            let mut r = smallest(t);
            r["id"] = "x".into();
            if ResourceType::parse(t).is_some_and(|t| registry.has_url(t)) {
                r["url"] = url(t).into();
            }
            r
        })
        .collect();
    let answers = batch(&client, targets.iter().map(put).collect()).await;
    let taken = targets.iter().zip(&answers).filter(|(_, a)| is_taken(a));
    let there: BTreeSet<&str> = taken.map(|(r, _)| r["resourceType"].as_str().expect("a type")).collect();
    assert!(there.len() >= 120, "{} types", there.len());

    // Source:param → the types it is claimed to lead to.
    let mut claimed: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let pair = |claim: &str| claim.split_once(':').map(|(s, p)| (s.to_owned(), p.to_owned())).expect("Type:param");
    for (rtype, claims) in &types {
        for claim in texts(&claims["searchInclude"], "").iter().filter(|c| *c != "*") {
            claimed.entry(pair(claim)).or_default();
        }
        for claim in texts(&claims["searchRevInclude"], "") {
            claimed.entry(pair(&claim)).or_default().insert(rtype.clone());
        }
    }
    // Baton's own are tested where they are used.
    let of_r4 = |source: &str, param: &str| {
        let found = ResourceType::parse(source).and_then(|t| registry.param(t, param));
        found.is_some_and(|p| p.url.starts_with("http://hl7.org/"))
    };
    claimed.retain(|(source, param), _| source != "AuditEvent" && param != "*" && of_r4(source, param));
    let mut trials = Vec::new();
    let mut hollow = Vec::new();
    let mut at: (String, Value, Vec<(Path, bool)>) = Default::default();
    for ((source, param), leads) in &claimed {
        let structure = definition::structure(source).expect("a structure of R4");
        if at.0 != *source {
            let mut all = Vec::new();
            places(structure, 0, &Vec::new(), &mut all);
            at = (source.clone(), smallest(source), all);
        }
        let (_, base, all) = &at;
        let mut tried = 0;
        for target in leads.iter().filter(|t| there.contains(t.as_str())) {
            if tried == TARGETS {
                break;
            }
            let sees = |form: &Value| {
                let json: Json = form.clone().into();
                let leads = |t: &baton::fhir::Target| t.rtype.as_str() == target && &*t.id == "x";
                registry.references(&json, param, &env).iter().any(leads)
                    || registry.canonicals(&json, param).iter().any(|(c, _)| *c == url(target))
            };
            let form = |(path, is_canonical): &(Path, bool)| {
                let one = match is_canonical {
                    true => with(base, structure, path, &url(target).into()),
                    false => with(base, structure, path, &json!({"reference": format!("{target}/x")})),
                };
                if path[0].0 != "relatedArtifact" {
                    return vec![one];
                }
                let of_kind = |kind: &str| {
                    let mut related = one.clone();
                    related["relatedArtifact"][0]["type"] = kind.into();
                    related
                };
                RELATED.iter().map(|kind| of_kind(kind)).collect()
            };
            let forms: Vec<Value> = all.iter().flat_map(form).filter(sees).take(4).collect();
            if forms.is_empty() {
                hollow.push(format!("{source}:{param} to {target}"));
            } else {
                tried += 1;
                trials.push(Trial {
                    source: source.clone(),
                    param: param.clone(),
                    target: target.clone(),
                    forms,
                    id: None,
                });
            }
        }
    }
    assert!(
        hollow.is_empty(),
        "{} claims that no element bears out: {:?}",
        hollow.len(),
        &hollow[..hollow.len().min(40)]
    );
    for round in 0..4 {
        let waiting: Vec<usize> =
            (0..trials.len()).filter(|n| trials[*n].id.is_none() && trials[*n].forms.len() > round).collect();
        let resource = |n: &usize| {
            let mut r = trials[*n].forms[round].clone();
            r["id"] = format!("i{n}").into();
            put(&r)
        };
        let answers = batch(&client, waiting.iter().map(resource).collect()).await;
        for (n, _) in waiting.iter().zip(&answers).filter(|(_, answer)| is_taken(answer)) {
            trials[*n].id = Some(format!("i{n}"));
        }
    }
    let mut asked: BTreeMap<(&str, &str), Vec<(&str, &str)>> = BTreeMap::new();
    for trial in &trials {
        if let Some(id) = &trial.id {
            asked.entry((&trial.source, &trial.param)).or_default().push((&trial.target, id));
        }
    }
    let whole = claimed.len();
    // Of the others a constraint of R4 refuses the smallest resource that has the element; that it bears the claim out was seen above.
    assert!(asked.len() * 10 >= whole * 7, "only {} of {whole} could be tried", asked.len());
    let get = |url: String| json!({"request": {"method": "GET", "url": url}});
    let mut questions = Vec::new();
    for ((source, param), found) in &asked {
        let ids: Vec<&str> = found.iter().map(|(_, id)| *id).collect();
        let types: Vec<&str> = found.iter().map(|(target, _)| *target).collect();
        questions.push(get(format!("{source}?_id={}&_include={source}:{param}", ids.join(","))));
        questions.push(get(format!("?_type={}&_id=x&_revinclude={source}:{param}&_elements=id", types.join(","))));
    }
    let answers = batch(&client, questions).await;
    let mut wrong = Vec::new();
    for (((source, param), found), pair) in asked.iter().zip(answers.chunks(2)) {
        let names = |answer: &Value| -> BTreeSet<String> {
            let entries = answer["resource"]["entry"].as_array().cloned().unwrap_or_default();
            let included = entries.iter().filter(|e| e["search"]["mode"] == "include");
            included.map(|e| crate::harness::client::reference(&e["resource"])).collect()
        };
        let (included, reversed) = (names(&pair[0]), names(&pair[1]));
        for (target, id) in found {
            if !included.contains(&format!("{target}/x")) {
                wrong.push(format!("_include={source}:{param} brings no {target}: {included:?}"));
            }
            if !reversed.contains(&format!("{source}/{id}")) {
                wrong.push(format!(
                    "_revinclude={source}:{param} of {target} brings nothing: {:?}",
                    pair[1]["response"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), asked.len() * 2, wrong[..wrong.len().min(20)].join("\n"));
    println!("{} of {whole} includes, {} resources", asked.len(), trials.len());
}
