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

use crate::setup::ACCOUNT;
use crate::setup::GROUP;
use crate::setup::QUEUE;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::setup;

fn apply_mitigations(setup: &Setup) -> ApplyMitigations {
    let (shared, clock) = (&setup.shared, setup.cloud.clock());
    let ledger = Ledger::new(shared.dynamodb(), "ledger".into());
    let parking = Queue::new(shared.sqs(), "dead-letters".into());
    let policy = Policy::parse(b"version: 1\nbudgets: none\nmode: enforce\nrules: []\n").unwrap();
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
async fn follow(setup: &Setup, body: &str) -> Value {
    let record = json!({"messageId": "m", "body": body, "attributes": {}, "messageAttributes": {}});
    let event: SqsEvent = serde_json::from_value(json!({"Records": [record]})).unwrap();
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(setup.function.service.clock.now().plus_seconds(60).0).unwrap();
    let answer = apply_mitigations(setup).handle(event, &context).await.unwrap();
    assert!(answer.batch_item_failures.is_empty());
    setup.cloud.item("mitigation#m", "task").unwrap()["state"].clone()
}

async fn alarmed() -> (Setup, Value) {
    let setup = setup();
    setup.profile("noisy", &json!([messages("always", 0)])).await;
    setup.attach("noisy", GROUP).await;
    setup.quarantine_action("quarantine");
    setup.pass(900);
    let active = setup.active().await;
    let start = json!({
        "command": "StartDetectMitigationActionsTask", "taskId": "m", "actions": ["quarantine"],
        "target": {"violationIds": [active[0]["violationId"]]},
    });
    (setup, start)
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_task_is_known() {
    let (setup, start) = alarmed().await;
    setup.ok(start.clone()).await;
    setup.pass(60);
    let sent = setup.cloud.sent_to(QUEUE);
    assert_eq!(follow(&setup, &sent[0]).await, "completed");
    assert_eq!(setup.ok(start.clone()).await, json!({"taskId": "m"}));
    // What has ended holds nothing against another command.
    let mut other = start;
    other["taskId"] = "n".into();
    assert_eq!(setup.ok(other).await, json!({"taskId": "n"}));
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_a_start_is_given_back() {
    let (setup, start) = alarmed().await;
    setup.order("StartDetectMitigationActionsTask", "reset", 9, 0);
    setup.order("DescribeDetectMitigationActionsTask", "reset", 9, 0);
    assert!(setup.fails(start.clone()).await.starts_with("OutOfTime\n"));
    setup.control("DELETE", "faults", &Value::Null);
    let sent = setup.cloud.sent_to(QUEUE);
    assert_eq!(follow(&setup, &sent[0]).await, "claimed");
    setup.pass(901);
    assert_eq!(follow(&setup, &sent[0]).await, "refused");
    setup.ok(start).await;
    assert_eq!(setup.cloud.item("mitigation#m", "task").unwrap()["state"], "started");
}
