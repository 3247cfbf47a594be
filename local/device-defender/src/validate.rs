//! From a request to an input that is known to be good, or the list of everything that is wrong with it.
//!
//! The words are those of AWS's own validation: every fault names its member and the constraint. A null is a
//! missing member; an unknown member is ignored, as AWS does, but counted, since it is a client's mistake.

use serde_json::{Map, Number, Value};

use crate::failure::Failure;
use fleetwarden_core::api::shape::{Member, Place, Shape};
use fleetwarden_core::timestamp::Millis;

/// A request taken apart: decoded members of the path and the query, the headers, and the raw body.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) path: Vec<(&'static str, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// A good input, and how many members of the body nobody knows.
pub(crate) struct Input {
    pub(crate) members: Map<String, Value>,
    pub(crate) unknown: u64,
}

/// Judges a request by the members that its operation has.
pub(crate) fn input(members: &[Member], parts: &Parts<'_>) -> Result<Input, Failure> {
    let mut judge = Judge::default();
    let mut body = body(members, parts.body)?;
    let mut good = Map::new();
    for member in members {
        let value = match member.place {
            Place::Body => body.remove(member.name),
            Place::Path => find(parts.path.iter().map(|(name, value)| (*name, value.as_str())), member.name),
            Place::Query(name) => {
                find(parts.query.iter().map(|(name, value)| (name.as_str(), value.as_str())), name)
            }
            Place::Header(header) => find(parts.headers.iter().copied(), header),
        };
        let value = value.filter(|value| !value.is_null());
        let Some(mut value) = value else {
            if member.required {
                judge.missing(member.name);
            }
            continue;
        };
        if member.place != Place::Body {
            value = typed(member.shape, value);
        }
        judge.check(member.shape, &mut value, member.name);
        good.insert(member.name.to_owned(), value);
    }
    judge.unknown += body.len() as u64;
    match judge.faults.as_slice() {
        [] => Ok(Input { members: good, unknown: judge.unknown }),
        [fault] => Err(Failure::invalid(format!("1 validation error detected: {fault}"))),
        faults => Err(Failure::invalid(format!(
            "{} validation errors detected: {}",
            faults.len(),
            faults.join("; ")
        ))),
    }
}

fn find<'a>(mut pairs: impl Iterator<Item = (&'a str, &'a str)>, wanted: &str) -> Option<Value> {
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value.into())
}

fn body(members: &[Member], bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    let expected = members.iter().any(|member| member.place == Place::Body);
    if bytes.is_empty() || !expected {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Failure::invalid("The request body must be a JSON object")),
        Err(error) => Err(Failure::invalid(format!("The request body is not valid JSON: {error}"))),
    }
}

/// The text of a path, query or header as what it stands for. What cannot be read stays text and is refused for its type.
fn typed(shape: &Shape, value: Value) -> Value {
    let Some(text) = value.as_str() else { return value };
    let read = match shape {
        Shape::Whole { .. } => text.parse::<i64>().ok().map(Value::from),
        Shape::Flag => text.parse::<bool>().ok().map(Value::from),
        Shape::Time => Millis::parse(text)
            .and_then(|at| Number::from_f64(crate::clock::seconds(at.0)))
            .map(Value::Number),
        _ => None,
    };
    read.unwrap_or(value)
}

#[derive(Default)]
struct Judge {
    faults: Vec<String>,
    unknown: u64,
}

