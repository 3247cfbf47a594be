//! What people are told of suppressions: each thing once, those alike together.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::AlertSeverity;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

use crate::SuppressionReview;
use crate::outcome::Drift;
use crate::outcome::Ended;
use crate::outcome::Ending;
use crate::outcome::Outcome;
use crate::plan::BY_HAND;
use crate::plan::standing_of;
use crate::state::State;

/// More in one review would be read by nobody; the digest has the rest.
const MOST: usize = 200;
/// How many makers a digest names.
const NAMED: usize = 10;

impl SuppressionReview {
    /// Tells people. Gives how many alerts there are.
    pub(crate) async fn tell(&self, state: &State, outcome: &Outcome) -> Result<u64, Error> {
        let alerts = alerts(&self.policy, state, outcome);
        for alert in &alerts {
            self.alerts.raise(alert).await?;
        }
        Ok(alerts.len() as u64)
    }
}

/// All alerts of a review. Pure.
pub(crate) fn alerts(policy: &Policy, state: &State, outcome: &Outcome) -> Vec<Alert> {
    let week = week(state.began);
    let mut alerts = vec![];
    for (standing, kept) in policy.standing().iter().zip(&state.standing) {
        let Some(error) = &kept.error else { continue };
        alerts.push(not_kept(standing.name(), kept.unknown, kept.failed, error, &week));
    }
    alerts.extend((!outcome.drift.is_empty()).then(|| drifted(&outcome.drift, &state.slot)));
    alerts.extend(outcome.ended.iter().map(ended));
    alerts.extend(outcome.ending.iter().map(ending));
    alerts.truncate(MOST);
    if outcome.debt.suppressions > 0 {
        alerts.push(debt(policy.mode(), state, outcome, &week));
    }
    alerts
}

fn alert(kind: Kind, severity: AlertSeverity, about: String) -> Alert {
    Alert {
        kind,
        severity,
        about,
        thread: "suppressions".into(),
        title: String::new(),
        description: String::new(),
        next_steps: vec![],
    }
}

fn not_kept(name: &str, unknown: bool, failed: u64, error: &str, week: &str) -> Alert {
    let what = if unknown {
        "Its members are not known, so nothing of it was created, updated or deleted.".to_owned()
    } else {
        format!("{} could not be made; the first:", plural(failed, "change"))
    };
    Alert {
        title: format!("The standing suppression {name} could not be kept"),
        description: format!("{what}\n\n`{error}`"),
        next_steps: vec![
            "Mend what the message says; the next review tries again by itself.".into(),
            "To see what it would do then, invoke suppression-review with {\"dryRun\": true}.".into(),
        ],
        ..alert(Kind::SuppressionNotKept, AlertSeverity::High, format!("{name} {week}"))
    }
}

fn drifted(drift: &[Drift], slot: &str) -> Alert {
    let count = drift.iter().map(|drift| drift.suppressions).sum();
    let lines = drift.iter().map(|Drift { by, owner, what, suppressions }| {
        format!("- {} of {}: {what}", plural(*suppressions, "suppression"), whose(by, owner.as_deref()))
    });
    Alert {
        title: format!("{} of ours changed or deleted by somebody", plural(count, "suppression")),
        description: lines.collect::<Vec<_>>().join("\n"),
        next_steps: vec![
            "Say it in the policy instead: those of live standing suppressions come back as the policy has them.".into(),
            "CloudTrail knows who called UpdateAuditSuppression and DeleteAuditSuppression.".into(),
        ],
        ..alert(Kind::SuppressionDrift, AlertSeverity::Medium, slot.to_owned())
    }
}

fn ended(group: &Ended) -> Alert {
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
            format!("{by} {} {on}{about}", owner.as_deref().unwrap_or_default()),
        )
    }
}

fn ending(group: &Ending) -> Alert {
    let Ending { by, owner, on, within_days, suppressions, checks, examples } = group;
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
        ..alert(Kind::SuppressionEnding, severity, format!("{by} {owner_text} {on} {within_days}"))
    }
}

