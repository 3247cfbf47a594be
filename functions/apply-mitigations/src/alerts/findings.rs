//! Alerts on mitigations of findings.

use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::State;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

use super::Event;
use super::actions;
use super::approval_steps;
use super::failed;
use super::origin;
use crate::findings::results::FindingResult;
use crate::findings::statistics::Statistics;

/// How many things of a finding an alert names.
const THINGS: usize = 5;

/// What people are alerted of, as it is with every mitigation.
pub(crate) fn alert_of(request: &MitigationRequest, event: Event<'_>) -> Alert {
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
pub(crate) fn ended(
    request: &MitigationRequest,
    state: State,
    all: Statistics,
    failures: &[FindingResult],
) -> Alert {
    let title =
        text!("{}: {} of {} mitigations did not succeed", request.check, all.not_succeeded(), all.total);
    let mut description = text!(
        "{}\nThe task ended as {}. Findings: {} succeeded, {} failed, {} skipped, {} canceled.",
        about(request),
        state.as_str(),
        all.succeeded,
        all.failed,
        all.skipped,
        all.canceled
    );
    for failure in failures {
        description.push(text!("\n- finding `{}`{}: {}", failure.finding_id, of(failure), failure.state()));
        for action in failure.actions.iter().filter(|action| action.status != "COMPLETED") {
            description.push(failed(action));
        }
    }
    let more = usize::try_from(all.not_succeeded()).unwrap_or_default().saturating_sub(failures.len());
    if more > 0 && !failures.is_empty() {
        description.push(text!("\n- and {} more: all of them are in the ledger", more));
    }
    let severity = if state == State::Canceled { AlertSeverity::Medium } else { AlertSeverity::High };
    let steps: &[&'static str] = match state {
        State::Canceled => &[
            "If it was canceled on purpose, there is nothing to do: the actions that were applied stay applied.",
            "Otherwise mitigate by hand what cannot wait: the next audit finds the rest again, under new ids.",
        ],
        State::Completed => &[
            "Device Defender skips findings that are suppressed, and those that the task's filter leaves out: check that this is intended.",
            "Otherwise mitigate them by hand, or wait for the next audit, which finds them again.",
        ],
        _ => &[
            "Check that the role of each mitigation action allows what the action does: Device Defender assumes this role.",
            "Mitigate by hand what cannot wait: the next audit finds the rest again, under new ids.",
        ],
    };
    alert(request, state.as_str(), severity, title, description, steps)
}

/// What a finding is about: its resource, and the things behind it.
fn of(failure: &FindingResult) -> Text {
    let resource = failure.resource.as_ref().map(|resource| text!(" of `{}`", resource.label()));
    let things = failure.things.as_deref().unwrap_or_default();
    let named = Text::joined(things.iter().take(THINGS).map(|thing| text!("`{}`", thing)), ", ");
    let more = things.len().saturating_sub(THINGS);
    let more = if more > 0 { text!(" and {} more", more) } else { Text::default() };
    let things = match things.len() {
        0 => Text::default(),
        1 => text!(", thing {}", named),
        _ => text!(", things {}{}", named, more),
    };
    text!("{}{}", resource.unwrap_or_default(), things)
}

/// The task can never start.
fn refused(request: &MitigationRequest, reason: &str) -> Alert {
    alert(
        request,
        "refused",
        AlertSeverity::High,
        text!("{}: a mitigation of {} was refused", request.check, findings(request)),
        text!("{}\nNothing was changed. `{}`", about(request), reason),
        &[
            "Check that the mitigation actions of the rule exist in this account and region and can be used for this check.",
            "Then redrive the mitigation dead-letter queue: the same task starts, and no finding is mitigated twice.",
        ],
    )
}

/// It has windows, and none opens for over a year. Raised once for a rule of an audit.
fn shut(request: &MitigationRequest, reason: &str) -> Alert {
    Alert {
        about: of_rule(request, "shut"),
        ..alert(
            request,
            "shut",
            AlertSeverity::High,
            text!("{}: mitigations are refused: no window opens for over a year", request.check),
            text!(
                "{}\nNothing was changed. `{}` The same is true of every mitigation of this rule and audit.",
                about(request),
                reason
            ),
            &[
                "Correct `windows` in the policy file and deploy it.",
                "Then redrive the mitigation dead-letter queue: the same tasks start when a window opens.",
            ],
        )
    }
}

/// Windows hold the task for longer than a day. Raised once for a rule of an audit.
fn held(request: &MitigationRequest, reason: &str) -> Alert {
    Alert {
        kind: Kind::MitigationHeld,
        about: of_rule(request, "held"),
        ..alert(
            request,
            "held",
            AlertSeverity::Medium,
            text!("{}: mitigations wait for more than a day", request.check),
            text!(
                "{}\nIt is {}. So is every mitigation of this rule and audit that comes before then.",
                about(request),
                reason
            ),
            &[
                "If it cannot wait, change `windows` in the policy file and deploy it: what waits starts within 15 minutes.",
                "Otherwise there is nothing to do: it starts when the window opens, unless a later audit of the check decides again.",
            ],
        )
    }
}

/// A person has to approve the task. Raised once for what is explained.
fn needs_approval(request: &MitigationRequest, known: &KnownApproval) -> Alert {
    let what = format!("approval of {} until {}", known.asking.explanation.id(), known.until.0);
    Alert {
        kind: Kind::MitigationApproval,
        ..alert(
            request,
            &what,
            AlertSeverity::High,
            text!("{}: a mitigation of {} waits for approval", request.check, findings(request)),
            super::approval(&about(request), &request.task_id(), known),
            approval_steps(known),
        )
    }
}

/// The task goes over a budget. Raised once for a rule of an audit.
fn over_budget(request: &MitigationRequest, reason: &str) -> Alert {
    Alert {
        kind: Kind::MitigationHeld,
        about: of_rule(request, "over budget"),
        ..alert(
            request,
            "over budget",
            AlertSeverity::Medium,
            text!("{}: mitigations are held by a budget", request.check),
            text!(
                "{}\nIt is `{}`. Other mitigations of this rule and audit may be held too: each goes on by itself when \
                 there is room.",
                about(request),
                reason
            ),
            &[
                "See what has used the budget: `fleetwarden mitigation budget`. Is it more than you expect, pause: `fleetwarden mitigation pause`.",
                "If it is right and cannot wait, raise `budgets` in the policy file and deploy it: what waits starts within 15 minutes.",
                "Otherwise there is nothing to do, unless the budget never has room for so many.",
            ],
        )
    }
}

/// The policy of now does not mitigate what was decided, or not all of it. Raised once for a rule of an audit.
fn left_out(request: &MitigationRequest, policy: &str, reason: &str) -> Alert {
    Alert {
        about: of_rule(request, &format!("left out by {policy}")),
        ..alert(
            request,
            "left-out",
            AlertSeverity::Medium,
            text!("{}: some findings are not mitigated: the policy decides differently now", request.check),
            text!(
                "{}\nEach finding is decided on again right before its start. Now: `{}` The same may be true of other \
                 mitigations of this rule and audit; the ledger and the log have each.",
                about(request),
                reason
            ),
            &[
                "If you changed the policy, or a thing, for this, there is nothing to do: the findings that are left out caused no change in the fleet.",
                "Otherwise correct the policy file and deploy it: the next audit decides on what is still there.",
            ],
        )
    }
}

/// More devices stand behind some findings than the rule allows. Raised once for a rule of an audit.
fn too_many_devices(request: &MitigationRequest, reason: &str) -> Alert {
    Alert {
        about: of_rule(request, "devices"),
        ..alert(
            request,
            "too-many-devices",
            AlertSeverity::Medium,
            text!("{}: some findings are not mitigated: too many devices stand behind them", request.check),
            text!(
                "{}\nNow: `{}` The same may be true of other mitigations of this rule and audit; the ledger and the log have \
                 each.",
                about(request),
                reason
            ),
            &[
                "Nothing was changed for these findings. See what each is about: `fleetwarden mitigation show`.",
                "If it is right to mitigate them, raise `devices` of the rule in the policy file and deploy it: the next audit decides on what is still there.",
                "Otherwise mitigate them by hand, device by device.",
            ],
        )
    }
}

/// The task could not start for a day, or was held for 90 days.
fn given_up(request: &MitigationRequest, reason: &str) -> Alert {
    alert(
        request,
        "given-up",
        AlertSeverity::High,
        text!("{}: a mitigation of {} has not started", request.check, findings(request)),
        text!("{}\nNothing was changed. `{}`", about(request), reason),
        &[
            "Cancel mitigation tasks that hang: ten can run at once in an account and region.",
            "Then redrive the mitigation dead-letter queue: it waits for another day. Device Defender keeps findings for 90 days; older ones cannot be mitigated.",
        ],
    )
}

/// The task runs for more than a day.
fn slow(request: &MitigationRequest) -> Alert {
    alert(
        request,
        "slow",
        AlertSeverity::Medium,
        text!("{}: a mitigation task runs for more than a day", request.check),
        text!("{}\nIt is followed until it ends, for 90 days.", about(request)),
        &["Cancel the task if it hangs: it is one of the ten that can run at once."],
    )
}

/// The task still runs after the time for which the service keeps a task.
fn endless(request: &MitigationRequest) -> Alert {
    alert(
        request,
        "endless",
        AlertSeverity::High,
        text!("{}: a mitigation task has run for 90 days", request.check),
        text!("{}\nIt is not followed any more, so how it ends is not recorded.", about(request)),
        &[
            "Cancel the task: it is one of the ten that can run at once.",
            "Run an audit of the check: it finds again what was not mitigated.",
        ],
    )
}

/// The task was started, and the service does not know it.
fn lost(request: &MitigationRequest) -> Alert {
    alert(
        request,
        "lost",
        AlertSeverity::High,
        text!("{}: a mitigation task is gone", request.check),
        text!("{}\nThe service does not know the task any more: what it changed is unknown.", about(request)),
        &[
            "See in CloudTrail what the roles of its actions did.",
            "Run an audit of the check: it finds again what was not mitigated.",
        ],
    )
}

fn alert(
    request: &MitigationRequest,
    what: &str,
    severity: AlertSeverity,
    title: Text,
    description: Text,
    next_steps: &[&'static str],
) -> Alert {
    Alert {
        kind: Kind::MitigationFailed,
        severity,
        about: format!("{} {} {what}", request.task_id(), request.check),
        thread: format!("audit {}", request.audit.task_id),
        title,
        description,
        next_steps: next_steps.iter().copied().map(Text::own).collect(),
        subject: Subject::Mitigation {
            task_id: request.task_id(),
            audit_task_id: Some(request.audit.task_id.to_string()),
        },
    }
}

/// What an alert is about that is the same for all tasks of a rule and audit.
fn of_rule(request: &MitigationRequest, what: &str) -> String {
    format!("{} {} {what}", request.check, request.origin.rule().unwrap_or_default())
}

fn about(request: &MitigationRequest) -> Text {
    text!(
        "**{}**, {}, actions {}, on {} of audit `{}`; mitigation task `{}`.",
        request.check,
        origin(&request.origin),
        actions(&request.actions),
        findings(request),
        request.audit.task_id,
        request.task_id()
    )
}

fn findings(request: &MitigationRequest) -> Text {
    match request.count() {
        1 => Text::own("1 finding"),
        count => text!("{} findings", count),
    }
}
