//! What people are told of suppressions: each thing once, those alike together.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::SuppressionReview;
use crate::compared::Drift;
use crate::digest;
use crate::outcome::ByHand;
use crate::outcome::Ended;
use crate::outcome::Ending;
use crate::outcome::Outcome;
use crate::plan::BY_HAND;
use crate::plan::standing_of;
use crate::state::Kept;
use crate::state::State;

/// More in one review would be read by nobody: the rest is told as one.
const MOST: usize = 200;
/// How long lines are in a description, in bytes: one is cut at 8,000 characters.
const LONGEST: usize = 7_500;

impl SuppressionReview {
    /// Tells people, unless they were told the same before.
    pub(crate) async fn raise(&self, alerts: &[Alert]) -> Result<(), Error> {
        for alert in alerts {
            self.alerts.raise(alert).await?;
        }
        Ok(())
    }
}

/// What is told before anything is changed: what somebody did since the last telling, and of which standing
/// suppressions nothing is left. Pure.
pub(crate) fn before_changes(policy: &Policy, state: &State, drift: &[Drift], since: Millis) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = (!drift.is_empty()).then(|| drifted(drift, since)).into_iter().collect();
    let mut surplus: BTreeMap<Option<u16>, u64> = BTreeMap::new();
    for one in &state.listing.surplus {
        *surplus.entry(one.standing).or_default() += 1;
    }
    for (standing, count) in surplus {
        let Some(at) = standing.map(usize::from) else {
            let live = policy.mode() == Mode::Enforce;
            alerts
                .extend(live.then(|| dropped("the policy no longer has what made them", None, count, since)));
            continue;
        };
        let Some((standing, kept)) = policy.standing().get(at).zip(state.standing.get(at)) else { continue };
        let has_none = kept.wanted == 0 && kept.unknown.is_empty();
        if has_none && policy.mode() == Mode::Enforce && standing.is_live() {
            alerts.push(dropped("has no members any more", Some(standing.name()), count, since));
        }
    }
    alerts
}

/// What is told of standing suppressions that could not be kept. Pure.
pub(crate) fn not_kept(policy: &Policy, state: &State) -> Vec<Alert> {
    if state.kept_by.is_some() {
        return Vec::new();
    }
    let week = week(state.began);
    let each = policy.standing().iter().zip(&state.standing);
    let failed = each.filter(|(_, kept)| kept.error.is_some() || !kept.unknown.is_empty());
    failed
        .map(|(standing, kept)| was_not_kept(standing.name(), standing.checks().len(), kept, &week))
        .collect()
}

/// What is told at the end of a review. Pure.
pub(crate) fn alerts(policy: &Policy, state: &State, outcome: &Outcome) -> Vec<Alert> {
    let since = outcome.since;
    let ended = outcome.ended.iter().filter(|group| group.back.is_some() || group.untold > 0);
    let ending = outcome.ending.iter().filter(|group| group.untold > 0);
    let mut groups: Vec<(Alert, u64)> =
        ended.map(|group| (ended_on(group, since), group.suppressions)).collect();
    groups.extend(ending.map(|group| (ending_on(group, since), group.suppressions)));
    groups.sort_by_key(|(alert, _)| alert.severity);
    let rest = if groups.len() > MOST { groups.split_off(MOST - 1) } else { vec![] };
    let mut alerts: Vec<Alert> = groups.into_iter().map(|(alert, _)| alert).collect();
    alerts.extend((!rest.is_empty()).then(|| further(&rest, since)));
    alerts.extend((outcome.by_hand.suppressions > 0).then(|| made_by_hand(&outcome.by_hand, since)));
    let without_members = without_members(policy, state);
    if outcome.debt.suppressions > 0 || !without_members.is_empty() {
        alerts.push(digest::debt(policy.mode(), state, outcome, &without_members));
    }
    alerts
}

/// The standing suppressions that match nothing.
fn without_members<'p>(policy: &'p Policy, state: &State) -> Vec<&'p str> {
    let each = policy.standing().iter().zip(&state.standing);
    let empty = each.filter(|(_, kept)| kept.wanted == 0 && kept.unknown.is_empty() && !kept.lapsed);
    empty.map(|(standing, _)| standing.name()).collect()
}

