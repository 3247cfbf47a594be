//! What is shown of an answer: all of it or what a query picks, as JSON, as a table or as text.

use super::text::text;
use anyhow::{Result, anyhow};
use clap::ValueEnum;
use comfy_table::{Table, presets};
use fleetwarden_core::api::Operation;
use fleetwarden_core::untrusted::visible;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Members with a value that was measured.
const MEASURED: [&str; 3] = ["value", "metricValue", "lastViolationValue"];

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// As JSON
    Json,
    /// As a table
    Table,
    /// As lines with tabs between the values
    Text,
}

/// An expression that picks a part of an answer.
#[derive(Debug)]
pub(super) struct Query(jmespath::Expression<'static>);

impl Query {
    /// Reads it.
    pub(super) fn parse(expression: &str) -> Result<Self> {
        jmespath::compile(&literals(expression)).map(Self).map_err(|error| wrong(&error))
    }

    fn pick(&self, answer: &Value) -> Result<Value> {
        let found = self.0.search(answer).map_err(|error| wrong(&error))?;
        Ok(serde_json::to_value(found.as_ref())?)
    }
}

/// The expression with quotes around each literal between backticks that is no JSON: the AWS CLI takes it as a string.
fn literals(expression: &str) -> String {
    let (mut out, mut rest) = (String::new(), expression);
    while let Some(at) = rest.find(['`', '\'', '"']) {
        let (before, from) = rest.split_at(at);
        let (mark, inside) = from.split_at(1);
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = mark.starts_with(c) && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some((literal, after)) = end.map(|end| inside.split_at(end)) else { break };
        let plain = literal.replace("\\`", "`");
        let is_word = mark == "`" && serde_json::from_str::<Value>(&plain).is_err();
        let quoted = || Value::from(plain.trim_start()).to_string().replace('`', "\\`");
        let literal = if is_word { Cow::Owned(quoted()) } else { Cow::Borrowed(literal) };
        out.extend([before, mark, &literal, mark]);
        rest = after.get(1..).unwrap_or_default();
    }
    out + rest
}

fn wrong(error: &jmespath::JmespathError) -> anyhow::Error {
    anyhow!("--query: {}", error.to_string().trim_end())
}

/// The lines of an answer, if it has any.
pub(super) fn shown(
    operation: &Operation,
    answer: &Value,
    output: Option<Format>,
    query: Option<&str>,
) -> Result<Option<String>> {
    let picked;
    let (value, output) = match query {
        Some(expression) => {
            picked = Query::parse(expression)?.pick(answer)?;
            (&picked, output.unwrap_or(Format::Json))
        }
        None => match output {
            Some(output) => (answer, output),
            None => return by_kind(operation, answer).map(Some),
        },
    };
    let shown = match output {
        Format::Json => serde_json::to_string_pretty(value)?,
        Format::Table if query.is_none() => table(operation, value).unwrap_or_else(|| any_table(value)),
        Format::Table => any_table(value),
        Format::Text => text(value),
    };
    Ok(Some(shown).filter(|shown| !shown.is_empty()))
}

/// A report as it is written, a list as a table, all else as JSON.
fn by_kind(operation: &Operation, answer: &Value) -> Result<String> {
    let written = answer.get("contentType").and_then(|_| answer.get("body")).and_then(Value::as_str);
    match written.map(ToOwned::to_owned).or_else(|| table(operation, answer)) {
        Some(shown) => Ok(shown),
        None => Ok(serde_json::to_string_pretty(answer)?),
    }
}

/// The entries of a list, a row each; nothing if the operation is no list. A resource is shown by its identifier, what
/// has a name or an ARN by that, and what else has members of its own is left out.
fn table(operation: &Operation, answer: &Value) -> Option<String> {
    if !operation.is_list() {
        return None;
    }
    let entries = answer.as_object()?.values().find_map(Value::as_array)?;
    Some(rows(&entries.iter().map(row).collect::<Vec<_>>()))
}

/// Any value: a list has a row for each entry, a structure one for each member, and what is within is JSON.
fn any_table(value: &Value) -> String {
    let cells = |members: &Map<String, Value>| -> Vec<(String, String)> {
        members.iter().map(|(name, value)| (name.clone(), cell(value))).collect()
    };
    let of = |entry: &Value| match entry {
        Value::Object(members) => cells(members),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (at.to_string(), cell(item))).collect()
        }
        plain => vec![("value".to_owned(), cell(plain))],
    };
    match value {
        Value::Array(items) => rows(&items.iter().map(of).collect::<Vec<_>>()),
        Value::Object(members) => {
            let row = |(name, value): (&String, &Value)| {
                vec![("member".to_owned(), visible(name).to_string()), ("value".to_owned(), cell(value))]
            };
            rows(&members.iter().map(row).collect::<Vec<_>>())
        }
        plain => cell(plain),
    }
}

/// A table of rows, each of cells by the name of their column.
fn rows<N: AsRef<str>>(rows: &[Vec<(N, String)>]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !columns.contains(&name.as_ref()) {
            columns.push(name.as_ref());
        }
    }
    let mut table = Table::new();
    let header = columns.iter().map(|column| visible(column).to_string());
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    for row in rows {
        let cell = |column: &&str| {
            row.iter().find(|(name, _)| name.as_ref() == *column).map_or("", |(_, text)| text.as_str())
        };
        table.add_row(columns.iter().map(cell));
    }
    table.to_string()
}

fn row(entry: &Value) -> Vec<(&str, String)> {
    let Some(members) = entry.as_object() else { return vec![("name", cell(entry))] };
    let mut row: Vec<(&str, String)> = members
        .iter()
        .filter(|(_, value)| !value.is_object() && !value.is_array())
        .map(|(name, value)| (name.as_str(), cell(value)))
        .collect();
    row.extend(members.iter().filter_map(|(member, value)| {
        let name = value.get("name").or_else(|| value.get("arn"));
        let value = if MEASURED.contains(&member.as_str()) { Some(value) } else { name };
        value.map(|value| (member.as_str(), cell(value)))
    }));
    let within = entry.get("nonCompliantResource").or_else(|| entry.get("relatedResource")).unwrap_or(entry);
    if let Some(resource) = within.get("resourceIdentifier") {
        row.push(("resource", cell(resource)));
    }
    row
}

/// A value as people see it: names of devices are any text.
fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| visible(&value.to_string()).to_string(), |text| visible(text).to_string())
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
