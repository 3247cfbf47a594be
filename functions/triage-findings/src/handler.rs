//! A batch of check messages, one after the other.

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::batch;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::LambdaEvent;

use crate::step::Triage;

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
pub struct Handler {
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
    /// The pages, as they were decided first, and the histories.
    pub archive: Archive,
    /// Where people are told of mitigated findings that are still there.
    pub alerts: Alerts,
    /// What decides.
    pub policy: Policy,
    /// How batches are taken.
    pub consumer: Consumer,
    /// Takes a metric line.
    pub emit: fn(&str),
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
        let sqs = shared.sqs();
        let queue = |url| Queue::new(sqs.clone(), url);
        let queues = Queues {
            check: queue(required("CHECK_QUEUE_URL")?),
            suppression: queue(required("SUPPRESSION_QUEUE_URL")?),
            mitigation: queue(required("MITIGATION_QUEUE_URL")?),
            finding: queue(required("FINDING_QUEUE_URL")?),
        };
        let archive = Archive::new(shared.s3(), required("ARCHIVE_BUCKET")?);
        let alerts = Alerts::new(shared.sns(), common.alert_topic, ledger.clone(), clock.clone());
        let policy = policy::load(&alerts).await?;
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
            alerts,
            policy,
            consumer,
            emit: telemetry::emit,
        })
    }

    /// Handles an SQS event.
    ///
    /// # Errors
    /// If every record is to be delivered again.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let check = async |body: &str, deadline| self.check(body, deadline).await;
        self.consumer.consume(event.payload, &event.context, check).await
    }

    /// Handles one check message.
    ///
    /// A repeat of a message that is done does nothing. One that comes while another works on it comes again
    /// later: the worker may be dead, and then its claim ends with its deadline.
    async fn check(&self, body: &str, deadline: Millis) -> Result<(), Error> {
        let message: CheckMessage = batch::parse_own("check message", body, &self.account)?;
        let (restarts, page) =
            message.resume.as_ref().map_or((0, 0), |resume| (resume.restarts, resume.page));
        let key = keys::triage(&message.audit, &message.check, restarts, page);
        let triage = self.triage();
        let work = triage.step(&key, message, deadline);
        self.ledger.run_once(&key, self.consumer.clock.now(), deadline, work).await.map(drop)
    }

    fn triage(&self) -> Triage<'_> {
        let Self { iot, registry, queues, ledger, archive, alerts, policy, consumer, emit, .. } = self;
        Triage { iot, registry, queues, ledger, archive, alerts, policy, clock: &consumer.clock, emit: *emit }
    }
}
