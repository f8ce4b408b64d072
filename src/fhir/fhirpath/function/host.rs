//! Functions about types, and what FHIR adds: extensions, references, profiles, value sets, narrative.

use super::super::ast::Call;
use super::super::eval::{self, Frame, Resolved, Result, Run, fail};
use super::super::kinds;
use super::super::value::{Items, Kind, Node, Value};
use super::text_argument;
use crate::fhir::definition::{self, StructureKind};
use crate::fhir::{Json, xhtml};

pub(super) fn of_type<'a>(
    _: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(name) = &call.type_name else { return Ok(input) };
    if !input.is_empty() && !name.is_known() {
        return fail(call.at, format!("there is no type '{}'", name.name));
    }
    Ok(input.into_iter().filter(|item| name.takes(item)).collect())
}

pub(super) fn is<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    match &call.type_name {
        Some(name) => eval::is(&input, name, call.at),
        None => Ok(input),
    }
}

pub(super) fn cast<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    match &call.type_name {
        Some(name) => eval::cast(input, name, call.at),
        None => Ok(input),
    }
}

pub(super) fn type_of<'a>(_: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    let told = input.iter().map(|item| {
        let (namespace, name) = kinds::of(item);
        Value::Type(namespace, name)
    });
    Ok(told.collect())
}

/// The extensions of a url.
fn extensions<'a>(run: &mut Run<'_, 'a>, input: &Items<'a>, url: &str) -> Result<Items<'a>> {
    let all = run.members(input, "extension")?;
    Ok(all.into_iter().filter(|item| item.node().is_some_and(|n| n.json["url"].as_str() == Some(url))).collect())
}

pub(super) fn extension<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    match text_argument(run, call, 0, frame)? {
        Some(url) => extensions(run, &input, &url),
        None => Ok(Items::None),
    }
}

pub(super) fn has_extension<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    match text_argument(run, call, 0, frame)? {
        Some(url) => Ok((!extensions(run, &input, &url)?.is_empty()).into()),
        None => Ok(false.into()),
    }
}

fn is_primitive(node: &Node<'_>) -> bool {
    !matches!(node.json, Json::Null | Json::Object(_) | Json::Array(_))
}

pub(super) fn has_value<'a>(_: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(match input.as_slice() {
        [Value::Node(node)] => is_primitive(node),
        [Value::Type(..) | Value::Absent(_)] => false,
        [_] => true,
        _ => false,
    }
    .into())
}

pub(super) fn get_value<'a>(_: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(match input.as_slice() {
        [Value::Node(node)] => node.system().map_or(Items::None, Items::One),
        [Value::Type(..) | Value::Absent(_)] => Items::None,
        [one] => one.clone().into(),
        _ => Items::None,
    })
}

pub(super) fn resolve<'a>(run: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    let mut out = Items::None;
    for item in &input {
        let text = match item {
            Value::Node(node) => node.json.as_str().or_else(|| node.json.get("reference").and_then(Json::as_str)),
            Value::String(text) => Some(text.as_ref()),
            _ => None,
        };
        let Some(reference) = text else {
            // A reference without a literal may still tell its type.
            if let Value::Node(node) = item
                && let Some(rtype) = crate::fhir::ResourceType::parse(node.json["type"].text())
            {
                out.push(Value::Absent(rtype));
            }
            continue;
        };
        match target(run, reference)? {
            Resolved::Resource(json) => out.push(Node::resource(json).into()),
            Resolved::Type(rtype) => out.push(Value::Absent(rtype)),
            Resolved::Nothing => {}
        }
    }
    Ok(out)
}

/// A contained resource, one in the Bundle, or what the host knows.
fn target<'a>(run: &mut Run<'_, 'a>, reference: &str) -> Result<Resolved<'a>> {
    let (resource, root) = (run.env.resource.json, run.env.root.json);
    if let Some(id) = reference.strip_prefix('#') {
        if id.is_empty() {
            return Ok(Resolved::Resource(root));
        }
        let contained = [resource, root].into_iter().flat_map(|r| r.get("contained").map_or(&[][..], Json::items));
        run.spend(1)?;
        return Ok(contained
            .into_iter()
            .find(|c| c["id"].as_str() == Some(id))
            .map_or(Resolved::Nothing, Resolved::Resource));
    }
    if root["resourceType"].as_str() == Some("Bundle") {
        let entries = root.get("entry").map_or(&[][..], Json::items);
        run.spend(entries.len())?;
        let plain = reference.split_once("/_history/").map_or(reference, |(plain, _)| plain);
        let fits = |url: &str| url == plain || url.strip_suffix(plain).is_some_and(|base| base.ends_with('/'));
        if let Some(entry) = entries.iter().find(|e| e["fullUrl"].as_str().is_some_and(fits))
            && let Some(resource) = entry.get("resource")
        {
            return Ok(Resolved::Resource(resource));
        }
    }
    Ok(run.env.hooks.resolve(reference))
}

