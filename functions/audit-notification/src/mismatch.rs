//! A notification that does not agree with what Device Defender says of its audit, and what becomes of its message.

use fleetwarden_aws::Error;
use fleetwarden_core::text;
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
                Error::Input(format!("audit {task_id}: DescribeAuditTask finds no such audit task"))
            }
            Self::NotEnded(why) => Error::Later(format!("audit {task_id} has not ended: {why}")),
            Self::Different(differences) => Error::Input(format!(
                "audit {task_id}: the notification differs from DescribeAuditTask, whose answer was used: {}",
                listed(differences, "; ")
            )),
        }
    }
}

/// Differences in one text, the first of them.
pub(crate) fn listed(differences: &[Text], separator: &'static str) -> Text {
    let more =
        differences.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| text!("and {} more", more));
    Text::joined(differences.iter().take(NAMED).cloned().chain(more), separator)
}
