//! What the functions did, as the services saw it, and whether it was theirs to do at that moment: under the policy of the
//! process that did it, for the latest audit of a check, and with nothing left behind.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use crate::judge::text;
use crate::policies;
use crate::windows;
use crate::world::World;

/// What a mitigation task of a person is called: such a task is decided on by the person.
pub(crate) const PERSON: &str = "person-";

/// How long before its start a task can have been claimed, in milliseconds: the process that has claimed it starts it, as long
/// as it lives, whatever happens meanwhile.
const UNDER_WAY_MS: i64 = 60_000;

/// What was done in a run.
#[derive(Default)]
pub(crate) struct Acts {
    /// The policies of the processes.
    policies: BTreeMap<u64, Arc<Value>>,
    /// The mitigation tasks by id, each with its first start.
    starts: BTreeMap<String, Start>,
    /// The starts of tasks on alarms, each with its first.
    alarm_starts: BTreeMap<String, Start>,
    /// When mitigation was paused and when it was resumed.
    pauses: Vec<(Millis, bool)>,
    /// Whether suppressions were paused, too, at some time.
    pub(crate) has_paused_suppressions: bool,
    /// The tasks that were started, and whose devices nobody has looked at yet.
    begun: Vec<String>,
    /// The canaries' tasks whose devices have lost their connection, each with the time.
    pub(crate) lost: BTreeMap<String, Millis>,
    /// The tasks whose approval was asked for, and about which nobody has thought yet.
    asked: Vec<String>,
    /// How often an approval was asked for.
    pub(crate) approvals: u64,
    /// The tasks of which a person has said something, alerted or not: an answer that is late rejects.
    pub(crate) answered: BTreeSet<String>,
    /// The tasks that a person has told to approve.
    approved: BTreeSet<String>,
    /// The tasks that a guard has held.
    pub(crate) held: BTreeSet<String>,
    /// The suppressions that `apply-suppressions` wrote.
    suppressions: Vec<(Arc<Value>, Value)>,
    /// When which audit became the latest one of a check.
    latest: Vec<(Millis, String, String)>,
    /// The audits that replaced the history of a check.
    merges: BTreeSet<(String, String)>,
    /// How often triage was asked to look at a check of an audit.
    dispatches: BTreeMap<(String, String), u64>,
    /// The claims that a process holds.
    claims: BTreeMap<u64, BTreeSet<String>>,
    /// The nonce of each claim's owner.
    owners: BTreeMap<String, String>,
    kills: u64,
    violations: Vec<String>,
}

struct Start {
    at: Millis,
    policy: Arc<Value>,
    body: Value,
    /// Whether the ledger says that it is approved, and a person has said so.
    is_approved: bool,
}

impl Start {
    /// Why no window of its policy's file is open for it, if that is so and nobody has approved it.
    fn outside(&self) -> Option<String> {
        let windows = &self.policy["windows"];
        let zone = windows["zone"].as_str().unwrap_or("UTC");
        let is_closed = |at| !windows::is_open(windows, zone, at);
        let is_outside =
            !self.is_approved && is_closed(self.at) && is_closed(Millis(self.at.0 - UNDER_WAY_MS));
        is_outside.then(|| format!("it starts at {}, and the windows are {windows}", self.at.rfc3339()))
    }

