//! What lasts (`ListActiveViolations`) and what happened (`ListViolationEvents`), by behavior and by device.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::sources::Sources;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Verification;
use fleetwarden_core::policy::AlarmSettings;
use fleetwarden_core::report::alarm::ActiveAlarm;
use fleetwarden_core::report::alarm::AlarmReport;
use fleetwarden_core::report::alarm::BehaviorReport;
use fleetwarden_core::report::alarm::Flapping;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;

/// How many pages of each list are read, of 250: the newest events, and as many alarms that last.
const PAGES: u32 = 80;

/// The alarms that a report is about.
pub(super) struct Events {
    /// Alarms that last.
    pub(super) lasting: Vec<AlarmEvent>,
    /// What happened in the period.
    pub(super) happened: Vec<AlarmEvent>,
    /// The dimension of each behavior that has one, by profile and name.
    pub(super) dimensions: BTreeMap<(String, String), (String, String)>,
}

impl Events {
    /// Reads both lists.
    pub(super) async fn read(sources: &Sources<'_>, command: &Command, report: &AlarmReport) -> Self {
        let mut events = Self { lasting: Vec::new(), happened: Vec::new(), dimensions: BTreeMap::new() };
        let mut filter = Map::new();
        for name in ["securityProfileName", "thingName"] {
            filter.extend(command.input.get(name).map(|value| (name.to_owned(), value.clone())));
        }
        let reading = async {
            let entries = list(sources, "ListActiveViolations", filter.clone()).await?;
            events.lasting = events.take(entries, report);
            Ok(())
        };
        sources.tell("alarms that last", reading).await;
        let mut period = filter;
        period.insert("startTime".to_owned(), report.since.seconds().into());
        period.insert("endTime".to_owned(), report.made_at.seconds().saturating_add(1).into());
        let reading = async {
            let entries = list(sources, "ListViolationEvents", period).await?;
            events.happened = events.take(entries, report);
            Ok(())
        };
        sources.tell("what happened", reading).await;
        events
    }

    /// Reads the entries of a list. One that cannot be read is left out: the service gave it.
    fn take(&mut self, entries: Vec<Value>, report: &AlarmReport) -> Vec<AlarmEvent> {
        let mut read = Vec::with_capacity(entries.len());
        for entry in entries {
            let Ok(event) = AlarmEvent::parse(&entry.to_string(), &report.account, &report.region) else {
                tracing::warn!("an entry of a list of violations cannot be read");
                continue;
            };
            let dimension = entry.pointer("/behavior/metricDimension");
            let text = |name: &str| dimension.and_then(|of| of.get(name)).and_then(Value::as_str);
            if let Some(name) = text("dimensionName") {
                let operator = text("operator").unwrap_or("IN");
                let key = (event.alarm.profile.clone(), event.alarm.behavior.clone());
                self.dimensions.entry(key).or_insert_with(|| (name.to_owned(), operator.to_owned()));
            }
            read.push(event);
        }
        read
    }

    /// The alarms that last.
    pub(super) fn active(&self) -> Vec<ActiveAlarm> {
        let active = |event: &AlarmEvent| ActiveAlarm {
            violation_id: event.alarm.violation_id.clone(),
            thing: event.alarm.thing.clone().unwrap_or_default(),
            profile: event.alarm.profile.clone(),
            behavior: event.alarm.behavior.clone(),
            metric: event.alarm.metric.clone(),
            criteria: event.alarm.criteria,
            confidence: event.alarm.confidence,
            raised_at: event.at,
            value: event.value.as_ref().map(in_words),
            expected: event.alarm.expected.as_ref().and_then(expected),
            verification: event.verification.unwrap_or(Verification::Unknown),
            incident: None,
            action: None,
        };
        self.lasting.iter().map(active).collect()
    }

    /// What happened by behavior.
    pub(super) fn behaviors(&self) -> Vec<BehaviorReport> {
        let mut behaviors: BTreeMap<(&str, &str), Vec<&AlarmEvent>> = BTreeMap::new();
        for event in &self.happened {
            behaviors.entry((&event.alarm.profile, &event.alarm.behavior)).or_default().push(event);
        }
        behaviors
            .into_iter()
            .map(|((profile, behavior), events)| summary(profile, behavior, &events))
            .collect()
    }

    /// The devices whose alarms begin and end again and again, as a policy has it that says nothing else.
    pub(super) fn flapping(&self) -> Vec<Flapping> {
        let mut raises: BTreeMap<(&str, &str, &str), BTreeSet<Millis>> = BTreeMap::new();
        for event in self.happened.iter().filter(|event| event.event == EventType::InAlarm) {
            let alarm = &event.alarm;
            let thing = alarm.thing.as_deref().unwrap_or_default();
            raises.entry((thing, &alarm.profile, &alarm.behavior)).or_default().insert(event.at);
        }
        let settings = AlarmSettings::default();
        let do_flap =
            |times: &BTreeSet<Millis>| settings.do_flap(&times.iter().copied().collect::<Vec<Millis>>());
        let flapping = raises.into_iter().filter(|(_, times)| do_flap(times));
        let flapping = flapping.map(|((thing, profile, behavior), times)| Flapping {
            thing: thing.to_owned(),
            profile: profile.to_owned(),
            behavior: behavior.to_owned(),
            raised: times.len() as u64,
            latest_at: times.last().copied().unwrap_or_default(),
        });
        flapping.collect()
    }
}

