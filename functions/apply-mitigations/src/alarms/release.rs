//! The last step: what a task has put into groups is taken out again when the alarm has been clear for long enough.
//!
//! A chain of messages, at most 15 minutes apart, looks at the ledger until nothing of the task is left to release. Each
//! violation is counted by itself ([`Count`]): from the end of its alarm, and again from the moment at which another
//! raise of the same device and behavior was noticed, or its end. So it never counts too long a time, and at most a
//! quarter of an hour too short a one. The count is in the ledger, beside what became of the violation.
//!
//! Then the policy of now is asked: its mode, the windows of the mitigation, and whether the rule still releases. Only groups that the
//! task has added are taken back, and only if the thing is still in them. Another alarm of the same thing that put it into
//! groups as well, or found it there, counts as one of its own.

mod count;

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::AlarmTask;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Taken;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::thing_groups::ThingGroups;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::State as AlarmState;
use fleetwarden_core::policy::AlarmEffect;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

use super::notes::ALREADY_IN;
use super::notes::MITIGATED;
use super::notes::Notes;
use super::results::result_key;
use super::verify;
use crate::admission::Admission;
use crate::admission::calendar;
use crate::admission::gate;
use crate::alerts;
use crate::backoff::Backoff;
use count::Count;

/// How long a release is waited for: 90 days after the task.
const LONGEST_RELEASE_SECONDS: i64 = 90 * 86_400;
/// After how long it is looked again at what has no moment of its own, in seconds.
const LOOK_SECONDS: i64 = 900;
/// The attribute that holds the count, as JSON.
const COUNT: &str = "count";
/// What keeps the service from taking a thing out of a group, however often it is asked.
const REFUSED: [&str; 3] = ["AccessDeniedException", "UnauthorizedException", "InvalidRequestException"];

/// A violation whose thing is in groups because of the task.
struct Pending {
    violation: ViolationRef,
    groups: BTreeSet<String>,
    count: Count,
}

/// When a violation's thing is to be released.
enum Due {
    Now,
    /// Not before this moment, as far as is known.
    Later(Millis),
}

/// Releases things.
pub(crate) struct Release {
    pub(crate) groups: ThingGroups,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) policy: Arc<Policy>,
    pub(crate) mitigations: Mitigations,
    pub(crate) alerts: Alerts,
    pub(crate) backoff: Backoff,
    pub(crate) notes: Notes,
    pub(crate) clock: Clock,
}

impl Release {
    /// Looks once at what a task has put into groups.
    pub(crate) async fn release(&self, message: AlarmMitigationMessage) -> Result<(), Error> {
        let request = &message.alarms;
        verify(&self.mitigations, request, (&self.account, &self.region)).await?.by_now()?;
        if self.backoff.take_round(&message).await? == Taken::Passed {
            return Ok(());
        }
        let id = request.task_id();
        let Some(task) = self.mitigations.alarm_task(&id).await? else { return Ok(()) };
        let ended_at = match (task.state, task.ended_at) {
            // Its follow-up sends the release before it writes that the task has ended.
            (Some(State::Claimed | State::Started), _) => return self.backoff.put_off(message).await,
            (Some(state), Some(ended_at)) if state.has_ended() => ended_at,
            _ => {
                tracing::info!(mitigation.task_id = id, "nothing to release: the task was not started");
                return Ok(());
            }
        };
        let pending = self.pending(&id, &task).await?;
        if pending.is_empty() {
            tracing::info!(mitigation.task_id = id, "all that the task has added is released");
            return Ok(());
        }
        if self.backoff.is_past(ended_at, LONGEST_RELEASE_SECONDS) {
            return self.keep(request, pending).await;
        }
        let now = self.clock.now();
        let look = now.plus_seconds(LOOK_SECONDS);
        let Some(after) = self.release_after(request, &task) else {
            tracing::info!(mitigation.task_id = id, "the policy of now has no release for it: it waits");
            return self.backoff.put_off_until(message, look).await;
        };
        let mut open = None;
        let mut next = look;
        for mut pending in pending {
            let until = match Box::pin(self.due(&id, &mut pending, &mut open, after)).await? {
                Due::Later(moment) => moment,
                Due::Now => match Box::pin(self.release_one(request, &pending)).await? {
                    None => continue,
                    Some(until) => until,
                },
            };
            next = next.min(until.max(now));
        }
        if self.pending(&id, &task).await?.is_empty() {
            return Ok(());
        }
        self.backoff.put_off_until(message, next).await
    }

