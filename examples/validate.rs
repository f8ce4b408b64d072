//! What validating a Bundle costs, and how much of that are the constraints.
//!
//!     cargo run --release --example validate -- FILE.ndjson.gz [ROUNDS]
//!
//! FILE: Bundles, one a line. Each is read once and validated ROUNDS times (20) with and without the constraints that are FHIRPath,
//! in turns; prints microseconds a Bundle and the number of resources. Wall time of one thread: run it on a quiet machine, or compare.

#![allow(clippy::expect_used, reason = "a tool: it stops where its input is not what it should be")]

use baton::fhir::{Json, json, validate};
use std::io::Read;
use std::time::{Duration, Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let file = args.next().expect("usage: validate FILE.ndjson.gz [ROUNDS]");
    let rounds: u32 = args.next().map_or(20, |n| n.parse().expect("a number of rounds"));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(&file).expect("a file"))
        .read_to_string(&mut text)
        .expect("text");
    let bundles: Vec<Json> = text.lines().map(|line| json::parse(line.as_bytes()).expect("JSON")).collect();
    let count = |bundle: &Json| bundle["entry"].items().len().max(1);
    let resources: usize = bundles.iter().map(count).sum();
    let (mut structure, mut all, mut issues) = (Duration::ZERO, Duration::ZERO, 0);
    for round in 0..=rounds {
        for bundle in &bundles {
            let started = Instant::now();
            std::hint::black_box(validate::structure_only(bundle));
            let first = started.elapsed();
            let started = Instant::now();
            issues += validate::resource(bundle).len();
            let second = started.elapsed();
            // The first round compiles tables and expressions.
            if round > 0 {
                structure += first;
                all += second;
            }
        }
    }
    let n = f64::from(rounds) * bundles.len() as f64;
    let micros = |d: Duration| d.as_secs_f64() * 1e6 / n;
    println!(
        "{} Bundles of {:.1} resources: structure {:.0} us, with constraints {:.0} us (constraints {:.0} us) a Bundle; {} issues",
        bundles.len(),
        resources as f64 / bundles.len() as f64,
        micros(structure),
        micros(all),
        micros(all) - micros(structure),
        issues / (rounds as usize + 1)
    );
}
