//! A mitigation task that passed the gate: claimed in the ledger as those of the policy's rules are, started, and
//! followed by `apply-mitigations` to its end.
//!
//! The states that the task will change are written down between claim and start. The follow-up is sent before the claim,
//! because nothing delivers a command again: after a crash it finds the task of the claim, or gives the claim back.

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
use fleetwarden_core::digest::Digest;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Step;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::before::StateBefore;
use crate::gate::OVERTAKEN;
use crate::gate::overtaken;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::gate::check_pause;
use fleetwarden_commands::gate::rejected;
use fleetwarden_commands::gate::stopped;
use fleetwarden_commands::repeat::tokened;
use fleetwarden_commands::task::EXISTS;

/// Starts mitigation tasks, each once, and has them followed.
pub(crate) struct Tasks<'a> {
    pub(crate) service: &'a Service,
    /// Reads the states that a task will change.
    pub(crate) before: StateBefore<'a>,
    /// The mitigation queue, made when it is needed.
    pub(crate) queue: &'a (dyn Fn() -> Queue + Send + Sync),
    pub(crate) follow_up_seconds: u32,
}

impl Tasks<'_> {
    /// Claims and starts what passed the gate, and has it followed; a repeat of it changes nothing.
    pub(crate) async fn start(
        &self,
        command: &Command,
        requests: &[MitigationRequest],
        (befores, guarded): (Option<&Befores>, Guarded<'_>),
        mitigations: &Mitigations,
    ) -> Result<Box<RawValue>, Failure> {
        let id = command.text("taskId");
        let input = tokened(self.service.family, command, "").unwrap_or_else(|| command.input.clone());
        let hash = hash(&input);
        // The follow-ups come first: they free what a process that dies from here on has claimed.
        self.send_follow_ups(requests).await?;
        let claimed_at = self.service.clock.now();
        // Only this try can start what it is the first to claim.
        let first = match mitigations.claim_whole(requests, &hash, guarded, claimed_at).await? {
            WholeClaim::Taken => true,
            WholeClaim::TakenAgain => false,
            WholeClaim::Repeated => return answer(&json!({"taskId": id})),
            WholeClaim::Other => {
                let what = format!("the task '{id}' is another mitigation's; give a taskId of its own");
                return Err(Failure::Refused { name: EXISTS, what });
            }
            WholeClaim::Held(holders) => return Err(taken(command, &holders)),
            WholeClaim::Stopped(stop) => return Err(stopped(&stop)),
            WholeClaim::Rejected => return Err(rejected(id)),
            WholeClaim::Overtaken { check, latest } => {
                let what = format!("$.target: {}", overtaken(&check, &latest.0.unwrap_or_default()));
                return Err(Failure::Refused { name: OVERTAKEN, what });
            }
        };
        // What comes between claim and start takes its time.
        let ready = match self.store_before(requests, befores, first, mitigations).await {
            Ok(()) => check_pause(mitigations).await,
            failed => failed,
        };
        let started = match ready {
            Ok(()) => {
                let alike = |there: &Value| {
                    ["target", "auditCheckToActionsMapping"]
                        .iter()
                        .all(|name| there.get(name) == input.get(*name))
                };
                self.service.start(command, &input, "DescribeAuditMitigationActionsTask", alike).await
            }
            Err(failure) => Err((failure, true)),
        };
        self.service.settle_start(id, started, first, claimed_at, mitigations).await
    }

    /// Writes that the task waits for another person.
    pub(crate) async fn hold(
        &self,
        command: &Command,
        requests: &[MitigationRequest],
        held: (&str, Millis),
        mitigations: &Mitigations,
    ) -> Result<(), Failure> {
        let input = tokened(self.service.family, command, "").unwrap_or_else(|| command.input.clone());
        // One is enough: it tells people of the whole task, and ends it when its time is over. It comes first, so that nothing is
        // held of which nobody is told.
        self.send_follow_ups(requests.get(..1).unwrap_or_default()).await?;
        let now = self.service.clock.now();
        if mitigations.hold_whole(requests, &hash(&input), held, now).await? {
            return Ok(());
        }
        let what = format!(
            "the task '{}' is another mitigation's; give a taskId of its own",
            command.text("taskId")
        );
        Err(Failure::Refused { name: EXISTS, what })
    }

    /// Whether this very command has started its task before, by the ledger. What it has changed may be refused by now.
    pub(crate) async fn is_started(&self, command: &Command, ledger: &Ledger) -> Result<bool, Failure> {
        let Some(item) = ledger.get(&keys::mitigation(command.text("taskId")), "task").await? else {
            return Ok(false);
        };
        let input = tokened(self.service.family, command, "").unwrap_or_else(|| command.input.clone());
        let is_begun = |state: State| state == State::Started || state.has_ended();
        Ok(item.get_text(attribute::COMMAND_HASH) == Some(&hash(&input))
            && State::of(&item).is_some_and(is_begun))
    }

    /// Writes down the states that a task will change, unless it has started. What this try is the first to claim has not.
    async fn store_before(
        &self,
        requests: &[MitigationRequest],
        befores: Option<&Befores>,
        first: bool,
        mitigations: &Mitigations,
    ) -> Result<(), Failure> {
        let Some(request) = requests.first() else { return Ok(()) };
        let id = request.task_id();
        let is_started = async || Ok(!first && self.before.is_started(&id).await?);
        match befores {
            Some(_) if is_started().await? => Ok(()),
            Some(befores) => {
                let befores = befores.clone().all();
                let now = self.service.clock.now();
                let read = BeforeRead {
                    resources: befores.len() as u64,
                    complete: true,
                    began_at: now,
                    ..BeforeRead::default()
                };
                Ok(mitigations.put_before(&id, &befores, &read, now).await?)
            }
            None => self.before.store_checks(requests, mitigations, is_started).await,
        }
    }

    /// Sends the follow-ups of a task, one for each check that it is for.
    async fn send_follow_ups(&self, requests: &[MitigationRequest]) -> Result<(), Error> {
        let follow = |request: &MitigationRequest| {
            let message = MitigationMessage::new(request.clone(), Step::Follow);
            let body = serde_json::to_string(&message).map_err(|e| Error::Input(e.to_string()))?;
            Ok(Outgoing { body, delay_seconds: self.follow_up_seconds })
        };
        let messages: Vec<Outgoing> = requests.iter().map(follow).collect::<Result<_, Error>>()?;
        (self.queue)().send(&messages).await
    }
}

/// Of all that a command says. The members of a map stand in one order.
fn hash(input: &Map<String, Value>) -> String {
    Digest::new("mitigation command").part(&Value::Object(input.clone()).to_string()).hex()
}

/// Other tasks have findings that the command names.
pub(crate) fn taken(command: &Command, holders: &[Holder]) -> Failure {
    let ids = command.input.get("target").and_then(|target| target.get("findingIds"));
    let ids: BTreeMap<&str, usize> = ids
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(at, id)| Some((id.as_str()?, at)))
        .collect();
    let told = holders.iter().map(|Holder { id: finding_id, task_id }| {
        let at = ids.get(finding_id.as_str()).map(|at| format!("[{at}]")).unwrap_or_default();
        format!("$.target.findingIds{at}: the mitigation task '{task_id}' has the finding '{finding_id}'")
    });
    Failure::Refused { name: "FindingsTaken", what: told.collect::<Vec<_>>().join("\n") }
}
