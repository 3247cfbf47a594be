//! DynamoDB's condition expressions, as far as the ledger writes them: comparisons of an attribute with a value,
//! `IN`, `attribute_not_exists`, in brackets or not, with `AND` before `OR`.

#![expect(clippy::indexing_slicing, reason = "a member that a JSON value lacks reads as null")]

use std::cmp::Ordering;

use serde_json::Value;

use super::cloud::Attributes;

/// Whether a request's item meets its condition. A request without one is always met.
///
/// # Errors
/// What is not understood: the caller's test fails on it.
pub(super) fn holds(request: &Value, item: Option<&Attributes>) -> Result<bool, String> {
    let Some(condition) = request["ConditionExpression"].as_str() else { return Ok(true) };
    let unused = |kind: &str| {
        let names = request[kind].as_object().into_iter().flatten();
        let text = format!("{condition} {}", request["UpdateExpression"].as_str().unwrap_or_default());
        names.map(|(name, _)| name.clone()).find(|name| !words(&text).any(|word| word == name))
    };
    if let Some(name) = unused("ExpressionAttributeNames").or_else(|| unused("ExpressionAttributeValues")) {
        return Err(format!("unused in expressions: {name}"));
    }
    any(condition, &|clause| clause_holds(clause, request, item))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "#:_".contains(c)))
}

fn any(text: &str, holds: &dyn Fn(&str) -> Result<bool, String>) -> Result<bool, String> {
    for side in parts(text, " OR ") {
        let mut all = true;
        for clause in parts(side, " AND ") {
            let inner = clause.strip_prefix('(').and_then(|clause| clause.strip_suffix(')'));
            all &= match inner {
                Some(inner) => any(inner, holds)?,
                None => holds(clause)?,
            };
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The parts of a text between separators that stand in no brackets.
fn parts<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let mut found = Vec::new();
    let (mut depth, mut from) = (0_i32, 0);
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 && at >= from && text.get(at..).is_some_and(|rest| rest.starts_with(separator)) {
            found.push(text.get(from..at).unwrap_or_default().trim());
            from = at + separator.len();
        }
    }
    found.push(text.get(from..).unwrap_or_default().trim());
    found
}

fn clause_holds(clause: &str, request: &Value, item: Option<&Attributes>) -> Result<bool, String> {
    let attribute = |name: &str| {
        let name = request["ExpressionAttributeNames"][name].as_str().unwrap_or(name);
        item.and_then(|item| item.get(name))
    };
    let value = |name: &str| match &request["ExpressionAttributeValues"][name.trim()] {
        Value::Null => Err(format!("{name} has no value")),
        value => Ok(value.clone()),
    };
    if let Some(name) = clause.strip_prefix("attribute_not_exists(") {
        return Ok(attribute(name.trim_end_matches(')')).is_none());
    }
    if let Some((name, list)) = clause.split_once(" IN ") {
        let values = list.trim_matches(['(', ')']).split(',').map(value).collect::<Result<Vec<_>, _>>()?;
        return Ok(attribute(name).is_some_and(|is| values.contains(is)));
    }
    let [name, comparison, wanted] = clause.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("'{clause}' is not understood"));
    };
    let wanted = value(wanted)?;
    let ordering = attribute(name).and_then(|is| compare(is, &wanted));
    Ok(match comparison {
        "=" => ordering == Some(Ordering::Equal),
        "<>" => ordering != Some(Ordering::Equal),
        "<" => ordering == Some(Ordering::Less),
        "<=" => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        other => return Err(format!("'{other}' is not understood")),
    })
}

/// Compares what has one type: an attribute of another one, or none, compares with nothing.
fn compare(is: &Value, wanted: &Value) -> Option<Ordering> {
    let number = |value: &Value| value["N"].as_str().and_then(|text| text.parse::<i64>().ok());
    match (number(is), number(wanted)) {
        (Some(is), Some(wanted)) => Some(is.cmp(&wanted)),
        _ => Some(is["S"].as_str()?.cmp(wanted["S"].as_str()?)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_hold_as_dynamodb_reads_them() {
        let item = json!({"state": {"S": "running"}, "lease": {"N": "10"}});
        let item = item.as_object();
        let met = |condition: &str, item| {
            let values = json!({":r": {"S": "running"}, ":d": {"S": "done"}, ":n": {"N": "9"}});
            let used =
                values.as_object().unwrap().iter().filter(|(name, _)| words(condition).any(|w| w == *name));
            let values: Attributes = used.map(|(name, value)| (name.clone(), value.clone())).collect();
            let names = if condition.contains("#s") { json!({"#s": "state"}) } else { json!({}) };
            let request = json!({
                "ConditionExpression": condition, "ExpressionAttributeNames": names, "ExpressionAttributeValues": values,
            });
            holds(&request, item).unwrap()
        };
        for (condition, there, absent) in [
            ("attribute_not_exists(#s)", false, true),
            ("#s = :r AND lease <= :n", false, false),
            ("attribute_not_exists(pk) OR (#s = :r AND lease < :n)", true, true),
            ("#s IN (:d, :r)", true, false),
            ("#s <> :d", true, true),
            ("#s = :d OR lease = :r OR #s = :r", true, false),
        ] {
            assert_eq!((met(condition, item), met(condition, None)), (there, absent), "{condition}");
        }
        let unused =
            json!({"ConditionExpression": "#s = :r", "ExpressionAttributeNames": {"#s": "state", "#t": "t"}});
        assert_eq!(holds(&unused, None), Err("unused in expressions: #t".to_owned()));
        let unknown = json!({"ConditionExpression": "contains(a, b)"});
        assert!(holds(&unknown, None).is_err());
    }
}
