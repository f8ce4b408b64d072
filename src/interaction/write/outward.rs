//! References that lead out of a request: each to something that is there and that the writer may see.
//!
//! Not judged: what leads into the same request, what the stored version said already, fragments, `urn:` (see [`resolve`]),
//! other servers, references by identifier. Of a caller without walls (super-user, Baton itself), and of directory types,
//! only `references = "strict"` judges any. One query a request, and one text for "not there" and "not yours".
//! Source: <https://hl7.org/fhir/R4/references.html#literal>; what may be referred to: own rule (`security.md` section 2).
//!
//! [`resolve`]: super::resolve

use super::faults::Faults;
use crate::access::Limit;
use crate::access::limit::DIRECTORY;
use crate::config::References;
use crate::error::{Error, Result};
use crate::fhir::bundle::{Link, each_reference};
use crate::fhir::{Json, Target};
use crate::interaction::House;
use crate::store::Tx;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Which references are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::interaction) enum Which {
    /// None: the writer sees everything, and the site wants no more.
    None,
    /// Those to types that organisations own.
    Owned,
    /// All that lead to this server.
    All,
}

impl Which {
    /// Those of a writer with this limit.
    pub(in crate::interaction) fn of(house: &House, limit: &Limit) -> Self {
        match (house.references, limit) {
            (References::Strict, _) => Self::All,
            (References::Visible, Limit::Everything) => Self::None,
            (References::Visible, _) => Self::Owned,
        }
    }

    /// What a reference leads to, where that is to be judged.
    pub(super) fn lead(self, base: &str, text: &str) -> Option<Lead> {
        if self == Self::None {
            return None;
        }
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let local = match Link::parse(text) {
            Link::Absolute(url) => url.strip_prefix(base)?.strip_prefix('/')?,
            _ => text,
        };
        let Link::Relative(target, version) = Link::parse(local) else { return None };
        // What is no number is no version of Baton's.
        let version = version.map(|text| text.parse().ok().filter(|n| *n > 0).unwrap_or(i64::MAX));
        (self == Self::All || !DIRECTORY.contains(&target.rtype.as_str())).then_some(Lead { target, version })
    }

    /// Those of a body.
    pub(in crate::interaction) fn leads(self, base: &str, body: &Json) -> Vec<Lead> {
        let mut found = Vec::new();
        if self != Self::None {
            each_reference(body, &mut |_, text| found.extend(self.lead(base, text)));
        }
        found
    }
}

/// Where a reference to this server leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::interaction) struct Lead {
    /// To this resource.
    pub(in crate::interaction) target: Target,
    /// To this version of it; `i64::MAX` where it has none of that name.
    pub(in crate::interaction) version: Option<i64>,
}

/// One body to judge.
pub(in crate::interaction) struct Judged<'a> {
    /// With its references to [`Which::leads`].
    pub(in crate::interaction) body: &'a Json,
    /// Those.
    pub(in crate::interaction) leads: &'a [Lead],
    /// What is stored now: what it says is not judged again.
    pub(in crate::interaction) was: Option<&'a Json>,
    /// `Bundle.entry[3]`, or "".
    pub(in crate::interaction) place: &'a str,
}

/// What a request brings and takes away.
#[derive(Default)]
pub(in crate::interaction) struct Inside<'a> {
    /// There after it.
    pub(in crate::interaction) made: HashSet<&'a Target>,
    /// Gone after it.
    pub(in crate::interaction) gone: HashSet<&'a Target>,
}

/// Judges all references of a request. Answers the security labels of where they lead.
///
/// # Errors
/// What the database says. References that lead nowhere are faults of their entries: `Unprocessable` at each.
pub(in crate::interaction) async fn judge(
    tx: &mut Tx,
    house: &House,
    limit: &Limit,
    judged: &[Judged<'_>],
    inside: &Inside<'_>,
    faults: &mut Faults,
) -> Result<HashMap<Target, i64>> {
    let which = Which::of(house, limit);
    let base = house.env.base.as_str();
    let mut asked: Vec<(usize, &Lead)> = Vec::new();
    for (n, one) in judged.iter().enumerate() {
        let is_asked = |lead: &&Lead| lead.version.is_some() || !inside.made.contains(&lead.target);
        let mut asks = one.leads.iter().filter(is_asked).peekable();
        if asks.peek().is_some() {
            let before = one.was.map(|was| which.leads(base, was)).unwrap_or_default();
            asked.extend(asks.filter(|lead| !before.contains(lead)).map(|lead| (n, lead)));
        }
    }
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let mut targets: Vec<Target> = asked.iter().map(|(_, lead)| lead.target.clone()).collect();
    targets.sort_unstable();
    targets.dedup();
    let present = tx.present(limit, &targets).await?;
    let mut lost: BTreeMap<usize, Vec<(&Lead, Error)>> = BTreeMap::new();
    for (n, lead) in asked {
        let is_made = inside.made.contains(&lead.target);
        let here = present.get(&lead.target).filter(|_| !inside.gone.contains(&lead.target));
        let error = match (here, lead.version) {
            // Versions are numbered without gaps; the request itself may make the next one.
            (Some(here), Some(version)) if version > here.version + i64::from(is_made) => no_version(&lead.target),
            (None, _) if !is_made => unknown(&lead.target),
            _ => continue,
        };
        lost.entry(n).or_default().push((lead, error));
    }
    for (n, lost) in lost {
        let Some(one) = judged.get(n) else { continue };
        each_reference(one.body, &mut |path, text| {
            let lead = which.lead(base, text);
            if let Some((_, error)) = lost.iter().find(|(l, _)| Some(*l) == lead.as_ref()) {
                faults.add(Error::with_issues(error.kind, error.issues.clone()).at(path.to_string()), one.place);
            }
        });
    }
    Ok(present.into_iter().map(|(target, here)| (target, here.labels)).collect())
}

fn no_version(target: &Target) -> Error {
    let text =
        format!("the reference leads to a version that {target} does not have; correct it, or leave /_history/… out");
    Error::unprocessable(text).code("not-found")
}

/// The same text whether it is not there, deleted, or another's.
fn unknown(target: &Target) -> Error {
    let text = format!("the reference leads to {target}, which is not known here; correct it, or send that, too");
    Error::unprocessable(text).code("not-found")
}
