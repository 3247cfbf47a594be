//! One mitigation task at the service, of either kind: what its start came to, and where it stands.

use fleetwarden_aws::Error;
use fleetwarden_core::timestamp::Millis;

/// A task as the service describes it.
pub(crate) trait Task {
    /// Its status, in the service's word.
    fn status(&self) -> Option<&str>;

    /// When it began.
    fn started_at(&self) -> Option<Millis>;
}

/// What the service says to a start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// The task runs, or has run: this start or an earlier one of the same.
    Yes,
    /// As many tasks run as may.
    Full,
    /// Never, and why.
    Refused(String),
    /// Not with the permissions of the function.
    Denied(String),
}

impl Started {
    /// What a start came to. Where the service refuses it, the task is looked up: an earlier start of the same may have
    /// made it, and then it is as it was asked for.
    ///
    /// # Errors
    /// If the service does not answer, or is busy.
    pub(crate) async fn of<T>(
        id: &str,
        started: Result<(), Error>,
        describe: impl AsyncFnOnce() -> Result<Option<T>, Error>,
        difference: impl FnOnce(&T) -> Option<&'static str>,
    ) -> Result<Self, Error> {
        let Err(error) = started else { return Ok(Self::Yes) };
        let Error::Aws { code, .. } = &error else { return Err(error) };
        match code.as_str() {
            "TaskAlreadyExistsException" => {
                let Some(task) = describe().await? else {
                    return Err(Error::Later(format!("task {id} exists and cannot be found")));
                };
                Ok(match difference(&task) {
                    None => Self::Yes,
                    Some(what) => Self::Refused(format!("task {id} exists already with other {what}")),
                })
            }
            "LimitExceededException" => Ok(Self::Full),
            code @ ("InvalidRequestException" | "AccessDeniedException" | "UnauthorizedException") => {
                let reason = error.to_string();
                // An earlier delivery may have started it, before the action or the permission was taken away.
                Ok(match describe().await? {
                    Some(task) if difference(&task).is_none() => Self::Yes,
                    _ if code == "InvalidRequestException" => Self::Refused(reason),
                    _ => Self::Denied(reason),
                })
            }
            _ => Err(error),
        }
    }
}
