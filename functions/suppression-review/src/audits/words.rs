//! What people are told of each trouble, and what to do about it.

use std::collections::BTreeSet;

use fleetwarden_core::check::CheckName;
use fleetwarden_core::timestamp::Millis;

use crate::audits::trouble::Lost;
use crate::audits::trouble::Place;
use crate::audits::trouble::Trouble;
use crate::audits::trouble::listed;

/// How many audits an alert names.
const NAMED: usize = 10;

/// An alert's title, its description, and what to do.
type Words = (String, String, Vec<String>);

impl Trouble {
    pub(super) fn words(&self, place: &Place<'_>) -> Words {
        let topic = place.topic;
        let target = || {
            vec![
                format!(
                    "Point the SNS target of the audit configuration at `{topic}`, with the role in the stack's output \
                     AuditTopicPublisherRoleArn and `enabled` true (`aws iot update-account-audit-configuration`), or \
                     let the stack own the configuration (parameter ManageAuditConfiguration)."
                ),
                "What ended unheard meanwhile is brought in by the next looks of this watch.".to_owned(),
            ]
        };
        match self {
            Self::NotSetUp { schedules } => (
                "Device Defender audit is not set up".into(),
                format!(
                    "The account has no audit configuration, so nothing is audited and nothing can be acted on.{}",
                    waiting(*schedules)
                ),
                vec![
                    "Deploy the stack with the parameter ManageAuditConfiguration, or configure audits with `aws iot \
                     update-account-audit-configuration`. If the account is not meant to be audited, remove the stack."
                        .into(),
                ],
            ),
            Self::NoChecks { schedules } => (
                "No audit check is enabled".into(),
                format!(
                    "Device Defender is configured and every check is disabled: no audit can find anything.{}",
                    waiting(*schedules)
                ),
                vec!["Enable the checks that you want (`aws iot update-account-audit-configuration`).".into()],
            ),
            Self::NoTarget => (
                "Device Defender tells nobody of its audits".into(),
                "The audit configuration has no SNS target. Audits run, and their findings are not triaged.".into(),
                target(),
            ),
            Self::OtherTarget { target: other } => (
                "Device Defender tells another topic of its audits".into(),
                format!(
                    "The SNS target of the audit configuration is `{other}`. Unless that topic's messages come to \
                     `{topic}` in some other way, findings are not triaged until this watch brings them in."
                ),
                target(),
            ),
            Self::TargetDisabled => (
                "Device Defender's notifications of audits are disabled".into(),
                format!("The SNS target `{topic}` of the audit configuration is there and not enabled."),
                target(),
            ),
            Self::TargetWithoutRole => (
                "Device Defender may not publish its notifications of audits".into(),
                format!("The SNS target `{topic}` of the audit configuration has no role."),
                target(),
            ),
            Self::DisabledChecks { schedule, checks } => (
                format!("Scheduled audit {schedule} has checks that are disabled"),
                format!("These checks fail at every run with AUDIT_CHECK_DISABLED: {}.", listed(checks)),
                vec!["Enable the checks in the audit configuration, or take them out of the schedule.".into()],
            ),
            Self::Missing { schedule, rhythm, due, usual, last, first_seen } => {
                let due = if *usual { format!("at {due}, its usual time") } else { format!("by {due}") };
                missing(schedule, rhythm, &due, *last, *first_seen)
            }
            Self::Unheard { audits } => unheard(topic, audits),
            Self::Undelivered { audits } => undelivered(topic, audits),
            Self::Unsent { why, audits } => unsent(topic, why, audits),
            Self::Stuck { task_id, schedule, started, waiting, running } => stuck(
                task_id,
                &audit(schedule.as_deref()),
                *started,
                waiting,
                running,
            ),
            Self::Blind { operation, message, .. } => (
                format!("The watch on audits is blind: {operation}"),
                format!("What it would have seen is not known. {message}"),
                vec![
                    "If it is denied, let the role of `suppression-review` make the call, and look for a deny in a \
                     service control policy or a permissions boundary. If it is not, the next look may succeed."
                        .into(),
                ],
            ),
        }
    }
}

fn missing(schedule: &str, rhythm: &str, due: &str, last: Option<Millis>, first_seen: Millis) -> Words {
    let before = match last {
        Some(last) => format!("Its last run began {}.", last.rfc3339()),
        None => format!("No run of it has been seen since {}.", first_seen.rfc3339()),
    };
    (
        format!("Scheduled audit {schedule} did not begin"),
        format!("It is to run {rhythm}, and no run has begun for the one that was due {due}. {before}"),
        vec![
            format!("See what it is set to: `aws iot describe-scheduled-audit --scheduled-audit-name {schedule}`."),
            "CloudTrail has who changed it (UpdateScheduledAudit). If nobody did, ask AWS Support why it did not run."
                .into(),
            "Until then start one on demand: `aws iot start-on-demand-audit-task`.".into(),
        ],
    )
}

