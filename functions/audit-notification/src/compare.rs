//! A notification against the description of its audit by the service. Pure.

use std::collections::BTreeMap;

use fleetwarden_core::api::notification;
use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::CheckEnded;
use fleetwarden_core::api::notification::CheckStatus;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Piece;
use fleetwarden_core::untrusted::Text;

use crate::checks::Checks;

/// How far apart two starts have to be to differ, in milliseconds: the API may give the start in whole seconds.
const SAME_START_MS: u64 = 1_000;

/// What stands for a value that is not there.
const NONE: &str = "(none)";

/// A count of a check, if it has it.
type Count = fn(&CheckEnded) -> Option<u64>;

/// The counts of a check, by their names.
const COUNTS: [(&str, Count); 3] = [
    ("nonCompliantResourcesCount", |check| check.non_compliant_resources_count),
    ("totalResourcesCount", |check| check.total_resources_count),
    ("suppressedNonCompliantResourcesCount", |check| check.suppressed_non_compliant_resources_count),
];

/// Why an audit has not ended yet, if that is so. A check can end a moment later than its description shows.
pub(crate) fn not_ended(notified: &AuditEnded, described: &AuditEnded) -> Option<Text> {
    let status = &described.task_status;
    if !notification::has_ended(status) {
        return Some(text!("the status of the audit task is {}", word(status)));
    }
    let notified = checks(notified);
    let open = described.audit_details.iter().find(|check| {
        let notified = notified.get(&check.check).map(|check| check.status);
        check.status == CheckStatus::Unknown && notified.is_some_and(|status| status != CheckStatus::Unknown)
    });
    open.map(|check| text!("the status of {} is not that of a check that ended", check.check))
}

/// How a notification differs from the description. What the notification leaves out is not compared.
pub(crate) fn differences(notified: &AuditEnded, described: &AuditEnded) -> Vec<Text> {
    let mut found = Vec::new();
    let mut compare = |what: &dyn Piece, said: &str, is: &str| {
        if said != is {
            found.push(text!("{} is {}, not {}", what, word(is), word(said)));
        }
    };
    compare(&Text::own("taskStatus"), &notified.task_status, &described.task_status);
    compare(&Text::own("taskType"), &notified.task_type, &described.task_type);
    let [said, is] = [notified, described].map(|ended| ended.scheduled_audit_name.as_deref().unwrap_or(NONE));
    compare(&Text::own("scheduledAuditName"), said, is);
    let [Millis(said), Millis(is)] = [notified, described].map(|ended| ended.task_start_time);
    if said.abs_diff(is) >= SAME_START_MS {
        compare(&Text::own("taskStartTime"), &said.to_string(), &is.to_string());
    }
    let (mut said, is) = (checks(notified), checks(described));
    for (name, is) in is {
        let Some(said) = said.remove(name) else {
            compare(name, NONE, is.status.as_str());
            continue;
        };
        compare(&text!("the status of {}", name), said.status.as_str(), is.status.as_str());
        for (what, count) in COUNTS {
            if let Some(said) = count(said) {
                let is = count(is).unwrap_or_default();
                compare(&text!("{} of {}", Text::own(what), name), &said.to_string(), &is.to_string());
            }
        }
    }
    for (name, said) in said {
        compare(name, said.status.as_str(), NONE);
    }
    found
}

/// A value of a message as people may see it: the alphabet of a status, a name or a number, and nothing else.
fn word(value: &str) -> Text {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match value {
        NONE => Text::own(NONE),
        value if value.chars().all(plain) => text!("{}", value),
        _ => Text::own("another text"),
    }
}

/// The checks by name.
fn checks(ended: &AuditEnded) -> BTreeMap<&CheckName, &CheckEnded> {
    Checks::of(ended).all().map(|check| (&check.check, check)).collect()
}
