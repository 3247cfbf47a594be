//! One message: up to 25 findings of one check, each handled whatever becomes of the others.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::batch;
use fleetwarden_aws::original_words;
use fleetwarden_aws::registry;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::model::suppression::Words;
use fleetwarden_core::model::suppression::Written;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::timestamp::Millis;

use crate::ApplySuppressions;
use crate::decide::Decided;
use crate::suppression::Outcome;
use crate::suppression::Wish;

/// What is left of an invocation when the work on a message is broken off, in milliseconds.
const MARGIN_MS: i64 = 5_000;

/// What a message asks for, for each of its findings.
pub(crate) struct Asked<'m> {
    pub(crate) message: &'m SuppressionMessage,
    /// Its words as Device Defender takes them.
    pub(crate) written: &'m Written<'m>,
    pub(crate) mode: Mode,
    /// Whether the ledger has the words as they were written.
    kept: bool,
}

/// What came of a message's findings.
#[derive(Default)]
struct Outcomes {
    created: u32,
    updated: u32,
    unchanged: u32,
    left_alone: u32,
    /// What the policy of now does not suppress as it was asked for: how many, by reason.
    superseded: BTreeMap<String, u32>,
    /// The later audit that has looked at the check: what is left of the message is its to decide on.
    overtaken_by: Option<String>,
    /// What the service refuses however often it is asked, and why.
    refused: Vec<FindingRef>,
    reasons: BTreeSet<String>,
    /// The first failure that time may heal.
    failed: Option<Error>,
}

