//! How many list calls a check costs.

use anyhow::{Result, ensure};

use super::Bench;
use crate::cloud::IOT;
use crate::fleet::{Fleet, LARGEST};
use crate::lambda::Function;
use crate::report::Target;

const PAGE: u64 = 250;
const FINDINGS: [u64; 8] = [1, 249, 250, 251, 499, 500, 501, 10_000];

/// Measures: the calls of a check, divided by the pages that its findings fill; the most of all sizes.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let environment = bench.places.environment(&bench.cloud);
    let services = bench.cloud.services.clone();
    let mut triage = Function::start(&bench.places.binary("triage-findings"), &environment, None).await?;
    triage.asked().await?;
    let bar = Bench::bar("list calls", FINDINGS.len())?;
    let mut most = 0.0_f64;
    for findings in FINDINGS {
        let (fleet, audit) = Fleet::with_largest(findings)?;
        services.set_defender(fleet.0);
        services.sink.reset(false);
        services.recorder.reset(false);
        triage.invoke(&audit.event(LARGEST)).await?;
        let calls = services.recorder.count(IOT);
        ensure!(calls > 0, "triage has listed nothing");
        most =
            most.max(f64::from(u32::try_from(calls)?) / f64::from(u32::try_from(findings.div_ceil(PAGE))?));
        bar.inc(1);
    }
    bench.report.count("list_calls_per_250", "list calls per 250 findings", most, Target::Exactly(1.0));
    Ok(())
}
