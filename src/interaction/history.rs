//! history of an instance, a type or the system: versions newest first, deletions as entries without a resource.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#history>.

use super::answer::Answer;
use super::audit::shown;
use super::bundle::{Link, Writer};
use super::page::{PARAMETER, query_text};
use super::request::Scope;
use super::subset::redact;
use super::{Engine, unknown};
use crate::access::policy::Decision;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::resource::printable;
use crate::fhir::{ResourceType, date};
use crate::search::query;
use crate::store::{self, HistoryQuery};

impl Engine {
    pub(super) async fn history(&self, ctx: &Ctx, of: Scope, raw: &str) -> Result<Answer> {
        let house = self.house();
        let (action, rtype, scope, path) = match of {
            Scope::System => (Action::HistorySystem, None, store::Scope::System, "_history".to_owned()),
            Scope::Type(t) => (Action::HistoryType, Some(t), store::Scope::Type(t), format!("{t}/_history")),
            Scope::Instance(t) => {
                let path = format!("{t}/_history");
                (Action::HistoryInstance, Some(t.rtype), store::Scope::Instance(t), path)
            }
            Scope::Compartment(..) | Scope::Version(..) => {
                return Err(Error::not_found("a compartment and a version have no history"));
            }
        };
        self.permit(ctx, action, rtype)?;
        let limit = Limit::of(ctx);
        // The system's history holds all types; those that the caller may not read stay out, however far they see.
        let judge = house.policy.judge(&ctx.principal);
        let types = match scope {
            store::Scope::System => {
                let may_read = |t: &ResourceType| judge.decide(Action::HistoryType, Some(*t)) == Decision::Permit;
                Some(ResourceType::all().filter(may_read).collect())
            }
            _ => None,
        };
        let mut asked = HistoryQuery {
            scope,
            types,
            since: None,
            at: None,
            count: usize::try_from(house.limits.count_default).unwrap_or(50),
            total: false,
            from: None,
        };
        let mut used = Vec::new();
        let mut token = None;
        for (name, value) in query::pairs(raw)? {
            match name.as_str() {
                "_format" | "_pretty" => continue,
                PARAMETER => {
                    token = Some(value);
                    continue;
                }
                "_since" => asked.since = Some(self.span(&name, &value)?.0),
                "_at" => asked.at = Some(self.span(&name, &value)?),
                "_count" => asked.count = self.count(&value)?,
                "_total" if matches!(value.as_str(), "none" | "estimate" | "accurate") => asked.total = value != "none",
                "_summary" if value == "count" => asked.count = 0,
                other => {
                    let text = format!("a history takes no parameter '{}={}'", printable(other), printable(&value));
                    return Err(Error::invalid(text).code("not-supported"));
                }
            }
            used.push((name, value));
        }
        let link = format!("{path}?{}", query_text(&used));
        if let Some(token) = &token {
            asked.from = Some(house.pages.read(ctx, &link, token)?);
        }
        asked.total |= asked.count == 0;
        let mut page = house.store.history(&limit, &asked).await?;
        if let store::Scope::Instance(target) = &asked.scope
            && page.rows.is_empty()
            && token.is_none()
            && house.store.get(&limit, target).await?.is_none()
        {
            return Err(unknown(target));
        }
        redact(&judge, &mut page.rows)?;
        let mut links = vec![Link { relation: "self", path: path.clone(), query: used.clone() }];
        if let Some(next) = &page.next {
            let token = house.pages.sign(ctx, &link, next);
            used.push((PARAMETER.into(), token));
            links.push(Link { relation: "next", path, query: used });
        }
        let room = page.rows.iter().map(|v| v.body.len() + 256).sum();
        let mut out = Writer::new(&ctx.base, "history", page.total, &links, room);
        for version in &page.rows {
            out.version(version);
        }
        Ok(Answer { seen: shown(&page.rows), ..Answer::of(out.end()) })
    }

    /// First and last microsecond of a date or time.
    fn span(&self, name: &str, value: &str) -> Result<(i64, i64)> {
        // A '+' of a time zone arrives as a space when the client forgot to escape it.
        let value = value.replace(' ', "+");
        date::search_span(&value, &self.house().active().env.zone).map(|s| (s.lo, s.hi)).ok_or_else(|| {
            Error::invalid(format!(
                "{name} is a date or an instant, such as 2026-11-25T15:53:00Z, and not '{}'",
                printable(&value)
            ))
        })
    }

    fn count(&self, value: &str) -> Result<usize> {
        let count = value.parse::<u64>().map_err(|_| Error::invalid("_count is a whole number, 0 or more"))?;
        Ok(usize::try_from(count.min(self.house().limits.count_max)).unwrap_or(usize::MAX))
    }
}