impl ApplySuppressions {
    /// Handles one message.
    pub(crate) async fn message(&self, body: &str, deadline: Millis) -> Result<(), Error> {
        let message: SuppressionMessage = batch::parse_own("suppression message", body, &self.account)?;
        let now = self.consumer.clock.now();
        if let Some(end) = message.expires_at.filter(|end| *end <= now.seconds()) {
            let end = Millis::from_seconds(end).rfc3339();
            tracing::info!(
                audit.task_id = %message.audit.task_id, check = %message.check, rule = message.rule, end,
                findings = message.findings.len(), "not suppressed: the suppression's end is past"
            );
            return Ok(());
        }
        let mode = message.mode.safer(self.policy.mode());
        let left = deadline.0.saturating_sub(MARGIN_MS).saturating_sub(now.0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        if left.is_zero() {
            return Err(Error::Later("no time is left for the message".into()));
        }
        let mut outcomes = Outcomes::default();
        // A call that is broken off may have had its effect: the next delivery looks at what is there.
        let done = tokio::time::timeout(left, Box::pin(self.findings(&message, mode, &mut outcomes))).await;
        outcomes.log(&message, self.policy.hash(), mode);
        if done.is_err() {
            let (done, total) = (outcomes.done(), message.findings.len());
            return Err(Error::Later(format!("no time is left after {done} of {total} suppressions")));
        }
        // What failed brings the whole message back, and what is refused with it: it is parked once, at the end.
        if let Some(error) = outcomes.failed {
            return Err(error);
        }
        self.park(message, outcomes.refused, outcomes.reasons).await
    }

    async fn findings(&self, message: &SuppressionMessage, mode: Mode, outcomes: &mut Outcomes) {
        let (account, region) = (&message.audit.account, &message.audit.region);
        let registry = Registry::new(self.iot.clone(), registry::Pace::Patient, account, region);
        // Without this, each finding would be looked up before the first change finds it out.
        match self.ledger.later_audit(&message.audit, &message.check).await {
            Ok(later) => outcomes.overtaken_by = later,
            Err(error) => outcomes.failed = Some(error),
        }
        let written = Written::new(Maker::Rule(&message.rule), &message.words);
        let mut asked = Asked { message, written: &written, mode, kept: false };
        for finding in &message.findings {
            if outcomes.overtaken_by.is_some() {
                return;
            }
            let result = self.finding(&mut asked, finding, &registry).await;
            outcomes.count(message, mode, finding, result);
        }
    }

    async fn finding(
        &self,
        asked: &mut Asked<'_>,
        finding: &FindingRef,
        registry: &Registry,
    ) -> Result<Outcome, Error> {
        match self.decide(asked.message, finding, registry).await? {
            Decided::AsAsked(resource) => {
                if asked.mode == Mode::Enforce && !asked.kept {
                    original_words::keep(&self.ledger, asked.written).await?;
                    asked.kept = true;
                }
                Wish::new(self, asked, &resource).fulfil().await
            }
            Decided::Otherwise(why) => Ok(Outcome::Superseded(why)),
        }
    }

    /// Parks what is refused, alone, as a message that can be sent again once its reason is gone.
    async fn park(
        &self,
        message: SuppressionMessage,
        refused: Vec<FindingRef>,
        reasons: BTreeSet<String>,
    ) -> Result<(), Error> {
        if refused.is_empty() {
            return Ok(());
        }
        let reason = Vec::from_iter(reasons).join("; ");
        if refused.len() == message.findings.len() {
            return Err(Error::Input(reason));
        }
        let parked = SuppressionMessage { findings: refused, ..message };
        let body = serde_json::to_string(&parked).map_err(|e| Error::Input(e.to_string()))?;
        self.consumer.parking.park(&body, &reason).await?;
        tracing::error!(findings = parked.findings.len(), reason, "suppressions are parked");
        Ok(())
    }
}

impl Outcomes {
    fn count(
        &mut self,
        message: &SuppressionMessage,
        mode: Mode,
        finding: &FindingRef,
        result: Result<Outcome, Error>,
    ) {
        let (check, id) = (&message.check, &finding.finding_id);
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) if error.is_permanent() => {
                self.refused.push(finding.clone());
                self.reasons.insert(error.to_string());
                return;
            }
            Err(error) => {
                tracing::warn!(%check, finding.id = id, error.name = error.name(), %error, "not suppressed yet");
                self.failed.get_or_insert(error);
                return;
            }
        };
        if let (Outcome::Created | Outcome::Updated, Mode::Observe) = (&outcome, mode) {
            let call = if outcome == Outcome::Created { "create" } else { "update" };
            let Words { reason, owner, ticket } = &message.words;
            let (owner, ticket) = (owner.as_deref(), ticket.as_deref());
            tracing::info!(
                %check, finding.id = id, rule = message.rule, call, end = end(message), owner, ticket, reason,
                "would suppress"
            );
        }
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Updated => self.updated += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::LeftAlone => {
                tracing::info!(%check, finding.id = id, "left alone: a suppression that no rule made is in force");
                self.left_alone += 1;
            }
            Outcome::Superseded(why) => *self.superseded.entry(why).or_default() += 1,
            Outcome::Overtaken(later) => self.overtaken_by = Some(later),
        }
    }

    /// How many findings need nothing more.
    fn done(&self) -> usize {
        let counts = [self.created, self.updated, self.unchanged, self.left_alone];
        let counts = counts.iter().chain(self.superseded.values());
        self.refused.len() + counts.map(|count| *count as usize).sum::<usize>()
    }

    fn log(&self, message: &SuppressionMessage, policy: &str, mode: Mode) {
        let (audit, check) = (&message.audit, &message.check);
        for (reason, findings) in &self.superseded {
            tracing::warn!(
                audit.task_id = %audit.task_id, %check, rule = message.rule, decided_by = message.policy, policy,
                findings, reason, "not suppressed: the policy decides otherwise now"
            );
        }
        if let Some(later) = &self.overtaken_by {
            tracing::info!(
                audit.task_id = %audit.task_id, %check, rule = message.rule, later_audit = later,
                findings = message.findings.len().saturating_sub(self.done()),
                "not suppressed: a later audit decides on what is still there"
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
            failed = self.failed.is_some(),
            "suppressions are applied"
        );
    }
}

/// The end as people read it.
fn end(message: &SuppressionMessage) -> String {
    message.expires_at.map_or_else(|| "never".to_owned(), |at| Millis::from_seconds(at).rfc3339())
}
