//! JSON Patch: operations on the tree by JSON Pointer.
//!
//! For: PATCH with `application/json-patch+json`, and in a Bundle as a Binary of that type.
//! Source: RFC 6902, RFC 6901, <https://hl7.org/fhir/R4/http.html#patch>.

use super::MAX_OPERATIONS;
use crate::error::{Error, Result};
use crate::fhir::json::Json;
use crate::fhir::resource::printable;

/// Values a result may hold: `copy` cannot blow a resource up.
const MAX_VALUES: usize = 200_000;

/// Applies a patch to a copy of `document`. All operations or none.
///
/// # Errors
/// `Invalid` at `Patch[n]` when the patch is no RFC 6902 patch; `Unprocessable` when a path leads nowhere or a `test` fails.
pub fn apply(document: &Json, patch: &Json) -> Result<Json> {
    let Json::Array(operations) = patch else {
        return Err(Error::invalid(
            "a JSON Patch is an array of operations, such as [{\"op\":\"replace\",\"path\":\"/status\",\"value\":\"final\"}]",
        ));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(Error::unprocessable(format!(
            "a patch has at most {MAX_OPERATIONS} operations, this one has {}",
            operations.len()
        ))
        .code("too-costly"));
    }
    let mut result = document.clone();
    for (n, operation) in operations.iter().enumerate() {
        step(&mut result, operation).map_err(|e| e.at(format!("Patch[{n}]")))?;
        // Only a copy makes more of what was sent.
        if operation["op"].as_str() == Some("copy") && values(&result) > MAX_VALUES {
            return Err(Error::unprocessable("the patched resource would be too large").at(format!("Patch[{n}]")));
        }
    }
    Ok(result)
}

fn step(root: &mut Json, operation: &Json) -> Result<()> {
    let text = |key: &str| {
        operation[key].as_str().ok_or_else(|| Error::invalid(format!("an operation needs '{key}' as a string")))
    };
    let value = || operation.get("value").cloned().ok_or_else(|| Error::invalid("this operation needs 'value'"));
    let path = pointer(text("path")?)?;
    match text("op")? {
        "add" => add(root, &path, value()?),
        "remove" => remove(root, &path).map(drop),
        "replace" => {
            *find_mut(root, &path)? = value()?;
            Ok(())
        }
        "move" => {
            let from = pointer(text("from")?)?;
            if path == from {
                return find(root, &path).map(drop);
            }
            if path.len() > from.len() && path.starts_with(&from) {
                return Err(Error::invalid("a value cannot be moved into itself"));
            }
            let moved = remove(root, &from)?;
            add(root, &path, moved)
        }
        "copy" => {
            let copied = find(root, &pointer(text("from")?)?)?.clone();
            add(root, &path, copied)
        }
        "test" => {
            if same(find(root, &path)?, &value()?) {
                Ok(())
            } else {
                Err(Error::unprocessable(format!("the test at {} does not hold", printable(text("path")?))))
            }
        }
        other => Err(Error::invalid(format!(
            "'{}' is no patch operation: add, remove, replace, move, copy, test",
            printable(other)
        ))),
    }
}

/// A JSON Pointer as its tokens.
fn pointer(text: &str) -> Result<Vec<String>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err(Error::invalid(format!("a path starts with '/': '{}' does not", printable(text))));
    };
    rest.split('/').map(unescape).collect()
}

fn unescape(token: &str) -> Result<String> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '~' { chars.next() } else { None }) {
            ('~', Some('0')) => out.push('~'),
            ('~', Some('1')) => out.push('/'),
            ('~', _) => return Err(Error::invalid("in a path '~' is written ~0 and '/' is written ~1")),
            (c, _) => out.push(c),
        }
    }
    Ok(out)
}

fn nowhere(token: &str) -> Error {
    Error::unprocessable(format!("the path leads nowhere at '{}'", printable(token)))
}

/// An array position without leading zeros, below `end`.
fn position(token: &str, end: usize) -> Result<usize> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    token.parse().ok().filter(|n| plain && *n < end).ok_or_else(|| nowhere(token))
}

