//! Alerts on rules whose tasks cannot start.

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::alert::notices::Due;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

use super::actions as listed;
use crate::refusals::Unable;

/// No task of a rule can start. Whether the messages of the rule are parked is for the operator to know.
pub(crate) fn alert(
    rule: &str,
    actions: &[String],
    (why, is_parked): (Unable, bool),
    reason: &str,
    due: Due,
) -> Alert {
    let (parked, after) = if is_parked {
        (
            "Each message is parked, since an alarm is decided on once.",
            "Then redrive the mitigation dead-letter queue: a task starts if its alarm still lasts.",
        )
    } else {
        (
            "Nothing is parked.",
            "Nothing has to be redriven: the next audit decides on what is still there. To mitigate at once, start an audit \
             then.",
        )
    };
    let (title, step) = match why {
        Unable::Denied => (
            "apply-mitigations may not start tasks",
            "Deploy the stack with CreateMitigationActions=true, or with AllowMitigation=true if the policy names actions of \
             your own. If it is, see whether a service control policy or a permissions boundary denies \
             iot:StartAuditMitigationActionsTask, iot:StartDetectMitigationActionsTask or what the reason names: nothing \
             starts whose state before cannot be read.",
        ),
        Unable::Action => (
            "a mitigation action is missing or does not fit",
            "If it is an action of the template (Fleetwarden…), deploy the stack with CreateMitigationActions=true. Else \
             create the action in this account and region, or name another one in the policy.",
        ),
        Unable::Devices => (
            "it does not say how many devices it may concern",
            "Look at what stands behind the resource: a blank policy or an inactive CA certificate can cut off all of its \
             devices. If it is right, add `devices: { most: N }` to `mitigate` of the rule, with `connected` for how many of \
             them may be connected, and deploy the policy.",
        ),
    };
    Alert {
        kind: Kind::MitigationRefused,
        severity: AlertSeverity::High,
        about: format!("{rule} {} {} since {}, month {}", actions.join(","), why.word(), due.since.0, due.months),
        thread: format!("mitigations of {rule}"),
        title: text!("Rule {} cannot mitigate: {}", rule, Text::own(title)),
        description: text!(
            "Rule `{}`, actions {}.\nNothing was changed. `{}` The policy's mode is `enforce`, and every task of this \
             rule is refused until this is fixed. {} This alert is repeated every 30 days until then.",
            rule,
            listed(actions),
            reason,
            Text::own(parked)
        ),
        next_steps: vec![
            step.into(),
            after.into(),
            "If nothing is to be mitigated, set `mode: observe` in the policy file and deploy it. `fleetwarden policy check` \
             compares the policy with the stack's parameters."
                .into(),
        ],
        subject: Subject::Log,
    }
}
