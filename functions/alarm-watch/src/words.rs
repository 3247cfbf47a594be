//! What people are told, and what to do about it.

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

use crate::incidents::Ended;
use crate::send::Example;
use crate::send::Lost;
use crate::trouble::Trouble;

/// An alert's title, its description, and what to do.
type Words = (Text, Text, Vec<Text>);

impl Trouble {
    pub(crate) fn words(&self) -> Words {
        match self {
            Self::Unheard { lost } => (
                text!("{} not heard of", events(lost)),
                text!(
                    "Device Defender lists events of which no message came, or whose message was not handled. They were \
                     sent to the alarm queue, so that they are being handled now; what is not heard of from now on is \
                     brought in in the same way, by each look of this watch.\n{}",
                    named(lost)
                ),
                vec![
                    "See that each security profile has the alarm topic as its alert target, with the role in the stack's \
                     output AlarmTopicPublisherRoleArn (`aws iot describe-security-profile`, `alertTargets`): the role may \
                     publish there, and may use the topic's KMS key (kms:GenerateDataKey, kms:Decrypt). The metric \
                     MisconfiguredDeviceDefenderNotification in AWS/IoT counts what Device Defender could not publish."
                        .into(),
                    function_step(),
                ],
            ),
            Self::Undelivered { lost } => (
                text!("{} sent through in vain", events(lost)),
                text!(
                    "An earlier look of this watch sent these events to the alarm queue, and the ledger still does not have \
                     them. They are sent three times at most.\n{}",
                    named(lost)
                ),
                vec![function_step()],
            ),
            Self::Unsent { why } => (
                "Alarms were not heard of, and could not be sent through".into(),
                text!("The alarm queue did not take a message of this watch: {}.", why),
                vec![
                    "Let the role of `alarm-watch` send to the alarm queue (sqs:SendMessage). The next look sends again."
                        .into(),
                ],
            ),
            Self::Gone { lost } => (
                text!("{} ended and no message told of it", alarms(lost)),
                text!(
                    "The ledger had these in alarm, and Device Defender no longer lists them as active. They were ended as \
                     alarm-invalidated at the time of the look.\n{}",
                    named(lost)
                ),
                vec![
                    "If a security profile was detached, changed or deleted, this is what follows: Device Defender does \
                     not announce it. If not, look for why messages are lost, as for alarms that are not heard of."
                        .into(),
                ],
            ),
            Self::Behind { seconds } => (
                "The watch on alarms is behind".into(),
                text!(
                    "There were more events than one invocation has time for. Those of the last {} minutes are still to be \
                     looked at; the next look goes on where this one ended.",
                    seconds / 60
                ),
                vec![
                    "Invoke `alarm-watch` again to catch up now. If this comes back, let the schedule run more often, or \
                     the function longer, and see which behavior alarms so much."
                        .into(),
                ],
            ),
            Self::Blind { operation, message, .. } => (
                text!("The watch on alarms is blind: {}", operation),
                text!("What it would have seen is not known. {}", message),
                vec![
                    "If it is denied, let the role of `alarm-watch` make the call, and look for a deny in a service control \
                     policy or a permissions boundary. If it is not, the next look may succeed."
                        .into(),
                ],
            ),
        }
    }
}

/// An incident is over.
pub(crate) fn incident_over(over: &Ended, account: &str, region: &str) -> Alert {
    let Ended { behavior, profile, .. } = over;
    let left = match over.in_alarm {
        0 => Text::own("No device is in alarm any more."),
        1 => Text::own("One device is still in alarm: the policy decides on it now."),
        many => text!("{} devices are still in alarm: the policy decides on each of them now.", many),
    };
    Alert {
        kind: Kind::AlarmIncidentOver,
        severity: AlertSeverity::Low,
        about: format!("incident {} over", over.id),
        thread: format!("incident {}", over.id),
        title: text!("Incident over: `{}`", behavior),
        description: text!(
            "Account {} in {}. The incident of behavior `{}` of security profile `{}` is over: no new device within the \
             policy's window. {} devices alarmed in it. {}",
            account,
            region,
            behavior,
            profile,
            over.devices,
            left
        ),
        next_steps: vec![
            "If the devices did nothing wrong, verify their alarms as FALSE_POSITIVE or BENIGN_POSITIVE."
                .into(),
        ],
        subject: Subject::Incident { id: over.id.clone() },
    }
}

fn function_step() -> Text {
    Text::own(
        "If the alerts go on, the topic or the queue does not reach `detect-alarm`: see the topic's subscription, the \
         function's errors and its dead-letter queue. What is parked there has its reason in the attribute `reason`.",
    )
}

fn events(lost: &Lost) -> Text {
    match lost.count {
        1 => Text::own("1 event of an alarm was"),
        many => text!("{} events of alarms were", many),
    }
}

fn alarms(lost: &Lost) -> Text {
    match lost.count {
        1 => Text::own("1 alarm"),
        many => text!("{} alarms", many),
    }
}

/// A line for each event, up to a bound.
fn named(lost: &Lost) -> Text {
    let line = |example: &Example| {
        let thing = example.thing.as_ref().map_or(Text::own("no device"), |thing| text!("`{}`", thing));
        text!(
            "- {}: {} by `{}` of `{}`, {}",
            thing,
            example.event,
            example.behavior,
            example.profile,
            example.at
        )
    };
    let more = lost.count.checked_sub(lost.examples.len() as u64).filter(|more| *more > 0);
    let more = more.map(|more| text!("- and {} more", more));
    Text::joined(lost.examples.iter().map(line).chain(more), "\n")
}
