//! A security profile at work: the devices that it watches, and the evaluation of what they measure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetwarden_behaviors::{
    Behaviors, Datapoint, Event, Expectation, Fleet, MetricValue, Results, Stream, ThingState, evaluate,
    retire,
};
use fleetwarden_core::timestamp::Millis;

use crate::detect::rhythm::PERIOD_MS;
use crate::detect::simulate::{Simulation, Source};
use crate::detect::targets::Device;
use crate::detect::violations::Definition;

/// What a profile asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) behaviors: Behaviors,
    /// What its behaviors look at, and what is retained beside that.
    pub(crate) sources: Vec<Source>,
    /// The devices of its targets.
    pub(crate) devices: BTreeSet<Device>,
    /// Where its alerts go.
    pub(crate) topic: Option<String>,
}

/// A device under a profile.
#[derive(Debug)]
struct Member {
    name: Arc<str>,
    since: i64,
    state: ThingState,
    /// Alarms that last.
    alarms: usize,
}

/// A stream that behaviors look at.
#[derive(Debug)]
struct Watched {
    source: Source,
    since: i64,
    /// The longest window that a behavior accumulates it over.
    window: i64,
}

impl Watched {
    /// From when a device's datapoints count: from the beginning of a whole window.
    fn begins(&self, member_since: i64) -> i64 {
        let since = self.since.max(member_since);
        (since + self.window - 1).div_euclid(self.window) * self.window
    }
}

/// An alarm that begins or ends.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) profile: Arc<str>,
    pub(crate) device: Device,
    pub(crate) thing: Arc<str>,
    pub(crate) definition: Arc<Definition>,
    pub(crate) event: Event,
}

/// An alarm that lasts.
#[derive(Debug)]
pub(crate) struct Lasting {
    pub(crate) profile: Arc<str>,
    pub(crate) device: Device,
    pub(crate) behavior: Arc<str>,
    pub(crate) at: i64,
    pub(crate) value: MetricValue,
}

/// What a step of the evaluation gives.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) raised: Vec<Raised>,
    pub(crate) lasting: Vec<Lasting>,
}

/// A profile at work.
#[derive(Debug)]
pub(crate) struct Watch {
    name: Arc<str>,
    behaviors: Behaviors,
    definitions: Vec<Arc<Definition>>,
    fleet: Fleet,
    streams: Vec<Watched>,
    members: BTreeMap<Device, Member>,
    pub(crate) topic: Option<String>,
    datapoints: Vec<Datapoint>,
    outcome: Results,
}

impl Watch {
    pub(crate) fn new(name: &str) -> Self {
        let behaviors = Behaviors::default();
        Self {
            name: name.into(),
            fleet: Fleet::new(&behaviors),
            behaviors,
            definitions: Vec::new(),
            streams: Vec::new(),
            members: BTreeMap::new(),
            topic: None,
            datapoints: Vec::new(),
            outcome: Results::default(),
        }
    }

    /// How many devices it watches.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// Whether it watches a device for a behavior.
    pub(crate) fn has(&self, device: Device, behavior: &str) -> bool {
        let is_named = self.definitions.iter().any(|definition| *definition.name == *behavior);
        is_named && self.members.contains_key(&device)
    }

    pub(crate) fn definitions(&self) -> &[Arc<Definition>] {
        &self.definitions
    }

    /// The behaviors that are evaluated, with what is learned for them.
    pub(crate) fn models(&self, now: i64) -> impl Iterator<Item = (&str, fleetwarden_behaviors::Summary)> {
        let all = self.behaviors.iter().enumerate();
        all.filter_map(move |(at, behavior)| Some((behavior.name(), self.fleet.summary(at, Millis(now))?)))
    }

    /// Whether a percentile of one window is the threshold of the next: no step may be longer than that window.
    pub(crate) fn has_percentiles(&self) -> bool {
        let mut criteria = self.behaviors.iter().filter_map(|behavior| behavior.criteria());
        criteria.any(|criteria| matches!(criteria.expectation, Expectation::Percentile { .. }))
    }

