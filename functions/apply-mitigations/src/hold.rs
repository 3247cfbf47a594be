//! A guard holds a mitigation: outside of its windows until they open, over a budget until there is room, while mitigation is
//! paused until a person resumes it, until a person has approved it, until the canary of its rule has passed, or until a
//! later audit has looked at its check. Whether an alarm lasts is asked when nothing holds it.
//!
//! Its message comes back at least every 15 minutes, each time as a new one, so that neither the queue's retention
//! nor its redrive ends the wait, and a policy that is deployed meanwhile is obeyed soon. The message carries what
//! the ledger says, so that it is written, logged and alerted once and not each time. Nothing is claimed meanwhile:
//! whatever comes twice is settled by the claim when it goes on.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::APPROVAL;
use fleetwarden_aws::mitigations::Claimable as _;
use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Stop;
use fleetwarden_core::message::CountInGroup;
use fleetwarden_core::message::Held;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::timestamp::Millis;

use crate::alerts::Event;
use crate::backoff::LONGEST_HOLD_SECONDS;
use crate::message::Message as _;
use crate::settle::Aside;
use crate::settle::ClaimedBy;
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
    /// Whether it goes over a budget.
    pub(crate) over_budget: bool,
    /// How much of it counts in the budget of a group that has no room.
    pub(crate) in_group: Option<CountInGroup>,
    /// The approval that it waits for.
    pub(crate) approval: Option<&'h KnownApproval>,
    /// Whether it waits for the canary.
    pub(crate) canary: bool,
    /// The guard that holds it.
    pub(crate) guard: &'h str,
    /// Who has claimed it, if somebody has.
    claim: ClaimedBy,
}

impl<'h> Hold<'h> {
    /// Until a window opens.
    pub(crate) const fn until(reason: &'h str, until: Millis) -> Self {
        Self { until: Some(until), ..Self::by("windows", reason) }
    }

    /// Until a person has decided. `in_group`: what counts in the budget of a group that may have room before.
    pub(crate) const fn for_approval(
        reason: &'h str,
        known: &'h KnownApproval,
        in_group: Option<CountInGroup>,
    ) -> Self {
        Self { until: Some(known.until), approval: Some(known), in_group, ..Self::by(APPROVAL, reason) }
    }

    /// By a guard that says nothing else.
    const fn by(guard: &'h str, reason: &'h str) -> Self {
        Self {
            reason,
            until: None,
            paused: None,
            over_budget: false,
            in_group: None,
            approval: None,
            canary: false,
            guard,
            claim: ClaimedBy::Another,
        }
    }

    /// The same, right after its own claim.
    pub(crate) const fn after_claim(self) -> Self {
        Self { claim: ClaimedBy::Own, ..self }
    }

    /// By the guard that stops a claim, with what it says.
    pub(crate) fn of(stop: &Stop, said: &'h GuardAnswer) -> Self {
        let reason = said.reason.as_deref().unwrap_or_default();
        let held = Self::by(&said.guard, reason);
        match stop {
            Stop::Paused(pause) => {
                // Of a pause whose beginning cannot be read there is only one.
                let since = Millis::parse(&pause.since).unwrap_or_default();
                Self { paused: Some(since), ..held }
            }
            Stop::OverBudget(over) => {
                Self { until: over.until, over_budget: true, in_group: over.in_group, ..held }
            }
            Stop::NotApproved => held,
            Stop::Canary(_) => Self { canary: true, ..held },
        }
    }
}

/// Holds a mitigation.
pub(crate) async fn hold<W: Work>(
    settle: &Settle<W>,
    message: W::Message,
    why: Hold<'_>,
) -> Result<(), Error> {
    let Hold { reason, until, paused, over_budget, in_group, approval, canary, guard, claim } = why;
    let now = settle.clock.now();
    let known = message.held();
    let since = known.map_or(now, |known| known.since.min(now));
    let request = message.request();
    if settle.backoff.is_past(since, LONGEST_HOLD_SECONDS) {
        let target = request.target().clone();
        return settle.give_up(message, &target, &format!("not started within 90 days: {reason}")).await;
    }
    let next = Held { since, until, paused, over_budget, in_group, approval: approval.is_some(), canary };
    if known.is_none_or(|known| Held { since, ..known } != next) {
        let said = [GuardAnswer { guard: guard.to_owned(), passed: false, reason: Some(reason.to_owned()) }];
        let held =
            Settled { reason: Some(reason), until, guards: &said, ..Settled::new(request, State::Held) };
        match settle.set_aside(&message, &held, claim).await? {
            // What other tasks have is held all the same: they may yet be refused.
            Aside::Yes(_) | Aside::Nothing => {}
            Aside::No => return Ok(()),
            Aside::Overtaken(latest) => return settle.supersede(&message, &latest.reason()).await.map(drop),
        }
        let said = Said { reason: Some(reason), until, ..Said::default() };
        said.log::<W>(request, "the mitigation is held");
        if let Some(approval) = approval {
            settle.alerts.raise(&request.alert(Event::NeedsApproval(approval))).await?;
        } else if over_budget {
            settle.alerts.raise(&request.alert(Event::OverBudget(reason))).await?;
        } else if until.is_some_and(|until| until.0.saturating_sub(since.0) > LONG_MS) {
            settle.alerts.raise(&request.alert(Event::Held(reason))).await?;
        }
    }
    settle
        .backoff
        .put_off_until(message.hold(next), until.unwrap_or_else(|| now.plus_seconds(LOOK_SECONDS)))
        .await
}
