//! Evaluation of an expression on a resource.

use super::ast::{Ast, Call, Operator, Step};
use super::kinds::TypeName;
use super::value::{Items, Node, Value};
use super::{PathError, arithmetic, equality};
use crate::fhir::Json;
use crate::fhir::resource::ResourceType;
use std::borrow::Cow;

/// Steps of work for one evaluation; a million takes some tens of milliseconds.
const WORK: usize = 2_000_000;
/// Expressions in expressions while evaluating.
const DEPTH: usize = 150;

pub(super) type Result<T> = std::result::Result<T, PathError>;

/// What an expression is evaluated on, and what it may ask.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// Where it begins: `$this`, `%context`.
    pub context: Node<'a>,
    /// The resource that holds the context: `%resource`.
    pub resource: Node<'a>,
    /// The resource that holds that one, where it is contained: `%rootResource`.
    pub root: Node<'a>,
    /// Further variables, by name.
    pub variables: &'a [(&'a str, Items<'a>)],
    /// What FHIRPath leaves to its host.
    pub hooks: &'a dyn Hooks<'a>,
    /// For `now()` and `today()`; the machine's clock when absent.
    pub now: Option<jiff::Timestamp>,
}

/// What a reference leads to.
#[derive(Debug, Clone, Copy)]
pub enum Resolved<'a> {
    /// The resource.
    Resource(&'a Json),
    /// A resource of this type, which is not at hand.
    Type(ResourceType),
    /// Nothing.
    Nothing,
}

/// What FHIRPath leaves to its host. Each has an answer for a host that knows nothing.
pub trait Hooks<'a> {
    /// What a reference leads to that is neither contained nor in the Bundle.
    fn resolve(&self, reference: &str) -> Resolved<'a> {
        super::reference_type(reference).map_or(Resolved::Nothing, Resolved::Type)
    }

    /// Whether an element conforms to a profile; `None` when the profile is not known. Base types are known without asking.
    fn conforms(&self, node: Node<'a>, profile: &str) -> Option<bool> {
        let _ = (node, profile);
        None
    }

    /// Whether a code, Coding or CodeableConcept is in a value set; `None` when the value set is not known.
    fn is_member(&self, value: &Value<'a>, value_set: &str) -> Option<bool> {
        let _ = (value, value_set);
        None
    }

    /// Whether the first of two codes is above the second in their code system.
    fn subsumes(&self, above: &Value<'a>, below: &Value<'a>) -> Option<bool> {
        let _ = (above, below);
        None
    }

    /// What `trace()` shows.
    fn trace(&self, name: &str, values: &Items<'a>) {
        let _ = (name, values);
    }
}

struct Nobody;

impl Hooks<'_> for Nobody {}

impl<'a> Env<'a> {
    /// On a whole resource, without hooks.
    #[must_use]
    pub fn of(resource: &'a Json) -> Self {
        let node = Node::resource(resource);
        Self { context: node, resource: node, root: node, variables: &[], hooks: &Nobody, now: None }
    }

    /// The same on an element of the resource.
    #[must_use]
    pub fn on(self, context: Node<'a>) -> Self {
        Self { context, ..self }
    }
}

/// What `$this`, `$index` and `$total` are.
#[derive(Clone, Copy)]
pub(super) struct Frame<'f, 'a> {
    pub this: &'f [Value<'a>],
    pub index: Option<usize>,
    pub total: Option<&'f Items<'a>>,
}

/// One evaluation under way.
pub(super) struct Run<'e, 'a> {
    pub env: &'e Env<'a>,
    work: usize,
    depth: usize,
}

pub(super) fn evaluate<'a>(ast: &'a Ast, env: &Env<'a>) -> Result<Items<'a>> {
    let mut run = Run { env, work: WORK, depth: 0 };
    let context = Value::Node(env.context);
    let frame = Frame { this: std::slice::from_ref(&context), index: None, total: None };
    run.eval(ast, frame)
}

pub(super) fn fail<T>(at: usize, message: impl Into<String>) -> Result<T> {
    Err(PathError { at, message: message.into() })
}

/// A collection as a condition: `Some(None)` when it is empty; one value that is no boolean is true; `None` for several.
pub(super) fn truth(items: &Items<'_>) -> Option<Option<bool>> {
    match items.as_slice() {
        [] => Some(None),
        [one] => Some(Some(one.as_bool().unwrap_or(true))),
        _ => None,
    }
}

