//! The history of one check during its triage: on disk, so that memory stays flat.
//!
//! `before` is the history after the audits before, fetched once; keys of this audit are noted in `seen` as
//! they come. At the end both are merged to the history after this audit. An invocation that stops early
//! keeps its keys as a segment in the archive, and the last one gathers them.

use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use fleetwarden_aws::Error;
use fleetwarden_aws::archive;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::about;
use fleetwarden_core::finding::FindingKey;
use fleetwarden_core::history;
use fleetwarden_core::history::RECORD_BYTES;
use fleetwarden_core::history::Record;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::Tally;

use crate::sorted;

/// A check's history, open for one message.
pub(crate) struct History {
    folder: Folder,
    before: File,
    records: u64,
    seen: BufWriter<File>,
    /// Where the history after the audits before is in the archive.
    base: Option<String>,
    /// What the latest history before this audit was made from: nothing needs it once this audit's is in place.
    outdated: Option<String>,
    /// A later audit of this check has been triaged before this one: its history stays.
    overtaken: bool,
}

impl History {
    /// Fetches the history after the audits before.
    pub(crate) async fn open(
        ledger: &Ledger,
        archive: &Archive,
        message: &CheckMessage,
    ) -> Result<Self, Error> {
        let audit = &message.audit;
        let latest = ledger.get(&about::history(&message.check), "latest").await?;
        let text = |name| latest.as_ref().and_then(|item: &Item| item.get_text(name)).map(ToOwned::to_owned);
        let repeated = text("task_id").is_some_and(|task| task == audit.task_id);
        let started_at = latest.as_ref().and_then(|item| item.get_number("started_at"));
        // A repeat of this audit's triage starts from where the first try started.
        let (base, outdated) = if repeated { (text("base"), None) } else { (text("object"), text("base")) };
        let folder = Folder::new()?;
        let path = folder.file("before");
        if let Some(object) = &base {
            match archive.get_file(object, &path).await {
                // Without its history a check is triaged as if for the first time: that is better than never.
                Err(Error::Aws { code, .. }) if code == "NoSuchKey" => {
                    tracing::error!(
                        object,
                        "the history is gone from the archive: every finding counts as new"
                    );
                }
                fetched => fetched?,
            }
        }
        let before = File::options().read(true).append(true).create(true).open(&path).map_err(disk)?;
        let bytes = before.metadata().map_err(disk)?.len();
        if bytes % RECORD_BYTES as u64 != 0 {
            let object = base.unwrap_or_default();
            return Err(Error::Later(format!(
                "{object}: {bytes} bytes are no history; delete the object to start anew"
            )));
        }
        Ok(Self {
            before,
            records: bytes / RECORD_BYTES as u64,
            seen: BufWriter::new(File::create(folder.file("seen")).map_err(disk)?),
            base,
            outdated,
            overtaken: !repeated && started_at.is_some_and(|at| at > audit.started_at.0),
            folder,
        })
    }

    /// What the audits before knew of a finding.
    pub(crate) fn look_up(&self, key: FindingKey) -> Result<Option<Record>, Error> {
        let read = |at: u64| {
            let mut bytes = [0; RECORD_BYTES];
            self.before.read_exact_at(&mut bytes, at * RECORD_BYTES as u64)?;
            Ok(Record::decode(&bytes))
        };
        history::find(key, self.records, read).map_err(disk)
    }

    /// Notes a finding of this audit.
    pub(crate) fn note(&mut self, record: &Record) -> Result<(), Error> {
        self.seen.write_all(&record.encode()).map_err(disk)
    }

    /// Keeps what was noted as a segment in the archive, and gives how many there are.
    pub(crate) async fn keep(mut self, archive: &Archive, message: &CheckMessage) -> Result<u32, Error> {
        let segment = segments(message);
        self.seen.flush().map_err(disk)?;
        let key = archive::segment_key(&message.audit, &message.check, segment);
        archive.put_file(&key, &self.folder.file("seen")).await?;
        Ok(segment + 1)
    }

    /// Makes the history after this audit and puts it in place of the one before. Counts what was fixed.
    pub(crate) async fn replace(
        mut self,
        ledger: &Ledger,
        archive: &Archive,
        message: &CheckMessage,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let (audit, check) = (&message.audit, &message.check);
        if self.overtaken {
            tracing::warn!(%check, task = audit.task_id, "a later audit is triaged already: its history stays");
            return Ok(());
        }
        self.seen.flush().map_err(disk)?;
        let seen = self.folder.file("seen");
        for segment in 0..segments(message) {
            archive.get_file(&archive::segment_key(audit, check, segment), &seen).await?;
        }
        let after = self.folder.file("after");
        let mut open = 0;
        let mut merge = || {
            let mut out = BufWriter::new(File::create(&after)?);
            let before = sorted::records(File::open(self.folder.file("before"))?);
            let current = sorted::sort(&File::open(&seen)?, &self.folder.file("runs"))?;
            let fixed = |severity| tally.entry(severity).or_default().fixed += 1;
            history::merge(before, current, audit.started_at, fixed, |record| {
                open += i64::from(record.open);
                out.write_all(&record.encode())
            })?;
            out.flush()
        };
        merge().map_err(disk)?;
        let object = archive::history_key(audit, check);
        archive.put_file(&object, &after).await?;
        let latest = Item::new(&about::history(check), "latest", audit.started_at)
            .text("task_id", &audit.task_id)
            .number("started_at", audit.started_at.0)
            .text("object", object)
            .number("open", open);
        let latest = match &self.base {
            Some(base) => latest.text("base", base),
            None => latest,
        };
        if !ledger.put_newer(latest, audit).await? {
            tracing::warn!(%check, task = audit.task_id, "a later audit was triaged meanwhile: its history stays");
            return Ok(());
        }
        match &self.outdated {
            Some(object) => archive.delete(object).await,
            None => Ok(()),
        }
    }
}

/// How many segments earlier invocations have kept.
fn segments(message: &CheckMessage) -> u32 {
    message.resume.as_ref().map_or(0, |resume| resume.segments)
}

fn disk(source: io::Error) -> Error {
    Error::Disk { what: "the history on disk", source }
}

/// A folder for one message, gone when the message is done.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("triage-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        // A process of the same number may have died here.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).map_err(disk)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
