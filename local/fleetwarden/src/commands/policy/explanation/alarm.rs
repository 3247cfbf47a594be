//! A decision on an alarm told to people: what happens, which rule decided, and why none before it did.

use super::super::Source;
use super::super::guards::{Around, Asked, Guards};
use super::{
    Opening, Openings, laid_out, lowered, mode, passed_over, plain, protection, recorded, things,
    told_of_guards, windows,
};
use crate::output::{Layout, Table, wrapped};
use fleetwarden_core::message::record::RecordedDecision;
use fleetwarden_core::model::alarm::{CriteriaType, Life, Source as AlarmSource, State};
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::{Things, Wanted};
use fleetwarden_core::policy::{
    AlarmDecision, AlarmEffect, AlarmHold, AlarmOutcome, AlarmRule, AlarmShadow, AlarmSubject, Report,
    lasting,
};
use fleetwarden_core::untrusted::visible;
use serde_json::Value;

/// What is told.
#[derive(Debug)]
pub(in super::super) struct Explained<'a> {
    /// The policy.
    pub(in super::super) source: &'a Source,
    /// What was decided on.
    pub(in super::super) subject: &'a AlarmSubject<'a>,
    /// What was decided.
    pub(in super::super) decision: &'a AlarmDecision<'a, 'a>,
    /// When mitigation can begin.
    pub(in super::super) openings: Openings,
    /// What was decided when the alarm was recorded, if it was.
    pub(in super::super) recorded: Option<&'a RecordedDecision>,
    /// What was taken for granted, because the alarm does not say it.
    pub(in super::super) assumed: &'a str,
    /// What the operator says for the guards.
    pub(in super::super) around: &'a Around,
}

impl Explained<'_> {
    /// What the guards say of it, if a rule mitigates it.
    pub(in super::super) fn guards(&self) -> Option<Guards> {
        let (AlarmOutcome::Mitigate(mitigate), Some(rule)) = (self.decision.outcome, self.decision.rule)
        else {
            return None;
        };
        let client_id = self.subject.life.alarm.thing.clone();
        let label = client_id.as_ref().map_or_else(|| "it".to_owned(), |thing| visible(thing).into_owned());
        let resource = ResourceIdentifier { client_id, ..ResourceIdentifier::default() };
        let asked = Asked {
            resource: Some(&resource),
            label: &label,
            things: self.subject.things,
            ..Asked::of(self.source, rule, &self.openings.decided, self.around)
        };
        Some(asked.of_alarm(mitigate).ask())
    }
}

/// The explanation: a sentence, what it rests on, and the rules before the one that decided.
pub(in super::super) fn text(told: &Explained<'_>, layout: Layout) -> String {
    let Explained { source, subject, decision, .. } = told;
    let rules = source.policy.alarm_rules();
    let rule = decision.rule.and_then(|name| rules.iter().find(|rule| rule.name() == name));
    let mut table = Table::untitled(2);
    let mut row = |name: &str, text: String| {
        if !text.is_empty() {
            table.row([name.to_owned(), text]);
        }
    };
    row("rule", rule.map_or_else(|| no_rule(subject), |rule| decided(source, rule)));
    row("held", decision.held.as_ref().map(why_held).unwrap_or_default());
    row("windows", windows(&told.openings.decided));
    if let Some(AlarmShadow { rule, held }) = decision.shadow {
        let would = sentence(AlarmOutcome::from(rule.effect()), told, &told.openings.shadow, ["it", "it"]);
        let but = held.map(|held| format!("; it would be held: {}", why_held(&held))).unwrap_or_default();
        row("shadow", format!("{} would decide: {}{but}", named(source, rule), lowered(&would)));
    }
    row("alarm", alarm(subject.life));
    row("lasts", lasts(subject));
    row("raised", raises(subject));
    row(
        "again",
        decision.again_at.map(|at| format!("{}, if it still lasts", at.rfc3339())).unwrap_or_default(),
    );
    row("thing", registered(subject, decision));
    row("place", place(subject.life));
    row("recorded", told.recorded.map(recorded).unwrap_or_default());
    row("assumed", told.assumed.to_owned());
    row("mode", mode(source.policy.mode()).to_owned());
    row("policy", source.policy.hash().to_owned());
    let mut text =
        format!("{}\n\n{}\n", wrapped(&headline(told), layout.of_text()), laid_out(&table, layout));
    let find = |name: &str| {
        let rule = rules.iter().find(|rule| rule.name() == name)?;
        Some((rule.place().line, rule.is_live()))
    };
    let passed = passed_over(decision, find, seen, layout);
    if !passed.is_empty() {
        let before = if rule.is_some() { "before it " } else { "" };
        let head = format!("Rules on alarms {before}with the first condition that each fails on:");
        text = format!("{text}\n{head}\n{passed}\n");
    }
    match told.guards() {
        Some(guards) => format!("{text}\n{}", told_of_guards(&guards, layout)),
        None => text,
    }
}

