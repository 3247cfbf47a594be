//! Right before its start each mitigation is decided on again, whatever its message says.
//!
//! A message is a request: it can be forged, and it can have waited for weeks outside of the windows, for room or on a
//! dead-letter queue, while a device became protected, left a group, or a rule was changed. So each finding is looked up
//! again with all that the policy asks for, and the policy of now decides as it would have at the audit. What it does
//! not mitigate with the same actions does not start, and neither does what is unknown. The hash of the policy that
//! decided is no shortcut: the message says it, and what stands behind a finding changes under the same policy, too.
//!
//! It costs a call a finding (`DescribeAuditFinding`, 25 a second for the account), and what the policy wants to know of
//! things. `ListAuditFindings` would give 250 findings a call, but not these: a group of 25 can stand on any page, and
//! its 10 calls a second are what triage lives on.
//!
//! The past of a finding (first seen, times seen, first suppressed) is what only the message says: Device Defender gives
//! each audit's finding a new id, and the check's history is an object of all its findings, too large to read for each
//! task. A false past can have a rule of this policy take a finding earlier than its `olderThan` or `seenAtLeast` says,
//! with the actions of that rule, and nothing else: what is protected, gone, suppressed or of another audit stays out
//! whatever its past.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::registry::Pace;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::Held;
use fleetwarden_core::policy::Outcome;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::timestamp::Millis;

use crate::ApplyMitigations;
use crate::described::Described;

/// What is left of an invocation for all that comes after, in milliseconds.
const MARGIN_MS: i64 = 5_000;

/// What the policy of now makes of a mitigation.
#[derive(Debug)]
pub(crate) enum Revalidated {
    /// All of it is mitigated as it was decided.
    All,
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
    /// Decides on a mitigation again.
    ///
    /// # Errors
    /// If a finding cannot be looked up.
    pub(crate) async fn revalidate(
        &self,
        request: &MitigationRequest,
        deadline: Millis,
    ) -> Result<Revalidated, Error> {
        let left = deadline.0.saturating_sub(MARGIN_MS).saturating_sub(self.consumer.clock.now().0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        let decided = tokio::time::timeout(left, Box::pin(self.decide(request))).await;
        decided.unwrap_or(Ok(Revalidated::OutOfTime))
    }

    async fn decide(&self, request: &MitigationRequest) -> Result<Revalidated, Error> {
        let hash = self.policy.hash();
        let findings = match &request.target {
            Target::Findings(findings) => findings,
            Target::WholeCheck { .. } => {
                return Ok(match self.policy.takes_whole_check(&request.check) {
                    Some((_, mitigate)) if mitigate.actions == request.actions => Revalidated::All,
                    _ => {
                        let reason = format!("policy {hash} does not mitigate the whole check in this way");
                        Revalidated::Nothing { reason }
                    }
                });
            }
        };
        let registry = Registry::new(self.iot.clone(), Pace::Patient, &self.account, &self.iot.region());
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
            return Ok(Revalidated::All);
        }
        let (count, of) = (left_out.len(), seen.len());
        let reason =
            format!("policy {hash} does not mitigate {count} of {of} in this way: {}", reasons.join("; "));
        Ok(if wanted.is_empty() {
            Revalidated::Nothing { reason }
        } else {
            Revalidated::Part { target: Target::Findings(wanted), left_out, reason }
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
        let (found, at) = match self.describe_finding(request, &finding.finding_id).await? {
            Described::Found(found, at) => (found, at),
            Described::Not(why) => return Ok(Some(why.to_owned())),
        };
        let subject = Subject {
            finding: &found,
            account: &self.account,
            region: &self.iot.region(),
            at: at.unwrap_or(request.audit.started_at),
            first_seen: past.first_seen,
            times_seen: past.times_seen,
            first_suppressed: past.first_suppressed,
            things: &Things::NotAsked,
        };
        let wants = |things: &Things| self.policy.decide(&Subject { things, ..subject.clone() }).wanted;
        let things = registry.look_up(found.identifier(), wants).await;
        let subject = Subject { things: &things, ..subject.clone() };
        let decision = self.policy.decide(&subject);
        let unknown =
            if let Things::Unknown { unknown } = &things { unknown } else { "it was not looked up" };
        let rule = decision.rule.unwrap_or_default();
        Ok(match (decision.held, decision.outcome) {
            (Some(Held::ProtectedBy(protection)), _) => Some(format!("it is protected by {protection}")),
            (Some(Held::ProtectionUnknown), _) => {
                Some(format!("whether it is protected is unknown: {unknown}"))
            }
            (Some(Held::RuleUnknown(rule)), _) => Some(format!("rule {rule} cannot be evaluated: {unknown}")),
            (None, Outcome::Mitigate(mitigate)) if mitigate.actions == request.actions => None,
            (None, Outcome::Mitigate(_)) => Some(format!("rule {rule} mitigates it with other actions")),
            (None, Outcome::Suppressed) => Some("it is suppressed".to_owned()),
            (None, _) if rule.is_empty() => Some("no rule takes it".to_owned()),
            (None, outcome) => Some(format!("rule {rule} says {} now", outcome.word())),
        })
    }
}
