//! The alerts on a device that is in alarm, on one that flaps, and on an incident.

use fleetwarden_aws::alarms::Incident;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::ids::names::is_thing_name;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::Confidence;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::policy::AlarmDecision;
use fleetwarden_core::policy::AlarmHold;
use fleetwarden_core::policy::AlarmOutcome;
use fleetwarden_core::policy::AlarmSettings;
use fleetwarden_core::policy::AlarmSubject;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Report;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;
use serde_json::Value;

/// How many devices an alert names.
const NAMED: usize = 10;

/// A device is in alarm, or was.
pub(crate) fn raised(
    subject: &AlarmSubject<'_>,
    decision: &AlarmDecision<'_, '_>,
    raised_at: Millis,
    reason: Option<&Text>,
) -> Alert {
    let life = subject.life;
    let alarm = &life.alarm;
    let state = match life.state() {
        Some(State::Cleared) => "was in alarm",
        Some(State::Invalidated) => "was in alarm, and its state is unknown now",
        _ => "is in alarm",
    };
    let until = life.ended_at().map(|ended| text!(", until {}", ended)).unwrap_or_default();
    let description =
        text!("{}\nIn alarm since {}{}.\n{}", facts(life), raised_at, until, decided(decision, reason));
    Alert {
        kind: Kind::AlarmRaised,
        severity: severity(alarm, decision),
        about: format!("{} {} {}", alarm.violation_id, raised_at.0, decision.outcome.word()),
        thread: thread(alarm),
        title: titled(alarm, state, &name(&alarm.behavior)),
        description,
        next_steps: next_steps(alarm),
        subject: self::subject(alarm),
    }
}

/// A device and behavior raise alarms again and again. Told once until they are quiet.
pub(crate) fn flapping(
    subject: &AlarmSubject<'_>,
    decision: &AlarmDecision<'_, '_>,
    times: usize,
    since: Millis,
    settings: &AlarmSettings,
) -> Alert {
    let alarm = &subject.life.alarm;
    let quiet = settings.quiet_seconds / 60;
    let description = text!(
        "{}\n{} alarms since {}. There is no further alert until it has raised none for {} minutes.\n{}",
        facts(subject.life),
        times,
        since,
        quiet,
        decided(decision, None),
    );
    let mut next_steps = vec![Text::own(
        "Compare the threshold with the metric's everyday values. If they overlap, raise it, or require more consecutive datapoints to alarm and to clear.",
    )];
    next_steps.extend(self::next_steps(alarm));
    Alert {
        kind: Kind::AlarmFlapping,
        severity: severity(alarm, decision),
        about: format!("{} {}", alarm.series(), since.0),
        thread: thread(alarm),
        title: titled(alarm, "flaps", &text!("{} alarms on {}", times, name(&alarm.behavior))),
        description,
        next_steps,
        subject: self::subject(alarm),
    }
}

/// What is said of the devices of an incident that are still in alarm. There may be many: few are named.
#[derive(Debug, Default)]
pub(crate) struct Raised {
    count: usize,
    latest: Option<Millis>,
    devices: Vec<Text>,
    mitigated: Vec<Text>,
}

impl Raised {
    /// One more.
    pub(crate) fn add(&mut self, life: &Life) {
        self.count += 1;
        self.latest = self.latest.max(life.raised_at);
        if self.devices.len() < NAMED {
            self.devices.push(device(&life.alarm));
        }
        if self.mitigated.len() < NAMED && life.has("mitigate", None) {
            self.mitigated.push(device(&life.alarm));
        }
    }
}

/// Many devices alarm on one behavior at once. `raised` are those that are still in alarm.
pub(crate) fn incident(
    alarm: &Alarm,
    incident: &Incident,
    raised: &Raised,
    targets: &[String],
    policy: &Policy,
) -> Alert {
    let window = policy.alarms().incident_window_seconds / 60;
    let latest = raised.latest.map_or(incident.latest_at, |latest| latest.max(incident.latest_at));
    let of = match incident.population {
        Some(all) if all > incident.devices => text!(" of {} or more", all),
        _ => Text::default(),
    };
    let mut description = text!(
        "{} devices{} raised this alarm within {} minutes: the first at {}, the latest at {} (to 5 minutes). {}.",
        incident.devices,
        of,
        window,
        incident.first_at,
        latest,
        place(alarm),
    );
    if !targets.is_empty() {
        let targets = Text::joined(targets.iter().take(NAMED).map(|target| name(target)), ", ");
        description.push(text!("\nThe profile watches {}.", targets));
    }
    description.push(
        "\nThe cause is more often a backend, a network or a threshold than so many compromised devices. While the \
         incident lasts, none of them is mitigated, and there is no alert on each.",
    );
    let devices = &raised.devices;
    if !devices.is_empty() {
        let more = raised.count.saturating_sub(devices.len());
        let more = if more > 0 { text!(", and {} more", more) } else { Text::default() };
        description.push(text!("\nIn alarm: {}{}.", Text::joined(devices, ", "), more));
    }
    let mitigated = &raised.mitigated;
    description.push(if mitigated.is_empty() {
        Text::own("\nNone of them was mitigated before.")
    } else {
        text!("\nDecided before, to be mitigated: {}.", Text::joined(mitigated, ", "))
    });
    let id = &incident.id;
    Alert {
        kind: Kind::AlarmIncident,
        severity: AlertSeverity::High,
        about: id.clone(),
        thread: format!("incident {id}"),
        title: text!("Incident: {} devices alarm on {} of {}", incident.devices, name(&alarm.behavior), name(&alarm.profile)),
        description,
        next_steps: vec![
            "Find what they have in common: a deployment, a region, a firmware version, a broker.".into(),
            text!("If the devices are at fault, have the policy decide on each: `fleetwarden detect alarm-incident --incident-id {} --decision mitigate`.", id),
            text!("If they are not, close it: `fleetwarden detect alarm-incident --incident-id {} --decision leave`.", id),
            "Otherwise it ends by itself when no further device alarms within the window; then the policy decides on those that are still in alarm.".into(),
        ],
        subject: Subject::Incident { id: id.clone() },
    }
}

