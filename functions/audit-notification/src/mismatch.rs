//! A notification that does not agree with what Device Defender says of its audit: why it is parked, and the alert.
//!
//! At most one alert a day of each kind: who may publish to the topic could raise thousands. All of the messages are
//! parked, each with its reason.

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::AlertSeverity;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::notification::AuditEnded;
use fleetwarden_core::timestamp::Millis;

/// How many differences are named.
const NAMED: usize = 10;

/// How a notification disagrees.
pub(crate) enum Mismatch {
    /// The service knows no such audit task.
    NoSuchTask,
    /// The audit has not ended, and why that is known.
    NotEnded(String),
    /// The audit ended in another way, and in what.
    Different(Vec<String>),
}

impl Mismatch {
    /// What becomes of the message: it is parked, or tried again while the audit may end any moment.
    pub(crate) fn error(&self, task_id: &str) -> Error {
        match self {
            Self::NoSuchTask => {
                Error::Input(format!("audit {task_id}: DescribeAuditTask knows no such audit task"))
            }
            Self::NotEnded(why) => Error::Later(format!("audit {task_id} has not ended: {why}")),
            Self::Different(differences) => Error::Input(format!(
                "audit {task_id}: the notification differs from DescribeAuditTask, whose answer was used: {}",
                listed(differences, "; ")
            )),
        }
    }

    /// The alert.
    pub(crate) fn alert(&self, notified: &AuditEnded, region: &str, now: Millis) -> Alert {
        let AuditEnded { account_id, task_id, .. } = notified;
        let (kind, title, what) = match self {
            Self::NoSuchTask => (
                "no such task",
                format!("A notification names audit task {task_id}, which does not exist"),
                "`DescribeAuditTask` knows no such audit task. Nothing was written or triaged; the message is parked. An \
                 audit of another region, or of more than 90 days ago, does not exist here either."
                    .to_owned(),
            ),
            Self::NotEnded(why) => (
                "not ended",
                format!("A notification says that audit task {task_id} ended, and it has not"),
                format!(
                    "In the answer of `DescribeAuditTask`, {why}. Nothing was written or triaged. The message is tried \
                     again for some minutes and then parked. When the audit has ended, its own notification or the next \
                     review starts its triage."
                ),
            ),
            Self::Different(differences) => (
                "different",
                format!("A notification of audit task {task_id} differs from the audit"),
                format!(
                    "The audit is triaged by the answer of `DescribeAuditTask`; the message is parked. In that answer:\n- {}",
                    listed(differences, "\n- ")
                ),
            ),
        };
        Alert {
            kind: Kind::AuditUnconfirmed,
            severity: AlertSeverity::High,
            about: format!("{kind} on {}", now.day()),
            thread: "audit topic".into(),
            title,
            description: format!(
                "Account {account_id} in {region}: a message on the audit topic is not confirmed by Device Defender. \
                 {what}\n\nFurther messages of this kind raise no alert today."
            ),
            next_steps: vec![
                "Find the sender: with data events of Amazon SNS, CloudTrail records who calls Publish on the audit topic. \
                 Only the role in the stack's output AuditTopicPublisherRoleArn and suppression-review announce audits."
                    .into(),
                "Take sns:Publish on the audit topic from all others, then read what was parked in \
                 NotificationDeadLetterQueue: the attribute `reason` says what differs."
                    .into(),
            ],
            subject: Subject::Log,
        }
    }
}

fn listed(differences: &[String], separator: &str) -> String {
    let more =
        differences.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!("and {more} more"));
    differences.iter().take(NAMED).cloned().chain(more).collect::<Vec<_>>().join(separator)
}
