//! What travels on the queues between the functions. All of it is JSON.
//!
//! A consumer gets what it needs in its message and asks AWS for nothing that the sender knew: triage is the
//! only reader of findings.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;

use serde::Deserialize;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::alert::AlertSeverity;
use crate::check::CheckName;
use crate::finding::Finding;
use crate::finding::FindingKey;
use crate::finding::Severity;
use crate::history::Change;
use crate::history::Status;
use crate::policy::Decision;
use crate::policy::Mode;
use crate::policy::Outcome;
use crate::policy::Report;
use crate::suppression::FirstSuppressed;
use crate::thing::Things;
use crate::timestamp::Millis;

/// An audit that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// 12 digits.
    pub account: String,
    /// As `us-east-1`. The notification does not carry it; it is the region of the function.
    pub region: String,
    /// `[a-zA-Z0-9-]{1,40}`.
    pub task_id: String,
    /// The scheduled audit's name; none for one on demand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schedule: Option<String>,
    /// When the audit began.
    pub started_at: Millis,
}

/// Check queue: the findings of one check of one audit are to be triaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckMessage {
    /// The audit.
    pub audit: Audit,
    /// The check.
    pub check: CheckName,
    /// What the notification said does not comply.
    pub non_compliant: u64,
    /// What the notification said is suppressed. None if it did not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suppressed: Option<u64>,
    /// Where an earlier invocation stopped near its deadline. None at the start.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resume: Option<Resume>,
}

impl CheckMessage {
    /// Whether there is certainly nothing to list: then no call is made.
    pub fn is_surely_empty(&self) -> bool {
        self.non_compliant == 0 && self.suppressed == Some(0)
    }
}

/// Where triage goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// How often the check was restarted from its first page.
    #[serde(default)]
    pub restarts: u32,
    /// Whether pages from here on may have been sent before, by a try that stopped elsewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub repeated: bool,
    /// The service's token for the next page. None for the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_token: Option<String>,
    /// The number of the next page, from 0.
    pub page: u32,
    /// The pages whose findings each segment of the history holds: all before the next page.
    pub segments: Vec<Range<u32>>,
    /// What was counted so far. What is new, returned or fixed is counted at the end.
    pub tally: Tally,
    /// Findings that wait for their mitigation message to fill up.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pending: Vec<PendingMitigation>,
    /// The reason codes of the findings that one task for the whole check takes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reason_codes: Vec<String>,
}

/// Findings of one rule that wait until there are enough of them for one mitigation task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingMitigation {
    /// The rule that decided.
    pub rule: String,
    /// The hash of its policy, which another invocation may not have.
    pub policy: String,
    /// That policy's mode.
    pub mode: Mode,
    /// Its actions, in order.
    pub actions: Vec<String>,
    /// What waits: fewer than a task takes.
    pub findings: Vec<FindingRef>,
}

/// A finding by its two names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingRef {
    /// Its id in this audit.
    pub finding_id: String,
    /// Its identity across audits.
    pub key: FindingKey,
    /// Its past, by which a rule decided. None if a command names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub past: Option<Past>,
}

/// What the audits up to this one know of a finding, for a policy that decides on it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// When it was first seen.
    pub first_seen: Millis,
    /// In how many audits it was seen.
    pub times_seen: u32,
    /// Since when a rule had suppressed it for a length of time, before this audit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_suppressed: Option<FirstSuppressed>,
}

/// The most reason codes that are counted apart, and the longest, in characters: what triage counts travels in a
/// message from invocation to invocation.
const MAX_REASONS: usize = 50;
const MAX_REASON: usize = 128;
/// The most decisions that are counted apart: a check can have as many rules as a policy.
const MAX_DECISIONS: usize = 100;
/// The name under which the decisions of all further rules are counted: no rule can have it.
pub const OTHER_RULES: &str = "(other)";
/// The name under which all further reason codes are counted.
pub const OTHER_REASONS: &str = "(other)";

/// Counts of one check in one audit, by severity.
pub type Tally = BTreeMap<Severity, Counts>;

/// Counts of one check and severity in one audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Findings that count against compliance: all but the suppressed.
    pub non_compliant: u64,
    /// Findings that Device Defender had suppressed.
    pub suppressed: u64,
    /// Findings never seen before.
    pub new: u64,
    /// Findings that had been fixed and are back.
    pub returned: u64,
    /// Findings of the audits before that are gone.
    pub fixed: u64,
    /// Decided: suppress from the next audit on.
    pub suppress: u64,
    /// Decided: mitigate.
    pub mitigate: u64,
    /// Decided: report.
    pub reported: u64,
    /// Of these, by a rule that is silent: they weigh on no alert.
    #[serde(skip_serializing_if = "is_zero")]
    pub silent: u64,
    /// Of what is reported aloud, the severest alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loudest: Option<AlertSeverity>,
    /// Of what does not comply, when the oldest was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Millis>,
    /// What does not comply, by reason code; without one under the empty name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u64>,
    /// What does not comply, by the decision on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decided>,
}

