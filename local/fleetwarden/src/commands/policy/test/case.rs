//! From a file of cases to what is decided on: times and words are read, and what a case does not say is filled in.

use super::super::short::{self, Reader, Since};
use super::super::things::Said;
use super::expect::{self, Expectation};
use super::file;
use fleetwarden_core::finding::Finding;
use fleetwarden_core::policy::yaml::{self, Spanned};
use fleetwarden_core::policy::{Diagnostic, Place, Policy, Subject};
use fleetwarden_core::resource::ResourceIdentifier;
use fleetwarden_core::thing::{Behind, Things};
use fleetwarden_core::timestamp::Millis;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The audit of a case that says no time: 2026-01-01T00:00:00Z.
const AT: Millis = Millis(1_767_225_600_000);

/// A file of cases.
#[derive(Debug)]
pub(super) struct Cases {
    policy: Option<String>,
    /// The cases, in order.
    pub(super) cases: Vec<Case>,
}

/// A case, ready to be decided on.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) expect: Vec<Expectation>,
    finding: Finding,
    account: String,
    region: String,
    at: Millis,
    first_seen: Millis,
    seen: u32,
    first_suppressed: Option<Since>,
    things: Things,
}

impl Cases {
    /// The policy that the cases of a file are for.
    pub(super) fn policy_of(&self, file: &Path) -> PathBuf {
        let folder = file.parent().unwrap_or(Path::new(""));
        match &self.policy {
            Some(policy) => tidy(&folder.join(policy)),
            None => tidy(&folder.join("..").join(file.file_name().unwrap_or_default())),
        }
    }
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

impl Case {
    /// What a policy decides on.
    ///
    /// # Errors
    /// If a rule has suppressed the finding that suppresses nothing for a length of time.
    pub(super) fn subject(&self, policy: &Policy) -> anyhow::Result<Subject<'_>> {
        let first_suppressed = self.first_suppressed.as_ref().map(|since| since.of(policy));
        Ok(Subject {
            finding: &self.finding,
            account: &self.account,
            region: &self.region,
            at: self.at,
            first_seen: self.first_seen,
            times_seen: self.seen,
            first_suppressed: first_suppressed.transpose()?,
            things: &self.things,
        })
    }
}

/// Reads a file of cases.
///
/// # Errors
/// What is wrong with it: the first value that is none of its type, or else everything.
pub(super) fn read(bytes: &[u8]) -> Result<Cases, Vec<Diagnostic>> {
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
        return Ok(Cases { policy: file.policy.map(|policy| policy.value), cases });
    }
    reader.errors.sort();
    Err(reader.errors)
}

/// Reads the case of an entry.
fn case(reader: &mut Reader, entry: file::Case) -> Option<Case> {
    // After an error some value stands in, so that the rest of the case is looked through too.
    let at = entry.at.as_ref().and_then(|text| reader.time(text)).unwrap_or(AT);
    let expect = expect::read(reader, entry.expect);
    let read = reader.finding(entry.finding, None, at)?;
    let behind = read.finding.identifier().map_or(Behind::Nothing, ResourceIdentifier::behind);
    let things = things(reader, entry.things, &behind);
    let Spanned { place, value: name } = entry.name;
    Some(Case {
        name,
        place,
        expect,
        account: read.account.unwrap_or_else(|| short::ACCOUNT.to_owned()),
        region: read.region.unwrap_or_else(|| short::REGION.to_owned()),
        at,
        first_seen: read.first_seen.unwrap_or(at),
        seen: read.seen.unwrap_or(1),
        first_suppressed: read.first_suppressed,
        finding: read.finding,
        things,
    })
}

/// What is known of the things: as much as the functions would know.
fn things(reader: &mut Reader, said: Option<Spanned<Said>>, behind: &Behind<'_>) -> Things {
    match (said, behind) {
        (Some(said), Behind::Certificate(_) | Behind::Client(_)) => said.value.0,
        (Some(said), Behind::Many | Behind::Nothing) => {
            let what = "nobody looks up things behind this resource; leave them out";
            reader.error(said.place, what);
            Things::NotAsked
        }
        (None, Behind::Certificate(_) | Behind::Client(_)) => Things::Known(Vec::new()),
        (None, Behind::Many | Behind::Nothing) => Things::NotAsked,
    }
}
