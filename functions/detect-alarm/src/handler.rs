//! An invocation: each record is an event to record or a violation to decide on. The steps of both are here, in order.

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::alarms::Known;
use fleetwarden_aws::alarms::Turn;
use fleetwarden_aws::alarms::Update;
use fleetwarden_core::message::Incoming;
use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::message::alarm_record::AlarmRecord;
use fleetwarden_core::metrics::alarms;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;

use crate::DetectAlarm;
use crate::incidents::Noticed;
use crate::plan;
use crate::plan::Begin;

/// A message that is early by less is not sent back: clocks differ.
const EARLY_SECONDS: i64 = 1;

impl DetectAlarm {
    /// Takes a batch of the alarm queue.
    ///
    /// # Errors
    /// If none of it could be handled.
    pub async fn handle(&self, event: SqsEvent, context: &Context) -> Result<SqsBatchResponse, Error> {
        self.consumer.consume(event, context, async |body, _| self.message(body).await).await
    }

    /// Handles one record.
    ///
    /// # Errors
    /// [`Error::Input`] if it is no alarm of this account and region; otherwise it is to be delivered again.
    pub async fn message(&self, body: &str) -> Result<(), Error> {
        let incoming = Incoming::parse(body, &self.account, &self.region);
        match incoming.map_err(|error| Error::Input(error.to_string()))? {
            // On the heap: each of them holds the futures of all calls that it may make.
            Incoming::Event(event) => Box::pin(self.event(&event)).await,
            Incoming::Settle(settle) => Box::pin(self.settled(&settle)).await,
        }
    }

    /// Records an event. A begin is not decided on here: it settles first, unless it joins an open incident. What an end
    /// ends is read when the begin has settled, and again before a mitigation starts.
    async fn event(&self, event: &AlarmEvent) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        let Update { known, is_news } = self.alarms.record(event, now).await?;
        if is_news {
            (self.emit)(&alarms::event_line(event, &known.life, now));
        }
        if let EventType::Unknown(word) = &event.event {
            let id = &event.alarm.violation_id;
            tracing::warn!(violation.id = id, event = word, "recorded an event of an unknown type");
        }
        let record = AlarmRecord::of_event(event, &known.life);
        if event.event != EventType::InAlarm {
            return self.records().send(&record, event.at).await;
        }
        match plan::begin(&known, event.at) {
            // A repeat, or older than what is known.
            Begin::Decided => Ok(()),
            Begin::Stale => self.records().send(&record, event.at).await,
            Begin::Joined => {
                // Without a settling time it may be the begin whose process was to raise the incident's alert and died.
                if let Some(incident) = &known.incident {
                    Box::pin(self.incidents().alert_once(&known.life, incident, now)).await?;
                }
                self.records().send(&record, event.at).await
            }
            Begin::Settles => {
                let seconds = self.policy.alarms().settle_seconds.max(0);
                let settle = Settle {
                    violation_id: event.alarm.violation_id.clone(),
                    raised_at: event.at,
                    not_before: now.plus_seconds(seconds),
                    round: None,
                    devices: None,
                };
                if seconds == 0 {
                    Box::pin(self.settled(&settle)).await
                } else {
                    self.settle_queue().send(settle).await
                }
            }
        }
    }

    /// Decides on a violation that has settled, if it is still to be decided on. What the ledger says now counts, not what
    /// the message says.
    async fn settled(&self, settle: &Settle) -> Result<(), Error> {
        let now = self.consumer.clock.now();
        let id = &settle.violation_id;
        if self.alarms.take_round(settle, now).await? == Turn::Passed {
            tracing::info!(violation.id = id, "nothing to do: another copy of the message was handled");
            return Ok(());
        }
        if now.plus_seconds(EARLY_SECONDS) < settle.not_before {
            return self.settle_queue().send_next(settle, settle.not_before).await;
        }
        let Some(known) = self.alarms.known(id).await? else {
            tracing::warn!(violation.id = id, "nothing to do: the violation is not in the ledger");
            return Ok(());
        };
        if known.life.raised_at != Some(settle.raised_at) {
            tracing::info!(violation.id = id, "nothing to decide: the violation was raised again since");
            return self.records().send_begin(&known.life, settle.raised_at).await;
        }
        let over = self.ended_incident(&known).await?;
        if over.as_ref().is_some_and(Incident::is_left) {
            tracing::info!(violation.id = id, "nothing to do: a person decided to leave its incident");
            return self.records().send_begin(&known.life, settle.raised_at).await;
        }
        let incidents = self.incidents();
        if let Some(incident) = known.incident.as_ref().filter(|incident| incident.covers(settle.raised_at)) {
            return Box::pin(incidents.join(&known.life, incident, now)).await;
        }
        let over = over.and_then(|incident| incident.ended_at);
        if known.life.is_decided(over) && settle.round.is_none() {
            return Ok(());
        }
        // A member of an incident that is over was counted then, and is not counted again.
        if known.life.incident.is_none() {
            match Box::pin(incidents.notice(&known.life, settle.devices, now)).await? {
                Noticed::Incident(incident) => {
                    return Box::pin(incidents.join(&known.life, &incident, now)).await;
                }
                Noticed::Growing(devices) => return self.settle_again(settle, devices, now).await,
                Noticed::None => {}
            }
        }
        Box::pin(self.decisions().decide(&known, settle, over, now)).await
    }

    async fn settle_again(&self, settle: &Settle, devices: u64, now: Millis) -> Result<(), Error> {
        tracing::info!(
            violation.id = settle.violation_id,
            devices,
            "not decided yet: half as many devices as make an incident are in alarm, and more are coming"
        );
        let settle = Settle { devices: Some(devices), ..settle.clone() };
        let at = now.plus_seconds(self.policy.alarms().settle_seconds);
        self.settle_queue().send_next(&settle, at).await
    }

    /// The incident that a violation was part of, if it has ended.
    async fn ended_incident(&self, known: &Known) -> Result<Option<Incident>, Error> {
        let open = known.incident.as_ref().map(|incident| &incident.id);
        let Some(id) = known.life.incident.as_ref().filter(|id| open != Some(*id)) else { return Ok(None) };
        Ok(self.alarms.incident(id).await?.filter(|incident| incident.ended_at.is_some()))
    }
}
