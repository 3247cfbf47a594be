//! The events that the service lists, held against the ledger.
//!
//! They are looked at hour by hour, the oldest first, so that a look that has no time for all of them leaves a place to
//! go on: all before it is known. An hour in which something was missing is looked at again by the next look, because
//! what was sent through counts as heard only when the ledger has it.

use aws_sdk_iot::types::ViolationEvent;
use fleetwarden_aws::Error;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::timestamp::Millis;

use crate::AlarmWatch;
use crate::memory::Memory;
use crate::send::Found;
use crate::send::GRACE_SECONDS;
use crate::send::is_heard;
use crate::violation;

/// What is so new may still be on its way to the list: it is looked at again.
const OVERLAP_SECONDS: i64 = 3_600;
/// How much is looked at at a time, and the least: the grid of metrics.
const SLICE_SECONDS: i64 = 3_600;
const LEAST_SECONDS: i64 = 300;
/// How far back the service is asked.
const KEPT_SECONDS: i64 = crate::MOST_HOURS * 3_600;

/// How far the look at events got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// From when on.
    pub(crate) from: Millis,
    /// Where the next look begins.
    pub(crate) heard_until: Millis,
    /// How many seconds it takes at a time.
    pub(crate) slice_seconds: i64,
    /// Whether there was time for all.
    pub(crate) is_complete: bool,
}

impl AlarmWatch {
    /// Looks at the events since the last look, or of so many hours.
    pub(crate) async fn events(
        &self,
        memory: &Memory,
        hours: Option<i64>,
        (now, stop_at): (Millis, Millis),
        found: &mut Found,
    ) -> Result<Progress, Error> {
        let overlap = now.plus_seconds(-OVERLAP_SECONDS);
        let reached = memory.heard_until.unwrap_or(overlap);
        let from = hours.map_or(reached, |hours| now.plus_seconds(-hours * 3_600));
        let from = from.max(now.plus_seconds(-KEPT_SECONDS));
        let width = memory.slice_seconds.unwrap_or(SLICE_SECONDS).clamp(LEAST_SECONDS, SLICE_SECONDS);
        let (mut at, mut open_since) = (from, None);
        while at < now {
            // What is left over by a little is part of the last hour.
            let end = at.plus_seconds(width);
            let end = if end.plus_seconds(LEAST_SECONDS) >= now { now } else { end };
            let mut is_open = false;
            let take = async |events: Vec<ViolationEvent>| {
                is_open |= self.take_events(&events, memory, now, found).await?;
                Ok(())
            };
            let is_all = self.each_event((at, end), stop_at, take).await?;
            if is_open {
                open_since.get_or_insert(at);
            }
            if !is_all || found.unsent.is_some() {
                break;
            }
            at = end;
        }
        let is_complete = at >= now;
        let heard_until = match open_since {
            Some(open_since) => open_since,
            // A look at fewer hours than were open says nothing of the others.
            None if from > reached => reached,
            None => at.min(overlap).max(reached.min(overlap)),
        };
        let is_stuck = !is_complete && at == from;
        let slice_seconds = if is_stuck { width / 2 } else { SLICE_SECONDS };
        let slice_seconds = slice_seconds.max(LEAST_SECONDS);
        Ok(Progress { from, heard_until, slice_seconds, is_complete })
    }

    /// Sends what the ledger does not know. Says whether there was any.
    async fn take_events(
        &self,
        listed: &[ViolationEvent],
        memory: &Memory,
        now: Millis,
        found: &mut Found,
    ) -> Result<bool, Error> {
        let grace = now.plus_seconds(-GRACE_SECONDS);
        let mut events = Vec::with_capacity(listed.len());
        for event in listed {
            found.events += 1;
            match violation::event(event, &self.account, &self.region) {
                Ok(event) if event.at > grace => found.fresh += 1,
                Ok(event) => events.push(event),
                Err(error) => {
                    tracing::warn!(%error, "an event that the service lists cannot be read");
                    found.unreadable += 1;
                }
            }
        }
        let lives = self.lives(&events).await?;
        let mut missing: Vec<AlarmEvent> = Vec::new();
        for event in events {
            let life = lives.get(&event.alarm.violation_id);
            if is_heard(life, &event) {
                continue;
            }
            // Suppressed alerts are not sent, by the operator's wish. The end of an alarm that was sent is wanted.
            let is_wanted =
                life.is_some_and(|life| life.raised_at.is_some()) && event.event != EventType::InAlarm;
            if event.alarm.suppressed && !is_wanted {
                found.suppressed += 1;
                continue;
            }
            missing.push(event);
        }
        Ok(self.send_found(missing, memory, found).await)
    }
}
