//! `fleetwarden mitigation`: what the ledger of a stack knows of mitigation tasks, a person's word on them, the switch that
//! stops them, and their undo, in AWS or on this machine.
//!
//! It asks the function `mitigation-commands`, for lists page by page, until there is as much as is wanted. [`task`],
//! [`list`] and [`pause`] are what people read; programs take the same as JSON or text.

mod approval;
mod budget;
mod list;
mod pause;
mod task;
#[cfg(test)]
mod tests;
mod undone;
mod words;

use crate::aws::Again;
use crate::aws::function::Function;
use crate::aws::settings::Settings;
use crate::commands::answer::Common;
use crate::exit::Exit;
use crate::output::{Layout, Painted, line, note, waiting};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use fleetwarden_core::api::{self, Operation};
use fleetwarden_core::model::mitigation::STATES;
use fleetwarden_core::model::mitigation::approval::Answered;
use fleetwarden_core::model::mitigation::budget::Budgets;
use fleetwarden_core::model::mitigation::pause::Switched;
use fleetwarden_core::model::mitigation::undo::{Undone, UndoneResource, UndoneTask};
use fleetwarden_core::model::mitigation::view::{Listed, Shown};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The function.
const FUNCTION: &str = "mitigation-commands";
/// How many entries one invocation gives at most.
const PAGE: usize = 250;

/// Arguments of `mitigation`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden mitigation list --state failed
  fleetwarden mitigation show fw-4e2bcd1ccbc2a5dd15292a82ab80c380
  fleetwarden mitigation approve fw-4e2bcd1c --reason 'these are ours'
  fleetwarden mitigation budget
  fleetwarden mitigation pause \"the last rollout looks wrong\"
  fleetwarden mitigation resume
  fleetwarden mitigation undo --since 2026-11-23 --reason 'wrong rule' --dry-run")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a mitigation task: who asked for it, its state, and the result for each finding or device
    Show(Show),
    /// List mitigation tasks, the newest first
    List(List),
    /// Show what is used of each budget, by which tasks, and when there is room again
    #[command(after_help = "\
Examples:
  fleetwarden mitigation budget
  fleetwarden mitigation budget --query 'budgets[].tasks[].taskId' --output text")]
    Budget,
    /// Stop all mitigation: nothing starts until it is resumed
    Pause(Pausing),
    /// End a pause: what it holds goes on within 15 minutes
    Resume(Resuming),
    /// Approve mitigation tasks that wait for a person: they start within a minute
    Approve(Approve),
    /// Reject mitigation tasks that have not started: they never start
    Reject(Say),
    /// Cancel mitigation tasks: those that run at Device Defender, and those held
    Cancel(Say),
    /// Put back what a mitigation task has changed, as it was before
    Undo(Undo),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden mitigation pause \"the last rollout looks wrong\"
  fleetwarden mitigation pause \"audit of the fleet\" --suppressions --dry-run")]
struct Pausing {
    /// Why: it stands in the ledger and with every task that the pause holds
    reason: String,
    /// Who pauses
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    by: Option<String>,
    /// Stop suppressions, too
    #[arg(long)]
    suppressions: bool,
    /// Only show what would wait and what runs
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden mitigation resume
  fleetwarden mitigation resume --reason \"the rollout is rolled back\"")]
