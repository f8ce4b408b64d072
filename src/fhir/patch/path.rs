//! FHIRPath Patch: a Parameters resource whose operations name elements by FHIRPath.
//!
//! Own rules where R4 is silent: a `delete` that finds nothing changes nothing; `replace` puts a whole element in place of
//! another, extensions and all; `insert` and `move` take the path of a whole list, which may still be empty.
//! Source: <https://hl7.org/fhir/R4/fhirpatch.html>.

use super::MAX_OPERATIONS;
use super::place::{self, Both, Spot};
use super::value;
use crate::error::{Error, Result};
use crate::fhir::definition::Element;
use crate::fhir::fhirpath::{Env, Expression, Place, Value, locate};
use crate::fhir::json::Json;
use crate::fhir::resource::printable;

/// Characters of one path (own limit).
const MAX_PATH: usize = 4_096;

/// Applies a patch to a copy of `resource`. All operations or none.
///
/// # Errors
/// At `Parameters.parameter[n]`: `Invalid` when that is no operation; `Unprocessable` when its path leads nowhere or to
/// too much, or its value has not the type of the place.
pub fn apply(resource: &Json, parameters: &Json) -> Result<Json> {
    if parameters["resourceType"].as_str() != Some("Parameters") {
        let text = "a FHIRPath Patch is a Parameters resource; a JSON Patch is sent as application/json-patch+json";
        return Err(Error::invalid(text).at("resourceType"));
    }
    let operations = parameters["parameter"].items();
    if operations.len() > MAX_OPERATIONS {
        let text = format!("a patch has at most {MAX_OPERATIONS} operations, this one has {}", operations.len());
        return Err(Error::unprocessable(text).code("too-costly").at("Parameters.parameter"));
    }
    let mut result = resource.clone();
    for (n, operation) in operations.iter().enumerate() {
        step(&mut result, operation).map_err(|e| e.at(format!("Parameters.parameter[{n}]")))?;
    }
    Ok(result)
}

/// The parts of one operation.
struct Operation<'a> {
    kind: &'a str,
    path: &'a str,
    name: Option<&'a str>,
    value: Option<&'a Json>,
    index: Option<usize>,
    source: Option<usize>,
    destination: Option<usize>,
}

impl<'a> Operation<'a> {
    fn read(parameter: &'a Json) -> Result<Self> {
        if parameter["name"].as_str() != Some("operation") {
            let text =
                format!("a patch has parameters 'operation' only, not '{}'", printable(parameter["name"].text()));
            return Err(Error::invalid(text));
        }
        let mut out =
            Self { kind: "", path: "", name: None, value: None, index: None, source: None, destination: None };
        let mut seen = Vec::new();
        for part in parameter["part"].items() {
            let name = part["name"].text();
            if seen.contains(&name) {
                return Err(Error::invalid(format!("the part '{}' stands twice", printable(name))));
            }
            seen.push(name);
            let text = || {
                let text = ["valueString", "valueCode", "valueId"].iter().find_map(|key| part[*key].as_str());
                text.ok_or_else(|| Error::invalid(format!("the part '{name}' is a text: valueString or valueCode")))
            };
            let number = || {
                let number = ["valueInteger", "valueUnsignedInt", "valuePositiveInt"].iter();
                let number = number.filter_map(|key| part[*key].as_i64()).next();
                let number = number.and_then(|n| usize::try_from(n).ok());
                number
                    .ok_or_else(|| Error::invalid(format!("the part '{name}' is a whole number from 0: valueInteger")))
            };
            match name {
                "type" => out.kind = text()?,
                "path" => out.path = text()?,
                "name" => out.name = Some(text()?),
                "value" => out.value = Some(part),
                "index" => out.index = Some(number()?),
                "source" => out.source = Some(number()?),
                "destination" => out.destination = Some(number()?),
                other => {
                    let text = "an operation has parts type, path, name, value, index, source and destination";
                    return Err(Error::invalid(format!("{text}, not '{}'", printable(other))));
                }
            }
        }
        if out.path.is_empty() || out.path.len() > MAX_PATH {
            return Err(Error::invalid(format!("the operation needs a part 'path' of 1 to {MAX_PATH} characters")));
        }
        Ok(out)
    }

    fn name(&self) -> Result<&'a str> {
        self.name.ok_or_else(|| self.needs("name"))
    }

    fn value(&self) -> Result<&'a Json> {
        self.value.ok_or_else(|| self.needs("value"))
    }

    fn needs(&self, part: &str) -> Error {
        Error::invalid(format!("the operation '{}' needs a part '{part}'", self.kind)).code("required")
    }

    fn nowhere(&self) -> Error {
        Error::unprocessable(format!("the path '{}' leads to no element of the resource", printable(self.path)))
    }
}