/// How many findings one rule has decided on in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// The rule. None if no rule took them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// `suppress`, `mitigate` or `report`.
    pub outcome: String,
    /// The policy's mode: in `observe` nothing is done of it.
    pub mode: Mode,
    /// How many findings.
    pub findings: u64,
}

/// Adds to the count of a decision. Of more rules than a check ever had, the last are counted as one.
pub fn count_decision(
    decisions: &mut Vec<Decided>,
    rule: Option<&str>,
    outcome: &str,
    mode: Mode,
    more: u64,
) {
    let place = |decisions: &[Decided], rule: Option<&str>| {
        let same = |of: &Decided| of.rule.as_deref() == rule && of.outcome == outcome && of.mode == mode;
        decisions.iter().position(same)
    };
    let others = || Some(OTHER_RULES).filter(|_| decisions.len() >= MAX_DECISIONS);
    let rule = if place(decisions, rule).is_some() { rule } else { others().or(rule) };
    match place(decisions, rule).and_then(|at| decisions.get_mut(at)) {
        Some(decided) => decided.findings = decided.findings.saturating_add(more),
        None => {
            let rule = rule.map(ToOwned::to_owned);
            decisions.push(Decided { rule, outcome: outcome.to_owned(), mode, findings: more });
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// How many findings are reported aloud.
    pub const fn aloud(&self) -> u64 {
        self.reported.saturating_sub(self.silent)
    }

    /// How many findings an outcome was decided for while the mode was `observe`: nothing was done about them.
    pub fn observed(&self, outcome: &str) -> u64 {
        let observed = self.decisions.iter().filter(|of| of.outcome == outcome && of.mode == Mode::Observe);
        observed.map(|of| of.findings).sum()
    }

    /// Counts one finding with the rule that decided and the mode of its policy. What the finding is to the audits
    /// before is counted by [`change`](Self::change).
    pub fn count(&mut self, finding: &Finding, outcome: Outcome<'_>, rule: Option<&str>, mode: Mode) {
        let decided = match outcome {
            // What is suppressed counts as that and as nothing else: it never weighs on compliance.
            Outcome::Suppressed => {
                self.suppressed += 1;
                return;
            }
            Outcome::Suppress(_) => &mut self.suppress,
            Outcome::Mitigate(_) => &mut self.mitigate,
            Outcome::Report(report) => {
                match report {
                    Report::Silent => self.silent += 1,
                    Report::Alert(as_severe) => {
                        let alert = as_severe.unwrap_or(finding.severity.into());
                        self.loudest = Some(self.loudest.map_or(alert, |loudest| loudest.min(alert)));
                    }
                }
                &mut self.reported
            }
        };
        *decided += 1;
        self.non_compliant += 1;
        count_reason(&mut self.reasons, finding.reason_code.as_deref().unwrap_or_default(), 1);
        count_decision(&mut self.decisions, rule, outcome.word(), mode, 1);
    }

    /// Counts what an audit changes of a finding: known once the whole audit is compared with those before.
    pub fn change(tally: &mut Tally, change: Change) {
        match change {
            Change::Found { status, severity, first_seen } => {
                let counts = tally.entry(severity).or_default();
                match status {
                    Status::New => counts.new += 1,
                    Status::Returned => counts.returned += 1,
                    Status::Known => {}
                }
                counts.oldest = Some(counts.oldest.map_or(first_seen, |oldest| oldest.min(first_seen)));
            }
            Change::Fixed(severity) => tally.entry(severity).or_default().fixed += 1,
        }
    }

    /// The sum of two, with the older of the oldest.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (reason, count) in &other.reasons {
            count_reason(&mut self.reasons, reason, *count);
        }
        for Decided { rule, outcome, mode, findings } in &other.decisions {
            count_decision(&mut self.decisions, rule.as_deref(), outcome, *mode, *findings);
        }
        Self {
            non_compliant: self.non_compliant.saturating_add(other.non_compliant),
            suppressed: self.suppressed.saturating_add(other.suppressed),
            new: self.new.saturating_add(other.new),
            returned: self.returned.saturating_add(other.returned),
            fixed: self.fixed.saturating_add(other.fixed),
            suppress: self.suppress.saturating_add(other.suppress),
            mitigate: self.mitigate.saturating_add(other.mitigate),
            reported: self.reported.saturating_add(other.reported),
            silent: self.silent.saturating_add(other.silent),
            loudest: self.loudest.into_iter().chain(other.loudest).min(),
            oldest: self.oldest.into_iter().chain(other.oldest).min(),
            reasons: self.reasons,
            decisions: self.decisions,
        }
    }
}

