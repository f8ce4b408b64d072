//! Displays read by hand, directions, and lines; real data where `BATON_TEST_DATA` names it.

mod directions;
mod displays;
mod real;

use super::{Reading, Tables};
use crate::workflow::Programme;
use std::sync::{Arc, LazyLock};

/// The built-in tables.
fn tables() -> Arc<Tables> {
    static TABLES: LazyLock<Arc<Tables>> = LazyLock::new(|| Programme::for_tests().medicines.clone());
    TABLES.clone()
}

/// `a 1 mg + b 2 mg; extended release tablet; oral`, and `!` with what was not to be read.
fn told(reading: &Reading) -> String {
    let medicine = &reading.medicine;
    let ingredients = medicine.ingredients.iter().map(|i| match &i.strength {
        Some(strength) => format!("{} {strength}", i.name),
        None => i.name.clone(),
    });
    let mut out = ingredients.collect::<Vec<_>>().join(" + ");
    if !medicine.parts.is_empty() {
        out = format!("{out} = {}", medicine.strength());
    }
    out = format!("{out}; {}; {}", medicine.form_text(), medicine.route.as_deref().unwrap_or("-"));
    if medicine.is_bundle {
        out.push_str("; pack");
    }
    for gap in &reading.gaps {
        out = format!("{out} ! {gap}");
    }
    out
}