fn debt(mode: Mode, state: &State, outcome: &Outcome, week: &str) -> Alert {
    let Outcome { debt, tallies, .. } = outcome;
    let mut text = String::new();
    let mut line = |count: u64, what: &str| {
        if count > 0 {
            let _ = writeln!(text, "- {count} {what}");
        }
    };
    line(debt.indefinite, "without an end");
    line(debt.ownerless, "that nobody answers for");
    line(debt.by_hand, "made by hand");
    line(debt.idle, "that hid nothing in the last audit");
    line(debt.ending, "end within 30 days");
    line(debt.lapsed, "have ended");
    if let Some(share) = debt.hidden_share() {
        let _ = writeln!(
            text,
            "\n{} of {} findings of the last audits are hidden ({:.1} %).",
            debt.hidden,
            debt.non_compliant,
            share * 100.0
        );
    }
    if let Some(oldest) = debt.oldest {
        let _ = writeln!(text, "The oldest was first seen on {}.", oldest.day());
    }
    let mut section = |title: &str, counts: Vec<(String, u64)>| {
        if counts.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n**{title}**");
        let further = counts.len().saturating_sub(NAMED);
        for (whose, count) in counts.into_iter().take(NAMED) {
            let _ = writeln!(text, "- {whose}: {count}");
        }
        if further > 0 {
            let _ = writeln!(text, "- and {further} more");
        }
    };
    let mut owners: Vec<(String, u64)> = (debt.owners.iter())
        .map(|(owner, owned)| {
            (if owner.is_empty() { "(nobody)".into() } else { owner.clone() }, owned.suppressions)
        })
        .collect();
    owners.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    section("By owner", owners);
    let of = |count: fn(&crate::outcome::Tally) -> u64| {
        let some = tallies.iter().filter(move |tally| count(tally) > 0);
        some.map(|tally| (whose(&tally.by, tally.owner.as_deref()), count(tally))).collect::<Vec<_>>()
    };
    section("Without an end", of(|tally| tally.indefinite));
    section("Without an owner", of(|tally| if tally.owner.is_none() { tally.suppressions } else { 0 }));
    // A standing suppression is there before anything is found: what it hides not yet is as it should be.
    let idle = |tally: &crate::outcome::Tally| {
        if standing_of(&tally.by).is_some() { 0 } else { tally.idle }
    };
    section("Hid nothing", of(idle));
    let examples: Vec<&str> = tallies
        .iter()
        .filter(|tally| idle(tally) > 0)
        .flat_map(|tally| tally.idle_examples.iter().map(String::as_str))
        .take(NAMED)
        .collect();
    if !examples.is_empty() {
        let _ = writeln!(text, "For example: {}", examples.join(", "));
    }
    for gap in &state.gaps {
        let _ = writeln!(text, "\nNot known: {gap}");
    }
    if mode == Mode::Observe {
        let _ = writeln!(text, "\nThe policy observes: standing suppressions are not kept, only told.");
    }
    Alert {
        title: format!("{} in the week of {week}", plural(debt.suppressions, "suppression")),
        description: text,
        next_steps: vec![
            "Give an end and an owner to those without; delete what hides nothing.".into(),
            "To list them: fleetwarden audit list-audit-suppressions.".into(),
        ],
        ..alert(Kind::SuppressionDebt, AlertSeverity::Low, format!("week of {week}"))
    }
}

fn by_check(checks: &BTreeMap<CheckName, u64>) -> String {
    checks.iter().map(|(check, count)| format!("- {check}: {count}")).collect::<Vec<_>>().join("\n")
}

fn whose(by: &str, owner: Option<&str>) -> String {
    match (by, owner) {
        (BY_HAND, _) => "those made by hand".to_owned(),
        (by, Some(owner)) => format!("{by} ({owner})"),
        (by, None) => by.to_owned(),
    }
}

fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The Monday of a moment's week.
fn week(at: Millis) -> String {
    // The epoch was a Thursday.
    let day = at.seconds().div_euclid(86_400);
    Millis::from_seconds((day - (day + 3).rem_euclid(7)) * 86_400).day()
}
