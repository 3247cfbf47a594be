//! Invocations that die at any moment, and two at once: the same command again makes it whole, and nothing is done twice.

use fleetwarden_aws::testing::gate::Moment;
use serde_json::Value;
use serde_json::json;

use crate::house::GROUP;
use crate::house::House;
use crate::house::QUEUE;
use crate::house::house;
use crate::house::messages;

async fn alarmed() -> (House, Value) {
    let house = house();
    house.profile("noisy", &json!([messages("always", 0)])).await;
    house.attach("noisy", GROUP).await;
    house.quarantine_action("quarantine");
    house.pass(900);
    let active = house.active().await;
    let start = json!({
        "command": "StartDetectMitigationActionsTask", "taskId": "m", "actions": ["quarantine"],
        "target": {"violationIds": [active[0]["violationId"], active[1]["violationId"]]},
    });
    (house, start)
}

fn tasks(house: &House) -> usize {
    house.control("GET", "detect/state", &Value::Null)["mitigationTasks"].as_array().unwrap().len()
}

fn state(house: &House) -> Value {
    house.cloud.item("mitigation#m", "task").unwrap()["state"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_mitigation_is_started_once_whenever_its_process_dies() {
    let mut deaths = 0;
    for moment in Moment::all() {
        let (house, start) = alarmed().await;
        if house.cloud.kill(moment, house.invoke(start.clone())).await.is_some() {
            break;
        }
        deaths += 1;
        // What is started is followed, whatever comes after.
        assert!(tasks(&house) == 0 || !house.cloud.sent_to(QUEUE).is_empty(), "death {deaths}");
        assert_eq!(house.ok(start.clone()).await, json!({"taskId": "m"}), "death {deaths}");
        assert_eq!(house.ok(start).await, json!({"taskId": "m"}), "death {deaths}");
        assert_eq!(tasks(&house), 1, "death {deaths}");
        // Of who died right after the start the follow-up writes it down.
        assert!([json!("started"), json!("claimed")].contains(&state(&house)), "death {deaths}");
    }
    assert!(deaths > 15, "{deaths}");
}

#[tokio::test(start_paused = true)]
async fn two_of_the_same_command_at_once_start_one_task() {
    for calls in 0..12 {
        let (house, start) = alarmed().await;
        let moment = Moment::before("", calls);
        let (one, other) =
            house.cloud.interleave(moment, house.invoke(start.clone()), house.invoke(start.clone())).await;
        assert!(one.is_ok() && other.is_none_or(|other| other.is_ok()), "{calls}");
        assert_eq!((tasks(&house), state(&house)), (1, json!("started")), "{calls}");
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
            let house = house();
            house.profile("p", &json!([messages("b", 50)])).await;
            if house.cloud.kill(moment, house.invoke(event.clone())).await.is_some() {
                break;
            }
            house.ok(event.clone()).await;
            let describe = json!({"command": "DescribeSecurityProfile", "securityProfileName": "p"});
            let version = house.ok(describe).await["version"].as_u64().unwrap();
            let targets = json!({"command": "ListTargetsForSecurityProfile", "securityProfileName": "p"});
            let targets = house.ok(targets).await["securityProfileTargets"].as_array().unwrap().len();
            let wanted = if event["command"] == "UpdateSecurityProfile" { (2, 0) } else { (1, 1) };
            assert_eq!((version, targets), wanted);
        }
    }
}
