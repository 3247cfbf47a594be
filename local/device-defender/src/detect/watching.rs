//! Detect at work: profiles are evaluated as the clock goes on, and what comes of it is listed and published.
//!
//! Nothing runs in the background. [`World::watch`] catches up with a moment in steps on one grid, so that it makes
//! no difference how the clock was moved: an hour at most, since models are built on the hour, and 300 seconds while
//! a profile has a percentile. All devices are evaluated up to the end of a step, then the fleet is learned from.
//! [`World::adapt`] takes over what an operation has changed, at the time of that operation.

use std::collections::BTreeMap;

use fleetwarden_behaviors::{EventType, Stream, violation_id};
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use crate::detect::collection::{self, Collections};
use crate::detect::profiles::Profile;
use crate::detect::rhythm::{HOUR_MS, PERIOD_MS};
use crate::detect::simulate::{Simulation, Source};
use crate::detect::switches::{Detach, Switches};
use crate::detect::targets::{Device, Target, devices};
use crate::detect::violations::{Event, Violations, beginning};
use crate::detect::watch::{Lasting, Raised, Step, Wanted, Watch};
use crate::world::{Message, World};

/// Evaluations are at most so far apart.
const PACE_MS: i64 = 30_000;
/// Alarms without datapoints are looked for once an hour, at this time of it, which is not on the grid.
const SWEEP_MS: i64 = 245_290;

/// What a watch was made from.
#[derive(Debug, PartialEq)]
struct Known {
    number: u32,
    version: i64,
    targets: BTreeMap<Target, u32>,
    registry: u64,
    dimensions: i64,
}

/// Detect at work.
#[derive(Debug)]
pub(crate) struct Watching {
    pub(crate) simulation: Simulation,
    pub(crate) violations: Violations,
    pub(crate) switches: Switches,
    collections: Collections,
    watches: BTreeMap<String, (Known, Watch)>,
    /// Alarms that ended for want of datapoints, by the time at which that is noticed.
    sweeps: BTreeMap<i64, Vec<Raised>>,
    /// Everything that was measured up to here is evaluated.
    evaluated: i64,
    /// Alerts that go out later.
    held: BTreeMap<(i64, u64), Message>,
    alerts: u64,
    forgot_at: i64,
}

impl Watching {
    pub(crate) fn new(seed: u64, now: i64) -> Self {
        Self {
            simulation: Simulation::new(seed),
            violations: Violations::default(),
            switches: Switches::default(),
            collections: Collections::default(),
            watches: BTreeMap::new(),
            sweeps: BTreeMap::new(),
            evaluated: now,
            held: BTreeMap::new(),
            alerts: 0,
            forgot_at: i64::MIN,
        }
    }

    /// The watch of a profile.
    pub(crate) fn watch_of(&self, profile: &str) -> Option<&Watch> {
        self.watches.get(profile).map(|(_, watch)| watch)
    }

    /// Up to when everything is evaluated.
    pub(crate) const fn evaluated(&self) -> i64 {
        self.evaluated
    }

    /// The end of the step that begins where the last one ended.
    fn next_stop(&self, target: i64) -> i64 {
        let has_percentiles = self.watches.values().any(|(_, watch)| watch.has_percentiles());
        let grid = if has_percentiles { PERIOD_MS } else { HOUR_MS };
        target.min((self.evaluated.div_euclid(grid) + 1) * grid)
    }

    /// Evaluates up to a moment. Gives what begins and ends, with its time, and what lasts.
    fn step(&mut self, until: i64) -> (Vec<(i64, Raised)>, Vec<Lasting>) {
        let mut step = Step::default();
        for (_, watch) in self.watches.values_mut() {
            watch.step(&self.simulation, (self.evaluated, until), &mut step);
        }
        self.evaluated = until;
        let mut due = Vec::new();
        for raised in step.raised {
            let at = raised.event.at.0;
            if raised.event.event_type == EventType::AlarmInvalidated {
                self.sweeps.entry(next_sweep(at)).or_default().push(raised);
            } else {
                due.push((at, raised));
            }
        }
        let later = self.sweeps.split_off(&(until + 1));
        for (at, swept) in std::mem::replace(&mut self.sweeps, later) {
            due.extend(swept.into_iter().map(|raised| (at, raised)));
        }
        due.sort_by_key(|(at, _)| *at);
        (due, step.lasting)
    }

