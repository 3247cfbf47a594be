//! Claims: a task and what it works on, written in one transaction.

use std::borrow::Cow;
use std::collections::HashMap;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::model::mitigation::impact::Impact;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::timestamp::Millis;

use super::Approved;
use super::Guarded;
use super::Mitigations;
use super::PAUSE;
use super::Spend;
use super::Stop;
use super::approvals::still;
use super::budgets::Change;
use super::budgets::keys_of;
use super::canary;
use super::canary::CanaryTurn;
use super::item::State;
use super::item::attribute;
use super::listed;
use super::text;
use crate::Error;
use crate::grades::GradesByAction;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::LATEST_AUDIT;
use crate::ledger::Unmet;
use crate::ledger::keys;
use crate::ledger::pause as pause_between;
use crate::pause;

/// How often a claim is tried whose budgets others write meanwhile.
const ROUNDS: u32 = 12;

/// What a task works on, each claimed by itself: a finding or a violation.
pub(super) trait Part: Clone {
    /// Its id at the service.
    fn id(&self) -> &str;

    /// The partition key of its claim.
    fn about(&self) -> String;

    /// Its claim by a task.
    fn claim(&self, task_id: &str, state: State, now: Millis) -> Item;

    /// On what its claim is written.
    fn unless_held(&self, task_id: &str, state: State) -> Condition;
}

/// A task that is written with the claims of its parts.
pub(super) struct Writing<'w, T> {
    pub(super) id: &'w str,
    /// What it claims. None: it has no parts that are claimed by themselves.
    pub(super) parts: Option<Vec<T>>,
    /// What was asked for and is not to be mitigated.
    pub(super) left_out: Vec<T>,
    /// By what its audit finds it.
    pub(super) mentions: Vec<(Item, Condition)>,
    pub(super) state: State,
    /// In which states its item may be.
    pub(super) over: &'w [State],
    /// The latest audit of its check, if it has to be its own.
    pub(super) latest: Option<Check>,
    /// The budgets that a claim has to fit into.
    pub(super) spends: &'w [Spend],
    /// How hard it is to take its actions back.
    pub(super) grades: Option<&'w GradesByAction>,
    /// The approval that has to stand for a claim, if it needs one.
    pub(super) approved: Option<Approved>,
    /// What the guards say; of a claim, those that were asked before it.
    pub(super) guards: &'w [GuardAnswer],
    /// Its part in the canary of its rule, with what its claim puts or asks for that.
    pub(super) canary: Option<(CanaryTurn, CanaryWrite<'w>)>,
    /// How many devices it concerns, if somebody has asked.
    pub(super) impact: Option<&'w Impact>,
    /// How many findings it is for, if it has no parts.
    pub(super) count: Option<u64>,
    pub(super) now: Millis,
}

/// What a claim writes or asks of the canary of its rule.
pub(super) enum CanaryWrite<'w> {
    /// The item that it puts, with the findings of these ids.
    Put(&'w (dyn Fn(Vec<String>) -> (Item, Condition) + Sync)),
    /// What has to hold.
    Check(Check),
}

/// What came of writing a task.
pub(super) enum Wrote<T> {
    /// It is written with these parts.
    Yes(Vec<T>),
    /// Other tasks have all of its parts, and it is not held.
    Nothing,
    /// Its item is in another state.
    Known(State),
    /// Another audit is the latest of the check, by this item.
    Overtaken(Item),
    /// A guard stops it.
    Stopped(Stop),
}

