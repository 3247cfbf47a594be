//! One run: reads the account, judges what it read, publishes lost notifications, and alerts.
//!
//! A call that is refused hides only what it would have shown: everything else is judged all the same.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::state_item::StateItem;
use fleetwarden_core::metrics;
use fleetwarden_core::metrics::audit_watch::AuditWatch as Counts;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::Handler;
use crate::account::Configuration;
use crate::account::Run;
use crate::account::Runs;
use crate::account::Schedule;
use crate::alerts;
use crate::alerts::Place;
use crate::judge;
use crate::problem;
use crate::problem::Problem;
use crate::read::Reader;
use crate::read::ledger_items;
use crate::republish::Notifications;
use crate::republish::Republished;
use crate::state::State;

/// How far back audit tasks are read: longer than the longest month and the time that a run may be late.
const WINDOW_SECONDS: i64 = 35 * 86_400;
/// How long a notification may be on its way and be handled.
const ON_ITS_WAY: Duration = Duration::from_secs(20);

/// One run, at its time.
pub(crate) struct Watch<'h> {
    pub(crate) handler: &'h Handler,
    pub(crate) now: Millis,
    /// When no further audit task is described.
    pub(crate) stop_at: Millis,
}

/// What a run saw: the function's answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// How many scheduled audits there are.
    schedules: usize,
    /// How many audit tasks were read.
    audits: usize,
    /// The numbers, as the metrics have them.
    #[serde(flatten)]
    counts: Counts,
    /// Everything that is wrong now, already notified or not.
    problems: Vec<Problem>,
}

/// What the account has, as far as it could be read.
#[derive(Default)]
struct Account {
    schedules: Option<Vec<Schedule>>,
    /// Whether an audit can find anything: of schedules that cannot, nothing else is worth an alert.
    can_audit: bool,
    runs: Option<Runs>,
}

/// What a run read and did.
struct Look {
    read: Account,
    /// None if the audit tasks could not be read.
    republished: Option<Republished>,
    report: Report,
}

impl Account {
    /// The scheduled audits that can run.
    fn expected(&self) -> &[Schedule] {
        self.schedules.as_deref().filter(|_| self.can_audit).unwrap_or_default()
    }
}

impl Watch<'_> {
    /// Reads, publishes, alerts and keeps the state for the next run. It takes a few seconds, and half a minute if a
    /// notification is missing.
    ///
    /// # Errors
    /// If the ledger or the alert topic does not answer.
    pub(crate) async fn run(self) -> Result<Report, Error> {
        let Handler { account, region, topic, ledger, alerts, .. } = self.handler;
        let now = self.now;
        let kept = StateItem::new(ledger.clone(), keys::audit_watch());
        let state: State = kept.read().await?;
        let Look { read, republished, report } = self.look(state, false).await?;
        (self.handler.emit)(&metrics::audit_watch::audit_watch_line(now, &report.counts));
        let place = Place { account, region, topic: topic.arn() };
        let mut after: State = kept
            .change(now, |state: &mut State| {
                state.begin(now);
                update(state, &read, now);
                if let Some(republished) = &republished {
                    state.set_republished(republished.task_ids());
                }
                alerts::note(&mut state.notices, &report.problems, &place, now);
            })
            .await?;
        kept.raise_pending(alerts, &mut after, now).await?;
        Ok(report)
    }

    /// Reads and judges only: it publishes, alerts and writes nothing.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub(crate) async fn dry_run(self) -> Result<Report, Error> {
        let kept = StateItem::new(self.handler.ledger.clone(), keys::audit_watch());
        self.look(kept.read().await?, true).await.map(|look| look.report)
    }

    async fn look(&self, mut state: State, dry_run: bool) -> Result<Look, Error> {
        let (handler, now) = (self.handler, self.now);
        let mut problems = Vec::new();
        state.begin(now);
        let read = self.read(&state, &mut problems).await?;
        update(&mut state, &read, now);
        let (mut checks_failed, mut republished) = (0, None);
        if let Some(Runs { runs, are_all }) = &read.runs {
            problems.extend(judge::stuck(runs, now));
            let lost = self.lost(runs).await?;
            let notifications = Notifications { account: &handler.account, topic: &handler.topic, dry_run };
            let outcome = notifications.publish(&lost, &state).await;
            problems.extend(outcome.problems());
            republished = Some(outcome);
            // An audit task that was left out may be the run that is missing.
            let expected = if *are_all { read.expected() } else { &[] };
            problems.extend(judge::missing(&state, expected, runs, now));
            checks_failed = judge::checks_failed(runs);
        }
        let counts = problem::counts(&problems, checks_failed);
        let schedules = read.schedules.as_ref().map_or(0, Vec::len);
        let audits = read.runs.as_ref().map_or(0, |read| read.runs.len());
        Ok(Look { read, republished, report: Report { schedules, audits, counts, problems } })
    }

    /// Reads configuration, scheduled audits and audit tasks. What the configuration has wrong is added to the problems.
    async fn read(&self, state: &State, problems: &mut Vec<Problem>) -> Result<Account, Error> {
        let (handler, now) = (self.handler, self.now);
        let Handler { iot, pace, clock, ledger, .. } = handler;
        let reader =
            Reader { iot, pace, clock, describe_limit: handler.describe_limit, stop_at: self.stop_at };
        let configuration = or_blind(reader.configuration().await, problems);
        let schedules = or_blind(reader.schedules().await, problems);
        let can_audit = configuration.as_ref().is_none_or(Configuration::audits_anything);
        let mut read = Account { schedules, can_audit, runs: None };
        if let Some(configuration) = &configuration {
            let waiting = read.schedules.as_ref().map_or(0, Vec::len);
            problems.extend(configuration.problem(handler.topic.arn(), waiting));
            let disabled = or_blind(reader.disabled_checks(configuration, read.expected()).await, problems);
            problems.extend(disabled.unwrap_or_default());
        }
        let from = state.since(now).max(now.plus_seconds(-WINDOW_SECONDS));
        if let Some(tasks) = or_blind(reader.tasks(from, now).await, problems) {
            let recorded = ledger_items(ledger, tasks.iter().map(|task| task.task_id.as_str())).await?;
            read.runs = or_blind(reader.runs(tasks, &recorded).await, problems);
        }
        Ok(read)
    }

    /// The audits that ended and that the ledger does not have, also not after a while.
    async fn lost<'r>(&self, runs: &'r [Run]) -> Result<Vec<&'r Run>, Error> {
        let mut lost = judge::unrecorded(runs, self.now);
        if lost.is_empty() {
            return Ok(lost);
        }
        tokio::time::sleep(ON_ITS_WAY).await;
        let recorded =
            ledger_items(&self.handler.ledger, lost.iter().map(|run| run.task_id.as_str())).await?;
        lost.retain(|run| !recorded.contains_key(&run.task_id));
        Ok(lost)
    }
}

/// Puts what was read into the state.
fn update(state: &mut State, read: &Account, now: Millis) {
    if read.schedules.is_some() {
        // Those that cannot run count as new once they can.
        state.set_schedules(read.expected(), now);
    }
    if let Some(Runs { runs, .. }) = &read.runs {
        state.set_last_runs(runs);
    }
}

/// What a call showed, or the problem that it was refused.
fn or_blind<T>(read: Result<T, Error>, problems: &mut Vec<Problem>) -> Option<T> {
    let error = match read {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    tracing::warn!(error.name = error.name(), %error, "AWS IoT refused a call of the audit watch");
    let blind = Problem::blind(&error);
    // Who is refused one audit task is refused all of them.
    if !problems.contains(&blind) {
        problems.push(blind);
    }
    None
}
