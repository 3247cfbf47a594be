//! A guard holds a mitigation: outside of the policy's windows until one opens, while mitigation is paused until somebody
//! resumes it, or until a later audit has looked at its check. Whether an alarm lasts is asked when nothing holds it.
//!
//! Its message comes back at least every 15 minutes, each time as a new one, so that neither the queue's retention
//! nor its redrive ends the wait, and a policy that is deployed meanwhile is obeyed soon. The message carries what
//! the ledger says, so that it is written, logged and alerted once and not each time. Nothing is claimed meanwhile:
//! whatever comes twice is settled by the claim when it goes on.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Claimable as _;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Stop;
use fleetwarden_core::message::Held;
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
/// How often a mitigation is looked at of which nothing says when it goes on, in seconds: as often as SQS allows at
/// the least.
const LOOK_SECONDS: i64 = 900;

/// Why a mitigation does not start now, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold<'h> {
    pub(crate) reason: &'h str,
    /// Until when, if that is known.
    pub(crate) until: Option<Millis>,
    /// If mitigation is paused: since when.
    pub(crate) paused: Option<Millis>,
}

impl<'h> Hold<'h> {
    /// Until a window opens.
    pub(crate) const fn until(reason: &'h str, until: Millis) -> Self {
        Self { reason, until: Some(until), paused: None }
    }

    /// By the guard that stops a claim.
    pub(crate) fn of(stop: &Stop, reason: &'h str) -> Self {
        match stop {
            // Of a pause whose beginning cannot be read there is only one.
            Stop::Paused(pause) => {
                let since = Millis::parse(&pause.since).unwrap_or_default();
                Self { reason, until: None, paused: Some(since) }
            }
        }
    }
}

/// Holds a mitigation.
pub(crate) async fn hold<W: Work>(
    settle: &Settle<W>,
    message: W::Message,
    why: Hold<'_>,
) -> Result<(), Error> {
    let Hold { reason, until, paused } = why;
    let now = settle.clock.now();
    let known = message.held();
    let since = known.map_or(now, |known| known.since.min(now));
    let request = message.request();
    if settle.backoff.is_past(since, LONGEST_HOLD_SECONDS) {
        let target = request.target().clone();
        return settle.give_up(message, &target, &format!("not started within 90 days: {reason}")).await;
    }
    if known.is_none_or(|known| (known.until, known.paused) != (until, paused)) {
        let held = Settled { reason: Some(reason), until, ..Settled::new(request, State::Held) };
        match settle.set_aside(&message, &held).await? {
            // What other tasks have is held all the same: they may yet be refused.
            Aside::Yes(_) | Aside::Nothing => {}
            Aside::No => return Ok(()),
            Aside::Overtaken(latest) => return settle.supersede(&message, &latest.reason()).await.map(drop),
        }
        let said = Said { reason: Some(reason), until, ..Said::default() };
        said.log::<W>(request, "the mitigation is held");
        if until.is_some_and(|until| until.0.saturating_sub(since.0) > LONG_MS) {
            settle.alerts.raise(&request.alert(Event::Held(reason))).await?;
        }
    }
    let next = message.hold(Held { since, until, paused });
    settle.backoff.put_off_until(next, until.unwrap_or_else(|| now.plus_seconds(LOOK_SECONDS))).await
}
