//! Who must wait after failed logins, and how long.
//!
//! By account and address together: soon and long. By account alone (many addresses) and by address alone (many accounts):
//! later, and for seconds only, so that strangers cannot lock a user out.
//! Source: own rule (security contract, attack row 26).

use crate::clock::Instant;
use crate::error::Result;
use crate::store::Store;

/// Failures count for an hour.
const FORGET: i64 = 3_600_000_000;

/// (prefix, failures that are free, longest wait in seconds).
const RULES: [(&str, i64, i64); 3] = [("both", 5, 900), ("user", 20, 30), ("from", 100, 60)];

fn names(user: &str, address: &str) -> [String; 3] {
    [format!("both {user} {address}"), format!("user {user}"), format!("from {address}")]
}

/// Seconds that a login must wait; 0: none.
///
/// # Errors
/// What the store says.
pub async fn wait(store: &Store, user: &str, address: &str, now: Instant) -> Result<i64> {
    let mut longest = 0;
    for (name, (_, free, most)) in names(user, address).iter().zip(RULES) {
        let (failures, last) = store.failures(name).await?;
        longest = longest.max(rest(failures, last, free, most, now));
    }
    Ok(longest)
}

fn rest(failures: i64, last: i64, free: i64, most: i64, now: Instant) -> i64 {
    if failures < free || last < now.0.saturating_sub(FORGET) {
        return 0;
    }
    let doublings = u32::try_from((failures - free).min(20)).unwrap_or(20);
    let wait = (1_i64 << doublings).min(most) * 1_000_000;
    ((last + wait - now.0).max(0) + 999_999) / 1_000_000
}

/// Counts a failure.
///
/// # Errors
/// What the store says.
pub async fn count(store: &Store, user: &str, address: &str, now: Instant) -> Result<()> {
    store.count_failure(&names(user, address), now, FORGET).await
}

/// A login that went well ends the wait of its account at its address.
///
/// # Errors
/// What the store says.
pub async fn forget(store: &Store, user: &str, address: &str) -> Result<()> {
    let [both, ..] = names(user, address);
    store.forget_failures(&both).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security A26: The wait doubles, has an end, and is forgotten after an hour.
    #[test]
    fn the_wait_as_a_table() {
        let second = 1_000_000;
        for (failures, ago, waits) in [
            (4, 0, 0),
            (5, 0, 1),
            (5, 1, 0),
            (6, 0, 2),
            (7, 1, 3),
            (15, 0, 900),
            (500, 0, 900),
            (500, 899, 1),
            (500, 3601, 0),
        ] {
            let now = Instant(10_000 * second);
            assert_eq!(rest(failures, now.0 - ago * second, 5, 900, now), waits, "{failures} failures, {ago} s ago");
        }
    }
}
