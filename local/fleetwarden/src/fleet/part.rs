//! The file of things and groups while it is written: entry by entry, so that an export that was stopped goes on with what
//! is there, and needs no memory for what it has written but the names.
//!
//! The file is JSON in lines. A line that begins with a blank or a comma begins an entry, one that begins with two blanks
//! goes on with it, and an entry is whole if its last line ends with its last bracket or quotation mark. Until it is
//! complete the file stands beside its place as `FILE.part`.

use super::file::Exported;
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A list of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Things,
    Groups,
    Certificates,
    Policies,
}

impl List {
    /// In the order of the file.
    const ALL: [Self; 4] = [Self::Things, Self::Groups, Self::Certificates, Self::Policies];

    const fn name(self) -> &'static str {
        match self {
            Self::Things => "things",
            Self::Groups => "groups",
            Self::Certificates => "certificates",
            Self::Policies => "policies",
        }
    }

    fn begin(self) -> String {
        let before = if self == Self::Things { "," } else { "],\n" };
        format!("{before}\"{}\":[\n", self.name())
    }
}

/// The file, and where in it an export is.
#[derive(Debug)]
pub(super) struct Part {
    out: BufWriter<File>,
    path: PathBuf,
    /// Where the complete file belongs, if this is not its place.
    place: Option<PathBuf>,
    /// The list that is written, and the names in it.
    list: Option<List>,
    names: HashSet<String>,
    /// How many entries the lists before it have.
    before: BTreeMap<List, usize>,
    /// Whether the next entry is the first of its list.
    is_first: bool,
}

/// How far a file was written.
#[derive(Debug, Default)]
struct Written {
    header: Option<Exported>,
    /// The bytes up to the last entry that is whole.
    bytes: u64,
    list: Option<List>,
    names: HashSet<String>,
    before: BTreeMap<List, usize>,
}

impl Part {
    /// The export of a file, from its beginning or from where an earlier one has stopped; and when that one had begun.
    pub(super) fn open(file: &Path, exported: &Exported) -> Result<(Self, Option<String>)> {
        let (path, place) = places(file);
        let written = if place.is_some() { Written::read(&path)? } else { Written::default() };
        match &written.header {
            Some(before) if before.from != exported.from || before.certificates != exported.certificates => {
                let with = |with| if with { "with" } else { "without" };
                bail!(
                    "{} is the beginning of an export of {} {} certificates, and this is one of {} {}: --restart begins anew",
                    path.display(),
                    before.from,
                    with(before.certificates),
                    exported.from,
                    with(exported.certificates),
                )
            }
            Some(before) => {
                let begun = before.begun.clone();
                Ok((Self::go_on(path, place, written)?, Some(begun)))
            }
            None => Ok((Self::begin(path, place, exported)?, None)),
        }
    }