/// What is lost while no audit can find anything.
fn waiting(schedules: usize) -> String {
    match schedules {
        0 => String::new(),
        1 => " A scheduled audit waits for that.".to_owned(),
        many => format!(" {many} scheduled audits wait for that."),
    }
}

fn unheard(topic: &str, audits: &[Lost]) -> Words {
    (
        format!("{} not heard of", number(audits)),
        format!(
            "The notification that an audit has ended did not come, or was not handled. It was made again from the audit \
             task and sent through, so that the findings are being triaged now; what is not heard of from now on is \
             brought in in the same way, by each look of this watch.\n{}",
            named(audits)
        ),
        vec![target_step(topic), function_step()],
    )
}

fn undelivered(topic: &str, audits: &[Lost]) -> Words {
    (
        format!("{} sent through in vain", number(audits)),
        format!(
            "The last look of this watch published the notifications of these audits to `{topic}`, which took them, and \
             nobody has handled them. Their findings are not triaged.\n{}",
            named(audits)
        ),
        vec![function_step(), catch_up_step()],
    )
}

fn unsent(topic: &str, why: &str, audits: &[Lost]) -> Words {
    (
        format!("{} not heard of, and not sent through", number(audits)),
        format!(
            "The notification that an audit has ended did not come, and `{topic}` did not take the one that this watch \
             made in its place: {why}. The findings are not triaged.\n{}",
            named(audits)
        ),
        vec![
            "Let the role of `suppression-review` publish to the topic and use its KMS key (kms:GenerateDataKey, \
             kms:Decrypt)."
                .to_owned(),
            target_step(topic),
            catch_up_step(),
        ],
    )
}

fn target_step(topic: &str) -> String {
    format!(
        "See why it did not come: the SNS target of `aws iot describe-account-audit-configuration` should be `{topic}` and \
         enabled, its role may publish there, and may use the topic's KMS key (kms:GenerateDataKey, kms:Decrypt)."
    )
}

fn function_step() -> String {
    "If the ledger has no item `audit#` with the id of the task a few minutes from now, the topic does not reach \
     `audit-notification`: see the topic's subscription, the function's errors and its dead-letter queue."
        .to_owned()
}

fn catch_up_step() -> String {
    "To catch up, invoke `suppression-review` once it is mended: it sends through every audit of the last 35 days that is \
     not in the ledger, and none twice."
        .to_owned()
}

fn number(audits: &[Lost]) -> String {
    match audits {
        [one] => capital(&format!("{} was", audit(one.schedule.as_deref()))),
        many => format!("{} audits were", many.len()),
    }
}

/// A line for each audit, up to a bound.
fn named(audits: &[Lost]) -> String {
    let line = |audit: &Lost| {
        let how = match audit.status.as_str() {
            "FAILED" => "failed",
            "CANCELED" => "was canceled",
            _ => "is complete",
        };
        let failed: Vec<String> =
            audit.failed.iter().map(|(check, why)| format!("{check} ({why})")).collect();
        let failed =
            if failed.is_empty() { String::new() } else { format!("; not done: {}", failed.join(", ")) };
        let name = self::audit(audit.schedule.as_deref());
        format!("- {name}, task `{}`, begun {}, {how}{failed}", audit.task_id, audit.started.rfc3339())
    };
    let more =
        audits.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!("- and {more} more"));
    audits.iter().take(NAMED).map(line).chain(more).collect::<Vec<_>>().join("\n")
}

fn stuck(
    task_id: &str,
    name: &str,
    started: Millis,
    waiting: &BTreeSet<CheckName>,
    running: &BTreeSet<CheckName>,
) -> Words {
    let mut description = format!("Audit task `{task_id}` began {} and is in progress.", started.rfc3339());
    let mut next_steps = Vec::new();
    if !waiting.is_empty() {
        description.extend([" Waiting for data collection: ", &listed(waiting), "."]);
        next_steps.push(
            "Data collection begins when a check is enabled, and takes long in a large account. If a check was enabled \
             more than a day ago, see that the audit role has the managed policy service-role/AWSIoTDeviceDefenderAudit."
                .into(),
        );
    }
    if !running.is_empty() {
        description.extend([" Still running: ", &listed(running), "."]);
    }
    next_steps.push(format!(
        "None of its findings is triaged before it ends. `aws iot cancel-audit-task --task-id {task_id}` ends it now, and \
         what its unfinished checks would have found is not known then."
    ));
    (format!("{} runs for more than a day", capital(name)), description, next_steps)
}

fn audit(schedule: Option<&str>) -> String {
    schedule.map_or_else(|| "an audit on demand".to_owned(), |name| format!("scheduled audit {name}"))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}
