//! What a query asks for, as conditions over index rows; `store/search.rs` makes SQL of it.

use crate::fhir::resource::ResourceType;

/// How a reference names what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// By type and id: the number of [`super::Keys::target`].
    Id,
    /// By canonical: one of the numbers of [`super::Keys::canonical`] that the target is known by.
    Canonical,
}

/// One condition on a version row `v`.
#[derive(Debug, Clone, PartialEq)]
pub enum Cond {
    /// `idx` holds one of these keys for `v`. Empty: nothing matches.
    Exact(Vec<i64>),
    /// `idx_range` holds a row of `key` for `v` with `lo` and `hi` in these bounds (inclusive).
    Range {
        /// The parameter (or the parameter with a unit).
        key: i64,
        /// Bounds of the row's `lo`: at least, at most.
        lo: (Option<i64>, Option<i64>),
        /// Bounds of the row's `hi`: at least, at most.
        hi: (Option<i64>, Option<i64>),
    },
    /// `idx_text` holds a row of `key` for `v` that starts with (or, `anywhere`, contains) `text`, both folded.
    Text {
        /// The parameter.
        key: i64,
        /// Folded text.
        text: String,
        /// `:contains`.
        anywhere: bool,
    },
    /// `version.facts` names the parameter (`present`) or does not.
    Present {
        /// The parameter's code.
        param: String,
        /// `:missing=false`.
        present: bool,
    },
    /// The logical id is one of these.
    Ids(Vec<String>),
    /// `meta.lastUpdated` (= `pk`) in these bounds (inclusive).
    Updated {
        /// At least.
        from: Option<i64>,
        /// At most.
        to: Option<i64>,
    },
    /// Chain: a reference of `param` (key of [`super::Keys::param`]) leads to a current resource of one of `types` that
    /// meets `target` and that the caller may see.
    Chain {
        /// Key of the reference parameter.
        param: i64,
        /// Types it may lead to.
        types: Vec<ResourceType>,
        /// By which name it leads there.
        by: Link,
        /// Whether a resource has one such reference at most: then several chains along it are about the same target.
        is_single: bool,
        /// What the target must meet.
        target: Box<Cond>,
    },
    /// `_has`: a current resource of `rtype`, visible to the caller, refers to `v` by `param` and meets `source`.
    Has {
        /// The referring type.
        rtype: ResourceType,
        /// Key of its reference parameter.
        param: i64,
        /// By which name it refers.
        by: Link,
        /// What it must meet.
        source: Box<Cond>,
    },
    /// `v` is of this type.
    Type(ResourceType),
    /// Full text: `v` holds all of these words, in its narrative or (unless `narrative`) in any text.
    Words {
        /// Folded words; each with whether it is only the beginning of one. At least one.
        words: Vec<(String, bool)>,
        /// `_text`
        narrative: bool,
    },
    /// Of the rows of `idx_range` for `v`, (z, x) under the first key and (y, y) under the second, the point is no further from `at`
    /// (x, y, z) than `chord`; whole numbers up to 10^9.
    Near {
        /// Where its numbers are.
        keys: (i64, i64),
        /// The point.
        at: [i64; 3],
        /// The longest straight line.
        chord: i64,
    },
    /// None of it.
    Not(Box<Cond>),
    /// One of them (comma). Empty: nothing matches.
    Any(Vec<Cond>),
    /// Each of them (repeated parameter). Empty: everything matches.
    All(Vec<Cond>),
}

impl Cond {
    /// One of several. Key conditions become one; a single one stands for itself.
    #[must_use]
    pub fn any(list: Vec<Self>) -> Self {
        let mut keys = Vec::new();
        let mut out: Vec<Self> = Vec::new();
        for cond in list {
            match cond {
                Self::Exact(more) => keys.extend(more),
                Self::Any(more) => out.extend(more),
                other if out.contains(&other) => {}
                other => out.push(other),
            }
        }
        if !keys.is_empty() || out.is_empty() {
            keys.sort_unstable();
            keys.dedup();
            out.insert(0, Self::Exact(keys));
        }
        if out.len() == 1 { out.remove(0) } else { Self::Any(out) }
    }

    /// How many conditions it is made of; keys beside each other count as one.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Any(list) | Self::All(list) => list.iter().map(Self::weight).sum(),
            Self::Not(inner) => inner.weight(),
            Self::Chain { target: inner, .. } | Self::Has { source: inner, .. } => 1 + inner.weight(),
            _ => 1,
        }
    }

    /// Each of several; a single one stands for itself. Chains along a reference that a resource has once are one.
    #[must_use]
    pub fn all(list: Vec<Self>) -> Self {
        let mut out: Vec<Self> = Vec::with_capacity(list.len());
        for cond in list {
            match cond {
                Self::Chain { param, types, by, is_single: true, target } => {
                    let met = out.iter_mut().find_map(|c| match c {
                        Self::Chain { param: p, types: t, by: b, is_single: true, target }
                            if *p == param && *t == types && *b == by =>
                        {
                            Some(target)
                        }
                        _ => None,
                    });
                    match met {
                        Some(met) => {
                            let both = match std::mem::replace(&mut **met, Self::All(Vec::new())) {
                                Self::All(mut list) => {
                                    list.push(*target);
                                    list
                                }
                                one => vec![one, *target],
                            };
                            **met = Self::all(both);
                        }
                        None => out.push(Self::Chain { param, types, by, is_single: true, target }),
                    }
                }
                other => out.push(other),
            }
        }
        if out.len() == 1 { out.remove(0) } else { Self::All(out) }
    }
}

/// What rows are put in order by. After the last one comes `pk`, newest first.
#[derive(Debug, Clone, PartialEq)]
pub enum SortBy {
    /// `_lastUpdated`, the order of `pk`.
    Updated,
    /// `_id`.
    Id,
    /// The resource type, by name: of several types the same id may be in each.
    Type,
    /// Lowest `lo` (ascending) or highest `hi` (descending) of these `idx_range` keys, one for each type.
    Range(Vec<i64>),
    /// First (ascending) or last (descending) text of these `idx_text` keys, one for each type.
    Text(Vec<i64>),
    /// A value of `version.facts`.
    Fact(String),
}

/// One `_sort` criterion.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// `-param`.
    pub descending: bool,
}

/// A whole search over one type (or, for system search, several).
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Types searched, at least one.
    pub types: Vec<ResourceType>,
    /// What must hold; `Cond::All(vec![])` for everything.
    pub cond: Cond,
    /// In what order; empty: newest first.
    pub sort: Vec<Sort>,
    /// Rows a page; 0 asks for the count only.
    pub count: usize,
    /// Whether to count all matches (`_total=accurate`).
    pub total: bool,
}
