//! The conditions of a rule, made ready to be asked a million times.

use serde::Serialize;
use serde::Serializer;

use super::glob::Glob;
use super::glob::any;
use super::subject::Label;
use super::subject::Subject;
use crate::ids::CheckName;
use crate::model::severity::Severity;
use crate::model::thing::Thing;
use crate::model::thing::Things;
use crate::model::thing::Wanted;

/// Whether something holds, when not everything is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// Not, and this is the first condition that it fails on.
    Fails(Condition),
    /// Nobody can say, for want of this.
    Unknown(Condition),
}

/// The conditions of rules, in the order in which those on findings are looked at; those of alarms alone stand at the
/// end. Each has the name of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// The check's name.
    Check,
    /// The severity.
    Severity,
    /// The reason code.
    Reason,
    /// The resource's type.
    Type,
    /// The resource, or that there is none.
    Resource,
    /// The audit's account.
    Account,
    /// The audit's region.
    Region,
    /// The time since the finding was first seen.
    OlderThan,
    /// In how many audits it was seen.
    SeenAtLeast,
    /// The time until the resource expires.
    ExpiresWithin,
    /// The names of the things behind the resource.
    Thing,
    /// The groups of the things behind the resource.
    Group,
    /// The types of the things behind the resource.
    ThingType,
    /// The attributes of the things behind the resource.
    Attribute,
    /// The rule's exception.
    Except,
    /// The day on which the rule's suppression ends.
    Until,
    /// The length of the rule's suppression: it is over, or that of a rule before it is.
    For,
    /// Who tells of the alarm.
    Source,
    /// The security profile.
    Profile,
    /// The behavior.
    Behavior,
    /// The metric.
    Metric,
    /// How the behavior is judged.
    Criteria,
    /// How sure the model has to be.
    Confidence,
    /// How often the device has raised the alarm.
    RaisedAtLeast,
    /// How long the alarm has lasted.
    LastsLongerThan,
    /// Whether the device is registered.
    Registered,
}

pub(super) type Globs = Option<Box<[Glob]>>;

/// Conditions on a finding: all that are set must hold, and in each any of the values.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    pub(super) checks: Globs,
    /// A bit a severity, by its place in [`Severity::ALL`]; none set means any.
    pub(super) severities: u8,
    pub(super) reasons: Globs,
    pub(super) types: Globs,
    pub(super) resources: Globs,
    pub(super) accounts: Globs,
    pub(super) regions: Globs,
    /// In milliseconds.
    pub(super) older_than: Option<i64>,
    pub(super) seen_at_least: Option<u32>,
    /// In milliseconds.
    pub(super) expires_within: Option<i64>,
    pub(super) things: Option<Box<ThingMatcher>>,
}

/// Conditions on the things behind the resource.
#[derive(Debug, Default)]
pub(super) struct ThingMatcher {
    pub(super) names: Globs,
    pub(super) groups: Globs,
    pub(super) types: Globs,
    pub(super) attributes: Vec<(String, Box<[Glob]>)>,
}

/// How many of the things must satisfy the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    /// Every one, and there is one at least.
    Every,
    /// One at least.
    Any,
}

/// The bit of a severity.
pub(super) const fn bit(severity: Severity) -> u8 {
    1 << severity as u8
}

impl Matcher {
    /// Whether a finding of the check can match at all.
    pub(super) fn may_take(&self, check: &CheckName) -> bool {
        self.checks.as_ref().is_none_or(|checks| any(checks, check.as_str()))
    }

    /// Whether it asks for nothing but the check.
    pub(super) fn is_only_check(&self) -> bool {
        let Self { checks: _, severities, reasons, types, resources, accounts, regions, .. } = self;
        *severities == 0
            && [reasons, types, resources, accounts, regions].iter().all(|globs| globs.is_none())
            && self.older_than.is_none()
            && self.seen_at_least.is_none()
            && self.expires_within.is_none()
            && self.things.is_none()
    }

