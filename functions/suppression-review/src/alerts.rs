//! The alerts of a review: what expires or has expired, what was modified, what could not be reconciled, and the digest.
//! Suppressions that are alike are one alert. Pure.

mod changes;
mod digest;
mod expiry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use changes::drifted;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::alerts::changes::dropped;
use crate::alerts::changes::made_by_hand;
use crate::alerts::changes::was_not_reconciled;
use crate::alerts::expiry::expired;
use crate::alerts::expiry::expiring;
use crate::alerts::expiry::further;
use crate::drift::Drift;
use crate::plan::BY_HAND;
use crate::state::State;
use crate::summary::Summary;

/// Nobody would read more from one review: the rest is one alert.
const MOST: usize = 200;
/// How long lines are in a description, in bytes: one is cut at 8,000 characters.
const LONGEST: usize = 7_500;

/// The alerts before anything is changed: what was modified outside Fleetwarden since the last alerts, and which standing
/// suppressions lose all their suppressions.
pub(crate) fn before_changes(policy: &Policy, state: &State, drift: &[Drift], since: Millis) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = (!drift.is_empty()).then(|| drifted(drift, since)).into_iter().collect();
    let mut surplus: BTreeMap<Option<u16>, u64> = BTreeMap::new();
    for one in &state.listing.surplus {
        *surplus.entry(one.standing).or_default() += 1;
    }
    for (standing, count) in surplus {
        let Some(at) = standing.map(usize::from) else {
            let live = policy.mode() == Mode::Enforce;
            let removed = "their standing suppression was removed from the policy";
            alerts.extend(live.then(|| dropped(removed, None, count, since)));
            continue;
        };
        let Some((standing, status)) = policy.standing().get(at).zip(state.standing.get(at)) else {
            continue;
        };
        let has_none = status.wanted == 0 && status.unknown.is_empty();
        if has_none && policy.mode() == Mode::Enforce && standing.is_live() {
            alerts.push(dropped("has no members", Some(standing.name()), count, since));
        }
    }
    alerts
}

/// The alerts on standing suppressions that could not be reconciled.
pub(crate) fn not_reconciled(policy: &Policy, state: &State) -> Vec<Alert> {
    if state.reconciler.is_some() {
        return Vec::new();
    }
    let week = week(state.began);
    let each = policy.standing().iter().zip(&state.standing);
    let failed = each.filter(|(_, status)| status.error.is_some() || !status.unknown.is_empty());
    failed
        .map(|(standing, status)| was_not_reconciled(standing.name(), standing.checks().len(), status, &week))
        .collect()
}

/// The alerts at the end of a review.
pub(crate) fn at_end(policy: &Policy, state: &State, summary: &Summary) -> Vec<Alert> {
    let since = summary.since;
    let ended = summary.ended.iter().filter(|group| group.back.is_some() || group.without_alert > 0);
    let ending = summary.ending.iter().filter(|group| group.without_alert > 0);
    let mut groups: Vec<(Alert, u64)> =
        ended.map(|group| (expired(group, since), group.suppressions)).collect();
    groups.extend(ending.map(|group| (expiring(group, since), group.suppressions)));
    groups.sort_by_key(|(alert, _)| alert.severity);
    let rest = if groups.len() > MOST { groups.split_off(MOST - 1) } else { vec![] };
    let mut alerts: Vec<Alert> = groups.into_iter().map(|(alert, _)| alert).collect();
    alerts.extend((!rest.is_empty()).then(|| further(&rest, since)));
    alerts.extend((summary.by_hand.suppressions > 0).then(|| made_by_hand(&summary.by_hand, since)));
    let without_members = without_members(policy, state);
    if summary.debt.suppressions > 0 || !without_members.is_empty() {
        alerts.push(digest::debt(policy.mode(), state, summary, &without_members));
    }
    alerts
}

/// The standing suppressions that match nothing.
fn without_members<'p>(policy: &'p Policy, state: &State) -> Vec<&'p str> {
    let each = policy.standing().iter().zip(&state.standing);
    let empty = each.filter(|(_, status)| status.wanted == 0 && status.unknown.is_empty() && !status.lapsed);
    empty.map(|(standing, _)| standing.name()).collect()
}

/// An alert without texts.
fn alert(kind: Kind, severity: AlertSeverity, about: String) -> Alert {
    Alert {
        kind,
        severity,
        about,
        thread: "suppressions".into(),
        title: Text::default(),
        description: Text::default(),
        next_steps: vec![],
        subject: Subject::Log,
    }
}

/// As many lines as a description has room for, and how many suppressions the others are about.
fn lines(lines: impl Iterator<Item = (Text, u64)>) -> Text {
    let (mut shown, mut long, mut left, mut suppressions) = (Vec::new(), 0, 0_u64, 0);
    for (line, count) in lines {
        let line = text!("- {}", line);
        long += line.markdown().len();
        if left == 0 && long < LONGEST {
            shown.push(line);
        } else {
            left += 1;
            suppressions += count;
        }
    }
    if left > 0 {
        shown.push(text!("- and {} more, of {}", left, plural(suppressions, "suppression")));
    }
    Text::joined(shown, "\n")
}

/// Whose suppressions they are.
fn whose(by: &str, owner: Option<&str>) -> Text {
    let maker = match by.split_once(' ') {
        _ if by == BY_HAND => return Text::own("those made by hand"),
        Some(("rule", name)) => text!("rule {}", name),
        Some(("standing", name)) => text!("standing suppression {}", name),
        _ => text!("{}", by),
    };
    owner.map_or(maker.clone(), |owner| text!("{} ({})", maker, owner))
}

fn plural(count: u64, what: &'static str) -> Text {
    text!("{} {}{}", count, Text::own(what), Text::own(if count == 1 { "" } else { "s" }))
}

/// The Monday of a moment's week.
fn week(at: Millis) -> String {
    // The epoch was a Thursday.
    let day = at.seconds().div_euclid(86_400);
    Millis::from_seconds((day - (day + 3).rem_euclid(7)) * 86_400).day()
}