pub(crate) fn alert(kind: Kind, severity: AlertSeverity, about: String) -> Alert {
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

/// `all` is the number of its checks.
fn was_not_kept(name: &str, all: usize, kept: &Kept, week: &str) -> Alert {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (check, why) in &kept.unknown {
        reasons.entry(why).or_default().push(check.as_str());
    }
    let mut parts = Vec::new();
    for (why, checks) in reasons {
        let what = if checks.len() == all {
            "Its members are not known, so nothing of it was".into()
        } else {
            text!("Its members for {} are not known, so nothing of that was", Text::joined(checks, ", "))
        };
        parts.push(text!("{} created, updated or deleted.\n\n`{}`", what, why));
    }
    if let Some(error) = &kept.error {
        parts.push(text!("{} could not be made; the first:\n\n`{}`", plural(kept.failed, "change"), error));
    }
    Alert {
        title: text!("The standing suppression {} could not be kept", name),
        description: Text::joined(parts, "\n\n"),
        next_steps: vec![
            "Mend what the message says; the next review tries again by itself.".into(),
            "To see what it would do then, invoke suppression-review with {\"dryRun\": true}.".into(),
        ],
        ..alert(Kind::SuppressionNotKept, AlertSeverity::High, format!("{name} {week}"))
    }
}

/// What is told of suppressions that somebody changed or deleted. Pure.
pub(crate) fn drifted(drift: &[Drift], since: Millis) -> Alert {
    let count = drift.iter().map(|drift| drift.suppressions).sum();
    let line = |Drift { by, owner, what, suppressions }: &Drift| {
        let whose = whose(by, owner.as_deref());
        (text!("{} of {}: {}", plural(*suppressions, "suppression"), whose, what.word()), *suppressions)
    };
    let description = lines(drift.iter().map(line));
    let about = format!("since {} {description}", since.0);
    Alert {
        title: text!("{} of ours changed or deleted by somebody", plural(count, "suppression")),
        description,
        next_steps: vec![
            "Say it in the policy instead: those of live standing suppressions come back as the policy has them.".into(),
            "CloudTrail knows who called UpdateAuditSuppression and DeleteAuditSuppression.".into(),
        ],
        ..alert(Kind::SuppressionDrift, AlertSeverity::Medium, about)
    }
}

fn dropped(why: &'static str, name: Option<&str>, count: u64, since: Millis) -> Alert {
    let count = plural(count, "suppression");
    let title = match name {
        Some(name) => text!("The standing suppression {} {}: {} to be deleted", name, Text::own(why), count),
        None => text!("{} to be deleted: {}", count, Text::own(why)),
    };
    Alert {
        title,
        description: "This review deletes them; the next audit of their checks reports again what they hid.".into(),
        next_steps: vec![
            "If that is not meant, put it right in the policy, or the things back into their group: the next review \
             makes the suppressions anew."
                .into(),
        ],
        ..alert(
            Kind::SuppressionDropped,
            AlertSeverity::Medium,
            format!("{} {count} since {}", name.unwrap_or_default(), since.0),
        )
    }
}

fn made_by_hand(by_hand: &ByHand, since: Millis) -> Alert {
    let ByHand { suppressions, indefinite, examples } = by_hand;
    let (severity, ends) = match indefinite {
        0 => (AlertSeverity::Low, Text::default()),
        1 => (AlertSeverity::Medium, ", 1 without an end".into()),
        many => (AlertSeverity::Medium, text!(", {} without an end", many)),
    };
    Alert {
        title: text!("{} made by hand{}", plural(*suppressions, "suppression"), ends),
        description: text!("Nobody answers for them.\n\nFor example: {}", Text::joined(examples, ", ")),
        next_steps: vec![
            "Still right? Have a standing suppression adopt them, with an owner and an end. Else delete them.".into(),
            "CloudTrail knows who called CreateAuditSuppression.".into(),
        ],
        ..alert(Kind::SuppressionByHand, severity, format!("{suppressions} since {}", since.0))
    }
}

/// What is too much to be told one by one.
fn further(rest: &[(Alert, u64)], since: Millis) -> Alert {
    let count: u64 = rest.iter().map(|(_, count)| count).sum();
    let (kind, severity) = rest
        .first()
        .map_or((Kind::SuppressionEnding, AlertSeverity::Low), |(alert, _)| (alert.kind, alert.severity));
    Alert {
        title: text!(
            "{} more, in {} groups, end soon or have ended",
            plural(count, "suppression"),
            rest.len()
        ),
        description: lines(rest.iter().map(|(alert, count)| (alert.title.clone(), *count))),
        next_steps: vec![
            "To see more of them, invoke suppression-review with {\"dryRun\": true}: `ending` and `ended`."
                .into(),
        ],
        ..alert(kind, severity, format!("{} groups, {count} since {}", rest.len(), since.0))
    }
}

/// As many lines as a description takes, and how many suppressions the others are about.
fn lines(lines: impl Iterator<Item = (Text, u64)>) -> Text {
    let (mut told, mut long, mut left, mut suppressions) = (Vec::new(), 0, 0_u64, 0);
    for (line, count) in lines {
        let line = text!("- {}", line);
        long += line.markdown().len();
        if left == 0 && long < LONGEST {
            told.push(line);
        } else {
            left += 1;
            suppressions += count;
        }
    }
    if left > 0 {
        told.push(text!("- and {} more, of {}", left, plural(suppressions, "suppression")));
    }
    Text::joined(told, "\n")
}

fn ended_on(group: &Ended, since: Millis) -> Alert {
    let Ended { by, owner, on, suppressions, checks, back, .. } = group;
    let whose = whose(by, owner.as_deref());
    let count = plural(*suppressions, "suppression");
    let (about, title, severity, more) = match back {
        None => (
            "",
            text!("{} of {} ended on {}", count, whose, on),
            AlertSeverity::Medium,
            Text::own("The next audit of these checks tells what is found again."),
        ),
        Some(0) => (
            " audited",
            text!("{} of {} ended on {}, and nothing is back", count, whose, on),
            AlertSeverity::Low,
            "The audits since have found none of the resources: the suppressions were needed no longer."
                .into(),
        ),
        Some(back) => (
            " audited",
            text!("{} of {} ended on {}, and {} of the findings are back", count, whose, on, back),
            AlertSeverity::High,
            "The audits since have found these resources again.".into(),
        ),
    };
    let steps = if *back == Some(0) {
        vec!["If a standing suppression made them, take it out of the policy.".into()]
    } else {
        vec![
            "Mend what is found, or move the end in the policy on purpose: what ended is never renewed by itself."
                .into(),
        ]
    };
    Alert {
        title,
        description: text!("{}\n\n{}", more, by_check(checks)),
        next_steps: steps,
        ..alert(
            Kind::SuppressionEnded,
            severity,
            format!(
                "{by} {} {on}{about} {suppressions} since {}",
                owner.as_deref().unwrap_or_default(),
                since.0
            ),
        )
    }
}

fn ending_on(group: &Ending, since: Millis) -> Alert {
    let Ending { by, owner, on, within_days, suppressions, checks, examples, .. } = group;
    let severity = match within_days {
        ..=1 => AlertSeverity::High,
        2..=7 => AlertSeverity::Medium,
        _ => AlertSeverity::Low,
    };
    let how = if *within_days == 1 { "within a day".into() } else { text!("within {} days", within_days) };
    let owner_text = owner.as_deref().unwrap_or_default();
    let step = match standing_of(by) {
        Some(name) => {
            text!(
                "Still right? Move `until` of {} in the policy. Else mend the resources before {}.",
                name,
                on
            )
        }
        None if by == BY_HAND => {
            text!(
                "Still right? Have a standing suppression adopt them, or update each. Else mend the resources before {}.",
                on
            )
        }
        None => {
            text!("Mend the resources before {}, or decide anew: what ends is never renewed by itself.", on)
        }
    };
    Alert {
        title: text!(
            "{} of {} {} {}, on {}",
            plural(*suppressions, "suppression"),
            whose(by, owner.as_deref()),
            if *suppressions == 1 { "ends" } else { "end" },
            how,
            on
        ),
        description: text!("{}\n\nFor example: {}", by_check(checks), Text::joined(examples, ", ")),
        next_steps: vec![step],
        ..alert(
            Kind::SuppressionEnding,
            severity,
            format!("{by} {owner_text} {on} {within_days} {suppressions} since {}", since.0),
        )
    }
}

fn by_check(checks: &BTreeMap<CheckName, u64>) -> Text {
    Text::joined(checks.iter().map(|(check, count)| text!("- {}: {}", check, count)), "\n")
}

pub(crate) fn whose(by: &str, owner: Option<&str>) -> Text {
    let maker = match by.split_once(' ') {
        _ if by == BY_HAND => return Text::own("those made by hand"),
        Some(("rule", name)) => text!("rule {}", name),
        Some(("standing", name)) => text!("standing {}", name),
        _ => text!("{}", by),
    };
    owner.map_or(maker.clone(), |owner| text!("{} ({})", maker, owner))
}

pub(crate) fn plural(count: u64, what: &'static str) -> Text {
    text!("{} {}{}", count, Text::own(what), Text::own(if count == 1 { "" } else { "s" }))
}

/// The Monday of a moment's week.
pub(crate) fn week(at: Millis) -> String {
    // The epoch was a Thursday.
    let day = at.seconds().div_euclid(86_400);
    Millis::from_seconds((day - (day + 3).rem_euclid(7)) * 86_400).day()
}

#[cfg(test)]
mod hostile_tests;