    /// Whether a finding satisfies the conditions besides the check, given the label of its resource.
    pub(super) fn judge(
        &self,
        subject: &Subject<'_>,
        label: Option<&Label<'_>>,
        quantifier: Quantifier,
    ) -> Verdict {
        let finding = subject.finding;
        if self.severities != 0 && self.severities & bit(finding.severity) == 0 {
            return Verdict::Fails(Condition::Severity);
        }
        let fails = |globs: &Globs, text: Option<&str>| {
            globs.as_ref().is_some_and(|globs| !text.is_some_and(|text| any(globs, text)))
        };
        if fails(&self.reasons, finding.reason_code.as_deref()) {
            return Verdict::Fails(Condition::Reason);
        }
        if self.types.is_some() && fails(&self.types, subject.resource_type()) {
            return Verdict::Fails(Condition::Type);
        }
        if self.resources.is_some() && fails(&self.resources, label.map(Label::as_str)) {
            return Verdict::Fails(Condition::Resource);
        }
        if fails(&self.accounts, Some(subject.account)) {
            return Verdict::Fails(Condition::Account);
        }
        if fails(&self.regions, Some(subject.region)) {
            return Verdict::Fails(Condition::Region);
        }
        if self.older_than.is_some_and(|least| subject.age() < least) {
            return Verdict::Fails(Condition::OlderThan);
        }
        if self.seen_at_least.is_some_and(|least| subject.times_seen < least) {
            return Verdict::Fails(Condition::SeenAtLeast);
        }
        if let Some(most) = self.expires_within
            && subject.expires_in().is_none_or(|left| left > most)
        {
            return Verdict::Fails(Condition::ExpiresWithin);
        }
        match &self.things {
            Some(matcher) => matcher.judge(subject.things, quantifier),
            None => Verdict::Holds,
        }
    }
}

impl ThingMatcher {
    pub(super) fn judge(&self, things: &Things, quantifier: Quantifier) -> Verdict {
        let first = self.first_condition();
        let Things::Known(things) = things else { return Verdict::Unknown(first) };
        let mut unknown = None;
        let mut failed = things.is_empty().then_some(first);
        for thing in things {
            match (self.judge_one(thing), quantifier) {
                (Verdict::Holds, Quantifier::Any) => return Verdict::Holds,
                (Verdict::Fails(condition), Quantifier::Every) => return Verdict::Fails(condition),
                (Verdict::Fails(condition), Quantifier::Any) => failed = failed.or(Some(condition)),
                (Verdict::Unknown(condition), _) => unknown = unknown.or(Some(condition)),
                (Verdict::Holds, Quantifier::Every) => {}
            }
        }
        match (unknown, failed) {
            (Some(condition), _) => Verdict::Unknown(condition),
            (None, Some(condition)) => Verdict::Fails(condition),
            (None, None) => Verdict::Holds,
        }
    }

    /// Names come first, as they are cheapest to know: what they rule out is not looked up.
    fn judge_one(&self, thing: &Thing) -> Verdict {
        if self.names.as_ref().is_some_and(|names| !any(names, &thing.name)) {
            return Verdict::Fails(Condition::Thing);
        }
        let mut unknown = None;
        if let Some(globs) = &self.groups {
            match &thing.groups {
                None => unknown = Some(Condition::Group),
                Some(groups) if groups.iter().any(|group| any(globs, group)) => {}
                Some(_) => return Verdict::Fails(Condition::Group),
            }
        }
        if let Some(globs) = &self.types {
            match &thing.described {
                None => unknown = unknown.or(Some(Condition::ThingType)),
                Some(described)
                    if described.thing_type.as_deref().is_some_and(|of_type| any(globs, of_type)) => {}
                Some(_) => return Verdict::Fails(Condition::ThingType),
            }
        }
        for (name, globs) in &self.attributes {
            match &thing.described {
                None => unknown = unknown.or(Some(Condition::Attribute)),
                Some(described) if described.attributes.get(name).is_some_and(|value| any(globs, value)) => {}
                Some(_) => return Verdict::Fails(Condition::Attribute),
            }
        }
        unknown.map_or(Verdict::Holds, Verdict::Unknown)
    }

    pub(super) fn first_condition(&self) -> Condition {
        if self.names.is_some() {
            Condition::Thing
        } else if self.groups.is_some() {
            Condition::Group
        } else if self.types.is_some() {
            Condition::ThingType
        } else {
            Condition::Attribute
        }
    }
}

