//! A display as a medicine: `24 HR metoprolol succinate 100 MG Extended Release Oral Tablet [Toprol]`.
//!
//! A display is read in RxNorm's order - size or hours, substance and strength of each part between slashes, form, brand in
//! brackets - and as people write: form before strength, unit without space, brand in place of the substance. Each word
//! has to find its place; one that does not is a [`Gap`].
//! Not for: choosing among several displays of one resource (`line.rs`).
//! Source: <https://www.nlm.nih.gov/research/umls/rxnorm/overview.html> (names of SCD, SBD, GPCK, BPCK); own rules.

use super::tables::{FormWord, Tables, plain};
use super::words::{Item, items};
use super::{Amount, Decimal, Gap, Ingredient, Medicine, Reading, Strength};

/// Displays longer than this are no names of medicines.
const LONGEST: usize = 2000;

/// Reads a display.
#[must_use]
pub fn read(tables: &Tables, text: &str) -> Reading {
    let text = text.get(..LONGEST).unwrap_or(if text.len() > LONGEST { "" } else { text });
    let mut reading = read_at(tables, text, 0);
    sort(&mut reading.medicine);
    reading.gaps.sort();
    reading.gaps.dedup();
    reading
}

/// `depth`: brands and packs lead to displays of their own, and those no further than packs of plain displays.
fn read_at(tables: &Tables, text: &str, depth: usize) -> Reading {
    let (text, brand) = without_brackets(tables, text);
    let mut reading = match text.trim_start().strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((inside, behind)) if depth < 3 => pack(tables, inside, behind, depth),
        _ => Reader { tables, depth, medicine: Medicine::default(), gaps: Vec::new() }.read(&text),
    };
    reading.medicine.brand = brand.or(reading.medicine.brand);
    reading
}

/// Takes out `[Brand]` and what stands in round brackets: `(product)`, `(USP)`, a maker, a brand.
fn without_brackets(tables: &Tables, text: &str) -> (String, Option<String>) {
    let mut out = String::with_capacity(text.len());
    let mut brand = None;
    let mut rest = text;
    // A pack's round brackets hold its parts.
    let is_pack = text.trim_start().starts_with('{');
    while let Some(at) = rest.find(['[', '(']) {
        let (before, from) = rest.split_at(at);
        let is_square = from.starts_with('[');
        let close = if is_square { ']' } else { ')' };
        let Some((inside, after)) = from.get(1..).and_then(|f| f.split_once(close)) else { break };
        out.push_str(before);
        if !is_square && is_pack {
            out.push_str(from.get(..from.len() - after.len()).unwrap_or_default());
        } else {
            if is_square || tables.brand(inside.trim()).is_some() {
                brand = Some(inside.trim().to_string());
            }
            out.push(' ');
        }
        rest = after;
    }
    out.push_str(rest);
    (out, brand)
}

/// `12 (a 1 MG Oral Tablet) / 9 (b 2 MG Oral Tablet) ` in braces, and `Pack` behind.
fn pack(tables: &Tables, inside: &str, behind: &str, depth: usize) -> Reading {
    let mut out = Reading::default();
    let mut rest = inside;
    while let Some((count, from)) = rest.split_once('(') {
        let Some((content, after)) = from.split_once(')') else { break };
        let count = count.trim_matches(|c: char| c == '/' || c.is_whitespace());
        let part = read_at(tables, content, depth + 1);
        match Decimal::parse(count) {
            Some(count) => out.medicine.parts.push((count, part.medicine)),
            None => out.gaps.push(Gap::Word(count.into())),
        }
        let inert = content.to_lowercase().contains("inert");
        out.gaps.extend(part.gaps.into_iter().filter(|g| !(inert && *g == Gap::Strength)));
        rest = after;
    }
    let mut tail = Reader { tables, depth, medicine: Medicine::default(), gaps: Vec::new() };
    let words = items(tables, behind);
    tail.tail(&words);
    out.gaps.extend(tail.gaps);
    let medicine = &mut out.medicine;
    medicine.is_bundle = true;
    medicine.lasts = tail.medicine.lasts;
    for (_, part) in &medicine.parts {
        for ingredient in part.ingredients.iter().filter(|i| i.name != "inert ingredients") {
            let bare = Ingredient { strength: None, ..ingredient.clone() };
            if !medicine.ingredients.contains(&bare) {
                medicine.ingredients.push(bare);
            }
        }
        medicine.form = medicine.form.take().or_else(|| part.form.clone());
        medicine.route = medicine.route.take().or_else(|| part.route.clone());
    }
    if medicine.ingredients.is_empty() {
        out.gaps.push(Gap::Ingredient);
    }
    out
}

