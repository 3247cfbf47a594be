//! How much memory triage takes for a small and a large check, each with an audit before it.

use anyhow::{Result, ensure};

use super::Bench;
use crate::fleet::{Fleet, LARGEST};
use crate::lambda::Function;
use crate::report::Target;

/// What memory may differ by, in MB, between the sizes.
const SPREAD: f64 = 4.0;
const MOST: f64 = 32.0;

/// Measures the most that was ever resident in one process that triages an audit and then the next one of the
/// same fleet, whose history has as many keys as the check has findings.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let small = peaks(bench, 1_000).await?;
    let large = peaks(bench, 100_000).await?;
    bench.report.note("triage_rss_mb_1000_first", small.0);
    bench.report.note("triage_rss_mb_100000_first", large.0);
    bench.report.row("triage_rss_mb_1000", "triage, 1,000 findings, MB", small.1, Target::AtMost(MOST));
    bench.report.row("triage_rss_mb_100000", "triage, 100,000 findings, MB", large.1, Target::AtMost(MOST));
    let spread = (large.1 - small.1).abs();
    bench.report.row("triage_rss_mb_spread", "between the two, MB", spread, Target::AtMost(SPREAD));
    Ok(())
}

/// The peak after the first audit, and after the second.
async fn peaks(bench: &Bench, findings: u64) -> Result<(f64, f64)> {
    let bar = Bench::bar("memory", 2)?;
    let services = &bench.cloud.services;
    let (fleet, first) = Fleet::with_largest(findings)?;
    let second = fleet.audit()?;
    services.set_defender(fleet.0);
    services.sink.reset(false);
    services.recorder.reset(false);
    let environment = bench.places.environment(&bench.cloud);
    let mut triage = Function::start(&bench.places.binary("triage-findings"), &environment, None).await?;
    triage.asked().await?;
    triage.invoke(&first.event(LARGEST)).await?;
    let without_history = triage.peak_megabytes()?;
    bar.inc(1);
    ensure!(services.recorder.count("GET") == 0, "there was a history before the first audit");
    triage.invoke(&second.event(LARGEST)).await?;
    ensure!(services.recorder.count("GET") == 1, "the second audit had no history");
    bar.inc(1);
    Ok((without_history, triage.peak_megabytes()?))
}
