//! The requests of `requests.txt` for each line of the server's map, and the names that are put into them.

use baton::access::limit::DIRECTORY;
use baton::interaction::Line;
use std::collections::BTreeMap;

/// What stands for `{p}` and its like.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// By placeholder.
    pub named: BTreeMap<String, String>,
    /// By type: an id.
    pub ids: BTreeMap<String, String>,
    /// The same of the caller's own: `{ap}`.
    pub own: BTreeMap<String, String>,
}

impl Names {
    /// Puts them into a text; `{id}` was replaced by `{id:Type}` before.
    pub fn put(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (name, value) in self.named.iter().chain(&self.own) {
            out = out.replace(&format!("{{{name}}}"), value);
        }
        for (rtype, id) in &self.ids {
            out = out.replace(&format!("{{id:{rtype}}}"), id);
        }
        out
    }

    /// Takes those that a request names out of an answer.
    pub fn out(&self, text: &str, ask: &Ask) -> String {
        let all = format!("{} {} {}", ask.path, ask.header.1, ask.body);
        let named = self.named.iter().filter(|(k, _)| all.contains(&format!("{{{k}}}")));
        let ids = self.ids.iter().filter(|(k, _)| all.contains(&format!("{{id:{k}}}")));
        let mut names: Vec<&String> = named.chain(ids).map(|(_, name)| name).collect();
        names.sort_by_key(|n| std::cmp::Reverse(n.len()));
        names.iter().fold(text.to_owned(), |text, name| text.replace(name.as_str(), "NAME"))
    }

    /// Names of the same shape that nothing has.
    pub fn never(&self) -> Self {
        let turn = |map: &BTreeMap<String, String>| map.iter().map(|(k, v)| (k.clone(), turned(v))).collect();
        Self { named: turn(&self.named), ids: turn(&self.ids), own: self.own.clone() }
    }

    /// With these rows as the caller's own.
    pub fn as_own(&self) -> Self {
        let own = self.own.keys().map(|k| (k.clone(), self.named[&k[1..]].clone())).collect();
        Self { own, ..self.clone() }
    }
}

/// The next letter and digit each, of the same kind.
fn turned(text: &str) -> String {
    let next = |c: char, first: char, last: char| {
        if c == last { first } else { char::from_u32(u32::from(c) + 1).expect("a letter") }
    };
    let turn = |c: char| match c {
        '0'..='9' => next(c, '0', '9'),
        'a'..='f' => next(c, 'a', 'f'),
        'g'..='z' => next(c, 'g', 'z'),
        'A'..='Z' => next(c, 'A', 'Z'),
        other => other,
    };
    text.chars().map(turn).collect()
}

/// One request, with placeholders.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Which row of the table it is of.
    pub row: usize,
    /// The row.
    pub line: String,
    pub method: &'static str,
    /// Below the root.
    pub path: String,
    pub header: (String, String),
    pub body: String,
    /// No owner sees a difference either.
    pub is_blind: bool,
    /// The type that stands for `{T}`; empty: there is no `{T}`.
    pub rtype: String,
    /// Of how many types it is which.
    pub turn: (usize, usize),
    /// Whether anything of the others' is named: then it is compared with what never was.
    pub names_something: bool,
}

struct Row<'a> {
    text: &'a str,
    is_blind: bool,
    name: &'a str,
    method: &'a str,
    path: &'a str,
    header: &'a str,
    body: &'a str,
}

fn rows() -> Vec<Row<'static>> {
    let lines = include_str!("requests.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let row = |text: &'static str| {
        let mut cells = text.split('~').map(str::trim);
        let mut next = || cells.next().unwrap_or_default();
        let (name, method, path, header, body) = (next(), next(), next(), next(), next());
        Row { text, is_blind: name.starts_with('!'), name: name.trim_start_matches('!'), method, path, header, body }
    };
    lines.map(row).collect()
}

/// Whether a path is of the pattern of a line.
fn fits(pattern: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let is_type = |s: &str| s == "{T}" || s.starts_with(|c: char| c.is_ascii_uppercase());
    let same = |(p, s): (&&str, &&str)| match *p {
        "{type}" => is_type(s),
        "{member}" => is_type(s) || *s == "*",
        "{id}" | "{version}" => !s.is_empty() && !s.starts_with(['$', '_']),
        word => word == *s,
    };
    pattern.len() == path.len() && pattern.iter().zip(&path).all(same)
}

/// The requests for all lines of the map, in the order of the table.
///
/// # Panics
/// For a line that no row of the table fits: then the wall of a route is not tried.
pub fn asks(map: &[Line], names: &Names) -> Vec<Ask> {
    let rows = rows();
    let of = |row: &Row<'_>, line: &Line| {
        row.name == line.name && (row.method == "*" || row.method == line.method) && fits(&line.path, row.path)
    };
    for line in map {
        assert!(rows.iter().any(|row| of(row, line)), "requests.txt does not know how to try the wall at {line:?}");
    }
    let mut out = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let lines: Vec<&Line> = map.iter().filter(|line| of(row, line)).collect();
        assert!(!lines.is_empty(), "the server has no such route: {}", row.text);
        let types: Vec<&str> = if format!("{}{}", row.path, row.body).contains("{T}") {
            names.ids.keys().map(String::as_str).collect()
        } else {
            vec![""]
        };
        for line in lines {
            for (at, rtype) in types.iter().enumerate() {
                let fill = |text: &str| text.replace("{T}", rtype).replace("{id}", &format!("{{id:{rtype}}}"));
                let header = row.header.split_once(": ").unwrap_or_default();
                let mut ask = Ask {
                    row: n,
                    line: row.text.to_owned(),
                    method: line.method,
                    path: fill(row.path),
                    header: (header.0.to_owned(), fill(header.1)),
                    body: fill(row.body),
                    is_blind: row.is_blind,
                    rtype: (*rtype).to_owned(),
                    turn: (at, types.len()),
                    names_something: false,
                };
                let all = format!("{} {} {}", ask.path, ask.header.1, ask.body);
                let placeholders = names.named.keys().map(|k| format!("{{{k}}}"));
                ask.names_something = all.contains("{id:") || placeholders.into_iter().any(|p| all.contains(&p));
                out.push(ask);
            }
        }
    }
    out
}

impl Ask {
    /// Whether it names an entry of the directory that the others brought along.
    pub fn names_an_entry(&self) -> bool {
        let names = |name: &str| [&self.path, &self.header.1, &self.body].iter().any(|text| text.contains(name));
        names("{d}") || DIRECTORY.iter().any(|rtype| names(&format!("{{id:{rtype}}}")))
    }

    /// An answer, with the row of the table and the method in front, and without the type that was asked about.
    pub fn without_type(&self, answer: &str) -> String {
        let answer = if self.rtype.is_empty() { answer.to_owned() } else { answer.replace(&self.rtype, "TYPE") };
        format!("{} {} {answer}", self.row, self.method)
    }

    /// Whether it is one of about `share` types that take their turn with this row and this caller.
    pub fn takes_turn(&self, caller: usize, share: usize) -> bool {
        let (at, of) = self.turn;
        (at + self.row * 7 + caller * 5) % of < share
    }
}

/// An answer without numbers of rows that are made for it, times, and page links.
pub fn smooth(text: &str) -> String {
    use regex::Regex;
    use std::sync::LazyLock;
    static RESTLESS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?x) [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
            | \d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d) | _page=[^&\x22]+ | D:\d{14}",
        )
        .expect("a pattern")
    });
    RESTLESS.replace_all(text, "-").into_owned()
}
