//! The states that a task will change: written down right before its start, so that it can be undone.
//!
//! Whoever writes has read the states first and then asks the service for the task: as long as there is none, nothing has
//! been changed by it. So a repeat writes a state before, too, and after the start nothing is written any more.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Claimable;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::before::BeforeRead;
use fleetwarden_core::model::mitigation::before::Before;
use fleetwarden_core::timestamp::Millis;

use crate::refusals::Unable;
use crate::work::Revalidated;
use crate::work::Work;

/// The error codes of what is not permitted.
const DENIED: [&str; 2] = ["AccessDeniedException", "UnauthorizedException"];

/// What came of writing states down.
#[derive(Debug)]
pub(crate) enum Stored {
    /// All of them are written, or the task was started before: it may start.
    Yes,
    /// There are more than one message reads: the next one goes on.
    InPart,
    /// A state is not known, and why: it is read later.
    Unknown(String),
    /// A state will not be known, and why.
    Never(Unable, String),
}

/// Why a state is not known.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It may be known later.
    Later(String),
    /// The function may not read it.
    Denied(String),
}

/// Why a state is not known, if it is not: what is denied stays so, and all else may be well later.
pub(crate) fn judge<T>(read: Result<T, Error>) -> Result<T, Unread> {
    judge_of("the state before the start is not known", read)
}

/// As [`judge`], of something else that has to be known.
pub(crate) fn judge_of<T>(what: &str, read: Result<T, Error>) -> Result<T, Unread> {
    read.map_err(|error| {
        let why = format!("{what}: {error}");
        if DENIED.iter().any(|code| error.is_code(code)) { Unread::Denied(why) } else { Unread::Later(why) }
    })
}

impl<R: Claimable> From<Unread> for Revalidated<R> {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Later(why) => Self::Unknown(why),
            Unread::Denied(why) => Self::Never(Unable::Denied, why),
        }
    }
}

impl From<Unread> for Stored {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Later(why) => Self::Unknown(why),
            Unread::Denied(why) => Self::Never(Unable::Denied, why),
        }
    }
}

/// Writes down states that were read, all of them.
pub(crate) async fn store<W: Work>(
    work: &W,
    mitigations: &Mitigations,
    task_id: &str,
    befores: &[Before],
    now: Millis,
) -> Result<Stored, Error> {
    if Box::pin(work.describe(task_id)).await?.is_some() {
        return Ok(Stored::Yes);
    }
    let resources = befores.len() as u64;
    let read = BeforeRead { resources, complete: true, began_at: now, ..BeforeRead::default() };
    mitigations.put_before(task_id, befores, &read, now).await?;
    Ok(Stored::Yes)
}
