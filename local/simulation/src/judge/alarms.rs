//! Whether the promises about alarms held: what Device Defender and the operator's tool told of is the truth, and the
//! ledger, the findings log, the archive, the mitigation tasks and the alerts have to agree with it.

mod incidents;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::Value;
use serde_json::json;

use super::Judge;
use super::list;
use super::text;
use crate::alarms::TOOL;
use crate::policies;

/// How long what was begun before an incident was opened may still take, in milliseconds: an invocation's time.
const UNDER_WAY_MS: i64 = 60_000;
/// What Device Defender has within a run.
const ALL_TIME: &str = "startTime=2026-11-01T00%3A00%3A00Z&endTime=2027-03-01T00%3A00%3A00Z&maxResults=250";

/// A violation: its id at Device Defender, or what the tool's alarm is about.
type Key = String;
/// An event: its type and time.
type Event = (String, i64);

/// What is true of alarms, and what the ledger has of them.
struct Known {
    /// The events of each violation.
    told: BTreeMap<Key, BTreeSet<Event>>,
    /// The violations in the ledger, by key.
    lives: BTreeMap<Key, Value>,
    incidents: Vec<Incident>,
    /// The verification states at Device Defender.
    states: BTreeMap<Key, String>,
}

/// An incident in the ledger.
struct Incident {
    id: String,
    behavior: String,
    /// The first of its alarms: what was raised before is none of it.
    first: Option<i64>,
    ended: Option<i64>,
    /// When a function said that it had opened it. None: the function died before it could.
    opened: Option<i64>,
    members: BTreeSet<String>,
}

impl Incident {
    /// Whether it lasted at a moment, and whoever began after it was opened could know.
    fn lasted(&self, at: i64) -> bool {
        self.opened.is_some_and(|opened| opened + UNDER_WAY_MS < at)
            && self.ended.is_none_or(|ended| at < ended)
    }
}

fn number(value: &Value, path: &str) -> Option<i64> {
    value.pointer(path).and_then(Value::as_i64)
}

/// Epoch milliseconds of a time in seconds with a fraction.
#[expect(clippy::cast_possible_truncation, reason = "it is a time of this century")]
fn millis(seconds: &Value) -> i64 {
    (seconds.as_f64().unwrap_or_default() * 1_000.0).round() as i64
}

