//! What a device does by itself: a daily rhythm, quieter weekends, noise, short reconnects and hours offline.
//!
//! Every figure is a function of the seed, the device, the metric and the time. Nothing is stored: the value of
//! any moment can be asked for again, in any order, and is the same. The figures follow a typical report (some
//! 11 kB out and 31 kB in, 115 packets) and a fleet whose counts are over-dispersed and follow the sun.

use std::f64::consts::TAU;

use fleetwarden_behaviors::BuiltIn;

use crate::detect::targets::Device;
use crate::random::{draw, mix};

/// Streams of numbers, apart from those that the registry draws from.
mod domain {
    pub(super) const SCALE: u64 = 101;
    pub(super) const DAY: u64 = 102;
    pub(super) const HOUR: u64 = 103;
    pub(super) const VALUE: u64 = 104;
    pub(super) const OFFLINE: u64 = 105;
    pub(super) const PHASE: u64 = 106;
}

/// How long a period is: cloud-side metrics have one datapoint for each.
pub(crate) const PERIOD_MS: i64 = 300_000;
pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// Periods of a day.
const PERIODS: usize = 288;

/// One device and one day in this many have hours offline.
const OFFLINE_DAYS: u64 = 50;
/// One period in this many has a short reconnect.
const RECONNECTS: u64 = 400;

/// How much of something happens in a period at night, and how much more at noon.
#[derive(Debug, Clone, Copy)]
struct Rate {
    night: f64,
    noon: f64,
    /// Whether single events are counted (messages), and not amounts (bytes).
    counts_events: bool,
}

const fn events(night: f64, noon: f64) -> Rate {
    Rate { night, noon, counts_events: true }
}

const fn amount(night: f64, noon: f64) -> Rate {
    Rate { night, noon, counts_events: false }
}

/// The rhythm of a fleet.
#[derive(Debug, Clone)]
pub(crate) struct Rhythm {
    seed: u64,
    /// How high the sun stands in each period of a day, 0 to 1.
    sun: [f64; PERIODS],
}

impl Rhythm {
    pub(crate) fn new(seed: u64) -> Self {
        let mut sun = [0.0; PERIODS];
        for (height, period) in sun.iter_mut().zip(0_u32..) {
            let hour = f64::from(period) / 12.0;
            *height = (0.5 - 0.5 * (TAU * (hour - 4.0) / 24.0).cos()).powf(1.3);
        }
        Self { seed, sun }
    }

    /// A number for a device, a metric and a moment.
    pub(super) fn draw(&self, device: u64, metric: u64, at: i64) -> u64 {
        draw(self.seed, domain::VALUE, mix(mix(device) ^ metric) ^ at.cast_unsigned())
    }

    /// How busy a device is beside others, now: its own scale, the fleet's day, its hour.
    pub(super) fn busy(&self, device: u64, at: i64) -> f64 {
        let own = 0.2 * normal(self.seed, domain::SCALE, device);
        let day = 0.05 * normal(self.seed, domain::DAY, at.div_euclid(DAY_MS).cast_unsigned());
        let hour = at.div_euclid(HOUR_MS).cast_unsigned();
        let hour = 0.25 * normal(self.seed, domain::HOUR, mix(device) ^ hour);
        (own + day + hour).exp()
    }

    /// How much the fleet does in the period that ends then: 0 at night, 1 at noon of a working day.
    fn light(&self, end: i64) -> f64 {
        let begin = end - 1;
        let period = usize::try_from(begin.rem_euclid(DAY_MS) / PERIOD_MS).unwrap_or(0);
        // The epoch was on a Thursday.
        let is_weekend = (begin.div_euclid(DAY_MS) + 3).rem_euclid(7) >= 5;
        self.sun.get(period).copied().unwrap_or(0.0) * if is_weekend { 0.6 } else { 1.0 }
    }

    /// A count of the period that ends then, for a device that is `busy`.
    pub(super) fn count(&self, metric: BuiltIn, device: u64, end: i64, busy: f64) -> u64 {
        let Some(rate) = rate(metric) else { return 0 };
        let drawn = self.draw(device, metric as u64, end);
        let mean = (rate.night + (rate.noon - rate.night) * self.light(end)) * busy;
        let noisy = mean * (0.25 * normal_of(drawn)).exp();
        if rate.counts_events { poisson(noisy, mix(drawn ^ 1)) } else { whole(noisy) }
    }

    /// A number that follows the sun, for custom metrics, as a charge in percent does: about 50 at night and 80 at noon,
    /// by a few more or less of each device.
    pub(super) fn number(&self, metric: u64, device: u64, end: i64, busy: f64) -> f64 {
        let drawn = self.draw(device, metric, end);
        let own = 5.0 * (busy.sqrt() - 1.0).clamp(-1.0, 1.0);
        let value = 50.0 + 30.0 * self.light(end) + own + 2.0 * normal_of(drawn);
        (value * 100.0).round() / 100.0
    }

    /// When a device is offline on the day of a moment, if it is: whole periods of that day.
    pub(super) fn offline(&self, device: u64, at: i64) -> Option<std::ops::Range<i64>> {
        let day = at.div_euclid(DAY_MS);
        let drawn = draw(self.seed, domain::OFFLINE, mix(device) ^ day.cast_unsigned());
        if !drawn.is_multiple_of(OFFLINE_DAYS) {
            return None;
        }
        let first = i64::try_from((drawn >> 16) % 200).unwrap_or(0);
        let periods = 6 + i64::try_from((drawn >> 32) % 72).unwrap_or(0);
        let begin = day * DAY_MS + first * PERIOD_MS;
        Some(begin..begin + periods * PERIOD_MS)
    }

