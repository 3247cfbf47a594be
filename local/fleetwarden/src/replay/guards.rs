//! What the guards would have said of past findings and alarms: on which days the budgets had no room, and what would have
//! waited for a person.
//!
//! What a rule mitigates is taken as asked for when the audit began or the alarm was decided on. Of what a budget has no room
//! for, nothing starts later here: the next audit finds it again. Which devices are behind a resource, and whether they were
//! connected, is in few records: what is not known is counted as that, and not as a yes.

use super::Plan;
use super::disposition::Disposition;
use fleetwarden_core::message::record::RecordedFinding;
use fleetwarden_core::model::mitigation::approval::Need;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::model::thing::{Behind, Things};
use fleetwarden_core::policy::approval::{Facts, needs};
use fleetwarden_core::policy::{
    AlarmDecision, AlarmOutcome, AlarmSubject, Approval, Budget, Calendar, Decision, Outcome, Policy,
    used_by_many,
};
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// What would have been mitigated, as far as guards depend on it.
#[derive(Debug)]
pub(crate) struct GuardTally<'p> {
    policy: &'p Policy,
    /// When a rule's mitigations may start. None: at any time.
    calendars: HashMap<&'p str, Option<Calendar<'p>>>,
    /// Whether the windows of a rule were open at a time: all findings of an audit have the same.
    open: HashMap<(&'p str, Millis), bool>,
    places: BTreeMap<(String, String), Place<'p>>,
    waits: BTreeMap<(&'p str, Why), u64>,
}

/// What was mitigated in an account and region: for each budget by time and rule how many.
#[derive(Debug, Default)]
struct Place<'p> {
    budgets: Vec<BTreeMap<(Millis, &'p str), u64>>,
}

/// Why something would have waited for a person, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Why {
    Always,
    Irreversible,
    Severity,
    Devices,
    /// The rule asks from a number of devices on, and the record does not have it.
    DevicesNotKnown,
    /// The rule asks from a number of connected devices on, which no record has.
    ConnectedNotKnown,
    OutsideOfWindow,
    OverBudget,
}

/// A finding or an alarm that a rule mitigates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mitigated<'a, 'p> {
    pub(super) place: (&'a str, &'a str),
    pub(super) at: Millis,
    pub(super) rule: &'p str,
    pub(super) actions: &'p [String],
    /// None: an alarm has none.
    pub(super) severity: Option<Severity>,
    pub(super) things: &'a Things,
    /// How many devices are behind it, if that is known.
    pub(super) devices: Option<u64>,
}

impl<'a, 'p> Mitigated<'a, 'p> {
    /// A finding, if a rule mitigates it.
    pub(super) fn finding(decision: &Decision<'p, '_>, record: &'a RecordedFinding) -> Option<Self> {
        let Outcome::Mitigate(mitigate) = decision.outcome else { return None };
        let (rule, finding) = (decision.rule?, &record.finding);
        let behind = finding.identifier().map_or(Behind::Nothing, ResourceIdentifier::behind);
        let devices = match (behind, &record.things) {
            (Behind::Client(_), _) => Some(1),
            // A certificate without a thing is a device, too.
            (Behind::Certificate(_), Things::Known(things)) => Some(things.len().max(1) as u64),
            _ => None,
        };
        // Nobody knows which things use what many use.
        let things = if used_by_many(finding.identifier()) { &Things::NotAsked } else { &record.things };
        let place = (record.account.as_str(), record.region.as_str());
        let (actions, severity) = (mitigate.actions.as_slice(), Some(finding.severity));
        (Disposition::of(decision) == Disposition::Mitigate).then_some(Self {
            place,
            at: record.audit_started_at,
            rule,
            actions,
            severity,
            things,
            devices,
        })
    }

    /// An alarm, if a rule mitigates it.
    pub(super) fn alarm(decision: &AlarmDecision<'p, '_>, subject: &AlarmSubject<'a>) -> Option<Self> {
        let AlarmOutcome::Mitigate(mitigate) = decision.outcome else { return None };
        let (rule, alarm) = (decision.rule?, &subject.life.alarm);
        let place = (alarm.account.as_str(), alarm.region.as_str());
        let (actions, things, devices) = (mitigate.actions.as_slice(), subject.things, Some(1));
        (Disposition::of_alarm(decision) == Disposition::Mitigate).then_some(Self {
            place,
            at: subject.at,
            rule,
            actions,
            severity: None,
            things,
            devices,
        })
    }
}

/// What the guards would have said.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GuardReport<'p> {
    /// The days on which a budget had no room for all, the earliest first.
    pub(crate) budgets: Vec<BudgetDay>,
    /// How many findings and alarms would have waited for a person.
    pub(crate) approvals: Vec<Waits<'p>>,
    /// Whether there is a budget that something counts in.
    #[serde(skip)]
    pub(crate) counts: bool,
}

