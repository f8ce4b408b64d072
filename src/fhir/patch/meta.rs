//! Profiles, tags and security labels: sets whose members a client adds, takes away, or leaves out of an update.
//!
//! A tag or label is known by its system and code, a profile by its whole URL.
//! Source: <https://hl7.org/fhir/R4/resource.html#tag-updates>, <https://hl7.org/fhir/R4/resource-operation-meta-add.html>,
//! <https://hl7.org/fhir/R4/resource-operation-meta-delete.html>.

use super::super::json::Json;

/// Members of Meta that are sets.
pub const SETS: [&str; 3] = ["profile", "security", "tag"];

/// Of these, what an update leaves out stays: whoever overwrites a resource does not know of others' labels.
const KEPT: [&str; 2] = ["security", "tag"];

/// Whether two members of a set are the same: version, display and the rest do not count.
#[must_use]
pub fn is_same(a: &Json, b: &Json) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a == b,
        _ if a["system"].is_null() && a["code"].is_null() => a == b,
        _ => a["system"] == b["system"] && a["code"] == b["code"],
    }
}

/// Members of `more` that `set` does not hold.
fn missing<'a>(set: &'a [Json], more: &'a [Json]) -> impl Iterator<Item = &'a Json> {
    more.iter().filter(move |one| !set.iter().any(|other| is_same(one, other)))
}

/// Puts members into the sets of `meta`, each once, behind what is there.
pub fn join(meta: &mut Json, more: &Json, sets: &[&str]) {
    for name in sets {
        for one in more[*name].items() {
            if !meta[*name].items().iter().any(|other| is_same(one, other)) {
                meta.push(name, one.clone());
            }
        }
    }
}

pub(super) fn add(resource: &Json, more: &Json) -> Json {
    let mut out = resource.clone();
    let mut meta = out.get("meta").cloned().unwrap_or_else(Json::object);
    join(&mut meta, more, &SETS);
    set(&mut out, meta);
    out
}

pub(super) fn delete(resource: &Json, less: &Json) -> Json {
    let mut out = resource.clone();
    let Some(mut meta) = out.get("meta").cloned() else { return out };
    for name in SETS {
        let left: Vec<Json> = missing(less[name].items(), meta[name].items()).cloned().collect();
        if left.len() < meta[name].items().len() {
            meta.set(name, left); // an empty one is pruned
        }
    }
    set(&mut out, meta);
    out
}

/// An update with what it keeps of the version it replaces: tags and security labels that it does not name. Profiles are
/// those that it names. `None`: it names all.
#[must_use]
pub fn kept(sent: &Json, stored: &Json) -> Option<Json> {
    let old = &stored["meta"];
    if KEPT.iter().all(|name| missing(sent["meta"][*name].items(), old[*name].items()).next().is_none()) {
        return None;
    }
    let mut meta = sent.get("meta").cloned().unwrap_or_else(Json::object);
    join(&mut meta, old, &KEPT);
    let mut out = sent.clone();
    set(&mut out, meta);
    Some(out)
}

/// `meta` in its place, or after the id.
fn set(resource: &mut Json, meta: Json) {
    if let Some(members) = resource.as_object_mut() {
        let after = members.iter().position(|(key, _)| key == "id" || key == "resourceType").map_or(0, |n| n + 1);
        members.insert_at(after, "meta", meta);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tags(codes: &[&str]) -> serde_json::Value {
        json!(codes.iter().map(|c| json!({"system": "s", "code": c})).collect::<Vec<_>>())
    }

    /// R4 resource-operation-meta-add.html: A tag or label is known by system and code, a profile by its URL.
    #[test]
    fn a_label_is_known_by_system_and_code() {
        let one = json!({"system": "s", "code": "a", "display": "A", "version": "1"});
        for (other, same) in [
            (json!({"system": "s", "code": "a"}), true),
            (json!({"code": "a"}), false),
            (json!({"system": "s", "code": "b"}), false),
        ] {
            assert_eq!(is_same(&one.clone().into(), &other.clone().into()), same, "{other}");
        }
        assert!(!is_same(&json!({"display": "x"}).into(), &json!({"display": "y"}).into()));
    }

    #[test]
    fn sets_grow_shrink_and_outlive_an_update() {
        let stored: Json =
            json!({"resourceType": "Patient", "id": "1", "meta": {"tag": tags(&["a", "b"]), "profile": ["p"]}}).into();
        let more: Json = json!({"tag": tags(&["b", "c"]), "profile": ["p", "q"], "security": tags(&["x"])}).into();
        let grown = add(&stored, &more);
        assert_eq!(grown["meta"]["tag"], tags(&["a", "b", "c"]).into());
        assert_eq!(grown["meta"]["profile"], json!(["p", "q"]).into());
        let mut back = delete(&grown, &json!({"tag": tags(&["c"]), "profile": ["q"], "security": tags(&["x"])}).into());
        crate::fhir::patch::prune(&mut back);
        assert_eq!(back, stored);

        let sent = json!({"resourceType": "Patient", "id": "1", "meta": {"tag": tags(&["c"]), "profile": ["q"]}});
        let sent = kept(&sent.into(), &grown).unwrap();
        assert_eq!(sent["meta"]["tag"], tags(&["c", "a", "b"]).into());
        assert_eq!(sent["meta"]["security"], tags(&["x"]).into());
        assert_eq!(sent["meta"]["profile"], json!(["q"]).into());
        assert!(kept(&sent, &grown).is_none());
        let bare: Json = json!({"resourceType": "Patient", "id": "1", "active": true}).into();
        assert!(kept(&bare, &stored).is_some_and(|b| b["meta"]["tag"] == stored["meta"]["tag"]));
    }
}
