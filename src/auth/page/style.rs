//! The stylesheet of the pages, and whether what it says can be read.

/// As browsers get it.
pub const SHEET: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::SHEET;
    use std::collections::HashMap;

    /// The colours of the nth `:root`: 0 light, 1 dark.
    fn colours(nth: usize) -> HashMap<&'static str, &'static str> {
        let block = SHEET.split(":root {").nth(nth + 1).and_then(|b| b.split('}').next()).unwrap();
        let lines = block.split(';').filter_map(|l| l.trim().strip_prefix("--")?.split_once(": #"));
        lines.collect()
    }

    /// Relative luminance, WCAG 2.2.
    fn luminance(hex: &str) -> f64 {
        let part = |at: usize| {
            let c = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2: 1.4.3 text, 1.4.11 borders of fields and the ring of focus.
    #[test]
    fn colours_stand_out_in_light_and_dark() {
        assert!((contrast("000000", "ffffff") - 21.0).abs() < 0.01);
        for nth in [0, 1] {
            let of = colours(nth);
            for (front, back, least) in [
                ("ink", "paper", 4.5),
                ("ink", "ground", 4.5),
                ("soft", "paper", 4.5),
                ("soft", "ground", 4.5),
                ("accent", "paper", 4.5),
                ("accent-deep", "paper", 4.5),
                ("paper", "accent", 4.5),
                ("paper", "accent-deep", 4.5),
                ("wrong", "wrong-ground", 4.5),
                ("edge", "paper", 3.0),
                ("accent", "ground", 3.0),
            ] {
                let got = contrast(of[front], of[back]);
                assert!(got >= least, "{front} on {back} in scheme {nth}: {got:.2}, and not {least}");
            }
        }
    }

    /// WCAG 2.2: 2.5.8 targets of 24 px at least, 2.4.7 a focus that is seen, 1.4.10 a page that fits 320 px.
    #[test]
    fn what_is_pressed_is_large_enough() {
        let rule = |selector: &str| {
            let found = SHEET.split(&format!("\n{selector} {{")).nth(1).and_then(|r| r.split('}').next());
            found.unwrap_or_else(|| panic!("no rule for {selector}"))
        };
        for (selector, says) in [
            ("button", "min-height: 2.75rem"),
            (".button", "min-height: 2.75rem"),
            ("input:not([type=\"checkbox\"]):not([type=\"hidden\"])", "min-height: 2.75rem"),
            (".tick input", "width: 1.5rem; height: 1.5rem"),
            ("summary", "min-height: 1.75rem"),
            (":focus-visible", "outline: 3px solid"),
            ("body", "overflow-wrap: anywhere"),
        ] {
            assert!(rule(selector).contains(says), "{selector}: {says}");
        }
        assert!(!SHEET.contains("outline: none") && !SHEET.contains("outline: 0"));
        assert!(!SHEET.contains("min-width: 3") && SHEET.contains("@media (max-width: 30rem)"));
    }
}
