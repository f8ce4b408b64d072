//! Line and column of the elements that issues name: a second reading of the text, made only when something is wrong.
//!
//! The reader keeps no positions, so that a good body pays nothing for them. Here the text is walked once for all issues of
//! an answer: what no issue lies in is skipped.
//! Not for: text that is no JSON (the reader names the place itself).

use crate::error::Issue;

/// One step of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

/// How far an expression could be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    steps: usize,
    is_exact: bool,
    at: usize,
}

/// An issue that the walk is on the way to, and how many of its steps are done.
type Active = (usize, usize);

/// Objects and arrays inside each other after which nothing is looked for.
const MAX_DEPTH: usize = 200;

/// Gives each issue of an element of this text its line and column. Of an element that is missing, those of the object that
/// lacks it; issues that have a position keep it; those of another resource than the text holds get none.
///
/// `text`: JSON that was read without a complaint. `inner`: member names and positions from the root to the resource that
/// the expressions begin at, such as `parameter[0].resource`; "" for the root itself.
pub fn locate(text: &[u8], inner: &str, issues: &mut [Issue]) {
    let is_wanted = |i: &Issue| i.position.is_none() && !i.expression.is_empty();
    if !issues.iter().any(is_wanted) {
        return;
    }
    let root = root_name(text, inner);
    let ways: Vec<Vec<Step<'_>>> = issues
        .iter()
        .map(|i| if is_wanted(i) { way(&i.expression, inner, root.as_deref()) } else { Vec::new() })
        .collect();
    let least = steps(inner).len();
    let mut walk = Walk { text, at: 0, found: vec![None; ways.len()], ways };
    let active: Vec<Active> =
        (0..walk.ways.len()).filter(|n| walk.ways.get(*n).is_some_and(|w| !w.is_empty())).map(|n| (n, 0)).collect();
    walk.space();
    walk.mark(&active, true, walk.at);
    walk.value(&active, 0);
    let found: Vec<Option<usize>> = walk.found.iter().map(|f| f.filter(|f| f.steps >= least).map(|f| f.at)).collect();
    let mut order: Vec<(usize, usize)> = found.iter().enumerate().filter_map(|(n, at)| Some(((*at)?, n))).collect();
    order.sort_unstable();
    let (mut from, mut line, mut start) = (0, 1_u32, 0);
    for (at, n) in order {
        for (offset, byte) in text.iter().enumerate().take(at).skip(from) {
            if *byte == b'\n' {
                line = line.saturating_add(1);
                start = offset + 1;
            }
        }
        from = from.max(at);
        let before = text.get(start..at).unwrap_or_default();
        let column = before.iter().filter(|b| **b & 0xc0 != 0x80).count() + 1;
        if let Some(issue) = issues.get_mut(n) {
            issue.position = Some((line, u32::try_from(column).unwrap_or(u32::MAX)));
        }
    }
}

/// The steps of an expression, as far as it is made of names and positions.
fn steps(expression: &str) -> Vec<Step<'_>> {
    let mut out = Vec::new();
    for part in expression.split('.') {
        let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.contains(['(', ')', '\'', ' ']) {
            break;
        }
        if !name.is_empty() {
            out.push(Step::Member(name));
        }
        while let Some((n, more)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            let Ok(n) = n.parse() else { return out };
            out.push(Step::Item(n));
            rest = more;
        }
    }
    out
}

/// The steps from the root of the text to the element; none when the expression is of another resource.
fn way<'a>(expression: &'a str, inner: &'a str, root: Option<&str>) -> Vec<Step<'a>> {
    let mut own = steps(expression);
    match (own.first(), root) {
        (Some(Step::Member(first)), Some(root)) if *first == root => drop(own.remove(0)),
        // `Patch[2]`: an operation of a JSON Patch, which is an array without a name.
        (Some(Step::Member("Patch")), None) => drop(own.remove(0)),
        (Some(Step::Member(first)), _) if first.starts_with(|c: char| c.is_ascii_uppercase()) => return Vec::new(),
        _ => {}
    }
    let mut all = steps(inner);
    all.append(&mut own);
    // The root itself is an element, too.
    if all.is_empty() { vec![Step::Member("")] } else { all }
}

