//! A notification that does not agree with what Device Defender says of its audit: why it is parked, and the alert.
//!
//! At most one alert a day of each kind: who may publish to the topic could raise thousands. All of the messages are
//! parked, each with its reason.

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;
use fleetwarden_core::untrusted::shown;

/// How many differences are named.
const NAMED: usize = 10;

/// How a notification disagrees.
pub(crate) enum Mismatch {
    /// The service knows no such audit task.
    NoSuchTask,
    /// The audit has not ended, and why that is known.
    NotEnded(Text),
    /// The audit ended in another way, and in what.
    Different(Vec<Text>),
}

impl Mismatch {
    /// What becomes of the message: it is parked, or tried again while the audit may end any moment.
    pub(crate) fn error(&self, task_id: &str) -> Error {
        let task_id = shown(task_id);
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
                text!("A notification names audit task {}, which does not exist", task_id),
                Text::own(
                    "`DescribeAuditTask` knows no such audit task. Nothing was written or triaged; the message is \
                     parked. An audit of another region, or of more than 90 days ago, does not exist here either.",
                ),
            ),
            Self::NotEnded(why) => (
                "not ended",
                text!("A notification says that audit task {} ended, and it has not", task_id),
                text!(
                    "In the answer of `DescribeAuditTask`, {}. Nothing was written or triaged. The message is tried \
                     again for some minutes and then parked. When the audit has ended, its own notification or the next \
                     review starts its triage.",
                    why
                ),
            ),
            Self::Different(differences) => (
                "different",
                text!("A notification of audit task {} differs from the audit", task_id),
                text!(
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
            description: text!(
                "Account {} in {}: a message on the audit topic is not confirmed by Device Defender. \
                 {}\n\nFurther messages of this kind raise no alert today.",
                account_id,
                region,
                what
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

fn listed(differences: &[Text], separator: &'static str) -> Text {
    let more =
        differences.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| text!("and {} more", more));
    Text::joined(differences.iter().take(NAMED).cloned().chain(more), separator)
}
