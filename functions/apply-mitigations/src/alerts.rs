//! What people are told about mitigations: what happened, to what, why, and what to do next.

use fleetwarden_aws::mitigations::State;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

use crate::follow::Statistics;
use crate::results::FindingResult;
use fleetwarden_core::model::mitigation::view::ActionResult;

/// How many things of a finding an alert names.
const THINGS: usize = 5;

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
        description.push(text!("\n- and {} more; the ledger has them all", more));
    }
    let severity = if state == State::Canceled { AlertSeverity::Medium } else { AlertSeverity::High };
    let steps: &[&'static str] = match state {
        State::Canceled => &[
            "If it was canceled on purpose, nothing is left to do: what was applied stays applied.",
            "Else mitigate by hand what cannot wait: the next audit finds the rest again, under new ids.",
        ],
        State::Completed => &[
            "Findings that are suppressed, or that the task's filter passes over, are skipped: see whether that is meant.",
            "Else mitigate them by hand, or wait for the next audit, which finds them again.",
        ],
        _ => &[
            "See whether the role of each mitigation action allows what the action does; Device Defender assumes it.",
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
pub(crate) fn refused(request: &MitigationRequest, reason: &str) -> Alert {
    alert(
        request,
        "refused",
        AlertSeverity::High,
        text!("{}: a mitigation of {} was refused", request.check, findings(request)),
        text!("{}\nNothing was changed. `{}`", about(request), reason),
        &[
            "See whether the mitigation actions that the rule names exist in this account and region and fit the check.",
            "Then redrive the mitigation dead-letter queue: the same task starts, and takes nothing twice.",
        ],
    )
}

/// The policy has windows, and none opens for over a year. Told once for a rule of an audit.
pub(crate) fn shut(request: &MitigationRequest, reason: &str) -> Alert {
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
                "Mend `windows` in the policy file and deploy it.",
                "Then redrive the mitigation dead-letter queue: the same tasks start when a window opens.",
            ],
        )
    }
}

/// The policy's windows hold the task for longer than a day. Told once for a rule of an audit.
pub(crate) fn held(request: &MitigationRequest, reason: &str) -> Alert {
    Alert {
        kind: Kind::MitigationHeld,
        about: of_rule(request, "held"),
        ..alert(
            request,
            "held",
            AlertSeverity::Medium,
            text!("{}: mitigations wait for more than a day", request.check),
            text!(
                "{}\nIt is {}, and so is every mitigation of this rule and audit that comes before then.",
                about(request),
                reason
            ),
            &[
                "If it cannot wait, change `windows` in the policy file and deploy it: what waits starts within 15 minutes.",
                "Else nothing is left to do: it starts when the window opens, unless a later audit of the check decides anew.",
            ],
        )
    }
}

/// The policy of now does not mitigate what was decided, or not all of it. Raised once for a rule of an audit.
pub(crate) fn left_out(request: &MitigationRequest, policy: &str, reason: &str) -> Alert {
    Alert {
        about: of_rule(request, &format!("left out by {policy}")),
        ..alert(
            request,
            "left-out",
            AlertSeverity::Medium,
            text!(
                "{}: not all that was to be mitigated starts: the policy decides otherwise now",
                request.check
            ),
            text!(
                "{}\nEach finding is decided on again right before its start. Now: `{}` The same may be true of other \
                 mitigations of this rule and audit; the ledger and the log have each.",
                about(request),
                reason
            ),
            &[
                "If the policy, or what is behind the findings, was changed for this, nothing is left to do: what is left out was not changed in the fleet.",
                "Otherwise correct the policy file and deploy it: the next audit decides on what is still there.",
            ],
        )
    }
}

/// The task could not start for a day, or was held for 90 days.
pub(crate) fn given_up(request: &MitigationRequest, reason: &str) -> Alert {
    alert(
        request,
        "given-up",
        AlertSeverity::High,
        text!("{}: a mitigation of {} has not started", request.check, findings(request)),
        text!("{}\nNothing was changed. `{}`", about(request), reason),
        &[
            "Cancel mitigation tasks that hang: ten can run at once in an account and region.",
            "Then redrive the mitigation dead-letter queue: it waits for another day. Findings are kept for 90 days; what is older does not start.",
        ],
    )
}

/// The task runs for more than a day.
pub(crate) fn slow(request: &MitigationRequest) -> Alert {
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
pub(crate) fn endless(request: &MitigationRequest) -> Alert {
    alert(
        request,
        "endless",
        AlertSeverity::High,
        text!("{}: a mitigation task has run for 90 days", request.check),
        text!("{}\nIt is not followed any more, so how it ends is not recorded.", about(request)),
        &[
            "Cancel the task: it is one of the ten that can run at once.",
            "Run an audit of the check: what was not mitigated is found again.",
        ],
    )
}

/// The task was started, and the service does not know it.
pub(crate) fn lost(request: &MitigationRequest) -> Alert {
    alert(
        request,
        "lost",
        AlertSeverity::High,
        text!("{}: a mitigation task is gone", request.check),
        text!(
            "{}\nThe service does not know the task any more, so nobody can tell what it changed.",
            about(request)
        ),
        &[
            "Look into CloudTrail for what the roles of its actions did.",
            "Run an audit of the check: what was not mitigated is found again.",
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

/// Who asked for a mitigation.
pub(crate) fn origin(origin: &Origin) -> Text {
    match origin {
        Origin::Rule(rule) => text!("rule `{}`", rule),
        Origin::Command(_) => Text::own("asked for by a command"),
    }
}

/// The mitigation actions of a task.
pub(crate) fn actions(actions: &[String]) -> Text {
    Text::joined(actions.iter().map(|action| text!("`{}`", action)), ", ")
}

/// What became of an action that did not succeed.
pub(crate) fn failed(action: &ActionResult) -> Text {
    let code = action.error_code.as_deref().map_or(Text::own("no error code"), |code| text!("{}", code));
    let message = action.message.as_deref().map_or(Text::own("no message"), |message| text!("{}", message));
    text!("; `{}` {}: {}: {}", action.action, action.status, code, message)
}
