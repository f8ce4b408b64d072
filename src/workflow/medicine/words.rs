//! A display as words, amounts and slashes.
//!
//! Not for: what they mean together (`display.rs`).

use super::tables::Tables;
use super::{Amount, Decimal};

/// One piece of a display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A word, lower case.
    Word(String),
    /// One amount, or several with one unit (`250/125 MG`), and in how much of the product.
    Amounts(Vec<Amount>, Option<Amount>),
    /// Between two substances.
    Slash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Number(Decimal, String),
    Word(String),
    /// With a space on both sides or not.
    Slash(bool),
}

/// Splits a display, brackets taken out before.
#[must_use]
pub fn items(tables: &Tables, text: &str) -> Vec<Item> {
    let tokens = tokens(tables, text);
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if let Some((item, next)) = amounts(tables, &tokens, at) {
            items.push(item);
            at = next;
            continue;
        }
        at += 1;
        match token {
            Token::Word(word) => items.push(Item::Word(word.clone())),
            Token::Slash(_) => items.push(Item::Slash),
            Token::Number(_, text) => {
                // `0.15/30` without a unit is part of a name.
                let mut name = text.clone();
                while let (Some(Token::Slash(false)), Some(Token::Number(_, next))) =
                    (tokens.get(at), tokens.get(at + 1))
                {
                    name = format!("{name}/{next}");
                    at += 2;
                }
                items.push(Item::Word(name));
            }
        }
    }
    items
}

/// Amounts that begin here, and where they end.
fn amounts(tables: &Tables, tokens: &[Token], mut at: usize) -> Option<(Item, usize)> {
    let mut values = Vec::new();
    loop {
        let Token::Number(value, _) = tokens.get(at)? else { return None };
        values.push(*value);
        at += 1;
        match (tokens.get(at), tokens.get(at + 1)) {
            (Some(Token::Slash(false)), Some(Token::Number(..))) => at += 1,
            _ => break,
        }
    }
    let Token::Word(unit) = tokens.get(at)? else { return None };
    let unit = tables.unit(unit)?;
    at += 1;
    let amounts: Vec<Amount> = values.into_iter().map(|v| Amount::of(v, unit)).collect::<Option<_>>()?;
    let leads_on = match tokens.get(at) {
        Some(Token::Slash(false)) => true,
        Some(Token::Slash(true)) => matches!(tokens.get(at + 1), Some(Token::Number(..))),
        Some(Token::Word(word)) => matches!(word.as_str(), "per" | "in"),
        _ => false,
    };
    if leads_on && let Some((per, next)) = per(tables, tokens, at + 1) {
        return Some((Item::Amounts(amounts, (per.kind != "piece").then_some(per)), next));
    }
    Some((Item::Amounts(amounts, None), at))
}

/// `ML`, `5 ML`, `24HR` behind a slash.
fn per(tables: &Tables, tokens: &[Token], at: usize) -> Option<(Amount, usize)> {
    let (value, at) = match tokens.get(at)? {
        Token::Number(value, _) => (*value, at + 1),
        _ => (Decimal::ONE, at),
    };
    let Token::Word(unit) = tokens.get(at)? else { return None };
    let unit = tables.unit(unit)?;
    // Behind `325 MG / 5 MG` stands a substance's strength, not what it is in.
    let is_measure = unit.kind != "mass" || value == Decimal::ONE;
    (is_measure && !value.is_zero()).then_some(())?;
    Some((Amount::of(value, unit)?, at + 1))
}

fn tokens(tables: &Tables, text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    for chunk in text.split_whitespace() {
        if chunk == "/" || chunk == "+" {
            out.push(Token::Slash(true));
            continue;
        }
        for (n, piece) in chunk.split('/').enumerate() {
            if n > 0 {
                out.push(Token::Slash(false));
            }
            let piece = piece.trim_matches(|c: char| matches!(c, ';' | ':' | '.') && piece.len() > 1);
            if !piece.is_empty() {
                token(tables, piece, &mut out);
            }
        }
    }
    out
}

/// A piece without spaces and slashes: `MG`, `40mg`, `21-Day`, `5-fluorouracil`.
fn token(tables: &Tables, piece: &str, out: &mut Vec<Token>) {
    let bare = piece.trim_end_matches(',');
    if let Some(value) = Decimal::parse(bare).filter(|_| !bare.contains(['e', 'E'])) {
        out.push(Token::Number(value, bare.into()));
        return;
    }
    let split = bare.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',')));
    if let Some((number, rest)) = split.filter(|at| *at > 0).and_then(|at| bare.split_at_checked(at)) {
        let unit = rest.trim_start_matches('-');
        if let (Some(value), Some(_)) = (Decimal::parse(number), tables.unit(unit)) {
            out.push(Token::Number(value, number.into()));
            out.push(Token::Word(unit.to_lowercase()));
            return;
        }
    }
    out.push(Token::Word(piece.to_lowercase()));
}
