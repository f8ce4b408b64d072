//! Reads `elements.tsv` and `codes.tsv` once. The tables are our own and tested, so a line that does not fit is left out.

use super::{CodeSet, Definitions, Element, Member, Structure, StructureId, StructureKind, Type, outside};
use crate::fhir::primitive::Primitive;
use crate::fhir::resource::{RESOURCE_TYPES, ResourceType};
use std::collections::HashMap;

const ELEMENTS: &str = include_str!("elements.tsv");
const CODES: &str = include_str!("codes.tsv");

/// A structure before its types are known.
struct Draft {
    name: &'static str,
    base: &'static str,
    kind: StructureKind,
    /// Columns of each element: name, cardinality, types, set, summary.
    rows: Vec<[&'static str; 5]>,
}

pub(super) fn definitions() -> Definitions {
    let drafts = drafts();
    let by_name: HashMap<&'static str, StructureId> = drafts
        .iter()
        .enumerate()
        .map(|(n, draft)| (draft.name, StructureId(u16::try_from(n).unwrap_or(u16::MAX))))
        .collect();
    let sets = sets();
    let set_at: HashMap<&str, u16> =
        sets.iter().enumerate().filter_map(|(n, s)| Some((s.name, u16::try_from(n).ok()?))).collect();
    let structures = drafts
        .iter()
        .zip(0..)
        .map(|(draft, number)| Structure { number, ..structure(draft, &drafts, &by_name, &set_at) })
        .collect();
    let resources =
        RESOURCE_TYPES.iter().map(|name| by_name.get(name).copied().unwrap_or(StructureId(u16::MAX))).collect();
    Definitions { structures, by_name, sets, resources }
}

fn drafts() -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::with_capacity(1000);
    let mut root = 0; // where the open type stands
    for line in ELEMENTS.lines() {
        if let Some(head) = line.strip_prefix('@') {
            let (name, base) = head.split_once('\t').unwrap_or((head, ""));
            let is_resource = ResourceType::parse(name).is_some();
            let kind = if is_resource { StructureKind::Resource } else { StructureKind::Datatype };
            root = drafts.len();
            drafts.push(Draft { name, base, kind, rows: Vec::new() });
            continue;
        }
        let mut columns = line.split('\t');
        let mut column = || columns.next().unwrap_or_default();
        let (path, mut row) = (column(), ["", column(), column(), column(), column()]);
        let type_name = drafts.get(root).map_or("", |d| d.name);
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        row[0] = name;
        let owner = match parent {
            "" => drafts.get_mut(root),
            _ => drafts.iter_mut().skip(root).find(|d| inside(d.name, type_name, parent)),
        };
        if let Some(owner) = owner {
            owner.rows.push(row);
        }
        if matches!(row[2], "BackboneElement" | "Element") {
            let name: &'static str = Box::leak(format!("{type_name}.{path}").into_boxed_str());
            drafts.push(Draft { name, base: row[2], kind: StructureKind::Backbone, rows: Vec::new() });
        }
    }
    drafts
}

/// Whether `name` is `type_name.path`.
fn inside(name: &str, type_name: &str, path: &str) -> bool {
    name.strip_prefix(type_name).and_then(|rest| rest.strip_prefix('.')) == Some(path)
}

fn structure(
    draft: &Draft,
    drafts: &[Draft],
    by_name: &HashMap<&'static str, StructureId>,
    sets: &HashMap<&str, u16>,
) -> Structure {
    let mut chain = vec![draft];
    while let Some(base) = chain.last().and_then(|d| drafts.iter().find(|b| !d.base.is_empty() && b.name == d.base)) {
        chain.push(base);
    }
    let mut out = Structure {
        name: draft.name,
        number: u16::MAX,
        base: draft.base,
        kind: draft.kind,
        elements: Vec::new(),
        members: Vec::new(),
        required: 0,
    };
    for row in chain.iter().rev().flat_map(|d| d.rows.iter()) {
        let mut element = element(draft, row, by_name, sets);
        if draft.kind == StructureKind::Resource && element.name == "id" {
            element.types = vec![Type::Primitive(Primitive::Id)]; // declared a string, restricted to an id by its text
        }
        let position = u8::try_from(out.elements.len()).unwrap_or(u8::MAX);
        for (n, kind) in element.types.iter().enumerate() {
            let name = match (element.choice, *row) {
                (true, [_, _, types, ..]) => {
                    let declared = types.split(' ').nth(n).map_or("", bare).replace("SimpleQuantity", "Quantity");
                    let (first, rest) = declared.split_at_checked(1).unwrap_or_default();
                    format!("{}{}{rest}", element.name, first.to_ascii_uppercase())
                }
                _ => element.name.to_owned(),
            };
            debug_assert!(!matches!(kind, Type::Complex(StructureId(u16::MAX))), "{}.{name}", draft.name);
            out.members.push(Member { name: name.into(), element: position, choice: u8::try_from(n).unwrap_or(0) });
        }
        if element.min > 0 {
            out.required |= 1_u128.checked_shl(u32::from(position)).unwrap_or(0);
        }
        out.elements.push(element);
    }
    out.members.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
    out
}

/// `Reference(A|B)` → `Reference`.
fn bare(declared: &str) -> &str {
    declared.split('(').next().unwrap_or(declared)
}

fn element(
    owner: &Draft,
    [name, cardinality, types, set, summary]: &[&'static str; 5],
    by_name: &HashMap<&'static str, StructureId>,
    sets: &HashMap<&str, u16>,
) -> Element {
    let id = |name: &str| by_name.get(name).copied().unwrap_or(StructureId(u16::MAX));
    let (min, max) = cardinality.split_once("..").unwrap_or(("0", "*"));
    let (name, choice) = name.strip_suffix("[x]").map_or((*name, false), |name| (name, true));
    let mut targets = Vec::new();
    let types = types.split(' ').map(|declared| match bare(declared) {
        "Reference" => {
            let named = declared.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
            targets.extend(named.split('|').filter_map(ResourceType::parse));
            Type::Reference(id("Reference"))
        }
        "Extension" => Type::Extension(id("Extension")),
        "SimpleQuantity" => Type::SimpleQuantity(id("Quantity")),
        "Resource" => Type::Resource,
        "xhtml" => Type::Xhtml,
        "BackboneElement" | "Element" => Type::Complex(id(&format!("{}.{name}", owner.name))),
        other => match (other.strip_prefix('#'), Primitive::parse(other)) {
            (Some(path), _) => Type::Complex(id(path)),
            (None, Some(primitive)) => Type::Primitive(primitive),
            (None, None) => Type::Complex(id(other)),
        },
    });
    let types = types.collect();
    Element {
        name,
        min: min.parse().unwrap_or(0),
        many: max == "*",
        choice,
        types,
        targets,
        summary: *summary == "s",
        set: sets.get(set).copied(),
    }
}

fn sets() -> Vec<CodeSet> {
    let mut sets: Vec<CodeSet> = Vec::with_capacity(256);
    sets.extend(outside::sets());
    for line in CODES.lines() {
        let mut columns = line.split('\t');
        let (Some(name), Some(system)) = (columns.next(), columns.next()) else { continue };
        let mut codes: Vec<&'static str> = columns.collect();
        codes.sort_unstable();
        match sets.last_mut().filter(|set| set.name == name) {
            Some(set) => set.systems.push((system, codes)),
            None => sets.push(CodeSet { name, systems: vec![(system, codes)], form: None }),
        }
    }
    sets
}
