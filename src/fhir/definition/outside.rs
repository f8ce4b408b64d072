//! Codes of systems that the official package does not hold: currencies and media types.
//!
//! Not for: UCUM and LOINC, to which R4 binds only four elements of three evidence resources and of MolecularSequence.
//! Source: ISO 4217 (<https://hl7.org/fhir/R4/valueset-currencies.html>), BCP 13 (<https://hl7.org/fhir/R4/valueset-mimetypes.html>).

use super::CodeSet;

/// ISO 4217: what is in use, and what was when R4 came out.
const CURRENCIES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF \
    CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD \
    HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL \
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD \
    RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD \
    USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR \
    ZMW ZWG ZWL";
/// Short names that R4 takes where a format is meant (<https://hl7.org/fhir/R4/http.html#mime-type>).
const FORMATS: [&str; 4] = ["json", "none", "ttl", "xml"];

pub(super) fn sets() -> [CodeSet; 2] {
    let mut currencies: Vec<&'static str> = CURRENCIES.split_ascii_whitespace().collect();
    currencies.sort_unstable();
    [
        CodeSet { name: "currencies", systems: vec![("urn:iso:std:iso:4217", currencies)], form: None },
        CodeSet { name: "mimetypes", systems: vec![("urn:ietf:bcp:13", Vec::new())], form: Some(is_media_type) },
    ]
}

/// Whether a set is one of these: they are no resources of the package.
pub(super) fn holds(set: &CodeSet) -> bool {
    matches!(set.name, "currencies" | "mimetypes")
}

/// `type/subtype`, parameters after a semicolon (RFC 6838 4.2), or the short name of a format.
fn is_media_type(text: &str) -> bool {
    let name = text.split(';').next().unwrap_or_default().trim_end();
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.len() <= 127
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match name.split_once('/') {
        Some((kind, subtype)) => (is_name(kind) && is_name(subtype)) || (is_name(kind) && subtype == "*"),
        None => FORMATS.contains(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R4 terminologies.html#required: Required bindings to media types and currencies are checked.
    #[test]
    fn a_media_type_has_two_parts_and_a_currency_three_letters_of_the_list() {
        for (text, good) in [
            ("text/plain", true),
            ("text/plain; charset=utf-8", true),
            ("application/hl7-v3+xml", true),
            ("image/*", true),
            ("json", true),
            ("pdf", false),
            ("application pdf", false),
            ("a/b/c", false),
            ("/x", false),
            ("", false),
        ] {
            assert_eq!(is_media_type(text), good, "{text}");
        }
        let [currencies, _] = sets();
        assert!(currencies.has("EUR") && currencies.has("USD") && !currencies.has("EURO") && !currencies.has("eur"));
    }
}
