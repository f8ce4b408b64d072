//! What somebody could make without end - failed logins, refused tokens, requests without a caller - and yet must be on record.
//!
//! Of each kind and address twenty rows a minute are stored as they are; what comes beyond them is counted, and stands in one row
//! when the minute is over ("812 more of these within a minute"). At most fifty addresses of a kind are told apart in a minute; all
//! others share one place. So a kind grows by about a thousand rows a minute at most, whoever asks and however often.
//! Nothing is left out: the count is on record. `kill -9` takes the count of the running minute.
//! Source: own rule.

use super::Audit;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long rows of a kind and address are counted together.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// Rows of a kind and address that are stored as they are, in a minute.
const FREE: u64 = 20;
/// Addresses of a kind that are told apart in a minute.
const ADDRESSES: usize = 50;

/// The running minutes.
#[derive(Debug, Default)]
pub(super) struct Floods(HashMap<(String, String), Minute>);

#[derive(Debug)]
struct Minute {
    since: Instant,
    rows: u64,
    /// The last one that was not stored.
    last: Option<Audit>,
}

/// What becomes of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is stored.
    Stored(Box<Audit>),
    /// It is counted. True: it is the first one, so that somebody has to look when the minute is over.
    Counted(bool),
}

impl Floods {
    /// Takes a row in, or counts it.
    pub(super) fn take(&mut self, row: Audit, now: Instant) -> Verdict {
        let mut key = (row.action.clone(), network(row.detail.address.as_deref().unwrap_or_default()));
        if !self.0.contains_key(&key) {
            self.0.retain(|_, m| m.last.is_some() || now < m.since + MINUTE);
            if self.0.keys().filter(|(action, _)| *action == key.0).count() >= ADDRESSES {
                key.1 = String::new();
            }
        }
        let minute = self.0.entry(key).or_insert(Minute { since: now, rows: 0, last: None });
        if now >= minute.since + MINUTE && minute.last.is_none() {
            *minute = Minute { since: now, rows: 0, last: None };
        }
        minute.rows += 1;
        if minute.rows <= FREE {
            return Verdict::Stored(Box::new(row));
        }
        Verdict::Counted(minute.last.replace(row).is_none())
    }

    /// Rows that say how many were counted in minutes that are over; `all`: in those that run, too.
    pub(super) fn over(&mut self, now: Instant, all: bool) -> Vec<Audit> {
        let mut out = Vec::new();
        self.0.retain(|(_, address), minute| {
            if !all && now < minute.since + MINUTE {
                return true;
            }
            if let Some(mut row) = minute.last.take() {
                let what = row.detail.why.take().map_or_else(String::new, |why| format!(", such as {why}"));
                let more = minute.rows - FREE;
                // Many users and many clients in one row: none of them.
                (row.usr, row.client) = (String::new(), String::new());
                if address.is_empty() {
                    row.detail.address = None;
                }
                out.push(row.because(format!("{more} more of these within a minute{what}")));
            }
            false
        });
        out
    }
}

/// Who owns an IPv6 address owns 2^64 of them.
fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Instant as Clock;
    use crate::store::audit::Happening;

    fn row(address: &str) -> Audit {
        Audit::happening(Happening::LoginFailed, Clock(1), "", "mara", 401)
            .from_address(Some(address))
            .because("password")
    }

    fn stored(floods: &mut Floods, address: &str, now: Instant) -> bool {
        matches!(floods.take(row(address), now), Verdict::Stored(_))
    }

    #[test]
    fn a_flood_is_counted_and_told_once() {
        let (mut floods, start) = (Floods::default(), Instant::now());
        let kept = (0..1000).filter(|_| stored(&mut floods, "192.0.2.1", start)).count();
        assert_eq!(kept, 20);
        assert!(stored(&mut floods, "192.0.2.2", start), "another address is not held up");
        assert_eq!(floods.over(start, false), []);
        let told = floods.over(start + MINUTE, false);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].detail.why.as_deref(), Some("980 more of these within a minute, such as password"));
        assert_eq!((told[0].usr.as_str(), told[0].detail.address.as_deref()), ("", Some("192.0.2.1")));
        assert!(stored(&mut floods, "192.0.2.1", start + MINUTE), "a new minute");
        assert_eq!(floods.over(start + MINUTE, true), []);
    }

    #[test]
    fn many_addresses_share_a_place_and_a_network_is_one() {
        let (mut floods, start) = (Floods::default(), Instant::now());
        let kept = (0..30).filter(|n| stored(&mut floods, &format!("2001:db8:1:2::{n:x}"), start)).count();
        assert_eq!(kept, 20, "one network of 2^64 addresses");
        let kept = (0..1000).filter(|n| stored(&mut floods, &format!("10.0.{}.{}", n / 250, n % 250), start)).count();
        assert_eq!(kept, 49 + 20);
        let told = floods.over(start, true);
        let counts: Vec<_> = told.iter().map(|r| r.detail.why.clone().unwrap_or_default()).collect();
        assert!(
            counts.iter().any(|c| c.starts_with("931 more")) && counts.iter().any(|c| c.starts_with("10 more")),
            "{counts:?}"
        );
        assert!(floods.0.is_empty());
    }
}