    /// Takes away what an earlier export has left.
    pub(super) fn forget(file: &Path) -> Result<()> {
        match places(file) {
            (path, Some(_)) if path.exists() => {
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn begin(path: PathBuf, place: Option<PathBuf>, exported: &Exported) -> Result<Self> {
        let out = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let (names, before) = (HashSet::new(), BTreeMap::new());
        let mut part =
            Self { out: BufWriter::new(out), path, place, list: None, names, before, is_first: true };
        let header = serde_json::to_string(exported)?;
        part.write(&format!("{{\"exported\":{header}\n"))?;
        Ok(part)
    }

    fn go_on(path: PathBuf, place: Option<PathBuf>, written: Written) -> Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        let mut out = OpenOptions::new().write(true).open(&path).with_context(cannot)?;
        out.set_len(written.bytes).with_context(cannot)?;
        out.seek(SeekFrom::End(0)).with_context(cannot)?;
        let Written { list, names, before, .. } = written;
        let is_first = names.is_empty();
        Ok(Self { out: BufWriter::new(out), path, place, list, names, before, is_first })
    }

    /// Goes to a list. Whether it is still to be written: none of an earlier one is.
    pub(super) fn list(&mut self, list: List) -> Result<bool> {
        if self.list == Some(list) {
            return Ok(true);
        }
        if self.list > Some(list) {
            return Ok(false);
        }
        if let Some(before) = self.list {
            self.before.insert(before, self.names.len());
        }
        self.list = Some(list);
        self.names = HashSet::new();
        self.is_first = true;
        self.write(&list.begin())?;
        Ok(true)
    }

    /// Whether the list has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// How many entries a list has.
    pub(super) fn len(&self, list: List) -> usize {
        if self.list == Some(list) {
            self.names.len()
        } else {
            self.before.get(&list).copied().unwrap_or_default()
        }
    }

    /// Writes an entry.
    pub(super) fn entry(&mut self, name: String, entry: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(entry)?;
        self.begin_entry(name, &(text + "\n"))
    }

    /// Begins an entry that ends with a list of names, which [`more`](Self::more) writes and [`end_entry`](Self::end_entry)
    /// ends.
    pub(super) fn open_entry(&mut self, name: String, entry: &impl Serialize, list: &str) -> Result<()> {
        let text = serde_json::to_string(entry)?;
        let text = text.strip_suffix('}').unwrap_or(&text);
        self.begin_entry(name, &format!("{text},\"{list}\":[\n"))
    }

    /// Goes on with names in an entry.
    pub(super) fn more(&mut self, names: &[String], is_first: bool) -> Result<()> {
        let Some((first, rest)) = names.split_first() else { return Ok(()) };
        let mut line = String::from(if is_first { "  " } else { "  ," });
        line.push_str(&serde_json::to_string(first)?);
        for name in rest {
            line.push(',');
            line.push_str(&serde_json::to_string(name)?);
        }
        line.push('\n');
        self.write(&line)
    }

    /// Ends an entry.
    pub(super) fn end_entry(&mut self) -> Result<()> {
        self.write("  ]}\n")
    }

    fn begin_entry(&mut self, name: String, text: &str) -> Result<()> {
        let sign = if self.is_first { " " } else { "," };
        self.is_first = false;
        self.names.insert(name);
        self.write(&format!("{sign}{text}"))
    }

    /// Gives what was written to the system, so that it outlives this process.
    pub(super) fn flush(&mut self) -> Result<()> {
        let written = self.out.flush();
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Ends the file and puts it into its place.
    pub(super) fn finish(mut self) -> Result<()> {
        self.write("]}\n")?;
        self.flush()?;
        let Some(place) = &self.place else { return Ok(()) };
        let cannot = || format!("cannot write {}", place.display());
        self.out.get_ref().sync_all().with_context(cannot)?;
        fs::rename(&self.path, place).with_context(cannot)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let written = self.out.write_all(text.as_bytes());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Where a file is written, and where it belongs if that is another place. What is no file, such as a pipe, is written
/// where it is.
fn places(file: &Path) -> (PathBuf, Option<PathBuf>) {
    if fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        return (file.to_owned(), None);
    }
    let mut name = OsString::from(file);
    name.push(".part");
    (name.into(), Some(file.to_owned()))
}

impl Written {
    /// Reads how far an earlier export has come: not at all if there is none, or none that is worth anything.
    fn read(path: &Path) -> Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mut lines = BufReader::new(file);
        let mut written = Self::default();
        let (mut line, mut at, mut opened) = (Vec::new(), 0, None);
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line);
            at += read.with_context(|| format!("cannot read {}", path.display()))? as u64;
            let text = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix('\n'));
            let Some(text) = text else { return Ok(written) };
            if written.header.is_none() {
                let Some(header) = header(text) else { return Ok(written) };
                (written.header, written.bytes) = (Some(header), at);
            } else if !written.take(text, at, &mut opened) {
                return Ok(written);
            }
        }
    }

    /// Takes a line that ends at so many bytes. False if it is none that an export writes, with which it ends.
    fn take(&mut self, line: &str, at: u64, opened: &mut Option<String>) -> bool {
        if let Some(name) = opened.take() {
            if line == "  ]}" {
                self.names.insert(name);
                self.bytes = at;
            } else if line.starts_with("  ") {
                *opened = Some(name);
            } else {
                return false;
            }
            return true;
        }
        if let Some(list) = List::ALL.into_iter().find(|list| list.begin().ends_with(&format!("{line}\n")))
            && line.ends_with('[')
        {
            if let Some(before) = self.list.replace(list) {
                self.before.insert(before, self.names.len());
            }
            self.names.clear();
            self.bytes = at;
            return true;
        }
        if line == "]," {
            return true;
        }
        let Some(entry) = line.strip_prefix([' ', ',']).filter(|_| self.list.is_some()) else { return false };
        match entry.strip_suffix('[') {
            Some(begun) => *opened = name_of(&format!("{begun}[]}}")),
            None => match name_of(entry) {
                Some(name) => {
                    self.names.insert(name);
                    self.bytes = at;
                }
                None => return false,
            },
        }
        true
    }
}

fn header(line: &str) -> Option<Exported> {
    serde_json::from_str(line.strip_prefix("{\"exported\":")?).ok()
}

/// The name of an entry.
fn name_of(entry: &str) -> Option<String> {
    match serde_json::from_str(entry).ok()? {
        serde_json::Value::String(name) => Some(name),
        serde_json::Value::Object(mut members) => {
            members.remove("name").and_then(|name| name.as_str().map(str::to_owned))
        }
        _ => None,
    }
}
