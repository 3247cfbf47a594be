//! The watch on the audits themselves: those that did not come, that hang, or that nobody heard of.
//!
//! Before it stands nothing but the time: all else in the stack is woken by an audit's notification, so an audit that
//! does not come is silence, and silence looks like a fleet that is well. It looks at the account's configuration, its
//! scheduled audits and the audit tasks of the last weeks ([`account`]), holds them against the ledger, in which
//! `audit-notification` writes every audit once all that it causes is on its way, and against what it remembers
//! ([`memory`]), and tells each [`trouble`] once.
//!
//! What has ended and was not heard of is also brought in: its notification is made again from the audit task and
//! published to the audit topic, from where `audit-notification` takes it as if it had come in time, and confirms it as
//! any other. That audit's claim makes a repeat harmless, and other subscribers of the topic get what they missed as well.
//!
//! Calls: one for the configuration, the list of scheduled audits and each 250 audit tasks; one for each task that the
//! ledger does not know, up to 500; one for each scheduled audit, only if some check is disabled. It needs
//! `iot:DescribeAccountAuditConfiguration`, `iot:ListScheduledAudits`, `iot:DescribeScheduledAudit`,
//! `iot:ListAuditTasks`, `iot:DescribeAuditTask`, `sns:Publish` on the audit topic with its key, and the ledger's
//! `dynamodb:GetItem`, `BatchGetItem` and `PutItem`.

mod account;
mod memory;
mod trouble;
mod words;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::telemetry;
use fleetwarden_aws::topic::Topic;
use fleetwarden_core::metrics;
use fleetwarden_core::metrics::AuditWatch;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::SuppressionReview;
use crate::audits::account::Configuration;
use crate::audits::account::Run;
use crate::audits::account::Runs;
use crate::audits::account::Schedule;
use crate::audits::memory::Memory;
use crate::audits::trouble::Lost;
use crate::audits::trouble::Place;
use crate::audits::trouble::Trouble;

/// How far back audit tasks are looked at: over the longest month, and what is granted after it.
const WINDOW_SECONDS: i64 = 35 * 86_400;
/// An audit that began later than this may have ended a moment ago: its notification has time until the next look.
const FRESH_SECONDS: i64 = 2 * 3_600;
/// How long a notification may be on its way, and be handled.
const ON_ITS_WAY: Duration = Duration::from_secs(20);
/// An audit of a large account takes minutes to hours.
const STUCK_SECONDS: i64 = 86_400;

/// How many audit tasks are asked for in one look: about a minute's. The review of suppressions comes after it.
const ASKED: usize = 500;

/// What the watch saw.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Watched {
    /// How many scheduled audits there are.
    pub(crate) schedules: usize,
    /// How many audit tasks were looked at.
    pub(crate) audits: usize,
    /// The numbers, as the metrics have them.
    #[serde(flatten)]
    pub(crate) counts: AuditWatch,
    /// All that is wrong now, told before or not.
    pub(crate) troubles: Vec<Trouble>,
}

/// What the watch needs.
struct Watch<'r> {
    account: &'r str,
    region: &'r str,
    topic: &'r Topic,
    iot: &'r IotApi,
    ledger: &'r Ledger,
    alerts: &'r Alerts,
    /// How many audit tasks it asks for.
    most: usize,
    now: Millis,
    /// Whether it only looks: it tells nobody, sends nothing through and remembers nothing.
    dry_run: bool,
}

impl SuppressionReview {
    /// Looks at configuration, scheduled audits and audit tasks, and tells what is wrong. It takes a few seconds, and
    /// half a minute if there is an audit that nobody heard of.
    ///
    /// # Errors
    /// If ledger or alert topic do not answer. What AWS IoT does not answer is a trouble of its own.
    pub(crate) async fn watch_audits(&self, now: Millis, dry_run: bool) -> Result<Watched, Error> {
        let watch = Watch {
            account: &self.account,
            region: &self.region,
            topic: &self.audit_topic,
            iot: &self.iot,
            ledger: &self.ledger,
            alerts: &self.alerts,
            most: ASKED,
            now,
            dry_run,
        };
        watch.look().await
    }
}