    fn findings(&self) -> impl Iterator<Item = &str> {
        self.body["target"]["findingIds"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// The finding of a later task that this one has, too, and has not ended with.
    fn shared(&self, later: &Self, id: &str, cloud: &Cloud) -> Option<String> {
        let shared = self.findings().find(|finding| later.findings().any(|other| other == *finding))?;
        let task = cloud.item(&format!("mitigation#{id}"), "task");
        let state = task.as_ref().and_then(|task| task.get("state")?.as_str()).unwrap_or_default();
        let has_it = ["claimed", "started"].contains(&state);
        has_it.then(|| format!("finding {shared}, and task {id} has it: it is {state}"))
    }
}

impl Acts {
    /// A process begins, with this policy.
    pub(crate) fn begin(&mut self, process: u64, policy: &[u8]) {
        self.policies.insert(process, Arc::new(serde_json::from_slice(policy).unwrap_or_default()));
    }

    /// A process calls. If it tries to end a claim, it has done what it can.
    pub(crate) fn tries(&mut self, process: u64, call: &Call) {
        if call.operation == "UpdateItem" {
            self.claims.entry(process).or_default().remove(text(&call.json(), "/Key/pk/S"));
        }
    }

    /// A call has had its effect.
    pub(crate) fn done(&mut self, by: (&str, u64), call: &Call, answer: &Answer, cloud: &Cloud) {
        let ((function, process), now) = (by, cloud.clock().now());
        if !matches!(answer, Answer::Now { status: 200, .. }) {
            return;
        }
        let policy = || self.policies.get(&process).cloned().unwrap_or_default();
        match call.operation.as_str() {
            "PutItem" => self.put(process, &call.json(), now),
            "TransactWriteItems" => self.put_together(&call.json()),
            "SendMessageBatch" => self.sent(&call.json()),
            "UpdateItem" => self.ended(function, &call.json()),
            "POST /audit/suppressions/create" | "PATCH /audit/suppressions/update"
                if function == "apply-suppressions" =>
            {
                self.suppressions.push((policy(), call.json()));
            }
            operation => {
                if let Some(id) = operation.strip_prefix("PUT /detect/mitigationactions/tasks/")
                    && !id.ends_with("/cancel")
                {
                    let is_approved = self.is_approved(id, cloud);
                    let start = Start { at: now, policy: policy(), body: call.json(), is_approved };
                    self.alarm_starts.entry(id.to_owned()).or_insert(start);
                }
                if let Some(id) = operation.strip_prefix("POST /audit/mitigationactions/tasks/") {
                    let is_approved = self.is_approved(id, cloud);
                    let start = Start { at: now, policy: policy(), body: call.json(), is_approved };
                    if !self.starts.contains_key(id) {
                        let shared =
                            self.starts.iter().filter_map(|(other, of)| of.shared(&start, other, cloud));
                        let shared: Vec<String> =
                            shared.map(|with| format!("task {id} starts with {with}")).collect();
                        self.violations.extend(shared);
                        self.starts.insert(id.to_owned(), start);
                        self.begun.push(id.to_owned());
                    }
                }
            }
        }
    }

    /// Items that are written together.
    fn put_together(&mut self, body: &Value) {
        let puts = body["TransactItems"].as_array().into_iter().flatten().map(|of| &of["Put"]["Item"]);
        for item in puts {
            let id = text(item, "/pk/S").strip_prefix("mitigation#").unwrap_or_default().to_owned();
            match (text(item, "/sk/S"), text(item, "/state/S")) {
                ("approval", "waiting") => {
                    self.approvals += 1;
                    self.asked.push(id);
                }
                ("task", "held") => {
                    self.held.insert(id);
                }
                _ => {}
            }
        }
    }

    /// The tasks whose approval was asked for since this was last called.
    pub(crate) fn take_asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asked)
    }

    /// The tasks that were started since this was last called.
    pub(crate) fn take_begun(&mut self) -> Vec<String> {
        std::mem::take(&mut self.begun)
    }

    /// A person tells to approve a task.
    pub(crate) fn approve(&mut self, task: &str) {
        self.approved.insert(task.to_owned());
    }

    fn is_approved(&self, task: &str, cloud: &Cloud) -> bool {
        let approval = cloud.item(&format!("mitigation#{task}"), "approval");
        let state = approval.as_ref().and_then(|approval| approval.get("state")?.as_str());
        state == Some("approved") && self.approved.contains(task)
    }

    fn put(&mut self, process: u64, body: &Value, now: Millis) {
        let (pk, sk, task) =
            (text(body, "/Item/pk/S"), text(body, "/Item/sk/S"), text(body, "/Item/task_id/S"));
        match (sk, pk.split_once('#').unwrap_or_default()) {
            ("latest", _) if pk == "mitigation-pause" => {
                self.pauses.push((now, text(body, "/Item/state/S") != "on"));
                self.has_paused_suppressions |= text(body, "/Item/suppressions/S") == "yes";
            }
            ("claim", _) => {
                self.owners.insert(pk.to_owned(), text(body, "/Item/nonce/S").to_owned());
                self.claims.entry(process).or_default().insert(pk.to_owned());
            }
            ("audit", ("history", check)) => self.latest.push((now, check.to_owned(), task.to_owned())),
            ("latest", ("history", check)) => {
                self.merges.insert((check.to_owned(), task.to_owned()));
            }
            ("audit", ("audit", task)) => {
                let checks: BTreeMap<String, Value> =
                    serde_json::from_str(text(body, "/Item/checks/S")).unwrap_or_default();
                for (check, ended) in checks {
                    let is_sent = self.dispatches.contains_key(&(task.to_owned(), check.clone()));
                    if ended["status"] == "COMPLETED_NON_COMPLIANT" && !is_sent {
                        self.violations
                            .push(format!("audit {task} counts as handled, and {check} is not sent"));
                    }
                }
            }
            _ => {}
        }
    }

