//! From words to an expression, by the precedence of the FHIRPath grammar:
//! `.` and `[]`, then `is`/`as`, then `|`, then `=`/`!=`, then `and`, then `or`.

use super::lexer::{Token, Word, words};
use super::types::choice_name;
use super::{Expr, Literal, PathError, Step};

/// Expressions in expressions, at most: what a site loads must not overflow the stack.
const DEPTH: usize = 32;

pub(super) fn parse(text: &str) -> Result<Expr, PathError> {
    let mut parser = Parser { tokens: words(text)?, next: 0, end: text.len(), depth: 0 };
    let expr = parser.or()?;
    match parser.tokens.get(parser.next) {
        None => Ok(expr),
        Some(token) => Err(PathError { at: token.at, message: "the expression should end here".into() }),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Word> {
        self.tokens.get(self.next).map(|t| &t.word)
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, PathError> {
        let at = self.tokens.get(self.next).map_or(self.end, |t| t.at);
        Err(PathError { at, message: message.into() })
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Sign(s)) if *s == sign);
        self.next += usize::from(found);
        found
    }

    fn keyword(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Name(n)) if n == name);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), PathError> {
        if self.sign(sign) { Ok(()) } else { self.fail(format!("'{sign}' is missing")) }
    }

    fn name(&mut self) -> Result<String, PathError> {
        match self.peek().cloned() {
            Some(Word::Name(name)) => {
                self.next += 1;
                Ok(name)
            }
            _ => self.fail("a name is missing"),
        }
    }

    fn text(&mut self) -> Result<String, PathError> {
        match self.peek().cloned() {
            Some(Word::Text(text)) => {
                self.next += 1;
                Ok(text)
            }
            _ => self.fail("a text in quotes is missing"),
        }
    }

    fn or(&mut self) -> Result<Expr, PathError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return self.fail("the expression is nested too deeply");
        }
        let mut left = self.and()?;
        while self.keyword("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, PathError> {
        let mut left = self.equality()?;
        while self.keyword("and") {
            left = Expr::And(Box::new(left), Box::new(self.equality()?));
        }
        Ok(left)
    }

    fn equality(&mut self) -> Result<Expr, PathError> {
        let left = self.union()?;
        if self.sign("=") {
            return Ok(Expr::Equal(Box::new(left), Box::new(self.union()?), true));
        }
        if self.sign("!=") {
            return Ok(Expr::Equal(Box::new(left), Box::new(self.union()?), false));
        }
        Ok(left)
    }

    fn union(&mut self) -> Result<Expr, PathError> {
        let first = self.typed()?;
        if !matches!(self.peek(), Some(Word::Sign("|"))) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.sign("|") {
            parts.push(self.typed()?);
        }
        Ok(Expr::Union(parts))
    }

    fn typed(&mut self) -> Result<Expr, PathError> {
        let mut left = self.postfix()?;
        loop {
            if self.keyword("is") {
                left = Expr::Is(Box::new(left), self.type_name()?.into());
            } else if self.keyword("as") {
                let name = self.type_name()?;
                left = cast(left, name);
            } else {
                return Ok(left);
            }
        }
    }

    /// `Quantity`, `FHIR.Quantity`, `System.String`.
    fn type_name(&mut self) -> Result<String, PathError> {
        let name = self.name()?;
        if matches!(name.as_str(), "FHIR" | "System") && self.sign(".") { self.name() } else { Ok(name) }
    }

    fn postfix(&mut self) -> Result<Expr, PathError> {
        let mut left = self.primary()?;
        loop {
            if self.sign(".") {
                let name = self.name()?;
                left = if self.sign("(") { self.function(left, &name)? } else { step(left, Step::Member(name.into())) };
            } else if self.sign("[") {
                let Some(Word::Number(n)) = self.peek().cloned() else { return self.fail("an index is missing") };
                let Ok(n) = n.parse() else { return self.fail("an index is a whole number") };
                self.next += 1;
                self.expect("]")?;
                left = step(left, Step::Index(n));
            } else {
                return Ok(left);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, PathError> {
        let Some(word) = self.peek().cloned() else { return self.fail("an expression is missing") };
        self.next += 1;
        match word {
            Word::Sign("(") => {
                let inner = self.or()?;
                self.expect(")")?;
                Ok(inner)
            }
            Word::Sign("$this") => Ok(Expr::This),
            Word::Variable(name) if matches!(name.as_str(), "resource" | "rootResource" | "context") => {
                Ok(Expr::Resource)
            }
            Word::Text(text) => Ok(Expr::Literal(Literal::Text(text.into()))),
            Word::Number(n) => Ok(Expr::Literal(Literal::Number(n.into()))),
            Word::Name(name) if name == "true" || name == "false" => Ok(Expr::Literal(Literal::Bool(name == "true"))),
            Word::Name(name) if self.sign("(") => self.function(Expr::This, &name),
            Word::Name(name) if name.starts_with(|c: char| c.is_ascii_uppercase()) => Ok(Expr::Type(name.into())),
            Word::Name(name) => Ok(step(Expr::This, Step::Member(name.into()))),
            Word::Sign(_) | Word::Variable(_) => {
                self.next -= 1;
                self.fail("an expression cannot begin like this")
            }
        }
    }

    /// The rest of a call, after the opening parenthesis.
    fn function(&mut self, left: Expr, name: &str) -> Result<Expr, PathError> {
        let made = match name {
            "where" => step(left, Step::Where(Box::new(self.or()?))),
            "as" | "ofType" => {
                let name = self.type_name()?;
                cast(left, name)
            }
            "is" => {
                let name = self.type_name()?;
                Expr::Is(Box::new(left), name.into())
            }
            "exists" if matches!(self.peek(), Some(Word::Sign(")"))) => step(left, Step::Exists(None)),
            "exists" => step(left, Step::Exists(Some(Box::new(self.or()?)))),
            "repeat" => step(left, Step::Repeat(self.name()?.into())),
            "empty" => step(left, Step::Empty),
            "not" => step(left, Step::Not),
            "first" => step(left, Step::Index(0)),
            "extension" => step(left, Step::Extension(self.text()?.into())),
            "hasExtension" => step(left, Step::HasExtension(self.text()?.into())),
            "resolve" => step(left, Step::Resolve),
            _ => return self.fail(format!("Baton's FHIRPath has no function '{name}'")),
        };
        self.expect(")")?;
        Ok(made)
    }
}

fn step(left: Expr, step: Step) -> Expr {
    match left {
        Expr::Path(base, mut steps) => {
            steps.push(step);
            Expr::Path(base, steps)
        }
        other => Expr::Path(Box::new(other), vec![step]),
    }
}

/// `x.value as Quantity` becomes one step that looks `valueQuantity` up.
fn cast(left: Expr, rtype: String) -> Expr {
    if let Expr::Path(base, mut steps) = left {
        return match steps.pop() {
            Some(Step::Member(member)) => {
                let json_name = choice_name(&member, &rtype);
                steps.push(Step::Choice(member, json_name.into(), rtype.into()));
                Expr::Path(base, steps)
            }
            last => {
                steps.extend(last);
                steps.push(Step::As(rtype.into()));
                Expr::Path(base, steps)
            }
        };
    }
    step(left, Step::As(rtype.into()))
}
