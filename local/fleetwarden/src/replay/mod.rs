//! Runs past audits' findings and past alarms through a policy, or through two: what `fleetwarden policy replay` does.
//!
//! [`partition`] says which objects of the archive count, [`folder`] and [`bucket`] bring them, [`lines`] takes
//! them apart, and each thread counts what it reads: [`tally`] by audit and rule, [`changes`] between two
//! policies, [`alarms`] both for alarms, [`guards`] what budgets and approvals would have held, [`damage`] what cannot be read. [`report`] says it to tools and [`table`] to people.

pub(crate) mod alarms;
pub(crate) mod bucket;
pub(crate) mod changes;
pub(crate) mod damage;
pub(crate) mod disposition;
pub(crate) mod distinct;
pub(crate) mod folder;
pub(crate) mod guards;
pub(crate) mod lines;
pub(crate) mod partition;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod tally;

use self::alarms::AlarmReplay;
use self::changes::{Changes, Pair, Side};
use self::damage::Damage;
use self::disposition::{Change, Disposition};
use self::partition::Days;
use self::tally::{Audits, PolicyTally};
use crate::fleet::Fleet;
use fleetwarden_core::message::alarm_record::RecordedAlarm;
use fleetwarden_core::message::record::RecordedFinding;
use fleetwarden_core::policy::Policy;
use hyper::body::Bytes;
use indicatif::ProgressBar;
use serde::Deserialize;
use std::borrow::Cow;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How many objects wait for a thread at most.
const WAITING: usize = 16;

/// What is replayed, through what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'p> {
    /// The policy.
    pub(crate) policy: &'p Policy,
    /// The one that it is compared with.
    pub(crate) against: Option<&'p Policy>,
    /// What is known of the fleet, for what a record does not say of the things behind its resource.
    pub(crate) fleet: Option<&'p Fleet>,
    /// The audits that count.
    pub(crate) days: Days,
    /// How many findings that change are named.
    pub(crate) top: usize,
    /// How many threads read.
    pub(crate) threads: usize,
}

/// An object of the archive.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its key, or its path below the archive's folder.
    pub(crate) key: String,
    /// Its size, in bytes.
    pub(crate) bytes: u64,
    /// Where its content is, or why it could not be had.
    pub(crate) content: Result<Content, String>,
}

/// Where an object's content is.
#[derive(Debug)]
pub(crate) enum Content {
    File(PathBuf),
    Bytes(Bytes),
}

/// Everything that was counted.
#[derive(Debug)]
pub(crate) struct Replay<'p> {
    plan: Plan<'p>,
    pub(crate) objects: u64,
    pub(crate) findings: u64,
    pub(crate) audits: Audits,
    pub(crate) tally: PolicyTally<'p>,
    /// The counts of the other policy, and what changes to it.
    pub(crate) other: Option<(PolicyTally<'p>, Changes)>,
    pub(crate) alarms: AlarmReplay<'p>,
    pub(crate) damage: Damage,
}

