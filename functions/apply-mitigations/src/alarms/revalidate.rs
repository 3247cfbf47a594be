//! Right before its start each violation is asked about again, whatever its message says.
//!
//! A message is a request: it can be forged, and it can have waited for days outside of the windows, for room or on a
//! dead-letter queue, while the alarm was cleared, became part of an incident, the thing was put into the group by hand,
//! or the policy was changed. So the ledger says whether the very raise lasts, the policy of now decides as
//! `detect-alarm` let it decide, and the service says which groups the thing is in.
//!
//! What is certain is left out or goes on. What is unknown holds the whole mitigation back for a while: a device that is
//! not known to be mitigated for good reason stays as it is.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::alarms::Known;
use fleetwarden_aws::impact::guard::Asked;
use fleetwarden_aws::impact::guard::DeviceGuard;
use fleetwarden_aws::registry::Registry;
use fleetwarden_aws::states::Change;
use fleetwarden_aws::states::Changes;
use fleetwarden_core::ids::names::is_thing_name;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::model::mitigation::before::additions;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::AlarmHold;
use fleetwarden_core::policy::AlarmOutcome;
use fleetwarden_core::policy::AlarmSettings;
use fleetwarden_core::policy::AlarmSubject;
use fleetwarden_core::policy::DeviceLimits;
use fleetwarden_core::policy::InGroups;
use fleetwarden_core::timestamp::Millis;

use super::Violations;
use crate::devices::Devices;
use crate::devices::NOT_COUNTED;
use crate::refusals::Unable;
use crate::work::Decided;
use crate::work::LeftOut;
use crate::work::Revalidated;
use crate::work::Why;
use crate::work::time_left;

/// Why what an incident holds is not mitigated.
const PART: &str = "it is part of an incident";

/// What is asked of one violation.
enum One {
    /// Yes; so many devices may stand behind it.
    Wanted(DeviceLimits),
    Not(Why),
    Unknown(String),
}

/// Asks about a mitigation again.
///
/// # Errors
/// If the ledger or the service does not answer.
pub(super) async fn revalidate(
    of: &Violations,
    request: &AlarmMitigationRequest,
    deadline: Millis,
) -> Result<Revalidated<AlarmMitigationRequest>, Error> {
    let left = time_left(deadline, of.clock.now());
    let asked = tokio::time::timeout(left, Box::pin(ask_all(of, request))).await;
    asked.unwrap_or_else(|_| Ok(Revalidated::Unknown("no time is left to ask about it again".to_owned())))
}

async fn ask_all(
    of: &Violations,
    request: &AlarmMitigationRequest,
) -> Result<Revalidated<AlarmMitigationRequest>, Error> {
    let changes = match of.states.changes(&request.actions).await? {
        Ok(changes) => changes,
        Err(why) => return Ok(Revalidated::Never(Unable::Action, why)),
    };
    if let Some(why) = misfit(&changes) {
        return Ok(Revalidated::Never(Unable::Action, why));
    }
    let (registry, mut guard) = (of.registry.open(), DeviceGuard::new(of.registry.impacts()));
    let (mut wanted, mut befores, mut left_out) = (Vec::new(), Befores::default(), Vec::new());
    let (mut seen, mut in_groups) = (BTreeSet::new(), InGroups::default());
    let budgets = || of.policy.budgets_of(request.origin.rule(), &request.actions);
    for violation in request.violations.iter().filter(|of| seen.insert(&of.violation_id)) {
        let asked = Box::pin(ask_one(of, request, violation, (&changes, &mut befores), &registry)).await?;
        let asked = match asked {
            One::Wanted(limits) => match ask_devices(&mut guard, violation, limits).await {
                One::Unknown(why) => One::Unknown(format!("{NOT_COUNTED}: {why}")),
                asked => asked,
            },
            other => other,
        };
        match asked {
            One::Wanted(_) => {
                let things = things_for_budgets(of, request, violation, &registry).await;
                in_groups.add(budgets(), &violation.violation_id, &things);
                wanted.push(violation.clone());
            }
            One::Not(why) => left_out.push(LeftOut { part: violation.clone(), why }),
            One::Unknown(why) => {
                return Ok(Revalidated::Unknown(format!("{}: {why}", violation.violation_id)));
            }
        }
    }
    let reason = reason(&left_out, wanted.len(), of.policy.hash());
    let target = Some(wanted).filter(|wanted| !wanted.is_empty());
    let (impact, guards) = guard.sum();
    Ok(Revalidated::Known(Decided {
        target,
        left_out,
        reason,
        befores: Some(befores),
        impact,
        in_groups: Some(in_groups),
        guards,
        severity: None,
    }))
}

