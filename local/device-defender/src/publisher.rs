//! Where messages for SNS topics go.
//!
//! The endpoint knows nothing of SNS but the name of a topic. [`HttpPublisher`] hands messages to an emulator
//! by the Query API, without an SDK: its signature is well formed and worth nothing, which emulators accept.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How often a message is tried.
const TRIES: u32 = 5;

/// How long one try may take.
const TRY_FOR: Duration = Duration::from_secs(10);

/// A message on its way. An error says why it was given up.
pub type Publishing<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Something that publishes messages to SNS topics.
pub trait Publisher: Send + Sync {
    /// Publishes `message` to the topic, as SNS `Publish` does. Retrying is its own business.
    fn publish(&self, topic_arn: String, message: String) -> Publishing<'_>;
}

/// Drops every message.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPublisher;

impl Publisher for NoPublisher {
    fn publish(&self, _: String, _: String) -> Publishing<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Publishes by the SNS Query API over plain HTTP.
#[derive(Debug, Clone)]
pub struct HttpPublisher {
    authority: String,
}

/// An endpoint that is no `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEndpoint(String);

impl fmt::Display for BadEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is not an endpoint: give it as http://host:port", self.0)
    }
}

impl std::error::Error for BadEndpoint {}

impl HttpPublisher {
    /// A publisher for the SNS at `endpoint`, for example `http://127.0.0.1:4566`.
    pub fn new(endpoint: &str) -> Result<Self, BadEndpoint> {
        let bad = || BadEndpoint(endpoint.to_owned());
        let authority = endpoint.strip_prefix("http://").ok_or_else(bad)?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
        if host.is_empty() || host.contains(['/', '@', ' ']) || port.parse::<u16>().is_err() {
            return Err(bad());
        }
        Ok(Self { authority: format!("{host}:{port}") })
    }

    async fn try_once(&self, topic: &str, body: String) -> Result<(), String> {
        let stream = TcpStream::connect(&self.authority).await.map_err(words)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
        let connection = tokio::spawn(connection);
        let request = hyper::Request::post("/")
            .header("host", &self.authority)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("x-amz-date", timestamp())
            .header("authorization", authorization(topic))
            .body(Full::new(Bytes::from(body)))
            .map_err(words)?;
        let response = sender.send_request(request).await.map_err(words)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(words)?.to_bytes();
        connection.abort();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{status}: {}", String::from_utf8_lossy(&body).chars().take(300).collect::<String>()))
    }
}

impl Publisher for HttpPublisher {
    fn publish(&self, topic_arn: String, message: String) -> Publishing<'_> {
        Box::pin(async move {
            let body = form(&[
                ("Action", "Publish"),
                ("Version", "2010-03-31"),
                ("TopicArn", &topic_arn),
                ("Message", &message),
            ]);
            let mut last = String::new();
            for attempt in 0..TRIES {
                if attempt > 0 {
                    tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                }
                let tried = tokio::time::timeout(TRY_FOR, self.try_once(&topic_arn, body.clone()));
                match tried.await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(error)) => last = error,
                    Err(_) => "timed out".clone_into(&mut last),
                }
            }
            Err(format!("publishing to {topic_arn} failed {TRIES} times: {last}"))
        })
    }
}

fn words(error: impl fmt::Display) -> String {
    error.to_string()
}

fn form(members: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        members.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |encoded, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            encoded + &char::from(byte).to_string()
        }
        _ => encoded + &format!("%{byte:02X}"),
    })
}

fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A signature whose scope holds the topic's own account and region: emulators take both from it.
fn authorization(topic_arn: &str) -> String {
    let mut parts = topic_arn.split(':').skip(3);
    let region = parts.next().filter(|region| !region.is_empty()).unwrap_or("us-east-1");
    let account = parts.next().unwrap_or("000000000000");
    let date: String = timestamp().chars().take(8).collect();
    format!(
        "AWS4-HMAC-SHA256 Credential={account}/{date}/{region}/sns/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}",
        "0".repeat(64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read() {
        assert_eq!(HttpPublisher::new("http://localhost:4566/").unwrap().authority, "localhost:4566");
        assert_eq!(HttpPublisher::new("http://emulator").unwrap().authority, "emulator:80");
        for bad in ["https://x:1", "localhost:1", "http://", "http://x:y", "http://a/b"] {
            assert!(HttpPublisher::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_scope_is_the_topics_own() {
        let header = authorization("arn:aws:sns:eu-west-1:123456789012:alarms");
        assert!(header.starts_with("AWS4-HMAC-SHA256 Credential=123456789012/"));
        assert!(header.contains("/eu-west-1/sns/aws4_request"));
        assert_eq!(form(&[("Message", "{\"a\": \"é\"}")]), "Message=%7B%22a%22%3A%20%22%C3%A9%22%7D");
    }
}