/// Substances in the order of their names: two displays name the same combination in different orders.
fn sort(medicine: &mut Medicine) {
    medicine.ingredients.sort_by(|a, b| (&a.name, &a.salt).cmp(&(&b.name, &b.salt)));
    medicine.parts.iter_mut().for_each(|(_, part)| sort(part));
}

/// One part between slashes.
#[derive(Debug, Default)]
struct Part {
    name: Vec<String>,
    strengths: Vec<Strength>,
}

struct Reader<'a> {
    tables: &'a Tables,
    depth: usize,
    medicine: Medicine,
    gaps: Vec<Gap>,
}

impl Reader<'_> {
    fn read(mut self, text: &str) -> Reading {
        let items = items(self.tables, text);
        let mut parts: Vec<Part> = Vec::new();
        for (n, of_part) in items.split(|i| *i == Item::Slash).enumerate() {
            let part = self.part(of_part, n == 0);
            parts.push(part);
        }
        parts.retain(|p| !p.name.is_empty() || !p.strengths.is_empty());
        self.share_strengths(&mut parts);
        let one_name = parts.len() == 1;
        for part in parts {
            self.ingredients(part, one_name);
        }
        self.finish()
    }

    fn finish(mut self) -> Reading {
        self.medicine.qualities.sort_unstable();
        self.medicine.qualities.dedup();
        let ingredients = &self.medicine.ingredients;
        if ingredients.is_empty() {
            self.gaps.push(Gap::Ingredient);
        }
        if self.medicine.parts.is_empty() && ingredients.iter().any(|i| i.strength.is_none()) {
            self.gaps.push(Gap::Strength);
        }
        if self.medicine.form.is_none() {
            self.gaps.push(Gap::Form);
        }
        Reading { medicine: self.medicine, gaps: self.gaps }
    }

    /// Name and strengths of a part; what else stands in it goes to the medicine.
    fn part(&mut self, items: &[Item], is_first: bool) -> Part {
        let mut part = Part::default();
        let rest = if is_first { self.front(items) } else { items };
        let named = rest.iter().take_while(|i| matches!(i, Item::Word(_)));
        let words: Vec<String> =
            named.filter_map(|i| if let Item::Word(w) = i { Some(w.clone()) } else { None }).collect();
        let tail = rest.get(words.len()..).unwrap_or_default();
        let cut = (1..words.len()).find(|k| self.is_form(words.get(*k..).unwrap_or_default()));
        let (name, form) = words.split_at(cut.unwrap_or(words.len()));
        part.name = name.to_vec();
        self.form(form);
        let mut words: Vec<Item> = Vec::new();
        for item in tail {
            match item {
                Item::Amounts(amounts, per) if per.is_some() || !self.is_of_container(amounts) => {
                    let strength = |a: &Amount| Strength { amount: a.clone(), per: per.clone() };
                    part.strengths.extend(amounts.iter().map(strength));
                }
                Item::Amounts(..) | Item::Slash => {}
                Item::Word(_) => words.push(item.clone()),
            }
        }
        self.tail(&words);
        part
    }

    /// Takes what stands in front: hours, container, a quality, the number of an approval. Answers the rest.
    fn front<'i>(&mut self, items: &'i [Item]) -> &'i [Item] {
        let mut rest = items;
        while let [first, behind @ ..] = rest
            && !behind.is_empty()
        {
            match first {
                Item::Amounts(amounts, None) if self.is_of_container(amounts) => {}
                Item::Word(word) if is_approval(word) => {}
                Item::Word(word) => {
                    // A quality of two words is one here, written with a hyphen.
                    let words = spelled(std::slice::from_ref(word));
                    let Some((n, FormWord::Quality(quality))) = self.tables.forms.first(&words) else { break };
                    if n < words.len() {
                        break;
                    }
                    self.medicine.qualities.extend(quality.clone());
                }
                _ => break,
            }
            rest = behind;
        }
        rest
    }

    /// Takes hours, volumes and numbers of puffs; anything else is a strength.
    fn is_of_container(&mut self, amounts: &[Amount]) -> bool {
        let [amount] = amounts else { return false };
        match amount.kind.as_str() {
            "time" => self.medicine.lasts = Some(amount.clone()),
            "volume" | "actuation" => self.medicine.size = Some(amount.clone()),
            _ => return false,
        }
        true
    }

    /// Words behind the strength, and what is between them.
    fn tail(&mut self, items: &[Item]) {
        let mut words = Vec::new();
        for item in items {
            match item {
                Item::Word(word) => words.push(word.clone()),
                Item::Amounts(amounts, _) => drop(self.is_of_container(amounts)),
                Item::Slash => {}
            }
        }
        self.form(&words);
    }

    /// Whether all the words belong to a form.
    fn is_form(&self, words: &[String]) -> bool {
        let mut words: &[String] = &spelled(words);
        let mut any = false;
        while !words.is_empty() {
            let taken = match self.tables.forms.first(words) {
                Some((n, _)) => {
                    any = true;
                    n
                }
                None if words.first().is_some_and(|w| is_filler(w)) => 1,
                None => return false,
            };
            words = words.get(taken..).unwrap_or_default();
        }
        any
    }

    fn form(&mut self, words: &[String]) {
        let words = spelled(words);
        let mut words: &[String] = &words;
        let mut implied = None;
        while let Some(word) = words.first() {
            let Some((n, found)) = self.tables.forms.first(words) else {
                if !is_filler(word) {
                    self.gaps.push(Gap::Word(word.clone()));
                }
                words = words.get(1..).unwrap_or_default();
                continue;
            };
            match found {
                FormWord::Form(form) if form.is_bundle => self.medicine.is_bundle = true,
                FormWord::Form(form) => {
                    implied = implied.or_else(|| form.route.clone());
                    self.medicine.form.get_or_insert_with(|| form.code.clone());
                }
                FormWord::Quality(quality) => self.medicine.qualities.extend(quality.clone()),
                FormWord::Route(route) => drop(self.medicine.route.get_or_insert_with(|| route.clone())),
            }
            words = words.get(n..).unwrap_or_default();
        }
        if self.medicine.route.is_none() {
            self.medicine.route = implied;
        }
    }

    /// `amoxicillin / clavulanate 250/125 MG`: one strength each, in order.
    fn share_strengths(&mut self, parts: &mut [Part]) {
        let count = parts.len();
        let Some((last, before)) = parts.split_last_mut() else { return };
        if last.strengths.len() == count && count > 1 && before.iter().all(|p| p.strengths.is_empty()) {
            let own = last.strengths.split_off(count - 1);
            let given = std::mem::replace(&mut last.strengths, own);
            for (part, strength) in before.iter_mut().zip(given) {
                part.strengths.push(strength);
            }
        }
    }

    fn ingredients(&mut self, part: Part, one_name: bool) {
        let name = part.name.join(" ");
        if name.chars().all(|c| !c.is_alphabetic()) {
            if !name.is_empty() {
                self.gaps.push(Gap::Word(name));
            }
            return;
        }
        let brand = name.trim_matches(',');
        if one_name
            && self.depth < 2
            && let Some(means) = self.tables.brand(brand)
        {
            self.brand(brand, means, part.strengths);
            return;
        }
        let (name, salt) = self.tables.substance(&name);
        let strength = match part.strengths.as_slice() {
            [one] => Some(one.clone()),
            _ => None, // none, or more than one: whose it is nobody knows
        };
        self.medicine.ingredients.push(Ingredient { name, salt, strength });
    }

    /// A brand in place of the substance: its content, with the strengths that were said.
    fn brand(&mut self, name: &str, means: &str, strengths: Vec<Strength>) {
        let mut inner = read_at(self.tables, means, self.depth + 1).medicine;
        let medicine = &mut self.medicine;
        medicine.brand = Some(name.to_string());
        if strengths.len() == inner.ingredients.len() && inner.parts.is_empty() {
            for (ingredient, strength) in inner.ingredients.iter_mut().zip(strengths) {
                ingredient.strength = Some(strength);
            }
        } else if !strengths.is_empty() {
            inner.ingredients.iter_mut().for_each(|i| i.strength = None);
            inner.parts.clear();
        }
        medicine.ingredients.append(&mut inner.ingredients);
        medicine.parts = inner.parts;
        medicine.is_bundle |= inner.is_bundle;
        medicine.form = medicine.form.take().or(inner.form);
        medicine.route = medicine.route.take().or(inner.route);
        if medicine.qualities.is_empty() {
            medicine.qualities = inner.qualities;
        }
    }
}

/// Words as the tables spell them: hyphens are spaces.
fn spelled(words: &[String]) -> Vec<String> {
    words
        .iter()
        .flat_map(|w| plain(w).split(' ').map(String::from).collect::<Vec<_>>())
        .filter(|w| !w.is_empty())
        .collect()
}

/// Words that stand between others and say nothing.
fn is_filler(word: &str) -> bool {
    matches!(word, "for" | "in" | "of" | "with" | "and" | "the" | "per" | "use" | "single" | "-")
}

/// `NDA020800`, `ANDA076543`.
fn is_approval(word: &str) -> bool {
    let digits = word.strip_prefix("anda").or_else(|| word.strip_prefix("nda")).or_else(|| word.strip_prefix("bla"));
    digits.is_some_and(|d| d.len() >= 4 && d.bytes().all(|b| b.is_ascii_digit()))
}
