//! The story as one page that people read or print.

use crate::fhir::Json;
use crate::workflow::report::page::{STYLE, escaped, page};

/// The story that [`super::tell`] gives as a page: when it was written down, what happened, when, and who did it.
#[must_use]
pub fn html(story: &Json) -> String {
    let title = "What happened after the discharge";
    let mut out = format!("<h1>{title}</h1>");
    let events = story["parameter"].items();
    if events.is_empty() {
        out.push_str("<p>Nothing that you may see.</p>");
    } else {
        out.push_str(
            "<table><thead><tr><th>Written down</th><th>What</th><th>When</th><th>Who</th></tr></thead><tbody>",
        );
        for event in events {
            let part = |name: &str| event["part"].items().iter().find(|p| p["name"].text() == name);
            let text = |name: &str, of: &str| part(name).map_or("", |p| p[of].text()).to_string();
            let who = part("who").map_or("", |p| p["valueReference"]["reference"].text());
            let cells = [
                to_the_minute(&text("recorded", "valueInstant")),
                text("what", "valueString"),
                to_the_minute(&text("at", "valueDateTime")),
                who.to_string(),
            ];
            let cells: String = cells.iter().map(|c| format!("<td>{}</td>", escaped(c))).collect();
            out.push_str(&format!("<tr>{cells}</tr>"));
        }
        out.push_str("</tbody></table>");
    }
    out.push_str(
        "<footer>In the order of writing, as far as the reader may see it. Baton is no medical device.</footer>",
    );
    page("en", title, STYLE, &out)
}

/// A time without its seconds.
fn to_the_minute(time: &str) -> String {
    let minutes = time.get(..16).filter(|t| t.contains('T'));
    minutes.map_or_else(|| time.to_string(), |t| format!("{}{}", t.replace('T', " "), zone(time)))
}

fn zone(time: &str) -> &str {
    let rest = time.get(16..).unwrap_or_default();
    rest.rfind(['Z', '+', '-']).and_then(|n| rest.get(n..)).map_or("", |z| if z == "Z" { " UTC" } else { z })
}
