//! The gate before a mitigation of alarms that a person or a workflow asks for: the one of the policy's own mitigations,
//! as far as it is about the policy. Whether each alarm lasts, what is protected, whether a thing is registered, whether
//! an incident holds it, when mitigation may happen, whether other tasks have the alarms, and at last the mode. Unknown
//! protection status blocks. What passes goes on in [`task`](crate::task).
//!
//! A target that is a profile becomes the violations that it has now, so that what is started is what was asked about.

use std::collections::BTreeSet;

use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::impact::Impacts;
use fleetwarden_aws::impact::guard::DeviceGuard;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Guarded;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::registry::Registry;
use fleetwarden_aws::states::States;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::approval::approved;
use fleetwarden_commands::approval::reasons;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::devices::blocked;
use fleetwarden_commands::devices::limits;
use fleetwarden_commands::diff::change;
use fleetwarden_commands::gate::Blocked;
use fleetwarden_commands::gate::Wanted as Counted;
use fleetwarden_commands::gate::check_budgets;
use fleetwarden_commands::gate::check_pause;
use fleetwarden_commands::gate::check_protection_of;
use fleetwarden_commands::gate::check_windows;
use fleetwarden_commands::gate::refuse_blocked;
use fleetwarden_commands::gate::spends;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::ids::names::is_thing_name;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::model::mitigation::approval::ExplainedAction;
use fleetwarden_core::model::mitigation::approval::Explanation;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::model::mitigation::before::additions;
use fleetwarden_core::model::mitigation::impact::Impact;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::model::thing::Wanted;
use fleetwarden_core::policy::InGroups;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::untrusted::shown;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::ReadPolicy;
use crate::actions::Action;
use crate::actions::changes;
use crate::actions::read_actions;
use crate::task::Tasks;
use crate::task::Wanted as WantedTask;
use crate::task::taken;
use crate::violations::Violation;
use crate::violations::read_violations;

/// What a command is about to mitigate.
struct Asked {
    /// For the one who asks.
    mitigates: Vec<Value>,
    /// For the ledger and the follow-up.
    request: AlarmMitigationRequest,
    /// The states that the start will change.
    befores: Befores,
    /// The incidents that hold what is asked for.
    incidents: Vec<String>,
    /// How many devices it concerns, if the guard has asked, and what the guard says.
    impact: Option<Impact>,
    guards: Vec<GuardAnswer>,
    /// What counts in the budgets of groups.
    in_groups: InGroups,
}

/// What is wrong with a command so far.
#[derive(Default)]
struct Wrong {
    faults: Vec<Fault>,
    blocked: Vec<Blocked>,
}

/// The gate, and the start of what passes.
pub(crate) struct Gate<'a> {
    pub(crate) service: &'a Service,
    /// AWS IoT, for what the policy asks of the registry.
    pub(crate) registry: &'a RegistryClient,
    /// Reads the policy of now.
    pub(crate) policy: &'a ReadPolicy,
    /// Reads the states that a task will change.
    pub(crate) states: States,
    pub(crate) ledger: &'a Ledger,
    pub(crate) tasks: Tasks<'a>,
}

