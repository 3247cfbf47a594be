//! Alarms that the ledger has open and the service no longer lists: of a profile that was detached or deleted, of a
//! behavior that was removed, or whose end was lost for longer than events are kept.
//!
//! A list is not a snapshot, and whether it has suppressed alarms is not documented. So what seems to be gone is looked
//! for again, profile by profile and both ways, before it is ended.

use std::collections::BTreeMap;
use std::collections::HashSet;

use aws_sdk_iot::types::ActiveViolation;
use fleetwarden_aws::Error;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::timestamp::Millis;

use crate::AlarmWatch;
use crate::calls::Which;
use crate::send::Found;
use crate::send::GRACE_SECONDS;
use crate::send::Lost;

impl AlarmWatch {
    /// Ends the alarms that are gone. `active` are the ids that the service lists.
    pub(crate) async fn end_gone(
        &self,
        active: &HashSet<String>,
        (now, stop_at): (Millis, Millis),
        found: &mut Found,
    ) -> Result<Lost, Error> {
        let grace = now.plus_seconds(-GRACE_SECONDS);
        let seems_gone = |life: &Life| {
            let alarm = &life.alarm;
            alarm.source == Source::DeviceDefender
                && (alarm.account.as_str(), alarm.region.as_str()) == (&self.account, &self.region)
                && life.raised_at.is_some_and(|raised| raised <= grace)
                && !active.contains(&alarm.violation_id)
                && !found.ended.contains(&alarm.violation_id)
        };
        let mut by_profile: BTreeMap<String, Vec<Life>> = BTreeMap::new();
        for life in self.alarms.open().await?.into_iter().filter(seems_gone) {
            by_profile.entry(life.alarm.profile.clone()).or_default().push(life);
        }
        let mut gone = Lost::default();
        for (profile, lives) in by_profile {
            let Some(listed) = self.listed(&profile, stop_at).await? else { break };
            let ends = lives.into_iter().filter(|life| !listed.contains(&life.alarm.violation_id));
            let ends: Vec<AlarmEvent> = ends.map(|life| end_of(life, now)).collect();
            let messages = self.send_ends(&ends).await;
            if let Err(error) = messages {
                found.unsent.get_or_insert(error.to_string());
                break;
            }
            for end in &ends {
                gone.add(end);
            }
        }
        Ok(gone)
    }

    /// The ids of a profile's active violations, suppressed or not; none if there was no time for all of them.
    async fn listed(&self, profile: &str, stop_at: Millis) -> Result<Option<HashSet<String>>, Error> {
        let mut ids = HashSet::new();
        for suppressed in [None, Some(true)] {
            let take = async |listed: Vec<ActiveViolation>| {
                ids.extend(listed.into_iter().filter_map(|violation| violation.violation_id));
                Ok(())
            };
            let which = Which { profile: Some(profile), suppressed };
            if !self.each_active(which, stop_at, take).await? {
                return Ok(None);
            }
        }
        Ok(Some(ids))
    }

    async fn send_ends(&self, ends: &[AlarmEvent]) -> Result<(), Error> {
        use fleetwarden_core::message::alarm::AlarmMessage;
        let message =
            |end: &AlarmEvent| serde_json::to_string(&AlarmMessage::Found(end.clone())).unwrap_or_default();
        self.queue.send(&ends.iter().map(|end| message(end).into()).collect::<Vec<_>>()).await
    }
}

/// The end of an alarm that is gone. When it was nobody knows: it is the time of the look.
fn end_of(life: Life, now: Millis) -> AlarmEvent {
    AlarmEvent {
        alarm: life.alarm,
        event: EventType::AlarmInvalidated,
        at: now,
        value: None,
        verification: None,
    }
}
