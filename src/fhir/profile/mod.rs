//! Profiles: what a StructureDefinition asks beyond its base type, compiled once and held against resources.
//!
//! For: what a resource claims in `meta.profile`, what policy requires of a sender or a type, `$validate`, and every
//! extension whose definition is known. [`Loader`] takes StructureDefinitions, ValueSets and CodeSystems; [`Profiles`] is
//! what becomes of them. R4's own profiles and extensions are always there.
//! Not for: what R4 itself asks (`fhir::validate` has judged that before), or reading files (`conformance`).
//!
//! [`source`] what is kept of a definition · [`build`] its tree · [`link`] what tells slices · [`check`] the walk ·
//! [`slicing`] items to slices · [`refer`] references inside what is at hand · [`terms`] codes · [`extension`] where they
//! may stand · [`examine`] definitions that are not in force.
//! Source: <https://hl7.org/fhir/R4/profiling.html>, <https://hl7.org/fhir/R4/validation.html>.

mod build;
mod check;
mod demand;
mod examine;
mod extension;
mod invariant;
mod item;
mod link;
mod model;
mod refer;
mod route;
mod shelf;
mod slicing;
mod source;
mod terms;
#[cfg(test)]
mod tests;
mod value;

pub use examine::{Fault, Slot};
pub use model::Profile;

use crate::error::{Issue, Severity};
use crate::fhir::{Json, json};
use model::{Node, ProfileId};
use shelf::Shelf;
use source::{Read, Source};
use std::collections::HashMap;
use terms::Terms;

/// R4's own profiles and extensions, made by `examples/definitions.rs`: a StructureDefinition a line.
const R4: &str = include_str!("../definition/profiles.ndjson");

/// The profiles in force, with the value sets that they bind to.
#[derive(Debug, Default)]
pub struct Profiles {
    list: Vec<Profile>,
    by_url: HashMap<Box<str>, Vec<ProfileId>>,
    terms: Terms,
    /// Type and profile: `ImplementationGuide.global` of packages.
    globals: Vec<(Box<str>, Box<str>)>,
    shelf: Shelf,
}

/// What is wrong with a file, or worth a note in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Package and file.
    pub file: String,
    /// One sentence.
    pub text: String,
    /// Whether the profile cannot be used; else a part of it is passed over.
    pub is_fatal: bool,
}

/// Collects what profiles are made of.
#[derive(Debug, Default)]
pub struct Loader {
    sources: Vec<Source>,
    terms: Terms,
    globals: Vec<(Box<str>, Box<str>)>,
    shelf: Shelf,
    complaints: Vec<Complaint>,
}

impl Loader {
    /// With R4's own profiles.
    #[must_use]
    pub fn new() -> Self {
        let mut loader = Self::default();
        for line in R4.lines() {
            if let Ok(definition) = json::parse(line.as_bytes()) {
                loader.add("R4", &definition);
            }
        }
        loader
    }

    /// Takes a resource in; what is no StructureDefinition, ValueSet, CodeSystem or ImplementationGuide is passed over. `file`: for
    /// complaints.
    pub fn add(&mut self, file: &str, resource: &Json) {
        let complain = |text: String, is_fatal| Complaint { file: file.into(), text, is_fatal };
        match resource["resourceType"].text() {
            "StructureDefinition" => match source::read(file, resource) {
                Ok(Read::Other) => {}
                Ok(Read::Profile(source)) => {
                    let same = |s: &Source| s.url == source.url && s.version == source.version;
                    match self.sources.iter_mut().find(|s| same(s)) {
                        None => self.sources.push(source),
                        // R4's own give way to a package's copy, which has the snapshot.
                        Some(first) if &*first.file == "R4" => *first = source,
                        Some(first) => {
                            let text =
                                format!("{} is there already, from {}; the first one stays", source.url, first.file);
                            self.complaints.push(complain(text, false));
                        }
                    }
                }
                Err(text) => self.complaints.push(complain(text, true)),
            },
            "ValueSet" | "CodeSystem" => drop(self.terms.add(resource)),
            "ImplementationGuide" => {
                let global = |g: &Json| (g["type"].text().into(), g["profile"].text().into());
                self.globals.extend(resource["global"].items().iter().map(global));
            }
            _ => {}
        }
    }

    /// As [`add`](Self::add), of a package, whose terminology is kept for questions, too.
    pub fn add_of_package(&mut self, file: &str, resource: &Json) {
        self.shelf.add(resource);
        self.add(file, resource);
    }

