//! Seeds on which a promise was broken while the workload was made, and that a seed is always the same run.

use std::path::Path;

use fleetwarden_simulation::run;

/// docs/reliability.md has the defects, each with a test of its own.
const KEPT: [u64; 6] = [7, 37, 43, 46, 122, 177];

#[test]
fn what_a_seed_found_stays_mended() {
    for seed in KEPT {
        assert_eq!(run(seed, false).violations, [""; 0], "seed {seed}");
    }
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in ["3", "5", "122"] {
        let trace = || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fleetwarden-simulation"));
            String::from_utf8(command.args(["--seed", seed]).output().unwrap().stdout).unwrap()
        };
        let (one, other) = (trace(), trace());
        assert!(one.contains("\ndigest "), "{one}");
        assert!(one == other, "seed {seed}");
    }
}

#[test]
fn a_run_reaches_what_it_is_for() {
    let runs: Vec<_> = (36..60).map(|seed| run(seed, false)).collect();
    let sum = |of: fn(&fleetwarden_simulation::Outcome) -> u64| runs.iter().map(of).sum::<u64>();
    assert!(sum(|run| run.findings) > 300 && sum(|run| run.mitigated) > 10 && sum(|run| run.kills) > 10);
    assert!(sum(|run| run.alarms) > 50 && sum(|run| run.alarms_mitigated) > 0);
    let kinds: std::collections::BTreeSet<_> = runs.iter().flat_map(|run| run.faults.keys()).collect();
    assert!(kinds.len() >= 9, "{kinds:?}");
}

#[test]
fn the_command_runs_seeds_and_writes_figures() {
    let summary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("summary.json");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fleetwarden-simulation"));
    let output = command.args(["--seeds", "4", "--summary"]).arg(&summary).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("4 seeds ("), "{output:?}");
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    assert_eq!((&figures["seeds"], &figures["violations"]), (&4.into(), &0.into()));
}
