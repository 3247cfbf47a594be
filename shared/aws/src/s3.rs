//! Amazon S3, as much of it as the archive needs: whole objects, written, read and deleted.
//!
//! The SDK's client of S3 would be a fifth of each binary, for all that S3 can do besides. This one makes its
//! requests itself and sends them as [`crate::rest`] does: as the SDK sends its own.

use std::mem;
use std::sync::Arc;

use aws_sigv4::http_request::PayloadChecksumKind;
use aws_sigv4::http_request::PercentEncodingMode;
use aws_sigv4::http_request::SignableBody;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::http_request::UriPathNormalizationMode;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SdkConfig;

use crate::rest;
use crate::rest::Again;
use crate::rest::Refused;

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
            None => format!("https://{name}.s3.{region}.{}", rest::domain(&region)),
        };
        let operation = rest::sender(&self.config, "S3", &url, Answer, Again::Always);
        Bucket(Arc::new(Inner { operation, url, config: self.config }))
    }
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
        let path = rest::encoded(key, b"/");
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let url = &format!("{url}/{path}");
        let body = SignableBody::UnsignedPayload;
        let unsigned = rest::Unsigned { service: "s3", method, url, headers: &[], body, settings };
        let signature = rest::sign(config, unsigned).await?;
        let (length, kind) = content.as_ref().map_or((None, None), |c| (Some(c.bytes), Some(c.kind)));
        let mut request = HttpRequest::new(content.map_or_else(SdkBody::empty, |content| content.body));
        request.set_method(method)?;
        request.set_uri(format!("/{path}"))?;
        let headers = request.headers_mut();
        if let (Some(length), Some(kind)) = (length, kind) {
            headers.insert("content-length", length.to_string());
            headers.insert("content-type", kind);
        }
        for (name, value) in signature {
            headers.insert(name, value);
        }
        Ok(request)
    }
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
        Refused::new(code, message).into_outcome()
    }
}
