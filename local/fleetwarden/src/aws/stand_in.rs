//! A server on this machine in place of AWS, for tests: it answers what it is told to, and judges signatures as far
//! as a server can that has no secret.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Answers on a free port and gives its address. Where there is no answer, the connection ends.
pub(crate) async fn serve(
    answer: impl Fn(&Request<Bytes>) -> Option<Response<Full<Bytes>>> + Send + Sync + 'static,
) -> String {
    format!("http://{}", serve_at("127.0.0.1:0".parse().unwrap(), answer).await)
}

/// As [`serve`], on a port of the caller's own choice.
pub(crate) async fn serve_at(
    address: SocketAddr,
    answer: impl Fn(&Request<Bytes>) -> Option<Response<Full<Bytes>>> + Send + Sync + 'static,
) -> SocketAddr {
    let answer = Arc::new(answer);
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = Arc::clone(&answer);
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = Arc::clone(&answer);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    answer(&Request::from_parts(head, body)).ok_or(io::Error::other("no answer"))
                }
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// An answer.
pub(crate) fn said(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

/// CloudFormation's answer to the question what a function of a stack is called.
pub(crate) fn found(name: &str) -> Response<Full<Bytes>> {
    let xml = format!(
        "<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail>\
         <PhysicalResourceId>{name}</PhysicalResourceId>\
         </StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"
    );
    said(200, xml)
}

/// Fails a test whose request does not have these headers under its signature for this service.
pub(crate) fn judge(request: &Request<Bytes>, service: &str, signed: &[&str]) {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
    let scope = header("authorization").unwrap_or_default();
    assert!(scope.starts_with("AWS4-HMAC-SHA256 Credential=id/"), "{scope}");
    assert!(scope.contains(&format!("/eu-central-1/{service}/aws4_request")), "{scope}");
    assert_eq!(header("x-amz-security-token"), Some("token"));
    for name in ["host", "x-amz-date", "x-amz-security-token"].iter().chain(signed) {
        assert!(header(name).is_some() && scope.contains(name), "{name} is not signed: {scope}");
    }
}
