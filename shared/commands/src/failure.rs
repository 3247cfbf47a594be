//! Why a command is not done, under a name that a workflow can catch.

use std::fmt;

use fleetwarden_aws::Error;
use fleetwarden_aws::undo::NotUndone;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::untrusted::visible_lines;
use lambda_runtime::Diagnostic;

/// How many faults of one input are told.
const TOLD: usize = 50;

/// A command that is not done.
#[derive(thiserror::Error)]
pub enum Failure {
    /// The input is wrong; nothing was called but what told so.
    #[error("{}", told(.0))]
    Input(Vec<Fault>),
    /// It is not allowed, or not now.
    #[error("{what}")]
    Refused {
        /// The name to catch it by.
        name: &'static str,
        /// Why.
        what: String,
    },
    /// A service refused it or did not answer.
    #[error("{}", words(.0))]
    Aws(#[from] Error),
}

impl From<NotUndone> for Failure {
    fn from(not: NotUndone) -> Self {
        match not {
            NotUndone::Refused { name, what } => Self::Refused { name, what },
            NotUndone::Selection { path, what } => Self::fault(path, what),
            NotUndone::Failed(error) => Self::Aws(error),
        }
    }
}

impl Failure {
    /// What a command would destroy has to be confirmed.
    pub const fn confirmation(what: String) -> Self {
        Self::Refused { name: "ConfirmationRequired", what }
    }

    /// One fault.
    pub fn fault(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Input(vec![Fault { path: path.into(), what: what.into() }])
    }

    /// The function's time is over.
    pub fn out_of_time() -> Self {
        let what =
            "the time of the function was over before AWS had answered; what was under way may be done";
        Self::Refused { name: "OutOfTime", what: what.to_owned() }
    }

    /// The name to catch it by: the service's code where there is one.
    pub fn name(&self) -> &str {
        match self {
            Self::Input(_) => "InvalidInput",
            Self::Refused { name, .. } => name,
            Self::Aws(Error::Aws { code, .. }) => code,
            Self::Aws(error) => error.name(),
        }
    }
}

fn told(faults: &[Fault]) -> String {
    let mut lines: Vec<String> = faults.iter().take(TOLD).map(ToString::to_string).collect();
    if let Some(more) = faults.len().checked_sub(TOLD).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn words(error: &Error) -> String {
    match error {
        Error::Aws { operation, message, .. } => format!("{operation}: {message}"),
        other => other.to_string(),
    }
}

/// As people read it: the runtime of Lambda logs a failure so.
impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {self}", self.name())
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.name().to_owned(),
            error_message: visible_lines(&failure.to_string()).into_owned(),
        }
    }
}
