//! DynamoDB's expressions: conditions with comparisons, `IN`, `BETWEEN`, functions, `NOT` before `AND` before `OR` and parentheses;
//! updates with `SET`, `REMOVE` and `ADD`.

#![expect(clippy::indexing_slicing, reason = "a member that a JSON value lacks reads as null")]

use std::cmp::Ordering;

use serde_json::Value;
use serde_json::json;

use super::Attributes;

/// Whether a request's item meets its condition. A request without one is always met.
///
/// # Errors
/// What is not understood: the caller's test fails on it.
pub(crate) fn holds(request: &Value, item: Option<&Attributes>) -> Result<bool, String> {
    meets(request, "ConditionExpression", item)
}

/// As [`holds`], for the condition in this member of the request.
pub(crate) fn meets(request: &Value, member: &str, item: Option<&Attributes>) -> Result<bool, String> {
    all_used(request)?;
    let Some(condition) = request[member].as_str() else { return Ok(true) };
    let mut reader = Reader::new(condition, request, item);
    let holds = reader.any()?;
    reader.ended()?;
    Ok(holds)
}

/// An item as a request's update makes it.
///
/// # Errors
/// What is not understood.
pub(crate) fn updated(request: &Value, item: &Attributes) -> Result<Attributes, String> {
    let mut after = item.clone();
    let update = request["UpdateExpression"].as_str().unwrap_or_default();
    let mut reader = Reader::new(update, request, Some(item));
    while let Some(clause) = reader.next() {
        loop {
            let name = reader.name()?;
            match clause {
                "SET" => {
                    reader.expect("=")?;
                    let value = reader.sum()?.ok_or_else(|| format!("{name}: the value does not exist"))?;
                    after.insert(name, value);
                }
                "ADD" => {
                    let (zero, added) = (json!({"N": "0"}), reader.operand()?);
                    let sum = plus(item.get(&name).unwrap_or(&zero), added.as_ref(), 1)?;
                    after.insert(name, sum);
                }
                "REMOVE" => drop(after.remove(&name)),
                other => return Err(format!("'{other}' is not understood")),
            }
            if !reader.take(",") {
                break;
            }
        }
    }
    Ok(after)
}

/// The number that a value is, if it is one.
pub(crate) fn number(value: &Value) -> Option<i64> {
    value["N"].as_str().and_then(|text| text.parse().ok())
}

/// DynamoDB refuses a request with a name or a value that no expression uses.
fn all_used(request: &Value) -> Result<(), String> {
    let expressions = ["ConditionExpression", "UpdateExpression", "KeyConditionExpression"];
    let used: Vec<&str> =
        expressions.iter().filter_map(|kind| request[*kind].as_str()).flat_map(tokens).collect();
    let kinds = ["ExpressionAttributeNames", "ExpressionAttributeValues"];
    let mut given = kinds.iter().filter_map(|kind| request[*kind].as_object()).flatten();
    match given.find(|(name, _)| !used.contains(&name.as_str())) {
        Some((name, _)) => Err(format!("unused in expressions: {name}")),
        None => Ok(()),
    }
}

/// The words and signs of an expression.
fn tokens(text: &str) -> Vec<&str> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || "#:_".contains(c);
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let end = match rest.get(..2) {
            _ if of_word(first) => rest.find(|c| !of_word(c)).unwrap_or(rest.len()),
            Some("<=" | ">=" | "<>") => 2,
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        found.push(token);
        rest = after.trim_start();
    }
    found
}

/// Reads an expression from left to right. What is absent is none.
struct Reader<'r> {
    tokens: Vec<&'r str>,
    at: usize,
    request: &'r Value,
    item: Option<&'r Attributes>,
}

impl<'r> Reader<'r> {
    fn new(text: &'r str, request: &'r Value, item: Option<&'r Attributes>) -> Self {
        Self { tokens: tokens(text), at: 0, request, item }
    }

