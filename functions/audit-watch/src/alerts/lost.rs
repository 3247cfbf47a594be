//! The alerts on lost notifications.

use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

use crate::alerts::Texts;
use crate::alerts::audit;
use crate::problem::Lost;

/// How many audits an alert names.
const NAMED: usize = 10;

pub(super) fn unheard(topic: &str, audits: &[Lost]) -> Texts {
    Texts(
        text!("{} lost", notifications(audits)),
        text!(
            "An audit ended, and its notification did not arrive or was not handled. The audit watch created it again \
             from the audit task and published it to `{}`, so the findings are being triaged now. Every run does the same \
             with lost notifications.\n{}",
            topic,
            list(audits)
        ),
        vec![target_step(topic), function_step()],
    )
}

pub(super) fn undelivered(topic: &str, audits: &[Lost]) -> Texts {
    Texts(
        text!("{} published again and not handled", notifications(audits)),
        text!(
            "The previous run of the audit watch published these notifications to `{}`. The topic accepted them, and none \
             was handled. The findings are not triaged.\n{}",
            topic,
            list(audits)
        ),
        vec![function_step(), catch_up_step()],
    )
}

pub(super) fn unsent(topic: &str, why: &str, audits: &[Lost]) -> Texts {
    Texts(
        text!("{} lost and not published again", notifications(audits)),
        text!(
            "An audit ended, and its notification did not arrive. The audit watch could not publish it again to `{}`: {}. \
             The findings are not triaged.\n{}",
            topic,
            why,
            list(audits)
        ),
        vec![
            "Allow the role of `audit-watch` to publish to the topic and to use its KMS key (kms:GenerateDataKey, \
             kms:Decrypt)."
                .into(),
            target_step(topic),
            catch_up_step(),
        ],
    )
}

fn target_step(topic: &str) -> Text {
    text!(
        "Find out why it did not arrive: the SNS target in `aws iot describe-account-audit-configuration` must be `{}` and \
         enabled, and its role must be allowed to publish there and to use the topic's KMS key (kms:GenerateDataKey, \
         kms:Decrypt).",
        topic
    )
}

fn function_step() -> Text {
    Text::own(
        "If the ledger has no item `audit#` with the id of the task after a few minutes, the topic does not reach \
         `audit-notification`: check the topic's subscription, the function's errors and its dead-letter queue.",
    )
}

fn catch_up_step() -> Text {
    Text::own(
        "To catch up after the fix, invoke `audit-watch`: it publishes the notification of every audit of the last 35 days \
         that is not in the ledger, and none is handled twice.",
    )
}

fn notifications(audits: &[Lost]) -> Text {
    match audits {
        [one] => text!("Notification of {} was", audit(one.schedule.as_deref())),
        many => text!("Notifications of {} audits were", many.len()),
    }
}

/// A line for each audit, up to a bound.
fn list(audits: &[Lost]) -> Text {
    let line = |lost: &Lost| {
        let status = match lost.status.as_str() {
            "FAILED" => "failed",
            "CANCELED" => "canceled",
            _ => "completed",
        };
        let failed = Text::joined(lost.failed.iter().map(|(check, why)| text!("{} ({})", check, why)), ", ");
        let failed = if failed.is_empty() { failed } else { text!("; failed checks: {}", failed) };
        text!(
            "- {}, task `{}`, started {}, {}{}",
            audit(lost.schedule.as_deref()),
            lost.task_id,
            lost.started,
            Text::own(status),
            failed
        )
    };
    let more =
        audits.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| text!("- and {} more", more));
    Text::joined(audits.iter().take(NAMED).map(line).chain(more), "\n")
}
