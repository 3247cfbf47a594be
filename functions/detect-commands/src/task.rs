//! A mitigation task of alarms that passed the gate: claimed in the ledger as those of the policy's rules are, started,
//! and followed by `apply-mitigations` to its end.
//!
//! The follow-up is sent before the claim, because nothing delivers a command again: after a crash it finds the task of the
//! claim, or gives the claim back.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::Guarded;
use fleetwarden_aws::mitigations::Holder;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::WholeClaim;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::mitigations::before::BeforeRead;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::gate::check_pause;
use fleetwarden_commands::gate::rejected;
use fleetwarden_commands::gate::stopped;
use fleetwarden_commands::repeat::tokened;
use fleetwarden_commands::task::EXISTS;
use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::model::mitigation::before::Before;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

/// What passed the gate.
pub(crate) struct Wanted<'w> {
    pub(crate) request: &'w AlarmMitigationRequest,
    /// The states that the start will change.
    pub(crate) befores: Vec<Before>,
    /// The budgets that it counts in, and how hard it is to take back.
    pub(crate) guarded: Guarded<'w>,
}

/// Starts mitigation tasks, each once, and has them followed.
pub(crate) struct Tasks<'a> {
    pub(crate) service: &'a Service,
    pub(crate) ledger: &'a Ledger,
    /// The mitigation queue, made when it is needed.
    pub(crate) queue: &'a (dyn Fn() -> Queue + Send + Sync),
    pub(crate) follow_up_seconds: u32,
}

