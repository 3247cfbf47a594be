//! What it costs to review a million suppressions, and whether that fits into one invocation at the service's rate.
//!
//! The service gives 250 suppressions a page, and ten pages a second to the whole account. The pages here come at once
//! and without that pace, so that what is measured is the function's own time; what the pace adds is computed.

use std::time::Instant;

use anyhow::{Result, ensure};
use device_defender::{DeviceDefender, Settings};
use hyper::body::Bytes;
use serde_json::json;

use super::Bench;
use crate::cloud::IOT;
use crate::fleet::{Fleet, LARGEST};
use crate::lambda::Function;
use crate::report::Target;

const SUPPRESSIONS: u32 = 1_000_000;
const PAGE: u32 = 250;
/// `ListAuditSuppressions`, for the whole account.
const CALLS_PER_SECOND: f64 = 10.0;
/// The function's timeout without what it keeps back to put a review aside, in seconds.
const TIME: f64 = 900.0 - 60.0;
/// The function's memory in the template, in MB.
const MEMORY: f64 = 512.0;

/// Measures a first review, and one that remembers it.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let fleet = Fleet(DeviceDefender::new(Settings { rate_scale: None, ..Settings::default() }));
    // A tenth of a million for each of ten rules, their ends spread over half a year.
    for rule in 0..10 {
        let order = json!({
            "checkName": LARGEST, "count": SUPPRESSIONS / 10, "first": rule * (SUPPRESSIONS / 10),
            "expiresInDays": 180, "description": format!("Fleetwarden: rule r{rule}; owner team-{rule}; a reason"),
        });
        fleet.call("POST", "/_control/suppressions", &order)?;
    }
    let services = bench.cloud.services.clone();
    services.set_defender(fleet.0);
    services.sink.reset(false);
    let mut environment = bench.places.environment(&bench.cloud);
    environment.push(("CALLS_PER_SECOND", "1000000".into()));
    let bar = Bench::bar("review", 2)?;
    let mut function =
        Function::start(&bench.places.binary("suppression-review"), &environment, None).await?;
    function.asked().await?;
    let mut seconds = Vec::new();
    for _ in 0..2 {
        services.recorder.reset(false);
        let began = Instant::now();
        function.invoke(&Bytes::from_static(b"{}")).await?;
        seconds.push(began.elapsed().as_secs_f64());
        let calls = services.recorder.count(IOT);
        ensure!(
            calls >= u64::from(SUPPRESSIONS / PAGE),
            "only {calls} calls: not all suppressions were listed"
        );
        ensure!(services.recorder.count("SendMessageBatch") == 0, "it did not come to an end");
        bar.inc(1);
    }
    let pages = f64::from(SUPPRESSIONS / PAGE);
    let own = seconds.iter().copied().fold(0.0, f64::max);
    bench.report.note("review_million_pages", pages);
    bench.report.note("review_million_own_seconds_first", seconds.first().copied().unwrap_or(f64::NAN));
    bench.report.note("review_million_own_seconds", own);
    let paced = pages / CALLS_PER_SECOND + own;
    bench.report.row(
        "review_million_seconds",
        "review of 1,000,000 at 10 calls/s, s",
        paced,
        Target::AtMost(TIME),
    );
    let peak = function.peak_megabytes()?;
    bench.report.row("review_million_rss_mb", "review of 1,000,000, MB", peak, Target::AtMost(MEMORY));
    Ok(())
}
