//! The body of a record on the alarm queue: SNS's envelope around an alarm, an alarm alone, or a message that a function
//! of Fleetwarden sent.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use super::alarm::AlarmMessage;
use super::alarm::Settle;
use crate::ids::names::is_name;
use crate::ids::names::is_region;
use crate::json;
use crate::model::alarm::AlarmError;
use crate::model::alarm::AlarmEvent;
use crate::untrusted::shown;

/// What a record asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// To hear of this. Boxed, since it is far larger than the other.
    Event(Box<AlarmEvent>),
    /// To decide on this.
    Settle(Settle),
}

/// What SNS puts around a message for SQS.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    topic_arn: String,
    message: String,
}

impl Incoming {
    /// Reads a body. `account` and `region` are the function's own: an alarm of another is refused. What comes by SNS is
    /// only ever an alarm, since others may publish to a topic.
    ///
    /// # Errors
    /// What is wrong, with the path of the member.
    pub fn parse(body: &str, account: &str, region: &str) -> Result<Self, AlarmError> {
        let members: Map<String, Value> = serde_json::from_str(body).map_err(AlarmError::NoJson)?;
        let has = |member: &str| members.contains_key(member);
        if has("TopicArn") && has("Message") {
            let envelope: Envelope = read(body, "SNS envelope")?;
            check_topic(&envelope.topic_arn, account, region)?;
            return AlarmEvent::parse(&envelope.message, account, region).map(Box::new).map(Self::Event);
        }
        if members.len() != 1 || !(has("found") || has("settle")) {
            return AlarmEvent::parse(body, account, region).map(Box::new).map(Self::Event);
        }
        match read(body, "alarm message")? {
            AlarmMessage::Settle(settle) => Ok(Self::Settle(settle)),
            AlarmMessage::Found(event) => {
                if !is_name(&event.alarm.violation_id) {
                    let what = format!("'{}' is no violation's id", shown(&event.alarm.violation_id));
                    let path = "found.violationId".to_owned();
                    return Err(AlarmError::Value { kind: "alarm message", path, what });
                }
                let of = (event.alarm.account.as_str(), event.alarm.region.as_str());
                if of != (account, region) {
                    let path = "found".to_owned();
                    let what = format!("it is of {} in {}", shown(of.0), shown(of.1));
                    return Err(AlarmError::Value { kind: "alarm message", path, what });
                }
                Ok(Self::Event(Box::new(event)))
            }
        }
    }
}

/// The topic is of this account and region: what else it carries was not meant for here.
fn check_topic(arn: &str, account: &str, region: &str) -> Result<(), AlarmError> {
    let wrong = |what: String| {
        let what = format!("'{}': {what}", shown(arn));
        Err(AlarmError::Value { kind: "SNS envelope", path: "TopicArn".to_owned(), what })
    };
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "sns", of_region, of_account, _] => {
            if !is_region(of_region) || *of_region != region {
                return wrong(format!("this is region {region}"));
            }
            if *of_account != account {
                return wrong(format!("this is account {account}"));
            }
            Ok(())
        }
        _ => wrong("it is no topic's ARN".to_owned()),
    }
}

fn read<'t, T: Deserialize<'t>>(text: &'t str, kind: &'static str) -> Result<T, AlarmError> {
    json::read(text).map_err(|source| AlarmError::Member { kind, source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::alarm::Life;

    const VIOLATION: &str = r#"{"violationEventTime":1573786800000,"thingName":"dev","behavior":{"name":"b"},
        "violationEventType":"in-alarm","violationId":"v-1","securityProfileName":"p"}"#;

    fn parse(body: &Value) -> Result<Incoming, String> {
        Incoming::parse(&body.to_string(), "123456789012", "eu-central-1").map_err(|e| e.to_string())
    }

    fn envelope(arn: &str, message: &str) -> Value {
        json!({"Type": "Notification", "MessageId": "m", "TopicArn": arn, "Message": message})
    }

    #[test]
    fn an_alarm_comes_in_an_envelope_alone_or_found() {
        let in_envelope =
            parse(&envelope("arn:aws:sns:eu-central-1:123456789012:alarms", VIOLATION)).unwrap();
        let alone = parse(&serde_json::from_str(VIOLATION).unwrap()).unwrap();
        assert_eq!(in_envelope, alone);
        let Incoming::Event(event) = alone.clone() else { panic!("another kind") };
        let found = serde_json::to_value(AlarmMessage::Found(*event.clone())).unwrap();
        assert_eq!(parse(&found).unwrap(), alone);
        let raised_at = Life::of(&event).raised_at.unwrap();
        let settle = Settle {
            violation_id: "v-1".into(),
            raised_at,
            not_before: raised_at,
            round: None,
            devices: None,
        };
        let message = serde_json::to_value(AlarmMessage::Settle(settle.clone())).unwrap();
        assert_eq!(parse(&message), Ok(Incoming::Settle(settle)));
    }

    #[test]
    fn what_is_not_meant_for_here_is_refused() {
        let settle = r#"{"settle":{"violationId":"v-1","raisedAt":1,"notBefore":1}}"#;
        let found = json!({"found": {"source": "deviceDefender", "account": "210987654321", "region": "eu-central-1",
            "violationId": "v", "profile": "p", "behavior": "b", "criteria": "STATIC", "event": "in-alarm", "at": 1}});
        let errors = [
            parse(&envelope("arn:aws:sns:eu-central-1:210987654321:alarms", VIOLATION)),
            parse(&envelope("arn:aws:sns:us-east-1:123456789012:alarms", VIOLATION)),
            parse(&envelope("arn:aws:sqs:eu-central-1:123456789012:alarms", VIOLATION)),
            parse(&envelope("", VIOLATION)),
            parse(&envelope("arn:aws:sns:eu-central-1:123456789012:alarms", settle)),
            parse(&json!({"TopicArn": 7, "Message": "x"})),
            parse(&found),
            parse(&json!({"settle": {"violationId": 7}})),
            parse(&json!([])),
        ];
        insta::assert_snapshot!(errors.map(|error| error.unwrap_err()).join("\n"));
    }
}
