//! A function that a schedule wakes, and a person too: the work of each time of the schedule is done once
//! ([`Ledger::run_once`]), however often it is delivered.

use std::time::Duration;

use fleetwarden_core::metrics::invocation::Invocation;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::Error;
use crate::clock::Clock;
use crate::invocation;
use crate::ledger::Ledger;
use crate::ledger::keys;

/// A function with its schedule.
pub struct Schedule<'f> {
    /// The function's name.
    pub function: &'static str,
    /// What is left of an invocation when it begins nothing more. Of a short one it is a quarter.
    pub margin: Duration,
    /// Where each time of the schedule is claimed.
    pub ledger: &'f Ledger,
    /// The function's clock.
    pub clock: &'f Clock,
    /// Takes the metric line of the invocation.
    pub emit: fn(&str),
}

/// The time that an invocation has.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// When it began.
    pub now: Millis,
    /// When it begins nothing more.
    pub stop_at: Millis,
}

impl Schedule<'_> {
    /// Does the work of a time of the schedule, or of a person's invocation. Gives its answer as JSON, or that it was done
    /// before: `{"slot": …, "repeated": true}`.
    ///
    /// # Errors
    /// [`Error::Input`] if `scheduled_at` is no time; if the ledger does not answer; why the work failed.
    pub async fn run<T: Serialize>(
        &self,
        scheduled_at: Option<&str>,
        context: &Context,
        work: impl AsyncFnOnce(Span) -> Result<T, Error>,
    ) -> Result<Value, Error> {
        // On the heap: with all that the work is made of, the type of this future is a deep one.
        let once = Box::pin(async {
            let slot = invocation::slot(scheduled_at, context)?;
            let (about, lease) =
                (keys::look(self.function, &slot), invocation::lease(invocation::deadline(context)));
            let span = self.span(context);
            let answer = self.ledger.run_once(&about, span.now, lease, work(span)).await?;
            Ok(answer.map_or_else(|| json!({"slot": slot, "repeated": true}), |answer| json!(answer)))
        });
        self.count(once.await)
    }

    /// Does work that leaves no trace: the work at that time of the schedule is still to come.
    ///
    /// # Errors
    /// [`Error::Input`] if `scheduled_at` is no time; why the work failed.
    pub async fn rehearse<T: Serialize>(
        &self,
        scheduled_at: Option<&str>,
        context: &Context,
        work: impl AsyncFnOnce(Span) -> Result<T, Error>,
    ) -> Result<Value, Error> {
        let rehearsal = Box::pin(async {
            invocation::slot(scheduled_at, context)?;
            Ok(json!(work(self.span(context)).await?))
        });
        self.count(rehearsal.await)
    }

    fn span(&self, context: &Context) -> Span {
        let now = self.clock.now();
        Span { now, stop_at: invocation::stop_at(now, invocation::deadline(context), self.margin) }
    }

    fn count(&self, outcome: Result<Value, Error>) -> Result<Value, Error> {
        (self.emit)(&Invocation::of_one(self.function, self.clock.now(), outcome.is_err()).line());
        outcome
    }
}