impl Condition {
    /// The key of the condition in a policy file.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Severity => "severity",
            Self::Reason => "reason",
            Self::Type => "type",
            Self::Resource => "resource",
            Self::Account => "account",
            Self::Region => "region",
            Self::OlderThan => "olderThan",
            Self::SeenAtLeast => "seenAtLeast",
            Self::ExpiresWithin => "expiresWithin",
            Self::Thing => "thing",
            Self::Group => "group",
            Self::ThingType => "thingType",
            Self::Attribute => "attribute",
            Self::Except => "except",
            Self::Until => "until",
            Self::For => "for",
            Self::Source => "source",
            Self::Profile => "profile",
            Self::Behavior => "behavior",
            Self::Metric => "metric",
            Self::Criteria => "criteria",
            Self::Confidence => "confidence",
            Self::RaisedAtLeast => "raisedAtLeast",
            Self::LastsLongerThan => "lastsLongerThan",
            Self::Registered => "registered",
        }
    }

    /// What to look up for a condition on things that is unknown only because nobody asked.
    pub(super) fn wanted(self, things: &Things) -> Wanted {
        match (things, self) {
            (Things::Unknown { .. }, _) => Wanted::default(),
            (Things::NotAsked, _) => Wanted { names: true, ..Wanted::default() },
            (Things::Known(_), Self::Group) => Wanted { groups: true, ..Wanted::default() },
            (Things::Known(_), _) => Wanted { descriptions: true, ..Wanted::default() },
        }
    }
}

impl<'s> Subject<'s> {
    fn resource_type(&self) -> Option<&'s str> {
        self.finding.resource.as_ref()?.resource_type.as_deref()
    }
}

/// The value of a subject that a condition looked at, as it stands in an explanation.
pub(super) struct Saw<'s> {
    pub(super) condition: Condition,
    pub(super) subject: &'s Subject<'s>,
}

impl Serialize for Saw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Subject { finding, account, region, times_seen, things, .. } = *self.subject;
        match self.condition {
            Condition::Check => finding.check.serialize(serializer),
            Condition::Severity => finding.severity.serialize(serializer),
            Condition::Reason => finding.reason_code.serialize(serializer),
            Condition::Type => self.subject.resource_type().serialize(serializer),
            Condition::Resource => finding.identifier().map(|id| id.label()).serialize(serializer),
            Condition::Account => account.serialize(serializer),
            Condition::Region => region.serialize(serializer),
            Condition::OlderThan => span(self.subject.age()).serialize(serializer),
            Condition::SeenAtLeast => times_seen.serialize(serializer),
            Condition::ExpiresWithin => self.subject.expires_in().map(span).serialize(serializer),
            Condition::Until => self.subject.at.day().serialize(serializer),
            // What the exception asks for may be anything, and on which day a rule's suppression lapsed, the rule says.
            Condition::Except | Condition::For => serializer.serialize_none(),
            condition => saw_things(condition, things, serializer),
        }
    }
}

/// What a condition on things looked at: a list with a value for each, or nothing if they are not known.
pub(super) fn saw_things<S: Serializer>(
    condition: Condition,
    things: &Things,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let Things::Known(things) = things else { return serializer.serialize_none() };
    serializer.collect_seq(things.iter().map(|thing| SawThing { condition, thing }))
}

struct SawThing<'s> {
    condition: Condition,
    thing: &'s Thing,
}

impl Serialize for SawThing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let described = self.thing.described.as_ref();
        match self.condition {
            Condition::Group => self.thing.groups.serialize(serializer),
            Condition::ThingType => described.and_then(|d| d.thing_type.as_ref()).serialize(serializer),
            Condition::Attribute => described.map(|d| &d.attributes).serialize(serializer),
            _ => self.thing.name.serialize(serializer),
        }
    }
}

/// A length of time as people write it, in days and hours: `12d`, `3d4h`, `5h`, `-2d`.
pub(super) fn span(milliseconds: i64) -> String {
    let hours = milliseconds.unsigned_abs() / 3_600_000;
    let sign = if milliseconds < 0 { "-" } else { "" };
    match (hours / 24, hours % 24) {
        (0, hours) => format!("{sign}{hours}h"),
        (days, 0) => format!("{sign}{days}d"),
        (days, hours) => format!("{sign}{days}d{hours}h"),
    }
}
