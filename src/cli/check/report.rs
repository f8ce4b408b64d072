//! What was found, as text, as JSON and as a test report.

use super::Checked;
use crate::error::{Issue, Severity};
use serde_json::{Value, json};
use std::fmt::Write;

const RED: &str = "\x1b[31;1m";
const YELLOW: &str = "\x1b[33;1m";
const FAINT: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Every issue with the file it is in, the resource, and its place.
fn rows(checked: &[Checked], is_quiet: bool) -> impl Iterator<Item = (&Checked, &str, &Issue, (u32, u32))> {
    checked.iter().flat_map(move |c| {
        c.issues.iter().filter(move |(_, i)| !is_quiet || i.severity == Severity::Error).map(move |(file, issue)| {
            (c, file.as_deref().unwrap_or(&c.file), issue, issue.position.unwrap_or((c.line, 1)))
        })
    })
}

/// How many errors and warnings.
fn count(checked: &[Checked]) -> (usize, usize) {
    let of = |severity| checked.iter().flat_map(|c| &c.issues).filter(|(_, i)| i.severity == severity).count();
    (of(Severity::Error), of(Severity::Warning))
}

fn number(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// `file:line:column: error: Patient.gender: found …`, and a last line that sums up.
pub(super) fn text(checked: &[Checked], is_quiet: bool, is_coloured: bool) -> String {
    let paint = |colour: &'static str| if is_coloured { colour } else { "" };
    let mut out = String::new();
    for (_, file, issue, (line, column)) in rows(checked, is_quiet) {
        let colour = match issue.severity {
            Severity::Error => RED,
            Severity::Warning => YELLOW,
            Severity::Information => FAINT,
        };
        let at = if issue.expression.is_empty() { String::new() } else { format!("{}: ", issue.expression) };
        let (on, off) = (paint(colour), paint(PLAIN));
        let severity = issue.severity.as_str();
        write!(out, "{file}:{line}:{column}: {on}{severity}{off}: {at}{}", issue.diagnostics).ok();
        if let Some(profile) = &issue.profile {
            write!(out, " {}[{profile}]{}", paint(FAINT), paint(PLAIN)).ok();
        }
        out.push('\n');
    }
    let (errors, warnings) = count(checked);
    let found = format!("{}, {}", number(errors, "error"), number(warnings, "warning"));
    writeln!(out, "{} checked: {found}", number(checked.len(), "resource")).ok();
    out
}

/// `{"resources", "errors", "warnings", "issues": [{"file", "line", "column", "resource", "severity", "code", …}]}`
pub(super) fn json(checked: &[Checked], is_quiet: bool) -> String {
    let issues: Vec<Value> = rows(checked, is_quiet)
        .map(|(c, file, issue, (line, column))| {
            json!({"file": file, "line": line, "column": column, "resource": c.name, "severity": issue.severity.as_str(),
                "code": issue.code, "expression": issue.expression, "rule": issue.rule, "diagnostics": issue.diagnostics,
                "profile": issue.profile})
        })
        .collect();
    let (errors, warnings) = count(checked);
    let all = json!({"resources": checked.len(), "errors": errors, "warnings": warnings, "issues": issues});
    format!("{all:#}\n")
}

/// A suite a file, a case a resource; a resource with errors fails.
pub(super) fn junit(checked: &[Checked], is_quiet: bool) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let failed = |c: &&Checked| c.has_error();
    let (tests, failures) = (checked.len(), checked.iter().filter(failed).count());
    writeln!(out, "<testsuites name=\"baton check\" tests=\"{tests}\" failures=\"{failures}\">").ok();
    for suite in checked.chunk_by(|a, b| a.file == b.file) {
        let file = suite.first().map_or("", |c| &c.file);
        let failures = suite.iter().filter(failed).count();
        writeln!(out, "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">", escaped(file), suite.len())
            .ok();
        for case in suite {
            let name = escaped(&format!("{} (line {})", case.name, case.line));
            write!(out, "    <testcase classname=\"{}\" name=\"{name}\"", escaped(file)).ok();
            let case_rows: Vec<_> = rows(std::slice::from_ref(case), is_quiet).collect();
            if case_rows.is_empty() {
                out.push_str("/>\n");
                continue;
            }
            out.push_str(">\n");
            let lines: String = case_rows
                .iter()
                .map(|(_, file, i, (line, column))| {
                    let (severity, at) = (i.severity.as_str(), &i.expression);
                    escaped(&format!("{file}:{line}:{column}: {severity}: {at}: {}\n", i.diagnostics))
                })
                .collect();
            match case_rows.iter().find(|(_, _, i, _)| i.severity == Severity::Error) {
                Some((_, _, first, _)) => {
                    let message = escaped(&format!("{}: {}", first.expression, first.diagnostics));
                    write!(out, "      <failure type=\"{}\" message=\"{message}\">{lines}</failure>\n    ", first.code)
                        .ok();
                }
                None => drop(write!(out, "      <system-out>{lines}</system-out>\n    ")),
            }
            out.push_str("</testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Text for XML: what XML 1.0 cannot hold becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
