//! What should come out of a case, compared with what does.

pub(super) mod alarm;

use super::super::Source;
use super::super::explanation::{self, Explained, Opening};
use super::super::guards::{self, Guards, Stop};
use super::super::short::{OneOr, Reader};
use super::case::Case;
use super::file::{Expect, Guard as SaidGuard, Held as SaidHeld, Protection as SaidProtection};
use anyhow::Context as _;
use fleetwarden_core::model::mitigation::approval::Need;
use fleetwarden_core::policy::yaml::Spanned;
use fleetwarden_core::policy::{
    Decision, Hold, Outcome, Protection, Report, Rule, Subject, Suppress, lasting, seconds,
};
use fleetwarden_core::timestamp::Millis;
use std::fmt;

/// A key of `expect` with what it wants.
#[derive(Debug)]
pub(super) struct Expectation {
    key: Key,
    wanted: String,
}

/// The keys of `expect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Rule,
    Outcome,
    Actions,
    Until,
    Alert,
    Held,
    Shadow,
    Guard,
    Opens,
    Release,
    State,
    Again,
}

/// What a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Finding,
    Alarm,
}

impl Key {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Outcome => "outcome",
            Self::Actions => "actions",
            Self::Until => "until",
            Self::Alert => "alert",
            Self::Held => "held",
            Self::Shadow => "shadow",
            Self::Guard => "guard",
            Self::Opens => "opens",
            Self::Release => "release",
            Self::State => "state",
            Self::Again => "again",
        }
    }
}

/// Why a case failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// What came out otherwise than expected, one at least.
    pub(super) differences: Vec<Difference>,
    /// The explanation of what came out.
    pub(super) why: String,
}

/// One thing that came out otherwise than expected.
#[derive(Debug)]
pub(super) struct Difference {
    /// The key of `expect`.
    pub(super) key: &'static str,
    pub(super) expected: String,
    pub(super) got: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, expected, got } = self;
        write!(f, "{key}: expected {expected}, got {got}")
    }
}

/// Reads `expect`.
pub(super) fn read(reader: &mut Reader, entry: Spanned<Expect>, kind: Kind) -> Vec<Expectation> {
    let Spanned { place, value: entry } = entry;
    only_of(reader, &entry, kind);
    let mut out = Vec::new();
    let mut add = |key, wanted: Option<String>| out.extend(wanted.map(|wanted| Expectation { key, wanted }));
    let text = |text: Option<Spanned<String>>| text.map(|text| text.value);
    let mut nothing = true;
    let mut said = |is: bool| nothing &= !is;
    said(entry.rule.is_some() || entry.outcome.is_some() || entry.actions.is_some() || entry.until.is_some());
    said(entry.alert.is_some() || entry.held.is_some() || entry.shadow.is_some() || entry.opens.is_some());
    said(entry.release.is_some() || entry.state.is_some() || entry.again.is_some() || entry.guard.is_some());
    add(Key::Rule, text(entry.rule));
    let outcomes: &[&str] = match kind {
        Kind::Finding => &["suppress", "mitigate", "report", "suppressed"],
        Kind::Alarm => &["mitigate", "report", "verify"],
    };
    add(Key::Outcome, entry.outcome.and_then(|word| reader.word(&word, "outcome", outcomes)));
    add(
        Key::Actions,
        entry.actions.map(|actions| match actions.value {
            OneOr::One(action) => action,
            OneOr::More(actions) => actions.join(", "),
        }),
    );
    add(Key::Until, entry.until.and_then(|text| time_or(reader, text, &["indefinitely", "none"])));
    let alerts = ["critical", "high", "medium", "low", "silent", "none", "usual"];
    let known = if kind == Kind::Alarm { alerts.len() } else { alerts.len() - 1 };
    let alerts = alerts.get(..known).unwrap_or_default();
    add(Key::Alert, entry.alert.and_then(|word| reader.word(&word, "alert", alerts)));
    add(Key::Held, entry.held.and_then(|said| held(reader, said, kind)));
    add(Key::Shadow, text(entry.shadow));
    add(Key::Guard, entry.guard.and_then(|said| guard(reader, said)));
    add(Key::Opens, entry.opens.and_then(|text| time_or(reader, text, &["at once", "never", "none"])));
    add(Key::Release, entry.release.and_then(|text| length_or_none(reader, text)));
    let states = ["FALSE_POSITIVE", "BENIGN_POSITIVE", "TRUE_POSITIVE", "none"];
    add(Key::State, entry.state.and_then(|word| reader.word(&word, "verification state", &states)));
    add(Key::Again, entry.again.and_then(|text| length_or_none(reader, text)));
    if nothing {
        reader.error(place, "nothing is expected: say at least the rule or the outcome");
    }
    out
}

