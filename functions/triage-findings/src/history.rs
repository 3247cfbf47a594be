//! The history of one check during its triage: on disk, so that memory stays flat.
//!
//! `before` is the history after the audits before, fetched once; keys of this audit are noted in `seen` as
//! they come. At the end both are merged to the history after this audit. An invocation that stops early
//! saves its keys as a segment in the archive, and the last one loads them all.
//!
//! Two audits of a check can be triaged at the same time. The second to end merges again, with the history that the
//! first one left. Once the history of a later audit is there, an earlier audit leaves it as it is.

use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use fleetwarden_aws::Error;
use fleetwarden_aws::archive;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::Counts;
use fleetwarden_core::message::Tally;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::history;
use fleetwarden_core::model::history::Change;
use fleetwarden_core::model::history::RECORD_BYTES;
use fleetwarden_core::model::history::Record;
use fleetwarden_core::model::history::Status;

use crate::sort;

/// How often a history is merged, if other audits of the check keep ending meanwhile.
const ROUNDS: u32 = 4;

/// A check's history, open for one message.
pub(crate) struct History {
    folder: Folder,
    before: File,
    records: u64,
    seen: BufWriter<File>,
    place: Place,
}

/// Where a check's history is, as the ledger has it.
struct Place {
    /// The object of the latest history.
    latest: Option<String>,
    /// The object that this audit's history is made from.
    base: Option<String>,
    /// What the latest history before this audit was made from: nothing needs it once this audit's is in place.
    outdated: Option<String>,
    /// The latest history is that of a later audit: it stays.
    overtaken: bool,
}

impl Place {
    async fn look_up(ledger: &Ledger, message: &CheckMessage) -> Result<Self, Error> {
        let audit = &message.audit;
        let latest = ledger.get(&keys::history(&message.check), "latest").await?;
        let text = |name| latest.as_ref().and_then(|item: &Item| item.get_text(name)).map(ToOwned::to_owned);
        let repeated = text("task_id").is_some_and(|task| task == audit.task_id);
        let started_at = latest.as_ref().and_then(|item| item.get_number("started_at"));
        // A repeat of this audit's triage starts from where the first try started.
        let (base, outdated) = if repeated { (text("base"), None) } else { (text("object"), text("base")) };
        let overtaken = !repeated && started_at.is_some_and(|at| at > audit.started_at.0);
        Ok(Self { latest: text("object"), base, outdated, overtaken })
    }
}

impl History {
    /// Fetches the history after the audits before.
    pub(crate) async fn open(
        ledger: &Ledger,
        archive: &Archive,
        message: &CheckMessage,
    ) -> Result<Self, Error> {
        let place = Place::look_up(ledger, message).await?;
        let folder = Folder::new()?;
        let (before, records) = fetch(archive, &folder, &place).await?;
        let seen = BufWriter::new(File::create(folder.file("seen")).map_err(disk)?);
        Ok(Self { folder, before, records, seen, place })
    }

    /// What the audits before knew of a finding.
    pub(crate) fn look_up(&self, key: FindingKey) -> Result<Option<Record>, Error> {
        look_up(&self.before, self.records, key)
    }

    /// What a finding is to the audits before. A later audit's history says only whether it is known: what is gone
    /// by now was there.
    pub(crate) const fn status(&self, before: Option<&Record>) -> Status {
        match (before, self.place.overtaken) {
            (Some(_), true) => Status::Known,
            _ => Record::status(before),
        }
    }

    /// Notes a finding of this audit.
    pub(crate) fn note(&mut self, record: &Record) -> Result<(), Error> {
        self.seen.write_all(&record.encode()).map_err(disk)
    }

    /// Saves what was noted as a segment in the archive: the findings of these pages.
    pub(crate) async fn save(
        mut self,
        archive: &Archive,
        message: &CheckMessage,
        pages: &Range<u32>,
    ) -> Result<(), Error> {
        self.seen.flush().map_err(disk)?;
        let key = archive::segment_key(&message.audit, &message.check, restarts(message), pages);
        archive.put_file(&key, &self.folder.file("seen")).await
    }

    /// Loads the segments that earlier invocations saved. The error `NoSuchKey` says that one has expired.
    pub(crate) async fn load_segments(
        &mut self,
        archive: &Archive,
        message: &CheckMessage,
    ) -> Result<(), Error> {
        self.seen.flush().map_err(disk)?;
        for pages in message.resume.iter().flat_map(|resume| &resume.segments) {
            let key = archive::segment_key(&message.audit, &message.check, restarts(message), pages);
            archive.get_file(&key, &self.folder.file("seen")).await?;
        }
        Ok(())
    }

