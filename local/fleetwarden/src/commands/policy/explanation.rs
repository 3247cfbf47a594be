//! A decision told to people: what happens, which rule decided, and why none before it did.

pub(super) mod alarm;

use super::Source;
use crate::output::wrapped;
use anyhow::{Result, anyhow};
use comfy_table::{Cell, ContentArrangement, Table, presets};
use fleetwarden_core::message::record::RecordedDecision;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::model::suppression::Words;
use fleetwarden_core::model::thing::{Thing, Things, Wanted};
use fleetwarden_core::policy::{
    Decision, Effect, Held, Mode, Outcome, Policy, Protection, Report, Rule, Shadow, Subject, Suppress,
};
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::visible;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many columns a text takes at most: 100 where it is indented.
const WIDTH: u16 = 96;

/// What is told.
#[derive(Debug)]
pub(crate) struct Explained<'a> {
    /// The policy.
    pub(crate) source: &'a Source,
    /// What was decided on.
    pub(crate) subject: &'a Subject<'a>,
    /// What was decided.
    pub(crate) decision: &'a Decision<'a, 'a>,
    /// When mitigation can begin.
    pub(crate) opening: Opening,
    /// What was decided when the finding was recorded, if it was.
    pub(crate) recorded: Option<&'a RecordedDecision>,
    /// What was taken for granted, because the finding does not say it.
    pub(crate) assumed: &'a str,
}

/// When mitigation can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The policy has no windows.
    AtOnce,
    /// A window is open, or opens then.
    At {
        /// When it was asked.
        asked: Millis,
        /// When it can begin.
        opens: Millis,
    },
    /// No window opens for over a year.
    Never,
}

/// When mitigation can begin, asked at a moment.
///
/// # Errors
/// If the policy names a time zone that does not exist.
pub(crate) fn opening(policy: &Policy, asked: Millis) -> Result<Opening> {
    let Some(windows) = policy.windows() else { return Ok(Opening::AtOnce) };
    let calendar = windows.calendar().map_err(|error| anyhow!("the policy's windows: {}", error.what))?;
    Ok(match calendar.next_opening(asked) {
        Some(opens) => Opening::At { asked, opens },
        None => Opening::Never,
    })
}

/// The explanation: a sentence, what it rests on, and the rules before the one that decided.
pub(crate) fn text(told: &Explained<'_>) -> String {
    let Explained { source, subject, decision, .. } = told;
    let rule = decision.rule.and_then(|name| source.policy.rules().iter().find(|rule| rule.name() == name));
    let mut table = table();
    let mut row = |name: &str, text: String| {
        if !text.is_empty() {
            table.add_row([name.to_owned(), text]);
        }
    };
    row("rule", rule.map_or_else(|| no_rule(decision), |rule| decided(source, rule)));
    if let Some(held) = &decision.held {
        row("held", why_held(held));
    }
    if let Some(Shadow { rule, held }) = decision.shadow {
        let would = sentence(Outcome::from(rule.effect()), told, "it");
        let but = held.map(|held| format!("; it would be held: {}", why_held(&held))).unwrap_or_default();
        row("shadow", format!("{} would decide: {}{but}", named(source, rule), lowered(&would)));
    }
    row("finding", finding(subject));
    row("things", things(subject.things, decision.wanted));
    row("audit", audit(subject));
    row("recorded", told.recorded.map(recorded).unwrap_or_default());
    row("assumed", told.assumed.to_owned());
    row("mode", mode(source.policy.mode()).to_owned());
    row("policy", source.policy.hash().to_owned());
    let mut text = format!("{}\n\n{}\n", wrapped(&headline(told), WIDTH.into()), laid_out(&table));
    let find = |name: &str| {
        let rule = told.source.policy.rules().iter().find(|rule| rule.name() == name)?;
        Some((rule.place().line, rule.is_live()))
    };
    let passed = passed_over(decision, find, seen);
    if !passed.is_empty() {
        let before = if rule.is_some() { "before it " } else { "" };
        let head = format!("Rules {before}for this check, with the first condition that each fails on:");
        text = format!("{text}\n{head}\n{passed}\n");
    }
    text
}

/// What happens, and to what, in one sentence.
fn headline(told: &Explained<'_>) -> String {
    let finding = told.subject.finding;
    let resource = finding.identifier().map_or_else(|| "a finding without resource".to_owned(), resource);
    let first = sentence(told.decision.outcome, told, &resource);
    if told.decision.wanted.is_nothing() {
        return first;
    }
    format!("{first} This is not final: more has to be known of the things behind it.")
}