    /// Compiles all of it. A profile with a fatal complaint is left out.
    #[must_use]
    pub fn compile(self) -> (Profiles, Vec<Complaint>) {
        let Self { sources, terms, globals, shelf, mut complaints } = self;
        let mut by_url: HashMap<&str, Vec<usize>> = HashMap::new();
        for (n, source) in sources.iter().enumerate() {
            by_url.entry(&source.url).or_default().push(n);
        }
        let mut maker = Maker {
            sources: &sources,
            by_url,
            made: sources.iter().map(|_| Made::Not).collect(),
            complaints: Vec::new(),
        };
        for n in 0..sources.len() {
            maker.make(n);
        }
        complaints.append(&mut maker.complaints);
        let mut profiles = Profiles { terms, globals, shelf, ..Profiles::default() };
        let made = std::mem::take(&mut maker.made);
        for (source, made) in sources.iter().zip(made) {
            let Made::Tree(nodes) = made else { continue };
            let id = profiles.list.len();
            profiles.by_url.entry(source.url.clone()).or_default().push(id);
            profiles.list.push(Profile {
                url: source.url.clone(),
                version: source.version.clone(),
                rtype: source.rtype.clone(),
                file: source.file.clone(),
                contexts: source.contexts.clone(),
                nodes,
            });
        }
        for ids in profiles.by_url.values_mut() {
            ids.sort_by_key(|id| std::cmp::Reverse(profiles.list.get(*id).map(|p| version_key(p.version.as_deref()))));
        }
        link::link(&mut profiles);
        (profiles, complaints)
    }
}

/// Builds trees, bases before what is derived from them.
struct Maker<'s> {
    sources: &'s [Source],
    by_url: HashMap<&'s str, Vec<usize>>,
    made: Vec<Made>,
    complaints: Vec<Complaint>,
}

enum Made {
    Not,
    Being,
    Failed,
    Tree(Vec<Node>),
}

impl Maker<'_> {
    fn make(&mut self, n: usize) {
        let Some(source) = self.sources.get(n) else { return };
        if !matches!(self.made.get(n), Some(Made::Not)) {
            return;
        }
        self.set(n, Made::Being);
        let tree = self.base(source).and_then(|base| {
            let base = base.and_then(|at| match self.made.get(at) {
                Some(Made::Tree(nodes)) => Some(nodes.as_slice()),
                _ => None,
            });
            build::Tree::build(source, base)
        });
        let complain = |text, is_fatal| Complaint { file: source.file.to_string(), text, is_fatal };
        match tree {
            Ok(tree) => {
                self.complaints
                    .extend(tree.notes.into_iter().map(|why| complain(format!("{}: {why}", source.url), false)));
                self.set(n, Made::Tree(tree.nodes));
            }
            Err(why) => {
                self.complaints.push(complain(format!("{}: {why}", source.url), true));
                self.set(n, Made::Failed);
            }
        }
    }

    fn set(&mut self, n: usize, made: Made) {
        if let Some(slot) = self.made.get_mut(n) {
            *slot = made;
        }
    }

    /// The profile that a differential is laid on; `None`: a type of R4.
    fn base(&mut self, source: &Source) -> Result<Option<usize>, String> {
        let (url, version) = canonical(&source.base);
        if source.is_snapshot || is_type(url) {
            return Ok(None);
        }
        let ids = self.by_url.get(url).map_or(&[][..], Vec::as_slice);
        let fits =
            |n: &&usize| version.is_none() || self.sources.get(**n).and_then(|s| s.version.as_deref()) == version;
        let mut fitting: Vec<usize> = ids.iter().filter(fits).copied().collect();
        fitting.sort_by_key(|n| version_key(self.sources.get(*n).and_then(|s| s.version.as_deref())));
        let Some(at) = fitting.pop() else {
            return Err(format!("baseDefinition: {} is not known here; add the package that has it", source.base));
        };
        self.make(at);
        match self.made.get(at) {
            Some(Made::Tree(_)) => Ok(Some(at)),
            Some(Made::Being) => Err(format!("baseDefinition: {} is derived from this profile in turn", source.base)),
            _ => Err(format!("baseDefinition: {} could not be compiled", source.base)),
        }
    }
}

impl Profiles {
    /// R4's own.
    #[must_use]
    pub fn of_r4() -> Self {
        Loader::new().compile().0
    }

