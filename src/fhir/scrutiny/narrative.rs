//! Links inside narratives: `<a href="#x">` leads to an element, an anchor or a contained resource.
//!
//! A document shows the narratives of its sections together, so an anchor anywhere in the Bundle counts.
//! Source: <https://hl7.org/fhir/R4/narrative.html#id>.

use super::Look;
use crate::fhir::path::Path;
use crate::fhir::resource::printable;
use crate::fhir::xhtml;
use std::collections::HashSet;

/// What can be linked to, and what is linked to.
#[derive(Debug, Default)]
pub(super) struct Links<'j> {
    anchors: HashSet<&'j str>,
    /// Where it stands, and its target without `#`.
    wanted: Vec<(String, &'j str)>,
}

impl<'j> Links<'j> {
    /// Notes an id that a link may lead to.
    pub(super) fn anchor(&mut self, id: &'j str) {
        self.anchors.insert(id);
    }
}

impl<'j> Look<'_, 'j> {
    /// Notes anchors and links of a narrative.
    pub(super) fn narrative(&mut self, div: &'j str, path: &Path<'_>) {
        if !div.contains("\"#") && !div.contains("'#") && !div.contains("id=") && !div.contains("name=") {
            return;
        }
        for span in xhtml::anchors(div) {
            self.links.anchors.insert(div.get(span).unwrap_or_default());
        }
        for span in xhtml::links(div) {
            if let Some(target) = div.get(span).and_then(|link| link.strip_prefix('#')).filter(|t| !t.is_empty()) {
                self.links.wanted.push((path.to_string(), target));
            }
        }
    }

    /// Says which links lead nowhere, when all anchors are known.
    pub(super) fn lost_links(&mut self) {
        for (path, target) in std::mem::take(&mut self.links.wanted) {
            if !self.links.anchors.contains(target) {
                let what = format!("found a link to '#{}', which is not here; correct the link", printable(target));
                self.say_at("narrative-link", "not-found", path, what);
            }
        }
    }
}
