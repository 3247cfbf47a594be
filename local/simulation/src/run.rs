//! One run of a seed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use fastrand::Rng;
use serde::Deserialize;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::task::spawn_local;

use crate::alarms::Alarms;
use crate::approvers;
use crate::connections;
use crate::guards::Guards;
use crate::judge;
use crate::lambda::Lambda;
use crate::operators::Operators;
use crate::policies;
use crate::undoers::Undoers;
use crate::weather::Weather;
use crate::workload::Played;
use crate::workload::Workload;
use crate::world::World;

/// What came of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The promises that were broken: none if all held.
    pub violations: Vec<String>,
    /// The trace, if it was asked for.
    pub trace: Vec<String>,
    /// A number that two runs share only if they were the same.
    pub digest: u64,
    /// Lines of the trace: calls, deliveries, decisions of the workload.
    pub steps: u64,
    /// Invocations.
    pub invocations: u64,
    /// Invocations whose process was killed, or that ran out of time.
    pub kills: u64,
    /// Findings that were exported.
    pub findings: u64,
    /// Findings in mitigation tasks.
    pub mitigated: u64,
    /// How many steps the workload had.
    pub played: usize,
    /// Violations that were told of.
    pub alarms: u64,
    /// Violations in mitigation tasks.
    pub alarms_mitigated: u64,
    /// Resources that one task alone has changed and that were undone.
    pub undone: u64,
    /// How often an approval was asked for.
    pub approvals: u64,
    /// Suppressions that people have undone.
    pub suppressions_undone: u64,
    /// Canaries whose devices have lost their connection.
    pub disconnected: u64,
    /// Mitigation tasks that a guard has held.
    pub held: u64,
    /// The faults that struck, by kind.
    pub faults: BTreeMap<String, u64>,
}

/// What of a seed is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Whether the trace is kept.
    pub is_read: bool,
    /// So many steps of the workload at most, and then what comes at the end of every run.
    pub steps: Option<usize>,
    /// Faults that do not strike, by their number in the run.
    pub without: BTreeSet<u64>,
    /// From this fault on none strikes.
    pub faults: Option<u64>,
}

/// The stack of a run: without optimization the futures of some functions are larger than that of a usual thread.
const STACK_BYTES: usize = 64 << 20;

/// Runs a seed. Its trace is kept if `is_read`.
///
/// A seed is the same run only as the first of its process: the SDK has one quota of retries for all clients of a process.
pub fn run(seed: u64, is_read: bool) -> Outcome {
    run_part(seed, &Part { is_read, ..Part::default() })
}

/// Runs a part of a seed.
///
/// # Panics
/// If there is no thread or no runtime, then nothing can run; and if the run panics.
pub fn run_part(seed: u64, part: &Part) -> Outcome {
    let run = || {
        fastrand::seed(seed);
        #[expect(clippy::expect_used, reason = "nothing can run without it")]
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        LocalSet::new().block_on(&runtime, once(seed, part))
    };
    thread::scope(|scope| {
        #[expect(clippy::expect_used, reason = "nothing can run without it")]
        let thread =
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).expect("a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

async fn once(seed: u64, part: &Part) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let weather = Weather::draw(&mut rng);
    let findings = rng.u32(5..120);
    let mut alarms = Alarms::draw(seed);
    let mut guards = Guards::draw(seed);
    let policy = guards.policy(alarms.policy(policies::draw(&mut rng)));
    let steps = rng.usize(2..14);
    let workload_rng = rng.fork();
    let steps = part.steps.map_or(steps, |most| steps.min(most));
    let world = World::new(rng, weather.clone(), findings, part);
    world.note(&format!("seed {seed}: {findings} findings, {weather:?}, policy {policy}"));
    let lambda = Lambda::new(Arc::clone(&world), policy.clone());
    let played = Played { policies: vec![policy], ..Played::default() };
    let (world_of, lambda_of) = (Arc::clone(&world), Rc::clone(&lambda));
    let (operators, undoers) = (Operators::draw(seed), Undoers::draw(seed));
    let mut workload = Workload {
        world: world_of,
        lambda: lambda_of,
        alarms,
        guards,
        operators,
        undoers,
        rng: workload_rng,
        played,
    };
    if let Err(refused) = workload.set_up() {
        return Outcome {
            violations: vec![format!("the account cannot be set up: {refused}")],
            ..Outcome::default()
        };
    }
    let work = spawn_local(Rc::clone(&lambda).work());
    let answers = spawn_local(approvers::answer(seed, Arc::clone(&world), Rc::clone(&lambda)));
    let losses = spawn_local(connections::lose(seed, Arc::clone(&world), Rc::clone(&lambda)));
    workload.play(steps).await;
    answers.abort();
    losses.abort();
    work.abort();
    let judged = judge::judge(&world, &workload.played);
    let mut state = world.state();
    let mut trace = state.trace.lines.take().unwrap_or_default();
    if part.is_read {
        drop(state);
        trace.extend(left(&world));
        state = world.state();
    }
    Outcome {
        violations: judged.violations,
        digest: state.trace.digest(),
        steps: state.trace.steps,
        trace,
        invocations: lambda.invocations.get(),
        kills: lambda.kills.get(),
        findings: judged.findings,
        mitigated: judged.mitigated,
        played: steps,
        alarms: judged.alarms,
        alarms_mitigated: judged.alarms_mitigated,
        undone: judged.undone,
        suppressions_undone: judged.suppressions_undone,
        disconnected: judged.disconnected,
        approvals: state.acts.approvals,
        held: state.acts.held.len() as u64,
        faults: state.faults.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect(),
    }
}

/// What a run leaves, for who reads its trace: the ledger, the findings log, the lines of metrics and alerts.
fn left(world: &World) -> Vec<String> {
    let items = world.cloud.items("").into_iter().map(|((pk, sk), item)| {
        let item = serde_json::to_string(&item).unwrap_or_default();
        format!("ledger  {pk} {sk}  {item}")
    });
    let logged = world.cloud.streams().into_iter().flat_map(|(name, stream)| {
        stream.events.into_iter().map(move |event| format!("log  {name}  {event}"))
    });
    let lines: Vec<String> = world.state().lines.iter().map(|line| format!("output  {line}")).collect();
    items.chain(logged).chain(lines).collect()
}
