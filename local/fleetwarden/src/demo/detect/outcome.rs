//! What came out of each scenario, and whether that is what it had to show.

use super::endpoint::Event;
use super::play::{Cast, LAB_PROFILE};
use super::records::Record;
use crate::demo::inbox::Alert;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const RULES: &str = "FleetwardenRules";
const MODELS: &str = "FleetwardenModels";
const IN_ALARM: &str = "in-alarm";
const CLEARED: &str = "alarm-cleared";
/// More devices in alarm are an incident, by the demonstration's policy.
const INCIDENT: usize = 50;
/// How many alerts come of a behavior that flaps before it is reported that it does, by the policy.
const BEFORE_FLAPPING: usize = 2;
/// How often the battery has to alarm.
const FLAPS: usize = 4;

/// Everything that was seen, on all sides.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) cast: Cast,
    /// Who was in quarantine while the storm lasted.
    pub(super) quarantined: BTreeSet<String>,
    /// What really happened.
    pub(super) events: Vec<Event>,
    /// What the findings log says.
    pub(super) records: Vec<Record>,
    /// The alerts, in the order of their arrival.
    pub(super) alerts: Vec<Alert>,
    /// What `ml-model-status` answered.
    pub(super) models: Value,
    /// What `alarm-watch` answered.
    pub(super) watch: Value,
    /// The report of alarms.
    pub(super) report: Value,
}

/// The account of the demonstration.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Things that were watched.
    things: usize,
    /// Events of alarms that happened.
    events: usize,
    /// Alerts, by kind.
    alerts: BTreeMap<String, usize>,
    /// The scenarios.
    pub(super) scenarios: Vec<Scenario>,
    /// How long it took.
    seconds: f64,
}

/// One scenario.
#[derive(Debug, Serialize)]
pub(super) struct Scenario {
    /// Its name.
    pub(super) name: &'static str,
    /// What happened, in a sentence.
    pub(super) happened: String,
    /// What should have been otherwise.
    pub(super) faults: Vec<String>,
}

/// Collects what is wrong.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, holds: bool, fault: impl Into<String>) {
        if !holds {
            self.0.push(fault.into());
        }
    }
}

impl Account {
    /// Judges what was seen.
    pub(super) fn of(observed: &Observed, took: Duration) -> Self {
        let mut alerts = BTreeMap::new();
        for alert in &observed.alerts {
            *alerts.entry(alert.kind.clone()).or_default() += 1;
        }
        Self {
            things: observed.cast.things,
            events: observed.events.len(),
            alerts,
            scenarios: vec![
                observed.compromised(),
                observed.storm(),
                observed.flapping(),
                observed.starved(),
                observed.loud(),
                observed.heard(),
            ],
            seconds: took.as_secs_f64(),
        }
    }

    /// What ended otherwise than it should, with the name of its scenario.
    pub(crate) fn faults(&self) -> Vec<String> {
        let of = |scenario: &Scenario| {
            let name = scenario.name;
            scenario.faults.iter().map(move |fault| format!("{name}: {fault}")).collect::<Vec<_>>()
        };
        self.scenarios.iter().flat_map(of).collect()
    }
}

impl Observed {
    /// How often something happened to a thing.
    fn count(&self, kind: &str, thing: &str, profile: &str, behavior: &str) -> usize {
        let is = |event: &&Event| {
            event.kind == kind
                && event.thing == thing
                && event.profile == profile
                && event.behavior == behavior
        };
        self.events.iter().filter(is).count()
    }

    /// The alerts that name a thing in their titles.
    fn alerts_of(&self, thing: &str) -> Vec<&Alert> {
        self.alerts.iter().filter(|alert| alert.names(thing)).collect()
    }

    fn compromised(&self) -> Scenario {
        let thing = &self.cast.compromised;
        let raised = self.count(IN_ALARM, thing, RULES, "ListeningTcpPorts");
        let alarms =
            self.events.iter().filter(|event| event.kind == IN_ALARM && event.thing == *thing).count();
        let alerts = self.alerts_of(thing);
        let mitigated = alerts.iter().filter(|alert| alert.description.contains("the mitigation")).count();
        let actions = self.report.get("actions").and_then(Value::as_array).into_iter().flatten();
        let text =
            |action: &Value, member: &str| action.get(member).and_then(Value::as_str).map(str::to_owned);
        let noted = actions.filter(|action| {
            text(action, "thing").as_ref() == Some(thing)
                && text(action, "what").as_deref() == Some("mitigated")
        });
        let noted = noted.count();
        let mut faults = Faults::default();
        faults.unless(raised > 0, "its ports did not alarm");
        faults.unless(self.quarantined.contains(thing), "it is not in the quarantine group");
        faults.unless(
            self.quarantined.len() == usize::from(self.quarantined.contains(thing)),
            format!("in the quarantine group: {:?}", self.quarantined),
        );
        faults.unless(alerts.len() == 1 && mitigated == 1, format!("alerts: {}", titles(&alerts)));
        faults.unless(noted == 1, format!("the report notes {noted} mitigations of it"));
        Scenario {
            name: "a device is taken over",
            happened: format!(
                "{thing}: {alarms} alarms, {} alert; added to the quarantine group, as the report says",
                alerts.len()
            ),
            faults: faults.0,
        }
    }

