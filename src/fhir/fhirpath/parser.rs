//! From words to an expression, by the precedence of the FHIRPath grammar.
//!
//! From loose to tight: `implies`; `or` `xor`; `and`; `in` `contains`; `=` `~` `!=` `!~`; `<` `<=` `>` `>=`; `|`; `is` `as`; `+` `-`
//! `&`; `*` `/` `div` `mod`; unary `+` `-`; `.` and `[]`. Depth and length are bounded: nothing that a site or a package brings
//! can overflow the stack.

use super::PathError;
use super::ast::{Ast, Call, Operator, Step};
use super::function;
use super::kinds::TypeName;
use super::lexer::{Token, Word, words};
use super::moment::Moment;
use super::number::Decimal;
use super::quantity::{Quantity, Unit, calendar};
use super::value::Value;
use std::sync::OnceLock;

/// Expressions in expressions, at most.
const DEPTH: usize = 64;
/// Characters of an expression, at most; the longest of R4 and its guides has 3,000.
const LENGTH: usize = 20_000;

/// Levels of the binary operators, loose to tight.
const LEVELS: [&[(&str, Operator)]; 8] = [
    &[("implies", Operator::Implies)],
    &[], // `or`, `xor`: see `or`
    &[], // `and`: see `and`
    &[("in", Operator::In), ("contains", Operator::Contains)],
    &[("=", Operator::Equal), ("~", Operator::Equivalent), ("!=", Operator::NotEqual), ("!~", Operator::NotEquivalent)],
    &[("<=", Operator::LessOrEqual), ("<", Operator::Less), (">=", Operator::GreaterOrEqual), (">", Operator::Greater)],
    &[], // `|`, `is`, `as`: see `union`, `typed`
    &[],
];
const ADDITIVE: &[(&str, Operator)] = &[("+", Operator::Plus), ("-", Operator::Minus), ("&", Operator::Concatenate)];
const MULTIPLICATIVE: &[(&str, Operator)] =
    &[("*", Operator::Times), ("/", Operator::Over), ("div", Operator::Div), ("mod", Operator::Mod)];

