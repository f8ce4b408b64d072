//! Mutations: of bytes, of JSON values, and splices of two inputs. Seeded, so that a run can be repeated.

use baton::fhir::Json;
use baton::fhir::json;

/// What readers tend to trip over.
const WORDS: [&str; 44] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-",
    "-0",
    "0.0",
    "1e999999999",
    "1E-400",
    "99999999999999999999999999",
    "\u{feff}",
    "\u{0}",
    "é",
    "😀",
    "\u{202e}",
    "resourceType",
    "contained",
    "extension",
    "#",
    "urn:uuid:",
    "Patient/",
    "Patient?name=",
    "&",
    "=",
    "|",
    "$",
    "\\,",
    "%00",
    "%",
    "+",
    "_has:",
    ":missing",
    ":not",
    "9999-12-31",
    "0000-00-00T24:00:00Z",
    "()",
];

/// A source of mutated inputs.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// `seed`: the same seed gives the same inputs.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    fn word(&mut self) -> u64 {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.word() >> 33).unwrap_or(0) % n.max(1)
    }

    /// The next input, from one or two of the corpus and the pool.
    pub fn next(&mut self, seeds: &[Vec<u8>], pool: &[Vec<u8>], longest: usize) -> Vec<u8> {
        // Half of them start from the corpus: a pool of what was refused strays further and further from what is taken.
        let from = if self.below(2) == 0 { seeds } else { pool };
        let mut input = from[self.below(from.len())].clone();
        let other = &pool[self.below(pool.len())];
        for _ in 0..=self.below(4) {
            let tree = if self.below(3) > 0 { json::parse(&input).ok() } else { None };
            match tree {
                Some(mut tree) => {
                    let other = json::parse(other).unwrap_or_default();
                    self.value(&mut tree, &other);
                    input = tree.to_bytes();
                }
                None => self.bytes(&mut input, other),
            }
        }
        input.truncate(longest);
        input
    }

    fn bytes(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        let to = (at + self.below(12)).min(input.len());
        match self.below(7) {
            0 => {
                let byte = u8::try_from(self.below(256)).unwrap_or(0);
                if let Some(slot) = input.get_mut(at) {
                    *slot = byte;
                }
            }
            1 => drop(input.drain(at..to)),
            2 => {
                let word = WORDS[self.below(WORDS.len())];
                drop(input.splice(at..at, word.bytes()));
            }
            3 => {
                let word = WORDS[self.below(WORDS.len())];
                drop(input.splice(at..to, word.bytes()));
            }
            4 => {
                let from = self.below(other.len() + 1);
                let end = (from + self.below(200)).min(other.len());
                drop(input.splice(at..to, other[from..end].iter().copied()));
            }
            5 => {
                let part = input[at..to].to_vec();
                let many = 1 + self.below(50);
                drop(input.splice(at..at, part.repeat(many)));
            }
            _ => input.truncate(at),
        }
    }

    /// Changes one value somewhere below.
    fn value(&mut self, tree: &mut Json, other: &Json) {
        let inside = match tree {
            Json::Array(items) => items.len(),
            Json::Object(members) => members.len(),
            _ => 0,
        };
        if inside > 0 && self.below(5) > 0 {
            let at = self.below(inside);
            match tree {
                Json::Array(items) => self.value(&mut items[at], other),
                Json::Object(members) => self.value(&mut members.0[at].1, other),
                _ => {}
            }
            return;
        }
        match (self.below(8), &mut *tree) {
            (0, Json::Array(items)) if !items.is_empty() => drop(items.remove(self.below(items.len()))),
            (0, Json::Object(members)) if !members.is_empty() => drop(members.0.remove(self.below(members.len()))),
            (1, Json::Array(items)) if !items.is_empty() => items.push(items[self.below(items.len())].clone()),
            (1, Json::Object(members)) if !members.is_empty() => {
                let (key, value) = members.0[self.below(members.len())].clone();
                let key = if self.below(2) == 0 { key } else { format!("_{key}").into() };
                members.0.push((key, value));
            }
            (2, _) => *tree = Json::Array(vec![std::mem::take(tree)]),
            (3, _) => *tree = self.part(other),
            (4, Json::String(text)) => {
                let mut bytes = std::mem::take(text).into_bytes();
                self.bytes(&mut bytes, b"");
                *text = String::from_utf8_lossy(&bytes).into_owned();
            }
            (5, _) => *tree = Json::String(WORDS[self.below(WORDS.len())].into()),
            (6, _) => {
                let numbers = ["0", "-1", "2.50", "1E-24", "2147483648", "1e999999999"];
                *tree = Json::Number(numbers[self.below(numbers.len())].into());
            }
            (7, Json::Object(members)) => {
                if let (Json::Object(others), n) = (other, self.below(8))
                    && let Some((key, value)) = others.0.get(n)
                {
                    members.0.push((key.clone(), value.clone()));
                }
            }
            _ => *tree = Json::Null,
        }
    }

    /// Some value of another input.
    fn part(&mut self, tree: &Json) -> Json {
        let deeper = self.below(4) > 0;
        let at = self.below(tree.as_object().map_or(tree.items().len(), |members| members.len()));
        match tree {
            Json::Array(items) if deeper && !items.is_empty() => self.part(&items[at]),
            Json::Object(members) if deeper && !members.is_empty() => self.part(&members.0[at].1),
            whole => whole.clone(),
        }
    }
}
