//! Counters for Prometheus: requests by method and status class, and how long they took.
//!
//! Text format written by hand: a handful of counters needs no crate.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use actix_web::http::Method;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Upper bounds in microseconds.
const BUCKETS: [u64; 9] = [500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000];

/// All counters of the process.
#[derive(Default)]
pub(super) struct Metrics {
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Metrics {
    /// Counts one request.
    pub(super) fn count(&self, method: &Method, status: u16, took: Duration) {
        let row = METHODS.iter().position(|m| *m == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status / 100).saturating_sub(1).min(CLASSES.len() - 1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|b| micros <= *b).unwrap_or(BUCKETS.len());
        if let Some(counter) = self.requests.get(row).and_then(|r| r.get(class)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(counter) = self.buckets.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        let mut out = String::with_capacity(2048);
        out.push_str("# HELP baton_http_requests_total Requests answered.\n# TYPE baton_http_requests_total counter\n");
        for (method, row) in METHODS.iter().zip(&self.requests) {
            for (class, counter) in CLASSES.iter().zip(row) {
                let n = counter.load(Ordering::Relaxed);
                if n > 0 {
                    writeln!(out, "baton_http_requests_total{{method=\"{method}\",status=\"{class}\"}} {n}").ok();
                }
            }
        }
        out.push_str("# HELP baton_http_request_seconds Time from the request's head to its answer.\n# TYPE baton_http_request_seconds histogram\n");
        let mut sum = 0;
        for (bound, counter) in BUCKETS.iter().map(|b| micros_text(*b)).chain(["+Inf".into()]).zip(&self.buckets) {
            sum += counter.load(Ordering::Relaxed);
            writeln!(out, "baton_http_request_seconds_bucket{{le=\"{bound}\"}} {sum}").ok();
        }
        writeln!(out, "baton_http_request_seconds_sum {}", micros_text(self.micros.load(Ordering::Relaxed))).ok();
        writeln!(out, "baton_http_request_seconds_count {sum}").ok();
        out
    }
}

/// Seconds with six digits, without a float on the way.
fn micros_text(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
