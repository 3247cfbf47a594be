//! `suppression-review`: keeps standing suppressions, tells of suppressions that end, and watches the audits.
//!
//! Before it, a schedule invoked it, or somebody who wants to know now. After it, Device Defender holds the
//! suppressions that the policy has standing, people know of each that is about to end, has ended or hides nothing,
//! the debt of suppressions is counted, and audits that did not come or did not work are told.

mod audits;

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::policy;
use fleetwarden_aws::settings::Common;
use fleetwarden_aws::settings::required;
use fleetwarden_aws::topic::Topic;
use fleetwarden_core::policy::Policy;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::json;

/// The function with all that it needs from outside.
pub struct SuppressionReview {
    /// The account whose suppressions are reviewed: 12 digits.
    pub account: String,
    /// Its region.
    pub region: String,
    /// The topic that Device Defender should tell of audits.
    pub audit_topic: Topic,
    /// AWS IoT.
    pub iot: IotApi,
    /// What the operator wants.
    pub policy: Policy,
    /// What is known of audits.
    pub ledger: Ledger,
    /// Who is told.
    pub alerts: Alerts,
    /// Its clock.
    pub clock: Clock,
}

impl SuppressionReview {
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
            audit_topic: Topic::new(shared.sns(), required("AUDIT_TOPIC_ARN")?),
            iot: shared.iot_api(),
            policy: policy::load(&alerts).await?,
            ledger,
            alerts,
            clock,
        })
    }

    /// Takes an invocation.
    ///
    /// # Errors
    /// What could not be done.
    pub async fn handle(&self, _event: Value, _context: &Context) -> Result<Value, Error> {
        let now = self.clock.now();
        Ok(json!({"audits": self.watch_audits(now).await?}))
    }
}
