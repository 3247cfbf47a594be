//! What goes first is watched: when its task has ended, and then until the time of the policy is over, each wake looks at
//! what became of it. Then the rest may follow; or nothing more starts, and what the first ones changed is put back.
//!
//! What was seen is written into the ledger first, so that it counts at once, and the rest of it is done by whatever
//! delivery comes next: the undo can be repeated, and people are alerted once. A look without an
//! answer lets nothing follow: after a day the canary is stopped, and since no harm is known, what it did stays.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Range;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::Canary;
use fleetwarden_aws::mitigations::RESULTS;
use fleetwarden_aws::mitigations::Stage;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_aws::mitigations::Undo;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::undo::Fleet;
use fleetwarden_aws::undo::NotUndone;
use fleetwarden_aws::undo::Undoing;
use fleetwarden_aws::undo::Wanted;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::model::mitigation::undo::UndoneResource;
use fleetwarden_core::policy;
use fleetwarden_core::policy::StopIf;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;

use crate::alerts::canary as alerts;
use crate::backoff::Backoff;
use crate::backoff::LONGEST_FOLLOW_SECONDS;
use crate::backoff::PATIENCE_SECONDS;
use crate::canary::lost;
use crate::findings::Findings;
use crate::work::Followed as _;

/// How often something is asked again that has no answer, in seconds.
const LOOK_SECONDS: i64 = 900;

/// Watches what goes first.
pub(crate) struct Watch {
    pub(crate) work: Findings,
    pub(crate) alarms: Alarms,
    pub(crate) fleet: Fleet,
    pub(crate) backoff: Backoff,
}

/// What is seen of what went first.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// What stops the rest.
    Harm(String),
    /// Something that could not be asked.
    Unknown(String),
}

impl Watch {
    /// Looks once.
    pub(crate) async fn watch(&self, message: MitigationMessage, deadline: Millis) -> Result<(), Error> {
        let request = &message.request;
        self.work.verify(request).await?.by_now()?;
        if let Origin::Command(_) = request.origin {
            return Err(Error::Input("a command has no canary".to_owned()));
        }
        if self.backoff.take_round(&message).await? == Taken::Passed {
            return Ok(());
        }
        let id = request.task_id();
        let known = self.work.mitigations.canary(request).await?.filter(|known| known.task_id == id);
        match known {
            Some(known) if known.stage == Stage::Running => {
                Box::pin(self.look(message, known, deadline)).await
            }
            Some(known) => Box::pin(self.end(message, known, deadline)).await,
            None => {
                tracing::info!(mitigation.task_id = id, "nothing to watch: the task does not go first");
                Ok(())
            }
        }
    }

    async fn look(&self, message: MitigationMessage, known: Canary, deadline: Millis) -> Result<(), Error> {
        let Findings { mitigations, policy, clock, .. } = &self.work;
        let (request, now) = (&message.request, clock.now());
        let id = request.task_id();
        let Some(canary) = policy.canary_of(request.origin.rule().unwrap_or_default()) else {
            // The rest does not ask any more, and does not wait if the policy changes back.
            let reason = format!("policy {} has no canary for the rule", policy.hash());
            let lifted = Canary { stage: Stage::Passed, reason: Some(reason), ..known.clone() };
            mitigations.change_canary(request, &known, lifted, now).await?;
            tracing::info!(
                mitigation.task_id = id,
                "nothing to watch: the policy has no canary for the rule"
            );
            return Ok(());
        };
        let Some(task) = mitigations.ledger().get(&keys::mitigation(&id), "task").await? else {
            return self.backoff.put_off(message).await;
        };
        let time = |name| task.get_text(name).and_then(Millis::parse);
        let Some(state) = State::of(&task).filter(|state| state.has_ended()) else {
            if message.since.is_some_and(|since| self.backoff.is_past(since, LONGEST_FOLLOW_SECONDS)) {
                let why = "how its task ended is still not known after 90 days".to_owned();
                return self.stop(message, known, (why, Undo::No), deadline).await;
            }
            return self.backoff.put_off(message).await;
        };
        let over = time(attribute::ENDED_AT).unwrap_or(now).plus_seconds(canary.watch_seconds);
        // From its claim on: the start itself comes after it.
        let since = time(attribute::DECIDED_AT).unwrap_or_default();
        match self.see(&id, state, (canary, &known), since).await {
            Seen::Harm(why) => self.stop(message, known, (why, Undo::Due), deadline).await,
            Seen::Nothing if over <= now => {
                let passed = Canary { stage: Stage::Passed, since: Some(now), ..known.clone() };
                let stands = mitigations.change_canary(request, &known, passed, now).await?;
                Box::pin(self.end(message, stands, deadline)).await
            }
            Seen::Nothing => self.backoff.put_off_until(message, over).await,
            Seen::Unknown(why) if self.backoff.is_past(over, PATIENCE_SECONDS) => {
                let why = format!("whether it did harm is not known: {why}");
                self.stop(message, known, (why, Undo::No), deadline).await
            }
            Seen::Unknown(why) => {
                tracing::warn!(mitigation.task_id = id, why, "whether the canary did harm is not known");
                self.backoff.put_off_until(message, over.max(now.plus_seconds(LOOK_SECONDS))).await
            }
        }
    }

