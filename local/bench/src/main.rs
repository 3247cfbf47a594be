//! `fleetwarden-bench`: speed and size of the functions' release binaries, each figure against its target.
//!
//! The binaries run as in Lambda, against services on this machine that answer at once. A time says little on
//! a machine that others use too, so every target is a ratio of two things measured in turns.

mod cloud;
mod environment;
mod fleet;
mod lambda;
mod measure;
mod recorder;
mod report;
mod sink;
mod tls;

use std::fs;

use anyhow::Result;

use crate::cloud::Cloud;
use crate::environment::Places;
use crate::measure::{Bench, answer, calls, decide, memory, replay, review, size, start, throughput};
use crate::report::Report;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cloud = Cloud::start(&folder.path().join("authority.pem")).await?;
    let mut bench = Bench { places: Places::find()?, cloud, folder, report: Report::default() };
    bench.report.word("cpu", &cpu());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    bench
        .report
        .word("machine", &format!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH));
    bench.report.word("endpoints", "in-process: device-defender, and a sink that answers at once");
    size::measure(&mut bench)?;
    decide::measure(&mut bench)?;
    replay::measure(&mut bench)?;
    start::measure(&mut bench).await?;
    answer::measure(&mut bench).await?;
    calls::measure(&mut bench).await?;
    throughput::measure(&mut bench).await?;
    memory::measure(&mut bench).await?;
    review::measure(&mut bench).await?;
    bench.report.finish(&bench.places.root.join("target/bench/summary.json"))
}

/// The processor's name, if the system tells it.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split(':').nth(1))
        .map_or_else(|| "unknown".into(), |name| name.trim().to_owned())
}
