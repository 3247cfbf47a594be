//! The switch that stops mitigation: what `mitigation-commands` answers and the command line prints.
//!
//! Times are RFC 3339 in UTC, to the second. What the ledger does not have is left out.

use serde::Deserialize;
use serde::Serialize;

/// A pause of all mitigation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pause {
    /// Why, in the words of the one who paused.
    pub reason: String,
    /// Who paused, as the command says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Since when.
    pub since: String,
    /// Whether suppressions stop, too.
    pub suppressions: bool,
    /// The invocation that paused: its event in AWS `CloudTrail` has the caller's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Pause {
    /// Why nothing starts.
    #[must_use]
    pub fn why(&self) -> String {
        let by = self.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        format!("mitigation is paused since {}{by}: {}", self.since, self.reason)
    }
}

/// A task that a pause stops, or does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Concerned {
    /// Its id at Device Defender.
    pub task_id: String,
    /// Its state: one of [`STATES`](super::STATES).
    pub state: String,
    /// The rule that asked for it. None: a command did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What it is about: the checks of its findings, or profile and behavior of its alarms.
    pub about: String,
    /// On how many findings or violations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// When it was claimed or held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// The command that cancels it, if it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
}

/// The answer of `MitigationPause` and of `MitigationResume`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Switched {
    /// Whether nothing was changed, because it was only tried.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether mitigation is paused now; of what was only tried, whether it would be.
    pub paused: bool,
    /// The pause: of `MitigationResume` the one that has ended. None: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// What has not started: what is held, and what is claimed and may be about to start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Concerned>,
    /// What runs at Device Defender, and runs on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Concerned>,
    /// Whether there may be more tasks than these.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}