impl Tasks<'_> {
    /// Claims and starts what passed the gate, and has it followed; a repeat of it changes nothing.
    pub(crate) async fn start(
        &self,
        command: &Command,
        mut input: Map<String, Value>,
        wanted: Wanted<'_>,
        mitigations: &Mitigations,
    ) -> Result<Box<RawValue>, Failure> {
        let Wanted { request, befores, guarded } = wanted;
        let id = command.text("taskId");
        // Of what the command says, not of what its target has now: a repeat of it is the same command then.
        if let Some(token) = tokened(self.service.family, command, "").and_then(|mut of| of.remove(TOKEN)) {
            input.insert(TOKEN.to_owned(), token);
        }
        let hash = self.hash(command);
        // The follow-up comes first: it frees what a process that dies from here on has claimed.
        self.send_follow_up(request).await?;
        let claimed_at = self.service.clock.now();
        // Only this try can start what it is the first to claim.
        let first = match mitigations.claim_violations(request, &hash, guarded, claimed_at).await? {
            WholeClaim::Taken => true,
            WholeClaim::TakenAgain => false,
            WholeClaim::Repeated => return answer(&json!({"taskId": id})),
            WholeClaim::Other => {
                let what = format!("the task '{id}' is another mitigation's; give a taskId of its own");
                return Err(Failure::Refused { name: EXISTS, what });
            }
            WholeClaim::Held(holders) => return Err(taken(request, &holders)),
            WholeClaim::Stopped(stop) => return Err(stopped(&stop)),
            WholeClaim::Rejected => return Err(rejected(id)),
            WholeClaim::Overtaken { .. } => {
                return Err(Error::Later(format!("{id}: nothing overtakes an alarm")).into());
            }
        };
        // What comes between claim and start takes its time.
        let ready = match self.store_before(id, &befores, first, mitigations).await {
            Ok(()) => check_pause(mitigations).await,
            failed => failed,
        };
        let started = match ready {
            Ok(()) => {
                let alike = |there: &Value| {
                    let there = there.get("taskSummary").unwrap_or(there);
                    there.get("target") == input.get("target") && actions_of(there) == request.actions
                };
                self.service.start(command, &input, "DescribeDetectMitigationActionsTask", alike).await
            }
            Err(failure) => Err((failure, true)),
        };
        self.service.settle_start(id, started, first, claimed_at, mitigations).await
    }

    /// Writes down the states that a task will change, unless it has started. What this try is the first to claim has not.
    async fn store_before(
        &self,
        id: &str,
        befores: &[Before],
        first: bool,
        mitigations: &Mitigations,
    ) -> Result<(), Failure> {
        let task = json!({"taskId": id});
        if !first && self.service.ask_if_there("DescribeDetectMitigationActionsTask", task).await?.is_some() {
            return Ok(());
        }
        let now = self.service.clock.now();
        let resources = befores.len() as u64;
        let read = BeforeRead { resources, complete: true, began_at: now, ..BeforeRead::default() };
        Ok(mitigations.put_before(id, befores, &read, now).await?)
    }

    /// Whether this very command has started its task before. Its alarms may be over by now, so that the gate would refuse
    /// what was done.
    pub(crate) async fn is_started(&self, command: &Command) -> Result<bool, Failure> {
        let id = command.text("taskId");
        let Some(item) = self.ledger.get(&keys::mitigation(id), "task").await? else { return Ok(false) };
        if item.get_text(attribute::COMMAND_HASH) != Some(&self.hash(command)) {
            return Ok(false);
        }
        Ok(match State::of(&item) {
            Some(state) if state == State::Started || state.has_ended() => true,
            // An earlier try may have died before it wrote the start down.
            Some(State::Claimed) => {
                let task = json!({"taskId": id});
                self.service.ask_if_there("DescribeDetectMitigationActionsTask", task).await?.is_some()
            }
            _ => false,
        })
    }

    /// Writes that the task waits for another person.
    pub(crate) async fn hold(
        &self,
        command: &Command,
        request: &AlarmMitigationRequest,
        held: (&str, Millis),
        mitigations: &Mitigations,
    ) -> Result<(), Failure> {
        // It tells people, and ends the task when its time is over. It comes first, so that nothing is held of which nobody is
        // told.
        self.send_follow_up(request).await?;
        let now = self.service.clock.now();
        if mitigations.hold_violations(request, &self.hash(command), held, now).await? {
            return Ok(());
        }
        let what = format!(
            "the task '{}' is another mitigation's; give a taskId of its own",
            command.text("taskId")
        );
        Err(Failure::Refused { name: EXISTS, what })
    }

    /// Of all that a command says. The members of a map stand in one order.
    pub(crate) fn hash(&self, command: &Command) -> String {
        let input = tokened(self.service.family, command, "").unwrap_or_else(|| command.input.clone());
        Digest::new("alarm mitigation command").part(&Value::Object(input).to_string()).hex()
    }

    /// Sends the follow-up of a task.
    async fn send_follow_up(&self, request: &AlarmMitigationRequest) -> Result<(), Error> {
        let message = AlarmMitigationMessage::new(request.clone(), AlarmStep::Follow);
        let body = serde_json::to_string(&message).map_err(|e| Error::Input(e.to_string()))?;
        let message = Outgoing { body, delay_seconds: self.follow_up_seconds };
        (self.queue)().send(&[message]).await
    }
}

/// The names of the actions of a task, as it is described.
fn actions_of(task: &Value) -> Vec<String> {
    let definitions = task.get("actionsDefinition").and_then(Value::as_array).into_iter().flatten();
    let name = |action: &Value| Some(action.get("name")?.as_str()?.to_owned());
    definitions.filter_map(name).collect()
}

/// Other tasks have violations that the command names.
pub(crate) fn taken(request: &AlarmMitigationRequest, holders: &[Holder]) -> Failure {
    let places: BTreeMap<&str, usize> = request
        .violations
        .iter()
        .enumerate()
        .map(|(at, violation)| (violation.violation_id.as_str(), at))
        .collect();
    let told = holders.iter().map(|Holder { id, task_id }| {
        let at = places.get(id.as_str()).map(|at| format!("[{at}]")).unwrap_or_default();
        format!("$.target.violationIds{at}: the mitigation task '{task_id}' has the violation '{id}'")
    });
    Failure::Refused { name: "ViolationsTaken", what: told.collect::<Vec<_>>().join("\n") }
}