impl Gate<'_> {
    /// `StartDetectMitigationActionsTask`, if the policy allows it.
    pub(crate) async fn start(&self, command: &Command) -> Result<Box<RawValue>, Failure> {
        if !command.dry_run && self.tasks.is_started(command).await? {
            return answer(&json!({"taskId": command.text("taskId")}));
        }
        let policy = (self.policy)()?;
        let actions = read_actions(self.service, command).await?;
        let alarms = Alarms::new(self.ledger.clone());
        let violations = read_violations(self.service, &alarms, command).await?;
        let Asked { mitigates, request, befores, incidents, impact, guards, in_groups } =
            self.ask_about(&policy, command, &actions, &violations).await?;
        check_windows(&policy, &request.actions, self.service.clock.now())?;
        let loses = (!incidents.is_empty()).then(|| incidents.join("; "));
        if let Some(loses) = loses.as_ref().filter(|_| !command.dry_run) {
            command.confirmed(&self.service.account, loses)?;
        }
        let input = starts(command, &request);
        let observed = policy.mode() == Mode::Observe;
        let mitigations = Mitigations::new(self.ledger.clone());
        let now = self.service.clock.now();
        let ids = request.violations.iter().map(|violation| violation.violation_id.as_str()).collect();
        let count = request.violations.len() as u64;
        let counts = [Counted { actions: &request.actions, count, ids }];
        let spends = spends(&policy, self.ledger, (counts.as_slice(), Some(&in_groups)), now).await?;
        if command.dry_run || observed {
            check_pause(&mitigations).await?;
            check_budgets(&mitigations, command.text("taskId"), &spends, now).await?;
            let holders = mitigations.violation_holders(&request).await?;
            if !holders.is_empty() {
                return Err(taken(&request, &holders));
            }
        }
        let name = command.operation.name;
        let explained: Vec<ExplainedAction> = actions.iter().map(Action::explained).collect();
        let explanation = Explanation {
            reasons: reasons(&policy, &explained),
            parts: request.violations.iter().map(|violation| violation.violation_id.clone()).collect(),
            count: request.violations.len() as u64,
            actions: explained,
            ..Explanation::default()
        };
        if command.dry_run {
            let changes = [change("$", &Value::Null, &Value::Object(input))];
            let mut told = json!({
                "dryRun": true, "command": name, "changes": changes, "mitigates": mitigates, "observed": observed,
                "needsApproval": explanation.reasons,
            });
            if let (Some(loses), Some(told)) = (loses, told.as_object_mut()) {
                told.insert("confirmationRequired".to_owned(), loses.into());
            }
            return answer(&told);
        }
        if observed {
            mitigations.observed_violations(&request, self.service.clock.now()).await?;
            tracing::info!(mitigation.task_id = command.text("taskId"), "would mitigate");
            return answer(
                &json!({"observed": true, "command": name, "wouldStart": input, "mitigates": mitigates}),
            );
        }
        let grades = actions.iter().map(|action| (action.name.clone(), action.grade)).collect();
        let hold = async |reason: &str, until| {
            self.tasks.hold(command, &request, (reason, until), &mitigations).await
        };
        let approved = approved(command, explanation, (&mitigations, now), hold).await?;
        let guarded = Guarded {
            spends: &spends,
            grades: Some(&grades),
            guards: &guards,
            impact: impact.as_ref(),
            approved,
        };
        let wanted = WantedTask { request: &request, befores: befores.all(), guarded };
        self.tasks.start(command, input, wanted, &mitigations).await
    }

    /// Checks each violation and its thing.
    async fn ask_about(
        &self,
        policy: &Policy,
        command: &Command,
        actions: &[Action],
        violations: &[Violation],
    ) -> Result<Asked, Failure> {
        let region = self.service.iot.region();
        let registry = Registry::new(self.registry.clone(), &self.service.account, &region);
        let mut wrong = Wrong::default();
        let impacts = Impacts::new(self.registry.client().clone(), &self.service.account, &region);
        let (limits, mut guard) = (limits(command)?, DeviceGuard::new(impacts));
        let (mut befores, mut mitigates, changes) = (Befores::default(), Vec::new(), changes(actions));
        let mut in_groups = InGroups::default();
        let names: Vec<String> = actions.iter().map(|action| action.name.clone()).collect();
        for violation in violations {
            let Some(things) = free(policy, violation, &registry, &mut wrong).await else { continue };
            in_groups.add(policy.budgets_of(None, &names), &violation.id, &things);
            if !self.states.read_thing(&mut befores, &violation.id, &violation.thing, &changes).await? {
                wrong.faults.push(unregistered(violation));
                continue;
            }
            let asked = guard.ask_thing(&violation.id, &violation.thing, limits).await?;
            wrong.blocked.extend(blocked(&violation.path, asked));
            let states = befores.of(&BTreeSet::from([violation.id.clone()]));
            let mut adds = additions(&states).remove(&violation.id).unwrap_or_default();
            for action in actions {
                adds.entry(action.name.clone()).or_default();
            }
            mitigates.push(json!({
                "violationId": violation.id, "thingName": violation.thing,
                "securityProfileName": violation.profile, "behaviorName": violation.behavior, "adds": adds,
            }));
        }
        if !wrong.faults.is_empty() {
            return Err(Failure::Input(wrong.faults));
        }
        refuse_blocked(&wrong.blocked)?;
        let incidents = violations.iter().filter_map(|violation| {
            let incident = violation.incident.as_ref()?;
            Some(format!(
                "{}: '{}' is part of the incident '{}', which holds mitigations until it is over or AlarmIncident ends it",
                violation.path, violation.id, shown(incident)
            ))
        });
        let incidents = incidents.collect();
        let request = request(command, &self.service.account, &region, violations)?;
        let (impact, guards) = guard.sum();
        Ok(Asked { mitigates, request, befores, incidents, impact, guards, in_groups })
    }
}

