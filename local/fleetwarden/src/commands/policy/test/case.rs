//! From a file of cases to what is decided on: times and words are read, and what a case does not say is filled in.

use super::checks::{self, Kind};
use super::expect::{self, Expectation};
use super::file;
use anyhow::Context as _;
use fleetwarden_core::check::{self, CheckName};
use fleetwarden_core::finding::{Finding, Severity};
use fleetwarden_core::policy::yaml::{self, Spanned};
use fleetwarden_core::policy::{Diagnostic, Place, Policy, Rule, Subject, did_you_mean};
use fleetwarden_core::resource::{NonCompliantResource, ResourceIdentifier};
use fleetwarden_core::suppression::FirstSuppressed;
use fleetwarden_core::thing::{Behind, Things};
use fleetwarden_core::timestamp::Millis;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The audit of a case that says no time: 2026-01-01T00:00:00Z.
const AT: Millis = Millis(1_767_225_600_000);

/// A file of cases.
#[derive(Debug)]
pub(super) struct Cases {
    policy: Option<String>,
    /// The cases, in order.
    pub(super) cases: Vec<Case>,
}

/// A case, ready to be decided on.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) expect: Vec<Expectation>,
    finding: Finding,
    account: String,
    region: String,
    at: Millis,
    first_seen: Millis,
    seen: u32,
    first_suppressed: Option<(Millis, Spanned<String>)>,
    things: Things,
}

impl Cases {
    /// The policy that the cases of a file are for.
    pub(super) fn policy_of(&self, file: &Path) -> PathBuf {
        let folder = file.parent().unwrap_or(Path::new(""));
        match &self.policy {
            Some(policy) => tidy(&folder.join(policy)),
            None => tidy(&folder.join("..").join(file.file_name().unwrap_or_default())),
        }
    }
}

/// A path without the `..` that take back what stands before them.
fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let named = matches!(out.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if named => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

impl Case {
    /// What a policy decides on.
    ///
    /// # Errors
    /// If a rule has suppressed the finding that suppresses nothing for a length of time.
    pub(super) fn subject(&self, policy: &Policy) -> anyhow::Result<Subject<'_>> {
        let first_suppressed = self.first_suppressed.as_ref().map(|(at, rule)| {
            let terms = policy.rules().iter().find(|of| of.name() == rule.value).and_then(Rule::terms);
            let line = rule.place.line;
            let terms = terms.with_context(|| {
                format!("line {line}: no rule '{}' suppresses for a length of time", rule.value)
            })?;
            Ok::<_, anyhow::Error>(FirstSuppressed { at: *at, terms })
        });
        Ok(Subject {
            finding: &self.finding,
            account: &self.account,
            region: &self.region,
            at: self.at,
            first_seen: self.first_seen,
            times_seen: self.seen,
            first_suppressed: first_suppressed.transpose()?,
            things: &self.things,
        })
    }
}

/// Reads a file of cases.
///
/// # Errors
/// What is wrong with it: the first value that is none of its type, or else everything.
pub(super) fn read(bytes: &[u8]) -> Result<Cases, Vec<Diagnostic>> {
    let file: file::File = yaml::read(bytes).map_err(|error| vec![error])?;
    let mut reader = Reader { errors: Vec::new() };
    if file.cases.value.is_empty() {
        reader.error(file.cases.place, "there is no case");
    }
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    let mut cases = Vec::with_capacity(file.cases.value.len());
    for entry in file.cases.value {
        let Spanned { place, value: name } = &entry.name;
        if let Some(line) = names.insert(name.clone(), place.line) {
            reader.error(*place, format!("the case in line {line} has this name already"));
        }
        cases.extend(reader.case(entry));
    }
    if reader.errors.is_empty() {
        return Ok(Cases { policy: file.policy.map(|policy| policy.value), cases });
    }
    reader.errors.sort();
    Err(reader.errors)
}

/// Gathers what is wrong.
pub(super) struct Reader {
    errors: Vec<Diagnostic>,
}

impl Reader {
    pub(super) fn error(&mut self, place: Place, what: impl Into<String>) {
        self.errors.push(Diagnostic::error(place, what));
    }

    /// A moment, or a day, which stands for its beginning in UTC.
    pub(super) fn time(&mut self, text: &Spanned<String>) -> Option<Millis> {
        let Spanned { place, value } = text;
        let time = Millis::parse(value).or_else(|| Millis::parse(&format!("{value}T00:00:00Z")));
        if time.is_none() {
            let what = format!("'{value}' is no time; write it as 2026-11-23T08:00:00Z or 2026-11-23");
            self.error(*place, what);
        }
        time
    }

