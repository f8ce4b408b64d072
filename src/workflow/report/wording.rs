//! Directions in the patient's language: word for word by a table, whole or not at all.
//!
//! The table is data, `profiles/medicine/patient-directions.json`: phrases of directions, each designation with a language
//! its wording there. Every word has to have its wording; directions with one that has none stay as they were written, and
//! are marked as such: half a sentence in each of two languages is worse than one in the wrong one. Own rule.

use crate::fhir::Json;
use crate::workflow::medicine::tables::plain;
use std::collections::HashMap;

/// The wording of phrases in one language.
#[derive(Debug, Clone, Default)]
pub struct Wording {
    by: HashMap<String, String>,
    longest: usize,
}

impl Wording {
    /// Reads the table: a concept's display and its designations without a language are the phrase, in whatever way it is
    /// written; what has no wording in `language` is left out.
    #[must_use]
    pub fn read(table: Option<&Json>, language: &str) -> Self {
        let mut out = Self::default();
        for concept in table.map(|t| t["concept"].items()).unwrap_or_default() {
            let designations = concept["designation"].items();
            let Some(wording) = designations.iter().find(|d| d["language"].text() == language) else { continue };
            let others = designations.iter().filter(|d| d.get("language").is_none()).map(|d| d["value"].text());
            for phrase in others.chain([concept["display"].text()]) {
                let phrase = plain(phrase);
                out.longest = out.longest.max(phrase.split(' ').count());
                out.by.insert(phrase, wording["value"].text().to_string());
            }
        }
        out
    }

    /// Directions in that language; `None` where a word has no wording.
    #[must_use]
    pub fn of(&self, directions: &str) -> Option<String> {
        let mut out = String::with_capacity(directions.len() + 16);
        // Phrases do not reach over a comma or a bracket.
        for piece in pieces(directions) {
            let Piece::Words(words) = piece else {
                if let Piece::Mark(mark) = piece {
                    push(&mut out, mark);
                }
                continue;
            };
            let mut rest: &[String] = &words;
            while let Some(first) = rest.first() {
                if is_number(first) {
                    push(&mut out, first);
                    rest = rest.get(1..)?;
                    continue;
                }
                let (n, wording) = (1..=self.longest.min(rest.len())).rev().find_map(|n| {
                    let phrase = rest.get(..n)?.join(" ");
                    Some((n, self.by.get(&phrase)?))
                })?;
                push(&mut out, wording);
                rest = rest.get(n..)?;
            }
        }
        Some(out)
    }
}

enum Piece<'a> {
    Words(Vec<String>),
    Mark(&'a str),
}

/// Words between marks; a full stop within a number is none.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let ends = text.get(at + 1..).is_none_or(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        if matches!(c, ',' | ';' | ':' | '(' | ')') || c == '.' && ends {
            out.push(Piece::Words(words(text.get(from..at).unwrap_or_default())));
            out.push(Piece::Mark(text.get(at..at + 1).unwrap_or_default()));
            from = at + 1;
        }
    }
    out.push(Piece::Words(words(text.get(from..).unwrap_or_default())));
    out
}

/// Lower case; a unit that stands right behind its number is a word of its own.
fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for word in text.to_lowercase().split_whitespace() {
        let at = word.find(|c: char| c.is_alphabetic()).unwrap_or(word.len());
        let (number, unit) = word.split_at_checked(at).unwrap_or((word, ""));
        if number.is_empty() || !is_number(number) {
            out.extend(plain(word).split(' ').filter(|w| !w.is_empty()).map(String::from));
        } else {
            out.extend([number, unit].into_iter().filter(|w| !w.is_empty()).map(String::from));
        }
    }
    out
}

fn is_number(word: &str) -> bool {
    word.chars().any(|c| c.is_numeric()) && word.chars().all(|c| c.is_numeric() || matches!(c, '.' | '/' | '-'))
}

fn push(out: &mut String, word: &str) {
    let glued = matches!(word, "," | ";" | ":" | ")" | ".");
    if !out.is_empty() && !out.ends_with('(') && !glued && !word.is_empty() {
        out.push(' ');
    }
    out.push_str(word);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::Programme;
    use crate::workflow::element::system;

    fn wording(language: &str) -> Wording {
        let programme = Programme::for_tests();
        Wording::read(programme.term("CodeSystem", &system("patient-directions"), None).as_deref(), language)
    }

    #[test]
    fn directions_are_said_in_spanish_whole_or_not_at_all() {
        let spanish = wording("es");
        for (written, said) in [
            ("1 tablet twice a day", Some("1 tableta dos veces al día")),
            (
                "Take 1 tablet by mouth twice daily with food.",
                Some("tome 1 tableta por la boca dos veces al día con comida."),
            ),
            ("1 tablet every day", Some("1 tableta una vez al día")),
            ("half a tablet (2.5 mg) every evening", Some("media tableta (2.5 mg) cada tarde")),
            (
                "2 capsules every morning, as needed for pain",
                Some("2 cápsulas cada mañana, si lo necesita para el dolor"),
            ),
            ("500mg every 4-6 hours as needed", Some("500 mg cada 4-6 horas si lo necesita")),
            ("1 tablet at bedtime", Some("1 tableta al acostarse")),
            ("2 puffs 4 times a day", Some("2 inhalaciones 4 veces al día")),
            ("1 tablet every other day for 10 days", Some("1 tableta un día sí y otro no durante 10 días")),
            ("inject 10 units before breakfast", Some("inyéctese 10 unidades antes del desayuno")),
            ("1 tablet on an empty stomach", Some("1 tableta con el estómago vacío")),
            ("apply thinly to the left elbow", None),
            ("1 tablet twice a day unless the weight rises", None),
        ] {
            assert_eq!(spanish.of(written).as_deref(), said, "{written}");
        }
    }

    #[test]
    fn a_language_without_words_says_nothing() {
        assert_eq!(wording("fr").of("1 tablet twice a day"), None);
        assert_eq!(wording("fr").of("2"), Some("2".into()), "a number is one everywhere");
    }

    #[test]
    fn every_phrase_of_the_dosing_table_has_its_wording() {
        let programme = Programme::for_tests();
        let spanish = wording("es");
        let dosing = programme.term("CodeSystem", &system("medicine-dosing"), None).unwrap();
        let said = |c: &&Json| {
            let is_vague = c["property"].items().iter().any(|p| p["code"].text() == "vague");
            !is_vague && spanish.of(c["code"].text()).is_none()
        };
        let missing: Vec<&str> = dosing["concept"].items().iter().filter(said).map(|c| c["code"].text()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
