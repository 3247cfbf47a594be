//! The alerts that people get: a queue that is subscribed to the alert topic, as any integration would be.

use crate::cloud::Cloud;
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

/// The queue's name.
const QUEUE: &str = "fleetwarden-demo-alerts";

/// A queue of alerts.
#[derive(Debug)]
pub(crate) struct Inbox {
    cloud: Cloud,
    queue: String,
}

/// An alert that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Alert {
    /// Its word for filters, such as `alarm-raised`.
    pub(crate) kind: String,
    /// `critical`, `high`, `medium` or `low`.
    pub(crate) severity: String,
    /// What happened.
    pub(crate) title: String,
    /// To what and why.
    pub(crate) description: String,
}

impl Inbox {
    /// Makes the queue and subscribes it.
    pub(crate) async fn open(cloud: &Cloud, topic_arn: &str) -> Result<Self> {
        let queue = cloud.create_queue(QUEUE).await?;
        let arn = cloud.queue_arn(&queue).await?;
        cloud.subscribe(topic_arn, &arn).await?;
        Ok(Self { cloud: cloud.clone(), queue })
    }

    /// Adds what has come since it was looked at last.
    pub(crate) async fn read(&self, alerts: &mut Vec<Alert>) -> Result<()> {
        loop {
            let messages = self.cloud.take(&self.queue).await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                alerts.push(
                    Alert::of(&message).with_context(|| format!("an alert has another shape: {message}"))?,
                );
            }
        }
    }
}

impl Alert {
    /// The alert in the body of a message: it stands in SNS's envelope.
    fn of(body: &str) -> Option<Self> {
        let envelope: Value = serde_json::from_str(body).ok()?;
        let message: Value = serde_json::from_str(envelope.get("Message")?.as_str()?).ok()?;
        let text = |pointer: &str| message.pointer(pointer)?.as_str().map(str::to_owned);
        Some(Self {
            kind: text("/metadata/eventType")?,
            severity: text("/metadata/additionalContext/severity")?,
            title: text("/content/title")?,
            description: text("/content/description")?,
        })
    }

    /// Whether its title names something that stands there as code.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.title.contains(&format!("`{name}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alert_is_read_from_its_envelope() {
        let message = json!({
            "content": { "title": "`sensor-1` is in alarm: `Ports`", "description": "d" },
            "metadata": { "eventType": "alarm-raised", "additionalContext": { "severity": "high" } },
        });
        let alert = Alert::of(&json!({ "Message": message.to_string() }).to_string()).unwrap();
        assert_eq!((alert.kind.as_str(), alert.severity.as_str()), ("alarm-raised", "high"));
        assert!(alert.names("sensor-1") && alert.names("Ports") && !alert.names("sensor"));
        assert_eq!(Alert::of("{}"), None);
    }
}
