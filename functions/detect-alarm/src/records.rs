//! Records for `export-findings`: one of each event and of each decision.

use fleetwarden_aws::Error;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::message::alarm_record::AlarmExportMessage;
use fleetwarden_core::message::alarm_record::AlarmRecord;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;
use serde_json::value::to_raw_value;

/// A record that is longer is written without the rules that were passed over, in bytes.
const LONG_RECORD: usize = 200_000;

/// The finding queue.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a>(pub(crate) &'a Queue);

impl Records<'_> {
    /// Sends a record.
    pub(crate) async fn send(&self, record: &AlarmRecord<'_>, at: Millis) -> Result<(), Error> {
        let wrong = |e: serde_json::Error| Error::Input(e.to_string());
        let mut raw = to_raw_value(record).map_err(wrong)?;
        let brief = record.decision.map(|decision| decision.brief());
        if let Some(brief) = brief.as_ref().filter(|_| raw.get().len() > LONG_RECORD) {
            raw = to_raw_value(&AlarmRecord { decision: Some(brief), ..record.clone() }).map_err(wrong)?;
        }
        let message = AlarmExportMessage::new(record.alarm, record.event.clone(), at, &raw)
            .map_err(|invalid| Error::Input(invalid.to_string()))?;
        let body = serde_json::to_string(&message).map_err(wrong)?;
        self.0.send(&[Outgoing::from(body)]).await
    }

    /// Sends the record of a begin on which nothing is decided.
    pub(crate) async fn send_begin(&self, life: &Life, at: Millis) -> Result<(), Error> {
        let begin = AlarmEvent {
            alarm: life.alarm.clone(),
            event: EventType::InAlarm,
            at,
            value: life.value.clone(),
            verification: None,
        };
        self.send(&AlarmRecord::of_event(&begin, life), at).await
    }
}
