//! What changes from one policy to another: by pair of rules, and the most consequential by finding.

use super::disposition::{Change, Disposition};
use super::distinct::Distinct;
use fleetwarden_core::message::record::RecordedFinding;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::timestamp::Millis;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What a policy makes of a finding: the place of its rule, and the disposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Side {
    pub(crate) rule: usize,
    pub(crate) disposition: Disposition,
}

/// A way in which findings change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pair {
    pub(crate) change: Change,
    pub(crate) from: Side,
    pub(crate) to: Side,
}

/// The findings that change in one way.
#[derive(Clone, Debug, Default)]
pub(crate) struct PairTally {
    pub(crate) findings: u64,
    /// The same finding of several audits counts once.
    pub(crate) distinct: Distinct,
    /// A resource with several findings counts once.
    pub(crate) resources: Distinct,
}

/// One finding that changes. Its order is the order of consequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Changed {
    pub(crate) change: Change,
    pub(crate) severity: Severity,
    pub(crate) key: FindingKey,
    pub(crate) from: Side,
    pub(crate) to: Side,
}

/// What people want to know of a finding that changes.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) check: String,
    pub(crate) resource: String,
    pub(crate) reason_code: Option<String>,
    pub(crate) task_id: String,
    pub(crate) last_audit: Millis,
    pub(crate) findings: u64,
}

/// All changes.
#[derive(Debug)]
pub(crate) struct Changes {
    top: usize,
    pub(crate) pairs: HashMap<Pair, PairTally>,
    pub(crate) examples: BTreeMap<Changed, Example>,
    /// Findings that need a lookup under both policies: nobody can say whether they change.
    pub(crate) unknown: u64,
}

impl Changes {
    /// Keeps so many findings by name.
    pub(crate) fn new(top: usize) -> Self {
        Self { top, pairs: HashMap::new(), examples: BTreeMap::new(), unknown: 0 }
    }

    /// Counts a finding that changes.
    pub(crate) fn count(&mut self, record: &RecordedFinding, pair: Pair, key: u64) {
        let tally = self.pairs.entry(pair).or_default();
        tally.findings += 1;
        tally.distinct.add(key);
        tally.resources.add(resource(record).unwrap_or(key));
        let Pair { change, from, to } = pair;
        let changed = Changed { change, severity: record.finding.severity, key: record.key, from, to };
        if let Some(example) = self.examples.get_mut(&changed) {
            example.findings += 1;
            example.see(record.audit_started_at, &record.task_id);
        } else if self.wants(&changed) {
            self.keep(changed, Example::of(record));
        }
    }

    /// Whether a finding belongs to those that are kept. One that has been left out can never come back: there
    /// are enough before it. So the counts of those that are kept are whole.
    fn wants(&self, changed: &Changed) -> bool {
        let last = self.examples.last_key_value();
        self.examples.len() < self.top || last.is_some_and(|(last, _)| changed < last)
    }

    fn keep(&mut self, changed: Changed, example: Example) {
        if let Some(same) = self.examples.get_mut(&changed) {
            same.findings += example.findings;
            same.see(example.last_audit, &example.task_id);
            return;
        }
        self.examples.insert(changed, example);
        if self.examples.len() > self.top {
            self.examples.pop_last();
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.unknown += other.unknown;
        for (pair, more) in other.pairs {
            let tally = self.pairs.entry(pair).or_default();
            tally.findings += more.findings;
            tally.distinct.merge(more.distinct);
            tally.resources.merge(more.resources);
        }
        for (changed, example) in other.examples {
            self.keep(changed, example);
        }
    }

    /// The ways in which findings change, the most consequential and then the most frequent first.
    pub(crate) fn sorted(&self) -> Vec<(&Pair, &PairTally)> {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_by_key(|(pair, tally)| (pair.change, std::cmp::Reverse(tally.findings), **pair));
        pairs
    }

    /// The findings that are kept, as people look for them: by consequence, severity, check and resource.
    pub(crate) fn named(&self) -> Vec<(&Changed, &Example)> {
        let mut named: Vec<_> = self.examples.iter().collect();
        named.sort_by(|(a, x), (b, y)| {
            let of = |changed: &Changed| (changed.change, changed.severity);
            of(a).cmp(&of(b)).then_with(|| (&x.check, &x.resource, a).cmp(&(&y.check, &y.resource, b)))
        });
        named
    }
}

impl Example {
    fn of(record: &RecordedFinding) -> Self {
        let finding = &record.finding;
        Self {
            check: finding.check.to_string(),
            resource: finding.identifier().map(|id| id.label().into_owned()).unwrap_or_default(),
            reason_code: finding.reason_code.clone(),
            task_id: record.task_id.clone(),
            last_audit: record.audit_started_at,
            findings: 1,
        }
    }

    fn see(&mut self, at: Millis, task_id: &str) {
        if (at, task_id) > (self.last_audit, self.task_id.as_str()) {
            self.last_audit = at;
            task_id.clone_into(&mut self.task_id);
        }
    }
}

/// A resource by the hash of its identifier.
fn resource(record: &RecordedFinding) -> Option<u64> {
    let identifier = record.finding.identifier()?;
    let mut hasher = DefaultHasher::new();
    identifier.members().for_each(|member| member.hash(&mut hasher));
    Some(hasher.finish())
}
