//! What a case is about: a finding or an alarm, and what is known around it.

use super::super::short::alarm::{Alarm, ReadAlarm};
use super::super::short::{self, Reader, Since};
use super::super::things::Said;
use crate::fleet::Fleet;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::{Behind, Description, Thing, Things};
use fleetwarden_core::policy::yaml::Spanned;
use fleetwarden_core::policy::{AlarmSubject, Place, Policy, Subject};
use fleetwarden_core::timestamp::Millis;

/// What a case is about.
#[derive(Debug)]
pub(in super::super) enum About {
    Finding(Box<OfFinding>),
    Alarm(Box<OfAlarm>),
}

/// A finding, and what is known around it.
#[derive(Debug)]
pub(in super::super) struct OfFinding {
    finding: Finding,
    account: String,
    region: String,
    at: Millis,
    /// Left out: when the audit began.
    first_seen: Option<Millis>,
    seen: u32,
    first_suppressed: Option<Since>,
    said: Option<Said>,
    things: Things,
}

/// What somebody says of a finding or an alarm, whatever its case says.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Instead {
    pub(in super::super) at: Option<Millis>,
    pub(in super::super) first_seen: Option<Millis>,
    pub(in super::super) seen: Option<u32>,
    pub(in super::super) account: Option<String>,
    pub(in super::super) region: Option<String>,
}

/// An alarm, and what is known around it.
#[derive(Debug)]
pub(in super::super) struct OfAlarm {
    alarm: ReadAlarm,
    at: Millis,
    said: Option<Said>,
    things: Things,
}

impl About {
    /// Takes what is not said of things from the file of the fleet.
    pub(in super::super) fn settle(&mut self, fleet: Option<&Fleet>) {
        match self {
            Self::Finding(finding) => {
                finding.things = things_of_finding(finding.said.clone(), finding.finding.identifier(), fleet);
            }
            Self::Alarm(alarm) => {
                let thing = alarm.alarm.alarm.thing.as_deref();
                alarm.things = things_of_alarm(alarm.said.clone(), thing, fleet);
            }
        }
    }

    /// Takes what somebody says instead.
    pub(in super::super) fn say(&mut self, instead: &Instead) {
        let Instead { at, first_seen, seen, account, region } = instead.clone();
        match self {
            Self::Finding(finding) => {
                finding.at = at.unwrap_or(finding.at);
                finding.first_seen = first_seen.or(finding.first_seen);
                finding.seen = seen.unwrap_or(finding.seen);
                finding.account = account.unwrap_or_else(|| std::mem::take(&mut finding.account));
                finding.region = region.unwrap_or_else(|| std::mem::take(&mut finding.region));
            }
            Self::Alarm(alarm) => {
                let of = &mut alarm.alarm.alarm;
                of.account = account.unwrap_or_else(|| std::mem::take(&mut of.account));
                of.region = region.unwrap_or_else(|| std::mem::take(&mut of.region));
                alarm.at = at.unwrap_or(alarm.at);
            }
        }
    }
}

impl OfAlarm {
    /// Gives what a policy decides on to `decide`.
    pub(in super::super) fn decided<R>(
        &self,
        policy: &Policy,
        decide: impl FnOnce(&AlarmSubject<'_>) -> R,
    ) -> R {
        let (life, raises) = self.alarm.life(self.at, policy.alarms().settle_seconds);
        decide(&AlarmSubject { life: &life, at: self.at, raises: &raises, things: &self.things })
    }
}

impl OfFinding {
    /// What a policy decides on.
    ///
    /// # Errors
    /// If a rule has suppressed the finding that suppresses nothing for a length of time.
    pub(in super::super) fn subject(&self, policy: &Policy) -> anyhow::Result<Subject<'_>> {
        let first_suppressed = self.first_suppressed.as_ref().map(|since| since.of(policy));
        Ok(Subject {
            finding: &self.finding,
            account: &self.account,
            region: &self.region,
            at: self.at,
            first_seen: self.first_seen.unwrap_or(self.at),
            times_seen: self.seen,
            first_suppressed: first_suppressed.transpose()?,
            things: &self.things,
        })
    }
}

