//! `Subscription.channel`: where notifications go, what is in them, and headers whose values nobody reads again.
//!
//! Source: <https://hl7.org/fhir/R4/subscription.html#channels>,
//! <https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/>; security contract A39, A40.

use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::outbound::fetch::{Reach, Refused};

/// What is read back in place of a header's value.
pub(super) const MASK: &str = "***";
/// Headers of one Subscription, and bytes of one of them (own limits).
const MOST_HEADERS: usize = 20;
const MOST_BYTES: usize = 4096;
/// Bytes of an endpoint (own limit).
const MOST_ENDPOINT: usize = 2048;
/// Seconds that a notification may take at most.
pub(super) const SECONDS: u64 = 10;

const EXTENSION: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";
const CONTENT: &str = "backport-payload-content";
const MAX_COUNT: &str = "backport-max-count";
const TIMEOUT: &str = "backport-timeout";
pub(super) const FILTER: &str = "backport-filter-criteria";

/// Headers that are the connection's or ours to set; with "-" at the end: all that begin so.
const OURS: [&str; 19] = [
    "accept-encoding",
    "connection",
    "content-",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-",
    "sec-",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-",
    "x-http-method-",
    "x-real-ip",
];

/// How much a notification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// That something was written.
    Empty,
    /// Which resources.
    IdOnly,
    /// The resources.
    Full,
}

/// What is asked for of the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) endpoint: String,
    pub(super) content: Content,
    /// Resources of one notification at most, where that is said.
    pub(super) most: Option<usize>,
    pub(super) seconds: u64,
}

pub(super) fn refuse(code: &'static str, at: &str, text: impl Into<String>) -> Error {
    Error::unprocessable(text).code(code).at(format!("Subscription.{at}"))
}

/// An extension of the backport: its name, and the extension.
pub(super) fn backported(element: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let all = element["extension"].items().iter();
    all.filter_map(|e| Some((e["url"].text().strip_prefix(EXTENSION)?, e)))
}

impl Channel {
    /// Reads it. `may_be_whole`: whether the client may be sent whole resources.
    pub(super) fn read(body: &Json, reach: Reach, may_be_whole: bool, fail: &mut dyn FnMut(Error)) -> Self {
        let channel = &body["channel"];
        if channel["type"].text() != "rest-hook" {
            let text = "only the channel rest-hook is there: notifications are sent by POST to an https address";
            fail(refuse("not-supported", "channel.type", text));
        }
        for (name, _) in backported(&channel["_type"]) {
            let text =
                format!("the extension {name} names a channel that is not there; leave it out: only rest-hook is");
            fail(refuse("not-supported", "channel.type.extension", text));
        }
        let mut out = Self {
            endpoint: channel["endpoint"].text().into(),
            content: Content::IdOnly,
            most: None,
            seconds: SECONDS,
        };
        if let Err(error) = endpoint(&out.endpoint, reach) {
            fail(error);
        }
        match channel.get("payload").map(Json::text) {
            None | Some("application/fhir+json") => {}
            Some(_) => fail(refuse(
                "not-supported",
                "channel.payload",
                "notifications are application/fhir+json; name that, or nothing",
            )),
        }
        if channel.get("payload").is_none() {
            out.content = Content::Empty;
        }
        for (name, extension) in backported(&channel["_payload"]) {
            match (name, extension["valueCode"].text()) {
                (CONTENT, "empty") => out.content = Content::Empty,
                (CONTENT, "id-only") => out.content = Content::IdOnly,
                (CONTENT, "full-resource") if may_be_whole => out.content = Content::Full,
                (CONTENT, "full-resource") => {
                    let text = "this client may not be sent whole resources; take id-only and read them, or ask the operator \
                                (full-resource in profiles/subscription/topics.json)";
                    fail(refuse("not-supported", "channel.payload.extension", text));
                }
                (CONTENT, _) => {
                    let text = "backport-payload-content is empty, id-only or full-resource";
                    fail(refuse("value", "channel.payload.extension", text));
                }
                _ => fail(refuse(
                    "not-supported",
                    "channel.payload.extension",
                    format!("the extension {name} is not taken here; leave it out"),
                )),
            }
        }
        for (name, extension) in backported(channel) {
            let number =
                ["valuePositiveInt", "valueUnsignedInt"].iter().find_map(|v| extension[*v].as_i64()).unwrap_or(0);
            match name {
                MAX_COUNT if number > 0 => out.most = usize::try_from(number).ok(),
                TIMEOUT if (1..=SECONDS.cast_signed()).contains(&number) => out.seconds = number.unsigned_abs(),
                TIMEOUT => {
                    let text = format!("an endpoint has {SECONDS} seconds at most to answer; give 1 to {SECONDS}");
                    fail(refuse("not-supported", "channel.extension", text));
                }
                MAX_COUNT => fail(refuse("value", "channel.extension", "backport-max-count is a positive integer")),
                _ => {
                    let text = format!(
                        "the extension {name} is not taken here: what it asks for would not be done; leave it out"
                    );
                    fail(refuse("not-supported", "channel.extension", text));
                }
            }
        }
        out
    }
}

