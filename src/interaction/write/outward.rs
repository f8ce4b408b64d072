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
    pub(super) fn target(self, base: &str, text: &str) -> Option<Target> {
        if self == Self::None {
            return None;
        }
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let target = match Link::parse(text) {
            Link::Relative(target, _) => target,
            Link::Absolute(url) => Target::parse(url.strip_prefix(base)?.strip_prefix('/')?)?,
            _ => return None,
        };
        (self == Self::All || !DIRECTORY.contains(&target.rtype.as_str())).then_some(target)
    }

    /// Those of a body.
    pub(in crate::interaction) fn targets(self, base: &str, body: &Json) -> Vec<Target> {
        let mut found = Vec::new();
        if self != Self::None {
            each_reference(body, &mut |_, text| found.extend(self.target(base, text)));
        }
        found
    }
}

/// One body to judge.
pub(in crate::interaction) struct Judged<'a> {
    /// With its references to [`Which::targets`].
    pub(in crate::interaction) body: &'a Json,
    /// Those.
    pub(in crate::interaction) targets: &'a [Target],
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
    let mut asked: Vec<(usize, &Target)> = Vec::new();
    for (n, one) in judged.iter().enumerate() {
        let mut outside = one.targets.iter().filter(|t| !inside.made.contains(t)).peekable();
        if outside.peek().is_some() {
            let before = one.was.map(|was| which.targets(base, was)).unwrap_or_default();
            asked.extend(outside.filter(|t| !before.contains(t)).map(|t| (n, t)));
        }
    }
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let mut targets: Vec<Target> = asked.iter().map(|(_, t)| (*t).clone()).collect();
    targets.sort_unstable();
    targets.dedup();
    let present = tx.present(limit, &targets).await?;
    let mut lost: BTreeMap<usize, Vec<&Target>> = BTreeMap::new();
    for (n, target) in asked {
        if !present.contains_key(target) || inside.gone.contains(target) {
            lost.entry(n).or_default().push(target);
        }
    }
    for (n, lost) in lost {
        let Some(one) = judged.get(n) else { continue };
        each_reference(one.body, &mut |path, text| {
            if let Some(target) = which.target(base, text).filter(|t| lost.contains(&t)) {
                faults.add(unknown(&target).at(path.to_string()), one.place);
            }
        });
    }
    Ok(present)
}

/// The same text whether it is not there, deleted, or another's.
fn unknown(target: &Target) -> Error {
    let text = format!("the reference leads to {target}, which is not known here; correct it, or send that, too");
    Error::unprocessable(text).code("not-found")
}