    /// After how many seconds what a task has added is released: as the policy of now says of its rule, or as the
    /// command said.
    fn release_after(&self, request: &AlarmMitigationRequest, task: &AlarmTask) -> Option<i64> {
        let Origin::Rule(name) = &request.origin else { return task.release_after_seconds };
        let rule = self.policy.alarm_rules().iter().find(|rule| rule.is_live() && rule.name() == name)?;
        match rule.effect() {
            AlarmEffect::Mitigate(mitigate) => mitigate.release_after_seconds,
            _ => None,
        }
    }

    /// What of a task is still to be released, by the ledger: the message says nothing of it.
    async fn pending(&self, id: &str, task: &AlarmTask) -> Result<Vec<Pending>, Error> {
        let pk = keys::mitigation(id);
        let results: Vec<String> = task.violations.iter().map(|of| result_key(&of.violation_id)).collect();
        let releases: Vec<String> = task.violations.iter().map(release_key).collect();
        let keys: Vec<(String, &str)> =
            results.iter().chain(&releases).map(|sk| (pk.clone(), sk.as_str())).collect();
        let items = self.mitigations.ledger().get_all(&keys).await?;
        let of = |sk: &str| items.iter().find(|item| item.get_text("sk") == Some(sk));
        let pending = task.violations.iter().zip(results.iter().zip(&releases));
        let pending = pending.filter_map(|(violation, (result, release))| {
            let groups: BTreeSet<String> =
                serde_json::from_str(of(result)?.get_text(attribute::GROUPS)?).unwrap_or_default();
            let release = |name| of(release).and_then(|item| item.get_text(name));
            if groups.is_empty() || release(attribute::RELEASE).is_some() {
                return None;
            }
            let count = release(COUNT).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            Some(Pending { violation: violation.clone(), groups, count })
        });
        Ok(pending.collect())
    }

    /// When a violation's thing is to be released. `open` are the violations that are in alarm, once somebody asked: it
    /// is a long list, and is needed only when a thing is about to be released or another alarm was noticed.
    async fn due(
        &self,
        id: &str,
        pending: &mut Pending,
        open: &mut Option<Vec<Life>>,
        after: i64,
    ) -> Result<Due, Error> {
        let now = self.clock.now();
        let look = Due::Later(now.plus_seconds(LOOK_SECONDS));
        let Pending { violation, count, .. } = &*pending;
        // What the ledger does not know any more was in alarm long ago.
        let Some(known) = self.notes.alarms.known(&violation.violation_id).await? else {
            return Ok(Due::Now);
        };
        let Life { alarm, raised_at, .. } = &known.life;
        let raised = known.life.state() == Some(AlarmState::Raised);
        let again = raised && *raised_at != Some(violation.raised_at);
        if raised && !again {
            return Ok(look);
        }
        let latest = known.raises.iter().copied().chain(*raised_at).max();
        let due = |count: &Count| {
            let clear_since = known.life.ended_at().max(count.noticed_at).unwrap_or(now);
            clear_since.plus_seconds(after)
        };
        if !count.is_open(violation.raised_at, latest) && due(count) > now {
            return Ok(Due::Later(due(count)));
        }
        if open.is_none() {
            *open = Some(self.notes.alarms.open().await?);
        }
        let mut others =
            open.iter().flatten().filter(|life| life.alarm.violation_id != violation.violation_id);
        let in_alarm = again || others.any(|life| keeps(life, alarm));
        let count = count.look(violation.raised_at, latest, in_alarm, now);
        if count != pending.count {
            self.write_count(id, pending, &count).await?;
            pending.count = count;
        }
        Ok(match (in_alarm, due(&pending.count)) {
            (true, _) => look,
            (false, due) if due > now => Due::Later(due),
            _ => Due::Now,
        })
    }

    async fn write_count(&self, id: &str, pending: &Pending, count: &Count) -> Result<(), Error> {
        let item = release_item(id, &pending.violation, self.clock.now()).json(COUNT, count);
        self.mitigations.ledger().put(item).await
    }