/// Whether notifications may go there. The address is not repeated: it may hold a password.
fn endpoint(text: &str, reach: Reach) -> Result<()> {
    const AT: &str = "channel.endpoint";
    if text.is_empty() {
        return Err(refuse(
            "required",
            AT,
            "a rest-hook has an endpoint: the https address that notifications are sent to",
        ));
    }
    if text.len() > MOST_ENDPOINT {
        return Err(refuse("too-long", AT, format!("an endpoint has {MOST_ENDPOINT} bytes at most")));
    }
    // Other names are judged by what they lead to, when they are connected to.
    let is_local = |host: &str| {
        let name = host.strip_suffix('.').unwrap_or(host);
        reach == Reach::Public && (name == "localhost" || name.ends_with(".localhost"))
    };
    let allowed = match reach.allows(text) {
        Ok(url) if url.host_str().is_some_and(is_local) => Err(Refused::Inside),
        other => other.map(|_| ()),
    };
    match allowed {
        Ok(()) => Ok(()),
        Err(Refused::Inside) => {
            let text = "the endpoint is no address of the internet at large, and is not called; give a public one";
            Err(refuse("value", AT, text))
        }
        Err(_) => {
            let text = "an endpoint is an https address with a host, and without user, password and fragment";
            Err(refuse("value", AT, text))
        }
    }
}

/// Name and value of a line of `channel.header`.
///
/// # Errors
/// `Unprocessable` at the line, which is not repeated.
fn line(n: usize, line: &str) -> Result<(&str, &str)> {
    let bad = |why: String| Err(refuse("value", &format!("channel.header[{n}]"), why));
    let Some((name, value)) = line.split_once(':') else { return bad("a header is 'Name: value'".into()) };
    let value = value.trim_matches([' ', '\t']);
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return bad("the name of a header has letters, digits and '-' only, and a ':' follows at once".into());
    }
    if line.len() > MOST_BYTES || value.is_empty() || !value.bytes().all(|b| matches!(b, b'\t' | 0x20..=0x7e)) {
        return bad(format!("the value of a header is printable ASCII on one line, {MOST_BYTES} bytes at most"));
    }
    let lower = name.to_ascii_lowercase();
    if OURS.iter().any(|o| lower == *o || (o.ends_with('-') && lower.starts_with(o))) {
        return bad(format!("the header {lower} is the connection's or the server's to set; leave it out"));
    }
    Ok((name, value))
}

