//! Alerts on mitigations of alarms.

use std::collections::BTreeSet;

use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::State;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::alarm::SeriesKey;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

use super::Event;
use super::actions;
use super::approval_steps;
use super::failed;
use super::origin;
use crate::alarms::results::ViolationResult;

/// How many devices an alert names.
const NAMED: usize = 10;

/// What people are alerted of, as it is with every mitigation.
pub(crate) fn alert_of(request: &AlarmMitigationRequest, event: Event<'_>) -> Alert {
    match event {
        Event::Refused(reason) => refused(request, reason),
        Event::Shut(reason) => shut(request, reason),
        Event::Held(reason) => held(request, reason),
        Event::NeedsApproval(known) => needs_approval(request, known),
        Event::OverBudget(reason) => over_budget(request, reason),
        Event::LeftOut { policy, reason } => left_out(request, policy, reason),
        Event::TooManyDevices(reason) => too_many_devices(request, reason),
        Event::GivenUp(reason) => given_up(request, reason),
        Event::Slow => slow(request),
        Event::Endless => endless(request),
        Event::Lost => lost(request),
    }
}

/// The task ended, and not everything succeeded.
pub(crate) fn ended(request: &AlarmMitigationRequest, state: State, results: &[ViolationResult]) -> Alert {
    let is_bad = |result: &&ViolationResult| !matches!(result.state(), "completed" | "not-in-alarm");
    let bad: Vec<&ViolationResult> = results.iter().filter(is_bad).collect();
    let title = text!("{}: {} of {} mitigations did not succeed", of(request), bad.len(), results.len());
    let mut description = text!("{}\nThe task ended as {}.", about(request), state.as_str());
    for result in bad.iter().take(NAMED) {
        let ViolationRef { thing, violation_id, .. } = &result.violation;
        description.push(text!("\n- `{}` (violation `{}`): {}", thing, violation_id, result.state()));
        for action in result.actions.iter().filter(|action| action.status != "SUCCESSFUL") {
            description.push(failed(action));
        }
    }
    let more = bad.len().saturating_sub(NAMED);
    if more > 0 {
        description.push(text!("\n- and {} more: all of them are in the ledger", more));
    }
    let severity = if state == State::Canceled { AlertSeverity::Medium } else { AlertSeverity::High };
    let steps: &[&'static str] = match state {
        State::Canceled => &[
            "If it was canceled on purpose, there is nothing to do: the actions that were applied stay applied.",
            "Otherwise put the devices into the group by hand.",
        ],
        _ => &[
            "Check that the role of each mitigation action allows iot:AddThingToThingGroup, and that no device is in 10 groups already or in another one of the same hierarchy.",
            "Put the devices into the group by hand. Groups that a failed action or a person added are not released.",
        ],
    };
    alert(request, state.as_str(), severity, title, description, steps)
}

/// The task can never start.
fn refused(request: &AlarmMitigationRequest, reason: &str) -> Alert {
    alert(
        request,
        "refused",
        AlertSeverity::High,
        text!("{}: a mitigation of {} was refused", of(request), devices(request)),
        text!("{}\nNothing was changed. `{}`", about(request), reason),
        &[
            "Check that the mitigation actions of the rule exist in this account and region and are of the type ADD_THINGS_TO_THING_GROUP.",
            "Then redrive the mitigation dead-letter queue: the same task starts if the alarm still lasts.",
        ],
    )
}

/// It has windows, and none opens for over a year. Raised once for a rule and behavior.
fn shut(request: &AlarmMitigationRequest, reason: &str) -> Alert {
    of_rule(
        request,
        alert(
            request,
            "shut",
            AlertSeverity::High,
            text!("{}: mitigations are refused: no window opens for over a year", of(request)),
            text!("{}\nNothing was changed. `{}`", about(request), reason),
            &[
                "Correct `windows` in the policy file and deploy it.",
                "Then redrive the mitigation dead-letter queue: the same tasks start when a window opens, if their alarms still last.",
            ],
        ),
    )
}

/// Windows hold the task for longer than a day. Raised once for a rule and behavior.
fn held(request: &AlarmMitigationRequest, reason: &str) -> Alert {
    let alert = alert(
        request,
        "held",
        AlertSeverity::Medium,
        text!("{}: mitigations wait for more than a day", of(request)),
        text!(
            "{}\nIt is {}, and so is every mitigation of this rule and behavior that comes before then.",
            about(request),
            reason
        ),
        &[
            "If it cannot wait, change `windows` in the policy file and deploy it: what waits starts within 15 minutes.",
            "Otherwise there is nothing to do: it starts when the window opens, if the alarm still lasts.",
        ],
    );
    Alert { kind: Kind::MitigationHeld, ..of_rule(request, alert) }
}

