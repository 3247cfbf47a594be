//! Alarms as operators have them: Device Defender's message, alone or in the envelope of SNS, SQS or Lambda; an element or
//! an answer of `ListViolationEvents` and `ListActiveViolations`; an alarm of CloudWatch or of a tool of one's own; a
//! record of the archive or the log group; or the alarm of a case of `policy test`, also in YAML.

use super::super::short::Reader;
use super::super::short::alarm::{Alarm, ReadAlarm};
use super::super::things::Given as GivenThings;
use super::input::wrong;
use crate::input::looks_like_json;
use anyhow::{Result, anyhow, bail};
use fleetwarden_core::json;
use fleetwarden_core::message::alarm_record::RecordedAlarm;
use fleetwarden_core::message::record::RecordedDecision;
use fleetwarden_core::model::alarm::{AlarmEvent, Life};
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::{AlarmSubject, Policy, yaml};
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// What is needed besides the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// Stands in for the time of the decision of an alarm in short form.
    pub(super) now: Millis,
    /// When the operator says that it is decided.
    pub(super) at: Option<Millis>,
    /// The account that the operator names.
    pub(super) account: Option<&'a str>,
    /// The region that the operator names.
    pub(super) region: Option<&'a str>,
    /// How long an alarm settles.
    pub(super) settle_seconds: i64,
}

impl<'a> Around<'a> {
    /// What is needed for a policy.
    pub(super) fn new(now: Millis, at: Option<Millis>, place: [Option<&'a str>; 2], policy: &Policy) -> Self {
        let [account, region] = place;
        Self { now, at, account, region, settle_seconds: policy.alarms().settle_seconds }
    }
}

/// A violation, and as much as is known around it.
#[derive(Debug)]
pub(super) struct Given {
    life: Life,
    /// The time of the decision.
    at: Millis,
    raises: Vec<Millis>,
    /// The thing of its device.
    things: Things,
    /// What was decided then.
    pub(super) recorded: Option<RecordedDecision>,
    /// Whether the alarm itself says how often it was raised.
    counted: bool,
}

impl Given {
    /// What is decided on.
    pub(super) fn subject(&self) -> AlarmSubject<'_> {
        AlarmSubject { life: &self.life, at: self.at, raises: &self.raises, things: &self.things }
    }

    /// Takes the thing of the device from a file.
    pub(super) fn complete(&mut self, things: &GivenThings) {
        let Some(thing) = self.life.alarm.thing.clone() else { return };
        let identifier =
            ResourceIdentifier { client_id: Some(thing.clone()), ..ResourceIdentifier::default() };
        self.things = things.behind(Some(&identifier), Some(std::mem::take(&mut self.things)));
        // A file of few things has them all behind one resource. Behind a device there is the one of its name.
        if let Things::Known(known) = &mut self.things {
            known.retain(|known| known.name == thing);
        }
    }

    /// What the alarm does not say, with the options that say it.
    pub(super) fn assumed(&self) -> String {
        let alarm = &self.life.alarm;
        let missing = [(&alarm.account, "no account (--account)"), (&alarm.region, "no region (--region)")];
        let missing = missing.iter().filter(|(text, _)| text.is_empty()).map(|(_, what)| (*what).to_owned());
        let once = (!self.counted && self.raises.len() < 2)
            .then(|| "that the device has raised no such alarm before".to_owned());
        once.into_iter().chain(missing).collect::<Vec<_>>().join("; ")
    }
}

/// Reads the alarms of a text: none if it holds something else. The events of one violation become one.
pub(super) fn read(text: &str, around: Around<'_>) -> Result<Option<Vec<Given>>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let Ok(values) = values.collect::<Result<Vec<_>, _>>() else {
        return if looks_like_json(text) { Ok(None) } else { of_yaml(text, around) };
    };
    let mut found = Found::default();
    for value in values {
        if !of_value(value.get(), around, &mut found)? {
            return Ok(None);
        }
    }
    Ok(found.into_given(around))
}

