//! What can be wrong with audits, and what people are told of it.
//!
//! Each trouble is told once: an audit task's under its id, a late schedule's for as long as its last run is the same,
//! and what is set up wrongly, or cannot be seen, once a month while it stays so.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::AlertSeverity;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::metrics::AuditWatch;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

/// Something that is wrong.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "trouble", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Trouble {
    /// The account never configured audits.
    NotSetUp,
    /// No check is enabled.
    NoChecks,
    /// Nobody is to be told of audits.
    NoTarget,
    /// Another topic than that of the stack is.
    OtherTarget { target: String },
    /// The stack's topic is, but not now.
    TargetDisabled,
    /// The stack's topic is, and nobody may publish to it.
    TargetWithoutRole,
    /// A scheduled audit has checks that are not enabled.
    DisabledChecks { schedule: String, checks: BTreeSet<CheckName> },
    /// A scheduled audit did not begin.
    Missing { schedule: String, rhythm: String, due: String, last: Option<Millis>, first_seen: Millis },
    /// An audit ended, and its notification did not come.
    Unheard {
        task_id: String,
        schedule: Option<String>,
        started: Millis,
        status: String,
        failed: BTreeMap<CheckName, String>,
        /// Why its notification could not be sent through. None if it was.
        not_sent: Option<String>,
    },
    /// An audit runs for too long.
    Stuck {
        task_id: String,
        schedule: Option<String>,
        started: Millis,
        waiting: BTreeSet<CheckName>,
        running: BTreeSet<CheckName>,
    },
    /// A look was refused.
    Blind { operation: String, code: String, message: String },
}

/// What an alert is about, its title, its description, and what to do.
type Words = (String, String, String, Vec<String>);

/// Where and when an alert is raised.
pub(crate) struct Place<'p> {
    pub(crate) account: &'p str,
    pub(crate) region: &'p str,
    pub(crate) topic: &'p str,
    pub(crate) now: Millis,
}

/// How many troubles there are of each kind.
pub(crate) fn counts(troubles: &[Trouble], checks_failed: u64) -> AuditWatch {
    let mut counts = AuditWatch { checks_failed, ..AuditWatch::default() };
    for trouble in troubles {
        match trouble.kind() {
            Kind::AuditMissing => counts.audits_missing += 1,
            Kind::AuditUnheard => counts.audits_unheard += 1,
            Kind::AuditStuck => counts.audits_stuck += 1,
            Kind::AuditMisconfigured => counts.target_misconfigured += 1,
            _ => counts.looks_refused += 1,
        }
    }
    counts
}

