//! What triage counts of a check: findings by severity, by reason code and by decision.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::model::finding::Finding;
use crate::model::history::Change;
use crate::model::history::Status;
use crate::model::severity::AlertSeverity;
use crate::model::severity::Severity;
use crate::policy::Kind;
use crate::policy::Mode;
use crate::policy::Report;
use crate::timestamp::Millis;

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
    /// Of what is reported with an alert, the severest alert.
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
    findings: u64,
) {
    let place = |decisions: &[Decided], rule: Option<&str>| {
        let same = |of: &Decided| of.rule.as_deref() == rule && of.outcome == outcome && of.mode == mode;
        decisions.iter().position(same)
    };
    let others = || Some(OTHER_RULES).filter(|_| decisions.len() >= MAX_DECISIONS);
    let rule = if place(decisions, rule).is_some() { rule } else { others().or(rule) };
    if let Some(decided) = place(decisions, rule).and_then(|at| decisions.get_mut(at)) {
        decided.findings = decided.findings.saturating_add(findings);
    } else {
        let rule = rule.map(ToOwned::to_owned);
        decisions.push(Decided { rule, outcome: outcome.to_owned(), mode, findings });
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// How many findings are reported with an alert.
    pub const fn alerted(&self) -> u64 {
        self.reported.saturating_sub(self.silent)
    }

    /// How many findings an outcome was decided for while the mode was `observe`: nothing was done about them.
    pub fn observed(&self, outcome: &str) -> u64 {
        let observed = self.decisions.iter().filter(|of| of.outcome == outcome && of.mode == Mode::Observe);
        observed.map(|of| of.findings).sum()
    }

    /// Counts one finding with the rule that decided and the mode of its policy. What the finding is to the audits
    /// before is counted by [`change`](Self::change).
    pub fn count(&mut self, finding: &Finding, decided: Kind, rule: Option<&str>, mode: Mode) {
        let count = match decided {
            // What is suppressed counts as that and as nothing else: it never weighs on compliance.
            Kind::Suppressed => {
                self.suppressed += 1;
                return;
            }
            Kind::Suppress => &mut self.suppress,
            Kind::Mitigate => &mut self.mitigate,
            Kind::Report(report) => {
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
        *count += 1;
        self.non_compliant += 1;
        count_reason(&mut self.reasons, finding.reason_code.as_deref().unwrap_or_default(), 1);
        count_decision(&mut self.decisions, rule, decided.word(), mode, 1);
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
        let mut finding = crate::model::finding::tests::finding("f");
        let report = Kind::Report(Report::Silent);
        for code in 0..1000 {
            finding.reason_code = Some(format!("{code:03}{}", "ü".repeat(1000)));
            counts.count(&finding, report, None, Mode::Observe);
            counts.count(&finding, Kind::Suppressed, None, Mode::Observe);
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
        let finding = crate::model::finding::tests::finding("f");
        let report = Kind::Report(Report::Silent);
        for rule in 0..1000 {
            let (rule, mode) =
                (format!("rule-{rule}"), if rule < 600 { Mode::Observe } else { Mode::Enforce });
            counts.count(&finding, report, Some(&rule), mode);
            others.count(&finding, report, None, mode);
            counts.count(&finding, Kind::Suppressed, None, mode);
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
