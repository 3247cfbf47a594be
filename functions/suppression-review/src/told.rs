//! What people are told of suppressions: each thing once, those alike together.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::AlertSeverity;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Standing;
use fleetwarden_core::timestamp::Millis;

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
    failed.map(|(standing, kept)| was_not_kept(standing, kept, &week)).collect()
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
        title: String::new(),
        description: String::new(),
        next_steps: vec![],
        subject: Subject::Log,
    }
}

fn was_not_kept(standing: &Standing, kept: &Kept, week: &str) -> Alert {
    let (name, mut description) = (standing.name(), String::new());
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (check, why) in &kept.unknown {
        reasons.entry(why).or_default().push(check.as_str());
    }
    for (why, checks) in reasons {
        let what = if checks.len() == standing.checks().len() {
            "Its members are not known, so nothing of it was".to_owned()
        } else {
            format!("Its members for {} are not known, so nothing of that was", checks.join(", "))
        };
        let _ = writeln!(description, "{what} created, updated or deleted.\n\n`{why}`\n");
    }
    if let Some(error) = &kept.error {
        let changes = plural(kept.failed, "change");
        let _ = writeln!(description, "{changes} could not be made; the first:\n\n`{error}`\n");
    }
    Alert {
        title: format!("The standing suppression {name} could not be kept"),
        description: description.trim_end().to_owned(),
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
        (format!("{} of {whose}: {}", plural(*suppressions, "suppression"), what.word()), *suppressions)
    };
    let description = lines(drift.iter().map(line));
    let about = format!("since {} {description}", since.0);
    Alert {
        title: format!("{} of ours changed or deleted by somebody", plural(count, "suppression")),
        description,
        next_steps: vec![
            "Say it in the policy instead: those of live standing suppressions come back as the policy has them.".into(),
            "CloudTrail knows who called UpdateAuditSuppression and DeleteAuditSuppression.".into(),
        ],
        ..alert(Kind::SuppressionDrift, AlertSeverity::Medium, about)
    }
}

fn dropped(why: &str, name: Option<&str>, count: u64, since: Millis) -> Alert {
    let count = plural(count, "suppression");
    let title = match name {
        Some(name) => format!("The standing suppression {name} {why}: {count} to be deleted"),
        None => format!("{count} to be deleted: {why}"),
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
        0 => (AlertSeverity::Low, String::new()),
        1 => (AlertSeverity::Medium, ", 1 without an end".to_owned()),
        many => (AlertSeverity::Medium, format!(", {many} without an end")),
    };
    Alert {
        title: format!("{} made by hand{ends}", plural(*suppressions, "suppression")),
        description: format!("Nobody answers for them.\n\nFor example: {}", examples.join(", ")),
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
        title: format!(
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
fn lines(lines: impl Iterator<Item = (String, u64)>) -> String {
    let (mut text, mut left, mut suppressions) = (String::new(), 0_u64, 0);
    for (line, count) in lines {
        if left == 0 && text.len() + line.len() < LONGEST {
            let _ = writeln!(text, "- {line}");
        } else {
            left += 1;
            suppressions += count;
        }
    }
    if left > 0 {
        let _ = writeln!(text, "- and {left} more, of {}", plural(suppressions, "suppression"));
    }
    text.trim_end().to_owned()
}

fn ended_on(group: &Ended, since: Millis) -> Alert {
    let Ended { by, owner, on, suppressions, checks, back, .. } = group;
    let whose = whose(by, owner.as_deref());
    let count = plural(*suppressions, "suppression");
    let (about, title, severity, more) = match back {
        None => (
            "",
            format!("{count} of {whose} ended on {on}"),
            AlertSeverity::Medium,
            "The next audit of these checks tells what is found again.".to_owned(),
        ),
        Some(0) => (
            " audited",
            format!("{count} of {whose} ended on {on}, and nothing is back"),
            AlertSeverity::Low,
            "The audits since have found none of the resources: the suppressions were needed no longer."
                .into(),
        ),
        Some(back) => (
            " audited",
            format!("{count} of {whose} ended on {on}, and {back} of the findings are back"),
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
        description: format!("{more}\n\n{}", by_check(checks)),
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
    let how =
        if *within_days == 1 { "within a day".to_owned() } else { format!("within {within_days} days") };
    let owner_text = owner.as_deref().unwrap_or_default();
    let step = match standing_of(by) {
        Some(name) => {
            format!("Still right? Move `until` of {name} in the policy. Else mend the resources before {on}.")
        }
        None if by == BY_HAND => {
            format!(
                "Still right? Have a standing suppression adopt them, or update each. Else mend the resources before {on}."
            )
        }
        None => {
            format!("Mend the resources before {on}, or decide anew: what ends is never renewed by itself.")
        }
    };
    Alert {
        title: format!(
            "{} of {} {}, on {on}",
            plural(*suppressions, "suppression"),
            whose(by, owner.as_deref()),
            if *suppressions == 1 { format!("ends {how}") } else { format!("end {how}") },
        ),
        description: format!("{}\n\nFor example: {}", by_check(checks), examples.join(", ")),
        next_steps: vec![step],
        ..alert(
            Kind::SuppressionEnding,
            severity,
            format!("{by} {owner_text} {on} {within_days} {suppressions} since {}", since.0),
        )
    }
}

fn by_check(checks: &BTreeMap<CheckName, u64>) -> String {
    checks.iter().map(|(check, count)| format!("- {check}: {count}")).collect::<Vec<_>>().join("\n")
}

pub(crate) fn whose(by: &str, owner: Option<&str>) -> String {
    match (by, owner) {
        (BY_HAND, _) => "those made by hand".to_owned(),
        (by, Some(owner)) => format!("{by} ({owner})"),
        (by, None) => by.to_owned(),
    }
}

pub(crate) fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The Monday of a moment's week.
pub(crate) fn week(at: Millis) -> String {
    // The epoch was a Thursday.
    let day = at.seconds().div_euclid(86_400);
    Millis::from_seconds((day - (day + 3).rem_euclid(7)) * 86_400).day()
}
