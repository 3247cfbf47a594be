//! `/_control/`: what a test or a demonstration asks beside the API, in JSON.
//!
//! It shows the truth about the fleet, so that what a client believes can be checked against it, and lets
//! time, failures and faults be ordered.

mod fleet;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::audits::Status;
use crate::checks::{Check, Kind};
use crate::detect;
use crate::faults::Fault;
use crate::findings::Finding;
use crate::fleet::examine::Entry;
use crate::mitigation::{Outcome, Task};
use crate::operations;
use crate::suppressions::{Expiry, Suppression};
use crate::uri;
use crate::world::World;

const DAY_MS: i64 = 86_400_000;

type Reply = Result<Value, (u16, String)>;

/// Answers a request below `/_control/`.
pub(crate) fn answer(
    world: &mut World,
    (method, path): (&str, &str),
    query: &str,
    body: &[u8],
) -> (u16, String) {
    let reply = match (method, path) {
        ("GET", "state") => Ok(state(world)),
        ("GET", "fleet") => Ok(fleet::shown(&world.fleet)),
        ("GET", "calls") => Ok(calls(world)),
        ("GET", "faults") => Ok(json!({ "faults": world.faults.0 })),
        ("POST", "faults") => order_faults(world, body),
        ("DELETE", "faults") => {
            world.faults.0.clear();
            Ok(json!({ "faults": [] }))
        }
        ("GET", "clock") => Ok(json!({ "nowMs": world.now() })),
        ("POST", "clock") => advance(world, body),
        ("POST", "reset") => reset(world, body),
        ("POST", "run-schedule") => run_schedule(world, body),
        ("POST", "check-failures") => set_failing(world, body),
        ("POST", "rules") => set_rules(world, body),
        ("POST", "collecting") => set_collecting(world, body),
        ("POST", "suppressions") => make_suppressions(world, body),
        ("POST", "things") => registry::make_thing(world, body),
        ("POST", "membership") => registry::set_membership(world, body),
        ("POST", "attachment") => registry::set_attachment(world, body),
        ("POST", "dynamic-groups") => registry::make_dynamic(world, body),
        ("POST", "connections") => registry::set_connection(world, body),
        ("POST", "index") => registry::set_index(world, body),
        (_, path) if path.starts_with("detect/") => {
            let path = path.strip_prefix("detect/").unwrap_or_default();
            detect::control::answer(world, method, path, body)
        }
        ("GET", "findings-count") => findings_count(world, query),
        _ => Err((404, format!("no control answers {method} {path}"))),
    };
    match reply {
        Ok(value) => (200, value.to_string()),
        Err((status, message)) => (status, json!({ "message": message }).to_string()),
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, (u16, String)> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| (400, error.to_string()))
}

fn non_compliant(world: &World) -> BTreeMap<&'static str, usize> {
    let now = world.now();
    let count =
        |check: Check| world.fleet.examine(check, now, world.configuration.threshold(check)).defects.len();
    Check::ALL.into_iter().map(|check| (check.name(), count(check))).collect()
}

fn by_status(statuses: impl Iterator<Item = Status>) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for status in statuses {
        *counts.entry(status.name()).or_default() += 1;
    }
    counts
}

fn state(world: &World) -> Value {
    let non_compliant = non_compliant(world);
    let audits: Vec<Value> = world
        .audits
        .values()
        .map(|audit| json!({ "taskId": audit.id, "taskStatus": audit.status.name(), "taskType": audit.kind() }))
        .collect();
    json!({
        "nowMs": world.now(),
        "account": world.settings.account,
        "region": world.settings.region,
        "nonCompliantTotal": non_compliant.values().sum::<usize>(),
        "nonCompliant": non_compliant,
        "fleet": {
            "changes": world.fleet.changes,
            "deviceCertificates": world.fleet.devices.len(),
            "inactiveDeviceCertificates": world.fleet.inactive_devices(),
            "caCertificates": world.fleet.authorities.len(),
            "policies": world.fleet.policies.len(),
            "groups": world.fleet.group_sizes(),
            "loggingEnabled": world.fleet.logging.is_enabled(),
        },
        "audits": audits,
        "suppressions": world.suppressions.len(),
        "mitigationTasks": by_status(world.tasks.values().map(|task| task.status)),
        "failingChecks": world.failing.iter().map(|check| check.name()).collect::<Vec<_>>(),
        "publications": {
            "queued": world.publications.queued,
            "sent": world.publications.sent,
            "failed": world.publications.failed,
        },
        "busy": world.busy(),
    })
}

