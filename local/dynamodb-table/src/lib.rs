//! DynamoDB in memory: one table, its single writes on conditions, its batches and its transactions.
//!
//! As much of it as the functions use. What it does not understand it refuses: a test fails on that.

#![expect(clippy::indexing_slicing, reason = "a member that a JSON value lacks reads as null")]

mod expression;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Bound;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use expression::holds;
use expression::meets;
use expression::number;
use expression::updated;

/// An item's attributes, as DynamoDB writes them or as plain values.
pub type Attributes = Map<String, Value>;

/// For how long a transaction with the token of an earlier one is that one, in milliseconds (`TransactWriteItems`).
const TOKEN_MILLIS: i64 = 600_000;

/// How many items a page of a query has.
const QUERY_PAGE: u64 = 100;

/// What the service says to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The error code, if it is an error.
    pub error: Option<&'static str>,
    /// The body.
    pub body: Value,
}

impl Answer {
    const fn ok(body: Value) -> Self {
        Self { status: 200, error: None, body }
    }

    const fn error(code: &'static str, body: Value) -> Self {
        Self { status: 400, error: Some(code), body }
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    /// The items by partition and sort key, as DynamoDB writes them.
    pub items: BTreeMap<(String, String), Attributes>,
    /// The indexes by name, each with the attributes that group and order its items.
    indexes: BTreeMap<&'static str, (&'static str, &'static str)>,
    /// The transactions that were made, by their token: when, and what they were.
    transactions: BTreeMap<String, (i64, Value)>,
}

/// One write: what it is about, what was there, and what becomes of it if the write's condition holds.
struct Write<'t> {
    key: (String, String),
    held: Option<&'t Attributes>,
    effect: Option<Effect>,
}

enum Effect {
    Put(Attributes),
    Delete,
    Nothing,
}

impl Table {
    /// The same table with another index: of the items that have both attributes, grouped by the one and ordered by the
    /// other. An index has the keys of items only.
    #[must_use]
    pub fn with_index(mut self, name: &'static str, hash: &'static str, range: &'static str) -> Self {
        self.indexes.insert(name, (hash, range));
        self
    }

    /// Answers a call, if it is one of DynamoDB. `now`: epoch milliseconds.
    pub fn answer(&mut self, operation: &str, body: &Value, now: i64) -> Option<Answer> {
        Some(match operation {
            "GetItem" => Answer::ok(self.get(body)),
            "Query" => self.query(body).unwrap_or_else(|what| validation(&what)),
            "PutItem" => self.write("Put", body),
            "UpdateItem" => self.write("Update", body),
            "DeleteItem" => self.write("Delete", body),
            "TransactWriteItems" => self.transact(body, now),
            "BatchWriteItem" => self.batch_write(body),
            "BatchGetItem" => self.batch_get(body),
            _ => return None,
        })
    }

    fn get(&self, body: &Value) -> Value {
        let item = body["Key"].as_object().and_then(|key| self.items.get(&item_key(key)));
        item.map_or(json!({}), |item| json!({"Item": item}))
    }

    /// `Query`, in pages of some items, so that no caller gets by without asking for the next.
    fn query(&self, body: &Value) -> Result<Answer, String> {
        if let Some(name) = body["IndexName"].as_str() {
            let index = self.indexes.get(name).ok_or_else(|| format!("there is no index '{name}'"))?;
            return self.query_index(body, *index);
        }
        let condition = body["KeyConditionExpression"].as_str().ok_or("a query without a key condition")?;
        let pk = condition.strip_prefix("pk = ").and_then(|rest| rest.split(' ').next());
        let pk = pk.and_then(|name| body["ExpressionAttributeValues"][name]["S"].as_str());
        let pk = pk.filter(|_| !body["FilterExpression"].is_string());
        let pk = pk.ok_or_else(|| format!("'{condition}' is not understood, or there is a filter"))?;
        let from = body["ExclusiveStartKey"].as_object().map(item_key);
        let from = from.map_or(Bound::Included((pk.to_owned(), String::new())), Bound::Excluded);
        let limit = body["Limit"].as_u64().unwrap_or(QUERY_PAGE).min(QUERY_PAGE);
        let mut found: Vec<&Attributes> = Vec::new();
        let items = self.items.range((from, Bound::Unbounded)).take_while(|((of, _), _)| of == pk);
        for (_, item) in items {
            if !meets(body, "KeyConditionExpression", Some(item))? {
                continue;
            }
            found.push(item);
            if found.len() as u64 == limit {
                let last = json!({"pk": item["pk"], "sk": item["sk"]});
                return Ok(Answer::ok(json!({"Items": found, "LastEvaluatedKey": last})));
            }
        }
        Ok(Answer::ok(json!({ "Items": found })))
    }

