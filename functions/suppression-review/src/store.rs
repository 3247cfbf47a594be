//! What a review reads from the archive and writes to it: the snapshot of the last review, and checkpoints of a review
//! that is continued, each with its message on the function's queue.

use fleetwarden_aws::Error;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::archive::known_suppressions_key;
use fleetwarden_aws::archive::review_key;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use serde::Deserialize;
use serde::Serialize;

use crate::snapshot::Snapshot;
use crate::state::Phase;
use crate::state::Progress;
use crate::state::State;

const BINARY: &str = "application/octet-stream";
/// How long a review pauses after a failure before it is continued, in seconds.
const AFTER_FAILURE_SECONDS: u32 = 300;

/// The message that continues a review.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Continuation {
    pub(crate) slot: String,
    pub(crate) step: u32,
}

impl Continuation {
    /// The message that continues this review.
    fn of(state: &State) -> Self {
        Self { slot: state.slot.clone(), step: state.step + 1 }
    }

    fn key(&self) -> String {
        review_key(&self.slot, self.step)
    }
}

/// Archive and queue of a review.
pub(crate) struct Store<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) archive: &'a Archive,
    pub(crate) queue: &'a Queue,
}

impl Store<'_> {
    /// The snapshot that the last review left; an empty one if there was none.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Error> {
        let key = known_suppressions_key(self.account, self.region);
        let bytes = self.archive.read(&key).await?;
        Ok(bytes.map(|bytes| Snapshot::decode(&bytes, &key)).transpose()?.unwrap_or_default())
    }

    pub(crate) async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let key = known_suppressions_key(self.account, self.region);
        self.archive.put(&key, BINARY, snapshot.encode()).await
    }

    /// The state at the checkpoint that a message names.
    pub(crate) async fn checkpoint(&self, message: &Continuation) -> Result<State, Error> {
        let key = message.key();
        let Some(bytes) = self.archive.read(&key).await? else {
            return Err(Error::Input(format!(
                "{key}: the checkpoint of the review is gone; the next review starts from the beginning"
            )));
        };
        let mut state = State::decode(&bytes, &key)?;
        state.step = message.step;
        Ok(state)
    }

    pub(crate) async fn save_checkpoint(&self, state: &State) -> Result<(), Error> {
        self.archive.put(&Continuation::of(state).key(), BINARY, state.encode()).await
    }

    /// Has the next invocation continue from the checkpoint.
    pub(crate) async fn enqueue(&self, state: &State) -> Result<(), Error> {
        let message = Continuation::of(state);
        let body = serde_json::to_string(&message).map_err(|e| Error::Input(e.to_string()))?;
        let Progress { position, failed_at, .. } = state.members;
        let failed = state.phase == Phase::Members && position > 0 && position == failed_at;
        let delay_seconds = if failed { AFTER_FAILURE_SECONDS } else { 0 };
        self.queue.send(&[Outgoing { body, delay_seconds }]).await
    }
}