impl<'p> Replay<'p> {
    /// Replays all objects that `feed` sends. It ends early, with the counts so far, when `stop` is set.
    pub(crate) fn run(
        plan: Plan<'p>,
        feed: impl FnOnce(SyncSender<Object>) + Send,
        bar: &ProgressBar,
        stop: &AtomicBool,
    ) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        thread::scope(|scope| {
            let work = |receiver: Arc<Mutex<Receiver<Object>>>| {
                let mut replay = Self::new(plan);
                while let Some(object) = next(&receiver).filter(|_| !stop.load(Ordering::Relaxed)) {
                    replay.object(&object);
                    bar.inc(object.bytes);
                }
                replay
            };
            let threads: Vec<_> = (0..plan.threads.max(1))
                .map(|_| {
                    let receiver = Arc::clone(&receiver);
                    scope.spawn(move || work(receiver))
                })
                .collect();
            // Where no thread is left that takes objects, sending them fails, and the feed ends.
            drop(receiver);
            scope.spawn(|| feed(sender));
            let mut all = Self::new(plan);
            for thread in threads {
                match thread.join() {
                    Ok(replay) => all.merge(replay),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all.alarms.finish();
            all
        })
    }

    fn new(plan: Plan<'p>) -> Self {
        let other = plan.against.map(|other| (PolicyTally::new(other), Changes::new(plan.top)));
        Self {
            plan,
            objects: 0,
            findings: 0,
            audits: Audits::default(),
            tally: PolicyTally::new(plan.policy),
            other,
            alarms: AlarmReplay::new(plan),
            damage: Damage::default(),
        }
    }

    fn object(&mut self, object: &Object) {
        self.objects += 1;
        let key = &object.key;
        let ended = match &object.content {
            Ok(Content::Bytes(bytes)) => self.lines(key, bytes.as_ref()),
            Ok(Content::File(path)) => File::open(path).and_then(|file| self.lines(key, file)),
            Err(why) => return self.damage.object(key, why.clone()),
        };
        if let Err(error) = ended {
            self.damage.object(key, error.to_string());
        }
    }

    fn lines(&mut self, key: &str, content: impl std::io::Read) -> std::io::Result<()> {
        let range = self.plan.days.range();
        lines::each(content, |number, line| {
            let Some(line) = line else { return self.damage.line(key, number, "it is too long".into()) };
            // Looked at once as a whole, and not again string by string.
            let Ok(line) = std::str::from_utf8(line) else {
                return self.damage.line(key, number, "it is not UTF-8".into());
            };
            // A list of the values of all members would pass for a record.
            if !line.trim_start().starts_with('{') {
                return self.damage.line(key, number, "it is not a JSON object".into());
            }
            // Few findings hold the word: most lines are read once.
            if line.contains(ALARM) && is_alarm(line) {
                return match serde_json::from_str::<RecordedAlarm>(line) {
                    Ok(record) if range.contains(&record.at.0) => self.alarms.record(record),
                    Ok(_) => {}
                    Err(error) => self.damage.line(key, number, damage::why(&error)),
                };
            }
            match serde_json::from_str::<RecordedFinding>(line) {
                Ok(record) if range.contains(&record.audit_started_at.0) => self.finding(record),
                Ok(_) => {}
                Err(error) => self.damage.line(key, number, damage::why(&error)),
            }
        })
    }

    fn finding(&mut self, mut record: RecordedFinding) {
        self.findings += 1;
        if let (Some(fleet), Some(identifier)) = (self.plan.fleet, record.finding.identifier()) {
            fleet.complete(identifier, &mut record.things);
        }
        let record = &record;
        let subject = record.subject();
        let key = u64::from_be_bytes(record.key.0.first_chunk().copied().unwrap_or_default());
        let before = self.plan.policy.decide(&subject);
        let disposition = Disposition::of(&before);
        self.audits.count(record, disposition, before.shadow.is_some());
        self.tally.count(&before, key);
        self.tally.guard(&before, record);
        let (Some(policy), Some((tally, changes))) = (self.plan.against, &mut self.other) else { return };
        let after = policy.decide(&subject);
        tally.count(&after, key);
        tally.guard(&after, record);
        let own = record.finding.severity.into();
        let to = Disposition::of(&after);
        if (disposition, to) == (Disposition::NeedsLookup, Disposition::NeedsLookup) {
            changes.unknown += 1;
        } else if let Some(change) = Change::between(&before, &after, own) {
            let from = Side { rule: self.tally.place(&before), disposition };
            let to = Side { rule: tally.place(&after), disposition: to };
            changes.count(record, Pair { change, from, to }, key);
        }
    }

    fn merge(&mut self, other: Self) {
        self.objects += other.objects;
        self.findings += other.findings;
        self.audits.merge(other.audits);
        self.tally.merge(other.tally);
        if let (Some((tally, changes)), Some((more, more_changes))) = (&mut self.other, other.other) {
            tally.merge(more);
            changes.merge(more_changes);
        }
        self.alarms.merge(other.alarms);
        self.damage.merge(other.damage);
    }
}

/// The kind of the records of alarms. A finding's may hold the word elsewhere.
const ALARM: &str = "\"alarm\"";

/// Whether a record is that of an alarm.
fn is_alarm(line: &str) -> bool {
    #[derive(Deserialize)]
    struct Kind<'t> {
        #[serde(borrow)]
        kind: Option<Cow<'t, str>>,
    }
    serde_json::from_str::<Kind<'_>>(line).is_ok_and(|record| record.kind.as_deref() == Some("alarm"))
}

/// The next object, when a thread has nothing to do.
fn next(receiver: &Mutex<Receiver<Object>>) -> Option<Object> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod alarm_tests;
#[cfg(test)]
mod bucket_tests;
#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod tests;
