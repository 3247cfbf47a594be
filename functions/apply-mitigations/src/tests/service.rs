//! Mitigation tasks, the ledger's mitigations and the mitigation queue, in memory, as the services behave. Alerts
//! and what is parked go to the common cloud in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Attributes;
use fleetwarden_aws::testing::cloud::Cloud;
use serde_json::Value;
use serde_json::json;

pub(super) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/1/mitigation";

#[derive(Clone, Default)]
pub(super) struct Service {
    pub(super) cloud: Cloud,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    items: BTreeMap<(String, String), Attributes>,
    /// The tasks by id, as they are described.
    pub(super) tasks: BTreeMap<String, Value>,
    /// The ids of the tasks that were really started, in order.
    pub(super) starts: Vec<String>,
    /// The answers to lists of executions, by finding: the pages, each with its token.
    pub(super) executions: BTreeMap<String, Vec<Value>>,
    /// What is on the mitigation queue: delay and body.
    pub(super) queue: Vec<(u64, String)>,
    /// The operations that were called, in order.
    pub(super) calls: Vec<String>,
    /// The answers that operations give in place of their own.
    pub(super) faults: BTreeMap<String, Answer>,
    /// How many items a batch leaves unwritten, once.
    pub(super) unwritten: usize,
    /// The process dies at this call, before or after it takes effect.
    pub(super) dies: Option<(usize, bool)>,
}

impl Service {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn answer(&self, call: &Call) -> Answer {
        let (operation, id) = name(call);
        let mut state = self.state();
        let at = state.calls.len();
        state.calls.push(operation.clone());
        let (dead, after) =
            state.dies.map_or((false, false), |(death, after)| (at >= death, after && at == death));
        if dead && !after {
            return Answer::Never;
        }
        let answer = match state.faults.get(&operation) {
            Some(fault) => fault.clone(),
            None => state.perform(&operation, &id, call).unwrap_or_else(|| self.cloud.answer(call.clone())),
        };
        if dead { Answer::Never } else { answer }
    }

    /// Ends a task with these statistics: succeeded, failed, skipped, canceled.
    pub(super) fn end(&self, id: &str, status: &str, [succeeded, failed, skipped, canceled]: [u32; 4]) {
        let mut state = self.state();
        let task = state.tasks.get_mut(id).unwrap();
        task["taskStatus"] = json!(status);
        task["endTime"] = json!(1_795_392_600.5);
        task["taskStatistics"] = json!({super::CHECK: {
            "totalFindingsCount": succeeded + failed + skipped + canceled,
            "succeededFindingsCount": succeeded,
            "failedFindingsCount": failed,
            "skippedFindingsCount": skipped,
            "canceledFindingsCount": canceled,
        }});
    }

    /// An attribute of an item, or nothing.
    pub(super) fn attribute(&self, pk: &str, sk: &str, name: &str) -> String {
        let state = self.state();
        let item = state.items.get(&(pk.to_owned(), sk.to_owned()));
        let value = item.and_then(|item| item.get(name));
        value.map(|v| v["S"].as_str().or(v["N"].as_str()).unwrap().to_owned()).unwrap_or_default()
    }

    /// Everything in the ledger about mitigations, without its times.
    pub(super) fn ledger(&self) -> BTreeMap<(String, String), Attributes> {
        let mut items = self.state().items.clone();
        for item in items.values_mut() {
            item.retain(|name, _| !name.ends_with("_at"));
        }
        items
    }
}

fn name(call: &Call) -> (String, String) {
    let Some((method, path)) = call.operation.split_once(' ') else {
        return (call.operation.clone(), String::new());
    };
    let id = path.rsplit('/').next().unwrap().to_owned();
    let operation = match (method, id.as_str()) {
        (_, "executions") => "executions",
        ("POST", _) => "start",
        _ => "describe",
    };
    (operation.to_owned(), id)
}

impl State {
    fn perform(&mut self, operation: &str, id: &str, call: &Call) -> Option<Answer> {
        let body = call.json();
        Some(match operation {
            "start" => self.start(id, &body),
            "describe" => match self.tasks.get(id) {
                Some(task) => Answer::ok(task),
                None => Answer::error(404, "ResourceNotFoundException", "{}"),
            },
            "executions" => self.page(&call.query),
            "TransactWriteItems" => self.transact(&body),
            "BatchWriteItem" => self.batch(&body),
            "UpdateItem" if body["Key"]["pk"]["S"].as_str()?.starts_with("mitigation#") => self.update(&body),
            "SendMessageBatch" if body["QueueUrl"] == QUEUE => {
                for entry in body["Entries"].as_array()? {
                    let delay = entry["DelaySeconds"].as_u64().unwrap_or_default();
                    self.queue.push((delay, entry["MessageBody"].as_str()?.to_owned()));
                }
                return None;
            }
            _ => return None,
        })
    }

