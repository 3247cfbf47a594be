//! `apply-mitigations`: admits, starts and follows the mitigation tasks that the policy decided.
//!
//! Before it, `triage-findings` put a mitigation of up to 25 findings, or of a whole check, on the mitigation
//! queue. Here it passes [`admission`], is decided on again (`revalidate`), claims its findings in the ledger, is
//! started under a name that a repeat finds again, and is followed by a delayed message until Device Defender has
//! ended it: nothing else says when that is. After it, the ledger knows what became of every finding, and people were
//! alerted of what failed.
//!
//! Mitigations of alarms come on the same queue and go the same way, in [`alarms`].
//!
//! A message is a request and no permission: whatever it says of its policy, its mode or its audit, the policy, the
//! ledger and the service of now are asked before every start.
//!
//! A message can come twice, late, or after a death at any point. So each step is done only after the one that
//! it needs, each can be done again, and what says "started" is written after all that belongs to a start.

pub mod admission;

mod alarms;
mod alerts;
mod backoff;
mod described;
mod follow;
mod hold;
mod results;
mod revalidate;
mod room;
mod start;
mod task;
mod unable;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::telemetry;
use fleetwarden_aws::thing_groups::ThingGroups;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::Step;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
pub use room::Room;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The function with all that it needs from outside.
pub struct ApplyMitigations {
    /// The account whose findings may be mitigated: 12 digits.
    pub account: String,
    /// AWS IoT.
    pub iot: IotApi,
    /// AWS IoT, for the mitigation of alarms.
    pub detect: aws_sdk_iot::Client,
    /// The groups that things are in.
    pub groups: ThingGroups,
    /// What is known of alarms.
    pub alarms: Alarms,
    /// Its own queue: for what is followed and for what has to wait.
    pub queue: Queue,
    /// What is known of mitigations.
    pub mitigations: Mitigations,
    /// Who is told.
    pub alerts: Alerts,
    /// What the operator allows now; a message was decided under the policy of its time.
    pub policy: Policy,
    /// Whether the service has room for a task.
    pub room: Room,
    /// Whether it has room for a task of Detect, of which fewer run at once.
    pub alarm_room: Room,
    /// How long a message waits first, in seconds; then twice as long, and so on.
    pub follow_up_seconds: u32,
    /// How batches are taken.
    pub consumer: Consumer,
    /// Takes a metric line.
    pub emit: fn(&str),
}

impl ApplyMitigations {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing, or what is wrong with the policy.
    pub async fn from_env() -> Result<Self, Error> {
        let common = Common::from_env()?;
        let shared = Shared::from_env()?;
        let follow_up_seconds = settings::seconds("FOLLOW_UP_SECONDS", 60)?;
        let clock = Clock::system();
        let sqs = shared.sqs();
        let queue = Queue::new(sqs.clone(), settings::required("MITIGATION_QUEUE_URL")?);
        let ledger = Ledger::new(shared.dynamodb(), common.ledger_table);
        let alerts = Alerts::new(shared.sns(), common.alert_topic, ledger.clone(), clock.clone());
        let policy = policy::load_with_windows(&alerts).await?;
        let parking = Queue::new(sqs, common.dead_letter_queue);
        // One record at a time: the account has ten calls a second for this, and ten tasks at once.
        let consumer = Consumer { function: "apply-mitigations", parking, clock, parallel: 1 };
        Ok(Self {
            account: common.account,
            iot: shared.iot_api(),
            detect: shared.iot(),
            groups: ThingGroups::new(shared.iot()),
            alarms: Alarms::new(ledger.clone()),
            queue,
            mitigations: Mitigations::new(ledger),
            alerts,
            policy,
            room: Room::default(),
            alarm_room: Room::default(),
            follow_up_seconds,
            consumer,
            emit: telemetry::emit,
        })
    }

    /// Takes a batch of mitigation messages.
    ///
    /// # Errors
    /// If none of them could be handled.
    pub async fn handle(&self, event: SqsEvent, context: &Context) -> Result<SqsBatchResponse, Error> {
        self.consumer.consume(event, context, async |body, deadline| self.message(body, deadline).await).await
    }

    async fn message(&self, body: &str, deadline: Millis) -> Result<(), Error> {
        let kind: Kind = batch::parse("mitigation message", body)?;
        if kind.alarms.is_some() {
            let message = batch::parse("mitigation message", body)?;
            return Box::pin(self.alarm_message(message, deadline)).await;
        }
        let message: MitigationMessage = batch::parse("mitigation message", body)?;
        match message.step {
            Step::Start | Step::Held { .. } => Box::pin(self.start(message, deadline)).await,
            Step::Follow => Box::pin(self.follow(message, deadline)).await,
        }
    }
}

/// By what a message of the mitigation queue is told to be about alarms.
#[derive(Deserialize)]
struct Kind {
    alarms: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests;