    /// What is seen of a task that has ended.
    async fn see(
        &self,
        id: &str,
        state: State,
        (canary, known): (&policy::Canary, &Canary),
        since: Millis,
    ) -> Seen {
        let ledger = self.work.mitigations.ledger();
        let results = match ledger.query(&keys::mitigation(id), Range::Between(RESULTS.0, RESULTS.1)).await {
            Ok(results) => results,
            Err(error) => return Seen::Unknown(error.to_string()),
        };
        if canary.stop_if.contains(&StopIf::Failures)
            && let Some(why) = failures(state, &results)
        {
            return Seen::Harm(why);
        }
        // What one of them finds is harm, whatever the other has no answer to.
        let mut seen = Seen::Nothing;
        if canary.stop_if.contains(&StopIf::Alarms) {
            seen = self.see_alarms(&results, since).await;
        }
        if canary.stop_if.contains(&StopIf::Disconnected) && !matches!(seen, Seen::Harm(_)) {
            match lost(&self.work, &known.connected).await {
                Ok(Some(why)) => seen = Seen::Harm(why),
                Ok(None) => {}
                Err(error) => seen = Seen::Unknown(error.to_string()),
            }
        }
        seen
    }

    async fn see_alarms(&self, results: &[Item], since: Millis) -> Seen {
        let things = things(results);
        let alarms = match self.alarms.open_of(things.as_ref(), since).await {
            Ok(alarms) => alarms,
            Err(error) => return Seen::Unknown(error.to_string()),
        };
        let Some(first) = alarms.first() else { return Seen::Nothing };
        let (thing, behavior) = (first.alarm.thing.as_deref().unwrap_or_default(), &first.alarm.behavior);
        let more = match alarms.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Seen::Harm(format!("a new alarm on '{}' about thing '{}'{more}", shown(behavior), shown(thing)))
    }

    async fn stop(
        &self,
        message: MitigationMessage,
        known: Canary,
        (why, undo): (String, Undo),
        deadline: Millis,
    ) -> Result<(), Error> {
        let Findings { mitigations, clock, .. } = &self.work;
        let now = clock.now();
        let stopped =
            Canary { stage: Stage::Stopped, reason: Some(why), undo, since: Some(now), ..known.clone() };
        let stands = mitigations.change_canary(&message.request, &known, stopped, now).await?;
        Box::pin(self.end(message, stands, deadline)).await
    }