    /// A claim has ended or was released.
    fn ended(&mut self, function: &str, body: &Value) {
        let (pk, nonce) = (text(body, "/Key/pk/S"), text(body, "/ExpressionAttributeValues/:nonce/S"));
        if text(body, "/Key/sk/S") == "claim" && self.owners.get(pk).is_some_and(|owner| owner != nonce) {
            self.violations.push(format!("{function} has ended a claim of another: {pk}"));
        }
    }

    fn sent(&mut self, body: &Value) {
        for entry in body["Entries"].as_array().into_iter().flatten() {
            let message: Value = serde_json::from_str(text(entry, "/MessageBody")).unwrap_or_default();
            if text(body, "/QueueUrl") == "check" && message["resume"].is_null() {
                let of = (text(&message, "/audit/taskId").to_owned(), text(&message, "/check").to_owned());
                *self.dispatches.entry(of).or_default() += 1;
            }
        }
    }

    /// The tasks that were started for longer than that after mitigation was paused, and before it was resumed.
    pub(crate) fn started_while_paused(&self, under_way_ms: i64) -> Vec<String> {
        let audit = self.starts.iter().map(|(id, start)| (id, start.at));
        let all = audit.chain(self.alarm_starts.iter().map(|(id, start)| (id, start.at)));
        let is_paused = |at: Millis| {
            let before = self.pauses.iter().filter(|(of, _)| of.0 <= at.0);
            let (since, _) = before.rev().take_while(|(_, paused)| *paused).last()?;
            (at.0 - since.0 > under_way_ms).then_some(*since)
        };
        all.filter_map(|(id, at)| Some((id, at, is_paused(at)?)))
            .map(|(id, at, since)| {
                format!(
                    "task {id} starts at {}, and mitigation is paused since {}",
                    at.rfc3339(),
                    since.rfc3339()
                )
            })
            .collect()
    }

    /// An invocation has ended. Only who is killed leaves a claim.
    pub(crate) fn end(&mut self, process: u64, function: &str, is_killed: bool) {
        let left = self.claims.remove(&process).unwrap_or_default();
        if is_killed {
            self.kills += 1;
        } else if !left.is_empty() {
            self.violations.push(format!("{function}/{process} has ended and left its claims: {left:?}"));
        }
    }
}

/// The records of the findings log, by finding.
pub(crate) type Records<'r> = BTreeMap<&'r str, &'r Value>;

/// What of it was not as promised.
pub(crate) fn judge(world: &World, records: &Records<'_>) -> Vec<String> {
    let history: Vec<String> = histories(world, records);
    let state = world.state();
    let acts = &state.acts;
    let mut violations = acts.violations.clone();
    violations.extend(history);
    for (id, start) in &acts.starts {
        violations.extend(acts.objection(id, start, records).map(|why| format!("task {id}: {why}")));
    }
    for (id, start) in &acts.alarm_starts {
        violations.extend(start.outside().map(|why| format!("task {id}: {why}")));
        let rules = start.policy["rules"].as_array().into_iter().flatten();
        let mut rules = rules.filter(|rule| rule["alarm"].is_object() && rule["mitigate"].is_object());
        if !start.is_approved && rules.all(policies::always_waits) {
            violations.push(format!("task {id}: each rule waits for approval, and nobody has approved it"));
        }
    }
    for (policy, suppression) in &acts.suppressions {
        let check = text(suppression, "/checkName");
        let is_wanted = policies::rules(policy, check).any(|rule| rule.get("suppress").is_some());
        if policy["mode"] != "enforce" || !is_wanted {
            violations
                .push(format!("a suppression of {check} is written under a policy that does not: {policy}"));
        }
    }
    let strikes = state.faults.values().sum::<u64>() + acts.kills;
    for ((audit, check), times) in acts.dispatches.iter().filter(|(_, times)| **times > 1 + strikes) {
        violations
            .push(format!("{check} of {audit} is sent to triage {times} times, and {strikes} faults struck"));
    }
    violations
}