    /// An alarm that waits for a sweep and would still last when the same behavior is violated again.
    fn swept_early(&mut self, raised: &Raised) -> Option<Raised> {
        let is_same = |other: &Raised| {
            other.profile == raised.profile
                && other.device == raised.device
                && other.definition.name == raised.definition.name
        };
        self.sweeps.values_mut().find_map(|swept| {
            let at = swept.iter().position(is_same)?;
            Some(swept.swap_remove(at))
        })
    }

    /// Values of a stream that were collected from a device in a period, both ends included.
    pub(crate) fn values(
        &self,
        device: Device,
        client_id: &str,
        source: &Source,
        (start, end): (i64, i64),
    ) -> Vec<fleetwarden_behaviors::Datapoint> {
        let mut datapoints = Vec::new();
        for (from, to) in self.collections.spans(device, &source.stream) {
            let span = (from.max(start.saturating_sub(1)), to.min(end).min(self.evaluated));
            self.simulation.measure((device, client_id), source, span, &mut datapoints);
        }
        datapoints
    }

    fn forget(&mut self, now: i64) {
        if now >= self.forgot_at.saturating_add(HOUR_MS) {
            self.forgot_at = now;
            self.violations.forget(now);
            self.collections.forget(now);
        }
    }
}

/// When an alarm that was over at a moment is found to be.
fn next_sweep(over: i64) -> i64 {
    ((over - SWEEP_MS).div_euclid(HOUR_MS) + 1) * HOUR_MS + SWEEP_MS
}

impl World {
    /// Evaluates what was measured until a moment, as far as it has been delivered by then.
    pub(crate) fn watch(&mut self, now: i64) {
        let delivered = now.saturating_sub(self.watching.switches.delay_seconds.saturating_mul(1_000));
        let target = delivered.div_euclid(PACE_MS) * PACE_MS;
        if self.watching.watches.is_empty() {
            self.watching.evaluated = self.watching.evaluated.max(target);
        }
        while self.watching.evaluated < target {
            let until = self.watching.next_stop(target);
            let (due, lasting) = self.watching.step(until);
            for (at, raised) in due {
                self.raise(at, raised);
            }
            for Lasting { profile, device, behavior, at, value } in lasting {
                let violations = &mut self.watching.violations;
                if let Some(id) = violations.lasting(&profile, device, &behavior) {
                    violations.go_on(&id, at, &value);
                }
            }
            self.watching.forget(until);
        }
        self.watching.forget(now);
        let later = self.watching.held.split_off(&(now + 1, 0));
        for (_, message) in std::mem::replace(&mut self.watching.held, later) {
            self.publish(message.topic_arn, message.body);
        }
    }

    /// Takes over what has changed of profiles and of the things that they watch.
    pub(crate) fn adapt(&mut self, now: i64) {
        let watching = &mut self.watching;
        let gone = |name: &String, known: &Known| {
            self.detect.profiles.get(name).is_none_or(|profile| profile.number != known.number)
        };
        let deleted: Vec<String> = watching
            .watches
            .iter()
            .filter(|(name, (known, _))| gone(name, known))
            .map(|(name, _)| name.clone())
            .collect();
        for name in deleted {
            let nothing = Wanted::default();
            self.keep_values(&name, &nothing, now);
            let Some((_, mut watch)) = self.watching.watches.remove(&name) else { continue };
            let topic = watch.topic.clone();
            let ended = watch.adapt(&nothing, |_| String::new(), now);
            self.retire(ended, topic.as_deref(), now);
        }
        let stale: Vec<(String, Known)> = self
            .detect
            .profiles
            .iter()
            .map(|(name, profile)| (name, self.known(profile)))
            .filter(|(name, known)| self.watching.watches.get(*name).is_none_or(|(own, _)| own != known))
            .map(|(name, known)| (name.clone(), known))
            .collect();
        for (name, known) in stale {
            let Some(wanted) = self.detect.profiles.get(&name).map(|profile| self.wanted(profile)) else {
                continue;
            };
            self.keep_values(&name, &wanted, now);
            let before = self.watching.watches.remove(&name).map(|(_, watch)| watch);
            let mut watch = before.unwrap_or_else(|| Watch::new(&name));
            let ended = watch.adapt(&wanted, |device| self.fleet.name_of(device), now);
            self.watching.violations.redefine(&name, watch.definitions());
            let topic = watch.topic.clone();
            self.watching.watches.insert(name, (known, watch));
            self.retire(ended, topic.as_deref(), now);
        }
    }