/// A person has to approve the task. Raised once for what is explained.
fn needs_approval(request: &AlarmMitigationRequest, known: &KnownApproval) -> Alert {
    let what = format!("approval of {} until {}", known.asking.explanation.id(), known.until.0);
    Alert {
        kind: Kind::MitigationApproval,
        ..alert(
            request,
            &what,
            AlertSeverity::High,
            text!("{}: a mitigation of {} waits for approval", of(request), devices(request)),
            super::approval(&about(request), &request.task_id(), known),
            approval_steps(known),
        )
    }
}

/// The task goes over a budget. Raised once for a rule and behavior.
fn over_budget(request: &AlarmMitigationRequest, reason: &str) -> Alert {
    let alert = alert(
        request,
        "over budget",
        AlertSeverity::Medium,
        text!("{}: mitigations are held by a budget", of(request)),
        text!(
            "{}\nIt is `{}`. Other mitigations of this rule and behavior may be held too: each goes on by itself when there \
             is room, if its alarm still lasts.",
            about(request),
            reason
        ),
        &[
            "See what has used the budget: `fleetwarden mitigation budget`. Is it more than you expect, pause: `fleetwarden mitigation pause`.",
            "If it is right and cannot wait, raise `budgets` in the policy file and deploy it: what waits starts within 15 minutes.",
            "Otherwise there is nothing to do, unless the budget never has room for so many.",
        ],
    );
    Alert { kind: Kind::MitigationHeld, ..of_rule(request, alert) }
}

/// Not all that was to be mitigated is as it was decided. Raised once for a rule, behavior and policy.
fn left_out(request: &AlarmMitigationRequest, policy: &str, reason: &str) -> Alert {
    let alert = alert(
        request,
        &format!("left out by {policy}"),
        AlertSeverity::Medium,
        text!("{}: some violations are not mitigated", of(request)),
        text!(
            "{}\nEach violation is checked again right before the start. Now: `{}` The same may be true of other \
             mitigations of this rule; the ledger and the log have each.",
            about(request),
            reason
        ),
        &[
            "If you changed the policy, or the device, for this, there is nothing to do: nothing was changed in the fleet.",
            "Otherwise correct the policy file and deploy it, and put the device into the group by hand if it cannot wait.",
        ],
    );
    of_rule(request, alert)
}

/// More devices stand behind some violations than the rule allows. Raised once for a rule and behavior.
fn too_many_devices(request: &AlarmMitigationRequest, reason: &str) -> Alert {
    let alert = alert(
        request,
        "devices",
        AlertSeverity::Medium,
        text!("{}: some violations are not mitigated: too many devices are connected", of(request)),
        text!(
            "{}\nNow: `{}` The same may be true of other mitigations of this rule; the ledger and the log have each.",
            about(request),
            reason
        ),
        &[
            "Nothing was changed for these devices. If it is right to mitigate them, raise `devices` of the rule in the policy file and deploy it: it counts from the next alarm on.",
            "Put the device into the group by hand if it cannot wait.",
        ],
    );
    of_rule(request, alert)
}

/// The task could not start for a day, or was held for 90 days.
fn given_up(request: &AlarmMitigationRequest, reason: &str) -> Alert {
    alert(
        request,
        "given-up",
        AlertSeverity::High,
        text!("{}: a mitigation of {} has not started", of(request), devices(request)),
        text!("{}\nNothing was changed. `{}`", about(request), reason),
        &[
            "Cancel mitigation tasks that hang: five of Detect can run at once in an account and region.",
            "Then redrive the mitigation dead-letter queue: it waits for another day, if the alarm still lasts.",
        ],
    )
}

/// The task runs for more than a day.
fn slow(request: &AlarmMitigationRequest) -> Alert {
    alert(
        request,
        "slow",
        AlertSeverity::Medium,
        text!("{}: a mitigation task runs for more than a day", of(request)),
        text!("{}\nIt is followed until it ends, for 90 days.", about(request)),
        &["Cancel the task if it hangs: it is one of the five that can run at once."],
    )
}

/// The task still runs after the time for which the service keeps a task.
fn endless(request: &AlarmMitigationRequest) -> Alert {
    alert(
        request,
        "endless",
        AlertSeverity::High,
        text!("{}: a mitigation task has run for 90 days", of(request)),
        text!(
            "{}\nIt is not followed any more, so how it ends is not recorded, and nothing of it is released.",
            about(request)
        ),
        &["Cancel the task: it is one of the five that can run at once."],
    )
}

/// The task was started, and the service does not know it.
fn lost(request: &AlarmMitigationRequest) -> Alert {
    alert(
        request,
        "lost",
        AlertSeverity::High,
        text!("{}: a mitigation task is gone", of(request)),
        text!(
            "{}\nThe service does not know the task any more: what it changed is unknown and is not released.",
            about(request)
        ),
        &["See which groups the devices are in, and in CloudTrail what the roles of its actions did."],
    )
}