/// What happens, and to what, in one sentence.
fn headline(told: &Explained<'_>) -> String {
    let alarm = &told.subject.life.alarm;
    let device = alarm.thing.as_ref().map(|thing| visible(thing));
    let of_device = device.as_ref().map(|device| format!("the alarm of {device}"));
    let names = [device.as_deref(), of_device.as_deref()];
    let names = names.map(|name| name.unwrap_or("an alarm about no device"));
    let first = sentence(told.decision.outcome, told, &told.openings.decided, names);
    if told.decision.wanted.is_nothing() {
        return first;
    }
    format!("{first} This is not final: more has to be known of the thing.")
}

/// What happens, given what the device and the alarm are called.
fn sentence(
    outcome: AlarmOutcome<'_>,
    told: &Explained<'_>,
    opening: &Opening,
    [device, alarm]: [&str; 2],
) -> String {
    match outcome {
        AlarmOutcome::Mitigate(mitigate) => {
            let actions = mitigate.actions.join(", then ");
            let release = mitigate.release_after_seconds.map_or_else(String::new, |seconds| {
                format!(", and release it when the alarm has been clear for {}", lasting(seconds * 1000))
            });
            match opening {
                Opening::AtOnce => format!("Apply {actions} to {device} at once{release}."),
                Opening::Open => format!("Apply {actions} to {device} at once{release}: a window is open."),
                Opening::At { opens, .. } => {
                    let at = opens.rfc3339();
                    format!("Apply {actions} to {device} when a window opens, at {at}{release}.")
                }
                Opening::Never(_) => {
                    format!("Apply {actions} to {device}, but no window opens for over a year.")
                }
            }
        }
        AlarmOutcome::Verify(verify) => {
            let (state, why) = (verify.state.as_str(), visible(&verify.description));
            format!("Mark {alarm} as {state}: {why}.")
        }
        AlarmOutcome::Report(Report::Silent) => {
            format!("Count and export {alarm}, and alert nobody.")
        }
        AlarmOutcome::Report(Report::Alert(severity)) => {
            let severity =
                severity.map_or_else(String::new, |severity| format!(" of severity {}", severity.as_str()));
            let held = if told.decision.held.is_some() { ", and do nothing else" } else { "" };
            format!("Report {alarm} in an alert{severity}{held}.")
        }
    }
}

/// Why a rule that would act does not.
pub(in super::super) fn why_held(held: &AlarmHold<'_>) -> String {
    match held {
        AlarmHold::ProtectedBy(by) => protection(by, ["the thing", "a group of the thing"]),
        AlarmHold::ProtectionUnknown => {
            "the rule would mitigate; things or groups are protected, and nobody knows what this thing is".to_owned()
        }
        AlarmHold::RegistrationUnknown => {
            "the rule would mitigate, but it is unknown whether a thing of this name is registered".to_owned()
        }
        AlarmHold::RuleUnknown(rule) => {
            format!("the rule would act, but {rule} comes first and cannot be evaluated")
        }
        AlarmHold::Ended => "the rule would mitigate, and the alarm has ended".to_owned(),
        AlarmHold::NothingToMitigate => {
            "the rule would mitigate; only an alarm of Device Defender about a registered thing can be mitigated"
                .to_owned()
        }
        AlarmHold::NothingToVerify => {
            "the rule would verify; only an alarm of Device Defender has a verification state".to_owned()
        }
        AlarmHold::Verified(state) => format!("the rule would act, and the alarm is verified as {}", state.as_str()),
    }
}

fn no_rule(subject: &AlarmSubject<'_>) -> String {
    if subject.life.alarm.suppressed {
        return "none matches; the alerts of the behavior are suppressed (suppressAlerts)".to_owned();
    }
    "none matches; what no rule matches is reported".to_owned()
}

/// A rule, and where it stands.
fn decided(source: &Source, rule: &AlarmRule) -> String {
    let why = match rule.effect() {
        AlarmEffect::Verify(verify) => format!(": {}", visible(&verify.description)),
        AlarmEffect::Mitigate(_) | AlarmEffect::Report(_) => String::new(),
    };
    format!("{}{why}", named(source, rule))
}

