//! Some findings of a check: one log event each. Triage has recorded them in the archive before it sent them.

use std::borrow::Cow;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::archive::one_line;
use fleetwarden_aws::archive::page_name;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use serde_json::value::RawValue;

use crate::log::FindingsLog;

/// A page, or the part of one that fits into a message.
pub(crate) struct Page<'m> {
    pub(crate) audit: &'m Audit,
    pub(crate) check: &'m CheckName,
    pub(crate) number: u32,
    pub(crate) part: u32,
    pub(crate) findings: &'m [&'m RawValue],
}

impl Page<'_> {
    /// Writes the page to the log.
    pub(crate) async fn export(&self, log: &FindingsLog, time_out: Duration) -> Result<(), Error> {
        if self.findings.is_empty() {
            return Ok(());
        }
        let lines: Vec<Cow<'_, str>> = self.findings.iter().map(|finding| one_line(finding.get())).collect();
        log.write(&self.stream(), &lines, time_out).await
    }

    /// The page's own log stream. Its parts can hold neither `:` nor `*`, which CloudWatch Logs does not take.
    fn stream(&self) -> String {
        let page = page_name(self.number, self.part);
        format!("{}/{}/{page}", self.check, self.audit.task_id)
    }
}
