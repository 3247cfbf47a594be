//! Amazon S3, as much of it as the archive needs: whole objects, written, read and deleted.
//!
//! The SDK's client of S3 would be a fifth of each binary, for all that S3 can do besides. This one makes its
//! requests itself and hands them to the SDK's own orchestrator, so that connections, time-outs, retries and
//! errors are those of all other clients.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::PayloadChecksumKind;
use aws_sigv4::http_request::PercentEncodingMode;
use aws_sigv4::http_request::SignableBody;
use aws_sigv4::http_request::SignableRequest;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::http_request::UriPathNormalizationMode;
use aws_sigv4::http_request::sign;
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime::client::retries::classifiers::TransientErrorClassifier;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::interceptors::context;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

/// The service, before it is known which bucket.
#[derive(Clone, Debug)]
pub struct S3 {
    config: SdkConfig,
    endpoint: Option<String>,
}

/// A bucket. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Bucket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: SdkConfig,
    url: String,
    operation: Operation<HttpRequest, SdkBody, Refused>,
}

/// What to write: the body with its length in bytes.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) body: SdkBody,
    pub(crate) bytes: u64,
    pub(crate) kind: &'static str,
}

/// The service's error.
#[derive(Debug)]
pub(crate) struct Refused(ErrorMetadata);

impl S3 {
    /// The service at an endpoint of its own, else at AWS.
    pub(crate) const fn new(config: SdkConfig, endpoint: Option<String>) -> Self {
        Self { config, endpoint }
    }

    /// A bucket of it.
    ///
    /// At an endpoint of its own the bucket stands in the path: the names of buckets do not resolve there.
    pub(crate) fn bucket(self, name: &str) -> Bucket {
        let region = self.config.region().map(ToString::to_string).unwrap_or_default();
        let url = match self.endpoint {
            Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            None => format!("https://{name}.s3.{region}.{}", domain(&region)),
        };
        let retries = self.config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let operation = Operation::builder()
            .service_name("S3")
            .operation_name("Object")
            .endpoint_url(&url)
            .no_auth()
            .standard_retry(&retries)
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .timeout_config(self.config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled))
            .with_connection_poisoning()
            .serializer(|request: HttpRequest| Ok::<_, BoxError>(request))
            .deserializer_impl::<SdkBody, Refused>(Answer);
        let operation = match self.config.behavior_version() {
            Some(version) => operation.behavior_version(version),
            None => operation,
        };
        let operation = match self.config.http_client() {
            Some(http) => operation.http_client(http),
            None => operation,
        };
        let operation = match self.config.sleep_impl() {
            Some(sleep) => operation.sleep_impl(sleep),
            None => operation,
        };
        Bucket(Arc::new(Inner { operation: operation.build(), url, config: self.config }))
    }
}

/// Where a region's endpoints are ("Amazon S3 endpoints and quotas").
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

impl Bucket {
    /// Writes an object (`PutObject`).
    pub(crate) async fn put(
        &self,
        key: &str,
        content: Content,
    ) -> Result<(), SdkError<Refused, HttpResponse>> {
        self.send("PUT", key, Some(content)).await.map(drop)
    }

    /// Reads an object (`GetObject`); its content comes as it is asked for.
    pub(crate) async fn get(&self, key: &str) -> Result<SdkBody, SdkError<Refused, HttpResponse>> {
        self.send("GET", key, None).await
    }

    /// Deletes an object (`DeleteObject`).
    pub(crate) async fn delete(&self, key: &str) -> Result<(), SdkError<Refused, HttpResponse>> {
        self.send("DELETE", key, None).await.map(drop)
    }

    async fn send(
        &self,
        method: &'static str,
        key: &str,
        content: Option<Content>,
    ) -> Result<SdkBody, SdkError<Refused, HttpResponse>> {
        let request = self.request(method, key, content).await.map_err(SdkError::construction_failure)?;
        self.0.operation.invoke(request).await
    }

    /// A signed request. The signature says nothing about the content: TLS protects that, and S3 keeps a
    /// checksum of its own.
    async fn request(
        &self,
        method: &str,
        key: &str,
        content: Option<Content>,
    ) -> Result<HttpRequest, BoxError> {
        let Inner { config, url, .. } = self.0.as_ref();
        let path = encoded(key);
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let credentials = config.credentials_provider().ok_or("there are no credentials")?;
        let identity: Identity = credentials.provide_credentials().await?.into();
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()?
            .into();
        let full = format!("{url}/{path}");
        let signable = SignableRequest::new(method, full, std::iter::empty(), SignableBody::UnsignedPayload)?;
        let (signature, _) = sign(signable, &params)?.into_parts();
        let (length, kind) = content.as_ref().map_or((None, None), |c| (Some(c.bytes), Some(c.kind)));
        let mut request = HttpRequest::new(content.map_or_else(SdkBody::empty, |content| content.body));
        request.set_method(method)?;
        request.set_uri(format!("/{path}"))?;
        let headers = request.headers_mut();
        if let (Some(length), Some(kind)) = (length, kind) {
            headers.insert("content-length", length.to_string());
            headers.insert("content-type", kind);
        }
        for (name, value) in signature.headers() {
            headers.insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}

/// A key as it stands in a path: every byte but the unreserved and the slash as `%XX`, as signing wants it.
fn encoded(key: &str) -> String {
    use fmt::Write as _;
    key.bytes().fold(String::with_capacity(key.len() + 16), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}

/// What comes back: a success with its content still to come, or an error.
#[derive(Debug)]
struct Answer;

impl DeserializeResponse for Answer {
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        _: &ConfigBag,
    ) -> Option<Result<context::Output, OrchestratorError<context::Error>>> {
        if !response.status().is_success() {
            return None;
        }
        let body = mem::replace(response.body_mut(), SdkBody::taken());
        Some(Ok(context::Output::erase(body)))
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> Result<context::Output, OrchestratorError<context::Error>> {
        let text = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
        let within = |name: &str| {
            let (_, after) = text.split_once(&format!("<{name}>"))?;
            after.split_once("</").map(|(value, _)| value)
        };
        let status = response.status().as_u16();
        let code = within("Code").map_or_else(|| format!("HTTP {status}"), ToOwned::to_owned);
        let message = within("Message").map_or_else(|| format!("HTTP {status}"), ToOwned::to_owned);
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        Err(OrchestratorError::operation(context::Error::erase(Refused(meta))))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_signing_wants_them() {
        assert_eq!(encoded("findings/day=2026-11-23/A_B~1.gz"), "findings/day%3D2026-11-23/A_B~1.gz");
        assert_eq!(encoded("ä b+c"), "%C3%A4%20b%2Bc");
    }

    #[test]
    fn a_bucket_is_where_its_region_is() {
        assert_eq!(domain("eu-central-1"), "amazonaws.com");
        assert_eq!(domain("cn-north-1"), "amazonaws.com.cn");
    }
}
