//! Alerts: published once, and again only if the first publication may have been lost.
//!
//! Each alert that the topic has taken is also one event of the function's log, with all its text: what is published is
//! stored nowhere else. A worker that dies between the two publishes again and logs then; one that dies after both, but
//! before its claim is completed, does both again. So an event may come twice, with the same id.

use std::time::Duration;

use aws_sdk_sns::types::MessageAttributeValue;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Place;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
use crate::clients::Sns;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::keys;
use crate::settings::SettingsError;
use crate::settings::optional;
use crate::settings::required;
use crate::telemetry;

/// How long a publication may take before another worker may try.
const LEASE: Duration = Duration::from_mins(1);

/// The alert topic.
#[derive(Clone)]
pub struct Alerts {
    sns: Sns,
    topic: AlertTopic,
    ledger: Ledger,
    clock: Clock,
}

/// Where alerts go, and where they say that they are from.
#[derive(Clone, Debug)]
pub struct AlertTopic {
    arn: String,
    place: Place,
    /// Where the lines of published alerts go.
    emit: fn(&str),
}

impl AlertTopic {
    /// From the environment that the template sets: the topic is `ALERT_TOPIC_ARN`; `STACK_NAME`, `FINDINGS_LOG_GROUP` and
    /// `RUNBOOK_URL` can be left out. Lambda says which function it is.
    ///
    /// # Errors
    /// If the topic is missing.
    pub fn from_env() -> Result<Self, SettingsError> {
        let arn = required("ALERT_TOPIC_ARN")?;
        let place = Place {
            stack: optional("STACK_NAME"),
            function: optional("AWS_LAMBDA_FUNCTION_NAME"),
            // What is deployed without versions is always this one.
            version: optional("AWS_LAMBDA_FUNCTION_VERSION").filter(|version| version != "$LATEST"),
            log_group: optional("AWS_LAMBDA_LOG_GROUP_NAME"),
            findings_log_group: optional("FINDINGS_LOG_GROUP"),
            runbook: optional("RUNBOOK_URL"),
            ..Place::of_topic(&arn)
        };
        Ok(Self { arn, place, emit: telemetry::emit })
    }
}

/// A topic of a test, at no place: the lines of its alerts are [`testing::logged_alerts`](crate::testing::logged_alerts).
#[cfg(any(test, feature = "testing"))]
impl From<&str> for AlertTopic {
    fn from(arn: &str) -> Self {
        Self { arn: arn.to_owned(), place: Place::default(), emit: crate::testing::log_alert }
    }
}

impl Alerts {
    /// Alerts to this topic, each claimed in the ledger.
    pub const fn new(sns: Sns, topic: AlertTopic, ledger: Ledger, clock: Clock) -> Self {
        Self { sns, topic, ledger, clock }
    }

