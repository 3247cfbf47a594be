//! Runs seeds, and says which promises were broken by which.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use fleetwarden_simulation::Outcome;
use fleetwarden_simulation::Part;
use fleetwarden_simulation::run_part;
use fleetwarden_simulation::shrink;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde::Serialize;

/// Simulate the whole stack under every order of events and every fault, from seeds.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run this seed alone, and print its trace.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// With --seed: print the figures of the run as JSON instead of its trace.
    #[arg(long, requires = "seed")]
    figures: bool,
    /// With --seed: find the least of it that still breaks a promise, and say how to replay that.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// With --seed: so many steps of its workload at most.
    #[arg(long, requires = "seed")]
    steps: Option<usize>,
    /// With --seed: the first faults only, so many.
    #[arg(long, requires = "seed")]
    faults: Option<u64>,
    /// With --seed: without these faults, by their numbers.
    #[arg(long, requires = "seed", value_delimiter = ',')]
    without: Vec<u64>,
    /// Begin no further seed after so many seconds.
    #[arg(long)]
    within: Option<u64>,
    /// Begin no further seed after one that broke a promise.
    #[arg(long)]
    until_failure: bool,
    /// Where the figures go.
    #[arg(long, default_value = "target/sim/summary.json")]
    summary: PathBuf,
}

/// The figures of all runs.
#[derive(Debug, Default, Serialize)]
struct Summary {
    seeds: u64,
    violations: u64,
    steps: u64,
    invocations: u64,
    kills: u64,
    findings: u64,
    mitigated: u64,
    alarms: u64,
    alarms_mitigated: u64,
    undone: u64,
    suppressions_undone: u64,
    /// Canaries whose devices have lost their connection.
    disconnected: u64,
    approvals: u64,
    held: u64,
    /// The seeds in which a guard held a mitigation or a mitigation was undone.
    guarded: u64,
    faults: BTreeMap<String, u64>,
    /// The seeds that broke a promise.
    failed: Vec<u64>,
    seconds: f64,
}

/// Prints a line. Somebody who stops reading has seen enough.
fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        let Arguments { steps, faults, without, figures, .. } = arguments;
        let part = Part { is_read: !figures, steps, faults, without: without.into_iter().collect() };
        if figures {
            line(&serde_json::to_string(&run_part(seed, &part))?);
            return Ok(ExitCode::SUCCESS);
        }
        return Ok(if arguments.shrink { least(seed) } else { trace(seed, &part) });
    }
    let began = Instant::now();
    let summary = all(&arguments, began);
    let summary = Summary { seconds: began.elapsed().as_secs_f64(), ..summary };
    if let Some(folder) = arguments.summary.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let text = serde_json::to_string_pretty(&summary)? + "\n";
    fs::write(&arguments.summary, text)
        .with_context(|| format!("cannot write {}", arguments.summary.display()))?;
    line(&format!(
        "{} seeds ({} with a mitigation that was held or undone), {} steps, {} faults, {} kills in {:.0} s: {} broke a promise",
        summary.seeds,
        summary.guarded,
        summary.steps,
        summary.faults.values().sum::<u64>(),
        summary.kills,
        summary.seconds,
        summary.failed.len()
    ));
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn trace(seed: u64, part: &Part) -> ExitCode {
    let outcome = run_part(seed, part);
    for text in &outcome.trace {
        line(text);
    }
    line(&format!("digest {:016x}", outcome.digest));
    broken(&outcome)
}

fn broken(outcome: &Outcome) -> ExitCode {
    for violation in &outcome.violations {
        line(&format!("broken: {violation}"));
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn least(seed: u64) -> ExitCode {
    let Some((part, outcome)) = shrink(|part| alone(seed, part)) else {
        line(&format!("seed {seed} breaks no promise"));
        return ExitCode::SUCCESS;
    };
    let command = format!("target/debug/fleetwarden-simulation {}", options(seed, &part).join(" "));
    let faults: u64 = outcome.faults.values().sum();
    line(&format!("{} steps and {faults} faults are enough: {command}", outcome.played));
    broken(&outcome)
}

/// The command line of a part of a seed.
fn options(seed: u64, part: &Part) -> Vec<String> {
    let numbers = part.without.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let options = [
        ("--seed", Some(seed.to_string())),
        ("--steps", part.steps.map(|steps| steps.to_string())),
        ("--faults", part.faults.map(|faults| faults.to_string())),
        ("--without", Some(numbers).filter(|numbers| !numbers.is_empty())),
    ];
    options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten().collect()
}

/// Runs a part of a seed in a process of its own, in which it is always the same run.
fn alone(seed: u64, part: &Part) -> Outcome {
    let figures = || -> anyhow::Result<Outcome> {
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.args(options(seed, part)).arg("--figures").output()?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    figures().unwrap_or_else(|error| Outcome {
        violations: vec![format!("the seed cannot be run: {error:#}")],
        ..Outcome::default()
    })
}

fn all(arguments: &Arguments, began: Instant) -> Summary {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {elapsed} of about {duration}");
    let bar =
        ProgressBar::new(arguments.seeds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (next, summary) = (AtomicU64::new(0), Mutex::new(Summary::default()));
    let has_failed = AtomicBool::new(false);
    let within = arguments.within.map(Duration::from_secs);
    let work = || loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        let is_late = within.is_some_and(|within| began.elapsed() >= within);
        if nth >= arguments.seeds
            || is_late
            || (arguments.until_failure && has_failed.load(Ordering::Relaxed))
        {
            return;
        }
        let seed = arguments.first + nth;
        let outcome = alone(seed, &Part::default());
        let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.seeds += 1;
        summary.steps += outcome.steps;
        summary.invocations += outcome.invocations;
        summary.kills += outcome.kills;
        summary.findings += outcome.findings;
        summary.mitigated += outcome.mitigated;
        summary.alarms += outcome.alarms;
        summary.alarms_mitigated += outcome.alarms_mitigated;
        summary.undone += outcome.undone;
        summary.suppressions_undone += outcome.suppressions_undone;
        summary.disconnected += outcome.disconnected;
        summary.approvals += outcome.approvals;
        summary.held += outcome.held;
        summary.guarded += u64::from(outcome.held + outcome.undone > 0);
        for (fault, times) in outcome.faults {
            *summary.faults.entry(fault).or_default() += times;
        }
        if let Some(first) = outcome.violations.first() {
            has_failed.store(true, Ordering::Relaxed);
            summary.violations += outcome.violations.len() as u64;
            summary.failed.push(seed);
            bar.suspend(|| {
                line(&format!("seed {seed} broke {} promises, such as: {first}", outcome.violations.len()));
                line(&format!("  make sim SEED={seed}; the least of it: make sim SEED={seed} SHRINK=1"));
            });
        }
        bar.inc(1);
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failed.sort_unstable();
    summary
}