impl Watch<'_> {
    async fn look(&self) -> Result<Watched, Error> {
        let mut troubles = Vec::new();
        let configuration = seen(self.configuration().await, &mut troubles);
        let schedules = seen(self.schedules().await, &mut troubles);
        if let Some(configuration) = &configuration {
            let waiting = schedules.as_ref().map_or(0, Vec::len);
            troubles.extend(configuration.trouble(self.topic.arn(), waiting));
        }
        let may_run = configuration.as_ref().is_none_or(Configuration::audits_anything);
        let expected = schedules.as_deref().filter(|_| may_run).unwrap_or_default();
        if let Some(configuration) = &configuration {
            let disabled = seen(self.disabled(configuration, expected).await, &mut troubles);
            troubles.extend(disabled.unwrap_or_default());
        }
        let mut memory = Memory::recall(self.ledger, self.now).await?;
        if schedules.is_some() {
            // Those that cannot run are as good as new once they can.
            memory.learn(expected, self.now);
        }
        let from = memory.since.max(self.now.plus_seconds(-WINDOW_SECONDS));
        let runs = match seen(self.tasks(from).await, &mut troubles) {
            Some(tasks) => {
                let known = self.known(tasks.iter().map(|task| task.task_id.as_str())).await?;
                seen(self.runs(tasks, &known).await, &mut troubles)
            }
            None => None,
        };
        let mut checks_failed = 0;
        if let Some(Runs { runs, are_all }) = &runs {
            memory.saw(runs);
            troubles.extend(self.stuck(runs));
            troubles.extend(self.unheard(runs, &mut memory).await?);
            // One that is left out may be the run that is missed.
            let expected = if *are_all { expected } else { &[] };
            troubles.extend(self.missing(&memory, expected, runs));
            checks_failed = latest(runs).values().map(|run| run.failed).sum();
        }
        let counts = trouble::counts(&troubles, checks_failed);
        if !self.dry_run {
            telemetry::emit(&metrics::audit_watch_line(self.now, &counts));
            let told = self.tell(&troubles, &mut memory).await;
            Error::of_both(told, memory.keep(self.ledger, self.now).await)?;
        }
        let schedules = schedules.map_or(0, |schedules| schedules.len());
        Ok(Watched { schedules, audits: runs.map_or(0, |seen| seen.runs.len()), counts, troubles })
    }

    /// The scheduled audits of which checks are disabled. They are asked only if some check is.
    async fn disabled(
        &self,
        configuration: &Configuration,
        schedules: &[Schedule],
    ) -> Result<Vec<Trouble>, Error> {
        let mut found = Vec::new();
        if configuration.has_all_enabled() {
            return Ok(found);
        }
        for schedule in schedules {
            let checks = self.checks_of(&schedule.name).await?;
            let checks: BTreeSet<_> = checks.into_iter().filter(|c| !configuration.is_enabled(c)).collect();
            if !checks.is_empty() {
                found.push(Trouble::DisabledChecks { schedule: schedule.name.clone(), checks });
            }
        }
        Ok(found)
    }

    /// The audits that run for too long.
    fn stuck(&self, runs: &[Run]) -> impl Iterator<Item = Trouble> {
        let before = self.now.plus_seconds(-STUCK_SECONDS);
        runs.iter().filter(move |run| run.is_running() && run.started < before).map(|run| Trouble::Stuck {
            task_id: run.task_id.clone(),
            schedule: run.schedule.clone(),
            started: run.started,
            waiting: run.checks_that_are("WAITING_FOR_DATA_COLLECTION"),
            running: run.checks_that_are("IN_PROGRESS"),
        })
    }

    /// The audits that ended and that the ledger does not know; what they have to say is sent through.
    async fn unheard(&self, runs: &[Run], memory: &mut Memory) -> Result<Vec<Trouble>, Error> {
        let before = self.now.plus_seconds(-FRESH_SECONDS);
        let unknown = |run: &&Run| run.described.is_some() && !run.is_running() && run.started <= before;
        let runs: Vec<&Run> = runs.iter().filter(unknown).collect();
        let (mut unheard, mut undelivered, mut unsent) = (Vec::new(), Vec::new(), Vec::new());
        let mut why = None;
        if !runs.is_empty() {
            tokio::time::sleep(ON_ITS_WAY).await;
            let known = self.known(runs.iter().map(|run| run.task_id.as_str())).await?;
            for run in runs.into_iter().filter(|run| !known.contains_key(&run.task_id)) {
                let sent = match run.notification(self.account) {
                    Ok(_) if self.dry_run => Ok(()),
                    Ok(notification) => self.topic.publish(&notification).await.map_err(|e| e.to_string()),
                    Err(lacks) => Err(lacks),
                };
                tracing::warn!(
                    task.id = run.task_id,
                    sent = sent.is_ok() && !self.dry_run,
                    error = sent.as_ref().err(),
                    "an audit was not heard of"
                );
                let audits = match sent {
                    Err(error) => {
                        why.get_or_insert(error);
                        &mut unsent
                    }
                    Ok(()) if memory.was_sent(&run.task_id) => &mut undelivered,
                    Ok(()) => &mut unheard,
                };
                audits.push(Lost::from(run));
            }
        }
        memory.sent(unheard.iter().chain(&undelivered).map(|audit| audit.task_id.clone()));
        let mut found = Vec::new();
        found.extend((!unheard.is_empty()).then_some(Trouble::Unheard { audits: unheard }));
        found.extend((!undelivered.is_empty()).then_some(Trouble::Undelivered { audits: undelivered }));
        found.extend(why.map(|why| Trouble::Unsent { why, audits: unsent }));
        Ok(found)
    }

    /// The scheduled audits whose next run should have begun and did not: by the time of day of their earlier runs, or
    /// because its day is over everywhere.
    fn missing(&self, memory: &Memory, schedules: &[Schedule], runs: &[Run]) -> Vec<Trouble> {
        let missing = schedules.iter().filter_map(|schedule| {
            let rhythm = schedule.rhythm()?;
            let seen = memory.seen(schedule)?;
            let own = runs.iter().filter(|run| run.schedule.as_deref() == Some(&schedule.name));
            let begun = own.map(|run| run.started).chain(seen.last).filter(|begun| *begun >= seen.at);
            let usual = rhythm.expected(begun).filter(|next| next.late <= self.now).map(|next| next.at);
            let due = rhythm.due(self.now);
            let is_over = due.since >= seen.at && seen.last.is_none_or(|last| last < due.since);
            (usual.is_some() || is_over).then(|| Trouble::Missing {
                schedule: schedule.name.clone(),
                rhythm,
                due: usual.map_or_else(|| due.day.day(), Millis::rfc3339),
                usual: usual.is_some(),
                last: seen.last,
                first_seen: seen.at,
            })
        });
        missing.collect()
    }

    /// Tells everything, whatever could not be told before it.
    async fn tell(&self, troubles: &[Trouble], memory: &mut Memory) -> Result<(), Error> {
        let mut told = Ok(());
        for trouble in troubles {
            let since = trouble.standing().map_or(self.now, |about| memory.notice(about, self.now));
            let (account, region, topic, now) = (self.account, self.region, self.topic.arn(), self.now);
            let place = Place { account, region, topic, since, now };
            let raised = self.alerts.raise(&trouble.alert(&place)).await;
            told = Error::of_both(told, raised);
        }
        told
    }
}

/// What a source showed, if it did.
fn seen<T>(looked: Result<T, Error>, troubles: &mut Vec<Trouble>) -> Option<T> {
    let error = match looked {
        Ok(seen) => return Some(seen),
        Err(error) => error,
    };
    tracing::warn!(error.name = error.name(), %error, "the watch on audits cannot see");
    let blind = Trouble::blind(&error);
    // Who is refused one audit task is refused all of them.
    if !troubles.contains(&blind) {
        troubles.push(blind);
    }
    None
}

/// The latest run of each scheduled audit, and of audits on demand.
fn latest(runs: &[Run]) -> BTreeMap<Option<&str>, &Run> {
    let mut latest: BTreeMap<Option<&str>, &Run> = BTreeMap::new();
    for run in runs {
        let kept = latest.entry(run.schedule.as_deref()).or_insert(run);
        if run.started > kept.started {
            *kept = run;
        }
    }
    latest
}