pub(super) fn parse(text: &str) -> Result<Ast, PathError> {
    if text.len() > LENGTH {
        return Err(PathError { at: LENGTH, message: format!("the expression is longer than {LENGTH} characters") });
    }
    let mut parser = Parser { tokens: words(text)?, next: 0, end: text.len(), depth: 0 };
    let expression = parser.expression()?;
    match parser.tokens.get(parser.next) {
        None => Ok(expression),
        Some(token) => Err(PathError { at: token.at, message: "the expression should end here".into() }),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
}

type Parsed = Result<Ast, PathError>;

impl Parser {
    fn peek(&self) -> Option<&Word> {
        self.tokens.get(self.next).map(|t| &t.word)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |t| t.at)
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, PathError> {
        Err(PathError { at: self.at(), message: message.into() })
    }

    /// Takes a sign or keyword.
    fn take(&mut self, word: &str) -> bool {
        let found = match self.peek() {
            Some(Word::Sign(sign)) => *sign == word,
            Some(Word::Name(name)) => name == word,
            _ => false,
        };
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), PathError> {
        if self.take(sign) { Ok(()) } else { self.fail(format!("'{sign}' is missing")) }
    }

    fn name(&mut self) -> Result<String, PathError> {
        match self.peek() {
            Some(Word::Name(name) | Word::Quoted(name)) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => self.fail("a name is missing"),
        }
    }

    /// Runs a part one level deeper.
    fn deeper(&mut self, part: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH {
            return self.fail("the expression is nested too deeply");
        }
        let out = part(self);
        self.depth -= 1;
        out
    }

    fn expression(&mut self) -> Parsed {
        self.deeper(|p| p.binary(0))
    }

    fn binary(&mut self, level: usize) -> Parsed {
        match level {
            1 => return self.or(),
            2 => return self.and(),
            6 => return self.union(),
            _ => {}
        }
        let Some(operators) = LEVELS.get(level) else { return self.union() };
        self.left(operators, |p| p.binary(level + 1))
    }

    /// Operands joined from the left; each joint is one level deeper.
    fn left(&mut self, operators: &[(&str, Operator)], operand: impl Fn(&mut Self) -> Parsed) -> Parsed {
        let mut left = operand(self)?;
        let before = self.depth;
        loop {
            let at = self.at();
            let Some((_, operator)) = operators.iter().find(|(word, _)| self.take(word)) else { break };
            self.depth += 1;
            if self.depth > DEPTH {
                return self.fail("the expression is nested too deeply");
            }
            left = Ast::Binary(*operator, Box::new(left), Box::new(operand(self)?), at);
        }
        self.depth = before;
        Ok(left)
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        let before = self.depth;
        loop {
            let at = self.at();
            if self.take("or") {
                let right = self.and()?;
                match &mut left {
                    Ast::Or(parts) => parts.push(right),
                    _ => left = Ast::Or(vec![left, right]),
                }
            } else if self.take("xor") {
                self.depth += 1;
                if self.depth > DEPTH {
                    return self.fail("the expression is nested too deeply");
                }
                left = Ast::Binary(Operator::Xor, Box::new(left), Box::new(self.and()?), at);
            } else {
                self.depth = before;
                return Ok(left);
            }
        }
    }

    fn and(&mut self) -> Parsed {
        let first = self.binary(3)?;
        if !matches!(self.peek(), Some(Word::Name(n)) if n == "and") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take("and") {
            parts.push(self.binary(3)?);
        }
        Ok(Ast::And(parts))
    }

    fn union(&mut self) -> Parsed {
        let first = self.typed()?;
        if !matches!(self.peek(), Some(Word::Sign("|"))) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take("|") {
            parts.push(self.typed()?);
        }
        Ok(Ast::Union(parts))
    }

    fn typed(&mut self) -> Parsed {
        let mut left = self.additive()?;
        let before = self.depth;
        loop {
            let at = self.at();
            let is = self.take("is");
            if !is && !self.take("as") {
                self.depth = before;
                return Ok(left);
            }
            self.depth += 1;
            if self.depth > DEPTH {
                return self.fail("the expression is nested too deeply");
            }
            let name = self.type_name()?;
            left = if is { Ast::Is(Box::new(left), name, at) } else { Ast::As(Box::new(left), name, at) };
        }
    }

    fn additive(&mut self) -> Parsed {
        self.left(ADDITIVE, |p| p.left(MULTIPLICATIVE, Self::polarity))
    }

    fn polarity(&mut self) -> Parsed {
        let at = self.at();
        if self.take("-") {
            return self.deeper(|p| Ok(Ast::Minus(Box::new(p.polarity()?), at)));
        }
        if self.take("+") {
            return self.deeper(|p| Ok(Ast::Plus(Box::new(p.polarity()?), at)));
        }
        self.postfix()
    }

    /// `Quantity`, `FHIR.Quantity`, `System.String`.
    fn type_name(&mut self) -> Result<TypeName, PathError> {
        let name = self.name()?;
        if matches!(name.as_str(), "FHIR" | "System") && self.take(".") {
            let of = self.name()?;
            return Ok(TypeName::new(Some(&name), &of));
        }
        Ok(TypeName::new(None, &name))
    }

    fn postfix(&mut self) -> Parsed {
        let mut left = self.primary()?;
        loop {
            let at = self.at();
            if self.take(".") {
                left = match self.peek() {
                    Some(Word::Special("$this")) => {
                        self.next += 1;
                        left
                    }
                    _ => {
                        let at = self.at();
                        let name = self.name()?;
                        let next = if self.take("(") { self.call(&name, at)? } else { Step::Member(name.into()) };
                        step(left, next)
                    }
                };
            } else if self.take("[") {
                let index = self.expression()?;
                self.expect("]")?;
                left = step(left, Step::Index(index, at));
            } else {
                return Ok(left);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let Some(word) = self.peek().cloned() else { return self.fail("an expression is missing") };
        self.next += 1;
        match word {
            Word::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                // In parentheses an `or` is closed: `(a or b) or c` stays two.
                Ok(inner)
            }
            Word::Sign("{") => {
                self.expect("}")?;
                Ok(Ast::Empty)
            }
            Word::Special("$this") => Ok(Ast::This),
            Word::Special("$index") => Ok(Ast::Index),
            Word::Special(_) => Ok(Ast::Total),
            Word::Variable(name) => Ok(Ast::Variable(name.into(), at)),
            Word::Text(text) => Ok(Ast::Literal(Value::String(text.into()))),
            Word::Moment(text) => match Moment::literal(&text) {
                Some(moment) => Ok(Ast::Literal(Value::Moment(moment))),
                None => Err(PathError { at, message: format!("'@{text}' is no date, dateTime or time") }),
            },
            Word::Number(text) => self.number(&text, at),
            Word::Name(name) if name == "true" || name == "false" => Ok(Ast::Literal(Value::Boolean(name == "true"))),
            Word::Name(name) | Word::Quoted(name) => {
                let first = if self.take("(") {
                    self.call(&name, at)?
                } else if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                    Step::Start(TypeName::new(None, &name))
                } else {
                    Step::Member(name.into())
                };
                Ok(step(Ast::This, first))
            }
            Word::Sign(_) => {
                self.next -= 1;
                self.fail("an expression cannot begin like this")
            }
        }
    }

    /// A number, or a quantity where a unit follows.
    fn number(&mut self, text: &str, at: usize) -> Parsed {
        let Some(decimal) = Decimal::parse(text) else {
            return Err(PathError { at, message: "a number has at most 38 digits".into() });
        };
        let unit = match self.peek() {
            Some(Word::Text(unit)) => Some(Unit::of_text(unit)),
            Some(Word::Name(word)) => calendar(word).map(Unit::Calendar),
            _ => None,
        };
        if let Some(unit) = unit {
            self.next += 1;
            return Ok(Ast::Literal(Value::Quantity(Box::new(Quantity { value: decimal, unit }))));
        }
        let whole = if text.contains('.') { None } else { text.parse::<i32>().ok() };
        Ok(Ast::Literal(whole.map_or(Value::Decimal(decimal), |n| Value::Integer(n.into()))))
    }

    /// The rest of a call, after the opening parenthesis.
    fn call(&mut self, name: &str, at: usize) -> Result<Step, PathError> {
        let Some(row) = function::find(name) else {
            return Err(PathError { at, message: format!("there is no function '{name}'") });
        };
        let mut call = Call { row, arguments: Vec::new(), type_name: None, at, regex: OnceLock::new() };
        if row.takes_type {
            call.type_name = Some(self.type_name()?);
            self.expect(")")?;
            return Ok(Step::Call(Box::new(call)));
        }
        if !self.take(")") {
            loop {
                call.arguments.push(self.expression()?);
                if self.take(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        let (least, most) = (usize::from(row.least), usize::from(row.most));
        if call.arguments.len() < least || call.arguments.len() > most {
            let expected = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let message = format!("'{name}' takes {expected} arguments, found {}", call.arguments.len());
            return Err(PathError { at, message });
        }
        Ok(Step::Call(Box::new(call)))
    }
}

fn step(left: Ast, step: Step) -> Ast {
    match left {
        Ast::Path(base, mut steps) => {
            steps.push(step);
            Ast::Path(base, steps)
        }
        other => Ast::Path(Box::new(other), vec![step]),
    }
}
