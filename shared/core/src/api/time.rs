//! Times in the input of a call and in what the service answers: epoch seconds.

use serde_json::Number;
use serde_json::Value;

use crate::timestamp::Millis;

/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// Epoch seconds, with a fraction only if there is one. A text without a zone is in UTC: so are the times of
/// `aws iot … --generate-cli-skeleton`.
pub(super) fn time(value: &Value) -> Option<Number> {
    let seconds = match value {
        Value::String(text) => {
            let mut in_utc = ["", "Z", "T00:00:00Z"].into_iter();
            let Millis(at) = in_utc.find_map(|rest| Millis::parse(&format!("{text}{rest}")))?;
            if at.rem_euclid(1000) == 0 {
                Number::from(at / 1000)
            } else {
                #[expect(clippy::cast_precision_loss, reason = "milliseconds of the year 9999 have 48 bits")]
                Number::from_f64(at as f64 / 1000.0)?
            }
        }
        Value::Number(number) => number.clone(),
        _ => return None,
    };
    #[expect(clippy::cast_precision_loss, reason = "the last second has 38 bits")]
    let most = LAST_SECOND as f64;
    seconds.as_f64().is_some_and(|seconds| (0.0..=most).contains(&seconds)).then_some(seconds)
}

/// What is wrong with what [`time()`] does not take.
pub(super) fn no_time(value: &Value) -> &'static str {
    #[expect(clippy::cast_precision_loss, reason = "the last second has 38 bits")]
    let last = LAST_SECOND as f64;
    if value.as_f64().is_some_and(|seconds| seconds > last) {
        "is past the year 9999: a number is seconds since 1970, not milliseconds"
    } else {
        "is no time: a number of seconds since 1970, or a text as 2026-11-23, 2026-11-23T08:00:00 (both UTC) or \
         2026-11-23T09:00:00+01:00"
    }
}

/// A time in epoch seconds, in milliseconds.
pub fn millis(value: &Value) -> Option<Millis> {
    if let Some(seconds) = value.as_i64() {
        return Some(Millis::from_seconds(seconds));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a judged time has 48 bits")]
    value.as_f64().map(|seconds| Millis((seconds * 1000.0).round() as i64))
}
