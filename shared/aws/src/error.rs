//! What can go wrong around a call, and whether trying again can help.

use std::fmt;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fleetwarden_core::untrusted::visible_lines;
use lambda_runtime::Diagnostic;

use crate::settings::SettingsError;

/// Error codes with which the same request never succeeds. All others are worth another try: what is
/// throttled, broken, or not permitted yet may be well later.
const NEVER: [&str; 8] = [
    "InvalidRequestException",
    "ValidationException",
    "InvalidParameterException",
    "InvalidParameter",
    "InvalidMessageContents",
    "BatchRequestTooLong",
    "ResourceAlreadyExistsException",
    "EntityTooLarge",
];

/// A failure, in words that say what failed, on what, and why.
#[derive(thiserror::Error)]
pub enum Error {
    /// A setting is missing or wrong: the function does not start.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The policy cannot be used: the function does not act.
    #[error("{path}: {what}")]
    Policy {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        what: String,
    },
    /// A call to AWS failed after its retries.
    #[error("{operation} on {on}: {code}: {message}")]
    Aws {
        /// The operation, as `ListAuditFindings`.
        operation: &'static str,
        /// What it was about.
        on: String,
        /// The service's error code, or the kind of transport failure.
        code: String,
        /// What the service said.
        message: String,
    },
    /// The input can never be handled, however often it is tried.
    #[error("{0}")]
    Input(String),
    /// The work is not done and goes on later: the record is to be delivered again.
    #[error("{0}")]
    Later(String),
    /// The local disk failed.
    #[error("{what}: {source}")]
    Disk {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// Makes a failure of an SDK error; to be used with `map_err`.
    pub fn aws<E, R>(operation: &'static str, on: &str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug,
    {
        move |error| {
            let kind = match &error {
                SdkError::TimeoutError(_) => "TimeoutError",
                SdkError::DispatchFailure(_) => "DispatchFailure",
                SdkError::ResponseError(_) => "ResponseError",
                SdkError::ServiceError(_) => "ServiceError",
                _ => "ConstructionFailure",
            };
            let message = error.message().map(ToOwned::to_owned);
            Self::Aws {
                operation,
                on: on.to_owned(),
                code: error.code().unwrap_or(kind).to_owned(),
                message: message.unwrap_or_else(|| causes(&error)),
            }
        }
    }

    /// Whether a call failed with this error code of the service.
    pub fn is_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Aws { code, .. } if code == wanted)
    }

    /// Whether the same record can never be handled, however often it is delivered.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Input(_) => true,
            Self::Aws { code, .. } => NEVER.contains(&code.as_str()),
            _ => false,
        }
    }

    /// The outcome of two things that were done side by side. Of two failures it is the one that is worth
    /// another try: else what only needed time would be put aside together with what can never succeed.
    ///
    /// # Errors
    /// If either failed.
    pub fn of_both(one: Result<(), Self>, other: Result<(), Self>) -> Result<(), Self> {
        match (one, other) {
            (Err(one), Err(other)) => {
                let (first, second) = if one.is_permanent() { (other, one) } else { (one, other) };
                tracing::warn!(error.name = second.name(), error = %second, "a second thing failed");
                Err(first)
            }
            (one, other) => one.and(other),
        }
    }

    /// The stable name that alarms and people can search for.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Settings(_) => "Fleetwarden.Settings",
            Self::Policy { .. } => "Fleetwarden.Policy",
            Self::Aws { .. } => "Fleetwarden.Aws",
            Self::Input(_) => "Fleetwarden.Input",
            Self::Later(_) => "Fleetwarden.Later",
            Self::Disk { .. } => "Fleetwarden.Disk",
        }
    }
}

/// An error and what caused it, in their words.
fn causes<'e>(error: &'e (dyn std::error::Error + 'e)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut words = vec![error.to_string()];
    words.extend(causes.map(ToString::to_string));
    words.dedup();
    words.join(": ")
}

/// As people read it: the runtime of Lambda logs a failure so.
impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {self}", self.name())
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.name().to_owned(),
            error_message: visible_lines(&error.to_string()).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::operation::send_message::SendMessageError;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    #[test]
    fn a_failure_is_told_in_words_and_never_as_rust_has_it() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "nobody \u{202e}listens");
        let error: SdkError<SendMessageError, ()> =
            SdkError::dispatch_failure(ConnectorError::io(Box::new(refused)));
        let error = Error::aws("SendMessage", "the queue")(error);
        let words =
            "SendMessage on the queue: DispatchFailure: dispatch failure: io error: nobody \u{202e}listens";
        assert_eq!(error.to_string(), words);
        assert_eq!(format!("{error:?}"), format!("Fleetwarden.Aws: {words}"));
        assert!(Diagnostic::from(error).error_message.ends_with(r"nobody \u202elistens"));
    }
}
