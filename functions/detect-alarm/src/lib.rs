//! `detect-alarm`: records alarms, waits until they have settled, and does what the policy decides.
//!
//! Before it, Device Defender, CloudWatch or a tool of the operator's own has published to the alarm topic that a device is
//! in alarm or no longer is; the alarm queue has each message in SNS's envelope. `alarm-watch` puts events
//! there that no message announced. After it stand the mitigation queue, the finding queue and the alert topic.
//!
//! The rooms, in the order of the work:
//!
//! - [`handler`]: a record is an event, which is written down, or a violation that has settled by a message
//!   ([`settling`]) that the function sends to itself;
//! - [`incidents`]: whether it is one of many;
//! - [`decisions`]: otherwise the policy decides, and [`effects`] carries it out;
//! - [`plan`]: what of this needs no service;
//! - [`records`] for the log, and [`alerts`] for people.
//!
//! A record is done only when all that it causes is on its way. Whatever is delivered twice finds in the ledger what
//! was done, or does again what has an identity of its own: an alert, a mitigation, a record.

mod alerts;
mod decisions;
mod effects;
mod handler;
mod incidents;
mod plan;
mod records;
mod settling;

use std::collections::BTreeSet;
use std::sync::Mutex;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::policy;
use fleetwarden_aws::populations::Populations;
use fleetwarden_aws::profile_devices::ProfileDevices;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::policy::Policy;

use crate::decisions::Decisions;
use crate::effects::Effects;
use crate::incidents::Incidents;
use crate::records::Records;
use crate::settling::SettleQueue;

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
    /// Device Defender, for verification states.
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
    /// Where alerts are raised.
    pub alerts: Alerts,
    /// How batches are taken.
    pub consumer: Consumer,
    /// Takes a metric line.
    pub emit: fn(&str),
    /// How many devices profiles watch.
    pub populations: Populations,
    /// The incidents for which this process knows that the alert was raised.
    pub alerted_incidents: Mutex<BTreeSet<String>>,
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
            populations: Populations::new(
                ledger.clone(),
                ProfileDevices::new(shared.iot(), Pace::from_env()?),
            ),
            alarms: Alarms::new(ledger),
            iot: shared.iot(),
            registry: shared.registry(clients::Pace::Patient),
            own_queue: queue("ALARM_QUEUE_URL")?,
            mitigations: queue("MITIGATION_QUEUE_URL")?,
            findings: queue("FINDING_QUEUE_URL")?,
            alerts,
            consumer: Consumer { function: "detect-alarm", parking, clock, parallel: PARALLEL },
            emit: telemetry::emit,
            alerted_incidents: Mutex::default(),
        })
    }

    const fn records(&self) -> Records<'_> {
        Records(&self.findings)
    }

    const fn settle_queue(&self) -> SettleQueue<'_> {
        SettleQueue { queue: &self.own_queue, alarms: &self.alarms, clock: &self.consumer.clock }
    }

    const fn incidents(&self) -> Incidents<'_> {
        Incidents {
            policy: &self.policy,
            alarms: &self.alarms,
            populations: &self.populations,
            alerts: &self.alerts,
            alerted: &self.alerted_incidents,
            records: self.records(),
            emit: self.emit,
        }
    }

    fn decisions(&self) -> Decisions<'_> {
        let effects = Effects {
            policy: &self.policy,
            alarms: &self.alarms,
            iot: &self.iot,
            mitigations: &self.mitigations,
            records: self.records(),
            alerts: &self.alerts,
            clock: &self.consumer.clock,
            emit: self.emit,
        };
        Decisions {
            account: &self.account,
            region: &self.region,
            policy: &self.policy,
            registry: &self.registry,
            alarms: &self.alarms,
            effects,
            settle_queue: self.settle_queue(),
        }
    }
}
