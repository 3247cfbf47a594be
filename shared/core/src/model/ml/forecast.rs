//! Whether a model will have enough datapoints, and when; or what it takes.
//!
//! What is known is the number of datapoints of the trailing 14 days, once a day. It grows by what comes in and shrinks
//! by what is 14 days old by then, so the rate at a moment is the slope there plus the rate 14 days before. The forecast
//! takes the mean rate of the last two days as that of the days to come.

use serde::Deserialize;
use serde::Serialize;

use super::DAY_SECONDS;
use super::DAYS;
use super::NEEDED;
use super::Sample;
use crate::timestamp::Millis;
use crate::untrusted::Piece;
use crate::untrusted::Text;

/// The steps of the calculation a day.
const STEPS: i64 = 4;
const STEP_SECONDS: i64 = DAY_SECONDS / STEPS;
/// How many steps are in the trailing days of a model.
const WINDOW: i64 = DAYS * STEPS;
/// Of how many steps, the last ones, the mean is taken for the rate of now.
const RECENT: usize = 8;
/// Devices report no metrics more often than this (quota "Device metric minimum delay"); cloud-side metrics come every
/// five minutes.
const SHORTEST_SECONDS: u64 = 300;

/// Whether a model will have enough datapoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "forecast", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Forecast {
    /// There are enough now. How many more than enough is not shown, so nothing is said of how long it lasts.
    Enough,
    /// There will be enough.
    Reached {
        /// When, at the rate of the last days: a model is built or refreshed within a day of it.
        at: Millis,
    },
    /// There will never be enough.
    NotReached {
        /// How many there will be in 14 days, at the rate of the last days.
        datapoints: u32,
        /// How many times as many it takes.
        times: f64,
        /// How many more devices that is, if it is known how many there are.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        more_devices: Option<u64>,
        /// How often each device sends a datapoint now, in seconds, if it is known how many devices there are.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        interval_seconds: Option<u64>,
        /// How often each would have to, in seconds. None: more often than a device may, or not known.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        needed_interval_seconds: Option<u64>,
    },
    /// No datapoint has come in the last days.
    NoDatapoints,
}

/// The forecast for a behavior.
///
/// `samples` are sorted by time, the last is that of now. `since` is when collection began, where the service says so.
/// `devices` is how many devices the profile watches.
pub fn forecast(samples: &[Sample], since: Option<Millis>, devices: Option<u64>) -> Forecast {
    let Some(now) = samples.last().copied() else { return Forecast::NoDatapoints };
    let first_at = samples.first().map_or(now.at, |first| first.at);
    // Without a begin it is as if collection had begun a day before the first sample.
    let since = since.unwrap_or_else(|| first_at.plus_seconds(-DAY_SECONDS));
    let past = Past::of(samples, since, now.at);
    let rate = past.recent();
    let steady = rate * as_float(DAYS);
    let enough = |datapoints: f64| datapoints + 0.5 >= f64::from(NEEDED);
    let first_build = since.plus_seconds(DAYS * DAY_SECONDS);
    if enough(f64::from(now.collected)) && now.at >= first_build {
        return Forecast::Enough;
    }
    match past.first(now, rate, first_build.max(now.at), enough) {
        Some(at) if enough(steady) => Forecast::Reached { at },
        _ if steady < 1.0 => Forecast::NoDatapoints,
        _ => not_reached(steady, devices),
    }
}

fn not_reached(steady: f64, devices: Option<u64>) -> Forecast {
    let times = f64::from(NEEDED) / steady;
    let devices = devices.filter(|devices| *devices > 0);
    let number = |devices: u64| as_float(i64::try_from(devices).unwrap_or(i64::MAX));
    let interval = devices.map(|devices| number(devices) * as_float(DAYS * DAY_SECONDS) / steady);
    let needed = interval.map(|interval| whole((interval / times).floor()));
    Forecast::NotReached {
        datapoints: u32::try_from(whole(steady)).unwrap_or(u32::MAX),
        times: (times * 100.0).ceil() / 100.0,
        more_devices: devices
            .map(|devices| whole((number(devices) * times).ceil()).saturating_sub(devices).max(1)),
        interval_seconds: interval.map(|interval| whole(interval.round())),
        needed_interval_seconds: needed.filter(|seconds| *seconds >= SHORTEST_SECONDS),
    }
}

/// How many datapoints came in a day, step by step.
struct Past {
    /// When the first step begins.
    from: Millis,
    /// Datapoints a day in each step.
    rates: Vec<f64>,
}

impl Past {
    /// The rates that explain the samples. Before the first sample it is taken as even.
    fn of(samples: &[Sample], since: Millis, now: Millis) -> Self {
        let samples: Vec<Sample> = samples.iter().filter(|sample| sample.at > since).copied().collect();
        let Some(first) = samples.first() else { return Self { from: now, rates: Vec::new() } };
        let window_begin = first.at.plus_seconds(-DAYS * DAY_SECONDS);
        let begin = since.max(window_begin);
        let before = days(begin, first.at).max(1.0 / as_float(STEPS));
        let even = f64::from(first.collected) / before;
        let even_steps = whole((before * as_float(STEPS)).round());
        let mut rates = vec![even; usize::try_from(even_steps).unwrap_or_default().max(1)];
        let from = first.at.plus_seconds(-STEP_SECONDS * i64::try_from(rates.len()).unwrap_or_default());
        let mut at = first.at;
        while at < now {
            let end = at.plus_seconds(STEP_SECONDS).min(now);
            let slope = (collected(&samples, end) - collected(&samples, at)) / days(at, end);
            let gone = rates.len().checked_sub(usize::try_from(WINDOW).unwrap_or(usize::MAX));
            let old = gone.and_then(|gone| rates.get(gone)).copied().unwrap_or_default();
            // What is shown is never more than 100 %: a fleet that has more than enough seems to stand still.
            let before = rates.last().copied().unwrap_or(even);
            rates.push(if is_hidden(&samples, at) { before } else { (slope + old).max(0.0) });
            at = at.plus_seconds(STEP_SECONDS);
        }
        Self { from, rates }
    }

