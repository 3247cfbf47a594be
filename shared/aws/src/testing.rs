//! For the functions' tests: the SDK's real clients on a connector that never leaves the process.
//!
//! A test gives one function that sees every call of every service and answers it. What the SDK does on the
//! way, as retries, time-outs and error codes, is as in Lambda.

pub mod cloud;
pub mod environment;
pub mod gate;
mod logs;
pub mod queues;

use std::cell::RefCell;
use std::future;
use std::io;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;

use crate::clients::Shared;

/// One call, as the service sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The operation where the protocol names it (`PutItem`, `Publish`), else method and path without query
    /// (`POST /audit/suppressions/create`).
    pub operation: String,
    /// The query, or nothing.
    pub query: String,
    /// The headers, by name in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
    /// The body, as it was sent.
    pub bytes: Vec<u8>,
}

impl Call {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What the service says to it.
#[derive(Clone, Debug)]
pub enum Answer {
    /// An answer with its status, error code and body.
    Now {
        /// The HTTP status.
        status: u16,
        /// The error code, if it is an error.
        error: Option<&'static str>,
        /// The body.
        body: Vec<u8>,
    },
    /// Another answer, after a while.
    Late(Duration, Box<Self>),
    /// None, ever: the caller's time-out ends the call.
    Never,
    /// The connection is reset before the answer arrives.
    Reset,
}

impl Answer {
    /// Success, with this body.
    #[expect(clippy::needless_pass_by_value, reason = "what is written in place needs no borrow")]
    pub fn ok(body: impl ToString) -> Self {
        Self::Now { status: 200, error: None, body: body.to_string().into_bytes() }
    }

    /// An error with its code.
    #[expect(clippy::needless_pass_by_value, reason = "what is written in place needs no borrow")]
    pub fn error(status: u16, code: &'static str, body: impl ToString) -> Self {
        Self::Now { status, error: Some(code), body: body.to_string().into_bytes() }
    }

    /// An error that the SDK does not try again, and that a function does.
    pub fn refused() -> Self {
        Self::error(403, "AccessDeniedException", r#"{"message": "not yet"}"#)
    }

    /// An error that the SDK tries again: the service is broken.
    pub fn broken() -> Self {
        Self::error(500, "InternalServerError", r#"{"message": "broken"}"#)
    }
}

thread_local! {
    static LINES: RefCell<Vec<Value>> = const { RefCell::new(vec![]) };
}

/// Takes a metric line of this thread's test, in place of standard output.
pub fn emit(line: &str) {
    LINES.with_borrow_mut(|lines| lines.push(serde_json::from_str(line).unwrap_or_default()));
}

/// The metric lines of this thread's test, since it last asked.
pub fn emitted() -> Vec<Value> {
    LINES.take()
}

thread_local! {
    static ALERTS: RefCell<Vec<Value>> = const { RefCell::new(vec![]) };
}

/// Takes the log line of a published alert of this thread's test, in place of standard output.
pub fn log_alert(line: &str) {
    ALERTS.with_borrow_mut(|lines| lines.push(serde_json::from_str(line).unwrap_or_default()));
}

/// The log lines of alerts of this thread's test, since it last asked.
pub fn logged_alerts() -> Vec<Value> {
    ALERTS.take()
}

/// Clients whose every call a function answers.
pub fn clients(answer: impl Fn(Call) -> Answer + Clone + Send + Sync + 'static) -> Shared {
    connect(move |call| future::ready(answer(call)))
}

/// Clients whose every call a function answers in its own time.
pub fn connect<A>(answer: impl Fn(Call) -> A + Clone + Send + Sync + 'static) -> Shared
where
    A: Future<Output = Answer> + Send + 'static,
{
    let connector = SharedHttpConnector::new(Connector(answer));
    let credentials = Credentials::new("in", "process", None, None, "test");
    let http = http_client_fn(move |_, _| connector.clone());
    Shared::with_http_client("us-east-1".into(), credentials, http)
}

struct Connector<F>(F);

impl<F> std::fmt::Debug for Connector<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("in-process connector")
    }
}

impl<F, A> HttpConnector for Connector<F>
where
    F: Fn(Call) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.clone();
        HttpConnectorFuture::new(async move {
            let mut given = answer(read(request).await?).await;
            let (status, error, body) = loop {
                match given {
                    Answer::Now { status, error, body } => break (status, error, body),
                    Answer::Late(after, then) => {
                        tokio::time::sleep(after).await;
                        given = *then;
                    }
                    Answer::Never => future::pending().await,
                    Answer::Reset => {
                        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                        return Err(ConnectorError::io(reset.into()));
                    }
                }
            };
            let status = StatusCode::try_from(status).map_err(|e| ConnectorError::user(e.into()))?;
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            if let Some(code) = error {
                response.headers_mut().insert("x-amzn-errortype", code);
            }
            Ok(response)
        })
    }
}

async fn read(mut request: HttpRequest) -> Result<Call, ConnectorError> {
    let body = ByteStream::new(request.take_body()).collect().await;
    let sent = body.map_err(|e| ConnectorError::user(e.into()))?.to_vec();
    let chunked =
        request.headers().get("content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked"));
    let bytes = if chunked { unchunk(&sent) } else { sent };
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let target = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
    let action = || body.split('&').find_map(|pair| pair.strip_prefix("Action="));
    let (address, query) = request.uri().split_once('?').unwrap_or((request.uri(), ""));
    let path = address.split('/').skip(3).fold(String::new(), |path, part| path + "/" + part);
    let operation = match target.or_else(action) {
        Some(name) => name.to_owned(),
        None => format!("{} {path}", request.method()),
    };
    let query = query.to_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Call { operation, query, headers, body, bytes })
}

/// The content of a body that S3's client sent in chunks, with a checksum behind the last: each chunk has its
/// length in hexadecimal before it.
fn unchunk(mut sent: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = sent.windows(2).position(|pair| pair == b"\r\n") {
        let (length, rest) = sent.split_at(end);
        let length = std::str::from_utf8(length).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(length) = length.filter(|length| *length > 0) else { break };
        content.extend_from_slice(rest.get(2..length + 2).unwrap_or_default());
        sent = rest.get(length + 4..).unwrap_or_default();
    }
    content
}
