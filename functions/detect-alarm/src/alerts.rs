//! What people are told: a device that is in alarm, one that flaps, many at once.
//!
//! Names and values come from devices. They stand as code, and no character of them can end that, be unseen, or mean
//! anything to a chat.

use std::fmt::Write as _;

use fleetwarden_aws::alarms::Incident;
use fleetwarden_core::alarm::Alarm;
use fleetwarden_core::alarm::Confidence;
use fleetwarden_core::alarm::Life;
use fleetwarden_core::alarm::Source;
use fleetwarden_core::alarm::State;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::AlertSeverity;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::names::is_thing_name;
use fleetwarden_core::names::visible;
use fleetwarden_core::policy::AlarmDecision;
use fleetwarden_core::policy::AlarmHeld;
use fleetwarden_core::policy::AlarmOutcome;
use fleetwarden_core::policy::AlarmSettings;
use fleetwarden_core::policy::AlarmSubject;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Report;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

/// The longest name and the longest value that is shown, in characters.
const NAME: usize = 128;
const VALUE: usize = 300;
/// How many devices an alert names.
const NAMED: usize = 10;

/// A device is in alarm, or was.
pub(crate) fn raised(
    subject: &AlarmSubject<'_>,
    decision: &AlarmDecision<'_, '_>,
    raised_at: Millis,
    reason: Option<&str>,
) -> Alert {
    let life = subject.life;
    let alarm = &life.alarm;
    let state = match life.state() {
        Some(State::Cleared) => "was in alarm",
        Some(State::Invalidated) => "was in alarm, and nothing is known of it any more",
        _ => "is in alarm",
    };
    let mut description = facts(life);
    let _ = write!(description, "\nIn alarm since {}", raised_at.rfc3339());
    match life.ended_at() {
        Some(ended) => drop(write!(description, ", until {}.", ended.rfc3339())),
        None => description.push('.'),
    }
    let _ = write!(description, "\n{}", decided(decision, reason));
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
    let mut description = facts(subject.life);
    let _ = write!(
        description,
        "\n{times} alarms since {}. There is no further alert until it has raised none for {quiet} minutes.\n{}",
        since.rfc3339(),
        decided(decision, None),
    );
    let mut next_steps = vec![
        "See whether the threshold lies where the metric is every day: then raise it, or ask for more consecutive datapoints to alarm and to clear.".to_owned(),
    ];
    next_steps.extend(self::next_steps(alarm));
    Alert {
        kind: Kind::AlarmFlapping,
        severity: severity(alarm, decision),
        about: format!("{} {}", alarm.series(), since.0),
        thread: thread(alarm),
        title: titled(alarm, "flaps", &format!("{times} alarms on {}", name(&alarm.behavior))),
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
    devices: Vec<String>,
    mitigated: Vec<String>,
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
        Some(all) if all > incident.devices => format!(" of {all} or more"),
        _ => String::new(),
    };
    let mut description = format!(
        "{} devices{of} raised this alarm within {window} minutes: the first at {}, the latest at {} (to 5 minutes). {}.",
        incident.devices,
        incident.first_at.rfc3339(),
        latest.rfc3339(),
        place(alarm),
    );
    if !targets.is_empty() {
        let targets: Vec<String> = targets.iter().take(NAMED).map(|target| code(target, NAME)).collect();
        let _ = write!(description, "\nThe profile watches {}.", targets.join(", "));
    }
    description.push_str(
        "\nThat is more often a backend, a network or a threshold than as many compromised devices. While the incident \
         lasts none of them is mitigated, and there is no alert of each.",
    );
    let devices = &raised.devices;
    if !devices.is_empty() {
        let more = raised.count.saturating_sub(devices.len());
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let _ = write!(description, "\nIn alarm: {}{more}.", devices.join(", "));
    }
    let mitigated = &raised.mitigated;
    let none = "None of them was mitigated before.".to_owned();
    let before = if mitigated.is_empty() {
        none
    } else {
        format!("Decided before, to be mitigated: {}.", mitigated.join(", "))
    };
    let _ = write!(description, "\n{before}");
    let id = &incident.id;
    Alert {
        kind: Kind::AlarmIncident,
        severity: AlertSeverity::High,
        about: id.clone(),
        thread: format!("incident {id}"),
        title: format!("Incident: {} devices alarm on {} of {}", incident.devices, name(&alarm.behavior), name(&alarm.profile)),
        description,
        next_steps: vec![
            "See what they have in common: a deployment, a region, a firmware version, a broker.".to_owned(),
            format!("If the devices are at fault, have the policy decide on each: `fleetwarden detect alarm-incident --incident-id {id} --decision mitigate`."),
            format!("If they are not, close it: `fleetwarden detect alarm-incident --incident-id {id} --decision leave`."),
            "Otherwise it ends by itself when no further device alarms within the window; then the policy decides on those that are still in alarm.".to_owned(),
        ],
        subject: Subject::Incident { id: id.clone() },
    }
}

