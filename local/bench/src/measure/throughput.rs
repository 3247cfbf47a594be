//! How much triage and export add to the calls that they make.
//!
//! Both functions work through an audit of 10,000 findings over all checks. The bare client makes the same
//! calls: recorded once, while each answer is held back a little, so that what goes side by side is seen side
//! by side. Both are started before, and both are on the same services, which answer at once: nothing that the
//! functions do hides behind a service's own time. The second figure has what a call to AWS takes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fleetwarden_bench::Plan;
use hyper::body::Bytes;

use super::{Bench, median};
use crate::fleet::{Audit, Fleet, batch};
use crate::lambda::Function;
use crate::report::Target;

const FINDINGS: u32 = 10_000;
const PAIRS: usize = 9;
/// How late answers come while calls are recorded.
const DELAY: Duration = Duration::from_millis(4);
/// How late they come in the second figure: what a call to AWS in the same region takes.
const AWS_DELAY: Duration = Duration::from_millis(10);
/// How many messages SQS hands to export at a time.
const BATCH: usize = 10;

/// The events of both functions, in their order.
struct Work {
    triage: Vec<Bytes>,
    export: Vec<Bytes>,
}

struct Functions {
    triage: Function,
    export: Function,
}

/// Measures.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let fleet = Fleet::of(FINDINGS)?;
    let audit = fleet.audit()?;
    ensure!(audit.checks.values().sum::<u64>() == u64::from(FINDINGS), "the audit has not found everything");
    bench.cloud.services.set_defender(fleet.0);
    let (work, plan) = record(bench, &audit).await?;
    let folder = bench.folder.path().join("throughput");
    std::fs::create_dir(&folder)?;
    plan.write(&folder)?;
    bench.report.note("triage_export_calls", f64::from(u32::try_from(plan.calls.len())?));
    let ratio = ratio(bench, &work, &folder, "triage and export").await?;
    bench.report.note("triage_export_ratio", ratio);
    bench.cloud.services.set_delay(AWS_DELAY);
    let ratio = self::ratio(bench, &work, &folder, "triage and export, 10 ms a call").await;
    bench.cloud.services.set_delay(Duration::ZERO);
    let what = "triage and export ÷ bare calls of 10 ms";
    bench.report.row("triage_export_ratio_at_10_ms_a_call", what, ratio?, Target::AtMost(1.3));
    Ok(())
}

async fn ratio(bench: &mut Bench, work: &Work, plan: &Path, what: &'static str) -> Result<f64> {
    let bar = Bench::bar(what, PAIRS)?;
    let services = bench.cloud.services.clone();
    let mut ratios = Vec::with_capacity(PAIRS);
    let (mut functions_ms, mut bare_ms) = (Vec::new(), Vec::new());
    let mut environment = bench.places.environment(&bench.cloud);
    environment.push(("PLAN", plan.to_string_lossy().into_owned()));
    for _ in 0..PAIRS {
        services.sink.reset(false);
        services.recorder.reset(false);
        let mut functions = Functions::start(bench).await?;
        let began = Instant::now();
        functions.run(work).await?;
        let by_functions = began.elapsed().as_secs_f64();
        let calls = services.recorder.total();
        drop(functions);

        services.sink.reset(false);
        services.recorder.reset(false);
        let mut bare = Function::start(&bench.places.binary("bench-bare"), &environment, None).await?;
        bare.asked().await?;
        let began = Instant::now();
        bare.invoke(&Bytes::from_static(b"{}")).await?;
        let by_bare = began.elapsed().as_secs_f64();
        ensure!(calls == services.recorder.total(), "the bare client made other calls");
        ratios.push(by_functions / by_bare);
        functions_ms.push(by_functions * 1e3);
        bare_ms.push(by_bare * 1e3);
        bar.inc(1);
    }
    let suffix = if what.starts_with("the same") { "_at_10_ms_a_call" } else { "" };
    bench.report.note(&format!("triage_export_ms{suffix}"), median(functions_ms));
    bench.report.note(&format!("triage_export_bare_ms{suffix}"), median(bare_ms));
    Ok(median(ratios))
}

impl Functions {
    async fn start(bench: &Bench) -> Result<Self> {
        let environment = bench.places.environment(&bench.cloud);
        let start = async |name| {
            let mut function = Function::start(&bench.places.binary(name), &environment, None).await?;
            function.asked().await?;
            anyhow::Ok(function)
        };
        Ok(Self { triage: start("triage-findings").await?, export: start("export-findings").await? })
    }

    async fn run(&mut self, work: &Work) -> Result<()> {
        for event in &work.triage {
            self.triage.invoke(event).await?;
        }
        for event in &work.export {
            self.export.invoke(event).await?;
        }
        Ok(())
    }
}

/// Runs both functions once and gives their events and their calls.
async fn record(bench: &Bench, audit: &Audit) -> Result<(Work, Plan)> {
    let services = &bench.cloud.services;
    services.sink.reset(true);
    services.recorder.reset(true);
    services.set_delay(DELAY);
    let mut functions = Functions::start(bench).await?;
    let mut work = Work { triage: audit.checks.keys().map(|c| audit.event(c)).collect(), export: Vec::new() };
    functions.run(&work).await?;
    let messages = services.sink.take_messages("finding");
    let export: Vec<Bytes> = messages.chunks(BATCH).map(batch).collect();
    functions.run(&Work { triage: Vec::new(), export: export.clone() }).await?;
    work.export = export;
    services.set_delay(Duration::ZERO);
    Ok((work, services.recorder.take()))
}
