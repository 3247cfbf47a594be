//! From events to steps: which step of which kind of mitigation a message asks for.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::services::Services;
use crate::steps::Steps;

/// The function.
pub struct ApplyMitigations {
    consumer: Consumer,
    policy: Arc<Policy>,
    steps: Steps,
}

/// By what a message of the mitigation queue is known to be about alarms.
#[derive(Deserialize)]
struct Kind {
    alarms: Option<IgnoredAny>,
}

impl ApplyMitigations {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing, or what is wrong with the policy.
    pub async fn from_env() -> Result<Self, Error> {
        let (aws, common, clock) = (Shared::from_env()?, Common::from_env()?, Clock::system());
        let ledger = Ledger::new(aws.dynamodb(), common.ledger_table);
        let alerts = Alerts::new(aws.sns(), common.alert_topic, ledger.clone(), clock.clone());
        let parking = Queue::new(aws.sqs(), common.dead_letter_queue);
        let policy = policy::load_with_windows(&alerts).await?;
        // One record at a time: the account has ten calls a second for this, and ten tasks at once.
        let consumer = Consumer { function: "apply-mitigations", parking, clock, parallel: 1 };
        let services = Services {
            account: common.account,
            region: common.region,
            iot: aws.iot(),
            registry: aws.registry(Pace::Patient),
            queue: Queue::new(aws.sqs(), required("MITIGATION_QUEUE_URL")?),
            follow_up_seconds: settings::seconds("FOLLOW_UP_SECONDS", 60)?,
            emit: telemetry::emit,
            ledger,
            alerts,
        };
        Ok(Self::new(services, policy, consumer))
    }

    /// The function with all that it needs from outside.
    pub fn new(services: Services, policy: Policy, consumer: Consumer) -> Self {
        let policy = Arc::new(policy);
        let steps = Steps::new(services, &policy, &consumer);
        Self { consumer, policy, steps }
    }

    /// What the operator allows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes a batch of mitigation messages.
    ///
    /// # Errors
    /// If none of them could be handled.
    pub async fn handle(&self, event: SqsEvent, context: &Context) -> Result<SqsBatchResponse, Error> {
        self.consumer.consume(event, context, async |body, deadline| self.message(body, deadline).await).await
    }

    /// Takes one message, until the deadline.
    ///
    /// # Errors
    /// [`Error::Input`] if it can never be handled, else why it is to be delivered again.
    pub async fn message(&self, body: &str, deadline: Millis) -> Result<(), Error> {
        let kind: Kind = batch::parse("mitigation message", body)?;
        // The typed client's calls make large futures: on the heap, each step is no larger than its own.
        if kind.alarms.is_some() {
            let message: AlarmMitigationMessage = batch::parse("mitigation message", body)?;
            return match message.step {
                AlarmStep::Start | AlarmStep::Held(_) => {
                    Box::pin(self.steps.alarms.start.start(message, deadline)).await
                }
                AlarmStep::Follow => Box::pin(self.steps.alarms.follow.follow(message, deadline)).await,
                AlarmStep::Release => Box::pin(self.steps.release.release(message)).await,
            };
        }
        let message: MitigationMessage = batch::parse("mitigation message", body)?;
        match message.step {
            Step::Start | Step::Held(_) => Box::pin(self.steps.findings.start.start(message, deadline)).await,
            Step::Follow => Box::pin(self.steps.findings.follow.follow(message, deadline)).await,
            Step::Watch => Box::pin(self.steps.watch.watch(message, deadline)).await,
        }
    }
}