impl Mitigations {
    /// Writes a task and the claims of its parts. What of them other tasks have is left out, and the rest is written.
    pub(super) async fn write_parts<T: Part>(
        &self,
        writing: Writing<'_, T>,
        task: impl Fn(&[T]) -> Item,
    ) -> Result<Wrote<T>, Error> {
        let Writing { id, parts, mut left_out, mentions, state, over, .. } = writing;
        let Writing { latest, spends, guards, grades, impact, approved, canary, count, now, .. } = writing;
        let is_latest = latest.is_some();
        // Only what is claimed is about to start.
        let pause = (state == State::Claimed).then(not_paused);
        let approved = approved.filter(|_| state == State::Claimed).map(|approved| still(id, approved));
        let is_approved = approved.is_some();
        let (turn, canary) = canary.filter(|_| state == State::Claimed).unzip();
        let (put_canary, canary) = match canary {
            Some(CanaryWrite::Put(put)) => (Some(put), None),
            Some(CanaryWrite::Check(check)) => (None, Some(check)),
            None => (None, None),
        };
        let checks: Vec<Check> = latest.into_iter().chain(pause).chain(approved).chain(canary).collect();
        let in_parts = parts.is_some();
        let mut left = parts.unwrap_or_default();
        // A task that is held has an item by which a person finds it, with all that it is for, whoever has that now.
        let all = (state == State::Held).then(|| left.clone());
        let mut round = 0;
        loop {
            if in_parts && left.is_empty() && all.is_none() {
                return Ok(Wrote::Nothing);
            }
            let Change { puts: budgets, mut answers } = match state {
                State::Claimed => {
                    let count = count.unwrap_or(left.len() as u64);
                    let ids: Vec<&str> = left.iter().map(Part::id).collect();
                    match self.spend(id, spends, (count, &ids), now).await? {
                        Ok(change) => change,
                        Err(over) => return Ok(Wrote::Stopped(Stop::OverBudget(over))),
                    }
                }
                // What was claimed and is known not to have started gives back what it has spent.
                _ if over.contains(&State::Claimed) => self.returns(id).await?,
                _ => Change { puts: Vec::new(), answers: Vec::new() },
            };
            answers.extend(turn.as_ref().map(|turn| canary::answer(turn, left.len())));
            let item = task(all.as_deref().unwrap_or(&left));
            let item = match state {
                State::Claimed => {
                    with_guards(item, &answers, Guarded { spends, grades, guards, impact, approved: None })
                }
                _ if guards.is_empty() => item,
                _ => item.json(attribute::GUARDS, &guards),
            };
            let item = match left_out.len() {
                0 => item,
                count => item.number(attribute::LEFT_OUT, i64::try_from(count).unwrap_or(i64::MAX)),
            };
            let mut puts = vec![(item, unless_beyond(over))];
            let own = left.iter().map(|part| (part, state));
            let others = left_out.iter().map(|part| (part, State::Superseded));
            puts.extend(
                own.chain(others)
                    .map(|(part, state)| (part.claim(id, state, now), part.unless_held(id, state))),
            );
            puts.extend(mentions.iter().cloned());
            let count_budgets = budgets.len();
            puts.extend(budgets);
            puts.extend(put_canary.map(|put| put(left.iter().map(|part| part.id().to_owned()).collect())));
            let Some(mut held) = self.put_all_or_none(puts, &checks).await? else {
                return Ok(Wrote::Yes(left));
            };
            let mut unmet_checks = held.split_off(held.len().saturating_sub(checks.len())).into_iter();
            let overtaken = if is_latest { unmet_checks.next().flatten() } else { None };
            let paused = unmet_checks.next().flatten();
            let not_approved = is_approved && unmet_checks.next().flatten().is_some();
            let of_canary = match put_canary {
                Some(_) => held.pop().flatten(),
                None => unmet_checks.next().flatten(),
            };
            let spent = held.split_off(held.len().saturating_sub(count_budgets));
            let mut held = held.into_iter();
            if let Some(known) = held.next().flatten() {
                let unknown = || Error::Later(format!("{id}: its item has no known state"));
                return State::of(&known).map(Wrote::Known).ok_or_else(unknown);
            }
            if let Some(later) = overtaken {
                return Ok(Wrote::Overtaken(later));
            }
            if let Some(pause) = paused.as_ref().and_then(pause::of) {
                return Ok(Wrote::Stopped(Stop::Paused(pause)));
            }
            if not_approved {
                return Ok(Wrote::Stopped(Stop::NotApproved));
            }
            if let Some(item) = of_canary {
                return Ok(Wrote::Stopped(Stop::Canary(canary::unmet(&item)?)));
            }
            left.retain(|_| held.next().flatten().is_none());
            left_out.retain(|_| held.next().flatten().is_none());
            if spent.iter().any(Option::is_some) {
                // Others spend at this moment.
                round += 1;
                if round == ROUNDS {
                    let what = format!("{id}: its budgets are still written by others after {ROUNDS} tries");
                    return Err(Error::Later(what));
                }
                pause_between(round).await;
            }
        }
    }

