//! An event: written down, and what follows from it at once.
//!
//! A begin is not decided on here. It settles first, unless it joins an incident that is open. An end is recorded; what
//! it ends is seen when the begin has settled, and before a mitigation starts.

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Heard;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::message::alarm_record::AlarmRecord;
use fleetwarden_core::metrics;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;

use crate::DetectAlarm;
use crate::plan;
use crate::plan::Begin;

impl DetectAlarm {
    /// Hears of an event.
    pub(crate) async fn hear(&self, event: &AlarmEvent) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        let Heard { known, is_news } = self.alarms.hear(event, now).await?;
        if is_news {
            (self.emit)(&metrics::alarms::event_line(event, &known.life, now));
        }
        if let EventType::Unknown(word) = &event.event {
            tracing::warn!(
                violation.id = event.alarm.violation_id,
                event = word,
                "an event that is new here is recorded"
            );
        }
        if event.event != EventType::InAlarm {
            return self.record(&AlarmRecord::of_event(event, &known.life), event.at).await;
        }
        match plan::begin(&known, event.at) {
            // A repeat, or older than what is known.
            Begin::Decided => Ok(()),
            Begin::Stale | Begin::Joined => {
                self.record(&AlarmRecord::of_event(event, &known.life), event.at).await
            }
            Begin::Settles => {
                let seconds = self.policy.alarms().settle_seconds.max(0);
                let settle = Settle {
                    violation_id: event.alarm.violation_id.clone(),
                    raised_at: event.at,
                    not_before: now.plus_seconds(seconds),
                    round: None,
                };
                if seconds == 0 { Box::pin(self.settle(&settle)).await } else { self.send(settle).await }
            }
        }
    }

    /// Sends the function a message that is to be seen when its time has come, or before it if that is far.
    pub(crate) async fn send(&self, settle: Settle) -> Result<(), Error> {
        let delay_seconds = plan::delay(settle.not_before, self.consumer.clock.now());
        let body = serde_json::to_string(&AlarmMessage::Settle(settle));
        let body = body.map_err(|e| Error::Input(e.to_string()))?;
        self.own_queue.send(&[Outgoing { body, delay_seconds }]).await
    }
}