impl Judge {
    fn missing(&mut self, path: &str) {
        self.faults
            .push(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
    }

    fn fault(&mut self, path: &str, value: &Value, constraint: &str) {
        let shown = match value {
            Value::String(text) => text.chars().take(200).collect(),
            Value::Array(_) | Value::Object(_) => value.to_string().chars().take(200).collect(),
            other => other.to_string(),
        };
        self.faults.push(format!("Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"));
    }

    fn size(&mut self, path: &str, value: &Value, size: usize, min: usize, max: usize) {
        if size < min {
            self.fault(path, value, &format!("Member must have length greater than or equal to {min}"));
        }
        if size > max {
            self.fault(path, value, &format!("Member must have length less than or equal to {max}"));
        }
    }

    fn check(&mut self, shape: &Shape, value: &mut Value, path: &str) {
        let wanted = match (shape, &mut *value) {
            (Shape::Text { min, max, pattern }, Value::String(text)) => {
                let (count, matches) =
                    (text.chars().count(), pattern.is_none_or(|pattern| (pattern.matches)(text)));
                self.size(path, value, count, *min, *max);
                if let (false, Some(pattern)) = (matches, pattern) {
                    let words = format!("Member must satisfy regular expression pattern: {}", pattern.text);
                    self.fault(path, value, &words);
                }
                return;
            }
            (Shape::Choice(allowed), Value::String(text)) => {
                if !allowed.contains(&text.as_str()) {
                    let words = format!("Member must satisfy enum value set: [{}]", allowed.join(", "));
                    self.fault(path, value, &words);
                }
                return;
            }
            (Shape::Flag, Value::Bool(_)) | (Shape::Number | Shape::Time, Value::Number(_)) => return,
            (Shape::Whole { min, max }, Value::Number(number)) if number.is_i64() => {
                let number = number.as_i64().unwrap_or_default();
                if number < *min {
                    let words = format!("Member must have value greater than or equal to {min}");
                    self.fault(path, value, &words);
                } else if number > *max {
                    let words = format!("Member must have value less than or equal to {max}");
                    self.fault(path, value, &words);
                }
                return;
            }
            (Shape::List { of, min, max }, Value::Array(items)) => {
                let size = items.len();
                for (index, item) in items.iter_mut().enumerate() {
                    self.check(of, item, &format!("{path}.{}.member", index + 1));
                }
                self.size(path, value, size, *min, *max);
                return;
            }
            (Shape::Map { key, value: of }, Value::Object(map)) => {
                map.retain(|_, item| !item.is_null());
                for (name, item) in map.iter_mut() {
                    self.check(key, &mut Value::String(name.clone()), &format!("{path}.key"));
                    self.check(of, item, &format!("{path}.{name}.member"));
                }
                return;
            }
            (Shape::Record(members), Value::Object(map)) => {
                self.record(members, map, path);
                return;
            }
            (Shape::Text { .. } | Shape::Choice(_), _) => "a string",
            (Shape::Flag, _) => "a boolean",
            (Shape::Whole { .. }, _) => "a whole number",
            (Shape::Number, _) => "a number",
            (Shape::Time, _) => "a timestamp",
            (Shape::List { .. }, _) => "a list",
            (Shape::Map { .. } | Shape::Record(_), _) => "an object",
        };
        self.fault(path, value, &format!("Member must be {wanted}"));
    }

    fn record(&mut self, members: &[Member], map: &mut Map<String, Value>, path: &str) {
        map.retain(|_, item| !item.is_null());
        for member in members {
            let inner = format!("{path}.{}", member.name);
            match map.get_mut(member.name) {
                Some(item) => self.check(member.shape, item, &inner),
                None if member.required => self.missing(&inner),
                None => {}
            }
        }
        let before = map.len();
        map.retain(|name, _| members.iter().any(|member| member.name == name));
        self.unknown += (before - map.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwarden_core::api;
    use proptest::prelude::*;
    use serde_json::json;

    fn members(of: &str) -> &'static [Member] {
        api::AUDIT.iter().find(|operation| operation.name == of).unwrap().members
    }

    fn judge(members: &[Member], body: &Value) -> Result<Input, String> {
        let body = body.to_string();
        let path = vec![("taskId", "task-1".to_owned()), ("actionName", "act".to_owned())];
        let parts = Parts { path, body: body.as_bytes(), ..Parts::default() };
        input(members, &parts).map_err(|failure| failure.body())
    }

    #[test]
    fn a_good_task_passes_and_unknown_members_are_counted() {
        let good = json!({
            "target": { "findingIds": ["a"], "colour": 1 },
            "auditCheckToActionsMapping": { "LOGGING_DISABLED_CHECK": ["act"] },
            "clientRequestToken": "t", "extra": null, "more": 1,
        });
        let input = judge(members("StartAuditMitigationActionsTask"), &good).unwrap();
        assert_eq!(input.unknown, 3);
        assert_eq!(input.members["target"], json!({ "findingIds": ["a"] }));
    }

    #[test]
    fn every_fault_names_its_member() {
        let ids: Vec<String> = (0..26).map(|id| id.to_string()).collect();
        let bad = json!({ "target": { "findingIds": ids }, "auditCheckToActionsMapping": { "X": [] } });
        let faults = judge(members("StartAuditMitigationActionsTask"), &bad).err().unwrap();
        assert!(faults.contains("3 validation errors detected"), "{faults}");
        assert!(faults.contains("'target.findingIds' failed to satisfy constraint: Member must have length less than or equal to 25"));
        assert!(faults.contains("Value null at 'clientRequestToken'"));
        let types = json!({ "roleArn": 7, "actionParams": { "updateDeviceCertificateParams": {} } });
        let faults = judge(members("CreateMitigationAction"), &types).err().unwrap();
        assert!(faults.contains("'roleArn' failed to satisfy constraint: Member must be a string"));
        assert!(faults.contains("'actionParams.updateDeviceCertificateParams.action'"));
    }

    #[test]
    fn queries_are_read_by_type() {
        let query = |start: &str, max: &str| Parts {
            query: vec![
                ("startTime".into(), start.into()),
                ("endTime".into(), "2026-01-02T00:00:00.5Z".into()),
                ("maxResults".into(), max.into()),
            ],
            ..Parts::default()
        };
        let good = input(members("ListAuditTasks"), &query("2026-01-01T00:00:00Z", "250")).ok().unwrap();
        assert_eq!(good.members["endTime"], json!(1_767_312_000.5));
        assert!(input(members("ListAuditTasks"), &query("yesterday", "1")).is_err());
        assert!(input(members("ListAuditTasks"), &query("2026-01-01T00:00:00Z", "251")).is_err());
    }

    proptest! {
        #[test]
        fn no_body_is_too_strange(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let parts = Parts { body: &body, ..Parts::default() };
            let _ = input(members("StartAuditMitigationActionsTask"), &parts);
        }
    }
}