fn time_or(reader: &mut Reader, text: Spanned<String>, words: &[&str]) -> Option<String> {
    if words.contains(&text.value.as_str()) {
        return Some(text.value);
    }
    reader.time(&text).map(Millis::rfc3339)
}

/// Finds what only the other kind of case can expect.
fn only_of(reader: &mut Reader, entry: &Expect, kind: Kind) {
    let of_alarm = [&entry.release, &entry.state, &entry.again].into_iter().flatten();
    let (texts, what): (Vec<_>, _) = match kind {
        Kind::Finding => (of_alarm.collect(), "only an alarm is released, verified or decided on again"),
        Kind::Alarm => (entry.until.iter().collect(), "an alarm is never suppressed, and so until no time"),
    };
    for text in texts {
        reader.error(text.place, what);
    }
}

/// A length of time in the form in which decisions give it.
fn length_or_none(reader: &mut Reader, text: Spanned<String>) -> Option<String> {
    if text.value == "none" {
        return Some(text.value);
    }
    let length = seconds(&text.value).map_err(|what| reader.error(text.place, what)).ok()?;
    Some(lasting(length.saturating_mul(1000)))
}

/// What asks for an approval, in the order in which it is said.
const NEEDS: [Need; 6] =
    [Need::Always, Need::Severity, Need::Devices, Need::Connected, Need::OutsideOfWindow, Need::OverBudget];

fn guard(reader: &mut Reader, said: Spanned<OneOr<SaidGuard>>) -> Option<String> {
    let Spanned { place, value } = said;
    let named = match value {
        OneOr::One(value) => {
            let words = ["windows", "devices", "connections", "approval", "budget", "unknown", "none"];
            return reader.word(&Spanned { place, value }, "guard", &words);
        }
        OneOr::More(named) => named,
    };
    let needs = match (named.approval, named.budget) {
        (None, Some(budget)) => return Some(format!("budget {budget}")),
        (Some(OneOr::One(need)), None) => vec![need],
        (Some(OneOr::More(needs)), None) => needs,
        _ => {
            let what = "guard names one thing, as 'approval: severity' or 'budget: 10 in 1h'";
            reader.error(place, what);
            return None;
        }
    };
    let words = NEEDS.map(guards::key);
    let mut places = Vec::new();
    for value in needs {
        let word = reader.word(&Spanned { place, value }, "reason for an approval", &words)?;
        places.extend(words.iter().position(|of| *of == word));
    }
    places.sort_unstable();
    let needs: Vec<&str> = places.into_iter().filter_map(|at| words.get(at).copied()).collect();
    Some(format!("approval {}", needs.join(", ")))
}

fn held(reader: &mut Reader, said: Spanned<OneOr<SaidHeld>>, kind: Kind) -> Option<String> {
    let Spanned { place, value } = said;
    let both = match value {
        OneOr::One(value) => {
            let words = [
                "protectedBy",
                "protectionUnknown",
                "ruleUnknown",
                "none",
                "registrationUnknown",
                "ended",
                "nothingToMitigate",
                "nothingToVerify",
                "verified",
            ];
            let known = if kind == Kind::Alarm { words.len() } else { 4 };
            let words = words.get(..known).unwrap_or_default();
            return reader.word(&Spanned { place, value }, "reason to hold a rule", words);
        }
        OneOr::More(SaidHeld { protected_by, rule_unknown }) => (protected_by, rule_unknown),
    };
    let named = match both {
        (None, Some(rule)) => Some(format!("ruleUnknown {rule}")),
        (Some(SaidProtection { thing, group, certificate, policy }), None) => {
            let kinds =
                [("thing", thing), ("group", group), ("certificate", certificate), ("policy", policy)];
            let mut said = kinds.into_iter().filter_map(|(kind, pattern)| Some((kind, pattern?)));
            match (said.next(), said.next()) {
                (Some((kind, pattern)), None) => Some(format!("protectedBy {kind} {pattern}")),
                _ => None,
            }
        }
        _ => None,
    };
    if named.is_none() {
        let what = "held names one thing, as 'protectedBy: { group: safety }' or 'ruleUnknown: lab'";
        reader.error(place, what);
    }
    named
}

