//! From what a policy file says of approvals to what asks for one.

use super::Reader;
use super::file;
use crate::model::severity::Severity;
use crate::nearest::did_you_mean;
use crate::policy::approval::Approval;
use crate::policy::de::Spanned;

/// No more devices than this are counted.
const MOST_DEVICES: u32 = 5_000;
/// The severities of findings.
const SEVERITIES: [&str; 4] = ["CRITICAL", "HIGH", "MEDIUM", "LOW"];

impl Reader {
    /// When the mitigations of a rule wait for an approval. `of_alarms`: of a rule on alarms.
    pub(super) fn approval(
        &mut self,
        entry: Option<Spanned<file::Approvals>>,
        of_alarms: bool,
    ) -> Option<Approval> {
        let Spanned { place, value } = entry?;
        let when = match value {
            file::Approvals::Always => return Some(Approval { always: true, place, ..Approval::default() }),
            file::Approvals::When(when) => when,
        };
        let says_when = when.severity.is_some() || when.devices.is_some() || when.connected.is_some();
        let severity = when.severity.and_then(|text| {
            if of_alarms {
                self.error(text.place, "an alarm has no severity: ask for an approval by another key");
                return None;
            }
            self.parsed(&text, severity)
        });
        let mut number = |of: Option<Spanned<u32>>, key| {
            of.and_then(|of| self.number(&of, key, 0, MOST_DEVICES)).map(u64::from)
        };
        let (devices, connected) = (number(when.devices, "devices"), number(when.connected, "connected"));
        let (least, most) = Approval::WITHIN_SECONDS;
        let within = when.within.and_then(|within| self.minutes(&within, "within", least, most));
        let default = Approval::default();
        let approval = Approval {
            always: when.always,
            severity,
            devices,
            connected,
            outside_of_window: when.outside_of_window,
            over_budget: when.over_budget,
            within_seconds: within.unwrap_or(default.within_seconds),
            place,
        };
        // A value that is wrong is told already.
        if approval.is_empty() && !says_when {
            self.error(place, "nothing here asks for an approval: write 'approval: always', or say when");
            return None;
        }
        Some(approval)
    }
}

/// A severity.
fn severity(text: &str) -> Result<Severity, String> {
    if SEVERITIES.contains(&text) {
        return Ok(Severity::parse(text));
    }
    let near = did_you_mean(text, SEVERITIES);
    Err(format!("'{text}' is no severity{near} (allowed: {})", SEVERITIES.join(", ")))
}
