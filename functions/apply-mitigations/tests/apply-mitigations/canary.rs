//! Canaries: the first few go alone and are watched; then the rest follows, or nothing more starts and they are undone. In
//! every order, and wherever a process dies.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::model::alarm::Alarm;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::CriteriaType;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::follow::execution;
use crate::service::Service;
use crate::service::certificate;
use crate::setup::ACTIONS;
use crate::setup::CHECK;
use crate::setup::findings;
use crate::setup::id;
use crate::setup::ledger;
use crate::setup::message;
use crate::setup::under;
use crate::setup::with;

mod disconnected;

const TWO: &str = ", canary: { first: 2, watch: 15m }";

/// A policy whose rule mitigates with this canary.
fn policy(mode: &str, canary: &str) -> String {
    let rule = format!(
        "name: expiring, match: {{ check: {CHECK} }}, mitigate: {{ actions: {ACTIONS:?}, devices: any{canary} }}"
    );
    format!("version: 1\nbudgets: none\nmode: {mode}\nrules:\n  - {{ {rule} }}\n")
}

/// What triage sends of eight findings: five from which the first are taken, and the rest.
fn sent() -> [Value; 2] {
    [part(1..=5, json!({"first": {"of": 8}})), part(6..=8, json!("rest"))]
}

fn part(numbers: impl IntoIterator<Item = u32>, canary: Value) -> Value {
    let mut message = message(findings(numbers));
    message["request"]["canary"] = canary;
    message
}

/// The functions' queue and its time, until nothing is left to do.
struct Run {
    service: Service,
    policy: String,
    /// What is on the queue, by when it is seen.
    queue: Vec<(Millis, Value)>,
    /// How each task ends, in the number of findings that fail.
    failing: u32,
    /// How many findings may be started before the canary has passed.
    most: usize,
}

impl Run {
    fn new(messages: impl IntoIterator<Item = Value>) -> Self {
        let service = Service::default();
        let queue = messages.into_iter().map(|message| (START, message)).collect();
        Self { service, policy: policy("enforce", TWO), queue, failing: 0, most: 2 }
    }

    fn now(&self) -> Millis {
        self.service.cloud.clock().now()
    }

    /// Delivers until the queue is empty, or for so many seconds. A message leaves the queue when it is handled.
    async fn run_for(&mut self, seconds: i64) {
        let until = self.now().plus_seconds(seconds);
        let function = under(&self.service, &self.policy);
        loop {
            let now = self.now();
            let sent = self.service.take_queue();
            self.queue.extend(
                sent.into_iter().map(|(delay, body)| (now.plus_seconds(i64::try_from(delay).unwrap()), body)),
            );
            let next = (0..self.queue.len()).min_by_key(|at| (self.queue[*at].0, *at));
            let Some(next) = next.filter(|at| self.queue[*at].0 <= until) else { return };
            let wait = self.queue[next].0.0.saturating_sub(now.0).max(0) / 1000;
            self.service.cloud.pass_seconds(wait);
            self.end_tasks();
            let body = self.queue[next].1.to_string();
            let deadline = self.now().plus_seconds(300);
            match function.message(&body, deadline).await {
                Ok(()) => drop(self.queue.remove(next)),
                // What a dead one holds is free after a minute.
                Err(Error::Later(_)) => self.queue[next].0 = self.now().plus_seconds(60),
                Err(error) => panic!("{error}"),
            }
            self.check();
        }
    }

