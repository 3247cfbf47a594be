//! Everything that an endpoint knows, and the passing of time.
//!
//! Nothing runs in the background: audits and mitigation tasks have a time at which they end, and
//! [`World::tick`] catches up with the clock, in the order of those times, before each request and whenever
//! the server's timer fires. A run on a manual clock is therefore exactly repeatable.

mod finding;
mod mitigate;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::actions::MitigationAction;
use crate::audits::{Audit, CheckRun, RunStatus, Status, Trouble};
use crate::calls::Calls;
use crate::checks::{Action, Check};
use crate::configuration::Configuration;
use crate::detect::Detect;
use crate::detect::mitigation::Tasks as DetectTasks;
use crate::detect::watching::Watching;
use crate::faults::Faults;
use crate::fleet::Fleet;
use crate::mitigation::Task;
use crate::random::{Cipher, domain, uuid};
use crate::schedules::Schedule;
use crate::settings::Settings;
use crate::suppressions::Suppressions;
use crate::throttle::Throttle;

/// How long findings, audits and mitigation tasks are kept (Device Defender quotas: 90 days).
pub(crate) const RETENTION_MS: i64 = 90 * 86_400_000;

/// A message for an SNS topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic's ARN.
    pub topic_arn: String,
    /// The body: JSON.
    pub body: String,
}

/// What became of messages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Publications {
    pub(crate) queued: u64,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    /// Alerts that were ordered to be lost.
    pub(crate) dropped: u64,
}

/// Something that happens when its time has come.
enum Event {
    Due { at: i64, schedule: String },
    Ends { at: i64, number: u32 },
    Mitigates { at: i64 },
}

impl Event {
    const fn at(&self) -> i64 {
        match self {
            Self::Due { at, .. } | Self::Ends { at, .. } | Self::Mitigates { at } => *at,
        }
    }
}

