//! `DetectedIssue/$rule-report`: what became of each screening rule's findings, of those that the caller may see.
//!
//! Not for: counting (`workflow/screen/count.rs`). Reads only.
//! Source: own operation, described in `profiles/screening/README.md`.

use super::Input;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::interaction::Engine;
use crate::interaction::answer::Answer;
use crate::search::query::{self, Handling};
use crate::search::{Cond, Plan};
use crate::workflow::screen::count::Counts;

/// Problems of one page.
const PAGE: usize = 500;
/// Problems of one report.
const MOST: usize = 50_000;

impl Engine {
    pub(super) async fn rule_report(&self, ctx: &Ctx, input: &Input) -> Result<Answer> {
        let rtype = known("DetectedIssue");
        self.permit(ctx, Action::SearchType, Some(rtype))?;
        let (house, limit) = (self.house(), Limit::of(ctx));
        let active = house.active();
        let mut pairs = Vec::new();
        for (name, prefix) in [("start", "ge"), ("end", "le")] {
            pairs.extend(input.text(name).map(|date| ("identified".to_owned(), format!("{prefix}{date}"))));
        }
        let read = query::parse(&active.registry, &house.keys, &[rtype], &pairs, &active.env, Handling::Strict)?;
        let cond = if pairs.is_empty() { Cond::All(Vec::new()) } else { read.plan.cond };
        let plan = Plan { types: vec![rtype], cond, sort: Vec::new(), count: PAGE, total: false };
        let (mut counts, mut from, mut seen) = (Counts::default(), None, 0);
        loop {
            let page = house.store.search(&limit, &plan, from.as_ref()).await?;
            seen += page.rows.len();
            if seen > MOST {
                let text =
                    format!("more than {MOST} problems lie in that time; ask for a shorter one by start and end");
                return Err(Error::too_costly(text));
            }
            for row in &page.rows {
                counts.add(&row.json()?);
            }
            from = page.next;
            if from.is_none() {
                return Ok(Answer::of(counts.told(&house.programme.screening).to_bytes()));
            }
        }
    }
}
