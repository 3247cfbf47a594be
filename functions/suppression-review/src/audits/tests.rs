//! The watch on the local endpoint with its movable clock, the ledger in memory, and the real `audit-notification`
//! behind the audit topic.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use device_defender::Clock as EndpointClock;
use device_defender::DeviceDefender;
use device_defender::FleetSpec;
use device_defender::Request;
use device_defender::Settings;
use fleetwarden_aws::clients::Shared;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::api::notification::Notification;
use fleetwarden_core::ids::check::KNOWN;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;

use super::*;

const ACCOUNT: &str = "123456789012";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:audits";
const ALERTS: &str = "arn:aws:sns:us-east-1:123456789012:alerts";
const ROLE: &str = "arn:aws:iam::123456789012:role/AuditRole";
const CHECKS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/checks";
const PARKED: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/parked";
const LOGGING: &str = "LOGGING_DISABLED_CHECK";
const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// How the endpoint's answers are bent on their way.
#[derive(Default)]
struct Bent {
    /// The only audit tasks that are listed: what the endpoint ran beside them never began.
    only: Option<BTreeSet<String>>,
    /// Calls whose method and path begin so are denied.
    denied: Option<&'static str>,
    /// A member that no answer has.
    without: Option<&'static str>,
}

impl Bent {
    fn bend(&self, call: &str, answer: Answer) -> Answer {
        if self.denied.is_some_and(|denied| call.starts_with(denied)) {
            let message = json!({"message": "User: fw is not authorized to perform this"});
            return Answer::error(403, "AccessDeniedException", message);
        }
        let Answer::Now { status, error, body } = answer else { return answer };
        let mut body = String::from_utf8(body).unwrap();
        if let Some(member) = self.without {
            body = body.replace(&format!("\"{member}\""), "\"x\"");
        }
        if let (Some(only), "GET /audit/tasks") = (&self.only, call) {
            let mut list: Value = serde_json::from_str(&body).unwrap();
            list["tasks"]
                .as_array_mut()
                .unwrap()
                .retain(|task| only.contains(task["taskId"].as_str().unwrap()));
            body = list.to_string();
        }
        Answer::Now { status, error, body: body.into_bytes() }
    }
}

struct House {
    cloud: Cloud,
    endpoint: Arc<DeviceDefender>,
    aws: Shared,
    /// The calls of AWS IoT since the last look, by method and path.
    calls: Arc<Mutex<Vec<String>>>,
    bent: Arc<Mutex<Bent>>,
}