impl<'a> Run<'_, 'a> {
    /// Counts work; at the end of it the evaluation ends.
    pub(super) fn spend(&mut self, work: usize) -> Result<()> {
        match self.work.checked_sub(work) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => fail(0, "the expression takes too much work on this resource"),
        }
    }

    pub(super) fn eval(&mut self, ast: &'a Ast, frame: Frame<'_, 'a>) -> Result<Items<'a>> {
        self.spend(1)?;
        self.depth += 1;
        if self.depth > DEPTH {
            return fail(0, "the expression is nested too deeply");
        }
        let out = self.eval_inside(ast, frame);
        self.depth -= 1;
        out
    }

    fn eval_inside(&mut self, ast: &'a Ast, frame: Frame<'_, 'a>) -> Result<Items<'a>> {
        match ast {
            Ast::This => Ok(frame.this.iter().cloned().collect()),
            Ast::Index => {
                Ok(frame.index.and_then(|n| i64::try_from(n).ok()).map_or(Items::None, |n| Value::Integer(n).into()))
            }
            Ast::Total => Ok(frame.total.cloned().unwrap_or_default()),
            Ast::Variable(name, at) => self.variable(name, *at),
            Ast::Empty => Ok(Items::None),
            Ast::Literal(Value::String(text)) => Ok(Value::String(Cow::Borrowed(text)).into()),
            Ast::Literal(value) => Ok(value.clone().into()),
            Ast::Path(base, steps) => self.path(base, steps, frame),
            Ast::Union(parts) => {
                let mut all = Items::None;
                for part in parts {
                    all.extend(self.eval(part, frame)?);
                }
                equality::distinct(self, all)
            }
            Ast::And(parts) => self.and_or(parts, frame, false),
            Ast::Or(parts) => self.and_or(parts, frame, true),
            Ast::Binary(operator, left, right, at) => self.binary(*operator, left, right, *at, frame),
            Ast::Minus(inner, at) => arithmetic::negate(&self.eval(inner, frame)?, *at),
            Ast::Plus(inner, at) => {
                let items = self.eval(inner, frame)?;
                arithmetic::negate(&items, *at)?; // for its errors
                Ok(items)
            }
            Ast::Is(inner, name, at) => {
                let items = self.eval(inner, frame)?;
                is(&items, name, *at)
            }
            Ast::As(inner, name, at) => {
                let items = self.eval(inner, frame)?;
                cast(items, name, *at)
            }
        }
    }

    /// `and` (`or`): false (true) when one operand is, true (false) when all are, else empty. What needs no look is not looked at.
    fn and_or(&mut self, parts: &'a [Ast], frame: Frame<'_, 'a>, decides: bool) -> Result<Items<'a>> {
        let mut open = false;
        for part in parts {
            match self.condition(part, frame)? {
                Some(b) if b == decides => return Ok(decides.into()),
                Some(_) => {}
                None => open = true,
            }
        }
        Ok(if open { Items::None } else { (!decides).into() })
    }

    /// An expression as a condition.
    pub(super) fn condition(&mut self, ast: &'a Ast, frame: Frame<'_, 'a>) -> Result<Option<bool>> {
        let items = self.eval(ast, frame)?;
        match truth(&items) {
            Some(truth) => Ok(truth),
            None => fail(place(ast), format!("found {} values, expected one truth value", items.len())),
        }
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &'a Ast,
        right: &'a Ast,
        at: usize,
        frame: Frame<'_, 'a>,
    ) -> Result<Items<'a>> {
        match operator {
            Operator::Implies => {
                let a = self.condition(left, frame)?;
                if a == Some(false) {
                    return Ok(true.into());
                }
                let b = self.condition(right, frame)?;
                return Ok(match (a, b) {
                    (_, Some(true)) => true.into(),
                    (Some(true), b) => b.into(),
                    _ => Items::None,
                });
            }
            Operator::Xor => {
                let (a, b) = (self.condition(left, frame)?, self.condition(right, frame)?);
                return Ok(a.zip(b).map(|(a, b)| a != b).into());
            }
            _ => {}
        }
        let (a, b) = (self.eval(left, frame)?, self.eval(right, frame)?);
        match operator {
            Operator::Equal => Ok(equality::equal(self, &a, &b)?.into()),
            Operator::NotEqual => Ok(equality::equal(self, &a, &b)?.map(|equal| !equal).into()),
            Operator::Equivalent => Ok(equality::equivalent(self, &a, &b)?.into()),
            Operator::NotEquivalent => Ok((!equality::equivalent(self, &a, &b)?).into()),
            Operator::In => equality::member(self, &a, &b, at),
            Operator::Contains => equality::member(self, &b, &a, at),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                equality::compare(operator, &a, &b, at)
            }
            _ => {
                let out = arithmetic::calculate(operator, &a, &b, at)?;
                if let Items::One(Value::String(text)) = &out {
                    self.spend(text.len() / 16)?;
                }
                Ok(out)
            }
        }
    }

    fn path(&mut self, base: &'a Ast, steps: &'a [Step], frame: Frame<'_, 'a>) -> Result<Items<'a>> {
        let mut here = self.eval(base, frame)?;
        for step in steps {
            here = match step {
                Step::Member(name) => self.members(&here, name)?,
                Step::Start(name) => match here.as_slice() {
                    [one] if name.has(one) => here,
                    _ => self.members(&here, &name.name)?,
                },
                Step::Index(index, at) => {
                    let n = self.eval(index, frame)?;
                    match (n.as_slice(), one_integer(&n)) {
                        ([], _) => Items::None,
                        (_, Some(n)) => usize::try_from(n)
                            .ok()
                            .and_then(|n| here.as_slice().get(n).cloned())
                            .map_or(Items::None, Items::One),
                        _ => return fail(*at, "an index is one whole number"),
                    }
                }
                Step::Call(call) => self.call(call, here, frame)?,
            };
        }
        Ok(here)
    }

    fn call(&mut self, call: &'a Call, input: Items<'a>, frame: Frame<'_, 'a>) -> Result<Items<'a>> {
        self.spend(1)?;
        (call.row.run)(self, call, input, frame)
    }

    /// The elements of a member of each value.
    pub(super) fn members(&mut self, items: &Items<'a>, name: &str) -> Result<Items<'a>> {
        let mut out = Items::None;
        for value in items {
            match value {
                Value::Node(node) => node.member(name, &mut |found| out.push(found.into())),
                Value::Type(namespace, type_name) => match name {
                    "namespace" => out.push(Value::String(Cow::Borrowed(namespace))),
                    "name" => out.push(Value::String(type_name.clone())),
                    _ => {}
                },
                Value::Quantity(quantity) if name == "value" => out.push(Value::Decimal(quantity.value)),
                _ => {}
            }
        }
        self.spend(out.len())?;
        Ok(out)
    }

    fn variable(&mut self, name: &'a str, at: usize) -> Result<Items<'a>> {
        if let Some((_, items)) = self.env.variables.iter().find(|(n, _)| *n == name) {
            return Ok(items.clone());
        }
        let text = |text: Cow<'a, str>| Ok(Value::String(text).into());
        match name {
            "resource" => Ok(self.env.resource.into()),
            "rootResource" => Ok(self.env.root.into()),
            "context" => Ok(self.env.context.into()),
            "ucum" => text("http://unitsofmeasure.org".into()),
            "sct" => text("http://snomed.info/sct".into()),
            "loinc" => text("http://loinc.org".into()),
            _ => match name.split_once('-') {
                Some(("vs", id)) => text(format!("http://hl7.org/fhir/ValueSet/{id}").into()),
                Some(("ext", id)) => text(format!("http://hl7.org/fhir/StructureDefinition/{id}").into()),
                _ => fail(at, format!("nothing is known of the variable %{name}")),
            },
        }
    }

    /// Evaluates an argument for one item.
    pub(super) fn for_item(
        &mut self,
        ast: &'a Ast,
        item: &Value<'a>,
        n: usize,
        frame: Frame<'_, 'a>,
    ) -> Result<Items<'a>> {
        self.eval(ast, Frame { this: std::slice::from_ref(item), index: Some(n), total: frame.total })
    }

    /// As [`Run::for_item`], as a condition.
    pub(super) fn is_for_item(
        &mut self,
        ast: &'a Ast,
        item: &Value<'a>,
        n: usize,
        frame: Frame<'_, 'a>,
    ) -> Result<bool> {
        let frame = Frame { this: std::slice::from_ref(item), index: Some(n), total: frame.total };
        Ok(self.condition(ast, frame)? == Some(true))
    }
}

