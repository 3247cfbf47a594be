//! Under another policy than the one that decided, a mitigation is decided on again, right before its start.
//!
//! It may have waited for weeks outside of the windows, or in the queue, and the policy that was deployed meanwhile may
//! protect the device, or have the rule no more. So each finding is looked up again with all that the policy asks for.
//! Its past is in the message: the policy of now decides as it would have at the audit. What it does not mitigate with
//! the same actions does not start, and neither does what nobody can say. Where the policy is the same, nothing is
//! asked.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::registry::Pace;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::listing::Listed;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::policy::Held;
use fleetwarden_core::policy::Outcome;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::thing::Things;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize as _;
use serde_json::Value;
use serde_json::json;

use crate::ApplyMitigations;

/// What is left of an invocation for all that comes after, in milliseconds.
const MARGIN_MS: i64 = 5_000;

/// What the policy of now makes of a mitigation.
#[derive(Debug)]
pub(crate) enum Anew {
    /// All of it is mitigated as it was decided.
    AsDecided,
    /// Some of it is.
    Part {
        /// What is.
        target: Target,
        /// What is not.
        left_out: Vec<FindingRef>,
        /// Why not.
        reason: String,
    },
    /// None of it is.
    Nothing {
        /// Why not.
        reason: String,
    },
    /// The time was up before that was known.
    OutOfTime,
}

impl ApplyMitigations {
    /// Decides on a mitigation again, if another policy has decided.
    ///
    /// # Errors
    /// If a finding cannot be looked up.
    pub(crate) async fn decide_anew(
        &self,
        request: &MitigationRequest,
        deadline: Millis,
    ) -> Result<Anew, Error> {
        if request.policy.as_deref() == Some(self.policy.hash()) {
            return Ok(Anew::AsDecided);
        }
        let left = deadline.0.saturating_sub(MARGIN_MS).saturating_sub(self.consumer.clock.now().0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        // On the heap: most mitigations never come here.
        let decided = tokio::time::timeout(left, Box::pin(self.decide(request))).await;
        decided.unwrap_or(Ok(Anew::OutOfTime))
    }

    async fn decide(&self, request: &MitigationRequest) -> Result<Anew, Error> {
        let hash = self.policy.hash();
        let findings = match &request.target {
            Target::Findings(findings) => findings,
            Target::WholeCheck { .. } => {
                return Ok(match self.policy.takes_whole_check(&request.check) {
                    Some((_, mitigate)) if mitigate.actions == request.actions => Anew::AsDecided,
                    _ => {
                        let reason = format!("policy {hash} does not mitigate the whole check in this way");
                        Anew::Nothing { reason }
                    }
                });
            }
        };
        let registry =
            Registry::new(self.iot.clone(), Pace::Patient, &request.audit.account, &request.audit.region);
        let (mut wanted, mut left_out, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for finding in findings.iter().filter(|finding| seen.insert(&finding.finding_id)) {
            if let Some(why) = self.unwanted(request, finding, &registry).await? {
                reasons.push(format!("{}: {why}", finding.finding_id));
                left_out.push(finding.clone());
            } else {
                wanted.push(finding.clone());
            }
        }
        if left_out.is_empty() {
            return Ok(Anew::AsDecided);
        }
        let (count, of) = (left_out.len(), seen.len());
        let reason =
            format!("policy {hash} does not mitigate {count} of {of} in this way: {}", reasons.join("; "));
        Ok(if wanted.is_empty() {
            Anew::Nothing { reason }
        } else {
            Anew::Part { target: Target::Findings(wanted), left_out, reason }
        })
    }

    /// Why a finding is not to be mitigated as it was decided, if it is not.
    async fn unwanted(
        &self,
        request: &MitigationRequest,
        finding: &FindingRef,
        registry: &Registry,
    ) -> Result<Option<String>, Error> {
        let Some(past) = finding.past else { return Ok(Some("its past is not known".to_owned())) };
        let described = self.iot.ask("DescribeAuditFinding", json!({"findingId": finding.finding_id})).await;
        let described: Value = match described {
            Err(Error::Aws { code, .. }) if code == "ResourceNotFoundException" => {
                return Ok(Some("it is gone".to_owned()));
            }
            described => described?,
        };
        let listed = described.get("finding").map(Listed::deserialize);
        let Some(Ok(listed)) = listed else { return Ok(Some("it cannot be read".to_owned())) };
        let found = listed.into_finding(&request.check, || finding.finding_id.clone());
        let subject = Subject {
            finding: &found,
            account: &request.audit.account,
            region: &request.audit.region,
            at: request.audit.started_at,
            first_seen: past.first_seen,
            times_seen: past.times_seen,
            first_suppressed: past.first_suppressed,
            things: &Things::NotAsked,
        };
        let wants = |things: &Things| self.policy.decide(&Subject { things, ..subject.clone() }).wanted;
        let things = registry.look_up(found.identifier(), wants).await;
        let subject = Subject { things: &things, ..subject.clone() };
        let decision = self.policy.decide(&subject);
        let unknown = if let Things::Unknown { unknown } = &things { unknown } else { "nobody looked it up" };
        let rule = decision.rule.unwrap_or_default();
        Ok(match (decision.held, decision.outcome) {
            (Some(Held::ProtectedBy(protection)), _) => Some(format!("it is protected by {protection}")),
            (Some(Held::ProtectionUnknown), _) => {
                Some(format!("nobody can say whether it is protected: {unknown}"))
            }
            (Some(Held::RuleUnknown(rule)), _) => {
                Some(format!("nobody can say whether rule {rule} takes it: {unknown}"))
            }
            (None, Outcome::Mitigate(mitigate)) if mitigate.actions == request.actions => None,
            (None, Outcome::Mitigate(_)) => Some(format!("rule {rule} mitigates it with other actions")),
            (None, Outcome::Suppressed) => Some("it is suppressed".to_owned()),
            (None, _) if rule.is_empty() => Some("no rule takes it".to_owned()),
            (None, outcome) => Some(format!("rule {rule} says {} now", outcome.word())),
        })
    }
}
