//! The least of a seed that still breaks a promise: fewer steps, then fewer faults.

use crate::run::Outcome;
use crate::run::Part;

/// How many runs it may take.
const RUNS: u32 = 200;

/// The least part of a seed that still breaks a promise, as far as some runs find it, and what comes of it. None if the
/// whole seed breaks none. `run` runs a part, in a process of its own so that it can be replayed.
pub fn shrink(run: impl Fn(&Part) -> Outcome) -> Option<(Part, Outcome)> {
    let mut runs = 0;
    let mut breaks = |part: &Part| {
        runs += 1;
        (runs <= RUNS).then(|| run(part)).filter(|outcome| !outcome.violations.is_empty())
    };
    let mut least = Part::default();
    let mut outcome = breaks(&least)?;
    // The workload does not depend on the faults, so its first steps are the same in each part.
    for steps in 1..outcome.played {
        let part = Part { steps: Some(steps), ..least.clone() };
        if let Some(shorter) = breaks(&part) {
            (least, outcome) = (part, shorter);
            break;
        }
    }
    // Of so many faults the first ones, by halves.
    let (mut enough, mut too_few) = (outcome.faults.values().sum::<u64>(), None);
    while enough > too_few.map_or(0, |few: u64| few + 1) {
        let half = too_few.map_or(0, |few| few + 1).midpoint(enough - 1);
        let part = Part { faults: Some(half), ..least.clone() };
        match breaks(&part) {
            Some(fewer) => (least, outcome, enough) = (part, fewer, half),
            None => too_few = Some(half),
        }
    }
    // Of those that are left, each one by itself.
    for number in 0..enough {
        let mut part = least.clone();
        part.without.insert(number);
        if let Some(fewer) = breaks(&part) {
            (least, outcome) = (part, fewer);
        }
    }
    Some((least, outcome))
}
