//! The service on a socket: HTTP/1.1 with keep-alive on loopback, and the two tasks that run beside it.
//!
//! One task catches up with the clock while something is in progress, so that an audit ends and its message
//! goes out when no client asks; the other publishes, so that a slow topic delays nobody.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use crate::publisher::Publisher;
use crate::service::{Answer, DeviceDefender, Request};
use crate::settings::Settings;
use crate::world::Message;

/// The largest body that is read. The largest real request is a few kilobytes.
const MOST_BODY_BYTES: usize = 1 << 20;

/// How often the clock is looked at while something is in progress.
const TICK: Duration = Duration::from_millis(10);

/// How often it is looked at otherwise.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// A running endpoint. Dropping it stops it.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    service: DeviceDefender,
    tasks: JoinSet<()>,
}

impl Endpoint {
    /// Binds 127.0.0.1 and starts to answer. Fails when the port cannot be bound.
    pub async fn start(settings: Settings, publisher: Arc<dyn Publisher>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
        let address = listener.local_addr()?;
        let service = DeviceDefender::new(settings);
        let called = Arc::new(Notify::new());
        let (outgoing, messages) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, service.clone(), called.clone()));
        tasks.spawn(tick(service.clone(), called, outgoing));
        tasks.spawn(publish(service.clone(), publisher, messages));
        Ok(Self { address, service, tasks })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL: the value for `AWS_ENDPOINT_URL_IOT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The service behind it, for whoever runs in the same process.
    pub const fn service(&self) -> &DeviceDefender {
        &self.service
    }

    /// Stops it and waits until its port is free.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, service: DeviceDefender, called: Arc<Notify>) {
    let mut connections = JoinSet::new();
    loop {
        // Accepting fails for one connection or for want of descriptors: neither is a reason to stop.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(TICK).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let _: AbortHandle = connections.spawn(serve(stream, service.clone(), called.clone()));
    }
}

async fn serve(stream: TcpStream, service: DeviceDefender, called: Arc<Notify>) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| respond(request, &service, &called));
    // A client that goes away, or a lost answer that was ordered, ends the connection with an error.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

/// An answer that was ordered to be lost.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the answer was ordered to be lost")
    }
}

impl std::error::Error for Lost {}

async fn respond(
    request: hyper::Request<Incoming>,
    service: &DeviceDefender,
    called: &Notify,
) -> Result<hyper::Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MOST_BODY_BYTES).collect().await else {
        let mut response =
            hyper::Response::new(Full::from("{\"message\":\"The request body is too large\"}"));
        *response.status_mut() = hyper::StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    let request = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        authorization: head.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()),
        body: &body.to_bytes(),
    };
    let headers: Vec<(&str, &str)> =
        head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let answer = service.answer_with_headers(&request, &headers);
    called.notify_one();
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    if answer.lost {
        return Err(Lost);
    }
    Ok(response(answer))
}

fn response(answer: Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::from(answer.body));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if let Ok(id) = HeaderValue::from_str(&answer.request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(error_type) = answer.error_type {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    }
    response
}

async fn tick(service: DeviceDefender, called: Arc<Notify>, outgoing: mpsc::UnboundedSender<Message>) {
    loop {
        for message in service.take_messages() {
            if outgoing.send(message).is_err() {
                return;
            }
        }
        let pause = if service.is_busy() { TICK } else { IDLE_TICK };
        let _ = tokio::time::timeout(pause, called.notified()).await;
    }
}

async fn publish(
    service: DeviceDefender,
    publisher: Arc<dyn Publisher>,
    mut messages: mpsc::UnboundedReceiver<Message>,
) {
    while let Some(message) = messages.recv().await {
        let sent = publisher.publish(message.topic_arn, message.body).await;
        service.published(sent.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::publisher::{HttpPublisher, NoPublisher};

    async fn read_until(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !text.contains(end) {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "closed after {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        text
    }

    #[tokio::test]
    async fn it_starts_keeps_connections_and_stops() {
        let endpoint = Endpoint::start(Settings::default(), Arc::new(NoPublisher)).await.unwrap();
        let mut stream = TcpStream::connect(endpoint.address()).await.unwrap();
        for _ in 0..2 {
            stream.write_all(b"GET /_control/clock HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let answer = read_until(&mut stream, "nowMs").await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("x-amzn-requestid: "));
        }
        let address = endpoint.address();
        endpoint.shutdown().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn the_publisher_speaks_the_query_api() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let publisher = HttpPublisher::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let topic = tokio::spawn(async move {
            for status in ["500 No", "200 OK"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_until(&mut stream, "Message=a%20%26%20b").await;
                assert!(request.contains("Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws"));
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let sent = publisher.publish("arn:aws:sns:us-east-1:123456789012:t".into(), "a & b".into()).await;
        assert_eq!(sent, Ok(()));
        topic.await.unwrap();
    }
}