    fn next(&mut self) -> Option<&'r str> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        let instead = self.tokens.get(self.at).copied().unwrap_or("the end").to_owned();
        if self.take(token) { Ok(()) } else { Err(format!("'{token}' expected, not '{instead}'")) }
    }

    fn ended(&self) -> Result<(), String> {
        self.tokens.get(self.at).map_or(Ok(()), |more| Err(format!("'{more}' is not understood")))
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut holds = self.all()?;
        while self.take("OR") {
            holds |= self.all()?;
        }
        Ok(holds)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut holds = self.one()?;
        while self.take("AND") {
            holds &= self.one()?;
        }
        Ok(holds)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("NOT") {
            return Ok(!self.one()?);
        }
        if self.take("(") {
            let holds = self.any()?;
            self.expect(")")?;
            return Ok(holds);
        }
        for (function, wanted) in [("attribute_exists", true), ("attribute_not_exists", false)] {
            if self.take(function) {
                self.expect("(")?;
                let name = self.name()?;
                self.expect(")")?;
                return Ok(self.attribute(&name).is_some() == wanted);
            }
        }
        if self.take("begins_with") {
            self.expect("(")?;
            let is = self.operand()?;
            self.expect(",")?;
            let beginning = self.operand()?;
            self.expect(")")?;
            let text =
                |value: &Option<Value>| value.as_ref().and_then(|v| v["S"].as_str().map(str::to_owned));
            return Ok(text(&is).zip(text(&beginning)).is_some_and(|(is, with)| is.starts_with(&with)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<bool, String> {
        let is = self.operand()?;
        let comparison = self.next().unwrap_or("the end");
        if comparison == "IN" {
            self.expect("(")?;
            let mut among = false;
            loop {
                among |= compare(is.as_ref(), self.operand()?.as_ref()) == Some(Ordering::Equal);
                if !self.take(",") {
                    self.expect(")")?;
                    return Ok(among);
                }
            }
        }
        if comparison == "BETWEEN" {
            let least = compare(is.as_ref(), self.operand()?.as_ref());
            self.expect("AND")?;
            let most = compare(is.as_ref(), self.operand()?.as_ref());
            return Ok(least.is_some_and(Ordering::is_ge) && most.is_some_and(Ordering::is_le));
        }
        let ordering = compare(is.as_ref(), self.operand()?.as_ref());
        Ok(match comparison {
            "=" => ordering == Some(Ordering::Equal),
            "<>" => ordering != Some(Ordering::Equal),
            "<" => ordering == Some(Ordering::Less),
            "<=" => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            ">" => ordering == Some(Ordering::Greater),
            ">=" => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
            other => return Err(format!("'{other}' is not understood")),
        })
    }

    /// One value, or the sum or difference of two.
    fn sum(&mut self) -> Result<Option<Value>, String> {
        let one = self.operand()?;
        for (sign, factor) in [("+", 1), ("-", -1)] {
            if self.take(sign) {
                let one = one.ok_or("an operand does not exist")?;
                return plus(&one, self.operand()?.as_ref(), factor).map(Some);
            }
        }
        Ok(one)
    }

    fn operand(&mut self) -> Result<Option<Value>, String> {
        if self.take("if_not_exists") {
            self.expect("(")?;
            let name = self.name()?;
            self.expect(",")?;
            let other = self.operand()?;
            self.expect(")")?;
            return Ok(self.attribute(&name).or(other));
        }
        match self.tokens.get(self.at) {
            Some(value) if value.starts_with(':') => {
                self.at += 1;
                let given = self.request["ExpressionAttributeValues"].get(*value);
                given.cloned().map(Some).ok_or_else(|| format!("{value} has no value"))
            }
            _ => self.name().map(|name| self.attribute(&name)),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let token = self.next().ok_or("a name is expected at the end")?;
        if !token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '#') {
            return Err(format!("'{token}' where a name is expected"));
        }
        match self.request["ExpressionAttributeNames"][token].as_str() {
            Some(name) => Ok(name.to_owned()),
            None if token.starts_with('#') => Err(format!("{token} has no name")),
            None => Ok(token.to_owned()),
        }
    }

    fn attribute(&self, name: &str) -> Option<Value> {
        self.item.and_then(|item| item.get(name)).cloned()
    }
}

/// Compares what has one type: an attribute of another one, or none, compares with nothing.
fn compare(is: Option<&Value>, wanted: Option<&Value>) -> Option<Ordering> {
    let (is, wanted) = is.zip(wanted)?;
    match (number(is), number(wanted)) {
        (Some(is), Some(wanted)) => Some(is.cmp(&wanted)),
        _ if is == wanted => Some(Ordering::Equal),
        _ => Some(is["S"].as_str()?.cmp(wanted["S"].as_str()?)),
    }
}

fn plus(one: &Value, other: Option<&Value>, factor: i64) -> Result<Value, String> {
    let sum = number(one).zip(other.and_then(number)).map(|(one, other)| one + factor * other);
    sum.map(|sum| json!({"N": sum.to_string()})).ok_or_else(|| "an operand is not a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, expression: &str) -> Value {
        let values = json!({
            ":r": {"S": "running"}, ":d": {"S": "done"}, ":n": {"N": "9"}, ":b": {"S": "run"}, ":t": {"N": "10"},
        });
        let names = json!({"#s": "state", "#l": "lease"});
        let used = |given: Value| {
            let given = given.as_object().unwrap().clone().into_iter();
            given.filter(|(name, _)| tokens(expression).contains(&name.as_str())).collect::<Attributes>()
        };
        json!({
            kind: expression, "ExpressionAttributeNames": used(names), "ExpressionAttributeValues": used(values),
        })
    }

    fn item() -> Attributes {
        json!({"state": {"S": "running"}, "lease": {"N": "10"}}).as_object().unwrap().clone()
    }

    #[test]
    fn conditions_hold_as_dynamodb_reads_them() {
        let item = item();
        let met = |condition: &str, item| holds(&request("ConditionExpression", condition), item).unwrap();
        for (condition, there, absent) in [
            ("attribute_not_exists(#s)", false, true),
            ("attribute_exists(#s)", true, false),
            ("#s = :r AND lease <= :n", false, false),
            ("#s = :r AND lease >= :t AND lease > :n", true, false),
            ("lease > :t", false, false),
            ("attribute_not_exists(pk) OR (#s = :r AND lease < :n)", true, true),
            ("attribute_not_exists(#s) OR (#s = :r AND lease < :n)", false, true),
            ("#s IN (:d, :r)", true, false),
            ("#s <> :d", true, true),
            ("NOT #s = :d AND lease = :t", true, false),
            ("NOT (#s = :d OR lease = :t)", false, true),
            ("#s = :d OR lease = :r OR #s = :r", true, false),
            ("begins_with(#s, :b)", true, false),
            ("begins_with(#s, :d)", false, false),
            ("#l=:t", true, false),
            ("lease BETWEEN :n AND :t AND #s = :r", true, false),
            ("#s BETWEEN :d AND :b", false, false),
        ] {
            assert_eq!((met(condition, Some(&item)), met(condition, None)), (there, absent), "{condition}");
        }
        let unused =
            json!({"ConditionExpression": "#s = :r", "ExpressionAttributeNames": {"#s": "state", "#t": "t"}});
        assert_eq!(holds(&unused, None), Err("unused in expressions: #t".to_owned()));
        for unknown in
            ["contains(a, b)", "#x = :r", "#s = :x", "#s = :r :r", "(#s = :r", "#s : :r", "", "#s ="]
        {
            assert!(holds(&request("ConditionExpression", unknown), None).is_err(), "{unknown}");
        }
    }

    #[test]
    fn updates_change_what_they_name() {
        let after = |update: &str| {
            let after = updated(&request("UpdateExpression", update), &item()).map(Value::from);
            after.map_or_else(|why| why, |after| after.to_string())
        };
        assert_eq!(
            after("SET #s = :d, other = lease"),
            r#"{"lease":{"N":"10"},"other":{"N":"10"},"state":{"S":"done"}}"#
        );
        assert_eq!(after("SET lease = lease + :n REMOVE #s"), r#"{"lease":{"N":"19"}}"#);
        assert_eq!(
            after("REMOVE #s, other SET a = if_not_exists(a, :n) - :n"),
            r#"{"a":{"N":"0"},"lease":{"N":"10"}}"#
        );
        assert_eq!(
            after("ADD lease :n, times :n"),
            r#"{"lease":{"N":"19"},"state":{"S":"running"},"times":{"N":"9"}}"#
        );
        assert_eq!(after("SET a = b"), "a: the value does not exist");
        assert_eq!(after("SET a = #s + :n"), "an operand is not a number");
        assert_eq!(after("DELETE a :n"), "'DELETE' is not understood");
    }
}
