//! `/_control/detect/`: scripted scenarios, the switches, and the truth about devices.

use std::collections::BTreeSet;

use fleetwarden_behaviors::{Measured, Metric, MetricValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::detect::mitigation::Task;
use crate::detect::rhythm::PERIOD_MS;
use crate::detect::scenario::{Change, Effect, Kind, Scenario, compromised, reconnect_storm};
use crate::detect::switches::Switches;
use crate::detect::targets::{Device, Target, devices};
use crate::detect::watch::Watch;
use crate::random::{draw, mix};
use crate::world::World;

type Reply = Result<Value, (u16, String)>;

/// Random numbers for which devices are part of a scenario.
const DOMAIN: u64 = 120;

/// Answers a request below `/_control/detect/`.
pub(crate) fn answer(world: &mut World, method: &str, path: &str, body: &[u8]) -> Reply {
    match (method, path) {
        ("GET", "state") => Ok(state(world)),
        ("GET", "switches") => Ok(json!(world.watching.switches)),
        ("POST", "switches") => turn(world, body),
        ("GET", "scenarios") => Ok(scenarios(world)),
        ("POST", "scenarios") => begin(world, body),
        ("DELETE", path) => match path.strip_prefix("scenarios/").map(str::parse) {
            Some(Ok(number)) => end(world, number),
            _ => Err((404, format!("no control answers {method} detect/{path}"))),
        },
        _ => Err((404, format!("no control answers {method} detect/{path}"))),
    }
}

fn state(world: &World) -> Value {
    let watching = &world.watching;
    let (active, events) = watching.violations.counts();
    let profiles: Map<String, Value> = world
        .detect
        .profiles
        .keys()
        .map(|name| (name.clone(), json!(watching.watch_of(name).map_or(0, Watch::size))))
        .collect();
    let tasks: Vec<Value> = world.detect_tasks.all.values().map(Task::summary).collect();
    json!({
        "nowMs": world.now(),
        "evaluatedMs": watching.evaluated(),
        "watched": profiles,
        "activeViolations": active,
        "events": events,
        "scenarios": watching.simulation.scenarios.all.len(),
        "mitigationTasks": tasks,
        "alerts": { "queued": world.publications.queued, "dropped": world.publications.dropped },
    })
}

/// Turns the switches that are given, and leaves the others.
fn turn(world: &mut World, body: &[u8]) -> Reply {
    let given: Map<String, Value> = read(body)?;
    let mut all = json!(world.watching.switches);
    if let Some(all) = all.as_object_mut() {
        all.extend(given);
    }
    let switches: Switches = serde_json::from_value(all).map_err(|error| (400, error.to_string()))?;
    if let Some(fault) = switches.fault() {
        return Err((400, fault));
    }
    world.watching.switches = switches;
    Ok(json!(switches))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, (u16, String)> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| (400, error.to_string()))
}

fn described(world: &World, number: usize, scenario: &Scenario) -> Value {
    let names: Vec<String> = scenario.devices.iter().map(|device| world.fleet.name_of(*device)).collect();
    json!({
        "scenario": number,
        "kind": scenario.kind,
        "fromMs": scenario.from,
        "toMs": (scenario.to < i64::MAX).then_some(scenario.to),
        "thingNames": names,
    })
}

fn scenarios(world: &World) -> Value {
    let all = world.watching.simulation.scenarios.all.iter().enumerate();
    json!({ "scenarios": all.map(|(number, one)| described(world, number, one)).collect::<Vec<_>>() })
}

fn end(world: &mut World, number: usize) -> Reply {
    let now = world.now();
    let ended = world.watching.simulation.scenarios.end(number, now);
    ended
        .then(|| json!({ "scenario": number, "toMs": now }))
        .ok_or((404, "there is no such scenario".to_owned()))
}

/// A scenario as it is ordered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    kind: Kind,
    /// Devices by name.
    #[serde(default)]
    thing_names: Vec<String>,
    /// Those of a group and of the groups below it.
    thing_group_name: Option<String>,
    /// The share of those devices; half of them for a reconnect storm, otherwise all.
    share: Option<f64>,
    /// When it begins. Without it: now.
    from_ms: Option<i64>,
    /// When it ends. Without it: after `forSeconds`, and without that when it is ended.
    to_ms: Option<i64>,
    for_seconds: Option<i64>,
    /// For how long it acts and rests, by turns. A flap has ten minutes of each.
    on_seconds: Option<i64>,
    off_seconds: Option<i64>,
    /// What is changed, of `metric`, `silence` and, if not the whole of a compromised device, `flap`.
    metric: Option<String>,
    factor: Option<f64>,
    /// How often chatty devices report: every 20 seconds, if it is not given.
    report_seconds: Option<i64>,
    /// A value instead of the device's own.
    value: Option<MetricValue>,
    /// A value beside the device's own.
    add: Option<MetricValue>,
}

