//! What people are told of each trouble, and what to do about it.

use std::collections::BTreeSet;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::audits::trouble::Lost;
use crate::audits::trouble::Place;
use crate::audits::trouble::Trouble;

/// How many audits an alert names.
const NAMED: usize = 10;

/// An alert's title, its description, and what to do.
type Words = (Text, Text, Vec<Text>);

impl Trouble {
    pub(super) fn words(&self, place: &Place<'_>) -> Words {
        let topic = place.topic;
        let target = || {
            vec![
                text!(
                    "Point the SNS target of the audit configuration at `{}`, with the role in the stack's output \
                     AuditTopicPublisherRoleArn and `enabled` true (`aws iot update-account-audit-configuration`), or \
                     let the stack own the configuration (parameter ManageAuditConfiguration).",
                    topic
                ),
                "What ended unheard meanwhile is brought in by the next looks of this watch.".into(),
            ]
        };
        match self {
            Self::NotSetUp { schedules } => (
                "Device Defender audit is not set up".into(),
                text!(
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
                text!(
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
                text!(
                    "The SNS target of the audit configuration is `{}`. Unless that topic's messages come to `{}` in \
                     some other way, findings are not triaged until this watch brings them in.",
                    other,
                    topic
                ),
                target(),
            ),
            Self::TargetDisabled => (
                "Device Defender's notifications of audits are disabled".into(),
                text!("The SNS target `{}` of the audit configuration is there and not enabled.", topic),
                target(),
            ),
            Self::TargetWithoutRole => (
                "Device Defender may not publish its notifications of audits".into(),
                text!("The SNS target `{}` of the audit configuration has no role.", topic),
                target(),
            ),
            Self::DisabledChecks { schedule, checks } => (
                text!("Scheduled audit {} has checks that are disabled", schedule),
                text!("These checks fail at every run with AUDIT_CHECK_DISABLED: {}.", Text::joined(checks, ", ")),
                vec!["Enable the checks in the audit configuration, or take them out of the schedule.".into()],
            ),
            Self::Missing { schedule, rhythm, due, usual, last, first_seen } => {
                let due = if *usual { text!("at {}, its usual time", due) } else { text!("by {}", due) };
                missing(schedule, *rhythm, &due, *last, *first_seen)
            }
            Self::Unheard { audits } => unheard(topic, audits),
            Self::Undelivered { audits } => undelivered(topic, audits),
            Self::Unsent { why, audits } => unsent(topic, why, audits),
            Self::Stuck { task_id, schedule, started, waiting, running } => stuck(
                task_id,
                schedule.as_deref(),
                *started,
                waiting,
                running,
            ),
            Self::Blind { operation, message, .. } => (
                text!("The watch on audits is blind: {}", operation),
                text!("What it would have seen is not known. {}", message),
                vec![
                    "If it is denied, let the role of `suppression-review` make the call, and look for a deny in a \
                     service control policy or a permissions boundary. If it is not, the next look may succeed."
                        .into(),
                ],
            ),
        }
    }
}

fn missing(schedule: &str, rhythm: Rhythm, due: &Text, last: Option<Millis>, first_seen: Millis) -> Words {
    let before = match last {
        Some(last) => text!("Its last run began {}.", last),
        None => text!("No run of it has been seen since {}.", first_seen),
    };
    (
        text!("Scheduled audit {} did not begin", schedule),
        text!(
            "It is to run {}, and no run has begun for the one that was due {}. {}",
            rhythm,
            due,
            before
        ),
        vec![
            text!(
                "See what it is set to: `aws iot describe-scheduled-audit --scheduled-audit-name {}`.",
                schedule
            ),
            "CloudTrail has who changed it (UpdateScheduledAudit). If nobody did, ask AWS Support why it did not run."
                .into(),
            "Until then start one on demand: `aws iot start-on-demand-audit-task`.".into(),
        ],
    )
}

/// What is lost while no audit can find anything.
fn waiting(schedules: usize) -> Text {
    match schedules {
        0 => Text::default(),
        1 => Text::own(" A scheduled audit waits for that."),
        many => text!(" {} scheduled audits wait for that.", many),
    }
}

fn unheard(topic: &str, audits: &[Lost]) -> Words {
    (
        text!("{} not heard of", number(audits)),
        text!(
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
        text!("{} sent through in vain", number(audits)),
        text!(
            "The last look of this watch published the notifications of these audits to `{}`, which took them, and \
             nobody has handled them. Their findings are not triaged.\n{}",
            topic,
            named(audits)
        ),
        vec![function_step(), catch_up_step()],
    )
}

fn unsent(topic: &str, why: &str, audits: &[Lost]) -> Words {
    (
        text!("{} not heard of, and not sent through", number(audits)),
        text!(
            "The notification that an audit has ended did not come, and `{}` did not take the one that this watch made in \
             its place: {}. The findings are not triaged.\n{}",
            topic,
            why,
            named(audits)
        ),
        vec![
            "Let the role of `suppression-review` publish to the topic and use its KMS key (kms:GenerateDataKey, \
             kms:Decrypt)."
                .into(),
            target_step(topic),
            catch_up_step(),
        ],
    )
}

fn target_step(topic: &str) -> Text {
    text!(
        "See why it did not come: the SNS target of `aws iot describe-account-audit-configuration` should be `{}` and \
         enabled, its role may publish there, and may use the topic's KMS key (kms:GenerateDataKey, kms:Decrypt).",
        topic
    )
}

fn function_step() -> Text {
    Text::own(
        "If the ledger has no item `audit#` with the id of the task a few minutes from now, the topic does not reach \
         `audit-notification`: see the topic's subscription, the function's errors and its dead-letter queue.",
    )
}

fn catch_up_step() -> Text {
    Text::own(
        "To catch up, invoke `suppression-review` once it is mended: it sends through every audit of the last 35 days \
         that is not in the ledger, and none twice.",
    )
}

fn number(audits: &[Lost]) -> Text {
    match audits {
        [one] => text!("{} was", capital(one.schedule.as_deref())),
        many => text!("{} audits were", many.len()),
    }
}

/// A line for each audit, up to a bound.
fn named(audits: &[Lost]) -> Text {
    let line = |audit: &Lost| {
        let how = match audit.status.as_str() {
            "FAILED" => "failed",
            "CANCELED" => "was canceled",
            _ => "is complete",
        };
        let failed = Text::joined(audit.failed.iter().map(|(check, why)| text!("{} ({})", check, why)), ", ");
        let failed = if failed.is_empty() { failed } else { text!("; not done: {}", failed) };
        text!(
            "- {}, task `{}`, begun {}, {}{}",
            self::audit(audit.schedule.as_deref()),
            audit.task_id,
            audit.started,
            Text::own(how),
            failed
        )
    };
    let more =
        audits.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| text!("- and {} more", more));
    Text::joined(audits.iter().take(NAMED).map(line).chain(more), "\n")
}

fn stuck(
    task_id: &str,
    schedule: Option<&str>,
    started: Millis,
    waiting: &BTreeSet<CheckName>,
    running: &BTreeSet<CheckName>,
) -> Words {
    let mut description = text!("Audit task `{}` began {} and is in progress.", task_id, started);
    let mut next_steps = Vec::new();
    if !waiting.is_empty() {
        description.push(text!(" Waiting for data collection: {}.", Text::joined(waiting, ", ")));
        next_steps.push(
            "Data collection begins when a check is enabled, and takes long in a large account. If a check was enabled \
             more than a day ago, see that the audit role has the managed policy service-role/AWSIoTDeviceDefenderAudit."
                .into(),
        );
    }
    if !running.is_empty() {
        description.push(text!(" Still running: {}.", Text::joined(running, ", ")));
    }
    next_steps.push(text!(
        "None of its findings is triaged before it ends. `aws iot cancel-audit-task --task-id {}` ends it now, and what \
         its unfinished checks would have found is not known then.",
        task_id
    ));
    (text!("{} runs for more than a day", capital(schedule)), description, next_steps)
}

fn audit(schedule: Option<&str>) -> Text {
    schedule.map_or(Text::own("an audit on demand"), |name| text!("scheduled audit {}", name))
}

/// The same at the begin of a sentence.
fn capital(schedule: Option<&str>) -> Text {
    schedule.map_or(Text::own("An audit on demand"), |name| text!("Scheduled audit {}", name))
}
