//! Skeletons: of an input, each member with a value of its shape, to be filled in and given by `--cli-input-json`; of an
//! answer, as the AWS CLI prints it.

use anyhow::{Context as _, Result};
use fleetwarden_core::api::Operation;
use fleetwarden_core::api::shape::{Member, Shape};
use serde_json::{Map, Value, json};

/// The skeletons of the answers, by operation. The table of operations has inputs only; `tests/contract/answers.py` makes
/// these of the service's model.
const ANSWERS: &str = include_str!("answers.json");

/// The skeleton of an operation's answer.
pub(super) fn of_answer(operation: &Operation) -> Result<Value> {
    let mut all: Map<String, Value> = serde_json::from_str(ANSWERS).context("the skeletons are no JSON")?;
    let none =
        || format!("there is no skeleton of what {} answers: AWS has no such operation", operation.name);
    all.remove(operation.name).with_context(none)
}

/// The skeleton of an operation's input.
pub(super) fn of(operation: &Operation) -> Value {
    record(operation.members)
}

fn record(members: &[Member]) -> Value {
    let members = members.iter().map(|member| (member.name.to_owned(), value(member.shape)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Text { .. } => "".into(),
        Shape::Choice(all) => all.first().copied().unwrap_or_default().into(),
        Shape::Flag => true.into(),
        Shape::Whole { .. } => 0.into(),
        Shape::Number => 0.0.into(),
        Shape::Time => "1970-01-01T00:00:00".into(),
        Shape::List { of, .. } => json!([value(of)]),
        Shape::Map { key, value: of } => {
            let name = if let Shape::Choice([first, ..]) = key { first } else { "KeyName" };
            json!({ name: value(of) })
        }
        Shape::Record(members) => record(members),
    }
}