/// A thing was taken out of the groups that it was put into.
pub(crate) fn released(
    request: &AlarmMitigationRequest,
    violation: &ViolationRef,
    groups: &BTreeSet<String>,
) -> Alert {
    let thing = &violation.thing;
    let alert = alert(
        request,
        &format!("released {}", violation.violation_id),
        AlertSeverity::Low,
        text!("{}: `{}` is released", of(request), thing),
        text!(
            "{}\nThe alarm of `{}` (violation `{}`) has been clear for as long as its rule says. It was removed from {}, to which the mitigation had added it.",
            about(request),
            thing,
            violation.violation_id,
            named(groups)
        ),
        &["There is nothing to do. If the cause was not fixed, the next alarm mitigates it again."],
    );
    Alert { kind: Kind::MitigationReleased, ..alert }
}

/// A thing could not be taken out of a group. Raised once for a violation and group.
pub(crate) fn release_refused(
    request: &AlarmMitigationRequest,
    violation: &ViolationRef,
    group: &str,
    reason: &str,
) -> Alert {
    let thing = &violation.thing;
    alert(
        request,
        &format!("release refused {} {group}", violation.violation_id),
        AlertSeverity::Medium,
        text!("{}: `{}` cannot be released", of(request), thing),
        text!(
            "{}\nThe alarm of `{}` has been clear for long enough, but it is still in `{}`: `{}` Fleetwarden tries again every 15 minutes, for 90 days after the task.",
            about(request),
            thing,
            group,
            reason
        ),
        &[
            "Deploy the stack with AllowMitigation=true: apply-mitigations needs iot:RemoveThingFromThingGroup.",
            "Or remove the thing from the group by hand.",
        ],
    )
}

/// Things stay in their groups: what was to be released could not be within 90 days.
pub(crate) fn kept(request: &AlarmMitigationRequest, violations: &[&ViolationRef]) -> Alert {
    let mut description = about(request);
    description.push("\nFor 90 days their alarms were not clear for long enough, or the policy did not release them. They stay in the groups and are not checked any more:");
    for violation in violations.iter().take(NAMED) {
        description.push(text!("\n- `{}`", violation.thing));
    }
    let more = violations.len().saturating_sub(NAMED);
    if more > 0 {
        description.push(text!("\n- and {} more: all of them are in the ledger", more));
    }
    alert(
        request,
        "kept",
        AlertSeverity::Medium,
        text!("{}: {} not released within 90 days", of(request), violations.len()),
        description,
        &["Check each device, and remove it from the group by hand if it is in order."],
    )
}

fn alert(
    request: &AlarmMitigationRequest,
    what: &str,
    severity: AlertSeverity,
    title: Text,
    description: Text,
    next_steps: &[&'static str],
) -> Alert {
    Alert {
        kind: Kind::MitigationFailed,
        severity,
        about: format!("{} {what}", request.task_id()),
        thread: thread(request),
        title,
        description,
        next_steps: next_steps.iter().copied().map(Text::own).collect(),
        subject: Subject::Mitigation { task_id: request.task_id(), audit_task_id: None },
    }
}

/// The thread of the device's alarms, or of the behavior's if there are several devices.
fn thread(request: &AlarmMitigationRequest) -> String {
    let AlarmMitigationRequest { account, region, profile, behavior, violations, .. } = request;
    match violations.as_slice() {
        [one] => format!("alarm {}", SeriesKey::new((account, region), profile, behavior, &one.thing)),
        _ => series(request),
    }
}

/// The alert is the same for all tasks of a rule and behavior.
fn of_rule(request: &AlarmMitigationRequest, alert: Alert) -> Alert {
    let what = alert.about.split_once(' ').map_or("", |(_, what)| what);
    let about = format!("{} {what}", request.origin.rule().unwrap_or_default());
    Alert { about, thread: series(request), ..alert }
}

fn about(request: &AlarmMitigationRequest) -> Text {
    let names: BTreeSet<String> =
        request.violations.iter().take(NAMED).map(|violation| violation.thing.clone()).collect();
    text!(
        "**{}**, {}, actions {}, on {} ({}); mitigation task `{}`.",
        of(request),
        origin(&request.origin),
        actions(&request.actions),
        devices(request),
        named(&names),
        request.task_id()
    )
}

fn devices(request: &AlarmMitigationRequest) -> Text {
    match request.violations.len() {
        1 => Text::own("1 device"),
        count => text!("{} devices", count),
    }
}

fn of(request: &AlarmMitigationRequest) -> Text {
    text!("{} {}", request.profile, request.behavior)
}

/// The thread of a behavior's alarms.
fn series(request: &AlarmMitigationRequest) -> String {
    format!("alarm {} {}", request.profile, request.behavior)
}

fn named(names: &BTreeSet<String>) -> Text {
    Text::joined(names.iter().map(|name| text!("`{}`", name)), ", ")
}