fn step(root: &mut Json, parameter: &Json) -> Result<()> {
    let operation = Operation::read(parameter)?;
    match operation.kind {
        "add" => add(root, &operation),
        "insert" => insert(root, &operation),
        "delete" => delete(root, &operation),
        "replace" => replace(root, &operation),
        "move" => shift(root, &operation),
        "" => Err(operation.needs("type")),
        other => {
            let text = format!("'{}' is no patch operation: add, insert, delete, replace, move", printable(other));
            Err(Error::invalid(text))
        }
    }
}

/// Steps to all elements that a path leads to, in order, each once.
fn find(root: &Json, path: &str) -> Result<Vec<Vec<Place>>> {
    let expression = Expression::parse(path)
        .map_err(|e| Error::invalid(format!("the path '{}' is no FHIRPath: {e}", printable(path))))?;
    let env = Env::of(root);
    let values = expression
        .evaluate(&env)
        .map_err(|e| Error::unprocessable(format!("the path '{}' cannot be followed: {e}", printable(path))))?;
    let mut found: Vec<Vec<Place>> = Vec::new();
    for value in &values {
        let way = if let Value::Node(node) = value { locate(root, node) } else { None };
        match way {
            Some(way) if found.contains(&way) => {}
            Some(way) => found.push(way),
            None => {
                let text =
                    "leads to a computed value or out of the resource; a patch changes elements of the resource only";
                return Err(Error::unprocessable(format!("the path '{}' {text}", printable(path))));
            }
        }
    }
    Ok(found)
}

/// The one element of a path.
fn one(root: &Json, operation: &Operation<'_>) -> Result<Vec<Place>> {
    at_most_one(root, operation)?.ok_or_else(|| operation.nowhere())
}

fn at_most_one(root: &Json, operation: &Operation<'_>) -> Result<Option<Vec<Place>>> {
    let mut found = find(root, operation.path)?;
    if found.len() > 1 {
        let text = format!(
            "the path '{}' leads to {} elements; make it name one, with an index or where()",
            printable(operation.path),
            found.len()
        );
        return Err(Error::unprocessable(text).code("multiple-matches"));
    }
    Ok(found.pop())
}

fn add(root: &mut Json, operation: &Operation<'_>) -> Result<()> {
    let (name, brought) = (operation.name()?, operation.value()?);
    // A new element of a list is made by adding to where it would stand: `Patient.contact[1]`.
    let steps = match at_most_one(root, operation)? {
        Some(steps) => steps,
        None => next_of_list(root, operation)?,
    };
    let is_primitive = place::get(root, &steps).is_some_and(|v| !matches!(v, Json::Object(_)));
    let owner = match Spot::of(&steps) {
        Some(spot) if is_primitive => spot.half(),
        _ => steps,
    };
    let structure = place::structure(root, &owner).ok_or_else(|| operation.nowhere())?;
    let element = value::element(structure, name)?;
    let value::Brought { key, both } = value::read(brought, element)?;
    let object = reach(root, &owner, operation)?;
    if element.many {
        let end = place::count(object, &key);
        place::insert(object, &key, end, both);
        return Ok(());
    }
    if value::is_there(object, structure, element) {
        let text = format!("'{}' is there already and stands once only; replace it", printable(name));
        return Err(Error::unprocessable(text).code("duplicate"));
    }
    place::set(object, &key, None, both);
    Ok(())
}

/// The place right behind the last element of a list, which an `add` fills.
fn next_of_list(root: &mut Json, operation: &Operation<'_>) -> Result<Vec<Place>> {
    let indexed = operation.path.strip_suffix(']').and_then(|p| p.rsplit_once('['));
    let Some((list, n)) = indexed.and_then(|(list, n)| Some((list, n.trim().parse::<usize>().ok()?))) else {
        return Err(operation.nowhere());
    };
    let (owner, key, element) = collection(root, list, operation)?;
    let object = reach(root, &owner, operation)?;
    if place::count(object, &key) != n || element.types.iter().all(|t| t.structure().is_none()) {
        return Err(operation.nowhere());
    }
    place::insert(object, &key, n, Both { json: Json::object(), half: None });
    let mut steps = owner;
    steps.extend([Place::Member(key), Place::Item(n)]);
    Ok(steps)
}

fn reach<'a>(root: &'a mut Json, owner: &[Place], operation: &Operation<'_>) -> Result<&'a mut Json> {
    // The second halves of a list may be missing, or be nulls.
    if let [before @ .., Place::Member(key), Place::Item(n)] = owner
        && key.starts_with('_')
    {
        let list = place::reach(root, before).ok_or_else(|| operation.nowhere())?;
        if !matches!(list.get(key), Some(Json::Array(_))) {
            list.set(key, Vec::new());
        }
        if let Some(Json::Array(halves)) = list.get_mut(key) {
            halves.resize(halves.len().max(*n + 1), Json::Null);
            if let Some(half) = halves.get_mut(*n).filter(|h| h.is_null()) {
                *half = Json::object();
            }
        }
    }
    place::reach(root, owner).ok_or_else(|| operation.nowhere())
}

