//! The conditions of a rule on alarms, made ready to be asked a million times.

use serde::Serialize;
use serde::Serializer;

use super::AlarmRule;
use super::AlarmSubject;
use super::length::lasting;
use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::Source;
use crate::model::thing::Things;
use crate::policy::glob::any;
use crate::policy::matcher::Condition;
use crate::policy::matcher::Globs;
use crate::policy::matcher::Quantifier;
use crate::policy::matcher::ThingMatcher;
use crate::policy::matcher::Verdict;
use crate::policy::matcher::saw_things;
use crate::timestamp::Millis;

/// Conditions on an alarm: all that are set must hold, and in each any of the values.
#[derive(Debug, Default)]
pub(in crate::policy) struct AlarmMatcher {
    /// A bit a source ([`source_bit`]); none set means any.
    pub(in crate::policy) sources: u8,
    pub(in crate::policy) accounts: Globs,
    pub(in crate::policy) regions: Globs,
    pub(in crate::policy) profiles: Globs,
    pub(in crate::policy) behaviors: Globs,
    pub(in crate::policy) metrics: Globs,
    /// A bit a kind ([`criteria_bit`]); none set means any.
    pub(in crate::policy) criteria: u8,
    /// At least so sure, and judged by a model.
    pub(in crate::policy) confidence: Option<Confidence>,
    /// The names of devices.
    pub(in crate::policy) names: Globs,
    pub(in crate::policy) raised: Option<Raised>,
    /// In milliseconds.
    pub(in crate::policy) lasts: Option<i64>,
    pub(in crate::policy) registered: Option<bool>,
    /// Groups, type and attributes; never names.
    pub(in crate::policy) things: Option<Box<ThingMatcher>>,
}

/// How often a device has to have raised an alarm on the behavior.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Raised {
    pub(in crate::policy) times: u32,
    /// In milliseconds.
    pub(in crate::policy) within: i64,
}

/// The bit of a source.
pub(in crate::policy) const fn source_bit(source: Source) -> u8 {
    1 << source as u8
}

/// The bit of a kind of criteria.
pub(in crate::policy) const fn criteria_bit(criteria: CriteriaType) -> u8 {
    1 << criteria as u8
}

impl AlarmRule {
    /// Whether it matches, were the decision made at a moment.
    pub(super) fn judge(&self, subject: &AlarmSubject<'_>, at: Millis) -> Verdict {
        let verdict = self.matcher.judge(subject, at);
        if let Verdict::Fails(_) = verdict {
            return verdict;
        }
        match self.except.as_ref().map(|except| except.judge(subject, at)) {
            Some(Verdict::Holds) => Verdict::Fails(Condition::Except),
            Some(unknown @ Verdict::Unknown(_)) if verdict == Verdict::Holds => unknown,
            _ => verdict,
        }
    }

    /// When it would match an alarm that only does not last long enough, if the alarm goes on: none if it would not, or if
    /// nothing but another fact could make it match.
    pub(super) fn matches_at(&self, subject: &AlarmSubject<'_>) -> Option<Millis> {
        let from = subject.life.raised_at.filter(|_| subject.life.ended_at().is_none())?;
        let at = Millis(from.0.saturating_add(self.matcher.lasts?));
        (at > subject.at && !matches!(self.judge(subject, at), Verdict::Fails(_))).then_some(at)
    }
}

impl AlarmMatcher {
    /// Whether an alarm satisfies the conditions at a moment. What has to be looked up comes last: what anything else
    /// rules out is not looked up.
    pub(in crate::policy) fn judge(&self, subject: &AlarmSubject<'_>, at: Millis) -> Verdict {
        if let Some(condition) = self.fails_on(subject, at) {
            return Verdict::Fails(condition);
        }
        match (self.registration(subject), &self.things) {
            (Verdict::Holds, Some(matcher)) if subject.life.alarm.thing.is_none() => {
                Verdict::Fails(matcher.first_condition())
            }
            (Verdict::Holds, Some(matcher)) => matcher.judge(subject.things, Quantifier::Every),
            // Of a thing that nobody knows, no group is known either.
            (verdict, _) => verdict,
        }
    }

