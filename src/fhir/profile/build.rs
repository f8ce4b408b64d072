//! From the elements of a StructureDefinition to its tree.
//!
//! A snapshot is laid on an empty tree, a differential on the tree of its base: what the base type of R4 asks is not in a
//! tree, since base validation has judged it. A slice has its own node; what is asked of all items is asked of its items
//! too, so nothing is copied into slices.
//! Source: <https://hl7.org/fhir/R4/profiling.html>, <https://hl7.org/fhir/R4/elementdefinition.html>.

use super::invariant::Invariant;
use super::model::{Binding, Discriminator, Node, NodeId, ROOT, Rules, Slice, Slicing, Telling, TypeRef};
use super::route::{Route, Step as RouteStep};
use super::source::{Element, Source, Step};
use crate::fhir::Json;
use crate::fhir::definition::{self, Structure, Type};
use crate::fhir::json::Object;
use crate::fhir::resource::printable;

/// Where canonical URLs of R4's own types begin.
pub(super) const R4: &str = "http://hl7.org/fhir/StructureDefinition/";
const MAX_SET: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";
/// What R5 has as `binding.additional`, on R4.
const ADDITIONAL: [&str; 2] = [
    "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.binding.additional",
];

/// A tree that is being built.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// What could not be used, one sentence each.
    pub(super) notes: Vec<String>,
    /// The node of each element of the source, in its order.
    pub(super) laid: Vec<NodeId>,
    is_snapshot: bool,
    url: Box<str>,
    /// Nodes whose content reference leads out of the profile, to the base definition: what the profile asks of the element
    /// that is named is not asked there.
    outward: Vec<NodeId>,
}

impl Tree {
    /// Builds the tree of a profile. `base`: the nodes of the profile that it narrows, none of an R4 type.
    ///
    /// # Errors
    /// One sentence that names the element.
    pub(super) fn build(source: &Source, base: Option<&[Node]>) -> Result<Self, String> {
        let root = Node { structure: definition::structure(&source.rtype), ..Node::default() };
        let nodes = match base {
            Some(base) if !source.is_snapshot => base.to_vec(),
            _ => vec![root],
        };
        let (is_snapshot, url) = (source.is_snapshot, source.url.clone());
        let mut tree = Self { nodes, notes: Vec::new(), laid: Vec::new(), is_snapshot, url, outward: Vec::new() };
        for element in &source.elements {
            let laid = tree.lay(element).map_err(|why| format!("{}: {why}", name_of(&source.rtype, &element.steps)))?;
            tree.laid.push(laid);
        }
        tree.refer();
        tree.imply();
        tree.prune(ROOT);
        Ok(tree)
    }

    fn lay(&mut self, element: &Element) -> Result<NodeId, String> {
        let mut here = ROOT;
        let mut base = None;
        let mut is_slice = false;
        for step in &element.steps {
            self.known(here, &step.name)?;
            (here, base) = self.child(here, &step.name);
            is_slice = false;
            if let Some(name) = &step.slice {
                let owner = self.nodes.get(here).map(|n| n.name.clone()).unwrap_or_default();
                // A slice that has the JSON name of one type of a choice is that member.
                if base.is_some_and(|b: &definition::Element| b.choice)
                    && name.starts_with(&*owner)
                    && self.is_member(element, name)
                {
                    if let Some(choice) = self.nodes.get_mut(here).filter(|n| !n.members.contains(name)) {
                        choice.members.push(name.clone());
                    }
                    let parent = self.parent_of(here).unwrap_or(ROOT);
                    (here, base) = self.child(parent, name);
                } else {
                    here = self.slice(here, name);
                    is_slice = true;
                }
            }
        }
        match element.steps.is_empty() {
            true => self.root(&element.json)?,
            false => self.ask(here, &element.json, base.filter(|_| !is_slice))?,
        }
        Ok(here)
    }

