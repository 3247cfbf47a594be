//! Whether the promises held, by what is on all sides when a run has ended: Device Defender's own audits, findings, tasks and
//! suppressions; the findings log; the archive; the ledger; the queues; the alerts. None of this is code of the product.

mod alarms;
mod approvals;
pub(crate) mod budgets;
mod canaries;
mod devices;
mod history;
mod operators;
mod suppressions;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::acts;
use crate::acts::PERSON;
use crate::policies;
use crate::workload::Played;
use crate::world::World;

/// What the judge found.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) violations: Vec<String>,
    pub(crate) findings: u64,
    pub(crate) mitigated: u64,
    pub(crate) alarms: u64,
    pub(crate) alarms_mitigated: u64,
    pub(crate) undone: u64,
    pub(crate) suppressions_undone: u64,
    pub(crate) disconnected: u64,
}

/// A finding of an audit, by the ids of both.
type Id = (String, String);
/// The records of the findings log, each with the time at which its stream began.
type Records = BTreeMap<Id, Vec<(Value, Millis)>>;

/// Judges a run.
pub(crate) fn judge(world: &World, played: &Played) -> Judged {
    let mut judge = Judge { world, played, judged: Judged::default() };
    judge.everything_ended();
    let records = judge.records();
    judge.each_finding_is_exported_once(&records);
    judge.the_archive_has_the_same(&records);
    judge.mitigation_is_as_decided(&records);
    judge.what_was_decided_took_place(&records);
    judge.no_budget_is_overspent(&records);
    judge.the_first_go_alone();
    judge.a_lost_connection_stops_the_rest();
    judge.undone_suppressions_are_as_before();
    judge.no_finding_has_too_many_devices(&records);
    judge.operators_are_obeyed();
    judge.approvals_are_obeyed();
    judge.tallies_agree(&records);
    judge.history_is_true(&records);
    judge.observe_changes_nothing();
    judge.no_claim_is_left();
    judge.no_loop_is_ended();
    judge.alerts_are_raised_once();
    let by_finding = records.iter().map(|(id, of)| (id.1.as_str(), &of[0].0)).collect();
    judge.judged.violations.extend(acts::judge(world, &by_finding));
    judge.alarms();
    judge.judged
}

struct Judge<'a> {
    world: &'a World,
    played: &'a Played,
    judged: Judged,
}

/// A text in JSON by its path: nothing if it is not there.
pub(crate) fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn list<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// A resource as one text, whatever the order of its members.
fn identifier(resource: &Value) -> String {
    resource.to_string()
}

/// Whether a finding was decided on so, and for real.
fn is_decided(record: &Value, outcome: &str) -> bool {
    text(record, "/decision/outcome") == outcome && text(record, "/decision/mode") == "enforce"
}