/// An alarm in short form, or a list of them. A finding has no behavior.
fn of_yaml(text: &str, around: Around<'_>) -> Result<Option<Vec<Given>>> {
    #[derive(Deserialize)]
    struct Shape {
        behavior: Option<IgnoredAny>,
    }
    let bytes = text.as_bytes();
    let one = yaml::read::<Shape>(bytes).map(|one| vec![one]);
    let is_list = one.is_err();
    let Ok(shapes) = one.or_else(|_| yaml::read::<Vec<Shape>>(bytes)) else { return Ok(None) };
    if !shapes.iter().any(|shape| shape.behavior.is_some()) {
        return Ok(None);
    }
    let entries = if is_list { yaml::read(bytes) } else { yaml::read(bytes).map(|one| vec![one]) };
    let entries: Vec<Alarm> = entries.map_err(|error| wrong(&[error]))?;
    entries.into_iter().map(|entry| of_short(entry, around)).collect::<Result<_>>().map(Some)
}

fn of_short(entry: Alarm, around: Around<'_>) -> Result<Given> {
    let mut reader = Reader::default();
    let read: ReadAlarm = reader.alarm(entry);
    if !reader.errors.is_empty() {
        reader.errors.sort();
        return Err(wrong(&reader.errors));
    }
    let at = around.at.unwrap_or(around.now);
    let (life, raises) = read.life(at, around.settle_seconds);
    Ok(Given { life, at, raises, things: Things::NotAsked, recorded: None, counted: true })
}

/// The alarms that were found, in order.
#[derive(Debug, Default)]
struct Found {
    lives: Vec<Life>,
    records: Vec<Given>,
}

impl Found {
    fn hear(&mut self, event: &AlarmEvent) {
        let id = &event.alarm.violation_id;
        match self.lives.iter_mut().find(|life| life.alarm.violation_id == *id) {
            Some(life) => {
                life.hear(event);
            }
            None => self.lives.push(Life::of(event)),
        }
    }

    /// Everything ready to be decided on; none if nothing was found.
    fn into_given(self, around: Around<'_>) -> Option<Vec<Given>> {
        let raises_of = |life: &Life| {
            let series = life.alarm.series();
            let same = self.lives.iter().filter(|other| other.alarm.series() == series);
            let mut raises: Vec<_> = same.filter_map(|other| other.raised_at).collect();
            raises.sort_unstable();
            raises
        };
        let of_life = |life: &Life| {
            let settled = life.raised_at.map(|raised| raised.plus_seconds(around.settle_seconds));
            let at = around.at.or(settled.max(life.ended_at())).unwrap_or(around.now);
            Given {
                life: life.clone(),
                at,
                raises: raises_of(life),
                things: Things::NotAsked,
                recorded: None,
                counted: false,
            }
        };
        let given: Vec<_> = self.lives.iter().map(of_life).collect();
        let given: Vec<_> = given.into_iter().chain(self.records).collect();
        (!given.is_empty()).then_some(given)
    }
}

/// What tells the shapes apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an alarm")]
struct Shape<'t> {
    kind: Option<IgnoredAny>,
    behavior: Option<IgnoredAny>,
    series: Option<IgnoredAny>,
    schema: Option<IgnoredAny>,
    violation_id: Option<IgnoredAny>,
    #[serde(borrow)]
    violation_events: Option<Vec<&'t RawValue>>,
    #[serde(borrow)]
    active_violations: Option<Vec<&'t RawValue>>,
    #[serde(rename = "AlarmName")]
    alarm_name: Option<IgnoredAny>,
    #[serde(rename = "Records", borrow)]
    records: Option<Vec<&'t RawValue>>,
    #[serde(rename = "TopicArn")]
    topic_arn: Option<IgnoredAny>,
}