impl House {
    /// An account whose audits take so many seconds, as a stack sets it up, with every check enabled.
    async fn set_up(audit: u64) -> Self {
        let house = Self::bare(audit);
        house.configure(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": true})).await;
        house
    }

    /// An account without an audit configuration.
    fn bare(audit: u64) -> Self {
        let cloud = Cloud::default();
        let fleet = FleetSpec { findings: 40, seed: 7 };
        let (clock, audit_duration) = (EndpointClock::manual(START.0), Duration::from_secs(audit));
        let settings = Settings { fleet, clock, rate_scale: None, audit_duration, ..Settings::default() };
        let endpoint = Arc::new(DeviceDefender::new(settings));
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let bent: Arc<Mutex<Bent>> = Arc::default();
        let (around, service) = (cloud.clone(), Arc::clone(&endpoint));
        let (made, on_the_way) = (Arc::clone(&calls), Arc::clone(&bent));
        let aws = cloud.clients_with(move |call| {
            let (method, path) = call.operation.split_once(' ').unwrap_or_default();
            if !path.starts_with("/audit") {
                return around.answer(call);
            }
            made.lock().unwrap().push(call.operation.clone());
            let header = |name| call.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
            let (query, body) = (call.query.as_str(), call.body.as_bytes());
            let request = Request { method, path, query, authorization: header("authorization"), body };
            let answer = service.answer(&request);
            let body = answer.body.into_bytes();
            let answer = Answer::Now { status: answer.status, error: answer.error_type, body };
            on_the_way.lock().unwrap().bend(&call.operation, answer)
        });
        Self { cloud, endpoint, aws, calls, bent }
    }

    fn bend(&self, bent: Bent) {
        *self.bent.lock().unwrap() = bent;
    }

    /// From now on nothing begins but these.
    fn only(&self, tasks: &[String]) {
        self.bend(Bent { only: Some(tasks.iter().cloned().collect()), ..Bent::default() });
    }

    fn ledger(&self) -> Ledger {
        Ledger::new(self.aws.dynamodb(), "ledger".into())
    }

    fn alerts(&self) -> Alerts {
        Alerts::new(self.aws.sns(), ALERTS.into(), self.ledger(), self.cloud.clock())
    }

    async fn call(&self, operation: &str, input: Value) -> Value {
        let Value::Object(input) = input else { panic!("{input}") };
        let operation = fleetwarden_core::api::audit(operation).unwrap();
        let answer = self.aws.iot_api().call(operation, &input).await.unwrap();
        serde_json::from_str(answer.get()).unwrap()
    }

    async fn configure(&self, target: Value) {
        let checks: Value =
            KNOWN.into_iter().map(|check| (check.to_owned(), json!({"enabled": true}))).collect();
        let input = json!({
            "roleArn": ROLE, "auditCheckConfigurations": checks,
            "auditNotificationTargetConfigurations": {"SNS": target},
        });
        self.call("UpdateAccountAuditConfiguration", input).await;
    }

    async fn schedule(&self, name: &str, days: Value) {
        let mut input = json!({"scheduledAuditName": name, "targetCheckNames": [LOGGING, SHARED]});
        input.as_object_mut().unwrap().extend(days.as_object().unwrap().clone());
        self.call("CreateScheduledAudit", input).await;
    }

    fn pass(&self, seconds: u64) {
        self.cloud.pass_seconds(seconds.try_into().unwrap());
        self.endpoint.clock().advance(Duration::from_secs(seconds));
    }

    fn control(&self, path: &str, body: &Value) -> Value {
        let (path, body) = (format!("/_control/{path}"), body.to_string());
        let request =
            Request { method: "POST", path: &path, query: "", authorization: None, body: body.as_bytes() };
        let answer = self.endpoint.answer(&request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The audit tasks that there are.
    async fn tasks(&self) -> Vec<String> {
        let from = self.cloud.clock().now().plus_seconds(-85 * 86_400).seconds();
        let mut input = json!({"startTime": from, "endTime": from + 86 * 86_400, "maxResults": 250});
        let mut tasks = Vec::new();
        loop {
            let page = self.call("ListAuditTasks", input.clone()).await;
            tasks.extend(
                page["tasks"].as_array().unwrap().iter().map(|t| t["taskId"].as_str().unwrap().to_owned()),
            );
            let Some(token) = page["nextToken"].as_str() else { return tasks };
            input["nextToken"] = token.into();
        }
    }

    /// The notification of an audit task.
    async fn notification(&self, task: &str) -> String {
        let answer = self.call("DescribeAuditTask", json!({"taskId": task})).await;
        Run::read(task, answer).notification(ACCOUNT).unwrap()
    }

    /// Every audit that ended is heard of. Gives all audit tasks.
    async fn hear_all(&self) -> Vec<String> {
        let tasks = self.tasks().await;
        for task in &tasks {
            let answer = self.call("DescribeAuditTask", json!({"taskId": task})).await;
            let run = Run::read(task, answer);
            if !run.is_running() && self.cloud.item(&format!("audit#{task}"), "audit").is_none() {
                self.hear(&run.notification(ACCOUNT).unwrap()).await;
            }
        }
        tasks
    }

    /// What `audit-notification` does when a message comes by the audit topic.
    async fn hear(&self, message: &str) {
        self.deliver(message).await.unwrap();
        assert_eq!(self.cloud.sent_to(PARKED), Vec::<String>::new());
    }

    /// One delivery of a message of the audit topic.
    async fn deliver(&self, message: &str) -> Result<(), Error> {
        let function = audit_notification::Handler {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            checks: Queue::new(self.aws.sqs(), CHECKS.into()),
            iot: self.aws.iot_api(),
            parking: Queue::new(self.aws.sqs(), PARKED.into()),
            ledger: self.ledger(),
            alerts: self.alerts(),
            clock: self.cloud.clock(),
            emit: |_| {},
        };
        let mut context = Context::default();
        context.deadline = u64::try_from(self.cloud.clock().now().plus_seconds(30).0).unwrap();
        let event = json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]});
        function.handle(LambdaEvent::new(event, context)).await
    }