/// Everything that an endpoint knows.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) fleet: Fleet,
    pub(crate) configuration: Configuration,
    pub(crate) schedules: BTreeMap<String, Schedule>,
    pub(crate) detect: Detect,
    pub(crate) watching: Watching,
    pub(crate) detect_tasks: DetectTasks,
    pub(crate) audits: BTreeMap<u32, Audit>,
    pub(crate) audit_numbers: HashMap<String, u32>,
    pub(crate) suppressions: Suppressions,
    pub(crate) actions: BTreeMap<String, MitigationAction>,
    pub(crate) tasks: BTreeMap<u32, Task>,
    pub(crate) task_numbers: HashMap<String, u32>,
    pub(crate) task_tokens: HashMap<String, u32>,
    /// Mitigation tasks in progress.
    pub(crate) running: BTreeSet<u32>,
    /// Times that an action took effect on a resource for a check.
    pub(crate) effects: HashMap<(Check, u32, Action), u32>,
    /// Checks that fail with `INSUFFICIENT_PERMISSIONS`.
    pub(crate) failing: BTreeSet<Check>,
    /// Checks whose data is not there yet: an audit of one goes on until it is.
    pub(crate) collecting: BTreeSet<Check>,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
    pub(crate) publications: Publications,
    outbox: Vec<Message>,
    last_number: u32,
    last_request: u64,
    swept_at: i64,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut fleet = Fleet::new(
            settings.fleet.findings,
            settings.fleet.seed,
            settings.clock.now_ms(),
            &settings.place(),
        );
        fleet.groups =
            settings.thing_groups.iter().flatten().map(|name| (name.clone(), BTreeSet::new())).collect();
        let watching = Watching::new(settings.fleet.seed, settings.clock.now_ms());
        Self {
            throttle: Throttle::new(settings.rate_scale),
            settings,
            fleet,
            configuration: Configuration::default(),
            schedules: BTreeMap::new(),
            detect: Detect::default(),
            watching,
            detect_tasks: DetectTasks::default(),
            audits: BTreeMap::new(),
            audit_numbers: HashMap::new(),
            suppressions: Suppressions::default(),
            actions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            task_numbers: HashMap::new(),
            task_tokens: HashMap::new(),
            running: BTreeSet::new(),
            effects: HashMap::new(),
            failing: BTreeSet::new(),
            collecting: BTreeSet::new(),
            faults: Faults::default(),
            calls: Calls::default(),
            publications: Publications::default(),
            outbox: Vec::new(),
            last_number: 0,
            last_request: 0,
            swept_at: i64::MIN,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.settings.clock.now_ms()
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.settings.fleet.seed
    }

    /// A number that nothing had before.
    pub(crate) const fn number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    /// An id for an answer.
    pub(crate) fn request_id(&mut self) -> String {
        self.last_request += 1;
        uuid(self.seed(), domain::REQUEST, self.last_request)
    }

    /// Starts an audit, on demand or as a run of a schedule, and gives its id.
    pub(crate) fn start_audit(&mut self, checks: &[Check], schedule: Option<String>, started: i64) -> String {
        let number = self.number();
        let id = Cipher::new(self.seed(), domain::TASK).seal(0, number.into());
        let audit = Audit {
            id: id.clone(),
            schedule,
            started,
            ends: started.saturating_add(crate::clock::millis(self.settings.audit_duration)),
            status: Status::InProgress,
            checks: checks.iter().map(|check| (*check, CheckRun::new())).collect(),
        };
        self.audits.insert(number, audit);
        self.audit_numbers.insert(id.clone(), number);
        id
    }

    pub(crate) fn audit(&self, id: &str) -> Option<(u32, &Audit)> {
        let number = self.audit_numbers.get(id)?;
        self.audits.get(number).map(|audit| (*number, audit))
    }

    /// Queues a message.
    pub(crate) fn publish(&mut self, topic_arn: String, body: String) {
        self.publications.queued += 1;
        self.outbox.push(Message { topic_arn, body });
    }

    /// Queues the message that an audit has ended, when the account wants it.
    pub(crate) fn notify(&mut self, number: u32) {
        let Some(topic) = self.configuration.topic() else { return };
        let Some(audit) = self.audits.get(&number) else { return };
        let body = audit.notification(&self.settings.account);
        self.publish(topic, body);
    }

    /// Messages that are due to go out.
    pub(crate) fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.outbox)
    }

    /// Whether something is running that the passing of time will end.
    pub(crate) fn busy(&self) -> bool {
        self.audits.values().any(|audit| audit.status == Status::InProgress)
            || !self.running.is_empty()
            || !self.detect_tasks.running.is_empty()
    }

    /// Catches up with the clock.
    pub(crate) fn tick(&mut self) {
        let now = self.now();
        while let Some(event) = self.next_event(now) {
            match event {
                Event::Due { at, schedule } => self.run_schedule(&schedule, at, now),
                Event::Ends { at, number } => {
                    self.progress_tasks(at);
                    self.complete_audit(number, at);
                }
                Event::Mitigates { at } => {
                    self.watch(at);
                    self.progress_detect_tasks(at);
                    self.adapt(at);
                }
            }
        }
        self.watch(now);
        self.progress_tasks(now);
        self.adapt(now);
        if !self.settings.lapsed_stay {
            self.suppressions.forget_lapsed(now);
        }
        self.forget(now);
    }

    /// What happens first until now.
    fn next_event(&self, now: i64) -> Option<Event> {
        let ends = self
            .audits
            .iter()
            .filter(|(_, audit)| audit.status == Status::InProgress && !self.collects_for(audit))
            .map(|(number, audit)| Event::Ends { at: audit.ends, number: *number });
        let due = self
            .schedules
            .iter()
            .map(|(name, schedule)| Event::Due { at: schedule.due, schedule: name.clone() });
        let mitigates = self.detect_tasks.due().map(|at| Event::Mitigates { at });
        due.chain(ends).chain(mitigates).filter(|event| event.at() <= now).min_by_key(Event::at)
    }

    /// Begins a run that is due, unless it would be forgotten by now.
    fn run_schedule(&mut self, name: &str, at: i64, now: i64) {
        let Some(schedule) = self.schedules.get_mut(name) else { return };
        schedule.go_on();
        let checks = schedule.checks.clone();
        if at >= now.saturating_sub(RETENTION_MS) {
            self.start_audit(&checks, Some(name.to_owned()), at);
        }
    }

    /// Whether an audit waits for the data of one of its checks.
    fn collects_for(&self, audit: &Audit) -> bool {
        audit.checks.keys().any(|check| self.collecting.contains(check))
    }

    /// Says for which checks data is still collected. Audits that waited for others end now.
    pub(crate) fn collect(&mut self, checks: BTreeSet<Check>) {
        let now = self.now();
        self.collecting = checks;
        for audit in self.audits.values_mut().filter(|audit| audit.status == Status::InProgress) {
            audit.ends = audit.ends.max(now);
        }
    }

    fn complete_audit(&mut self, number: u32, at: i64) {
        let Some(mut audit) = self.audits.remove(&number) else { return };
        for (check, run) in &mut audit.checks {
            self.run_check(*check, run, at);
        }
        audit.conclude();
        self.audits.insert(number, audit);
        self.notify(number);
    }

    fn run_check(&self, check: Check, run: &mut CheckRun, at: i64) {
        if !self.configuration.enabled(check) {
            run.status = RunStatus::Failed(Trouble::CheckDisabled);
            return;
        }
        if self.failing.contains(&check) {
            run.status = RunStatus::Failed(Trouble::InsufficientPermissions);
            return;
        }
        let examined = self.fleet.examine(check, at, self.configuration.threshold(check));
        run.total = examined.total;
        let active = self.suppressions.active(check, at);
        let suppressed: HashSet<(u32, u16)> =
            active.filter_map(|resource| self.fleet.resolve(check, resource)).collect();
        (run.suppressed, run.open) = if suppressed.is_empty() {
            (Vec::new(), examined.defects)
        } else {
            examined
                .defects
                .into_iter()
                .partition(|entry| suppressed.contains(&(entry.resource, entry.version)))
        };
        run.status = if run.open.is_empty() { RunStatus::Compliant } else { RunStatus::NonCompliant };
    }

    /// Drops what is past its retention, once an hour: it looks at everything.
    fn forget(&mut self, now: i64) {
        if now < self.swept_at.saturating_add(3_600_000) {
            return;
        }
        self.swept_at = now;
        let limit = now.saturating_sub(RETENTION_MS);
        self.audits.retain(|_, audit| audit.ends >= limit);
        self.tasks.retain(|_, task| task.ended.is_none_or(|ended| ended >= limit));
        self.audit_numbers.retain(|_, number| self.audits.contains_key(number));
        self.task_numbers.retain(|_, number| self.tasks.contains_key(number));
        self.task_tokens.retain(|_, number| self.tasks.contains_key(number));
        self.detect_tasks.forget(now);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::{Desk, TOPIC, deactivate};

    fn status(desk: &Desk, task: &str) -> Value {
        desk.ok("GET", &format!("/audit/tasks/{task}"), &Value::Null)["taskStatus"].clone()
    }

    #[test]
    fn an_audit_ends_when_its_time_has_come_and_says_so_once() {
        let desk = Desk::new(300);
        let task = desk.start(&Check::ALL);
        desk.advance(999);
        assert_eq!(status(&desk, &task), "IN_PROGRESS");
        assert!(desk.findings(&task).is_empty() && desk.service.take_messages().is_empty());
        desk.advance(1);
        let messages = desk.service.take_messages();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].topic_arn, TOPIC);
        let body: Value = serde_json::from_str(&messages[0].body).unwrap();
        assert_eq!((&body["taskId"], &body["totalChecksCount"]), (&json!(task), &json!(17)));
        assert_eq!(body["nonCompliantChecksCount"], 17);
        assert_eq!(desk.findings(&task).len(), 300);
        assert!(desk.service.take_messages().is_empty());
    }

    #[test]
    fn an_audit_waits_for_the_data_of_its_checks() {
        let desk = Desk::new(100);
        let collecting = |checks: &[&str]| {
            desk.ok("POST", "/_control/collecting", &json!({ "collecting": checks }));
        };
        collecting(&[Check::DeviceAge.name()]);
        let (waits, other) =
            (desk.start(&[Check::DeviceAge, Check::DeviceShared]), desk.start(&[Check::DeviceShared]));
        desk.advance(3_600_000);
        assert_eq!(
            (status(&desk, &waits), status(&desk, &other)),
            (json!("IN_PROGRESS"), json!("COMPLETED"))
        );
        let task = desk.ok("GET", &format!("/audit/tasks/{waits}"), &Value::Null);
        let of = |check: Check| task["auditDetails"][check.name()]["checkRunStatus"].clone();
        assert_eq!(of(Check::DeviceAge), "WAITING_FOR_DATA_COLLECTION");
        assert_eq!(of(Check::DeviceShared), "IN_PROGRESS");
        let statistics = &task["taskStatistics"];
        assert_eq!(
            (&statistics["inProgressChecks"], &statistics["waitingForDataCollectionChecks"]),
            (&json!(1), &json!(1))
        );
        collecting(&[]);
        assert_eq!(status(&desk, &waits), "COMPLETED");
        let found = desk.findings(&waits)[0]["findingTime"].as_f64().unwrap();
        assert!(found >= 1_700_003_600.0, "{found}");
    }

    #[test]
    fn a_suppression_acts_in_the_next_audit_until_it_expires() {
        let desk = Desk::new(100);
        let first = desk.audit(Check::LoggingDisabled);
        let body = json!({
            "checkName": Check::LoggingDisabled.name(),
            "resourceIdentifier": first[0]["nonCompliantResource"]["resourceIdentifier"],
            "expirationDate": 1_700_000_060.5,
            "clientRequestToken": "a",
        });
        desk.ok("POST", "/audit/suppressions/create", &body);
        let second = desk.start(&[Check::LoggingDisabled]);
        desk.advance(1_000);
        assert_eq!(desk.findings(&second)[0]["isSuppressed"], true);
        let details = desk.ok("GET", &format!("/audit/tasks/{second}"), &Value::Null);
        let details = &details["auditDetails"][Check::LoggingDisabled.name()];
        assert_eq!(details["checkRunStatus"], "COMPLETED_COMPLIANT");
        assert_eq!(details["nonCompliantResourcesCount"], 0);
        assert_eq!(details["suppressedNonCompliantResourcesCount"], 1);
        desk.advance(60_000);
        assert_eq!(desk.audit(Check::LoggingDisabled)[0]["isSuppressed"], false);
    }

    #[test]
    fn a_disabled_check_fails_and_what_is_old_is_forgotten() {
        let desk = Desk::new(100);
        let task = desk.start(&[Check::LoggingDisabled]);
        desk.ok("DELETE", "/audit/configuration", &Value::Null);
        desk.advance(1_000);
        assert_eq!(status(&desk, &task), "FAILED");
        desk.advance(91 * 86_400_000);
        assert_eq!(desk.call("GET", &format!("/audit/tasks/{task}"), &Value::Null).0, 404);
    }

    #[test]
    fn findings_and_mitigation_tasks_are_kept_for_90_days() {
        let desk = Desk::new(100);
        let findings = desk.audit(Check::DeviceRevoked);
        desk.action("off", &deactivate());
        desk.mitigate("t", &findings[..1], Check::DeviceRevoked, &["off"]);
        let one = format!("/audit/findings/{}", findings[0]["findingId"].as_str().unwrap());
        let task = "/audit/mitigationactions/tasks/t";
        let status = |target: &str| desk.call("GET", target, &Value::Null).0;
        desk.advance(90 * 86_400_000 - 3_600_000);
        assert_eq!((status(&one), status(task)), (200, 200));
        desk.advance(2 * 3_600_000);
        assert_eq!((status(&one), status(task)), (404, 404));
    }

    #[test]
    fn one_seed_gives_the_same_bytes() {
        let run = || {
            let desk = Desk::new(200);
            let task = desk.start(&Check::ALL);
            desk.advance(1_000);
            (desk.findings(&task), desk.service.take_messages(), desk.state())
        };
        assert_eq!(run(), run());
    }
}
