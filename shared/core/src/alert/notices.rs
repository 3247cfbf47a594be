//! What is wrong and lasts: people are told when it begins, and again every 30 days until it is over.
//!
//! A function that looks at something by schedule keeps [`Notices`] in the ledger. They are changed and kept before
//! anybody is told: alerts that are due are part of them ([`Notices::pending`]) until the topic has taken them, so that a
//! function that dies in between tells what it found when it runs next, and a look that is made twice tells nothing twice.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::alert::Alert;
use crate::timestamp::Millis;

/// After how long what lasts is told again.
const MONTH_SECONDS: i64 = 30 * 86_400;

/// What is wrong, by a key of the function's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Notices {
    standing: BTreeMap<String, Standing>,
    pending: Vec<Alert>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    since: Millis,
    seen: Millis,
    months: i64,
}

/// Since when something is wrong, for its alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Since when.
    pub since: Millis,
    /// For how many months of 30 days: part of what the alert is about, so that each is told once.
    pub months: i64,
}

impl Notices {
    /// Takes in something that is wrong now. Says since when, if it is time to tell people.
    pub fn notice(&mut self, key: &str, now: Millis) -> Option<Due> {
        let new = Standing { since: now, seen: now, months: -1 };
        let standing = self.standing.entry(key.to_owned()).or_insert(new);
        standing.seen = standing.seen.max(now);
        let months = now.seconds().saturating_sub(standing.since.seconds()).div_euclid(MONTH_SECONDS);
        if months <= standing.months {
            return None;
        }
        standing.months = months;
        Some(Due { since: standing.since, months })
    }

    /// Whether something was wrong when it was last looked at.
    pub fn is_standing(&self, key: &str) -> bool {
        self.standing.contains_key(key)
    }

    /// What was wrong and is not any more: not noticed at this look, and, by `is_looked_at`, it would have been. It is
    /// forgotten here. Gives each key, and since when it was wrong.
    pub fn over(&mut self, now: Millis, is_looked_at: impl Fn(&str) -> bool) -> Vec<(String, Millis)> {
        let is_over = |key: &str, standing: &Standing| standing.seen < now && is_looked_at(key);
        let over = self.standing.extract_if(.., |key, standing| is_over(key, standing));
        over.map(|(key, standing)| (key, standing.since)).collect()
    }

    /// Forgets what has not been noticed for so many seconds: what is wrong again before was never mended.
    pub fn forget(&mut self, now: Millis, mended_seconds: i64) {
        self.standing.retain(|_, standing| standing.seen.plus_seconds(mended_seconds) >= now);
    }

    /// Adds an alert that is due.
    pub fn add(&mut self, alert: Alert) {
        self.pending.push(alert);
    }

    /// The alerts that are due.
    pub fn pending(&self) -> &[Alert] {
        &self.pending
    }

    /// Takes out alerts that the topic has taken.
    pub fn mark_raised(&mut self, alerts: &[Alert]) {
        self.pending.retain(|pending| !alerts.contains(pending));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Millis {
        Millis(1_795_392_000_000).plus_seconds(days * 86_400)
    }

    #[test]
    fn it_is_told_when_it_begins_and_every_thirty_days() {
        let mut notices = Notices::default();
        let told: Vec<i64> = (0..100).filter(|day| notices.notice("a", at(*day)).is_some()).collect();
        assert_eq!(told, [0, 30, 60, 90]);
        // Days without a look make no difference.
        assert_eq!(notices.notice("a", at(170)).map(|due| (due.since, due.months)), Some((at(0), 5)));
        assert_eq!(notices.notice("a", at(170)), None);
    }

    #[test]
    fn what_is_over_is_said_once_and_only_if_it_was_looked_at() {
        let mut notices = Notices::default();
        assert!(["a", "b", "c"].iter().all(|key| notices.notice(key, at(0)).is_some()));
        notices.notice("c", at(1));
        assert_eq!(notices.over(at(1), |key| key != "b"), [("a".to_owned(), at(0))]);
        assert_eq!(notices.over(at(1), |key| key != "b"), []);
        assert!(notices.is_standing("b") && notices.is_standing("c"));
        assert!(notices.notice("a", at(2)).is_some());
        notices.forget(at(3), 86_400);
        assert!(!notices.is_standing("b") && notices.is_standing("a"));
    }
}
