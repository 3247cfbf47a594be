//! Canaries: the first few of what a rule mitigates in an audit go alone and are watched. How many, for how long, and what
//! stops the rest.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

use super::Effect;
use super::Policy;
use super::Rule;
use super::diagnostic::Place;
use crate::model::mitigation::MAX_FINDINGS;

/// The first few of what a rule mitigates in an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// How many go first.
    pub first: First,
    /// For how long they are watched after their task has ended, in seconds.
    pub watch_seconds: i64,
    /// What stops the rest.
    pub stop_if: BTreeSet<StopIf>,
    /// Where it stands in the file.
    pub place: Place,
}

/// How many findings go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// So many.
    Count(u32),
    /// So many hundredths of a percent of what the rule mitigates of the check in the audit.
    Share(u32),
}

/// What stops the rest of a mitigation, and has the canary undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StopIf {
    /// An action that did not succeed on all of the findings.
    Failures,
    /// A new alarm about one of the devices.
    Alarms,
    /// A device that was connected at the start and is not any more, where no action cuts devices off.
    Disconnected,
}

impl StopIf {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failures, Self::Alarms, Self::Disconnected];
    /// What a canary asks that does not say.
    pub const DEFAULT: [Self; 2] = [Self::Failures, Self::Alarms];

    /// The word in the policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Alarms => "alarms",
            Self::Disconnected => "disconnected",
        }
    }
}

impl Canary {
    /// How many of so many findings go first: one at least, and no more than one task takes.
    #[must_use]
    pub fn count(&self, of: u64) -> usize {
        let first = match self.first {
            First::Count(count) => u64::from(count),
            First::Share(share) => {
                u64::try_from((u128::from(of) * u128::from(share)).div_ceil(10_000)).unwrap_or(u64::MAX)
            }
        };
        usize::try_from(first).unwrap_or(usize::MAX).clamp(1, MAX_FINDINGS)
    }
}

impl Rule {
    /// Its canary, if it mitigates with one.
    pub const fn canary(&self) -> Option<&Canary> {
        match &self.effect {
            Effect::Mitigate(mitigate) => mitigate.canary.as_ref(),
            Effect::Suppress(_) | Effect::Report(_) => None,
        }
    }
}

impl Policy {
    /// The canary of a rule on findings, if it has one.
    pub fn canary_of(&self, rule: &str) -> Option<&Canary> {
        self.rules.iter().find(|own| own.name == rule).and_then(Rule::canary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(first: First) -> Canary {
        Canary { first, watch_seconds: 900, stop_if: StopIf::ALL.into(), place: Place::default() }
    }

    #[test]
    fn one_goes_first_at_least_and_a_task_at_most() {
        let of = |first, of| canary(first).count(of);
        assert_eq!([1, 3, 25].map(|count| of(First::Count(count), 2)), [1, 3, 25]);
        let percent = First::Share(100);
        assert_eq!(
            [0, 1, 100, 101, 2_500, 1_000_000, u64::MAX].map(|n| of(percent, n)),
            [1, 1, 1, 2, 25, 25, 25]
        );
        assert_eq!(of(First::Share(10_000), 7), 7);
    }

    #[test]
    fn its_words_are_those_of_the_file() {
        for stop in StopIf::ALL {
            assert_eq!(serde_json::to_value(stop).unwrap(), stop.as_str());
        }
    }
}
