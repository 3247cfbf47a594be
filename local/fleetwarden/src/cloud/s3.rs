//! S3: where the deployment's artifacts go, as `sam deploy` would put them there, and what the archive holds.

use super::{Cloud, refused};
use anyhow::{Context as _, Result};
use hyper::body::Bytes;

impl Cloud {
    /// Makes a bucket.
    pub(crate) async fn create_bucket(&self, bucket: &str) -> Result<()> {
        let create = self.s3.create_bucket().bucket(bucket).send().await;
        create.map_err(refused(format!("cannot create bucket {bucket}")))?;
        Ok(())
    }

    /// Writes an object.
    pub(crate) async fn put_object(&self, bucket: &str, key: &str, body: impl Into<Bytes>) -> Result<()> {
        let put = self.s3.put_object().bucket(bucket).key(key).body(body.into().into());
        put.send().await.map_err(refused(format!("cannot write s3://{bucket}/{key}")))?;
        Ok(())
    }

    /// Reads an object.
    pub(crate) async fn get_object(&self, bucket: &str, key: &str) -> Result<Bytes> {
        let what = || format!("cannot read s3://{bucket}/{key}");
        let got = self.s3.get_object().bucket(bucket).key(key).send().await.map_err(refused(what()))?;
        Ok(got.body.collect().await.with_context(what)?.into_bytes())
    }

    /// The keys of all objects of a bucket.
    pub(crate) async fn list_objects(&self, bucket: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut pages = self.s3.list_objects_v2().bucket(bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(refused(format!("cannot list bucket {bucket}")))?;
            keys.extend(page.contents.into_iter().flatten().filter_map(|object| object.key));
        }
        Ok(keys)
    }
}
