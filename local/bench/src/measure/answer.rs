//! How long it takes from the start of triage's process to its answer to a first event that needs one list
//! call, against a bare client that makes the same calls.
//!
//! The list call goes over TLS to an authority of this run, as to AWS; the others go over plain HTTP, for both.

use anyhow::{Result, ensure};
use hyper::body::Bytes;

use super::{Bench, median};
use crate::cloud::IOT;
use crate::fleet::{Fleet, LARGEST};
use crate::lambda::Function;
use crate::report::Target;

const ROUNDS: usize = 200;

/// Measures.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let services = bench.cloud.services.clone();
    let (fleet, audit) = Fleet::with_largest(1)?;
    services.set_defender(fleet.0);
    let event = audit.event(LARGEST);
    let mut environment = bench.places.environment(&bench.cloud);
    environment.push(("AWS_ENDPOINT_URL_IOT", bench.cloud.tls_url.clone()));
    environment
        .push(("AWS_CA_BUNDLE", bench.folder.path().join("authority.pem").to_string_lossy().into_owned()));
    let folder = bench.folder.path().join("answer");
    std::fs::create_dir(&folder)?;
    environment.push(("PLAN", folder.to_string_lossy().into_owned()));
    environment.push(("PARSES", "1".into()));

    services.sink.reset(false);
    services.recorder.reset(true);
    answer(bench, "triage-findings", &environment, &event).await?;
    let plan = services.recorder.take();
    let by_tls = plan.calls.iter().filter(|call| call.origin == bench.cloud.tls_url);
    let by_tls: Vec<&str> = by_tls.map(|call| call.target.as_str()).collect();
    ensure!(
        by_tls.len() == 1 && by_tls.iter().all(|target| target.starts_with("/audit/findings")),
        "{by_tls:?}"
    );
    plan.write(&folder)?;

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let bar = Bench::bar("first answer", ROUNDS)?;
    for _ in 0..ROUNDS {
        for (name, times) in [("triage-findings", &mut ours), ("bench-bare", &mut bare)] {
            services.sink.reset(false);
            services.recorder.reset(false);
            times.push(answer(bench, name, &environment, &event).await?);
            ensure!(services.recorder.count(IOT) == 1, "{name} has not listed once");
        }
        bar.inc(1);
    }
    let (ours, bare) = (median(ours), median(bare));
    bench.report.note("cold_answer_ms", ours);
    bench.report.note("cold_answer_bare_ms", bare);
    bench.report.row("cold_answer_ratio", "first answer ÷ bare calls", ours / bare, Target::AtMost(2.2));
    Ok(())
}

/// From the start of the process to its answer, in milliseconds.
async fn answer(bench: &Bench, name: &str, environment: &[(&str, String)], event: &Bytes) -> Result<f64> {
    let binary = bench.places.binary(name);
    let mut function = Function::start(&binary, environment, Some(event.clone())).await?;
    function.asked().await?;
    Ok(function.answered().await?.as_secs_f64() * 1e3)
}
