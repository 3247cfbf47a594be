//! Detect's mitigation tasks, mitigation actions and thing groups, in memory, as the service behaves. The mitigation
//! queue is here, too; ledger, alerts and what is parked are in the common cloud in memory.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use serde_json::Value;
use serde_json::json;

use crate::service::QUEUE;

/// How many tasks run at once.
const AT_ONCE: usize = 5;

#[derive(Clone, Default)]
pub(super) struct Detect {
    pub(super) cloud: Cloud,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    /// The groups of each registered thing.
    pub(super) things: BTreeMap<String, BTreeSet<String>>,
    /// The mitigation actions, as they are described.
    pub(super) actions: BTreeMap<String, Value>,
    /// The violations: whose each is, and whether it is in alarm.
    pub(super) violations: BTreeMap<String, (String, bool)>,
    /// The tasks by id, as they are described.
    pub(super) tasks: BTreeMap<String, Value>,
    /// What each task did.
    pub(super) executions: BTreeMap<String, Vec<Value>>,
    /// The ids of the tasks that were really started, in order.
    pub(super) starts: Vec<String>,
    /// What was taken out of groups, in order: thing and group.
    pub(super) removals: Vec<(String, String)>,
    /// What is on the mitigation queue: delay and body.
    pub(super) queue: Vec<(u64, String)>,
    /// The operations that were called, in order.
    pub(super) calls: Vec<String>,
    /// An answer to a removal may get lost, so that it comes again.
    pub(super) removes_twice: bool,
    /// The answers that operations give in place of their own.
    pub(super) faults: BTreeMap<String, Answer>,
}

impl Detect {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn answer(&self, call: &Call) -> Answer {
        let (operation, id) = name(call);
        let mut state = self.state();
        state.calls.push(operation.clone());
        match state.faults.get(&operation) {
            Some(fault) => fault.clone(),
            None => state
                .perform(&operation, &id, call, self.cloud.clock().now().0)
                .unwrap_or_else(|| self.cloud.answer(call.clone())),
        }
    }

    /// Runs a task to its end, as the service does.
    pub(super) fn run(&self, id: &str) {
        let now = self.cloud.clock().now().0;
        self.state().run(id, now);
    }
}

fn name(call: &Call) -> (String, String) {
    let Some((method, path)) = call.operation.split_once(' ') else {
        return (call.operation.clone(), String::new());
    };
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (operation, id) = match (method, parts.as_slice()) {
        ("PUT", ["detect", "mitigationactions", "tasks", id]) => ("start", *id),
        ("GET", ["detect", "mitigationactions", "tasks", id]) => ("describe", *id),
        ("GET", ["detect", "mitigationactions", "executions"]) => ("executions", ""),
        ("GET", ["mitigationactions", "actions", id]) => ("action", *id),
        ("GET", ["things", id]) => ("thing", *id),
        ("GET", ["things", id, "thing-groups"]) => ("groups", *id),
        ("PUT", ["thing-groups", "removeThingFromThingGroup"]) => ("remove", ""),
        ("GET", ["thing-groups", id]) => ("group", *id),
        _ => panic!("{} is not expected", call.operation),
    };
    (operation.to_owned(), id.to_owned())
}