/// `resourceType` of the object at `inner`.
fn root_name(text: &[u8], inner: &str) -> Option<String> {
    let mut way = steps(inner);
    way.push(Step::Member("resourceType"));
    let length = way.len();
    let mut walk = Walk { text, at: 0, found: vec![None], ways: vec![way] };
    walk.value(&[(0, 0)], 0);
    let found = walk.found.first().copied().flatten().filter(|f| f.steps == length)?;
    let rest = std::str::from_utf8(text.get(found.at..)?).ok()?;
    let mut quotes = rest.split('"').skip(3);
    quotes.next().map(str::to_owned)
}

struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    ways: Vec<Vec<Step<'a>>>,
    found: Vec<Option<Found>>,
}

impl Walk<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn mark(&mut self, active: &[Active], is_exact: bool, at: usize) {
        for (n, steps) in active {
            let found = Found { steps: *steps, is_exact, at };
            if let Some(slot) = self.found.get_mut(*n)
                && slot.is_none_or(|old| (old.steps, old.is_exact) < (found.steps, found.is_exact))
            {
                *slot = Some(found);
            }
        }
    }

    fn value(&mut self, active: &[Active], depth: usize) {
        self.space();
        match self.peek() {
            b'{' if !active.is_empty() && depth < MAX_DEPTH => self.object(active, depth),
            b'[' if !active.is_empty() && depth < MAX_DEPTH => self.array(active, depth),
            b'{' | b'[' => self.skip(),
            b'"' => drop(self.string()),
            _ => {
                while !matches!(self.peek(), b',' | b'}' | b']' | 0) {
                    self.at += 1;
                }
            }
        }
    }

    /// Passes an object or array without looking into it.
    fn skip(&mut self) {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                0 if self.at >= self.text.len() => return,
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open = open.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }

    /// Passes a string; what stands between its quotes.
    fn string(&mut self) -> (usize, usize) {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                b'"' => break,
                b'\\' => self.at += 2,
                0 if self.at >= self.text.len() => break,
                _ => self.at += 1,
            }
        }
        let end = self.at.min(self.text.len());
        self.at += 1;
        (start, end)
    }

    fn object(&mut self, active: &[Active], depth: usize) {
        self.at += 1;
        loop {
            self.space();
            if self.peek() != b'"' {
                self.at += 1; // the end
                return;
            }
            let key_at = self.at;
            let (start, end) = self.string();
            let key = self.text.get(start..end).and_then(|k| std::str::from_utf8(k).ok()).unwrap_or_default();
            let (exact, loose): (Vec<_>, Vec<_>) =
                active.iter().filter_map(|a| Some((*a, self.fits(*a, key)?))).partition(|(_, is_exact)| *is_exact);
            let done =
                |list: Vec<(Active, bool)>| list.into_iter().map(|((n, s), _)| (n, s + 1)).collect::<Vec<Active>>();
            let (exact, loose) = (done(exact), done(loose));
            self.mark(&exact, true, key_at);
            self.mark(&loose, false, key_at);
            self.space();
            self.at += 1; // the colon
            let inside = [exact, loose].concat();
            self.value(&inside, depth + 1);
            self.space();
            self.at += 1; // a comma, or the end
            if self.text.get(self.at - 1) != Some(&b',') {
                return;
            }
        }
    }

    /// Whether a member is the next step of an issue: by its name (`Some(true)`), as one of a choice, or as the half with id
    /// and extensions of a primitive.
    fn fits(&self, (n, step): Active, key: &str) -> Option<bool> {
        let way = self.ways.get(n)?;
        let Step::Member(name) = way.get(step)? else { return None };
        if *name == key {
            return Some(true);
        }
        let half = key.strip_prefix('_').is_some_and(|plain| plain == *name)
            && way.iter().skip(step + 1).find_map(|s| match s {
                Step::Member(m) => Some(matches!(*m, "extension" | "id")),
                Step::Item(_) => None,
            }) == Some(true);
        let choice = key.strip_prefix(*name).is_some_and(|kind| kind.starts_with(|c: char| c.is_ascii_uppercase()))
            && !name.is_empty();
        (half || choice).then_some(half)
    }

    fn array(&mut self, active: &[Active], depth: usize) {
        self.at += 1;
        for item in 0.. {
            self.space();
            if matches!(self.peek(), b']' | 0) {
                self.at += 1;
                return;
            }
            let is_next = |(n, step): &Active| self.ways.get(*n).and_then(|w| w.get(*step)) == Some(&Step::Item(item));
            let inside: Vec<Active> = active.iter().copied().filter(is_next).map(|(n, s)| (n, s + 1)).collect();
            self.mark(&inside, true, self.at);
            self.value(&inside, depth + 1);
            self.space();
            self.at += 1; // a comma, or the end
            if self.text.get(self.at - 1) != Some(&b',') {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(text: &str, inner: &str, expressions: &[&str]) -> Vec<Option<(u32, u32)>> {
        let mut issues: Vec<Issue> = expressions.iter().map(|e| Issue::error("value", *e, "x")).collect();
        locate(text.as_bytes(), inner, &mut issues);
        issues.into_iter().map(|i| i.position).collect()
    }

    /// R4 operationoutcome.html: Line and column are those of the element, or of the object that lacks it.
    #[test]
    fn an_element_has_the_place_of_its_name_and_a_missing_one_that_of_its_object() {
        let text = "{\n \"resourceType\": \"Patient\",\n \"name\": [ {\"family\": \"é\\\"x{\", \"given\": [\"a\",\n   \"b\"]}, {} ],\n \"_birthDate\": {\"extension\": [{\"url\": \"x\"}]},\n \"deceasedDateTime\": \"x\" }";
        for (expression, expected) in [
            ("Patient", Some((1, 1))),
            ("Patient.resourceType", Some((2, 2))),
            ("resourceType", Some((2, 2))),
            ("Patient.name", Some((3, 2))),
            ("Patient.name[0].family", Some((3, 13))),
            ("Patient.name[0].given", Some((3, 32))),
            ("Patient.name[0].given[1]", Some((4, 4))),
            ("Patient.name[1]", Some((4, 11))),
            ("Patient.name[1].family", Some((4, 11))),
            ("Patient.name[7].family", Some((3, 2))),
            ("Patient.birthDate.extension[0].url", Some((5, 32))),
            ("Patient.birthDate", Some((1, 1))),
            ("Patient.deceased", Some((6, 2))),
            ("Patient.deceased.ofType(dateTime)", Some((6, 2))),
            ("Patient.gender", Some((1, 1))),
            ("Task.status", None),
            ("", None),
        ] {
            assert_eq!(positions(text, "", &[expression]), [expected], "{expression}");
        }
    }

    #[test]
    fn all_issues_of_a_bundle_are_found_in_one_walk_whatever_their_order() {
        let text = "{\"resourceType\":\"Bundle\",\n\"entry\":[{\"resource\":\n{\"resourceType\":\"Patient\",\"active\":1}},\n{\"resource\":{\"gender\":\"x\"}}]}";
        let found = positions(
            text,
            "",
            &["Bundle.entry[1].resource.gender", "Bundle.entry[0].resource.active", "Bundle.entry[9]", "Bundle.type"],
        );
        assert_eq!(found, [Some((4, 14)), Some((3, 27)), Some((2, 1)), Some((1, 1))]);
    }

    #[test]
    fn a_resource_inside_parameters_and_a_patch_are_found_by_their_own_names() {
        let text = "{\"resourceType\":\"Parameters\",\"parameter\":[{\"name\":\"resource\",\n\"resource\":{\"resourceType\":\"Task\",\"status\":\"x\"}}]}";
        let inner = "parameter[0].resource";
        assert_eq!(positions(text, inner, &["Task.status", "Parameters.parameter"]), [Some((2, 35)), None]);
        assert_eq!(positions("[{\"op\":\"x\"},\n {}]", "", &["Patch[1]", "Patient.name"]), [Some((2, 2)), None]);
    }

    #[test]
    fn garbage_ends_the_walk_without_harm() {
        for text in ["", "{", "{\"a", "{\"a\":", "[[[", "{\"resourceType\":\"Patient\",\"name\":[{\"x\\", "nul", "{]}"]
        {
            positions(text, "a[0].b", &["Patient.name[0].given", "name", "Patch[0]"]);
        }
    }
}
