//! The desk that one reaction works on: what it reads and changes, written once at the end and only where it differs.

use super::{Ask, Held, Records};
use crate::error::Result;
use crate::fhir::{Json, Target, meta};
use std::collections::BTreeMap;

/// One resource on the desk.
#[derive(Debug, Clone)]
struct Sheet {
    stored: Option<Json>,
    now: Json,
    org: i64,
}

/// What one reaction reads and changes.
pub struct Desk<'a, R> {
    /// Where it comes from and goes to.
    pub records: &'a mut R,
    sheets: BTreeMap<Target, Option<Sheet>>,
}

impl<'a, R: Records> Desk<'a, R> {
    /// An empty desk.
    pub fn new(records: &'a mut R) -> Self {
        Self { records, sheets: BTreeMap::new() }
    }

    /// Takes resources to the desk, in one read.
    pub async fn load(&mut self, targets: &[Target]) -> Result<()> {
        let missing: Vec<Target> = targets.iter().filter(|t| !self.sheets.contains_key(*t)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let found = self.records.fetch(&missing).await?;
        for (target, held) in missing.into_iter().zip(found) {
            self.lay(target, held);
        }
        Ok(())
    }

    /// See [`Records::assume_absent`].
    pub fn assume_absent(&mut self, targets: &[Target]) {
        self.records.assume_absent(targets);
        for target in targets {
            self.lay(target.clone(), None);
        }
    }

    fn lay(&mut self, target: Target, held: Option<Held>) {
        let sheet = held.map(|h| Sheet { stored: Some(h.json.clone()), now: h.json, org: h.org });
        self.sheets.entry(target).or_insert(sheet);
    }

    /// A resource as it is now, changes of this reaction included.
    pub async fn get(&mut self, target: &Target) -> Result<Option<Json>> {
        self.load(std::slice::from_ref(target)).await?;
        Ok(self.peek(target).cloned())
    }

    /// The same, of what is on the desk already.
    #[must_use]
    pub fn peek(&self, target: &Target) -> Option<&Json> {
        self.sheets.get(target)?.as_ref().map(|s| &s.now)
    }

    /// The owner of a resource on the desk.
    #[must_use]
    pub fn org(&self, target: &Target) -> Option<i64> {
        self.sheets.get(target)?.as_ref().map(|s| s.org)
    }

    /// All that one of the asks finds, as it is now.
    pub async fn referring(&mut self, asks: &[Ask]) -> Result<Vec<Target>> {
        let found = self.records.referring(asks).await?;
        let targets = found.iter().map(|h| h.target.clone()).collect();
        for held in found {
            self.lay(held.target.clone(), Some(held));
        }
        Ok(targets)
    }

    /// What was there before this reaction and is another now: as stored, and as it is.
    pub fn changed(&self) -> impl Iterator<Item = (&Target, &Json, &Json)> {
        let sheets = self.sheets.iter().filter_map(|(t, s)| Some((t, s.as_ref()?)));
        sheets.filter_map(|(t, s)| Some((t, s.stored.as_ref()?, &s.now))).filter(|(_, was, is)| was != is)
    }

    /// Puts a resource on the desk, new or in place of what is there. `org` counts when it is new.
    pub async fn set(&mut self, target: &Target, json: Json, org: i64) -> Result<()> {
        self.load(std::slice::from_ref(target)).await?;
        match self.sheets.get_mut(target) {
            Some(Some(sheet)) => sheet.now = json,
            _ => drop(self.sheets.insert(target.clone(), Some(Sheet { stored: None, now: json, org }))),
        }
        Ok(())
    }

    /// Changes a resource that is on the desk; nothing happens when it is not.
    pub fn edit(&mut self, target: &Target, change: impl FnOnce(&mut Json)) {
        if let Some(Some(sheet)) = self.sheets.get_mut(target) {
            change(&mut sheet.now);
        }
    }

    /// Writes what has changed, in the order of addresses: the end of the desk.
    pub async fn flush(self) -> Result<()> {
        for (target, sheet) in self.sheets {
            let Some(sheet) = sheet else { continue };
            if sheet.stored.is_none_or(|s| s != sheet.now && !same(s, sheet.now.clone())) {
                self.records.put(&target, &sheet.now, sheet.org).await?;
            }
        }
        Ok(())
    }
}

/// Whether two trees say the same, `id`, version, time of writing and security labels left out: those are put on as it is written.
fn same(a: Json, b: Json) -> bool {
    let bare = |mut json: Json| {
        meta::clear(&mut json);
        json.remove("id");
        if let Some(meta) = json.get_mut("meta") {
            meta.remove("security");
        }
        if json["meta"].as_object().is_some_and(|m| m.iter().next().is_none()) {
            json.remove("meta");
        }
        json
    };
    bare(a) == bare(b)
}
