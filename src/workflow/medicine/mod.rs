//! What a medicine is: substances, strength, form and route read out of displays, codes and directions.
//!
//! For: the lines that reconciliation compares, and reports for people. Pure; the words are data (`profiles/medicine`).
//! Not for: which list a medicine stands in (`list.rs`), or comparing two (`reconcile/`).
//! What cannot be read is named ([`Gap`]), never guessed.
//! Source: RxNorm's way of naming (ingredient, strength, dose form, brand in brackets), own rules for everything looser.

pub mod decimal;
pub mod display;
pub mod dosage;
pub mod line;
pub mod tables;
mod words;

#[cfg(test)]
mod tests;

pub use decimal::Decimal;
pub use display::read;
pub use dosage::Regimen;
pub use line::Line;
pub use tables::Tables;

use std::fmt;
use tables::Unit;

/// A number with its unit, as written and in the base unit that amounts are compared in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// As written.
    pub value: Decimal,
    /// The unit for people: `mg`.
    pub unit: String,
    /// What the unit measures: `mass`, `volume`, `time`, `actuation`, `piece`.
    pub kind: String,
    /// In the base unit.
    pub base: (Decimal, String),
}

impl Amount {
    /// An amount of a known unit; `None` when it has more digits than can be reckoned with.
    #[must_use]
    pub fn of(value: Decimal, unit: &Unit) -> Option<Self> {
        let base = (value.times(unit.times)?, unit.base.clone());
        Some(Self { value, unit: unit.display.clone(), kind: unit.kind.clone(), base })
    }

    /// Whether both are as much, whatever the unit they are written in.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.base == other.base
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.unit)
    }
}

/// How much of a substance is in a piece, or in so much of the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strength {
    /// How much.
    pub amount: Amount,
    /// In how much; `None`: in one piece.
    pub per: Option<Amount>,
}

impl Strength {
    /// Whether both are as strong: 160 mg in 5 mL is 32 mg in 1 mL.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        let one = |p: &Option<Amount>| p.as_ref().map_or((Decimal::ONE, String::new()), |p| p.base.clone());
        let ((here, unit), (there, other_unit)) = (one(&self.per), one(&other.per));
        let (a, b) = (&self.amount.base, &other.amount.base);
        unit == other_unit && a.1 == b.1 && a.0.times(there).is_some() && a.0.times(there) == b.0.times(here)
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.per {
            None => write!(f, "{}", self.amount),
            Some(per) if per.value == Decimal::ONE => write!(f, "{}/{}", self.amount, per.unit),
            Some(per) => write!(f, "{}/{} {}", self.amount, per.value, per.unit),
        }
    }
}

/// One substance of a medicine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredient {
    /// Lower case, without salt: `metoprolol`.
    pub name: String,
    /// `tartrate`.
    pub salt: Option<String>,
    /// `None`: not said.
    pub strength: Option<Strength>,
}

/// A medicine as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Medicine {
    /// By name, then salt.
    pub ingredients: Vec<Ingredient>,
    /// A code of `medicine-form`.
    pub form: Option<String>,
    /// Codes of `medicine-quality` that make a difference, sorted.
    pub qualities: Vec<String>,
    /// A code of `medicine-route`.
    pub route: Option<String>,
    /// As written.
    pub brand: Option<String>,
    /// How much one container holds: 3 mL, 200 puffs.
    pub size: Option<Amount>,
    /// How long one piece works or one pack lasts.
    pub lasts: Option<Amount>,
    /// Whether it is a pack or kit.
    pub is_bundle: bool,
    /// What a pack holds, where its pieces differ: (how many, each).
    pub parts: Vec<(Decimal, Medicine)>,
}

impl Medicine {
    /// Names of the substances, sorted, each once.
    #[must_use]
    pub fn substances(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.ingredients.iter().map(|i| i.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The strength for people, substances in order; "" when none is said.
    #[must_use]
    pub fn strength(&self) -> String {
        if !self.parts.is_empty() {
            let part = |(n, m): &(Decimal, Medicine)| format!("{n} × {}", m.name_and_strength());
            return self.parts.iter().map(part).collect::<Vec<_>>().join(" + ");
        }
        let strengths = self.ingredients.iter().filter_map(|i| i.strength.as_ref()).map(ToString::to_string);
        strengths.collect::<Vec<_>>().join(" / ")
    }

    fn name_and_strength(&self) -> String {
        let one = |i: &Ingredient| i.strength.as_ref().map_or_else(|| i.name.clone(), |s| format!("{} {s}", i.name));
        self.ingredients.iter().map(one).collect::<Vec<_>>().join(" / ")
    }

    /// The form for people, with its qualities.
    #[must_use]
    pub fn form_text(&self) -> String {
        let mut words: Vec<&str> = self.qualities.iter().map(String::as_str).collect();
        words.extend(self.form.as_deref());
        words.join(" ")
    }

    /// Whether both are the same product, brand and container size apart.
    #[must_use]
    pub fn is_same_product(&self, other: &Self) -> bool {
        self.substances() == other.substances()
            && self.has_strength_of(other)
            && self.form == other.form
            && self.qualities == other.qualities
            && self.route == other.route
    }

    /// Whether each substance is as strong in both.
    #[must_use]
    pub fn has_strength_of(&self, other: &Self) -> bool {
        let same = |a: &Ingredient, b: &Ingredient| match (&a.strength, &b.strength) {
            (Some(a), Some(b)) => a.equals(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        self.ingredients.len() == other.ingredients.len()
            && self.ingredients.iter().zip(&other.ingredients).all(|(a, b)| a.name == b.name && same(a, b))
            && self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(|((n, a), (m, b))| n == m && a.has_strength_of(b))
    }
}

impl fmt::Display for Medicine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.ingredients.iter().map(|i| match (&i.salt, &i.strength) {
            (Some(salt), Some(strength)) => format!("{} {salt} {strength}", i.name),
            (Some(salt), None) => format!("{} {salt}", i.name),
            (None, Some(strength)) => format!("{} {strength}", i.name),
            (None, None) => i.name.clone(),
        });
        write!(f, "{}", names.collect::<Vec<_>>().join(" / "))?;
        for text in [self.form_text(), self.route.clone().unwrap_or_default()] {
            if !text.is_empty() {
                write!(f, ", {text}")?;
            }
        }
        if !self.parts.is_empty() {
            write!(f, " ({})", self.strength())?;
        } else if self.is_bundle {
            write!(f, " (pack)")?;
        }
        Ok(())
    }
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// No substance is named.
    Ingredient,
    /// No strength, or not one for each substance.
    Strength,
    /// No dose form.
    Form,
    /// A word that no table has.
    Word(String),
    /// Code and text name different substances.
    Contradiction(String),
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingredient => write!(f, "no substance is named"),
            Self::Strength => write!(f, "no strength for each substance"),
            Self::Form => write!(f, "no dose form"),
            Self::Word(word) => write!(f, "'{word}' is not understood"),
            Self::Contradiction(text) => write!(f, "code and text name different medicines: {text}"),
        }
    }
}

/// A medicine and what was not to be read of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// As far as it could be read.
    pub medicine: Medicine,
    /// Sorted, each once.
    pub gaps: Vec<Gap>,
}
