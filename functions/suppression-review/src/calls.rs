//! Calls of AWS IoT at the rate that the account has, and slower while others use it too.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::settings::SettingsError;
use fleetwarden_aws::settings::optional;
use fleetwarden_core::api;
use fleetwarden_core::api::Operation;
use fleetwarden_core::pages::Endless;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use tokio::time::Instant;

use crate::SuppressionReview;

/// The largest page of a list.
pub(crate) const PAGE: u32 = 250;
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

    /// From `CALLS_PER_SECOND`, which a measurement sets; nobody else needs it.
    ///
    /// # Errors
    /// If it is no number.
    pub fn from_env() -> Result<Self, SettingsError> {
        let name = "CALLS_PER_SECOND";
        let number = |value: String| {
            let wrong = |value| SettingsError::Wrong { name, value, expected: "a whole number above 0" };
            value.parse().ok().filter(|n| *n > 0).ok_or(()).map_err(|()| wrong(value))
        };
        Ok(Self::new(optional(name).map(number).transpose()?))
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

/// What is left of an invocation.
pub(crate) struct Budget {
    pub(crate) clock: Clock,
    pub(crate) stop_at: Millis,
}

impl Budget {
    /// Whether the next invocation should go on.
    pub(crate) fn is_over(&self) -> bool {
        self.clock.now() >= self.stop_at
    }
}

/// A list of the registry.
#[derive(Clone, Copy)]
pub(crate) struct List {
    pub(crate) operation: &'static str,
    /// The member of the answer that has the entries.
    pub(crate) entries: &'static str,
    /// Whether its pages are `marker` and `pageSize`, as those of older lists.
    pub(crate) marked: bool,
}

/// Whether a call failed with this code.
pub(crate) fn is(error: &Error, wanted: &str) -> bool {
    matches!(error, Error::Aws { code, .. } if code == wanted)
}

impl SuppressionReview {
    /// Makes a call when it is its turn.
    pub(crate) async fn paced<T: DeserializeOwned>(
        &self,
        name: &'static str,
        input: Value,
    ) -> Result<T, Error> {
        let known = api::AUDIT.iter().chain(&api::REGISTRY).find(|operation| operation.name == name);
        let (Some(operation), Value::Object(input)) = (known, input) else {
            return Err(Error::Input(format!("{name} is no operation with members")));
        };
        let answer = self.turns(operation, &input).await?;
        let unlike = |e| Error::Later(format!("{name}: the answer is not what it should be: {e}"));
        serde_json::from_str(answer.get()).map_err(unlike)
    }

    async fn turns(
        &self,
        operation: &'static Operation,
        input: &Map<String, Value>,
    ) -> Result<Box<serde_json::value::RawValue>, Error> {
        let mut tries = 0;
        loop {
            self.pace.turn(operation).await;
            match self.iot.call(operation, input).await {
                Err(error) if is(&error, "ThrottlingException") && tries < TRIES => {
                    tries += 1;
                    self.pace.slower(operation);
                }
                answer => return answer,
            }
        }
    }

    /// Goes through all entries of a list. False if there was no time for all of them.
    pub(crate) async fn each(
        &self,
        list: List,
        mut input: Map<String, Value>,
        budget: &Budget,
        mut take: impl FnMut(&Value),
    ) -> Result<bool, Error> {
        let (size, from, next) = if list.marked {
            ("pageSize", "marker", "nextMarker")
        } else {
            ("maxResults", "nextToken", "nextToken")
        };
        input.insert(size.to_owned(), PAGE.into());
        let mut pages = Pages::default();
        loop {
            if budget.is_over() {
                return Ok(false);
            }
            let page: Value = self.paced(list.operation, Value::Object(input.clone())).await?;
            // An answer without the list says nothing: taken for an empty one it would cost every member its
            // suppression.
            let entries = page.get(list.entries).and_then(Value::as_array).ok_or_else(|| {
                Error::Later(format!("{}: the answer has no {}", list.operation, list.entries))
            })?;
            entries.iter().for_each(&mut take);
            let token = page.get(next).and_then(Value::as_str).map(ToOwned::to_owned);
            pages.turn(token).map_err(endless(list.operation))?;
            let Some(token) = pages.token() else { return Ok(true) };
            input.insert(from.to_owned(), token.into());
        }
    }
}

/// Why a list is not gone on with.
pub(crate) fn endless(list: &str) -> impl FnOnce(Endless) -> Error {
    move |endless| Error::Later(format!("{list}: {endless}"))
}
