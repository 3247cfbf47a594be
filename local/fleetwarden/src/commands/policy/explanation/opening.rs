//! When the policy's windows let a mitigation begin.

use anyhow::{Result, anyhow};
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

/// When mitigation can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The policy has no windows.
    AtOnce,
    /// A window is open, or opens then.
    At {
        /// When it was asked.
        asked: Millis,
        /// When it can begin.
        opens: Millis,
    },
    /// No window opens for over a year.
    Never,
}

/// When mitigation can begin, asked at a moment.
///
/// # Errors
/// If the policy names a time zone that does not exist.
pub(crate) fn opening(policy: &Policy, asked: Millis) -> Result<Opening> {
    let Some(windows) = policy.windows() else { return Ok(Opening::AtOnce) };
    let calendar = windows.calendar().map_err(|error| anyhow!("the policy's windows: {}", error.what))?;
    Ok(match calendar.next_opening(asked) {
        Some(opens) => Opening::At { asked, opens },
        None => Opening::Never,
    })
}
