//! `ml-model-status`: watches the models of ML Detect.
//!
//! Before it, a schedule invoked it once a day, or somebody who wants to know now. Device Defender announces no change of
//! a model, so it asks: all security profiles, the training summary of every behavior that a model judges, and the
//! targets of those profiles ([`look`]). With what the ledger keeps of the days before ([`memory`]) each behavior gets
//! its forecast and its troubles ([`judge`]). After it, people know of each trouble that began, lasts or is over
//! ([`notify`]), metrics show each model, and the ledger has the status of all of them, which is also the answer.
//!
//! Calls: one for each 250 profiles, one for each 10 behaviors with a model, two for each profile that has one, one for
//! each 250 things of its target groups. Profiles without models cost no call of their own. It needs
//! `iot:ListSecurityProfiles`, `iot:GetBehaviorModelTrainingSummaries`, `iot:DescribeSecurityProfile`,
//! `iot:ListTargetsForSecurityProfile`, `iot:ListThingsInThingGroup`, `iot:GetStatistics`, `sns:Publish` on the alert
//! topic, and the ledger's `dynamodb:GetItem`, `BatchGetItem`, `Query`, `PutItem`, `UpdateItem` and `BatchWriteItem`.

mod calls;
mod devices;
mod judge;
mod look;
mod memory;
mod notify;
#[cfg(test)]
mod tests;

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
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::SettingsError;
use fleetwarden_aws::settings::optional;
use fleetwarden_aws::telemetry;
use fleetwarden_core::metrics;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

const NAME: &str = "ml-model-status";
/// What is left of an invocation when it ends its look: enough to keep and to tell. Of a short one it is a quarter.
const MARGIN: Duration = Duration::from_secs(45);
/// The share of devices in alarm from which a model is taken to be bad, in percent, unless the environment says another.
const LIMIT_PERCENT: u32 = 20;
/// How large the status may be in the ledger, whose items have 400 KB, and in an answer, which Lambda limits to 6 MB.
const STATUS_BYTES: usize = 300_000;

/// The function with all that it needs from outside.
pub struct MlModelStatus {
    /// The account: 12 digits.
    pub account: String,
    /// Its region.
    pub region: String,
    /// AWS IoT.
    pub iot: aws_sdk_iot::Client,
    /// How fast it is called.
    pub pace: Pace,
    /// What is known of the models, and of alarms.
    pub ledger: Ledger,
    /// Who is told.
    pub alerts: Alerts,
    /// Its clock.
    pub clock: Clock,
    /// The share of its devices in alarm from which a model is taken to be bad, 0 to 1.
    pub limit: f64,
    /// Where metric lines go.
    pub emit: fn(&str),
}

/// What woke the function.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Wish {
    /// The time of the schedule, in RFC 3339: a delivery that is repeated has the same.
    scheduled_at: Option<String>,
}

impl MlModelStatus {
    /// From the environment that the template sets. `MODEL_ALARM_PERCENT` is the share of its devices in alarm from which
    /// a model is taken to be bad, 1 to 100, by default 20.
    ///
    /// # Errors
    /// The first setting that is missing or wrong.
    #[expect(clippy::unused_async, reason = "the functions start in the same way")]
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
            ledger,
            alerts,
            clock,
            limit: f64::from(limit_percent()?) / 100.0,
            emit: telemetry::emit,
        })
    }

    /// Takes an invocation: of a schedule, or of somebody who wants to know. Gives the status of all models.
    ///
    /// # Errors
    /// What is wrong with the event, or that ledger or alert topic do not answer. What AWS IoT does not answer is a trouble
    /// of its own.
    pub async fn handle(&self, event: Value, context: &Context) -> Result<Value, Error> {
        let wish: Wish = invocation::wish(event, "{}")?;
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
        let deadline = invocation::deadline(context);
        let (about, lease) = (keys::look(NAME, &slot), invocation::lease(deadline));
        let look = Box::pin(self.look(deadline));
        let status = self.ledger.run_once(&about, self.clock.now(), lease, look).await?;
        Ok(status.map_or_else(|| json!({"slot": slot, "repeated": true}), |status| json!(status)))
    }

    /// When an invocation stops looking.
    fn stop_at(&self, deadline: Millis) -> Millis {
        invocation::stop_at(self.clock.now(), deadline, MARGIN)
    }

    fn alarms(&self) -> Alarms {
        Alarms::new(self.ledger.clone())
    }
}

fn limit_percent() -> Result<u32, SettingsError> {
    let name = "MODEL_ALARM_PERCENT";
    let Some(value) = optional(name) else { return Ok(LIMIT_PERCENT) };
    let wrong = |value| SettingsError::Wrong { name, value, expected: "a whole number from 1 to 100" };
    value.parse().ok().filter(|n| (1..=100).contains(n)).ok_or(()).map_err(|()| wrong(value))
}