fn find<'a>(root: &'a Json, path: &[String]) -> Result<&'a Json> {
    path.iter().try_fold(root, |at, token| match at {
        Json::Object(o) => o.get(token).ok_or_else(|| nowhere(token)),
        Json::Array(a) => a.get(position(token, a.len())?).ok_or_else(|| nowhere(token)),
        _ => Err(nowhere(token)),
    })
}

fn find_mut<'a>(root: &'a mut Json, path: &[String]) -> Result<&'a mut Json> {
    path.iter().try_fold(root, |at, token| match at {
        Json::Object(o) => o.get_mut(token).ok_or_else(|| nowhere(token)),
        Json::Array(a) => {
            let n = position(token, a.len())?;
            a.get_mut(n).ok_or_else(|| nowhere(token))
        }
        _ => Err(nowhere(token)),
    })
}

fn add(root: &mut Json, path: &[String], value: Json) -> Result<()> {
    let Some((last, parent)) = path.split_last() else {
        *root = value;
        return Ok(());
    };
    match find_mut(root, parent)? {
        Json::Object(o) => o.set(last, value),
        Json::Array(a) => {
            let at = if last == "-" { a.len() } else { position(last, a.len() + 1)? };
            a.insert(at, value);
        }
        _ => return Err(nowhere(last)),
    }
    Ok(())
}

/// Takes a value out.
fn remove(root: &mut Json, path: &[String]) -> Result<Json> {
    let Some((last, parent)) = path.split_last() else {
        return Err(Error::invalid("the whole resource cannot be removed by a patch: use DELETE"));
    };
    let holder = find_mut(root, parent)?;
    match holder {
        Json::Object(o) => o.remove(last).ok_or_else(|| nowhere(last)),
        Json::Array(a) => {
            let at = position(last, a.len())?;
            Ok(a.remove(at))
        }
        _ => Err(nowhere(last)),
    }
}

/// Equality as RFC 6902 section 4.6 has it: members in any order, numbers by value.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
        }
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(v, w)| same(v, w)),
        (Json::Number(x), Json::Number(y)) => x == y || decimal(x) == decimal(y),
        _ => a == b,
    }
}

/// Sign, digits without zeros at either end, exponent: equal for equal numbers. `1.50` and `15e-1` are the same.
fn decimal(text: &str) -> (bool, String, i64) {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let trimmed = digits.trim_end_matches('0');
    if trimmed.is_empty() {
        return (false, String::new(), 0);
    }
    let moved = i64::try_from(digits.len() - trimmed.len()).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
    let exponent = exponent.trim_start_matches('+').parse::<i64>().unwrap_or(i64::MAX / 2);
    (negative, trimmed.to_owned(), exponent.saturating_add(moved))
}

