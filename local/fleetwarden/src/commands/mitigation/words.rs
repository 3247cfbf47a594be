//! What is told of a mitigation task, in words. Names and reasons come from outside: none of them commands a terminal.

use crate::output::counted;
use fleetwarden_core::model::mitigation::Outcomes;
use fleetwarden_core::model::mitigation::view::{CheckTask, Task};
use fleetwarden_core::untrusted::visible;

/// Who asked for a task. Of a request that is malformed the ledger does not say.
pub(super) fn asker(task: &Task) -> Option<String> {
    match (&task.rule, task.origin.as_deref()) {
        (Some(rule), _) => Some(format!("rule {}", visible(rule))),
        (None, Some("command")) => Some("a command".to_owned()),
        (None, _) => None,
    }
}

/// Names, with commas between them.
pub(super) fn names(names: &[String]) -> String {
    names.iter().map(|name| visible(name)).collect::<Vec<_>>().join(", ")
}

/// A check with how many of its findings.
pub(super) fn check(name: &str, of: &CheckTask) -> String {
    let name = visible(name);
    match (of.whole_check, of.reason_codes.is_empty()) {
        (false, _) => format!("{name}: {}", counted(of.count, "finding")),
        (true, true) => format!("{name}: all of its findings"),
        (true, false) => {
            format!("{name}: all of its findings for {} ({} at the time)", names(&of.reason_codes), of.count)
        }
    }
}

/// How findings ended.
pub(super) fn outcomes(of: Outcomes) -> String {
    let parts = [
        (of.failed, "failed"),
        (of.canceled, "canceled"),
        (of.skipped, "skipped"),
        (of.succeeded, "succeeded"),
    ];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if told.is_empty() { "none was acted on".to_owned() } else { told.join(", ") }
}

/// A length of time.
pub(super) fn length(seconds: i64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0);
    let (unit, word) = unit.unwrap_or((1, "second"));
    counted(u64::try_from(seconds / unit).unwrap_or_default(), word)
}
