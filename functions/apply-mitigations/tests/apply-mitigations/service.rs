//! Mitigation tasks and the mitigation queue, in memory, as the services behave. The ledger, alerts and what is parked
//! are in the common cloud in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Attributes;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

pub(super) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/1/mitigation";

#[derive(Clone)]
pub(super) struct Service {
    pub(super) cloud: Cloud,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    /// The tasks by id, as they are described.
    pub(super) tasks: BTreeMap<String, Value>,
    /// The ids of the tasks that were really started, in order.
    pub(super) starts: Vec<String>,
    /// The answers to lists of executions, by finding: the pages, each with its token.
    pub(super) executions: BTreeMap<String, Vec<Value>>,
    /// An audit that has looked at the check when a finding is asked about.
    pub(super) on_finding: Option<(String, Millis)>,
    /// The findings that are not as all others: what they are, or that they are gone.
    pub(super) findings: BTreeMap<String, Option<Value>>,
    /// The statuses of the certificates that are not active, or that they are gone.
    pub(super) statuses: BTreeMap<String, Option<String>>,
    /// The pages of the check's findings, each with the token of its number.
    pub(super) listing: Vec<Vec<Value>>,
    /// The things whose connection is known.
    pub(super) connected: BTreeMap<String, bool>,
    /// How many seconds each look at the things of a certificate takes.
    pub(super) seconds_a_look: i64,
    /// What is on the mitigation queue: delay and body.
    pub(super) queue: Vec<(u64, String)>,
    /// To what the action on certificates changes them, if not to inactive.
    pub(super) changes_to: Option<&'static str>,
    /// The operations that were called, in order.
    pub(super) calls: Vec<String>,
    /// The answers that operations give in place of their own.
    pub(super) faults: BTreeMap<String, Answer>,
    /// How many items a batch leaves unwritten, once.
    pub(super) unwritten: usize,
    /// The process dies at this call, before or after it takes effect.
    pub(super) dies: Option<(usize, bool)>,
}

impl Default for Service {
    /// The audit of the messages is the one that has looked at their check last.
    fn default() -> Self {
        let service = Self::without_audit();
        service.looked_at("4e2b", START);
        service
    }
}

impl Service {
    /// No audit has looked at the check of the messages.
    pub(super) fn without_audit() -> Self {
        Self { cloud: Cloud::default(), state: Arc::default() }
    }

    /// An audit has looked at the check.
    pub(super) fn looked_at(&self, task_id: &str, began: Millis) {
        looked_at(&self.cloud, task_id, began);
    }

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
            None => state
                .perform(&operation, &id, call, &self.cloud)
                .unwrap_or_else(|| self.cloud.answer(call.clone())),
        };
        if dead { Answer::Never } else { answer }
    }

    /// Ends a task with these statistics: succeeded, failed, skipped, canceled.
    pub(super) fn end(&self, id: &str, status: &str, [succeeded, failed, skipped, canceled]: [u32; 4]) {
        let mut state = self.state();
        let task = state.tasks.get_mut(id).unwrap();
        task["taskStatus"] = json!(status);
        task["endTime"] = json!(1_795_392_600.5);
        task["taskStatistics"] = json!({crate::setup::CHECK: {
            "totalFindingsCount": succeeded + failed + skipped + canceled,
            "succeededFindingsCount": succeeded,
            "failedFindingsCount": failed,
            "skippedFindingsCount": skipped,
            "canceledFindingsCount": canceled,
        }});
    }

    /// An attribute of an item, or nothing.
    pub(super) fn attribute(&self, pk: &str, sk: &str, name: &str) -> String {
        let value = self.cloud.item(pk, sk).and_then(|item| item.get(name).cloned());
        value
            .map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
            .unwrap_or_default()
    }

    /// Everything in the ledger about mitigations, without its times.
    pub(super) fn ledger(&self) -> BTreeMap<(String, String), Attributes> {
        let mut items = self.cloud.items("mitigation#");
        items.append(&mut self.cloud.items("finding#"));
        for item in items.values_mut() {
            item.retain(|name, _| !name.ends_with("_at"));
        }
        items
    }
}

fn looked_at(cloud: &Cloud, task_id: &str, began: Millis) {
    cloud.put_item(json!({
        "pk": {"S": format!("history#{}", crate::setup::CHECK)},
        "sk": {"S": "audit"},
        "task_id": {"S": task_id},
        "started_at": {"N": began.0.to_string()},
    }));
}

/// A finding is about the certificate of its number.
pub(super) fn finding(id: &str) -> Value {
    let number: u32 = id.rsplit('-').next().unwrap().parse().unwrap();
    json!({
        "findingId": id, "taskId": "4e2b", "taskStartTime": 1_795_392_000, "checkName": crate::setup::CHECK,
        "severity": "MEDIUM", "isSuppressed": false, "findingTime": 1_795_392_000.5,
        "nonCompliantResource": {"resourceIdentifier": {"deviceCertificateId": certificate(number)}},
    })
}

/// The id of the certificate of a number.
pub(super) fn certificate(number: u32) -> String {
    format!("{number:064x}")
}

