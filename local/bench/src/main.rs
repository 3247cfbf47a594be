//! `fleetwarden-bench`: speed, size and calls of the functions' release binaries, each figure against its target.
//!
//! The binaries run as in Lambda, against services on this machine that answer at once. A time says little on
//! a machine that others use too, so every target is a ratio of two things measured in turns.
//!
//! `fleetwarden-bench throughput memory` measures only these.

mod cloud;
mod environment;
mod fleet;
mod lambda;
mod ledger;
mod measure;
mod recorder;
mod report;
mod sink;
mod tls;

use std::fs;

use anyhow::{Result, ensure};

use crate::cloud::Cloud;
use crate::environment::Places;
use crate::measure::{
    Bench, answer, behaviors, burst, calls, decide, decide_alarm, memory, mitigation, replay, review, size,
    start, throughput,
};
use crate::report::Report;

/// What can be measured, in this order.
const PARTS: [&str; 13] = [
    "size",
    "decide",
    "decide-alarm",
    "behaviors",
    "replay",
    "start",
    "answer",
    "calls",
    "mitigation",
    "throughput",
    "memory",
    "burst",
    "review",
];

#[tokio::main]
async fn main() -> Result<()> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    for name in &named {
        ensure!(PARTS.contains(&name.as_str()), "{name}: there is no such part, only {}", PARTS.join(", "));
    }
    let folder = tempfile::tempdir()?;
    let cloud = Cloud::start(&folder.path().join("authority.pem")).await?;
    let mut bench = Bench { places: Places::find()?, cloud, folder, report: Report::default() };
    bench.report.word("cpu", &cpu());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    bench
        .report
        .word("machine", &format!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH));
    bench.report.word("endpoints", "in-process: device-defender, and a sink that answers at once");
    for part in PARTS.into_iter().filter(|part| named.is_empty() || named.iter().any(|name| name == part)) {
        match part {
            "size" => size::measure(&mut bench)?,
            "decide" => decide::measure(&mut bench)?,
            "decide-alarm" => decide_alarm::measure(&mut bench)?,
            "behaviors" => behaviors::measure(&mut bench)?,
            "replay" => replay::measure(&mut bench)?,
            "start" => start::measure(&mut bench).await?,
            "answer" => answer::measure(&mut bench).await?,
            "calls" => calls::measure(&mut bench).await?,
            "mitigation" => mitigation::measure(&mut bench).await?,
            "throughput" => throughput::measure(&mut bench).await?,
            "memory" => memory::measure(&mut bench).await?,
            "burst" => burst::measure(&mut bench).await?,
            _ => review::measure(&mut bench).await?,
        }
    }
    bench.report.finish(&bench.places.root.join("target/bench/summary.json"))
}

/// The processor's name, if the system tells it.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split(':').nth(1))
        .map_or_else(|| "unknown".into(), |name| name.trim().to_owned())
}
