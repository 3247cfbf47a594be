//! What an invocation says of itself: until when it may work, and which time of a schedule it is for.
//!
//! A function that a schedule wakes, and a person too, does the work of each time of the schedule once
//! ([`Ledger::run_once`](crate::ledger::Ledger::run_once)), however often the schedule calls it.

use std::time::Duration;

use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

/// How long a claim outlives the invocation that made it.
const LEASE: Duration = Duration::from_secs(30);

/// The moment at which Lambda ends the invocation.
pub fn deadline(context: &Context) -> Millis {
    Millis(i64::try_from(context.deadline).unwrap_or(i64::MAX))
}

/// Until when a claim of work counts that ends with the invocation.
pub const fn lease(deadline: Millis) -> Millis {
    deadline.plus(LEASE)
}

/// How much time is left for work that has to end a margin before the deadline; nothing if that is past.
pub fn time_left(now: Millis, deadline: Millis, margin: Duration) -> Duration {
    deadline.minus(margin).since(now)
}

/// Whether there is time to begin something: a margin before the deadline at the latest.
pub fn has_time(now: Millis, deadline: Millis, margin: Duration) -> bool {
    now <= deadline.minus(margin)
}

/// When to begin nothing more: the margin before the deadline, or the last quarter of a time that is short.
pub fn stop_at(now: Millis, deadline: Millis, margin: Duration) -> Millis {
    deadline.minus(margin.min(deadline.since(now) / 4))
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
    let wrong = || Error::Input(format!("scheduledAt: '{at}' is not a time in RFC 3339 format"));
    Millis::parse(at).map(Millis::rfc3339).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_with_the_margin_left_or_with_a_quarter_of_a_short_time() {
        let stop = |now, deadline| stop_at(Millis(now), Millis(deadline), Duration::from_secs(30)).0;
        assert_eq!([stop(0, 900_000), stop(0, 60_000), stop(60_000, 60_000)], [870_000, 45_000, 60_000]);
    }

    #[test]
    fn time_is_left_until_the_margin_before_the_deadline() {
        let (margin, deadline) = (Duration::from_secs(5), Millis(60_000));
        let at = |now| (has_time(Millis(now), deadline, margin), time_left(Millis(now), deadline, margin));
        assert_eq!(at(50_000), (true, Duration::from_secs(5)));
        assert_eq!(at(55_000), (true, Duration::ZERO));
        assert_eq!(at(55_001), (false, Duration::ZERO));
    }

    #[test]
    fn a_time_of_the_schedule_is_the_same_however_it_is_written() {
        let context = Context::default();
        let slot = |at| slot(Some(at), &context).map_err(|error| error.to_string());
        assert_eq!(slot("2026-11-23T09:00:00+01:00"), slot("2026-11-23T08:00:00Z"));
        assert_eq!(slot("soon").unwrap_err(), "scheduledAt: 'soon' is not a time in RFC 3339 format");
    }
}
