//! Why a call to AWS failed, whether it may have had an effect all the same, and when it is made again.

use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use std::fmt;
use std::iter;

/// How much is shown of an answer that is none of AWS's.
const SHOWN: usize = 200;

/// Codes with which a service says that it is asked too often, and that it did nothing.
const THROTTLING: [&str; 8] = [
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// When a call is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// When the service was busy or broken, or the answer did not arrive.
    Always,
    /// Only when the service certainly did nothing.
    Unharmed,
}

/// Why a call has no good answer.
#[derive(Debug)]
pub(crate) struct Failure {
    why: String,
    effect: Effect,
}

/// What is known of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It is refused, and will be again.
    Refused,
    /// Nothing was done, and it may go well the next time.
    None,
    /// Nobody knows what was done.
    Unknown,
}

impl Failure {
    /// The failure of a call of a service. `place` is the service with its address, if that is not AWS's own.
    pub(crate) fn new<E>(service: &str, place: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        match error.raw_response() {
            Some(response) => Self::answered(service, response, error.code(), error.message()),
            None => Self { why: format!("{place}: {}", reason(error)), effect: unanswered(error) },
        }
    }

    fn answered(service: &str, response: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Self {
        let status = response.status().as_u16();
        let code = code.unwrap_or_default();
        let effect = match status {
            429 => Effect::None,
            _ if THROTTLING.contains(&code) => Effect::None,
            500.. => Effect::Unknown,
            _ if code == "RequestTimeout" => Effect::Unknown,
            _ => Effect::Refused,
        };
        let body = || String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
        let words = match (code, message) {
            ("", None) => body().chars().take(SHOWN).collect(),
            (code, message) => format!("{code} {}", message.unwrap_or_default()),
        };
        Self { why: format!("{service} answered {status}: {}", words.trim()), effect }
    }

    /// Whether what was asked for may have been done all the same.
    pub(crate) fn is_unknown(&self) -> bool {
        self.effect == Effect::Unknown
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Error for Failure {}

/// What a call without an answer has done.
fn unanswered<E>(error: &SdkError<E, HttpResponse>) -> Effect {
    match error {
        SdkError::ConstructionFailure(_) => Effect::Refused,
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) if was_never_sent(error) => Effect::None,
            Some(error) if error.is_user() => Effect::Refused,
            _ => Effect::Unknown,
        },
        _ => Effect::Unknown,
    }
}

/// Whether a request never left: there was no connection. Once there is one, what goes wrong on it comes from Hyper. A
/// connector's own time-out is that of connecting, since none is set for reading.
fn was_never_sent(error: &ConnectorError) -> bool {
    error.is_timeout() || (error.is_io() && !causes(error).any(<dyn Error>::is::<hyper::Error>))
}

/// The first cause: what lies around it are the layers of the client.
fn reason<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        _ => causes(error).last().map(ToString::to_string).unwrap_or_default(),
    }
}

/// An error and what caused it. After an `io::Error` comes what it carries: its `source` leaves that out.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

/// Keeps the SDK from invoking a function again that may have run: only what was throttled or never left is sent again.
#[derive(Debug)]
pub(crate) struct NoSecondRun;

impl ClassifyRetry for NoSecondRun {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        let refused = error.as_operation_error().and_then(|error| error.downcast_ref::<InvokeError>());
        let code = refused.and_then(ProvideErrorMetadata::code);
        let throttled = code.is_some_and(|code| THROTTLING.contains(&code));
        if throttled || error.as_connector_error().is_some_and(was_never_sent) {
            RetryAction::NoActionIndicated
        } else {
            RetryAction::RetryForbidden
        }
    }

    fn name(&self) -> &'static str {
        "no second run of a function"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
