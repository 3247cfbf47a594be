//! The counts of a policy: by audit and by rule. Each thread has its own, and their sum is the same in any order.

use super::disposition::Disposition;
use super::distinct::Distinct;
use super::guards::{GuardTally, Mitigated};
use fleetwarden_core::message::record::RecordedFinding;
use fleetwarden_core::policy::{Decision, Hold, Outcome, Policy, Rule};
use fleetwarden_core::timestamp::Millis;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use std::collections::HashMap;

/// Findings by their disposition, and how many of them a rule in shadow would have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    dispositions: [u64; Disposition::COUNT],
    /// Findings that a rule in shadow would have taken, whatever their disposition.
    pub(crate) shadow: u64,
}

impl Counts {
    pub(super) fn count(&mut self, disposition: Disposition) {
        if let Some(count) = self.dispositions.get_mut(disposition as usize) {
            *count += 1;
        }
    }

    /// How many have this disposition.
    pub(crate) fn of(&self, disposition: Disposition) -> u64 {
        self.dispositions.get(disposition as usize).copied().unwrap_or_default()
    }

    /// How many there are.
    pub(crate) fn all(&self) -> u64 {
        self.dispositions.iter().sum()
    }

    /// Adds the counts of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.dispositions.iter_mut().zip(other.dispositions).for_each(|(sum, count)| *sum += count);
        self.shadow += other.shadow;
    }
}

/// Flat: `findings`, each disposition, and `shadow`.
impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write("findings", &Disposition::OF_FINDINGS, serializer)
    }
}

impl Counts {
    fn write<S: Serializer>(
        &self,
        all: &str,
        dispositions: &[Disposition],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry(all, &self.all())?;
        for disposition in dispositions {
            out.serialize_entry(disposition, &self.of(*disposition))?;
        }
        out.serialize_entry("shadow", &self.shadow)?;
        out.end()
    }
}

/// Alarms by their disposition, flat: `alarms`, each disposition, and `shadow`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlarmCounts(pub(crate) Counts);

impl Serialize for AlarmCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write("alarms", &Disposition::OF_ALARMS, serializer)
    }
}

/// What a rule took, or what none did.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleTally {
    /// Its findings.
    pub(crate) counts: Counts,
    /// How many different ones they are: the same finding of several audits counts once.
    pub(crate) distinct: Distinct,
}

/// The counts of a policy.
#[derive(Debug)]
pub(crate) struct PolicyTally<'p> {
    places: HashMap<&'p str, usize>,
    /// For each rule in the policy's order; then for what no rule took, and for what Device Defender had suppressed.
    pub(crate) rules: Vec<RuleTally>,
    /// What the guards would have said of what it mitigates.
    pub(crate) guards: GuardTally<'p>,
}

impl<'p> PolicyTally<'p> {
    pub(crate) fn new(policy: &'p Policy) -> Self {
        let names = policy.rules().iter().map(Rule::name);
        let places: HashMap<_, _> = names.zip(0..).collect();
        let rules = vec![RuleTally::default(); places.len() + 2];
        Self { places, rules, guards: GuardTally::new(policy) }
    }

    /// The place of the rule that decided, or one behind all rules. What nobody can decide is the matter of the rule
    /// that asks for what is not known, and not of a later one.
    pub(crate) fn place(&self, decision: &Decision<'_, '_>) -> usize {
        let rule = match (Disposition::of(decision), decision.held) {
            (Disposition::NeedsLookup, _) => decision.asks.map(Rule::name),
            (Disposition::Unknown, Some(Hold::RuleUnknown(rule))) => Some(rule),
            _ => decision.rule,
        };
        let decided = rule.and_then(|name| self.places.get(name));
        let none = self.places.len() + usize::from(decision.outcome == Outcome::Suppressed);
        decided.copied().unwrap_or(none)
    }

    /// Counts a decision on a finding, given by its key's hash.
    pub(crate) fn count(&mut self, decision: &Decision<'_, '_>, key: u64) {
        let place = self.place(decision);
        if let Some(rule) = self.rules.get_mut(place) {
            rule.counts.count(Disposition::of(decision));
            rule.distinct.add(key);
        }
        let shadow = decision.shadow.and_then(|shadow| self.places.get(shadow.rule.name()));
        if let Some(rule) = shadow.and_then(|place| self.rules.get_mut(*place)) {
            rule.counts.shadow += 1;
            rule.distinct.add(key);
        }
    }

    /// Asks the guards about a finding that a rule mitigates.
    pub(crate) fn guard(&mut self, decision: &Decision<'p, '_>, record: &RecordedFinding) {
        if let Some(mitigated) = Mitigated::finding(decision, record) {
            self.guards.count(mitigated);
        }
    }

    /// The counts of all rules together.
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.rules.iter().for_each(|rule| total.merge(&rule.counts));
        total
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (rule, more) in self.rules.iter_mut().zip(other.rules) {
            rule.counts.merge(&more.counts);
            rule.distinct.merge(more.distinct);
        }
        self.guards.merge(other.guards);
    }
}

/// The counts of an audit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditTally {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) task_id: String,
    pub(crate) schedule: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) started_at: Millis,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn rfc3339<S: Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.rfc3339())
}

/// The counts of all audits.
#[derive(Debug, Default)]
pub(crate) struct Audits {
    list: Vec<AuditTally>,
    places: HashMap<(String, String, String), usize>,
    current: usize,
}

impl Audits {
    /// Counts a finding.
    pub(crate) fn count(&mut self, record: &RecordedFinding, disposition: Disposition, shadow: bool) {
        // All findings of an object are of one audit.
        let is_current = |audit: &AuditTally| {
            audit.task_id == record.task_id
                && audit.account == record.account
                && audit.region == record.region
        };
        if !self.list.get(self.current).is_some_and(is_current) {
            self.current = self.place(record);
        }
        if let Some(audit) = self.list.get_mut(self.current) {
            audit.counts.count(disposition);
            audit.counts.shadow += u64::from(shadow);
            // Two objects can only differ here if one of them was damaged.
            audit.started_at = audit.started_at.min(record.audit_started_at);
        }
    }

    fn place(&mut self, record: &RecordedFinding) -> usize {
        self.place_of(AuditTally {
            account: record.account.clone(),
            region: record.region.clone(),
            task_id: record.task_id.clone(),
            schedule: record.schedule.clone(),
            started_at: record.audit_started_at,
            counts: Counts::default(),
        })
    }

    fn place_of(&mut self, audit: AuditTally) -> usize {
        let name = (audit.account.clone(), audit.region.clone(), audit.task_id.clone());
        let next = self.list.len();
        let place = *self.places.entry(name).or_insert(next);
        if place == next {
            self.list.push(audit);
        }
        place
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for mut audit in other.list {
            let (counts, started_at) = (std::mem::take(&mut audit.counts), audit.started_at);
            let schedule = audit.schedule.clone();
            let place = self.place_of(audit);
            if let Some(same) = self.list.get_mut(place) {
                same.counts.merge(&counts);
                same.started_at = same.started_at.min(started_at);
                same.schedule = same.schedule.take().max(schedule);
            }
        }
    }

    /// All audits, the earliest first.
    pub(crate) fn into_sorted(mut self) -> Vec<AuditTally> {
        let name = |audit: &AuditTally| {
            (audit.started_at, audit.account.clone(), audit.region.clone(), audit.task_id.clone())
        };
        self.list.sort_by_cached_key(name);
        self.list
    }
}
