//! What an expression looks at on its context: by it an invariant is passed over where nothing of that is there.

use super::ast::{Ast, Step};

/// The members of the context that an expression names, and whether it looks at nothing else.
#[derive(Debug, Default)]
pub struct Footprint<'a> {
    /// Each once, in the order of the expression. Members of other elements may be among them, never too few.
    pub members: Vec<&'a str>,
    /// Those of them of which it asks more than whether they are there.
    pub deep: Vec<&'a str>,
    /// It does not look at the whole context, the resource around it, or a variable: without these members it gives what it gives on
    /// an empty element.
    pub is_all: bool,
    /// All that it looks at on its context is named, also by way of `%resource`, where the context is the resource.
    pub is_named: bool,
}

impl<'a> Footprint<'a> {
    fn see(&mut self, name: &'a str, is_deep: bool) {
        if !self.members.contains(&name) {
            self.members.push(name);
        }
        if is_deep && !self.deep.contains(&name) {
            self.deep.push(name);
        }
    }
}

/// Follows an expression.
pub(super) fn of(ast: &Ast) -> Footprint<'_> {
    let mut found = Footprint { members: Vec::new(), deep: Vec::new(), is_all: true, is_named: true };
    follow(ast, &mut found);
    found
}

fn follow<'a>(ast: &'a Ast, found: &mut Footprint<'a>) {
    match ast {
        Ast::This => (found.is_all, found.is_named) = (false, false),
        Ast::Variable(name, _) => {
            found.is_all = false;
            found.is_named &= CONSTANTS.contains(&&**name);
        }
        Ast::Index | Ast::Total | Ast::Empty | Ast::Literal(_) => {}
        Ast::Path(base, steps) => {
            let mut steps = steps.iter();
            match (&**base, steps.as_slice()) {
                (Ast::This, [Step::Member(name), rest @ ..]) => {
                    steps.next();
                    found.see(name, !asks_presence(rest));
                }
                // The resource itself, where it is of that type.
                (Ast::This, [Step::Start(_), Step::Member(name), rest @ ..]) => {
                    steps.nth(1);
                    found.is_all = false;
                    found.see(name, !asks_presence(rest));
                }
                (Ast::Variable(variable, _), [Step::Member(name), ..]) if &**variable == "resource" => {
                    steps.next();
                    found.is_all = false;
                    found.see(name, true);
                }
                (base, _) => follow(base, found),
            }
            for step in steps {
                match step {
                    Step::Call(call) => call.arguments.iter().for_each(|argument| within(argument, found)),
                    Step::Index(index, _) => within(index, found),
                    Step::Member(_) | Step::Start(_) => {}
                }
            }
        }
        Ast::Union(parts) | Ast::And(parts) | Ast::Or(parts) => parts.iter().for_each(|part| follow(part, found)),
        Ast::Binary(_, left, right, _) => {
            follow(left, found);
            follow(right, found);
        }
        Ast::Minus(inner, _) | Ast::Plus(inner, _) | Ast::Is(inner, ..) | Ast::As(inner, ..) => follow(inner, found),
    }
}

/// Variables that stand for a URL.
const CONSTANTS: [&str; 3] = ["ucum", "sct", "loinc"];

/// Whether steps ask of what they begin at no more than whether it is there, or how often.
fn asks_presence(steps: &[Step]) -> bool {
    match steps {
        [Step::Call(call), ..] => call.arguments.is_empty() && matches!(call.row.name, "exists" | "empty" | "count"),
        _ => false,
    }
}

/// An argument: evaluated on the values before it or on the context, it is not known here which. `$this` alone is harmless where
/// there are no values before it, and a variable may lead anywhere.
fn within<'a>(ast: &'a Ast, found: &mut Footprint<'a>) {
    let before = (found.is_all, found.is_named);
    follow(ast, found);
    if !names_a_variable(ast) {
        (found.is_all, found.is_named) = before;
    }
}

fn names_a_variable(ast: &Ast) -> bool {
    match ast {
        Ast::Variable(..) => true,
        Ast::This | Ast::Index | Ast::Total | Ast::Empty | Ast::Literal(_) => false,
        Ast::Path(base, steps) => {
            names_a_variable(base)
                || steps.iter().any(|step| match step {
                    Step::Call(call) => call.arguments.iter().any(names_a_variable),
                    Step::Index(index, _) => names_a_variable(index),
                    Step::Member(_) | Step::Start(_) => false,
                })
        }
        Ast::Union(parts) | Ast::And(parts) | Ast::Or(parts) => parts.iter().any(names_a_variable),
        Ast::Binary(_, left, right, _) => names_a_variable(left) || names_a_variable(right),
        Ast::Minus(inner, _) | Ast::Plus(inner, _) | Ast::Is(inner, ..) | Ast::As(inner, ..) => names_a_variable(inner),
    }
}

#[cfg(test)]
mod tests {
    use crate::fhir::fhirpath::Expression;

    /// What an expression names, what of that it looks into, whether it looks at nothing else, whether at nothing that it does not name.
    #[test]
    fn what_an_expression_looks_at() {
        for (text, members, deep, is_all, is_named) in [
            ("dataAbsentReason.empty() or value.empty()", &["dataAbsentReason", "value"][..], &[][..], true, true),
            ("name.exists().not() or name.count() < 2", &["name"], &[], true, true),
            ("name.exists(family.exists())", &["name", "family"], &["name"], true, true),
            ("start.hasValue().not() or start <= end", &["start", "end"], &["start", "end"], true, true),
            ("low.code.empty()", &["low"], &["low"], true, true),
            ("system = %ucum and value.exists()", &["system", "value"], &["system"], false, true),
            (
                "component.where(code = %resource.code).empty()",
                &["component", "code"],
                &["component", "code"],
                false,
                true,
            ),
            ("Patient.name.exists()", &["name"], &[], false, true),
            ("$this.matches('a')", &[], &[], false, false),
            ("descendants().linkId.isDistinct()", &[], &[], false, false),
            ("%context.name.exists()", &[], &[], false, false),
        ] {
            let expression = Expression::parse(text).unwrap();
            let found = expression.footprint();
            assert_eq!((&*found.members, &*found.deep), (members, deep), "{text}");
            assert_eq!((found.is_all, found.is_named), (is_all, is_named), "{text}");
        }
    }
}
