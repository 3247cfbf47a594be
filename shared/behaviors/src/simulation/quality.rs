//! How many anomalous devices alarm, and how many others do, at each level of confidence.
//!
//! The judge counts devices. An anomalous one is found if it alarms once its anomaly has begun; a device that
//! alarms without an anomaly, or before it, is a false alarm. Beside the model stands the rule that is written
//! first: more than three standard deviations from the mean of all training datapoints.

use crate::criteria::Confidence;
use crate::datapoint::Datapoint;
use crate::metric::{BuiltIn, Metric, Stream};
use crate::value::Measured;
use crate::{Behaviors, EventType, Fleet, Results, ThingState, evaluate};

use super::{Anomaly, SimulatedFleet, Workload};

/// The seeds of the fleets on which the quality is stated. The model's figures were chosen on the seeds 1 to 5.
pub const SEEDS: [u64; 3] = [20_261_101, 20_261_102, 20_261_103];
/// Datapoints in a row that alarm, for the model and for the naive rule alike.
const IN_A_ROW: u8 = 3;
const LEVELS: usize = Confidence::ALL.len();
const NAIVE: usize = LEVELS;

/// What was found and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Anomalous devices that alarmed.
    pub found: u32,
    /// Anomalous devices that did not.
    pub missed: Vec<Anomaly>,
    /// Devices that alarmed without a reason.
    pub false_alarms: u32,
}

impl Score {
    /// The share of devices that alarmed with a reason; 1 if none alarmed.
    pub fn precision(&self) -> f64 {
        share(self.found, self.false_alarms)
    }

    /// The share of anomalous devices that alarmed.
    pub fn recall(&self) -> f64 {
        share(self.found, u32::try_from(self.missed.len()).unwrap_or(u32::MAX))
    }

    fn add(&mut self, other: Self) {
        self.found += other.found;
        self.missed.extend(other.missed);
        self.false_alarms += other.false_alarms;
    }
}

fn share(part: u32, rest: u32) -> f64 {
    if part + rest == 0 { 1.0 } else { f64::from(part) / f64::from(part + rest) }
}

/// The scores of some fleets together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    scores: [Score; LEVELS + 1],
    /// Datapoints that were evaluated, at all levels.
    pub evaluations: u64,
}

impl Quality {
    /// The model's score at a level.
    pub fn at(&self, confidence: Confidence) -> &Score {
        let [low, medium, high, _] = &self.scores;
        match confidence {
            Confidence::Low => low,
            Confidence::Medium => medium,
            Confidence::High => high,
        }
    }

    /// The naive rule's score.
    pub fn naive(&self) -> &Score {
        let [.., naive] = &self.scores;
        naive
    }

    /// Adds another fleet's.
    pub fn add(&mut self, other: Self) {
        for (own, other) in self.scores.iter_mut().zip(other.scores) {
            own.add(other);
        }
        self.evaluations += other.evaluations;
    }
}

/// The mean and the standard deviation of a stream of numbers, and how long each device is beyond three of them.
#[derive(Default)]
struct Naive {
    count: f64,
    sum: f64,
    squares: f64,
    beyond: Vec<u8>,
}

impl Naive {
    fn learn(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    /// If the device alarms.
    fn alarms(&mut self, device: usize, value: f64) -> bool {
        let mean = self.sum / self.count;
        let deviation = (self.squares / self.count - mean * mean).sqrt();
        let Some(beyond) = self.beyond.get_mut(device) else { return false };
        *beyond = if (value - mean).abs() > 3.0 * deviation { beyond.saturating_add(1) } else { 0 };
        *beyond == IN_A_ROW
    }
}

/// Trains on a fleet's first 14 days, evaluates the days after, and judges.
pub fn measure(seed: u64, workload: Workload, devices: usize) -> Quality {
    let simulated = SimulatedFleet::new(seed, workload, devices);
    let (metric, name) = match workload {
        Workload::Messages => (BuiltIn::MessagesSent, "aws:num-messages-sent"),
        Workload::Bytes => (BuiltIn::BytesOut, "aws:all-bytes-out"),
    };
    let stream = Stream { metric: Metric::BuiltIn(metric), dimension: None };
    let behaviors = levels(name);
    let mut fleet = Fleet::new(&behaviors);
    let mut states = vec![ThingState::default(); devices];
    let mut naive = Naive { beyond: vec![0; devices], ..Naive::default() };
    let mut first_alarms = vec![[None; LEVELS + 1]; devices];
    let mut outcome = Results::default();
    let mut evaluations = 0;
    for at in simulated.moments() {
        for (device, (state, alarms)) in states.iter_mut().zip(&mut first_alarms).enumerate() {
            let Some(count) = simulated.measure(device, at) else { continue };
            let Ok(datapoint) = Datapoint::new(stream.clone(), at, Measured::Count(count)) else { continue };
            outcome.clear();
            evaluate(&behaviors, &fleet, state, &[datapoint], at, &mut outcome);
            fleet.learn(&outcome.measurements);
            evaluations += LEVELS as u64;
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵³")]
            let value = count as f64;
            let mut raised = |level: usize| {
                if let Some(alarm) = alarms.get_mut(level) {
                    // A false alarm counts even if a good one follows.
                    alarm.get_or_insert(at);
                }
            };
            for event in outcome.events.iter().filter(|event| event.event_type == EventType::InAlarm) {
                raised(event.behavior);
            }
            if at <= simulated.test_begins() {
                naive.learn(value);
            } else if naive.alarms(device, value) {
                raised(NAIVE);
            }
        }
        fleet.advance(&behaviors, at);
    }
    let mut quality = Quality { evaluations, ..Quality::default() };
    for (device, alarms) in first_alarms.iter().enumerate() {
        for (score, alarm) in quality.scores.iter_mut().zip(alarms) {
            match (simulated.anomaly(device), alarm) {
                (Some((_, onset)), Some(at)) if *at > onset => score.found += 1,
                (Some((anomaly, _)), other) => {
                    score.missed.push(anomaly);
                    score.false_alarms += u32::from(other.is_some());
                }
                (None, Some(_)) => score.false_alarms += 1,
                (None, None) => {}
            }
        }
    }
    quality
}

/// The same metric at the three levels, the least confident first.
fn levels(metric: &str) -> Behaviors {
    let behaviors: Vec<serde_json::Value> = Confidence::ALL
        .into_iter()
        .map(|confidence| {
            serde_json::json!({
                "name": format!("{confidence:?}"),
                "metric": metric,
                "criteria": {
                    "mlDetectionConfig": { "confidenceLevel": confidence },
                    "consecutiveDatapointsToAlarm": IN_A_ROW,
                    "consecutiveDatapointsToClear": IN_A_ROW,
                },
            })
        })
        .collect();
    Behaviors::parse(&serde_json::Value::from(behaviors).to_string(), |_| None).unwrap_or_default()
}
