//! One run: incidents, events, active violations, stale alarms; then the snapshot and the alerts.

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::schedule::Span;
use fleetwarden_aws::state_item::StateItem;
use fleetwarden_core::metrics::alarm_watch::AlarmWatch as Counts;
use fleetwarden_core::metrics::alarm_watch::alarm_watch_line;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::AlarmWatch;
use crate::active::compare_active;
use crate::alerts;
use crate::alerts::Place;
use crate::alerts::Problem;
use crate::compare::Comparison;
use crate::compare::Found;
use crate::compare::Lost;
use crate::detect::Detect;
use crate::events::compare_events;
use crate::incidents::Ended;
use crate::incidents::Incidents;
use crate::plan;
use crate::plan::Progress;
use crate::snapshot::Snapshot;
use crate::stale::end_stale;

/// The answer of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    at: Millis,
    /// From when on events were compared.
    from: Option<Millis>,
    /// Where the next run begins.
    heard_until: Option<Millis>,
    /// Whether everything was compared.
    complete: bool,
    /// How many events were compared.
    events: u64,
    /// How many were so new that their messages may still come.
    fresh: u64,
    /// How many another run had sent a moment ago.
    on_their_way: u64,
    /// How many are of behaviors whose alerts are suppressed.
    suppressed: u64,
    /// How many are from before the first run, and were sent.
    earlier: u64,
    /// How many were invalid.
    unreadable: u64,
    /// The numbers, as the metrics have them.
    #[serde(flatten)]
    counts: Counts,
    /// The incidents that were ended.
    incidents: Vec<Ended>,
    /// How many alarms of ended incidents were still undecided.
    settled: u64,
    /// All problems of now, alerted before or not.
    problems: Vec<Problem>,
}

/// What a run did, step by step.
#[derive(Default)]
struct Steps {
    incidents: Vec<Ended>,
    settled: u64,
    progress: Option<Progress>,
    found: Found,
    active: Option<u64>,
    gone: Lost,
    problems: Vec<Problem>,
    is_complete: bool,
}

impl AlarmWatch {
    /// Runs all steps, writes the snapshot, and raises the alerts that are due.
    pub(crate) async fn run(&self, hours: Option<i64>, Span { now, stop_at }: Span) -> Result<Answer, Error> {
        let kept = StateItem::new(self.alarms.ledger().clone(), keys::alarm_watch());
        let snapshot: Snapshot = kept.read().await?;
        // If the ledger does not answer, the run ends; the next one finds again what this one found.
        let mut steps = self.steps(&snapshot, hours, (now, stop_at)).await?;
        steps.problems.extend(problems(&mut steps.found, &steps.gone, steps.progress.as_ref(), now));
        let counts = counts(&steps, now);
        (self.emit)(&alarm_watch_line(now, &counts));
        let mut after: Snapshot = kept
            .change(now, |snapshot: &mut Snapshot| {
                snapshot.since.get_or_insert(now);
                if let Some(progress) = &steps.progress {
                    snapshot.heard_until = Some(progress.heard_until);
                    snapshot.slice_seconds = Some(progress.slice_seconds);
                }
                snapshot.sent(steps.found.sendings.iter(), now);
                alerts::notice(&mut snapshot.notices, &steps.problems, self.place(), now);
            })
            .await?;
        kept.raise_pending(&self.alerts, &mut after, now).await?;
        Ok(answer(steps, counts, after.heard_until, now))
    }

    async fn steps(
        &self,
        snapshot: &Snapshot,
        hours: Option<i64>,
        (now, stop_at): (Millis, Millis),
    ) -> Result<Steps, Error> {
        let detect = Detect { iot: &self.iot, pace: &self.pace, clock: &self.clock, stop_at };
        let mut comparison = Comparison {
            place: self.place(),
            alarms: &self.alarms,
            queue: &self.queue,
            snapshot,
            now,
            found: Found::default(),
        };
        let mut steps = Steps::default();
        self.end_incidents(&mut steps, &mut comparison.found, (now, stop_at)).await?;
        compare(&detect, &mut comparison, hours, &mut steps).await?;
        steps.found = comparison.found;
        Ok(steps)
    }