    /// Whether `valueQuantity` is a member by that name of what the element stands in.
    fn is_member(&self, element: &Element, name: &str) -> bool {
        let mut here = ROOT;
        for step in element.steps.iter().take_while(|s| s.slice.as_deref() != Some(name)) {
            let Some(next) = self.find(here, &step.name) else { return false };
            here = next;
        }
        self.nodes.get(here).and_then(|n| n.structure).is_some_and(|s| s.member(name).is_some_and(|f| f.element.choice))
    }

    /// Refuses a name that R4 does not have there.
    fn known(&self, parent: NodeId, name: &str) -> Result<(), String> {
        let bare = name.trim_end_matches("[x]");
        let Some(structure) = self.nodes.get(parent).and_then(|n| n.structure) else { return Ok(()) };
        if structure.element(bare).is_some() || structure.member(bare).is_some() {
            return Ok(());
        }
        Err(format!("R4's {} has no element '{}'", structure.name, printable(name)))
    }

    fn parent_of(&self, child: NodeId) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.children.contains(&child))
    }

    fn find(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let bare = name.trim_end_matches("[x]");
        self.nodes.get(parent)?.children.iter().copied().find(|c| self.nodes.get(*c).is_some_and(|n| *n.name == *bare))
    }

    /// The node of a member, made where there is none; and the element of R4 that it narrows, where that is known.
    fn child(&mut self, parent: NodeId, name: &str) -> (NodeId, Option<&'static definition::Element>) {
        let bare = name.trim_end_matches("[x]");
        let structure = self.nodes.get(parent).and_then(|n| n.structure);
        let by_name = structure.and_then(|s| s.element(bare));
        let by_member = structure.and_then(|s| s.member(bare));
        let element = by_name.or(by_member.map(|f| f.element));
        // Of one type of a choice R4 asks nothing: not the choice's cardinality either.
        let base = by_name;
        if let Some(found) = self.find(parent, bare) {
            return (found, base);
        }
        let kinds = element.map_or(&[][..], |e| &e.types);
        let inside = match (by_name, by_member) {
            (Some(_), _) => only(kinds),
            (None, Some(found)) => found.kind.structure(),
            (None, None) => None,
        };
        let choice =
            by_member.filter(|found| by_name.is_none() && found.element.choice).map(|found| found.element.name);
        let id = self.add(Node { name: bare.into(), choice, structure: inside, ..Node::default() });
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(id);
        }
        (id, base)
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The slice of a node, made where there is none. `a/b` is a slice `a/b` inside the slice `a`.
    fn slice(&mut self, node: NodeId, name: &str) -> NodeId {
        let owner = match name.rsplit_once('/') {
            Some((outer, _)) if !outer.is_empty() => self.slice(node, outer),
            _ => node,
        };
        let Some(of) = self.nodes.get(owner) else { return owner };
        if let Some(slice) = of.slices.iter().find(|s| *s.name == *name) {
            return slice.node;
        }
        let made = Node { name: of.name.clone(), structure: of.structure, ..Node::default() };
        let id = self.add(made);
        if let Some(of) = self.nodes.get_mut(owner) {
            of.slices.push(Slice { name: name.into(), node: id, tests: Vec::new() });
        }
        id
    }

    /// The root asks by its invariants, and, of an extension or data type, by value and binding.
    fn root(&mut self, json: &Json) -> Result<(), String> {
        let mut json = json.clone();
        for name in ["min", "max", "type", "slicing"] {
            json.remove(name);
        }
        self.ask(ROOT, &json, None)
    }

    /// Lays what an ElementDefinition asks on a node. `base`: the element of R4, whose own demands are left out.
    fn ask(&mut self, id: NodeId, json: &Json, base: Option<&'static definition::Element>) -> Result<(), String> {
        let is_snapshot = self.is_snapshot;
        let invariants = self.invariants(json);
        let outward = json["contentReference"].as_str().and_then(|text| text.split_once('#')).map(|(url, _)| url);
        if outward.is_some_and(|url| !url.is_empty() && *url != *self.url) {
            self.outward.push(id);
        }
        let Some(node) = self.nodes.get_mut(id) else { return Ok(()) };
        if let Some(min) = json.get("min") {
            let min = min.as_i64().and_then(|n| usize::try_from(n).ok()).ok_or("min is no number from 0")?;
            node.min = if base.is_some_and(|b| usize::from(b.min) == min) { 0 } else { min };
        }
        if let Some(max) = json.get("max") {
            node.max = match max.text() {
                "*" => None,
                text => Some(text.parse().map_err(|_| format!("max '{}' is neither a number nor *", printable(text)))?),
            };
            if base.is_some_and(|b| !b.many && node.max == Some(1)) {
                node.max = None;
            }
        }
        if node.max.is_some_and(|max| max < node.min) {
            return Err(format!("min {} is over max {}", node.min, node.max.unwrap_or_default()));
        }
        if let Some(types) = json.get("type") {
            let types: Vec<TypeRef> = types.items().iter().filter_map(type_ref).collect();
            if let [one] = types.as_slice()
                && node.structure.is_none_or(|s| s.kind != definition::StructureKind::Backbone)
                && let Some(structure) = structure_of(&one.code)
            {
                node.structure = Some(structure);
            }
            node.types = if base.is_some_and(|b| is_base(b, &types)) { Vec::new() } else { types };
        }
        for (name, value) in json.as_object().into_iter().flat_map(Object::iter) {
            let is = |prefix: &str| {
                name.strip_prefix(prefix).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_uppercase()))
            };
            if is("fixed") {
                node.fixed = Some(value.clone());
            } else if is("pattern") {
                node.pattern = Some(value.clone());
            } else if is("minValue") {
                node.least = Some(value.clone());
            } else if is("maxValue") {
                node.most = Some(value.clone());
            }
        }
        if let Some(n) = json["maxLength"].as_i64() {
            node.max_length = usize::try_from(n).ok();
        }
        if let Some(binding) = json.get("binding") {
            bind(node, binding, base);
        }
        if let Some(slicing) = json.get("slicing") {
            node.slicing = Some(read_slicing(slicing)?);
        }
        for invariant in invariants {
            match node.invariants.iter_mut().find(|i| i.key == invariant.key) {
                Some(same) if !is_snapshot => *same = invariant,
                Some(_) => {}
                None => node.invariants.push(invariant),
            }
        }
        Ok(())
    }

    /// The invariants of an element that are not R4's own.
    fn invariants(&mut self, json: &Json) -> Vec<Invariant> {
        let mut found = Vec::new();
        for constraint in json["constraint"].items() {
            let (key, source) = (constraint["key"].text(), constraint["source"].text());
            let is_base = match source.strip_prefix(R4) {
                Some(name) => {
                    self.is_snapshot
                        && (definition::structure(name).is_some()
                            || name.contains("Element")
                            || name == "DomainResource"
                            || name == "Resource")
                }
                None => source.is_empty() && self.is_snapshot && is_base_key(key),
            };
            if is_base || matches!(key, "ele-1" | "ext-1") {
                continue;
            }
            match Invariant::read(constraint) {
                Some(Ok(invariant)) => found.push(invariant),
                Some(Err(why)) => self.notes.push(why),
                None => {}
            }
        }
        found
    }

    /// Finds `contentReference`s: what is asked inside `Questionnaire.item` is asked inside `Questionnaire.item.item`.
    fn refer(&mut self) {
        for id in 0..self.nodes.len() {
            let Some(structure) = self.nodes.get(id).and_then(|n| n.structure) else { continue };
            for element in &structure.elements {
                let Some(to) = only(&element.types).filter(|s| s.kind == definition::StructureKind::Backbone) else {
                    continue;
                };
                let is_own =
                    to.name.strip_prefix(structure.name).and_then(|r| r.strip_prefix('.')) == Some(element.name);
                if is_own || (id != ROOT && !self.is_reached(id)) {
                    continue;
                }
                let target = to.name.split('.').skip(1).try_fold(ROOT, |here, name| self.find(here, name));
                if let Some(target) = target {
                    let (child, _) = self.child(id, element.name);
                    // What says itself what is inside, of all items or of its slices, is not told by the reference.
                    let is_own = |n: &&mut Node| child != target && n.children.is_empty() && n.slices.is_empty();
                    let is_outward = self.outward.contains(&child);
                    if let Some(node) = self.nodes.get_mut(child).filter(is_own).filter(|_| !is_outward) {
                        node.refers = Some(target);
                    }
                }
            }
        }
    }

    /// A choice of which one type must be there is not asked for by itself: what is missing is told once.
    fn imply(&mut self) {
        for id in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(id) else { continue };
            let children = || node.children.iter().filter_map(|child| Some((*child, self.nodes.get(*child)?)));
            let is_needed = |name: &str| children().any(|(_, n)| *n.name == *name && n.min > 0);
            let implied: Vec<NodeId> = children()
                .filter(|(_, n)| n.members.iter().any(|name| is_needed(name)))
                .map(|(child, _)| child)
                .collect();
            for child in implied {
                if let Some(choice) = self.nodes.get_mut(child) {
                    choice.min = 0;
                }
            }
        }
    }

    fn is_reached(&self, id: NodeId) -> bool {
        self.nodes.get(id).is_some_and(|n| n.refers.is_none())
    }

    /// Takes out what asks nothing. Slices stay: in a closed slicing their being there asks.
    fn prune(&mut self, id: NodeId) -> bool {
        let Some(node) = self.nodes.get(id) else { return true };
        let (children, slices) = (node.children.clone(), node.slices.clone());
        let kept: Vec<NodeId> = children.into_iter().filter(|c| !self.prune(*c)).collect();
        for slice in slices {
            self.prune(slice.node);
        }
        let Some(node) = self.nodes.get_mut(id) else { return true };
        node.children = kept;
        node.is_idle()
    }
}

