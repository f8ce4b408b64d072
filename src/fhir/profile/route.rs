//! The way of a discriminator: `code.coding`, `$this`, `extension('…').value`, `resolve()`, `ofType(Quantity)`.
//!
//! Source: <https://hl7.org/fhir/R4/profiling.html#discriminator>.

/// Steps from an item; none: the item itself (`$this`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Route(pub(super) Vec<Step>);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `.name`
    Member(Box<str>),
    /// `.extension('url')`
    Extension(Box<str>),
    /// `.ofType(T)`
    OfType(Box<str>),
    /// `.resolve()`
    Resolve,
}

impl Route {
    /// Reads a discriminator's path; `None` when it is not of the restricted language.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let end = rest.find(['.', '(']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let (argument, after) = match after.strip_prefix('(') {
                Some(inside) => {
                    let (argument, after) = inside.split_once(')')?;
                    (Some(argument.trim().trim_matches(['\'', '"'])), after)
                }
                None => (None, after),
            };
            match (name.trim(), argument) {
                ("$this", None) => {}
                ("resolve", Some("")) => steps.push(Step::Resolve),
                ("extension", Some(url)) if !url.is_empty() => steps.push(Step::Extension(url.into())),
                ("ofType" | "as", Some(name)) if !name.is_empty() => steps.push(Step::OfType(name.into())),
                (name, None)
                    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "[]_".contains(c)) =>
                {
                    steps.push(Step::Member(name.trim_end_matches("[x]").into()));
                }
                _ => return None,
            }
            rest = match after.strip_prefix('.') {
                Some(more) if !more.is_empty() => more,
                Some(_) => return None,
                None if after.is_empty() => after,
                None => return None,
            };
        }
        Some(Self(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, Step};

    /// R4 profiling.html#discriminator: The restricted FHIRPath of discriminators is read.
    #[test]
    fn the_restricted_language_is_read() {
        let member = |name: &str| Step::Member(name.into());
        for (text, steps) in [
            ("$this", vec![]),
            ("code.coding", vec![member("code"), member("coding")]),
            ("$this.resolve()", vec![Step::Resolve]),
            ("value.ofType(Quantity).code", vec![member("value"), Step::OfType("Quantity".into()), member("code")]),
            ("extension('http://a.b/c').value", vec![Step::Extension("http://a.b/c".into()), member("value")]),
            ("entry.resource", vec![member("entry"), member("resource")]),
        ] {
            assert_eq!(Route::parse(text), Some(Route(steps)), "{text}");
        }
        for wrong in ["where(a = 1)", "a..b", "a.", "code(", "first()"] {
            assert_eq!(Route::parse(wrong), None, "{wrong}");
        }
    }
}
