//! The alert of each problem, and when it is due.
//!
//! An audit that is stuck raises one alert by its audit task, a missing one by the last run of its schedule. A problem
//! that lasts until somebody fixes it (a wrong configuration, lost notifications, a refused call) raises one when it
//! starts and every 30 days until it is fixed.

mod lost;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::alert::notices::Due;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::problem::Problem;

/// Where the problems are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    pub(crate) account: &'p str,
    pub(crate) region: &'p str,
    /// The audit topic.
    pub(crate) topic: &'p str,
}

/// An alert's title, its description, and what to do.
struct Texts(Text, Text, Vec<Text>);

/// Notes the problems of a run, and adds the alerts that are due.
pub(crate) fn note(notices: &mut Notices, problems: &[Problem], place: &Place<'_>, now: Millis) {
    for problem in problems {
        let due = match problem.key() {
            Some(key) => notices.notice(&key, now),
            // What it is about makes it one alert, however often it is raised.
            None => Some(Due { since: now, months: 0 }),
        };
        if let Some(alert) = due.map(|due| problem.alert(place, due))
            && !notices.pending().contains(&alert)
        {
            notices.add(alert);
        }
    }
}

impl Problem {
    fn alert(&self, place: &Place<'_>, due: Due) -> Alert {
        let Texts(title, description, next_steps) = self.texts(place.topic);
        let about = match self {
            Self::Missing { last, first_seen, .. } => format!("late since {}", last.unwrap_or(*first_seen).0),
            Self::Stuck { .. } => "stuck".to_owned(),
            _ => format!("{} since {}, month {}", self.key().unwrap_or_default(), due.since.0, due.months),
        };
        let thread = match self {
            Self::Stuck { task_id, .. } => format!("audit {task_id}"),
            Self::Missing { schedule, .. } | Self::DisabledChecks { schedule, .. } => {
                format!("scheduled audit {schedule}")
            }
            _ => "audit watch".to_owned(),
        };
        let subject = match self {
            Self::Stuck { task_id, .. } => Subject::Audit { task_id: task_id.clone() },
            _ => Subject::Log,
        };
        Alert {
            kind: self.kind(),
            severity: self.severity(),
            about,
            thread,
            title,
            description: text!("Account {} in {}. {}", place.account, place.region, description),
            next_steps,
            subject,
        }
    }

    fn texts(&self, topic: &str) -> Texts {
        match self {
            Self::NotSetUp { .. }
            | Self::NoChecks { .. }
            | Self::NoTarget
            | Self::OtherTarget { .. }
            | Self::TargetDisabled
            | Self::TargetWithoutRole
            | Self::DisabledChecks { .. } => self.configuration(topic),
            Self::Missing { schedule, rhythm, due, usual, last, first_seen } => {
                let due = if *usual { text!("at {} (its usual time)", due) } else { text!("by {}", due) };
                missing(schedule, *rhythm, &due, *last, *first_seen)
            }
            Self::Unheard { audits } => lost::unheard(topic, audits),
            Self::Undelivered { audits } => lost::undelivered(topic, audits),
            Self::Unsent { why, audits } => lost::unsent(topic, why, audits),
            Self::Stuck { task_id, schedule, started, waiting, running } => {
                stuck(task_id, schedule.as_deref(), *started, waiting, running)
            }
            Self::Blind { operation, message, .. } => blind(operation, message),
        }
    }

    /// What is wrong with the audit configuration.
    fn configuration(&self, topic: &str) -> Texts {
        match self {
            Self::NotSetUp { schedules } => Texts(
                "Device Defender audit is not configured".into(),
                text!(
                    "The account has no audit configuration, so no audit can run.{}",
                    waiting_schedules(*schedules)
                ),
                vec![
                    "Deploy the stack with the parameter ManageAuditConfiguration, or configure audits with `aws iot \
                     update-account-audit-configuration`. If the account is not to be audited, remove the stack."
                        .into(),
                ],
            ),
            Self::NoChecks { schedules } => Texts(
                "No audit check is enabled".into(),
                text!(
                    "Every check of the audit configuration is disabled, so no audit can find anything.{}",
                    waiting_schedules(*schedules)
                ),
                vec!["Enable the checks that you need (`aws iot update-account-audit-configuration`).".into()],
            ),
            Self::OtherTarget { target } => Texts(
                "Audit notifications go to another topic".into(),
                text!(
                    "The SNS target of the audit configuration is `{}`. Unless that topic forwards to `{}`, findings are \
                     triaged only when the audit watch publishes their notifications again.",
                    target,
                    topic
                ),
                target_steps(topic),
            ),
            Self::TargetDisabled => Texts(
                "Audit notifications are disabled".into(),
                text!("The SNS target `{}` of the audit configuration is disabled.", topic),
                target_steps(topic),
            ),
            Self::TargetWithoutRole => Texts(
                "Audit notifications have no role to be published with".into(),
                text!("The SNS target `{}` of the audit configuration has no role.", topic),
                target_steps(topic),
            ),
            Self::DisabledChecks { schedule, checks } => Texts(
                text!("Scheduled audit {} includes disabled checks", schedule),
                text!("These checks fail at every run with AUDIT_CHECK_DISABLED: {}.", Text::joined(checks, ", ")),
                vec!["Enable the checks in the audit configuration, or remove them from the scheduled audit.".into()],
            ),
            _ => Texts(
                "Audit notifications have no target".into(),
                "The audit configuration has no SNS target. Audits run, and their findings are not triaged.".into(),
                target_steps(topic),
            ),
        }
    }
}