    /// Whether a connected device loses its connection for seconds in the period that ends then.
    pub(super) fn reconnects(&self, device: u64, end: i64) -> bool {
        self.draw(device, BuiltIn::ConnectionAttempts as u64, end).is_multiple_of(RECONNECTS)
    }

    /// Where in each period a device sends its report, in milliseconds: whole seconds, never on the grid.
    pub(super) fn report_phase(&self, device: u64) -> i64 {
        1_000 + i64::try_from(draw(self.seed, domain::PHASE, device) % 298).unwrap_or(0) * 1_000
    }
}

/// A number that no other device has.
pub(super) fn number(device: Device) -> u64 {
    match device {
        Device::Thing(thing) => {
            let (certificate, slot) = thing.key();
            (certificate << 16) | slot
        }
        Device::Client(index) => (1 << 62) | u64::from(index),
    }
}

fn rate(metric: BuiltIn) -> Option<Rate> {
    Some(match metric {
        BuiltIn::MessagesSent => events(3.0, 40.0),
        BuiltIn::MessagesReceived => events(1.0, 6.0),
        BuiltIn::AuthorizationFailures => events(0.001, 0.001),
        BuiltIn::BytesOut => amount(2_400.0, 16_000.0),
        BuiltIn::BytesIn => amount(7_000.0, 45_000.0),
        BuiltIn::PacketsOut => amount(27.0, 175.0),
        BuiltIn::PacketsIn => amount(25.0, 170.0),
        _ => return None,
    })
}

/// A number from 0 to 1, 1 excluded.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn uniform(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn normal(seed: u64, domain: u64, index: u64) -> f64 {
    normal_of(draw(seed, domain, index))
}

/// A standard normal number from random bits (Box and Muller).
fn normal_of(bits: u64) -> f64 {
    (-2.0 * (1.0 - uniform(bits)).ln()).sqrt() * (TAU * uniform(mix(bits))).cos()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as wanted")]
fn whole(amount: f64) -> u64 {
    amount.round() as u64
}

/// A Poisson count: by Knuth's product for small rates, by the normal distribution for large ones.
fn poisson(rate: f64, bits: u64) -> u64 {
    if rate > 12.0 {
        return whole((rate + rate.sqrt() * normal_of(bits)).max(0.0));
    }
    let (limit, mut bits, mut count) = ((-rate).exp(), mix(bits), 0);
    let mut product = uniform(bits);
    while product > limit {
        bits = mix(bits);
        product *= uniform(bits);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-02, a Monday.
    const MONDAY: i64 = 1_793_577_600_000;

    #[test]
    fn a_number_of_a_custom_metric_is_a_charge_that_never_runs_low() {
        let rhythm = Rhythm::new(1);
        let days = (0..7 * 288).map(|period| MONDAY + period * PERIOD_MS);
        let values = days.flat_map(|at| (0..50).map(move |device| (device, at)));
        let values = values.map(|(device, at)| rhythm.number(7, device, at, rhythm.busy(device, at)));
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), n| (low.min(n), high.max(n)));
        assert!(low > 25.0 && high < 100.0, "{low} to {high}");
        let noon = rhythm.number(7, 1, MONDAY + 12 * HOUR_MS, 1.0);
        assert!(noon > rhythm.number(7, 1, MONDAY, 1.0) + 10.0, "{noon}");
    }

    fn mean(rhythm: &Rhythm, metric: BuiltIn, hour: i64) -> f64 {
        let end = MONDAY + hour * HOUR_MS;
        let total: u64 =
            (0..500).map(|device| rhythm.count(metric, device, end, rhythm.busy(device, end - 1))).sum();
        f64::from(u32::try_from(total).unwrap()) / 500.0
    }

    #[test]
    fn the_fleet_follows_the_sun_and_rests_at_weekends() {
        let rhythm = Rhythm::new(5);
        let (night, noon) =
            (mean(&rhythm, BuiltIn::MessagesSent, 4), mean(&rhythm, BuiltIn::MessagesSent, 16));
        assert!((2.0..5.0).contains(&night) && (32.0..56.0).contains(&noon), "{night} {noon}");
        let sunday = mean(&rhythm, BuiltIn::MessagesSent, 6 * 24 + 16);
        assert!(sunday < noon * 0.85 && sunday > noon * 0.4, "{sunday}");
        assert!(mean(&rhythm, BuiltIn::AuthorizationFailures, 16) < 0.02);
    }

    #[test]
    fn one_seed_gives_one_value_and_another_seed_another() {
        let (one, other) = (Rhythm::new(5), Rhythm::new(6));
        let values = |rhythm: &Rhythm| -> Vec<u64> {
            (0..288).map(|at| rhythm.count(BuiltIn::BytesOut, 7, MONDAY + at * PERIOD_MS, 1.0)).collect()
        };
        assert_eq!(values(&one), values(&Rhythm::new(5)));
        assert_ne!(values(&one), values(&other));
    }

    #[test]
    fn few_devices_are_offline_and_for_hours_only() {
        let rhythm = Rhythm::new(5);
        let offline: Vec<_> = (0..5_000).filter_map(|device| rhythm.offline(device, MONDAY)).collect();
        assert!((60..140).contains(&offline.len()), "{}", offline.len());
        for range in offline {
            assert!(range.start >= MONDAY && range.end <= MONDAY + DAY_MS);
            assert!(range.start % PERIOD_MS == 0 && range.end % PERIOD_MS == 0);
        }
    }
}