    /// Puts all items, each on its condition, if all checks hold; or none. What comes back are the conditions that do
    /// not hold, in the order of the puts and, after them, of the checks; nothing if all are put.
    pub(super) async fn put_all_or_none(
        &self,
        puts: Vec<(Item, Condition)>,
        checks: &[Check],
    ) -> Result<Option<Unmet>, Error> {
        let mut transaction = self.ledger.transaction();
        for (item, condition) in puts {
            transaction.put_if(item, condition);
        }
        for Check { pk, sk, condition } in checks {
            transaction.check(pk, sk, condition.clone());
        }
        transaction.commit().await
    }
}

/// The item of a task that is claimed, with what its guards say and the budgets that it counts in.
pub(super) fn with_guards(
    task: Item,
    answers: &[GuardAnswer],
    Guarded { spends, grades, guards, impact, .. }: Guarded<'_>,
) -> Item {
    let pause = GuardAnswer { guard: PAUSE.to_owned(), passed: true, reason: None };
    let guards: Vec<&GuardAnswer> = std::iter::once(&pause).chain(answers).chain(guards).collect();
    let task = task.json(attribute::GUARDS, &guards);
    let task = match impact {
        Some(impact) => task.json(attribute::IMPACT, impact),
        None => task,
    };
    let task = match grades.filter(|grades| !grades.is_empty()) {
        Some(grades) => task.json(attribute::GRADES, grades),
        None => task,
    };
    if spends.is_empty() { task } else { task.json(attribute::BUDGETS, &keys_of(spends)) }
}

/// What has to hold of an item, for others to be written.
#[derive(Clone)]
pub(super) struct Check {
    pub(super) pk: String,
    pub(super) sk: Cow<'static, str>,
    pub(super) condition: Condition,
}

/// The latest audit of the check is this one. A message alone says when its audit began, so that is not compared: the
/// ledger has the audit before its messages are sent.
pub(super) fn latest(audit: &Audit, check: &CheckName) -> Check {
    let values = HashMap::from([(":audit".to_owned(), text(&audit.task_id))]);
    let condition = Condition { expression: "task_id = :audit".to_owned(), values };
    Check { pk: keys::history(check), sk: LATEST_AUDIT.into(), condition }
}

/// Mitigation is not paused.
pub(super) fn not_paused() -> Check {
    Check { pk: keys::pause(), sk: pause::LATEST.into(), condition: pause::unless_paused() }
}

/// For a task's item: it is new, or in one of these states.
pub(super) fn unless_beyond(over: &[State]) -> Condition {
    let (list, values) = listed(over);
    let or = if over.is_empty() { String::new() } else { format!(" OR #state IN ({list})") };
    Condition { expression: format!("attribute_not_exists(#state){or}"), values }
}

/// For a finding's claim: it is new, or this task's, or, for a claim that holds, another's that neither holds nor was
/// rejected.
pub(super) fn unless_held(task_id: &str, state: State) -> Condition {
    let mut expression = "attribute_not_exists(#state) OR task_id = :task_id".to_owned();
    let mut values = HashMap::from([(":task_id".to_owned(), text(task_id))]);
    match state {
        // What is rejected is no other rule's task's either.
        State::Claimed => {
            expression += " OR (#state <> :claimed AND #state <> :rejected)";
            values.insert(":claimed".to_owned(), text(State::Claimed.as_str()));
            values.insert(":rejected".to_owned(), text(State::Rejected.as_str()));
        }
        // Of two that wait the later one has it: the canary's task passes on what does not go first.
        State::Held => {
            expression += " OR #state = :held";
            values.insert(":held".to_owned(), text(State::Held.as_str()));
        }
        _ => {}
    }
    Condition { expression, values }
}
