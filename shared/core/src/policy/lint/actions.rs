//! Whether the actions of a rule exist, and whether Device Defender does them for the checks that it matches.

use super::super::Diagnostic;
use super::super::Effect;
use super::super::Mitigate;
use super::super::Policy;
use super::super::Rule;
use super::super::Suppress;
use super::super::SuppressEnd;
use super::super::glob::Glob;
use super::Actions;
use crate::ids::CheckName;
use crate::model::action::ActionKind;
use crate::nearest::did_you_mean;

/// How many checks a message names.
const NAMED: usize = 3;

impl Policy {
    pub(super) fn lint_actions(
        &self,
        index: usize,
        rule: &Rule,
        mitigate: &Mitigate,
        actions: Option<&Actions>,
        found: &mut Vec<Diagnostic>,
    ) {
        let anything = rule.matcher.checks.as_ref().is_none_or(|globs| globs.iter().any(Glob::is_any));
        let mut refused = false;
        let all = self.checks_of(index, rule);
        let held: Vec<&str> =
            all.iter().filter(|check| self.protect.holds_all_of(check)).map(CheckName::as_str).collect();
        if let Some((first, rest)) = held.split_first() {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            let what = format!(
                "never mitigates findings of {first}{more}: while things, groups or certificates are protected, what \
                 stands for any number of them is left alone"
            );
            found.push(Diagnostic::warning(rule.place, what));
        }
        if let Some(actions) = actions {
            for (name, place) in mitigate.actions.iter().zip(&rule.places) {
                let (illegal, unsaid) = match actions.kinds.get(name) {
                    Some(Some(kind)) => (illegal(name, *kind, &all), unsaid(name, *kind, &all)),
                    Some(None) => (None, None),
                    None => (undefined(name, actions), None),
                };
                refused |= illegal.is_some();
                found.extend(illegal.map(|what| Diagnostic::error(*place, what)));
                found.extend(unsaid.map(|what| Diagnostic::warning(*place, what)));
            }
        }
        if anything && !refused {
            let what = "the rule mitigates findings of every check, also of those to come; name the checks";
            found.push(Diagnostic::warning(rule.place, what));
        }
    }

    /// The checks whose findings a rule can get.
    fn checks_of(&self, index: usize, rule: &Rule) -> Vec<CheckName> {
        let spared = |check: &CheckName| {
            rule.except.as_ref().is_some_and(|except| except.is_only_check() && except.may_take(check))
        };
        let taken = |check: &CheckName| {
            self.rules.iter().take(index).any(|earlier| {
                let ends = matches!(&earlier.effect, Effect::Suppress(Suppress { end, .. }) if *end != SuppressEnd::Never);
                let whole = earlier.matcher.is_only_check() && earlier.except.is_none();
                earlier.live && whole && !ends && earlier.matcher.may_take(check)
            })
        };
        let can = |check: &CheckName| rule.matcher.may_take(check) && !spared(check) && !taken(check);
        CheckName::known().filter(can).collect()
    }
}

pub(super) fn undefined(name: &str, actions: &Actions) -> Option<String> {
    let names = || actions.kinds.keys().map(String::as_str);
    let hint = match (did_you_mean(name, names()), actions.kinds.is_empty()) {
        (_, true) => " (it defines none)".into(),
        (near, _) if near.is_empty() => format!(" (it defines {})", names().collect::<Vec<_>>().join(", ")),
        (near, _) => near,
    };
    (!actions.more).then(|| format!("the template defines no mitigation action '{name}'{hint}"))
}

fn illegal(name: &str, kind: ActionKind, checks: &[CheckName]) -> Option<String> {
    let illegal: Vec<_> = checks.iter().filter(|check| check.takes(kind) == Some(false)).collect();
    if illegal.is_empty() {
        return None;
    }
    let words = |check: &CheckName| {
        let words: Vec<_> = check.actions().iter().map(|kind| kind.as_str()).collect();
        format!("{check} (takes {})", words.join(", "))
    };
    let named: Vec<_> = illegal.iter().take(NAMED).map(|check| words(check)).collect();
    let more = match illegal.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more that the rule matches"),
    };
    Some(format!("'{name}' is {kind}, which Device Defender refuses for {}{more}", named.join(", ")))
}

fn unsaid(name: &str, kind: ActionKind, checks: &[CheckName]) -> Option<String> {
    let check = checks.iter().find(|check| check.takes(kind).is_none())?;
    Some(format!(
        "'{name}' is {kind}, and AWS does not say whether {check} takes that; try it before you rely on it"
    ))
}
