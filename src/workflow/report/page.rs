//! The report as one printable page: tables that people read at a counter.
//!
//! No script, no picture, nothing from elsewhere: the page is one file. Everything is escaped.

use super::table::{Section, day, sections, time};
use super::{Report, words};

/// Text as it may stand in XHTML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The table of a section, or what to say when it is empty.
#[must_use]
pub fn table(section: &Section) -> String {
    if section.rows.is_empty() {
        return format!("<p>{}</p>", escaped(section.empty));
    }
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cell = |c: &str| format!("<{tag}>{}</{tag}>", escaped(c));
        cells.map(cell).collect::<String>()
    };
    let head = cells("th", &mut section.heads.iter().copied());
    let rows: String =
        section.rows.iter().map(|r| format!("<tr>{}</tr>", cells("td", &mut r.iter().map(String::as_str)))).collect();
    format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
}

/// Facts of the head: (what, value).
#[must_use]
pub fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let period = &report.encounter["period"];
    let number = |i: &crate::fhir::Json| i["value"].text().to_string();
    let numbers = report.patient["identifier"].items().iter().map(number).filter(|v| v.len() <= 20);
    let signed = match &report.signature {
        Some(s) if s.is_current => format!("Attested by {} on {}", s.who, time(&s.at)),
        Some(s) => format!("Not attested: the list has changed since {} attested it", s.who),
        None => "Not attested by a pharmacist yet".into(),
    };
    let reasons: Vec<String> = report.encounter["reasonCode"].items().iter().map(words).collect();
    let mut out = vec![
        ("Patient", report.patient_name()),
        ("Born", report.patient["birthDate"].text().to_string()),
        ("Numbers", numbers.take(3).collect::<Vec<_>>().join(", ")),
        ("In hospital", format!("{} to {}", day(period["start"].text()), day(period["end"].text()))),
        ("Because of", reasons.join(", ")),
        ("List", signed),
    ];
    out.retain(|(_, value)| !value.trim().is_empty());
    out
}

/// How the pages look, on screen and paper.
pub const STYLE: &str = "\
body{font:15px/1.4 system-ui,'Segoe UI',Roboto,Arial,sans-serif;color:#111;background:#fff;margin:0 auto;max-width:60rem;padding:1rem}\
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:1.4rem 0 .4rem;padding-bottom:.15rem;border-bottom:2px solid #111}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}dt{color:#444}dd{margin:0;font-weight:600;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid #bbb;overflow-wrap:anywhere}\
th{background:#eee;font-weight:600}tbody td:first-child{font-weight:600}thead{display:table-header-group}tr{break-inside:avoid}\
.ask h2{border-color:#a40000;color:#a40000}p{margin:.3rem 0}footer{margin-top:2rem;color:#444;font-size:.85rem}\
@media(max-width:480px){body{padding:.6rem;font-size:14px}table,thead,tbody,tr,td{display:block}thead{position:absolute;left:-9999px}\
tr{border-bottom:2px solid #999;padding:.4rem 0}td{border:0;padding:.1rem 0}td:empty{display:none}}\
@media print{body{max-width:none;padding:0;font-size:11pt}h2{break-after:avoid}@page{margin:14mm}}";

/// A page around its content.
#[must_use]
pub fn page(language: &str, title: &str, style: &str, content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{}</title><style>{style}</style></head><body>{content}</body></html>\n",
        escaped(title)
    )
}

/// The report as a page.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut out = String::from("<h1>Medicines after a hospital stay</h1><dl>");
    for (name, value) in facts(report) {
        out.push_str(&format!("<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(&value)));
    }
    out.push_str("</dl>");
    for section in sections(report) {
        let class = if section.code.1 == "open-questions" && !section.rows.is_empty() { " class=\"ask\"" } else { "" };
        out.push_str(&format!("<section{class}><h2>{}</h2>{}</section>", section.title, table(&section)));
    }
    let updated = report.list["meta"]["lastUpdated"].text();
    out.push_str(&format!("<footer>{}</footer>", escaped(&report.foot(&time(updated)))));
    page("en", "Medicines after a hospital stay", STYLE, &out)
}
