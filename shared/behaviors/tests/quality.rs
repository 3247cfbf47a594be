//! How well the ML behaviors find the anomalies of simulated fleets: 3,000 devices for each workload, 60 anomalous.

#![cfg(test)]

use fleetwarden_behaviors::Confidence;
use fleetwarden_behaviors::simulation::{Quality, SEEDS, SimulatedFleet, Workload, measure};

#[test]
fn anomalies_are_found_and_little_else() {
    let mut quality = Quality::default();
    for seed in SEEDS {
        quality.add(measure(seed, Workload::Messages, 1000));
        quality.add(measure(seed, Workload::Bytes, 1000));
    }
    let [low, medium, high] = Confidence::ALL.map(|confidence| quality.at(confidence));
    assert!(high.precision() >= 0.95, "at HIGH: {high:?}");
    assert!(low.recall() >= 0.95, "at LOW: {low:?}");
    // A level without the other half would be of no use: what it alarms on, or what it leaves.
    assert!(high.recall() >= 0.8, "at HIGH: {high:?}");
    assert!(low.precision() >= 0.7, "at LOW: {low:?}");
    assert!(medium.precision() >= 0.95 && medium.recall() >= 0.95, "at MEDIUM: {medium:?}");
    assert!(low.recall() >= medium.recall() && medium.recall() >= high.recall());
    let naive = quality.naive();
    assert!(naive.recall() < medium.recall() && naive.precision() < low.precision(), "naive: {naive:?}");
}

#[test]
fn a_simulation_is_the_same_again_and_asks_for_no_order() {
    let one = SimulatedFleet::new(SEEDS[0], Workload::Messages, 100);
    let other = SimulatedFleet::new(SEEDS[0], Workload::Messages, 100);
    let moments: Vec<_> = one.moments().take(50).collect();
    let forward: Vec<_> = moments.iter().map(|at| one.measure(7, *at)).collect();
    let mut backward: Vec<_> = moments.iter().rev().map(|at| other.measure(7, *at)).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    let different = SimulatedFleet::new(SEEDS[1], Workload::Messages, 100);
    assert_ne!(forward, different.moments().take(50).map(|at| different.measure(7, at)).collect::<Vec<_>>());
    assert!((0..100).all(|device| one.anomaly(device).is_none_or(|(_, onset)| onset >= one.test_begins())));
}
