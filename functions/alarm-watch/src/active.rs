//! The violations that the service lists as active, held against the ledger.
//!
//! One that began before the events that are looked at is known to nobody if its message was lost; and one that was
//! ended here by mistake shows by what its device did since.

use std::collections::HashSet;

use aws_sdk_iot::types::ActiveViolation;
use fleetwarden_aws::Error;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;

use crate::AlarmWatch;
use crate::calls::Which;
use crate::memory::Memory;
use crate::send::Found;
use crate::send::GRACE_SECONDS;
use crate::violation;
use crate::violation::Active;

impl AlarmWatch {
    /// The ids of all active violations; none if there was no time for all of them. What the ledger does not have in
    /// alarm is sent through.
    pub(crate) async fn active(
        &self,
        memory: &Memory,
        (now, stop_at): (Millis, Millis),
        found: &mut Found,
    ) -> Result<Option<HashSet<String>>, Error> {
        let mut ids = HashSet::new();
        let take = async |listed: Vec<ActiveViolation>| {
            ids.extend(listed.iter().filter_map(|violation| violation.violation_id.clone()));
            self.take_active(&listed, memory, now, found).await
        };
        let is_all = self.each_active(Which { profile: None, suppressed: None }, stop_at, take).await?;
        Ok(is_all.then_some(ids))
    }

    async fn take_active(
        &self,
        listed: &[ActiveViolation],
        memory: &Memory,
        now: Millis,
        found: &mut Found,
    ) -> Result<(), Error> {
        let mut active = Vec::with_capacity(listed.len());
        for violation in listed {
            match violation::active(violation, &self.account, &self.region) {
                Ok(violation) => active.push(violation),
                Err(error) => {
                    tracing::warn!(%error, "an active violation cannot be read");
                    found.unreadable += 1;
                }
            }
        }
        let begins: Vec<AlarmEvent> = active.iter().map(|active| active.begin.clone()).collect();
        let lives = self.lives(&begins).await?;
        let grace = now.plus_seconds(-GRACE_SECONDS);
        let missing = active.into_iter().filter_map(|active| {
            let missing = missing(&active, lives.get(&active.begin.alarm.violation_id))?;
            if missing.alarm.suppressed {
                found.suppressed += 1;
                return None;
            }
            (missing.at <= grace).then_some(missing)
        });
        let missing: Vec<AlarmEvent> = missing.collect();
        self.send_found(missing, memory, found).await;
        Ok(())
    }
}

/// The event by which the ledger would have an active violation in alarm; none if it has.
fn missing(active: &Active, life: Option<&Life>) -> Option<AlarmEvent> {
    let Some(life) = life.filter(|life| life.raised_at.is_some()) else { return Some(active.begin.clone()) };
    let ended = life.ended_at()?;
    // The list may be older than the end. What the device did after its end is not.
    let again = active.last_at.filter(|last| *last > ended)?;
    Some(AlarmEvent { at: again, ..active.begin.clone() })
}