/// What keeps a rule from acting, in words.
pub(crate) fn held(held: &AlarmHeld<'_>) -> String {
    match held {
        AlarmHeld::ProtectedBy(protection) => format!("protected: {protection}"),
        AlarmHeld::ProtectionUnknown => {
            "protected things or groups: nobody could say whether this is one".to_owned()
        }
        AlarmHeld::RegistrationUnknown => "nobody could say whether the thing is registered".to_owned(),
        AlarmHeld::RuleUnknown(rule) => format!("the earlier rule {} cannot be evaluated", name(rule)),
        AlarmHeld::Ended => "the alarm has ended".to_owned(),
        AlarmHeld::NothingToMitigate => {
            "there is no registered thing, or the alarm is not Device Defender's".to_owned()
        }
        AlarmHeld::NothingToVerify => "the alarm is not Device Defender's".to_owned(),
        AlarmHeld::Verified(said) => format!("its verification state is {}", said.as_str()),
    }
}

/// What was decided, in a sentence.
fn decided(decision: &AlarmDecision<'_, '_>, reason: Option<&str>) -> String {
    let by = match decision.rule {
        Some(rule) => format!("Rule {}", name(rule)),
        None => "No rule matches".to_owned(),
    };
    let observes = decision.mode() == Mode::Observe;
    let what = match (decision.outcome, reason) {
        (_, Some(reason)) => format!("nothing is done: {reason}"),
        (AlarmOutcome::Mitigate(mitigate), None) => {
            let actions: Vec<String> = mitigate.actions.iter().map(|action| name(action)).collect();
            let would =
                if observes { "would be asked for; the policy's mode is `observe`" } else { "is asked for" };
            format!("the mitigation {} {would}", actions.join(", "))
        }
        (AlarmOutcome::Verify(verify), None) => {
            format!("the verification state is {}", verify.state.as_str())
        }
        (AlarmOutcome::Report(_), None) => "it is reported".to_owned(),
    };
    format!("{by}: {what}.")
}

/// What the alarm is and what was measured.
fn facts(life: &Life) -> String {
    let alarm = &life.alarm;
    let mut facts = format!("{}.", place(alarm));
    if let Some(metric) = &alarm.metric {
        let _ = write!(facts, " Metric {}.", name(metric));
    }
    if let Some(confidence) = alarm.confidence {
        let _ = write!(facts, " The model is asked for {} confidence.", confidence.as_str());
    }
    if let Some(value) = &life.value {
        let _ = write!(facts, "\nMeasured: {}", measured(value));
    }
    if let Some(expected) = &alarm.expected {
        let _ = write!(facts, "\nExpected: {}", measured(expected));
    }
    facts
}

fn place(alarm: &Alarm) -> String {
    format!(
        "Security profile {}, behavior {}, account {} in {}",
        name(&alarm.profile),
        name(&alarm.behavior),
        alarm.account,
        alarm.region
    )
}

fn next_steps(alarm: &Alarm) -> Vec<String> {
    let id = &alarm.violation_id;
    let mut steps = Vec::new();
    if let Some(thing) = alarm.thing.as_deref().filter(|thing| is_thing_name(thing)) {
        steps.push(format!(
            "See what else it does: `fleetwarden detect list-active-violations --thing-name {thing}`."
        ));
    }
    if alarm.source == Source::DeviceDefender {
        steps.push(format!(
            "If the alarm is false, say so: `fleetwarden detect put-verification-state-on-violation --violation-id {id} --verification-state FALSE_POSITIVE`."
        ));
    }
    steps.push(
        "If such alarms are to be handled otherwise, add a rule with `alarm:` to the policy.".to_owned(),
    );
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

fn device(alarm: &Alarm) -> String {
    alarm.thing.as_deref().map_or_else(|| "no device".to_owned(), name)
}

/// What a device does, or the alarm itself if it is about none.
fn titled(alarm: &Alarm, does: &str, what: &str) -> String {
    match &alarm.thing {
        Some(thing) => format!("{} {does}: {what}", name(thing)),
        None => format!("{} {does}", name(&alarm.behavior)),
    }
}

fn name(text: &str) -> String {
    code(text, NAME)
}

fn measured(value: &Value) -> String {
    code(&words(value), VALUE)
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

/// A text from outside as code.
fn code(text: &str, most: usize) -> String {
    let visible = visible(text);
    let plain = |c: char| if matches!(c, '`' | '<' | '>' | '@') { '?' } else { c };
    let mut shown: String = visible.chars().take(most).map(plain).collect();
    if shown.chars().count() < visible.chars().count() {
        shown.push('…');
    }
    format!("`{shown}`")
}
