//! The words of medicines as data: units, routes, forms, qualities, salts, substances, brands, phrases of directions.
//!
//! For: the readers of this room. A site replaces a file of `profiles/medicine`, each a CodeSystem whose designations are
//! further words for a concept. Not for: reading with them (`display.rs`, `dosage.rs`).
//! Source: own tables, described in `profiles/medicine/README.md`.

use super::decimal::Decimal;
use crate::fhir::Json;
use crate::workflow::programme::files::Complaints;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a unit measures, and how many of its base it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The code of `medicine-unit`.
    pub code: String,
    /// For people.
    pub display: String,
    /// `mass`, `volume`, `time`, `actuation`, `piece`, …
    pub kind: String,
    /// The unit it counts in.
    pub base: String,
    /// How many of those.
    pub times: Decimal,
}

/// A dose form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The code of `medicine-form`.
    pub code: String,
    /// Where the display does not say.
    pub route: Option<String>,
    /// The unit that doses count in: a tablet is taken whole, a solution is not.
    pub piece: Option<String>,
    /// Several products in one.
    pub is_bundle: bool,
}

/// A word that belongs to a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormWord {
    /// The form itself.
    Form(Form),
    /// How it gives its medicine off; `None` where that makes no difference.
    Quality(Option<String>),
    /// A code of `medicine-route`.
    Route(String),
}

/// A phrase of directions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrase {
    /// The code.
    pub code: String,
    /// (times, period, longest period, unit).
    pub frequency: Option<(Decimal, Decimal, Option<Decimal>, String)>,
    /// Times of day.
    pub when: Vec<String>,
    /// Only when needed.
    pub is_needed: bool,
    /// A single dose.
    pub is_once: bool,
    /// Says nothing.
    pub is_vague: bool,
    /// A number in words.
    pub number: Option<Decimal>,
}

/// Values by phrase of up to `longest` words, lower case, one space between.
#[derive(Debug, Clone)]
pub struct Phrases<T> {
    by: HashMap<String, T>,
    longest: usize,
}

impl<T> Default for Phrases<T> {
    fn default() -> Self {
        Self { by: HashMap::new(), longest: 0 }
    }
}

impl<T> Phrases<T> {
    fn add(&mut self, phrase: &str, value: T) {
        let phrase = plain(phrase);
        self.longest = self.longest.max(phrase.split(' ').count());
        self.by.entry(phrase).or_insert(value);
    }

    /// The longest phrase that the words begin with: (how many words, its value).
    #[must_use]
    pub fn first<'a>(&'a self, words: &[String]) -> Option<(usize, &'a T)> {
        (1..=self.longest.min(words.len())).rev().find_map(|n| {
            let phrase = words.get(..n)?.join(" ");
            Some((n, self.by.get(&phrase)?))
        })
    }

    /// The value of the whole phrase.
    #[must_use]
    pub fn get(&self, phrase: &str) -> Option<&T> {
        self.by.get(&plain(phrase))
    }
}

/// Lower case, hyphens as spaces, one space between words.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace(['-', ','], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All tables.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// By code or other name, lower case.
    units: HashMap<String, Unit>,
    /// Forms, qualities and routes.
    pub forms: Phrases<FormWord>,
    /// Words of a route → its code.
    routes: HashMap<String, String>,
    /// Route → (where it works, for people).
    reach: BTreeMap<String, (String, String)>,
    /// Words of a form → its code, and by code.
    form_of: BTreeMap<String, Form>,
    salts: BTreeSet<String>,
    qualifiers: BTreeSet<String>,
    minerals: BTreeSet<String>,
    substances: HashMap<String, String>,
    brands: HashMap<String, String>,
    /// Phrases of directions.
    pub dosing: Phrases<Phrase>,
    /// RxNorm code → display.
    codes: HashMap<String, String>,
    /// Substances that a stay often starts and should end.
    pub inpatient_only: BTreeSet<String>,
}

/// One concept as the tables need it.
struct Row<'a> {
    code: &'a str,
    display: &'a str,
    words: Vec<&'a str>,
    json: &'a Json,
}

impl Row<'_> {
    fn all(&self, name: &str) -> Vec<&Json> {
        let of = self.json["property"].items().iter().filter(|p| p["code"].text() == name);
        of.filter_map(|p| ["valueCode", "valueString", "valueDecimal", "valueBoolean"].iter().find_map(|v| p.get(v)))
            .collect()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.all(name).first().and_then(|v| v.as_str()).map(String::from)
    }

    fn number(&self, name: &str) -> Option<Decimal> {
        self.all(name).first().and_then(|v| v.as_number()).and_then(Decimal::parse)
    }

    fn is(&self, name: &str) -> bool {
        self.all(name).first().is_some_and(|v| v.as_bool() == Some(true))
    }

    /// The code and its other words.
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.code).chain(self.words.iter().copied())
    }
}

fn rows(system: &Json) -> Vec<Row<'_>> {
    let row = |c| {
        let json: &Json = c;
        Row {
            code: json["code"].text(),
            display: json["display"].text(),
            words: json["designation"].items().iter().map(|d| d["value"].text()).collect(),
            json,
        }
    };
    system["concept"].items().iter().map(row).collect()
}

