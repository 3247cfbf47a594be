//! One message: up to 25 resources of one check, each handled whatever becomes of the others.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::batch;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::resource::ResourceIdentifier;
use fleetwarden_core::timestamp::Millis;

use crate::ApplySuppressions;
use crate::suppression::Outcome;
use crate::suppression::Wish;

/// No resource is begun when less than this is left, in milliseconds: three calls with their retries.
const MARGIN_MS: i64 = 5_000;

/// What came of a message's resources.
#[derive(Default)]
struct Outcomes {
    created: u32,
    updated: u32,
    unchanged: u32,
    left_alone: u32,
    /// What the service refuses however often it is asked, and why.
    refused: Vec<ResourceIdentifier>,
    reasons: BTreeSet<String>,
    /// The first failure that time may heal.
    failed: Option<Error>,
}

impl ApplySuppressions {
    /// Handles one message.
    pub(crate) async fn message(&self, body: &str, deadline: Millis) -> Result<(), Error> {
        let message: SuppressionMessage = batch::parse("suppression message", body)?;
        message.audit.verify(&self.account, &message.check).map_err(Error::Input)?;
        let now = self.consumer.clock.now();
        if let Some(end) = message.expires_at.filter(|end| *end <= now.seconds()) {
            let end = Millis::from_seconds(end).rfc3339();
            tracing::info!(
                audit.task_id = message.audit.task_id, check = %message.check, rule = message.rule, end,
                resources = message.resources.len(), "not suppressed: the suppression's end is past"
            );
            return Ok(());
        }
        let mode = message.mode.safer(self.policy_mode);
        let outcomes = self.resources(&message, mode, deadline).await?;
        outcomes.log(&message, mode);
        // What failed brings the whole message back, and what is refused with it: it is parked once, at the end.
        if let Some(error) = outcomes.failed {
            return Err(error);
        }
        self.park(message, outcomes.refused, outcomes.reasons).await
    }

    async fn resources(
        &self,
        message: &SuppressionMessage,
        mode: Mode,
        deadline: Millis,
    ) -> Result<Outcomes, Error> {
        let mut outcomes = Outcomes::default();
        for (done, resource) in message.resources.iter().enumerate() {
            let now = self.consumer.clock.now();
            if now.0 > deadline.0 - MARGIN_MS {
                let total = message.resources.len();
                return Err(Error::Later(format!("no time is left after {done} of {total} suppressions")));
            }
            // The service has kinds of resource that this version cannot name yet.
            let result = if resource.is_empty() {
                Err(Error::Input("a resource without any member that is known here".into()))
            } else {
                Wish::new(message, resource, mode, now.seconds()).fulfil(&self.iot).await
            };
            outcomes.count(message, mode, resource, result);
        }
        Ok(outcomes)
    }

    /// Parks what is refused, alone, as a message that can be sent again once its reason is gone.
    async fn park(
        &self,
        message: SuppressionMessage,
        refused: Vec<ResourceIdentifier>,
        reasons: BTreeSet<String>,
    ) -> Result<(), Error> {
        if refused.is_empty() {
            return Ok(());
        }
        let reason = Vec::from_iter(reasons).join("; ");
        if refused.len() == message.resources.len() {
            return Err(Error::Input(reason));
        }
        let parked = SuppressionMessage { resources: refused, ..message };
        let body = serde_json::to_string(&parked).map_err(|e| Error::Input(e.to_string()))?;
        self.consumer.parking.park(&body, &reason).await?;
        tracing::error!(resources = parked.resources.len(), reason, "suppressions are parked");
        Ok(())
    }
}

impl Outcomes {
    fn count(
        &mut self,
        message: &SuppressionMessage,
        mode: Mode,
        resource: &ResourceIdentifier,
        result: Result<Outcome, Error>,
    ) {
        let (check, label) = (&message.check, resource.label());
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) if error.is_permanent() => {
                self.refused.push(resource.clone());
                self.reasons.insert(error.to_string());
                return;
            }
            Err(error) => {
                tracing::warn!(%check, resource = %label, error.name = error.name(), %error, "not suppressed yet");
                self.failed.get_or_insert(error);
                return;
            }
        };
        *match outcome {
            Outcome::Created => &mut self.created,
            Outcome::Updated => &mut self.updated,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::LeftAlone => &mut self.left_alone,
        } += 1;
        match (outcome, mode) {
            (Outcome::LeftAlone, _) => {
                tracing::info!(%check, resource = %label, "left alone: somebody suppressed it by hand");
            }
            (Outcome::Created | Outcome::Updated, Mode::Observe) => {
                let call = if outcome == Outcome::Created { "create" } else { "update" };
                tracing::info!(
                    %check, resource = %label, rule = message.rule, call, end = end(message),
                    description = message.description, "would suppress"
                );
            }
            _ => {}
        }
    }

    fn log(&self, message: &SuppressionMessage, mode: Mode) {
        tracing::info!(
            audit.task_id = message.audit.task_id,
            check = %message.check,
            rule = message.rule,
            ?mode,
            created = self.created,
            updated = self.updated,
            unchanged = self.unchanged,
            left_alone = self.left_alone,
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
