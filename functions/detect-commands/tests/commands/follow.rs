//! A task that a command has started, followed by `apply-mitigations` to its end.

use apply_mitigations::ApplyMitigations;
use apply_mitigations::Services;
use aws_lambda_events::event::sqs::SqsEvent;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_core::policy::Policy;
use serde_json::Value;
use serde_json::json;

use crate::house::ACCOUNT;
use crate::house::GROUP;
use crate::house::House;
use crate::house::QUEUE;
use crate::house::house;
use crate::house::messages;

fn apply_mitigations(house: &House) -> ApplyMitigations {
    let (shared, clock) = (&house.shared, house.cloud.clock());
    let ledger = Ledger::new(shared.dynamodb(), "ledger".into());
    let parking = Queue::new(shared.sqs(), "dead-letters".into());
    let policy = Policy::parse(b"version: 1\nmode: enforce\nrules: []\n").unwrap();
    let consumer = Consumer { function: "apply-mitigations", parking, clock: clock.clone(), parallel: 1 };
    let services = Services {
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
        iot: shared.iot(),
        registry: shared.registry(Pace::Patient),
        queue: Queue::new(shared.sqs(), QUEUE.into()),
        alerts: Alerts::new(shared.sns(), "arn:topic".into(), ledger.clone(), clock),
        ledger,
        follow_up_seconds: 60,
        emit: fleetwarden_aws::testing::emit,
    };
    ApplyMitigations::new(services, policy, consumer)
}

/// Has a follow-up taken; the state of the task after that.
async fn follow(house: &House, body: &str) -> Value {
    let record = json!({"messageId": "m", "body": body, "attributes": {}, "messageAttributes": {}});
    let event: SqsEvent = serde_json::from_value(json!({"Records": [record]})).unwrap();
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(house.function.service.clock.now().plus_seconds(60).0).unwrap();
    let answer = apply_mitigations(house).handle(event, &context).await.unwrap();
    assert!(answer.batch_item_failures.is_empty());
    house.cloud.item("mitigation#m", "task").unwrap()["state"].clone()
}

async fn alarmed() -> (House, Value) {
    let house = house();
    house.profile("noisy", &json!([messages("always", 0)])).await;
    house.attach("noisy", GROUP).await;
    house.quarantine_action("quarantine");
    house.pass(900);
    let active = house.active().await;
    let start = json!({
        "command": "StartDetectMitigationActionsTask", "taskId": "m", "actions": ["quarantine"],
        "target": {"violationIds": [active[0]["violationId"]]},
    });
    (house, start)
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_task_is_known() {
    let (house, start) = alarmed().await;
    house.ok(start.clone()).await;
    house.pass(60);
    let sent = house.cloud.sent_to(QUEUE);
    assert_eq!(follow(&house, &sent[0]).await, "completed");
    assert_eq!(house.ok(start.clone()).await, json!({"taskId": "m"}));
    // What has ended holds nothing against another command.
    let mut other = start;
    other["taskId"] = "n".into();
    assert_eq!(house.ok(other).await, json!({"taskId": "n"}));
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_a_start_is_given_back() {
    let (house, start) = alarmed().await;
    house.order("StartDetectMitigationActionsTask", "reset", 9, 0);
    house.order("DescribeDetectMitigationActionsTask", "reset", 9, 0);
    assert!(house.fails(start.clone()).await.starts_with("OutOfTime\n"));
    house.control("DELETE", "faults", &Value::Null);
    let sent = house.cloud.sent_to(QUEUE);
    assert_eq!(follow(&house, &sent[0]).await, "claimed");
    house.pass(901);
    assert_eq!(follow(&house, &sent[0]).await, "refused");
    house.ok(start).await;
    assert_eq!(house.cloud.item("mitigation#m", "task").unwrap()["state"], "started");
}