impl Trouble {
    pub(crate) fn blind(error: &Error) -> Self {
        let (operation, code) = match error {
            Error::Aws { operation, code, .. } => ((*operation).to_owned(), code.clone()),
            _ => ("its work".to_owned(), error.name().to_owned()),
        };
        Self::Blind { operation, code, message: error.to_string() }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Missing { .. } => Kind::AuditMissing,
            Self::Unheard { .. } => Kind::AuditUnheard,
            Self::Stuck { .. } => Kind::AuditStuck,
            Self::Blind { .. } => Kind::AuditWatchBlind,
            _ => Kind::AuditMisconfigured,
        }
    }

    fn severity(&self) -> AlertSeverity {
        match self {
            Self::NotSetUp => AlertSeverity::Low,
            Self::OtherTarget { .. }
            | Self::DisabledChecks { .. }
            | Self::Stuck { .. }
            | Self::Blind { .. } => AlertSeverity::Medium,
            // What was sent through is not lost, but the next one will be as late as this.
            Self::Unheard { not_sent: None, failed, .. } if failed.is_empty() => AlertSeverity::Medium,
            _ => AlertSeverity::High,
        }
    }

    /// The alert that tells it.
    pub(crate) fn alert(&self, place: &Place<'_>) -> Alert {
        let (about, title, description, next_steps) = self.words(place);
        let thread = match self {
            Self::Unheard { task_id, .. } | Self::Stuck { task_id, .. } => format!("audit {task_id}"),
            Self::Missing { schedule, .. } | Self::DisabledChecks { schedule, .. } => {
                format!("scheduled audit {schedule}")
            }
            _ => "audit watch".to_owned(),
        };
        let Place { account, region, .. } = place;
        Alert {
            kind: self.kind(),
            severity: self.severity(),
            about,
            thread,
            title,
            description: format!("Account {account} in {region}. {description}"),
            next_steps,
        }
    }

    fn words(&self, place: &Place<'_>) -> Words {
        let topic = place.topic;
        let in_month = |what: &str| {
            let month: String = place.now.day().chars().take(7).collect();
            format!("{what} {month}")
        };
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
            Self::NotSetUp => (
                in_month("not set up"),
                "Device Defender audit is not set up".into(),
                "The account has no audit configuration, so nothing is audited and nothing can be acted on.".into(),
                vec![
                    "Deploy the stack with the parameter ManageAuditConfiguration, or configure audits with `aws iot \
                     update-account-audit-configuration`. If the account is not meant to be audited, remove the stack."
                        .into(),
                ],
            ),
            Self::NoChecks => (
                in_month("no checks"),
                "No audit check is enabled".into(),
                "Device Defender is configured and every check is disabled: no audit can find anything.".into(),
                vec!["Enable the checks that you want (`aws iot update-account-audit-configuration`).".into()],
            ),
            Self::NoTarget => (
                in_month("no target"),
                "Device Defender tells nobody of its audits".into(),
                "The audit configuration has no SNS target. Audits run, and their findings are not triaged.".into(),
                target(),
            ),
            Self::OtherTarget { target: other } => (
                in_month(other),
                "Device Defender tells another topic of its audits".into(),
                format!(
                    "The SNS target of the audit configuration is `{other}`. Unless that topic's messages come to \
                     `{topic}` in some other way, findings are not triaged until this watch brings them in."
                ),
                target(),
            ),
            Self::TargetDisabled => (
                in_month("target disabled"),
                "Device Defender's notifications of audits are disabled".into(),
                format!("The SNS target `{topic}` of the audit configuration is there and not enabled."),
                target(),
            ),
            Self::TargetWithoutRole => (
                in_month("target without role"),
                "Device Defender may not publish its notifications of audits".into(),
                format!("The SNS target `{topic}` of the audit configuration has no role."),
                target(),
            ),
            Self::DisabledChecks { schedule, checks } => (
                in_month(&format!("disabled {}", listed(checks))),
                format!("Scheduled audit {schedule} has checks that are disabled"),
                format!("These checks fail at every run with AUDIT_CHECK_DISABLED: {}.", listed(checks)),
                vec!["Enable the checks in the audit configuration, or take them out of the schedule.".into()],
            ),
            Self::Missing { schedule, rhythm, due, last, first_seen } => missing(schedule, rhythm, due, *last, *first_seen),
            Self::Unheard { task_id, schedule, started, status, failed, not_sent } => {
                let ended = match status.as_str() {
                    "FAILED" => "failed",
                    "CANCELED" => "was canceled",
                    _ => "is complete",
                };
                let task = format!("Audit task `{task_id}`, begun {}, {ended}", started.rfc3339());
                let steps = unheard_steps(topic, task_id, not_sent.is_some());
                unheard(&audit(schedule.as_deref()), &task, failed, not_sent.as_deref(), steps)
            }
            Self::Stuck { task_id, schedule, started, waiting, running } => stuck(
                task_id,
                &audit(schedule.as_deref()),
                *started,
                waiting,
                running,
            ),
            Self::Blind { operation, code, message } => (
                in_month(&format!("{operation} {code}")),
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
    let (since, before) = match last {
        Some(last) => (last, format!("Its last run began {}.", last.rfc3339())),
        None => (first_seen, format!("No run of it has been seen since {}.", first_seen.rfc3339())),
    };
    (
        format!("late since {}", since.0),
        format!("Scheduled audit {schedule} did not begin"),
        format!("It is to run {rhythm}, and no run has begun for the one that was due by {due}. {before}"),
        vec![
            format!("See what it is set to: `aws iot describe-scheduled-audit --scheduled-audit-name {schedule}`."),
            "CloudTrail has who changed it (UpdateScheduledAudit). If nobody did, ask AWS Support why it did not run."
                .into(),
            "Until then start one on demand: `aws iot start-on-demand-audit-task`.".into(),
        ],
    )
}

fn unheard(
    name: &str,
    task: &str,
    failed: &BTreeMap<CheckName, String>,
    not_sent: Option<&str>,
    next_steps: Vec<String>,
) -> Words {
    let sent = match not_sent {
        None => "The notification was made again from the audit task and sent through: its findings are being triaged \
                 now."
            .to_owned(),
        Some(error) => format!("The notification could not be sent through: {error}."),
    };
    let intro = format!("{task}, and no notification of it was handled. {sent}");
    let heading = (!failed.is_empty()).then(|| "Not done:".to_owned());
    let failures = failed.iter().map(|(check, how)| format!("- **{check}**: {how}"));
    let description = [intro].into_iter().chain(heading).chain(failures).collect::<Vec<_>>().join("\n");
    ("unheard".into(), format!("The notification of {name} did not come"), description, next_steps)
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
    ("stuck".into(), format!("{} runs for more than a day", capital(name)), description, next_steps)
}

fn unheard_steps(topic: &str, task_id: &str, again: bool) -> Vec<String> {
    let mut steps = vec![
        format!(
            "See why it did not come: the SNS target of `aws iot describe-account-audit-configuration` should be `{topic}` \
             and enabled, its role may publish there, and may use the topic's KMS key (kms:GenerateDataKey, kms:Decrypt)."
        ),
        format!(
            "If the ledger has no item `audit#{task_id}` a few minutes from now, the topic does not reach \
             `audit-notification`: see the topic's subscription, the function's errors and its dead-letter queue."
        ),
    ];
    if again {
        steps.push(
            "To catch up, invoke `suppression-review` once it is mended: it sends through every audit of the last 35 \
             days that is not in the ledger, and none twice."
                .into(),
        );
    }
    steps
}

fn audit(schedule: Option<&str>) -> String {
    schedule.map_or_else(|| "an audit on demand".to_owned(), |name| format!("scheduled audit {name}"))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

fn listed(checks: &BTreeSet<CheckName>) -> String {
    checks.iter().map(CheckName::as_str).collect::<Vec<_>>().join(", ")
}
