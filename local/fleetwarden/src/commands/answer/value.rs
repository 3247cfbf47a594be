//! Any JSON value as a table: what `--output table` shows of a part that a query picked, and of what is no list.

use crate::output::{Layout, Painted, Table, moment};
use fleetwarden_core::timestamp::Millis;
use serde_json::{Map, Value};

/// A list has a row for each entry, a structure one for each value in it, by its path. A list within is JSON.
pub(crate) fn table(value: &Value, layout: Layout) -> Painted {
    match value {
        Value::Array(items) => entries(items).render(layout),
        Value::Object(members) => {
            let mut table = Table::new(["member", "value"]);
            leaves(members, "", &mut table);
            table.render(layout)
        }
        plain => Painted::from(cell("", plain)),
    }
}

fn entries(items: &[Value]) -> Table {
    let rows: Vec<Vec<(String, String)>> = items.iter().map(row).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let mut table = Table::labeled(&columns);
    for row in &rows {
        let cell =
            |column: &&str| row.iter().find(|(name, _)| name == column).map_or("", |(_, text)| text.as_str());
        table.row(columns.iter().map(cell));
    }
    table
}

/// The cells of an entry by the names of their columns.
fn row(entry: &Value) -> Vec<(String, String)> {
    match entry {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), cell(name, value))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (at.to_string(), cell("", item))).collect()
        }
        plain => vec![("value".to_owned(), cell("", plain))],
    }
}

/// A row for each value, also of structures within.
fn leaves(members: &Map<String, Value>, above: &str, table: &mut Table) {
    for (name, value) in members {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Object(within) if !within.is_empty() => leaves(within, &path, table),
            value => table.row([&path, &cell(name, value)]),
        }
    }
}

/// A value as people read it, by the name of its member.
fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value if is_time(name) => time(value),
        other => other.to_string(),
    }
}

/// Whether a member's number is a time: so the service names them.
fn is_time(name: &str) -> bool {
    name == "timestamp" || ["Time", "Date", "At"].iter().any(|end| name.ends_with(end))
}

/// A time of the service, in seconds since 1970 with a fraction, or a text.
pub(crate) fn time(value: &Value) -> String {
    match value {
        Value::String(text) => moment(text),
        Value::Number(seconds) => {
            // Times of the service lie well within what a double holds to the millisecond.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a time beyond all calendars is shown as 1970"
            )]
            let at = seconds.as_f64().map(|seconds| (seconds * 1000.0).round() as i64);
            at.map_or_else(|| seconds.to_string(), |at| Millis(at).rfc3339())
        }
        _ => String::new(),
    }
}