/// What waits while no audit can find anything.
fn waiting_schedules(schedules: usize) -> Text {
    match schedules {
        0 => Text::default(),
        1 => Text::own(" 1 scheduled audit is affected."),
        many => text!(" {} scheduled audits are affected.", many),
    }
}

fn target_steps(topic: &str) -> Vec<Text> {
    vec![
        text!(
            "Set the SNS target of the audit configuration to `{}`, with the role in the stack's output \
             AuditTopicPublisherRoleArn and `enabled` true (`aws iot update-account-audit-configuration`), or let the \
             stack manage the configuration (parameter ManageAuditConfiguration).",
            topic
        ),
        "The next runs of the audit watch publish the notifications that were lost meanwhile.".into(),
    ]
}

fn missing(schedule: &str, rhythm: Rhythm, due: &Text, last: Option<Millis>, first_seen: Millis) -> Texts {
    let before = match last {
        Some(last) => text!("The last run started {}.", last),
        None => text!("No run has been seen since {}.", first_seen),
    };
    Texts(
        text!("Scheduled audit {} did not start", schedule),
        text!("It is scheduled to run {}. The run that was due {} has not started. {}", rhythm, due, before),
        vec![
            text!(
                "Check the schedule: `aws iot describe-scheduled-audit --scheduled-audit-name {}`.",
                schedule
            ),
            "Find who changed it in CloudTrail (UpdateScheduledAudit). If nobody did, ask AWS Support why it did not run."
                .into(),
            "Until it is fixed, start an audit on demand: `aws iot start-on-demand-audit-task`.".into(),
        ],
    )
}

fn stuck(
    task_id: &str,
    schedule: Option<&str>,
    started: Millis,
    waiting: &BTreeSet<CheckName>,
    running: &BTreeSet<CheckName>,
) -> Texts {
    let mut description = text!("Audit task `{}` started {} and is still in progress.", task_id, started);
    let mut next_steps = Vec::new();
    if !waiting.is_empty() {
        description.push(text!(" Waiting for data collection: {}.", Text::joined(waiting, ", ")));
        next_steps.push(
            "Data collection starts when a check is enabled, and takes long in a large account. If a check was enabled \
             more than a day ago, verify that the audit role has the managed policy \
             service-role/AWSIoTDeviceDefenderAudit."
                .into(),
        );
    }
    if !running.is_empty() {
        description.push(text!(" Running: {}.", Text::joined(running, ", ")));
    }
    next_steps.push(text!(
        "Findings are triaged when the audit ends. `aws iot cancel-audit-task --task-id {}` ends it now; the results of \
         its unfinished checks are lost.",
        task_id
    ));
    Texts(text!("{} has been running for more than a day", capital(schedule)), description, next_steps)
}

fn blind(operation: &str, message: &str) -> Texts {
    Texts(
        text!("The audit watch was refused {}", operation),
        text!("What the call would have shown is unknown. {}", message),
        vec![
            "If access was denied, allow the call in the role of `audit-watch`, and look for a deny in a service control \
             policy or a permissions boundary. Any other error may be gone at the next run."
                .into(),
        ],
    )
}

fn audit(schedule: Option<&str>) -> Text {
    schedule.map_or(Text::own("on-demand audit"), |name| text!("scheduled audit {}", name))
}

/// The same at the start of a sentence.
fn capital(schedule: Option<&str>) -> Text {
    schedule.map_or(Text::own("An on-demand audit"), |name| text!("Scheduled audit {}", name))
}
