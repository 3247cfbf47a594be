//! The alerts on what was modified, made by hand or dropped, and on what could not be reconciled.

use std::collections::BTreeMap;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::alerts::alert;
use crate::alerts::lines;
use crate::alerts::plural;
use crate::alerts::whose;
use crate::drift::Drift;
use crate::state::StandingStatus;
use crate::summary::ByHand;

/// `all` is the number of its checks.
pub(super) fn was_not_reconciled(name: &str, all: usize, status: &StandingStatus, week: &str) -> Alert {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (check, why) in &status.unknown {
        reasons.entry(why).or_default().push(check.as_str());
    }
    let mut parts = Vec::new();
    for (why, checks) in reasons {
        let what = if checks.len() == all {
            "Its members are unknown".into()
        } else {
            text!("Its members for {} are unknown", Text::joined(checks, ", "))
        };
        parts.push(text!("{}, so their suppressions were not changed.\n\n`{}`", what, why));
    }
    if let Some(error) = &status.error {
        parts.push(text!("{} failed. The first error:\n\n`{}`", plural(status.failed, "change"), error));
    }
    Alert {
        title: text!("The standing suppression {} could not be reconciled", name),
        description: Text::joined(parts, "\n\n"),
        next_steps: vec![
            "Fix what the message says. The next review tries again.".into(),
            "To see what it would change, invoke `suppression-review` with `{\"dryRun\": true}`.".into(),
        ],
        ..alert(Kind::SuppressionNotKept, AlertSeverity::High, format!("{name} {week}"))
    }
}

/// The alert on managed suppressions that were modified outside Fleetwarden.
pub(crate) fn drifted(drift: &[Drift], since: Millis) -> Alert {
    let count = drift.iter().map(|drift| drift.suppressions).sum();
    let line = |Drift { by, owner, what, suppressions }: &Drift| {
        let whose = whose(by, owner.as_deref());
        (text!("{} of {}: {}", plural(*suppressions, "suppression"), whose, what.word()), *suppressions)
    };
    let description = lines(drift.iter().map(line));
    let about = format!("since {} {description}", since.0);
    Alert {
        title: text!("{} modified outside Fleetwarden", plural(count, "managed suppression")),
        description,
        next_steps: vec![
            "Change the policy instead: suppressions of live standing suppressions are restored as the policy has them."
                .into(),
            "Find who did it in CloudTrail: UpdateAuditSuppression and DeleteAuditSuppression.".into(),
        ],
        ..alert(Kind::SuppressionDrift, AlertSeverity::Medium, about)
    }
}

pub(super) fn dropped(why: &'static str, name: Option<&str>, count: u64, since: Millis) -> Alert {
    let count = plural(count, "suppression");
    let title = match name {
        Some(name) => text!("The standing suppression {} {}: deleting {}", name, Text::own(why), count),
        None => text!("Deleting {}: {}", count, Text::own(why)),
    };
    Alert {
        title,
        description: "This review deletes them. The next audit of their checks reports again what they hid.".into(),
        next_steps: vec![
            "If this is wrong, fix the policy or add the things to their group again. The next review creates the \
             suppressions again."
                .into(),
        ],
        ..alert(
            Kind::SuppressionDropped,
            AlertSeverity::Medium,
            format!("{} {count} since {}", name.unwrap_or_default(), since.0),
        )
    }
}

pub(super) fn made_by_hand(by_hand: &ByHand, since: Millis) -> Alert {
    let ByHand { suppressions, indefinite, examples } = by_hand;
    let (severity, ends) = match indefinite {
        0 => (AlertSeverity::Low, Text::default()),
        1 => (AlertSeverity::Medium, ", 1 never expires".into()),
        many => (AlertSeverity::Medium, text!(", {} never expire", many)),
    };
    Alert {
        title: text!("{} made by hand{}", plural(*suppressions, "suppression"), ends),
        description: text!("They have no owner.\n\nExamples: {}", Text::joined(examples, ", ")),
        next_steps: vec![
            "If they are needed, have a standing suppression with an owner and an end adopt them. Otherwise delete them."
                .into(),
            "Find who made them in CloudTrail: CreateAuditSuppression.".into(),
        ],
        ..alert(Kind::SuppressionByHand, severity, format!("{suppressions} since {}", since.0))
    }
}
