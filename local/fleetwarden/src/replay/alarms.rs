//! Alarms of the archive, run through a policy or two: counted by day, by rule, and by what changes.
//!
//! An alarm counts once: under the decision that mitigates it, or else under the last one. A policy may ask to decide again
//! when the alarm has lasted for longer; then the end of the alarm says whether it did. Begins and ends are in different objects, which different
//! threads read: what has to be decided again waits until all are read.

use super::disposition::{Change, Disposition};
use super::distinct::Distinct;
use super::guards::{GuardTally, Mitigated};
use super::tally::{Counts, RuleTally};
use super::{Plan, changes::Side};
use crate::fleet::Fleet;
use fleetwarden_core::message::alarm_record::RecordedAlarm;
use fleetwarden_core::model::alarm::{EventType, Life};
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::{AlarmDecision, AlarmHold, AlarmOutcome, AlarmRule, AlarmSubject, Policy};
use fleetwarden_core::timestamp::Millis;
use std::collections::{BTreeMap, HashMap};

/// How often an alarm is decided on at most: more often than a policy can have lengths that differ from one another.
const MOST_DECISIONS: usize = 64;

/// An alarm, ready to be decided on.
#[derive(Debug)]
struct Begin {
    life: Life,
    at: Millis,
    raises: Vec<Millis>,
    things: Things,
}

/// What was counted of alarms.
#[derive(Debug)]
pub(crate) struct AlarmReplay<'p> {
    plan: Plan<'p>,
    /// How many alarms were decided on.
    pub(crate) alarms: u64,
    /// How many joined an incident: no rule is asked about them.
    pub(crate) incidents: u64,
    /// By the day on which they began.
    pub(crate) days: BTreeMap<String, Counts>,
    pub(crate) tally: AlarmTally<'p>,
    /// The counts of the other policy, and what changes to it.
    pub(crate) other: Option<(AlarmTally<'p>, AlarmChanges)>,
    /// Those that a policy wants to decide on again.
    waiting: Vec<Begin>,
    /// When violations ended, by their ids: should the service use an id again, there are several.
    ends: HashMap<String, Vec<Millis>>,
}

impl<'p> AlarmReplay<'p> {
    pub(crate) fn new(plan: Plan<'p>) -> Self {
        let other = plan.against.map(|other| (AlarmTally::new(other), AlarmChanges::new(plan.top)));
        Self {
            plan,
            alarms: 0,
            incidents: 0,
            days: BTreeMap::new(),
            tally: AlarmTally::new(plan.policy),
            other,
            waiting: Vec::new(),
            ends: HashMap::new(),
        }
    }

    /// Takes a record.
    pub(crate) fn record(&mut self, record: RecordedAlarm) {
        let life = record.life();
        if let Some(end) = life.ended_at() {
            self.ends.entry(record.alarm.violation_id).or_default().push(end);
        }
        let Some(at) = record.decided_at else {
            // An end is decided on by nobody; a begin without a decision has joined an incident.
            self.incidents += u64::from(record.event == EventType::InAlarm);
            return;
        };
        let mut things = record.things;
        complete(self.plan.fleet, &life, &mut things);
        let begin = Begin { life, at, raises: record.raises, things };
        let again = |policy: &Policy| policy.decide_alarm(&begin.subject()).again_at.is_some();
        if again(self.plan.policy) || self.plan.against.is_some_and(again) {
            self.waiting.push(begin);
        } else {
            self.count(&begin.subject(), &begin.subject());
        }
    }