    /// `Query` of an index: the keys of the items that have both of its attributes, in pages as those of the table.
    fn query_index(&self, body: &Value, (hash, range): (&str, &str)) -> Result<Answer, String> {
        if body["FilterExpression"].is_string() || body["ConsistentRead"] == true {
            return Err("an index has neither filters here nor consistent reads".to_owned());
        }
        let place = |item: &Attributes| {
            let order = item.get(range)?["S"].as_str()?.to_owned();
            item.get(hash)?["S"].as_str().map(|_| (order, item_key(item)))
        };
        let mut found = BTreeMap::new();
        for item in self.items.values() {
            if let Some(at) = place(item)
                && meets(body, "KeyConditionExpression", Some(item))?
            {
                found.insert(at, item);
            }
        }
        let backward = body["ScanIndexForward"] == false;
        if let Some(from) = body["ExclusiveStartKey"].as_object() {
            let fits = meets(body, "KeyConditionExpression", Some(from))?;
            let from = place(from).filter(|_| fits).ok_or("the exclusive start key is none of this query")?;
            found.retain(|at, _| if backward { *at < from } else { *at > from });
        }
        let keys = |item: &Attributes| -> Attributes {
            ["pk", "sk", hash, range].into_iter().map(|name| (name.to_owned(), item[name].clone())).collect()
        };
        let found = found.into_values().map(keys);
        let mut found: Vec<Attributes> = if backward { found.rev().collect() } else { found.collect() };
        let limit = body["Limit"].as_u64().unwrap_or(QUERY_PAGE).min(QUERY_PAGE);
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        // DynamoDB does not look whether there is one more.
        let last = found.last().filter(|_| found.len() as u64 == limit).cloned();
        Ok(Answer::ok(last.map_or_else(
            || json!({ "Items": found }),
            |last| json!({"Items": found, "LastEvaluatedKey": last}),
        )))
    }

