//! An alarm as an operator writes it: only its profile and its behavior have to be said.

use super::{ACCOUNT, REGION, Reader};
use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::alarm::{
    self, AlarmEvent, Confidence, CriteriaType, EventType, Life, Source, Verification,
};
use fleetwarden_core::policy::seconds;
use fleetwarden_core::policy::yaml::Spanned;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;

/// The device of an alarm that names none.
const DEVICE: &str = "device-1";

/// An alarm.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in super::super) struct Alarm {
    /// The security profile.
    profile: Spanned<String>,
    /// The behavior.
    behavior: Spanned<String>,
    /// The metric. Left out: the behavior has none.
    metric: Option<Spanned<String>>,
    /// `static`, `statistical` or `ml`. Left out: `ml` if it has a confidence, or else `static`.
    criteria: Option<Spanned<String>>,
    /// How sure the model has to be.
    confidence: Option<Spanned<Confidence>>,
    /// The name of the thing, or the client id of a device that is not registered, or `none`. Left out: `device-1`.
    thing: Option<Spanned<String>>,
    /// `deviceDefender`, `cloudWatch` or `other`. Left out: `deviceDefender`.
    source: Option<Spanned<Source>>,
    /// How long it has lasted when it is decided on. Left out: as long as the policy lets an alarm settle.
    lasts: Option<Spanned<String>>,
    /// How long before its begin earlier alarms of the device and behavior began. Left out: there were none.
    earlier: Option<Vec<Spanned<String>>>,
    /// `cleared` or `invalidated`, if it has ended just when it is decided on.
    ended: Option<Spanned<String>>,
    /// What people said of it.
    verification: Option<Spanned<Verification>>,
    /// Whether the alerts of its behavior are suppressed (`suppressAlerts`).
    #[serde(default)]
    suppressed: bool,
    /// Left out: 123456789012.
    account: Option<Spanned<String>>,
    /// Left out: us-east-1.
    region: Option<Spanned<String>>,
}

/// What an operator wrote: a violation, and how often its device has raised the alarm.
#[derive(Debug)]
pub(in super::super) struct ReadAlarm {
    pub(in super::super) alarm: alarm::Alarm,
    pub(in super::super) verification: Option<Verification>,
    lasts: Option<i64>,
    earlier: Vec<i64>,
    ended: Option<EventType>,
}

impl ReadAlarm {
    /// The violation as it stands when it is decided on at `at`, and when the alarms of its device and behavior began.
    pub(in super::super) fn life(&self, at: Millis, settle_seconds: i64) -> (Life, Vec<Millis>) {
        let began = at.plus_seconds(-self.lasts.unwrap_or(settle_seconds));
        let of = |event, at| AlarmEvent {
            alarm: self.alarm.clone(),
            event,
            at,
            value: None,
            verification: self.verification,
        };
        let mut life = Life::of(&of(EventType::InAlarm, began));
        if let Some(ended) = &self.ended {
            life.hear(&of(ended.clone(), at));
        }
        let mut raises: Vec<_> = self.earlier.iter().map(|ago| began.plus_seconds(-ago)).collect();
        raises.push(began);
        raises.sort_unstable();
        (life, raises)
    }
}

impl Reader {
    /// An alarm. After an error some value stands in, so that the rest is looked through too.
    pub(in super::super) fn alarm(&mut self, entry: Alarm) -> ReadAlarm {
        let criteria = entry.criteria.as_ref().and_then(|word| self.criteria(word));
        let confidence = entry.confidence;
        if let (Some(confidence), Some(CriteriaType::Static | CriteriaType::Statistical)) =
            (&confidence, criteria)
        {
            self.error(confidence.place, "only the alarms of a model have a confidence: say 'criteria: ml'");
        }
        let confidence = confidence.map(|confidence| confidence.value);
        let guess = if confidence.is_some() { CriteriaType::MachineLearning } else { CriteriaType::Static };
        let lasts = entry.lasts.as_ref().and_then(|text| self.length(text));
        let earlier = entry.earlier.unwrap_or_default();
        let earlier = earlier.iter().filter_map(|text| self.length(text)).collect();
        let ended =
            entry.ended.and_then(|word| self.word(&word, "end of an alarm", &["cleared", "invalidated"]));
        let ended = ended.map(|word| match word.as_str() {
            "cleared" => EventType::AlarmCleared,
            _ => EventType::AlarmInvalidated,
        });
        let text = |text: Option<Spanned<String>>| text.map(|text| text.value);
        let thing = text(entry.thing).unwrap_or_else(|| DEVICE.to_owned());
        let (profile, behavior) = (entry.profile.value, entry.behavior.value);
        let id = Digest::new("alarm of a case").part(&profile).part(&behavior).part(&thing).hex();
        let alarm = alarm::Alarm {
            source: entry.source.map_or(Source::DeviceDefender, |source| source.value),
            account: text(entry.account).unwrap_or_else(|| ACCOUNT.to_owned()),
            region: text(entry.region).unwrap_or_else(|| REGION.to_owned()),
            violation_id: id,
            profile,
            behavior,
            metric: text(entry.metric),
            thing: (thing != "none").then_some(thing),
            criteria: criteria.unwrap_or(guess),
            confidence,
            expected: None,
            suppressed: entry.suppressed,
        };
        let verification = entry.verification.map(|state| state.value);
        ReadAlarm { alarm, verification, lasts, earlier, ended }
    }

    fn criteria(&mut self, word: &Spanned<String>) -> Option<CriteriaType> {
        let word = self.word(word, "kind of criteria", &["static", "statistical", "ml"])?;
        Some(match word.as_str() {
            "static" => CriteriaType::Static,
            "statistical" => CriteriaType::Statistical,
            _ => CriteriaType::MachineLearning,
        })
    }

    /// A length of time, in seconds.
    fn length(&mut self, text: &Spanned<String>) -> Option<i64> {
        seconds(&text.value).map_err(|what| self.error(text.place, what)).ok()
    }
}
