//! What became of the records of one invocation.

use super::Dimensions;
use super::Metric;
use super::Record;
use super::line;
use crate::timestamp::Millis;

/// The records of one invocation. Of one that takes no batch: the invocation itself.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'f> {
    /// The function.
    pub function: &'f str,
    /// When it ended.
    pub at: Millis,
    /// How many records it took.
    pub records: u64,
    /// Of these, how many are to be delivered again.
    pub failed: u64,
    /// Of these, how many are parked on the dead-letter queue.
    pub parked: u64,
}

impl<'f> Invocation<'f> {
    /// Of an invocation that takes no batch: it is its own record, and nothing of it is parked.
    pub const fn of_one(function: &'f str, at: Millis, is_failed: bool) -> Self {
        Self { function, at, records: 1, failed: is_failed as u64, parked: 0 }
    }

    /// The metric line.
    pub fn line(&self) -> String {
        line(self)
    }
}

impl Record for Invocation<'_> {
    fn at(&self) -> Millis {
        self.at
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::count("Records", self.records),
            Metric::count("Failed", self.failed),
            Metric::count("Parked", self.parked),
        ]
    }

    fn dimensions(&self) -> Dimensions<'_> {
        Dimensions::by([("Function", self.function)])
    }
}