/// The list that a path names: steps to the object around it, its JSON name, its element.
fn collection(root: &Json, path: &str, operation: &Operation<'_>) -> Result<(Vec<Place>, Box<str>, &'static Element)> {
    let found = find(root, path)?;
    let (owner, key) = match found.first() {
        Some(steps) => {
            let spot = Spot::of(steps).filter(|s| s.index.is_some()).ok_or_else(|| no_list(operation))?;
            let of_list =
                |steps: &Vec<Place>| Spot::of(steps).is_some_and(|s| s.owner == spot.owner && s.key == spot.key);
            let object = place::get(root, &spot.owner).ok_or_else(|| operation.nowhere())?;
            if found.len() != place::count(object, &spot.key) || !found.iter().all(of_list) {
                let text = format!("the path '{}' does not name one whole list", printable(path));
                return Err(Error::unprocessable(text).code("multiple-matches"));
            }
            (spot.owner, spot.key)
        }
        // Nothing there yet: the list is what its parent has under that name.
        None => {
            let (parent, name) = path.rsplit_once('.').ok_or_else(|| operation.nowhere())?;
            let mut parents = find(root, parent)?;
            let owner = parents.pop().filter(|_| parents.is_empty()).ok_or_else(|| operation.nowhere())?;
            (owner, name.trim().into())
        }
    };
    let member = place::structure(root, &owner).and_then(|structure| structure.member(&key));
    let element = member.map(|found| found.element).ok_or_else(|| operation.nowhere())?;
    if element.many { Ok((owner, key, element)) } else { Err(no_list(operation)) }
}

fn no_list(operation: &Operation<'_>) -> Error {
    let text = format!("'{}' is no list; {} takes the path of a list", printable(operation.path), operation.kind);
    Error::unprocessable(text)
}

fn insert(root: &mut Json, operation: &Operation<'_>) -> Result<()> {
    let brought = operation.value()?;
    let index = operation.index.ok_or_else(|| operation.needs("index"))?;
    let (owner, key, element) = collection(root, operation.path, operation)?;
    let value::Brought { both, .. } = value::read(brought, element)?;
    let object = reach(root, &owner, operation)?;
    let end = place::count(object, &key);
    if index > end {
        return Err(beyond("index", index, end));
    }
    place::insert(object, &key, index, both);
    Ok(())
}

fn shift(root: &mut Json, operation: &Operation<'_>) -> Result<()> {
    let source = operation.source.ok_or_else(|| operation.needs("source"))?;
    let destination = operation.destination.ok_or_else(|| operation.needs("destination"))?;
    let (owner, key, _) = collection(root, operation.path, operation)?;
    let object = reach(root, &owner, operation)?;
    let end = place::count(object, &key);
    for (name, n) in [("source", source), ("destination", destination)] {
        if n >= end {
            return Err(beyond(name, n, end));
        }
    }
    let both = place::take(object, &key, source);
    place::insert(object, &key, destination, both);
    Ok(())
}

fn beyond(name: &str, n: usize, end: usize) -> Error {
    Error::unprocessable(format!("{name} {n} is beyond the list, which has {end} elements (counted from 0)"))
}

fn delete(root: &mut Json, operation: &Operation<'_>) -> Result<()> {
    let Some(steps) = at_most_one(root, operation)? else { return Ok(()) };
    let spot = Spot::of(&steps)
        .ok_or_else(|| Error::unprocessable("the whole resource cannot be removed by a patch: use DELETE"))?;
    let object = reach(root, &spot.owner, operation)?;
    match spot.index {
        Some(n) => {
            place::take(object, &spot.key, n);
        }
        None => {
            object.remove(&spot.key);
            object.remove(&place::half(&spot.key));
        }
    }
    Ok(())
}

fn replace(root: &mut Json, operation: &Operation<'_>) -> Result<()> {
    let brought = operation.value()?;
    let steps = one(root, operation)?;
    let spot =
        Spot::of(&steps).ok_or_else(|| Error::unprocessable("a patch does not replace the whole resource: use PUT"))?;
    let element = spot.element(root).ok_or_else(|| operation.nowhere())?;
    let value::Brought { key, both } = value::read(brought, element)?;
    let object = reach(root, &spot.owner, operation)?;
    match spot.index {
        Some(n) => {
            place::take(object, &spot.key, n);
            place::insert(object, &spot.key, n, both);
        }
        None => {
            let at = object.as_object().and_then(|o| o.iter().position(|(k, _)| k == &*spot.key));
            if key != spot.key {
                // Another type of a choice: the old name goes.
                object.remove(&spot.key);
                object.remove(&place::half(&spot.key));
            }
            place::set(object, &key, at, both);
        }
    }
    Ok(())
}
