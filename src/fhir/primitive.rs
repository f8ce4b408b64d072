//! The primitive types: which JSON value each is, and which texts it takes.
//!
//! Source: <https://hl7.org/fhir/R4/datatypes.html#primitive>; dates must exist in the calendar, too.

use super::Json;
use super::date;

/// A primitive type of R4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Primitive {
    /// `base64Binary`
    Base64Binary,
    /// `boolean`
    Boolean,
    /// `canonical`
    Canonical,
    /// `code`
    Code,
    /// `date`
    Date,
    /// `dateTime`
    DateTime,
    /// `decimal`
    Decimal,
    /// `id`
    Id,
    /// `instant`
    Instant,
    /// `integer`
    Integer,
    /// `markdown`
    Markdown,
    /// `oid`
    Oid,
    /// `positiveInt`
    PositiveInt,
    /// `string`
    String,
    /// `time`
    Time,
    /// `unsignedInt`
    UnsignedInt,
    /// `uri`
    Uri,
    /// `url`
    Url,
    /// `uuid`
    Uuid,
}

/// Name and what a text of the type looks like.
const ROWS: [(Primitive, &str, &str); 19] = [
    (Primitive::Base64Binary, "base64Binary", "base64 in groups of four characters"),
    (Primitive::Boolean, "boolean", "true or false, without quotes"),
    (Primitive::Canonical, "canonical", "a canonical URL without white space"),
    (Primitive::Code, "code", "a code: no white space at the ends, and no two spaces together"),
    (Primitive::Date, "date", "a date of the calendar: YYYY, YYYY-MM or YYYY-MM-DD"),
    (Primitive::DateTime, "dateTime", "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a time zone"),
    (Primitive::Decimal, "decimal", "a number without quotes"),
    (Primitive::Id, "id", "1 to 64 letters, digits, '-' and '.'"),
    (Primitive::Instant, "instant", "YYYY-MM-DDThh:mm:ss with a time zone"),
    (Primitive::Integer, "integer", "a whole number of 32 bits, without quotes"),
    (Primitive::Markdown, "markdown", "a text that is not empty"),
    (Primitive::Oid, "oid", "urn:oid: and an OID"),
    (Primitive::PositiveInt, "positiveInt", "a whole number from 1 to 2147483647, without quotes"),
    (Primitive::String, "string", "a text that is not empty"),
    (Primitive::Time, "time", "hh:mm:ss"),
    (Primitive::UnsignedInt, "unsignedInt", "a whole number from 0 to 2147483647, without quotes"),
    (Primitive::Uri, "uri", "a URI without white space"),
    (Primitive::Url, "url", "a URL without white space"),
    (Primitive::Uuid, "uuid", "urn:uuid: and a UUID in small letters"),
];

impl Primitive {
    /// Reads a type name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        ROWS.iter().find(|(_, n, _)| *n == name).map(|(p, ..)| *p)
    }

    /// The type's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ROWS.iter().find(|(p, ..)| *p == self).map_or("", |(_, n, _)| n)
    }

    /// What a value must look like, for the sender.
    #[must_use]
    pub fn shape(self) -> &'static str {
        ROWS.iter().find(|(p, ..)| *p == self).map_or("", |(.., shape)| shape)
    }

    /// Whether a JSON value is one.
    #[must_use]
    pub fn accepts(self, value: &Json) -> bool {
        match (self, value) {
            (Self::Boolean, Json::Bool(_)) | (Self::Decimal, Json::Number(_)) => true,
            (Self::Integer, Json::Number(n)) => whole(n, i64::from(i32::MIN)),
            (Self::UnsignedInt, Json::Number(n)) => whole(n, 0),
            (Self::PositiveInt, Json::Number(n)) => whole(n, 1),
            (_, Json::String(text)) => self.accepts_text(text),
            _ => false,
        }
    }

    fn accepts_text(self, text: &str) -> bool {
        match self {
            Self::Boolean | Self::Decimal | Self::Integer | Self::UnsignedInt | Self::PositiveInt => false,
            // A text of white space only is "should not" in R4: it stays. Control characters are "shall not".
            Self::String | Self::Markdown => {
                !text.is_empty() && !text.bytes().any(|b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r'))
            }
            Self::Uri | Self::Url | Self::Canonical => !text.is_empty() && !has_space(text),
            Self::Code => is_code(text),
            Self::Id => super::resource::is_id(text),
            Self::Oid => text.strip_prefix("urn:oid:").is_some_and(is_oid),
            Self::Uuid => text.strip_prefix("urn:uuid:").is_some_and(is_uuid),
            Self::Date => date::read(text).is_some_and(|w| w.is_date()),
            Self::DateTime => date::read(text).is_some_and(|w| w.is_datetime()) && !text.contains(' '),
            Self::Instant => date::read(text).is_some_and(|w| w.is_instant()) && !text.contains(' '),
            Self::Time => date::time_of_day(text).is_some(),
            Self::Base64Binary => is_base64(text),
        }
    }
}