/// The thing of a violation with its groups, as far as budgets of groups ask for them.
async fn things_for_budgets(
    of: &Violations,
    request: &AlarmMitigationRequest,
    violation: &ViolationRef,
    registry: &Registry,
) -> Things {
    let thing = Some(violation.thing.clone());
    let identifier = ResourceIdentifier { client_id: thing, ..ResourceIdentifier::default() };
    let wants = |things: &Things| of.policy.budgets_want(request.origin.rule(), &request.actions, things);
    Box::pin(registry.look_up(Some(&identifier), wants)).await
}

/// Asks about the devices of violations that are only observed.
pub(super) async fn observe_devices(of: &Violations, request: &AlarmMitigationRequest) -> Devices {
    let limits = of.policy.device_limits_of(request.origin.rule());
    let (mut guard, mut left_out) = (DeviceGuard::new(of.registry.impacts()), Vec::new());
    for violation in &request.violations {
        match ask_devices(&mut guard, violation, limits).await {
            One::Wanted(_) => {}
            One::Not(why) => left_out.push(format!("{}: {}", violation.violation_id, why.text())),
            One::Unknown(why) => return Devices::waits(&why),
        }
    }
    Devices::of(guard, &left_out, request.violations.len())
}

/// Asks about the device of a violation that is wanted.
async fn ask_devices(guard: &mut DeviceGuard, violation: &ViolationRef, limits: DeviceLimits) -> One {
    let ViolationRef { violation_id, thing, .. } = violation;
    match Box::pin(guard.ask_thing(violation_id, thing, limits)).await {
        Ok(Asked::Passes(_)) => One::Wanted(limits),
        Ok(Asked::Over(why) | Asked::NotSaid(why)) => One::Not(Why::Devices(why)),
        Err(error) => One::Unknown(error.to_string()),
    }
}

/// Why an alarm cannot be mitigated by these actions, if it cannot.
fn misfit(changes: &Changes) -> Option<String> {
    changes.iter().find_map(|(action, change)| match change {
        Change::Groups { groups, .. } if groups.is_empty() => {
            Some(format!("mitigation action '{action}' names no thing group"))
        }
        Change::Groups { .. } => None,
        other => Some(format!(
            "mitigation action '{action}' is of type {}: an alarm is mitigated only by ADD_THINGS_TO_THING_GROUP",
            other.kind()
        )),
    })
}

/// Why violations are left out, in words for people; none if nothing is.
fn reason(left_out: &[LeftOut<ViolationRef>], wanted: usize, policy: &str) -> Option<String> {
    let why = |out: &LeftOut<ViolationRef>| format!("{}: {}", out.part.violation_id, out.why.text());
    let whys: Vec<String> = left_out.iter().map(why).collect();
    let (count, of) = (whys.len(), whys.len() + wanted);
    (count > 0).then(|| format!("{count} of {of} not mitigated under policy {policy}: {}", whys.join("; ")))
}

/// Why a violation is not mitigated, if it is one of many: of an incident that lasts or that a person left, or if so
/// many devices alarm on its behavior, now or around its own raise. A message can come hours after the alarm.
async fn one_of_many(of: &Violations, life: &Life) -> Result<Option<Why>, Error> {
    if let Some(id) = &life.incident
        && let Some(incident) = of.notes.alarms.incident(id).await?
    {
        // Its devices were counted then: once it is over they are not held by their number again.
        return Ok(held_by(&incident));
    }
    let (key, settings, now) = (life.alarm.behavior_key(), of.policy.alarms(), of.clock.now());
    let window = settings.incident_window_seconds;
    let around = of.notes.alarms.devices_around(&key, window, life.raised_at.unwrap_or(now)).await?;
    let devices = around.max(of.notes.alarms.devices_in_alarm(&key, window, now).await?);
    let population = if devices < AlarmSettings::SHARE_FROM {
        None
    } else {
        let place = (life.alarm.account.as_str(), life.alarm.region.as_str());
        of.notes.alarms.population(place, &life.alarm.profile, now).await?
    };
    let too_many = settings.is_incident(devices, population);
    Ok(too_many.then_some(Why::Quiet("too many devices alarm on the behavior at once")))
}

async fn ask_one(
    of: &Violations,
    request: &AlarmMitigationRequest,
    violation: &ViolationRef,
    (changes, befores): (&Changes, &mut Befores),
    registry: &Registry,
) -> Result<One, Error> {
    let Some(known) = of.notes.alarms.known(&violation.violation_id).await? else {
        return Ok(One::Not(Why::Changed("the ledger does not know it".to_owned())));
    };
    if let Some(why) = differs(request, violation, &known) {
        return Ok(One::Not(why));
    }
    if let Some(why) = one_of_many(of, &known.life).await? {
        return Ok(One::Not(why));
    }
    let limits = match Box::pin(decide_again(of, request, &known, registry)).await {
        One::Wanted(limits) => limits,
        other => return Ok(other),
    };
    let id = &violation.violation_id;
    if !of.states.read_thing(befores, id, &violation.thing, changes).await? {
        return Ok(One::Not(Why::Changed("its thing is not registered".to_owned())));
    }
    let states = befores.of(&BTreeSet::from([id.clone()]));
    let adds = additions(&states).into_values().flatten().any(|(_, groups)| !groups.is_empty());
    Ok(if adds { One::Wanted(limits) } else { One::Not(Why::AlreadyIn) })
}

