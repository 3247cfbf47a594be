//! `triage-findings`: the only reader of findings.
//!
//! Before it, `audit-notification` put one message on the check queue for each check of an audit that ended.
//! Here the findings of that check are listed 250 at a time, each is decided on by the policy, and what is to
//! happen with it goes to the suppression, mitigation and finding queues. Memory does not grow with the
//! audit: a page is done before the next one is looked at, and what has to outlive it is on disk.

mod history;
mod outbox;
mod parts;
mod run;
mod sorted;
mod step;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_core::policy::Policy;
use lambda_runtime::Context;

/// The queues that triage sends to.
pub struct Queues {
    /// Its own: for what is left near the deadline.
    pub check: Queue,
    /// To `apply-suppressions`.
    pub suppression: Queue,
    /// To `apply-mitigations`.
    pub mitigation: Queue,
    /// To `export-findings`.
    pub finding: Queue,
}

/// The function with all that it needs from outside.
pub struct Triage {
    /// The account whose audits are triaged: 12 digits.
    pub account: String,
    /// AWS IoT.
    pub iot: IotApi,
    /// AWS IoT, for what the policy asks of the registry.
    pub registry: RegistryClient,
    /// Where decisions go.
    pub queues: Queues,
    /// Claims and the place of each check's history.
    pub ledger: Ledger,
    /// The histories.
    pub archive: Archive,
    /// What decides.
    pub policy: Policy,
    /// How batches are taken.
    pub consumer: Consumer,
}

impl Triage {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing, or what is wrong with the policy.
    pub async fn from_env() -> Result<Self, Error> {
        let common = Common::from_env()?;
        let shared = Shared::from_env()?;
        let clock = Clock::system();
        let ledger = Ledger::new(shared.dynamodb(), common.ledger_table);
        let sqs = shared.sqs();
        let queue = |url| Queue::new(sqs.clone(), url);
        let queues = Queues {
            check: queue(required("CHECK_QUEUE_URL")?),
            suppression: queue(required("SUPPRESSION_QUEUE_URL")?),
            mitigation: queue(required("MITIGATION_QUEUE_URL")?),
            finding: queue(required("FINDING_QUEUE_URL")?),
        };
        let archive = Archive::new(shared.s3(), required("ARCHIVE_BUCKET")?);
        let policy = {
            let alerts = Alerts::new(shared.sns(), common.alert_topic, ledger.clone(), clock.clone());
            policy::load(&alerts).await?
        };
        // One record at a time: a check's pages are sequential, and two checks side by side would only share
        // the ten calls a second that the account has.
        let parking = queue(common.dead_letter_queue);
        let consumer = Consumer { function: "triage-findings", parking, clock, parallel: 1 };
        Ok(Self {
            account: common.account,
            iot: shared.iot_api(),
            registry: shared.registry(Pace::Patient),
            queues,
            ledger,
            archive,
            policy,
            consumer,
        })
    }

    /// Takes a batch of check messages.
    ///
    /// # Errors
    /// If none of them could be handled.
    pub async fn handle(&self, event: SqsEvent, context: &Context) -> Result<SqsBatchResponse, Error> {
        self.consumer.consume(event, context, async |body, deadline| self.check(body, deadline).await).await
    }
}
