//! `MitigationPause` and `MitigationResume`: the switch that stops mitigation, and what it concerns.
//!
//! The switch is written first: whatever the list of tasks costs, nothing starts any more. The tasks are found by an
//! index, newest first, so that one that was written a moment ago can be missing.

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::pause;
use fleetwarden_aws::pause::Resume;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::model::mitigation::pause::Concerned;
use fleetwarden_core::model::mitigation::pause::Pause;
use fleetwarden_core::model::mitigation::pause::Switched;
use fleetwarden_core::model::mitigation::view::Task;
use fleetwarden_core::timestamp::Millis;

use crate::list::read_since;
use crate::page::Room;
use crate::task::task;

/// For so long a task is held or followed, in seconds: none that is older waits or runs.
const LONGEST_SECONDS: i64 = 90 * 86_400;

/// `MitigationPause`.
pub(crate) async fn pause(
    ledger: &Ledger,
    command: &Command,
    request_id: &str,
    now: Millis,
    room: Room<'_>,
) -> Result<Switched, Failure> {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let wanted = Pause {
        reason: command.text("reason").to_owned(),
        by: text(command.text("by")),
        since: now.rfc3339(),
        suppressions: command.flag("suppressions"),
        request_id: text(request_id),
    };
    let pause = if command.dry_run {
        pause::read(ledger).await?.unwrap_or(wanted)
    } else {
        let pause = pause::set(ledger, &wanted).await?;
        let Pause { reason, by, suppressions, .. } = &pause;
        tracing::warn!(
            pause.reason = reason,
            pause.by = by,
            pause.suppressions = suppressions,
            "mitigation is paused"
        );
        pause
    };
    let switched =
        Switched { dry_run: command.dry_run, paused: true, pause: Some(pause), ..Switched::default() };
    concern(ledger, switched, now, room).await
}

/// `MitigationResume`.
pub(crate) async fn resume(
    ledger: &Ledger,
    command: &Command,
    now: Millis,
    room: Room<'_>,
) -> Result<Switched, Failure> {
    let text = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let resume = Resume { by: text(command.text("by")), reason: text(command.text("reason")) };
    let pause = if command.dry_run {
        pause::read(ledger).await?
    } else {
        let pause = pause::end(ledger, resume, now).await?;
        if pause.is_some() {
            tracing::warn!(resume.by = resume.by, resume.reason = resume.reason, "mitigation goes on");
        }
        pause
    };
    let switched = Switched { dry_run: command.dry_run, paused: false, pause, ..Switched::default() };
    concern(ledger, switched, now, room).await
}

/// Adds the tasks that wait, and those that run.
async fn concern(
    ledger: &Ledger,
    switched: Switched,
    now: Millis,
    mut room: Room<'_>,
) -> Result<Switched, Failure> {
    let mut switched = switched;
    let since = now.plus_seconds(-LONGEST_SECONDS).rfc3339();
    switched.more = read_since(ledger, &since, &mut room, |item, room| {
        let Some(concerned) = concerned(item) else { return true };
        let is_taken = room.take(&concerned);
        if is_taken {
            let list = if concerned.cancel.is_some() { &mut switched.running } else { &mut switched.waiting };
            list.push(concerned);
        }
        is_taken
    })
    .await?;
    Ok(switched)
}

/// A task that has not ended.
fn concerned(item: &Item) -> Option<Concerned> {
    let state = State::of(item)?;
    if !matches!(state, State::Held | State::Claimed | State::Started) {
        return None;
    }
    let task = task(item);
    let cancel = (state == State::Started).then(|| cancel(&task));
    let about = match (&task.profile, &task.behavior) {
        (Some(profile), Some(behavior)) => format!("{profile}, {behavior}"),
        _ => task.checks.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    let Task { task_id, state, rule, count, decided_at, .. } = task;
    Some(Concerned { task_id, state, rule, about, count, decided_at, cancel })
}

/// The command that cancels a task.
fn cancel(task: &Task) -> String {
    let of = if task.profile.is_some() { ("detect", "detect") } else { ("audit", "audit") };
    format!("fleetwarden {} cancel-{}-mitigation-actions-task --task-id {}", of.0, of.1, task.task_id)
}
