//! `$reindex-status`: which search parameters are being built, and how far they are.
//!
//! Source: own rule. The answer is a Parameters resource: `complete`, and a `job` for each parameter with `parameter`,
//! `percent`, `done`, `total`.

use crate::access::Ctx;
use crate::access::scope::Action;
use crate::error::Result;
use crate::fhir::Json;
use crate::fhir::resource::known;
use crate::interaction::Engine;
use crate::interaction::answer::Answer;
use crate::search::registry::Building;
use serde_json::{Value, json};

impl Engine {
    pub(super) async fn reindex_status(&self, ctx: &Ctx) -> Result<Answer> {
        self.permit(ctx, Action::SearchType, Some(known("SearchParameter")))?;
        let rows = self.house().refresh().await?;
        let job = |(name, done, total): (&str, u64, u64)| {
            let building = Building::default();
            building.set(done, total);
            json!({"name": "job", "part": [
                {"name": "parameter", "valueString": name},
                {"name": "percent", "valueInteger": building.percent()},
                {"name": "done", "valueInteger": done},
                {"name": "total", "valueInteger": total},
            ]})
        };
        let walks = rows.list.iter().filter_map(|p| p.walk.as_ref().map(|w| (p.name.as_str(), w.done, w.total)));
        let mut parameter: Vec<Value> = walks.map(job).collect();
        parameter.insert(0, json!({"name": "complete", "valueBoolean": parameter.is_empty()}));
        let answer = json!({"resourceType": "Parameters", "parameter": parameter});
        Ok(Answer::of(Json::from(answer).to_bytes()))
    }
}