    /// What a `Put`, `Update`, `Delete` or `ConditionCheck` would do.
    fn plan(&self, kind: &str, body: &Value) -> Result<Write<'_>, String> {
        let named = body[if kind == "Put" { "Item" } else { "Key" }].as_object();
        let named = named.ok_or_else(|| format!("a {kind} without item or key"))?;
        let key = item_key(named);
        let held = self.items.get(&key);
        let effect = match (holds(body, held)?, kind) {
            (false, _) => None,
            (true, "Put") => Some(Effect::Put(named.clone())),
            (true, "Update") => Some(Effect::Put(updated(body, held.unwrap_or(named))?)),
            (true, "Delete") => Some(Effect::Delete),
            (true, _) => Some(Effect::Nothing),
        };
        Ok(Write { key, held, effect })
    }

    fn perform(&mut self, key: (String, String), effect: Effect) {
        match effect {
            Effect::Put(item) => drop(self.items.insert(key, item)),
            Effect::Delete => drop(self.items.remove(&key)),
            Effect::Nothing => {}
        }
    }

    fn write(&mut self, kind: &str, body: &Value) -> Answer {
        let Write { key, held, effect } = match self.plan(kind, body) {
            Ok(write) => write,
            Err(what) => return validation(&what),
        };
        let Some(effect) = effect else {
            let code = "ConditionalCheckFailedException";
            let item = shown_on_failure(body, held);
            let body = json!({"__type": code, "message": "The conditional request failed", "Item": item});
            return Answer::error(code, body);
        };
        let old = held.cloned();
        self.perform(key.clone(), effect);
        let attributes = match text(body, "ReturnValues") {
            "ALL_OLD" => old.as_ref(),
            "ALL_NEW" => self.items.get(&key),
            _ => None,
        };
        Answer::ok(json!({ "Attributes": attributes }))
    }

    /// `TransactWriteItems`: all of it, or none and why. Sent again with its token, it is done already.
    fn transact(&mut self, body: &Value, now: i64) -> Answer {
        let token = text(body, "ClientRequestToken");
        let (same, items) = (&body["TransactItems"], list(body, "TransactItems"));
        match self.transactions.get(token) {
            Some((at, _)) if at.saturating_add(TOKEN_MILLIS) < now => {}
            Some((_, made)) if made == same => return Answer::ok(json!({})),
            Some(_) => {
                let other = json!({"message": "the token was used for another transaction"});
                return Answer::error("IdempotentParameterMismatchException", other);
            }
            None => {}
        }
        let mut planned = Vec::with_capacity(items.len());
        for (kind, body) in items.iter().filter_map(Value::as_object).flatten() {
            match self.plan(kind, body) {
                Ok(write) => planned.push((body, write)),
                Err(what) => return validation(&what),
            }
        }
        let keys: BTreeSet<_> = planned.iter().map(|(_, write)| &write.key).collect();
        if planned.is_empty() || planned.len() > 100 || keys.len() < items.len() {
            return validation("a transaction has 1 to 100 items, each with a key of its own");
        }
        if planned.iter().any(|(_, write)| write.effect.is_none()) {
            let reason = |(body, write): &(&Value, Write<'_>)| match write.effect {
                Some(_) => json!({"Code": "None"}),
                None => json!({"Code": "ConditionalCheckFailed", "Item": shown_on_failure(body, write.held)}),
            };
            let reasons: Vec<Value> = planned.iter().map(reason).collect();
            let code = "TransactionCanceledException";
            let body = json!({"__type": code, "message": "canceled", "CancellationReasons": reasons});
            return Answer::error(code, body);
        }
        let effects: Vec<_> =
            planned.into_iter().filter_map(|(_, write)| Some((write.key, write.effect?))).collect();
        for (key, effect) in effects {
            self.perform(key, effect);
        }
        if self.transactions.len() % 1_000 == 999 {
            self.transactions.retain(|_, (at, _)| at.saturating_add(TOKEN_MILLIS) >= now);
        }
        if !token.is_empty() {
            self.transactions.insert(token.to_owned(), (now, same.clone()));
        }
        Answer::ok(json!({}))
    }

    /// `BatchWriteItem` of puts and deletes.
    fn batch_write(&mut self, body: &Value) -> Answer {
        let requests = body["RequestItems"].as_object().into_iter().flatten();
        let requests: Vec<&Value> = requests.filter_map(|(_, list)| list.as_array()).flatten().collect();
        if requests.len() > 25 {
            return validation("a batch writes 25 items at most");
        }
        let writes: Vec<_> = requests
            .iter()
            .filter_map(|request| {
                let put = request["PutRequest"]["Item"].as_object();
                let put = put.map(|item| (item_key(item), Effect::Put(item.clone())));
                let deleted = request["DeleteRequest"]["Key"].as_object();
                put.or_else(|| deleted.map(|key| (item_key(key), Effect::Delete)))
            })
            .collect();
        let keys: BTreeSet<_> = writes.iter().map(|(key, _)| key).collect();
        if keys.len() < requests.len() {
            return validation("Provided list of item keys contains duplicates");
        }
        for (key, effect) in writes {
            self.perform(key, effect);
        }
        Answer::ok(json!({"UnprocessedItems": {}}))
    }

    fn batch_get(&self, body: &Value) -> Answer {
        let mut found = BTreeMap::new();
        for (table, asked) in body["RequestItems"].as_object().into_iter().flatten() {
            let asked = list(asked, "Keys");
            let keys: BTreeSet<_> = asked.iter().filter_map(Value::as_object).map(item_key).collect();
            if keys.len() < asked.len() {
                return validation("Provided list of item keys contains duplicates");
            }
            let items: Vec<_> = keys.iter().filter_map(|key| self.items.get(key)).collect();
            found.insert(table.clone(), items);
        }
        Answer::ok(json!({"Responses": found, "UnprocessedKeys": {}}))
    }
}

/// The keys of an item.
pub fn item_key(item: &Attributes) -> (String, String) {
    let part = |name: &str| item.get(name).map(plain).and_then(|v| v.as_str().map(ToOwned::to_owned));
    (part("pk").unwrap_or_default(), part("sk").unwrap_or_default())
}

/// DynamoDB's `{"S": "text"}` and `{"N": "1"}` as plain JSON.
pub fn plain(value: &Value) -> Value {
    number(value).map_or_else(|| value["S"].clone(), Value::from)
}

/// The item as it is, for a caller that asks for it when its condition does not hold.
fn shown_on_failure<'t>(body: &Value, held: Option<&'t Attributes>) -> Option<&'t Attributes> {
    held.filter(|_| text(body, "ReturnValuesOnConditionCheckFailure") == "ALL_OLD")
}

fn validation(what: &str) -> Answer {
    Answer::error("ValidationException", json!({"message": what}))
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
