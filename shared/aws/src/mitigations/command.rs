//! The mitigations that a command asks for: claimed as a whole, and given back as a whole.

use std::collections::BTreeSet;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::timestamp::Millis;

use super::Guarded;
use super::Latest;
use super::Mitigations;
use super::Settled;
use super::Stop;
use super::approvals::still;
use super::budgets::Change;
use super::claims::Check;
use super::claims::Part;
use super::claims::not_paused;
use super::claims::with_guards;
use super::findings::distinct;
use super::item;
use super::item::State;
use super::item::attribute;
use super::listed;
use super::of_audit::mention;
use super::text;
use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::LATEST_AUDIT;
use crate::ledger::keys;
use crate::ledger::pause as pause_between;
use crate::pause;

/// How often a claim is tried while other tasks end, or take findings or budgets meanwhile.
const ROUNDS: u32 = 8;

/// What came of a command's claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WholeClaim {
    /// All of it is the task's alone.
    Taken,
    /// As `Taken`, but an earlier try of the command has claimed it before, and may yet start it.
    TakenAgain,
    /// This command's task has started, and may have ended.
    Repeated,
    /// The task id is that of another command, or of a rule's task.
    Other,
    /// Other tasks have these findings.
    Held(Vec<Holder>),
    /// A later audit than the one that is named has looked at a check.
    Overtaken {
        /// The check.
        check: CheckName,
        /// The later audit.
        latest: Latest,
    },
    /// A guard stops it.
    Stopped(Stop),
    /// A person has rejected this command, or nobody has approved it in time.
    Rejected,
}

/// What is written of a command's task beside its claims.
pub(super) struct Asked<'a> {
    pub(super) id: &'a str,
    pub(super) task: Item,
    /// By what its audits find it.
    pub(super) mentions: Vec<(Item, Condition)>,
    /// Of all that the command says.
    pub(super) hash: &'a str,
    /// The budgets that it has to fit into, and how hard it is to take back.
    pub(super) guarded: Guarded<'a>,
}

/// What came of a claim of parts.
pub(super) enum Whole {
    Claim(WholeClaim),
    /// This check does not hold, by this item.
    Overtaken {
        check: usize,
        by: Item,
    },
}

/// The task that has a finding or a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The finding or the violation.
    pub id: String,
    /// The task.
    pub task_id: String,
}

impl Mitigations {
    /// Claims all findings of a command's task, or none of them. Its `requests` are one a check and have one task id;
    /// `hash` is of all that the command says, so that its repeat is told from another command.
    pub async fn claim_whole(
        &self,
        requests: &[MitigationRequest],
        hash: &str,
        guarded: Guarded<'_>,
        now: Millis,
    ) -> Result<WholeClaim, Error> {
        let id = task_id(requests)?;
        let findings: Vec<_> = requests.iter().flat_map(|request| distinct(&request.target)).collect();
        let checks: Vec<Check> = requests.iter().map(not_overtaken).collect();
        let task = item::task(&id, requests, &Settled::of(State::Claimed), now);
        let asked = Asked { id: &id, task, mentions: mentions(requests, now), hash, guarded };
        Ok(match self.claim_parts(&asked, &findings, &checks, now).await? {
            Whole::Claim(claim) => claim,
            Whole::Overtaken { check, by } => {
                let request =
                    requests.get(check).ok_or_else(|| Error::Later(format!("{id}: no such check")))?;
                WholeClaim::Overtaken { check: request.check.clone(), latest: Latest::of(&by) }
            }
        })
    }

