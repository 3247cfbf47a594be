//! Stale alarms: the ledger has them open and the service no longer lists them. Their profile was detached or deleted,
//! their behavior was removed, or their end was lost for longer than events are kept.
//!
//! A list is not a snapshot, and AWS does not document whether it has suppressed alarms. So an alarm that may be stale is
//! searched again, profile by profile and both ways, before it is ended. And after that the events are asked for its end:
//! one that is new has a message that may still come, and its own time and type.

use std::collections::BTreeMap;
use std::collections::HashSet;

use aws_sdk_iot::types::ActiveViolation;
use aws_sdk_iot::types::ViolationEvent;
use aws_sdk_iot::types::ViolationEventType;
use fleetwarden_aws::Error;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;

use crate::compare::Comparison;
use crate::compare::Lost;
use crate::detect::Detect;
use crate::detect::Filter;
use crate::plan;
use crate::plan::OVERLAP_SECONDS;

/// Ends stale alarms. `active` are the ids that the service lists.
pub(crate) async fn end_stale(
    detect: &Detect<'_>,
    comparison: &mut Comparison<'_>,
    active: &HashSet<String>,
) -> Result<Lost, Error> {
    let now = comparison.now;
    let (place, found) = (comparison.place, &comparison.found);
    let mut by_profile: BTreeMap<String, Vec<Life>> = BTreeMap::new();
    let open = comparison.alarms.open().await?.into_iter();
    for life in open.filter(|life| plan::may_be_stale(life, place, active, found, now)) {
        by_profile.entry(life.alarm.profile.clone()).or_default().push(life);
    }
    let mut gone: Vec<Life> = Vec::new();
    for (profile, lives) in by_profile {
        let Some(listed) = ids_of(detect, &profile).await? else { break };
        gone.extend(lives.into_iter().filter(|life| !listed.contains(&life.alarm.violation_id)));
    }
    let mut stale = Lost::default();
    if gone.is_empty() {
        return Ok(stale);
    }
    let Some(ended) = ended_of_late(detect, now).await? else { return Ok(stale) };
    gone.retain(|life| !ended.contains(&life.alarm.violation_id));
    let ends: Vec<AlarmEvent> = gone.into_iter().map(|life| plan::end_of(life, now)).collect();
    if comparison.send(ends.iter()).await {
        for end in &ends {
            stale.add(end);
        }
    }
    Ok(stale)
}

/// The ids of the violations that ended a short while ago; none if there was no time for all of them.
async fn ended_of_late(detect: &Detect<'_>, now: Millis) -> Result<Option<HashSet<String>>, Error> {
    let mut ids = HashSet::new();
    let take = async |listed: Vec<ViolationEvent>| {
        let is_end = |event: &ViolationEvent| event.violation_event_type != Some(ViolationEventType::InAlarm);
        ids.extend(listed.into_iter().filter(is_end).filter_map(|event| event.violation_id));
        Ok(())
    };
    // The service takes whole seconds.
    let period = (now.plus_seconds(-OVERLAP_SECONDS), detect.clock.now().plus_seconds(1));
    Ok(detect.violation_events(period, take).await?.then_some(ids))
}

/// The ids of a profile's active violations, suppressed or not; none if there was no time for all of them.
async fn ids_of(detect: &Detect<'_>, profile: &str) -> Result<Option<HashSet<String>>, Error> {
    let mut ids = HashSet::new();
    for suppressed in [None, Some(true)] {
        let take = async |listed: Vec<ActiveViolation>| {
            ids.extend(listed.into_iter().filter_map(|violation| violation.violation_id));
            Ok(())
        };
        if !detect.active_violations(Filter { profile: Some(profile), suppressed }, take).await? {
            return Ok(None);
        }
    }
    Ok(Some(ids))
}