    /// The tasks end, and have deactivated the certificates of what has not failed.
    fn end_tasks(&self) {
        let running: Vec<(String, Vec<String>)> = self
            .service
            .state()
            .tasks
            .iter()
            .filter(|(_, task)| task["taskStatus"] == "IN_PROGRESS")
            .map(|(id, task)| (id.clone(), finding_ids(task)))
            .collect();
        for (id, findings) in running {
            let count = u32::try_from(findings.len()).unwrap();
            let failed = self.failing.min(count);
            let status = if failed > 0 { "FAILED" } else { "COMPLETED" };
            self.service.end(&id, status, [count - failed, failed, 0, 0]);
            let now = self.now().0 / 1000;
            let mut state = self.service.state();
            state.tasks.get_mut(&id).unwrap()["endTime"] = json!(now);
            for (finding, fails) in findings.iter().zip((0..count).map(|n| n < failed)) {
                let status = if fails { "FAILED" } else { "COMPLETED" };
                let executions = ACTIONS.map(|action| execution(action, status, None));
                state.executions.insert(finding.clone(), vec![json!({"actionsExecutions": executions})]);
                if !fails {
                    let number: u32 = finding.rsplit('-').next().unwrap().parse().unwrap();
                    state.statuses.insert(certificate(number), Some("INACTIVE".into()));
                }
            }
        }
    }

    /// The findings of all tasks that were started, in the order of the starts.
    fn started(&self) -> Vec<Vec<String>> {
        let starts = self.service.starts();
        let state = self.service.state();
        starts.iter().map(|id| finding_ids(&state.tasks[id])).collect()
    }

    /// No finding is mitigated twice, and no more than may be before the canary has passed.
    fn check(&self) {
        let all: Vec<String> = self.started().into_iter().flatten().collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "twice: {all:?}");
        let stage = self.canary("state");
        assert!(stage == "passed" || all.len() <= self.most, "{stage}: {all:?}");
    }

    fn canary(&self, attribute: &str) -> String {
        self.service.attribute("audit#4e2b", &format!("canary#{CHECK}#expiring"), attribute)
    }

    /// The numbers of the certificates that are not active.
    fn inactive(&self) -> Vec<u32> {
        let statuses: BTreeMap<String, Option<String>> = self.service.state().statuses.clone();
        (1..=20)
            .filter(|n| statuses.get(&certificate(*n)).is_some_and(|of| of.as_deref() != Some("ACTIVE")))
            .collect()
    }

    /// The kinds of the alerts.
    fn kinds(&self) -> Vec<String> {
        self.service.alerts().iter().map(alert_kind).collect()
    }

    /// A device of the canary raises an alarm.
    async fn alarm(&self, thing: &str) {
        let alarm = Alarm {
            source: Source::DeviceDefender,
            account: "123456789012".into(),
            region: "us-east-1".into(),
            violation_id: format!("v-{thing}"),
            profile: "lamps".into(),
            behavior: "messages".into(),
            metric: None,
            thing: Some(thing.into()),
            criteria: CriteriaType::Static,
            confidence: None,
            expected: None,
            suppressed: false,
        };
        let at = self.now();
        let event = AlarmEvent { alarm, event: EventType::InAlarm, at, value: None, verification: None };
        Alarms::new(ledger(&self.service.cloud)).record(&event, at).await.unwrap();
    }
}

fn alert_kind(alert: &Value) -> String {
    let texts: Value = serde_json::from_str(alert["default"].as_str().unwrap_or("{}")).unwrap();
    texts.pointer("/detail/eventType").or(texts.pointer("/metadata/eventType")).map_or_else(
        || serde_json::to_string(alert).unwrap(),
        |kind| kind.as_str().unwrap_or_default().to_owned(),
    )
}

