//! YAML with CloudFormation's short tags, read into the long form that is also JSON.
//!
//! `!Ref X` becomes `{"Ref": "X"}`, `!GetAtt A.B` becomes `{"Fn::GetAtt": ["A", "B"]}`, any other `!Name v`
//! becomes `{"Fn::Name": v}`. Anchors and merge keys have no place in a template and are refused.

use anyhow::{Context as _, Result, bail};
use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};

/// Reads the one document of a template.
pub(crate) fn read(text: &str) -> Result<Value> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| anyhow::anyhow!("the template is no YAML: {error}"))?;
        let data = matches!(
            event,
            Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd
                | Event::Alias(..)
        );
        if data {
            events.push(event);
        }
    }
    let mut events = events.into_iter();
    let first = events.next().context("the template is empty")?;
    node(first, &mut events)
}

/// One node, whose first event has been taken already.
fn node<'a>(first: Event<'a>, rest: &mut impl Iterator<Item = Event<'a>>) -> Result<Value> {
    match first {
        Event::Scalar(text, style, _, tag) => {
            let plain = style == ScalarStyle::Plain && tag.is_none();
            let value = if plain { plain_scalar(&text) } else { Value::from(text.into_owned()) };
            Ok(tagged(short_name(tag.as_deref()).as_deref(), value))
        }
        Event::SequenceStart(_, _, tag) => {
            let mut items = Vec::new();
            loop {
                match next(rest)? {
                    Event::SequenceEnd => break,
                    event => items.push(node(event, rest)?),
                }
            }
            Ok(tagged(short_name(tag.as_deref()).as_deref(), Value::Array(items)))
        }
        Event::MappingStart(_, _, tag) => {
            let mut members = Map::new();
            loop {
                let key = match next(rest)? {
                    Event::MappingEnd => break,
                    Event::Scalar(text, ..) => text.into_owned(),
                    other => bail!("the template has a key that is no text: {other:?}"),
                };
                let event = next(rest)?;
                let value = node(event, rest)?;
                members.insert(key, value);
            }
            Ok(tagged(short_name(tag.as_deref()).as_deref(), Value::Object(members)))
        }
        other => bail!("the template uses what a template must not: {other:?}"),
    }
}

fn next<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Result<Event<'a>> {
    events.next().context("the template ends too early")
}

/// The name behind the exclamation mark, or nothing for YAML's own tags.
fn short_name(tag: Option<&granit_parser::Tag>) -> Option<String> {
    let written = tag?.to_string();
    written.strip_prefix('!').filter(|name| !name.starts_with('!')).map(str::to_owned)
}

fn tagged(name: Option<&str>, value: Value) -> Value {
    match name {
        None => value,
        Some("Ref") => json!({ "Ref": value }),
        Some("Condition") => json!({ "Condition": value }),
        Some("GetAtt") => {
            let path = match value.as_str().and_then(|text| text.split_once('.')) {
                Some((resource, attribute)) => json!([resource, attribute]),
                None => value,
            };
            json!({ "Fn::GetAtt": path })
        }
        Some(name) => json!({ format!("Fn::{name}"): value }),
    }
}

/// What YAML makes of a scalar without quotes. Dates and long numbers stay text, as CloudFormation has them.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.len() > 1 && text.starts_with('0') && !text.contains('.') => Value::from(text),
        _ => number(text).unwrap_or_else(|| Value::from(text)),
    }
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    // Rust reads `inf` and `nan` as numbers; a template means words.
    let digits = text.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit());
    text.parse::<f64>().ok().filter(|_| digits).map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tags_become_the_long_form() {
        let text = "
Resources:
  A:
    Type: AWS::SQS::Queue
    Condition: Big
    Properties:
      Arn: !GetAtt Other.Arn
      Name: !Sub '${AWS::StackName}-x'
      Either: !If [Big, !Ref A, !Ref AWS::NoValue]
      Deep: !Sub [ '${Z}', { Z: !Ref B } ]
      On: true
      Count: 014
      Size: 12
      Version: 2012-10-17
";
        let expected = json!({ "Resources": { "A": {
            "Type": "AWS::SQS::Queue", "Condition": "Big", "Properties": {
                "Arn": { "Fn::GetAtt": ["Other", "Arn"] },
                "Name": { "Fn::Sub": "${AWS::StackName}-x" },
                "Either": { "Fn::If": ["Big", { "Ref": "A" }, { "Ref": "AWS::NoValue" }] },
                "Deep": { "Fn::Sub": ["${Z}", { "Z": { "Ref": "B" } }] },
                "On": true, "Count": "014", "Size": 12, "Version": "2012-10-17",
            },
        } } });
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn an_anchor_and_a_broken_file_are_refused() {
        assert!(read("a: &x 1\nb: *x\n").is_err());
        assert!(read("a: [1, 2").is_err());
        assert!(read("").is_err());
    }
}