    /// Publishes an alert, unless it was published before.
    ///
    /// The claim comes first and is completed after the topic has taken the message: a worker that dies in between has
    /// published nothing, and the next try does.
    ///
    /// # Errors
    /// If ledger or topic do not answer, or if another worker is publishing it.
    pub async fn raise(&self, alert: &Alert) -> Result<(), Error> {
        let key = keys::alert(&alert.id());
        let now = self.now();
        self.ledger.run_once(&key, now, now.plus(LEASE), self.publish(alert)).await.map(drop)
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
        let AlertTopic { arn, place, emit } = &self.topic;
        let now = self.now();
        let publication = alert.publication(place, now);
        let publish = self.sns.client().publish().topic_arn(arn).subject(publication.subject);
        let publish = publish
            .message_structure("json")
            .message(publication.message)
            .message_attributes("kind", attribute(alert.kind.as_str())?)
            .message_attributes("severity", attribute(alert.severity.as_str())?);
        publish.send().await.map_err(Error::aws("Publish", arn))?;
        emit(&alert.log_line(place, now));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fleetwarden_core::alert::Kind;
    use fleetwarden_core::alert::Subject;
    use fleetwarden_core::model::severity::AlertSeverity;
    use serde_json::Value;

    use super::*;
    use crate::testing::Answer;
    use crate::testing::cloud::Cloud;
    use crate::testing::gate::Moment;
    use crate::testing::log_alert;
    use crate::testing::logged_alerts;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alerts";

    fn alert() -> Alert {
        Alert {
            kind: Kind::AuditFailed,
            severity: AlertSeverity::High,
            about: "checks".into(),
            thread: "audit 4e2b".into(),
            title: "1 of 3 checks failed".into(),
            description: "**LOGGING_DISABLED_CHECK** failed.".into(),
            next_steps: vec!["Give the audit role the managed policy.".into()],
            subject: Subject::Audit { task_id: "4e2b".into() },
        }
    }

    fn alerts(cloud: &Cloud) -> Alerts {
        let ledger = Ledger::new(cloud.clients().dynamodb(), "ledger".into());
        let place = Place {
            stack: Some("fleetwarden".into()),
            function: Some("audit-notification".into()),
            findings_log_group: Some("/fleetwarden/fleetwarden/findings".into()),
            ..Place::of_topic(TOPIC)
        };
        let topic = AlertTopic { arn: TOPIC.into(), place, emit: log_alert };
        Alerts::new(cloud.clients().sns(), topic, ledger, cloud.clock())
    }

    fn ids(lines: &[Value]) -> Vec<&str> {
        lines.iter().map(|line| line["alert"]["id"].as_str().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_protocol_gets_its_own_text_and_the_mail_a_subject() {
        let cloud = Cloud::default();
        alerts(&cloud).raise(&alert()).await.unwrap();
        let [call] = <[_; 1]>::try_from(cloud.calls("Publish")).unwrap();
        let field = |name: &str| {
            let mut fields = form_urlencoded::parse(call.body.as_bytes());
            fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(field("MessageStructure").as_deref(), Some("json"));
        assert_eq!(field("Subject").as_deref(), Some("[high] 123456789012 eu-west-1: 1 of 3 checks failed"));
        let texts: Value = serde_json::from_str(&field("Message").unwrap()).unwrap();
        assert!(texts["email"].as_str().unwrap().contains("LOGGING_DISABLED_CHECK failed."));
        assert_eq!(cloud.published_to(TOPIC), [texts["default"].as_str().unwrap()]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_published_is_one_event_with_all_its_words() {
        let cloud = Cloud::default();
        let alerts = alerts(&cloud);
        for _ in 0..2 {
            alerts.raise(&alert()).await.unwrap();
        }
        let [line] = <[Value; 1]>::try_from(logged_alerts()).unwrap();
        let event = &line["alert"];
        let words = ["kind", "severity", "title", "thread", "account", "region", "stack", "function"];
        assert_eq!(
            words.map(|word| event[word].as_str().unwrap_or_default()),
            [
                "audit-failed",
                "high",
                "1 of 3 checks failed",
                "audit 4e2b",
                "123456789012",
                "eu-west-1",
                "fleetwarden",
                "audit-notification"
            ]
        );
        assert_eq!(
            (&event["id"], &event["nextSteps"][0]),
            (&alert().id().into(), &alert().next_steps[0].to_string().into())
        );
        assert_eq!(event["description"], "LOGGING_DISABLED_CHECK failed.");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_topic_did_not_take_is_not_logged() {
        let cloud = Cloud::default();
        cloud.fail("Publish", 1, Answer::refused());
        let alerts = alerts(&cloud);
        alerts.raise(&alert()).await.unwrap_err();
        assert_eq!(logged_alerts(), Vec::<Value>::new());
        alerts.raise(&alert()).await.unwrap();
        assert_eq!(ids(&logged_alerts()), [alert().id()]);
    }

    /// Whoever dies at whatever point, and is delivered again: what was published is logged, at least once.
    #[tokio::test(start_paused = true)]
    async fn what_was_published_is_logged_whoever_dies() {
        for moment in Moment::all() {
            let cloud = Cloud::default();
            let died = cloud.kill(moment.clone(), alerts(&cloud).raise(&alert())).await.is_none();
            cloud.pass_seconds(120);
            alerts(&cloud).raise(&alert()).await.unwrap();
            let (published, logged) = (cloud.published_to(TOPIC).len(), logged_alerts().len());
            assert!((1..=2).contains(&published) && (1..=published).contains(&logged), "{moment:?}");
            if !died {
                assert_eq!((published, logged), (1, 1));
                return;
            }
        }
    }
}
