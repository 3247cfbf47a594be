//! A Lambda Runtime API for one event: what a function's binary needs to run without Lambda.
//!
//! The function asks for the next event, gets the one there is, and answers with a response or an error. When
//! it asks again it waits until it is ended, as a frozen function would.

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The path of every call begins with the version of the API.
const VERSION: &str = "/2018-06-01/runtime";
const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The function returned this.
    Answer(Bytes),
    /// The function failed, or could not start, and said this.
    Failure(Bytes),
}

/// A running Runtime API with one event. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    /// The value for `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) address: SocketAddr,
    outcome: mpsc::Receiver<Outcome>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Invocation {
    event: Bytes,
    function: String,
    timeout: Duration,
    /// One permit: the event is given out once.
    given: tokio::sync::Semaphore,
    outcome: mpsc::Sender<Outcome>,
}

impl RuntimeApi {
    /// Listens on a free port of loopback.
    pub(crate) async fn start(function: &str, event: Bytes, timeout: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port")?;
        let address = listener.local_addr()?;
        let (sender, outcome) = mpsc::channel(2);
        let invocation = Arc::new(Invocation {
            event,
            function: function.to_owned(),
            timeout,
            given: tokio::sync::Semaphore::new(1),
            outcome: sender,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, invocation));
        Ok(Self { address, outcome, _tasks: tasks })
    }

    /// Waits for the end of the invocation.
    pub(crate) async fn outcome(&mut self) -> Option<Outcome> {
        self.outcome.recv().await
    }
}

async fn accept(listener: TcpListener, invocation: Arc<Invocation>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let invocation = invocation.clone();
        connections.spawn(async move {
            let answer = service_fn(|request| respond(request, &invocation));
            let connection = hyper::server::conn::http1::Builder::new();
            // A function that ends breaks its connection: nothing to say about that.
            let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    invocation: &Invocation,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().strip_prefix(VERSION).unwrap_or_default().to_owned();
    if path == "/invocation/next" {
        return Ok(next(invocation).await);
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let outcome = match path.rsplit('/').next() {
        Some("response") => Outcome::Answer(body),
        Some("error") => Outcome::Failure(body),
        _ => return Ok(status(404)),
    };
    // Nobody listens any more when the first outcome has been taken.
    let _ = invocation.outcome.send(outcome).await;
    Ok(status(202))
}

async fn next(invocation: &Invocation) -> Response<Full<Bytes>> {
    match invocation.given.acquire().await {
        Ok(permit) => permit.forget(),
        Err(_) => return status(410),
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let deadline = (now + invocation.timeout).as_millis().to_string();
    let arn = format!(
        "arn:aws:lambda:{}:{}:function:{}",
        crate::cloud::REGION,
        crate::cloud::ACCOUNT,
        invocation.function
    );
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", REQUEST_ID)
        .header("lambda-runtime-deadline-ms", deadline)
        .header("lambda-runtime-invoked-function-arn", arn)
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0")
        .body(Full::new(invocation.event.clone()))
        .unwrap_or_else(|_| status(500))
}

fn status(code: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Http;
    use hyper::Method;

    #[tokio::test]
    async fn an_event_is_given_once_and_its_answer_comes_back() {
        let event = Bytes::from_static(b"{\"a\":1}");
        let mut api = RuntimeApi::start("f", event.clone(), Duration::from_secs(3)).await.unwrap();
        let http = Http::new();
        let base = format!("http://{}{VERSION}/invocation", api.address);
        let given = http.send(Method::GET, &format!("{base}/next"), &[], "").await.unwrap();
        assert_eq!(given.body, event);
        let next = format!("{base}/next");
        let again = http.send(Method::GET, &next, &[], "");
        assert!(tokio::time::timeout(Duration::from_millis(50), again).await.is_err());
        http.send(Method::POST, &format!("{base}/{REQUEST_ID}/response"), &[], "2").await.unwrap();
        assert_eq!(api.outcome().await.unwrap(), Outcome::Answer(Bytes::from_static(b"2")));
    }

    #[tokio::test]
    async fn a_function_that_cannot_start_is_a_failure() {
        let mut api = RuntimeApi::start("f", Bytes::new(), Duration::from_secs(3)).await.unwrap();
        let url = format!("http://{}{VERSION}/init/error", api.address);
        Http::new().send(Method::POST, &url, &[], "no table").await.unwrap();
        assert_eq!(api.outcome().await.unwrap(), Outcome::Failure(Bytes::from_static(b"no table")));
    }
}
