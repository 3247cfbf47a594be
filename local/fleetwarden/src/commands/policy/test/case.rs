//! From a file of cases to what is decided on: times and words are read, and what a case does not say is filled in.

use super::super::guards::Around;
use super::super::short::Reader;
use super::super::things::Said;
use super::about::{About, about};
use super::expect::{self, Expectation, Kind};
use super::file;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::nearest::did_you_mean;
use fleetwarden_core::policy::yaml::{self, Spanned};
use fleetwarden_core::policy::{Diagnostic, Place};
use fleetwarden_core::timestamp::Millis;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The audit of a case that says no time: 2026-01-01T00:00:00Z.
const AT: Millis = Millis(1_767_225_600_000);

/// A file of cases.
#[derive(Debug)]
pub(super) struct Read {
    policy: Option<String>,
    things: Option<String>,
    /// The cases, in order.
    pub(super) cases: Vec<Case>,
}

/// A case, ready to be decided on.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) expect: Vec<Expectation>,
    pub(super) about: About,
    /// What it says for the guards.
    pub(super) around: Around,
}

/// Cases of which only is asked what comes out.
#[derive(Debug)]
pub(in super::super) struct ToExplain {
    things: Option<String>,
    /// Each with its name, if it has one, and what it says for the guards.
    pub(in super::super) cases: Vec<(Option<String>, About, Around)>,
}

impl ToExplain {
    /// The file of things and groups that the cases of a file name.
    pub(in super::super) fn things_of(&self, file: &Path) -> Option<PathBuf> {
        self.things.as_ref().map(|things| beside(file, things))
    }
}

impl Read {
    /// The policy that the cases of a file are for.
    pub(super) fn policy_of(&self, file: &Path) -> PathBuf {
        let folder = file.parent().unwrap_or(Path::new(""));
        match &self.policy {
            Some(policy) => beside(file, policy),
            None => tidy(&folder.join("..").join(file.file_name().unwrap_or_default())),
        }
    }

    /// The file of things and groups.
    pub(super) fn things_of(&self, file: &Path) -> Option<PathBuf> {
        self.things.as_ref().map(|things| beside(file, things))
    }
}

/// A path that a file names from its folder.
fn beside(file: &Path, named: &str) -> PathBuf {
    tidy(&file.parent().unwrap_or(Path::new("")).join(named))
}

/// A path without the `..` that take back what stands before them.
fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let named = matches!(out.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if named => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// Reads a file of cases.
///
/// # Errors
/// What is wrong with it: the first value that is none of its type, or else everything.
pub(super) fn read(bytes: &[u8]) -> Result<Read, Vec<Diagnostic>> {
    let file: file::File = yaml::read(bytes).map_err(|error| vec![error])?;
    let mut reader = Reader::default();
    if file.cases.value.is_empty() {
        reader.error(file.cases.place, "there is no case");
    }
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    let mut cases = Vec::with_capacity(file.cases.value.len());
    for entry in file.cases.value {
        let Spanned { place, value: name } = &entry.name;
        if let Some(line) = names.insert(name.clone(), place.line) {
            reader.error(*place, format!("the case in line {line} has this name already"));
        }
        cases.extend(case(&mut reader, entry));
    }
    if reader.errors.is_empty() {
        return Ok(Read { policy: file.policy.map(|policy| policy.value), things: file.things, cases });
    }
    reader.errors.sort();
    Err(reader.errors)
}

/// Reads the case of an entry.
fn case(reader: &mut Reader, entry: file::Case) -> Option<Case> {
    // After an error some value stands in, so that the rest of the case is looked through too.
    let at = entry.at.as_ref().and_then(|text| reader.time(text)).unwrap_or(AT);
    let kind = if entry.alarm.is_some() { Kind::Alarm } else { Kind::Finding };
    let expect = expect::read(reader, entry.expect, kind);
    let Spanned { place, value: name } = entry.name;
    let around = around(reader, entry.connected, entry.budget_used, entry.things.as_ref());
    let about = about(reader, place, (entry.finding, entry.alarm), entry.things, at)?;
    Some(Case { name, place, expect, about, around })
}

/// Reads what a case says for the guards.
fn around(
    reader: &mut Reader,
    connected: Option<Vec<Spanned<String>>>,
    used: Option<file::BudgetUsed>,
    things: Option<&Spanned<Said>>,
) -> Around {
    if let (Some(connected), Some(Spanned { value: Said(Things::Known(things)), .. })) = (&connected, things)
    {
        let names = || things.iter().map(|thing| thing.name.as_str());
        for Spanned { place, value: name } in connected {
            if !names().any(|known| known == name) {
                let near = did_you_mean(name, names());
                reader.error(*place, format!("'{name}' is none of the things of the case{near}"));
            }
        }
    }
    let connected = connected.map(|names| names.into_iter().map(|name| name.value).collect());
    Around { connected, used: used.map(|used| used.0) }
}

/// Reads cases, or one alone, of which only is asked what comes out. None if a text is something else.
///
/// # Errors
/// As [`read`].
pub(in super::super) fn read_to_explain(text: &str) -> Result<Option<ToExplain>, Vec<Diagnostic>> {
    let bytes = text.as_bytes();
    let Ok(shape) = yaml::read::<file::Shape>(bytes) else { return Ok(None) };
    let of_case = shape.alarm.is_some() || shape.finding.is_some_and(|finding| finding.check.is_some());
    let read = if shape.cases.is_some() {
        yaml::read::<file::ToExplain>(bytes).map(|file| (file.things, file.cases))
    } else if of_case {
        yaml::read::<file::CaseToExplain>(bytes).map(|case| (None, vec![case]))
    } else {
        return Ok(None);
    };
    let (things, entries) = read.map_err(|error| vec![error])?;
    let mut reader = Reader::default();
    let mut cases = Vec::with_capacity(entries.len());
    for case in entries {
        let at = case.at.as_ref().and_then(|text| reader.time(text)).unwrap_or(AT);
        let around = around(&mut reader, case.connected, case.budget_used, case.things.as_ref());
        let about = about(&mut reader, Place::default(), (case.finding, case.alarm), case.things, at);
        cases.extend(about.map(|about| (case.name, about, around)));
    }
    if reader.errors.is_empty() {
        return Ok(Some(ToExplain { things, cases }));
    }
    reader.errors.sort();
    Err(reader.errors)
}
