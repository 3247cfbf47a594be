//! `alarm-watch`: finds alarms that no message announced, ends stale alarms, and ends incidents.
//!
//! Device Defender delivers alarms at least once and in any order, and announces nothing when a profile is detached or
//! deleted. So a schedule invokes this function each hour, or a person does.
//!
//! The rooms, in the order of the work:
//!
//! - [`handler`]: the event, and the claim that makes a repeated delivery do nothing;
//! - [`run`]: one run, from the [`snapshot`] of the run before to the next one;
//! - [`incidents`]: those that have calmed down are ended, and the policy decides on members that are still in alarm;
//! - [`events`] and [`active`]: what [`detect`] lists is compared ([`compare`]) with the ledger, and what is missing goes to
//!   the alarm queue, from where `detect-alarm` takes it as if it had come in time;
//! - [`stale`]: what the ledger has in alarm and the service no longer lists is ended;
//! - [`plan`]: what of this needs no service;
//! - [`alerts`]: what does not work.
//!
//! Calls: one for each 250 events of the hours that are compared, at least one an hour of them; one for each 250 active
//! violations; and of a profile with alarms that may be stale, two for each 250 of its active violations, and then one for
//! each 250 events of the last hour. The ledger is read once for each 100 violations. It needs `iot:ListViolationEvents`,
//! `iot:ListActiveViolations`, `sqs:SendMessage` on the alarm queue, `sns:Publish` on the alert topic with its key, and the
//! ledger's `dynamodb:GetItem`, `BatchGetItem`, `Query`, `PutItem` and `UpdateItem`.

mod active;
mod alerts;
mod compare;
mod detect;
mod events;
mod handler;
mod incidents;
mod plan;
mod run;
mod snapshot;
mod stale;
mod violation;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::policy::Policy;

/// How far back events are compared at most, in hours: 14 days. The quota page says that violations are kept for 30 days, the
/// developer guide 14.
const MOST_HOURS: i64 = 14 * 24;

/// The function with all that it needs from outside.
pub struct AlarmWatch {
    /// The account: 12 digits.
    pub account: String,
    /// Its region.
    pub region: String,
    /// AWS IoT.
    pub iot: aws_sdk_iot::Client,
    /// How fast it is called.
    pub pace: Pace,
    /// The alarms in the ledger.
    pub alarms: Alarms,
    /// The alarm queue.
    pub queue: Queue,
    /// When an incident is one.
    pub policy: Policy,
    /// Where alerts are raised.
    pub alerts: Alerts,
    /// Its clock.
    pub clock: Clock,
    /// Where metric lines go.
    pub emit: fn(&str),
}

impl AlarmWatch {
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
        Ok(Self {
            account: common.account,
            region: common.region,
            iot: shared.iot(),
            pace: Pace::from_env()?,
            alarms: Alarms::new(ledger),
            queue: Queue::new(shared.sqs(), required("ALARM_QUEUE_URL")?),
            policy: policy::load(&alerts).await?,
            alerts,
            clock,
            emit: telemetry::emit,
        })
    }
}