/// A day on which a budget had no room for all.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BudgetDay {
    pub(crate) day: String,
    pub(crate) account: String,
    pub(crate) region: String,
    /// The budget, as `mitigation budget` names it.
    pub(crate) budget: String,
    /// How many it lets through in its time.
    pub(crate) limit: u64,
    /// How many findings and alarms of the day it counts.
    pub(crate) asked: u64,
    /// How many of them it had no room for.
    pub(crate) over: u64,
}

/// Findings and alarms of a rule that would have waited for a person.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Waits<'p> {
    pub(crate) rule: &'p str,
    pub(crate) reason: Why,
    pub(crate) count: u64,
}

impl Why {
    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Irreversible => "cannot be taken back",
            Self::Severity => "severity",
            Self::Devices => "devices",
            Self::DevicesNotKnown => "devices (not known)",
            Self::ConnectedNotKnown => "connected (not known)",
            Self::OutsideOfWindow => "outside of a window",
            Self::OverBudget => "over a budget",
        }
    }

    fn of(need: Need, is_known: bool) -> Option<Self> {
        Some(match need {
            Need::Always => Self::Always,
            Need::Irreversible => Self::Irreversible,
            Need::Severity => Self::Severity,
            Need::Devices if is_known => Self::Devices,
            Need::Devices => Self::DevicesNotKnown,
            Need::Connected => Self::ConnectedNotKnown,
            Need::OutsideOfWindow => Self::OutsideOfWindow,
            Need::OverBudget => Self::OverBudget,
            Need::TwoPersons => return None,
        })
    }
}

impl<'p> GuardTally<'p> {
    pub(super) fn new(policy: &'p Policy) -> Self {
        let calendars = HashMap::new();
        Self { policy, calendars, open: HashMap::new(), places: BTreeMap::new(), waits: BTreeMap::new() }
    }

    /// Counts what a rule mitigates.
    pub(super) fn count(&mut self, of: Mitigated<'_, 'p>) {
        let policy = self.policy;
        let closed = self.is_closed(&of);
        let approval = policy.approval_of(Some(of.rule));
        // As many devices as there are may be connected, if nobody knows.
        let most_connected = approval.and_then(|approval| approval.connected);
        let connected = of.devices.filter(|devices| most_connected.is_some_and(|most| *devices <= most));
        let facts = Facts {
            severity: of.severity,
            devices: of.devices,
            connected,
            outside_of_window: closed.then_some(""),
            ..Facts::default()
        };
        for reason in needs(approval, &facts) {
            if let Some(why) = Why::of(reason.need, of.devices.is_some()) {
                *self.waits.entry((of.rule, why)).or_default() += 1;
            }
        }
        let budgets = policy.budgets();
        let mut counted = budgets
            .iter()
            .enumerate()
            .filter(|(_, budget)| budget.concerns(Some(of.rule), of.actions) && budget.counts(of.things));
        let Some(first) = counted.next() else { return };
        let place = self.place(of.place);
        for (at, _) in std::iter::once(first).chain(counted) {
            if let Some(budget) = place.budgets.get_mut(at) {
                *budget.entry((of.at, of.rule)).or_default() += 1;
            }
        }
    }

    fn is_closed(&mut self, of: &Mitigated<'_, 'p>) -> bool {
        let calendar = || self.policy.calendar_of(Some(of.rule), of.actions).ok().flatten();
        let Some(calendar) = self.calendars.entry(of.rule).or_insert_with(calendar) else { return false };
        let is_open = self.open.entry((of.rule, of.at)).or_insert_with(|| calendar.closed(of.at).is_none());
        !*is_open
    }

