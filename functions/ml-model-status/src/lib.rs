//! `ml-model-status`: watches the models of ML Detect.
//!
//! Device Defender announces no change of a model. So a schedule invokes this function once a day, or a person does, and it
//! asks.
//!
//! The rooms, in the order of the work:
//!
//! - [`handler`]: the event, and the claim that makes a repeated delivery do nothing;
//! - [`run`]: one run, from the [`snapshot`] of the run before to the next one;
//! - [`detect`]: the security profiles and the training summary of every behavior with a model; [`devices`]: how many
//!   devices the targets of a profile are;
//! - [`plan`]: what of this needs no service: the forecast and the problems of each model, and the status of all of them,
//!   which is the answer and in the ledger;
//! - [`alerts`]: each problem that starts, persists or is fixed.
//!
//! Calls: one for each 250 profiles, one for each 10 behaviors with a model, two for each profile that has one, one for
//! each 250 things of its target groups. Profiles without models cost no call of their own. It needs
//! `iot:ListSecurityProfiles`, `iot:GetBehaviorModelTrainingSummaries`, `iot:DescribeSecurityProfile`,
//! `iot:ListTargetsForSecurityProfile`, `iot:ListThingsInThingGroup`, `iot:GetStatistics`, `sns:Publish` on the alert
//! topic, and the ledger's `dynamodb:GetItem`, `BatchGetItem`, `Query`, `PutItem`, `UpdateItem` and `BatchWriteItem`.

mod alerts;
mod detect;
mod devices;
mod handler;
mod plan;
mod run;
mod snapshot;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::profile_devices::ProfileDevices;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::SettingsError;
use fleetwarden_aws::settings::optional;
use fleetwarden_aws::telemetry;

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
    /// The devices of security profiles.
    pub devices: ProfileDevices,
    /// The snapshot, the status and the alarms.
    pub ledger: Ledger,
    /// Where alerts are raised.
    pub alerts: Alerts,
    /// Its clock.
    pub clock: Clock,
    /// The share of its devices in alarm from which a model is taken to be bad, 0 to 1.
    pub limit: f64,
    /// Where metric lines go.
    pub emit: fn(&str),
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
            devices: ProfileDevices::new(shared.iot(), Pace::from_env()?),
            ledger,
            alerts,
            clock,
            limit: f64::from(limit_percent()?) / 100.0,
            emit: telemetry::emit,
        })
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
