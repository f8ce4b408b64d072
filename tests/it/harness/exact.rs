//! Compares two JSON texts to the digit: 2.50 is not 2.5, and members must stand in the order in which they were sent.
//!
//! A reader of its own, so that it does not share a mistake with Baton's parser.

/// A JSON value; numbers by their text.
#[derive(Debug, Clone, PartialEq)]
pub enum Exact {
    /// `null`, `true`, `false`, or a number: the token as written.
    Token(String),
    /// A string, unescaped.
    Text(String),
    /// An array.
    List(Vec<Exact>),
    /// An object, members as sent.
    Members(Vec<(String, Exact)>),
}

impl Exact {
    /// Reads a text that is known to be JSON.
    ///
    /// # Panics
    /// When it is not.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value();
        reader.space();
        assert_eq!(reader.at, text.len(), "something follows the JSON");
        value
    }

    /// A member; `None` when absent or not an object.
    pub fn get(&self, key: &str) -> Option<&Exact> {
        match self {
            Self::Members(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a string; "" for everything else.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(s) => s,
            _ => "",
        }
    }

    /// The elements of an array; none for everything else.
    pub fn items(&self) -> &[Exact] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Whether this text stands anywhere in it.
    pub fn holds(&self, text: &str) -> bool {
        match self {
            Self::Token(_) => false,
            Self::Text(s) => s == text,
            Self::List(items) => items.iter().any(|v| v.holds(text)),
            Self::Members(members) => members.iter().any(|(_, v)| v.holds(text)),
        }
    }

    /// The same without what a server sets: `id`, `meta.versionId`, `meta.lastUpdated`, and a `meta` left empty by that.
    pub fn without_server_fields(&self) -> Self {
        let Self::Members(members) = self else { return self.clone() };
        let kept = members.iter().filter(|(k, _)| k != "id").filter_map(|(k, v)| match v {
            Self::Members(meta) if k == "meta" => {
                let rest: Vec<_> =
                    meta.iter().filter(|(k, _)| k != "versionId" && k != "lastUpdated").cloned().collect();
                (!rest.is_empty()).then(|| (k.clone(), Self::Members(rest)))
            }
            _ => Some((k.clone(), v.clone())),
        });
        let mut kept: Vec<_> = kept.collect();
        // `meta` may have moved in front, behind resourceType and id: its place says nothing.
        if let Some(at) = kept.iter().position(|(k, _)| k == "meta") {
            let meta = kept.remove(at);
            kept.push(meta);
        }
        Self::Members(kept)
    }
}

/// Lists the differences as `path: sent … came back …`; `same_text(sent, back)` may allow two strings to differ.
pub fn differences(sent: &Exact, back: &Exact, same_text: &mut dyn FnMut(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk(sent, back, "", same_text, &mut found);
    found
}

fn walk(
    sent: &Exact,
    back: &Exact,
    path: &str,
    same_text: &mut dyn FnMut(&str, &str) -> bool,
    found: &mut Vec<String>,
) {
    match (sent, back) {
        (Exact::Members(a), Exact::Members(b)) => {
            let keys = |m: &[(String, Exact)]| m.iter().map(|(k, _)| k.clone()).collect::<Vec<_>>();
            if keys(a) != keys(b) {
                found.push(format!("{path}: sent members {:?}, came back {:?}", keys(a), keys(b)));
            }
            for (key, value) in a {
                if let Some(other) = back.get(key) {
                    walk(value, other, &format!("{path}.{key}"), same_text, found);
                }
            }
        }
        (Exact::List(a), Exact::List(b)) => {
            if a.len() != b.len() {
                found.push(format!("{path}: sent {} elements, came back {}", a.len(), b.len()));
            }
            for (n, (x, y)) in a.iter().zip(b).enumerate() {
                walk(x, y, &format!("{path}[{n}]"), same_text, found);
            }
        }
        (Exact::Text(a), Exact::Text(b)) if a == b || same_text(a, b) => {}
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: sent {a:?}, came back {b:?}")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn takes(&mut self, c: char) -> bool {
        self.space();
        let takes = self.rest().starts_with(c);
        self.at += if takes { c.len_utf8() } else { 0 };
        takes
    }

    fn value(&mut self) -> Exact {
        if self.takes('{') {
            let mut members = Vec::new();
            while !self.takes('}') {
                assert!(members.is_empty() || self.takes(','), "a comma at {}", self.at);
                assert!(self.takes('"'), "a name at {}", self.at);
                let key = self.string();
                assert!(self.takes(':'), "a colon at {}", self.at);
                members.push((key, self.value()));
            }
            Exact::Members(members)
        } else if self.takes('[') {
            let mut items = Vec::new();
            while !self.takes(']') {
                assert!(items.is_empty() || self.takes(','), "a comma at {}", self.at);
                items.push(self.value());
            }
            Exact::List(items)
        } else if self.takes('"') {
            Exact::Text(self.string())
        } else {
            let end = self.rest().find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(self.rest().len());
            assert!(end > 0, "a value at {}", self.at);
            let token = self.rest()[..end].to_string();
            self.at += end;
            Exact::Token(token)
        }
    }

    /// Behind the opening quote.
    fn string(&mut self) -> String {
        let mut units: Vec<u16> = Vec::new();
        loop {
            let c = self.rest().chars().next().expect("a closing quote");
            self.at += c.len_utf8();
            match c {
                '"' => return String::from_utf16(&units).expect("whole surrogate pairs"),
                '\\' => {
                    let escape = self.rest().chars().next().expect("an escape");
                    self.at += escape.len_utf8();
                    let unit = match escape {
                        'n' => 10,
                        't' => 9,
                        'r' => 13,
                        'b' => 8,
                        'f' => 12,
                        'u' => {
                            let hex = u16::from_str_radix(&self.rest()[..4], 16).expect("four hex digits");
                            self.at += 4;
                            hex
                        }
                        other => other as u16,
                    };
                    units.push(unit);
                }
                c => units.extend(c.encode_utf16(&mut [0; 2]).iter()),
            }
        }
    }
}

#[test]
fn the_comparer_sees_a_lost_digit_and_a_changed_order() {
    let none = &mut |_: &str, _: &str| false;
    let a = Exact::read(r#"{"value": 2.50, "unit": "m\u0067", "x": [1, {"y": null}]}"#);
    assert_eq!(
        differences(&a, &Exact::read(r#"{"value":2.50,"unit":"mg","x":[1,{"y":null}]}"#), none),
        Vec::<String>::new()
    );
    for other in [
        r#"{"value":2.5,"unit":"mg","x":[1,{"y":null}]}"#,
        r#"{"unit":"mg","value":2.50,"x":[1,{"y":null}]}"#,
        r#"{"value":2.50,"unit":"mg","x":[1,{"y":null},2]}"#,
        r#"{"value":"2.50","unit":"mg","x":[1,{"y":null}]}"#,
        r#"{"value":2.50,"unit":"mg","x":[1,{}]}"#,
    ] {
        assert_eq!(differences(&a, &Exact::read(other), none).len(), 1, "{other}");
    }
}