/// All entries of a list, as far as a report reads. AWS leaves open whether alerts that are suppressed are listed unless
/// they are asked for, and whether others are listed then: so both are asked for, and an entry counts once.
async fn list(
    sources: &Sources<'_>,
    name: &str,
    mut input: Map<String, Value>,
) -> Result<Vec<Value>, Failure> {
    let (mut entries, mut seen) = (Vec::new(), HashSet::new());
    let mut calls = sources.calls(name)?;
    for _ in 0..2 {
        let take = |page: Vec<Value>| {
            entries.extend(page.into_iter().filter(|entry| seen.insert(identity(entry))));
            true
        };
        if !calls.pages(input.clone().into(), &mut { PAGES }, take).await? {
            sources
                .gap(name, "only the first 20,000 are told: ask for one profile, one thing or fewer hours");
        }
        input.insert("listSuppressedAlerts".to_owned(), true.into());
    }
    Ok(entries)
}

/// What no other entry of a list has.
fn identity(entry: &Value) -> [String; 3] {
    ["violationId", "violationEventType", "violationEventTime"]
        .map(|name| entry.get(name).map(Value::to_string).unwrap_or_default())
}

/// What happened on a behavior.
fn summary(profile: &str, behavior: &str, events: &[&AlarmEvent]) -> BehaviorReport {
    let of = |kind: &EventType| events.iter().filter(|event| event.event == *kind).count() as u64;
    let said: BTreeMap<&str, Verification> = events
        .iter()
        .filter_map(|event| Some((event.alarm.violation_id.as_str(), event.verification?)))
        .filter(|(_, said)| *said != Verification::Unknown)
        .collect();
    let began: BTreeMap<&str, Millis> = events
        .iter()
        .filter(|event| event.event == EventType::InAlarm)
        .map(|event| (event.alarm.violation_id.as_str(), event.at))
        .collect();
    let cleared = events.iter().filter(|event| event.event == EventType::AlarmCleared);
    let mut lasted: Vec<i64> = cleared
        .filter_map(|event| {
            Some(event.at.seconds() - began.get(event.alarm.violation_id.as_str())?.seconds())
        })
        .collect();
    lasted.sort_unstable();
    BehaviorReport {
        profile: profile.to_owned(),
        behavior: behavior.to_owned(),
        devices: events.iter().filter_map(|event| event.alarm.thing.as_ref()).collect::<BTreeSet<_>>().len()
            as u64,
        raised: of(&EventType::InAlarm),
        cleared: of(&EventType::AlarmCleared),
        invalidated: of(&EventType::AlarmInvalidated),
        verified: said.len() as u64,
        false_positives: said.values().filter(|said| **said == Verification::FalsePositive).count() as u64,
        median_seconds_to_clear: lasted.get(lasted.len() / 2).copied(),
    }
}

/// A `MetricValue` in words: `count 910`, `ports 23, 4444`.
fn in_words(value: &Value) -> String {
    let Some(members) = value.as_object() else { return value.to_string() };
    let parts = members.iter().map(|(name, value)| match value {
        Value::Array(list) => {
            let shown = list.iter().take(8).map(plain).collect::<Vec<_>>().join(", ");
            let more = if list.len() > 8 { ", …" } else { "" };
            format!("{name} {shown}{more}")
        }
        value => format!("{name} {}", plain(value)),
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// What criteria expect, in words: `less-than, count 50`.
fn expected(criteria: &Value) -> Option<String> {
    let text = |path: &str| criteria.pointer(path).and_then(Value::as_str);
    let operator = text("/comparisonOperator").map(ToOwned::to_owned);
    let value = criteria.get("value").filter(|value| !value.is_null()).map(in_words);
    let statistic =
        text("/statisticalThreshold/statistic").map(|statistic| format!("{statistic} of the fleet"));
    let model = text("/mlDetectionConfig/confidenceLevel").map(|_| "what the model has learned".to_owned());
    let parts: Vec<String> = [operator, value, statistic, model].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_and_criteria_are_told_in_words() {
        assert_eq!(in_words(&json!({"count": 910})), "count 910");
        assert_eq!(in_words(&json!({"ports": [23, 4444]})), "ports 23, 4444");
        assert_eq!(in_words(&json!({"cidrs": vec!["10.0.0.1/32"; 9]})).matches("10.0.0.1/32").count(), 8);
        assert_eq!(in_words(&json!(null)), "null");
        let of = |criteria: Value| expected(&criteria);
        let less = json!({"comparisonOperator": "less-than", "value": {"count": 5}, "durationSeconds": 300});
        assert_eq!(of(less).as_deref(), Some("less-than, count 5"));
        let share =
            json!({"comparisonOperator": "less-than-equals", "statisticalThreshold": {"statistic": "p90"}});
        assert_eq!(of(share).as_deref(), Some("less-than-equals, p90 of the fleet"));
        let model = json!({"mlDetectionConfig": {"confidenceLevel": "HIGH"}});
        assert_eq!(of(model).as_deref(), Some("what the model has learned"));
        assert_eq!(of(json!({})), None);
    }
}
