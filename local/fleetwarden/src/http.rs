//! HTTP on this machine: the emulator's health and the Device Defender endpoint's own controls.
//!
//! Each is asked once, because a request that fails there says that something has stopped, and the operator should
//! see it. Calls to AWS go through [`crate::aws`], calls to the emulator's services through [`crate::cloud`].

use anyhow::{Context as _, Result, anyhow, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// No call on this machine takes longer; a longer one hangs.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A client with a connection pool. Clones share the pool.
#[derive(Debug, Clone)]
pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

/// An answer, whatever its status says.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, possibly empty.
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body as JSON, when the status says that it went well. An empty body is null.
    pub(crate) fn json(self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("answered {}: {}", self.status, String::from_utf8_lossy(&self.body))
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).context("the answer is no JSON")
    }
}

impl Http {
    /// A client that opens its first connection with its first request.
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
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
        let exchange = async {
            // What lies around the first cause are the layers of the client.
            let response = self.0.request(request).await;
            let response = response.map_err(|error| anyhow!(anyhow!(error).root_cause().to_string()))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.context("the answer ended early")?.to_bytes();
            Ok(Reply { status: head.status.as_u16(), body })
        };
        let in_time = tokio::time::timeout(TIMEOUT, exchange).await;
        let reply = in_time.unwrap_or_else(|_| Err(anyhow!("no answer in {} s", TIMEOUT.as_secs())));
        reply.with_context(|| format!("{method} {url}"))
    }
}
