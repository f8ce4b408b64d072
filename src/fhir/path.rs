//! Where an element stands, as FHIRPath writes it: `Patient.name[0].given[1]`.
//!
//! For: naming the element in an issue. A [`Path`] lives on the stack of the walk and costs nothing until it is written.
//! Not for: evaluating FHIRPath.
//! Source: <https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.expression>.

use std::fmt;

/// One step of a walk, linked to the step before.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

impl<'a> Path<'a> {
    /// The start: a resource type, or "".
    #[must_use]
    pub const fn root(name: &'a str) -> Self {
        Self { parent: None, step: Step::Member(name) }
    }

    /// A member of what stands here.
    #[must_use]
    pub const fn member<'b>(&'b self, name: &'b str) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), step: Step::Member(name) }
    }

    /// An element of the array that stands here.
    #[must_use]
    pub const fn item<'b>(&'b self, n: usize) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), step: Step::Item(n) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The chain runs from the element to the root; its length is bounded by the depth that JSON may have.
        let mut steps = Vec::with_capacity(16);
        let mut next = Some(self);
        while let Some(path) = next {
            steps.push(path.step);
            next = path.parent;
        }
        let mut first = true;
        for step in steps.iter().rev() {
            match step {
                Step::Item(n) => write!(f, "[{n}]")?,
                Step::Member("") => continue,
                Step::Member(name) => {
                    if !first {
                        f.write_str(".")?;
                    }
                    // A member name is the client's text: bounded, and without control characters.
                    for c in name.chars().filter(|c| !c.is_control()).take(64) {
                        fmt::Write::write_char(f, c)?;
                    }
                }
            }
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn a_path_reads_as_fhirpath() {
        let root = Path::root("Patient");
        let (name, item) = (root.member("name"), 2);
        let name = name.item(item);
        assert_eq!(name.member("given").item(0).to_string(), "Patient.name[2].given[0]");
        assert_eq!(Path::root("").member("a").item(0).to_string(), "a[0]");
    }
}
