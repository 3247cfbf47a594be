//! The rules that a decision passed over, each with the condition that it fails on.

use super::laid_out;
use crate::output::{Layout, Table};
use fleetwarden_core::untrusted::visible;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A rule that was passed over, as a decision is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Passed {
    rule: String,
    failed_on: String,
    #[serde(default)]
    saw: Value,
    unknown: Option<String>,
}

/// The rules before the one that decided, each with the condition that it fails on, as a table; empty if none. `find` gives
/// the line of a rule and whether it decides, and `seen` says what a condition looked at.
pub(super) fn passed_over(
    decision: &impl Serialize,
    find: impl Fn(&str) -> Option<(u32, bool)>,
    seen: impl Fn(&str, &Value) -> String,
    layout: Layout,
) -> String {
    let written = serde_json::to_value(decision).unwrap_or_default();
    let passed = written.get("passedOver").cloned().unwrap_or_default();
    let passed: Vec<Passed> = serde_json::from_value(passed).unwrap_or_default();
    if passed.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["line", "rule", "fails on", "value"]);
    for Passed { rule, failed_on, saw, unknown } in passed {
        let found = find(&rule);
        let line = found.map(|(line, _)| line.to_string()).unwrap_or_default();
        let stage = if found.is_some_and(|(_, is_live)| !is_live) { " (shadow)" } else { "" };
        let saw = unknown.map_or_else(|| seen(&failed_on, &saw), |why| format!("unknown: {}", visible(&why)));
        table.row([line, format!("{rule}{stage}"), failed_on, saw]);
    }
    laid_out(&table, layout)
}

/// The value that a condition looked at.
pub(super) fn seen(condition: &str, saw: &Value) -> String {
    match (condition, saw) {
        ("except", _) => "the exception holds".to_owned(),
        ("for", Value::Null) => "the suppression by a rule before it has lapsed".to_owned(),
        ("for", day) => {
            format!("its suppression lapsed on {}; another ticket, reason or length renews it", plain(day))
        }
        ("until", day) => format!("{}, and the suppression has ended", plain(day)),
        ("resource", Value::Null) => "the finding names none".to_owned(),
        ("expiresWithin", Value::Null) => "the finding says nothing of an expiry".to_owned(),
        ("seenAtLeast", Value::Number(times)) if times.as_u64() == Some(1) => "seen once".to_owned(),
        ("seenAtLeast", times) => format!("seen {} times", plain(times)),
        ("olderThan", age) => format!("{} old", plain(age)),
        (_, Value::Array(things)) if things.is_empty() => "there is no thing behind it".to_owned(),
        (_, Value::String(text)) if text.is_empty() => "not given".to_owned(),
        (_, Value::Null) => "none".to_owned(),
        (_, Value::Array(things)) => things.iter().map(plain).collect::<Vec<_>>().join("; "),
        (_, value) => plain(value),
    }
}

pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => visible(text).into_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(members) if members.is_empty() => "none".to_owned(),
        Value::Object(members) => {
            let pairs = members.iter().map(|(name, value)| format!("{}={}", visible(name), plain(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}