fn values(json: &Json) -> usize {
    match json {
        Json::Array(a) => 1 + a.iter().map(values).sum::<usize>(),
        Json::Object(o) => 1 + o.iter().map(|(_, v)| values(v)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(document: serde_json::Value, patch: serde_json::Value) -> Result<String> {
        apply(&document.into(), &patch.into()).map(|j| j.to_string())
    }

    /// RFC 6902 section-4: add, remove, replace, move, copy, test.
    /// RFC 6901 section-4: `~0` and `~1` are undone, the empty name is one.
    #[test]
    fn each_operation_does_what_rfc_6902_says() {
        let cases = [
            (json!({"a": 1}), json!([{"op": "add", "path": "/b", "value": 2}]), r#"{"a":1,"b":2}"#),
            (json!({"a": [1, 3]}), json!([{"op": "add", "path": "/a/1", "value": 2}]), r#"{"a":[1,2,3]}"#),
            (json!({"a": [1]}), json!([{"op": "add", "path": "/a/-", "value": 2}]), r#"{"a":[1,2]}"#),
            (json!({"a": 1, "b": 2}), json!([{"op": "remove", "path": "/a"}]), r#"{"b":2}"#),
            (json!({"a": [1, 2]}), json!([{"op": "remove", "path": "/a/0"}]), r#"{"a":[2]}"#),
            (json!({"a": 1}), json!([{"op": "replace", "path": "/a", "value": 2}]), r#"{"a":2}"#),
            (json!({"a": 1}), json!([{"op": "move", "from": "/a", "path": "/b"}]), r#"{"b":1}"#),
            (json!({"a": 1, "b": 2}), json!([{"op": "move", "from": "/a", "path": "/a"}]), r#"{"a":1,"b":2}"#),
            (json!({"a": 1}), json!([]), r#"{"a":1}"#),
            (json!({"a": 1}), json!([{"op": "add", "path": "", "value": [1]}]), "[1]"),
            (
                json!({"": 1, "~1": 2}),
                json!([{"op": "remove", "path": "/"}, {"op": "test", "path": "/~01", "value": 2}]),
                r#"{"~1":2}"#,
            ),
            (json!({"a": null}), json!([{"op": "test", "path": "/a", "value": null}]), r#"{"a":null}"#),
            (json!({"a": 1}), json!([{"op": "copy", "from": "/a", "path": "/b"}]), r#"{"a":1,"b":1}"#),
            (json!({"a/b": 1}), json!([{"op": "test", "path": "/a~1b", "value": 1.0}]), r#"{"a/b":1}"#),
            (
                json!({"a": {"x": 1, "y": 2}}),
                json!([{"op": "test", "path": "/a", "value": {"y": 2, "x": 1}}]),
                r#"{"a":{"x":1,"y":2}}"#,
            ),
        ];
        for (document, patch, expected) in cases {
            assert_eq!(run(document, patch.clone()).unwrap(), expected, "{patch}");
        }
    }

    /// RFC 6902 section-5: An operation that cannot be done, or cannot be read, ends the patch and is named.
    #[test]
    fn what_cannot_be_done_is_refused_and_names_the_operation() {
        let cases = [
            (json!([{"op": "remove", "path": "/b"}]), 422),
            (json!([{"op": "replace", "path": "/b", "value": 1}]), 422),
            (json!([{"op": "add", "path": "/c/d", "value": 1}]), 422),
            (json!([{"op": "add", "path": "/a/01", "value": 1}]), 422),
            (json!([{"op": "test", "path": "/a", "value": "no"}]), 422),
            (json!([{"op": "add", "path": "a", "value": 1}]), 400),
            (json!([{"op": "add", "path": "/a"}]), 400),
            (json!([{"op": "jump", "path": "/a"}]), 400),
            (json!([{"op": "move", "from": "/a", "path": "/a/0"}]), 400),
            (json!([{"op": "remove", "path": ""}]), 400),
            (json!([{"op": "test", "path": "/a", "value": "0"}]), 422),
            (json!([{"op": "add", "path": "/a/2", "value": 1}]), 422),
            (json!([{"op": "remove", "path": "/a/-"}]), 422),
            (json!([{"op": "add", "path": "/a/-1", "value": 1}]), 422),
            (json!([{"op": "add", "path": "/a~2", "value": 1}]), 400),
            (json!([{"op": "copy", "path": "/b"}]), 400),
            (json!([{"op": "copy", "from": "/c", "path": "/b"}]), 422),
            (json!([7]), 400),
        ];
        for (patch, status) in cases {
            let error = apply(&json!({"a": [0]}).into(), &patch.clone().into()).unwrap_err();
            assert_eq!(error.kind.status(), status, "{patch}");
            assert_eq!(error.issues[0].expression, "Patch[0]", "{patch}");
        }
    }

    /// RFC 6902 section-4.6: Numbers are equal by value; what is not touched keeps its digits.
    #[test]
    fn numbers_are_equal_by_value_and_keep_their_digits() {
        for (a, b, equal) in
            [("1.50", "15e-1", true), ("0", "-0.00", true), ("100", "1E2", true), ("1.5", "1.51", false)]
        {
            assert_eq!(decimal(a) == decimal(b), equal, "{a} {b}");
        }
    }
}
