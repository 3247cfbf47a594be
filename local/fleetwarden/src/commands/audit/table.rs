//! The list of an answer as a table: what people look for comes first, and what needs more room than there is has to be
//! asked for by `--wide` or `--output json`.

use super::columns::{Column, Of, Room, columns_of};
use crate::commands::answer::value::{self, time};
use crate::output::{Cell, Kind, Layout, Painted, Table, width, wrapped};
use fleetwarden_core::api::Operation;
use fleetwarden_core::model::resource::ResourceIdentifier;
use serde_json::Value;

/// Terminals with at least so many columns show more than the least.
const BROAD: usize = 100;
/// An id of as many hexadecimal digits as this is cut where it is not wide: nobody compares more of it.
const LONG_ID: usize = 40;
/// What is left of it.
const SHORT_ID: usize = 16;
/// The columns that an id of a finding takes.
const LONGEST_ID: usize = 36;

/// The entries of a list, a row each; nothing if the operation is no list.
pub(super) fn table(operation: &Operation, answer: &Value, layout: Layout) -> Option<Painted> {
    if !operation.is_list() {
        return None;
    }
    let list = answer.as_object()?.values().find(|member| member.is_array())?;
    let entries = list.as_array()?;
    if entries.is_empty() {
        return Some(Painted::from("The list is empty."));
    }
    let Some(columns) = columns_of(operation.name) else { return Some(value::table(list, layout)) };
    let shown: Vec<(&Column, Vec<Cell>)> = columns
        .iter()
        .filter(|column| column.fits(layout))
        .map(|column| (column, entries.iter().map(|entry| column.cell(entry, layout)).collect()))
        .filter(|(column, cells): &(_, Vec<Cell>)| column.is_kept(cells))
        .collect();
    let kinds = |kind: Kind| {
        let places = shown.iter().enumerate().filter(move |(_, (column, _))| column.kind() == kind);
        places.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let titles = shown.iter().map(|(column, _)| column.title);
    let mut table =
        Table::new(titles).with(Kind::Word, kinds(Kind::Word)).with(Kind::Number, kinds(Kind::Number));
    for at in 0..entries.len() {
        table.row(shown.iter().filter_map(|(_, cells)| cells.get(at)).cloned());
    }
    Some(table.render(layout))
}

impl Column {
    /// Whether there is room for it.
    fn fits(&self, layout: Layout) -> bool {
        match self.room {
            Room::Any => true,
            Room::Broad => layout.columns() >= BROAD,
            Room::Fitted => layout != Layout::Wide,
            Room::Wide => layout == Layout::Wide,
        }
    }

    /// A column that is empty says nothing, but for one that a terminal of any width has.
    fn is_kept(&self, cells: &[Cell]) -> bool {
        let is_flag = matches!(self.of, Of::Flag(_));
        (matches!(self.room, Room::Any | Room::Fitted) && !is_flag)
            || cells.iter().any(|cell| !cell.is_empty())
    }

    fn kind(&self) -> Kind {
        match self.of {
            Of::State(_) | Of::Time(_) | Of::Flag(_) | Of::Id(_) | Of::End | Of::ResourceAndId(..) => {
                Kind::Word
            }
            Of::Percent(_) => Kind::Number,
            _ => Kind::Text,
        }
    }

    fn cell(&self, entry: &Value, layout: Layout) -> Cell {
        let text = |path: &str| at(entry, path).map(plain).unwrap_or_default();
        match self.of {
            Of::Text(path) | Of::Id(path) => text(path).into(),
            Of::State(path) => Cell::state(&text(path)),
            Of::Time(path) => at(entry, path).map(time).unwrap_or_default().into(),
            Of::Flag(path) => if at(entry, path) == Some(&Value::Bool(true)) { "yes" } else { "" }.into(),
            Of::Percent(path) => {
                at(entry, path).map(|share| format!("{}%", plain(share))).unwrap_or_default().into()
            }
            Of::Resource(path) => shortened(resource(at(entry, path)), layout).into(),
            Of::ResourceAndId(path, id) => {
                let (resource, id) = (shortened(resource(at(entry, path)), layout), text(id));
                format!("{}\n{id}", wrapped(&resource, width(&id).max(LONGEST_ID))).into()
            }
            Of::Measured(path) => at(entry, path).map(measured).unwrap_or_default().into(),
            Of::Pairs(path) => at(entry, path).map(pairs).unwrap_or_default().into(),
            Of::End => end(entry).into(),
            Of::Day => day(entry).into(),
            Of::Target => target(entry).into(),
            Of::Counts(path) => at(entry, path).map(counts).unwrap_or_default().into(),
        }
    }
}

/// The value at a path of members; all of the entry for an empty one.
fn at<'v>(entry: &'v Value, path: &str) -> Option<&'v Value> {
    if path.is_empty() {
        return Some(entry);
    }
    path.split('.').try_fold(entry, |value, name| value.get(name))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An id that is long, shorter where there is no room for all of it.
fn shortened(text: String, layout: Layout) -> String {
    let is_id = text.len() >= LONG_ID && text.chars().all(|c| c.is_ascii_hexdigit());
    match text.get(..SHORT_ID).filter(|_| is_id && layout != Layout::Wide) {
        Some(start) => format!("{start}…"),
        None => text,
    }
}

/// A resource by the one string that people use for it.
fn resource(identifier: Option<&Value>) -> String {
    let Some(identifier) = identifier else { return String::new() };
    let read: Option<ResourceIdentifier> = serde_json::from_value(identifier.clone()).ok();
    let label = read.as_ref().map(|read| read.label().into_owned()).unwrap_or_default();
    if label.is_empty() { identifier.to_string() } else { label }
}

/// What a device has reported: a count, a number, addresses, ports or texts.
fn measured(value: &Value) -> String {
    let members = value.as_object().into_iter().flatten();
    let texts = members.map(|(_, value)| match value {
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        value => plain(value),
    });
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

fn pairs(value: &Value) -> String {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(", ")
}

fn counts(value: &Value) -> String {
    let of = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    let parts = [("actionsExecuted", "executed"), ("actionsSkipped", "skipped"), ("actionsFailed", "failed")];
    let parts = parts.iter().map(|(name, word)| (of(name), word)).filter(|(count, _)| *count > 0);
    parts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// When a suppression ends.
fn end(entry: &Value) -> String {
    match entry.get("expirationDate") {
        Some(end) => time(end),
        None if entry.get("suppressIndefinitely") == Some(&Value::Bool(true)) => "never".to_owned(),
        None => String::new(),
    }
}

/// On which day a scheduled audit runs.
fn day(entry: &Value) -> String {
    let text = |name: &str| entry.get(name).map(plain);
    text("dayOfWeek").or_else(|| text("dayOfMonth")).unwrap_or_default()
}

/// What a mitigation of alarms is on.
fn target(entry: &Value) -> String {
    let Some(target) = entry.get("target") else { return String::new() };
    let text = |name: &str| target.get(name).map(plain);
    let behavior = text("securityProfileName").map(|profile| {
        text("behaviorName").map_or_else(|| profile.clone(), |behavior| format!("{profile}, {behavior}"))
    });
    let violations = || {
        target.get("violationIds").and_then(Value::as_array).map(|ids| match ids.as_slice() {
            [one] => plain(one),
            all => format!("{} violations", all.len()),
        })
    };
    behavior.or_else(violations).unwrap_or_default()
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
