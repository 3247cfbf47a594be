//! What has to wait: a message goes back to the queue, hidden for a while.
//!
//! The record that brought it is done, so waiting uses up no deliveries, and a mitigation can wait for longer
//! than any record may be retried.

use fleetwarden_aws::Error;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::timestamp::Millis;

use crate::ApplyMitigations;

/// The longest that SQS hides a message, in seconds (`SendMessage`, `DelaySeconds`).
const LONGEST: u32 = 900;
/// How long a mitigation waits before people are told, in seconds: a day.
const PATIENCE: u64 = 86_400;

impl ApplyMitigations {
    /// Sends the same message again, to be seen later each time.
    pub(crate) async fn put_off(&self, message: MitigationMessage) -> Result<(), Error> {
        let later = MitigationMessage { waits: message.waits.saturating_add(1), ..message };
        self.send(&later, delay(self.follow_up_seconds, message.waits)).await
    }

    /// Sends a message that is seen after the first delay.
    pub(crate) async fn send_first(&self, message: &MitigationMessage) -> Result<(), Error> {
        self.send(message, delay(self.follow_up_seconds, 0)).await
    }

    /// Sends a message that is seen at a moment, or before it if that is far.
    pub(crate) async fn send_until(&self, message: &MitigationMessage, until: Millis) -> Result<(), Error> {
        self.send(message, left(until, self.consumer.clock.now())).await
    }

    async fn send(&self, message: &MitigationMessage, delay_seconds: u32) -> Result<(), Error> {
        let body = serde_json::to_string(message).map_err(|e| Error::Input(e.to_string()))?;
        self.queue.send(&[Outgoing { body, delay_seconds }]).await
    }

    /// Whether a message has waited for a day.
    pub(crate) fn has_waited_long(&self, message: &MitigationMessage) -> bool {
        let mut waited = 0;
        // Delays grow to their longest, so this is over after some hundred waits, whatever the message says.
        (0..message.waits).any(|wait| {
            waited += u64::from(delay(self.follow_up_seconds, wait));
            waited >= PATIENCE
        })
    }
}

/// For how long a message that has waited some times waits next, in seconds: twice as long each time.
fn delay(first: u32, waits: u32) -> u32 {
    first.max(1).saturating_mul(2_u32.saturating_pow(waits)).min(LONGEST)
}

/// How long a message is hidden that is to be seen at a moment, in seconds: as long as may be.
fn left(until: Millis, now: Millis) -> u32 {
    // Rounded up: who wakes early would only go back to sleep.
    let seconds = until.0.saturating_sub(now.0).saturating_add(999) / 1000;
    u32::try_from(seconds.max(1)).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_longer_until_the_longest() {
        let delays: Vec<u32> = (0..7).map(|waits| delay(60, waits)).collect();
        assert_eq!(delays, [60, 120, 240, 480, 900, 900, 900]);
        assert_eq!((delay(0, 0), delay(u32::MAX, u32::MAX)), (1, 900));
    }

    #[test]
    fn who_waits_for_a_moment_wakes_at_it_and_never_before() {
        let delays =
            [-5, 0, 1, 999, 1000, 1001, 899_001, 900_001, i64::MAX].map(|at| left(Millis(at), Millis(0)));
        assert_eq!(delays, [1, 1, 1, 1, 1, 2, 900, 900, 900]);
        assert_eq!(left(Millis(i64::MAX), Millis(i64::MIN)), 900);
    }
}
