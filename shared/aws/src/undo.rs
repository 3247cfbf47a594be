//! Undo: puts back what a mitigation task has changed, resource by resource, as it was written down before its start
//! ([`mod@plan`], [`fleet`]).
//!
//! Whoever undoes a task claims that in the ledger until its invocation ends ([`record`]), so that of two at once one works,
//! and after a crash a repeat goes on. Each call is made only if the present state is the one that the mitigation left, or if
//! it is forced; and each can be made again. What is done is written down right after it, and is not looked at again.
//!
//! The mode, the windows and the protections of the policy are not asked: an undo is a way out.

mod fleet;
mod plan;
mod record;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::message::Target;
use fleetwarden_core::model::mitigation::before::Before;
use fleetwarden_core::model::mitigation::undo::UndoneResource;
use fleetwarden_core::model::mitigation::undo::UndoneTask;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;

use crate::Error;
use crate::clock::Clock;
use crate::ledger::Item;
use crate::ledger::keys;
use crate::mitigations::Mitigations;
use crate::mitigations::State;
use crate::mitigations::attribute;
use crate::mitigations::before::BEFORE;
use crate::mitigations::before::before;
use crate::mitigations::item;
pub use fleet::Fleet;
use plan::Plan;
use plan::plan;
use record::Known;
pub(crate) use record::UNDO;
use record::Undo;
use record::result_key;

/// The sort key of a task's item.
const TASK: &str = "task";
/// How many resources are read at a time.
const READ: i32 = 25;
/// Nothing more is begun when less than this is left.
pub const MARGIN_SECONDS: i64 = 15;
/// How many resources one invocation puts back at most, so that the answer of a command has room.
pub const MOST: usize = 2000;

/// Undoes mitigations.
pub struct Undoing<'a> {
    /// The mitigations in the ledger.
    pub mitigations: &'a Mitigations,
    /// What is put back.
    pub fleet: &'a Fleet,
    /// The time.
    pub clock: &'a Clock,
    /// Who asks.
    pub by: String,
    /// When the invocation ends.
    pub deadline: Millis,
}

/// What of a task is to be undone, and why.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'c> {
    /// Also what was changed since.
    pub force: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Why.
    pub reason: &'c str,
    /// Only what belongs to this finding or violation.
    pub part: Option<&'c str>,
    /// Only this resource.
    pub resource: Option<&'c str>,
}

/// Why nothing of a task is undone.
#[derive(Debug)]
pub enum NotUndone {
    /// What the ledger has of it says that it is not to be undone, or not now.
    Refused {
        /// The name to catch it by.
        name: &'static str,
        /// Why.
        what: String,
    },
    /// The task has nothing of what was selected.
    Selection {
        /// The member of the command.
        path: &'static str,
        /// Why.
        what: String,
    },
    /// The ledger does not answer.
    Failed(Error),
}

impl From<Error> for NotUndone {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Undoing<'_> {
    /// Undoes a task, from after a resource. Says after which one the next invocation goes on.
    ///
    /// # Errors
    /// Why nothing of it is undone.
    pub async fn task(
        &self,
        id: &str,
        wanted: &Wanted<'_>,
        after: Option<String>,
    ) -> Result<(UndoneTask, Option<String>), NotUndone> {
        let ledger = self.mitigations.ledger();
        let Some(item) = ledger.get(&keys::mitigation(id), TASK).await? else {
            let what = format!(
                "the ledger has no mitigation task '{}': MitigationList has those of 400 days",
                shown(id)
            );
            return Err(refused("NoMitigation", what));
        };
        may_be_undone(id, &item)?;
        let read = self.mitigations.before_read(id).await?;
        match read {
            Some(read) if read.complete && read.resources > 0 => {}
            Some(read) if read.complete => {
                let what =
                    format!("mitigation task '{id}' has changed no resource: there is nothing to undo");
                return Err(refused("NothingToUndo", what));
            }
            _ => {
                let what =
                    format!("the ledger has no state before of mitigation task '{id}': undo it by hand");
                return Err(refused("NoStateBefore", what));
            }
        }
        let known = record::known(ledger, id).await?;
        if let Some(Known { undo, done: true, .. }) =
            known.as_ref().filter(|_| after.is_none() && !wanted.force)
        {
            let Undo { by, began_at, reason, .. } = undo;
            let what = format!(
                "mitigation task '{id}' is undone already: at {began_at}, by {by}, because: {}",
                shown(reason)
            );
            return Err(refused("AlreadyUndone", what));
        }
        if wanted.dry_run {
            return self.resources(id, &item, wanted, after, None).await.map(|(task, next, _)| (task, next));
        }
        let now = self.clock.now();
        let busy = |until: Option<Millis>| {
            let until = until.map(|until| format!(" until {}", until.rfc3339())).unwrap_or_default();
            refused(
                "UndoInProgress",
                format!("another invocation undoes mitigation task '{id}'{until}: try again then"),
            )
        };
        if let Some(until) = known.as_ref().and_then(|known| known.lease_until).filter(|until| *until > now) {
            return Err(busy(Some(until)));
        }
        let goes_on = after.is_some();
        let mut undo = known
            .as_ref()
            .filter(|_| goes_on)
            .map_or_else(|| self.new_undo(wanted, now), |known| known.undo.clone());
        let lease = self.deadline.max(now);
        let claimed = record::claim(ledger, id, known.as_ref(), &undo, (now, lease)).await?;
        let claimed = claimed.ok_or_else(|| busy(None))?;
        let outcome = Box::pin(self.resources(id, &item, wanted, after, Some(&claimed))).await;
        let open = outcome.as_ref().map_or(0, |(_, _, open)| *open);
        undo.open = undo.open.saturating_add(open);
        let is_last = matches!(&outcome, Ok((_, None, _)));
        let all = wanted.part.is_none() && wanted.resource.is_none();
        claimed.end(ledger, &undo, is_last && all && undo.open == 0, self.clock.now()).await?;
        let (task, next, _) = outcome?;
        tracing::info!(
            mitigation.task_id = id,
            by = undo.by,
            reason = undo.reason,
            open = undo.open,
            "the mitigation is undone"
        );
        Ok((task, next))
    }