/// Takes what alarms a value has. False if it is something else.
fn of_value(text: &str, around: Around<'_>, found: &mut Found) -> Result<bool> {
    let many = |values: Vec<&RawValue>, found: &mut Found| -> Result<bool> {
        for (at, one) in values.iter().enumerate() {
            let read = of_value(one.get(), around, found).map_err(|error| anyhow!("[{at}]: {error}"))?;
            if !read {
                return Ok(false);
            }
        }
        Ok(true)
    };
    if text.trim_start().starts_with('[') {
        return many(json::read(text)?, found);
    }
    let Ok(shape) = json::read::<Shape<'_>>(text) else { return Ok(false) };
    if let Some(values) = shape.violation_events.or(shape.active_violations) {
        return many(values, found);
    }
    if let Some(values) = shape.records {
        return values.iter().try_fold(true, |all, one| Ok(of_record(one.get(), around, found)? && all));
    }
    if shape.topic_arn.is_some() {
        return of_envelope(text, around, found).map(|()| true);
    }
    if shape.kind.is_some() && shape.series.is_some() {
        found.records.extend(of_archive(json::read(text)?, around));
        return Ok(true);
    }
    if shape.violation_id.is_some() || shape.alarm_name.is_some() || shape.schema.is_some() {
        found.hear(&event(text, around)?);
        return Ok(true);
    }
    if shape.behavior.is_some() {
        let entry = yaml::read(text.as_bytes()).map_err(|error| wrong(&[error]))?;
        found.records.push(of_short(entry, around)?);
        return Ok(true);
    }
    Ok(false)
}

/// A record of a Lambda event: of SNS, or of SQS with SNS's envelope in its body.
fn of_record(text: &str, around: Around<'_>, found: &mut Found) -> Result<bool> {
    #[derive(Deserialize)]
    struct Record<'t> {
        #[serde(rename = "Sns", borrow)]
        sns: Option<&'t RawValue>,
        body: Option<String>,
    }
    let record: Record<'_> = json::read(text)?;
    match (record.sns, record.body) {
        (Some(envelope), _) => of_envelope(envelope.get(), around, found).map(|()| true),
        (None, Some(body)) => of_value(&body, around, found),
        (None, None) => Ok(false),
    }
}

/// What SNS puts around a message. Its topic says the account and the region.
fn of_envelope(text: &str, around: Around<'_>, found: &mut Found) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Envelope {
        topic_arn: String,
        message: String,
    }
    let Envelope { topic_arn, message } = json::read(text)?;
    let parts: Vec<_> = topic_arn.split(':').collect();
    let ["arn", _, "sns", region, account, _] = parts.as_slice() else {
        bail!("TopicArn: '{topic_arn}' is no topic's ARN");
    };
    let around = Around {
        account: around.account.or(Some(account)),
        region: around.region.or(Some(region)),
        ..around
    };
    found.hear(&event(&message, around)?);
    Ok(())
}

/// An alarm that names no account or region is of those that the operator names, or of none.
fn event(text: &str, around: Around<'_>) -> Result<AlarmEvent> {
    #[derive(Deserialize)]
    struct Place {
        account: Option<String>,
        region: Option<String>,
        #[serde(rename = "AWSAccountId")]
        of_alarm: Option<String>,
        #[serde(rename = "AlarmArn")]
        arn: Option<String>,
    }
    let said = json::read::<Place>(text).ok();
    let (account, region) = said.map_or((None, None), |said| {
        let of_arn = said.arn.and_then(|arn| Some(arn.split(':').nth(3)?.to_owned()));
        (said.account.or(said.of_alarm), said.region.or(of_arn))
    });
    let account = around.account.or(account.as_deref()).unwrap_or_default();
    let region = around.region.or(region.as_deref()).unwrap_or_default();
    AlarmEvent::parse(text, account, region).map_err(|error| anyhow!("{error}"))
}

/// A record of the archive, if something was decided on it.
fn of_archive(record: RecordedAlarm, around: Around<'_>) -> Option<Given> {
    let at = around.at.or(record.decided_at)?;
    let life = record.life();
    let (raises, things, recorded) = (record.raises, record.things, record.decision);
    Some(Given { life, at, raises, things, recorded, counted: true })
}
