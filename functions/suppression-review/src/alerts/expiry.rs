//! The alerts on suppressions that expire soon or have expired.

use std::collections::BTreeMap;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::alerts::alert;
use crate::alerts::lines;
use crate::alerts::plural;
use crate::alerts::whose;
use crate::plan::BY_HAND;
use crate::plan::standing_of;
use crate::summary::Ended;
use crate::summary::Ending;

pub(super) fn expired(group: &Ended, since: Millis) -> Alert {
    let Ended { by, owner, on, suppressions, checks, back, .. } = group;
    let whose = whose(by, owner.as_deref());
    let count = plural(*suppressions, "suppression");
    let (about, title, severity, more) = match back {
        None => (
            "",
            text!("{} of {} expired on {}", count, whose, on),
            AlertSeverity::Medium,
            Text::own("The next audit of these checks shows which findings are back."),
        ),
        Some(0) => (
            " audited",
            text!("{} of {} expired on {}, and no finding is back", count, whose, on),
            AlertSeverity::Low,
            "The audits since then found none of the resources: the suppressions are not needed any more."
                .into(),
        ),
        Some(back) => (
            " audited",
            text!(
                "{} of {} expired on {}, and {} {} back",
                count,
                whose,
                on,
                plural(*back, "finding"),
                if *back == 1 { "is" } else { "are" }
            ),
            AlertSeverity::High,
            "The audits since then found these resources again.".into(),
        ),
    };
    let steps = if *back == Some(0) {
        vec!["If a standing suppression made them, remove it from the policy.".into()]
    } else {
        vec![
            "Fix the findings, or move the end in the policy: an expired suppression is never renewed."
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

pub(super) fn expiring(group: &Ending, since: Millis) -> Alert {
    let Ending { by, owner, on, within_days, suppressions, checks, examples, .. } = group;
    let severity = match within_days {
        ..=1 => AlertSeverity::High,
        2..=7 => AlertSeverity::Medium,
        _ => AlertSeverity::Low,
    };
    let how = if *within_days == 1 { "within a day".into() } else { text!("within {} days", within_days) };
    let owner_text = owner.as_deref().unwrap_or_default();
    let step = match standing_of(by) {
        Some(name) => text!(
            "If they are still needed, move `until` of {} in the policy. Otherwise fix the resources before {}.",
            name,
            on
        ),
        None if by == BY_HAND => text!(
            "If they are still needed, have a standing suppression adopt them, or update each. Otherwise fix the \
             resources before {}.",
            on
        ),
        None => text!(
            "Fix the resources before {}, or decide again: an expired suppression is never renewed.",
            on
        ),
    };
    Alert {
        title: text!(
            "{} of {} {} {}, on {}",
            plural(*suppressions, "suppression"),
            whose(by, owner.as_deref()),
            if *suppressions == 1 { "expires" } else { "expire" },
            how,
            on
        ),
        description: text!("{}\n\nExamples: {}", by_check(checks), Text::joined(examples, ", ")),
        next_steps: vec![step],
        ..alert(
            Kind::SuppressionEnding,
            severity,
            format!("{by} {owner_text} {on} {within_days} {suppressions} since {}", since.0),
        )
    }
}

/// The alert on what is too much for an alert each.
pub(super) fn further(rest: &[(Alert, u64)], since: Millis) -> Alert {
    let count: u64 = rest.iter().map(|(_, count)| count).sum();
    let (kind, severity) = rest
        .first()
        .map_or((Kind::SuppressionEnding, AlertSeverity::Low), |(alert, _)| (alert.kind, alert.severity));
    Alert {
        title: text!(
            "{} in {} groups expire soon or have expired",
            plural(count, "more suppression"),
            rest.len()
        ),
        description: lines(rest.iter().map(|(alert, count)| (alert.title.clone(), *count))),
        next_steps: vec![
            "To see more of them, invoke `suppression-review` with `{\"dryRun\": true}`: `ending` and `ended`."
                .into(),
        ],
        ..alert(kind, severity, format!("{} groups, {count} since {}", rest.len(), since.0))
    }
}

fn by_check(checks: &BTreeMap<CheckName, u64>) -> Text {
    Text::joined(checks.iter().map(|(check, count)| text!("- {}: {}", check, count)), "\n")
}
