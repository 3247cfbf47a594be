//! What became of the findings of one message: counted, and logged once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::model::suppression::Words;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::timestamp::Millis;

/// What became of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The suppression was created, or would have been.
    Created,
    /// It was a rule's or had lapsed, and now says what the policy says, or would have.
    Updated,
    /// It already says what the policy says.
    Unchanged,
    /// It is in force, and was made by a person or by a standing suppression of the policy.
    LeftAlone,
    /// The policy of now decides otherwise, for this reason.
    Superseded(String),
    /// This later audit has looked at the check.
    Overtaken(String),
}

/// What became of the findings of one message.
#[derive(Default)]
pub(crate) struct Summary {
    created: u32,
    updated: u32,
    unchanged: u32,
    left_alone: u32,
    /// What the policy of now does not suppress as the message asks: how many, by reason.
    superseded: BTreeMap<String, u32>,
    /// The later audit that has looked at the check: it decides on the rest of the message.
    pub(crate) overtaken_by: Option<String>,
    /// What the service refuses however often it is asked, and why.
    pub(crate) refused: Vec<FindingRef>,
    pub(crate) reasons: BTreeSet<String>,
    /// The first failure that a retry may fix.
    pub(crate) failure: Option<Error>,
}

impl Summary {
    /// Counts a finding.
    pub(crate) fn count(
        &mut self,
        message: &SuppressionMessage,
        mode: Mode,
        finding: &FindingRef,
        result: Result<Effect, Error>,
    ) {
        let (check, id) = (&message.check, &finding.finding_id);
        let effect = match result {
            Ok(effect) => effect,
            Err(error) if error.is_permanent() => {
                self.refused.push(finding.clone());
                self.reasons.insert(error.to_string());
                return;
            }
            Err(error) => {
                tracing::warn!(%check, finding.id = id, error.name = error.name(), %error, "not suppressed yet: the message is retried");
                self.failure.get_or_insert(error);
                return;
            }
        };
        if let (Effect::Created | Effect::Updated, Mode::Observe) = (&effect, mode) {
            let call = if effect == Effect::Created { "create" } else { "update" };
            let Words { reason, owner, ticket } = &message.words;
            let (owner, ticket) = (owner.as_deref(), ticket.as_deref());
            tracing::info!(
                %check, finding.id = id, rule = message.rule, call, end = end(message), owner, ticket, reason,
                "would suppress"
            );
        }
        match effect {
            Effect::Created => self.created += 1,
            Effect::Updated => self.updated += 1,
            Effect::Unchanged => self.unchanged += 1,
            Effect::LeftAlone => {
                tracing::info!(%check, finding.id = id, "not changed: a suppression that no rule made is in force");
                self.left_alone += 1;
            }
            Effect::Superseded(why) => *self.superseded.entry(why).or_default() += 1,
            Effect::Overtaken(later) => self.overtaken_by = Some(later),
        }
    }

    /// How many findings need nothing more.
    pub(crate) fn done(&self) -> usize {
        let counts = [self.created, self.updated, self.unchanged, self.left_alone];
        let counts = counts.iter().chain(self.superseded.values());
        self.refused.len() + counts.map(|count| *count as usize).sum::<usize>()
    }

    /// Logs the counts. `policy` is the hash of the policy of now.
    pub(crate) fn log(&self, message: &SuppressionMessage, policy: &str, mode: Mode) {
        let (audit, check) = (&message.audit, &message.check);
        for (reason, findings) in &self.superseded {
            tracing::warn!(
                audit.task_id = %audit.task_id, %check, rule = message.rule, decided_by = message.policy, policy,
                findings, reason, "not suppressed: the current policy decides otherwise"
            );
        }
        if let Some(later) = &self.overtaken_by {
            tracing::info!(
                audit.task_id = %audit.task_id, %check, rule = message.rule, later_audit.task_id = later,
                findings = message.findings.len().saturating_sub(self.done()),
                "not suppressed: overtaken by a later audit, which decides on these findings"
            );
        }
        tracing::info!(
            audit.task_id = %audit.task_id,
            %check,
            rule = message.rule,
            ?mode,
            created = self.created,
            updated = self.updated,
            unchanged = self.unchanged,
            left_alone = self.left_alone,
            superseded = self.superseded.values().sum::<u32>(),
            refused = self.refused.len(),
            failed = self.failure.is_some(),
            "suppressions are applied"
        );
    }
}

/// The end as people read it.
fn end(message: &SuppressionMessage) -> String {
    message.expires_at.map_or_else(|| "never".to_owned(), |at| Millis::from_seconds(at).rfc3339())
}
