//! Since when an alarm is clear.

use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

/// Since when the alarm of a device and behavior is clear, as far as it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Count {
    /// The latest raise that was noticed, besides the task's own.
    pub(super) raise: Option<Millis>,
    /// Whether it was in alarm at the last look.
    pub(super) in_alarm: bool,
    /// When a raise, or an end that was not heard of exactly, was noticed.
    pub(super) noticed_at: Option<Millis>,
}

impl Count {
    /// Whether somebody has to look at what is in alarm now: another raise was noticed, and not yet its end.
    pub(super) fn is_open(&self, own: Millis, latest: Option<Millis>) -> bool {
        self.in_alarm || self.raise.max(latest.filter(|latest| *latest > own)) != self.raise
    }

    /// What one look makes of it. `latest` is the latest raise of device and behavior.
    pub(super) fn look(&self, own: Millis, latest: Option<Millis>, in_alarm: bool, now: Millis) -> Self {
        let raise = self.raise.max(latest.filter(|latest| *latest > own));
        let changed = raise != self.raise || in_alarm || self.in_alarm;
        Self { raise, in_alarm, noticed_at: if changed { Some(now) } else { self.noticed_at } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look each: the latest raise, whether in alarm.
    fn looks(looks: &[(i64, i64, bool)]) -> Option<i64> {
        let look = |count: Count, (now, latest, in_alarm): &(i64, i64, bool)| {
            count.look(Millis(0), Some(Millis(*latest)), *in_alarm, Millis(*now))
        };
        looks.iter().fold(Count::default(), look).noticed_at.map(|at| at.0)
    }

    #[test]
    fn a_raise_that_is_noticed_starts_the_count_again_and_so_does_its_end() {
        assert_eq!(looks(&[(10, 0, false), (20, 0, false)]), None, "its own end is known exactly");
        assert_eq!(
            looks(&[(10, 0, false), (20, 15, false), (30, 15, false)]),
            Some(20),
            "raised and clear again"
        );
        assert_eq!(looks(&[(10, 5, true), (20, 5, true), (30, 5, false), (40, 5, false)]), Some(30));
        assert_eq!(looks(&[(10, 5, true), (20, 5, false), (30, 25, true), (40, 25, false)]), Some(40));
    }
}