struct Resuming {
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who resumes
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    by: Option<String>,
    /// Only show what would go on
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden mitigation show fw-4e2bcd1ccbc2a5dd15292a82ab80c380
  fleetwarden mitigation show fw-4e2bcd1ccbc2a5dd15292a82ab80c380 \\
      --query 'findings[?state==`failed`].things' --output text")]
struct Show {
    /// The task's id, such as fw-4e2bcd1ccbc2a5dd15292a82ab80c380
    task: String,
    /// How many findings or devices to show at most, first those that did not succeed
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_items: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden mitigation list --state failed --start-time 2026-11-16
  fleetwarden mitigation list --audit-task-id 8850eced986ec360f9b350835a621bcf")]
struct List {
    /// Only those on findings of this audit, by check
    #[arg(long, value_name = "ID")]
    audit_task_id: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Only those decided since this time, such as 2026-11-23 or 2026-11-23T08:00:00Z
    #[arg(long, value_name = "TIME")]
    start_time: Option<String>,
    /// Only those decided until this time
    #[arg(long, value_name = "TIME")]
    end_time: Option<String>,
    /// How many tasks to list at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    max_items: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden mitigation approve fw-4e2bcd1c --reason 'these are ours'
  fleetwarden mitigation approve fw-4e2bcd1c --explanation d768d276a387 \\
      --reason 'these are ours'")]
struct Approve {
    #[command(flatten)]
    say: Say,
    /// Approve only what has this explanation: the alert and `show` name it
    #[arg(long, value_name = "ID")]
    explanation: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden mitigation reject fw-4e2bcd1c --reason 'wrong devices'
  fleetwarden mitigation cancel fw-4e2bcd1c --reason 'wrong rule' --dry-run")]
struct Say {
    /// The tasks' ids, such as fw-4e2bcd1ccbc2a5dd15292a82ab80c380
    #[arg(required = true, value_name = "TASK")]
    tasks: Vec<String>,
    /// Why: the ledger keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who says so
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    by: Option<String>,
    /// Only show what would be changed
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden mitigation undo fw-4e2bcd1c --reason 'wrong rule' --dry-run
  fleetwarden mitigation undo fw-4e2bcd1c --resource lamp-1 --reason 'ours'
  fleetwarden mitigation undo --since 2026-11-23T08:00:00Z --reason 'wrong rule'")]
struct Undo {
    /// The task's id, such as fw-4e2bcd1ccbc2a5dd15292a82ab80c380
    #[arg(required_unless_present = "since", conflicts_with = "since")]
    task: Option<String>,
    /// Undo all tasks that were decided on since this time, the newest first
    #[arg(long, value_name = "TIME", conflicts_with_all = ["finding_id", "violation_id", "resource"])]
    since: Option<String>,
    /// Only what was changed because of this finding
    #[arg(long, value_name = "ID", conflicts_with_all = ["violation_id", "resource"])]
    finding_id: Option<String>,
    /// Only what was changed because of this violation
    #[arg(long, value_name = "ID", conflicts_with = "resource")]
    violation_id: Option<String>,
    /// Only this certificate, thing or policy
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Why: the ledger keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Put back also what was changed since the mitigation
    #[arg(long)]
    force: bool,
    /// Show what would be put back, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Say {
    /// The members of the event, without the task.
    fn members(&self, command: &str, explanation: Option<&str>) -> Value {
        json!({
            "command": command, "by": self.by, "reason": self.reason, "explanation": explanation,
            "dryRun": self.dry_run.then_some(true),
        })
    }
}

/// What comes in pages.
pub(super) trait Pages: DeserializeOwned + Serialize {
    /// How many entries it has.
    fn count(&self) -> usize;

    /// The token of what comes after it.
    fn token(&mut self) -> &mut Option<String>;

    /// Adds the page after it.
    fn add(&mut self, page: Self);

