//! S3: where the deployment's artifacts go, as `sam deploy` would put them there, and what the archive holds.

use super::Cloud;
use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::body::Bytes;

impl Cloud {
    /// Makes a bucket.
    pub(crate) async fn create_bucket(&self, bucket: &str) -> Result<()> {
        let reply = self.rest("s3", Method::PUT, &format!("/{bucket}"), "").await?;
        reply.ok().with_context(|| format!("create bucket {bucket}"))?;
        Ok(())
    }

    /// Writes an object.
    pub(crate) async fn put_object(&self, bucket: &str, key: &str, body: impl Into<Bytes>) -> Result<()> {
        let reply = self.rest("s3", Method::PUT, &format!("/{bucket}/{key}"), body).await?;
        reply.ok().with_context(|| format!("write s3://{bucket}/{key}"))?;
        Ok(())
    }

    /// How many objects stand under a prefix.
    pub(crate) async fn count_objects(&self, bucket: &str, prefix: &str) -> Result<u64> {
        let mut count = 0;
        let mut after = String::new();
        loop {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("list-type", "2")
                .append_pair("prefix", prefix)
                .append_pair("start-after", &after)
                .finish();
            let reply = self.rest("s3", Method::GET, &format!("/{bucket}?{query}"), "").await?;
            let body = reply.ok().with_context(|| format!("list bucket {bucket}"))?;
            let xml = String::from_utf8_lossy(&body).into_owned();
            let document = roxmltree::Document::parse(&xml)?;
            let mut keys = document.descendants().filter(|node| node.tag_name().name() == "Key");
            let mut last = None;
            for key in keys.by_ref() {
                count += 1;
                last = key.text().map(str::to_owned);
            }
            match last {
                Some(key) if xml.contains("<IsTruncated>true") => after = key,
                _ => return Ok(count),
            }
        }
    }
}