/// What came out otherwise than a case expects, given what came out by key.
fn differences(case: &Case, rules: &[&str], got: impl Fn(Key) -> String) -> Vec<Difference> {
    let mut differences = Vec::new();
    for Expectation { key, wanted } in &case.expect {
        let got = got(*key);
        let loose = matches!(key, Key::Held | Key::Guard) && got.split(' ').next() == Some(wanted);
        if got != *wanted && !loose {
            let unknown = matches!(key, Key::Rule | Key::Shadow)
                && wanted != "none"
                && !rules.contains(&wanted.as_str());
            let remark = if unknown { " (no rule has this name)" } else { "" };
            differences.push(Difference { key: key.as_str(), expected: format!("{wanted}{remark}"), got });
        }
    }
    differences
}

/// Compares a decision with what a case expects.
///
/// # Errors
/// If the policy names a time zone that does not exist.
pub(super) fn compare(
    source: &Source,
    case: &Case,
    subject: &Subject<'_>,
    decision: &Decision<'_, '_>,
) -> anyhow::Result<Option<Failure>> {
    let openings = explanation::openings(&source.policy, decision, subject.at)?;
    let rules: Vec<_> = source.policy.rules().iter().map(Rule::name).collect();
    let around = &case.around;
    around.check(&source.policy).with_context(|| format!("line {}: budgetUsed", case.place.line))?;
    let told = Explained { source, subject, decision, openings, recorded: None, assumed: "", around };
    let differences = differences(case, &rules, |key| match key {
        Key::Guard => stop(told.guards()),
        key => got(key, decision, subject, &told.openings.decided),
    });
    if differences.is_empty() {
        return Ok(None);
    }
    Ok(Some(Failure { differences, why: explanation::text(&told, explanation::OF_TEST) }))
}

/// What came out, in the words of `expect`.
fn got(key: Key, decision: &Decision<'_, '_>, subject: &Subject<'_>, opening: &Opening) -> String {
    let none = || "none".to_owned();
    match (key, decision.outcome) {
        (Key::Rule, _) => decision.rule.map_or_else(none, str::to_owned),
        (Key::Outcome, outcome) => outcome.word().to_owned(),
        (Key::Actions, Outcome::Mitigate(mitigate)) => mitigate.actions.join(", "),
        (Key::Until, Outcome::Suppress(suppress)) => until(suppress, subject),
        (Key::Alert, Outcome::Report(Report::Silent)) => "silent".to_owned(),
        (Key::Alert, outcome) => {
            explanation::alert(subject, outcome).map_or_else(none, |severity| severity.as_str().to_owned())
        }
        (Key::Held, _) => decision.held.as_ref().map_or_else(none, why_held),
        (Key::Shadow, _) => decision.shadow.map_or_else(none, |shadow| shadow.rule.name().to_owned()),
        (Key::Opens, Outcome::Mitigate(_)) => opens(opening),
        (Key::Actions | Key::Until | Key::Guard | Key::Opens | Key::Release | Key::State | Key::Again, _) => {
            none()
        }
    }
}

/// The guard that stops a mitigation first, if there is one to be stopped.
fn stop(guards: Option<Guards>) -> String {
    guards.map_or_else(|| Stop::None.word(), |guards| guards.stop.word())
}

fn opens(opening: &Opening) -> String {
    match opening {
        Opening::AtOnce | Opening::Open => "at once".to_owned(),
        Opening::At { opens, .. } => opens.rfc3339(),
        Opening::Never(_) => "never".to_owned(),
    }
}

fn until(suppress: &Suppress, subject: &Subject<'_>) -> String {
    let end = suppress.ends_at(subject);
    end.map_or_else(|| "indefinitely".to_owned(), |end| Millis::from_seconds(end).rfc3339())
}

fn why_held(held: &Hold<'_>) -> String {
    match held {
        Hold::ProtectedBy(by) => protected_by(by),
        Hold::ProtectionUnknown => "protectionUnknown".to_owned(),
        Hold::RuleUnknown(rule) => format!("ruleUnknown {rule}"),
    }
}

fn protected_by(by: &Protection<'_>) -> String {
    match by {
        Protection::Thing(pattern) => format!("protectedBy thing {pattern}"),
        Protection::Group(pattern) => format!("protectedBy group {pattern}"),
        Protection::Certificate(pattern) => format!("protectedBy certificate {pattern}"),
        Protection::Policy(pattern) => format!("protectedBy policy {pattern}"),
    }
}