/// Adds to the count of a reason code. Of more codes than a check ever had, the last are counted as one.
pub fn count_reason(reasons: &mut BTreeMap<String, u64>, reason: &str, more: u64) {
    let reason =
        reason.char_indices().nth(MAX_REASON).map_or(reason, |(end, _)| reason.get(..end).unwrap_or(reason));
    if let Some(count) = reasons.get_mut(reason) {
        *count = count.saturating_add(more);
        return;
    }
    let name = if reasons.len() < MAX_REASONS { reason } else { OTHER_REASONS };
    let count = reasons.entry(name.to_owned()).or_default();
    *count = count.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Report;

    #[test]
    fn reasons_are_counted_of_what_does_not_comply_and_never_without_bound() {
        let mut counts = Counts::default();
        let mut finding = crate::finding::tests::finding("f");
        let report = Outcome::Report(Report::Silent);
        for code in 0..1000 {
            finding.reason_code = Some(format!("{code:03}{}", "ü".repeat(1000)));
            counts.count(&finding, report, None, Mode::Observe);
            counts.count(&finding, Outcome::Suppressed, None, Mode::Observe);
        }
        finding.reason_code = None;
        counts.count(&finding, report, None, Mode::Observe);
        assert_eq!(counts.reasons.len(), MAX_REASONS + 1);
        assert_eq!(counts.reasons.get(OTHER_REASONS), Some(&951));
        assert!(counts.reasons.keys().all(|code| code.chars().count() <= MAX_REASON));
        let sum = counts.clone().plus(&counts);
        assert_eq!(sum.reasons.values().sum::<u64>(), sum.non_compliant);
        assert_eq!(sum.reasons.len(), counts.reasons.len());
    }

    #[test]
    fn decisions_are_counted_by_rule_outcome_and_mode_and_never_without_bound() {
        let (mut counts, mut others) = (Counts::default(), Counts::default());
        let finding = crate::finding::tests::finding("f");
        let report = Outcome::Report(Report::Silent);
        for rule in 0..1000 {
            let (rule, mode) =
                (format!("rule-{rule}"), if rule < 600 { Mode::Observe } else { Mode::Enforce });
            counts.count(&finding, report, Some(&rule), mode);
            others.count(&finding, report, None, mode);
            counts.count(&finding, Outcome::Suppressed, None, mode);
        }
        assert_eq!(counts.decisions.len(), MAX_DECISIONS + 2, "the others of each mode");
        let by_mode = |counts: &Counts| (counts.observed("report"), counts.observed("mitigate"));
        assert_eq!((by_mode(&counts), by_mode(&others)), ((600, 0), (600, 0)));
        let expected = [(Mode::Observe, 600), (Mode::Enforce, 400)].map(|(mode, findings)| Decided {
            rule: None,
            outcome: "report".into(),
            mode,
            findings,
        });
        assert_eq!(others.decisions, expected);
        let sum = counts.plus(&others);
        assert_eq!(sum.decisions.iter().map(|of| of.findings).sum::<u64>(), sum.non_compliant);
    }
}

/// Finding queue: something of one check to export. Findings stay the text that triage wrote.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportMessage<'a> {
    /// The audit.
    pub audit: Audit,
    /// The check.
    pub check: CheckName,
    /// What there is to export.
    #[serde(borrow)]
    pub export: Export<'a>,
}

/// What there is to export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Export<'a> {
    /// Findings of one page.
    Page {
        /// The page's number, from 0.
        page: u32,
        /// The part of the page, from 0: a page too large for a message is split.
        part: u32,
        /// Each a [`FindingRecord`].
        #[serde(borrow)]
        findings: Vec<&'a RawValue>,
    },
    /// The whole check was triaged.
    Summary(Tally),
}

