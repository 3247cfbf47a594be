//! The violations that a mitigation names, or that a profile has, as the service and the ledger know them.
//!
//! There is no operation that describes one violation: they are found in the lists. The ledger adds which of its raises
//! it is, so that a command claims just what a rule would, and whether an incident holds it.

use std::collections::BTreeMap;

use fleetwarden_aws::alarms::Alarms;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use serde_json::Value;
use serde_json::json;

use crate::gate::flag;

/// How many violations one task takes.
const MOST: usize = 25;
/// How long the service keeps events, in seconds.
const KEPT_SECONDS: i64 = 30 * 86_400;

/// A violation of a device.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// Where the command names it.
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) thing: String,
    pub(crate) profile: String,
    pub(crate) behavior: String,
    /// The incident that holds it.
    pub(crate) incident: Option<String>,
    raised_at: Millis,
    suppressed: bool,
}

impl Violation {
    /// For the ledger.
    pub(crate) fn reference(&self) -> ViolationRef {
        ViolationRef { violation_id: self.id.clone(), thing: self.thing.clone(), raised_at: self.raised_at }
    }

    /// Of an entry of a list of violations or of their events.
    fn read(entry: &Value, began: &str) -> Option<Self> {
        let text = |name: &str| Some(entry.get(name)?.as_str()?.to_owned());
        let behavior = entry.get("behavior")?;
        Some(Self {
            path: "$.target".to_owned(),
            id: text("violationId")?,
            thing: text("thingName")?,
            profile: text("securityProfileName")?,
            behavior: behavior.get("name")?.as_str()?.to_owned(),
            incident: None,
            raised_at: entry.get(began).and_then(millis)?,
            suppressed: behavior.get("suppressAlerts") == Some(&Value::Bool(true)),
        })
    }
}

/// What a command is to mitigate: each that it names has to be there.
pub(crate) async fn read_violations(
    service: &Service,
    alarms: &Alarms,
    command: &Command,
) -> Result<Vec<Violation>, Failure> {
    let target = command.input.get("target");
    let of = |member: &str| target.and_then(|target| target.get(member));
    let mut violations = match of("violationIds").and_then(Value::as_array) {
        Some(ids) => named(service, command, ids).await?,
        None => of_profile(service, command, of("securityProfileName"), of("behaviorName")).await?,
    };
    for violation in &mut violations {
        let Some(known) = alarms.known(&violation.id).await? else { continue };
        if let Some(raised_at) = known.life.raised_at {
            violation.raised_at = raised_at;
        }
        violation.incident =
            known.incident.filter(|incident| incident.ended_at.is_none()).map(|incident| incident.id);
    }
    Ok(violations)
}

/// The violations of these ids.
async fn named(service: &Service, command: &Command, ids: &[Value]) -> Result<Vec<Violation>, Failure> {
    let only_active = flag(command, "includeOnlyActiveViolations");
    let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, id) in ids.iter().filter_map(Value::as_str).enumerate() {
        wanted.entry(id).or_insert(at);
    }
    let mut found: BTreeMap<String, Violation> = BTreeMap::new();
    // AWS does not say whether the flag means only these or these as well, nor what it does without.
    for filter in [json!({}), json!({"listSuppressedAlerts": true})] {
        if found.len() < wanted.len() {
            let listed = service.ask_all("ListActiveViolations", filter).await?;
            add(&mut found, &listed, "violationStartTime", &wanted);
        }
    }
    if found.len() < wanted.len() && !only_active {
        let now = service.clock.now();
        let since = now.plus_seconds(-KEPT_SECONDS).seconds();
        let period = json!({"startTime": since, "endTime": now.seconds()});
        let events = service.ask_all("ListViolationEvents", period).await?;
        let begins = |event: &Value| event.get("violationEventType").is_some_and(|of| of == "in-alarm");
        let begins: Vec<Value> = events.into_iter().filter(begins).collect();
        add(&mut found, &begins, "violationEventTime", &wanted);
    }
    let (mut violations, mut faults) = (Vec::new(), Vec::new());
    let mut wanted: Vec<(&str, usize)> = wanted.into_iter().collect();
    wanted.sort_by_key(|(_, at)| *at);
    for (id, at) in wanted {
        let path = format!("$.target.violationIds[{at}]");
        let what = match found.remove(id) {
            None if only_active => {
                "there is no such violation that is active: its alarm may be over".to_owned()
            }
            None => "there is no such violation in the last 30 days".to_owned(),
            Some(found) if found.suppressed && !flag(command, "includeSuppressedAlerts") => {
                let behavior = shown(&found.behavior);
                format!("the alerts of '{behavior}' are suppressed: give includeSuppressedAlerts: true")
            }
            Some(found) => {
                violations.push(Violation { path, ..found });
                continue;
            }
        };
        faults.push(Fault { path, what });
    }
    if faults.is_empty() { Ok(violations) } else { Err(Failure::Input(faults)) }
}

/// The active violations of a profile or of one of its behaviors.
async fn of_profile(
    service: &Service,
    command: &Command,
    profile: Option<&Value>,
    behavior: Option<&Value>,
) -> Result<Vec<Violation>, Failure> {
    if !flag(command, "includeOnlyActiveViolations") {
        let what = "of a profile only active violations are mitigated; name others by violationIds";
        return Err(Failure::fault("$.includeOnlyActiveViolations", what));
    }
    let mut found: BTreeMap<String, Violation> = BTreeMap::new();
    for suppressed in [None, Some(true)] {
        let filter = json!({"securityProfileName": profile});
        let mut filter = fleetwarden_commands::calls::members(filter);
        filter.extend(suppressed.map(|only| ("listSuppressedAlerts".to_owned(), Value::Bool(only))));
        let listed = service.ask_all("ListActiveViolations", filter.into()).await?;
        let read = listed.iter().filter_map(|entry| Violation::read(entry, "violationStartTime"));
        found.extend(read.map(|violation| (violation.id.clone(), violation)));
    }
    let range = command.input.get("violationEventOccurrenceRange");
    let end = |member: &str| range.and_then(|range| range.get(member)).and_then(millis);
    let (start, end) = (end("startTime"), end("endTime"));
    let suppressed = flag(command, "includeSuppressedAlerts");
    found.retain(|_, violation| {
        behavior.is_none_or(|name| name == violation.behavior.as_str())
            && (suppressed || !violation.suppressed)
            && start.is_none_or(|start| violation.raised_at >= start)
            && end.is_none_or(|end| violation.raised_at <= end)
    });
    match found.len() {
        0 => Err(Failure::fault("$.target", "no active violation is meant: there is nothing to mitigate")),
        1..=MOST => Ok(found.into_values().collect()),
        many => {
            let what =
                format!("{many} active violations are meant; a task takes {MOST}: name them by violationIds");
            Err(Failure::fault("$.target", what))
        }
    }
}

/// Adds those of a list that are wanted and not found yet.
fn add(
    found: &mut BTreeMap<String, Violation>,
    listed: &[Value],
    began: &str,
    wanted: &BTreeMap<&str, usize>,
) {
    let read = listed.iter().filter_map(|entry| Violation::read(entry, began));
    for violation in read.filter(|violation| wanted.contains_key(violation.id.as_str())) {
        found.entry(violation.id.clone()).or_insert(violation);
    }
}
