//! One look: incidents, events, active violations, and what is kept and told.

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::state_item::StateItem;
use fleetwarden_core::metrics::alarm_watch::AlarmWatch as Counts;
use fleetwarden_core::metrics::alarm_watch::alarm_watch_line;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::AlarmWatch;
use crate::events::Progress;
use crate::incidents::Ended;
use crate::memory::Memory;
use crate::send::Found;
use crate::send::Lost;
use crate::trouble;
use crate::trouble::Place;
use crate::trouble::Trouble;

/// What the watch saw.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Watched {
    at: Millis,
    /// From when on events were looked at.
    from: Option<Millis>,
    /// Where the next look begins.
    heard_until: Option<Millis>,
    /// Whether everything was looked at.
    complete: bool,
    /// How many events were looked at.
    events: u64,
    /// How many were too new to be missed.
    fresh: u64,
    /// How many were sent through a moment ago by another look.
    on_their_way: u64,
    /// How many are of behaviors whose alerts are suppressed.
    suppressed: u64,
    /// How many are from before the watch, and were brought in.
    earlier: u64,
    /// How many could not be read.
    unreadable: u64,
    /// The numbers, as the metrics have them.
    #[serde(flatten)]
    counts: Counts,
    /// The incidents that were ended.
    incidents: Vec<Ended>,
    /// How many alarms incidents that were over had left undecided.
    settled: u64,
    /// All that is wrong now, told before or not.
    troubles: Vec<Trouble>,
}

/// What a look did, step by step.
#[derive(Default)]
struct Steps {
    incidents: Vec<Ended>,
    settled: u64,
    progress: Option<Progress>,
    found: Found,
    active: Option<u64>,
    gone: Lost,
    troubles: Vec<Trouble>,
    is_complete: bool,
}

impl AlarmWatch {
    /// Looks at everything, keeps where it got to, and tells what is due.
    pub(crate) async fn look(&self, deadline: Millis, hours: Option<i64>) -> Result<Watched, Error> {
        let (now, stop_at) = (self.clock.now(), self.stop_at(deadline));
        let kept = StateItem::new(self.alarms.ledger().clone(), keys::alarm_watch());
        let memory: Memory = kept.read().await?;
        // What the ledger does not answer ends the look; what was found until then is found again by the next.
        let mut steps = self.steps(&memory, hours, (now, stop_at)).await?;
        steps.troubles.extend(troubles(&mut steps.found, &steps.gone, steps.progress.as_ref(), now));
        let counts = counts(&steps, now);
        (self.emit)(&alarm_watch_line(now, &counts));
        let place = Place { account: &self.account, region: &self.region };
        let mut after: Memory = kept
            .change(now, |memory: &mut Memory| {
                memory.since.get_or_insert(now);
                if let Some(progress) = &steps.progress {
                    memory.heard_until = Some(progress.heard_until);
                    memory.slice_seconds = Some(progress.slice_seconds);
                }
                memory.sent(steps.found.sendings.iter(), now);
                trouble::notice(&mut memory.notices, &steps.troubles, place, now);
            })
            .await?;
        kept.raise_pending(&self.alerts, &mut after, now).await?;
        Ok(Watched {
            at: now,
            from: steps.progress.map(|progress| progress.from),
            heard_until: after.heard_until,
            complete: steps.is_complete,
            events: steps.found.events,
            fresh: steps.found.fresh,
            on_their_way: steps.found.on_their_way,
            suppressed: steps.found.suppressed,
            earlier: steps.found.earlier,
            unreadable: steps.found.unreadable,
            counts,
            incidents: steps.incidents,
            settled: steps.settled,
            troubles: steps.troubles,
        })
    }

    async fn steps(
        &self,
        memory: &Memory,
        hours: Option<i64>,
        (now, stop_at): (Millis, Millis),
    ) -> Result<Steps, Error> {
        let mut steps = Steps::default();
        let found = &mut steps.found;
        // Incidents need the ledger alone. What the queue does not take leaves them as they are.
        match self.end_incidents(now, stop_at).await {
            Err(error) if is_of_the_queue(&error) => drop(found.unsent.insert(error.to_string())),
            ended => steps.incidents = ended?,
        }
        match self.settle_left(now).await {
            Err(error) if is_of_the_queue(&error) => drop(found.unsent.insert(error.to_string())),
            settled => steps.settled = settled?,
        }
        let events = self.events(memory, hours, (now, stop_at), found).await;
        steps.progress = seen(events, &mut steps.troubles)?;
        // An alarm whose end was not looked at yet is not gone: its end has its own time and word.
        if found.unsent.is_some() || !steps.progress.is_some_and(|progress| progress.is_complete) {
            return Ok(steps);
        }
        let active = self.active(memory, (now, stop_at), found).await;
        let Some(Some(active)) = seen(active, &mut steps.troubles)? else { return Ok(steps) };
        steps.active = Some(active.len() as u64);
        let gone = self.end_gone(&active, (now, stop_at), found).await;
        if let Some(gone) = seen(gone, &mut steps.troubles)? {
            steps.gone = gone;
            steps.is_complete = true;
        }
        Ok(steps)
    }
}

/// What a step showed, if AWS IoT did not refuse it. What the ledger does not answer is no blindness: there is nothing to
/// hold the lists against.
fn seen<T>(looked: Result<T, Error>, troubles: &mut Vec<Trouble>) -> Result<Option<T>, Error> {
    match looked {
        Ok(seen) => Ok(Some(seen)),
        Err(error) => {
            let is_of_iot = matches!(
                &error,
                Error::Aws { operation: "ListViolationEvents" | "ListActiveViolations", .. }
            );
            if !is_of_iot {
                return Err(error);
            }
            troubles.push(Trouble::blind(&error));
            Ok(None)
        }
    }
}

fn is_of_the_queue(error: &Error) -> bool {
    matches!(error, Error::Aws { operation: "SendMessageBatch", .. })
}

fn troubles(found: &mut Found, gone: &Lost, progress: Option<&Progress>, now: Millis) -> Vec<Trouble> {
    let lost = |lost: &Lost| (lost.count > 0).then(|| lost.clone());
    let unheard = lost(&found.unheard).filter(|_| found.unsent.is_none());
    let behind = behind(progress, now).filter(|seconds| *seconds > 0 && found.unsent.is_none());
    let all = [
        unheard.map(|lost| Trouble::Unheard { lost }),
        lost(&found.undelivered).map(|lost| Trouble::Undelivered { lost }),
        found.unsent.take().map(|why| Trouble::Unsent { why }),
        lost(gone).map(|lost| Trouble::Gone { lost }),
        behind.map(|seconds| Trouble::Behind { seconds }),
    ];
    all.into_iter().flatten().collect()
}

/// How much was not looked at for want of time, in seconds.
fn behind(progress: Option<&Progress>, now: Millis) -> Option<u64> {
    let progress = progress.filter(|progress| !progress.is_complete)?;
    u64::try_from(now.seconds() - progress.heard_until.seconds()).ok()
}

fn counts(steps: &Steps, now: Millis) -> Counts {
    let refused = |trouble: &&Trouble| matches!(trouble, Trouble::Blind { .. });
    Counts {
        alarms_unheard: steps.found.unheard.count,
        alarms_undelivered: steps.found.undelivered.count,
        alarms_gone: steps.gone.count,
        active_violations: steps.active.unwrap_or_default(),
        incidents_ended: steps.incidents.len() as u64,
        behind_seconds: behind(steps.progress.as_ref(), now).unwrap_or_default(),
        looks_refused: steps.troubles.iter().filter(refused).count() as u64,
    }
}
