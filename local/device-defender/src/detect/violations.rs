//! Violations: those that last, and the events of the last 30 days.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use fleetwarden_behaviors::{Behavior, EventType, Expectation, MetricValue};
use serde_json::{Map, Value, json};

use crate::clock::seconds;
use crate::detect::targets::Device;
use crate::paging::Key;

/// How long violations are kept (Device Defender quotas: 30 days).
pub(crate) const RETENTION_MS: i64 = 30 * 86_400_000;

/// A behavior as its events describe it.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: Arc<str>,
    pub(crate) json: Value,
    /// `STATIC`, `STATISTICAL` or `MACHINE_LEARNING`.
    pub(crate) kind: &'static str,
    pub(crate) suppressed: bool,
    /// `violationEventAdditionalInfo`, of a behavior with a model.
    pub(crate) info: Option<Value>,
}

impl Definition {
    pub(crate) fn of(behavior: &Behavior) -> Self {
        let expectation = behavior.criteria().map(|criteria| &criteria.expectation);
        let info = match expectation {
            Some(Expectation::Model { confidence }) => Some(json!({ "confidenceLevel": confidence })),
            _ => None,
        };
        Self {
            name: behavior.name().into(),
            json: serde_json::to_value(behavior).unwrap_or_default(),
            kind: expectation.map_or("STATIC", Expectation::criteria_type),
            suppressed: behavior.suppresses_alerts(),
            info,
        }
    }
}

/// A violation.
#[derive(Debug)]
pub(crate) struct Violation {
    number: u64,
    pub(crate) id: Arc<str>,
    pub(crate) device: Device,
    pub(crate) thing: Arc<str>,
    pub(crate) profile: Arc<str>,
    pub(crate) definition: Arc<Definition>,
    pub(crate) started: i64,
    pub(crate) last_at: i64,
    pub(crate) last_value: Option<MetricValue>,
    pub(crate) ended: Option<i64>,
    /// The state that somebody has put on it, with a description.
    pub(crate) verification: Option<(String, Option<String>)>,
}

/// Something that happened to a violation.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) violation: Arc<str>,
    pub(crate) kind: EventType,
    pub(crate) value: Option<MetricValue>,
    /// The behavior as it was then.
    pub(crate) definition: Arc<Definition>,
}

/// Which violations a list is to give.
#[derive(Debug, Default)]
pub(crate) struct Filter<'a> {
    pub(crate) thing: Option<&'a str>,
    pub(crate) profile: Option<&'a str>,
    pub(crate) kind: Option<&'a str>,
    /// Only suppressed ones, or only the others.
    pub(crate) suppressed: Option<bool>,
    pub(crate) verification: Option<&'a str>,
}

impl Filter<'_> {
    fn takes(&self, violation: &Violation, definition: &Definition) -> bool {
        self.thing.is_none_or(|thing| *violation.thing == *thing)
            && self.profile.is_none_or(|profile| *violation.profile == *profile)
            && self.kind.is_none_or(|kind| definition.kind == kind)
            && self.suppressed.is_none_or(|suppressed| definition.suppressed == suppressed)
            && self.verification.is_none_or(|state| violation.state() == state)
    }
}

impl Violation {
    fn state(&self) -> &str {
        self.verification.as_ref().map_or("UNKNOWN", |(state, _)| state)
    }

    /// Members that active violations, events and messages have in common.
    fn described(&self, definition: &Definition) -> Map<String, Value> {
        let mut described = Map::new();
        let mut set = |name: &str, value: Value| described.insert(name.to_owned(), value);
        set("violationId", (*self.id).into());
        set("thingName", (*self.thing).into());
        set("securityProfileName", (*self.profile).into());
        set("behavior", definition.json.clone());
        if let Some(info) = &definition.info {
            set("violationEventAdditionalInfo", info.clone());
        }
        if let Some((state, description)) = &self.verification {
            set("verificationState", state.as_str().into());
            if let Some(description) = description {
                set("verificationStateDescription", description.as_str().into());
            }
        }
        described
    }

    fn listed(&self) -> Value {
        let mut listed = self.described(&self.definition);
        listed.entry("verificationState").or_insert_with(|| self.state().into());
        if let Some(value) = &self.last_value {
            listed.insert("lastViolationValue".to_owned(), json!(value));
        }
        listed.insert("lastViolationTime".to_owned(), json!(seconds(self.last_at)));
        listed.insert("violationStartTime".to_owned(), json!(seconds(self.started)));
        Value::Object(listed)
    }

