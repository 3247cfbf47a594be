//! `fleetwarden policy replay`: what a policy would have made of past audits and alarms, and what another one changes.

use super::Source;
use crate::aws::settings::Settings;
use crate::exit::Exit;
use crate::fleet::Fleet;
use crate::output::{Width, line, note};
use crate::replay::bucket::Bucket;
use crate::replay::disposition::FailOn;
use crate::replay::folder::Folder;
use crate::replay::partition::Days;
use crate::replay::report::Report;
use crate::replay::{Object, Plan, Replay, table};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;
use tokio::runtime::Handle;

/// Arguments of `policy replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden policy replay --archive s3://BUCKET --since 2026-11-01
  fleetwarden policy replay --archive DIR --against new.yaml --fail-on mitigate")]
pub(crate) struct Arguments {
    /// Folder of the archive, or of a part of it; or `s3://BUCKET[/PREFIX]`
    #[arg(long, value_name = "DIR|s3://BUCKET")]
    archive: String,
    /// The policy file
    #[arg(long, default_value = "policies/deployed/policy.yaml")]
    policy: PathBuf,
    /// File with the things and groups of the fleet, as `fleetwarden things export` makes it, for what the archive does not
    /// say of the things behind a resource
    #[arg(long, value_name = "FILE")]
    things: Option<PathBuf>,
    /// First day of the audits and alarms that count, as 2026-11-23, in UTC
    #[arg(long, value_name = "DATE")]
    since: Option<Date>,
    /// Last day of the audits and alarms that count
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    /// Policy file to compare with: say what changes from the first one to this one
    #[arg(long, value_name = "OTHER-POLICY")]
    against: Option<PathBuf>,
    /// Exit with 1 when the other policy changes this; what needs a lookup counts as mitigated
    #[arg(long, requires = "against")]
    fail_on: Option<FailOn>,
    /// One JSON object in place of the tables
    #[arg(long)]
    json: bool,
    /// How many findings and behaviors that change are named, and how many audits and days are shown
    #[arg(long, default_value_t = 20, value_name = "N")]
    top: usize,
    #[command(flatten)]
    width: Width,
}

/// Replays an archive.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let stop = Stop::default();
    let flag = Arc::clone(&stop.0);
    tokio::task::spawn_blocking(move || replay(&arguments, &flag)).await?
}

/// What a command that was interrupted tells its threads: nobody waits for them any longer.
#[derive(Debug, Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn replay(arguments: &Arguments, stop: &AtomicBool) -> Result<Exit> {
    let source = Source::read(&arguments.policy)?;
    let other = arguments.against.as_deref().map(Source::read).transpose()?;
    let fleet = arguments.things.as_deref().map(Fleet::read).transpose()?;
    let plan = Plan {
        fleet: fleet.as_ref(),
        policy: &source.policy,
        against: other.as_ref().map(|other| &other.policy),
        days: Days { since: arguments.since, until: arguments.until },
        top: arguments.top,
        threads: thread::available_parallelism().map_or(1, usize::from),
    };
    let replay = read(&arguments.archive, plan, stop)?;
    let file = |source: &Source| source.path.display().to_string();
    let report = Report::new(replay, arguments.archive.clone(), file(&source), other.as_ref().map(file));
    if arguments.json {
        line(serde_json::to_string_pretty(&report)?);
    } else {
        line(table::tables(&report, arguments.top, arguments.width.layout()));
    }
    report.damage.remarks().into_iter().for_each(note);
    if report.damage.is_any() {
        return Ok(Exit::Damaged);
    }
    let of_findings = report.against.iter().flat_map(|against| &against.by_rule).map(|pair| pair.change);
    let of_alarms = report.alarms.iter().filter_map(|alarms| alarms.against.as_ref());
    let changes = of_findings.chain(of_alarms.flat_map(|against| against.kinds.iter().copied()));
    let fails = |on: FailOn| changes.clone().any(|change| on.concerns(change));
    Ok(if arguments.fail_on.is_some_and(fails) { Exit::Failed } else { Exit::Done })
}

/// Reads the archive.
fn read<'p>(archive: &str, plan: Plan<'p>, stop: &AtomicBool) -> Result<Replay<'p>> {
    if let Some(place) = archive.strip_prefix("s3://") {
        let runtime = Handle::current();
        let bucket =
            runtime.block_on(async { Bucket::list(place, plan.days, Settings::find().await?).await })?;
        let size = bucket.size();
        return run_through(plan, size, |sender| runtime.block_on(bucket.feed(sender)), stop, archive);
    }
    let folder = Folder::list(Path::new(archive), plan.days)?;
    run_through(plan, folder.size(), |sender| folder.feed(&sender), stop, archive)
}

fn run_through<'p>(
    plan: Plan<'p>,
    (objects, bytes): (usize, u64),
    feed: impl FnOnce(SyncSender<Object>) + Send,
    stop: &AtomicBool,
    archive: &str,
) -> Result<Replay<'p>> {
    if objects == 0 {
        bail!(
            "there are no findings in {archive} (findings/account=…/region=…/day=…/check=…/….ndjson.gz) of these days, and no \
             alarms (alarms/account=…/region=…/day=…/….ndjson.gz)"
        );
    }
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {eta} left")
        .context("the progress bar")?;
    // Only where somebody looks: it hides itself when standard error is no terminal.
    let bar = ProgressBar::new(bytes).with_style(style);
    let replay = Replay::run(plan, feed, &bar, stop);
    bar.finish_and_clear();
    Ok(replay)
}
