//! The environment of a function that runs in a test as it ships: what `from_env` reads of the process, of the file
//! system and of the machine's clock comes from the test instead.
//!
//! It stands around a future, so that functions can run side by side in one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use aws_smithy_async::time::TimeSource;

use crate::clients::Shared;
use crate::clock::Clock;

tokio::task_local! {
    static ENVIRONMENT: Environment;
}

/// A clock as the SDK asks for the time.
#[derive(Clone)]
pub(crate) struct Time(pub(crate) Clock);

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the clock of a test")
    }
}

impl TimeSource for Time {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0.now().0).unwrap_or_default())
    }
}

/// What a function finds around it.
#[derive(Clone)]
pub struct Environment(Arc<Parts>);

/// What an environment is made of.
pub struct Parts {
    /// The variables; others are not set.
    pub variables: BTreeMap<&'static str, String>,
    /// The policy in the layer.
    pub policy: Vec<u8>,
    /// The clients of AWS.
    pub clients: Shared,
    /// The machine's clock.
    pub clock: Clock,
    /// The randomness of the operating system.
    pub random: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Standard output: the lines of metrics and alerts.
    pub emit: Box<dyn Fn(&str) + Send + Sync>,
}

impl From<Parts> for Environment {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Environment {
    /// Runs a function in this environment.
    pub async fn run<T>(&self, function: impl Future<Output = T>) -> T {
        ENVIRONMENT.scope(self.clone(), function).await
    }
}

fn of_test<T>(read: impl FnOnce(&Parts) -> T) -> Option<T> {
    ENVIRONMENT.try_with(|environment| read(&environment.0)).ok()
}

/// Whether what a process reads comes from a test.
pub(crate) fn is_set() -> bool {
    of_test(|_| ()).is_some()
}

pub(crate) fn variable(name: &str) -> Option<String> {
    of_test(|parts| parts.variables.get(name).filter(|value| !value.is_empty()).cloned())?
}

pub(crate) fn policy() -> Option<Vec<u8>> {
    of_test(|parts| parts.policy.clone())
}

pub(crate) fn clients() -> Option<Shared> {
    of_test(|parts| parts.clients.clone())
}

pub(crate) fn clock() -> Option<Clock> {
    of_test(|parts| parts.clock.clone())
}

pub(crate) fn random() -> Option<u64> {
    of_test(|parts| (parts.random)())
}

/// Whether there is an environment that has taken the line.
pub(crate) fn emit(line: &str) -> bool {
    of_test(|parts| (parts.emit)(line)).is_some()
}
