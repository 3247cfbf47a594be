//! Alerts: told once, and told again only if the first telling may have been lost.

use aws_sdk_sns::types::MessageAttributeValue;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
use crate::clients::Sns;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::about;

/// How long one telling may take before another may try.
const LEASE_SECONDS: i64 = 60;

/// The alert topic.
#[derive(Clone)]
pub struct Alerts {
    sns: Sns,
    topic: String,
    ledger: Ledger,
    clock: Clock,
}

impl Alerts {
    /// Alerts to this topic, each claimed in the ledger.
    pub const fn new(sns: Sns, topic: String, ledger: Ledger, clock: Clock) -> Self {
        Self { sns, topic, ledger, clock }
    }

    /// Tells people, unless they were told the same before.
    ///
    /// The claim comes first and is completed after the topic has taken the message: who dies in between has
    /// told nobody, and the next try tells.
    ///
    /// # Errors
    /// If ledger or topic do not answer, or if another telling of the same is under way.
    pub async fn raise(&self, alert: &Alert) -> Result<(), Error> {
        let about = about::alert(&alert.id());
        let now = self.now();
        self.ledger.once(&about, now, now.plus_seconds(LEASE_SECONDS), self.publish(alert)).await.map(drop)
    }

    /// The time by the clock of the alerts.
    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    async fn publish(&self, alert: &Alert) -> Result<(), Error> {
        let attribute = |value: &str| {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            value.map_err(|e| Error::Input(e.to_string()))
        };
        let publish = self.sns.client().publish().topic_arn(&self.topic).message(alert.message());
        let publish = publish
            .message_attributes("kind", attribute(alert.kind.as_str())?)
            .message_attributes("severity", attribute(alert.severity.as_str())?);
        publish.send().await.map(drop).map_err(Error::aws("Publish", &self.topic))
    }
}
