//! What AWS leaves open, or does only now and then: the switches that a test turns.

use serde::{Deserialize, Serialize};

use crate::random::draw;

const DOMAIN: u64 = 110;
/// A message that comes out of order is late by up to so long.
const LATE_MS: u64 = 900_000;

/// What becomes of the alarms of devices that a profile no longer watches. AWS does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Detach {
    /// They leave the list of active violations with an event, `alarm-invalidated`.
    Event,
    /// They leave it without a word.
    Silence,
}

/// The switches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Switches {
    /// The share of alerts that are published twice.
    pub(crate) duplicates: f64,
    /// The share of alerts that come later than those after them, by up to 15 minutes.
    pub(crate) reorder: f64,
    /// The share of alerts that are lost.
    pub(crate) drop: f64,
    pub(crate) detach: Detach,
    /// Whether an alarm of a model has a `metricValue`.
    pub(crate) model_metric_value: bool,
    /// How late datapoints are evaluated, in seconds: 60 to 3,600.
    pub(crate) delay_seconds: i64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            duplicates: 0.0,
            reorder: 0.0,
            drop: 0.0,
            detach: Detach::Event,
            model_metric_value: true,
            delay_seconds: 60,
        }
    }
}

impl Switches {
    /// What is wrong with them, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        for (name, share) in [("duplicates", self.duplicates), ("reorder", self.reorder), ("drop", self.drop)]
        {
            if !(0.0..=1.0).contains(&share) {
                return Some(format!("{name} should be from 0 to 1"));
            }
        }
        let is_delay = (60..=3_600).contains(&self.delay_seconds);
        (!is_delay).then(|| "delaySeconds should be from 60 to 3600".to_owned())
    }

    /// When the copies of an alert go out, in milliseconds from now.
    pub(crate) fn deliveries(&self, seed: u64, number: u64) -> Vec<i64> {
        let drawn = |what: u64| draw(seed, DOMAIN + what, number);
        let hits = |what: u64, share: f64| {
            let part = u32::try_from(drawn(what) >> 32).unwrap_or(u32::MAX);
            f64::from(part) < share * (f64::from(u32::MAX) + 1.0)
        };
        if hits(0, self.drop) {
            return Vec::new();
        }
        let late = |what: u64| i64::try_from(1 + drawn(what) % LATE_MS).unwrap_or(1);
        let first = if hits(1, self.reorder) { late(2) } else { 0 };
        if hits(3, self.duplicates) { vec![first, late(4)] } else { vec![first] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_delivered_as_switched() {
        let all = |switches: Switches| (0..1_000).map(move |number| switches.deliveries(7, number));
        assert!(all(Switches::default()).all(|times| times == [0]));
        let dropped = all(Switches { drop: 0.25, ..Switches::default() }).filter(Vec::is_empty).count();
        assert!((190..310).contains(&dropped), "{dropped}");
        assert!(all(Switches { drop: 1.0, ..Switches::default() }).all(|times| times.is_empty()));
        assert!(all(Switches { duplicates: 1.0, ..Switches::default() }).all(|times| times.len() == 2));
        let late = all(Switches { reorder: 1.0, ..Switches::default() });
        assert!(late.into_iter().all(|times| (1..=900_000).contains(&times[0])));
    }

    #[test]
    fn switches_have_bounds() {
        assert_eq!(Switches::default().fault(), None);
        assert!(Switches { drop: 1.5, ..Switches::default() }.fault().is_some());
        assert!(Switches { reorder: f64::NAN, ..Switches::default() }.fault().is_some());
        assert!(Switches { delay_seconds: 30, ..Switches::default() }.fault().is_some());
    }
}
