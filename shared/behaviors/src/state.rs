//! What is remembered of a thing from one evaluation to the next: a few hundred bytes of JSON.
//!
//! Behaviors are known by hashes of their names, members are left out while they are as at the beginning.

use fleetwarden_core::timestamp::Millis;
use serde::{Deserialize, Serialize};

use crate::behavior::{Behavior, Behaviors};
use crate::datapoint::Reading;
use crate::value::MetricValue;

/// The state of a thing under a security profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThingState {
    pub(crate) behaviors: Vec<BehaviorState>,
}

/// The state of one behavior.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BehaviorState {
    #[serde(rename = "b")]
    pub(crate) identity: u32,
    #[serde(rename = "q")]
    pub(crate) question: u32,
    /// Windows up to here are evaluated.
    #[serde(rename = "e", skip_serializing_if = "Option::is_none", default)]
    pub(crate) evaluated: Option<Millis>,
    /// The last window that could be compared: a percentile or a model is not always there.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none", default)]
    pub(crate) compared: Option<Millis>,
    /// Datapoints in a row: violating above zero, conforming below.
    #[serde(rename = "r", skip_serializing_if = "is_zero", default)]
    pub(crate) run: i8,
    /// Datapoints whose windows have not ended, by time.
    #[serde(rename = "p", skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) pending: Vec<(Millis, Reading)>,
    #[serde(rename = "a", skip_serializing_if = "Option::is_none", default)]
    pub(crate) alarm: Option<Alarm>,
}

/// An alarm that lasts, as `ListActiveViolations` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// When it began.
    #[serde(rename = "s")]
    pub started_at: Millis,
    /// When the behavior was last violated.
    #[serde(rename = "l")]
    pub last_violation_at: Millis,
    /// By what.
    #[serde(rename = "v")]
    pub last_value: MetricValue,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(run: &i8) -> bool {
    *run == 0
}

impl ThingState {
    /// The alarm of a behavior, while there is one.
    pub fn alarm(&self, behavior: &Behavior) -> Option<&Alarm> {
        self.behaviors.iter().find(|state| state.identity == behavior.identity)?.alarm.as_ref()
    }

    /// Brings the states in the order of the behaviors: new ones begin, those of other behaviors go, and one whose
    /// criteria have changed counts anew. Its alarm lasts until the new criteria clear it.
    pub(crate) fn align(&mut self, behaviors: &Behaviors) {
        let is_same = |(state, behavior): (&BehaviorState, &Behavior)| {
            state.identity == behavior.identity && state.question == behavior.question
        };
        if self.behaviors.len() == behaviors.len() && self.behaviors.iter().zip(behaviors.iter()).all(is_same)
        {
            return;
        }
        let mut old = std::mem::take(&mut self.behaviors);
        self.behaviors = behaviors
            .iter()
            .map(|behavior| {
                let at = old.iter().position(|state| state.identity == behavior.identity);
                let mut state = at.map(|at| old.swap_remove(at)).unwrap_or_default();
                state.identity = behavior.identity;
                if state.question != behavior.question {
                    state.question = behavior.question;
                    state.run = 0;
                    state.pending.clear();
                }
                state
            })
            .collect();
    }
}