fn calls(world: &World) -> Value {
    let tasks: Vec<Value> = world
        .tasks
        .values()
        .map(|task| {
            json!({
                "taskId": task.id,
                "clientRequestToken": task.token,
                "taskStatus": task.status.name(),
                "target": task.target,
                "findings": task.findings.len(),
                "outcomes": outcomes(world, task),
                "statistics": task.statistics(),
            })
        })
        .collect();
    let repeated: Vec<Value> = world
        .effects
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|((check, resource, action), times)| {
            let index = usize::try_from(*resource).unwrap_or(usize::MAX);
            let version = world.fleet.policies.get(index).map_or(0, |policy| policy.default_version);
            let entry = Entry { resource: *resource, version, reason: 0 };
            json!({
                "checkName": check.name(),
                "resourceIdentifier": world.fleet.identifier(*check, entry),
                "actionType": action.name(),
                "times": times,
            })
        })
        .collect();
    let mut described = world.calls.describe();
    if let Some(described) = described.as_object_mut() {
        described.insert("mitigationTasks".to_owned(), tasks.into());
        let total: u64 = world.effects.values().map(|times| u64::from(*times)).sum();
        let effects = json!({ "total": total, "distinct": world.effects.len(), "repeated": repeated });
        described.insert("effects".to_owned(), effects);
    }
    described
}

/// The findings that a task has dealt with, and what became of each.
fn outcomes(world: &World, task: &Task) -> Vec<Value> {
    let of = |(finding, outcome): (&Finding, &Outcome)| {
        let outcome = match outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed(..) => "failed",
            Outcome::Skipped => "skipped",
            Outcome::Canceled => "canceled",
        };
        json!({ "findingId": finding.id(world.seed()), "outcome": outcome })
    };
    task.findings.iter().zip(&task.outcomes).map(of).collect()
}

fn order_faults(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    struct Orders {
        faults: Vec<Fault>,
    }
    let orders: Orders = read(body)?;
    for fault in &orders.faults {
        if fault.operation != "*" && !operations::exists(&fault.operation) {
            return Err((400, format!("operation: there is no {}", fault.operation)));
        }
    }
    world.faults.0.extend(orders.faults);
    Ok(json!({ "faults": world.faults.0 }))
}

fn advance(world: &World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        advance_ms: u64,
    }
    let order: Order = read(body)?;
    world.settings.clock.advance(Duration::from_millis(order.advance_ms.min(100 * 365 * 86_400_000)));
    Ok(json!({ "nowMs": world.now() }))
}

fn reset(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        findings: Option<u32>,
        seed: Option<u64>,
    }
    let order: Order = read(body)?;
    let mut settings = world.settings.clone();
    settings.fleet.findings = order.findings.unwrap_or(settings.fleet.findings);
    settings.fleet.seed = order.seed.unwrap_or(settings.fleet.seed);
    *world = World::new(settings);
    Ok(json!({ "findings": world.settings.fleet.findings, "seed": world.seed() }))
}

fn run_schedule(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        scheduled_audit_name: String,
    }
    let order: Order = read(body)?;
    let name = order.scheduled_audit_name;
    let schedule = world.schedules.get(&name);
    let checks = schedule.ok_or_else(|| (404, format!("there is no scheduled audit {name}")))?.checks.clone();
    Ok(json!({ "taskId": world.start_audit(&checks, Some(name), world.now()) }))
}

