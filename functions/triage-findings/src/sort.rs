//! Sorting records on disk, in little memory: sorted runs, then a merge of the runs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Read;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::history::RECORD_BYTES;
use fleetwarden_core::model::history::Record;

/// How many records are sorted in memory at a time: 0.6 MB. A million make 61 runs.
const RUN: usize = 1 << 14;
/// How much of each run is read ahead, in bytes.
const AHEAD: usize = 4 << 10;

/// The records of a file, in its order.
pub(crate) fn records(file: File) -> impl Iterator<Item = io::Result<Record>> {
    Records(BufReader::new(file))
}

/// The records of a file, sorted by key. `runs` is a file to work in.
pub(crate) fn sort(file: &File, runs: &Path) -> io::Result<impl Iterator<Item = io::Result<Record>> + use<>> {
    let mut out = BufWriter::new(File::create(runs)?);
    let mut lengths = Vec::new();
    let mut run = Vec::with_capacity(RUN * RECORD_BYTES);
    loop {
        run.clear();
        file.take((RUN * RECORD_BYTES) as u64).read_to_end(&mut run)?;
        let (records, _) = run.as_chunks_mut::<RECORD_BYTES>();
        if records.is_empty() {
            break;
        }
        // A record begins with its key: the order of the bytes is the order of the keys.
        records.sort_unstable();
        lengths.push(records.len() as u64);
        out.write_all(records.as_flattened())?;
    }
    out.flush()?;
    let file = Arc::new(File::open(runs)?);
    let mut start = 0;
    let mut merge = Merge { runs: Vec::new(), next: BinaryHeap::new() };
    for length in lengths {
        let part = Part { file: Arc::clone(&file), at: start, end: start + length * RECORD_BYTES as u64 };
        start = part.end;
        merge.runs.push(Records(BufReader::with_capacity(AHEAD, part)));
        merge.advance(merge.runs.len() - 1)?;
    }
    Ok(merge)
}

struct Records<R>(R);

impl<R: Read> Iterator for Records<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = [0; RECORD_BYTES];
        match self.0.read_exact(&mut bytes) {
            Ok(()) => Some(Ok(Record::decode(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// A part of a file that several read at once.
struct Part {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(buffer.get_mut(..left).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The runs, with the head of each in a heap by its key.
struct Merge {
    runs: Vec<Records<BufReader<Part>>>,
    next: BinaryHeap<Reverse<(FindingKey, usize, Head)>>,
}

/// A record that leaves the order to its key and its run.
struct Head(Record);

impl PartialEq for Head {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Head {}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Merge {
    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(record) = self.runs.get_mut(run).and_then(Iterator::next).transpose()? {
            self.next.push(Reverse((record.key, run, Head(record))));
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, run, Head(record))) = self.next.pop()?;
        Some(self.advance(run).map(|()| record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwarden_core::model::severity::Severity;
    use fleetwarden_core::timestamp::Millis;

    #[test]
    fn more_than_one_run_comes_out_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen");
        let mut state = 1_u128;
        let keys: Vec<FindingKey> = (0..RUN * 2 + 7)
            .map(|_| {
                state = state.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(7);
                FindingKey(state.to_be_bytes())
            })
            .collect();
        let mut out = BufWriter::new(File::create(&path).unwrap());
        for key in &keys {
            let at = Millis(0);
            let record = Record {
                key: *key,
                first_seen: at,
                last_seen: at,
                times_seen: 1,
                severity: Severity::Low,
                open: true,
                first_suppressed: None,
                suppressed: false,
            };
            out.write_all(&record.encode()).unwrap();
        }
        out.flush().unwrap();
        let sorted = sort(&File::open(&path).unwrap(), &folder.path().join("runs")).unwrap();
        let sorted: Vec<FindingKey> = sorted.map(|record| record.unwrap().key).collect();
        let mut expected = keys;
        expected.sort_unstable();
        assert!(sorted == expected);
    }
}