    /// Takes what the profile asks for now. Gives the alarms of behaviors and devices that are no longer watched.
    pub(crate) fn adapt(
        &mut self,
        wanted: &Wanted,
        named: impl Fn(Device) -> String,
        now: i64,
    ) -> Vec<Raised> {
        self.topic.clone_from(&wanted.topic);
        let mut ended = Vec::new();
        if self.behaviors != wanted.behaviors {
            for (device, member) in &mut self.members {
                retire_member(
                    (&self.name, &self.behaviors, &self.definitions),
                    &wanted.behaviors,
                    (*device, member),
                    now,
                    &mut ended,
                );
            }
            self.fleet = std::mem::take(&mut self.fleet).of(&wanted.behaviors);
            self.behaviors = wanted.behaviors.clone();
            self.definitions = self.behaviors.iter().map(|own| Arc::new(Definition::of(own))).collect();
        }
        self.listen(wanted, now);
        let nothing = Behaviors::default();
        self.members.retain(|device, member| {
            let stays = wanted.devices.contains(device);
            if !stays {
                let profile = (&self.name, &self.behaviors, &self.definitions[..]);
                retire_member(profile, &nothing, (*device, member), now, &mut ended);
            }
            stays
        });
        for device in &wanted.devices {
            self.members.entry(*device).or_insert_with(|| Member {
                name: named(*device).into(),
                since: now,
                state: ThingState::default(),
                alarms: 0,
            });
        }
        ended
    }

    fn listen(&mut self, wanted: &Wanted, now: i64) {
        let old = std::mem::take(&mut self.streams);
        let since = |stream: &Stream| {
            let known = old.iter().find(|watched| watched.source.stream == *stream);
            known.map_or(now, |watched| watched.since)
        };
        for source in &wanted.sources {
            let looking = self.behaviors.iter().filter(|behavior| *behavior.stream() == source.stream);
            let windows = looking.filter_map(|behavior| Some(behavior.criteria()?.duration));
            let windows = windows.map(|window| window.map_or(PERIOD_MS, crate::clock::millis));
            let Some(window) = windows.max() else { continue };
            let since = since(&source.stream);
            self.streams.push(Watched { source: source.clone(), since, window });
        }
    }

    /// Evaluates what was measured after one moment, up to another.
    pub(crate) fn step(&mut self, simulation: &Simulation, (after, until): (i64, i64), step: &mut Step) {
        for (device, member) in &mut self.members {
            self.datapoints.clear();
            for watched in &self.streams {
                let after = after.max(watched.begins(member.since));
                let named = (*device, &*member.name);
                simulation.measure(named, &watched.source, (after, until), &mut self.datapoints);
            }
            self.outcome.clear();
            let (behaviors, outcome) = (&self.behaviors, &mut self.outcome);
            evaluate(behaviors, &self.fleet, &mut member.state, &self.datapoints, Millis(until), outcome);
            self.fleet.learn(&outcome.measurements);
            let profile = (&self.name, &self.definitions[..]);
            collect(profile, (*device, member), &mut outcome.events, &mut step.raised);
            if member.alarms > 0 {
                for behavior in behaviors.iter() {
                    let Some(alarm) = member.state.alarm(behavior) else { continue };
                    step.lasting.push(Lasting {
                        profile: self.name.clone(),
                        device: *device,
                        behavior: behavior.name().into(),
                        at: alarm.last_violation_at.0,
                        value: alarm.last_value.clone(),
                    });
                }
            }
        }
        // A profile without devices is paused: its models are not refreshed, and expire.
        if until.rem_euclid(PERIOD_MS) == 0 && !self.members.is_empty() {
            self.fleet.advance(&self.behaviors, Millis(until));
        }
    }
}

/// Turns the events of a member into alarms that begin and end.
fn collect(
    (name, definitions): (&Arc<str>, &[Arc<Definition>]),
    (device, member): (Device, &mut Member),
    events: &mut Vec<Event>,
    raised: &mut Vec<Raised>,
) {
    for event in events.drain(..) {
        let Some(definition) = definitions.get(event.behavior) else { continue };
        if event.event_type == fleetwarden_behaviors::EventType::InAlarm {
            member.alarms += 1;
        } else {
            member.alarms = member.alarms.saturating_sub(1);
        }
        raised.push(Raised {
            profile: name.clone(),
            device,
            thing: member.name.clone(),
            definition: definition.clone(),
            event,
        });
    }
}

/// Ends the alarms of a member for behaviors that are not there any longer.
fn retire_member(
    (name, old, definitions): (&Arc<str>, &Behaviors, &[Arc<Definition>]),
    new: &Behaviors,
    (device, member): (Device, &mut Member),
    now: i64,
    ended: &mut Vec<Raised>,
) {
    let mut outcome = Results::default();
    retire(old, new, &mut member.state, Millis(now), &mut outcome);
    collect((name, definitions), (device, member), &mut outcome.events, ended);
}