fn whole(text: &str, least: i64) -> bool {
    text != "-0" && text.parse::<i64>().is_ok_and(|n| (least..=i64::from(i32::MAX)).contains(&n))
}

/// White space as the regexes know it (not the no-break space), and control characters.
fn has_space(text: &str) -> bool {
    text.bytes().any(|b| b <= 0x20 || b == 0x7f)
}

/// `[^\s]+(\s[^\s]+)*`
fn is_code(text: &str) -> bool {
    let mut space = true;
    for b in text.bytes() {
        let here = b.is_ascii_whitespace();
        if (here && space) || (b < 0x20 && !here) {
            return false;
        }
        space = here;
    }
    !space
}

/// `[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(text: &str) -> bool {
    let mut parts = text.split('.');
    matches!(parts.next(), Some("0" | "1" | "2"))
        && text.contains('.')
        && parts.all(|p| p == "0" || (!p.starts_with('0') && !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit())))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(n, b)| match n {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Groups of four with white space between them, `=` at the end only.
fn is_base64(text: &str) -> bool {
    let (mut count, mut padding) = (0_usize, 0_usize);
    for b in text.bytes() {
        match b {
            b'=' => padding += 1,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            _ => return false,
        }
        count += 1;
    }
    count > 0 && count.is_multiple_of(4) && padding <= 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::parse;

    /// R4 datatypes.html#primitive: Each primitive type takes what R4 allows and refuses the rest.
    #[test]
    fn each_primitive_takes_what_r4_allows_and_nothing_else() {
        for (kind, good, bad) in [
            ("boolean", &["true"][..], &["\"true\"", "1", "null"][..]),
            ("integer", &["0", "-1", "2147483647"], &["1.0", "2147483648", "\"1\"", "1e2", "-0"]),
            ("positiveInt", &["1"], &["0", "-1"]),
            ("unsignedInt", &["0"], &["-1"]),
            ("decimal", &["2.50", "1E-24", "-0"], &["\"2.5\""]),
            ("string", &["\" a\"", "\" \""], &["\"\"", "1", "\"a\\u0001\""]),
            ("code", &["\"a\"", "\"a b\""], &["\" a\"", "\"a \"", "\"a  b\"", "\"\""]),
            ("uri", &["\"urn:x\"", "\"#a\""], &["\"a b\"", "\"\""]),
            ("oid", &["\"urn:oid:1.2.0\""], &["\"1.2.3\"", "\"urn:oid:1\"", "\"urn:oid:1.02\"", "\"urn:oid:3.1\""]),
            (
                "uuid",
                &["\"urn:uuid:c757873d-ec9a-4326-a141-556f43239520\""],
                &["\"urn:uuid:C757873D-ec9a-4326-a141-556f43239520\""],
            ),
            ("id", &["\"a-.1\""], &["\"a_b\"", "\"\""]),
            ("date", &["\"2024-02-29\"", "\"2024\""], &["\"2024-02-30\"", "\"2024-02-29T10:00:00Z\""]),
            (
                "dateTime",
                &["\"2024\"", "\"2016-12-31T23:59:60Z\""],
                &["\"2024-01-01T10:00:00\"", "\"2024-01-01T10:00:00 01:00\""],
            ),
            ("instant", &["\"2024-01-01T10:00:00.1+01:00\""], &["\"2024-01-01\""]),
            ("time", &["\"10:00:00\""], &["\"10:00\""]),
            ("base64Binary", &["\"AAAA\"", "\"AA\\n AA\"", "\"AA==\""], &["\"AAA\"", "\"A=AA\"", "\"\"", "\"A-_A\""]),
        ] {
            let kind = Primitive::parse(kind).unwrap();
            for (texts, expected) in [(good, true), (bad, false)] {
                for text in texts {
                    assert_eq!(kind.accepts(&parse(text.as_bytes()).unwrap()), expected, "{kind:?} {text}");
                }
            }
        }
    }
}
