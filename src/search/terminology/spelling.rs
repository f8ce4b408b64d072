//! Codes of systems that do not tell cases apart: the spellings that a search looks for.
//!
//! What is stored is found by the case it was written in. So a code of such a system is asked for in every case that it may have;
//! of a long one, in those that are written.
//! Source: <https://hl7.org/fhir/R4/search.html#token>, <https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.caseSensitive>.

use super::system::System;
use super::{Codes, Library, Made, Wanted, look};
use std::collections::BTreeSet;

/// Letters of a code up to which each combination of cases is looked for: 256 at most.
const LETTERS: usize = 8;

/// A code in the spellings that its system may have it in: of one that is not known here, or tells cases apart, the one given.
///
/// # Errors
/// `Wanted` until the code system has been looked for.
pub(super) fn spelled(system: &str, code: &str, library: &Library) -> Made<Codes> {
    let found = look(library, Wanted::CodeSystem(system.into()))?;
    let is_caseless = found.is_some_and(|json| json["caseSensitive"].as_bool() == Some(false));
    let codes = if is_caseless {
        let known = System::read(system, library).ok();
        let own = known.as_ref().and_then(|s| s.find(code).ok().and_then(|at| s.code(at)));
        spellings(code, own)
    } else {
        BTreeSet::from([code.to_string()])
    };
    Ok(Codes { systems: BTreeSet::new(), codes: codes.into_iter().map(|code| (system.to_string(), code)).collect() })
}

/// A letter in its other case, where that is one letter.
fn other(c: char) -> Option<char> {
    let one = |mut all: Box<dyn Iterator<Item = char>>| match (all.next(), all.next()) {
        (Some(one), None) if one != c => Some(one),
        _ => None,
    };
    one(Box::new(c.to_lowercase())).or_else(|| one(Box::new(c.to_uppercase())))
}

fn spellings(code: &str, own: Option<&str>) -> BTreeSet<String> {
    let letters = code.chars().filter(|c| other(*c).is_some()).count();
    if letters > LETTERS {
        let lower = code.to_lowercase();
        let mut first = lower.chars();
        let capital: String = first.next().into_iter().flat_map(char::to_uppercase).chain(first).collect();
        let given = [code, own.unwrap_or(code)].map(str::to_owned);
        return given.into_iter().chain([code.to_uppercase(), lower, capital]).collect();
    }
    (0..1_u32 << letters)
        .map(|turned| {
            let mut bit = 1;
            let turn = |c: char| match other(c) {
                None => c,
                Some(other) => {
                    let is_turned = turned & bit != 0;
                    bit <<= 1;
                    if is_turned { other } else { c }
                }
            };
            code.chars().map(turn).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_code_is_looked_for_in_every_case_and_a_long_one_in_those_that_are_written() {
        let list = |code: &str, own| spellings(code, own).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(list("a-1b", None), "A-1B A-1b a-1B a-1b");
        assert_eq!(list("ß1", None), "ß1");
        assert_eq!(list("laboratory", Some("LabOratory")), "LABORATORY LabOratory Laboratory laboratory");
        assert_eq!(spellings("abcdEFGH", None).len(), 256);
    }
}