/// Lines of `channel.header` with their values, and as they are shown. `before`: those that are kept, and whether what is masked may be
/// taken of them: it goes to the same place.
///
/// # Errors
/// `Unprocessable` at each line that cannot be sent, or whose value is not known.
pub(super) fn headers(
    body: &Json,
    before: &[String],
    goes_there: bool,
    fail: &mut dyn FnMut(Error),
) -> (Vec<String>, Vec<String>) {
    let lines = body["channel"]["header"].items();
    if lines.len() > MOST_HEADERS {
        fail(refuse("too-long", "channel.header", format!("a Subscription has {MOST_HEADERS} headers at most")));
    }
    let (mut kept, mut shown) = (Vec::new(), Vec::new());
    let mut left: Vec<&String> = before.iter().collect();
    for (n, text) in lines.iter().enumerate().take(MOST_HEADERS) {
        let (name, value) = match line(n, text.text()) {
            Ok(parts) => parts,
            Err(error) => {
                fail(error);
                continue;
            }
        };
        shown.push(format!("{name}: {MASK}"));
        if value != MASK {
            kept.push(format!("{name}: {value}"));
            continue;
        }
        let of_name = |l: &&String| l.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        match left.iter().position(of_name).filter(|_| goes_there) {
            Some(at) => kept.push(left.remove(at).clone()),
            None => {
                let text = format!(
                    "'{MASK}' stands for a value that was sent before, to the same endpoint, and there is none; send the value"
                );
                fail(refuse("value", &format!("channel.header[{n}]"), text));
            }
        }
    }
    (kept, shown)
}

/// Kept lines as names and values.
pub(super) fn pairs(lines: &[String]) -> Vec<(String, String)> {
    let pair = |l: &String| l.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
    lines.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security A40: Headers that would split a request, or are the connection's, are refused.
    #[test]
    fn headers_as_a_table() {
        for (text, good) in [
            ("Authorization: Bearer secret", true),
            ("X-Key:1", true),
            ("X-Key: a\tb", true),
            ("X-Key", false),
            ("X-Key:", false),
            (": x", false),
            ("X Key: x", false),
            ("X-Key : x", false),
            ("X-Key: a\r\nHost: b", false),
            ("X-Key: a\nb", false),
            ("X-Key: a\u{0}b", false),
            ("X-K\u{e9}y: a", false),
            ("X-Key: \u{20ac}", false),
            ("Host: inner", false),
            ("content-length: 0", false),
            ("Content-Type: text/html", false),
            ("Transfer-Encoding: chunked", false),
            ("Connection: close", false),
            ("Proxy-Authorization: x", false),
            ("X-Forwarded-For: 127.0.0.1", false),
            ("TE: trailers", false),
            ("Upgrade: h2c", false),
        ] {
            assert_eq!(line(0, text).is_ok(), good, "{text:?}");
        }
        assert!(line(0, &format!("X: {}", "a".repeat(5000))).is_err());
        let error = line(3, "X-Key: secret\r\nB: c").unwrap_err();
        assert!(!error.issues[0].diagnostics.contains("secret"), "{error:?}");
        assert_eq!(error.issues[0].expression, "Subscription.channel.header[3]");
    }

    /// security A40: A value that was masked is taken of what is kept, by name, and only for the same endpoint.
    #[test]
    fn masks_stand_for_what_is_kept() {
        let body: Json = serde_json::json!({"channel": {"header": ["A: ***", "B: new", "a: ***"]}}).into();
        let before = ["A: one".to_owned(), "a: two".to_owned()];
        let mut failed = Vec::new();
        let (kept, shown) = headers(&body, &before, true, &mut |e| failed.push(e));
        assert_eq!((kept, failed.len()), (vec!["A: one".into(), "B: new".into(), "a: two".into()], 0));
        assert_eq!(shown, ["A: ***", "B: ***", "a: ***"]);
        let (kept, _) = headers(&body, &before, false, &mut |e| failed.push(e));
        assert_eq!((kept, failed.len()), (vec!["B: new".to_owned()], 2));
    }
}
