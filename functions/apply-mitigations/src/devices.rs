//! What the guard of devices says of a mitigation that is only observed, and what is said where nobody can count.

use fleetwarden_aws::impact::guard::DeviceGuard;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::policy::DeviceLimit;

/// Why nothing starts whose devices cannot be counted.
pub(crate) const NOT_COUNTED: &str = "how many devices stand behind it is not known";

/// What the guard says of a mitigation that is only observed.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    /// What would be in place of a start, or beside it.
    pub(crate) instead: Option<String>,
    /// For the task's item.
    pub(crate) guards: Vec<GuardAnswer>,
}

impl Devices {
    /// What would be, when so many of all parts have too many devices, each for its reason.
    pub(crate) fn of(guard: DeviceGuard, left_out: &[String], all: usize) -> Self {
        let (count, why) = (left_out.len(), left_out.join("; "));
        let instead = (count > 0).then(|| format!("would leave out {count} of {all}: {why}"));
        let (_, guards) = guard.sum();
        Self { instead, guards }
    }

    /// What would be if nothing can start.
    pub(crate) fn refused(why: &str) -> Self {
        let guards = vec![DeviceLimit::stopped(why, false)];
        Self { instead: Some(format!("would be refused: {why}")), guards }
    }

    /// What would be while nobody knows.
    pub(crate) fn waits(why: &str) -> Self {
        let why = format!("{NOT_COUNTED}: {why}");
        let guards = vec![DeviceLimit::stopped(&why, false)];
        Self { instead: Some(format!("would wait: {why}")), guards }
    }
}
