//! HTTP: one client for everything that the command line talks to.
//!
//! The emulator and the Device Defender endpoint listen on loopback: [`Http::send`] asks them once, because a
//! request that fails there says that something has stopped, and the operator should see it. What goes to AWS goes
//! through [`crate::aws`], which asks again.

use anyhow::{Context as _, Result, anyhow, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// No call on this machine takes longer; a longer one hangs.
const TIMEOUT: Duration = Duration::from_mins(2);
/// A host that does not take a connection by then is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// Between looks at a connection on which nothing comes. What stands between forgets a silent one after minutes,
/// and a function may be silent for longer.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// No answer has more bytes: Lambda gives six million, and an object of the archive has one.
pub(crate) const LARGEST: u64 = 64 << 20;

/// A client with a connection pool. Clones share the pool.
//
// TLS only where an address asks for it: a machine without certificates has none to read.
#[derive(Debug, Clone)]
pub(crate) enum Http {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// An answer, whatever its status says.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, possibly empty.
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// Whether the request may have arrived.
    pub(crate) sent: bool,
    pub(crate) why: String,
}

impl Reply {
    /// Whether the status says that it went well.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header, if it is there and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, when the status says that it went well.
    pub(crate) fn ok(self) -> Result<Bytes> {
        if self.is_success() {
            return Ok(self.body);
        }
        bail!("answered {}: {}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// The body as JSON, when the status says that it went well. An empty body is null.
    pub(crate) fn json(self) -> Result<Value> {
        let body = self.ok()?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).context("the answer is no JSON")
    }
}

impl Http {
    /// A client for this machine, that opens its first connection with its first request.
    pub(crate) fn new() -> Self {
        Self::Plain(Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
    }

    /// A client for other machines as well, which trusts the certificates that this one does.
    pub(crate) fn tls() -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(KEEPALIVE));
        let tls = HttpsConnectorBuilder::new().with_native_roots();
        let tls = tls.context("no certificates to trust: SSL_CERT_FILE can name some")?;
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        Ok(Self::Tls(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        let mut request = Request::builder().method(&method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        let reply = self.exchange(request, TIMEOUT).await;
        reply.map_err(|unanswered| anyhow!(unanswered.why)).with_context(|| format!("{method} {url}"))
    }

    /// Sends one request, reads the whole answer, and tells a request that was never sent from a lost answer.
    pub(crate) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Reply, Unanswered> {
        let lost = |why| Unanswered { sent: true, why };
        let exchange = async {
            let response = match self {
                Self::Plain(client) => client.request(request).await,
                Self::Tls(client) => client.request(request).await,
            };
            let response = response.map_err(|error| {
                let sent = !error.is_connect();
                // What lies around the first cause are the layers of the client.
                Unanswered { sent, why: anyhow!(error).root_cause().to_string() }
            })?;
            let (head, body) = response.into_parts();
            let most = usize::try_from(LARGEST).unwrap_or(usize::MAX);
            let body = Limited::new(body, most).collect().await;
            let body = body.map_err(|error| lost(format!("the answer ended early: {error}")))?.to_bytes();
            Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
        };
        let in_time = tokio::time::timeout(timeout, exchange).await;
        in_time.unwrap_or_else(|_| Err(lost(format!("no answer in {} s", timeout.as_secs()))))
    }
}
