//! What the findings log says of alarms: one log event for each event of each violation.

use crate::cloud::Cloud;
use anyhow::{Context as _, Result};
use serde::Deserialize;

/// An event as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// The violation.
    pub(super) violation_id: String,
    /// What happened, as Device Defender says it.
    pub(super) event: String,
    /// The incident that it is part of.
    pub(super) incident: Option<String>,
    /// What was decided, if something was.
    pub(super) decision: Option<Decided>,
}

/// What was decided on an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Decided {
    /// `mitigate`, `verify` or `report`.
    pub(super) outcome: String,
}

impl Cloud {
    /// The alarms in the findings log.
    pub(super) async fn alarm_records(&self, group: &str) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for stream in self.log_streams(group).await? {
            if !stream.starts_with("alarms/") {
                continue;
            }
            for event in self.log_events(group, &stream).await? {
                let record = serde_json::from_str(&event);
                records
                    .push(record.with_context(|| format!("an alarm in the log has another shape: {event}"))?);
            }
        }
        Ok(records)
    }
}
