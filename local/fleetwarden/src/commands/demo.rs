//! `fleetwarden demo`: the whole path of a finding on one machine, twice, what guards do on it, and the account of it; or
//! that of alarms.

use super::Local;
use crate::demo::report::Report;
use crate::demo::review::{Review, left_out};
use crate::demo::summary::{Observed, Rest, Summary};
use crate::demo::{archive, crash, detect, drain, guards, table};
use crate::exit::Exit;
use crate::output::{Layout, line, note};
use crate::stack::Stack;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use device_defender::Clock;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The policy of the demonstration.
const POLICY: &str = include_str!("../demo/policy.yaml");
/// The policy of the demonstration of Detect.
const DETECT: &str = include_str!("../demo/detect.yaml");

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden demo
  fleetwarden demo --observe --findings 200
  fleetwarden demo --detect --stay")]
pub(crate) struct Arguments {
    #[command(flatten)]
    local: Local,
    /// Decide everything and change nothing
    #[arg(long, conflicts_with = "detect")]
    observe: bool,
    /// Kill each function once in the middle of the first audit's work, and deliver its notification twice
    #[arg(long, conflicts_with = "detect")]
    kill: bool,
    /// Policy file in place of the demonstration's own
    #[arg(long, conflicts_with = "observe")]
    policy: Option<PathBuf>,
    /// File that gets the figures as JSON, and beside it the report; target/demo/summary.json below the root if left out,
    /// of Detect target/demo/detect.json
    #[arg(long)]
    summary: Option<PathBuf>,
    /// Seconds that the work of one audit may take
    #[arg(long, default_value_t = 900)]
    limit_seconds: u64,
    /// Keep the stack up afterwards, until it is stopped
    #[arg(long)]
    stay: bool,
}

/// Runs the demonstration: of audits, or of Detect. The exit code is a failure when anything was lost, parked or done
/// twice, or a scenario ended otherwise than it should.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let started = Instant::now();
    let root = arguments.local.places.root()?;
    let folder = root.join("target/demo");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let policy = policy(&arguments, &folder)?;
    let mut plan = arguments.local.plan(&policy, None, 0)?;
    if arguments.local.detect {
        plan.defender.clock = Clock::behind(detect::clock::BEHIND);
    }
    note("fleetwarden: bringing the stack up");
    let stack = Stack::up(&plan).await?;
    let limit = Duration::from_secs(arguments.limit_seconds);
    if arguments.local.detect {
        return alarms(&stack, &arguments, &folder, limit).await;
    }
    let mut killed = Vec::new();
    let (first, second) = match audits(&stack, limit, arguments.kill.then_some(&mut killed)).await {
        Ok(audits) => audits,
        Err(error) => {
            parked(&stack).await?;
            return Err(error.context(keep_log(&stack, &folder)));
        }
    };
    let layout = Layout::of_terminal();
    line(table::table(&first, &second, layout));
    let archive = folder.join("archive");
    let archived = archive::keep(stack.cloud(), stack.output("ArchiveBucketName")?, &archive).await?;
    let review = Review::ask(&stack).await?;
    let report = Report::ask(&stack, &second.task).await?;
    line(report.table(layout));
    line(review.line());
    let report_faults = [review.faults(&second.found), report.faults(&first.found, &second.found)].concat();
    let guards = match scenes(&stack, &arguments, &second.task, &folder).await {
        Ok(guards) => guards,
        Err(error) => {
            parked(&stack).await?;
            return Err(error.context(keep_log(&stack, &folder)));
        }
    };
    let rest = Rest {
        observe: arguments.observe,
        parked: parked(&stack).await?,
        killed,
        archive_objects: archived,
        report_faults,
        guards,
        seconds: started.elapsed().as_secs_f64(),
    };
    let summary = Summary::new(&[first, second], rest);
    let path = figures(&arguments, &folder, "summary.json")?;
    let text = serde_json::to_string_pretty(&summary)?;
    fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    line(summary.verdict());
    line(format!("figures: {}", path.display()));
    line(format!("report of the last audit: {}", report.write(&path)?.display()));
    where_to_look(&stack);
    line(format!("archive, kept: {}", archive.display()));
    line(format!(
        "  fleetwarden policy replay --archive {} --policy {}",
        archive.display(),
        policy.display()
    ));
    let faults = summary.faults();
    ended(&stack, &arguments, &folder, &faults).await
}

/// The scenes of guards, unless the demonstration is of something else: of what observe mode leaves alone, of functions that
/// die, or of another policy.
async fn scenes(
    stack: &Stack,
    arguments: &Arguments,
    last_audit: &str,
    folder: &Path,
) -> Result<Option<guards::Account>> {
    if arguments.observe || arguments.kill || arguments.policy.is_some() {
        return Ok(None);
    }
    guards::run(stack, last_audit, &folder.join("policy-guards.yaml")).await
}

