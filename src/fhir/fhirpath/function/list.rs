//! Functions about collections: which values there are, which are wanted, in which order.

use super::super::ast::{Ast, Call};
use super::super::equality::{self, holds};
use super::super::eval::{Frame, Result, Run, fail};
use super::super::value::{Items, Value};
use super::{argument, integer_argument, text_argument};
use std::cmp::Ordering;

pub(super) fn empty<'a>(_: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(input.is_empty().into())
}

pub(super) fn exists<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(test) = call.arguments.first() else { return Ok((!input.is_empty()).into()) };
    for (n, item) in input.iter().enumerate() {
        if run.is_for_item(test, item, n, frame)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

pub(super) fn all<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(test) = call.arguments.first() else { return Ok(Items::None) };
    for (n, item) in input.iter().enumerate() {
        if !run.is_for_item(test, item, n, frame)? {
            return Ok(false.into());
        }
    }
    Ok(true.into())
}

/// Whether a boolean of the input is `wanted`; an error for what is none.
fn has(call: &Call, input: &Items<'_>, wanted: bool) -> Result<bool> {
    for item in input {
        match item.as_bool() {
            Some(b) if b == wanted => return Ok(true),
            Some(_) => {}
            None => return fail(call.at, format!("'{}' takes truth values", call.row.name)),
        }
    }
    Ok(false)
}

pub(super) fn all_true<'a>(
    _: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok((!has(call, &input, false)?).into())
}

pub(super) fn any_true<'a>(
    _: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok(has(call, &input, true)?.into())
}

pub(super) fn all_false<'a>(
    _: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok((!has(call, &input, true)?).into())
}

pub(super) fn any_false<'a>(
    _: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok(has(call, &input, false)?.into())
}

fn within<'a>(run: &mut Run<'_, 'a>, part: &Items<'a>, whole: &Items<'a>) -> Result<Items<'a>> {
    for item in part {
        if !holds(run, whole, item)? {
            return Ok(false.into());
        }
    }
    Ok(true.into())
}

pub(super) fn subset_of<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let other = argument(run, call, 0, frame)?;
    within(run, &input, &other)
}

pub(super) fn superset_of<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let other = argument(run, call, 0, frame)?;
    within(run, &other, &input)
}

pub(super) fn count<'a>(_: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(Value::Integer(i64::try_from(input.len()).unwrap_or(i64::MAX)).into())
}

pub(super) fn distinct<'a>(
    run: &mut Run<'_, 'a>,
    _: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    equality::distinct(run, input)
}

pub(super) fn is_distinct<'a>(
    run: &mut Run<'_, 'a>,
    _: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let before = input.len();
    Ok((equality::distinct(run, input)?.len() == before).into())
}

pub(super) fn not<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    match super::super::eval::truth(&input) {
        Some(truth) => Ok(truth.map(|b| !b).into()),
        None => fail(call.at, format!("found {} values, 'not' takes one", input.len())),
    }
}

pub(super) fn filter<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(test) = call.arguments.first() else { return Ok(input) };
    let mut out = Items::None;
    for (n, item) in input.iter().enumerate() {
        if run.is_for_item(test, item, n, frame)? {
            out.push(item.clone());
        }
    }
    Ok(out)
}

pub(super) fn select<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(projection) = call.arguments.first() else { return Ok(input) };
    let mut out = Items::None;
    for (n, item) in input.iter().enumerate() {
        out.extend(run.for_item(projection, item, n, frame)?);
    }
    run.spend(out.len())?;
    Ok(out)
}

pub(super) fn repeat<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(projection) = call.arguments.first() else { return Ok(input) };
    let mut out: Vec<Value<'a>> = Vec::new();
    let mut open: Vec<Value<'a>> = input.into_iter().collect();
    while !open.is_empty() {
        let mut next = Vec::new();
        for (n, item) in open.iter().enumerate() {
            for found in run.for_item(projection, item, n, frame)? {
                // An element is new by its place, a computed value by what it is.
                let is_new = match &found {
                    Value::Node(node) => !out.iter().any(|o| o.node().is_some_and(|o| std::ptr::eq(o.json, node.json))),
                    _ => !holds(run, &out.iter().cloned().collect(), &found)?,
                };
                run.spend(1 + out.len() / 64)?;
                if is_new {
                    out.push(found.clone());
                    next.push(found);
                }
            }
        }
        open = next;
    }
    Ok(out.into_iter().collect())
}

pub(super) fn aggregate<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(step) = call.arguments.first() else { return Ok(input) };
    let mut total = argument(run, call, 1, frame)?;
    for (n, item) in input.iter().enumerate() {
        let frame = Frame { this: std::slice::from_ref(item), index: Some(n), total: Some(&total) };
        let next = run.eval(step, frame)?;
        run.spend(next.len())?;
        total = next;
    }
    Ok(total)
}

pub(super) fn single<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    match input.len() {
        0 | 1 => Ok(input),
        many => fail(call.at, format!("found {many} values, 'single' takes one")),
    }
}

pub(super) fn first<'a>(_: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(input.as_slice().first().cloned().map_or(Items::None, Items::One))
}