impl State {
    fn perform(&mut self, operation: &str, id: &str, call: &Call, now: i64) -> Option<Answer> {
        let body = call.json();
        let not_found = || Answer::error(404, "ResourceNotFoundException", "{}");
        Some(match operation {
            "start" => self.start(id, &body, now),
            "describe" => {
                self.tasks.get(id).map_or_else(not_found, |task| Answer::ok(json!({"taskSummary": task})))
            }
            "executions" => {
                let task = query(&call.query, "taskId");
                Answer::ok(
                    json!({"actionsExecutions": self.executions.get(&task).cloned().unwrap_or_default()}),
                )
            }
            "action" => self.actions.get(id).map_or_else(not_found, Answer::ok),
            "thing" => {
                let described = |_: &_| Answer::ok(json!({"thingName": id, "attributes": {}}));
                self.things.get(id).map_or_else(not_found, described)
            }
            "groups" => self.things.get(id).map_or_else(not_found, |groups| {
                let groups: Vec<Value> = groups.iter().map(|name| json!({"groupName": name})).collect();
                Answer::ok(json!({"thingGroups": groups}))
            }),
            "group" => Answer::ok(json!({
                "thingGroupName": id, "thingGroupMetadata": {"rootToParentThingGroups": []},
            })),
            "remove" => {
                let of = |member: &str| body[member].as_str().unwrap().to_owned();
                let (thing, group) = (of("thingName"), of("thingGroupName"));
                let was_in = self.things.get_mut(&thing).unwrap().remove(&group);
                assert!(was_in || self.removes_twice, "nothing else is taken out");
                if was_in {
                    self.removals.push((thing, group));
                }
                Answer::ok("{}")
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

    fn start(&mut self, id: &str, body: &Value, now: i64) -> Answer {
        assert_eq!(body["clientRequestToken"], id);
        let flags = (&body["includeOnlyActiveViolations"], &body["includeSuppressedAlerts"]);
        assert_eq!(flags, (&json!(true), &json!(true)), "both are always sent");
        let violations = body["target"]["violationIds"].as_array().unwrap();
        assert!((1..=25).contains(&violations.len()));
        if self.tasks.contains_key(id) {
            return Answer::error(400, "TaskAlreadyExistsException", "{}");
        }
        if self.tasks.values().filter(|task| task["taskStatus"] == "IN_PROGRESS").count() >= AT_ONCE {
            return Answer::error(410, "LimitExceededException", "{}");
        }
        let actions = body["actions"].as_array().unwrap();
        let definition: Vec<Value> = actions
            .iter()
            .map(|name| json!({"name": name, "actionParams": self.actions[name.as_str().unwrap()]["actionParams"]}))
            .collect();
        let task = json!({
            "taskId": id, "taskStatus": "IN_PROGRESS", "taskStartTime": seconds(now), "target": body["target"],
            "onlyActiveViolationsIncluded": true, "suppressedAlertsIncluded": true, "actionsDefinition": definition,
        });
        self.tasks.insert(id.to_owned(), task);
        self.starts.push(id.to_owned());
        Answer::ok(json!({"taskId": id}))
    }

    fn run(&mut self, id: &str, now: i64) {
        let task = self.tasks.get_mut(id).unwrap();
        let (mut executed, mut failed, mut skipped) = (0, 0, 0);
        let mut executions = vec![];
        for violation in task["target"]["violationIds"].as_array().unwrap() {
            let violation = violation.as_str().unwrap();
            let (thing, true) = &self.violations[violation] else { continue };
            let mut bad = false;
            for action in task["actionsDefinition"].as_array().unwrap() {
                let groups = action["actionParams"]["addThingsToThingGroupParams"]["thingGroupNames"].clone();
                let full = groups.as_array().unwrap().iter().any(|group| group == "full");
                let status = match (bad, full) {
                    (true, _) => "SKIPPED",
                    (false, true) => "FAILED",
                    (false, false) => "SUCCESSFUL",
                };
                match status {
                    "SUCCESSFUL" => {
                        executed += 1;
                        let of_thing = self.things.get_mut(thing).unwrap();
                        of_thing.extend(
                            groups.as_array().unwrap().iter().map(|g| g.as_str().unwrap().to_owned()),
                        );
                    }
                    "FAILED" => (bad, failed) = (true, failed + 1),
                    _ => skipped += 1,
                }
                let mut execution = json!({
                    "taskId": id, "violationId": violation, "actionName": action["name"], "thingName": thing,
                    "status": status,
                });
                if status == "FAILED" {
                    execution["errorCode"] = json!("InvalidRequestException");
                    execution["message"] = json!("the thing is in 10 groups");
                }
                executions.push(execution);
            }
        }
        task["taskStatus"] = json!(if failed > 0 { "FAILED" } else { "SUCCESSFUL" });
        task["taskEndTime"] = json!(seconds(now));
        task["taskStatistics"] =
            json!({"actionsExecuted": executed, "actionsSkipped": skipped, "actionsFailed": failed});
        self.executions.insert(id.to_owned(), executions);
    }
}

fn seconds(millis: i64) -> f64 {
    f64::from(u32::try_from(millis / 1000).unwrap())
}

fn query(query: &str, name: &str) -> String {
    let part = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    part.unwrap_or_default().to_owned()
}
