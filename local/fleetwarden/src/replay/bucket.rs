//! An archive in its bucket: listed page by page, and its objects brought a few at a time.
//!
//! Two operations are all that is needed of Amazon S3: `ListObjectsV2` and `GetObject`.

use super::partition::Days;
use super::{Content, Object};
use crate::aws::settings::Settings;
use crate::aws::{Again, Call, Client, Failure, Service, encoded};
use crate::http::LARGEST;
use anyhow::{Context as _, Result, bail};
use futures_util::stream::{self, StreamExt as _};
use hyper::Method;
use hyper::body::Bytes;
use std::fmt::Write as _;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// How many objects are on their way at a time.
const AT_A_TIME: usize = 16;
const TIMEOUT: Duration = Duration::from_mins(1);

/// An archive in a bucket, and its objects in the order of their keys.
#[derive(Debug)]
pub(crate) struct Bucket {
    client: Client,
    /// Without a slash at its end.
    url: String,
    objects: Vec<(String, u64)>,
}

impl Bucket {
    /// Looks for findings and alarms of these days in `BUCKET[/PREFIX]`.
    pub(crate) async fn list(place: &str, days: Days, settings: Settings) -> Result<Self> {
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        if name.is_empty() {
            bail!("s3://{place} names no bucket");
        }
        let url = url(name, &settings);
        let mut bucket = Self { client: Client::new(settings, &[Service::S3])?, url, objects: Vec::new() };
        for prefix in listed(prefix) {
            bucket.list_below(name, &prefix, days).await?;
        }
        bucket.objects.sort();
        Ok(bucket)
    }

    /// Lists all pages below a prefix.
    async fn list_below(&mut self, name: &str, prefix: &str, days: Days) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let mut query = format!("list-type=2&prefix={}", encoded(prefix, false));
            if let Some(token) = &after {
                let _ = write!(query, "&continuation-token={}", encoded(token, false));
            }
            let what = || format!("cannot list s3://{name}/{prefix}");
            let body = self.get(&format!("/?{query}")).await.with_context(what)?;
            let page = Page::read(&String::from_utf8_lossy(&body)).with_context(what)?;
            self.objects.extend(page.objects.into_iter().filter(|(key, _)| days.take(key)));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
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
                0..=LARGEST => {
                    let got = bucket.get(&format!("/{}", encoded(&key, true))).await;
                    got.map(Content::Bytes).map_err(|failure| failure.to_string())
                }
                // An object holds the findings of one message, so a megabyte at most.
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

    /// Gets what is at a path.
    async fn get(&self, path: &str) -> Result<Bytes, Failure> {
        let call = Call {
            service: Service::S3,
            method: Method::GET,
            url: format!("{}{path}", self.url),
            content_type: None,
            body: Bytes::new(),
            timeout: TIMEOUT,
            again: Again::Always,
        };
        Ok(self.client.send(&call).await?.body)
    }
}

/// Where a bucket is. At an endpoint of its own, and where its name has dots, which no certificate covers, the
/// bucket stands in the path.
fn url(name: &str, settings: &Settings) -> String {
    match settings.endpoint(Service::S3) {
        Some(endpoint) => format!("{endpoint}/{name}"),
        None if name.contains('.') => format!("https://{}/{name}", settings.host(Service::S3)),
        None => format!("https://{name}.{}", settings.host(Service::S3)),
    }
}

/// How the keys of findings and of alarms begin below a prefix, which is the archive or a part of one of them: the archive
/// holds other objects as well, and listing them takes as long.
fn listed(prefix: &str) -> Vec<String> {
    let prefix = prefix.trim_end_matches('/');
    let within = prefix.split('/').any(|part| part == "findings" || part == "alarms");
    match prefix {
        "" => vec!["findings/".to_owned(), "alarms/".to_owned()],
        _ if within => vec![format!("{prefix}/")],
        _ => vec![format!("{prefix}/findings/"), format!("{prefix}/alarms/")],
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::settings::tests::{at, in_region};

    #[test]
    fn records_are_looked_for_where_they_can_be() {
        assert_eq!(listed(""), ["findings/", "alarms/"]);
        assert_eq!(listed("copies/one/"), ["copies/one/findings/", "copies/one/alarms/"]);
        assert_eq!(listed("findings"), ["findings/"]);
        assert_eq!(listed("copies/findings/account=1"), ["copies/findings/account=1/"]);
        assert_eq!(listed("alarms/account=1"), ["alarms/account=1/"]);
    }

    #[test]
    fn a_bucket_is_where_its_region_or_the_endpoint_is() {
        assert_eq!(url("b", &in_region("eu-west-1")), "https://b.s3.eu-west-1.amazonaws.com");
        assert_eq!(url("b.c", &in_region("cn-north-1")), "https://s3.cn-north-1.amazonaws.com.cn/b.c");
        assert_eq!(url("b", &at("http://127.0.0.1:4566")), "http://127.0.0.1:4566/b");
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