pub(super) fn last<'a>(_: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(input.as_slice().last().cloned().map_or(Items::None, Items::One))
}

pub(super) fn tail<'a>(_: &mut Run<'_, 'a>, _: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(input.into_iter().skip(1).collect())
}

pub(super) fn skip<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(n) = integer_argument(run, call, 0, frame)? else { return Ok(Items::None) };
    Ok(input.into_iter().skip(usize::try_from(n).unwrap_or(0)).collect())
}

pub(super) fn take<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let Some(n) = integer_argument(run, call, 0, frame)? else { return Ok(Items::None) };
    Ok(input.into_iter().take(usize::try_from(n).unwrap_or(0)).collect())
}

pub(super) fn intersect<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let other = argument(run, call, 0, frame)?;
    let mut out = Items::None;
    for item in input {
        if holds(run, &other, &item)? && !holds(run, &out, &item)? {
            out.push(item);
        }
    }
    Ok(out)
}

pub(super) fn exclude<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let other = argument(run, call, 0, frame)?;
    let mut out = Items::None;
    for item in input {
        if !holds(run, &other, &item)? {
            out.push(item);
        }
    }
    Ok(out)
}

pub(super) fn union<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let both = combine(run, call, input, frame)?;
    equality::distinct(run, both)
}

pub(super) fn combine<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    mut input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let other = argument(run, call, 0, frame)?;
    input.extend(other);
    run.spend(input.len())?;
    Ok(input)
}

/// By the value itself, or by keys; `-key` turns the order round. What has no key stands before everything, both ways.
pub(super) fn sort<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    static THIS: Ast = Ast::This;
    let keys: Vec<(&'a Ast, bool)> = if call.arguments.is_empty() {
        vec![(&THIS, false)]
    } else {
        let key = |ast: &'a Ast| match ast {
            Ast::Minus(inner, _) => (&**inner, true),
            other => (other, false),
        };
        call.arguments.iter().map(key).collect()
    };
    let mut rows: Vec<(Vec<Option<Value<'a>>>, Value<'a>)> = Vec::new();
    for (n, item) in input.into_iter().enumerate() {
        let mut row = Vec::new();
        for (key, _) in &keys {
            let found = run.for_item(key, &item, n, frame)?;
            row.push(super::single(call, &found)?);
        }
        rows.push((row, item));
    }
    run.spend(rows.len() * 8)?;
    let mut comparable = true;
    rows.sort_by(|(a, _), (b, _)| {
        for ((x, y), (_, down)) in a.iter().zip(b).zip(&keys) {
            let order = match (x, y) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(x), Some(y)) => match equality::order(x, y) {
                    Some(order) => order.unwrap_or(Ordering::Equal),
                    None => {
                        comparable = false;
                        Ordering::Equal
                    }
                },
            };
            if order != Ordering::Equal {
                return if *down { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    });
    if !comparable {
        return fail(call.at, "values of these types have no order");
    }
    Ok(rows.into_iter().map(|(_, item)| item).collect())
}

pub(super) fn iif<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    if input.len() > 1 {
        return fail(call.at, format!("found {} values, 'iif' takes one", input.len()));
    }
    let frame = Frame { this: input.as_slice(), ..frame };
    let [test, then, other @ ..] = call.arguments.as_slice() else { return Ok(Items::None) };
    if run.condition(test, frame)? == Some(true) {
        return run.eval(then, frame);
    }
    match other.first() {
        Some(other) => run.eval(other, frame),
        None => Ok(Items::None),
    }
}

pub(super) fn coalesce<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    _: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    for argument in &call.arguments {
        let found = run.eval(argument, frame)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Items::None)
}

pub(super) fn children<'a>(
    run: &mut Run<'_, 'a>,
    _: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let mut out = Items::None;
    for item in &input {
        if let Some(node) = item.node() {
            node.children(&mut |child| out.push(child.into()));
        }
    }
    run.spend(out.len())?;
    Ok(out)
}

pub(super) fn descendants<'a>(
    run: &mut Run<'_, 'a>,
    _: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let mut out = Items::None;
    let mut open: Vec<Value<'a>> = input.into_iter().collect();
    open.reverse();
    let mut is_own = open.len();
    while let Some(value) = open.pop() {
        let Some(node) = value.node() else { continue };
        let before = open.len();
        node.children(&mut |child| open.push(child.into()));
        run.spend(1 + open.len() - before)?;
        open.get_mut(before..).unwrap_or_default().reverse();
        // The values of the input themselves are no descendants.
        if before < is_own {
            is_own = before;
        } else {
            out.push(value);
        }
    }
    Ok(out)
}

pub(super) fn trace<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let name = text_argument(run, call, 0, frame)?.unwrap_or_default();
    match call.arguments.get(1) {
        None => run.env.hooks.trace(&name, &input),
        Some(projection) => {
            let mut shown = Items::None;
            for (n, item) in input.iter().enumerate() {
                shown.extend(run.for_item(projection, item, n, frame)?);
            }
            run.env.hooks.trace(&name, &shown);
        }
    }
    Ok(input)
}
