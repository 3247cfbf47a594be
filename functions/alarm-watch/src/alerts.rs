//! What can be wrong with the alarms themselves, and the alerts on it: when it starts, and every 30 days until it is fixed.

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::alert::notices::Due;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;
use serde::Serialize;

use crate::compare::Example;
use crate::compare::Lost;
use crate::incidents::Ended;
use crate::snapshot::FIXED_SECONDS;

/// A problem.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Problem {
    /// No message announced these events. They were sent to the alarm queue.
    Unheard { lost: Lost },
    /// An earlier run sent these to the alarm queue, and the ledger still does not have them.
    Undelivered { lost: Lost },
    /// The alarm queue refused events.
    Unsent { why: String },
    /// The service no longer lists these alarms, and no message announced their end. They were ended.
    Gone { lost: Lost },
    /// There was no time for all events.
    Behind { seconds: u64 },
    /// AWS IoT refused a call.
    Blind { operation: String, code: String, message: String },
}

/// Where an alert is raised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    pub(crate) account: &'p str,
    pub(crate) region: &'p str,
}

impl Problem {
    pub(crate) fn blind(error: &Error) -> Self {
        tracing::warn!(error.name = error.name(), %error, "AWS IoT refused a call of the alarm watch");
        let (operation, code) = match error {
            Error::Aws { operation, code, .. } => ((*operation).to_owned(), code.clone()),
            _ => ("its work".to_owned(), error.name().to_owned()),
        };
        Self::Blind { operation, code, message: error.to_string() }
    }

    /// Its identity while it lasts.
    fn key(&self) -> String {
        match self {
            Self::Unheard { .. } => "unheard".to_owned(),
            Self::Undelivered { .. } => "undelivered".to_owned(),
            Self::Unsent { .. } => "unsent".to_owned(),
            Self::Gone { .. } => "gone".to_owned(),
            Self::Behind { .. } => "behind".to_owned(),
            Self::Blind { operation, code, .. } => format!("blind {operation} {code}"),
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Behind { .. } | Self::Blind { .. } => Kind::AlarmWatchBlind,
            _ => Kind::AlarmUnheard,
        }
    }

    const fn severity(&self) -> AlertSeverity {
        match self {
            Self::Undelivered { .. } | Self::Unsent { .. } => AlertSeverity::High,
            Self::Gone { .. } => AlertSeverity::Low,
            // What was sent to the queue is not lost, but the next one will be as late.
            _ => AlertSeverity::Medium,
        }
    }

    fn alert(&self, place: Place<'_>, due: Due) -> Alert {
        let (title, description, next_steps) = self.words();
        Alert {
            kind: self.kind(),
            severity: self.severity(),
            about: format!("{} since {}, month {}", self.key(), due.since.0, due.months),
            thread: "alarm watch".into(),
            title,
            description: text!("Account {} in {}. {}", place.account, place.region, description),
            next_steps,
            subject: Subject::Log,
        }
    }
}

/// Records the problems of a run, and adds the alerts that are due.
pub(crate) fn notice(notices: &mut Notices, problems: &[Problem], place: Place<'_>, now: Millis) {
    notices.forget(now, FIXED_SECONDS);
    for problem in problems {
        if let Some(due) = notices.notice(&problem.key(), now) {
            notices.add(problem.alert(place, due));
        }
    }
}

/// An alert's title, its description, and what to do.
type Words = (Text, Text, Vec<Text>);

impl Problem {
    fn words(&self) -> Words {
        match self {
            Self::Unheard { lost } => (
                text!("No message for {}", events(lost)),
                text!(
                    "Device Defender lists events whose message did not come or was not handled. They were sent to the \
                     alarm queue and are handled now. Each run of `alarm-watch` does the same with further ones.\n{}",
                    named(lost)
                ),
                vec![
                    "Check that each security profile has the alarm topic as its alert target, with the role in the stack's \
                     output AlarmTopicPublisherRoleArn (`aws iot describe-security-profile`, `alertTargets`): the role may \
                     publish there, and may use the topic's KMS key (kms:GenerateDataKey, kms:Decrypt). The metric \
                     MisconfiguredDeviceDefenderNotification in AWS/IoT counts what Device Defender could not publish."
                        .into(),
                    function_step(),
                ],
            ),
            Self::Undelivered { lost } => (
                text!("{} sent to the alarm queue and not handled", events(lost)),
                text!(
                    "An earlier run of `alarm-watch` sent these events to the alarm queue, and the ledger still does not have \
                     them. Each is sent three times at most.\n{}",
                    named(lost)
                ),
                vec![function_step()],
            ),
            Self::Unsent { why } => (
                "Alarms were missed, and the alarm queue refused them".into(),
                text!("The alarm queue refused a message of `alarm-watch`: {}.", why),
                vec![
                    "Let the role of `alarm-watch` send to the alarm queue (sqs:SendMessage). The next run sends again."
                        .into(),
                ],
            ),
            Self::Gone { lost } => (
                text!("{} ended without a message", alarms(lost)),
                text!(
                    "The ledger had these in alarm, and Device Defender no longer lists them as active. They were ended as \
                     alarm-invalidated at the time of this run.\n{}",
                    named(lost)
                ),
                vec![
                    "If a security profile was detached, changed or deleted, this is expected: Device Defender does not \
                     announce it. If not, find out why messages are lost, as for alarms without a message."
                        .into(),
                ],
            ),
            Self::Behind { seconds } => (
                "`alarm-watch` is behind".into(),
                text!(
                    "There were more events than one invocation has time for. Those of the last {} minutes are not compared \
                     yet; the next run continues where this one ended.",
                    seconds / 60
                ),
                vec![
                    "Invoke `alarm-watch` again to catch up now. If this comes back, run the schedule more often or raise \
                     the function's timeout, and find the behavior that alarms so often."
                        .into(),
                ],
            ),
            Self::Blind { operation, message, .. } => (
                text!("`alarm-watch` cannot call {}", operation),
                text!("Missed alarms are not detected until it can. {}", message),
                vec![
                    "If access is denied, allow the call in the role of `alarm-watch`, and look for a deny in a service \
                     control policy or a permissions boundary. Otherwise the next run may succeed."
                        .into(),
                ],
            ),
        }
    }
}

/// An incident is over.
pub(crate) fn incident_over(over: &Ended, place: Place<'_>) -> Alert {
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
            place.account,
            place.region,
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
        "If the alerts continue, messages do not reach `detect-alarm`: check the topic's subscription, the function's \
         errors and its dead-letter queue. A parked message has its reason in the attribute `reason`.",
    )
}

fn events(lost: &Lost) -> Text {
    match lost.count {
        1 => Text::own("1 alarm event"),
        many => text!("{} alarm events", many),
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

#[cfg(test)]
mod tests;
