//! An archive in its bucket: listed page by page, and its objects brought a few at a time.
//!
//! Two operations are all that is needed of Amazon S3 (`ListObjectsV2`, `GetObject`), so there is no SDK here:
//! its own signer, HTTP and TLS. Credentials come from the environment, where every AWS tool can put them.

use super::partition::Days;
use super::{Content, Object};
use anyhow::{Context as _, Result, anyhow, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::fmt::Write as _;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime};

/// How many objects are on their way at a time.
const AT_A_TIME: usize = 16;
/// An object holds the findings of one message, so a megabyte at most. What is larger is none of the archive's.
const LARGEST: u64 = 64 << 20;
const TRIES: u32 = 4;
const TIMEOUT: Duration = Duration::from_mins(1);

/// What the environment says of AWS.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) credentials: Credentials,
    pub(crate) region: String,
    /// An endpoint of its own, in place of AWS's.
    pub(crate) endpoint: Option<String>,
}

impl Settings {
    /// Reads the variables that all AWS tools share.
    pub(crate) fn from_env() -> Result<Self> {
        let optional = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let required = |name: &str| {
            optional(name).with_context(|| {
                format!("{name} is not set; eval \"$(aws configure export-credentials --format env)\" sets the credentials")
            })
        };
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let region = optional("AWS_REGION").or_else(|| optional("AWS_DEFAULT_REGION"));
        Ok(Self {
            credentials,
            region: region.context("AWS_REGION is not set; it is the bucket's region")?,
            endpoint: optional("AWS_ENDPOINT_URL_S3").or_else(|| optional("AWS_ENDPOINT_URL")),
        })
    }
}

/// An archive in a bucket, and its objects in the order of their keys.
#[derive(Debug)]
pub(crate) struct Bucket {
    settings: Settings,
    http: Http,
    /// Without a slash at its end.
    url: String,
    objects: Vec<(String, u64)>,
}

impl Bucket {
    /// Looks for findings of these days in `BUCKET[/PREFIX]`.
    pub(crate) async fn list(place: &str, days: Days, settings: Settings) -> Result<Self> {
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        if name.is_empty() {
            bail!("s3://{place} names no bucket");
        }
        let url = url(name, &settings);
        let http = Http::new(url.starts_with("https:"))?;
        let mut bucket = Self { settings, http, url, objects: Vec::new() };
        let prefix = listed(prefix);
        let mut after: Option<String> = None;
        loop {
            let mut query = format!("list-type=2&prefix={}", encoded(&prefix, false));
            if let Some(token) = &after {
                let _ = write!(query, "&continuation-token={}", encoded(token, false));
            }
            let what = || format!("cannot list s3://{name}/{prefix}");
            let body =
                bucket.get(&format!("/?{query}")).await.map_err(|why| anyhow!(why)).with_context(what)?;
            let page = Page::read(&String::from_utf8_lossy(&body)).with_context(what)?;
            bucket.objects.extend(page.objects.into_iter().filter(|(key, _)| days.take(key)));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        bucket.objects.sort();
        Ok(bucket)
    }

    /// How many objects there are, and their size in bytes.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.objects.len(), self.objects.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Brings all objects, until nobody takes any more.
    pub(crate) async fn feed(mut self, to: SyncSender<Object>) {
        let objects = std::mem::take(&mut self.objects);
        let bucket = &self;
        let fetch = |(key, bytes): (String, u64)| async move {
            let content = match bytes {
                0..=LARGEST => bucket.get(&format!("/{}", encoded(&key, true))).await.map(Content::Bytes),
                _ => Err(format!("it has {bytes} bytes, and no object of the archive has so many")),
            };
            Object { key, bytes, content }
        };
        let mut fetched = stream::iter(objects).map(fetch).buffered(AT_A_TIME);
        while let Some(object) = fetched.next().await {
            // Where all threads are busy nothing more is asked for: what waits is in memory.
            if to.send(object).is_err() {
                return;
            }
        }
    }

    /// Gets what is at a path, with as many tries as it needs.
    async fn get(&self, path: &str) -> Result<Bytes, String> {
        let mut wait = Duration::from_millis(200);
        let mut tries = 1;
        loop {
            let answer = tokio::time::timeout(TIMEOUT, self.try_to_get(path)).await;
            match answer.unwrap_or_else(|_| Err(Failure::passing("no answer in time".into()))) {
                Ok(body) => return Ok(body),
                Err(Failure { passing: true, .. }) if tries < TRIES => tokio::time::sleep(wait).await,
                Err(Failure { why, .. }) => return Err(why),
            }
            tries += 1;
            wait *= 2;
        }
    }

    async fn try_to_get(&self, path: &str) -> Result<Bytes, Failure> {
        let request =
            self.request(path).map_err(|error| Failure { why: format!("{error:#}"), passing: false })?;
        self.http.send(request).await
    }

    /// A signed request.
    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>> {
        let Self { settings, url, .. } = self;
        let mut signing = SigningSettings::default();
        signing.percent_encoding_mode = PercentEncodingMode::Single;
        signing.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        signing.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = settings.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&settings.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(signing)
            .build()?
            .into();
        let uri = format!("{url}{path}");
        let signable =
            SignableRequest::new("GET", uri.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))?;
        let (signature, _) = sign(signable, &params)?.into_parts();
        let mut request = Request::get(uri.parse::<Uri>()?);
        for (name, value) in signature.headers() {
            request = request.header(name, value);
        }
        Ok(request.body(Empty::new())?)
    }
}

/// Where a bucket is. At an endpoint of its own, and where its name has dots, which no certificate covers, the
/// bucket stands in the path.
fn url(name: &str, settings: &Settings) -> String {
    let Settings { region, endpoint, .. } = settings;
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    match endpoint {
        Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
        None if name.contains('.') => format!("https://s3.{region}.{domain}/{name}"),
        None => format!("https://{name}.s3.{region}.{domain}"),
    }
}

