//! What people are alerted of about mitigations: what happened, to what, why, and what to do next.

pub(crate) mod alarms;
pub(crate) mod canary;
pub(crate) mod findings;
pub(crate) mod refusals;

use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_core::message::Origin;
use fleetwarden_core::model::mitigation::view::ActionResult;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

/// What can happen to a mitigation of either kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'e> {
    /// The task can never start.
    Refused(&'e str),
    /// No window of the policy opens for over a year.
    Shut(&'e str),
    /// Windows hold the task for longer than a day.
    Held(&'e str),
    /// A person has to approve the task.
    NeedsApproval(&'e KnownApproval),
    /// The task goes over a budget.
    OverBudget(&'e str),
    /// Not all that was to be mitigated is, under the policy with this hash.
    LeftOut { policy: &'e str, reason: &'e str },
    /// Some of it is not mitigated, because more devices stand behind it than the rule allows.
    TooManyDevices(&'e str),
    /// The task could not start for a day, or was held for 90 days.
    GivenUp(&'e str),
    /// The task runs for more than a day.
    Slow,
    /// The task still runs after the time for which the service keeps a task.
    Endless,
    /// The task was started, and the service does not know it.
    Lost,
}

/// Who asked for a mitigation.
fn origin(origin: &Origin) -> Text {
    match origin {
        Origin::Rule(rule) => text!("rule `{}`", rule),
        Origin::Command(_) => Text::own("asked for by a command"),
    }
}

/// The mitigation actions of a task.
fn actions(actions: &[String]) -> Text {
    Text::joined(actions.iter().map(|action| text!("`{}`", action)), ", ")
}

/// What became of an action that did not succeed.
fn failed(action: &ActionResult) -> Text {
    let code = action.error_code.as_deref().map_or(Text::own("no error code"), |code| text!("{}", code));
    let message = action.message.as_deref().map_or(Text::own("no message"), |message| text!("{}", message));
    text!("; `{}` {}: {}: {}", action.action, action.status, code, message)
}

/// What a person has to approve: why, what each action does, how many devices it is about, and until when. `what` says
/// what it is for.
fn approval(what: &Text, task_id: &str, known: &KnownApproval) -> Text {
    let explanation = &known.asking.explanation;
    let mut text = text!("{}", what);
    if let Some(by) = &known.asking.requested_by {
        text.push(text!("\nAsked for by `{}`: another person approves it.", by));
    }
    text.push(Text::own("\nNothing is changed before a person approves it. Why:"));
    for reason in &explanation.reasons {
        text.push(text!("\n- {}", reason.why));
    }
    text.push(Text::own("\nWhat would be done:"));
    for action in &explanation.actions {
        text.push(text!("\n- `{}`: `{}` ({})", action.name, action.does, action.grade.as_str()));
    }
    if let Some(devices) = explanation.devices {
        text.push(text!("\nDevices behind it: {}", devices));
    }
    if let Some(connected) = explanation.connected {
        text.push(text!(", of which {} are connected", connected));
    }
    let (until, id) = (known.until.rfc3339(), explanation.id());
    text.push(text!("\nUntil {}, then it is rejected. Approve:", until));
    text.push(text!("\n`fleetwarden mitigation approve {} --explanation {} --reason …`", task_id, id));
    text.push(text!("\nReject: `fleetwarden mitigation reject {} --reason …`", task_id));
    text
}

/// What is to be done about what waits for an approval: of a rule's task, whose message is known, or of a command's.
const fn approval_steps(known: &KnownApproval) -> &'static [&'static str] {
    if known.asking.message.is_some() { &RULE_STEPS } else { &COMMAND_STEPS }
}

const COMMAND_STEPS: [&str; 3] = [
    "See what it is for, finding by finding: `fleetwarden mitigation show` with the task.",
    "Approve it or reject it with one of the commands above. What is approved starts when the one who asked for it gives the same command again.",
    "Without an answer it is rejected.",
];

const RULE_STEPS: [&str; 3] = [
    "See what it is for, finding by finding: `fleetwarden mitigation show` with the task.",
    "Approve it or reject it with one of the commands above. What is approved starts within a minute, unless a pause, a protection or a later audit stops it.",
    "Without an answer it is rejected: the next audit decides on what is still there.",
];

#[cfg(test)]
mod tests;