/// The demonstration of Detect.
async fn alarms(stack: &Stack, arguments: &Arguments, folder: &Path, limit: Duration) -> Result<Exit> {
    let account = match detect::run(stack, &figures(arguments, folder, "detect.json")?, limit).await {
        Ok(account) => account,
        Err(error) => {
            parked(stack).await?;
            return Err(error.context(keep_log(stack, folder)));
        }
    };
    let mut faults = account.faults();
    faults.extend(
        parked(stack).await?.iter().map(|(name, count)| format!("{count} messages parked on {name}")),
    );
    where_to_look(stack);
    ended(stack, arguments, folder, &faults).await
}

/// The file that gets the figures, in a folder that is there.
fn figures(arguments: &Arguments, folder: &Path, name: &str) -> Result<PathBuf> {
    let path = arguments.summary.clone().unwrap_or_else(|| folder.join(name));
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
    }
    Ok(path)
}

/// Says what went wrong, keeps the stack up if that is wanted, and gives the exit code.
async fn ended(stack: &Stack, arguments: &Arguments, folder: &Path, faults: &[String]) -> Result<Exit> {
    for fault in faults {
        note(format!("fleetwarden: {fault}"));
    }
    if !faults.is_empty() {
        note(keep_log(stack, folder));
    }
    if arguments.stay {
        note("fleetwarden: the stack stays up; Ctrl-C ends it");
        std::future::pending::<()>().await;
    }
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Failed })
}

/// The policy file that the functions read: the demonstration's own, in the mode that was asked for.
fn policy(arguments: &Arguments, folder: &Path) -> Result<PathBuf> {
    if let Some(policy) = &arguments.policy {
        return Ok(policy.clone());
    }
    let (name, text) = if arguments.local.detect {
        ("policy-detect.yaml", DETECT.to_owned())
    } else if arguments.observe {
        ("policy-observe.yaml", POLICY.replace("mode: enforce", "mode: observe"))
    } else {
        ("policy.yaml", POLICY.to_owned())
    };
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Two audits, one after the other. In the first, functions are killed if there is a list for their names.
async fn audits(
    stack: &Stack,
    limit: Duration,
    killed: Option<&mut Vec<String>>,
) -> Result<(Observed, Observed)> {
    let checks = stack.defender.enabled_checks().await?;
    let first = match killed {
        None => audit(stack, &checks, limit).await?,
        Some(killed) => {
            stack.publish_twice(true);
            let observed = {
                let killing = async {
                    crash::each_once(stack, killed).await?;
                    std::future::pending::<Result<Observed>>().await
                };
                tokio::select! {
                    observed = audit(stack, &checks, limit) => observed?,
                    failed = killing => failed?,
                }
            };
            stack.publish_twice(false);
            observed
        }
    };
    let second = audit(stack, &checks, limit).await?;
    Ok((first, second))
}

/// One audit, from its start until all is quiet again.
async fn audit(stack: &Stack, checks: &[String], limit: Duration) -> Result<Observed> {
    let before = stack.defender.done().await?;
    let started = Instant::now();
    let task = stack.defender.start_audit(checks).await?;
    let found = loop {
        let found = stack.defender.found(&task).await?;
        if found.task_status != "IN_PROGRESS" {
            break found;
        }
        if started.elapsed() > limit {
            bail!("audit {task} has not ended after {} s", limit.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    note(format!("fleetwarden: audit {task} has {} findings", found.all()));
    let exported = drain::drained(stack, &task, found.all(), limit).await?;
    let after = stack.defender.done().await?;
    let seconds = started.elapsed().as_secs_f64();
    let left_out = left_out(stack, &task).await?;
    Ok(Observed { task, found, exported, left_out, before, after, seconds })
}

/// The dead-letter queues that are not empty, each with the first of its messages as a remark.
async fn parked(stack: &Stack) -> Result<BTreeMap<String, u64>> {
    let mut parked = BTreeMap::new();
    for name in stack.dead_letter_queues() {
        let queue = stack.dead_letter_queue(name)?;
        let count = stack.cloud().depth(queue).await?.total();
        if count == 0 {
            continue;
        }
        for message in stack.cloud().peek(queue).await?.iter().take(1) {
            let text: String = message.to_string().chars().take(2_000).collect();
            note(format!("fleetwarden: parked on {name}: {text}"));
        }
        parked.insert(name.to_owned(), count);
    }
    Ok(parked)
}

/// Saves the emulator's log, which goes with the stack, and says where it is.
fn keep_log(stack: &Stack, folder: &Path) -> String {
    let kept = folder.join("ministack.log");
    match fs::copy(stack.log(), &kept) {
        Ok(_) => format!("the emulator's log is in {}", kept.display()),
        Err(error) => format!("the emulator's log could not be kept: {error}"),
    }
}

fn where_to_look(stack: &Stack) {
    for (what, output) in [
        ("findings, one log event each", "FindingsLogGroupName"),
        ("archive, compressed lines of JSON", "ArchiveBucketName"),
        ("ledger", "LedgerTableName"),
        ("dashboard", "DashboardName"),
    ] {
        if let Ok(name) = stack.output(output) {
            line(format!("{what}: {name}"));
        }
    }
    line(format!("emulator: {} (with --stay)", stack.cloud().url()));
    line(format!("Device Defender: {}/_control/state (with --stay)", stack.defender.url()));
}
