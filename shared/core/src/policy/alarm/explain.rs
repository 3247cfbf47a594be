//! A decision on an alarm as JSON: what happens, and why.

use serde::Serialize;
use serde::Serializer;
use serde::ser::SerializeMap;

use super::AlarmDecision;
use super::AlarmOutcome;
use super::AlarmRule;
use super::AlarmShadow;
use super::AlarmSubject;
use super::matcher::AlarmSaw;
use crate::model::thing::Things;
use crate::policy::Policy;
use crate::policy::Report;
use crate::policy::matcher::Verdict;

/// What an outcome needs to be carried out, written into an object.
fn details<M: SerializeMap>(out: &mut M, outcome: AlarmOutcome<'_>, policy: &Policy) -> Result<(), M::Error> {
    match outcome {
        AlarmOutcome::Report(Report::Alert(None)) => Ok(()),
        AlarmOutcome::Report(Report::Alert(Some(severity))) => out.serialize_entry("alert", &severity),
        AlarmOutcome::Report(Report::Silent) => out.serialize_entry("alert", "silent"),
        AlarmOutcome::Mitigate(mitigate) => {
            out.serialize_entry("actions", &mitigate.actions)?;
            let waits = policy.has_windows(mitigate.windows.as_deref(), &mitigate.actions);
            out.serialize_entry("when", if waits { "in a window" } else { "at once" })?;
            out.serialize_entry("releaseAfterSeconds", &mitigate.release_after_seconds)
        }
        AlarmOutcome::Verify(verify) => {
            out.serialize_entry("state", &verify.state)?;
            out.serialize_entry("description", &verify.description)
        }
    }
}

impl Serialize for AlarmDecision<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("outcome", self.outcome.word())?;
        out.serialize_entry("rule", &self.rule)?;
        details(&mut out, self.outcome, self.policy)?;
        if !matches!(self.outcome, AlarmOutcome::Report(_)) {
            out.serialize_entry("thing", &self.subject.life.alarm.thing)?;
        }
        if let Some(held) = &self.held {
            out.serialize_entry("held", held)?;
        }
        if let Some(shadow) = self.shadow {
            out.serialize_entry("shadow", &Would { shadow, policy: self.policy })?;
        }
        if let Some(at) = self.again_at {
            out.serialize_entry("againAt", &at.rfc3339())?;
        }
        if !self.brief {
            out.serialize_entry("passedOver", &PassedOver(self))?;
        }
        out.serialize_entry("mode", &self.policy.mode)?;
        out.serialize_entry("policy", &self.policy.hash)?;
        out.end()
    }
}

/// What a rule in shadow would have decided.
struct Would<'p> {
    shadow: AlarmShadow<'p>,
    policy: &'p Policy,
}

impl Serialize for Would<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let AlarmShadow { rule, held } = self.shadow;
        let outcome = AlarmOutcome::from(&rule.effect);
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("rule", &rule.name)?;
        out.serialize_entry("outcome", outcome.word())?;
        details(&mut out, outcome, self.policy)?;
        if let Some(held) = held {
            out.serialize_entry("held", &held)?;
        }
        out.end()
    }
}

/// The rules that were asked before the one that decided.
struct PassedOver<'d>(&'d AlarmDecision<'d, 'd>);

impl Serialize for PassedOver<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let AlarmDecision { policy, subject, rule, .. } = *self.0;
        let verdicts = policy.alarm_rules.iter().map(|rule| (rule, rule.judge(subject, subject.at)));
        let before = verdicts.take_while(|(candidate, _)| rule != Some(candidate.name.as_str()));
        let passed = before.filter(|(_, verdict)| *verdict != Verdict::Holds);
        serializer.collect_seq(passed.map(|(rule, verdict)| Passed { rule, verdict, subject }))
    }
}

struct Passed<'d> {
    rule: &'d AlarmRule,
    verdict: Verdict,
    subject: &'d AlarmSubject<'d>,
}

impl Serialize for Passed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { rule, verdict, subject } = *self;
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("rule", &rule.name)?;
        match verdict {
            Verdict::Holds => {}
            Verdict::Fails(condition) => {
                let saw = AlarmSaw { condition, raised: rule.matcher.raised, subject };
                out.serialize_entry("failedOn", &condition)?;
                out.serialize_entry("saw", &saw)?;
            }
            Verdict::Unknown(condition) => {
                out.serialize_entry("failedOn", &condition)?;
                let why = match subject.things {
                    Things::Unknown { unknown } => unknown,
                    Things::Known(_) | Things::NotAsked => "nobody looked it up",
                };
                out.serialize_entry("unknown", why)?;
            }
        }
        out.end()
    }
}
