//! What has to wait: a message goes back to the queue, hidden for a while.
//!
//! The record that brought it is done, so waiting uses up no deliveries, and a mitigation can wait for longer than any
//! record may be retried. Each message that is sent belongs to the chain of its step (`Round`): a record that is
//! delivered twice sends twice, and the ledger lets one of the copies go on.
//!
//! The template lets the function send to its own queue for as long as it wants, so each chain has an end here, by the
//! clock: what waits for room or for time to decide is given up after [`PATIENCE_SECONDS`], what is held after
//! [`LONGEST_HOLD_SECONDS`], and a task is followed for [`LONGEST_FOLLOW_SECONDS`]. Then the ledger says so, people are
//! alerted, and the findings are free. Since when it waits is carried on from message to message; since when a task runs is
//! asked of the service.

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::nonce;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::message::Round;
use fleetwarden_core::timestamp::Millis;

use crate::message::Message;

/// The longest that SQS hides a message, in seconds (`SendMessage`, `DelaySeconds`).
const LONGEST: u32 = 900;
/// The longest that an invocation lasts, in seconds (Lambda). What was claimed within it may be about to start.
pub(crate) const INVOCATION_SECONDS: i64 = 900;
/// How long a mitigation waits before it is given up, and a task runs before people are alerted: a day.
pub(crate) const PATIENCE_SECONDS: i64 = 86_400;
/// How long a mitigation is held: 90 days, for which Device Defender keeps its findings.
pub(crate) const LONGEST_HOLD_SECONDS: i64 = 90 * 86_400;
/// How long a task is followed: 90 days, for which Device Defender keeps it.
pub(crate) const LONGEST_FOLLOW_SECONDS: i64 = 90 * 86_400;

/// Sends messages back to the mitigation queue.
#[derive(Clone)]
pub(crate) struct Backoff {
    pub(crate) queue: Queue,
    pub(crate) mitigations: Mitigations,
    pub(crate) clock: Clock,
    /// How long a message waits first, in seconds; then twice as long, and so on.
    pub(crate) first_seconds: u32,
}

impl Backoff {
    /// Takes the round of a message, if it has one.
    pub(crate) async fn take_round(&self, message: &impl Message) -> Result<Taken, Error> {
        let Some(round) = message.round() else { return Ok(Taken::Yes) };
        let taken = self.mitigations.take_round(&message.chain(), round, self.clock.now()).await?;
        if taken == Taken::Passed {
            tracing::info!(
                mitigation.task_id = message.task_id(),
                round = round.number,
                "nothing to do: a copy of the message has gone on"
            );
        }
        Ok(taken)
    }

    /// Sends the same message again, to be seen later each time.
    pub(crate) async fn put_off(&self, message: impl Message) -> Result<(), Error> {
        let now = self.clock.now();
        let (waits, since) = message.waited();
        let delay = delay(self.first_seconds, waits);
        let since = Some(since.map_or(now, |since| since.min(now)));
        self.send_again(message, (waits.saturating_add(1), since), delay).await
    }

    /// Sends a message again that is to be seen at a moment, or before it if that is far.
    pub(crate) async fn put_off_until(&self, message: impl Message, until: Millis) -> Result<(), Error> {
        let delay = left(until, self.clock.now());
        let waited = message.waited();
        self.send_again(message, waited, delay).await
    }

    async fn send_again(
        &self,
        message: impl Message,
        waited: (u32, Option<Millis>),
        delay_seconds: u32,
    ) -> Result<(), Error> {
        let number = match message.round() {
            Some(round) => round.number.saturating_add(1),
            None => self.mitigations.next_round(&message.chain()).await?,
        };
        self.send(&message.next(Round { number, id: nonce() }, waited), delay_seconds).await
    }

    /// Sends the first message of a step, to be seen after the first delay.
    pub(crate) async fn send_first(&self, message: &impl Message) -> Result<(), Error> {
        self.send(message, delay(self.first_seconds, 0)).await
    }

    async fn send(&self, message: &impl Message, delay_seconds: u32) -> Result<(), Error> {
        let body = serde_json::to_string(message).map_err(|e| Error::Input(e.to_string()))?;
        self.queue.send(&[Outgoing { body, delay_seconds }]).await
    }

    /// Whether a message has been put off for a day.
    pub(crate) fn is_out_of_patience(&self, message: &impl Message) -> bool {
        message.waited().1.is_some_and(|since| self.is_past(since, PATIENCE_SECONDS))
    }

    /// Whether so many seconds have passed since a moment.
    pub(crate) fn is_past(&self, since: Millis, seconds: i64) -> bool {
        since.plus_seconds(seconds) <= self.clock.now()
    }
}

/// For how long a message that has waited some times waits next, in seconds: twice as long each time.
fn delay(first: u32, waits: u32) -> u32 {
    first.max(1).saturating_mul(2_u32.saturating_pow(waits)).min(LONGEST)
}

/// How long a message is hidden that is to be seen at a moment, in seconds: as long as may be.
fn left(until: Millis, now: Millis) -> u32 {
    // Rounded up: what wakes early would only go back to sleep.
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
