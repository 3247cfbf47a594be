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
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::alarms::Known;
use fleetwarden_aws::mitigations::Additions;
use fleetwarden_aws::registry::Pace;
use fleetwarden_aws::registry::Registry;
use fleetwarden_aws::thing_groups::GroupsByAction;
use fleetwarden_aws::thing_groups::missing;
use fleetwarden_core::ids::names::is_thing_name;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::AlarmHeld;
use fleetwarden_core::policy::AlarmOutcome;
use fleetwarden_core::policy::AlarmSettings;
use fleetwarden_core::policy::AlarmSubject;
use fleetwarden_core::timestamp::Millis;

use crate::ApplyMitigations;

/// What is left of an invocation for all that comes after, in milliseconds.
const MARGIN_MS: i64 = 5_000;

/// Why what an incident holds is not mitigated.
const PART: &str = "it is part of an incident";

/// What is known of a mitigation of alarms right before its start.
#[derive(Debug)]
pub(super) enum Asked {
    /// Everything.
    Known(Parts),
    /// It can never start, and why.
    Never(String),
    /// Something of it is not known, or the time was up: it is asked again later.
    Unknown(String),
}

/// What is to be mitigated, and what is not.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// What is.
    pub(super) wanted: Vec<ViolationRef>,
    /// Of these, the groups that each thing is not in.
    pub(super) additions: Additions,
    /// What is not.
    pub(super) left_out: Vec<LeftOut>,
}

/// A violation that is not mitigated.
#[derive(Debug)]
pub(super) struct LeftOut {
    pub(super) violation: ViolationRef,
    pub(super) why: Why,
}

/// Why a violation is not mitigated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There is nothing to mitigate, or an alert of its own says why not.
    Quiet(&'static str),
    /// Its thing is in all of the groups already.
    AlreadyIn,
    /// The policy of now, or the message, is not as it was.
    Aloud(String),
}

/// What is asked of one violation.
enum One {
    Wanted(GroupsByAction),
    Not(Why),
    Unknown(String),
}

impl Why {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Quiet(text) => text,
            Self::AlreadyIn => "its thing is in the groups already",
            Self::Aloud(text) => text,
        }
    }
}

impl Parts {
    /// Why parts are left out, in words for people; none if nothing is.
    pub(super) fn reason(&self, policy: &str) -> Option<String> {
        let why = |out: &LeftOut| format!("{}: {}", out.violation.violation_id, out.why.text());
        let whys: Vec<String> = self.left_out.iter().map(why).collect();
        let (count, of) = (whys.len(), whys.len() + self.wanted.len());
        (count > 0)
            .then(|| format!("{count} of {of} not mitigated under policy {policy}: {}", whys.join("; ")))
    }

    /// Whether people are to hear of what is left out.
    pub(super) fn is_aloud(&self) -> bool {
        self.left_out.iter().any(|out| matches!(out.why, Why::Aloud(_)))
    }
}

