//! How long a function takes until it asks for its first event, against one that does nothing.

use anyhow::Result;

use super::{Bench, median};
use crate::lambda::Function;
use crate::report::Target;

const ROUNDS: usize = 200;
const IDLE: &str = "bench-idle";

/// Measures: every round starts each once, so that what slows the machine slows all of them, and begins with
/// another one, so that none has a place of its own.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let environment = bench.places.environment(&bench.cloud);
    let mut names = bench.places.functions()?;
    names.push(IDLE.to_owned());
    let mut times = vec![Vec::with_capacity(ROUNDS); names.len()];
    let bar = Bench::bar("start", ROUNDS)?;
    for round in 0..ROUNDS {
        let mut turns: Vec<_> = names.iter().zip(&mut times).collect();
        turns.rotate_left(round % names.len());
        for (name, times) in turns {
            let mut function = Function::start(&bench.places.binary(name), &environment, None).await?;
            times.push(function.asked().await?.as_secs_f64() * 1e3);
        }
        bar.inc(1);
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let idle = medians.last().copied().unwrap_or(f64::NAN);
    let mut worst = 0.0_f64;
    for (name, time) in names.iter().zip(medians) {
        bench.report.note(&format!("start_ms_{}", name.replace('-', "_")), time);
        worst = worst.max(time / idle);
    }
    bench.report.row("start_ratio", "slowest start ÷ idle function", worst, Target::AtMost(2.0));
    Ok(())
}