fn embedded(item: &impl Fn(&str) -> Option<String>, name: &str) -> Value {
    item(name).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// The key of an alarm, by its members in the ledger or in a record.
fn key(alarm: &Value) -> Key {
    if text(alarm, "/source") == "deviceDefender" {
        return text(alarm, "/violationId").to_owned();
    }
    format!("{} {} {}", text(alarm, "/profile"), text(alarm, "/behavior"), text(alarm, "/thing"))
}

impl Judge<'_> {
    /// Judges all that is about alarms.
    pub(super) fn alarms(&mut self) {
        let known = self.known();
        self.judged.alarms = known.told.len() as u64;
        self.each_violation_is_as_it_was_told(&known);
        self.each_event_is_recorded_once(&known);
        self.each_violation_is_decided(&known);
        self.devices_are_mitigated_as_decided(&known);
        self.states_are_as_decided(&known);
        self.incidents_are_alerted_once(&known);
        self.nothing_is_unheard();
    }

    /// All elements of a list of Device Defender.
    fn all(&mut self, path: &str, query: &str, member: &str) -> Vec<Value> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let more = if token.is_empty() { query.to_owned() } else { format!("{query}&nextToken={token}") };
            match self.world.ask("GET", path, &more, &Value::Null) {
                Ok(page) => {
                    all.extend(list(&page, &format!("/{member}")).cloned());
                    text(&page, "/nextToken").clone_into(&mut token);
                }
                Err(refused) => {
                    self.judged.violations.push(format!("the judge cannot list: {refused}"));
                    return all;
                }
            }
            if token.is_empty() {
                return all;
            }
        }
    }

    fn known(&mut self) -> Known {
        let mut told: BTreeMap<Key, BTreeSet<Event>> = BTreeMap::new();
        let mut states = BTreeMap::new();
        for event in self.all("/violation-events", ALL_TIME, "violationEvents") {
            let id = text(&event, "/violationId").to_owned();
            states.insert(id.clone(), text(&event, "/verificationState").to_owned());
            // Of what is suppressed at the service nobody is told.
            if event["behavior"]["suppressAlerts"] != true {
                let what = text(&event, "/violationEventType").to_owned();
                told.entry(id).or_default().insert((what, millis(&event["violationEventTime"])));
            }
        }
        for alarm in &self.played.told {
            let of = told.entry(format!(
                "{TOOL} {} {}",
                alarm.behavior,
                alarm.thing.as_deref().unwrap_or_default()
            ));
            of.or_default().extend(alarm.events.iter().map(|(what, at)| ((*what).to_owned(), at.0)));
        }
        let items = self.world.cloud.items("");
        let mut lives = BTreeMap::new();
        let mut incidents = Vec::new();
        for ((pk, sk), item) in &items {
            let of = |name: &str| item.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
            if pk.starts_with("alarm#") && sk == "life" {
                let life = embedded(&of, "life");
                lives.insert(key(&life["alarm"]), life);
            } else if pk == "alarm-incidents" {
                let incident = embedded(&of, "incident");
                incidents.push(Incident {
                    id: sk.clone(),
                    behavior: text(&incident, "/behavior").to_owned(),
                    first: number(&incident, "/firstAt"),
                    ended: number(&incident, "/endedAt"),
                    opened: None,
                    members: items
                        .keys()
                        .filter(|(pk, _)| pk.contains(sk.as_str()) && pk != "alarm-incidents")
                        .map(|(_, violation)| violation.clone())
                        .collect(),
                });
            }
        }
        self.date(&mut incidents);
        Known { told, lives, incidents, states }
    }

    /// When each incident was opened, by the functions' own lines: the n-th line of a behavior is of its n-th incident. If
    /// some are missing, it is not known which.
    fn date(&self, incidents: &mut [Incident]) {
        let mut opened: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for line in &self.world.state().lines {
            if line["Incidents"] == 1 {
                let at = number(line, "/_aws/Timestamp").unwrap_or_default();
                opened.entry(text(line, "/Behavior").to_owned()).or_default().push(at);
            }
        }
        for (behavior, times) in &mut opened {
            let mut of: Vec<&mut Incident> =
                incidents.iter_mut().filter(|incident| incident.behavior == *behavior).collect();
            if of.len() != times.len() {
                continue;
            }
            times.sort_unstable();
            of.sort_by_key(|incident| incident.ended.unwrap_or(i64::MAX));
            for (incident, at) in of.into_iter().zip(times) {
                incident.opened = Some(*at);
            }
        }
    }

    /// Whatever the order of the events and however often each came, the ledger has what they say.
    fn each_violation_is_as_it_was_told(&mut self, known: &Known) {
        for (key, events) in &known.told {
            let latest = |what: &str| events.iter().filter(|(of, _)| of == what).map(|(_, at)| *at).max();
            let expected = [latest("in-alarm"), latest("alarm-cleared"), latest("alarm-invalidated")];
            let life = known.lives.get(key);
            let found =
                life.map(|life| ["/raisedAt", "/clearedAt", "/invalidatedAt"].map(|path| number(life, path)));
            self.unless(found == Some(expected), || {
                format!("violation {key} is {found:?} in the ledger and was told as {expected:?}")
            });
        }
        for key in known.lives.keys().filter(|key| !known.told.contains_key(*key)) {
            self.unless(false, || format!("violation {key} is in the ledger, and nobody told of it"));
        }
    }

    /// Each event is in the findings log once, and in the archive.
    fn each_event_is_recorded_once(&mut self, known: &Known) {
        let event = |record: &Value| {
            let at = number(record, "/at").unwrap_or_default();
            (key(record), (text(record, "/event").to_owned(), at))
        };
        let mut logged: BTreeMap<(Key, Event), u64> = BTreeMap::new();
        for stream in self.world.cloud.streams().values() {
            for line in &stream.events {
                let record: Value = serde_json::from_str(line).unwrap_or_default();
                if record["kind"] == "alarm" {
                    *logged.entry(event(&record)).or_default() += 1;
                }
            }
        }
        let mut archived: BTreeSet<(Key, Event)> = BTreeSet::new();
        for path in self.world.cloud.objects().into_iter().filter(|path| path.starts_with("/alarms/")) {
            let object = self.world.cloud.object(&path).unwrap_or_default();
            let mut lines = String::new();
            let read = GzDecoder::new(object.as_slice()).read_to_string(&mut lines);
            self.unless(read.is_ok(), || format!("{path} cannot be read: {read:?}"));
            archived.extend(lines.lines().map(|line| event(&serde_json::from_str(line).unwrap_or_default())));
        }
        for (key, events) in &known.told {
            for one in events {
                let of = (key.clone(), one.clone());
                let times = logged.remove(&of).unwrap_or_default();
                self.unless(times == 1, || format!("{one:?} of violation {key} is in the log {times} times"));
                let is_there = archived.remove(&of);
                self.unless(is_there, || format!("{one:?} of violation {key} is not in the archive"));
            }
        }
        for of in logged.keys().chain(&archived) {
            self.unless(false, || format!("{of:?} is recorded, and nobody told of it"));
        }
    }

    /// Nothing settles for ever: what began is decided on, unless an incident holds it or held it until its end.
    fn each_violation_is_decided(&mut self, known: &Known) {
        for (key, life) in &known.lives {
            let Some(raised) = number(life, "/raisedAt") else { continue };
            let incident = known.incidents.iter().find(|of| of.id == text(life, "/incident"));
            let is_decided = list(life, "/actions").any(|action| {
                ["mitigate", "verify", "report"].contains(&text(action, "/what"))
                    && number(action, "/raisedAt") == Some(raised)
            });
            self.unless(is_decided || incident.is_some(), || format!("violation {key} was never decided on"));
        }
    }

    fn devices_are_mitigated_as_decided(&mut self, known: &Known) {
        let state = self.world.ask("GET", "/_control/detect/state", "", &Value::Null).unwrap_or_default();
        let mut tasks_of: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        for task in list(&state, "/mitigationTasks") {
            let id = text(task, "/taskId").to_owned();
            let began = millis(&task["taskStartTime"]);
            self.the_ledger_has_the_end_of(task);
            let executions = self.all(
                "/detect/mitigationactions/executions",
                &format!("taskId={id}&maxResults=250"),
                "actionsExecutions",
            );
            // What had ended when the task began is skipped.
            let done: BTreeSet<&str> = executions
                .iter()
                .filter(|of| text(of, "/status") != "SKIPPED")
                .map(|of| text(of, "/violationId"))
                .collect();
            for violation in done {
                tasks_of.entry(violation.to_owned()).or_default().push((id.clone(), began));
            }
        }
        self.judged.alarms_mitigated = tasks_of.len() as u64;
        let enforces = self.played.policies.iter().any(|policy| policies::enforces(policy));
        self.unless(enforces || tasks_of.is_empty(), || "in observe, devices were mitigated".to_owned());
        for (violation, tasks) in &tasks_of {
            self.unless(tasks.len() == 1, || {
                format!("violation {violation} is mitigated by {} tasks: {tasks:?}", tasks.len())
            });
            let life = known.lives.get(violation).cloned().unwrap_or_default();
            // A process can die after it has asked for the mitigation and before it has noted its decision. The end of the
            // task has the rule, too.
            let mut decided = list(&life, "/actions")
                .filter(|action| ["mitigate", "mitigated"].contains(&text(action, "/what")));
            self.unless(decided.any(|action| self.may_mitigate(text(action, "/rule"))), || {
                format!("violation {violation} is mitigated and was decided otherwise: {}", life["actions"])
            });
            for (task, began) in tasks {
                let holds = known
                    .incidents
                    .iter()
                    .find(|incident| incident.members.contains(violation) && incident.lasted(*began));
                self.unless(holds.is_none(), || {
                    let id = holds.map(|incident| incident.id.as_str()).unwrap_or_default();
                    format!("violation {violation} is mitigated by {task} while incident {id} lasts")
                });
            }
        }
        for (key, life) in &known.lives {
            self.what_was_decided_is_done(key, life, &tasks_of, known);
        }
    }

    /// Whether a policy that enforces has a rule of this name that mitigates alarms.
    fn may_mitigate(&self, rule: &str) -> bool {
        self.played.policies.iter().filter(|policy| policies::enforces(policy)).any(|policy| {
            let policy: Value = serde_json::from_str(policy).unwrap_or_default();
            list(&policy, "/rules")
                .any(|of| text(of, "/name") == rule && of["alarm"].is_object() && of["mitigate"].is_object())
        })
    }

    fn the_ledger_has_the_end_of(&mut self, task: &Value) {
        let id = text(task, "/taskId");
        let item = self.world.cloud.item(&format!("mitigation#{id}"), "task");
        let state = item.as_ref().and_then(|task| task.get("state")?.as_str()).unwrap_or_default();
        let wanted = match text(task, "/taskStatus") {
            "SUCCESSFUL" => "completed",
            "FAILED" => "failed",
            "CANCELED" => "canceled",
            _ => "",
        };
        self.unless(state == wanted, || {
            format!("task {id} is {} at the service and '{state}' in the ledger", text(task, "/taskStatus"))
        });
    }

    /// What a rule mitigates for real is mitigated, unless the alarm ended, an incident came or the device was in the group
    /// already; and what is to be released is released in the end, when all alarms are over.
    fn what_was_decided_is_done(
        &mut self,
        key: &str,
        life: &Value,
        tasks_of: &BTreeMap<String, Vec<(String, i64)>>,
        known: &Known,
    ) {
        let did = |what: &str| list(life, "/actions").find(|action| text(action, "/what") == what);
        let Some(decided) = did("mitigate") else { return };
        let is_done = tasks_of.contains_key(key);
        self.unless(is_done == did("mitigated").is_some(), || {
            format!("violation {key}: mitigated {is_done}, and its notes say {}", life["actions"])
        });
        // Another policy may have stopped it.
        let [policy] = self.played.policies.as_slice() else { return };
        if !policies::enforces(policy) {
            self.unless(did("would-mitigate").is_some() || !life["incident"].is_null(), || {
                format!("violation {key} would be mitigated, and nobody said so: {}", life["actions"])
            });
            return;
        }
        let reasons: Vec<&str> = list(life, "/actions")
            .filter(|of| text(of, "/what") == "not-mitigated")
            .map(|of| text(of, "/reason"))
            .collect();
        let is_in = did("already-in-groups").is_some();
        let ended =
            known.told.get(key).is_some_and(|events| events.iter().any(|(what, _)| what != "in-alarm"));
        let is_excused = is_in
            || self.is_rejected(key)
            || (ended && did("mitigation-failed").is_some())
            || reasons.iter().any(|reason| match *reason {
                "the alarm has ended" | "the alarm had ended when the task began" => ended,
                "it is part of an incident" | "too many devices alarm on the behavior at once" => true,
                reason => {
                    reason.starts_with("it is protected by")
                        || reason.contains("registered")
                        || reason.starts_with("rule ")
                        || reason.starts_with("no rule")
                }
            });
        self.unless(is_done || is_excused, || {
            format!(
                "violation {key} was to be mitigated by {} and was not: {}",
                text(decided, "/rule"),
                life["actions"]
            )
        });
        let policy: Value = serde_json::from_str(policy).unwrap_or_default();
        let rule = list(&policy, "/rules").find(|rule| text(rule, "/name") == text(decided, "/rule"));
        let is_released = rule.is_some_and(|rule| !rule["mitigate"]["release"].is_null());
        if did("mitigated").is_some() && !self.is_undone(key) {
            self.unless(did("released").is_some() == is_released, || {
                format!(
                    "violation {key}: to be released {is_released}, and its notes say {}",
                    life["actions"]
                )
            });
        }
    }

    /// Whether an operator has undone the mitigation of a violation: then there is nothing to release.
    fn is_undone(&self, violation: &str) -> bool {
        let is_of_release = |sk: &str| sk.strip_prefix("release#") == Some(violation);
        self.world.cloud.items("mitigation#").iter().any(|((_, sk), item)| {
            is_of_release(sk) && item.get("release").and_then(Value::as_str) == Some("undone")
        })
    }

    /// Whether a person has rejected the mitigation of a violation, or nobody has approved it in time.
    fn is_rejected(&self, violation: &str) -> bool {
        self.world.cloud.items("mitigation#").values().any(|task| {
            let of = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
            of("state") == "rejected" && of("violations").contains(violation)
        })
    }

    /// A rule's verification state is at Device Defender, and no other.
    fn states_are_as_decided(&mut self, known: &Known) {
        let policies: Vec<Value> = self
            .played
            .policies
            .iter()
            .map(|policy| serde_json::from_str(policy).unwrap_or_default())
            .collect();
        for (violation, state) in &known.states {
            let life = known.lives.get(violation).cloned().unwrap_or_default();
            let rule = list(&life, "/actions")
                .filter(|of| text(of, "/what") == "verify")
                .map(|of| text(of, "/rule"));
            let wanted: BTreeSet<&str> = rule
                .flat_map(|name| {
                    let enforcing = policies.iter().filter(|policy| policy["mode"] == "enforce");
                    enforcing.flat_map(move |policy| {
                        list(policy, "/rules")
                            .filter(move |rule| text(rule, "/name") == name)
                            .map(|rule| text(rule, "/verify/state"))
                    })
                })
                .filter(|state| !state.is_empty())
                .collect();
            let is_set = state != "UNKNOWN";
            // Under several policies it is not known which of them has decided: if the process dies before it has noted what it
            // did, another can come, or an incident that takes the alarm in.
            let is_right = if policies.len() == 1 && life["incident"].is_null() {
                is_set == wanted.contains(state.as_str()) && is_set != wanted.is_empty()
            } else {
                let mut enforcing = policies.iter().filter(|policy| policy["mode"] == "enforce");
                !is_set
                    || enforcing
                        .any(|policy| list(policy, "/rules").any(|rule| text(rule, "/verify/state") == state))
            };
            self.unless(is_right, || {
                format!("violation {violation} is verified as {state}, not as {wanted:?}")
            });
        }
    }

    /// When all is over, the watch finds nothing that the ledger does not have. And where no message was lost or late and no
    /// fault struck, it never did.
    fn nothing_is_unheard(&mut self) {
        let Some(seen) = self.played.alarm_watch.clone() else { return };
        self.unless(seen["complete"] == true && seen["problems"] == json!([]), || {
            format!("the last look at the alarms finds: {seen}")
        });
        let (is_reliable, alerts) = {
            let state = self.world.state();
            (state.alarm_topic.is_reliable() && state.faults.is_empty(), state.alerts.clone())
        };
        let unheard = alerts.iter().find(|(_, alert)| text(alert, "/metadata/eventType") == "alarm-unheard");
        self.unless(!is_reliable || unheard.is_none(), || {
            format!("nothing was lost or late, and {unheard:?}")
        });
    }
}