/// `Patient.identifier:mrn.system`
fn name_of(rtype: &str, steps: &[Step]) -> String {
    steps.iter().fold(rtype.to_owned(), |path, step| match &step.slice {
        Some(slice) => format!("{path}.{}:{slice}", step.name),
        None => format!("{path}.{}", step.name),
    })
}

/// The elements inside, of an element with one type alone.
fn only(types: &[Type]) -> Option<&'static Structure> {
    match types {
        [one] => one.structure(),
        _ => None,
    }
}

fn structure_of(code: &str) -> Option<&'static Structure> {
    match code {
        "SimpleQuantity" => definition::structure("Quantity"),
        // What is inside these is said by the element itself, or by the resource that stands there.
        "BackboneElement" | "Element" | "Resource" | "DomainResource" => None,
        code => definition::structure(code),
    }
}

/// Keys of R4's invariants end in a number after a short prefix: `ele-1`, `dom-6`, `pat-1`. Those of guides that do not
/// say their source are told from them by a longer prefix.
fn is_base_key(key: &str) -> bool {
    key.split_once('-').is_some_and(|(prefix, n)| prefix.len() == 3 && n.parse::<u8>().is_ok())
}

fn type_ref(json: &Json) -> Option<TypeRef> {
    let code = json["code"].as_str().filter(|code| !code.contains(':'))?;
    let list = |name: &str| json[name].items().iter().filter_map(Json::as_str).map(Into::into).collect();
    let is = |name: &str| json["aggregation"].items().iter().any(|a| a.text() == name);
    let aggregation = json.get("aggregation").map(|_| (is("contained"), is("bundled"), is("referenced")));
    Some(TypeRef { code: code.into(), profiles: list("profile"), targets: list("targetProfile"), aggregation })
}