/// Whether the policy of now mitigates a violation as it was decided.
async fn decide_again(
    of: &Violations,
    request: &AlarmMitigationRequest,
    known: &Known,
    registry: &Registry,
) -> One {
    let things = Things::NotAsked;
    let at = of.clock.now();
    let subject = AlarmSubject { life: &known.life, at, raises: &known.raises, things: &things };
    let identifier =
        ResourceIdentifier { client_id: known.life.alarm.thing.clone(), ..ResourceIdentifier::default() };
    let wants = |things: &Things| of.policy.decide_alarm(&AlarmSubject { things, ..subject.clone() }).wanted;
    let things = Box::pin(registry.look_up(Some(&identifier), wants)).await;
    let subject = AlarmSubject { things: &things, ..subject.clone() };
    let decision = of.policy.decide_alarm(&subject);
    let unknown = if let Things::Unknown { unknown } = &things { unknown } else { "it was not looked up" };
    let rule = decision.rule.unwrap_or_default();
    let not = |why: String| One::Not(Why::Changed(why));
    match (decision.held, decision.outcome) {
        (Some(AlarmHold::ProtectedBy(protection)), _) => not(format!("it is protected by {protection}")),
        (Some(AlarmHold::ProtectionUnknown), _) => {
            One::Unknown(format!("whether it is protected is unknown: {unknown}"))
        }
        (Some(AlarmHold::RuleUnknown(rule)), _) => {
            One::Unknown(format!("rule {rule} cannot be evaluated: {unknown}"))
        }
        (Some(AlarmHold::RegistrationUnknown), _) => {
            One::Unknown(format!("whether its thing is registered is unknown: {unknown}"))
        }
        (Some(AlarmHold::Verified(said)), _) => not(format!("people said of it: {}", said.as_str())),
        (Some(AlarmHold::NothingToVerify), _) => not("a rule verifies it now".to_owned()),
        (Some(AlarmHold::Ended), _) => One::Not(Why::Quiet("the alarm has ended")),
        (Some(AlarmHold::NothingToMitigate), _) => not("its thing is not registered".to_owned()),
        (None, AlarmOutcome::Mitigate(_)) if Some(rule) != request.origin.rule() => {
            not(format!("rule {rule} mitigates it now"))
        }
        (None, AlarmOutcome::Mitigate(mitigate)) if mitigate.actions != request.actions => {
            not(format!("rule {rule} mitigates it with other actions"))
        }
        (None, AlarmOutcome::Mitigate(mitigate)) => One::Wanted(mitigate.devices),
        (None, _) if rule.is_empty() => not("no rule takes it".to_owned()),
        (None, outcome) => not(format!("rule {rule} says {} now", outcome.word())),
    }
}

/// What the ledger says otherwise than the message, or than a mitigation needs.
fn differs(request: &AlarmMitigationRequest, violation: &ViolationRef, known: &Known) -> Option<Why> {
    let Life { alarm, raised_at, .. } = &known.life;
    let Alarm { account, region, profile, behavior, thing, .. } = alarm;
    let same = (account, region, profile, behavior)
        == (&request.account, &request.region, &request.profile, &request.behavior);
    if !same {
        return Some(Why::Changed("it is of another behavior".to_owned()));
    }
    if thing.as_deref() != Some(&violation.thing) {
        return Some(Why::Changed("it is of another device".to_owned()));
    }
    if !is_thing_name(&violation.thing) {
        return Some(Why::Changed("its device can be no thing".to_owned()));
    }
    if *raised_at != Some(violation.raised_at) {
        return Some(Why::Quiet("it is about another raise of the alarm"));
    }
    match known.life.state() {
        Some(State::Raised) => {}
        _ => return Some(Why::Quiet("the alarm has ended")),
    }
    known.incident.is_some().then_some(Why::Quiet(PART))
}

/// Whether the incident that a violation is part of keeps it from being mitigated.
fn held_by(incident: &Incident) -> Option<Why> {
    if incident.ended_at.is_none() {
        return Some(Why::Quiet(PART));
    }
    incident.is_left().then_some(Why::Quiet("a person left the incident that it was part of"))
}
