//! What an expression looks at on its context: by it an invariant is passed over where nothing of that is there.

use super::ast::{Ast, Step};

/// The members of the context that an expression names, and whether it looks at nothing else.
#[derive(Debug, Default)]
pub struct Footprint<'a> {
    /// Each once, in the order of the expression. Members of other elements may be among them, never too few.
    pub members: Vec<&'a str>,
    /// It does not look at the whole context, the resource around it, or a variable: without these members it gives what it gives on
    /// an empty element.
    pub is_all: bool,
}

/// Follows an expression.
pub(super) fn of(ast: &Ast) -> Footprint<'_> {
    let mut found = Footprint { members: Vec::new(), is_all: true };
    follow(ast, &mut found);
    found
}

fn follow<'a>(ast: &'a Ast, found: &mut Footprint<'a>) {
    match ast {
        Ast::This | Ast::Variable(..) => found.is_all = false,
        Ast::Index | Ast::Total | Ast::Empty | Ast::Literal(_) => {}
        Ast::Path(base, steps) => {
            let mut steps = steps.iter();
            match (&**base, steps.as_slice().first()) {
                (Ast::This, Some(Step::Member(name))) => {
                    steps.next();
                    if !found.members.contains(&&**name) {
                        found.members.push(name);
                    }
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

/// An argument: evaluated on the values before it or on the context, it is not known here which. `$this` alone is harmless where
/// there are no values before it, and a variable may lead anywhere.
fn within<'a>(ast: &'a Ast, found: &mut Footprint<'a>) {
    let before = found.is_all;
    follow(ast, found);
    if !names_a_variable(ast) {
        found.is_all = before;
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
