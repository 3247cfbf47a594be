//! The archive: the S3 bucket that keeps findings and histories.
//!
//! Every key is made from what the object is about: writing it again replaces it with itself, or finds it there.

mod lines;

use std::ops::Range;
use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::primitives::ByteStreamError;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::alarm_record::AlarmExportMessage;
use tokio::io::AsyncWriteExt as _;

pub use self::lines::Recorded;
pub use self::lines::one_line;
use crate::Error;

/// The archive's bucket.
#[derive(Clone, Debug)]
pub struct Archive {
    s3: Client,
    bucket: String,
}

impl Archive {
    /// The archive in this bucket.
    pub const fn new(s3: Client, bucket: String) -> Self {
        Self { s3, bucket }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Writes an object. S3 checks its content against a checksum that the SDK sends along.
    ///
    /// # Errors
    /// If the bucket does not take it.
    pub async fn put(&self, key: &str, content_type: &'static str, body: Vec<u8>) -> Result<(), Error> {
        self.put_stream(key, content_type, body.into()).await
    }

    /// Writes an object unless there is one with this key. Says whether it did.
    async fn put_new(&self, key: &str, content_type: &'static str, body: Vec<u8>) -> Result<bool, Error> {
        let put = self.s3.put_object().bucket(&self.bucket).key(key).content_type(content_type);
        match put.body(body.into()).if_none_match("*").send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(false),
            Err(error) => Err(Error::aws("PutObject", key)(error)),
        }
    }

    /// Writes a file's content as an object, without holding it in memory.
    ///
    /// # Errors
    /// If the file cannot be read or the bucket does not take it.
    pub async fn put_file(&self, key: &str, file: &Path) -> Result<(), Error> {
        let disk = |e| Error::Disk { what: "reading a file to archive", source: std::io::Error::other(e) };
        // Threads that read files end in another order each time, and a simulation is the same each time.
        #[cfg(any(test, feature = "testing"))]
        if crate::testing::environment::is_set() {
            let body = std::fs::read(file)
                .map_err(|source| Error::Disk { what: "reading a file to archive", source })?;
            return self.put(key, "application/octet-stream", body).await;
        }
        let body = ByteStream::from_path(file).await.map_err(disk)?;
        self.put_stream(key, "application/octet-stream", body).await
    }

    async fn put_stream(&self, key: &str, content_type: &str, body: ByteStream) -> Result<(), Error> {
        let put = self.s3.put_object().bucket(&self.bucket).key(key).content_type(content_type).body(body);
        put.send().await.map_err(Error::aws("PutObject", key))?;
        Ok(())
    }

    /// Reads an object into memory; none if there is no such object.
    ///
    /// # Errors
    /// If the object cannot be read, or its content is not what its checksum says.
    pub async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let body = match self.get(key).await {
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(None);
            }
            got => got.map_err(Error::aws("GetObject", key))?,
        };
        let bytes = body.collect().await.map_err(|e| ended_early(key, &e))?;
        Ok(Some(bytes.to_vec()))
    }

    /// Deletes an object. A missing one is no error.
    ///
    /// # Errors
    /// If the bucket does not answer.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let delete = self.s3.delete_object().bucket(&self.bucket).key(key);
        delete.send().await.map_err(Error::aws("DeleteObject", key))?;
        Ok(())
    }

    /// Writes an object's content to a file, without holding it in memory. A file that exists is appended to.
    ///
    /// # Errors
    /// If the object cannot be read, also if there is none, or if the file cannot be written.
    pub async fn get_file(&self, key: &str, file: &Path) -> Result<(), Error> {
        let disk = |source| Error::Disk { what: "writing a file from the archive", source };
        let mut body = self.get(key).await.map_err(Error::aws("GetObject", key))?;
        #[cfg(any(test, feature = "testing"))]
        if crate::testing::environment::is_set() {
            let bytes = body.collect().await.map_err(|e| ended_early(key, &e))?.to_vec();
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).map_err(disk)?;
            return std::io::Write::write_all(&mut file, &bytes).map_err(disk);
        }
        let mut file =
            tokio::fs::OpenOptions::new().append(true).create(true).open(file).await.map_err(disk)?;
        while let Some(chunk) = body.next().await {
            file.write_all(&chunk.map_err(|e| ended_early(key, &e))?).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)
    }

    /// An object's content, which comes as it is asked for.
    async fn get(&self, key: &str) -> Result<ByteStream, SdkError<GetObjectError>> {
        Ok(self.s3.get_object().bucket(&self.bucket).key(key).send().await?.body)
    }
}

fn ended_early(key: &str, error: &ByteStreamError) -> Error {
    Error::Later(format!("GetObject on {key}: cannot read the content: {}", DisplayErrorContext(error)))
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
