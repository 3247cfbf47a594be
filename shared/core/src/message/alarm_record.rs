//! An alarm's event with what was decided on it: as it stands in the findings log and in the archive, and read back.

use serde::Deserialize;
use serde::Serialize;
use serde_json::value::RawValue;

use super::record::RecordedDecision;
use crate::digest::Digest;
use crate::ids::AccountId;
use crate::ids::AlarmId;
use crate::ids::InvalidId;
use crate::ids::Region;
use crate::model::alarm::Alarm;
use crate::model::alarm::AlarmEvent;
use crate::model::alarm::EventType;
use crate::model::alarm::Life;
use crate::model::alarm::SeriesKey;
use crate::model::alarm::Verification;
use crate::model::thing::Things;
use crate::policy::AlarmDecision;
use crate::policy::AlarmSubject;
use crate::timestamp::Millis;

/// One event of an alarm. There is one record for each event of each violation: of the begin when it was decided on, of
/// an end when it was heard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmRecord<'a> {
    /// Always `alarm`, to be told from findings.
    pub kind: &'static str,
    /// What the alarm is.
    #[serde(flatten)]
    pub alarm: &'a Alarm,
    /// The identity of device and behavior, from alarm to alarm.
    pub series: SeriesKey,
    /// What happened.
    pub event: &'a EventType,
    /// When, epoch milliseconds.
    pub at: Millis,
    /// What was measured when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a serde_json::Value>,
    /// When it began, if that was heard, epoch milliseconds.
    pub raised_at: Option<Millis>,
    /// When it was cleared, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Millis>,
    /// When it was invalidated, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalidated_at: Option<Millis>,
    /// What people said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// The incident that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<&'a str>,
    /// When the alarms of this device and behavior began, oldest first.
    #[serde(skip_serializing_if = "<[Millis]>::is_empty")]
    pub raises: &'a [Millis],
    /// The thing of that name, if a rule asked for it.
    #[serde(skip_serializing_if = "Things::is_not_asked")]
    pub things: &'a Things,
    /// When it was decided on, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Millis>,
    /// What was decided and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<&'a AlarmDecision<'a, 'a>>,
}

impl<'a> AlarmRecord<'a> {
    /// Of an end: nothing is decided on it.
    pub fn of_event(event: &'a AlarmEvent, life: &'a Life) -> Self {
        Self::new(life, &event.event, event.at, &[], &Things::NotAsked, None)
    }

    /// Of a begin, and what was decided on it. `at` is the time of the event.
    pub fn of_decision(
        at: Millis,
        subject: &'a AlarmSubject<'a>,
        decision: &'a AlarmDecision<'a, 'a>,
    ) -> Self {
        Self::new(subject.life, &EventType::InAlarm, at, subject.raises, subject.things, Some(decision))
    }

    fn new(
        life: &'a Life,
        event: &'a EventType,
        at: Millis,
        raises: &'a [Millis],
        things: &'a Things,
        decision: Option<&'a AlarmDecision<'a, 'a>>,
    ) -> Self {
        Self {
            kind: "alarm",
            alarm: &life.alarm,
            series: life.alarm.series(),
            event,
            at,
            value: life.value.as_ref(),
            raised_at: life.raised_at,
            cleared_at: life.cleared_at,
            invalidated_at: life.invalidated_at,
            verification: life.verification,
            incident: life.incident.as_deref(),
            raises,
            things,
            decided_at: decision.map(AlarmDecision::at),
            decision,
        }
    }
}

/// Finding queue: an alarm's event to export, told from an [`ExportMessage`](crate::message::ExportMessage) by its member
/// `alarmRecord`. The record stays the text that `detect-alarm` wrote.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmExportMessage<'a> {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// The violation.
    pub violation_id: AlarmId,
    /// What happened to it.
    pub event: EventType,
    /// When.
    pub at: Millis,
    /// An [`AlarmRecord`].
    #[serde(borrow)]
    pub alarm_record: &'a RawValue,
}

impl<'a> AlarmExportMessage<'a> {
    /// A record to export.
    ///
    /// # Errors
    /// If the alarm has no valid account, region or id.
    pub fn new(
        alarm: &Alarm,
        event: EventType,
        at: Millis,
        alarm_record: &'a RawValue,
    ) -> Result<Self, InvalidId> {
        let (account, region) = (alarm.account.parse()?, alarm.region.parse()?);
        Ok(Self { account, region, violation_id: alarm.violation_id.parse()?, event, at, alarm_record })
    }

    /// What no other event has, of this violation or another: it is the same if the event comes again.
    pub fn name(&self) -> String {
        let event = match &self.event {
            EventType::Unknown(word) => Digest::new("alarm event").part(word).hex(),
            known => known.as_str().to_owned(),
        };
        format!("{}-{event}-{}", self.violation_id, self.at.0)
    }
}

