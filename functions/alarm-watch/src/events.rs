//! The events that the service lists, compared with the ledger.
//!
//! They are compared hour by hour, the oldest first, so that a run that has no time for all of them leaves a place to go
//! on: all before it is known. An hour in which something was missing is compared again by the next run, because what was
//! sent counts as heard only when the ledger has it.

use aws_sdk_iot::types::ViolationEvent;
use fleetwarden_aws::Error;
use fleetwarden_core::model::alarm::AlarmEvent;

use crate::compare::Comparison;
use crate::detect::Detect;
use crate::plan;
use crate::plan::GRACE_SECONDS;
use crate::plan::Listed;
use crate::plan::Period;
use crate::plan::Progress;
use crate::violation;

/// Compares the events since the last run, or of so many hours.
pub(crate) async fn compare_events(
    detect: &Detect<'_>,
    comparison: &mut Comparison<'_>,
    hours: Option<i64>,
) -> Result<Progress, Error> {
    let period = Period::of(comparison.snapshot, hours, comparison.now);
    let (mut at, mut open_since) = (period.from(), None);
    while let Some(end) = period.slice(at) {
        let mut is_open = false;
        let take = async |events: Vec<ViolationEvent>| {
            is_open |= take_page(comparison, &events).await?;
            Ok(())
        };
        let is_all = detect.violation_events((at, end), take).await?;
        if is_open {
            open_since.get_or_insert(at);
        }
        if !is_all || comparison.found.unsent.is_some() {
            break;
        }
        at = end;
    }
    Ok(period.progress(at, open_since))
}

/// Sends what the ledger does not have. Says whether there was any.
async fn take_page(comparison: &mut Comparison<'_>, listed: &[ViolationEvent]) -> Result<bool, Error> {
    let (place, grace) = (comparison.place, comparison.now.plus_seconds(-GRACE_SECONDS));
    let mut events = Vec::with_capacity(listed.len());
    for event in listed {
        comparison.found.events += 1;
        match violation::event(event, place.account, place.region) {
            Ok(event) if event.at > grace => comparison.found.fresh += 1,
            Ok(event) => events.push(event),
            Err(error) => {
                tracing::warn!(%error, "ListViolationEvents has an invalid event");
                comparison.found.unreadable += 1;
            }
        }
    }
    let lives = comparison.lives(&events).await?;
    let mut missing: Vec<AlarmEvent> = Vec::new();
    for event in events {
        match plan::compare(&event, lives.get(&event.alarm.violation_id)) {
            Listed::Heard => {}
            Listed::Suppressed => comparison.found.suppressed += 1,
            Listed::Missing => missing.push(event),
        }
    }
    Ok(comparison.send_missing(missing).await)
}