    /// Incidents need the ledger alone. What the queue refuses leaves them as they are.
    async fn end_incidents(
        &self,
        steps: &mut Steps,
        found: &mut Found,
        (now, stop_at): (Millis, Millis),
    ) -> Result<(), Error> {
        let incidents = Incidents {
            place: self.place(),
            settings: self.policy.alarms(),
            alarms: &self.alarms,
            queue: &self.queue,
            alerts: &self.alerts,
            clock: &self.clock,
        };
        match incidents.end_calm(now, stop_at).await {
            Err(error) if is_of_the_queue(&error) => drop(found.unsent.insert(error.to_string())),
            ended => steps.incidents = ended?,
        }
        match incidents.settle_undecided(now).await {
            Err(error) if is_of_the_queue(&error) => drop(found.unsent.insert(error.to_string())),
            settled => steps.settled = settled?,
        }
        Ok(())
    }

    fn place(&self) -> Place<'_> {
        Place { account: &self.account, region: &self.region }
    }
}

/// Compares what Detect lists with the ledger, as far as Detect answers and there is time.
async fn compare(
    detect: &Detect<'_>,
    comparison: &mut Comparison<'_>,
    hours: Option<i64>,
    steps: &mut Steps,
) -> Result<(), Error> {
    let events = compare_events(detect, comparison, hours).await;
    steps.progress = answered(events, &mut steps.problems)?;
    // An alarm whose end was not compared yet is not stale: its end has its own time and type.
    let is_complete = steps.progress.is_some_and(|progress| progress.is_complete);
    if comparison.found.unsent.is_some() || !is_complete {
        return Ok(());
    }
    let active = compare_active(detect, comparison).await;
    let Some(Some(active)) = answered(active, &mut steps.problems)? else { return Ok(()) };
    steps.active = Some(active.len() as u64);
    let gone = end_stale(detect, comparison, &active).await;
    if let Some(gone) = answered(gone, &mut steps.problems)? {
        steps.gone = gone;
        steps.is_complete = true;
    }
    Ok(())
}

fn answer(steps: Steps, counts: Counts, heard_until: Option<Millis>, now: Millis) -> Answer {
    let found = steps.found;
    Answer {
        at: now,
        from: steps.progress.map(|progress| progress.from),
        heard_until,
        complete: steps.is_complete,
        events: found.events,
        fresh: found.fresh,
        on_their_way: found.on_their_way,
        suppressed: found.suppressed,
        earlier: found.earlier,
        unreadable: found.unreadable,
        counts,
        incidents: steps.incidents,
        settled: steps.settled,
        problems: steps.problems,
    }
}

/// What a step gave, if AWS IoT did not refuse it: that is a problem to alert on. Without the ledger there is nothing to
/// compare the lists with, and the run fails.
fn answered<T>(outcome: Result<T, Error>, problems: &mut Vec<Problem>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(given) => Ok(Some(given)),
        Err(error) => {
            let is_of_iot = matches!(
                &error,
                Error::Aws { operation: "ListViolationEvents" | "ListActiveViolations", .. }
            );
            if !is_of_iot {
                return Err(error);
            }
            problems.push(Problem::blind(&error));
            Ok(None)
        }
    }
}

fn is_of_the_queue(error: &Error) -> bool {
    matches!(error, Error::Aws { operation: "SendMessageBatch", .. })
}

fn problems(found: &mut Found, gone: &Lost, progress: Option<&Progress>, now: Millis) -> Vec<Problem> {
    let lost = |lost: &Lost| (lost.count > 0).then(|| lost.clone());
    let unheard = lost(&found.unheard).filter(|_| found.unsent.is_none());
    let behind = plan::behind(progress, now).filter(|seconds| *seconds > 0 && found.unsent.is_none());
    let all = [
        unheard.map(|lost| Problem::Unheard { lost }),
        lost(&found.undelivered).map(|lost| Problem::Undelivered { lost }),
        found.unsent.take().map(|why| Problem::Unsent { why }),
        lost(gone).map(|lost| Problem::Gone { lost }),
        behind.map(|seconds| Problem::Behind { seconds }),
    ];
    all.into_iter().flatten().collect()
}

fn counts(steps: &Steps, now: Millis) -> Counts {
    let refused = |problem: &&Problem| matches!(problem, Problem::Blind { .. });
    Counts {
        alarms_unheard: steps.found.unheard.count,
        alarms_undelivered: steps.found.undelivered.count,
        alarms_gone: steps.gone.count,
        active_violations: steps.active.unwrap_or_default(),
        incidents_ended: steps.incidents.len() as u64,
        behind_seconds: plan::behind(steps.progress.as_ref(), now).unwrap_or_default(),
        looks_refused: steps.problems.iter().filter(refused).count() as u64,
    }
}