    /// Does what follows from where a canary stands. Each part can be done again.
    async fn end(&self, message: MitigationMessage, known: Canary, deadline: Millis) -> Result<(), Error> {
        let Findings { mitigations, clock, alerts: topic, .. } = &self.work;
        let request = &message.request;
        let id = request.task_id();
        let reason = known.reason.as_deref();
        match (known.stage, known.undo) {
            (Stage::Passed, _) => {
                tracing::info!(
                    mitigation.task_id = id,
                    first = known.first.len(),
                    of = known.of,
                    "the canary has passed"
                );
                topic.raise(&alerts::passed(request, &known)).await
            }
            (Stage::Stopped, Undo::No) => {
                tracing::warn!(mitigation.task_id = id, reason, "the canary is stopped");
                topic.raise(&alerts::stopped(request, &known, None)).await
            }
            (Stage::Stopped, Undo::Due) => {
                tracing::warn!(mitigation.task_id = id, reason, "the canary is stopped, and undone");
                let (resources, is_over) = match self.undo(request, &known, deadline).await? {
                    Undone::All(resources) => (Ok(resources), true),
                    Undone::Not(why) => (Err(why), true),
                    Undone::Later => return self.backoff.put_off(message).await,
                };
                topic.raise(&alerts::stopped(request, &known, Some(&resources))).await?;
                let failed = resources.iter().flatten().any(|resource| resource.result == "failed");
                let in_time = known.since.is_some_and(|since| !self.backoff.is_past(since, PATIENCE_SECONDS));
                if !is_over || (failed && in_time) {
                    return self.backoff.put_off(message).await;
                }
                if failed {
                    topic.raise(&alerts::not_undone(request, &resources)).await?;
                }
                let done = Canary { undo: Undo::Done, ..known.clone() };
                mitigations.change_canary(request, &known, done, clock.now()).await.map(drop)
            }
            (Stage::Stopped, Undo::Done) | (Stage::Running | Stage::Void, _) => {
                let stage = known.stage.as_str();
                tracing::info!(mitigation.task_id = id, stage, "nothing to watch: all of it is done");
                Ok(())
            }
        }
    }

    /// Puts back what a task has changed.
    async fn undo(
        &self,
        request: &MitigationRequest,
        known: &Canary,
        deadline: Millis,
    ) -> Result<Undone, Error> {
        let Findings { mitigations, clock, .. } = &self.work;
        let by = format!("the canary of rule {}", request.origin.rule().unwrap_or_default());
        let undoing = Undoing { mitigations, fleet: &self.fleet, clock, by, deadline };
        let reason = known.reason.as_deref().unwrap_or_default();
        let wanted = Wanted { reason, ..Wanted::default() };
        Ok(match Box::pin(undoing.task(&request.task_id(), &wanted, None)).await {
            Ok((task, None)) => Undone::All(task.resources),
            Ok((_, Some(_))) | Err(NotUndone::Refused { name: "UndoInProgress", .. }) => Undone::Later,
            // A person has undone it, or an earlier delivery died right after it.
            Err(NotUndone::Refused { name: "AlreadyUndone" | "NothingToUndo", .. }) => {
                Undone::All(Vec::new())
            }
            Err(NotUndone::Refused { what, .. } | NotUndone::Selection { what, .. }) => Undone::Not(what),
            Err(NotUndone::Failed(error)) => return Err(error),
        })
    }
}

/// What came of an undo.
enum Undone {
    /// Each resource was tried.
    All(Vec<UndoneResource>),
    /// None can be, and why.
    Not(String),
    /// It goes on later.
    Later,
}

/// The things behind the findings of a task. None: behind one of them any may be, as behind a policy.
fn things(results: &[Item]) -> Option<BTreeSet<String>> {
    let of_result = |result: &Item| result.get_json::<Vec<String>>(attribute::THINGS);
    let all: Option<Vec<Vec<String>>> = results.iter().map(of_result).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.into_iter().flatten().collect())
}

/// What did not succeed of a task that has ended.
fn failures(state: State, results: &[Item]) -> Option<String> {
    let good = results.iter().filter(|result| result.get_text(attribute::STATE) == Some("completed")).count();
    if state == State::Completed && good == results.len() && good > 0 {
        return None;
    }
    let count = results.len();
    Some(format!("its task ended as {}, and {good} of {count} findings succeeded", state.as_str()))
}