/// How the keys of findings begin below a prefix, which is the archive or a part of its findings: the archive
/// holds other objects as well, and listing them takes as long.
fn listed(prefix: &str) -> String {
    let prefix = prefix.trim_end_matches('/');
    let within = prefix.split('/').any(|part| part == "findings");
    match prefix {
        "" => "findings/".to_owned(),
        _ if within => format!("{prefix}/"),
        _ => format!("{prefix}/findings/"),
    }
}

/// Every byte but the unreserved as `%XX`, as signing wants it; of a path, the slashes stay.
fn encoded(text: &str, is_path: bool) -> String {
    text.bytes().fold(String::with_capacity(text.len() + 16), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (is_path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// A page of a listing: keys with their bytes, and where the next one begins.
struct Page {
    objects: Vec<(String, u64)>,
    next: Option<String>,
}

impl Page {
    fn read(xml: &str) -> Result<Self> {
        let document = roxmltree::Document::parse(xml).context("the listing is no XML")?;
        let within = |node: roxmltree::Node<'_, '_>, name: &str| {
            let child = node.children().find(|child| child.has_tag_name_of(name));
            child.and_then(|child| child.text().map(str::to_owned))
        };
        let root = document.root_element();
        let contents = root.children().filter(|node| node.has_tag_name_of("Contents"));
        let object = |node| {
            let bytes = within(node, "Size").and_then(|size| size.parse().ok());
            Some((within(node, "Key")?, bytes.unwrap_or_default()))
        };
        let truncated = within(root, "IsTruncated").as_deref() == Some("true");
        let next = within(root, "NextContinuationToken");
        if truncated && next.is_none() {
            bail!("the listing goes on, but does not say where");
        }
        Ok(Self { objects: contents.filter_map(object).collect(), next: next.filter(|_| truncated) })
    }
}

/// Services differ in the namespace of their answers.
trait Named {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl Named for roxmltree::Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}

/// Why there is no answer, and whether there may be one at the next try.
struct Failure {
    why: String,
    passing: bool,
}

impl Failure {
    const fn passing(why: String) -> Self {
        Self { why, passing: true }
    }
}

/// Connections, with TLS only where the address asks for it: a machine without certificates has none to read.
#[derive(Clone, Debug)]
enum Http {
    Plain(Client<HttpConnector, Empty<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>),
}

impl Http {
    fn new(tls: bool) -> Result<Self> {
        let builder = Client::builder(TokioExecutor::new());
        if !tls {
            return Ok(Self::Plain(builder.build(HttpConnector::new())));
        }
        let connector = HttpsConnectorBuilder::new().with_native_roots();
        let connector = connector.context("no certificates to trust: SSL_CERT_FILE can name some")?;
        Ok(Self::Tls(builder.build(connector.https_only().enable_http1().build())))
    }

    /// Sends a request and reads the whole answer.
    async fn send(&self, request: Request<Empty<Bytes>>) -> Result<Bytes, Failure> {
        let answer = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        let answer = answer.map_err(|error| Failure::passing(format!("{:#}", anyhow!(error))))?;
        let status = answer.status();
        let most = usize::try_from(LARGEST).unwrap_or(usize::MAX);
        let body = Limited::new(answer.into_body(), most).collect().await;
        let body =
            body.map_err(|error| Failure::passing(format!("the answer ended early: {error}")))?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body);
        let within = |name: &str| {
            let (_, after) = text.split_once(&format!("<{name}>"))?;
            after.split_once("</").map(|(value, _)| value)
        };
        let code = within("Code").unwrap_or_default();
        let why =
            format!("S3 answered {}: {code} {}", status.as_u16(), within("Message").unwrap_or_default());
        let passing = status.is_server_error() || status.as_u16() == 429 || code == "RequestTimeout";
        Err(Failure { why: why.trim_end_matches([' ', ':']).to_owned(), passing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_looked_for_where_they_can_be() {
        assert_eq!(listed(""), "findings/");
        assert_eq!(listed("copies/one/"), "copies/one/findings/");
        assert_eq!(listed("findings"), "findings/");
        assert_eq!(listed("copies/findings/account=1"), "copies/findings/account=1/");
    }

    #[test]
    fn a_bucket_is_where_its_region_or_the_endpoint_is() {
        let settings = |region: &str, endpoint: Option<&str>| Settings {
            credentials: Credentials::new("a", "s", None, None, "test"),
            region: region.into(),
            endpoint: endpoint.map(Into::into),
        };
        assert_eq!(url("b", &settings("eu-west-1", None)), "https://b.s3.eu-west-1.amazonaws.com");
        assert_eq!(url("b.c", &settings("cn-north-1", None)), "https://s3.cn-north-1.amazonaws.com.cn/b.c");
        assert_eq!(url("b", &settings("r", Some("http://127.0.0.1:4566/"))), "http://127.0.0.1:4566/b");
    }

    #[test]
    fn a_listing_that_does_not_say_where_it_goes_on_is_no_end() {
        let page = |inner: &str| Page::read(&format!("<ListBucketResult>{inner}</ListBucketResult>"));
        let one =
            page("<Contents><Key>a&amp;b</Key><Size>3</Size></Contents><IsTruncated>false</IsTruncated>");
        assert_eq!(one.unwrap().objects, [("a&b".to_owned(), 3)]);
        assert!(page("<IsTruncated>true</IsTruncated>").is_err());
        let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
        assert_eq!(page(more).unwrap().next.as_deref(), Some("t"));
        assert!(Page::read("no xml").is_err());
    }
}