impl ApplyMitigations {
    /// Asks about a mitigation again.
    ///
    /// # Errors
    /// If the ledger or the service does not answer.
    pub(super) async fn ask_again(
        &self,
        request: &AlarmMitigationRequest,
        deadline: Millis,
    ) -> Result<Asked, Error> {
        let left = deadline.0.saturating_sub(MARGIN_MS).saturating_sub(self.consumer.clock.now().0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        let asked = tokio::time::timeout(left, Box::pin(self.ask_all(request))).await;
        asked.unwrap_or_else(|_| Ok(Asked::Unknown("no time is left to ask about it again".to_owned())))
    }

    async fn ask_all(&self, request: &AlarmMitigationRequest) -> Result<Asked, Error> {
        let groups = match self.groups.of_actions(&request.actions).await? {
            Ok(groups) => groups,
            Err(why) => return Ok(Asked::Never(why)),
        };
        let registry = Registry::new(self.iot.clone(), Pace::Patient, &self.account, &self.iot.region());
        let (mut parts, mut seen) = (Parts::default(), BTreeSet::new());
        for violation in request.violations.iter().filter(|of| seen.insert(&of.violation_id)) {
            match Box::pin(self.ask_one(request, violation, &groups, &registry)).await? {
                One::Wanted(missing) => {
                    parts.additions.insert(violation.violation_id.clone(), missing);
                    parts.wanted.push(violation.clone());
                }
                One::Not(why) => parts.left_out.push(LeftOut { violation: violation.clone(), why }),
                One::Unknown(why) => {
                    return Ok(Asked::Unknown(format!("{}: {why}", violation.violation_id)));
                }
            }
        }
        Ok(Asked::Known(parts))
    }

    /// Why a violation is not mitigated, if it is one of many: of an incident that lasts or that a person left, or if so
    /// many devices alarm on its behavior, now or around its own raise. A message can come hours after the alarm.
    async fn one_of_many(&self, life: &Life) -> Result<Option<Why>, Error> {
        if let Some(id) = &life.incident
            && let Some(incident) = self.alarms.incident(id).await?
        {
            // Its devices were counted then: once it is over they are not held by their number again.
            return Ok(held_by(&incident));
        }
        let (key, settings, now) =
            (life.alarm.behavior_key(), self.policy.alarms(), self.consumer.clock.now());
        let window = settings.incident_window_seconds;
        let around = self.alarms.devices_around(&key, window, life.raised_at.unwrap_or(now)).await?;
        let devices = around.max(self.alarms.devices_in_alarm(&key, window, now).await?);
        let population = if devices < AlarmSettings::SHARE_FROM {
            None
        } else {
            let of = (life.alarm.account.as_str(), life.alarm.region.as_str());
            self.alarms.population(of, &life.alarm.profile, now).await?
        };
        let too_many = settings.is_incident(devices, population);
        Ok(too_many.then_some(Why::Quiet("too many devices alarm on the behavior at once")))
    }

    async fn ask_one(
        &self,
        request: &AlarmMitigationRequest,
        violation: &ViolationRef,
        groups: &GroupsByAction,
        registry: &Registry,
    ) -> Result<One, Error> {
        let Some(known) = self.alarms.known(&violation.violation_id).await? else {
            return Ok(One::Not(Why::Aloud("the ledger does not know it".to_owned())));
        };
        if let Some(why) = differs(request, violation, &known) {
            return Ok(One::Not(why));
        }
        if let Some(why) = self.one_of_many(&known.life).await? {
            return Ok(One::Not(why));
        }
        match Box::pin(self.decide_again(request, &known, registry)).await {
            One::Wanted(_) => {}
            other => return Ok(other),
        }
        let Some(present) = self.groups.of_thing(&violation.thing).await? else {
            return Ok(One::Not(Why::Aloud("its thing is not registered".to_owned())));
        };
        let missing = missing(groups, &present);
        Ok(if missing.is_empty() { One::Not(Why::AlreadyIn) } else { One::Wanted(missing) })
    }

    /// Whether the policy of now mitigates a violation as it was decided.
    async fn decide_again(
        &self,
        request: &AlarmMitigationRequest,
        known: &Known,
        registry: &Registry,
    ) -> One {
        let things = Things::NotAsked;
        let at = self.consumer.clock.now();
        let subject = AlarmSubject { life: &known.life, at, raises: &known.raises, things: &things };
        let identifier =
            ResourceIdentifier { client_id: known.life.alarm.thing.clone(), ..ResourceIdentifier::default() };
        let wants =
            |things: &Things| self.policy.decide_alarm(&AlarmSubject { things, ..subject.clone() }).wanted;
        let things = Box::pin(registry.look_up(Some(&identifier), wants)).await;
        let subject = AlarmSubject { things: &things, ..subject.clone() };
        let decision = self.policy.decide_alarm(&subject);
        let unknown =
            if let Things::Unknown { unknown } = &things { unknown } else { "it was not looked up" };
        let rule = decision.rule.unwrap_or_default();
        let not = |why: String| One::Not(Why::Aloud(why));
        match (decision.held, decision.outcome) {
            (Some(AlarmHeld::ProtectedBy(protection)), _) => not(format!("it is protected by {protection}")),
            (Some(AlarmHeld::ProtectionUnknown), _) => {
                One::Unknown(format!("whether it is protected is unknown: {unknown}"))
            }
            (Some(AlarmHeld::RuleUnknown(rule)), _) => {
                One::Unknown(format!("rule {rule} cannot be evaluated: {unknown}"))
            }
            (Some(AlarmHeld::RegistrationUnknown), _) => {
                One::Unknown(format!("whether its thing is registered is unknown: {unknown}"))
            }
            (Some(AlarmHeld::Verified(said)), _) => not(format!("people said of it: {}", said.as_str())),
            (Some(AlarmHeld::NothingToVerify), _) => not("a rule verifies it now".to_owned()),
            (Some(AlarmHeld::Ended), _) => One::Not(Why::Quiet("the alarm has ended")),
            (Some(AlarmHeld::NothingToMitigate), _) => not("its thing is not registered".to_owned()),
            (None, AlarmOutcome::Mitigate(_)) if Some(rule) != request.origin.rule() => {
                not(format!("rule {rule} mitigates it now"))
            }
            (None, AlarmOutcome::Mitigate(mitigate)) if mitigate.actions != request.actions => {
                not(format!("rule {rule} mitigates it with other actions"))
            }
            (None, AlarmOutcome::Mitigate(_)) => One::Wanted(GroupsByAction::new()),
            (None, _) if rule.is_empty() => not("no rule takes it".to_owned()),
            (None, outcome) => not(format!("rule {rule} says {} now", outcome.word())),
        }
    }
}

/// What the ledger says otherwise than the message, or than a mitigation needs.
fn differs(request: &AlarmMitigationRequest, violation: &ViolationRef, known: &Known) -> Option<Why> {
    let Life { alarm, raised_at, .. } = &known.life;
    let Alarm { account, region, profile, behavior, thing, .. } = alarm;
    let same = (account, region, profile, behavior)
        == (&request.account, &request.region, &request.profile, &request.behavior);
    if !same {
        return Some(Why::Aloud("it is of another behavior".to_owned()));
    }
    if thing.as_deref() != Some(&violation.thing) {
        return Some(Why::Aloud("it is of another device".to_owned()));
    }
    if !is_thing_name(&violation.thing) {
        return Some(Why::Aloud("its device can be no thing".to_owned()));
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