    /// Counts an alarm under the decision of each policy that matters.
    fn count(&mut self, subject: &AlarmSubject<'_>, of_other: &AlarmSubject<'_>) {
        let alarm = &subject.life.alarm;
        let key = hash(&alarm.violation_id);
        let before = self.plan.policy.decide_alarm(subject);
        let disposition = Disposition::of_alarm(&before);
        self.alarms += 1;
        let began = subject.life.raised_at.unwrap_or(subject.at);
        let day = self.days.entry(began.day()).or_default();
        day.count(disposition);
        day.shadow += u64::from(before.shadow.is_some());
        self.tally.count(&before, key);
        self.tally.guard(&before, subject);
        let (Some(policy), Some((tally, changes))) = (self.plan.against, &mut self.other) else { return };
        let after = policy.decide_alarm(of_other);
        tally.count(&after, key);
        tally.guard(&after, of_other);
        let to = Disposition::of_alarm(&after);
        if (disposition, to) == (Disposition::NeedsLookup, Disposition::NeedsLookup) {
            changes.unknown += 1;
        } else if let Some(change) = Change::between_alarms(&before, &after) {
            let from = Side { rule: self.tally.place(&before), disposition };
            changes.count(subject.life, change, [from, Side { rule: tally.place(&after), disposition: to }]);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.alarms += other.alarms;
        self.incidents += other.incidents;
        for (day, counts) in other.days {
            self.days.entry(day).or_default().merge(&counts);
        }
        self.tally.merge(other.tally);
        if let (Some((tally, changes)), Some((more, more_changes))) = (&mut self.other, other.other) {
            tally.merge(more);
            changes.merge(more_changes);
        }
        self.waiting.extend(other.waiting);
        for (id, ends) in other.ends {
            self.ends.entry(id).or_default().extend(ends);
        }
    }

    /// Decides again on what waits, now that all ends are known. The order in which threads have read changes nothing.
    pub(crate) fn finish(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by(|a, b| {
            let name = |begin: &Begin| (begin.at, begin.life.raised_at);
            name(a).cmp(&name(b)).then_with(|| a.life.alarm.violation_id.cmp(&b.life.alarm.violation_id))
        });
        for begin in &waiting {
            let ends = self.ends.get(&begin.life.alarm.violation_id).map(Vec::as_slice).unwrap_or_default();
            let end = ends.iter().copied().filter(|end| Some(*end) >= begin.life.raised_at).min();
            let last = |policy: &Policy| AlarmSubject { at: begin.decided(policy, end), ..begin.subject() };
            let subject = last(self.plan.policy);
            let of_other = self.plan.against.map_or_else(|| subject.clone(), last);
            self.count(&subject, &of_other);
        }
    }
}

impl Begin {
    const fn subject(&self) -> AlarmSubject<'_> {
        AlarmSubject { life: &self.life, at: self.at, raises: self.raises.as_slice(), things: &self.things }
    }

    /// When a policy decides to mitigate, or else for the last time, on an alarm that ended then, or of which no end is
    /// known: what was mitigated was mitigated, whatever is decided later.
    fn decided(&self, policy: &Policy, end: Option<Millis>) -> Millis {
        let mut at = self.at;
        for _ in 0..MOST_DECISIONS {
            let subject = AlarmSubject { at, ..self.subject() };
            let decision = policy.decide_alarm(&subject);
            let again = decision.again_at.filter(|again| end.is_none_or(|end| end > *again));
            match (decision.outcome, again) {
                (AlarmOutcome::Mitigate(_), _) | (_, None) => break,
                (_, Some(again)) => at = again,
            }
        }
        at
    }
}

/// Fills in what the record does not say of the thing.
fn complete(fleet: Option<&Fleet>, life: &Life, things: &mut Things) {
    if let (Some(fleet), Some(thing)) = (fleet, &life.alarm.thing) {
        let client_id = Some(thing.clone());
        fleet.complete(&ResourceIdentifier { client_id, ..ResourceIdentifier::default() }, things);
    }
}

fn hash(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The counts of a policy's rules on alarms.
#[derive(Debug)]
pub(crate) struct AlarmTally<'p> {
    places: HashMap<&'p str, usize>,
    /// For each rule in the policy's order; then for what no rule took.
    pub(crate) rules: Vec<RuleTally>,
    /// What the guards would have said of what it mitigates.
    pub(crate) guards: GuardTally<'p>,
}

impl<'p> AlarmTally<'p> {
    fn new(policy: &'p Policy) -> Self {
        let places: HashMap<_, _> = policy.alarm_rules().iter().map(AlarmRule::name).zip(0..).collect();
        let rules = vec![RuleTally::default(); places.len() + 1];
        Self { places, rules, guards: GuardTally::new(policy) }
    }

