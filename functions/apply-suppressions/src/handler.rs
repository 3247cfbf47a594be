//! A batch of suppression messages: each with up to 25 findings of one check, of which each is handled whatever becomes of
//! the others.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::original_words;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::pause;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::registry::Registry;
use fleetwarden_aws::settings::Common;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::model::suppression::Written;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::LambdaEvent;

use crate::plan::Wish;
use crate::revalidate::Revalidation;
use crate::revalidate::Verdict;
use crate::summary::Effect;
use crate::summary::Summary;
use crate::suppression::Suppressions;

/// What is left of an invocation when the work on a message is broken off.
const MARGIN: Duration = Duration::from_secs(5);

/// The function with all that it needs from outside.
pub struct Handler {
    /// The account whose resources may be suppressed: 12 digits.
    pub account: String,
    /// AWS IoT, for suppressions and findings.
    pub iot: aws_sdk_iot::Client,
    /// AWS IoT, for what the policy asks of the registry.
    pub registry: RegistryClient,
    /// How fast it is called.
    pub pace: Pace,
    /// What is known of audits.
    pub ledger: Ledger,
    /// What the operator wants now; a message was decided under the policy of its time.
    pub policy: Policy,
    /// How batches are taken.
    pub consumer: Consumer,
}

impl Handler {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing, or what is wrong with the policy.
    pub async fn from_env() -> Result<Self, Error> {
        let common = Common::from_env()?;
        let shared = Shared::from_env()?;
        let clock = Clock::system();
        let ledger = Ledger::new(shared.dynamodb(), common.ledger_table);
        let alerts = Alerts::new(shared.sns(), common.alert_topic, ledger.clone(), clock.clone());
        let policy = policy::load(&alerts).await?;
        let parking = Queue::new(shared.sqs(), common.dead_letter_queue);
        // One record at a time: the account has ten calls a second for this, and others need some of them.
        let consumer = Consumer { function: "apply-suppressions", parking, clock, parallel: 1 };
        let pace = Pace::from_env()?;
        Ok(Self {
            account: common.account,
            iot: shared.iot(),
            registry: shared.registry(clients::Pace::Patient),
            pace,
            ledger,
            policy,
            consumer,
        })
    }

    /// Handles an SQS event.
    ///
    /// # Errors
    /// If every record is to be delivered again.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let message = async |body: &str, deadline| self.message(body, deadline).await;
        self.consumer.consume(event.payload, &event.context, message).await
    }

    /// Handles the body of one message, until some seconds before the deadline.
    ///
    /// # Errors
    /// [`Error::is_permanent`] if the message can never be handled; otherwise a retry may succeed.
    pub async fn message(&self, body: &str, deadline: Millis) -> Result<(), Error> {
        let message: SuppressionMessage = batch::parse_own("suppression message", body, &self.account)?;
        let now = self.consumer.clock.now();
        if let Some(end) = message.expires_at.filter(|end| *end <= now.seconds()) {
            let end = Millis::from_seconds(end).rfc3339();
            tracing::info!(
                audit.task_id = %message.audit.task_id, check = %message.check, rule = message.rule, end,
                findings = message.findings.len(), "not suppressed: the suppression has expired"
            );
            return Ok(());
        }
        let mode = message.mode.safer(self.policy.mode());
        let left = invocation::time_left(now, deadline, MARGIN);
        if left.is_zero() {
            return Err(Error::Later("no time is left for the message".into()));
        }
        let mut summary = Summary::default();
        // A call that is broken off may have had its effect: the next delivery looks at what is there.
        let in_time = tokio::time::timeout(left, Box::pin(self.findings(&message, mode, &mut summary))).await;
        summary.log(&message, self.policy.hash(), mode);
        if in_time.is_err() {
            let (done, total) = (summary.done(), message.findings.len());
            return Err(Error::Later(format!("no time is left after {done} of {total} suppressions")));
        }
        // What failed brings the whole message back, and what is refused with it: it is parked once, at the end.
        if let Some(error) = summary.failure {
            return Err(error);
        }
        self.park(message, summary.refused, summary.reasons).await
    }

    /// Whether suppressions are paused. What a pause stops is left to the next audit, which decides on what is still there.
    async fn is_paused(&self, message: &SuppressionMessage) -> Result<bool, Error> {
        let pause = pause::read(&self.ledger).await?.filter(|pause| pause.suppressions);
        if let Some(pause) = &pause {
            tracing::warn!(
                audit.task_id = %message.audit.task_id, check = %message.check, rule = message.rule,
                findings = message.findings.len(), reason = pause.why(),
                "not suppressed: suppressions are paused; the next audit decides again"
            );
        }
        Ok(pause.is_some())
    }

    async fn findings(&self, message: &SuppressionMessage, mode: Mode, summary: &mut Summary) {
        // Without this, each finding would be looked up before the first change finds it out.
        match self.ledger.later_audit(&message.audit, &message.check).await {
            Ok(later) => summary.overtaken_by = later,
            Err(error) => summary.failure = Some(error),
        }
        if mode == Mode::Enforce && summary.overtaken_by.is_none() {
            match self.is_paused(message).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    summary.failure = Some(error);
                    return;
                }
            }
        }
        let written = Written::new(Maker::Rule(&message.rule), &message.words);
        let revalidation = self.revalidation(message);
        let mut has_words = false;
        for finding in &message.findings {
            if summary.overtaken_by.is_some() {
                return;
            }
            let work = async {
                let resource = match revalidation.verdict(message, finding).await? {
                    Verdict::Suppress(resource) => resource,
                    Verdict::Superseded(why) => return Ok(Effect::Superseded(why)),
                };
                if mode == Mode::Enforce && !has_words {
                    original_words::keep(&self.ledger, &written).await?;
                    has_words = true;
                }
                let wish = Wish { message, resource: &resource, description: written.description() };
                self.suppressions().apply(&wish, mode).await
            };
            summary.count(message, mode, finding, work.await);
        }
    }

    fn revalidation(&self, message: &SuppressionMessage) -> Revalidation<'_> {
        let (account, region) = (&message.audit.account, &message.audit.region);
        let registry = Registry::new(self.registry.clone(), account, region);
        Revalidation { iot: &self.iot, pace: &self.pace, registry, policy: &self.policy }
    }

    fn suppressions(&self) -> Suppressions<'_> {
        let Self { iot, pace, ledger, policy, consumer, .. } = self;
        Suppressions { client: iot, pace, ledger, policy, clock: &consumer.clock }
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
