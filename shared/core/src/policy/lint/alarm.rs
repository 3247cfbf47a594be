//! Rules on alarms: what never matches, what Device Defender refuses, and what acts on more than its author meant.

use std::collections::BTreeSet;

use super::super::AlarmEffect;
use super::super::AlarmMitigate;
use super::super::AlarmRule;
use super::super::Diagnostic;
use super::super::Policy;
use super::super::alarm::length::lasting;
use super::super::alarm::matcher::AlarmMatcher;
use super::super::alarm::matcher::criteria_bit;
use super::super::alarm::matcher::source_bit;
use super::super::alarm::metrics::takes_models;
use super::super::glob::Glob;
use super::Actions;
use super::actions::undefined;
use super::cover_alarm;
use crate::model::action::ActionKind;
use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::Source;

impl Policy {
    pub(super) fn lint_alarms(&self, actions: Option<&Actions>, found: &mut Vec<Diagnostic>) {
        let dead = self.lint_alarm_reach(found);
        let mut noted = false;
        for (index, rule) in self.alarm_rules.iter().enumerate() {
            found.extend(self.too_short(rule));
            let acts = match &rule.effect {
                AlarmEffect::Mitigate(mitigate) => {
                    found.extend(actions.iter().flat_map(|actions| refused(rule, mitigate, actions)));
                    found.extend(without_thing(rule));
                    if !dead.contains(&index) {
                        found.extend(unsure(rule).or_else(|| anything(rule)));
                    }
                    if !std::mem::replace(&mut noted, true) {
                        found.extend(self.by_certificate_only(rule));
                        found.push(Diagnostic::note(rule.place, CLIENT_ID));
                    }
                    "mitigated"
                }
                AlarmEffect::Verify(_) => "verified",
                AlarmEffect::Report(_) => continue,
            };
            found.extend(of_others(rule, acts));
        }
    }

    /// Finds the rules that never match. Their places in the list come back.
    fn lint_alarm_reach(&self, found: &mut Vec<Diagnostic>) -> BTreeSet<usize> {
        let mut dead = BTreeSet::new();
        for (index, rule) in self.alarm_rules.iter().enumerate() {
            let mut earlier = self.alarm_rules.iter().take(index);
            let what = if cover_alarm::spares_all(rule) {
                "the rule never matches: its exception takes all that it would take".to_owned()
            } else if let Some(AlarmRule { name, place, .. }) =
                earlier.find(|earlier| cover_alarm::leaves_nothing(earlier, rule))
            {
                format!(
                    "the rule never matches: '{name}' in line {} takes all that it would take",
                    place.line
                )
            } else {
                continue;
            };
            dead.insert(index);
            found.push(Diagnostic::warning(rule.place, what));
        }
        dead
    }

    /// That protections of certificates keep no thing from being mitigated.
    fn by_certificate_only(&self, rule: &AlarmRule) -> Option<Diagnostic> {
        let protect = &self.protect;
        let only = !protect.certificates.is_empty() && protect.things.is_empty() && protect.groups.is_empty();
        let what = "'protect' names certificates alone, and an alarm is about a thing: nothing keeps this rule from the \
                    things that have them; protect their names or groups";
        only.then(|| Diagnostic::warning(rule.place, what))
    }

    /// That a condition on an alarm's length holds for every alarm when it is decided on.
    fn too_short(&self, rule: &AlarmRule) -> Option<Diagnostic> {
        let (lasts, settle) = (rule.matcher.lasts?, self.alarms.settle_seconds * 1000);
        let what = format!(
            "every alarm that has not ended has lasted for {} when it is decided on ('alarms.settle'): \
             'lastsLongerThan: {}' only leaves out those that ended before",
            lasting(settle),
            lasting(lasts)
        );
        (lasts <= settle).then(|| Diagnostic::warning(rule.place, what))
    }
}

const CLIENT_ID: &str = "what a policy of the thing group forbids is forbidden only to a device whose client id is the \
                         name of its thing; a device that connects with another one goes on as before";

/// The actions that Device Defender does not do for an alarm, or that there are not.
fn refused<'r>(
    rule: &'r AlarmRule,
    mitigate: &'r AlarmMitigate,
    actions: &'r Actions,
) -> impl Iterator<Item = Diagnostic> + 'r {
    mitigate.actions.iter().zip(&rule.places).filter_map(|(name, place)| {
        let what = match actions.kinds.get(name) {
            Some(None | Some(ActionKind::AddThingsToThingGroup)) => None,
            Some(Some(kind)) => Some(format!(
                "'{name}' is {kind}, which Device Defender refuses for alarms (takes {})",
                ActionKind::AddThingsToThingGroup
            )),
            None => undefined(name, actions),
        };
        Some(Diagnostic::error(*place, what?))
    })
}

/// That a rule mitigates devices that are not registered.
fn without_thing(rule: &AlarmRule) -> Option<Diagnostic> {
    let what = "never mitigates: a device that is not registered has no thing that could go into a group; write 'report' \
                instead";
    (rule.matcher.registered == Some(false)).then(|| Diagnostic::error(rule.place, what))
}

/// That a rule acts on alarms of other sources alone.
fn of_others(rule: &AlarmRule, acts: &str) -> Option<Diagnostic> {
    let sources = rule.matcher.sources;
    let others = sources != 0 && sources & source_bit(Source::DeviceDefender) == 0;
    let what = format!("only alarms of Device Defender can be {acts}, and 'source' leaves them out");
    others.then(|| Diagnostic::error(rule.place, what))
}

/// That a rule mitigates alarms of which a model need not be sure.
fn unsure(rule: &AlarmRule) -> Option<Diagnostic> {
    let AlarmMatcher { criteria, metrics, confidence, .. } = &rule.matcher;
    let by_model = *criteria == 0 || criteria & criteria_bit(CriteriaType::MachineLearning) != 0;
    let can = |glob: &Glob| glob.exact().is_none_or(takes_models);
    if !by_model || !metrics.as_ref().is_none_or(|globs| globs.iter().any(can)) {
        return None;
    }
    let what = match confidence {
        Some(Confidence::Medium | Confidence::High) => return None,
        Some(Confidence::Low) => {
            "the rule mitigates alarms of which a model has low confidence; most of them are false. Name MEDIUM or HIGH"
        }
        None if *criteria == 0 => {
            "the rule mitigates alarms of models too, whatever their confidence: name a 'confidence', or leave them out \
             with 'criteria: [static, statistical]'"
        }
        None => "the rule mitigates alarms of models whatever their confidence: name a 'confidence', as HIGH",
    };
    Some(Diagnostic::warning(rule.place, what))
}

/// That a rule mitigates alarms of every behavior.
fn anything(rule: &AlarmRule) -> Option<Diagnostic> {
    let AlarmMatcher { profiles, behaviors, metrics, .. } = &rule.matcher;
    let open = [profiles, behaviors, metrics]
        .iter()
        .all(|globs| globs.as_ref().is_none_or(|globs| globs.iter().any(Glob::is_any)));
    let what =
        "the rule mitigates alarms of every behavior, also of those to come; name profiles or behaviors";
    open.then(|| Diagnostic::warning(rule.place, what))
}
