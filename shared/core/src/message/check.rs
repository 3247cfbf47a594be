//! Check queue: what triage reads.

use std::ops::Range;

use serde::Deserialize;
use serde::Serialize;

use super::audit::Audit;
use super::finding::FindingRef;
use super::tally::Tally;
use crate::ids::CheckName;
use crate::ids::check::valid_check;
use crate::model::mitigation::MAX_FINDINGS;
use crate::model::severity::Severity;
use crate::policy::Mode;

/// Check queue: the findings of one check of one audit are to be triaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckMessage {
    /// The audit.
    pub audit: Audit,
    /// The check.
    #[serde(deserialize_with = "valid_check")]
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
    /// Whether pages from here on may have been recorded before, by a try that stopped elsewhere.
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
    /// The hash of the policy that has decided on all pages so far. None if none has, or several have.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// Whether each finding goes into its task by its id, because not all pages were decided alike.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub by_id: bool,
}

impl Resume {
    /// Whether one task can take the whole check, as far as the pages before are concerned: this policy has decided on
    /// all of them.
    pub fn can_take_whole_check(&self, policy: &str) -> bool {
        !self.by_id && (self.page == 0 || self.policy.as_deref() == Some(policy))
    }
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
    /// What may go first. None: the rule has no canary.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub canary: Option<PendingCanary>,
}

/// The findings from which the first ones are taken: of all that a rule mitigates of a check, those with the lowest severity,
/// and of these those whose ids come first. As many as one task takes, so that there is a choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingCanary {
    /// How many findings there were.
    pub of: u64,
    /// The findings, the best first.
    pub first: Vec<(Severity, FindingRef)>,
}

impl PendingCanary {
    /// Takes a finding, and gives the one that does not go first because of it.
    pub fn take(&mut self, severity: Severity, finding: FindingRef) -> Option<FindingRef> {
        self.of = self.of.saturating_add(1);
        let rank = (risk(severity), finding.finding_id.as_str());
        let is_before =
            |(severity, known): &(Severity, FindingRef)| (risk(*severity), known.finding_id.as_str()) <= rank;
        let at = self.first.partition_point(is_before);
        self.first.insert(at, (severity, finding));
        if self.first.len() > MAX_FINDINGS { self.first.pop().map(|(_, finding)| finding) } else { None }
    }
}

/// How much there is to lose. What is unknown may be the worst.
const fn risk(severity: Severity) -> u8 {
    match severity {
        Severity::Low => 0,
        Severity::Medium => 1,
        Severity::High => 2,
        Severity::Critical => 3,
        Severity::Unknown => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::FindingKey;

    #[test]
    fn a_check_is_surely_empty_if_the_notification_counts_nothing() {
        let message = |counts: &str| -> CheckMessage {
            let audit =
                r#""audit":{"account":"123456789012","region":"us-east-1","taskId":"t","startedAt":1}"#;
            serde_json::from_str(&format!(r#"{{{audit},"check":"LOGGING_DISABLED_CHECK",{counts}}}"#))
                .unwrap()
        };
        for (counts, is_empty) in [
            (r#""nonCompliant":0,"suppressed":0"#, true),
            (r#""nonCompliant":0"#, false),
            (r#""nonCompliant":0,"suppressed":1"#, false),
            (r#""nonCompliant":1,"suppressed":0"#, false),
            (r#""nonCompliant":1"#, false),
        ] {
            assert_eq!(message(counts).is_surely_empty(), is_empty, "{counts}");
        }
    }

    proptest::proptest! {
        /// Whatever the order: each finding is in one part, and what goes first is the best there is.
        #[test]
        fn the_lowest_risk_goes_first_in_any_order(severities in proptest::collection::vec(0_usize..5, 0..60), turn in 0_usize..60) {
            let all: Vec<(Severity, FindingRef)> = severities.iter().enumerate().map(|(n, at)| {
                let finding = FindingRef { finding_id: format!("f-{n:02}"), key: FindingKey([0; 16]), past: None };
                (Severity::ALL[*at], finding)
            }).collect();
            let mut turned = all.clone();
            turned.rotate_left(turn.min(all.len()));
            let mut canary = PendingCanary::default();
            let mut parts: Vec<String> =
                turned.into_iter().filter_map(|(severity, finding)| canary.take(severity, finding)).map(|f| f.finding_id).collect();
            let mut best = all.clone();
            best.sort_by_key(|(severity, finding)| (risk(*severity), finding.finding_id.clone()));
            best.truncate(25);
            proptest::prop_assert_eq!(&canary.first, &best);
            proptest::prop_assert_eq!(canary.of, all.len() as u64);
            parts.extend(canary.first.into_iter().map(|(_, finding)| finding.finding_id));
            parts.sort_unstable();
            proptest::prop_assert_eq!(parts, all.into_iter().map(|(_, finding)| finding.finding_id).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_task_takes_the_whole_check_if_one_policy_has_decided_on_all_of_it() {
        let resume = |page, policy: Option<&str>, by_id| Resume {
            page,
            policy: policy.map(Into::into),
            by_id,
            ..Resume::default()
        };
        assert!(resume(0, None, false).can_take_whole_check("a"));
        assert!(resume(2, Some("a"), false).can_take_whole_check("a"));
        assert!(!resume(2, Some("b"), false).can_take_whole_check("a"));
        assert!(!resume(2, None, false).can_take_whole_check("a"));
        assert!(!resume(0, None, true).can_take_whole_check("a"));
        assert!(!resume(2, Some("a"), true).can_take_whole_check("a"));
    }
}