/// Whether the types are just those of R4's element.
fn is_base(element: &definition::Element, types: &[TypeRef]) -> bool {
    let same_name = |kind: &Type, code: &str| match kind {
        Type::SimpleQuantity(_) => matches!(code, "Quantity" | "SimpleQuantity"),
        Type::Complex(id) if id.get().kind == definition::StructureKind::Backbone => true,
        kind => kind.name() == code,
    };
    let is_free = |t: &TypeRef| {
        t.aggregation.is_none()
            && t.profiles.iter().all(|p| p.strip_prefix(R4) == Some("SimpleQuantity"))
            && t.targets.iter().all(|target| {
                target
                    .strip_prefix(R4)
                    .is_some_and(|name| name == "Resource" || element.targets.iter().any(|r| r.as_str() == name))
            })
            && (t.targets.is_empty() || t.targets.len() >= element.targets.len())
    };
    types.is_empty()
        || element.types.iter().all(|kind| types.iter().any(|t| same_name(kind, &t.code))) && types.iter().all(is_free)
}

fn bind(node: &mut Node, binding: &Json, base: Option<&'static definition::Element>) {
    let max = binding["extension"].items().iter().find(|e| e["url"].text() == MAX_SET);
    if let Some(set) = max.and_then(|e| e["valueCanonical"].as_str().or(e["valueUri"].as_str())) {
        node.max_set = Some(set.into());
    }
    let additional = binding["extension"].items().iter().filter(|e| ADDITIONAL.contains(&e["url"].text()));
    node.additional.extend(additional.filter_map(additional_binding));
    let is_required = match binding["strength"].text() {
        "required" => true,
        "extensible" => false,
        _ => return,
    };
    let Some(set) = binding["valueSet"].as_str() else { return };
    let is_base = base.and_then(definition::Element::codes).is_some_and(|own| {
        let (url, _) = super::canonical(set);
        is_required && url.strip_prefix("http://hl7.org/fhir/ValueSet/") == Some(own.name)
    });
    node.binding = (!is_base).then(|| Binding { is_required, set: set.into() });
}

