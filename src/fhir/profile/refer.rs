//! References inside what is at hand: contained resources, and entries of the Bundle around.
//!
//! Source: <https://hl7.org/fhir/R4/references.html>, <https://hl7.org/fhir/R4/bundle.html#references>.

use super::item::Item;
use super::route::Step;
use crate::fhir::Json;
use crate::fhir::definition::Type;
use crate::fhir::fhirpath::reference_type;
use crate::fhir::resource::ResourceType;
use std::collections::HashMap;
use std::rc::Rc;

/// A Bundle's entries, to be found by their URL.
#[derive(Debug, Default)]
struct Entries<'a> {
    by_url: HashMap<&'a str, &'a Json>,
    by_name: HashMap<(&'a str, &'a str), &'a Json>,
}

/// Where a check is: the resource that contains, and the Bundle around it.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    /// `%rootResource`.
    pub(super) container: &'a Json,
    /// `%resource`: the contained resource, else the container.
    pub(super) resource: &'a Json,
    entries: Option<Rc<Entries<'a>>>,
    /// `fullUrl` of the entry.
    url: &'a str,
}

impl<'a> Entries<'a> {
    fn of(bundle: &'a Json) -> Self {
        let mut entries = Self::default();
        for entry in bundle["entry"].items() {
            let resource = &entry["resource"];
            if let Some(url) = entry["fullUrl"].as_str() {
                entries.by_url.entry(url).or_insert(resource);
            }
            if let (Some(rtype), Some(id)) = (resource["resourceType"].as_str(), resource["id"].as_str()) {
                entries.by_name.entry((rtype, id)).or_insert(resource);
            }
        }
        entries
    }
}

impl<'a> Scope<'a> {
    /// Of a resource by itself.
    pub(super) fn of(resource: &'a Json) -> Self {
        let entries = (resource["resourceType"].text() == "Bundle").then(|| Rc::new(Entries::of(resource)));
        Self { container: resource, resource, entries, url: "" }
    }

    /// Of what is inside an item, where that is another: a resource in a Bundle or in Parameters, a contained one, an entry.
    pub(super) fn inside(&self, item: &Item<'a>) -> Option<Self> {
        if item.kind == Some(Type::Resource) && !std::ptr::eq(item.value, self.resource) {
            if item.key == "contained" {
                return Some(Self { resource: item.value, ..self.clone() });
            }
            let own = Self::of(item.value);
            return Some(match own.entries {
                Some(_) => own,
                None => Self { container: item.value, resource: item.value, ..self.clone() },
            });
        }
        (item.key == "entry").then(|| Self { url: item.value["fullUrl"].text(), ..self.clone() })
    }

    /// The resource that a reference leads to, when it is at hand.
    pub(super) fn resolve(&self, reference: &str) -> Option<&'a Json> {
        if let Some(id) = reference.strip_prefix('#') {
            if id.is_empty() {
                return Some(self.container);
            }
            return self.container["contained"].items().iter().find(|c| c["id"].text() == id);
        }
        let entries = self.entries.as_ref()?;
        let plain = reference.split_once("/_history/").map_or(reference, |(plain, _)| plain);
        if let Some(found) = entries.by_url.get(reference).or_else(|| entries.by_url.get(plain)) {
            return Some(found);
        }
        if plain.contains(':') {
            return None;
        }
        let (rtype, id) = plain.split_once('/')?;
        let base = self.url.rsplitn(3, '/').nth(2);
        let own = base.and_then(|base| entries.by_url.get(&*format!("{base}/{plain}")));
        own.or_else(|| entries.by_name.get(&(rtype, id))).copied()
    }
}

/// Follows a discriminator's way from an item.
pub(super) fn follow<'a>(item: Item<'a>, steps: &[Step], scope: &Scope<'a>) -> Vec<Item<'a>> {
    let mut here = vec![item];
    for step in steps {
        here = here
            .into_iter()
            .flat_map(|item| match step {
                Step::Member(name) => item.members(name),
                Step::Extension(url) => {
                    item.members("extension").into_iter().filter(|e| e.value["url"].text() == &**url).collect()
                }
                Step::OfType(name) => Vec::from_iter(Some(item).filter(|i| is_a(i.type_name(), name))),
                Step::Resolve => Vec::from_iter(resolve(&item, scope)),
            })
            .collect();
    }
    here
}

/// What a Reference or canonical leads to, or at least its type.
pub(super) fn resolve<'a>(item: &Item<'a>, scope: &Scope<'a>) -> Option<Item<'a>> {
    let text = item.value.as_str().or_else(|| item.value["reference"].as_str());
    if let Some(found) = text.and_then(|text| scope.resolve(text)) {
        let key = if text.is_some_and(|t| t.starts_with('#')) { "contained" } else { "" };
        return Some(Item { key, ..Item::resource(found) });
    }
    let by_type = item.value["type"].as_str().and_then(ResourceType::parse);
    text.and_then(reference_type).or(by_type).map(Item::named)
}

/// Whether a type is another, or one of its kinds.
pub(super) fn is_a(name: &str, wanted: &str) -> bool {
    name == wanted
        || match wanted {
            "Resource" => ResourceType::parse(name).is_some(),
            "DomainResource" => {
                ResourceType::parse(name).is_some() && !matches!(name, "Bundle" | "Binary" | "Parameters")
            }
            "SimpleQuantity" | "MoneyQuantity" => name == "Quantity",
            "Quantity" => matches!(name, "Age" | "Count" | "Distance" | "Duration" | "MoneyQuantity"),
            "Element" | "BackboneElement" => true,
            _ => false,
        }
}