    fn known(&self, profile: &Profile) -> Known {
        let dimensions = self.detect.dimensions.values().map(|dimension| dimension.modified).max();
        Known {
            number: profile.number,
            version: profile.version,
            targets: profile.targets.clone(),
            registry: self.fleet.revision,
            dimensions: dimensions.unwrap_or_default(),
        }
    }

    fn wanted(&self, profile: &Profile) -> Wanted {
        let mut sources: Vec<Source> = Vec::new();
        for stream in profile.streams() {
            if !sources.iter().any(|source| source.stream == *stream) {
                sources.push(self.source(stream.clone()));
            }
        }
        Wanted {
            behaviors: profile.content.behaviors.clone(),
            sources,
            devices: devices(&self.fleet, &profile.targets),
            topic: profile.topic().map(str::to_owned),
        }
    }

    /// A stream with the topic filters of its dimension.
    pub(crate) fn source(&self, stream: Stream) -> Source {
        let dimension = stream.dimension.as_ref();
        let dimension = dimension.and_then(|own| self.detect.dimensions.get(&*own.name));
        let filters = dimension.map(|dimension| dimension.values.clone()).unwrap_or_default();
        Source { stream, filters }
    }

    fn keep_values(&mut self, name: &str, wanted: &Wanted, now: i64) {
        let streams = wanted.sources.iter().map(|source| &source.stream);
        self.watching.collections.set(name, streams, &wanted.devices, now);
    }

    /// Ends alarms that nobody watches any longer, as the switch says.
    fn retire(&mut self, ended: Vec<Raised>, topic: Option<&str>, now: i64) {
        for raised in ended {
            let Raised { profile, device, definition, .. } = &raised;
            match self.watching.switches.detach {
                Detach::Event => self.end(now, &raised, topic),
                Detach::Silence => {
                    let violations = &mut self.watching.violations;
                    if let Some(id) = violations.lasting(profile, *device, &definition.name) {
                        violations.end(&id, now);
                    }
                }
            }
        }
    }

    fn raise(&mut self, at: i64, raised: Raised) {
        let topic = self.watching.watch_of(&raised.profile).and_then(|watch| watch.topic.clone());
        if raised.event.event_type != EventType::InAlarm {
            self.end(at, &raised, topic.as_deref());
            return;
        }
        if let Some(waiting) = self.watching.swept_early(&raised) {
            self.end(at, &waiting, topic.as_deref());
        }
        let Raised { profile, device, thing, definition, event } = raised;
        let id = violation_id(&profile, &definition.name, &thing, Millis(event.started_at.0));
        let violation =
            beginning(id, (device, &thing), &profile, &definition, (event.at.0, event.value.clone()));
        let id = violation.id.clone();
        self.watching.violations.begin(violation);
        let has_value = definition.info.is_none() || self.watching.switches.model_metric_value;
        let value = event.value.filter(|_| has_value);
        self.tell(at, Event { violation: id, kind: EventType::InAlarm, value, definition }, topic.as_deref());
    }

    fn end(&mut self, at: i64, raised: &Raised, topic: Option<&str>) {
        let Raised { profile, device, definition, event, .. } = raised;
        let Some(id) = self.watching.violations.lasting(profile, *device, &definition.name) else { return };
        self.watching.violations.end(&id, at);
        let definition = definition.clone();
        self.tell(at, Event { violation: id, kind: event.event_type, value: None, definition }, topic);
    }

    /// Writes down an event and alerts whom the profile names.
    fn tell(&mut self, at: i64, event: Event, topic: Option<&str>) {
        let message = topic.filter(|_| !event.definition.suppressed).and_then(|topic| {
            let mut body = self.watching.violations.get(&event.violation)?.event(&event);
            body.insert("violationEventTime".to_owned(), at.into());
            Some(Message { topic_arn: topic.to_owned(), body: Value::Object(body).to_string() })
        });
        self.watching.violations.happened(at, event);
        let Some(message) = message else { return };
        self.watching.alerts += 1;
        let number = self.watching.alerts;
        let (seed, now) = (self.seed(), self.now());
        let copies = self.watching.switches.deliveries(seed, number);
        self.publications.dropped += u64::from(copies.is_empty());
        for (place, late) in (0..).zip(copies) {
            if late == 0 {
                self.publish(message.topic_arn.clone(), message.body.clone());
            } else {
                self.watching.held.insert((now + late, number * 2 + place), message.clone());
            }
        }
    }
}

/// The oldest moment that metric values are kept of.
pub(crate) const fn oldest_value(now: i64) -> i64 {
    now.saturating_sub(collection::RETENTION_MS)
}
