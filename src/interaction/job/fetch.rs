//! Whether the answer of a job may still be given to who asks for it.
//!
//! What it holds was visible when it was made; since then a share may have been taken back. Then none of it is given out: a
//! Bundle with holes would not say what it is the answer to.
//! Source: security contract, requirement 52 and leak path 14; own rule.

use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::resource::is_id;
use crate::fhir::{Json, ResourceType, Target, json};
use crate::interaction::House;

/// Resources that are looked for at once.
const BATCH: usize = 500;

/// Checks that the caller may see now each stored resource that an answer holds.
///
/// # Errors
/// `Gone` where one is out of sight; what the store says.
pub(super) async fn still_visible(house: &House, ctx: &Ctx, answer: &str) -> Result<()> {
    let limit = Limit::of(ctx);
    if limit == Limit::Everything {
        return Ok(());
    }
    let mut targets = Vec::new();
    collect(&json::parse(answer.as_bytes())?, &mut targets);
    targets.sort();
    targets.dedup();
    for some in targets.chunks(BATCH) {
        let seen = house.store.get_many(&limit, some).await?;
        let hidden: Vec<Target> =
            some.iter().zip(seen).filter(|(_, seen)| seen.is_none()).map(|(at, _)| at.clone()).collect();
        // What was made for this answer alone is stored nowhere.
        let is_stored = house.store.get_many(&Limit::Everything, &hidden).await?;
        if is_stored.iter().any(Option::is_some) {
            let text = "the answer holds what you may not see any more, and is not given out; send the Bundle again";
            return Err(Error::gone(text).code("deleted"));
        }
    }
    Ok(())
}

/// Each resource of a tree that has an address, but for contained ones.
fn collect(tree: &Json, out: &mut Vec<Target>) {
    match tree {
        Json::Array(items) => items.iter().for_each(|item| collect(item, out)),
        Json::Object(object) => {
            if let Some(rtype) = tree["resourceType"].as_str().and_then(ResourceType::parse)
                && let Some(id) = tree["id"].as_str().filter(|id| is_id(id))
            {
                out.push(Target::new(rtype, id));
            }
            object.iter().filter(|(name, _)| *name != "contained").for_each(|(_, value)| collect(value, out));
        }
        _ => {}
    }
}