/// A finding with its decision, as it stands in the log group and in the archive.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingRecord<'a> {
    /// Always `finding`, to be told from other events.
    pub kind: &'static str,
    /// 12 digits.
    pub account: &'a str,
    /// As `us-east-1`.
    pub region: &'a str,
    /// The audit task.
    pub task_id: &'a str,
    /// The scheduled audit's name; null for one on demand.
    pub schedule: Option<&'a str>,
    /// When the audit began, epoch milliseconds.
    pub audit_started_at: Millis,
    /// The identity across audits.
    pub key: FindingKey,
    /// New, known or returned.
    pub status: Status,
    /// When it was first seen, epoch milliseconds.
    pub first_seen: Millis,
    /// In how many audits it was seen, this one included.
    pub times_seen: u32,
    /// Since when a rule had suppressed it for a length of time, before this audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_suppressed: Option<FirstSuppressed>,
    /// The things behind its resource, if a rule asked for them.
    #[serde(skip_serializing_if = "Things::is_not_asked")]
    pub things: &'a Things,
    /// The finding.
    #[serde(flatten)]
    pub finding: &'a Finding,
    /// What was decided and why.
    pub decision: &'a Decision<'a, 'a>,
}

/// Suppression queue: findings of one check whose resources one rule suppresses. It is a request: the policy decides on
/// each finding again, and what it suppresses otherwise by then is left to the next audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionMessage {
    /// The audit.
    pub audit: Audit,
    /// The check.
    pub check: CheckName,
    /// The rule that decided.
    pub rule: String,
    /// The hash of its policy.
    pub policy: String,
    /// The policy's mode when it was decided.
    pub mode: Mode,
    /// The end that was decided, in seconds since the epoch. None means indefinitely.
    pub expires_at: Option<i64>,
    /// The description that was decided.
    pub description: String,
    /// Of which findings the resources are to be suppressed. Each has its past.
    pub findings: Vec<FindingRef>,
}

/// Mitigation queue: one mitigation task to start, or one to follow to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MitigationMessage {
    /// What is to be mitigated, and how.
    pub request: MitigationRequest,
    /// What comes next.
    pub step: Step,
    /// How often this step has been put off.
    #[serde(default)]
    pub waits: u32,
    /// Since when this step is put off. None: it has not been.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Millis>,
    /// Which message of its chain this is, if the step sent it to itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round: Option<Round>,
    /// Where the results of an ended task go on. None: they have not begun.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub results: Option<ResultsMark>,
}

/// How far the results of an ended task are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResultsMark {
    /// The service's token for the page. None for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// How many of its findings are written.
    pub done: u32,
    /// How often the list was begun again.
    pub restarts: u32,
    /// The ids of some findings that did not succeed, for the alert: what became of them is in the ledger.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

/// A message in the chain by which a step waits: each one sends the next. A message can be delivered twice and then
/// sends twice, so the ledger gives each number to one id, and what has another id ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// Its number, from 1.
    pub number: NonZeroU32,
    /// Which of the messages with this number it is. A message that is delivered again has the same id.
    pub id: String,
}

impl MitigationMessage {
    /// A message that nothing has put off.
    pub const fn new(request: MitigationRequest, step: Step) -> Self {
        Self { request, step, waits: 0, since: None, round: None, results: None }
    }
}

/// A mitigation of one check's findings. A task that a command asks for may have several checks: then there is one
/// request for each of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MitigationRequest {
    /// The audit. If a command names findings, it is that of the first.
    pub audit: Audit,
    /// The check.
    pub check: CheckName,
    /// Who asks for it: a member of its own, `rule` or `command`.
    #[serde(flatten)]
    pub origin: Origin,
    /// The policy's mode when it was decided.
    pub mode: Mode,
    /// The hash of the policy by which a rule decided. None of a command, which is no policy's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// One to five mitigation actions, in order.
    pub actions: Vec<String>,
    /// On which findings.
    pub target: Target,
}

/// Who asks for a mitigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// The rule of the policy that has this name.
    Rule(String),
    /// A person or a workflow, by a command that gave the task this id.
    Command(String),
}

impl Origin {
    /// The rule's name, if it is one.
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Command(_) => None,
        }
    }
}

/// On which findings a mitigation task works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// On these, 1 to 25.
    Findings(Vec<FindingRef>),
    /// On all of the check that are not suppressed, named by their reason codes, 1 to 25.
    #[serde(rename_all = "camelCase")]
    WholeCheck {
        /// Every reason code that the check's findings had; of a command, those that it names: none are all.
        reason_codes: Vec<String>,
        /// How many findings that was.
        count: u64,
    },
}

/// What is to be done with a mitigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Start the task.
    Start,
    /// Start the task: it came outside of the policy's windows and has been held.
    Held {
        /// Since when.
        since: Millis,
        /// Until when, as the ledger has it.
        until: Millis,
    },
    /// See whether the task has ended.
    Follow,
}
