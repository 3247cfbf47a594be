//! The violations that the service lists as active, compared with the ledger.
//!
//! If the message of a violation was lost that began before the events that are compared, only this list has it. And what
//! the device did since shows whether a violation was ended in the ledger by mistake.

use std::collections::HashSet;

use aws_sdk_iot::types::ActiveViolation;
use fleetwarden_aws::Error;
use fleetwarden_core::model::alarm::AlarmEvent;

use crate::compare::Comparison;
use crate::detect::Detect;
use crate::detect::Filter;
use crate::plan;
use crate::plan::GRACE_SECONDS;
use crate::violation;

/// The ids of all active violations; none if there was no time for all of them. Of those that the ledger does not have in
/// alarm, the begin is sent.
pub(crate) async fn compare_active(
    detect: &Detect<'_>,
    comparison: &mut Comparison<'_>,
) -> Result<Option<HashSet<String>>, Error> {
    let mut ids = HashSet::new();
    let take = async |listed: Vec<ActiveViolation>| {
        ids.extend(listed.iter().filter_map(|violation| violation.violation_id.clone()));
        take_page(comparison, &listed).await
    };
    let is_all = detect.active_violations(Filter { profile: None, suppressed: None }, take).await?;
    Ok(is_all.then_some(ids))
}

async fn take_page(comparison: &mut Comparison<'_>, listed: &[ActiveViolation]) -> Result<(), Error> {
    let (place, grace) = (comparison.place, comparison.now.plus_seconds(-GRACE_SECONDS));
    let mut active = Vec::with_capacity(listed.len());
    for violation in listed {
        match violation::active(violation, place.account, place.region) {
            Ok(violation) => active.push(violation),
            Err(error) => {
                tracing::warn!(%error, "ListActiveViolations has an invalid violation");
                comparison.found.unreadable += 1;
            }
        }
    }
    let begins: Vec<AlarmEvent> = active.iter().map(|active| active.begin.clone()).collect();
    let lives = comparison.lives(&begins).await?;
    let found = &mut comparison.found;
    let missing = active.into_iter().filter_map(|active| {
        let begin = plan::missing_begin(&active, lives.get(&active.begin.alarm.violation_id))?;
        if begin.alarm.suppressed {
            found.suppressed += 1;
            return None;
        }
        (begin.at <= grace).then_some(begin)
    });
    let missing: Vec<AlarmEvent> = missing.collect();
    comparison.send_missing(missing).await;
    Ok(())
}