/// An additional binding that holds everywhere; those of a context of use only are not judged.
fn additional_binding(extension: &Json) -> Option<Binding> {
    let part = |name: &str| extension["extension"].items().iter().find(|e| e["url"].text() == name);
    let is_required = match part("purpose")?["valueCode"].text() {
        "required" | "maximum" => true,
        "extensible" => false,
        _ => return None,
    };
    let set = part("valueSet")?["valueCanonical"].as_str()?.into();
    part("usage").is_none().then_some(Binding { is_required, set })
}

fn read_slicing(json: &Json) -> Result<Slicing, String> {
    let mut discriminators = Vec::new();
    for one in json["discriminator"].items() {
        let (kind, path) = (one["type"].text(), one["path"].text());
        let kind = match kind {
            "value" | "pattern" => Telling::Value,
            "exists" => Telling::Exists,
            "type" => Telling::Type,
            "profile" => Telling::Profile,
            other => return Err(format!("R4 has no discriminator '{}'", printable(other))),
        };
        let route = Route::parse(path).ok_or_else(|| {
            format!("the discriminator '{}' is not of the restricted FHIRPath of slicing", printable(path))
        })?;
        discriminators.push(Discriminator { kind, route });
    }
    let rules = match json["rules"].text() {
        "closed" => Rules::Closed,
        "openAtEnd" => Rules::OpenAtEnd,
        _ => Rules::Open,
    };
    Ok(Slicing { discriminators, rules, is_ordered: json["ordered"].as_bool() == Some(true) })
}

/// The slicing of an element whose definition says none: extensions by URL, choices by type.
pub(super) fn implied(name: &str) -> Slicing {
    let (kind, route) = match name {
        "extension" | "modifierExtension" => (Telling::Value, Route(vec![RouteStep::Member("url".into())])),
        _ => (Telling::Type, Route::default()),
    };
    Slicing { discriminators: vec![Discriminator { kind, route }], rules: Rules::Open, is_ordered: false }
}