    /// Takes a thing out of the groups that the task has put it into, if the policy of now lets it. Else says until when
    /// it waits.
    async fn release_one(
        &self,
        request: &AlarmMitigationRequest,
        pending: &Pending,
    ) -> Result<Option<Millis>, Error> {
        let Pending { violation, groups, .. } = pending;
        let id = request.task_id();
        let look = self.clock.now().plus_seconds(LOOK_SECONDS);
        let waits = match self.gate(request)? {
            Admission::Go => None,
            Admission::Observe { .. } => {
                self.notes.note(request, violation, "would-release", None).await?;
                Some(("the mode is observe".to_owned(), look))
            }
            Admission::Hold { closed } | Admission::Shut { closed } => {
                Some((closed.reason, closed.opens.unwrap_or(look)))
            }
            Admission::Refuse { reason } => Some((reason, look)),
        };
        let named = ViolationRef::clone(violation).violation_id;
        if let Some((reason, until)) = waits {
            tracing::info!(
                mitigation.task_id = id,
                violation.id = named,
                groups = listed(groups),
                reason,
                "would release"
            );
            return Ok(Some(until));
        }
        let present = self.groups.of_thing(&violation.thing).await?.unwrap_or_default();
        let mut left: Vec<&String> = Vec::new();
        for group in groups.intersection(&present) {
            match self.groups.remove(&violation.thing, group).await {
                Err(Error::Aws { code, message, .. }) if REFUSED.contains(&code.as_str()) => {
                    let reason = format!("{code}: {message}");
                    tracing::warn!(
                        mitigation.task_id = id,
                        violation.id = named,
                        reason,
                        "a release is refused"
                    );
                    self.alerts
                        .raise(&alerts::alarms::release_refused(request, violation, group, &reason))
                        .await?;
                    return Ok(Some(look));
                }
                removed => removed?,
            }
            left.push(group);
        }
        tracing::info!(
            mitigation.task_id = id,
            violation.id = named,
            groups = listed(left),
            "the thing is released"
        );
        self.notes.note(request, violation, "released", None).await?;
        self.alerts.raise(&alerts::alarms::released(request, violation, groups)).await?;
        self.settle_release(&id, violation, "released").await?;
        Ok(None)
    }

    /// What the policy of now says of acting now, whatever was decided.
    fn gate(&self, request: &AlarmMitigationRequest) -> Result<Admission, Error> {
        let calendar = calendar(&self.policy, request.origin.rule(), &request.actions)?;
        Ok(gate(request.mode, self.policy.mode(), calendar.as_ref(), self.clock.now()))
    }

    /// Ends the wait for a release: what is in the groups stays there, and people are alerted.
    async fn keep(&self, request: &AlarmMitigationRequest, pending: Vec<Pending>) -> Result<(), Error> {
        let violations: Vec<&ViolationRef> = pending.iter().map(|pending| &pending.violation).collect();
        self.alerts.raise(&alerts::alarms::kept(request, &violations)).await?;
        for violation in violations {
            self.notes.note(request, violation, "not-released", Some("not clear within 90 days")).await?;
            self.settle_release(&request.task_id(), violation, "kept").await?;
        }
        Ok(())
    }

    async fn settle_release(&self, id: &str, violation: &ViolationRef, word: &str) -> Result<(), Error> {
        let item = release_item(id, violation, self.clock.now()).text(attribute::RELEASE, word);
        self.mitigations.ledger().put(item).await
    }
}

/// Whether an alarm that lasts keeps the thing of another alarm in its groups: it is of the same device and behavior, or
/// its own mitigation found the thing there, or put it there, too.
fn keeps(life: &Life, alarm: &Alarm) -> bool {
    let of_groups = |what: &str| what == ALREADY_IN || what == MITIGATED;
    life.alarm.series() == alarm.series()
        || (life.alarm.thing == alarm.thing && life.actions.iter().any(|action| of_groups(&action.what)))
}

/// The sort key of a violation's release.
fn release_key(violation: &ViolationRef) -> String {
    format!("release#{}", violation.violation_id)
}

fn release_item(id: &str, violation: &ViolationRef, now: Millis) -> Item {
    Item::new(&keys::mitigation(id), &release_key(violation), now)
        .text(attribute::TASK_ID, id)
        .text(attribute::VIOLATION_ID, &violation.violation_id)
        .text(attribute::THING, &violation.thing)
}

/// Groups, as a log line has them.
fn listed<'g>(groups: impl IntoIterator<Item = &'g String>) -> String {
    groups.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
