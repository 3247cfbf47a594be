//! How fast Detect's behaviors are evaluated, how large a thing's state is, and how well the ML behaviors find what
//! is wrong in simulated fleets.
//!
//! One core and one thread. The profile has a behavior of each kind on six metrics; the quality is that of the crate's
//! own test, on the same named seeds.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow};
use fleetwarden_behaviors::simulation::{Quality, SEEDS, Workload, measure as simulate};
use fleetwarden_behaviors::{
    Behaviors, Confidence, Datapoint, Fleet, Measured, Results, ThingState, evaluate,
};
use fleetwarden_core::timestamp::Millis;
use serde_json::{Value, json};

use super::{Bench, median};
use crate::report::Target;

const METRICS: [&str; 6] = [
    "num-messages-sent",
    "num-messages-received",
    "num-authorization-failures",
    "num-connection-attempts",
    "num-disconnects",
    "all-bytes-out",
];
const ROUNDS: usize = 9;
const THINGS: u64 = 1000;
const WARM_UP: i64 = 15 * 288;
const PERIODS: i64 = 48;
const PERIOD: i64 = 300_000;
const DEVICES: usize = 1000;

/// Measures.
pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let behaviors = profile()?;
    let bar = Bench::bar("behaviors", ROUNDS + 2 * SEEDS.len())?;
    let fleet = trained(&behaviors)?;
    let mut rates = Vec::with_capacity(ROUNDS);
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let (rate, state) = run(&behaviors, &fleet)?;
        rates.push(rate);
        bytes = serde_json::to_string(&state)?.len();
        bar.inc(1);
    }
    let mut quality = Quality::default();
    for (seed, workload) in
        SEEDS.into_iter().flat_map(|seed| [(seed, Workload::Messages), (seed, Workload::Bytes)])
    {
        quality.add(simulate(seed, workload, DEVICES));
        bar.inc(1);
    }
    let report = &mut bench.report;
    let what = "behavior evaluations a second";
    report.row("behaviors_per_second", what, median(rates), Target::AtLeast(1e6));
    report.note("behaviors_state_bytes", f64::from(u32::try_from(bytes)?));
    let [low, medium, high] = Confidence::ALL.map(|confidence| quality.at(confidence));
    report.row("ml_precision_high", "ML precision at HIGH", high.precision(), Target::AtLeast(0.95));
    report.row("ml_recall_low", "ML recall at LOW", low.recall(), Target::AtLeast(0.95));
    report.note("ml_recall_high", high.recall());
    report.note("ml_precision_medium", medium.precision());
    report.note("ml_recall_medium", medium.recall());
    report.note("ml_precision_low", low.precision());
    report.note("ml_precision_three_sigma", quality.naive().precision());
    report.note("ml_recall_three_sigma", quality.naive().recall());
    Ok(())
}

/// Eighteen behaviors: a limit, a percentile and a model for each metric.
fn profile() -> Result<Behaviors> {
    let of = |metric: &str| {
        let named = |kind: &str, criteria: Value| json!({ "name": format!("{kind}-{metric}"), "metric": format!("aws:{metric}"), "criteria": criteria });
        [
            named(
                "limit",
                json!({ "comparisonOperator": "less-than", "value": { "count": 5000 }, "durationSeconds": 300 }),
            ),
            named(
                "percentile",
                json!({ "comparisonOperator": "less-than-equals", "statisticalThreshold": { "statistic": "p99" }, "durationSeconds": 300 }),
            ),
            named("model", json!({ "mlDetectionConfig": { "confidenceLevel": "HIGH" } })),
        ]
    };
    let behaviors: Vec<Value> = METRICS.into_iter().flat_map(of).collect();
    Behaviors::parse(&Value::from(behaviors).to_string(), |_| None)
        .map_err(|invalid| anyhow!("the benchmark's profile: {invalid:?}"))
}

/// Each stream's datapoint of a period.
fn datapoints(behaviors: &Behaviors, thing: u64, period: i64) -> Result<Vec<Datapoint>> {
    let at = Millis((period + 1) * PERIOD);
    let of_metric = behaviors.iter().step_by(3);
    let spread = (thing ^ period.unsigned_abs().wrapping_mul(0x9E37_79B9)) % 60;
    let made = of_metric
        .map(|behavior| Datapoint::new(behavior.stream().clone(), at, Measured::Count(40 + spread)))
        .collect::<Result<_, _>>();
    Ok(made?)
}

/// A fleet of ten that has been watched for 15 days.
fn trained(behaviors: &Behaviors) -> Result<Fleet> {
    let mut fleet = Fleet::new(behaviors);
    let mut states = vec![ThingState::default(); 10];
    let mut outcome = Results::default();
    for period in 0..WARM_UP {
        let until = Millis((period + 1) * PERIOD);
        for (thing, state) in (0..).zip(&mut states) {
            outcome.clear();
            evaluate(behaviors, &fleet, state, &datapoints(behaviors, thing, period)?, until, &mut outcome);
            fleet.learn(&outcome.measurements);
        }
        fleet.advance(behaviors, until);
    }
    Ok(fleet)
}

/// Behaviors evaluated a second, over things whose datapoints are there, learning included; and a state at the end.
fn run(behaviors: &Behaviors, fleet: &Fleet) -> Result<(f64, ThingState)> {
    let mut fleet = fleet.clone();
    let things = usize::try_from(THINGS)?;
    let mut states = vec![ThingState::default(); things];
    let mut outcome = Results::default();
    let mut seconds = 0.0;
    let mut evaluations = 0_u32;
    for period in WARM_UP..WARM_UP + PERIODS {
        let all: Vec<Vec<Datapoint>> =
            (0..THINGS).map(|thing| datapoints(behaviors, thing, period)).collect::<Result<_>>()?;
        let until = Millis((period + 1) * PERIOD);
        let began = Instant::now();
        for (state, datapoints) in states.iter_mut().zip(&all) {
            outcome.clear();
            evaluate(behaviors, black_box(&fleet), state, black_box(datapoints), until, &mut outcome);
            fleet.learn(&outcome.measurements);
        }
        fleet.advance(behaviors, until);
        seconds += began.elapsed().as_secs_f64();
        evaluations += u32::try_from(behaviors.len() * things)?;
    }
    Ok((f64::from(evaluations) / seconds, states.pop().unwrap_or_default()))
}