/// What keeps a rule from acting, in words.
pub(crate) fn held(held: &AlarmHold<'_>) -> Text {
    match held {
        AlarmHold::ProtectedBy(protection) => text!("protected: {}", protection),
        AlarmHold::ProtectionUnknown => {
            "protected things or groups: it is unknown whether this is one".into()
        }
        AlarmHold::RegistrationUnknown => "it is unknown whether the thing is registered".into(),
        AlarmHold::RuleUnknown(rule) => text!("the earlier rule {} cannot be evaluated", name(rule)),
        AlarmHold::Ended => "the alarm has ended".into(),
        AlarmHold::NothingToMitigate => {
            "there is no registered thing, or the alarm is not Device Defender's".into()
        }
        AlarmHold::NothingToVerify => "the alarm is not Device Defender's".into(),
        AlarmHold::Verified(said) => text!("its verification state is {}", said.as_str()),
    }
}

/// What was decided, in a sentence.
fn decided(decision: &AlarmDecision<'_, '_>, reason: Option<&Text>) -> Text {
    let by = match decision.rule {
        Some(rule) => text!("Rule {}", name(rule)),
        None => Text::own("No rule matches"),
    };
    let observes = decision.mode() == Mode::Observe;
    let what = match (decision.outcome, reason) {
        (_, Some(reason)) => text!("nothing is done: {}", reason),
        (AlarmOutcome::Mitigate(mitigate), None) => {
            let actions = Text::joined(mitigate.actions.iter().map(|action| name(action)), ", ");
            let would =
                if observes { "would be asked for; the policy's mode is `observe`" } else { "is asked for" };
            text!("the mitigation {} {}", actions, Text::own(would))
        }
        (AlarmOutcome::Verify(verify), None) => {
            text!("the verification state is {}", verify.state.as_str())
        }
        (AlarmOutcome::Report(_), None) => "it is reported".into(),
    };
    text!("{}: {}.", by, what)
}

/// What the alarm is and what was measured.
fn facts(life: &Life) -> Text {
    let alarm = &life.alarm;
    let mut facts = text!("{}.", place(alarm));
    if let Some(metric) = &alarm.metric {
        facts.push(text!(" Metric {}.", name(metric)));
    }
    if let Some(confidence) = alarm.confidence {
        facts.push(text!(" The model is asked for {} confidence.", confidence.as_str()));
    }
    if let Some(value) = &life.value {
        facts.push(text!("\nMeasured: `{}`", words(value)));
    }
    if let Some(expected) = &alarm.expected {
        facts.push(text!("\nExpected: `{}`", words(expected)));
    }
    facts
}

fn place(alarm: &Alarm) -> Text {
    text!(
        "Security profile {}, behavior {}, account {} in {}",
        name(&alarm.profile),
        name(&alarm.behavior),
        alarm.account,
        alarm.region
    )
}

fn next_steps(alarm: &Alarm) -> Vec<Text> {
    let id = &alarm.violation_id;
    let mut steps = Vec::new();
    if let Some(thing) = alarm.thing.as_deref().filter(|thing| is_thing_name(thing)) {
        steps.push(text!(
            "List its other violations: `fleetwarden detect list-active-violations --thing-name {}`.",
            thing
        ));
    }
    if alarm.source == Source::DeviceDefender {
        steps.push(text!(
            "If the alarm is false, mark it: `fleetwarden detect put-verification-state-on-violation --violation-id {} --verification-state FALSE_POSITIVE`.",
            id
        ));
    }
    steps.push("To handle such alarms in another way, add a rule with `alarm:` to the policy.".into());
    steps
}

fn severity(alarm: &Alarm, decision: &AlarmDecision<'_, '_>) -> AlertSeverity {
    match (decision.outcome, alarm.confidence) {
        (AlarmOutcome::Report(Report::Alert(Some(severity))), _) => severity,
        (AlarmOutcome::Mitigate(_), _) | (_, Some(Confidence::High)) => AlertSeverity::High,
        (_, Some(Confidence::Low)) => AlertSeverity::Low,
        _ => AlertSeverity::Medium,
    }
}

fn subject(alarm: &Alarm) -> Subject {
    Subject::Alarm { violation_id: alarm.violation_id.clone() }
}

fn thread(alarm: &Alarm) -> String {
    format!("alarm {}", alarm.series())
}

fn device(alarm: &Alarm) -> Text {
    alarm.thing.as_deref().map_or_else(|| "no device".into(), name)
}

/// What a device does, or the alarm itself if it is about none.
fn titled(alarm: &Alarm, does: &'static str, what: &Text) -> Text {
    match &alarm.thing {
        Some(thing) => text!("{} {}: {}", name(thing), Text::own(does), what),
        None => text!("{} {}", name(&alarm.behavior), Text::own(does)),
    }
}

/// A name as code.
fn name(name: &str) -> Text {
    text!("`{}`", name)
}

/// A value in words: who reads a mail reads no JSON.
fn words(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{name} {}", words(value)));
            members.collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
