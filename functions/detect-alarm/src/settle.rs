//! A violation that has settled: what the ledger says of it now.

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::alarms::Known;
use fleetwarden_aws::alarms::Taken;
use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::message::alarm_record::AlarmRecord;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Life;

use crate::DetectAlarm;

/// A message that is early by less is not sent back: clocks differ.
const EARLY_SECONDS: i64 = 1;

impl DetectAlarm {
    /// Decides on a violation, if it is still to be decided on.
    pub(crate) async fn settle(&self, settle: &Settle) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        if self.alarms.take_round(settle, now).await? == Taken::Passed {
            tracing::info!(
                violation.id = settle.violation_id,
                "nothing to do: a copy of the message has gone on"
            );
            return Ok(());
        }
        if now.plus_seconds(EARLY_SECONDS) < settle.not_before {
            return self.send(self.alarms.next_round(settle, settle.not_before).await?).await;
        }
        let Some(known) = self.alarms.known(&settle.violation_id).await? else {
            tracing::warn!(violation.id = settle.violation_id, "nothing to do: the ledger does not know it");
            return Ok(());
        };
        if known.life.raised_at != Some(settle.raised_at) {
            tracing::info!(violation.id = settle.violation_id, "nothing to do: it was raised again since");
            return Ok(());
        }
        let over = self.over(&known).await?;
        if over.as_ref().is_some_and(Incident::is_left) {
            tracing::info!(violation.id = settle.violation_id, "nothing to do: a person left its incident");
            return Ok(());
        }
        if let Some(incident) = known.incident.as_ref().filter(|incident| incident.covers(settle.raised_at)) {
            return Box::pin(self.join(&known.life, incident)).await;
        }
        let over = over.and_then(|incident| incident.ended_at);
        if known.life.is_decided(over) && settle.round.is_none() {
            return Ok(());
        }
        // A member of an incident that is over was counted then, and is not counted again.
        if known.life.incident.is_none()
            && let Some(incident) = Box::pin(self.notice(&known.life, now)).await?
        {
            return Box::pin(self.join(&known.life, &incident)).await;
        }
        Box::pin(self.decide(&known, settle, over, now)).await
    }

    /// The incident that a violation was part of and that is over.
    async fn over(&self, known: &Known) -> Result<Option<Incident>, Error> {
        let lasts = known.incident.as_ref().map(|incident| &incident.id);
        let Some(id) = known.life.incident.as_ref().filter(|id| lasts != Some(*id)) else { return Ok(None) };
        Ok(self.alarms.incident(id).await?.filter(|incident| incident.ended_at.is_some()))
    }
}

/// The event by which a violation is in alarm.
pub(crate) fn begin_of(life: &Life) -> Option<AlarmEvent> {
    Some(AlarmEvent {
        alarm: life.alarm.clone(),
        event: EventType::InAlarm,
        at: life.raised_at?,
        value: life.value.clone(),
        verification: None,
    })
}

impl DetectAlarm {
    /// Records that a violation is part of an incident: nothing is decided on it.
    pub(crate) async fn record_member(&self, life: &Life) -> Result<(), Error> {
        let Some(begin) = begin_of(life) else { return Ok(()) };
        self.record(&AlarmRecord::of_event(&begin, life), begin.at).await
    }
}