impl Judge<'_> {
    fn unless(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        if !holds {
            self.judged.violations.push(violation());
        }
    }

    /// Nothing waits for ever, and nothing stays parked that was moved back when all was well.
    fn everything_ended(&mut self) {
        let queues = self.world.cloud.queues();
        self.unless(self.played.is_quiet, || format!("work is still under way; messages are on {queues:?}"));
        for (dead, body) in &self.played.poison {
            let times = self.world.cloud.waiting(dead).iter().filter(|message| message.body == *body).count();
            self.unless(times > 0, || format!("{body} can never be handled, and is not parked on {dead}"));
        }
        for queue in queues.iter().filter(|queue| queue.starts_with("dead-")) {
            let is_known = |body: &str| self.played.poison.iter().any(|(_, poison)| poison == body);
            let parked: Vec<String> = self
                .world
                .cloud
                .waiting(queue)
                .into_iter()
                .filter(|message| !is_known(&message.body))
                .map(|message| message.body.chars().take(300).collect())
                .collect();
            self.unless(parked.is_empty(), || {
                format!("parked on {queue} although nothing was wrong with it: {parked:?}")
            });
        }
    }

    /// The records in the findings log, by audit and finding.
    fn records(&self) -> Records {
        let mut records: Records = BTreeMap::new();
        for stream in self.world.cloud.streams().values() {
            for event in &stream.events {
                let event: Value = serde_json::from_str(event).unwrap_or_default();
                if event["kind"] == "finding" {
                    let id = (text(&event, "/taskId").to_owned(), text(&event, "/findingId").to_owned());
                    records.entry(id).or_default().push((event, stream.created));
                }
            }
        }
        records
    }

    /// All findings of an audit, as Device Defender has them.
    fn findings(&mut self, task: &str) -> Vec<Value> {
        let mut findings = Vec::new();
        let mut token = Value::Null;
        loop {
            let mut body = json!({"taskId": task, "maxResults": 250});
            if !token.is_null() {
                body["nextToken"] = token;
            }
            let mut page = match self.world.ask("POST", "/audit/findings", "", &body) {
                Ok(page) => page,
                Err(refused) => {
                    self.judged.violations.push(format!("the judge cannot list: {refused}"));
                    return findings;
                }
            };
            findings.extend(page["findings"].as_array().cloned().unwrap_or_default());
            token = page["nextToken"].take();
            if token.is_null() {
                return findings;
            }
        }
    }

    fn each_finding_is_exported_once(&mut self, records: &Records) {
        let mut expected = BTreeSet::new();
        for (task, _) in &self.played.audits {
            let described =
                self.world.ask("GET", &format!("/audit/tasks/{task}"), "", &Value::Null).unwrap_or_default();
            if described["taskStatus"] != "COMPLETED" {
                continue;
            }
            for finding in self.findings(task) {
                let id = (task.clone(), text(&finding, "/findingId").to_owned());
                let count = records.get(&id).map_or(0, Vec::len);
                self.unless(count == 1, || {
                    format!(
                        "finding {} of audit {task} ({}) is in the log {count} times",
                        id.1,
                        text(&finding, "/checkName")
                    )
                });
                expected.insert(id);
            }
        }
        self.judged.findings = records.len() as u64;
        for id in records.keys().filter(|id| !expected.contains(*id)) {
            let described = self
                .world
                .ask("GET", &format!("/audit/tasks/{}", id.0), "", &Value::Null)
                .unwrap_or_default();
            self.unless(described["taskStatus"] == "CANCELED", || {
                format!("a finding that no audit has is in the log: {id:?}")
            });
        }
    }

    /// The archive and the log have the same records.
    fn the_archive_has_the_same(&mut self, records: &Records) {
        let mut archived: BTreeMap<Id, Value> = BTreeMap::new();
        for path in self.world.cloud.objects().into_iter().filter(|path| path.starts_with("/findings/")) {
            let object = self.world.cloud.object(&path).unwrap_or_default();
            let mut lines = String::new();
            let read = GzDecoder::new(object.as_slice()).read_to_string(&mut lines);
            self.unless(read.is_ok(), || format!("{path} cannot be read: {read:?}"));
            for line in lines.lines() {
                let record: Value = serde_json::from_str(line).unwrap_or_default();
                let id = (text(&record, "/taskId").to_owned(), text(&record, "/findingId").to_owned());
                let before = archived.insert(id, record);
                self.unless(before.is_none(), || format!("{path}: twice in the archive: {before:?}"));
            }
        }
        for (id, of) in records {
            let there = archived.remove(id);
            self.unless(there.as_ref() == of.first().map(|(record, _)| record), || {
                format!("{id:?} differs: the log has {:?} and the archive {there:?}", of.first())
            });
        }
        for id in archived.keys() {
            self.unless(false, || format!("{id:?} is in the archive and not in the log"));
        }
    }

    fn mitigation_is_as_decided(&mut self, records: &Records) {
        let calls = self.world.ask("GET", "/_control/calls", "", &Value::Null).unwrap_or_default();
        let mut tasks_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for task in list(&calls, "/mitigationTasks") {
            let id = text(task, "/taskId");
            let ended = self.world.cloud.item(&format!("mitigation#{id}"), "task");
            let state =
                ended.as_ref().and_then(|task| task.get("state")?.as_str()).unwrap_or_default().to_owned();
            let wanted: &[&str] = match text(task, "/taskStatus") {
                "COMPLETED" => &["completed"],
                "FAILED" => &["failed"],
                "CANCELED" => &["canceled"],
                _ => &[],
            };
            self.unless(wanted.contains(&state.as_str()), || {
                format!(
                    "task {id} is {} at the service and '{state}' in the ledger",
                    text(task, "/taskStatus")
                )
            });
            for of in
                list(task, "/outcomes").filter(|of| ["succeeded", "failed"].contains(&text(of, "/outcome")))
            {
                tasks_of.entry(text(of, "/findingId").to_owned()).or_default().push(id.to_owned());
            }
        }
        self.judged.mitigated = tasks_of.len() as u64;
        let decisions: BTreeMap<&str, &Value> =
            records.iter().map(|(id, of)| (id.1.as_str(), &of[0].0)).collect();
        for (finding, tasks) in &tasks_of {
            // A person may mitigate again what a task has mitigated.
            let by_rules = tasks.iter().filter(|task| !task.starts_with(PERSON)).count();
            self.unless(by_rules <= 1, || {
                format!("finding {finding} is mitigated by {by_rules} tasks: {tasks:?}")
            });
            let record = decisions.get(finding.as_str()).copied();
            let is_decided = tasks.iter().all(|task| task.starts_with(PERSON))
                || record.is_some_and(|record| is_decided(record, "mitigate"));
            self.unless(is_decided, || {
                format!(
                    "finding {finding} is mitigated and was decided otherwise: {:?}",
                    record.map(|record| &record["decision"])
                )
            });
            let is_protected = record.is_some_and(|record| self.is_protected(record));
            self.unless(!is_protected, || format!("finding {finding} is protected and was mitigated"));
        }
    }

    /// Whether every policy of the run protects a resource by its id.
    fn is_protected(&self, record: &Value) -> bool {
        self.played
            .policies
            .iter()
            .all(|policy| policies::protects(&serde_json::from_str(policy).unwrap_or_default(), record))
    }

    /// Each finding that is to be mitigated has a task in the ledger that has ended one way or the other.
    fn what_was_decided_took_place(&mut self, records: &Records) {
        let tasks: Vec<_> =
            self.world.cloud.items("mitigation#").into_iter().filter(|((_, sk), _)| sk == "task").collect();
        let mut covered: BTreeSet<(String, String)> = BTreeSet::new();
        for ((pk, _), task) in &tasks {
            let of = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let state = of("state");
            self.unless(!["claimed", "held", "started"].contains(&state.as_str()), || {
                format!("{pk} is still {state}")
            });
            let (audit, check) = (of("audit_task_id"), of("check"));
            let target: Value = serde_json::from_str(&of("target")).unwrap_or_default();
            let target = &target[check.as_str()];
            if target.get("wholeCheck").is_some() {
                covered.insert((audit.clone(), check.clone()));
            }
            for finding in list(target, "/findings") {
                covered.insert((audit.clone(), text(finding, "/findingId").to_owned()));
            }
        }
        // What can no longer be mitigated is left out of its task, and the ledger says so.
        let claims = self.world.cloud.items("finding#");
        let left_out: BTreeSet<&str> = claims
            .iter()
            .filter(|(_, claim)| claim.get("state").and_then(Value::as_str) == Some("superseded"))
            .filter_map(|((pk, _), _)| pk.strip_prefix("finding#"))
            .collect();
        let created: BTreeSet<(String, String)> = self
            .world
            .state()
            .created
            .iter()
            .map(|of| (text(of, "/checkName").to_owned(), identifier(&of["resourceIdentifier"])))
            .collect();
        let mut suppressed = BTreeSet::new();
        let undone = self.undone_suppressions();
        let was_paused = self.world.state().acts.has_paused_suppressions;
        for ((audit, finding), of) in records {
            let record = &of[0].0;
            let check = text(record, "/check").to_owned();
            let resource = identifier(&record["resource"]["resourceIdentifier"]);
            if is_decided(record, "suppress") {
                suppressed.insert((check.clone(), resource.clone()));
            }
            if self.played.is_overtaken(audit, &check) {
                continue;
            }
            // What a retry under another policy decides otherwise is left to the next audit.
            if is_decided(record, "mitigate") && self.played.policies.len() == 1 {
                let is_covered = covered.contains(&(audit.clone(), finding.clone()))
                    || covered.contains(&(audit.clone(), check.clone()))
                    || left_out.contains(finding.as_str());
                self.unless(is_covered, || {
                    format!("finding {finding} of {audit} was to be mitigated, and no task knows it")
                });
            }
            // What another policy decides, what cannot be suppressed, what came while suppressions were paused or when its time
            // was over, is left to the next audit; what people have undone stays undone.
            let may_differ = self.played.policies.len() > 1
                || was_paused
                || undone.contains(&(check.clone(), resource.clone()))
                || resource.contains("cognito")
                || self.was_too_late_to_suppress(record);
            if is_decided(record, "suppress") && !may_differ {
                self.unless(created.contains(&(check.clone(), resource.clone())), || {
                    format!(
                        "finding {finding} of {audit} ({check}) was to be suppressed and is not: {resource}"
                    )
                });
            }
        }
        for made in created.difference(&suppressed) {
            self.unless(false, || format!("a suppression was made that nothing decided: {made:?}"));
        }
    }

    /// Whether a suppression that was decided may have come from a dead-letter queue when its time was over.
    fn was_too_late_to_suppress(&self, record: &Value) -> bool {
        let policy: Value = self
            .played
            .policies
            .last()
            .and_then(|policy| serde_json::from_str(policy).ok())
            .unwrap_or_default();
        let rule = list(&policy, "/rules").find(|rule| rule["name"] == record["decision"]["rule"]);
        let suppress = rule.map_or(&Value::Null, |rule| &rule["suppress"]);
        let began = Millis(record["auditStartedAt"].as_i64().unwrap_or_default());
        let days = suppress["for"].as_str().and_then(|days| days.strip_suffix('d')?.parse::<u64>().ok());
        let until = suppress["until"].as_str().and_then(|date| Millis::parse(&format!("{date}T00:00:00Z")));
        let until = days.map(|days| began.plus(Duration::from_hours(24 * days))).or(until);
        until.is_some_and(|until| self.played.late_suppressions.iter().any(|at| *at >= until))
    }

    fn observe_changes_nothing(&mut self) {
        if self.played.policies.iter().any(|policy| policies::enforces(policy)) {
            return;
        }
        let state = self.world.ask("GET", "/_control/state", "", &Value::Null).unwrap_or_default();
        let changes = (state["fleet"]["changes"].as_u64(), state["suppressions"].as_u64());
        let own = (Some(self.played.moves), Some(0));
        self.unless(changes.0 <= own.0 && changes.1 == own.1, || {
            format!("in observe, changes and suppressions: {changes:?}, of which people made {own:?}")
        });
        self.unless(self.judged.mitigated == 0, || "in observe, mitigation tasks were started".to_owned());
    }

    fn no_claim_is_left(&mut self) {
        let now = self.world.now();
        for ((pk, sk), item) in self.world.cloud.items("") {
            let lease = item.get("lease_until").and_then(Value::as_i64);
            let blocks = item.get("state").and_then(Value::as_str) == Some("running") && lease > Some(now.0);
            self.unless(!blocks, || format!("{pk} {sk} is claimed for ever: {lease:?}"));
        }
    }

    /// Lambda ends no loop of a function: what it drops would be late at best.
    fn no_loop_is_ended(&mut self) {
        let ended = self.world.state().ended_loops.clone();
        self.unless(ended.is_empty(), || format!("Lambda has ended loops of {ended:?}"));
    }

    /// An alert comes again only if its publication may have been lost.
    fn alerts_are_raised_once(&mut self) {
        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        let (alerts, faults) = {
            let state = self.world.state();
            (state.alerts.clone(), state.faults.values().sum::<u64>())
        };
        for (_, alert) in &alerts {
            self.unless(!text(alert, "/id").is_empty(), || format!("an alert without an id: {alert}"));
            *times.entry(text(alert, "/id").to_owned()).or_default() += 1;
        }
        // A function that dies can take a batch of alerts along that it had under way.
        let repeated: u64 = times.values().map(|times| times - 1).sum();
        self.unless(repeated <= 10 * faults, || {
            format!("{repeated} alerts were raised again, although only {faults} faults struck")
        });
    }
}
