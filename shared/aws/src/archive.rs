//! The archive: the S3 bucket that keeps findings and histories.
//!
//! Every key is made from what the object is about, so that writing it again replaces it with itself.

use std::ops::Range;
use std::path::Path;

use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::alarm_record::AlarmExportMessage;
use tokio::io::AsyncWriteExt as _;

use crate::Error;
use crate::s3::Bucket;
use crate::s3::Content;
use crate::s3::S3;

/// The archive's bucket.
#[derive(Clone, Debug)]
pub struct Archive {
    bucket: Bucket,
    name: String,
}

impl Archive {
    /// The archive in this bucket.
    pub fn new(s3: S3, bucket: String) -> Self {
        Self { bucket: s3.bucket(&bucket), name: bucket }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.name
    }

    /// Writes an object.
    ///
    /// # Errors
    /// If the bucket does not take it.
    pub async fn put(&self, key: &str, content_type: &'static str, body: Vec<u8>) -> Result<(), Error> {
        let bytes = body.len() as u64;
        let content = Content { body: SdkBody::from(body), bytes, kind: content_type };
        self.bucket.put(key, content).await.map_err(Error::aws("PutObject", key))
    }

    /// Writes a file's content as an object, without holding it in memory.
    ///
    /// # Errors
    /// If the file cannot be read or the bucket does not take it.
    pub async fn put_file(&self, key: &str, file: &Path) -> Result<(), Error> {
        let disk = |source| Error::Disk { what: "reading a file to archive", source };
        let bytes = tokio::fs::metadata(file).await.map_err(disk)?.len();
        let body = ByteStream::from_path(file).await.map_err(|e| disk(std::io::Error::other(e)))?;
        let content = Content { body: body.into_inner(), bytes, kind: "application/octet-stream" };
        self.bucket.put(key, content).await.map_err(Error::aws("PutObject", key))
    }

    /// Reads an object into memory; none if there is no such object.
    ///
    /// # Errors
    /// If the object cannot be read.
    pub async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let body = match self.bucket.get(key).await.map_err(Error::aws("GetObject", key)) {
            Err(Error::Aws { code, .. }) if code == "NoSuchKey" => return Ok(None),
            got => ByteStream::new(got?).collect().await,
        };
        let bytes =
            body.map_err(|e| Error::Later(format!("GetObject on {key}: the body ended early: {e}")))?;
        Ok(Some(bytes.to_vec()))
    }

    /// Deletes an object. One that is gone already is no error.
    ///
    /// # Errors
    /// If the bucket does not answer.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        self.bucket.delete(key).await.map_err(Error::aws("DeleteObject", key))
    }

    /// Writes an object's content to a file, without holding it in memory. A file that exists is appended to.
    ///
    /// # Errors
    /// If the object cannot be read, also if there is none, or if the file cannot be written.
    pub async fn get_file(&self, key: &str, file: &Path) -> Result<(), Error> {
        let disk = |source| Error::Disk { what: "writing a file from the archive", source };
        let got = self.bucket.get(key).await;
        let mut body = ByteStream::new(got.map_err(Error::aws("GetObject", key))?);
        let mut file =
            tokio::fs::OpenOptions::new().append(true).create(true).open(file).await.map_err(disk)?;
        while let Some(chunk) = body.next().await {
            let chunk =
                chunk.map_err(|e| Error::Later(format!("GetObject on {key}: the body ended early: {e}")))?;
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)
    }
}

/// Where the findings of one page are: partitioned for Athena by account, region, day and check.
pub fn findings_key(audit: &Audit, check: &CheckName, page: u32, part: u32) -> String {
    format!("{}-{}.ndjson.gz", findings_prefix(audit, check), page_name(page, part))
}

/// How the keys of all pages of a check in an audit begin.
pub fn findings_prefix(audit: &Audit, check: &CheckName) -> String {
    let Audit { account, region, task_id, started_at, .. } = audit;
    let day = started_at.day();
    format!("findings/account={account}/region={region}/day={day}/check={check}/{task_id}")
}

/// Where an event of an alarm is: partitioned for Athena by account, region and day.
pub fn alarm_key(message: &AlarmExportMessage<'_>) -> String {
    let AlarmExportMessage { account, region, at, .. } = message;
    format!("alarms/account={account}/region={region}/day={}/{}.ndjson.gz", at.day(), message.name())
}

/// Where the history of a check after an audit is.
pub fn history_key(audit: &Audit, check: &CheckName) -> String {
    let Audit { account, region, task_id, .. } = audit;
    format!("snapshots/account={account}/region={region}/check={check}/{task_id}.keys")
}

/// Where the keys are that one invocation of triage saw on these pages, until the last one merges them. A check that
/// was restarted has segments of its own.
pub fn segment_key(audit: &Audit, check: &CheckName, restarts: u32, pages: &Range<u32>) -> String {
    let Range { start, end } = pages;
    format!("segments/{}/{check}/{restarts}/{start:05}-{end:05}", audit.task_id)
}

/// Where the suppressions are that the last review of an account and region knew.
pub fn known_suppressions_key(account: &str, region: &str) -> String {
    format!("reviews/account={account}/region={region}/known")
}

/// Where a review that one invocation did not end is, until the next one goes on.
pub fn review_key(slot: &str, step: u32) -> String {
    format!("segments/review-{slot}/{step:05}")
}

/// The name of a page, or of a part of one: `00012`, `00012-1`.
pub fn page_name(page: u32, part: u32) -> String {
    if part == 0 { format!("{page:05}") } else { format!("{page:05}-{part}") }
}