    /// Writes that a command's task is held until a moment. Says whether it is written: one that has begun, or is of a rule
    /// or another person's rejection, stays as it is.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn hold_whole(
        &self,
        requests: &[MitigationRequest],
        hash: &str,
        (reason, until): (&str, Millis),
        now: Millis,
    ) -> Result<bool, Error> {
        let held = Settled {
            reason: Some(reason),
            until: Some(until),
            ..Settled::<MitigationRequest>::of(State::Held)
        };
        let task = item::task(&task_id(requests)?, requests, &held, now).text(attribute::COMMAND_HASH, hash);
        let mut puts = vec![(task, unless_begun())];
        puts.extend(mentions(requests, now));
        Ok(self.put_all_or_none(puts, &[]).await?.is_none())
    }

    /// Claims all parts of a command's task, if the checks hold; or none of them.
    pub(super) async fn claim_parts<T: Part>(
        &self,
        asked: &Asked<'_>,
        parts: &[T],
        checks: &[Check],
        now: Millis,
    ) -> Result<Whole, Error> {
        let Asked { id, task, mentions, hash, guarded } = asked;
        let Guarded { spends, approved, .. } = *guarded;
        let approved = approved.map(|approved| still(id, approved));
        let checks: Vec<Check> =
            checks.iter().cloned().chain(approved.clone()).chain([not_paused()]).collect();
        let ids: Vec<&str> = parts.iter().map(Part::id).collect();
        let mut ended = BTreeSet::new();
        let mut again = false;
        for round in 0..ROUNDS {
            let Change { puts: spent, answers } =
                match self.spend(id, spends, (parts.len() as u64, &ids), now).await? {
                    Ok(change) => change,
                    // What has started has spent, whatever is left by now.
                    Err(over) => {
                        let stopped = WholeClaim::Stopped(Stop::OverBudget(over));
                        return Ok(Whole::Claim(self.begun(id, hash).await?.unwrap_or(stopped)));
                    }
                };
            let task = with_guards(task.clone(), &answers, *guarded);
            let free = if again { unless_another(hash) } else { unless_begun() };
            let mut puts = vec![(task.text(attribute::COMMAND_HASH, *hash), free)];
            puts.extend(parts.iter().map(|part| {
                let claim = part.claim(id, State::Claimed, now);
                (claim, part.unless_held(id, State::Claimed).or_of(&ended))
            }));
            puts.extend(mentions.iter().cloned());
            let count_spent = spent.len();
            puts.extend(spent);
            let Some(mut held) = self.put_all_or_none(puts, &checks).await? else {
                let claim = if again { WholeClaim::TakenAgain } else { WholeClaim::Taken };
                return Ok(Whole::Claim(claim));
            };
            let paused = held.pop().flatten();
            let not_approved = approved.is_some() && held.pop().flatten().is_some();
            let others = checks.len() - 1 - usize::from(approved.is_some());
            let written = held.split_off(held.len().saturating_sub(others));
            let spent = held.split_off(held.len().saturating_sub(count_spent));
            let mut held = held.into_iter();
            if let Some(known) = held.next().flatten() {
                match known.get_text(attribute::COMMAND_HASH) == Some(*hash) {
                    true if State::of(&known) == Some(State::Rejected) => {
                        return Ok(Whole::Claim(WholeClaim::Rejected));
                    }
                    true if !again && State::of(&known) == Some(State::Claimed) => again = true,
                    true => return Ok(Whole::Claim(WholeClaim::Repeated)),
                    false => return Ok(Whole::Claim(WholeClaim::Other)),
                }
                continue;
            }
            let holders: Vec<Holder> = parts
                .iter()
                .zip(held.by_ref())
                .filter_map(|(part, held)| holder(part.id(), &held?))
                .collect();
            if let Some((check, by)) =
                written.into_iter().enumerate().find_map(|(check, by)| Some((check, by?)))
            {
                return Ok(Whole::Overtaken { check, by });
            }
            if let Some(pause) = paused.as_ref().and_then(pause::of) {
                return Ok(Whole::Claim(WholeClaim::Stopped(Stop::Paused(pause))));
            }
            if not_approved {
                return Ok(Whole::Claim(WholeClaim::Stopped(Stop::NotApproved)));
            }
            if spent.iter().any(Option::is_some) {
                pause_between(round).await;
                continue;
            }
            let running = self.running(&holders).await?;
            if !running.is_empty() {
                return Ok(Whole::Claim(WholeClaim::Held(running)));
            }
            ended.extend(holders.into_iter().map(|holder| holder.task_id));
        }
        Err(Error::Later(format!("{id}: other tasks take and leave what it is for; nothing is claimed")))
    }

    /// What a claim would say of a task that has begun: that it is the same command's, or another's.
    async fn begun(&self, id: &str, hash: &str) -> Result<Option<WholeClaim>, Error> {
        let task = self.ledger.get(&keys::mitigation(id), "task").await?;
        let begun = |task: &Item| !State::of(task).is_some_and(|state| State::WAITING.contains(&state));
        let Some(task) = task.filter(begun) else { return Ok(None) };
        let is_same = task.get_text(attribute::COMMAND_HASH) == Some(hash);
        Ok(match (is_same, State::of(&task)) {
            (true, Some(State::Claimed)) => None,
            (true, Some(State::Rejected)) => Some(WholeClaim::Rejected),
            (true, _) => Some(WholeClaim::Repeated),
            (false, _) => Some(WholeClaim::Other),
        })
    }

    /// The other tasks that have findings of a command's task, as they are now.
    pub async fn holders(&self, requests: &[MitigationRequest]) -> Result<Vec<Holder>, Error> {
        let id = task_id(requests)?;
        let findings: Vec<_> = requests.iter().flat_map(|request| distinct(&request.target)).collect();
        self.holders_of(&id, &findings).await
    }

    /// The other tasks that have parts of a task, as they are now.
    pub(super) async fn holders_of<T: Part>(&self, id: &str, parts: &[T]) -> Result<Vec<Holder>, Error> {
        let keys: Vec<_> = parts.iter().map(|part| (part.about(), "mitigation")).collect();
        // They come in any order, and are told in that of the command.
        let claims = self.ledger.get_all(&keys).await?;
        let others: Vec<Holder> = parts
            .iter()
            .zip(&keys)
            .filter_map(|(part, (pk, _))| {
                let claim = claims.iter().find(|claim| claim.get_text("pk") == Some(pk))?;
                holder(part.id(), claim).filter(|_| State::of(claim) == Some(State::Claimed))
            })
            .filter(|holder| holder.task_id != id)
            .collect();
        self.running(&others).await
    }

    /// Writes that a command's task would have been started. It claims nothing, and leaves alone what is known of a
    /// task that may have started, or of a rule's.
    pub async fn observed(&self, requests: &[MitigationRequest], now: Millis) -> Result<(), Error> {
        let id = task_id(requests)?;
        let task = item::task(&id, requests, &Settled::of(State::Observed), now);
        let mut puts = vec![(task, unless_begun())];
        puts.extend(mentions(requests, now));
        self.put_all_or_none(puts, &[]).await.map(drop)
    }

    /// Whether a command has asked for this: its task's item says so. A message alone does not. None: there is no such item.
    pub async fn is_of_command(&self, request: &MitigationRequest) -> Result<Option<bool>, Error> {
        let task = self.ledger.get(&keys::mitigation(&request.task_id()), "task").await?;
        Ok(task.map(|task| {
            task.get_text(attribute::ORIGIN) == Some(item::COMMAND) && item::asks(&task, request)
        }))
    }

    /// Gives back what a command's task has claimed before a moment, if it has not been started. Says in which state
    /// the task is then.
    pub async fn release(
        &self,
        task_id: &str,
        reason: &str,
        before: Millis,
        now: Millis,
    ) -> Result<Option<State>, Error> {
        let Some(task) = self.ledger.get(&keys::mitigation(task_id), "task").await? else { return Ok(None) };
        let claimed_at = task.get_text(attribute::DECIDED_AT).unwrap_or_default().to_owned();
        let state = State::of(&task);
        if state != Some(State::Claimed) || Millis::parse(&claimed_at).is_some_and(|at| at > before) {
            return Ok(state);
        }
        let held = HashMap::from([(":held".to_owned(), text(State::Claimed.as_str()))]);
        let condition = |and: &str, name: &str, value: &str| Condition {
            expression: format!("#state = :held AND {and} = {name}"),
            values: held.clone().into_iter().chain([(name.to_owned(), text(value))]).collect(),
        };
        let findings = item::findings(&task);
        let violations = item::violations(&task);
        let task = task.text(attribute::STATE, State::Refused.as_str()).text(attribute::REASON, reason);
        let mut puts = vec![(task, condition(attribute::DECIDED_AT, ":claimed_at", &claimed_at))];
        let findings = findings.iter().map(|finding| finding.claim(task_id, State::Refused, now));
        let violations = violations.iter().map(|violation| violation.claim(task_id, State::Refused, now));
        puts.extend(
            findings
                .chain(violations)
                .map(|claim| (claim, condition(attribute::TASK_ID, ":task_id", task_id))),
        );
        puts.extend(self.returns(task_id).await?.puts);
        match self.put_all_or_none(puts, &[]).await? {
            None => Ok(Some(State::Refused)),
            Some(_) => Err(Error::Later(format!("{task_id}: its claims change at this moment"))),
        }
    }

    /// Of these, those whose task has not ended: what is ended or rejected holds nothing against a person.
    async fn running(&self, holders: &[Holder]) -> Result<Vec<Holder>, Error> {
        let ids: BTreeSet<&str> = holders.iter().map(|holder| holder.task_id.as_str()).collect();
        let keys: Vec<_> = ids.iter().map(|id| (keys::mitigation(id), "task")).collect();
        let tasks = self.ledger.get_all(&keys).await?;
        let is_over = |state: State| state.has_ended() || state == State::Rejected;
        let ended = tasks.iter().filter(|task| State::of(task).is_some_and(is_over));
        let ended: BTreeSet<&str> = ended.filter_map(|task| task.get_text(attribute::TASK_ID)).collect();
        Ok(holders.iter().filter(|holder| !ended.contains(holder.task_id.as_str())).cloned().collect())
    }
}