    fn storm(&self) -> Scenario {
        let storm = &self.cast.storm;
        let mut devices: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.kind == IN_ALARM && storm.contains(&event.thing))
        {
            devices.entry((&event.profile, &event.behavior)).or_default().insert(&event.thing);
        }
        let incidents: Vec<&Alert> =
            self.alerts.iter().filter(|alert| alert.kind == "alarm-incident").collect();
        let mut faults = Faults::default();
        let many: Vec<_> = devices.iter().filter(|(_, devices)| devices.len() > INCIDENT).collect();
        faults.unless(!many.is_empty(), "no behavior has alarms of more than 50 devices");
        for ((profile, behavior), _) in &many {
            let of = incidents.iter().filter(|alert| alert.names(behavior) && alert.names(profile)).count();
            faults.unless(of == 1, format!("{of} alerts of an incident on {behavior}"));
        }
        faults.unless(incidents.len() == many.len(), format!("alerts of incidents: {}", titles(&incidents)));
        let in_quarantine = self.quarantined.intersection(storm).count();
        faults.unless(in_quarantine == 0, format!("{in_quarantine} of them are quarantined"));
        let single: Vec<&Alert> = self
            .alerts
            .iter()
            .filter(|alert| alert.kind == "alarm-raised" || alert.kind == "alarm-flapping")
            .filter(|alert| storm.iter().any(|thing| alert.names(thing)))
            .collect();
        faults.unless(single.is_empty(), format!("alerts of single devices: {}", titles(&single)));
        let of_incidents: BTreeSet<&str> =
            self.records.iter().filter_map(|record| record.incident.as_deref()).collect();
        faults
            .unless(of_incidents.len() == many.len(), format!("{} incidents in the log", of_incidents.len()));
        let counts: Vec<String> =
            many.iter().map(|((_, behavior), devices)| format!("{behavior} {}", devices.len())).collect();
        Scenario {
            name: "a backend incident",
            happened: format!(
                "{} of {} devices lose their connections; in alarm: {}; one alert each, none of them quarantined",
                storm.len(),
                self.cast.things,
                counts.join(", ")
            ),
            faults: faults.0,
        }
    }

    fn flapping(&self) -> Scenario {
        let thing = &self.cast.flapping;
        let raised = self.count(IN_ALARM, thing, RULES, "BatteryLevel");
        let cleared = self.count(CLEARED, thing, RULES, "BatteryLevel");
        let alerts = self.alerts_of(thing);
        let kinds: Vec<&str> = alerts.iter().map(|alert| alert.kind.as_str()).collect();
        let flaps = kinds.iter().filter(|kind| **kind == "alarm-flapping").count();
        let single = kinds.iter().filter(|kind| **kind == "alarm-raised").count();
        let mut faults = Faults::default();
        faults.unless(
            raised >= FLAPS && cleared >= FLAPS,
            format!("{raised} alarms, of which {cleared} cleared"),
        );
        faults.unless(
            flaps == 1 && single == BEFORE_FLAPPING && kinds.len() == flaps + single,
            format!("alerts: {}", titles(&alerts)),
        );
        Scenario {
            name: "a device flaps",
            happened: format!(
                "{thing}: {raised} alarms, {cleared} cleared; {single} alerts, then {flaps} that it flaps, then silence"
            ),
            faults: faults.0,
        }
    }

    fn starved(&self) -> Scenario {
        let models = self.models.get("models").and_then(Value::as_array).into_iter().flatten();
        let text = |model: &Value, pointer: &str| {
            model.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let models: Vec<&Value> = models.filter(|model| text(model, "/profile") == LAB_PROFILE).collect();
        let alerts = self.alerts_of_kind("model-not-built");
        let mut faults = Faults::default();
        faults.unless(models.len() == 2, format!("{} models are known", models.len()));
        for model in &models {
            let forecast = text(model, "/forecast/forecast");
            faults.unless(
                text(model, "/problems/0/problem") == "not-built"
                    && ["noDatapoints", "notReached"].contains(&forecast.as_str()),
                format!("the status of a model: {model}"),
            );
        }
        faults.unless(
            alerts.len() == 1 && alerts.iter().all(|alert| alert.description.contains(LAB_PROFILE)),
            format!("alerts: {}", titles(&alerts)),
        );
        let outlook = models.first().map(|model| text(model, "/outlook")).unwrap_or_default();
        Scenario {
            name: "a model starves",
            happened: format!(
                "{} devices in the lab offline since the first day: {} models not built, {} alert. {outlook}",
                self.cast.lab.len(),
                models.len(),
                alerts.len()
            ),
            faults: faults.0,
        }
    }

    fn alerts_of_kind(&self, kind: &str) -> Vec<&Alert> {
        self.alerts.iter().filter(|alert| alert.kind == kind).collect()
    }

    fn loud(&self) -> Scenario {
        let thing = &self.cast.loud;
        let raised = self.count(IN_ALARM, thing, MODELS, "MessagesSentModel");
        let by_rules =
            self.events.iter().filter(|event| event.thing == *thing && event.profile == RULES).count();
        let alerts = self.alerts_of(thing);
        let high = |alert: &&&Alert| alert.severity == "high" && alert.names("MessagesSentModel");
        let high = alerts.iter().filter(high).count();
        let mut faults = Faults::default();
        faults.unless(raised == 1, format!("the model alarmed {raised} times"));
        faults.unless(by_rules == 0, format!("the rules profile has {by_rules} events of it"));
        faults.unless(alerts.len() == 1 && high == 1, format!("alerts: {}", titles(&alerts)));
        Scenario {
            name: "what no rule names",
            happened: format!(
                "{thing} sends 60 times as much: {by_rules} alarms of a rule, {raised} of a model, {high} alert, high"
            ),
            faults: faults.0,
        }
    }

    /// Whether each event was heard and is in the log, once.
    fn heard(&self) -> Scenario {
        let mut logged: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for record in &self.records {
            *logged.entry((&record.violation_id, &record.event)).or_default() += 1;
        }
        let happened: BTreeSet<(&str, &str)> =
            self.events.iter().map(|event| (event.violation.as_str(), event.kind.as_str())).collect();
        let lost = happened.iter().filter(|event| !logged.contains_key(*event)).count();
        let twice = logged.values().filter(|times| **times > 1).count();
        let number = |name: &str| self.watch.get(name).and_then(Value::as_u64);
        let mut faults = Faults::default();
        faults.unless(lost == 0, format!("{lost} events are not in the log"));
        faults.unless(twice == 0, format!("{twice} events are in the log more than once"));
        for count in ["alarmsUnheard", "alarmsUndelivered", "alarmsGone", "looksRefused"] {
            faults.unless(number(count) == Some(0), format!("{count}: {:?}", number(count)));
        }
        let complete = self.watch.get("complete").and_then(Value::as_bool) == Some(true);
        faults.unless(complete, "the watch did not look at everything");
        let seen = number("events").unwrap_or_default();
        let all = u64::try_from(happened.len()).unwrap_or(u64::MAX);
        faults.unless(seen >= all, format!("the watch has seen {seen} events"));
        let gaps = self.report.get("gaps").and_then(Value::as_array).map_or(0, Vec::len);
        faults.unless(
            gaps == 0,
            format!("the report has {gaps} gaps: {}", self.report.get("gaps").cloned().unwrap_or_default()),
        );
        Scenario {
            name: "all is heard",
            happened: format!(
                "{all} events: {lost} lost, {twice} twice in the log; the watch found {} unheard",
                number("alarmsUnheard").unwrap_or_default()
            ),
            faults: faults.0,
        }
    }
}