fn named(source: &Source, rule: &AlarmRule) -> String {
    format!("{} ({}:{})", rule.name(), visible(&source.path.display().to_string()), rule.place().line)
}

fn alarm(life: &Life) -> String {
    let alarm = &life.alarm;
    let metric = alarm.metric.as_deref().map(|metric| format!(", {}", visible(metric))).unwrap_or_default();
    let criteria = match (alarm.criteria, alarm.confidence) {
        (CriteriaType::Unknown, _) => String::new(),
        (CriteriaType::MachineLearning, Some(sure)) => format!(", model with {} confidence", sure.as_str()),
        (CriteriaType::MachineLearning, None) => ", model".to_owned(),
        (CriteriaType::Static, _) => ", static".to_owned(),
        (CriteriaType::Statistical, _) => ", statistical".to_owned(),
    };
    let verified =
        life.verification.map(|state| format!(", verified as {}", state.as_str())).unwrap_or_default();
    let (profile, behavior) = (visible(&alarm.profile), visible(&alarm.behavior));
    format!("{profile} / {behavior}{metric}{criteria}{verified}\n{}", visible(&alarm.violation_id))
}

fn lasts(subject: &AlarmSubject<'_>) -> String {
    let life = subject.life;
    let Some(raised) = life.raised_at else { return "its begin was not heard".to_owned() };
    let until = life.ended_at().map_or(subject.at, |end| end.min(subject.at));
    let length = lasting(until.0.saturating_sub(raised.0));
    let ended = match life.state() {
        Some(State::Cleared) => ", then cleared",
        Some(State::Invalidated) => ", then invalidated",
        Some(State::Raised) | None => ", and goes on",
    };
    format!("{length} since {}{ended}; decided at {}", raised.rfc3339(), subject.at.rfc3339())
}

/// How often the device has raised the alarm, as far as it is known.
fn raises(subject: &AlarmSubject<'_>) -> String {
    match subject.raises {
        [] | [_] => String::new(),
        [first, ..] => format!("{} times since {}", subject.raises.len(), first.rfc3339()),
    }
}

/// What is known of the thing, and what would have to be looked up.
fn registered(subject: &AlarmSubject<'_>, decision: &AlarmDecision<'_, '_>) -> String {
    let known = match subject.things {
        Things::Known(none) if none.is_empty() && subject.life.alarm.thing.is_some() => {
            "no thing of this name is registered".to_owned()
        }
        known => things(known, Wanted::default()),
    };
    let missing = match decision.wanted {
        wanted if wanted.is_nothing() => return known,
        Wanted { names: true, .. } => "whether it is registered",
        Wanted { groups: true, .. } => "its groups",
        _ => "its type and attributes",
    };
    let missing = format!("the functions look up {missing} first; give it with --things");
    if known.is_empty() { missing } else { format!("{known}\n{missing}") }
}

fn place(life: &Life) -> String {
    let alarm = &life.alarm;
    let parts = [&alarm.account, &alarm.region].into_iter().filter(|text| !text.is_empty());
    let place = parts.map(|text| visible(text)).collect::<Vec<_>>().join(" ");
    match alarm.source {
        AlarmSource::DeviceDefender => place,
        AlarmSource::CloudWatch => format!("{place} (CloudWatch)"),
        AlarmSource::Other => format!("{place} (another source)"),
    }
}

/// The value that a condition looked at.
fn seen(condition: &str, saw: &Value) -> String {
    match (condition, saw) {
        ("except", _) => "the exception holds".to_owned(),
        ("raisedAtLeast", Value::Number(times)) if times.as_u64() == Some(1) => "raised once".to_owned(),
        ("raisedAtLeast", times) => format!("raised {} times", plain(times)),
        ("lastsLongerThan", Value::Null) => "its begin was not heard".to_owned(),
        ("lastsLongerThan", length) => format!("lasts {}", plain(length)),
        ("registered", Value::Bool(true)) => "registered".to_owned(),
        ("registered", Value::Bool(false)) => "not registered".to_owned(),
        ("thing" | "registered", Value::Null) => "the alarm is about no device".to_owned(),
        ("confidence", Value::Null) => "the alarm has none".to_owned(),
        ("group" | "thingType" | "attribute", Value::Array(things)) if things.is_empty() => {
            "no thing of this name is registered".to_owned()
        }
        (_, Value::Array(things)) => things.iter().map(plain).collect::<Vec<_>>().join("; "),
        (_, value) => plain(value),
    }
}
