//! Approvals that nothing asks for, that everything asks for, and that come too late for the next window.

use super::super::Approval;
use super::super::DeviceLimits;
use super::super::Diagnostic;
use super::super::Policy;
use super::super::alarm::length::lasting;
use super::super::devices::DeviceLimit;
use super::super::matcher::bit;
use super::super::mitigation::Mitigation;
use super::super::windows::Calendar;
use super::Actions;
use super::Known;
use crate::ids::CheckName;
use crate::model::action::ActionKind;
use crate::model::mitigation::MAX_VIOLATIONS;
use crate::model::severity::Severity;
use crate::timestamp::Millis;

impl Policy {
    pub(super) fn lint_approvals(&self, known: &Known<'_>, found: &mut Vec<Diagnostic>) {
        for of in self.mitigations() {
            let Some(approval) = of.approval else { continue };
            let said = [
                always(approval),
                self.no_window(approval, &of),
                self.no_budget(approval, &of),
                severity(approval, &of),
                self.devices(approval, &of, known.actions),
                self.too_late(approval, &of, known.at),
            ];
            found.extend(said.into_iter().flatten().map(|what| Diagnostic::warning(approval.place, what)));
        }
    }

    fn no_window(&self, approval: &Approval, of: &Mitigation<'_>) -> Option<String> {
        let none = approval.outside_of_window && !self.has_windows(of.windows, of.actions);
        none.then(|| {
            "neither the policy nor the rule nor its actions have windows: 'outsideOfWindow' never asks for an approval"
                .to_owned()
        })
    }

    fn no_budget(&self, approval: &Approval, of: &Mitigation<'_>) -> Option<String> {
        let none = approval.over_budget && self.budgets_of(Some(of.rule), of.actions).next().is_none();
        none.then(|| "the rule counts in no budget: 'overBudget' never asks for an approval".to_owned())
    }

    fn devices(&self, approval: &Approval, of: &Mitigation<'_>, actions: Option<&Actions>) -> Option<String> {
        if approval.always || (approval.devices.is_none() && approval.connected.is_none()) {
            return None;
        }
        let (most, connected) = match limit(of, actions)? {
            DeviceLimit::AtMost(_, None) if approval.connected.is_some() => {
                return Some(
                    "nothing asks which devices are connected, so that 'connected' counts all of them: add 'connected' to \
                     'devices', or ask by 'devices'"
                        .to_owned(),
                );
            }
            DeviceLimit::AtMost(most, connected) => (most, connected.unwrap_or(most)),
            DeviceLimit::Any => {
                return Some(
                    "the rule has its devices not counted, and what is not counted asks for an approval: 'devices' and \
                     'connected' ask for one of every mitigation; say so with 'always', or how many devices may stand \
                     behind a finding, as 'devices: { most: 5 }' beside 'approval'"
                        .to_owned(),
                );
            }
            DeviceLimit::NotSaid => return None,
        };
        let (task, parts, most, connected) = match of.of_findings {
            Some(_) => (self.most_of_a_task(of.rule, of.actions), "findings", most, connected),
            // An alarm is about one thing.
            None => (MAX_VIOLATIONS, "violations", most.min(1), connected.min(1)),
        };
        let all = |each: u64| each.saturating_mul(task as u64);
        let never = |key: &str, asks: Option<u64>, each| {
            let asks = asks.filter(|asks| *asks >= all(each))?;
            Some(format!(
                "a task of the rule has at most {task} {parts}, and so never more than {} devices{}: '{key}: {asks}' never \
                 asks for an approval",
                all(each),
                if key == "connected" { " that are connected" } else { "" }
            ))
        };
        never("devices", approval.devices, most).or_else(|| never("connected", approval.connected, connected))
    }

    /// What is asked for at the end of a window can be approved when it has closed, and then has so long to start as it had to
    /// be approved.
    fn too_late(&self, approval: &Approval, of: &Mitigation<'_>, at: Millis) -> Option<String> {
        if approval.outside_of_window {
            return None;
        }
        let calendar = Calendar::new(self.windows_of(of.windows, of.actions)).ok()?;
        let closed = calendar.longest_closed_seconds(at);
        (closed > approval.within_seconds).then(|| {
            let [closed, within] = [closed, approval.within_seconds].map(|seconds| lasting(seconds * 1000));
            format!(
                "the windows are closed for up to {closed}, and what is approved has {within} to start ('within'): approved \
                 after a window, it is rejected before the next one; give more time, or say 'outsideOfWindow: true'"
            )
        })
    }
}

fn always(approval: &Approval) -> Option<String> {
    let more = approval.always && approval.looks_at_findings();
    more.then(|| {
        "every mitigation of the rule waits for an approval ('always'): 'severity', 'devices' and 'connected' change nothing"
            .to_owned()
    })
}

fn severity(approval: &Approval, of: &Mitigation<'_>) -> Option<String> {
    let (least, matcher) = (approval.severity?, &of.of_findings?.matcher);
    let checks = CheckName::known().filter(|check| matcher.may_take(check));
    let known: Vec<Severity> = checks.filter_map(|check| check.facts()).map(|facts| facts.severity).collect();
    let is_taken = |severity: Severity| matcher.severities == 0 || matcher.severities & bit(severity) != 0;
    let never = !known.is_empty() && !known.iter().any(|severity| *severity <= least && is_taken(*severity));
    never.then(|| {
        format!("the rule takes no finding that is {least} or worse: 'severity' never asks for an approval")
    })
}

/// How many devices a rule lets a finding have. None: what its actions do is not known.
fn limit(of: &Mitigation<'_>, actions: Option<&Actions>) -> Option<DeviceLimit> {
    if of.of_findings.is_none() {
        return Some(of.devices.of([ActionKind::AddThingsToThingGroup]));
    }
    let kinds = |actions: &Actions| {
        let kinds = of.actions.iter().map(|name| actions.kinds.get(name).copied().flatten());
        kinds.collect::<Option<Vec<ActionKind>>>()
    };
    match (actions.and_then(kinds), of.devices) {
        (Some(kinds), devices) => Some(devices.of(kinds)),
        (None, DeviceLimits::Any) => Some(DeviceLimit::Any),
        (None, DeviceLimits::AtMost { most, connected }) => Some(DeviceLimit::AtMost(most, connected)),
        (None, DeviceLimits::Default) => None,
    }
}