fn begin(world: &mut World, body: &[u8]) -> Reply {
    let order: Order = read(body)?;
    let now = world.now();
    let from = order.from_ms.unwrap_or(now);
    if from < now {
        return Err((400, "fromMs should not be in the past: what was measured stays as it is".to_owned()));
    }
    let lasts = order.for_seconds.map(|seconds| from.saturating_add(seconds.saturating_mul(1_000)));
    let to = order.to_ms.or(lasts).unwrap_or(i64::MAX);
    if to <= from {
        return Err((400, "a scenario should end after it begins".to_owned()));
    }
    let scenario = Scenario {
        kind: order.kind,
        devices: chosen(world, &order)?,
        from,
        to,
        turns: turns(&order)?,
        effects: effects(world, &order)?,
        report_ms: report_ms(&order)?,
    };
    let number = world.watching.simulation.scenarios.add(scenario.clone());
    Ok(described(world, number, &scenario))
}

fn report_ms(order: &Order) -> Result<i64, (u16, String)> {
    let seconds = order.report_seconds.unwrap_or(20);
    let is_good = (1..PERIOD_MS / 1_000).contains(&seconds);
    is_good.then_some(seconds * 1_000).ok_or((400, "reportSeconds should be from 1 to 299".to_owned()))
}

fn turns(order: &Order) -> Result<Option<(i64, i64)>, (u16, String)> {
    let is_flap = order.kind == Kind::Flap || order.on_seconds.is_some() || order.off_seconds.is_some();
    if !is_flap {
        return Ok(None);
    }
    let length = |seconds: Option<i64>| seconds.unwrap_or(2 * PERIOD_MS / 1_000).saturating_mul(1_000);
    let (on, off) = (length(order.on_seconds), length(order.off_seconds));
    let is_good = (1_000..=i64::from(u32::MAX)).contains(&on) && (1_000..=i64::from(u32::MAX)).contains(&off);
    is_good.then_some(Some((on, off))).ok_or((400, "onSeconds and offSeconds should be above 0".to_owned()))
}

/// The devices of an order: those that are named, and the share of a group, or of all devices when none is named.
fn chosen(world: &World, order: &Order) -> Result<BTreeSet<Device>, (u16, String)> {
    let fleet = &world.fleet;
    let target = match &order.thing_group_name {
        Some(group) if !fleet.has_group(group) => return Err((404, format!("there is no group {group}"))),
        Some(group) => Some(Target::Group(group.clone())),
        None if order.thing_names.is_empty() => Some(Target::All),
        None => None,
    };
    let mut all: Vec<Device> = Vec::new();
    for name in &order.thing_names {
        all.push(fleet.device_named(name).ok_or_else(|| (404, format!("there is no thing {name}")))?);
    }
    if let Some(target) = target {
        all.extend(devices(fleet, &[(target, 0)].into()));
    }
    let usual = if order.kind == Kind::ReconnectStorm { 0.5 } else { 1.0 };
    let share = order.share.unwrap_or(usual);
    if !(0.0..=1.0).contains(&share) {
        return Err((400, "share should be from 0 to 1".to_owned()));
    }
    let number = world.watching.simulation.scenarios.all.len() as u64;
    let drawn =
        |device: &Device| draw(world.seed(), DOMAIN ^ (number << 8), mix(super::rhythm::number(*device)));
    all.sort_by_key(drawn);
    all.dedup();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count of devices"
    )]
    let count = (all.len() as f64 * share).round() as usize;
    all.truncate(count);
    Ok(all.into_iter().collect())
}

fn effects(world: &World, order: &Order) -> Result<Vec<Effect>, (u16, String)> {
    let factor = order.factor.unwrap_or(20.0);
    if !(factor.is_finite() && factor >= 0.0) {
        return Err((400, "factor should be 0 or more".to_owned()));
    }
    let Some(name) = &order.metric else {
        return match order.kind {
            Kind::Compromised | Kind::Flap => Ok(compromised(factor)),
            Kind::ReconnectStorm => Ok(reconnect_storm()),
            Kind::Starve | Kind::Chatty => Ok(Vec::new()),
            Kind::Metric | Kind::Silence => Err((400, "metric is missing".to_owned())),
        };
    };
    let metric = Metric::named(name, |name| world.detect.metric_type(name))
        .ok_or_else(|| (404, format!("there is no metric {name}")))?;
    let measured = |value: &MetricValue| {
        Measured::read(&metric, value).map_err(|(member, reason)| (400, format!("{member}: {reason}")))
    };
    let change = match (order.kind, &order.value, &order.add) {
        (Kind::Silence, None, None) => Change::Nothing,
        (Kind::Metric | Kind::Flap, Some(value), None) => Change::Set(measured(value)?),
        (Kind::Metric | Kind::Flap, None, Some(more)) => Change::Add(measured(more)?),
        (Kind::Metric | Kind::Flap, None, None) => Change::Scale(factor),
        (Kind::Metric | Kind::Flap, Some(_), Some(_)) => {
            return Err((400, "give either value or add".to_owned()));
        }
        _ => {
            return Err((400, "metric, value and add are for the kinds metric, silence and flap".to_owned()));
        }
    };
    Ok(vec![Effect { metric, change }])
}