    fn new_undo(&self, wanted: &Wanted<'_>, now: Millis) -> Undo {
        Undo { by: self.by.clone(), reason: wanted.reason.to_owned(), began_at: now.rfc3339(), open: 0 }
    }

    /// Puts the resources of a task back. Says what came of each, after which the next invocation goes on, and how many are
    /// not as they were.
    async fn resources(
        &self,
        id: &str,
        item: &Item,
        wanted: &Wanted<'_>,
        mut after: Option<String>,
        claimed: Option<&record::Claimed>,
    ) -> Result<(UndoneTask, Option<String>, i64), NotUndone> {
        let ledger = self.mitigations.ledger();
        let (pk, ended_at) =
            (keys::mitigation(id), item.get_text(attribute::ENDED_AT).and_then(Millis::parse));
        let parts = parts_of(item);
        let mut done = UndoneTask { task_id: id.to_owned(), ..UndoneTask::default() };
        let (mut open, mut again, from_start) = (0, 0, after.is_none());
        loop {
            let page = ledger.query_page(&pk, BEFORE, after.as_deref(), Some(READ)).await?;
            let befores = page.items.iter().map(before).collect::<Result<Vec<Before>, Error>>()?;
            let befores: Vec<Before> =
                befores.into_iter().filter(|of| is_wanted(of, wanted, parts.as_ref())).collect();
            let keys: Vec<String> = befores.iter().map(|before| result_key(&before.key())).collect();
            let keys: Vec<(String, &str)> = keys.iter().map(|sk| (pk.clone(), sk.as_str())).collect();
            let results = ledger.get_all(&keys).await?;
            for before in befores {
                if self.deadline.plus_seconds(-MARGIN_SECONDS) <= self.clock.now()
                    || done.resources.len() >= MOST
                {
                    return Ok((done, Some(after.unwrap_or_else(|| BEFORE.0.to_owned())), open));
                }
                let key = before.key();
                let of_key = results.iter().find(|item| item.get_text("sk") == Some(&result_key(&key)));
                let earlier: Option<UndoneResource> = of_key.and_then(|item| item.get_json("result"));
                let earlier = earlier.filter(|earlier| earlier.is_good() && !wanted.force);
                let resource = if let Some(earlier) = earlier {
                    again += 1;
                    earlier
                } else {
                    let mut resource = Box::pin(self.resource(&before, ended_at, wanted)).await;
                    if let Some(claimed) = claimed {
                        if self.mark_released(id, item, &before, &resource).await? {
                            resource.reason =
                                Some("its release has taken it out of the groups already".to_owned());
                        }
                        claimed.put(ledger, &[(key.clone(), resource.clone())], self.clock.now()).await?;
                    }
                    resource
                };
                open += i64::from(!resource.is_good());
                done.resources.push(resource);
                after = Some(format!("{}{key}", BEFORE.0));
            }
            let last = page.items.last().and_then(|item| item.get_text("sk")).map(ToOwned::to_owned);
            after = last.or(after);
            if !page.more {
                break;
            }
        }
        if from_start && done.resources.is_empty() {
            let (path, what) = selection(wanted, id);
            return Err(NotUndone::Selection { path, what });
        }
        let is_part = wanted.part.is_some() || wanted.resource.is_some();
        if from_start && is_part && !wanted.dry_run && again == done.resources.len() {
            let (_, what) = selection(wanted, id);
            return Err(refused("AlreadyUndone", format!("{what}, that is not undone already")));
        }
        Ok((done, None, open))
    }

