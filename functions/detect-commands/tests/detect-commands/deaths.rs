//! Invocations that die at any moment, and two at once: the same command again makes it whole, and nothing is done twice.

use fleetwarden_aws::testing::gate::Moment;
use serde_json::Value;
use serde_json::json;

use crate::setup::GROUP;
use crate::setup::QUEUE;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::setup;

async fn alarmed() -> (Setup, Value) {
    let setup = setup();
    setup.profile("noisy", &json!([messages("always", 0)])).await;
    setup.attach("noisy", GROUP).await;
    setup.quarantine_action("quarantine");
    setup.pass(900);
    let active = setup.active().await;
    let start = json!({
        "command": "StartDetectMitigationActionsTask", "taskId": "m", "actions": ["quarantine"],
        "target": {"violationIds": [active[0]["violationId"], active[1]["violationId"]]},
    });
    (setup, start)
}

fn tasks(setup: &Setup) -> usize {
    setup.control("GET", "detect/state", &Value::Null)["mitigationTasks"].as_array().unwrap().len()
}

fn state(setup: &Setup) -> Value {
    setup.cloud.item("mitigation#m", "task").unwrap()["state"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_mitigation_is_started_once_whenever_its_process_dies() {
    let mut deaths = 0;
    for moment in Moment::all() {
        let (setup, start) = alarmed().await;
        if setup.cloud.kill(moment, setup.invoke(start.clone())).await.is_some() {
            break;
        }
        deaths += 1;
        // What is claimed is followed, whatever comes after.
        let is_claimed = setup.cloud.item("mitigation#m", "task").is_some();
        assert!(!is_claimed || !setup.cloud.sent_to(QUEUE).is_empty(), "death {deaths}");
        assert_eq!(setup.ok(start.clone()).await, json!({"taskId": "m"}), "death {deaths}");
        assert_eq!(setup.ok(start).await, json!({"taskId": "m"}), "death {deaths}");
        assert_eq!(tasks(&setup), 1, "death {deaths}");
        // Of who died right after the start the follow-up writes it down.
        assert!([json!("started"), json!("claimed")].contains(&state(&setup)), "death {deaths}");
    }
    assert!(deaths > 15, "{deaths}");
}

#[tokio::test(start_paused = true)]
async fn two_of_the_same_command_at_once_start_one_task() {
    for calls in 0..12 {
        let (setup, start) = alarmed().await;
        let moment = Moment::before("", calls);
        let (one, other) =
            setup.cloud.interleave(moment, setup.invoke(start.clone()), setup.invoke(start.clone())).await;
        assert!(one.is_ok() && other.is_none_or(|other| other.is_ok()), "{calls}");
        assert_eq!((tasks(&setup), state(&setup)), (1, json!("started")), "{calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_profile_is_changed_once_whenever_the_process_dies() {
    let update = json!({
        "command": "UpdateSecurityProfile", "securityProfileName": "p", "behaviors": [messages("b", 60)],
        "expectedVersion": 1,
    });
    let attach = json!({
        "command": "AttachSecurityProfile", "securityProfileName": "p", "securityProfileTargetArn": GROUP,
    });
    for event in [update, attach] {
        for moment in Moment::all() {
            let setup = setup();
            setup.profile("p", &json!([messages("b", 50)])).await;
            if setup.cloud.kill(moment, setup.invoke(event.clone())).await.is_some() {
                break;
            }
            setup.ok(event.clone()).await;
            let describe = json!({"command": "DescribeSecurityProfile", "securityProfileName": "p"});
            let version = setup.ok(describe).await["version"].as_u64().unwrap();
            let targets = json!({"command": "ListTargetsForSecurityProfile", "securityProfileName": "p"});
            let targets = setup.ok(targets).await["securityProfileTargets"].as_array().unwrap().len();
            let wanted = if event["command"] == "UpdateSecurityProfile" { (2, 0) } else { (1, 1) };
            assert_eq!((version, targets), wanted);
        }
    }
}
