//! The value of an option, as the AWS CLI reads it: by the shape that the operation wants.
//!
//! A structure is JSON text or in [`shorthand`], a list is several words or JSON text, and `file://` before a path stands
//! for what is in the file.

use super::shorthand;
use crate::input::{self, Input};
use anyhow::{Context as _, Result, anyhow, bail};
use fleetwarden_core::api::shape::Shape;
use fleetwarden_core::untrusted::shown;
use serde_json::{Map, Number, Value};
use std::path::{Path, PathBuf};

/// The value that an option's words are.
pub(in crate::commands) fn read(option: &str, shape: &Shape, words: &[&str]) -> Result<Value> {
    let from_file;
    let words = match words {
        [word] => {
            from_file = file(word).with_context(|| option.to_owned())?;
            &[from_file.as_deref().unwrap_or(word)]
        }
        words => words,
    };
    match (shape, words) {
        (Shape::List { .. }, [word]) if word.trim_start().starts_with('[') => json(option, word),
        (Shape::List { of, .. }, _) => words.iter().map(|word| one(option, of, word)).collect(),
        (_, [word]) => one(option, shape, word),
        _ => bail!("{option} takes one value"),
    }
}

/// The text of the file that a word names, if it names one.
pub(super) fn file(word: &str) -> Result<Option<String>> {
    let Some(path) = word.strip_prefix("file://").or_else(|| word.strip_prefix("fileb://")) else {
        return Ok(None);
    };
    let at_home = path.strip_prefix("~/").zip(std::env::home_dir());
    let path = at_home.map_or_else(|| PathBuf::from(path), |(rest, home)| home.join(rest));
    input::read(&path).map(|input| Some(input.text))
}

/// The members that `--cli-input-json` gives: JSON text, a file's, or that of standard input for `-`.
pub(super) fn members(option: &str, word: &str) -> Result<Map<String, Value>> {
    let text = if word == "-" {
        let Input { text, .. } = input::read(Path::new(word)).with_context(|| option.to_owned())?;
        text
    } else {
        file(word).with_context(|| option.to_owned())?.unwrap_or_else(|| word.to_owned())
    };
    match json(option, &text)? {
        Value::Object(members) => Ok(members),
        _ => bail!("{option} must be a JSON object: the members by their names"),
    }
}

/// JSON text.
fn json(option: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let path = text.strip_prefix("file:").unwrap_or(text).trim_start_matches(':');
        let hint = if is_path(text) {
            format!("; to read a file, put file:// before its path: {option} file://{}", shown(path))
        } else {
            String::new()
        };
        anyhow!("{option} is not valid JSON: {error}{hint}")
    })
}

/// Whether a text that is no JSON is the path of a file, without `file://` before it.
fn is_path(text: &str) -> bool {
    let path = Path::new(text);
    let is_name = !text.is_empty() && !text.contains(['{', '[', '"', '\n']);
    is_name
        && (text.starts_with("file:") || path.extension().is_some_and(|end| end == "json") || path.exists())
}

/// One value.
fn one(option: &str, shape: &Shape, word: &str) -> Result<Value> {
    if !matches!(shape, Shape::List { .. } | Shape::Map { .. } | Shape::Record(_)) {
        return scalar(option, shape, word);
    }
    if word.trim_start().starts_with(['[', '{']) {
        return json(option, word);
    }
    let parsed = shorthand::parse(word)
        .with_context(|| format!("{option} is neither JSON nor a structure in short"))?;
    typed(option, shape, parsed)
}

/// What was written in short, with the types that the shape wants. What does not fit stays as it is: the function tells
/// all that is wrong at once.
fn typed(option: &str, shape: &Shape, value: Value) -> Result<Value> {
    let of_member = |name: &str, shape: &Shape, value: Value| {
        typed(&format!("{option}: {name}"), shape, value).map(|value| (name.to_owned(), value))
    };
    match (shape, value) {
        (Shape::Record(members), Value::Object(given)) => {
            let shape_of =
                |name: &str| members.iter().find(|member| member.name == name).map(|member| member.shape);
            let each = given.into_iter().map(|(name, value)| match shape_of(&name) {
                Some(shape) => of_member(&name, shape, value),
                None => Ok((name, value)),
            });
            each.collect::<Result<Map<_, _>>>().map(Value::Object)
        }
        (Shape::Map { value: shape, .. }, Value::Object(given)) => {
            let each = given.into_iter().map(|(name, value)| of_member(&name, shape, value));
            each.collect::<Result<Map<_, _>>>().map(Value::Object)
        }
        (Shape::List { of, .. }, Value::Array(items)) => {
            items.into_iter().map(|item| typed(option, of, item)).collect()
        }
        // A list of one may be written without brackets.
        (Shape::List { of, .. }, item) => Ok(vec![typed(option, of, item)?].into()),
        (Shape::Map { .. } | Shape::Record(_), value) => Ok(value),
        (_, Value::String(text)) => scalar(option, shape, &text),
        (_, value) => Ok(value),
    }
}

fn scalar(option: &str, shape: &Shape, text: &str) -> Result<Value> {
    let number = || text.trim().parse::<i64>().map(Number::from).ok();
    let fraction = || text.trim().parse().ok().and_then(Number::from_f64);
    let wanted = |what: &str| anyhow!("{option} must be {what}, not '{}'", shown(text));
    match shape {
        Shape::Whole { .. } => number().map(Value::Number).ok_or_else(|| wanted("a whole number")),
        Shape::Number => number().or_else(fraction).map(Value::Number).ok_or_else(|| wanted("a number")),
        Shape::Flag => {
            let flag = text.to_ascii_lowercase().parse().map_err(|_| wanted("true or false"))?;
            Ok(Value::Bool(flag))
        }
        // Seconds since 1970, or a text that the function reads.
        Shape::Time => Ok(number().or_else(fraction).map_or_else(|| text.into(), Value::Number)),
        _ => Ok(text.into()),
    }
}

/// How a value is written, for the help.
pub(super) fn described(shape: &Shape, is_wanted: bool) -> String {
    let written = match shape {
        Shape::List { of, .. } => format!("{} …", inner(of)),
        Shape::Record(_) | Shape::Map { .. } => {
            let inner = inner(shape);
            inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(&inner).to_owned()
        }
        Shape::Choice(all) => format!("One of {}", all.join(", ")),
        Shape::Whole { min, max } if *max < i64::from(i32::MAX) => format!("{min} to {max}"),
        Shape::Time => "2026-11-23, 2026-11-23T08:00:00Z or seconds since 1970".to_owned(),
        _ => String::new(),
    };
    let required = if is_wanted { "Required" } else { "" };
    [required, &written].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// How a shape is written within another.
fn inner(shape: &Shape) -> String {
    match shape {
        Shape::Record(members) => {
            let members: Vec<String> =
                members.iter().map(|member| format!("{}={}", member.name, inner(member.shape))).collect();
            format!("{{{}}}", members.join(","))
        }
        Shape::Map { key, value } => format!("{{{}={}}}", inner(key), inner(value)),
        Shape::List { of, .. } => format!("[{},…]", inner(of)),
        Shape::Choice(all) => all.join("|"),
        Shape::Text { .. } => "text".to_owned(),
        Shape::Flag => "true|false".to_owned(),
        Shape::Whole { .. } | Shape::Number => "number".to_owned(),
        Shape::Time => "time".to_owned(),
    }
}
