//! `detect-alarm`: hears alarms, waits until they have settled, and does what the policy decides.
//!
//! Before it, Device Defender, CloudWatch or a tool of the operator's own has told the alarm topic that a device is in
//! alarm or is no longer; the alarm queue has each message in SNS's envelope. `alarm-watch` puts events there that no
//! message told of. After it stand the mitigation queue, the finding queue and the alert topic.
//!
//! In the order of the work:
//!
//! - [`handler`]: what a record is;
//! - [`hear`]: an event is written down; a begin is to settle, by a message that the function sends to itself;
//! - [`settle`]: the ledger of now says whether the alarm is stale, one of an incident ([`incident`], with
//!   [`population`]), or to be decided on;
//! - [`decide`]: the policy decides, and [`effects`] carries it out; [`plan`] is what of this needs no service;
//! - [`alerts`]: the words.
//!
//! A record is done only when all that it causes is on its way. Whatever is delivered twice finds in the ledger what
//! was done, or does again what has an identity of its own: an alert, a mitigation, a record.

mod alerts;
mod decide;
mod effects;
mod handler;
mod hear;
mod incident;
mod plan;
mod population;
mod settle;

use std::collections::BTreeSet;
use std::sync::Mutex;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::policy::Policy;

pub use population::Populations;

/// How many records are handled side by side: each waits for the ledger most of the time.
const PARALLEL: usize = 10;

/// The function with all that it needs from outside.
pub struct DetectAlarm {
    /// 12 digits: alarms of another account are refused.
    pub account: String,
    /// As `us-east-1`: alarms of another region are refused.
    pub region: String,
    /// What is known of alarms.
    pub alarms: Alarms,
    /// Device Defender, for verification states and for what profiles watch.
    pub iot: aws_sdk_iot::Client,
    /// AWS IoT, for things, as the registry asks it.
    pub registry: RegistryClient,
    /// What the operator wants.
    pub policy: Policy,
    /// The alarm queue: where the function sends to itself.
    pub own_queue: Queue,
    /// Where mitigations start.
    pub mitigations: Queue,
    /// Where records are exported.
    pub findings: Queue,
    /// Where people are told.
    pub alerts: Alerts,
    /// How batches are taken.
    pub consumer: Consumer,
    /// Takes a metric line.
    pub emit: fn(&str),
    /// How many devices profiles watch, as far as this process has asked.
    pub populations: Populations,
    /// The incidents of which this process knows that people are told.
    pub told_incidents: Mutex<BTreeSet<String>>,
}

impl DetectAlarm {
    /// From the environment that the template sets.
    ///
    /// # Errors
    /// The first setting that is missing, or what is wrong with the policy.
    pub async fn from_env() -> Result<Self, Error> {
        let (common, shared, clock) = (Common::from_env()?, Shared::from_env()?, Clock::system());
        let ledger = Ledger::new(shared.dynamodb(), common.ledger_table);
        let alerts = Alerts::new(shared.sns(), common.alert_topic, ledger.clone(), clock.clone());
        let queue = |name| required(name).map(|url| Queue::new(shared.sqs(), url));
        let parking = Queue::new(shared.sqs(), common.dead_letter_queue);
        Ok(Self {
            policy: policy::load(&alerts).await?,
            account: common.account,
            region: common.region,
            alarms: Alarms::new(ledger),
            iot: shared.iot(),
            registry: shared.registry(Pace::Patient),
            own_queue: queue("ALARM_QUEUE_URL")?,
            mitigations: queue("MITIGATION_QUEUE_URL")?,
            findings: queue("FINDING_QUEUE_URL")?,
            alerts,
            consumer: Consumer { function: "detect-alarm", parking, clock, parallel: PARALLEL },
            emit: telemetry::emit,
            populations: Populations::default(),
            told_incidents: Mutex::default(),
        })
    }
}

#[cfg(test)]
mod tests;
