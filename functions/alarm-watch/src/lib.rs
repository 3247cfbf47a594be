//! `alarm-watch`: finds alarms of which no message told, ends alarms that are gone, and ends incidents.
//!
//! Device Defender promises to deliver an alarm neither once nor in order, and says nothing of the alarms of a profile
//! that is detached or deleted. So a schedule invokes this function each hour, or somebody who wants to know now. It
//! holds the events that the service lists ([`events`]) and the violations that it lists as active ([`active`]) against
//! the ledger, and sends what is missing to the alarm queue, from where `detect-alarm` takes it as if it had come in
//! time. What the ledger has in alarm and the service no longer lists is ended ([`gone`]). Incidents that have calmed
//! down are ended, and their members that are still in alarm are decided on by the policy ([`incidents`]). After it,
//! people know what did not work ([`trouble`]), and the next look begins where this one got to ([`memory`]).
//!
//! Calls: one for each 250 events of the hours that are looked at, at least one an hour of them; one for each 250 active
//! violations; and of a profile whose alarms seem to be gone, two for each 250 of its active violations. The ledger is
//! read once for each 100 violations. It needs `iot:ListViolationEvents`, `iot:ListActiveViolations`, `sqs:SendMessage`
//! on the alarm queue, `sns:Publish` on the alert topic with its key, and the ledger's `dynamodb:GetItem`,
//! `BatchGetItem`, `Query`, `PutItem` and `UpdateItem`.

mod active;
mod calls;
mod events;
mod gone;
mod incidents;
mod look;
mod memory;
mod send;
#[cfg(test)]
mod tests;
mod trouble;
mod violation;
mod words;

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::invocation;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::policy;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::telemetry;
use fleetwarden_core::metrics;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

const NAME: &str = "alarm-watch";
/// What is left of an invocation when it ends its look: enough to keep and to tell. Of a short one it is a quarter.
const MARGIN: Duration = Duration::from_secs(30);
/// How far back can be looked, in hours: 14 days. The quota page says that violations are kept for 30 days, the
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
    /// What is known of alarms.
    pub alarms: Alarms,
    /// The alarm queue.
    pub queue: Queue,
    /// When an incident is one.
    pub policy: Policy,
    /// Who is told.
    pub alerts: Alerts,
    /// Its clock.
    pub clock: Clock,
    /// Where metric lines go.
    pub emit: fn(&str),
}

/// What woke the function.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Wish {
    /// The time of the schedule, in RFC 3339: a delivery that is repeated has the same.
    scheduled_at: Option<String>,
    /// How many hours to look back, 1 to 336; otherwise to where the last look got to.
    hours: Option<i64>,
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

    /// Takes an invocation: of a schedule, or of somebody who wants to know. Gives what was seen.
    ///
    /// # Errors
    /// What is wrong with the event, or that ledger or alert topic do not answer. What AWS IoT or the alarm queue do not
    /// answer is a trouble of its own.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Value, Error> {
        let wish: Wish = invocation::wish(event, "{\"hours\": 24}")?;
        let done = self.wished(wish, context).await;
        let failed = u64::from(done.is_err());
        (self.emit)(
            &metrics::invocation::Invocation {
                function: NAME,
                at: self.clock.now(),
                records: 1,
                failed,
                parked: 0,
            }
            .line(),
        );
        done
    }

    async fn wished(&self, wish: Wish, context: &Context) -> Result<Value, Error> {
        let slot = invocation::slot(wish.scheduled_at.as_deref(), context)?;
        if let Some(hours) = wish.hours.filter(|hours| !(1..=MOST_HOURS).contains(hours)) {
            return Err(Error::Input(format!("hours: {hours} is not from 1 to {MOST_HOURS}")));
        }
        let deadline = invocation::deadline(context);
        let (about, lease) = (keys::look(NAME, &slot), invocation::lease(deadline));
        let look = Box::pin(self.look(deadline, wish.hours));
        let watched = self.alarms.ledger().run_once(&about, self.clock.now(), lease, look).await?;
        Ok(watched.map_or_else(|| json!({"slot": slot, "repeated": true}), |watched| json!(watched)))
    }

    /// When an invocation stops looking.
    fn stop_at(&self, deadline: Millis) -> Millis {
        invocation::stop_at(self.clock.now(), deadline, MARGIN)
    }
}