/// What is wrong with a violation whose thing is not registered.
fn unregistered(violation: &Violation) -> Fault {
    let thing = shown(&violation.thing);
    Fault {
        path: violation.path.clone(),
        what: format!("no thing is registered as '{thing}': nothing can be added to a thing group"),
    }
}

/// The thing of a violation that may be mitigated, with its groups; else what is wrong is noted.
async fn free(
    policy: &Policy,
    violation: &Violation,
    registry: &Registry,
    wrong: &mut Wrong,
) -> Option<Things> {
    let path = &violation.path;
    if !is_thing_name(&violation.thing) {
        wrong.faults.push(unregistered(violation));
        return None;
    }
    let identifier = ResourceIdentifier { client_id: Some(violation.thing.clone()), ..Default::default() };
    let wants = |things: &Things| match things {
        Things::NotAsked => Wanted { names: true, groups: true, ..Wanted::default() },
        Things::Known(known) if known.iter().any(|thing| thing.groups.is_none()) => {
            Wanted { groups: true, ..Wanted::default() }
        }
        _ => Wanted::default(),
    };
    let things = registry.look_up(Some(&identifier), wants).await;
    if let Err(Blocked { name, why }) = check_protection_of(policy, &identifier, &things) {
        wrong.blocked.push(Blocked { name, why: format!("{path}: {why}") });
        return None;
    }
    let is_missing = matches!(&things, Things::Known(known) if known.is_empty());
    if is_missing {
        wrong.faults.push(unregistered(violation));
    }
    (!is_missing).then_some(things)
}

/// The request of a command. A task is for one behavior: its follow-up tells of it by its name.
fn request(
    command: &Command,
    account: &str,
    region: &str,
    violations: &[Violation],
) -> Result<AlarmMitigationRequest, Failure> {
    let Some(first) = violations.first() else {
        return Err(Failure::fault("$.target", "names no violation that is there"));
    };
    let others = violations
        .iter()
        .filter(|other| (&other.profile, &other.behavior) != (&first.profile, &first.behavior));
    let faults: Vec<Fault> = others
        .map(|other| Fault {
            path: other.path.clone(),
            what: format!(
                "'{}' is of the behavior '{}' of '{}', and the first of '{}' of '{}': give each a task of its own",
                other.id, shown(&other.behavior), shown(&other.profile), shown(&first.behavior), shown(&first.profile)
            ),
        })
        .collect();
    if !faults.is_empty() {
        return Err(Failure::Input(faults));
    }
    let actions = command.input.get("actions").cloned().unwrap_or_default();
    Ok(AlarmMitigationRequest {
        account: account.to_owned(),
        region: region.to_owned(),
        profile: first.profile.clone(),
        behavior: first.behavior.clone(),
        origin: Origin::Command(command.text("taskId").to_owned()),
        mode: Mode::Enforce,
        policy: None,
        actions: serde_json::from_value(actions).unwrap_or_default(),
        violations: violations.iter().map(Violation::reference).collect(),
        release_after_seconds: None,
    })
}

/// What is sent to the service: violations by their ids, and both flags, because AWS does not say what it does without.
fn starts(command: &Command, request: &AlarmMitigationRequest) -> Map<String, Value> {
    let mut input = command.input.clone();
    let ids: Vec<&str> = request.violations.iter().map(|violation| violation.violation_id.as_str()).collect();
    input.insert("target".to_owned(), json!({"violationIds": ids}));
    for (flag, default) in FLAGS {
        input.entry(flag).or_insert(default.into());
    }
    input
}

/// The flags of a start, as they are if the command does not have them: the narrower of what each can be.
pub(crate) const FLAGS: [(&str, bool); 2] =
    [("includeOnlyActiveViolations", true), ("includeSuppressedAlerts", false)];

/// A flag of a start.
pub(crate) fn flag(command: &Command, name: &str) -> bool {
    let default = FLAGS.iter().find(|(flag, _)| *flag == name).is_some_and(|(_, default)| *default);
    command.input.get(name).and_then(Value::as_bool).unwrap_or(default)
}
