//! From a file of cases to what is decided on: times and words are read, and what a case does not say is filled in.

use super::super::short::alarm::{Alarm, ReadAlarm};
use super::super::short::{self, Reader, Since};
use super::super::things::Said;
use super::expect::{self, Expectation, Kind};
use super::file;
use fleetwarden_core::finding::Finding;
use fleetwarden_core::policy::yaml::{self, Spanned};
use fleetwarden_core::policy::{AlarmSubject, Diagnostic, Place, Policy, Subject};
use fleetwarden_core::resource::ResourceIdentifier;
use fleetwarden_core::thing::{Behind, Description, Thing, Things};
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
    pub(super) about: About,
}

/// What a case is about.
#[derive(Debug)]
pub(super) enum About {
    Finding(Box<OfFinding>),
    Alarm(Box<OfAlarm>),
}

/// A finding, and what is known around it.
#[derive(Debug)]
pub(super) struct OfFinding {
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

/// An alarm, and what is known around it.
#[derive(Debug)]
pub(super) struct OfAlarm {
    alarm: ReadAlarm,
    at: Millis,
    things: Things,
}

impl OfAlarm {
    /// Gives what a policy decides on to `decide`.
    pub(super) fn decided<R>(&self, policy: &Policy, decide: impl FnOnce(&AlarmSubject<'_>) -> R) -> R {
        let (life, raises) = self.alarm.life(self.at, policy.alarms().settle_seconds);
        decide(&AlarmSubject { life: &life, at: self.at, raises: &raises, things: &self.things })
    }
}

impl OfFinding {
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
    let kind = if entry.alarm.is_some() { Kind::Alarm } else { Kind::Finding };
    let expect = expect::read(reader, entry.expect, kind);
    let Spanned { place, value: name } = entry.name;
    let about = match (entry.finding, entry.alarm) {
        (Some(finding), None) => of_finding(reader, finding, entry.things, at)?,
        (None, Some(alarm)) => of_alarm(reader, alarm, entry.things, at),
        (Some(_), Some(_)) | (None, None) => {
            reader.error(place, "a case is about a 'finding' or about an 'alarm': exactly one of the keys");
            return None;
        }
    };
    Some(Case { name, place, expect, about })
}

fn of_finding(
    reader: &mut Reader,
    entry: short::Finding,
    said: Option<Spanned<Said>>,
    at: Millis,
) -> Option<About> {
    let read = reader.finding(entry, None, at)?;
    let behind = read.finding.identifier().map_or(Behind::Nothing, ResourceIdentifier::behind);
    let things = things(reader, said, &behind);
    Some(About::Finding(Box::new(OfFinding {
        account: read.account.unwrap_or_else(|| short::ACCOUNT.to_owned()),
        region: read.region.unwrap_or_else(|| short::REGION.to_owned()),
        at,
        first_seen: read.first_seen.unwrap_or(at),
        seen: read.seen.unwrap_or(1),
        first_suppressed: read.first_suppressed,
        finding: read.finding,
        things,
    })))
}

fn of_alarm(reader: &mut Reader, entry: Alarm, said: Option<Spanned<Said>>, at: Millis) -> About {
    let alarm = reader.alarm(entry);
    let things = match (said, &alarm.alarm.thing) {
        (None, None) => Things::NotAsked,
        (None, Some(name)) => Things::Known(vec![Thing {
            name: name.clone(),
            described: Some(Description::default()),
            groups: Some(Vec::new()),
        }]),
        (Some(said), None) => {
            reader
                .error(said.place, "the alarm is about no device, and so about no thing; leave 'things' out");
            Things::NotAsked
        }
        (Some(said), Some(name)) => {
            if let Things::Known(things) = &said.value.0
                && things.iter().any(|thing| thing.name != *name)
            {
                let what =
                    format!("the alarm is about '{name}': of things there is the one of this name, or none");
                reader.error(said.place, what);
            }
            said.value.0
        }
    };
    About::Alarm(Box::new(OfAlarm { alarm, at, things }))
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