/// Where an expression begins, as far as it is known.
fn place(ast: &Ast) -> usize {
    match ast {
        Ast::Variable(_, at)
        | Ast::Binary(_, _, _, at)
        | Ast::Minus(_, at)
        | Ast::Plus(_, at)
        | Ast::Is(_, _, at)
        | Ast::As(_, _, at) => *at,
        Ast::Path(_, steps) => match steps.last() {
            Some(Step::Call(call)) => call.at,
            Some(Step::Index(_, at)) => *at,
            _ => 0,
        },
        _ => 0,
    }
}

/// The one whole number of a collection.
pub(super) fn one_integer(items: &Items<'_>) -> Option<i64> {
    match items.as_slice() {
        [one] => match one.system() {
            Value::Integer(n) => Some(n),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn is<'a>(items: &Items<'a>, name: &TypeName, at: usize) -> Result<Items<'a>> {
    match items.as_slice() {
        [] => Ok(Items::None),
        _ if !name.is_known() => fail(at, format!("there is no type '{}'", name.name)),
        [one] => Ok(name.has(one).into()),
        many => fail(at, format!("found {} values, 'is' takes one", many.len())),
    }
}

pub(super) fn cast<'a>(items: Items<'a>, name: &TypeName, at: usize) -> Result<Items<'a>> {
    match items.as_slice() {
        [] => Ok(Items::None),
        _ if !name.is_known() => fail(at, format!("there is no type '{}'", name.name)),
        [one] => Ok(if name.takes(one) { items } else { Items::None }),
        many => fail(at, format!("found {} values, 'as' takes one; use ofType()", many.len())),
    }
}