/// What an [`AlarmRecord`] becomes when it is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedAlarm {
    /// What the alarm is.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// The identity of device and behavior, from alarm to alarm.
    pub series: SeriesKey,
    /// What happened.
    pub event: EventType,
    /// When.
    pub at: Millis,
    /// What was measured when it began.
    #[serde(default)]
    pub value: Option<serde_json::Value>,
    /// When it began.
    pub raised_at: Option<Millis>,
    /// When it was cleared.
    #[serde(default)]
    pub cleared_at: Option<Millis>,
    /// When it was invalidated.
    #[serde(default)]
    pub invalidated_at: Option<Millis>,
    /// What people said of it.
    #[serde(default)]
    pub verification: Option<Verification>,
    /// The incident that it was part of.
    #[serde(default)]
    pub incident: Option<String>,
    /// When the alarms of this device and behavior began, oldest first.
    #[serde(default)]
    pub raises: Vec<Millis>,
    /// The thing of that name, if a rule had asked for it.
    #[serde(default)]
    pub things: Things,
    /// When it was decided on.
    #[serde(default)]
    pub decided_at: Option<Millis>,
    /// What was decided. None of an end, and of a begin that joined an incident.
    #[serde(default)]
    pub decision: Option<RecordedDecision>,
}

impl RecordedAlarm {
    /// The life as it stood when it was decided on.
    pub fn life(&self) -> Life {
        Life {
            alarm: self.alarm.clone(),
            raised_at: self.raised_at,
            value: self.value.clone(),
            cleared_at: self.cleared_at,
            invalidated_at: self.invalidated_at,
            verification: self.verification,
            verified_at: None,
            incident: self.incident.clone(),
            actions: Vec::new(),
        }
    }

    /// What to decide on again, with the [`life`](Self::life) of the record. None if nothing was decided then.
    pub fn subject<'s>(&'s self, life: &'s Life) -> Option<AlarmSubject<'s>> {
        let at = self.decided_at?;
        Some(AlarmSubject { life, at, raises: &self.raises, things: &self.things })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alarm::CriteriaType;
    use crate::model::alarm::Source;
    use crate::policy::Policy;

    fn life() -> Life {
        let alarm = Alarm {
            source: Source::DeviceDefender,
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            violation_id: "df4537569ef23efb1c029a433ae84b52".into(),
            profile: "cameras".into(),
            behavior: "ports".into(),
            metric: Some("aws:listening-tcp-ports".into()),
            thing: Some("caméra \u{202e}7".into()),
            criteria: CriteriaType::Static,
            confidence: None,
            expected: Some(serde_json::json!({"comparisonOperator": "in-port-set"})),
            suppressed: false,
        };
        let value = Some(serde_json::json!({"ports": [443]}));
        let event =
            AlarmEvent { alarm, event: EventType::InAlarm, at: Millis(1_000), value, verification: None };
        Life::of(&event)
    }

    #[test]
    fn what_was_written_is_decided_alike() {
        let policy = Policy::parse(b"version: 1\nrules: []").unwrap();
        let life = life();
        let raises = [Millis(500), Millis(1_000)];
        let subject =
            AlarmSubject { life: &life, at: Millis(121_000), raises: &raises, things: &Things::NotAsked };
        let decision = policy.decide_alarm(&subject);
        let record = AlarmRecord::of_decision(Millis(1_000), &subject, &decision);
        let written = serde_json::to_string(&record).unwrap();
        let read: RecordedAlarm = serde_json::from_str(&written).unwrap();
        assert_eq!(read.life(), life);
        let life = read.life();
        let again = read.subject(&life).unwrap();
        assert_eq!(
            serde_json::to_string(&policy.decide_alarm(&again)).unwrap(),
            serde_json::to_string(&decision).unwrap()
        );
    }

    #[test]
    fn an_event_has_a_name_of_its_own_and_no_word_can_point_elsewhere() {
        let raw = RawValue::from_string("{}".into()).unwrap();
        let message = |event: EventType, at| AlarmExportMessage {
            account: "123456789012".parse().unwrap(),
            region: "eu-central-1".parse().unwrap(),
            violation_id: "v-1".parse().unwrap(),
            event,
            at: Millis(at),
            alarm_record: &raw,
        };
        assert_eq!(message(EventType::InAlarm, 7).name(), "v-1-in-alarm-7");
        assert_ne!(message(EventType::InAlarm, 7).name(), message(EventType::InAlarm, 8).name());
        let odd = message(EventType::Unknown("../..".into()), 7).name();
        assert!(odd.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{odd}");
    }
}