    /// Whether all that was asked for is done.
    fn is_good(&self) -> bool {
        true
    }
}

/// Shows or lists.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let (event, most) = event(&arguments.command);
    let common = &arguments.common;
    match arguments.command {
        Command::Show(_) => print::<Shown>(common, event, most, task::text).await,
        Command::List(_) => print::<Listed>(common, event, most, list::text).await,
        Command::Budget => once::<Budgets>(common, event, budget::text).await,
        Command::Pause(_) | Command::Resume(_) => once::<Switched>(common, event, pause::text).await,
        Command::Undo(_) => print::<Undone>(common, event, most, undone::text).await,
        Command::Approve(Approve { say, explanation }) => {
            if say.tasks.len() > 1 && explanation.is_some() {
                bail!("--explanation is of one task: give that one alone");
            }
            each(common, event, &say.tasks).await
        }
        Command::Reject(say) | Command::Cancel(say) => each(common, event, &say.tasks).await,
    }
}

/// Gives a person's word on each task. What fails for one is no failure of the others.
async fn each(common: &Common, event: Map<String, Value>, tasks: &[String]) -> Result<Exit> {
    let mut exit = Exit::Done;
    for task in tasks {
        let mut event = event.clone();
        event.insert("taskId".to_owned(), task.as_str().into());
        let done = once::<Answered>(common, event, approval::text).await?;
        if done != Exit::Done {
            exit = done;
        }
    }
    Ok(exit)
}

/// The event for the function, and how many entries are wanted.
fn event(command: &Command) -> (Map<String, Value>, usize) {
    let (members, most) = match command {
        Command::Show(show) => (json!({"command": "MitigationShow", "taskId": show.task}), show.max_items),
        Command::List(list) => {
            let members = json!({
                "command": "MitigationList", "auditTaskId": list.audit_task_id, "state": list.state,
                "startTime": list.start_time, "endTime": list.end_time,
            });
            (members, list.max_items)
        }
        Command::Budget => (json!({"command": "MitigationBudget"}), 1),
        Command::Pause(Pausing { reason, by, suppressions, dry_run }) => {
            let members = json!({
                "command": "MitigationPause", "reason": reason, "by": by, "suppressions": suppressions,
                "dryRun": dry_run,
            });
            (members, 1)
        }
        Command::Resume(Resuming { reason, by, dry_run }) => {
            let members =
                json!({"command": "MitigationResume", "reason": reason, "by": by, "dryRun": dry_run});
            (members, 1)
        }
        Command::Approve(Approve { say, explanation }) => {
            (say.members("MitigationApprove", explanation.as_deref()), 1)
        }
        Command::Reject(say) => (say.members("MitigationReject", None), 1),
        Command::Cancel(say) => (say.members("MitigationCancel", None), 1),
        Command::Undo(undo) => {
            let flag = |given: bool| given.then_some(true);
            let members = json!({
                "command": "MitigationUndo", "taskId": undo.task, "since": undo.since, "findingId": undo.finding_id,
                "violationId": undo.violation_id, "resource": undo.resource, "reason": undo.reason,
                "force": flag(undo.force), "dryRun": flag(undo.dry_run),
            });
            (members, usize::MAX)
        }
    };
    let Value::Object(mut members) = members else { return (Map::new(), most) };
    members.retain(|_, value| !value.is_null() && *value != json!(""));
    (members, most.max(1))
}

/// Asks a stack's function, and prints its answer.
pub(super) async fn print<T: Pages>(
    common: &Common,
    event: Map<String, Value>,
    most: usize,
    text: fn(&T, Layout) -> Painted,
) -> Result<Exit> {
    let view = common.view()?;
    let Some(mut answer) = ask::<T>(common, event, most).await? else { return Ok(Exit::Failed) };
    let value = serde_json::to_value(&answer)?;
    let table = |layout| text(&answer, layout);
    view.show(&value, |layout| Ok(table(layout)), |layout| Some(table(layout)))?.into_iter().for_each(line);
    if !answer.is_good() {
        return Ok(Exit::Failed);
    }
    if answer.token().is_some() {
        note(format!("these are the first {}: --max-items shows more", answer.count()));
    }
    Ok(Exit::Done)
}

/// Asks a stack's function once, and prints its answer.
async fn once<T: DeserializeOwned + Serialize>(
    common: &Common,
    event: Map<String, Value>,
    text: fn(&T, Layout) -> Painted,
) -> Result<Exit> {
    let view = common.view()?;
    let settings = Settings::of(&common.aws).await?;
    let spinner = waiting(format!("{FUNCTION} in {}", settings.region()));
    let function = Function::find(settings, &common.stack, FUNCTION).await?.by(alias(&event));
    // A pause that is made twice is one pause, and so is its end.
    let answer = function.invoke(Value::Object(event).to_string().into(), Again::Always).await;
    spinner.finish_and_clear();
    let answer = answer.with_context(|| format!("cannot invoke {FUNCTION}"))?;
    if answer.failed {
        note(format!("fleetwarden: {}", super::audit::why(FUNCTION, &answer.body)));
        return Ok(Exit::Failed);
    }
    let told: T = read(&answer.body)?;
    let value = serde_json::to_value(&told)?;
    let table = |layout| text(&told, layout);
    view.show(&value, |layout| Ok(table(layout)), |layout| Some(table(layout)))?.into_iter().for_each(line);
    Ok(Exit::Done)
}

/// The alias of the function that takes a command.
fn alias(event: &Map<String, Value>) -> Option<&'static str> {
    let command = event.get("command").and_then(Value::as_str).unwrap_or_default();
    api::mitigation(command).ok().and_then(Operation::alias)
}

/// An answer of the function.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).context("the answer is not one of mitigation-commands")
}

/// Asks a stack's function. Nothing, if it fails: why is told.
async fn ask<T: Pages>(common: &Common, event: Map<String, Value>, most: usize) -> Result<Option<T>> {
    let settings = Settings::of(&common.aws).await?;
    let spinner = waiting(format!("{FUNCTION} in {}", settings.region()));
    let function = Function::find(settings, &common.stack, FUNCTION).await?.by(alias(&event));
    let answer = all::<T>(&function, event, most).await;
    spinner.finish_and_clear();
    answer
}

/// The pages of an answer, one after the other, until there are enough entries.
async fn all<T: Pages>(function: &Function, mut event: Map<String, Value>, most: usize) -> Result<Option<T>> {
    let mut all: Option<T> = None;
    loop {
        let left = most.saturating_sub(all.as_ref().map_or(0, Pages::count));
        // An undo goes on until all of it is done.
        if most < usize::MAX {
            event.insert("maxResults".to_owned(), left.min(PAGE).into());
        }
        let answer = function.invoke(Value::Object(event.clone()).to_string().into(), Again::Always).await;
        let answer = answer.with_context(|| format!("cannot invoke {FUNCTION}"))?;
        if answer.failed {
            note(format!("fleetwarden: {}", super::audit::why(FUNCTION, &answer.body)));
            return Ok(None);
        }
        let page: T = read(&answer.body)?;
        let mut so_far = match all.take() {
            Some(mut all) => {
                all.add(page);
                all
            }
            None => page,
        };
        let Some(token) = so_far.token().clone().filter(|_| so_far.count() < most) else {
            return Ok(Some(so_far));
        };
        if event.insert("nextToken".to_owned(), token.clone().into()) == Some(token.into()) {
            bail!("{FUNCTION} gave the same nextToken twice");
        }
        all = Some(so_far);
    }
}

impl Pages for Shown {
    fn count(&self) -> usize {
        self.findings.len() + self.violations.len()
    }

