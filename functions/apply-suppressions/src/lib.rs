//! `apply-suppressions`: creates the suppressions that the policy decided, and keeps them up to date.
//!
//! Before it, `triage-findings` put up to 25 findings of one check and one rule into a message on the suppression
//! queue. Here the policy decides on each of them again ([`decide`]), and what it suppresses as it was asked for is
//! created or updated ([`suppression`]), unless a later audit has looked at the check. After it, Device Defender passes
//! over those resources from the next audit on. A suppression is known by check and resource alone, so a message that
//! comes again finds what it made.

mod convert;
mod decide;
mod message;
mod suppression;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_core::policy::Policy;
use lambda_runtime::Context;

/// The function with all that it needs from outside.
pub struct ApplySuppressions {
    /// The account whose resources may be suppressed: 12 digits.
    pub account: String,
    /// AWS IoT, for suppressions.
    pub suppressions: aws_sdk_iot::Client,
    /// AWS IoT, for findings.
    pub iot: IotApi,
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

impl ApplySuppressions {
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
            suppressions: shared.iot(),
            iot: shared.iot_api(),
            registry: shared.registry(clients::Pace::Patient),
            pace,
            ledger,
            policy,
            consumer,
        })
    }

    /// Takes a batch of suppression messages.
    ///
    /// # Errors
    /// If none of them could be handled.
    pub async fn handle(&self, event: SqsEvent, context: &Context) -> Result<SqsBatchResponse, Error> {
        self.consumer.consume(event, context, async |body, deadline| self.message(body, deadline).await).await
    }
}

#[cfg(test)]
mod tests;