fn set_failing(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        failing: Vec<String>,
    }
    let order: Order = read(body)?;
    world.failing = checks("failing", &order.failing)?;
    Ok(json!({ "failing": order.failing }))
}

/// What AWS leaves open.
fn set_rules(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        most_suppressions: Option<usize>,
        lapsed_stay: bool,
    }
    let Order { most_suppressions, lapsed_stay } = read(body)?;
    world.settings.most_suppressions = most_suppressions;
    world.settings.lapsed_stay = lapsed_stay;
    Ok(json!({ "mostSuppressions": most_suppressions, "lapsedStay": lapsed_stay }))
}

fn set_collecting(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        collecting: Vec<String>,
    }
    let order: Order = read(body)?;
    world.collect(checks("collecting", &order.collecting)?);
    Ok(json!({ "collecting": order.collecting }))
}

fn checks(member: &str, names: &[String]) -> Result<BTreeSet<Check>, (u16, String)> {
    let check = |name: &String| {
        Check::named(name).ok_or_else(|| (400, format!("{member}: there is no check {name}")))
    };
    names.iter().map(check).collect()
}

/// Suppresses one device certificate after the other, whether it exists or not.
fn make_suppressions(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        check_name: String,
        count: u32,
        /// The number of the first certificate.
        #[serde(default)]
        first: u32,
        /// Their ends are spread evenly over so many days, one day from now at the earliest. None: they never end.
        expires_in_days: Option<u32>,
        description: Option<String>,
    }
    let order: Order = read(body)?;
    let check = Check::named(&order.check_name).filter(|check| check.facts().kind == Kind::Device);
    let check = check
        .ok_or_else(|| (400, format!("checkName: {} is not about device certificates", order.check_name)))?;
    let first_end = world.now().saturating_add(DAY_MS);
    let spread = order.expires_in_days.map(|days| i64::from(days.saturating_sub(1)) * DAY_MS);
    let description: Option<Arc<str>> = order.description.map(Arc::from);
    for at in 0..order.count {
        let id = world.fleet.device_id(order.first.saturating_add(at));
        if world.suppressions.get(check, &id).is_some() {
            return Err((409, format!("{id} is suppressed already")));
        }
        let expires = spread.map_or(Expiry::Never, |spread| {
            // Whole seconds, as clients give them.
            let end = first_end + spread / i64::from(order.count) * i64::from(at);
            Expiry::At(end - end.rem_euclid(1_000))
        });
        let resource = json!({ "deviceCertificateId": id }).to_string().into();
        let suppression = Suppression { resource, expires, description: description.clone(), token: None };
        let number = world.number();
        world.suppressions.add(check, &id, number, suppression);
    }
    Ok(json!({ "suppressions": world.suppressions.len() }))
}

fn findings_count(world: &World, text: &str) -> Reply {
    let members = uri::query(text);
    let id = members.iter().find(|(name, _)| name == "taskId").map(|(_, id)| id.as_str());
    let id = id.ok_or_else(|| (400, "taskId is missing".to_owned()))?;
    let (_, audit) = world.audit(id).ok_or_else(|| (404, format!("there is no audit task {id}")))?;
    let (mut open, mut suppressed) = (0, 0);
    let mut checks = Map::new();
    for (check, run) in &audit.checks {
        open += run.open.len();
        suppressed += run.suppressed.len();
        let counts = json!({ "unsuppressed": run.open.len(), "suppressed": run.suppressed.len() });
        checks.insert(check.name().to_owned(), counts);
    }
    Ok(json!({
        "taskId": id,
        "taskStatus": audit.status.name(),
        "unsuppressed": open,
        "suppressed": suppressed,
        "checks": checks,
    }))
}
