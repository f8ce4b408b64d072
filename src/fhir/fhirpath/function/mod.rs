//! The functions of FHIRPath, by name.
//!
//! Source: <http://hl7.org/fhirpath/N1/#functions>, <https://hl7.org/fhir/R4/fhirpath.html#functions>. A name that is marked with the later
//! version is of the ballot of FHIRPath 3.0, as the HL7 suite tests it.

mod convert;
mod host;
mod list;
mod math;
mod text;

use super::ast::Call;
use super::eval::{Frame, Result, Run, fail};
use super::kinds;
use super::value::{Items, Value};
use std::borrow::Cow;

type Function = for<'r, 'e, 'a, 'f> fn(&'r mut Run<'e, 'a>, &'a Call, Items<'a>, Frame<'f, 'a>) -> Result<Items<'a>>;

/// A function: its name, how many arguments it takes, and what it does.
#[derive(Debug)]
pub(in crate::fhir::fhirpath) struct Row {
    pub name: &'static str,
    pub least: u8,
    pub most: u8,
    /// Its argument is the name of a type.
    pub takes_type: bool,
    pub run: Function,
}

const fn row(name: &'static str, least: u8, most: u8, run: Function) -> Row {
    Row { name, least, most, takes_type: false, run }
}

const fn typed(name: &'static str, run: Function) -> Row {
    Row { name, least: 1, most: 1, takes_type: true, run }
}

static ROWS: [Row; 92] = [
    // Existence.
    row("empty", 0, 0, list::empty),
    row("exists", 0, 1, list::exists),
    row("all", 1, 1, list::all),
    row("allTrue", 0, 0, list::all_true),
    row("anyTrue", 0, 0, list::any_true),
    row("allFalse", 0, 0, list::all_false),
    row("anyFalse", 0, 0, list::any_false),
    row("subsetOf", 1, 1, list::subset_of),
    row("supersetOf", 1, 1, list::superset_of),
    row("count", 0, 0, list::count),
    row("distinct", 0, 0, list::distinct),
    row("isDistinct", 0, 0, list::is_distinct),
    row("not", 0, 0, list::not),
    // Filtering and projection.
    row("where", 1, 1, list::filter),
    row("select", 1, 1, list::select),
    row("repeat", 1, 1, list::repeat),
    row("aggregate", 1, 2, list::aggregate),
    typed("ofType", host::of_type),
    typed("is", host::is),
    typed("as", host::cast),
    row("type", 0, 0, host::type_of),
    // Subsetting and combining.
    row("single", 0, 0, list::single),
    row("first", 0, 0, list::first),
    row("last", 0, 0, list::last),
    row("tail", 0, 0, list::tail),
    row("skip", 1, 1, list::skip),
    row("take", 1, 1, list::take),
    row("intersect", 1, 1, list::intersect),
    row("exclude", 1, 1, list::exclude),
    row("union", 1, 1, list::union),
    row("combine", 1, 1, list::combine),
    row("sort", 0, 16, list::sort), // 3.0
    row("iif", 2, 3, list::iif),
    row("coalesce", 1, 16, list::coalesce), // 3.0
    // Navigation and utility.
    row("children", 0, 0, list::children),
    row("descendants", 0, 0, list::descendants),
    row("trace", 1, 2, list::trace),
    row("now", 0, 0, convert::now),
    row("today", 0, 0, convert::today),
    row("timeOfDay", 0, 0, convert::time_of_day),
    // Conversion.
    row("toBoolean", 0, 0, convert::to_boolean),
    row("convertsToBoolean", 0, 0, convert::converts_to_boolean),
    row("toInteger", 0, 0, convert::to_integer),
    row("convertsToInteger", 0, 0, convert::converts_to_integer),
    row("toDecimal", 0, 0, convert::to_decimal),
    row("convertsToDecimal", 0, 0, convert::converts_to_decimal),
    row("toString", 0, 0, convert::to_string),
    row("convertsToString", 0, 0, convert::converts_to_string),
    row("toDate", 0, 0, convert::to_date),
    row("convertsToDate", 0, 0, convert::converts_to_date),
    row("toDateTime", 0, 0, convert::to_datetime),
    row("convertsToDateTime", 0, 0, convert::converts_to_datetime),
    row("toTime", 0, 0, convert::to_time),
    row("convertsToTime", 0, 0, convert::converts_to_time),
    row("toQuantity", 0, 1, convert::to_quantity),
    row("convertsToQuantity", 0, 1, convert::converts_to_quantity),
    // Text.
    row("indexOf", 1, 1, text::index_of),
    row("lastIndexOf", 1, 1, text::last_index_of), // 3.0
    row("substring", 1, 2, text::substring),
    row("startsWith", 1, 1, text::starts_with),
    row("endsWith", 1, 1, text::ends_with),
    row("contains", 1, 1, text::contains),
    row("upper", 0, 0, text::upper),
    row("lower", 0, 0, text::lower),
    row("replace", 2, 2, text::replace),
    row("matches", 1, 2, text::matches),
    row("matchesFull", 1, 2, text::matches_full), // 3.0
    row("replaceMatches", 2, 3, text::replace_matches),
    row("length", 0, 0, text::length),
    row("toChars", 0, 0, text::to_chars),
    row("trim", 0, 0, text::trim),         // 3.0
    row("split", 1, 1, text::split),       // 3.0
    row("join", 0, 1, text::join),         // 3.0
    row("encode", 1, 1, text::encode),     // 3.0
    row("decode", 1, 1, text::decode),     // 3.0
    row("escape", 1, 1, text::escape),     // 3.0
    row("unescape", 1, 1, text::unescape), // 3.0
    // Mathematics.
    row("abs", 0, 0, math::abs),
    row("ceiling", 0, 0, math::ceiling),
    row("exp", 0, 0, math::exp),
    row("floor", 0, 0, math::floor),
    row("ln", 0, 0, math::ln),
    row("log", 1, 1, math::log),
    row("power", 1, 1, math::power),
    row("round", 0, 1, math::round),
    row("sqrt", 0, 0, math::sqrt),
    row("truncate", 0, 0, math::truncate),
    row("lowBoundary", 0, 1, math::low_boundary),   // 3.0
    row("highBoundary", 0, 1, math::high_boundary), // 3.0
    row("precision", 0, 0, math::precision),        // 3.0
    row("comparable", 1, 1, math::comparable),      // 3.0
    row("extension", 1, 1, host::extension),
];

/// What FHIR adds.
static OF_FHIR: [Row; 10] = [
    row("hasExtension", 1, 1, host::has_extension),
    row("hasValue", 0, 0, host::has_value),
    row("getValue", 0, 0, host::get_value),
    row("resolve", 0, 0, host::resolve),
    row("conformsTo", 1, 1, host::conforms_to),
    row("memberOf", 1, 1, host::member_of),
    row("subsumes", 1, 1, host::subsumes),
    row("subsumedBy", 1, 1, host::subsumed_by),
    row("htmlChecks", 0, 0, host::html_checks),
    row("checkModifiers", 1, 16, host::check_modifiers),
];

/// The function of a name.
pub(in crate::fhir::fhirpath) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().chain(&OF_FHIR).find(|row| row.name == name)
}

