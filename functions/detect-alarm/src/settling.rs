//! Messages of the function to itself: a violation is decided on when they become visible.

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::timestamp::Millis;

use crate::plan;

/// The alarm queue, as the function sends to it.
pub(crate) struct SettleQueue<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) alarms: &'a Alarms,
    pub(crate) clock: &'a Clock,
}

impl SettleQueue<'_> {
    /// Sends a message that becomes visible at its time, or earlier if that is further away than SQS can delay.
    pub(crate) async fn send(&self, settle: Settle) -> Result<(), Error> {
        let delay_seconds = plan::delay(settle.not_before, self.clock.now());
        let body = serde_json::to_string(&AlarmMessage::Settle(settle));
        let body = body.map_err(|e| Error::Input(e.to_string()))?;
        self.queue.send(&[Outgoing { body, delay_seconds }]).await
    }

    /// Sends the message that follows one.
    pub(crate) async fn send_next(&self, settle: &Settle, not_before: Millis) -> Result<(), Error> {
        self.send(self.alarms.next_round(settle, not_before).await?).await
    }
}
