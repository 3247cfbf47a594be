//! Plain HTTP to this machine: the emulator, the Device Defender endpoint and nothing else.
//!
//! Everything that the command line talks to listens on loopback, so there is no TLS here, and no retry: a
//! request that fails on loopback says that something has stopped, and the operator should see it.

use anyhow::{Context as _, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// No call of the command line takes longer; a longer one hangs.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A client with a connection pool. Clones share the pool.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer: its status and its body, whatever the status says.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, possibly empty.
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body, when the status says that it went well.
    pub(crate) fn ok(self) -> Result<Bytes> {
        if (200..300).contains(&self.status) {
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
    /// A client that opens its first connection with its first request.
    pub(crate) fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()) }
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
            let response = self.client.request(request).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::Ok(Reply { status, body })
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .with_context(|| format!("{method} {url}: no answer in {} s", TIMEOUT.as_secs()))?
            .with_context(|| format!("{method} {url}"))
    }
}