impl Acts {
    /// Why a task should not have started, if that is so.
    fn objection(&self, id: &str, start: &Start, records: &Records<'_>) -> Option<String> {
        let Start { at, policy, body, is_approved } = start;
        if policy["mode"] != "enforce" {
            return Some(format!("it is started under a policy that observes: {policy}"));
        }
        let (check, actions) = body["auditCheckToActionsMapping"].as_object()?.iter().next()?;
        let is_wanted = policies::rules(policy, check).any(|rule| rule["mitigate"]["actions"] == *actions);
        if !id.starts_with(PERSON) && !is_wanted {
            return Some(format!("no rule of the policy mitigates {check} with {actions}: {policy}"));
        }
        let mut rules = policies::rules(policy, check).filter(|rule| rule["mitigate"]["actions"] == *actions);
        if !id.starts_with(PERSON) && !is_approved && rules.all(policies::always_waits) {
            return Some(format!("its rule waits for approval, and nobody has approved it: {policy}"));
        }
        if id.starts_with(PERSON) && policy["twoPersons"] == true && !is_approved {
            return Some("a second person has to approve it, and nobody has".to_owned());
        }
        let is_of_rule = !id.starts_with(PERSON);
        let closed = windows::closed(policy, (check, actions), is_of_rule, (*at, UNDER_WAY_MS));
        if let Some(why) = closed.filter(|_| !is_approved) {
            return Some(format!("it is started at {}, and {why}", at.rfc3339()));
        }
        let found: Vec<&Value> = start.findings().filter_map(|id| records.get(id).copied()).collect();
        if let Some(protected) = found.iter().find(|record| policies::protects(policy, record)) {
            return Some(format!("{} is protected", protected["resource"]));
        }
        let settled = at.0 - UNDER_WAY_MS;
        let latest = self
            .latest
            .iter()
            .rfind(|(at, of, _)| of == check && at.0 <= settled)
            .map(|(_, _, task)| task)?;
        let whole = body["target"]["auditTaskId"].as_str();
        // Of two audits that began in one moment either can be the later one.
        let began = |audit: &str| {
            let of_audit = records.values().find(|record| text(record, "/taskId") == audit);
            of_audit.and_then(|record| record["auditStartedAt"].as_i64())
        };
        let is_later = |audit: &&str| began(latest) != began(audit);
        let audits = found.iter().map(|record| text(record, "/taskId")).chain(whole).filter(is_later);
        let overtaken =
            audits.filter(|audit| audit != latest).find(|audit| self.came_before(check, audit, latest));
        overtaken.map(|audit| format!("audit {audit} was overtaken by {latest} before its start"))
    }

    /// Whether an audit was the latest of a check before another one became it.
    fn came_before(&self, check: &str, audit: &str, later: &str) -> bool {
        let at = |task: &str| self.latest.iter().position(|(_, of, by)| of == check && by == task);
        at(audit) < at(later)
    }
}

/// The size of a record of a history, in bytes; where its key ends, and where it counts in how many audits it was seen.
const RECORD: usize = 36;
const KEY: usize = 16;
const TIMES_SEEN: usize = 32;

/// In the latest history of a check each finding counts once for every audit that replaced the history.
fn histories(world: &World, records: &Records<'_>) -> Vec<String> {
    let merges = world.state().acts.merges.clone();
    let mut expected: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for record in records.values() {
        let (check, audit) = (text(record, "/check"), text(record, "/taskId"));
        if merges.contains(&(check.to_owned(), audit.to_owned())) {
            expected.entry((check, text(record, "/key"))).or_default().insert(audit);
        }
    }
    let mut violations = Vec::new();
    let checks: BTreeSet<&str> = merges.iter().map(|(check, _)| check.as_str()).collect();
    for check in checks {
        let item = world.cloud.item(&format!("history#{check}"), "latest");
        let audit = item.as_ref().and_then(|item| item.get("task_id")?.as_str()).unwrap_or_default();
        let end = format!("{check}/{audit}.keys");
        let path = world.cloud.objects().into_iter().find(|path| path.ends_with(&end));
        let object = path.and_then(|path| world.cloud.object(&path)).unwrap_or_default();
        let seen: BTreeMap<String, u64> = object
            .chunks_exact(RECORD)
            .map(|record| {
                let key = record[..KEY].iter().fold(0_u128, |key, byte| key << 8 | u128::from(*byte));
                (
                    format!("{key:032x}"),
                    u64::from(record[TIMES_SEEN]) << 8 | u64::from(record[TIMES_SEEN + 1]),
                )
            })
            .collect();
        for ((_, key), audits) in expected.iter().filter(|((of, _), _)| *of == check) {
            let times = seen.get(*key).copied().unwrap_or_default();
            if times != audits.len() as u64 {
                violations.push(format!(
                    "the history of {check} has {key} from {times} audits, and {audits:?} found it"
                ));
            }
        }
    }
    violations
}