    /// Makes the history after this audit and puts it in place of the one before. Counts what is new, returned and
    /// fixed. Gives the history that is in place then, unless it is that of a later audit.
    pub(crate) async fn replace(
        mut self,
        ledger: &Ledger,
        archive: &Archive,
        message: &CheckMessage,
        tally: &mut Tally,
    ) -> Result<Option<After>, Error> {
        let counted = std::mem::take(tally);
        for _ in 0..ROUNDS {
            tally.clone_from(&counted);
            let open = self.merge(message, tally)?;
            if self.place.overtaken {
                tracing::warn!(check = %message.check, audit.task_id = %message.audit.task_id, "the history of a later audit stays");
                return Ok(None);
            }
            if self.put(ledger, archive, message, open).await? {
                if let Some(object) = &self.place.outdated {
                    archive.delete(object).await?;
                }
                return After::open(self.folder).map(Some);
            }
            self.place = Place::look_up(ledger, message).await?;
            // The answer to an earlier try was lost, and another audit has gone on from this one's history.
            let own = archive::history_key(&message.audit, &message.check);
            if self.place.outdated.as_ref() == Some(&own) {
                return Ok(None);
            }
            tracing::info!(check = %message.check, "another audit of the check ended meanwhile: its history is merged");
            (self.before, self.records) = fetch(archive, &self.folder, &self.place).await?;
        }
        let check = &message.check;
        Err(Error::Later(format!("the history of {check} was replaced {ROUNDS} times by other audits")))
    }

    /// Merges the history before with what was noted, and gives how many findings are open.
    ///
    /// What an overtaken audit found and the later one did not is gone already, and no other audit counts it: so it
    /// is counted as new and as fixed.
    fn merge(&self, message: &CheckMessage, tally: &mut Tally) -> Result<i64, Error> {
        let file = |name| self.folder.file(name);
        let overtaken = self.place.overtaken;
        let mut open = 0;
        let mut merge = || {
            let mut out = BufWriter::new(File::create(file("after"))?);
            let before = sort::records(File::open(file("before"))?);
            let current = sort::sort(&File::open(file("seen"))?, &file("runs"))?;
            let count = |change| match change {
                Change::Found { status: Status::New, severity, .. } if overtaken => {
                    Counts::change(tally, change);
                    Counts::change(tally, Change::Fixed(severity));
                }
                Change::Found { severity, first_seen, .. } if overtaken => {
                    Counts::change(tally, Change::Found { status: Status::Known, severity, first_seen });
                }
                Change::Fixed(_) if overtaken => {}
                change => Counts::change(tally, change),
            };
            history::merge(before, current, message.audit.started_at, count, |record| {
                open += i64::from(record.open);
                out.write_all(&record.encode())
            })?;
            out.flush()
        };
        merge().map_err(disk)?;
        Ok(open)
    }

    /// Puts the merged history in place of the latest one, if that is still the one that was looked up. Says whether
    /// it did.
    async fn put(
        &self,
        ledger: &Ledger,
        archive: &Archive,
        message: &CheckMessage,
        open: i64,
    ) -> Result<bool, Error> {
        let (audit, check) = (&message.audit, &message.check);
        let object = archive::history_key(audit, check);
        archive.put_file(&object, &self.folder.file("after")).await?;
        let item = Item::new(&keys::history(check), "latest", audit.started_at)
            .text("task_id", &audit.task_id)
            .number("started_at", audit.started_at.0)
            .text("object", object)
            .number("open", open);
        let item = match &self.place.base {
            Some(base) => item.text("base", base),
            None => item,
        };
        Ok(ledger.put_in_place(item, "object", self.place.latest.as_deref()).await?.is_none())
    }
}

/// The history after this audit.
pub(crate) struct After {
    file: File,
    records: u64,
    /// It goes with the file.
    _folder: Folder,
}

impl After {
    fn open(folder: Folder) -> Result<Self, Error> {
        let file = File::open(folder.file("after")).map_err(disk)?;
        let records = file.metadata().map_err(disk)?.len() / RECORD_BYTES as u64;
        Ok(Self { file, records, _folder: folder })
    }

    /// What is known of a finding.
    pub(crate) fn look_up(&self, key: FindingKey) -> Result<Option<Record>, Error> {
        look_up(&self.file, self.records, key)
    }
}

/// Looks a finding up in a history on disk.
fn look_up(file: &File, records: u64, key: FindingKey) -> Result<Option<Record>, Error> {
    let read = |at: u64| {
        let mut bytes = [0; RECORD_BYTES];
        file.read_exact_at(&mut bytes, at * RECORD_BYTES as u64)?;
        Ok(Record::decode(&bytes))
    };
    history::find(key, records, read).map_err(disk)
}

/// Fetches the history before from the archive, and says how many records it has.
async fn fetch(archive: &Archive, folder: &Folder, place: &Place) -> Result<(File, u64), Error> {
    let path = folder.file("before");
    File::create(&path).map_err(disk)?;
    if let Some(object) = &place.base {
        match archive.get_file(object, &path).await {
            // Without its history a check is triaged as if for the first time: that is better than never.
            Err(Error::Aws { code, .. }) if code == "NoSuchKey" => {
                tracing::error!(object, "the history is missing in the archive: every finding counts as new");
            }
            fetched => fetched?,
        }
    }
    let before = File::open(&path).map_err(disk)?;
    let bytes = before.metadata().map_err(disk)?.len();
    if bytes % RECORD_BYTES as u64 != 0 {
        let object = place.base.as_deref().unwrap_or_default();
        return Err(Error::Later(format!(
            "{object}: an object of {bytes} bytes is not a history; delete it to start a new one"
        )));
    }
    Ok((before, bytes / RECORD_BYTES as u64))
}

/// How often the check was restarted: each time, its segments are others.
fn restarts(message: &CheckMessage) -> u32 {
    message.resume.as_ref().map_or(0, |resume| resume.restarts)
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
