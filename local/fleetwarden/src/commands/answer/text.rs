//! `--output text`: tabs and lines, as the AWS CLI writes them.
//!
//! A structure is a line of its scalars in the order of their names, with what it is a member of before them in capitals;
//! lists and structures within follow.

use fleetwarden_core::untrusted::visible;
use serde_json::Value;
use std::collections::BTreeSet;

/// A value as tabs and lines.
pub(super) fn text(value: &Value) -> String {
    let mut lines = Vec::new();
    write(value, None, None, &mut lines);
    lines.join("\n")
}

fn write(value: &Value, name: Option<&str>, columns: Option<&BTreeSet<&str>>, lines: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let own: BTreeSet<&str>;
            let columns = if let Some(columns) = columns {
                columns
            } else {
                own = members
                    .iter()
                    .filter(|(_, value)| is_scalar(value))
                    .map(|(name, _)| name.as_str())
                    .collect();
                &own
            };
            let cells = columns.iter().map(|column| members.get(*column).map_or_else(String::new, scalar));
            let line: Vec<String> = name.map(str::to_uppercase).into_iter().chain(cells).collect();
            if !columns.is_empty() {
                lines.push(line.join("\t"));
            }
            for (name, value) in members.iter().filter(|(name, _)| !columns.contains(name.as_str())) {
                write(value, Some(name), None, lines);
            }
        }
        Value::Array(items) => list(items, name, lines),
        scalar_value => lines.push(scalar(scalar_value)),
    }
}

fn list(items: &[Value], name: Option<&str>, lines: &mut Vec<String>) {
    if items.iter().any(Value::is_object) {
        let members = items.iter().filter_map(Value::as_object).flatten();
        let columns: BTreeSet<&str> =
            members.filter(|(_, value)| is_scalar(value)).map(|(name, _)| name.as_str()).collect();
        for item in items {
            write(item, name, Some(&columns), lines);
        }
        return;
    }
    let (plain, nested): (Vec<&Value>, Vec<&Value>) = items.iter().partition(|item| is_scalar(item));
    match name {
        Some(name) => {
            let name = name.to_uppercase();
            lines.extend(plain.into_iter().map(|item| format!("{name}\t{}", scalar(item))));
        }
        None if plain.is_empty() => {}
        None => lines.push(plain.into_iter().map(scalar).collect::<Vec<_>>().join("\t")),
    }
    for item in nested {
        write(item, name, None, lines);
    }
}

fn is_scalar(value: &Value) -> bool {
    !(value.is_object() || value.is_array())
}

/// A scalar in Python's words, which scripts over the AWS CLI compare with.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => visible(text).into_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_tabs_and_lines() {
        for (value, expected) in [
            (json!("a"), "a"),
            (json!(["a\tb\nc", "d"]), "a\\tb\\nc\td"),
            (json!(null), "None"),
            (json!([]), ""),
            (json!(["a", 1, true]), "a\t1\tTrue"),
            (json!([["a", "b"], ["c", null]]), "a\tb\nc\tNone"),
            (json!({"b": 1, "a": "x", "l": ["p", "q"], "o": {"d": 2}}), "x\t1\nL\tp\nL\tq\nO\t2"),
            (
                json!({"tasks": [{"taskId": "1", "n": 2}, {"taskId": "3"}], "nextToken": "t"}),
                "t\nTASKS\t2\t1\nTASKS\t\t3",
            ),
            (json!({"findings": [{"id": "f", "r": {"x": 1}}]}), "FINDINGS\tf\nR\t1"),
        ] {
            assert_eq!(text(&value), expected, "{value}");
        }
    }
}