pub(super) fn conforms_to<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let (Some(profile), [one]) = (text_argument(run, call, 0, frame)?, input.as_slice()) else {
        return Ok(Items::None);
    };
    let Some(node) = one.node() else { return Ok(false.into()) };
    let base = profile
        .strip_prefix("http://hl7.org/fhir/StructureDefinition/")
        .filter(|name| definition::structure(name).is_some_and(|s| s.kind != StructureKind::Backbone));
    if let Some(name) = base {
        return Ok(kinds::TypeName::new(Some("FHIR"), name).has(one).into());
    }
    match run.env.hooks.conforms(node, &profile) {
        Some(conforms) => Ok(conforms.into()),
        None => fail(call.at, format!("the profile {} is not known", crate::fhir::resource::printable(&profile))),
    }
}

pub(super) fn member_of<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let (Some(set), [one]) = (text_argument(run, call, 0, frame)?, input.as_slice()) else { return Ok(Items::None) };
    Ok(run.env.hooks.is_member(one, &set).or_else(|| in_tables(one, &set)).into())
}

/// The value sets of required bindings are at hand without a host.
fn in_tables(value: &Value<'_>, url: &str) -> Option<bool> {
    let name = url.strip_prefix("http://hl7.org/fhir/ValueSet/")?;
    let set = definition::code_set(name.split_once('|').map_or(name, |(name, _)| name))?;
    let coding = |json: &Json| set.has_coding(json["system"].text(), json["code"].text());
    Some(match value {
        Value::String(code) => set.has(code),
        Value::Node(node) => match node.json {
            Json::String(code) => set.has(code),
            json if json.get("coding").is_some() => json["coding"].items().iter().any(coding),
            json => coding(json),
        },
        _ => false,
    })
}

fn one_of_each<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: &Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Option<(Value<'a>, Value<'a>)>> {
    let other = super::argument(run, call, 0, frame)?;
    Ok(match (input.as_slice(), other.as_slice()) {
        ([one], [other]) => Some((one.clone(), other.clone())),
        _ => None,
    })
}

pub(super) fn subsumes<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let pair = one_of_each(run, call, &input, frame)?;
    Ok(pair.and_then(|(one, other)| run.env.hooks.subsumes(&one, &other)).into())
}

pub(super) fn subsumed_by<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let pair = one_of_each(run, call, &input, frame)?;
    Ok(pair.and_then(|(one, other)| run.env.hooks.subsumes(&other, &one)).into())
}

pub(super) fn html_checks<'a>(
    run: &mut Run<'_, 'a>,
    _: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let mut good = true;
    for item in &input {
        let div = match item {
            Value::Node(Node { kind: Kind::Structure(s), json, .. }) if s.name == "Narrative" => json["div"].as_str(),
            Value::Node(node) => node.json.as_str(),
            Value::String(text) => Some(text.as_ref()),
            _ => None,
        };
        let div = div.unwrap_or_default();
        run.spend(div.len() / 8)?;
        good &= xhtml::problems(div).is_empty();
    }
    Ok(if input.is_empty() { Items::None } else { good.into() })
}

pub(super) fn check_modifiers<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let mut known = Vec::new();
    for n in 0..call.arguments.len() {
        known.extend(text_argument(run, call, n, frame)?);
    }
    for item in run.members(&input, "modifierExtension")? {
        let url = item.node().map_or("", |n| n.json["url"].text());
        if !known.iter().any(|k| k == url) {
            let url = crate::fhir::resource::printable(url);
            return fail(
                call.at,
                format!("found the modifier extension {url}, which is not among those that are understood"),
            );
        }
    }
    Ok(input)
}
