//! An archive in its bucket: listed page by page, and its objects brought a few at a time.

use super::partition::Days;
use super::{Content, Object};
use crate::aws::Failure;
use crate::aws::settings::{Service, Settings};
use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use futures_util::stream::{self, StreamExt as _};
use hyper::body::Bytes;
use std::sync::mpsc::SyncSender;

/// How many objects are on their way at a time.
const AT_A_TIME: usize = 16;
/// No object has more bytes: one holds the findings of one message, so a megabyte at most.
const LARGEST: u64 = 64 << 20;

/// An archive in a bucket, and its objects in the order of their keys.
#[derive(Debug)]
pub(crate) struct Bucket {
    s3: Client,
    /// Amazon S3 with its address.
    place: String,
    name: String,
    objects: Vec<(String, u64)>,
}

impl Bucket {
    /// Looks for findings and alarms of these days in `BUCKET[/PREFIX]`.
    pub(crate) async fn list(place: &str, days: Days, settings: Settings) -> Result<Self> {
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        if name.is_empty() {
            bail!("s3://{place} names no bucket");
        }
        let place = settings.place(Service::S3);
        let mut bucket = Self { s3: settings.s3(), place, name: name.to_owned(), objects: Vec::new() };
        for prefix in listed(prefix) {
            bucket.list_below(&prefix, days).await?;
        }
        bucket.objects.sort();
        Ok(bucket)
    }

    /// Lists all pages below a prefix.
    async fn list_below(&mut self, prefix: &str, days: Days) -> Result<()> {
        let mut token: Option<String> = None;
        loop {
            let list = self.s3.list_objects_v2().bucket(&self.name).prefix(prefix);
            let page = list.set_continuation_token(token).send().await;
            let page = page.map_err(|error| Failure::new("S3", &self.place, &error));
            let what = || format!("cannot list s3://{}/{prefix}", self.name);
            let page = Page::new(page.with_context(what)?).with_context(what)?;
            self.objects.extend(page.objects.into_iter().filter(|(key, _)| days.take(key)));
            match page.next {
                Some(next) => token = Some(next),
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
            let content = bucket.get(&key).await.map(Content::Bytes);
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

    /// Gets an object, or says why not.
    async fn get(&self, key: &str) -> Result<Bytes, String> {
        let got = self.s3.get_object().bucket(&self.name).key(key).send().await;
        let got = got.map_err(|error| Failure::new("S3", &self.place, &error).to_string())?;
        let bytes = got.content_length.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
        if bytes > LARGEST {
            return Err(format!("it has {bytes} bytes, and no object of the archive has so many"));
        }
        let body = got.body.collect().await;
        let body =
            body.map_err(|error| format!("cannot read the content: {}", DisplayErrorContext(&error)))?;
        Ok(body.into_bytes())
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
    fn new(listed: ListObjectsV2Output) -> Result<Self> {
        let is_truncated = listed.is_truncated == Some(true);
        if is_truncated && listed.next_continuation_token.is_none() {
            bail!("the listing goes on, but does not say where");
        }
        let objects = listed.contents.into_iter().flatten().filter_map(|object| {
            let bytes = object.size.and_then(|bytes| u64::try_from(bytes).ok());
            Some((object.key?, bytes.unwrap_or_default()))
        });
        Ok(Self { objects: objects.collect(), next: listed.next_continuation_token.filter(|_| is_truncated) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::Object;

    #[test]
    fn records_are_looked_for_where_they_can_be() {
        assert_eq!(listed(""), ["findings/", "alarms/"]);
        assert_eq!(listed("copies/one/"), ["copies/one/findings/", "copies/one/alarms/"]);
        assert_eq!(listed("findings"), ["findings/"]);
        assert_eq!(listed("copies/findings/account=1"), ["copies/findings/account=1/"]);
        assert_eq!(listed("alarms/account=1"), ["alarms/account=1/"]);
    }

    #[test]
    fn a_listing_that_does_not_say_where_it_goes_on_is_no_end() {
        let listed = ListObjectsV2Output::builder;
        let object = Object::builder().key("a&b").size(3).build();
        let one = Page::new(listed().contents(object).is_truncated(false).build());
        assert_eq!(one.unwrap().objects, [("a&b".to_owned(), 3)]);
        assert!(Page::new(listed().is_truncated(true).build()).is_err());
        let more = Page::new(listed().is_truncated(true).next_continuation_token("t").build());
        assert_eq!(more.unwrap().next.as_deref(), Some("t"));
    }
}
