//! AWS, as far as the command line speaks to it: signed requests, asked again when that may help.
//!
//! Of the SDK only the client of AWS IoT, for the lists of [`registry`]: of three other services one or two operations
//! each are needed, and its clients of them are larger than all else here. Its signer is used. An endpoint of one's own (`AWS_ENDPOINT_URL`) changes the address and nothing
//! else, so that a stack on this machine is reached the same way as one in AWS.

pub(crate) mod function;
pub(crate) mod registry;
pub(crate) mod settings;
#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(test)]
mod tests;

use self::settings::Settings;
use crate::http::{Http, Reply, Unanswered};
use anyhow::Result;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::Value;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

/// How often a call is tried.
const TRIES: u32 = 5;
/// The first pause between two tries; the next are twice as long each.
const PAUSE: Duration = Duration::from_millis(200);
/// Once a call has taken so long, it is not tried again.
const PATIENCE: Duration = Duration::from_mins(5);
/// How much is shown of an answer that is none of AWS's.
const SHOWN: usize = 200;

/// Codes with which a service says that it is asked too often, and that it did nothing.
const THROTTLING: [&str; 8] = [
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    CloudFormation,
    Iot,
    Lambda,
    S3,
}

/// When a call is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// When the service was busy or broken, or the answer did not arrive.
    Always,
    /// Only when the service certainly did nothing.
    Unharmed,
}

/// A request, but for its signature.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) service: Service,
    pub(crate) method: Method,
    /// The whole address, encoded.
    pub(crate) url: String,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: Bytes,
    /// How long one try waits for its answer.
    pub(crate) timeout: Duration,
    pub(crate) again: Again,
}

/// Why a call has no good answer.
#[derive(Debug)]
pub(crate) struct Failure {
    why: String,
    effect: Effect,
}

/// What is known of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It is refused, and will be again.
    Refused,
    /// Nothing was done, and it may go well the next time.
    None,
    /// Nobody knows what was done.
    Unknown,
}

/// A client of AWS.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) settings: Settings,
    http: Http,
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::CloudFormation, Self::Iot, Self::Lambda, Self::S3];

    /// Its name in addresses and signatures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::Iot => "iot",
            Self::Lambda => "lambda",
            Self::S3 => "s3",
        }
    }

    /// How the service wants a request to be signed.
    fn signing(self) -> SigningSettings {
        let mut signing = SigningSettings::default();
        if self == Self::S3 {
            signing.percent_encoding_mode = PercentEncodingMode::Single;
            signing.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            signing.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        signing
    }
}

impl Client {
    /// A client of these services, that opens its first connection with its first call.
    pub(crate) fn new(settings: Settings, services: &[Service]) -> Result<Self> {
        let tls = services.iter().any(|service| settings.url(*service).starts_with("https:"));
        let http = if tls { Http::tls()? } else { Http::new() };
        Ok(Self { settings, http })
    }

    /// Makes a call, with as many tries as it needs and may have.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Reply, Failure> {
        let began = Instant::now();
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            let failure = match self.try_to_send(call).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let again = match failure.effect {
                Effect::Refused => false,
                Effect::None => true,
                Effect::Unknown => call.again == Again::Always,
            };
            if !again || tries == TRIES || began.elapsed() > PATIENCE {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            tries += 1;
            pause *= 2;
        }
    }

    async fn try_to_send(&self, call: &Call<'_>) -> Result<Reply, Failure> {
        let signed = self.signed(call);
        let request =
            signed.map_err(|error| Failure { why: format!("{error:#}"), effect: Effect::Refused })?;
        let reply = self.http.exchange(request, call.timeout).await;
        let reply = reply.map_err(|Unanswered { sent, why }| {
            let host = call.url.split('/').nth(2).unwrap_or_default();
            let effect = if sent { Effect::Unknown } else { Effect::None };
            Failure { why: format!("{host}: {why}"), effect }
        })?;
        if reply.is_success() { Ok(reply) } else { Err(Failure::read(call.service, &reply)) }
    }

    fn signed(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>> {
        let Call { service, method, url, content_type, body, .. } = call;
        let identity = self.settings.credentials().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.settings.region())
            .name(service.name())
            .time(SystemTime::now())
            .settings(service.signing())
            .build()?
            .into();
        let headers = content_type.map(|kind| ("content-type", kind));
        let signable = SignableRequest::new(
            method.as_str(),
            url.as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body),
        )?;
        let (signature, _) = sign(signable, &params)?.into_parts();
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers.into_iter().chain(signature.headers()) {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(body.clone()))?)
    }
}

impl Failure {
    /// Whether what was asked for may have been done all the same.
    pub(crate) fn is_unknown(&self) -> bool {
        self.effect == Effect::Unknown
    }

    /// Reads an answer that is none of success.
    fn read(service: Service, reply: &Reply) -> Self {
        let text = String::from_utf8_lossy(&reply.body);
        let told = in_json(reply).or_else(|| in_xml(&text));
        let (code, message) = told.unwrap_or_else(|| (String::new(), text.chars().take(SHOWN).collect()));
        let effect = match reply.status {
            429 => Effect::None,
            _ if THROTTLING.contains(&code.as_str()) => Effect::None,
            500.. => Effect::Unknown,
            _ if code == "RequestTimeout" => Effect::Unknown,
            _ => Effect::Refused,
        };
        let words = format!("{code} {message}");
        Self { why: format!("{service:?} answered {}: {}", reply.status, words.trim()), effect }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Failure {}

/// Code and message of an error, as Lambda writes it.
fn in_json(reply: &Reply) -> Option<(String, String)> {
    let body: Value = serde_json::from_slice(&reply.body).ok()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let code = reply.header("x-amzn-errortype").or_else(|| text("__type")).unwrap_or_default();
    // A code may come with an address behind it.
    let code = code.split(':').next().unwrap_or_default();
    let message = text("message").or_else(|| text("Message")).unwrap_or_default();
    Some((code.to_owned(), message.to_owned()))
}

/// Code and message of an error, as S3 and CloudFormation write it.
fn in_xml(text: &str) -> Option<(String, String)> {
    let document = roxmltree::Document::parse(text).ok()?;
    let within = |name: &str| {
        let found = document.descendants().find(|node| node.tag_name().name() == name);
        found.and_then(|node| node.text()).map(str::to_owned)
    };
    Some((within("Code")?, within("Message").unwrap_or_default()))
}

/// Every byte but the unreserved as `%XX`, as signing wants it; of a path, the slashes stay.
pub(crate) fn encoded(text: &str, is_path: bool) -> String {
    text.bytes().fold(String::with_capacity(text.len() + 16), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (is_path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
