//! What simulated devices measure: counts with a daily rhythm, weekends, noise, gaps and, for a few, an anomaly.

use std::f64::consts::TAU;

use fastrand::Rng;
use fleetwarden_core::timestamp::Millis;

const PERIOD: i64 = 300_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Days that the model is trained on.
const TRAINING_DAYS: i64 = 14;
/// Days after them, on the first of which the anomalies begin.
const TEST_DAYS: i64 = 3;
/// 2026-11-02, a Monday.
const FIRST_DAY: Millis = Millis(1_793_577_600_000);

/// How a device deviates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anomaly {
    /// Ten times as much for 45 minutes.
    Spike,
    /// Slowly more, until it is six times as much at the end.
    Drift,
    /// Nothing, while it stays connected.
    Silence,
    /// As much at night as others at day.
    NightActivity,
    /// The same amount at each hour, that of the busiest one in twenty at day.
    ConstantHigh,
}

impl Anomaly {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Spike, Self::Drift, Self::Silence, Self::NightActivity, Self::ConstantHigh];
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Workload {
    /// Messages of five minutes: some forty by day and a few at night.
    Messages,
    /// Bytes of five minutes: tens of thousands by day, with more noise.
    Bytes,
}

/// One device.
#[derive(Clone, Debug)]
struct Device {
    /// How busy it is beside others.
    scale: f64,
    anomaly: Option<(Anomaly, Millis)>,
    /// When it misbehaves for an hour while the model is trained.
    glitch: Option<Millis>,
}

/// A fleet.
#[derive(Clone, Debug)]
pub struct SimulatedFleet {
    seed: u64,
    workload: Workload,
    begins: Millis,
    devices: Vec<Device>,
}

impl SimulatedFleet {
    /// A fleet of which one device in a hundred is anomalous, by turns in each way.
    pub fn new(seed: u64, workload: Workload, devices: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let weekday = i64::try_from(seed % 7).unwrap_or_default();
        let begins = Millis(FIRST_DAY.0 + weekday * DAY);
        let mut made: Vec<Device> = (0..devices)
            .map(|_| {
                let glitch = (rng.f64() < 0.01).then(|| Millis(begins.0 + rng.i64(0..13 * 24) * HOUR));
                Device { scale: (0.2 * normal(&mut rng)).exp(), anomaly: None, glitch }
            })
            .collect();
        for kind in Anomaly::ALL.into_iter().cycle().take(devices / 100) {
            let onset = Millis(begins.0 + TRAINING_DAYS * DAY + rng.i64(0..288) * PERIOD);
            let normal: Vec<usize> = (0..devices)
                .filter(|at| made.get(*at).is_some_and(|device| device.anomaly.is_none()))
                .collect();
            let chosen = rng.choice(normal);
            if let Some(device) = chosen.and_then(|at| made.get_mut(at)) {
                device.anomaly = Some((kind, onset));
            }
        }
        Self { seed, workload, begins, devices: made }
    }

    /// How many devices it has.
    pub fn size(&self) -> usize {
        self.devices.len()
    }

    /// The moments at which devices measure, those of training first.
    pub fn moments(&self) -> impl Iterator<Item = Millis> + use<> {
        let begins = self.begins;
        (1..=(TRAINING_DAYS + TEST_DAYS) * DAY / PERIOD).map(move |period| Millis(begins.0 + period * PERIOD))
    }

    /// When training ends.
    pub fn test_begins(&self) -> Millis {
        Millis(self.begins.0 + TRAINING_DAYS * DAY)
    }

    /// What is wrong with a device, and since when: for the judge, never for a model.
    pub fn anomaly(&self, device: usize) -> Option<(Anomaly, Millis)> {
        self.devices.get(device)?.anomaly
    }

    /// What a device measured in the period that ends then; one datapoint in fifty is lost.
    pub fn measure(&self, device: usize, at: Millis) -> Option<u64> {
        let own = self.devices.get(device)?;
        let mut rng = self.randomness(device as u64, at.0);
        if rng.f64() < 0.02 {
            return None;
        }
        let noon = self.typical(16.0, 1.0) * own.scale;
        // How busy it is in this hour: noise that lasts, which three datapoints in a row do not average away.
        let hour = (0.25 * normal(&mut self.randomness(device as u64, at.0.div_euclid(HOUR)))).exp();
        let mut rate = self.rate(at) * own.scale * hour;
        if own.glitch.is_some_and(|since| (since.0..since.0 + HOUR).contains(&at.0)) {
            rate *= 12.0;
        }
        if let Some((kind, onset)) = own.anomaly.filter(|(_, onset)| at > *onset) {
            let since = at.0 - onset.0;
            match kind {
                Anomaly::Spike if since <= 45 * 60_000 => rate *= 10.0,
                Anomaly::Drift => rate *= 1.0 + 5.0 * as_number(since) / as_number((TEST_DAYS - 1) * DAY),
                Anomaly::Silence => return Some(0),
                Anomaly::NightActivity if hour_of_day(at) < 6.0 => rate = noon,
                Anomaly::Spike | Anomaly::NightActivity => {}
                Anomaly::ConstantHigh => return Some(self.count(noon * 1.6, 0.0, &mut rng)),
            }
        }
        Some(self.count(rate, 1.0, &mut rng))
    }

    /// The fleet's usual rate at that moment.
    fn rate(&self, at: Millis) -> f64 {
        let day = at.0.div_euclid(DAY);
        // The epoch was on a Thursday.
        let week = if (day + 3).rem_euclid(7) >= 5 { 0.6 } else { 1.0 };
        let level = (0.05 * normal(&mut self.randomness(u64::MAX, day))).exp();
        self.typical(hour_of_day(at), week) * level
    }

    fn typical(&self, hour: f64, week: f64) -> f64 {
        let sun = (0.5 - 0.5 * (TAU * (hour - 4.0) / 24.0).cos()).powf(1.3);
        let messages = 3.0 + 37.0 * sun * week;
        match self.workload {
            Workload::Messages => messages,
            Workload::Bytes => messages * 800.0,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is neither large nor negative"
    )]
    fn count(&self, rate: f64, noise: f64, rng: &mut Rng) -> u64 {
        match self.workload {
            Workload::Messages => poisson(rate * (0.25 * noise * normal(rng)).exp(), rng),
            Workload::Bytes => (rate * (0.3 * noise * normal(rng)).exp()) as u64,
        }
    }

    /// Randomness of its own for each device and moment, so that they can be asked in any order.
    fn randomness(&self, one: u64, other: i64) -> Rng {
        let mixed = (self.seed ^ one.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Rng::with_seed(mixed ^ other.cast_unsigned().wrapping_mul(0xBF58_476D_1CE4_E5B9))
    }
}

fn hour_of_day(at: Millis) -> f64 {
    as_number(at.0.rem_euclid(DAY)) / as_number(HOUR)
}

#[expect(clippy::cast_precision_loss, reason = "times of a few weeks")]
fn as_number(millis: i64) -> f64 {
    millis as f64
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (TAU * rng.f64()).cos()
}

/// A Poisson count: by Knuth's product for small rates, by the normal distribution for large ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut off at zero, and small")]
fn poisson(rate: f64, rng: &mut Rng) -> u64 {
    if rate > 30.0 {
        return (rate + rate.sqrt() * normal(rng)).round().max(0.0) as u64;
    }
    let (limit, mut product, mut count) = ((-rate).exp(), rng.f64(), 0);
    while product > limit {
        product *= rng.f64();
        count += 1;
    }
    count
}