    /// Datapoints a day in the last days.
    fn recent(&self) -> f64 {
        let recent: Vec<f64> = self.rates.iter().rev().take(RECENT).copied().collect();
        let count = i64::try_from(recent.len().max(1)).unwrap_or(1);
        recent.iter().sum::<f64>() / as_float(count)
    }

    /// Datapoints a day at a moment of the past.
    fn rate_at(&self, at: Millis) -> f64 {
        let step = at.seconds().saturating_sub(self.from.seconds()).div_euclid(STEP_SECONDS);
        usize::try_from(step).ok().and_then(|step| self.rates.get(step)).copied().unwrap_or_default()
    }

    /// The first moment, from one on, at which the number of datapoints is as wanted; none if it never is.
    fn first(&self, now: Sample, rate: f64, from: Millis, wanted: impl Fn(f64) -> bool) -> Option<Millis> {
        let (mut at, mut datapoints) = (now.at, f64::from(now.collected));
        // After 14 days at one rate the number stays.
        for _ in 0..=2 * WINDOW {
            if at >= from && wanted(datapoints) {
                return Some(at);
            }
            let next = at.plus_seconds(STEP_SECONDS);
            let leaving = at.plus_seconds(STEP_SECONDS / 2 - DAYS * DAY_SECONDS);
            let leaves = if leaving < now.at { self.rate_at(leaving) } else { rate };
            let after = (rate - leaves).mul_add(1.0 / as_float(STEPS), datapoints);
            // The build is at the moment from which it is looked for, also within a step.
            if at < from && next > from {
                let share = days(at, from) * as_float(STEPS);
                if wanted((after - datapoints).mul_add(share, datapoints)) {
                    return Some(from);
                }
            }
            (at, datapoints) = (next, after);
        }
        None
    }
}

/// How many datapoints there were at a moment, between the samples by a straight line.
fn collected(samples: &[Sample], at: Millis) -> f64 {
    let after = samples.partition_point(|sample| sample.at < at);
    let next = samples.get(after).or(samples.last());
    let before = after.checked_sub(1).and_then(|before| samples.get(before));
    match (before, next) {
        (Some(before), Some(next)) if next.at > before.at && at <= next.at => {
            let share = days(before.at, at) / days(before.at, next.at);
            let more = f64::from(next.collected) - f64::from(before.collected);
            more.mul_add(share, f64::from(before.collected))
        }
        (_, next) => next.map_or(0.0, |next| f64::from(next.collected)),
    }
}

/// Whether the samples around a moment do not show how many datapoints there are.
fn is_hidden(samples: &[Sample], at: Millis) -> bool {
    let after = samples.partition_point(|sample| sample.at <= at);
    let around = samples.get(after.saturating_sub(1)..).unwrap_or_default();
    around.iter().take(2).any(|sample| sample.collected >= NEEDED)
}

fn days(from: Millis, to: Millis) -> f64 {
    as_float(to.0.saturating_sub(from.0)) / as_float(DAY_SECONDS * 1_000)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a century need 42 bits")]
const fn as_float(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
const fn whole(number: f64) -> u64 {
    number as u64
}

impl Piece for Forecast {
    fn text(&self) -> Text {
        Text::made(self.words())
    }
}

impl Forecast {
    /// The forecast for people.
    pub fn words(&self) -> String {
        match self {
            Self::Enough => "Enough datapoints in the trailing 14 days.".to_owned(),
            Self::Reached { at } => format!("25,000 datapoints in 14 days on about {}.", at.day()),
            Self::NotReached {
                datapoints,
                times,
                more_devices,
                interval_seconds,
                needed_interval_seconds,
            } => {
                let comes = format!(
                    "{} datapoints in 14 days, and 25,000 are needed: ",
                    thousands((*datapoints).into())
                );
                let (Some(more), Some(now)) = (more_devices, interval_seconds) else {
                    return format!(
                        "{comes}{times} times as many devices, or a shorter reporting interval in the same ratio."
                    );
                };
                let devices = if *more == 1 { "device" } else { "devices" };
                let interval = match needed_interval_seconds {
                    Some(needed) => format!(
                        ", or a datapoint every {} from each device (now every {})",
                        duration(*needed),
                        duration(*now)
                    ),
                    None => format!(
                        " (each sends a datapoint every {}, which cannot be much shorter)",
                        duration(*now)
                    ),
                };
                format!("{comes}{} more {devices}{interval}.", thousands(*more))
            }
            Self::NoDatapoints => "No datapoint came in the last days.".to_owned(),
        }
    }

    /// Whether the model will have what it needs.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Enough | Self::Reached { .. })
    }
}

/// A number with a comma before each three digits.
pub(super) fn thousands(number: u64) -> String {
    match (number / 1_000, number % 1_000) {
        (0, rest) => rest.to_string(),
        (more, rest) => format!("{},{rest:03}", thousands(more)),
    }
}

fn duration(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