/// Reads what a case is about.
pub(super) fn about(
    reader: &mut Reader,
    place: Place,
    of: (Option<short::Finding>, Option<Alarm>),
    things: Option<Spanned<Said>>,
    at: Millis,
) -> Option<About> {
    match of {
        (Some(finding), None) => of_finding(reader, finding, things, at),
        (None, Some(alarm)) => Some(of_alarm(reader, alarm, things, at)),
        (Some(_), Some(_)) | (None, None) => {
            reader.error(place, "a case is about a 'finding' or about an 'alarm': exactly one of the keys");
            None
        }
    }
}

fn of_finding(
    reader: &mut Reader,
    entry: short::Finding,
    said: Option<Spanned<Said>>,
    at: Millis,
) -> Option<About> {
    let read = reader.finding(entry, None, at)?;
    let behind = read.finding.identifier().map_or(Behind::Nothing, ResourceIdentifier::behind);
    let said = match (said, behind) {
        (Some(said), Behind::Many | Behind::Nothing) => {
            let what = "nobody looks up things behind this resource; leave them out";
            reader.error(said.place, what);
            None
        }
        (said, _) => said.map(|said| said.value),
    };
    let things = things_of_finding(said.clone(), read.finding.identifier(), None);
    Some(About::Finding(Box::new(OfFinding {
        account: read.account.unwrap_or_else(|| short::ACCOUNT.to_owned()),
        region: read.region.unwrap_or_else(|| short::REGION.to_owned()),
        at,
        first_seen: read.first_seen,
        seen: read.seen.unwrap_or(1),
        first_suppressed: read.first_suppressed,
        finding: read.finding,
        said,
        things,
    })))
}

fn of_alarm(reader: &mut Reader, entry: Alarm, said: Option<Spanned<Said>>, at: Millis) -> About {
    let alarm = reader.alarm(entry);
    let thing = alarm.alarm.thing.as_deref();
    let said = said.and_then(|said| match (thing, &said.value.0) {
        (None, _) => {
            reader
                .error(said.place, "the alarm is about no device, and so about no thing; leave 'things' out");
            None
        }
        (Some(name), Things::Known(things)) if things.iter().any(|thing| thing.name != *name) => {
            let what =
                format!("the alarm is about '{name}': of things there is the one of this name, or none");
            reader.error(said.place, what);
            None
        }
        (Some(_), _) => Some(said.value),
    });
    let things = things_of_alarm(said.clone(), thing, None);
    About::Alarm(Box::new(OfAlarm { alarm, at, said, things }))
}

/// What is known of the things behind a resource: as much as the functions would know.
fn things_of_finding(
    said: Option<Said>,
    identifier: Option<&ResourceIdentifier>,
    fleet: Option<&Fleet>,
) -> Things {
    let behind = identifier.map_or(Behind::Nothing, ResourceIdentifier::behind);
    match (said, behind, fleet) {
        (_, Behind::Many | Behind::Nothing, _) => Things::NotAsked,
        (Some(said), _, fleet) => said.settled(fleet),
        (None, _, None) => Things::Known(Vec::new()),
        (None, _, Some(fleet)) => {
            let mut things = Things::NotAsked;
            if let Some(identifier) = identifier {
                fleet.complete(identifier, &mut things);
            }
            if things.is_not_asked() {
                let unknown = "the file of things does not say what is behind this resource".to_owned();
                things = Things::Unknown { unknown };
            }
            things
        }
    }
}

/// What is known of the thing that an alarm is about.
fn things_of_alarm(said: Option<Said>, thing: Option<&str>, fleet: Option<&Fleet>) -> Things {
    let Some(name) = thing else { return Things::NotAsked };
    if let Some(said) = said {
        return said.settled(fleet);
    }
    match fleet.filter(|fleet| fleet.inventory().things.is_some()) {
        Some(fleet) => Things::Known(fleet.thing(name).cloned().into_iter().collect()),
        None => Things::Known(vec![Thing {
            name: name.to_owned(),
            described: Some(Description::default()),
            groups: Some(Vec::new()),
        }]),
    }
}
