//! An endpoint in place of AWS, for a function that runs without a stack: it refuses every call with what to do.
//!
//! A function that cannot reach its endpoint tries again and ends with an error about connections. Refused by name, it says
//! what is missing.

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The code of the error.
const CODE: &str = "NoStack";
/// What to do.
pub(crate) const HINT: &str = "there is no stack: fleetwarden up brings one up on this machine and prints the variables \
     by which its functions are reached";

/// An endpoint that refuses every call. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct NoStack {
    address: SocketAddr,
    asked: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl NoStack {
    /// Listens on a free port of loopback.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port")?;
        let address = listener.local_addr()?;
        let asked = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&asked)));
        Ok(Self { address, asked, _tasks: tasks })
    }

    /// Its address, for `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether anybody has asked it.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, asked: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        asked.store(true, Ordering::Relaxed);
        connections.spawn(async move {
            let answer = service_fn(async |request| Ok::<_, Infallible>(refused(&request)));
            let connection = hyper::server::conn::http1::Builder::new();
            // A function that ends breaks its connection: nothing to say about that.
            let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// The refusal in the words of the protocol that the request is in: of forms and of S3 it is XML, else JSON.
fn refused(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let error = format!("<Error><Code>{CODE}</Code><Message>{HINT}</Message></Error>");
    let body = if header(CONTENT_TYPE).starts_with("application/x-www-form-urlencoded") {
        format!("<ErrorResponse>{error}</ErrorResponse>")
    } else if header(AUTHORIZATION).contains("/s3/aws4_request") {
        error
    } else {
        serde_json::json!({"__type": CODE, "message": HINT}).to_string()
    };
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
    response.headers_mut().insert("x-amzn-errortype", hyper::header::HeaderValue::from_static(CODE));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Http;
    use hyper::Method;

    #[tokio::test]
    async fn every_call_is_answered_in_its_protocol() {
        let no_stack = NoStack::start().await.unwrap();
        assert!(!no_stack.was_asked());
        for (name, value, begins) in [
            (
                "content-type",
                "application/x-amz-json-1.0",
                "{\"__type\":\"NoStack\",\"message\":\"there is no stack",
            ),
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
                "<ErrorResponse><Error><Code>NoStack</Code>",
            ),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=id/20261123/us-east-1/s3/aws4_request",
                "<Error><Code>NoStack</Code>",
            ),
        ] {
            let reply = Http::new().send(Method::POST, &no_stack.url(), &[(name, value)], "").await.unwrap();
            assert_eq!(reply.status, 400);
            assert!(String::from_utf8_lossy(&reply.body).starts_with(begins), "{:?}", reply.body);
        }
        assert!(no_stack.was_asked());
    }
}