    /// The first condition that fails, of those for which nothing is looked up.
    fn fails_on(&self, subject: &AlarmSubject<'_>, at: Millis) -> Option<Condition> {
        let alarm = &subject.life.alarm;
        let outside = |bits: u8, bit: u8| bits != 0 && bits & bit == 0;
        let fails = |globs: &Globs, text: Option<&str>| {
            globs.as_ref().is_some_and(|globs| !text.is_some_and(|text| any(globs, text)))
        };
        let by_model = alarm.criteria == CriteriaType::MachineLearning;
        let failed = [
            (outside(self.sources, source_bit(alarm.source)), Condition::Source),
            (fails(&self.accounts, Some(&alarm.account)), Condition::Account),
            (fails(&self.regions, Some(&alarm.region)), Condition::Region),
            (fails(&self.profiles, Some(&alarm.profile)), Condition::Profile),
            (fails(&self.behaviors, Some(&alarm.behavior)), Condition::Behavior),
            (fails(&self.metrics, alarm.metric.as_deref()), Condition::Metric),
            (outside(self.criteria, criteria_bit(alarm.criteria)), Condition::Criteria),
            (
                self.confidence.is_some_and(|least| !by_model || alarm.confidence < Some(least)),
                Condition::Confidence,
            ),
            (fails(&self.names, alarm.thing.as_deref()), Condition::Thing),
            (
                self.raised.is_some_and(|raised| subject.raised(raised) < raised.times),
                Condition::RaisedAtLeast,
            ),
            (self.lasts.is_some_and(|least| subject.lasted(at) < Some(least)), Condition::LastsLongerThan),
        ];
        failed.into_iter().find_map(|(failed, condition)| failed.then_some(condition))
    }

    fn registration(&self, subject: &AlarmSubject<'_>) -> Verdict {
        let Some(wanted) = self.registered else { return Verdict::Holds };
        match subject.registration() {
            Registration::Unknown => Verdict::Unknown(Condition::Registered),
            found if found.is() == Some(wanted) => Verdict::Holds,
            _ => Verdict::Fails(Condition::Registered),
        }
    }
}

impl AlarmSubject<'_> {
    /// How long the alarm has lasted at a moment, in milliseconds: none if its begin was not heard.
    pub(in crate::policy) fn lasted(&self, at: Millis) -> Option<i64> {
        let until = self.life.ended_at().map_or(at, |end| end.min(at));
        Some(until.0.saturating_sub(self.life.raised_at?.0))
    }

    /// How often the device has raised an alarm on the behavior in the time before this one, and with it. It does not
    /// depend on when the decision is made.
    pub(in crate::policy) fn raised(&self, of: Raised) -> u32 {
        let Some(last) = self.life.raised_at else { return 0 };
        let before = |raise: &&Millis| **raise < last && last.0.saturating_sub(raise.0) <= of.within;
        let before = self.raises.iter().filter(before).count();
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Whether the device is registered.
    pub(in crate::policy) fn registration(&self) -> Registration {
        match (&self.life.alarm.thing, self.things) {
            (None, _) => Registration::NoDevice,
            (Some(_), Things::Unknown { .. } | Things::NotAsked) => Registration::Unknown,
            (Some(_), Things::Known(things)) if things.is_empty() => Registration::None,
            (Some(_), Things::Known(_)) => Registration::Thing,
        }
    }
}

/// Whether the device of an alarm is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Registration {
    /// There is a thing of its name.
    Thing,
    /// There is none.
    None,
    /// The alarm is about no device.
    NoDevice,
    /// Nobody knows.
    Unknown,
}

impl Registration {
    const fn is(self) -> Option<bool> {
        match self {
            Self::Thing => Some(true),
            Self::None => Some(false),
            Self::NoDevice | Self::Unknown => None,
        }
    }
}

/// The value of an alarm that a condition looked at, as it stands in an explanation.
pub(super) struct AlarmSaw<'s> {
    pub(super) condition: Condition,
    /// What the rule counts, if it does.
    pub(super) raised: Option<Raised>,
    pub(super) subject: &'s AlarmSubject<'s>,
}

impl Serialize for AlarmSaw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let subject = self.subject;
        let alarm = &subject.life.alarm;
        match self.condition {
            Condition::Source => alarm.source.serialize(serializer),
            Condition::Account => alarm.account.serialize(serializer),
            Condition::Region => alarm.region.serialize(serializer),
            Condition::Profile => alarm.profile.serialize(serializer),
            Condition::Behavior => alarm.behavior.serialize(serializer),
            Condition::Metric => alarm.metric.serialize(serializer),
            Condition::Criteria => alarm.criteria.serialize(serializer),
            Condition::Confidence => alarm.confidence.serialize(serializer),
            Condition::Thing => alarm.thing.serialize(serializer),
            Condition::RaisedAtLeast => self.raised.map(|of| subject.raised(of)).serialize(serializer),
            Condition::LastsLongerThan => subject.lasted(subject.at).map(lasting).serialize(serializer),
            Condition::Registered => subject.registration().is().serialize(serializer),
            Condition::Except => serializer.serialize_none(),
            condition => saw_things(condition, subject.things, serializer),
        }
    }
}