    /// Puts a resource back.
    async fn resource(
        &self,
        before: &Before,
        ended_at: Option<Millis>,
        wanted: &Wanted<'_>,
    ) -> UndoneResource {
        let of = |result: &str, reason: Option<String>, steps: Vec<String>| UndoneResource {
            kind: before.state.kind().to_owned(),
            name: before.name.clone(),
            result: result.to_owned(),
            reason,
            steps,
        };
        let now = match self.fleet.now(before).await {
            Ok(now) => now,
            Err(error) => {
                return of("failed", Some(format!("its present state is not known: {error}")), Vec::new());
            }
        };
        let steps = match plan(&before.state, &now, ended_at, wanted.force) {
            Plan::Same => return of("as-before", None, Vec::new()),
            Plan::Refused(why) => return of("refused", Some(why), Vec::new()),
            Plan::Steps(steps) => steps,
        };
        if wanted.dry_run {
            return of("would-undo", None, steps.iter().map(plan::Step::words).collect());
        }
        let mut made = Vec::new();
        for step in &steps {
            if let Err(error) = self.fleet.put_back(&before.name, step).await {
                return of("failed", Some(error.to_string()), made);
            }
            made.push(step.words());
        }
        of("undone", None, made)
    }

    /// Has the release of alarms leave a thing alone that is as it was: it would wait for what is done. Says whether the
    /// release has come before.
    async fn mark_released(
        &self,
        id: &str,
        task: &Item,
        before: &Before,
        resource: &UndoneResource,
    ) -> Result<bool, Error> {
        if task.get_text(attribute::PROFILE).is_none() || !resource.is_good() {
            return Ok(false);
        }
        let mut is_released = false;
        let (pk, ledger) = (keys::mitigation(id), self.mitigations.ledger());
        for violation in &before.parts {
            let sk = format!("release#{violation}");
            let known = ledger.get(&pk, &sk).await?;
            if let Some(word) = known.as_ref().and_then(|item| item.get_text(attribute::RELEASE)) {
                is_released |= word == "released";
                continue;
            }
            let item = Item::new(&pk, &sk, self.clock.now())
                .text(attribute::TASK_ID, id)
                .text(attribute::VIOLATION_ID, violation)
                .text(attribute::THING, &before.name)
                .text(attribute::RELEASE, "undone");
            ledger.put(item).await?;
        }
        Ok(is_released)
    }
}

const fn refused(name: &'static str, what: String) -> NotUndone {
    NotUndone::Refused { name, what }
}

/// Refuses a task that was never started, or that still runs.
fn may_be_undone(id: &str, item: &Item) -> Result<(), NotUndone> {
    let of_alarms = item.get_text(attribute::PROFILE).is_some();
    match State::of(item) {
        Some(state) if state.has_ended() => Ok(()),
        Some(State::Started) => {
            let (family, operation) = if of_alarms {
                ("detect", "cancel-detect-mitigation-actions-task")
            } else {
                ("audit", "cancel-audit-mitigation-actions-task")
            };
            Err(refused(
                "MitigationRuns",
                format!(
                    "mitigation task '{id}' still runs, as far as the ledger knows. Cancel it with 'fleetwarden {family} \
                     {operation} --task-id {id}', or wait for its end; then undo it: MitigationShow says when it has ended"
                ),
            ))
        }
        state => {
            let state = state.map_or("not known", State::as_str);
            let what = format!(
                "mitigation task '{id}' is {state}: it was not started, and there is nothing to undo"
            );
            Err(refused("NotStarted", what))
        }
    }
}

/// The findings or violations that a task has, by their ids. None: all of a check.
fn parts_of(item: &Item) -> Option<BTreeSet<String>> {
    let targets: BTreeMap<String, Target> = item.get_json(attribute::TARGET).unwrap_or_default();
    if targets.values().any(|target| matches!(target, Target::WholeCheck { .. })) {
        return None;
    }
    let findings = item::findings(item).into_iter().map(|finding| finding.finding_id);
    let violations = item::violations(item).into_iter().map(|violation| violation.violation_id);
    Some(findings.chain(violations).collect())
}

/// Whether a resource is of the task, and is to be undone. What a try before the start has left out may have an item, too.
fn is_wanted(before: &Before, wanted: &Wanted<'_>, parts: Option<&BTreeSet<String>>) -> bool {
    parts.is_none_or(|parts| before.parts.iter().any(|part| parts.contains(part)))
        && wanted.part.is_none_or(|part| before.parts.contains(part))
        && wanted.resource.is_none_or(|resource| resource == before.name || resource == before.key())
}

/// What was selected of a task, where there is nothing of it.
fn selection(wanted: &Wanted<'_>, id: &str) -> (&'static str, String) {
    match (wanted.part, wanted.resource) {
        (Some(part), _) => {
            ("$.findingId", format!("mitigation task '{id}' has changed no resource of '{}'", shown(part)))
        }
        (_, Some(resource)) => {
            ("$.resource", format!("mitigation task '{id}' has changed no resource '{}'", shown(resource)))
        }
        _ => ("$.taskId", format!("mitigation task '{id}' has changed no resource")),
    }
}