    /// Looks once: what the function answers.
    async fn look(&self) -> Value {
        self.look_as(false).await
    }

    async fn look_as(&self, dry_run: bool) -> Value {
        self.calls.lock().unwrap().clear();
        let (iot, ledger, alerts) = (&self.aws.iot_api(), &self.ledger(), &self.alerts());
        let topic = &Topic::new(self.aws.sns(), TOPIC.into());
        let now = self.cloud.clock().now();
        let watch = Watch {
            account: ACCOUNT,
            region: "us-east-1",
            topic,
            iot,
            ledger,
            alerts,
            most: 20,
            now,
            dry_run,
        };
        serde_json::to_value(watch.look().await.unwrap()).unwrap()
    }

    /// The kinds of trouble of one look.
    async fn troubles(&self) -> Vec<String> {
        let seen = self.look().await;
        seen["troubles"].as_array().unwrap().iter().map(|t| t["trouble"].as_str().unwrap().into()).collect()
    }

    /// The alerts so far, as people read them.
    fn told(&self) -> Vec<String> {
        let text = |message: String| {
            let message: Value = serde_json::from_str(&message).unwrap();
            let content = &message["content"];
            let words = |value: &Value| value.as_str().unwrap().to_owned();
            let steps =
                content["nextSteps"].as_array().unwrap().iter().map(|step| format!("- {}", words(step)));
            let head = format!(
                "{} ({}, {})",
                words(&content["title"]),
                words(&message["metadata"]["eventType"]),
                words(&message["metadata"]["additionalContext"]["severity"])
            );
            let lines = [head, words(&content["description"])].into_iter().chain(steps);
            lines.collect::<Vec<_>>().join("\n")
        };
        self.cloud.published_to(ALERTS).into_iter().map(text).collect()
    }