impl Condition {
    /// Or what it is about is one of these tasks'.
    fn or_of(self, tasks: &BTreeSet<String>) -> Self {
        if tasks.is_empty() {
            return self;
        }
        let names: Vec<String> = (0..tasks.len()).map(|at| format!(":t{at}")).collect();
        let values = names.iter().cloned().zip(tasks.iter().map(|task| text(task)));
        Self {
            expression: format!("{} OR task_id IN ({})", self.expression, names.join(", ")),
            values: self.values.into_iter().chain(values).collect(),
        }
    }
}

/// For the item of a command's task: it is new, or a command's that has certainly not been started.
pub(super) fn unless_begun() -> Condition {
    let (list, mut values) = listed(&State::WAITING);
    values.insert(":command".to_owned(), text(item::COMMAND));
    let waits = format!("(#state IN ({list}) AND {} = :command)", attribute::ORIGIN);
    Condition { expression: format!("attribute_not_exists(#state) OR {waits}"), values }
}

/// As [`unless_begun`], or it is claimed by the same command.
fn unless_another(hash: &str) -> Condition {
    let Condition { expression, mut values } = unless_begun();
    values.insert(":claimed".to_owned(), text(State::Claimed.as_str()));
    values.insert(":hash".to_owned(), text(hash));
    let own = format!("(#state = :claimed AND {} = :hash)", attribute::COMMAND_HASH);
    Condition { expression: format!("{expression} OR {own}"), values }
}