    fn start(&mut self, id: &str, body: &Value) -> Answer {
        let token = body["clientRequestToken"].as_str().unwrap();
        assert!(token.len() <= 64 && token == id);
        if self.tasks.contains_key(id) {
            return Answer::error(400, "TaskAlreadyExistsException", "{}");
        }
        if self.tasks.values().filter(|task| task["taskStatus"] == "IN_PROGRESS").count() >= 10 {
            return Answer::error(410, "LimitExceededException", "{}");
        }
        let mut task = body.clone();
        task["taskStatus"] = json!("IN_PROGRESS");
        self.tasks.insert(id.to_owned(), task);
        self.starts.push(id.to_owned());
        Answer::ok(json!({"taskId": id}))
    }

    fn page(&self, query: &str) -> Answer {
        let part = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default().to_owned()
        };
        let page: usize = part("nextToken=").parse().unwrap_or_default();
        let pages = self.executions.get(&part("findingId="));
        Answer::ok(pages.and_then(|pages| pages.get(page)).unwrap_or(&json!({"actionsExecutions": []})))
    }

    fn transact(&mut self, body: &Value) -> Answer {
        let puts: Vec<&Value> = body["TransactItems"].as_array().unwrap().iter().map(|i| &i["Put"]).collect();
        let keys: Vec<_> = puts.iter().map(|put| item_key(&put["Item"])).collect();
        assert!(puts.len() <= 100 && keys.iter().all(|key| keys.iter().filter(|k| *k == key).count() == 1));
        let held = |put: &Value| {
            let item = self.items.get(&item_key(&put["Item"]));
            (!holds(put, item)).then(|| item.cloned().unwrap_or_default())
        };
        let reasons: Vec<Value> = puts
            .iter()
            .map(|put| match held(put) {
                Some(item) => json!({"Code": "ConditionalCheckFailed", "Item": item}),
                None => json!({"Code": "None"}),
            })
            .collect();
        if reasons.iter().any(|reason| reason["Code"] != "None") {
            let body = json!({"message": "canceled", "CancellationReasons": reasons});
            return Answer::error(400, "TransactionCanceledException", body);
        }
        for put in puts {
            self.items.insert(item_key(&put["Item"]), put["Item"].as_object().unwrap().clone());
        }
        Answer::ok("{}")
    }

    fn update(&mut self, body: &Value) -> Answer {
        let key = item_key(&body["Key"]);
        if !holds(body, self.items.get(&key)) {
            return Answer::error(400, "ConditionalCheckFailedException", "{}");
        }
        let item = self.items.get_mut(&key).unwrap();
        for set in body["UpdateExpression"].as_str().unwrap().trim_start_matches("SET ").split(", ") {
            let (name, value) = set.split_once(" = ").unwrap();
            let name = body["ExpressionAttributeNames"][name].as_str().unwrap();
            item.insert(name.to_owned(), body["ExpressionAttributeValues"][value].clone());
        }
        Answer::ok("{}")
    }

    fn batch(&mut self, body: &Value) -> Answer {
        let (table, requests) = body["RequestItems"].as_object().unwrap().iter().next().unwrap();
        let requests = requests.as_array().unwrap();
        assert!(requests.len() <= 25);
        let (left, written) = requests.split_at(std::mem::take(&mut self.unwritten).min(requests.len()));
        for request in written {
            let item = &request["PutRequest"]["Item"];
            self.items.insert(item_key(item), item.as_object().unwrap().clone());
        }
        let left = if left.is_empty() { json!({}) } else { json!({table: left}) };
        Answer::ok(json!({"UnprocessedItems": left}))
    }
}

/// Whether an item meets a condition, in the few forms that the ledger's mitigations use.
fn holds(request: &Value, item: Option<&Attributes>) -> bool {
    let values = &request["ExpressionAttributeValues"];
    assert_eq!(request["ExpressionAttributeNames"]["#state"], "state");
    let state = item.map(|item| item["state"].clone());
    request["ConditionExpression"].as_str().unwrap().split(" OR ").any(|clause| {
        match (clause.split_once(" IN "), item, &state) {
            (_, None, _) => clause == "attribute_not_exists(#state)",
            (Some((_, list)), _, Some(state)) => {
                list.trim_matches(['(', ')']).split(", ").any(|name| values[name] == *state)
            }
            (None, Some(item), Some(state)) => match clause {
                "attribute_not_exists(#state)" => false,
                "task_id = :task_id" => item["task_id"] == values[":task_id"],
                "#state <> :held" => *state != values[":held"],
                other => panic!("{other} is not expected here"),
            },
            (_, Some(_), None) => false,
        }
    })
}

fn item_key(item: &Value) -> (String, String) {
    let part = |name: &str| item[name]["S"].as_str().unwrap().to_owned();
    (part("pk"), part("sk"))
}