    /// A profile by its canonical; without a version the highest.
    #[must_use]
    pub fn find(&self, canonical: &str) -> Option<&Profile> {
        self.list.get(self.find_id(canonical)?)
    }

    /// Whether a canonical means a profile that is there, or a type of R4 itself.
    #[must_use]
    pub fn knows(&self, url: &str) -> bool {
        self.find_id(url).is_some() || is_type(canonical(url).0)
    }

    fn find_id(&self, text: &str) -> Option<ProfileId> {
        let (url, version) = canonical(text);
        let ids = self.by_url.get(url)?;
        let fits =
            |id: &&ProfileId| version.is_none() || self.list.get(**id).and_then(|p| p.version.as_deref()) == version;
        ids.iter().find(fits).copied()
    }

    /// The versions of a profile that are there.
    #[must_use]
    pub fn versions(&self, url: &str) -> Vec<&str> {
        let ids = self.by_url.get(url).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.list.get(*id)?.version.as_deref()).collect()
    }

    /// All profiles: R4's first.
    pub fn all(&self) -> impl Iterator<Item = &Profile> {
        self.list.iter()
    }

    /// The profiles that guides declare global for a type.
    pub fn globals(&self, rtype: &str) -> impl Iterator<Item = &str> {
        self.globals.iter().filter(move |(of, _)| **of == *rtype).map(|(_, profile)| &**profile)
    }

    /// A CodeSystem, ValueSet or ConceptMap of a package; without a version the highest.
    #[must_use]
    pub fn term(&self, rtype: &str, url: &str, version: Option<&str>) -> Option<Json> {
        self.shelf.find(rtype, url, version)
    }

    /// URLs of the code systems of packages.
    pub fn code_systems(&self) -> impl Iterator<Item = &str> {
        self.shelf.systems()
    }

    /// Profiles of a resource type that are in force and not R4's own: canonical and version, in order.
    #[must_use]
    pub fn supported(&self, rtype: &str) -> Vec<String> {
        let own = self.list.iter().filter(|p| *p.rtype == *rtype && &*p.file != "R4");
        let mut all: Vec<String> = own.map(Profile::canonical).collect();
        all.sort_unstable();
        all
    }

    /// How many value sets and code systems are there beside R4's tables.
    #[must_use]
    pub fn terms(&self) -> (usize, usize) {
        self.terms.count()
    }

    /// Holds a resource that is valid R4 against the profiles that it claims, those that are `asked` for, and the
    /// definitions of its extensions; so also resources in Bundles, Parameters and `contained`, by what they claim.
    ///
    /// `unknown`: how bad it is that a profile is not known; `None`: not worth a word.
    #[must_use]
    pub fn check(&self, resource: &Json, asked: &[&str], unknown: &dyn Fn(&str) -> Option<Severity>) -> Vec<Issue> {
        check::run(self, resource, asked, &[], unknown, 0)
    }

    /// As [`Profiles::check`] of a resource against which R4 has `known`: an invariant that a fault of form may have broken says
    /// nothing more.
    #[must_use]
    pub fn check_beside(
        &self,
        resource: &Json,
        asked: &[&str],
        known: &[Issue],
        unknown: &dyn Fn(&str) -> Option<Severity>,
    ) -> Vec<Issue> {
        check::run(self, resource, asked, known, unknown, 0)
    }
}

/// `url` and `version` of a canonical.
#[must_use]
pub fn canonical(text: &str) -> (&str, Option<&str>) {
    let text = text.split_once('#').map_or(text, |(url, _)| url);
    text.split_once('|').map_or((text, None), |(url, version)| (url, Some(version)))
}

/// Whether a URL is that of a type of R4 itself.
#[must_use]
pub fn is_type(url: &str) -> bool {
    url.strip_prefix(build::R4).is_some_and(|name| {
        crate::fhir::definition::structure(name).is_some()
            || crate::fhir::primitive::Primitive::parse(name).is_some()
            || matches!(name, "Resource" | "DomainResource" | "Element" | "BackboneElement")
    })
}

/// Versions in the order of their numbers: 10.0.0 after 9.0.0, a release after its drafts.
fn version_key(version: Option<&str>) -> (Vec<u64>, bool, String) {
    let text = version.unwrap_or_default();
    let (numbers, label) = text.split_once('-').unwrap_or((text, ""));
    let parts = numbers.split('.').map(|n| n.parse().unwrap_or(0)).collect();
    (parts, label.is_empty(), label.to_owned())
}