fn sentence(outcome: Outcome<'_>, told: &Explained<'_>, resource: &str) -> String {
    let Explained { subject, decision, .. } = told;
    match outcome {
        Outcome::Suppressed => {
            format!("Nothing to decide: {resource} was suppressed when the audit ran.")
        }
        Outcome::Suppress(suppress) => match suppress.ends_at(subject) {
            Some(end) => format!("Suppress {resource} until {}.", Millis::from_seconds(end).rfc3339()),
            None => format!("Suppress {resource} until somebody deletes the suppression."),
        },
        Outcome::Mitigate(mitigate) => {
            let actions = mitigate.actions.join(", then ");
            match told.opening {
                Opening::AtOnce => format!("Apply {actions} to {resource} at once."),
                Opening::At { asked, opens } if asked == opens => {
                    format!("Apply {actions} to {resource} at once: a window is open.")
                }
                Opening::At { opens, .. } => {
                    format!("Apply {actions} to {resource} when a window opens, at {}.", opens.rfc3339())
                }
                Opening::Never => {
                    format!("Apply {actions} to {resource}, but no window opens for over a year.")
                }
            }
        }
        Outcome::Report(Report::Silent) => format!("Count and export {resource}, and alert nobody."),
        Outcome::Report(Report::Alert(_)) => {
            let severity = alert(subject, outcome).map_or("medium", AlertSeverity::as_str);
            let held = if decision.held.is_some() { ", and leave it alone" } else { "" };
            format!("Report {resource} in an alert of severity {severity}{held}.")
        }
    }
}

/// How severe the alert of an outcome is; none if there is none.
pub(crate) fn alert(subject: &Subject<'_>, outcome: Outcome<'_>) -> Option<AlertSeverity> {
    match outcome {
        Outcome::Report(Report::Alert(severity)) => {
            Some(severity.unwrap_or_else(|| subject.finding.severity.into()))
        }
        _ => None,
    }
}

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
fn passed_over(
    decision: &impl Serialize,
    find: impl Fn(&str) -> Option<(u32, bool)>,
    seen: impl Fn(&str, &Value) -> String,
) -> String {
    let written = serde_json::to_value(decision).unwrap_or_default();
    let passed = written.get("passedOver").cloned().unwrap_or_default();
    let passed: Vec<Passed> = serde_json::from_value(passed).unwrap_or_default();
    if passed.is_empty() {
        return String::new();
    }
    let mut table = table();
    table.set_header(["line", "rule", "fails on", "value"].map(Cell::new));
    for Passed { rule, failed_on, saw, unknown } in passed {
        let found = find(&rule);
        let line = found.map(|(line, _)| line.to_string()).unwrap_or_default();
        let stage = if found.is_some_and(|(_, is_live)| !is_live) { " (shadow)" } else { "" };
        let saw = unknown.map_or_else(|| seen(&failed_on, &saw), |why| format!("unknown: {}", visible(&why)));
        table.add_row([line, format!("{rule}{stage}"), failed_on, saw]);
    }
    laid_out(&table)
}

