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

    /// Reads an object.
    pub(crate) async fn get_object(&self, bucket: &str, key: &str) -> Result<Bytes> {
        let reply = self.rest("s3", Method::GET, &format!("/{bucket}/{key}"), "").await?;
        reply.ok().with_context(|| format!("read s3://{bucket}/{key}"))
    }

    /// The keys of all objects of a bucket.
    pub(crate) async fn list_objects(&self, bucket: &str) -> Result<Vec<String>> {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("list-type", "2")
                .append_pair("start-after", keys.last().map_or("", String::as_str))
                .finish();
            let reply = self.rest("s3", Method::GET, &format!("/{bucket}?{query}"), "").await?;
            let body = reply.ok().with_context(|| format!("list bucket {bucket}"))?;
            let xml = String::from_utf8_lossy(&body);
            let document = roxmltree::Document::parse(&xml)?;
            let found = document.descendants().filter(|node| node.tag_name().name() == "Key");
            let before = keys.len();
            keys.extend(found.filter_map(|key| key.text().map(str::to_owned)));
            if keys.len() == before || !xml.contains("<IsTruncated>true") {
                return Ok(keys);
            }
        }
    }
}
