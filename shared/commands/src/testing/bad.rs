//! Bad input of each kind, made from what the operations say of their members; and what tables of commands need.

use fleetwarden_core::api::Operation;
use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::api::shape::Member;
use fleetwarden_core::api::shape::Shape;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// Each kind of bad input for each of these members. `key` is a good key of a map.
pub fn bad_inputs(members: &[Member], key: &str) -> Vec<Bad> {
    let mut found = Vec::new();
    bad_members(members, &[], key, &mut found);
    found
}

/// One object with the members of both; of a member that both have, the other's.
pub fn merged(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.into_iter().chain(other).collect::<Map<_, _>>().into()
        }
        (one, _) => one,
    }
}

/// Whether a call, as `GET /audit/tasks?taskStatus=FAILED`, is of an operation.
pub fn is_of(operation: &Operation, call: &str) -> bool {
    let (method, target) = call.split_once(' ').unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let (mine, its): (Vec<&str>, Vec<&str>) =
        (operation.path.split('/').collect(), path.split('/').collect());
    method == operation.method
        && mine.len() == its.len()
        && mine.iter().zip(its).all(|(mine, its)| mine.starts_with('{') || *mine == its)
}

/// Something that is wrong with an input.
#[derive(Debug)]
pub struct Bad {
    /// Where it is put.
    pub path: Vec<String>,
    /// What is put there; nothing: what is there is taken away.
    pub value: Option<Value>,
    /// The JSON path that the error names.
    pub told: String,
}

/// The path as the error has it.
fn json_path(path: &[String]) -> String {
    path.iter().fold("$".to_owned(), |told, part| {
        let dot = if part.starts_with('[') { "" } else { "." };
        told + dot + part
    })
}

/// Each kind of bad input for a value.
fn bad_values(shape: &Shape, path: &[String], key: &str, found: &mut Vec<Bad>) {
    let told = json_path(path);
    let mut bad =
        |value: Value| found.push(Bad { path: path.to_vec(), value: Some(value), told: told.clone() });
    match shape {
        Shape::Text { min, max, pattern } => {
            bad(json!(7));
            bad(json!(["x"]));
            if *max < usize::MAX {
                bad(json!("7".repeat(max + 1)));
            }
            if *min > 0 {
                bad(json!("7".repeat(min - 1)));
            }
            if pattern.is_some() {
                // Of the right length, and a control character is in no pattern.
                bad(json!("\u{7}".repeat((*min).max(1))));
            }
        }
        Shape::Choice(_) => {
            bad(json!("NONSENSE"));
            bad(json!(true));
        }
        Shape::Flag => {
            bad(json!("true"));
            bad(json!(1));
        }
        Shape::Whole { min, max } => {
            // Where the limits are those of 64 bits, nothing is beyond them.
            for value in [min.checked_sub(1), max.checked_add(1)].into_iter().flatten() {
                bad(json!(value));
            }
            for value in [json!(1.5), json!("1"), json!(u64::MAX)] {
                bad(value);
            }
        }
        Shape::Number => {
            bad(json!("1"));
            bad(json!(true));
        }
        Shape::Time => {
            for value in
                [json!("yesterday"), json!(-1), json!(1e12), json!(true), json!("2026-13-01T00:00:00Z")]
            {
                bad(value);
            }
        }
        Shape::List { of, min, max } => {
            bad(json!({}));
            bad(json!("x"));
            if *max < usize::MAX {
                bad(Value::Array(vec![json!("x"); max + 1]));
            }
            if *min > 0 {
                bad(json!([]));
            }
            bad_values(of, &[path, &["[0]".to_owned()]].concat(), key, found);
        }
        Shape::Map { key: keys, value } => {
            bad(json!([]));
            let name = match keys {
                Shape::Choice(names) => {
                    let wrong = [path, &["NONSENSE".to_owned()]].concat();
                    found.push(Bad { path: wrong, value: Some(json!({})), told: format!("{told}.NONSENSE") });
                    names.first().copied().unwrap_or(key)
                }
                _ => key,
            };
            bad_values(value, &[path, &[name.to_owned()]].concat(), key, found);
        }
        Shape::Record(members) => {
            bad(json!("x"));
            bad_members(members, path, key, found);
        }
    }
}

/// Each kind of bad input for each member, and one that does not exist.
fn bad_members(members: &[Member], path: &[String], key: &str, found: &mut Vec<Bad>) {
    let told = json_path(path);
    for member in members {
        let inner = [path, &[member.name.to_owned()]].concat();
        if member.required && member.name != TOKEN {
            found.push(Bad { path: inner.clone(), value: None, told: format!("{told}.{}", member.name) });
        }
        bad_values(member.shape, &inner, key, found);
    }
    let unknown = [path, &["noSuchMember".to_owned()]].concat();
    found.push(Bad { path: unknown, value: Some(json!("x")), told: format!("{told}.noSuchMember") });
}

/// Puts a value at a path; what is on the way and not there is made.
pub fn put(at: &mut Value, path: &[String], value: Option<Value>) {
    let [first, rest @ ..] = path else {
        *at = value.unwrap_or_default();
        return;
    };
    if first.starts_with('[') {
        if at.as_array().is_none_or(Vec::is_empty) {
            *at = json!([{}]);
        }
        if let Some(first) = at.get_mut(0) {
            put(first, rest, value);
        }
        return;
    }
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    let Value::Object(members) = at else { return };
    match (rest.is_empty(), value) {
        (true, None) => drop(members.remove(first)),
        (_, value) => put(members.entry(first.clone()).or_insert(Value::Null), rest, value),
    }
}