/// The value that a condition looked at.
fn seen(condition: &str, saw: &Value) -> String {
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

fn plain(value: &Value) -> String {
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

fn no_rule(decision: &Decision<'_, '_>) -> String {
    match decision.outcome {
        Outcome::Suppressed => String::new(),
        _ => "none matches; what no rule matches is reported".to_owned(),
    }
}

/// A rule, where it stands, and what it does if that is not plain from the sentence.
fn decided(source: &Source, rule: &Rule) -> String {
    let why = match rule.effect() {
        Effect::Suppress(Suppress { words: Words { reason, owner, ticket }, .. }) => {
            let owner = owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
            let ticket = ticket.as_ref().map(|ticket| format!(", ticket {ticket}")).unwrap_or_default();
            visible(&format!(": {reason}{owner}{ticket}")).into_owned()
        }
        Effect::Mitigate(_) | Effect::Report(_) => String::new(),
    };
    format!("{}{why}", named(source, rule))
}

fn named(source: &Source, rule: &Rule) -> String {
    format!("{} ({}:{})", rule.name(), visible(&source.path.display().to_string()), rule.place().line)
}

/// Why a rule that would act does not.
fn why_held(held: &Held<'_>) -> String {
    match held {
        Held::ProtectedBy(by) => protection(by, ["a thing behind it", "a group of a thing behind it"]),
        Held::ProtectionUnknown => {
            "the rule would mitigate; things or groups are protected, and nobody knows what is behind the \
             resource"
                .to_owned()
        }
        Held::RuleUnknown(rule) => {
            format!("the rule would act; {rule} stands before it, and nobody knows whether that one matches")
        }
    }
}

/// That a protection keeps a rule from mitigating, given what the thing and its group are called.
fn protection(protection: &Protection<'_>, [thing, group]: [&str; 2]) -> String {
    let (what, pattern, key) = match protection {
        Protection::Thing(pattern) => (thing, pattern, "things"),
        Protection::Group(pattern) => (group, pattern, "groups"),
        Protection::Certificate(pattern) => ("the certificate", pattern, "certificates"),
        Protection::Policy(pattern) => ("the policy", pattern, "policies"),
    };
    format!("the rule would mitigate, and {what} is protected: '{}' of protect.{key}", visible(pattern))
}

/// The resource by the name of its kind.
fn resource(identifier: &ResourceIdentifier) -> String {
    let kind = match identifier.members().next() {
        Some(("account", _)) => "account",
        Some(("caCertificateId", _)) => "CA certificate",
        Some(("clientId", _)) => "client",
        Some(("cognitoIdentityPoolId", _)) => "identity pool",
        Some(("deviceCertificateArn" | "deviceCertificateId", _)) => "device certificate",
        Some(("iamRoleArn", _)) => "role",
        Some(("issuerCertificateSerialNumber" | "issuerCertificateSubject" | "issuerId", _)) => "issuer",
        Some(("policyName" | "policyVersionId", _)) => "policy",
        Some(("roleAliasArn", _)) => "role alias",
        _ => "resource",
    };
    format!("{kind} {}", visible(&identifier.label()))
}

fn finding(subject: &Subject<'_>) -> String {
    let finding = subject.finding;
    let id = if finding.finding_id.is_empty() {
        String::new()
    } else {
        format!("\n{}", visible(&finding.finding_id))
    };
    let reason =
        finding.reason_code.as_deref().map(|code| format!(", {}", visible(code))).unwrap_or_default();
    format!("{}, {}{reason}{id}", visible(finding.check.as_str()), finding.severity)
}

/// What is known of the things, a line each, and what would have to be looked up.
fn things(things: &Things, wanted: Wanted) -> String {
    let missing = match wanted {
        wanted if wanted.is_nothing() => None,
        Wanted { names: true, .. } => Some("which they are"),
        Wanted { groups: true, .. } => Some("their groups"),
        _ => Some("their types and attributes"),
    };
    let mut lines = match things {
        Things::NotAsked => Vec::new(),
        Things::Unknown { unknown } => vec![format!("unknown: {}", visible(unknown))],
        Things::Known(things) if things.is_empty() => vec!["none".to_owned()],
        Things::Known(things) => things.iter().map(thing).collect(),
    };
    lines.extend(missing.map(|what| format!("the functions look up {what} first; give them with --things")));
    lines.join("\n")
}

fn recorded(then: &RecordedDecision) -> String {
    let rule =
        then.rule.as_ref().map_or_else(|| "no rule".to_owned(), |rule| format!("rule {}", visible(rule)));
    format!("{} by {rule}, under the policy {}", visible(&then.outcome), visible(&then.policy))
}

fn thing(thing: &Thing) -> String {
    let mut parts = Vec::new();
    if let Some(described) = &thing.described {
        parts.extend(described.thing_type.as_ref().map(|of_type| format!("type {}", visible(of_type))));
        parts.extend(
            described.attributes.iter().map(|(name, value)| format!("{}={}", visible(name), visible(value))),
        );
    }
    if let Some(groups) = thing.groups.as_ref().filter(|groups| !groups.is_empty()) {
        parts.push(format!("in {}", visible(&groups.join(", "))));
    }
    if parts.is_empty() {
        return visible(&thing.name).into_owned();
    }
    format!("{}: {}", visible(&thing.name), parts.join("; "))
}

fn audit(subject: &Subject<'_>) -> String {
    let Subject { account, region, at, first_seen, times_seen, first_suppressed, .. } = subject;
    let place = [*account, *region]
        .iter()
        .filter(|text| !text.is_empty())
        .fold(String::new(), |place, text| format!("{place} {}", visible(text)));
    let place = if place.is_empty() { place } else { format!(" in{place}") };
    let seen = match times_seen {
        0 | 1 => "seen once".to_owned(),
        times => format!("seen {times} times since {}", first_seen.rfc3339()),
    };
    let suppressed = first_suppressed.map_or_else(String::new, |first| {
        format!("; first suppressed for a length of time at {}", first.at.rfc3339())
    });
    format!("{}{place}; {seen}{suppressed}", at.rfc3339())
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe: this is recorded and told, and nothing is changed",
        Mode::Enforce => "enforce: this is done",
    }
}

/// A table without lines.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table
}

/// A table's text.
pub(crate) fn laid_out(table: &Table) -> String {
    table.lines().map(|line| format!(" {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}

fn lowered(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