fn name(call: &Call) -> (String, String) {
    let Some((method, path)) = call.operation.split_once(' ') else {
        return (call.operation.clone(), String::new());
    };
    let id = path.rsplit('/').next().unwrap().to_owned();
    let operation = match (method, id.as_str()) {
        (_, "executions") => "executions",
        _ if path == "/audit/findings" => "findings",
        _ if path.starts_with("/audit/findings/") => "finding",
        _ if path.starts_with("/principals/") => "principals",
        (_, "thing-groups") => "groups",
        (_, "connectivity-data") => "connectivity",
        _ if path.starts_with("/mitigationactions/") => "action",
        ("PUT", _) if path.starts_with("/certificates/") => "set-certificate",
        _ if path.starts_with("/certificates/") => "certificate",
        ("POST", _) => "start",
        _ => "describe",
    };
    (operation.to_owned(), id)
}

impl State {
    fn perform(&mut self, operation: &str, id: &str, call: &Call, cloud: &Cloud) -> Option<Answer> {
        let body = call.json();
        Some(match operation {
            "start" => self.start(id, &body, cloud),
            "describe" => match self.tasks.get(id) {
                Some(task) => Answer::ok(task),
                None => Answer::error(404, "ResourceNotFoundException", "{}"),
            },
            "action" => {
                let (kind, params) = if id.starts_with("Tell") {
                    ("PUBLISH_FINDING_TO_SNS", json!({"publishFindingToSnsParams": {"topicArn": "arn:tell"}}))
                } else if id.starts_with("Group") {
                    let params = json!({"thingGroupNames": ["quarantine"]});
                    ("ADD_THINGS_TO_THING_GROUP", json!({"addThingsToThingGroupParams": params}))
                } else {
                    let action = self.changes_to.unwrap_or("DEACTIVATE");
                    let params = json!({"updateDeviceCertificateParams": {"action": action}});
                    ("UPDATE_DEVICE_CERTIFICATE", params)
                };
                Answer::ok(json!({"actionName": id, "actionType": kind, "actionParams": params}))
            }
            "certificate" => match self.statuses.get(id) {
                Some(None) => Answer::error(404, "ResourceNotFoundException", "{}"),
                known => {
                    let status = known.cloned().flatten().unwrap_or_else(|| "ACTIVE".to_owned());
                    Answer::ok(json!({"certificateDescription": {"certificateId": id, "status": status}}))
                }
            },
            "set-certificate" => {
                let status = call.query.split('&').find_map(|pair| pair.strip_prefix("newStatus="))?;
                self.statuses.insert(id.to_owned(), Some(status.to_owned()));
                Answer::ok(json!({}))
            }
            "connectivity" => {
                let thing = call.operation.rsplit('/').nth(1)?;
                match self.connected.get(thing) {
                    Some(connected) => Answer::ok(
                        json!({"thingName": thing, "connected": connected, "timestamp": 1_795_392_000}),
                    ),
                    None => Answer::error(404, "ResourceNotFoundException", "{}"),
                }
            }
            "groups" => Answer::ok(json!({"thingGroups": []})),
            "executions" => self.page(&call.query),
            "finding" => {
                if let Some((task_id, began)) = self.on_finding.take() {
                    looked_at(cloud, &task_id, began);
                }
                match self.findings.get(id).cloned().unwrap_or_else(|| Some(finding(id))) {
                    Some(finding) => Answer::ok(json!({ "finding": finding })),
                    None => Answer::error(404, "ResourceNotFoundException", "{}"),
                }
            }
            "findings" => self.list(&body),
            "principals" => {
                cloud.pass_seconds(self.seconds_a_look);
                let principal = call.headers.iter().find(|(name, _)| name == "x-amzn-principal")?;
                let number = u32::from_str_radix(principal.1.rsplit('/').next()?, 16).ok()?;
                Answer::ok(json!({"things": [format!("thing-{number}")]}))
            }
            "BatchWriteItem" if self.unwritten > 0 => {
                let (table, requests) = body["RequestItems"].as_object()?.iter().next()?;
                let (left, written) = requests.as_array()?.split_at(std::mem::take(&mut self.unwritten));
                cloud.answer(Call {
                    body: json!({"RequestItems": {table: written}}).to_string(),
                    ..call.clone()
                });
                Answer::ok(json!({"UnprocessedItems": {table: left}}))
            }
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

    fn start(&mut self, id: &str, body: &Value, cloud: &Cloud) -> Answer {
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
        task["startTime"] = json!(cloud.clock().now().0 / 1000);
        self.tasks.insert(id.to_owned(), task);
        self.starts.push(id.to_owned());
        Answer::ok(json!({"taskId": id}))
    }

    fn list(&self, body: &Value) -> Answer {
        assert_eq!((&body["taskId"], &body["listSuppressedFindings"]), (&json!("4e2b"), &json!(false)));
        let at: usize = body["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let next = (at + 1 < self.listing.len()).then(|| (at + 1).to_string());
        let findings = self.listing.get(at).cloned().unwrap_or_default();
        Answer::ok(json!({"findings": findings, "nextToken": next}))
    }

    fn page(&self, query: &str) -> Answer {
        let part = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default().to_owned()
        };
        let page: usize = part("nextToken=").parse().unwrap_or_default();
        let pages = self.executions.get(&part("findingId="));
        Answer::ok(pages.and_then(|pages| pages.get(page)).unwrap_or(&json!({"actionsExecutions": []})))
    }
}
