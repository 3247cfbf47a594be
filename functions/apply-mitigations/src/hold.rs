//! Outside of the policy's windows: a mitigation is held until one opens, or until a later audit has looked at its check.
//! Whether an alarm lasts is asked when a window opens.
//!
//! Its message comes back at least every 15 minutes, each time as a new one, so that neither the queue's retention
//! nor its redrive ends the wait, and a policy that is deployed meanwhile is obeyed soon. The message carries what
//! the ledger says, so that it is written, logged and alerted once and not each time. Nothing is claimed meanwhile:
//! whatever comes twice is settled by the claim when a window is open.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Claimable as _;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_core::timestamp::Millis;

use crate::alerts::Event;
use crate::backoff::LONGEST_HOLD_SECONDS;
use crate::message::Message as _;
use crate::settle::Aside;
use crate::settle::Said;
use crate::settle::Settle;
use crate::work::Request as _;
use crate::work::Work;

/// People are alerted of what is held for longer, in milliseconds: a day.
const LONG_MS: i64 = 86_400_000;

/// Holds a mitigation until a moment.
pub(crate) async fn hold<W: Work>(
    settle: &Settle<W>,
    message: W::Message,
    reason: &str,
    until: Millis,
) -> Result<(), Error> {
    let now = settle.clock.now();
    let (since, known) = match message.held() {
        Some((since, until)) => (since.min(now), Some(until)),
        None => (now, None),
    };
    let request = message.request();
    if settle.backoff.is_past(since, LONGEST_HOLD_SECONDS) {
        let target = request.target().clone();
        return settle.give_up(message, &target, &format!("not started within 90 days: {reason}")).await;
    }
    if known != Some(until) {
        let held = Settled { reason: Some(reason), until: Some(until), ..Settled::new(request, State::Held) };
        match settle.set_aside(&message, &held).await? {
            // What other tasks have is held all the same: they may yet be refused.
            Aside::Yes(_) | Aside::Nothing => {}
            Aside::No => return Ok(()),
            Aside::Overtaken(latest) => return settle.supersede(&message, &latest.reason()).await.map(drop),
        }
        let said = Said { reason: Some(reason), until: Some(until), ..Said::default() };
        said.log::<W>(request, "the mitigation is held");
        if until.0.saturating_sub(since.0) > LONG_MS {
            settle.alerts.raise(&request.alert(Event::Held(reason))).await?;
        }
    }
    settle.backoff.put_off_until(message.hold(since, until), until).await
}