impl Tables {
    /// Reads the tables out of the profiles, by folder/name.
    pub fn read(resources: &BTreeMap<String, Json>, complaints: &mut Complaints) -> Self {
        let mut out = Self::default();
        let none = Json::Null;
        let file = |name: &str| resources.get(&format!("medicine/{name}.json")).unwrap_or(&none);
        for row in rows(file("unit")) {
            let (Some(kind), Some(base), Some(times)) = (row.text("kind"), row.text("base"), row.number("times"))
            else {
                let why = format!("the unit '{}' needs kind, base and times", row.code);
                complaints.add("medicine/unit.json", "CodeSystem.concept", why);
                continue;
            };
            let display = if row.display.is_empty() { row.code } else { row.display };
            let unit = Unit { code: row.code.into(), display: display.into(), kind, base, times };
            for name in row.names() {
                out.units.entry(name.to_lowercase()).or_insert_with(|| unit.clone());
            }
        }
        for row in rows(file("form")) {
            let route = row.text("route");
            let form = Form { code: row.code.into(), route, piece: row.text("piece"), is_bundle: row.is("bundle") };
            out.form_of.insert(form.code.clone(), form.clone());
            for name in row.names() {
                out.forms.add(name, FormWord::Form(form.clone()));
            }
        }
        for row in rows(file("quality")) {
            let quality = (!row.is("plain")).then(|| row.code.to_string());
            for name in row.names() {
                out.forms.add(name, FormWord::Quality(quality.clone()));
            }
        }
        for row in rows(file("route")) {
            let reach = row.text("reach").unwrap_or_default();
            out.reach.insert(row.code.into(), (reach, row.display.into()));
            for name in row.names() {
                out.forms.add(name, FormWord::Route(row.code.into()));
                out.routes.entry(plain(name)).or_insert_with(|| row.code.into());
            }
        }
        for form in out.form_of.values() {
            if let Some(route) = form.route.as_ref().filter(|r| !out.reach.contains_key(*r)) {
                let why = format!("the form '{}' has the route '{route}', which route.json does not list", form.code);
                complaints.add("medicine/form.json", "CodeSystem.concept", why);
            }
        }
        for row in rows(file("salt")) {
            for kind in row.all("kind") {
                let set = match kind.text() {
                    "salt" => &mut out.salts,
                    "qualifier" => &mut out.qualifiers,
                    _ => &mut out.minerals,
                };
                set.insert(row.code.to_lowercase());
            }
        }
        for row in rows(file("substance")) {
            for name in row.names() {
                out.substances.insert(name.to_lowercase(), row.code.to_lowercase());
            }
        }
        for row in rows(file("brand")) {
            let means = row.text("means").unwrap_or_default();
            for name in row.names() {
                out.brands.insert(name.to_lowercase(), means.clone());
            }
        }
        for row in rows(file("dosing")) {
            let frequency = match (row.number("frequency"), row.number("period"), row.text("period-unit")) {
                (Some(times), Some(period), Some(unit)) => Some((times, period, row.number("period-max"), unit)),
                _ => None,
            };
            let phrase = Phrase {
                code: row.code.into(),
                frequency,
                when: row.all("when").iter().map(|w| w.text().to_string()).collect(),
                is_needed: row.is("needed"),
                is_once: row.is("once"),
                is_vague: row.is("vague"),
                number: row.number("number"),
            };
            for name in row.names() {
                out.dosing.add(name, phrase.clone());
            }
        }
        out.codes = rows(file("rxnorm")).iter().map(|r| (r.code.into(), r.display.into())).collect();
        out.inpatient_only = rows(file("inpatient-only")).iter().map(|r| r.code.to_lowercase()).collect();
        out
    }

    /// A unit by any of its names.
    #[must_use]
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.get(&name.to_lowercase())
    }

    /// A form by code.
    #[must_use]
    pub fn form(&self, code: &str) -> Option<&Form> {
        self.form_of.get(code)
    }

    /// A route by any of its words.
    #[must_use]
    pub fn route(&self, words: &str) -> Option<&str> {
        self.routes.get(&plain(words)).map(String::as_str)
    }

    /// Where a route works.
    #[must_use]
    pub fn reach(&self, route: &str) -> &str {
        self.reach.get(route).map_or("", |(reach, _)| reach.as_str())
    }

    /// What a brand holds, as a display.
    #[must_use]
    pub fn brand(&self, name: &str) -> Option<&str> {
        self.brands.get(&name.to_lowercase()).map(String::as_str)
    }

    /// What an RxNorm code means, where the tables know it.
    #[must_use]
    pub fn code(&self, code: &str) -> Option<&str> {
        self.codes.get(code).map(String::as_str)
    }

    /// A substance's name and its salt: other names, salts and qualifiers taken away.
    ///
    /// `name`: lower case, commas as they are.
    #[must_use]
    pub fn substance(&self, name: &str) -> (String, Option<String>) {
        let known = |words: &[&str]| {
            let spelled = words.join(" ");
            let bare = spelled.replace(',', "");
            self.substances.get(&spelled).or_else(|| self.substances.get(bare.as_str())).cloned()
        };
        let mut words: Vec<&str> = name.split_whitespace().collect();
        let mut salts: Vec<&str> = Vec::new();
        loop {
            if let Some(known) = known(&words) {
                return (known, salt(&salts));
            }
            let [.., before, last] = words.as_slice() else { break };
            let (before, last) = (before.trim_matches(','), last.trim_matches(','));
            if self.qualifiers.contains(last) {
                words.pop();
            } else if self.salts.contains(last) {
                // Behind a mineral the salt is the substance: potassium chloride.
                if self.minerals.contains(before) && words.len() == 2 {
                    break;
                }
                salts.insert(0, last);
                words.pop();
            } else {
                break;
            }
        }
        let bare: Vec<&str> = words.iter().map(|w| w.trim_matches(',')).collect();
        (bare.join(" "), salt(&salts))
    }
}

fn salt(words: &[&str]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(" "))
}
