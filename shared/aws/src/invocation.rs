//! What an invocation says of itself: until when it may work, and which time of a schedule it is for.
//!
//! A function that a schedule wakes, and a person too, does the work of each time of the schedule once
//! ([`Ledger::run_once`](crate::ledger::Ledger::run_once)), however often the schedule calls it.

use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

/// How long a claim outlives the invocation that made it, in seconds.
const LEASE_SECONDS: i64 = 30;

/// The moment at which Lambda ends the invocation.
pub fn deadline(context: &Context) -> Millis {
    Millis(i64::try_from(context.deadline).unwrap_or(i64::MAX))
}

/// Until when a claim of work counts that ends with the invocation.
pub const fn lease(deadline: Millis) -> Millis {
    deadline.plus_seconds(LEASE_SECONDS)
}

/// When to begin nothing more: the margin before the deadline in milliseconds, or the last quarter of a time that is
/// short.
pub fn stop_at(now: Millis, deadline: Millis, margin: i64) -> Millis {
    let left = deadline.0.saturating_sub(now.0);
    Millis(deadline.0.saturating_sub(margin.min(left / 4)))
}

/// Reads the event of a schedule or of a person. A list would be read as the members in their order, and an empty one as
/// an event without any.
///
/// # Errors
/// [`Error::Input`] if it is no object, with an example of one, or what is wrong with a member.
pub fn wish<T: DeserializeOwned>(event: Value, example: &str) -> Result<T, Error> {
    if !event.is_object() {
        return Err(Error::Input(format!("the event: it must be an object, such as {example}")));
    }
    serde_json::from_value(event).map_err(|e| Error::Input(format!("the event: {e}")))
}

/// The time of the schedule, the same in a delivery that is repeated; of a person's invocation its own id.
///
/// # Errors
/// [`Error::Input`] if it is no time in RFC 3339.
pub fn slot(scheduled_at: Option<&str>, context: &Context) -> Result<String, Error> {
    let Some(at) = scheduled_at else { return Ok(context.request_id.clone()) };
    let wrong = || Error::Input(format!("scheduledAt: '{at}' is no time in RFC 3339"));
    Millis::parse(at).map(Millis::rfc3339).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_with_the_margin_left_or_with_a_quarter_of_a_short_time() {
        let stop = |now, deadline| stop_at(Millis(now), Millis(deadline), 30_000).0;
        assert_eq!([stop(0, 900_000), stop(0, 60_000), stop(60_000, 60_000)], [870_000, 45_000, 60_000]);
    }

    #[test]
    fn a_time_of_the_schedule_is_the_same_however_it_is_written() {
        let context = Context::default();
        let slot = |at| slot(Some(at), &context).map_err(|error| error.to_string());
        assert_eq!(slot("2026-11-23T09:00:00+01:00"), slot("2026-11-23T08:00:00Z"));
        assert_eq!(slot("soon").unwrap_err(), "scheduledAt: 'soon' is no time in RFC 3339");
    }
}
