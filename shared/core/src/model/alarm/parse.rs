//! An alarm as text, in any of the shapes that come on the alarm queue, as an [`AlarmEvent`].
//!
//! No message has a subject or attributes that say what it is, so its shape alone tells:
//!
//! - Device Defender's has `violationId` ([`violation`]): by SNS, or an element of `ListViolationEvents` or
//!   `ListActiveViolations`;
//! - CloudWatch's has `AlarmName` and `NewStateValue` ([`cloudwatch`]);
//! - a tool of the operator's own writes `schema` ([`plain`]).
//!
//! Words that are new here are kept: an unknown event, criteria or metric is still an alarm that people hear of. What
//! has no identity is refused, with the path of the member: without it a repeat could not be told from news.

mod cloudwatch;
mod plain;
mod violation;

pub use plain::SCHEMA;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde_json::Map;
use serde_json::Value;

use super::AlarmEvent;
use super::EventType;
use crate::json;
use crate::json::JsonError;
use crate::timestamp::Millis;
use crate::untrusted::shown;

/// Why a text is no alarm.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// It is no JSON object.
    #[error("the alarm is no JSON object: {0}")]
    NoJson(#[source] serde_json::Error),
    /// It has the shape of a known kind, and a member is missing or wrong.
    #[error("{} of the {kind}: {}", source.path, source.reason)]
    Member {
        /// The kind of message.
        kind: &'static str,
        /// Which member, and what is wrong with it.
        source: JsonError,
    },
    /// It has the shape of a known kind, and a member's value can mean nothing here.
    #[error("{path} of the {kind}: {what}")]
    Value {
        /// The kind of message.
        kind: &'static str,
        /// The member's path.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// It has no known shape.
    #[error(
        "the message has none of 'violationId', 'NewStateValue' and 'schema'; its members are: {members}"
    )]
    UnknownShape {
        /// The names of its members, the first few.
        members: String,
    },
}

impl AlarmEvent {
    /// Reads an alarm that came from an account and region: those of the topic, which Device Defender's messages do not
    /// name.
    ///
    /// # Errors
    /// What is wrong, with the path of the member; also if the message says that it is of another account or region.
    pub fn parse(text: &str, account: &str, region: &str) -> Result<Self, AlarmError> {
        let members: Map<String, Value> = serde_json::from_str(text).map_err(AlarmError::NoJson)?;
        let has = |member: &str| members.contains_key(member);
        let place = Place { account, region };
        if has("violationId") {
            violation::read(text, place)
        } else if has("AlarmName") && has("NewStateValue") {
            cloudwatch::read(text, place)
        } else if has("schema") {
            plain::read(text, place)
        } else {
            Err(AlarmError::UnknownShape { members: names(&members) })
        }
    }
}

/// Where an alarm comes from.
#[derive(Clone, Copy)]
struct Place<'p> {
    account: &'p str,
    region: &'p str,
}

impl Place<'_> {
    /// Refuses a message that names another account or region.
    fn check(
        self,
        kind: &'static str,
        account: (&str, Option<&str>),
        region: (&str, Option<&str>),
    ) -> Result<(), AlarmError> {
        let is_here = |((path, named), here): (_, &str), of: &str| match named {
            Some(named) if named != here => {
                Err(wrong(kind, path, format!("this is {of} {here}, not '{}'", shown(named))))
            }
            _ => Ok(()),
        };
        is_here((account, self.account), "account")?;
        is_here((region, self.region), "region")
    }
}

/// The names of the first members, for an error.
fn names(members: &Map<String, Value>) -> String {
    let mut names: Vec<String> = members.keys().take(10).map(|name| shown(name)).collect();
    names.sort_unstable();
    names.join(", ")
}

fn wrong(kind: &'static str, path: impl Into<String>, what: impl Into<String>) -> AlarmError {
    AlarmError::Value { kind, path: path.into(), what: what.into() }
}

fn read<'t, T: Deserialize<'t>>(text: &'t str, kind: &'static str) -> Result<T, AlarmError> {
    json::read(text).map_err(|source| AlarmError::Member { kind, source })
}

/// A text that must not be empty.
fn filled(kind: &'static str, path: &str, text: String) -> Result<String, AlarmError> {
    if text.is_empty() { Err(wrong(kind, path, "it is empty")) } else { Ok(text) }
}

impl EventType {
    /// The event that a word of the API stands for.
    pub fn of(word: String) -> Self {
        match word.as_str() {
            "in-alarm" => Self::InAlarm,
            "alarm-cleared" => Self::AlarmCleared,
            "alarm-invalidated" => Self::AlarmInvalidated,
            _ => Self::Unknown(word),
        }
    }
}

/// A number up to here is in seconds, above it in milliseconds: 1973 in milliseconds, 5138 in seconds.
const MOST_SECONDS: f64 = 1e11;
/// The last moment of the year 9999, in milliseconds: nothing is later.
const LAST: f64 = 253_402_300_799_999.0;

/// A time as the messages have it: epoch milliseconds by SNS, epoch seconds with a fraction by the API, or RFC 3339,
/// where CloudWatch writes the zone without a colon.
#[derive(Clone, Copy, Debug)]
struct Time(Millis);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        time(&value).map(Self).ok_or_else(|| {
            let given = shown(&value.to_string());
            D::Error::custom(format!("{given} is no time: epoch milliseconds, epoch seconds, or RFC 3339"))
        })
    }
}

fn time(value: &Value) -> Option<Millis> {
    if let Value::String(text) = value {
        return Millis::parse(text).or_else(|| {
            let (start, zone) = text.split_at_checked(text.len().checked_sub(5)?)?;
            let (hours, minutes) = zone.split_at_checked(3)?;
            Millis::parse(&format!("{start}{hours}:{minutes}"))
        });
    }
    let number = value.as_f64()?;
    let millis = if number.abs() <= MOST_SECONDS { number * 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "it has 48 bits")]
    (0.0..=LAST).contains(&millis).then(|| Millis(millis.round() as i64))
}

#[cfg(test)]
mod tests;
