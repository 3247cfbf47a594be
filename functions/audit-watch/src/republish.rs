//! Publishes the notifications of audits that nobody handled to the audit topic again.

use fleetwarden_aws::topic::Topic;

use crate::account::Run;
use crate::problem::Lost;
use crate::problem::Problem;
use crate::state::State;

/// Lost notifications, and where they are published.
pub(crate) struct Notifications<'a> {
    pub(crate) account: &'a str,
    pub(crate) topic: &'a Topic,
    pub(crate) dry_run: bool,
}

/// What became of the lost notifications of a run.
#[derive(Debug, Default)]
pub(crate) struct Republished {
    /// Published for the first time.
    unheard: Vec<Lost>,
    /// Published by the run before too, and not handled since.
    undelivered: Vec<Lost>,
    /// Not published.
    unsent: Vec<Lost>,
    /// The first error of those.
    error: Option<String>,
}

impl Notifications<'_> {
    /// Publishes the notification of each audit, whatever becomes of the others.
    pub(crate) async fn publish(&self, audits: &[&Run], state: &State) -> Republished {
        let mut republished = Republished::default();
        for run in audits {
            let sent = self.publish_one(run).await;
            tracing::warn!(
                audit.task_id = run.task_id,
                sent = sent.is_ok() && !self.dry_run,
                error = sent.as_ref().err(),
                "no notification of the audit was handled"
            );
            let list = match sent {
                Err(error) => {
                    republished.error.get_or_insert(error);
                    &mut republished.unsent
                }
                Ok(()) if state.was_republished(&run.task_id) => &mut republished.undelivered,
                Ok(()) => &mut republished.unheard,
            };
            list.push(Lost::from(*run));
        }
        republished
    }

    async fn publish_one(&self, run: &Run) -> Result<(), String> {
        let notification = run.notification(self.account)?;
        if self.dry_run {
            return Ok(());
        }
        self.topic.publish(&notification).await.map_err(|error| error.to_string())
    }
}

impl Republished {
    /// The audit tasks whose notifications were published.
    pub(crate) fn task_ids(&self) -> impl Iterator<Item = String> {
        self.unheard.iter().chain(&self.undelivered).map(|audit| audit.task_id.clone())
    }

    /// What is wrong by that.
    pub(crate) fn problems(&self) -> impl Iterator<Item = Problem> {
        let some = |audits: &[Lost]| (!audits.is_empty()).then(|| audits.to_vec());
        let unheard = some(&self.unheard).map(|audits| Problem::Unheard { audits });
        let undelivered = some(&self.undelivered).map(|audits| Problem::Undelivered { audits });
        let unsent = self.error.clone().map(|why| Problem::Unsent { why, audits: self.unsent.clone() });
        [unheard, undelivered, unsent].into_iter().flatten()
    }
}
