//! What is wrong with the members of a call, by the shapes of the service model: each fault with its place.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use super::shape::GRAPHIC;
use super::shape::Member;
use super::shape::Shape;
use super::time::no_time;
use super::time::time;
use crate::nearest::did_you_mean;
use crate::untrusted::shown;

/// The token that a caller may leave out: the AWS CLI and the SDKs fill it in, and so do we.
pub const TOKEN: &str = "clientRequestToken";

/// One thing that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, as `$.targetCheckNames[1]`.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// The faults so far.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) faults: Vec<Fault>,
}

impl Judge {
    /// Notes a fault.
    pub(super) fn fault(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.faults.push(Fault { path: path.into(), what: what.into() });
    }

    pub(super) fn record(
        &mut self,
        members: &[Member],
        map: &mut Map<String, Value>,
        path: &str,
        beside: &[&str],
    ) {
        map.retain(|_, value| !value.is_null());
        let known = |name: &str| members.iter().any(|member| member.name == name);
        for name in map.keys().filter(|name| !known(name)) {
            let names = members.iter().map(|member| member.name).chain(beside.iter().copied());
            let near = did_you_mean(&shown(name), names);
            self.fault(below(path, name), format!("there is no such member{near}"));
        }
        for member in members {
            let inner = below(path, member.name);
            match map.get_mut(member.name) {
                Some(value) => self.value(member.shape, value, &inner),
                None if member.required && member.name != TOKEN => self.fault(inner, "is missing"),
                None => {}
            }
        }
    }

    fn value(&mut self, shape: &Shape, value: &mut Value, path: &str) {
        let wanted = match (shape, &mut *value) {
            (Shape::Text { min, max, pattern }, Value::String(text)) => {
                let fits = self.length(path, text.chars().count(), (*min, *max), "character");
                if let Some(pattern) = pattern.filter(|pattern| fits && !(pattern.matches)(text)) {
                    let strange = text.chars().find(|c| pattern.text == GRAPHIC.text && !c.is_ascii());
                    let hint = strange
                        .map(|c| format!(", which is printable ASCII: U+{:04X} is not", u32::from(c)))
                        .unwrap_or_default();
                    self.fault(path, format!("'{}' does not match {}{hint}", shown(text), pattern.text));
                }
                return;
            }
            (Shape::Choice(allowed), Value::String(text)) => {
                if !allowed.contains(&text.as_str()) {
                    let near = did_you_mean(&shown(text), allowed.iter().copied());
                    let all = allowed.join(", ");
                    self.fault(path, format!("'{}' is none of {all}{near}", shown(text)));
                }
                return;
            }
            (Shape::Flag, Value::Bool(_)) | (Shape::Number, Value::Number(_)) => return,
            (Shape::Whole { min, max }, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                if !number.as_i64().is_some_and(|number| (*min..=*max).contains(&number)) {
                    self.fault(path, format!("{number} is {}", outside(*min, *max)));
                }
                return;
            }
            (Shape::Time, Value::String(_) | Value::Number(_)) => {
                if let Some(seconds) = time(value) {
                    *value = Value::Number(seconds);
                } else {
                    self.fault(path, no_time(value));
                    // What is no time is neither before nor after another.
                    *value = Value::Null;
                }
                return;
            }
            (Shape::List { of, min, max }, Value::Array(items)) => {
                self.length(path, items.len(), (*min, *max), "entry");
                for (at, item) in items.iter_mut().enumerate() {
                    self.value(of, item, &format!("{path}[{at}]"));
                }
                return;
            }
            (Shape::Map { key, value: of }, Value::Object(map)) => {
                map.retain(|_, value| !value.is_null());
                for (name, item) in map.iter_mut() {
                    let inner = below(path, name);
                    self.value(key, &mut Value::String(name.clone()), &inner);
                    self.value(of, item, &inner);
                }
                return;
            }
            (Shape::Record(members), Value::Object(map)) => {
                self.record(members, map, path, &[]);
                return;
            }
            (Shape::Text { .. } | Shape::Choice(_), _) => "a string",
            (Shape::Flag, _) => "true or false",
            (Shape::Whole { .. }, _) => "a whole number",
            (Shape::Number, _) => "a number",
            (Shape::Time, _) => "a time",
            (Shape::List { .. }, _) => "a list",
            (Shape::Map { .. } | Shape::Record(_), _) => "an object",
        };
        self.fault(path, format!("must be {wanted}, not {}", kind(value)));
    }

    fn length(&mut self, path: &str, is: usize, (min, max): (usize, usize), what: &str) -> bool {
        if (min..=max).contains(&is) {
            return true;
        }
        let many = |count: usize| match (count, what) {
            (1, _) => format!("1 {what}"),
            (_, "entry") => format!("{count} entries"),
            _ => format!("{count} {what}s"),
        };
        let wanted = match max {
            usize::MAX => format!("at least {}", many(min)),
            _ if min == max => many(min),
            _ if min == 0 => format!("at most {}", many(max)),
            _ => format!("{min} to {}", many(max)),
        };
        self.fault(path, format!("must have {wanted}, and has {is}"));
        false
    }
}

/// The path of a member.
pub(super) fn below(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if plain && name.len() <= 64 { format!("{path}.{name}") } else { format!("{path}['{}']", shown(name)) }
}

/// What a whole number is not, where the limits of 64 bits are none.
fn outside(min: i64, max: i64) -> String {
    match max {
        i64::MAX => format!("less than {min}, or has more than 63 bits"),
        _ => format!("not from {min} to {max}"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