    /// One of some words.
    pub(super) fn word(&mut self, text: &Spanned<String>, what: &str, allowed: &[&str]) -> Option<String> {
        if allowed.contains(&text.value.as_str()) {
            return Some(text.value.clone());
        }
        let near = did_you_mean(&text.value, allowed.iter().copied());
        let all = allowed.join(", ");
        self.error(text.place, format!("'{}' is no {what}{near} (allowed: {all})", text.value));
        None
    }

    fn case(&mut self, entry: file::Case) -> Option<Case> {
        // After an error some value stands in, so that the rest of the case is looked through too.
        let at = entry.at.as_ref().and_then(|text| self.time(text)).unwrap_or(AT);
        let expect = expect::read(self, entry.expect);
        let text = |text: Option<Spanned<String>>, default: &str| {
            text.map_or_else(|| default.to_owned(), |text| text.value)
        };
        let account = text(entry.finding.account, "123456789012");
        let region = text(entry.finding.region, "us-east-1");
        let first_seen = entry.finding.first_seen.as_ref().and_then(|text| self.time(text)).unwrap_or(at);
        let seen = entry.finding.seen.as_ref().map_or(1, |seen| seen.value);
        let first_suppressed = entry
            .finding
            .first_suppressed
            .and_then(|Spanned { value: first, .. }| Some((self.time(&first.at)?, first.rule)));
        if let Some(Spanned { place, value: 0 }) = entry.finding.seen {
            self.error(place, "a finding was seen once at least: in this audit");
        }
        let check = CheckName::new(&entry.finding.check.value);
        let Some(facts) = checks::facts(check.as_str()) else {
            let near = did_you_mean(check.as_str(), check::KNOWN);
            self.error(entry.finding.check.place, format!("'{check}' is no audit check{near}"));
            return None;
        };
        let words = Severity::ALL.map(Severity::as_str);
        let words = words.split_last().map_or(&[] as &[&str], |(_unknown, words)| words);
        let severity = entry.finding.severity.as_ref();
        let severity = severity.and_then(|word| self.word(word, "severity", words));
        let severity = severity.map_or(facts.severity, |word| Severity::parse(&word));
        let identifier = identifier(entry.finding.resource, facts.kind, &account);
        let behind = identifier.as_ref().map_or(Behind::Nothing, ResourceIdentifier::behind);
        let things = self.things(entry.things, &behind);
        let mut additional_info = BTreeMap::new();
        if let Some(expires) = entry.finding.expires.as_ref().and_then(|text| self.time(text)) {
            additional_info.insert("EXPIRATION_TIME".to_owned(), expires.0.to_string());
        }
        let resource = identifier.map(|resource_identifier| NonCompliantResource {
            resource_type: Some(text(entry.finding.r#type, facts.kind.resource_type())),
            resource_identifier,
            additional_info,
        });
        let finding = Finding {
            finding_id: String::new(),
            check,
            severity,
            found_at: at,
            resource,
            related: Vec::new(),
            reason_code: entry.finding.reason.map(|text| text.value).or(facts.reason.map(str::to_owned)),
            reason: None,
            suppressed: entry.finding.suppressed,
        };
        let Spanned { place, value: name } = entry.name;
        Some(Case {
            name,
            place,
            expect,
            finding,
            account,
            region,
            at,
            first_seen,
            seen,
            first_suppressed,
            things,
        })
    }

    /// What is known of the things: as much as the functions would know.
    fn things(&mut self, said: Option<Spanned<super::super::things::Said>>, behind: &Behind<'_>) -> Things {
        match (said, behind) {
            (Some(said), Behind::Certificate(_) | Behind::Client(_)) => said.value.0,
            (Some(said), Behind::Many | Behind::Nothing) => {
                let what = "nobody looks up things behind this resource; leave them out";
                self.error(said.place, what);
                Things::NotAsked
            }
            (None, Behind::Certificate(_) | Behind::Client(_)) => Things::Known(Vec::new()),
            (None, Behind::Many | Behind::Nothing) => Things::NotAsked,
        }
    }
}

fn identifier(
    said: Option<Spanned<file::OneOr<file::Identifier>>>,
    kind: Kind,
    account: &str,
) -> Option<ResourceIdentifier> {
    match said.map(|said| said.value) {
        Some(file::OneOr::One(none)) if none == "none" => None,
        Some(file::OneOr::One(label)) => Some(kind.identifier(&label)),
        Some(file::OneOr::More(members)) => Some(members.into()),
        None => Some(kind.identifier(&kind.example(account))),
    }
}