    /// An event as it is listed, apart from its time.
    pub(crate) fn event(&self, event: &Event) -> Map<String, Value> {
        let mut described = self.described(&event.definition);
        described.insert("violationEventType".to_owned(), json!(event.kind));
        if let Some(value) = &event.value {
            described.insert("metricValue".to_owned(), json!(value));
        }
        described
    }
}

/// What a violation is of: at most one of each lasts.
type Subject = (Arc<str>, Device, Arc<str>);

/// All violations that are known.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    all: HashMap<Arc<str>, Violation>,
    active: BTreeMap<Subject, Arc<str>>,
    /// By time and number.
    events: BTreeMap<(i64, u64), Event>,
    count: u64,
}

/// The place of something in a list that has the newest first.
fn newest(at: i64, number: u64) -> Key {
    (u64::MAX - u64::try_from(at).unwrap_or(0), u64::MAX - number)
}

/// What is at a place in such a list.
fn place((at, number): Key) -> (i64, u64) {
    (i64::try_from(u64::MAX - at).unwrap_or(i64::MAX), u64::MAX - number)
}

impl Violations {
    pub(crate) fn get(&self, id: &str) -> Option<&Violation> {
        self.all.get(id)
    }

    fn subject(violation: &Violation) -> Subject {
        (violation.profile.clone(), violation.device, violation.definition.name.clone())
    }

    /// The violation that lasts of a profile, a device and a behavior.
    pub(crate) fn lasting(
        &self,
        profile: &Arc<str>,
        device: Device,
        behavior: &Arc<str>,
    ) -> Option<Arc<str>> {
        self.active.get(&(profile.clone(), device, behavior.clone())).cloned()
    }

    /// Begins a violation.
    pub(crate) fn begin(&mut self, mut violation: Violation) {
        self.count += 1;
        violation.number = self.count;
        self.active.insert(Self::subject(&violation), violation.id.clone());
        self.all.insert(violation.id.clone(), violation);
    }

    /// Notes that a violation lasts.
    pub(crate) fn go_on(&mut self, id: &str, at: i64, value: &MetricValue) {
        if let Some(violation) = self.all.get_mut(id)
            && at > violation.last_at
        {
            violation.last_at = at;
            violation.last_value = Some(value.clone());
        }
    }

    /// Ends a violation. It leaves the list of active ones.
    pub(crate) fn end(&mut self, id: &str, at: i64) {
        let Some(violation) = self.all.get_mut(id) else { return };
        violation.ended = Some(at);
        let subject = Self::subject(violation);
        self.active.remove(&subject);
    }

    /// Describes the violations of a profile that last by its behaviors of now.
    pub(crate) fn redefine(&mut self, profile: &str, definitions: &[Arc<Definition>]) {
        for ((of, _, behavior), id) in &self.active {
            let definition = definitions.iter().find(|definition| definition.name == *behavior);
            if **of == *profile
                && let (Some(definition), Some(violation)) = (definition, self.all.get_mut(id))
            {
                violation.definition = definition.clone();
            }
        }
    }

    /// Writes down an event.
    pub(crate) fn happened(&mut self, at: i64, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    /// How many violations last, and how many events are kept.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.active.len(), self.events.len())
    }

    /// The violations that last, behind a place, the newest first by their start.
    pub(crate) fn active(
        &self,
        filter: &Filter<'_>,
        after: Option<Key>,
    ) -> impl Iterator<Item = (Key, Value)> {
        let lasting = self.active.values().filter_map(|id| self.all.get(id));
        let mut found: Vec<(Key, &Violation)> = lasting
            .filter(|violation| filter.takes(violation, &violation.definition))
            .map(|violation| (newest(violation.started, violation.number), violation))
            .filter(|(key, _)| after.is_none_or(|after| *key > after))
            .collect();
        found.sort_unstable_by_key(|(key, _)| *key);
        found.into_iter().map(|(key, violation)| (key, violation.listed()))
    }

    /// The events of a period, behind a place, the newest first.
    pub(crate) fn events(
        &self,
        (start, end): (i64, i64),
        filter: &Filter<'_>,
        after: Option<Key>,
    ) -> impl Iterator<Item = (Key, Value)> {
        let last = (end.max(start), u64::MAX);
        let end = after.map_or(Bound::Included(last), |after| Bound::Excluded(last.min(place(after))));
        let first = (start, 0).min(match end {
            Bound::Included(end) | Bound::Excluded(end) => end,
            Bound::Unbounded => last,
        });
        let of_period = self.events.range((Bound::Included(first), end)).rev();
        of_period.filter_map(move |((at, number), event)| {
            let violation = self.all.get(&event.violation)?;
            filter.takes(violation, &event.definition).then(|| {
                let mut listed = violation.event(event);
                listed.entry("verificationState").or_insert_with(|| violation.state().into());
                listed.insert("violationEventTime".to_owned(), json!(seconds(*at)));
                (newest(*at, *number), Value::Object(listed))
            })
        })
    }