/// The one value of the input, to compute with; `None` for none.
pub(super) fn single<'a>(call: &Call, input: &Items<'a>) -> Result<Option<Value<'a>>> {
    match input.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.system())),
        many => fail(call.at, format!("found {} values, '{}' takes one", many.len(), call.row.name)),
    }
}

/// The input as a text.
pub(super) fn text_of<'a>(call: &Call, input: &Items<'a>) -> Result<Option<Cow<'a, str>>> {
    match single(call, input)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        // Texts that are something more: dates and times as they are written.
        Some(Value::Moment(moment)) if matches!(input.as_slice(), [Value::Node(_)]) => {
            Ok(Some(Cow::Owned(moment.to_string())))
        }
        Some(other) => fail(call.at, format!("'{}' takes a text, found {}", call.row.name, kinds::of(&other).1)),
    }
}

/// An argument, evaluated where the call stands.
pub(super) fn argument<'a>(run: &mut Run<'_, 'a>, call: &'a Call, n: usize, frame: Frame<'_, 'a>) -> Result<Items<'a>> {
    match call.arguments.get(n) {
        Some(ast) => run.eval(ast, frame),
        None => Ok(Items::None),
    }
}

/// An argument as a text; `None` when it is empty.
pub(super) fn text_argument<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    n: usize,
    frame: Frame<'_, 'a>,
) -> Result<Option<Cow<'a, str>>> {
    let items = argument(run, call, n, frame)?;
    text_of(call, &items)
}

/// An argument as a whole number; `None` when it is empty.
pub(super) fn integer_argument<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    n: usize,
    frame: Frame<'_, 'a>,
) -> Result<Option<i64>> {
    let items = argument(run, call, n, frame)?;
    match single(call, &items)? {
        None => Ok(None),
        Some(Value::Integer(n)) => Ok(Some(n)),
        Some(other) => {
            fail(call.at, format!("'{}' takes a whole number, found {}", call.row.name, kinds::of(&other).1))
        }
    }
}

pub(super) fn string<'a>(text: impl Into<Cow<'a, str>>) -> Items<'a> {
    Value::String(text.into()).into()
}
