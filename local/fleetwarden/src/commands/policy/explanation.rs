//! A decision told to people: what happens, which rule decided, and why none before it did.

pub(super) mod alarm;
mod opening;
mod passed;

pub(crate) use opening::{Opening, Openings, alarm_openings, openings};
use passed::{passed_over, plain, seen};

use super::Source;
use super::guards::{Answer, Around, Asked, Guards};
use crate::output::{Layout, Table, wrapped};
use fleetwarden_core::message::record::RecordedDecision;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::model::suppression::Words;
use fleetwarden_core::model::thing::{Thing, Things, Wanted};
use fleetwarden_core::policy::{
    Decision, Effect, Hold, Mode, Outcome, Protection, Report, Rule, Shadow, Subject, Suppress,
};
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::visible;

/// The columns that `policy test` has beside its indentation, on the narrowest terminal that is usual.
pub(crate) const OF_TEST: Layout = Layout::Columns(76);
/// Before each line of a table.
const INDENT: &str = "  ";

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
    pub(crate) openings: Openings,
    /// What was decided when the finding was recorded, if it was.
    pub(crate) recorded: Option<&'a RecordedDecision>,
    /// What was taken for granted, because the finding does not say it.
    pub(crate) assumed: &'a str,
    /// What the operator says for the guards.
    pub(crate) around: &'a Around,
}

impl Explained<'_> {
    /// What the guards say of it, if a rule mitigates it.
    pub(crate) fn guards(&self) -> Option<Guards> {
        let (Outcome::Mitigate(mitigate), Some(rule)) = (self.decision.outcome, self.decision.rule) else {
            return None;
        };
        let finding = self.subject.finding;
        let label = finding.identifier().map_or_else(|| "it".to_owned(), resource);
        let asked = Asked {
            resource: finding.identifier(),
            label: &label,
            severity: Some(finding.severity),
            things: self.subject.things,
            ..Asked::of(self.source, rule, &self.openings.decided, self.around)
        };
        Some(asked.of_finding(mitigate).ask())
    }
}

/// What guards say, as a table.
pub(super) fn told_of_guards(guards: &Guards, layout: Layout) -> String {
    let mut table = Table::new(["guard", "says", "why"]);
    for Answer { guard, says, why } in &guards.answers {
        table.row([guard.clone(), says.word().to_owned(), why.clone()]);
    }
    format!("Guards, which are asked again right before the start:\n{}\n", laid_out(&table, layout))
}

/// The explanation: a sentence, what it rests on, and the rules before the one that decided.
pub(crate) fn text(told: &Explained<'_>, layout: Layout) -> String {
    let Explained { source, subject, decision, .. } = told;
    let rule = decision.rule.and_then(|name| source.policy.rules().iter().find(|rule| rule.name() == name));
    let mut table = Table::untitled(2);
    let mut row = |name: &str, text: String| {
        if !text.is_empty() {
            table.row([name.to_owned(), text]);
        }
    };
    row("rule", rule.map_or_else(|| no_rule(decision), |rule| decided(source, rule)));
    if let Some(held) = &decision.held {
        row("held", why_held(held));
    }
    row("windows", windows(&told.openings.decided));
    if let Some(Shadow { rule, held }) = decision.shadow {
        let would = sentence(Outcome::from(rule.effect()), told, &told.openings.shadow, "it");
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
    let mut text =
        format!("{}\n\n{}\n", wrapped(&headline(told), layout.of_text()), laid_out(&table, layout));
    let find = |name: &str| {
        let rule = told.source.policy.rules().iter().find(|rule| rule.name() == name)?;
        Some((rule.place().line, rule.is_live()))
    };
    let passed = passed_over(decision, find, seen, layout);
    if !passed.is_empty() {
        let before = if rule.is_some() { "before it " } else { "" };
        let head = format!("Rules {before}for this check, with the first condition that each fails on:");
        text = format!("{text}\n{head}\n{passed}\n");
    }
    match told.guards() {
        Some(guards) => format!("{text}\n{}", told_of_guards(&guards, layout)),
        None => text,
    }
}

/// What happens, and to what, in one sentence.
fn headline(told: &Explained<'_>) -> String {
    let finding = told.subject.finding;
    let resource = finding.identifier().map_or_else(|| "a finding without resource".to_owned(), resource);
    let first = sentence(told.decision.outcome, told, &told.openings.decided, &resource);
    if told.decision.wanted.is_nothing() {
        return first;
    }
    format!("{first} This is not final: more has to be known of the things behind it.")
}

fn sentence(outcome: Outcome<'_>, told: &Explained<'_>, opening: &Opening, resource: &str) -> String {
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
            match opening {
                Opening::AtOnce => format!("Apply {actions} to {resource} at once."),
                Opening::Open => format!("Apply {actions} to {resource} at once: a window is open."),
                Opening::At { opens, .. } => {
                    format!("Apply {actions} to {resource} when a window opens, at {}.", opens.rfc3339())
                }
                Opening::Never(_) => {
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

/// Why a mitigation does not begin at once.
fn windows(opening: &Opening) -> String {
    match opening {
        Opening::AtOnce | Opening::Open => String::new(),
        Opening::At { why, .. } | Opening::Never(why) => why.clone(),
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
fn why_held(held: &Hold<'_>) -> String {
    match held {
        Hold::ProtectedBy(by) => protection(by, ["a thing behind it", "a group of a thing behind it"]),
        Hold::ProtectionUnknown => {
            "the rule would mitigate, but things or groups are protected, and what is behind the resource is \
             unknown"
                .to_owned()
        }
        Hold::RuleUnknown(rule) => {
            format!("the rule would act, but {rule} comes first and cannot be evaluated")
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

/// A table's text, indented.
pub(crate) fn laid_out(table: &Table, layout: Layout) -> String {
    let within = Layout::Columns(u16::try_from(layout.of_text() - INDENT.len()).unwrap_or(u16::MAX));
    table.render(within).plain().lines().map(|line| format!("{INDENT}{line}")).collect::<Vec<_>>().join("\n")
}

fn lowered(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