    /// Asks the guards about an alarm that a rule mitigates.
    fn guard(&mut self, decision: &AlarmDecision<'p, '_>, subject: &AlarmSubject<'_>) {
        if let Some(mitigated) = Mitigated::alarm(decision, subject) {
            self.guards.count(mitigated);
        }
    }

    /// The place of the rule that decided, or the one behind all rules. What nobody can decide is the matter of the rule
    /// that asks for what is not known, and not of a later one.
    fn place(&self, decision: &AlarmDecision<'_, '_>) -> usize {
        let rule = match (Disposition::of_alarm(decision), decision.held) {
            (Disposition::NeedsLookup, _) => decision.asks.map(AlarmRule::name),
            (Disposition::Unknown, Some(AlarmHold::RuleUnknown(rule))) => Some(rule),
            _ => decision.rule,
        };
        rule.and_then(|name| self.places.get(name)).copied().unwrap_or(self.places.len())
    }

    fn count(&mut self, decision: &AlarmDecision<'_, '_>, key: u64) {
        let place = self.place(decision);
        if let Some(rule) = self.rules.get_mut(place) {
            rule.counts.count(Disposition::of_alarm(decision));
            rule.distinct.add(key);
        }
        let shadow = decision.shadow.and_then(|shadow| self.places.get(shadow.rule.name()));
        if let Some(rule) = shadow.and_then(|place| self.rules.get_mut(*place)) {
            rule.counts.shadow += 1;
            rule.distinct.add(key);
        }
    }

    /// The counts of all rules together.
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.rules.iter().for_each(|rule| total.merge(&rule.counts));
        total
    }

    fn merge(&mut self, other: Self) {
        for (rule, more) in self.rules.iter_mut().zip(other.rules) {
            rule.counts.merge(&more.counts);
            rule.distinct.merge(more.distinct);
        }
        self.guards.merge(other.guards);
    }
}

/// Alarms that change in one way, of one behavior. Its order is the order of consequence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AlarmChange {
    pub(crate) change: Change,
    pub(crate) from: Side,
    pub(crate) to: Side,
    pub(crate) profile: String,
    pub(crate) behavior: String,
}

/// How many alarms change in one way, and of how many devices.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlarmChangeTally {
    pub(crate) alarms: u64,
    pub(crate) devices: Distinct,
    /// The last of them: when it began, and of which device it is.
    pub(crate) last: (Millis, Option<String>),
}

/// What changes from one policy to another.
#[derive(Debug)]
pub(crate) struct AlarmChanges {
    top: usize,
    pub(crate) changed: u64,
    behaviors: BTreeMap<AlarmChange, AlarmChangeTally>,
    /// Alarms that need a lookup under both policies: nobody can say whether they change.
    pub(crate) unknown: u64,
}

impl AlarmChanges {
    const fn new(top: usize) -> Self {
        Self { top, changed: 0, behaviors: BTreeMap::new(), unknown: 0 }
    }

    fn count(&mut self, life: &Life, change: Change, [from, to]: [Side; 2]) {
        let alarm = &life.alarm;
        let (profile, behavior) = (alarm.profile.clone(), alarm.behavior.clone());
        let tally = self.behaviors.entry(AlarmChange { change, from, to, profile, behavior }).or_default();
        self.changed += 1;
        tally.alarms += 1;
        tally.devices.add(hash(&alarm.series().0));
        let began = life.raised_at.unwrap_or_default();
        tally.last = tally.last.clone().max((began, alarm.thing.clone()));
    }

    fn merge(&mut self, other: Self) {
        self.changed += other.changed;
        self.unknown += other.unknown;
        for (change, more) in other.behaviors {
            let tally = self.behaviors.entry(change).or_default();
            tally.alarms += more.alarms;
            tally.devices.merge(more.devices);
            tally.last = tally.last.clone().max(more.last);
        }
    }

    /// The behaviors whose alarms change, the most consequential first: as many as are wanted.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&AlarmChange, &AlarmChangeTally)> {
        self.behaviors.iter().take(self.top)
    }

    /// The kinds of change, in the order of consequence.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Change> {
        self.behaviors.keys().map(|of| of.change)
    }
}