fn titles(alerts: &[&Alert]) -> String {
    const SHOWN: usize = 5;
    let titles: Vec<String> =
        alerts.iter().take(SHOWN).map(|alert| format!("{} {}", alert.kind, alert.title)).collect();
    let more = alerts.len().saturating_sub(SHOWN);
    match (titles.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => titles.join("; "),
        (false, more) => format!("{}; and {more} more", titles.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::Decided;
    use super::*;
    use crate::output::Layout;
    use serde_json::json;

    fn event(violation: &str, kind: &str, thing: &str, (profile, behavior): (&str, &str)) -> Event {
        let text = str::to_owned;
        Event {
            violation: text(violation),
            kind: text(kind),
            thing: text(thing),
            profile: text(profile),
            behavior: text(behavior),
        }
    }

    fn alert(kind: &str, severity: &str, title: &str, description: &str) -> Alert {
        let text = str::to_owned;
        Alert {
            kind: text(kind),
            severity: text(severity),
            title: text(title),
            description: text(description),
        }
    }

    /// What a run shows in which everything ends as it should.
    fn good() -> Observed {
        let storm: BTreeSet<String> = (0..60).map(|n| format!("s{n}")).collect();
        let cast = Cast {
            compromised: "a".into(),
            loud: "b".into(),
            flapping: "c".into(),
            lab: BTreeSet::from(["l".to_owned()]),
            things: 100,
            storm: storm.clone(),
        };
        let mut events = vec![
            event("v", IN_ALARM, "a", (RULES, "ListeningTcpPorts")),
            event("w", IN_ALARM, "b", (MODELS, "MessagesSentModel")),
        ];
        for n in 0..4 {
            events.push(event(&format!("c{n}"), IN_ALARM, "c", (RULES, "BatteryLevel")));
            events.push(event(&format!("c{n}"), CLEARED, "c", (RULES, "BatteryLevel")));
        }
        events.extend(storm.iter().map(|thing| event(thing, IN_ALARM, thing, (RULES, "Disconnects"))));
        let record = |event: &Event| Record {
            violation_id: event.violation.clone(),
            event: event.kind.clone(),
            incident: storm.contains(&event.thing).then(|| "i".to_owned()),
            decision: Some(Decided { outcome: "report".to_owned() }),
        };
        let model = json!({
            "profile": LAB_PROFILE, "problems": [{ "problem": "not-built" }], "forecast": { "forecast": "noDatapoints" },
            "outlook": "No datapoint comes.",
        });
        let watch = json!({
            "alarmsUnheard": 0, "alarmsUndelivered": 0, "alarmsGone": 0, "looksRefused": 0, "complete": true,
            "events": 70,
        });
        Observed {
            quarantined: BTreeSet::from(["a".to_owned()]),
            records: events.iter().map(record).collect(),
            events,
            alerts: vec![
                alert(
                    "alarm-raised",
                    "high",
                    "`a` is in alarm: `ListeningTcpPorts`",
                    "the mitigation `Q` is asked for",
                ),
                alert("alarm-raised", "high", "`b` is in alarm: `MessagesSentModel`", ""),
                alert("alarm-raised", "medium", "`c` was in alarm: `BatteryLevel`", ""),
                alert("alarm-raised", "medium", "`c` was in alarm: `BatteryLevel`", ""),
                alert("alarm-flapping", "medium", "`c` flaps: 3 alarms on `BatteryLevel`", ""),
                alert(
                    "alarm-incident",
                    "high",
                    "Incident: 60 devices alarm on `Disconnects` of `FleetwardenRules`",
                    "",
                ),
                alert("model-not-built", "medium", "2 models", LAB_PROFILE),
            ],
            models: json!({ "models": [model, model] }),
            watch,
            report: json!({ "actions": [{ "thing": "a", "what": "mitigated" }] }),
            cast,
        }
    }

    fn faults(change: impl FnOnce(&mut Observed)) -> Vec<String> {
        let mut observed = good();
        change(&mut observed);
        Account::of(&observed, Duration::ZERO).faults()
    }

    #[test]
    fn what_ends_as_it_should_has_no_fault() {
        assert_eq!(faults(|_| ()), [""; 0]);
        insta::assert_snapshot!(
            super::super::table::table(&Account::of(&good(), Duration::ZERO), Layout::Columns(80)).plain()
        );
    }

    #[test]
    fn what_ends_otherwise_is_a_fault_of_its_scenario() {
        let of = |scenario: &str, change: &dyn Fn(&mut Observed)| {
            let faults = faults(change);
            assert!(!faults.is_empty(), "{scenario}");
            assert!(faults.iter().all(|fault| fault.starts_with(scenario)), "{faults:?}");
        };
        of("a device is taken over", &|seen| seen.quarantined.clear());
        of("a device is taken over", &|seen| drop(seen.alerts.remove(0)));
        of("a device is taken over", &|seen| seen.report = json!({}));
        of("a backend incident", &|seen| drop(seen.alerts.remove(5)));
        of("a backend incident", &|seen| seen.alerts.push(seen.alerts[5].clone()));
        of("a backend incident", &|seen| {
            seen.alerts.push(alert("alarm-raised", "high", "`s1` is in alarm: `Disconnects`", ""));
        });
        of("a device flaps", &|seen| seen.alerts.push(seen.alerts[4].clone()));
        of("a device flaps", &|seen| seen.alerts.push(seen.alerts[3].clone()));
        of("a model starves", &|seen| seen.models = json!({ "models": [] }));
        of("a model starves", &|seen| drop(seen.alerts.pop()));
        of("what no rule names", &|seen| seen.alerts[1].severity = "low".to_owned());
        of("all is heard", &|seen| drop(seen.records.pop().filter(|last| last.incident.is_some())));
        of("all is heard", &|seen| seen.records.push(seen.records[0].clone()));
        of("all is heard", &|seen| seen.watch["alarmsUnheard"] = json!(1));
        of("all is heard", &|seen| seen.watch["complete"] = json!(false));
    }

    #[test]
    fn a_quarantined_device_of_the_storm_is_a_fault() {
        let found = faults(|seen| {
            seen.quarantined.insert("s1".to_owned());
        });
        assert!(found.iter().any(|fault| fault.contains("1 of them are quarantined")), "{found:?}");
    }
}