    /// The violations of a profile, and of one of its behaviors, that last or had events in the period, by age.
    pub(crate) fn of(
        &self,
        profile: &str,
        behavior: Option<&str>,
        period: Option<(i64, i64)>,
    ) -> Vec<&Violation> {
        let mut found: Vec<&Violation> = self
            .all
            .values()
            .filter(|violation| *violation.profile == *profile)
            .filter(|violation| behavior.is_none_or(|name| *violation.definition.name == *name))
            .filter(|violation| self.had_event(violation, period))
            .collect();
        found.sort_by_key(|violation| violation.number);
        found
    }

    /// Whether a violation had an event in the period, if there is one.
    pub(crate) fn had_event(&self, violation: &Violation, period: Option<(i64, i64)>) -> bool {
        period.is_none_or(|(start, end)| {
            let mut events = self.events.range((start, 0)..=(end.max(start), u64::MAX));
            events.any(|(_, event)| event.violation == violation.id)
        })
    }

    /// Puts a verification state on a violation. Whether there is such a violation.
    pub(crate) fn verify(&mut self, id: &str, state: &str, description: Option<&str>) -> bool {
        self.all.get_mut(id).is_some_and(|violation| {
            violation.verification = Some((state.to_owned(), description.map(str::to_owned)));
            true
        })
    }

    /// Drops what is past its retention.
    pub(crate) fn forget(&mut self, now: i64) {
        let limit = now.saturating_sub(RETENTION_MS);
        self.events = self.events.split_off(&(limit, 0));
        self.all.retain(|_, violation| violation.ended.is_none_or(|ended| ended >= limit));
    }
}

/// A violation that begins, before it has its place.
pub(crate) fn beginning(
    id: String,
    (device, thing): (Device, &Arc<str>),
    profile: &Arc<str>,
    definition: &Arc<Definition>,
    (at, value): (i64, Option<MetricValue>),
) -> Violation {
    Violation {
        number: 0,
        id: id.into(),
        device,
        thing: thing.clone(),
        profile: profile.clone(),
        definition: definition.clone(),
        started: at,
        last_at: at,
        last_value: value,
        ended: None,
        verification: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn violations(times: &[i64]) -> Violations {
        let mut all = Violations::default();
        let definition = Arc::new(Definition {
            name: "b".into(),
            json: json!({ "name": "b" }),
            kind: "STATIC",
            suppressed: false,
            info: None,
        });
        for (at, place) in times.iter().zip(0..) {
            let id = format!("v{place}");
            let profile: Arc<str> = "p".into();
            let thing: Arc<str> = format!("t{place}").into();
            let begun = beginning(id, (Device::Client(place), &thing), &profile, &definition, (*at, None));
            let violation = begun.id.clone();
            all.begin(begun);
            let event =
                Event { violation, kind: EventType::InAlarm, value: None, definition: definition.clone() };
            all.happened(*at, event);
        }
        all
    }

    proptest! {
        #[test]
        fn a_list_goes_on_behind_any_place(
            times in prop::collection::vec(0_i64..40, 0..40),
            start in 0_i64..40,
            length in 0_i64..40,
        ) {
            let all = violations(&times);
            let filter = Filter::default();
            let period = (start, start + length);
            let whole: Vec<_> = all.events(period, &filter, None).collect();
            prop_assert_eq!(whole.len(), times.iter().filter(|at| (period.0..=period.1).contains(*at)).count());
            prop_assert!(whole.is_sorted_by_key(|(key, _)| *key));
            let active: Vec<_> = all.active(&filter, None).collect();
            prop_assert!(active.len() == times.len() && active.is_sorted_by_key(|(key, _)| *key));
            for (list, from) in [(&whole, true), (&active, false)] {
                for (place, (key, _)) in list.iter().enumerate() {
                    let rest: Vec<_> = if from {
                        all.events(period, &filter, Some(*key)).collect()
                    } else {
                        all.active(&filter, Some(*key)).collect()
                    };
                    prop_assert_eq!(&rest[..], &list[place + 1..]);
                }
            }
        }
    }
}