    fn place(&mut self, (account, region): (&str, &str)) -> &mut Place<'p> {
        let budgets = self.policy.budgets().len();
        let place = self.places.entry((account.to_owned(), region.to_owned())).or_default();
        place.budgets.resize_with(budgets, BTreeMap::new);
        place
    }

    pub(super) fn merge(&mut self, other: Self) {
        for ((account, region), more) in other.places {
            let place = self.place((&account, &region));
            for (budget, more) in place.budgets.iter_mut().zip(more.budgets) {
                for (key, count) in more {
                    *budget.entry(key).or_default() += count;
                }
            }
        }
        for (key, count) in other.waits {
            *self.waits.entry(key).or_default() += count;
        }
    }

    /// What the guards would have said, in a fleet as the plan has it.
    pub(super) fn report(&self, plan: Plan<'_>) -> GuardReport<'p> {
        let mut waits = self.waits.clone();
        let mut days = Vec::new();
        for ((account, region), place) in &self.places {
            // What two budgets have no room for waits once.
            let mut over_by_rule: BTreeMap<(Millis, &str), u64> = BTreeMap::new();
            for (budget, asked) in self.policy.budgets().iter().zip(&place.budgets) {
                let limit = budget.limit(things(plan, budget));
                let mut by_day: BTreeMap<String, (u64, u64)> = BTreeMap::new();
                for (at, rule, count, over) in played(asked, limit, budget.within_seconds) {
                    let (asked, over_of_day) = by_day.entry(at.day()).or_default();
                    *asked += count;
                    *over_of_day += over;
                    let most = over_by_rule.entry((at, rule)).or_default();
                    *most = (*most).max(over);
                }
                let over = by_day.into_iter().filter(|(_, (_, over))| *over > 0);
                days.extend(over.map(|(day, (asked, over))| BudgetDay {
                    day,
                    account: account.clone(),
                    region: region.clone(),
                    budget: budget.label(),
                    limit,
                    asked,
                    over,
                }));
            }
            let asks = |approval: &Approval| approval.over_budget;
            for ((_, rule), over) in over_by_rule {
                if over > 0 && self.policy.approval_of(Some(rule)).is_some_and(asks) {
                    *waits.entry((rule, Why::OverBudget)).or_default() += over;
                }
            }
        }
        days.sort();
        let waits = waits.into_iter().map(|((rule, reason), count)| Waits { rule, reason, count });
        let mut asked = self.places.values().flat_map(|place| &place.budgets);
        let counts = asked.any(|budget| !budget.is_empty());
        GuardReport { budgets: days, approvals: waits.collect(), counts }
    }
}

/// What was asked of a budget in the order of time, and of each how many it had no room for. What it has room for counts until
/// its time is over.
fn played<'p>(
    asked: &BTreeMap<(Millis, &'p str), u64>,
    limit: u64,
    within_seconds: i64,
) -> Vec<(Millis, &'p str, u64, u64)> {
    let mut counting: VecDeque<(Millis, u64)> = VecDeque::new();
    let mut used = 0_u64;
    let mut played = Vec::with_capacity(asked.len());
    for ((at, rule), count) in asked {
        while let Some((_, old)) =
            counting.pop_front_if(|(since, _)| since.plus_seconds(within_seconds) <= *at)
        {
            used = used.saturating_sub(old);
        }
        let fits = limit.saturating_sub(used).min(*count);
        used = used.saturating_add(fits);
        counting.push_back((*at, fits));
        played.push((*at, *rule, *count, count - fits));
    }
    played
}

/// How many things a budget has a share of, if there is a file of the fleet that lists them.
fn things(plan: Plan<'_>, budget: &Budget) -> Option<u64> {
    budget.or_share?;
    let fleet = plan.fleet?;
    let names: &BTreeSet<String> = fleet.inventory().things.as_ref()?;
    let is_in = |name: &&String| match &budget.group {
        None => true,
        Some(group) => {
            let groups = fleet.thing(name).and_then(|thing| thing.groups.as_ref());
            groups.is_some_and(|groups| groups.contains(group))
        }
    };
    Some(names.iter().filter(is_in).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(of: &[(i64, u64)]) -> BTreeMap<(Millis, &'static str), u64> {
        of.iter().map(|(at, count)| ((Millis::from_seconds(*at), "r"), *count)).collect()
    }

    #[test]
    fn what_is_over_starts_nothing_and_takes_no_room_from_the_next() {
        let over = |of: &[(i64, u64)]| -> Vec<u64> {
            played(&asked(of), 10, 3_600).iter().map(|(.., over)| *over).collect()
        };
        assert_eq!(over(&[(0, 25), (1_800, 1), (3_600, 4)]), [15, 1, 0]);
        assert_eq!(over(&[(0, 4), (1_800, 4), (3_600, 7), (5_400, 9)]), [0, 0, 1, 5]);
    }

    #[test]
    fn in_no_time_more_fits_than_the_limit() {
        // Every way to ask for 0 to 3 at five times.
        for of in 0..4_u64.pow(5) {
            let of: Vec<(i64, u64)> = (0..5).map(|at| (i64::from(at) * 10, of / 4_u64.pow(at) % 4)).collect();
            for (limit, within) in [(0, 15), (2, 15), (4, 25), (5, 41)] {
                let played = played(&asked(&of), limit, within);
                for (end, ..) in &played {
                    let since = end.plus_seconds(-within);
                    let fits = played.iter().filter(|(at, ..)| since < *at && at <= end);
                    assert!(fits.map(|(_, _, count, over)| count - over).sum::<u64>() <= limit, "{of:?}");
                }
                let all: u64 = played.iter().map(|(_, _, count, _)| *count).sum();
                assert_eq!(all, of.iter().map(|(_, count)| count).sum::<u64>());
            }
        }
    }
}