fn finding_ids(task: &Value) -> Vec<String> {
    let ids = task["target"]["findingIds"].as_array().unwrap();
    ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("finding-{n}")).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_go_alone_and_the_rest_follows_when_nothing_happens() {
    let [first, rest] = sent();
    // The rest comes first.
    let mut run = Run::new([rest.clone(), first.clone()]);
    run.run_for(600).await;
    assert_eq!(run.started(), [ids(1..=2)]);
    assert_eq!((run.canary("state"), run.canary("task_id")), ("running".into(), id(&first)));
    assert_eq!(run.service.task_state(&id(&rest)), "held");
    let reason = run.service.attribute(&format!("mitigation#{}", id(&rest)), "task", "reason");
    assert!(reason == "the findings that go first are not chosen yet: the rest waits for them", "{reason}");
    let guards = run.service.attribute(&format!("mitigation#{}", id(&first)), "task", "guards");
    assert!(
        guards
            .contains(r#"{"guard":"canary","passed":true,"reason":"2 of 8 go first: those not connected, "#),
        "{guards}"
    );
    run.run_for(86_400).await;
    assert_eq!(run.canary("state"), "passed");
    let mut started = run.started();
    started[1..].sort();
    assert_eq!(started, [ids(1..=2), ids(3..=5), ids(6..=8)]);
    assert_eq!(run.inactive(), (1..=8).collect::<Vec<_>>());
    assert!(run.queue.is_empty() && run.service.parked().is_empty());
    assert_eq!(run.kinds().len(), 1);
    insta::assert_json_snapshot!(run.service.alerts());
    // Copies that come late change nothing.
    run.queue.extend([&first, &rest].map(|message| (run.now(), message.clone())));
    run.run_for(86_400).await;
    assert_eq!((run.started().len(), run.service.alerts().len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_new_alarm_stops_the_rest_and_what_the_first_changed_is_put_back() {
    let [first, rest] = sent();
    let mut run = Run::new([rest.clone(), first.clone()]);
    // An old one, and one of a device that has not gone first.
    run.alarm("thing-1").await;
    run.service.cloud.pass_seconds(1);
    run.run_for(120).await;
    assert_eq!(run.inactive(), [1, 2]);
    run.alarm("thing-7").await;
    run.run_for(60).await;
    run.alarm("thing-2").await;
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.canary("undo")), ("stopped".into(), "done".into()));
    assert_eq!((run.started(), run.inactive()), (vec![ids(1..=2)], vec![]));
    assert_eq!(run.service.task_state(&id(&rest)), "refused");
    let reason = run.service.attribute(&format!("mitigation#{}", id(&rest)), "task", "reason");
    let why = "a new alarm on 'messages' about thing 'thing-2'";
    assert_eq!(reason, format!("the canary, mitigation task {}, was stopped: {why}", id(&first)));
    let undo = |attribute| run.service.attribute(&format!("mitigation#{}", id(&first)), "undo", attribute);
    assert_eq!(
        (undo("state"), undo("asked_by"), undo("reason")),
        ("undone".into(), "the canary of rule expiring".into(), why.into())
    );
    assert!(run.queue.is_empty() && run.service.parked().is_empty());
    insta::assert_json_snapshot!(run.service.alerts());
    // A copy from a dead-letter queue.
    run.queue.extend([&first, &rest].map(|message| (run.now(), message.clone())));
    run.run_for(86_400).await;
    assert_eq!((run.started().len(), run.inactive(), run.service.alerts().len()), (1, vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn an_action_that_fails_stops_the_rest_unless_the_policy_does_not_ask() {
    let mut run = Run::new(sent());
    run.failing = 1;
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.inactive()), ("stopped".into(), vec![]));
    assert_eq!(run.canary("reason"), "its task ended as failed, and 1 of 2 findings succeeded");
    let mut run = Run::new(sent());
    run.policy = policy("enforce", ", canary: { first: 2, watch: 1h, stopIf: alarms }");
    run.failing = 1;
    run.run_for(3_000).await;
    assert_eq!(run.canary("state"), "running", "an hour is not over");
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.started().len()), ("passed".into(), 3));
}

/// Each run dies at one call, before or after its effect; then the message that was under way comes again.
#[tokio::test(start_paused = true)]
async fn wherever_a_process_dies_the_end_is_the_same() {
    for failing in [0, 1] {
        let mut deaths = 0;
        for moment in Moment::all() {
            let (first, rest) = (part(1..=2, json!({"first": {"of": 3}})), part([3], json!("rest")));
            let mut run = Run::new([rest.clone(), first.clone()]);
            run.policy = policy("enforce", ", canary: { first: 1, watch: 15m }");
            (run.failing, run.most) = (failing, 1);
            if failing > 0 {
                // The start is the same.
                run.run_for(1).await;
            }
            let cloud = run.service.cloud.clone();
            if cloud.kill(moment, run.run_for(86_400)).await.is_some() {
                break;
            }
            deaths += 1;
            run.check();
            run.run_for(2 * 86_400).await;
            let started = run.started();
            if failing == 0 {
                let all: BTreeSet<String> = started.iter().skip(1).flatten().cloned().collect();
                assert_eq!((&started[0], all), (&ids([1]), ids([2, 3]).into_iter().collect()));
                assert_eq!((run.canary("state"), run.inactive()), ("passed".into(), vec![1, 2, 3]));
            } else {
                assert_eq!((started, run.inactive()), (vec![ids([1])], vec![]), "{deaths}");
                assert_eq!((run.canary("state"), run.canary("undo")), ("stopped".into(), "done".into()));
                assert_eq!(run.service.task_state(&id(&rest)), "refused");
            }
            assert!(run.queue.is_empty() && run.service.parked().is_empty());
        }
        assert!(deaths > 40, "{deaths}");
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_second_worker_one_of_them_goes_first() {
    // Another policy has decided, so that nobody says who goes first.
    let asked = [message(findings(1..=5)), message(findings(6..=8))];
    for moment in Moment::all() {
        let mut run = Run::new([]);
        let function = under(&run.service, &run.policy);
        let far = run.now().plus_seconds(300);
        let bodies = asked.each_ref().map(Value::to_string);
        let cloud = run.service.cloud.clone();
        let (first, second) = cloud
            .interleave(moment, function.message(&bodies[0], far), function.message(&bodies[1], far))
            .await;
        first.unwrap();
        let Some(second) = second else { break };
        second.unwrap();
        run.check();
        run.run_for(2 * 86_400).await;
        let mut all: Vec<String> = run.started().into_iter().flatten().collect();
        all.sort();
        assert_eq!((run.canary("state"), all), ("passed".into(), ids(1..=8)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_nothing_left_to_mitigate_lets_another_go_first() {
    // All from which the first are taken are gone.
    let mut run = Run::new(sent());
    for n in 1..=5 {
        run.service.state().findings.insert(format!("finding-{n}"), None);
    }
    run.run_for(600).await;
    assert_eq!(run.started(), [ids(6..=7)]);
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.started()), ("passed".into(), vec![ids(6..=7), ids([8])]));
    // Some are: the next ones go.
    let mut run = Run::new(sent());
    for n in [1, 3] {
        run.service.state().findings.insert(format!("finding-{n}"), None);
    }
    run.run_for(600).await;
    assert_eq!(run.started(), [ids([2, 4])]);
    run.run_for(86_400).await;
    assert_eq!(run.started().len(), 3);
}

/// Triage was retried under a policy that does not want them any more, or their message is parked.
#[tokio::test(start_paused = true)]
async fn what_does_not_come_or_is_lost_lets_another_go_first_after_a_day() {
    for is_taken in [false, true] {
        let [first, rest] = sent();
        let mut run = Run::new([rest]);
        if is_taken {
            run.service.cloud.put_item(json!({
                "pk": {"S": "audit#4e2b"}, "sk": {"S": format!("canary#{CHECK}#expiring")}, "state": {"S": "running"},
                "task_id": {"S": id(&first)}, "of": {"N": "8"}, "first": {"S": "[]"}, "undo": {"S": "no"},
                "decided_at": {"S": run.now().rfc3339()},
            }));
        }
        run.run_for(23 * 3_600).await;
        assert_eq!(run.started().len(), 0);
        run.run_for(86_400).await;
        assert_eq!((run.canary("state"), run.started()), ("passed".into(), vec![ids(6..=7), ids([8])]));
        assert!(run.queue.is_empty());
        // What comes after all goes with the rest.
        run.queue.push((run.now(), first));
        run.run_for(86_400).await;
        assert_eq!(run.started()[2..], [ids(1..=5)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_no_pass_and_stops_after_a_day() {
    let mut run = Run::new(sent());
    run.run_for(300).await;
    assert_eq!(run.service.task_state(&run.canary("task_id")), "completed");
    run.service.state().faults.insert("Query".into(), Answer::error(400, "AccessDeniedException", "{}"));
    run.run_for(20 * 3_600).await;
    assert_eq!((run.canary("state"), run.started().len()), ("running".into(), 1));
    run.run_for(86_400).await;
    assert_eq!(
        (run.canary("state"), run.canary("undo"), run.started().len()),
        ("stopped".into(), "no".into(), 1)
    );
    assert!(
        run.canary("reason").starts_with("whether it did harm is not known: Query"),
        "{}",
        run.canary("reason")
    );
    assert_eq!(run.inactive(), [1, 2], "nobody knows of any harm");
    assert!(run.queue.is_empty());
    insta::assert_json_snapshot!(run.service.alerts());
}

#[tokio::test(start_paused = true)]
async fn where_any_thing_may_be_behind_a_finding_any_new_alarm_stops_the_rest() {
    for is_known in [true, false] {
        let mut run = Run::new(sent());
        if !is_known {
            let denied = Answer::error(403, "AccessDeniedException", "{}");
            run.service.state().faults.insert("principals".into(), denied);
        }
        run.run_for(300).await;
        run.alarm("thing-99").await;
        run.run_for(86_400).await;
        assert_eq!(run.canary("state"), if is_known { "passed" } else { "stopped" });
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_lifts_the_canary_lets_the_rest_go_and_one_that_observes_lets_nothing() {
    let [first, rest] = sent();
    let mut run = Run::new([rest.clone(), first]);
    run.run_for(120).await;
    run.most = usize::MAX;
    run.policy = policy("enforce", "");
    run.run_for(3_600).await;
    assert_eq!((run.canary("state"), run.started().len()), ("passed".into(), 3));
    assert!(run.service.alerts().is_empty() && run.queue.is_empty());
    // While it is watched, the policy observes: nothing starts, and what was done is still watched.
    let [first, rest] = sent();
    let mut run = Run::new([rest.clone(), first]);
    run.run_for(120).await;
    run.policy = policy("observe", TWO);
    run.alarm("thing-1").await;
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.inactive(), run.started().len()), ("stopped".into(), vec![], 1));
    assert_eq!(run.service.task_state(&id(&rest)), "observed");
}

#[tokio::test(start_paused = true)]
async fn a_later_audit_supersedes_the_rest_and_the_first_are_watched_to_the_end() {
    let [first, rest] = sent();
    let mut run = Run::new([rest.clone(), first]);
    run.run_for(120).await;
    run.service.looked_at("5f3c", run.now());
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.started().len()), ("passed".into(), 1));
    assert_eq!(run.service.task_state(&id(&rest)), "superseded");
    assert!(run.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_stopped_canary_ends_although_another_task_has_its_findings() {
    let [first, rest] = sent();
    let mut run = Run::new([rest.clone(), first]);
    run.run_for(120).await;
    assert_eq!(run.service.task_state(&id(&rest)), "held");
    for finding in ids(6..=8) {
        run.service.cloud.put_item(json!({
            "pk": {"S": format!("finding#{finding}")}, "sk": {"S": "mitigation"}, "state": {"S": "rejected"},
            "task_id": {"S": "another"},
        }));
    }
    run.alarm("thing-1").await;
    run.run_for(86_400).await;
    assert_eq!(
        (run.canary("state"), run.service.task_state(&id(&rest))),
        ("stopped".into(), "superseded".into())
    );
    assert!(run.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_connected_goes_first_and_what_is_not_known_counts_as_connected() {
    let mut run = Run::new(sent());
    let of = |n: u32, is: bool| (format!("thing-{n}"), is);
    run.service.state().connected = [of(1, true), of(3, false), of(4, true), of(5, false)].into();
    run.run_for(120).await;
    assert_eq!(run.started(), [ids([3, 5])]);
    run.run_for(86_400).await;
    assert_eq!(run.started().len(), 3);
    // Where one of them is not connected, the first of the others goes with it.
    let mut run = Run::new(sent());
    run.service.state().connected = [of(4, false)].into();
    run.run_for(120).await;
    assert_eq!(run.started(), [ids([4, 1])]);
    // It is only an order.
    let mut run = Run::new(sent());
    run.service
        .state()
        .faults
        .insert("connectivity".into(), Answer::error(403, "AccessDeniedException", "{}"));
    run.run_for(120).await;
    assert_eq!(run.started(), [ids([1, 2])]);
    assert_eq!(run.service.calls().matches("connectivity").count(), 1, "nothing is asked in vain");
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_what_goes_first_and_the_rest_is_cut_to_fit() {
    // Of another check's task, an hour's budget is used when the canary comes.
    let mut run = Run::new([message(findings([11, 12]))]);
    let with_budget = |canary: &str| {
        policy("enforce", canary).replace("budgets: none", "budgets: [{ most: 2, within: 1h }]")
    };
    run.policy = with_budget("");
    run.run_for(60).await;
    assert_eq!(run.started(), [ids([11, 12])]);
    run.policy = with_budget(TWO);
    run.most = 4;
    run.queue.push((run.now(), part(1..=5, json!({"first": {"of": 5}}))));
    run.run_for(1_800).await;
    assert_eq!((run.started().len(), run.canary("state")), (1, "running".into()), "it is held by the budget");
    run.run_for(86_400).await;
    assert_eq!(run.started()[1..], [ids([1, 2]), ids([3, 4]), ids([5])]);
    assert!(run.queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_share_is_of_all_that_the_rule_mitigates() {
    let mut run = Run::new([part(1..=20, json!({"first": {"of": 301}}))]);
    (run.policy, run.most) = (policy("enforce", ", canary: { first: 1%, watch: 15m }"), 4);
    run.run_for(600).await;
    assert_eq!(run.started(), [ids(1..=4)]);
}

#[tokio::test(start_paused = true)]
async fn observing_says_what_would_go_first_and_takes_nothing() {
    let [first, rest] = sent();
    let mut run = Run::new([first.clone(), rest.clone()]);
    run.policy = policy("observe", TWO);
    run.run_for(600).await;
    let reason = |of: &Value| run.service.attribute(&format!("mitigation#{}", id(of)), "task", "reason");
    assert_eq!(
        reason(&first),
        "2 of 8 would go first as the canary and be watched for 15m, those with the lowest severity, unless their devices are \
         connected: finding-1, finding-2; the rest would wait for that"
    );
    assert_eq!(reason(&rest), "would wait until the canary of its rule was watched for 15m");
    assert_eq!((run.canary("state"), run.started().len()), (String::new(), 0));
}

/// Messages that are forged, or of another time.
#[tokio::test(start_paused = true)]
async fn a_message_alone_passes_nothing() {
    let [first, rest] = sent();
    let mut run = Run::new([rest.clone(), first.clone()]);
    run.run_for(120).await;
    let watch = |of: &Value| with(of.clone(), "/step", "watch");
    let other = part([9], json!({"first": {"of": 1_000_000}}));
    let forged =
        [watch(&rest), watch(&other), with(rest.clone(), "/request/canary", Value::Null), other.clone()];
    for message in forged {
        let body = message.to_string();
        let deadline = run.now().plus_seconds(300);
        under(&run.service, &run.policy).message(&body, deadline).await.unwrap();
        run.check();
        assert_eq!(run.canary("state"), "running");
    }
    let command: MitigationMessage = serde_json::from_value(watch(&first)).unwrap();
    let mut command = serde_json::to_value(command).unwrap();
    command["request"].as_object_mut().unwrap().remove("rule");
    command["request"]["command"] = json!("by-kim");
    let refused =
        under(&run.service, &run.policy).message(&command.to_string(), run.now().plus_seconds(300)).await;
    assert!(refused.is_err());
}