/// The latest audit of the check, if the ledger knows one, is the named one or an earlier one. When the named one began
/// is from the service; and the ledger does not know an audit that was before it.
fn not_overtaken(request: &MitigationRequest) -> Check {
    let values = HashMap::from([
        (":audit".to_owned(), text(&request.audit.task_id)),
        (":started_at".to_owned(), AttributeValue::N(request.audit.started_at.0.to_string())),
    ]);
    let expression =
        "attribute_not_exists(task_id) OR task_id = :audit OR started_at <= :started_at".to_owned();
    let condition = Condition { expression, values };
    Check { pk: keys::history(&request.check), sk: LATEST_AUDIT.into(), condition }
}

fn mentions(requests: &[MitigationRequest], now: Millis) -> Vec<(Item, Condition)> {
    requests.iter().map(|request| mention(request, now)).collect()
}

fn holder(id: &str, claim: &Item) -> Option<Holder> {
    let task_id = claim.get_text(attribute::TASK_ID)?.to_owned();
    Some(Holder { id: id.to_owned(), task_id })
}

fn task_id(requests: &[MitigationRequest]) -> Result<String, Error> {
    let first = requests.first().ok_or_else(|| Error::Input("a mitigation of no check".to_owned()))?;
    Ok(first.task_id())
}
