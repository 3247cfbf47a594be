//! Requests that no client of the SDK makes, sent the way the SDK sends its own.
//!
//! [`IotApi`](crate::iot_api::IotApi) passes on members that no type of the SDK knows. Its requests go through the
//! SDK's own signer and orchestrator, so that connections, time-outs, retries and errors are those of all other
//! clients. The caller brings the request and reads the answer.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::SignableBody;
use aws_sigv4::http_request::SignableRequest;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime::client::retries::classifiers::TransientErrorClassifier;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::interceptors::context::Error;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::interceptors::context::Output;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::retries::classifiers::ClassifyRetry;
use aws_smithy_runtime_api::client::retries::classifiers::RetryAction;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

/// Codes with which a service says that it is asked too often. `LimitExceededException` is none of them: the same
/// call some milliseconds later meets the same quota.
pub(crate) const THROTTLING: [&str; 5] = [
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestThrottledException",
];

/// The signing name of AWS IoT's control plane.
const SIGNING_NAME: &str = "iot";

/// The service's error.
#[derive(Debug)]
pub(crate) struct Refused(ErrorMetadata);

/// When a call is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// When the service was busy or broken, or the answer did not arrive.
    Always,
    /// Only when the service certainly did nothing: it was asked too often.
    Unharmed,
}

/// What sends requests to AWS IoT. `read` makes an `O` or a [`Refused`] of each answer.
pub(crate) fn sender<O: fmt::Debug + Send + Sync + 'static>(
    config: &SdkConfig,
    url: &str,
    read: impl DeserializeResponse + 'static,
    again: Again,
) -> Operation<HttpRequest, O, Refused> {
    let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
    let operation = Operation::builder()
        .service_name("IoT")
        .operation_name("Request")
        .endpoint_url(url)
        .no_auth()
        .standard_retry(&retries)
        .retry_classifier(Throttled)
        .timeout_config(config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled))
        .with_connection_poisoning()
        .serializer(|request: HttpRequest| Ok::<_, BoxError>(request))
        .deserializer_impl::<O, Refused>(read);
    let operation = match again {
        Again::Always => operation
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(HttpStatusCodeClassifier::default()),
        Again::Unharmed => operation,
    };
    let operation = match config.behavior_version() {
        Some(version) => operation.behavior_version(version),
        None => operation,
    };
    let operation = match config.http_client() {
        Some(http) => operation.http_client(http),
        None => operation,
    };
    let operation = match config.sleep_impl() {
        Some(sleep) => operation.sleep_impl(sleep),
        None => operation,
    };
    operation.build()
}

/// What is to be signed for AWS IoT.
pub(crate) struct Unsigned<'a> {
    /// The HTTP method.
    pub(crate) method: &'a str,
    /// The whole address, encoded.
    pub(crate) url: &'a str,
    /// Headers that the signature covers.
    pub(crate) headers: &'a [(&'a str, String)],
    /// The body.
    pub(crate) body: &'a str,
}

/// The headers that sign a request (version 4).
pub(crate) async fn sign(
    config: &SdkConfig,
    unsigned: Unsigned<'_>,
) -> Result<Vec<(String, String)>, BoxError> {
    let Unsigned { method, url, headers, body } = unsigned;
    let credentials = config.credentials_provider().ok_or("there are no credentials")?;
    let identity: Identity = credentials.provide_credentials().await?.into();
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name(SIGNING_NAME)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let signable = SignableRequest::new(method, url, headers, SignableBody::Bytes(body.as_bytes()))?;
    let (signature, _) = aws_sigv4::http_request::sign(signable, &params)?.into_parts();
    Ok(signature.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A text as it can stand in an address: every byte but the unreserved as `%XX`.
pub(crate) fn encoded(text: &str) -> String {
    use fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len() + 16), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

impl Refused {
    /// An error with the service's code and words.
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self(ErrorMetadata::builder().code(code).message(message).build())
    }

    /// What a reader of answers gives back.
    pub(crate) fn into_outcome(self) -> Result<Output, OrchestratorError<Error>> {
        Err(OrchestratorError::operation(Error::erase(self)))
    }
}

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

/// Throttling by its code: AWS IoT says it with the status 400.
#[derive(Debug)]
struct Throttled;

impl ClassifyRetry for Throttled {
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let error = ctx.output_or_error().and_then(Result::err).and_then(|e| e.as_operation_error());
        let code = error.and_then(|e| e.downcast_ref::<Refused>()).and_then(ProvideErrorMetadata::code);
        if code.is_some_and(|code| THROTTLING.contains(&code)) {
            RetryAction::throttling_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "throttling by code"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encoded_as_signing_wants_them() {
        assert_eq!(encoded("day=2026-11-23/A_B~1.gz"), "day%3D2026-11-23%2FA_B~1.gz");
        assert_eq!(encoded("ä b+c/"), "%C3%A4%20b%2Bc%2F");
    }
}
