//! Codes of systems that the official package does not hold: currencies, media types, units, and LOINC's answers to
//! "DNA change type".
//!
//! Source: ISO 4217 (<https://hl7.org/fhir/R4/valueset-currencies.html>), BCP 13 (<https://hl7.org/fhir/R4/valueset-mimetypes.html>),
//! UCUM (<https://hl7.org/fhir/R4/valueset-ucum-units.html>), LOINC answer list LL379-9 (codes only: <https://loinc.org/LL379-9>).

use super::CodeSet;
use crate::fhir::unit;

/// LOINC's answer list that R4 requires of `MolecularSequence.structureVariant.variantType`.
const DNA_CHANGES: &str = "LL379-9";

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

pub(super) fn sets() -> [CodeSet; 4] {
    let mut currencies: Vec<&'static str> = CURRENCIES.split_ascii_whitespace().collect();
    currencies.sort_unstable();
    [
        CodeSet { name: "currencies", systems: vec![("urn:iso:std:iso:4217", currencies)], form: None },
        CodeSet { name: "mimetypes", systems: vec![("urn:ietf:bcp:13", Vec::new())], form: Some(is_media_type) },
        CodeSet { name: "ucum-units", systems: vec![(unit::UCUM, Vec::new())], form: Some(unit::is_code) },
        CodeSet {
            name: DNA_CHANGES,
            systems: vec![(
                "http://loinc.org",
                vec!["LA6686-5", "LA6687-3", "LA6688-1", "LA6689-9", "LA6690-7", "LA6692-3", "LA9658-1"],
            )],
            form: None,
        },
    ]
}

/// Whether a set is one of these: they are no resources of the package.
pub(super) fn holds(set: &CodeSet) -> bool {
    matches!(set.name, "currencies" | "mimetypes" | "ucum-units" | DNA_CHANGES)
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
        let [currencies, ..] = sets();
        assert!(currencies.has("EUR") && currencies.has("USD") && !currencies.has("EURO") && !currencies.has("eur"));
    }

    /// R4 terminologies.html#required: Required bindings to UCUM and to LOINC's "DNA change type" are checked, by system and code.
    #[test]
    fn a_unit_is_written_as_ucum_has_it_and_a_dna_change_is_one_of_seven() {
        let [_, _, units, changes] = sets();
        for (system, code, good) in [
            (unit::UCUM, "mg/dL", true),
            (unit::UCUM, "10*3/uL", true),
            (unit::UCUM, "{tablets}", true),
            (unit::UCUM, "1", true),
            (unit::UCUM, "tablets", false),
            (unit::UCUM, "mg//dL", false),
            (unit::UCUM, "", false),
            ("http://example.org/units", "mg", false),
        ] {
            assert_eq!(units.has_coding(system, code), good, "{system} {code}");
        }
        assert!(!units.has_coding(unit::UCUM, &"m.".repeat(5_000)), "no unit is that long");
        for (system, code, good) in [
            ("http://loinc.org", "LA6692-3", true),
            ("http://loinc.org", "LA6692-4", false),
            ("http://snomed.info/sct", "LA6692-3", false),
        ] {
            assert_eq!(changes.has_coding(system, code), good, "{system} {code}");
        }
        for path in [
            "EffectEvidenceSynthesis.effectEstimate.unitOfMeasure",
            "RiskEvidenceSynthesis.riskEstimate.unitOfMeasure",
            "ResearchElementDefinition.characteristic.unitOfMeasure",
            "MolecularSequence.structureVariant.variantType",
        ] {
            assert!(crate::fhir::definition::element(path).is_some_and(|e| e.codes().is_some()), "{path}");
        }
    }
}