    fn token(&mut self) -> &mut Option<String> {
        &mut self.next_token
    }

    fn add(&mut self, page: Self) {
        self.task = page.task;
        self.findings.extend(page.findings);
        self.violations.extend(page.violations);
        self.next_token = page.next_token;
    }
}

impl Pages for Listed {
    fn count(&self) -> usize {
        self.tasks.len()
    }

    fn token(&mut self) -> &mut Option<String> {
        &mut self.next_token
    }

    fn add(&mut self, page: Self) {
        self.tasks.extend(page.tasks);
        self.next_token = page.next_token;
    }
}

impl Pages for Undone {
    fn count(&self) -> usize {
        self.tasks.iter().map(|task| task.resources.len()).sum()
    }

    fn token(&mut self) -> &mut Option<String> {
        &mut self.next_token
    }

    /// A task can begin on one page and go on on the next.
    fn add(&mut self, page: Self) {
        for task in page.tasks {
            match self.tasks.last_mut().filter(|last| last.task_id == task.task_id) {
                Some(last) => {
                    last.reason = task.reason.or(last.reason.take());
                    last.resources.extend(task.resources);
                }
                None => self.tasks.push(task),
            }
        }
        self.next_token = page.next_token;
    }

    fn is_good(&self) -> bool {
        let is_good =
            |task: &UndoneTask| task.reason.is_none() && task.resources.iter().all(UndoneResource::is_good);
        self.tasks.iter().all(is_good)
    }
}
