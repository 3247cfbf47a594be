//! Calls of AWS IoT at the rate that the account has, and slower while others use it too.
//!
//! Functions that make one call after the other for a long time ask by way of a [`Pace`]: each operation has a lane of
//! its own, as the account has a rate for each.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use fleetwarden_core::api::Operation;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::Error;
use crate::iot_api::IotApi;
use crate::iot_api::known;
use crate::settings::SettingsError;
use crate::settings::optional;

/// How often a call is made again, each time slower, while the service says that it is asked too often. The client
/// has tried a few times by then.
const TRIES: u32 = 8;
/// The slowest: one call in so many milliseconds.
const SLOWEST: Duration = Duration::from_millis(3_200);

/// When the next call of each operation may be made.
#[derive(Debug)]
pub struct Pace {
    per_second: Option<u32>,
    lanes: Mutex<HashMap<&'static str, Lane>>,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    next: Instant,
    apart: Duration,
}

impl Pace {
    /// So many calls of each operation a second, or as many as the account may make.
    pub fn new(per_second: Option<u32>) -> Self {
        Self { per_second, lanes: Mutex::default() }
    }

    /// From `CALLS_PER_SECOND`, which only a measurement sets.
    ///
    /// # Errors
    /// If it is not a whole number above 0.
    pub fn from_env() -> Result<Self, SettingsError> {
        let name = "CALLS_PER_SECOND";
        let number = |value: String| {
            let wrong = |value| SettingsError::Wrong { name, value, expected: "a whole number above 0" };
            value.parse().ok().filter(|n| *n > 0).ok_or(()).map_err(|()| wrong(value))
        };
        Ok(Self::new(optional(name).map(number).transpose()?))
    }

    /// Makes a call by the name of its operation when it is its turn, and reads the answer.
    ///
    /// # Errors
    /// As [`IotApi::ask`], after more tries while the service says that it is asked too often.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        iot: &IotApi,
        name: &'static str,
        input: Value,
    ) -> Result<T, Error> {
        let (operation, input) = known(name, input)?;
        let answer = self.call(operation, async || iot.call(operation, &input).await).await?;
        let unlike = |e| Error::Later(format!("{name}: the answer is not what it should be: {e}"));
        serde_json::from_str(answer.get()).map_err(unlike)
    }

    /// Makes a call when it is its turn.
    ///
    /// # Errors
    /// What the call says, after more tries while the service says that it is asked too often.
    pub async fn call<T>(
        &self,
        operation: &'static Operation,
        call: impl AsyncFn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut tries = 0;
        loop {
            self.turn(operation).await;
            match call().await {
                Err(error) if error.is_code("ThrottlingException") && tries < TRIES => {
                    tries += 1;
                    self.slower(operation);
                }
                answer => return answer,
            }
        }
    }

    fn least(&self, operation: &Operation) -> Duration {
        Duration::from_secs(1) / self.per_second.unwrap_or(operation.per_second).max(1)
    }

    /// Waits for this call's turn.
    async fn turn(&self, operation: &'static Operation) {
        let apart = self.least(operation);
        let at = self.with(operation, |lane| {
            let at = lane.next.max(Instant::now());
            lane.next = at + lane.apart;
            lane.apart = apart.max(lane.apart.mul_f64(0.97));
            at
        });
        // A pace above the timer's resolution is no pace: then nothing is waited for.
        if at > Instant::now() + Duration::from_millis(1) {
            tokio::time::sleep_until(at).await;
        }
    }

    fn slower(&self, operation: &'static Operation) {
        self.with(operation, |lane| {
            lane.apart = (lane.apart * 2).min(SLOWEST);
            lane.next = lane.next.max(Instant::now()) + lane.apart;
        });
    }

    fn with<T>(&self, operation: &'static Operation, act: impl FnOnce(&mut Lane) -> T) -> T {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Lane { next: Instant::now(), apart: self.least(operation) };
        act(lanes.entry(operation.name).or_insert_with(new))
    }
}
