//! What people are told about mitigations of alarms: what happened, to what, why, and what to do next.

use std::collections::BTreeSet;

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

use super::results::ViolationResult;
use crate::alerts::actions;
use crate::alerts::failed;
use crate::alerts::origin;

/// How many devices an alert names.
const NAMED: usize = 10;

/// The task ended, and not everything succeeded.
pub(super) fn ended(request: &AlarmMitigationRequest, state: State, results: &[ViolationResult]) -> Alert {
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
        description.push(text!("\n- and {} more; the ledger has them all", more));
    }
    let severity = if state == State::Canceled { AlertSeverity::Medium } else { AlertSeverity::High };
    let steps: &[&'static str] = match state {
        State::Canceled => &[
            "If it was canceled on purpose, nothing is left to do: what was applied stays applied.",
            "Else put the devices into the group by hand.",
        ],
        _ => &[
            "See whether the role of each mitigation action allows iot:AddThingToThingGroup, and whether a device is in 10 groups or in another one of the same hierarchy.",
            "Put the devices into the group by hand. What a failed action, or a person, has added is not released.",
        ],
    };
    alert(request, state.as_str(), severity, title, description, steps)
}

/// The task can never start.
pub(super) fn refused(request: &AlarmMitigationRequest, reason: &str) -> Alert {
    alert(
        request,
        "refused",
        AlertSeverity::High,
        text!("{}: a mitigation of {} was refused", of(request), devices(request)),
        text!("{}\nNothing was changed. `{}`", about(request), reason),
        &[
            "See whether the mitigation actions that the rule names exist in this account and region and are of the type ADD_THINGS_TO_THING_GROUP.",
            "Then redrive the mitigation dead-letter queue: the same task starts if the alarm still lasts.",
        ],
    )
}

/// The policy has windows, and none opens for over a year. Told once for a rule and behavior.
pub(super) fn shut(request: &AlarmMitigationRequest, reason: &str) -> Alert {
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

/// The policy's windows hold the task for longer than a day. Told once for a rule and behavior.
pub(super) fn held(request: &AlarmMitigationRequest, reason: &str) -> Alert {
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
            "Else nothing is left to do: it starts when the window opens, if the alarm still lasts.",
        ],
    );
    Alert { kind: Kind::MitigationHeld, ..of_rule(request, alert) }
}

/// Not all that was to be mitigated is as it was decided. Raised once for a rule, behavior and policy.
pub(super) fn left_out(request: &AlarmMitigationRequest, policy: &str, reason: &str) -> Alert {
    let alert = alert(
        request,
        &format!("left out by {policy}"),
        AlertSeverity::Medium,
        text!("{}: not all that was to be mitigated starts", of(request)),
        text!(
            "{}\nEach violation is asked about again right before the start. Now: `{}` The same may be true of other \
             mitigations of this rule; the ledger and the log have each.",
            about(request),
            reason
        ),
        &[
            "If the policy, or the device, was changed for this, nothing is left to do: nothing was changed in the fleet.",
            "Otherwise correct the policy file and deploy it, and put the device into the group by hand if it cannot wait.",
        ],
    );
    of_rule(request, alert)
}

/// The task could not start for a day, or was held for 90 days.
pub(super) fn given_up(request: &AlarmMitigationRequest, reason: &str) -> Alert {
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
pub(super) fn slow(request: &AlarmMitigationRequest) -> Alert {
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
pub(super) fn endless(request: &AlarmMitigationRequest) -> Alert {
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
pub(super) fn lost(request: &AlarmMitigationRequest) -> Alert {
    alert(
        request,
        "lost",
        AlertSeverity::High,
        text!("{}: a mitigation task is gone", of(request)),
        text!(
            "{}\nThe service does not know the task any more, so what it changed is not known and is not released.",
            about(request)
        ),
        &["See which groups the devices are in, and in CloudTrail what the roles of its actions did."],
    )
}

/// A thing was taken out of the groups that it was put into.
pub(super) fn released(
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
            "{}\nThe alarm of `{}` (violation `{}`) has been clear for the time that its rule says: it was taken out of {}, into which the mitigation had put it.",
            about(request),
            thing,
            violation.violation_id,
            named(groups)
        ),
        &["Nothing is left to do. If it was not fixed, a new alarm mitigates it again."],
    );
    Alert { kind: Kind::MitigationReleased, ..alert }
}

/// A thing could not be taken out of a group. Told once for a violation and group.
pub(super) fn release_refused(
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
            "{}\nThe alarm of `{}` has been clear for long enough, and it stays in `{}`: `{}` It is tried again every 15 minutes, for 90 days after the task.",
            about(request),
            thing,
            group,
            reason
        ),
        &[
            "Deploy the stack with AllowMitigation=true: apply-mitigations needs iot:RemoveThingFromThingGroup.",
            "Or take the thing out of the group by hand.",
        ],
    )
}

/// Things stay in their groups: what was to be released could not be within 90 days.
pub(super) fn kept(request: &AlarmMitigationRequest, violations: &[&ViolationRef]) -> Alert {
    let mut description = about(request);
    description.push("\nFor 90 days their alarms were not clear for long enough, or the policy did not release them. They stay in the groups, and nobody looks at them any more:");
    for violation in violations.iter().take(NAMED) {
        description.push(text!("\n- `{}`", violation.thing));
    }
    let more = violations.len().saturating_sub(NAMED);
    if more > 0 {
        description.push(text!("\n- and {} more; the ledger has them all", more));
    }
    alert(
        request,
        "kept",
        AlertSeverity::Medium,
        text!("{}: {} not released within 90 days", of(request), violations.len()),
        description,
        &["Look at each device, and take it out of the group by hand if it is well."],
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

/// Every alert, with a text for all that is from outside.
#[cfg(test)]
pub(crate) fn every(text: &str) -> Vec<Alert> {
    let violation = ViolationRef {
        violation_id: text.to_owned(),
        thing: text.to_owned(),
        raised_at: fleetwarden_core::timestamp::Millis(0),
    };
    let request = AlarmMitigationRequest {
        account: text.to_owned(),
        region: text.to_owned(),
        profile: text.to_owned(),
        behavior: text.to_owned(),
        origin: fleetwarden_core::message::Origin::Rule(text.to_owned()),
        mode: fleetwarden_core::policy::Mode::Enforce,
        policy: None,
        actions: vec![text.to_owned(), text.to_owned()],
        violations: vec![violation.clone(); 12],
        release_after_seconds: None,
    };
    let groups = BTreeSet::from([text.to_owned()]);
    let actions = vec![crate::tests::hostile::action(text)];
    let result = ViolationResult { violation: violation.clone(), actions, groups: groups.clone() };
    vec![
        ended(&request, State::Failed, &vec![result; 12]),
        refused(&request, text),
        shut(&request, text),
        held(&request, text),
        left_out(&request, text, text),
        given_up(&request, text),
        slow(&request),
        endless(&request),
        lost(&request),
        released(&request, &violation, &groups),
        release_refused(&request, &violation, text, text),
        kept(&request, &[&violation, &violation]),
    ]
}
