//! A page request as it came, an answer as it is to be written, and HTML that cannot be broken out of.
//!
//! Every page: no script, one stylesheet of our own, never framed, never cached, no referrer. `form-action` names the origin
//! that the last redirect leads to: with `'self'` alone browsers stop it without a word.
//! Source: <https://www.w3.org/TR/CSP3/#directive-form-action>; own rules (security contract, section 5).

use crate::auth::endpoint::{Form, OAuthAnswer};
use crate::auth::witness::Scene;
use std::fmt::Write;

/// A request for a page.
#[derive(Debug, Clone, Default)]
pub struct PageRequest<'a> {
    /// POST, not GET.
    pub is_post: bool,
    /// The query as sent.
    pub query: &'a str,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// All `Cookie` headers.
    pub cookies: Vec<&'a str>,
    /// All `Authorization` headers.
    pub authorization: Vec<&'a str>,
    /// Whose connection it is.
    pub address: String,
    /// `X-Request-Id`, sanitised.
    pub request_id: &'a str,
}

impl PageRequest<'_> {
    /// For the audit.
    #[must_use]
    pub fn scene(&self) -> Scene<'_> {
        Scene { address: &self.address, request_id: self.request_id }
    }

    /// The cookie of that name; `None` when it is there twice: somebody planted one.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let mut found = self.cookies.iter().flat_map(|h| h.split(';')).filter_map(|c| {
            let (n, value) = c.trim().split_once('=')?;
            (n == name).then_some(value)
        });
        match (found.next(), found.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// The parameters of a form that was posted, or of the query of a GET.
    #[must_use]
    pub fn form(&self) -> Option<Form> {
        if !self.is_post {
            return Form::parse(self.query.as_bytes()).ok();
        }
        self.is_form().then(|| Form::parse(self.body).ok()).flatten()
    }

    /// Whether the body says that it is a form.
    #[must_use]
    pub fn is_form(&self) -> bool {
        let media = self.content_type.and_then(|t| t.split(';').next()).unwrap_or_default().trim();
        media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }
}

/// Escaped text.
#[must_use]
pub fn e(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What is not to be seen could make one name look like another.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

/// Percent-encodes all but the unreserved characters, for a query.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            write!(out, "%{b:02X}").ok(); // a String takes everything
        }
    }
    out
}

/// A page. `main` is HTML, all foreign text in it escaped by [`e`].
#[must_use]
pub fn page(status: u16, title: &str, main: &str, leads_to: Option<&str>) -> OAuthAnswer {
    let title = e(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} \u{2013} Baton</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/auth/style.css\"></head><body><header><p class=\"brand\"><span aria-hidden=\"true\" \
         class=\"mark\"></span>Baton</p></header><main>{main}</main>\
         <footer><p>Baton carries a patient\u{2019}s medicines from hospital to pharmacy.</p></footer></body></html>"
    );
    let mut answer = OAuthAnswer { status, headers: safe(leads_to), body: html.into_bytes() };
    answer.headers.push(("Content-Type", "text/html; charset=utf-8".into()));
    answer
}

/// 303 to another address.
#[must_use]
pub fn redirect(to: &str, leads_to: Option<&str>) -> OAuthAnswer {
    let mut answer = OAuthAnswer { status: 303, headers: safe(leads_to), body: Vec::new() };
    answer.headers.push(("Location", to.into()));
    answer
}

/// A page that says what is wrong and what to do.
#[must_use]
pub fn problem(status: u16, title: &str, text: &str) -> OAuthAnswer {
    let main = format!("<h1>{}</h1><p role=\"alert\">{}</p>", e(title), e(text));
    page(status, title, &main, None)
}

fn safe(leads_to: Option<&str>) -> Vec<(&'static str, String)> {
    let form = leads_to.and_then(source).map_or_else(|| "'self'".to_owned(), |origin| format!("'self' {origin}"));
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action {form}"
    );
    vec![
        ("Content-Security-Policy", policy),
        ("Cache-Control", "no-store".into()),
        ("Pragma", "no-cache".into()),
        ("Referrer-Policy", "no-referrer".into()),
        ("X-Frame-Options", "DENY".into()),
        ("Cross-Origin-Opener-Policy", "same-origin".into()),
    ]
}

/// What `form-action` calls a redirect address: its origin, or the scheme of a native app's.
fn source(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    if !matches!(scheme, "http" | "https") {
        return Some(format!("{scheme}:"));
    }
    let host = rest.strip_prefix("//")?.split(['/', '?', '#']).next()?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    (!host.is_empty() && host.bytes().all(is_plain)).then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security A24: Text of others is escaped on every page, and what cannot be seen is shown.
    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(e("<script>\"'&"), "&lt;script&gt;&quot;&#39;&amp;");
        assert_eq!(e("a\u{202e}b\u{200b}c\0"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        let page = problem(400, "<b>", "\"><script>alert(1)</script>");
        let html = String::from_utf8(page.body).unwrap();
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    }

    /// security A23: No page can be framed; the policy lets forms lead to the app's origin and nowhere else.
    #[test]
    fn the_policy_names_the_origin_of_the_app() {
        for (uri, source) in [
            (None, "form-action 'self'"),
            (Some("https://app.example:8443/cb?x=1"), "form-action 'self' https://app.example:8443"),
            (Some("com.example.app:/cb"), "form-action 'self' com.example.app:"),
            (Some("https://evil'; script-src *"), "form-action 'self'"),
        ] {
            let policy = safe(uri)[0].1.clone();
            assert!(policy.ends_with(source), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'") && policy.starts_with("default-src 'none'"));
        }
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_none() {
        let request = PageRequest { cookies: vec!["a=1; b=2", "c=3; b=4"], ..PageRequest::default() };
        assert_eq!((request.cookie("a"), request.cookie("b"), request.cookie("x")), (Some("1"), None, None));
    }
}