    /// What is told is told once: the alerts after a second look.
    async fn told_once(&self) -> String {
        let told = self.told();
        self.look().await;
        self.pass(HOUR);
        self.look().await;
        assert_eq!(self.told(), told);
        told.join("\n\n")
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_well_is_quiet_and_costs_three_calls() {
    let house = House::set_up(10).await;
    house.schedule("daily", json!({"frequency": "DAILY"})).await;
    house.schedule("weekly", json!({"frequency": "WEEKLY", "dayOfWeek": "WED"})).await;
    house.schedule("fortnightly", json!({"frequency": "BIWEEKLY", "dayOfWeek": "FRI"})).await;
    house.schedule("monthly", json!({"frequency": "MONTHLY", "dayOfMonth": "LAST"})).await;
    for hour in (0..60 * 24).step_by(7) {
        assert_eq!(house.troubles().await, Vec::<String>::new(), "hour {hour}");
        house.pass(7 * HOUR);
        house.hear_all().await;
    }
    assert_eq!((house.told().len(), house.cloud.published_to(TOPIC).len()), (0, 0));
    let seen = house.look().await;
    insta::assert_json_snapshot!(seen);
    insta::assert_snapshot!(house.calls.lock().unwrap().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_stops_is_told_once_until_it_runs_and_stops_again() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.pass(30 * HOUR + 60);
    house.only(&house.hear_all().await);
    // Its last run began on the 24th at six, and so did the one before. The next is late on the 25th at noon.
    house.pass(30 * HOUR - 61);
    assert_eq!(house.troubles().await, Vec::<String>::new());
    house.pass(1);
    let seen = house.look().await;
    insta::assert_json_snapshot!(seen);
    insta::assert_snapshot!(house.told_once().await);
    // Also when its last run is no longer among the audit tasks that are looked at.
    for _ in 0..8 {
        house.pass(5 * DAY);
        assert_eq!(house.troubles().await, ["missing"]);
    }
    assert_eq!(house.told().len(), 1);
    house.bend(Bent::default());
    house.only(&house.hear_all().await);
    assert_eq!(house.troubles().await, Vec::<String>::new());
    house.pass(4 * DAY);
    assert_eq!(house.troubles().await, ["missing"]);
    assert_eq!(house.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_never_ran_is_missed_from_when_it_was_first_seen() {
    let house = House::set_up(10).await;
    house.only(&[]);
    house.schedule("monthly", json!({"frequency": "MONTHLY", "dayOfMonth": "1"})).await;
    // For all that anyone can know it was there for long; it is first seen now.
    assert_eq!(house.troubles().await, Vec::<String>::new());
    house.pass(9 * DAY + 12 * HOUR - 1);
    assert_eq!(house.troubles().await, Vec::<String>::new());
    // 2026-12-02, noon: the first day of December is over everywhere.
    house.pass(1);
    assert_eq!(house.troubles().await, ["missing"]);
    insta::assert_snapshot!(house.told_once().await);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_gets_other_days_counts_as_new() {
    let house = House::set_up(10).await;
    house.only(&[]);
    house.schedule("a", json!({"frequency": "MONTHLY", "dayOfMonth": "28"})).await;
    house.look().await;
    house.pass(3 * DAY);
    // Last Tuesday it was not to run.
    let days = json!({"scheduledAuditName": "a", "frequency": "WEEKLY", "dayOfWeek": "TUE"});
    house.call("UpdateScheduledAudit", days).await;
    for _ in 0..5 {
        assert_eq!(house.troubles().await, Vec::<String>::new());
        house.pass(DAY);
    }
    house.pass(2 * DAY);
    assert_eq!(house.troubles().await, ["missing"]);
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_nobody_heard_of_is_sent_through_and_told() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.pass(7 * HOUR);
    // It began at six and may have ended a moment ago.
    assert_eq!(house.troubles().await, Vec::<String>::new());
    house.pass(HOUR);
    let mut seen = house.look().await;
    let task = house.tasks().await.remove(0);
    let seen_task = &mut seen["troubles"][0]["audits"][0]["taskId"];
    assert_eq!(*seen_task, json!(task));
    *seen_task = "TASK".into();
    insta::assert_json_snapshot!(seen);
    let [sent] = <[String; 1]>::try_from(house.cloud.published_to(TOPIC)).unwrap();
    assert!(matches!(Notification::parse(&sent).unwrap(), Notification::AuditEnded(_)));
    insta::assert_snapshot!(sent.replace(&task, "TASK").replace(",\"", ",\n\""));
    insta::assert_snapshot!(house.told().join("\n\n").replace(&task, "TASK"));
    // The topic brings it to the function: then it is an audit like any other, and stays one.
    house.hear(&sent).await;
    let asked = house.cloud.sent_to(CHECKS);
    assert!(!asked.is_empty() && asked.iter().all(|message| message.contains(&task)), "{asked:?}");
    house.hear(&sent).await;
    assert_eq!(house.cloud.sent_to(CHECKS), asked);
    assert_eq!(house.troubles().await, Vec::<String>::new());
    assert_eq!((house.told().len(), house.cloud.published_to(TOPIC).len()), (1, 1));
}

/// The notification came, and what it causes was never taken: Lambda gives it up after its retries, and an operator
/// who reviews and then purges, as the runbook says, must not lose the audit.
#[tokio::test(start_paused = true)]
async fn a_dry_run_sees_the_same_and_leaves_it_to_the_review() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.pass(8 * HOUR);
    let before = house.cloud.items("");
    let seen = house.look_as(true).await;
    assert_eq!((&seen["audits"], &seen["troubles"][0]["trouble"]), (&json!(1), &json!("unheard")), "{seen}");
    assert_eq!((house.told().len(), house.cloud.published_to(TOPIC).len()), (0, 0));
    assert_eq!(house.cloud.items(""), before);
    assert_eq!(house.look().await["troubles"], seen["troubles"]);
    assert_eq!((house.told().len(), house.cloud.published_to(TOPIC).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_audit_whose_messages_were_never_taken_is_unheard() {
    for operation in ["SendMessageBatch", "Publish"] {
        let house = House::set_up(10).await;
        house.schedule("nightly", json!({"frequency": "DAILY"})).await;
        house.look().await;
        house.control("check-failures", &json!({"failing": [LOGGING]}));
        house.pass(9 * HOUR);
        let task = house.tasks().await.remove(0);
        let notification = house.notification(&task).await;
        house.cloud.fail(operation, 3, Answer::refused());
        for _ in 0..3 {
            house.deliver(&notification).await.unwrap_err();
            house.pass(120);
        }
        // That triage may look at the check is on record, and is not taken for the audit's end.
        assert!(house.cloud.item(&format!("history#{SHARED}"), "audit").is_some());
        assert_eq!(house.troubles().await, ["unheard"]);
        let [sent] = <[String; 1]>::try_from(house.cloud.published_to(TOPIC)).unwrap();
        house.hear(&sent).await;
        assert!(house.cloud.sent_to(CHECKS).iter().any(|message| message.contains(&task)), "{operation}");
        assert!(house.told().iter().any(|alert| alert.contains("audit-failed")), "{operation}");
        assert_eq!(house.troubles().await, Vec::<String>::new());
    }
}

/// A forged notification of an audit that runs does not make it heard, nor does one that says that all is well.
#[tokio::test(start_paused = true)]
async fn a_forged_notification_does_not_make_an_audit_heard() {
    let house = House::set_up(3 * HOUR).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.pass(6 * HOUR + 60);
    let task = house.tasks().await.remove(0);
    let answer = house.call("DescribeAuditTask", json!({"taskId": task})).await;
    let mut early: Value =
        serde_json::from_str(&Run::read(&task, answer).notification(ACCOUNT).unwrap()).unwrap();
    early["taskStatus"] = "COMPLETED".into();
    for check in early["auditDetails"].as_array_mut().unwrap() {
        check["checkRunStatus"] = "COMPLETED_COMPLIANT".into();
    }
    assert_eq!(house.deliver(&early.to_string()).await.unwrap_err().name(), "Fleetwarden.Later");
    early["taskId"] = "00000000".into();
    house.deliver(&early.to_string()).await.unwrap();
    assert_eq!(house.cloud.sent_to(PARKED).len(), 1);
    // Its true notification is lost.
    house.pass(9 * HOUR);
    assert_eq!(house.troubles().await, ["unheard"]);
    let [sent] = <[String; 1]>::try_from(house.cloud.published_to(TOPIC)).unwrap();
    house.deliver(&sent).await.unwrap();
    assert_eq!(house.cloud.sent_to(PARKED).len(), 1, "what the watch makes agrees with the service");
    assert!(house.cloud.sent_to(CHECKS).iter().all(|message| message.contains(&task)));
    assert_eq!(house.troubles().await, Vec::<String>::new());
}

#[test]
fn a_task_with_a_status_that_is_not_known_goes_on() {
    let run = |status: Value| Run::read("t", json!({"taskStatus": status, "taskStartTime": 7}));
    assert!(run("PAUSED".into()).is_running() && run("IN_PROGRESS".into()).is_running());
    assert!(!run("COMPLETED".into()).is_running() && !run("CANCELED".into()).is_running());
    let error = run(Value::Null).notification(ACCOUNT).unwrap_err();
    assert_eq!(error, "the answer of DescribeAuditTask has no taskStatus");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_take_it_is_said_so_and_tried_again() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.control("check-failures", &json!({"failing": [LOGGING, SHARED]}));
    house.pass(9 * HOUR);
    let refused = "<ErrorResponse><Error><Code>KMSAccessDenied</Code><Message>kms:GenerateDataKey</Message></Error></ErrorResponse>";
    house.cloud.fail("Publish", 1, Answer::error(400, "KMSAccessDenied", refused));
    let seen = house.look().await;
    assert_eq!((&seen["auditsUnheard"], &seen["checksFailed"]), (&json!(1), &json!(2)));
    let task = house.tasks().await.remove(0);
    insta::assert_snapshot!(house.told().join("\n\n").replace(&task, "TASK"));
    // The topic takes it at the next look, and brings it to nobody.
    assert_eq!(
        (house.troubles().await, house.troubles().await),
        (vec!["unheard".into()], vec!["undelivered".into()])
    );
    assert_eq!(house.told().len(), 3);
    house.told_once().await;
    assert!(house.cloud.published_to(TOPIC).len() > 3, "each look tries again while nobody hears of it");
}

#[tokio::test(start_paused = true)]
async fn a_notification_on_its_way_is_waited_for() {
    let house = House::set_up(3 * HOUR).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    // The audit took three hours and ended now; its notification is handled while the watch looks.
    house.pass(9 * HOUR);
    let task = house.tasks().await.remove(0);
    let notification = house.notification(&task).await;
    let comes = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        house.hear(&notification).await;
    };
    let (seen, ()) = futures_util::future::join(house.look(), comes).await;
    assert_eq!((&seen["audits"], &seen["troubles"]), (&json!(1), &json!([])));
    assert_eq!(house.cloud.published_to(TOPIC), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn audits_from_before_the_first_look_are_nobodys_to_miss() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.pass(40 * DAY);
    assert_eq!(house.troubles().await, Vec::<String>::new());
    house.pass(3 * HOUR);
    let seen = house.look().await;
    assert_eq!((&seen["audits"], &seen["troubles"]), (&json!(0), &json!([])));
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_runs_for_days_is_told_with_the_checks_that_hold_it() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.control("collecting", &json!({"collecting": [SHARED]}));
    house.pass(6 * HOUR + 60);
    let task = house.tasks().await.remove(0);
    house.pass(DAY - 120);
    assert_eq!(house.troubles().await, Vec::<String>::new());
    house.pass(120);
    assert_eq!(house.troubles().await, ["stuck"]);
    insta::assert_snapshot!(house.told_once().await.replace(&task, "TASK"));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_hear_is_told_each_way() {
    let house = House::set_up(10).await;
    let good = || json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": true});
    let told = async |target: Value, without| {
        house.configure(target).await;
        house.bend(Bent { without, ..Bent::default() });
        assert_eq!(house.look().await["targetMisconfigured"], json!(1));
        house.bend(Bent::default());
    };
    told(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": false}), None).await;
    let other = "arn:aws:sns:us-east-1:123456789012:other";
    told(json!({"targetArn": other, "roleArn": ROLE, "enabled": true}), None).await;
    insta::assert_snapshot!(house.told_once().await);
    told(good(), Some("auditNotificationTargetConfigurations")).await;
    told(good(), Some("targetArn")).await;
    assert_eq!(house.told().len(), 3, "a target without a topic is no target");
    assert_eq!(house.troubles().await, Vec::<String>::new());
    let mute = json!({"roleArn": ROLE, "auditCheckConfigurations": {LOGGING: {"enabled": true}},
        "auditNotificationTargetConfigurations": {"SNS": {"targetArn": TOPIC, "enabled": true}}});
    let mute: Configuration = serde_json::from_value(mute).unwrap();
    assert_eq!(mute.trouble(TOPIC, 0), Some(Trouble::TargetWithoutRole));
    let place = Place { account: ACCOUNT, region: "us-east-1", topic: TOPIC, since: START, now: START };
    house.alerts().raise(&Trouble::TargetWithoutRole.alert(&place)).await.unwrap();
    insta::assert_snapshot!(house.told().split_off(2).join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn an_account_without_audits_is_one_alert_of_little_weight() {
    let house = House::bare(10);
    let seen = house.look().await;
    assert_eq!((&seen["targetMisconfigured"], &seen["schedules"]), (&json!(1), &json!(0)));
    insta::assert_snapshot!(house.told_once().await);
    for _ in 0..29 {
        house.pass(DAY);
        assert_eq!(house.troubles().await, ["not-set-up"]);
    }
    assert_eq!(house.told().len(), 1);
    house.pass(DAY);
    house.look().await;
    assert_eq!(house.told().len(), 2, "30 days later it is said again");
}

#[tokio::test(start_paused = true)]
async fn what_was_mended_and_breaks_again_is_told_again() {
    let house = House::set_up(10).await;
    let target = |enabled| json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": enabled});
    house.configure(target(false)).await;
    house.look().await;
    house.configure(target(true)).await;
    house.pass(DAY);
    assert_eq!(house.troubles().await, Vec::<String>::new());
    // What is switched to and fro by two tools is one thing.
    house.configure(target(false)).await;
    house.pass(HOUR);
    assert_eq!(house.troubles().await, ["target-disabled"]);
    assert_eq!(house.told().len(), 1);
    house.configure(target(true)).await;
    for _ in 0..3 {
        house.pass(DAY);
        assert_eq!(house.troubles().await, Vec::<String>::new());
    }
    house.configure(target(false)).await;
    assert_eq!(house.troubles().await, ["target-disabled"]);
    assert_eq!(house.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_watch_that_seldom_looks_sees_each_time_is_told_once() {
    let house = House::set_up(10).await;
    house.configure(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": false})).await;
    for _ in 0..4 {
        assert_eq!(house.troubles().await, ["target-disabled"]);
        house.pass(7 * DAY);
    }
    assert_eq!(house.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_configuration_is_gone_is_one_alert_however_many_schedules_wait() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.schedule("daily", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.pass(7 * HOUR);
    house.only(&house.hear_all().await);
    house.look().await;
    house.call("DeleteAccountAuditConfiguration", json!({})).await;
    house.pass(4 * DAY);
    assert_eq!(house.troubles().await, ["not-set-up"]);
    insta::assert_snapshot!(house.told_once().await);
    // What could not run meanwhile is not called late once it can, and is expected from then on.
    house.configure(json!({"targetArn": TOPIC, "roleArn": ROLE, "enabled": true})).await;
    assert_eq!(house.troubles().await, Vec::<String>::new());
    house.pass(3 * DAY);
    assert_eq!(house.troubles().await, ["missing", "missing"]);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_broken_for_weeks_is_told_once_and_once_more_if_nothing_helps() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.pass(9 * HOUR);
    // Notifications do not come; those that the watch makes do.
    for _ in 0..10 {
        assert_eq!(house.look().await["auditsUnheard"], json!(1));
        house.hear_all().await;
        house.pass(DAY);
    }
    assert_eq!(house.told().len(), 1);
    // Now those do not come either.
    for _ in 0..10 {
        house.look().await;
        house.pass(DAY);
    }
    assert_eq!(house.troubles().await, ["unheard", "undelivered"]);
    assert_eq!(house.told().len(), 2);
    let last = house.told().remove(1);
    let ids = house.tasks().await;
    insta::assert_snapshot!(ids.iter().fold(last, |text, id| text.replace(id, "TASK")));
}

#[tokio::test(start_paused = true)]
async fn more_than_a_look_has_time_for_is_brought_in_by_the_next_ones() {
    let house = House::set_up(10).await;
    house.schedule("monthly", json!({"frequency": "MONTHLY", "dayOfMonth": "1"})).await;
    house.look().await;
    house.pass(10 * DAY);
    for _ in 0..30 {
        house.call("StartOnDemandAuditTask", json!({"targetCheckNames": [LOGGING]})).await;
        house.pass(60);
    }
    house.pass(3 * HOUR);
    // The run of the month is the oldest of them, and what was left out.
    assert_eq!(house.troubles().await, ["unheard"]);
    let asked = |house: &House| {
        let calls = house.calls.lock().unwrap();
        calls.iter().filter(|call| call.starts_with("GET /audit/tasks/")).count()
    };
    assert_eq!(asked(&house), 20);
    for sent in house.cloud.published_to(TOPIC) {
        house.hear(&sent).await;
    }
    let seen = house.look().await;
    assert_eq!((&seen["auditsUnheard"], asked(&house)), (&json!(11), 11));
    assert_eq!(house.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_on_demand_is_no_run_of_a_schedule() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.pass(7 * HOUR);
    let mut tasks = house.hear_all().await;
    house.pass(20 * HOUR);
    let begun = house.call("StartOnDemandAuditTask", json!({"targetCheckNames": [LOGGING]})).await;
    house.pass(60);
    tasks.push(begun["taskId"].as_str().unwrap().to_owned());
    house.only(&tasks);
    house.hear_all().await;
    house.pass(9 * HOUR);
    assert_eq!(house.troubles().await, ["missing"]);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_whose_checks_are_disabled_names_them() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.call("DeleteAccountAuditConfiguration", json!({})).await;
    let input = json!({
        "roleArn": ROLE, "auditCheckConfigurations": {LOGGING: {"enabled": true}},
        "auditNotificationTargetConfigurations": {"SNS": {"targetArn": TOPIC, "roleArn": ROLE, "enabled": true}},
    });
    house.call("UpdateAccountAuditConfiguration", input).await;
    assert_eq!(house.troubles().await, ["disabled-checks"]);
    house.call("DeleteScheduledAudit", json!({"scheduledAuditName": "nightly"})).await;
    let none = json!({"auditCheckConfigurations": {LOGGING: {"enabled": false}}});
    house.call("UpdateAccountAuditConfiguration", none).await;
    assert_eq!(house.troubles().await, ["no-checks"]);
    insta::assert_snapshot!(house.told_once().await);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_denied_is_told_and_takes_no_other_along() {
    let house = House::set_up(10).await;
    house.schedule("nightly", json!({"frequency": "DAILY"})).await;
    house.look().await;
    house.pass(4 * DAY);
    let deny = |path, only| {
        let denied = Some(path);
        house.bend(Bent { only, denied, ..Bent::default() });
    };
    deny("GET /audit/configuration", Some(BTreeSet::new()));
    assert_eq!(house.troubles().await, ["blind", "missing"]);
    insta::assert_snapshot!(house.told_once().await);
    deny("GET /audit/scheduledaudits", Some(BTreeSet::new()));
    assert_eq!(house.troubles().await, ["blind"]);
    deny("GET /audit/tasks", None);
    assert_eq!(house.troubles().await, ["blind"]);
    // Without its description nobody knows whose run a task is: then no schedule is called late.
    deny("GET /audit/tasks/", None);
    assert_eq!(house.troubles().await, ["blind"]);
    assert_eq!(house.told().len(), 5, "each operation is told by itself");
    house.bend(Bent::default());
    let seen = house.look().await;
    assert_eq!((&seen["auditsUnheard"], &seen["troubles"][0]["trouble"]), (&json!(4), &json!("unheard")));
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_none_are_no_panic() {
    for kind in ["nulls", "broken-json", "unknown-enum", "unknown-members", "html", "repeat-token"] {
        let house = House::set_up(10).await;
        house.schedule("nightly", json!({"frequency": "DAILY"})).await;
        house.look().await;
        house.pass(9 * HOUR);
        house.control("faults", &json!({"faults": [{"operation": "*", "kind": kind}]}));
        house.look().await;
    }
}
