//! The guard of devices before a mitigation that somebody asks for: how many devices a command may concern is a member of
//! it, and without it the defaults refuse.

use serde_json::Value;
use serde_json::json;

use crate::mitigations::by_id;
use crate::mitigations::findings;
use crate::setup::ACCOUNT;
use crate::setup::POLICY;
use crate::setup::ROLE;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;

/// A setup with the findings of an audit, and an action of each kind.
async fn found(check: &str) -> (Setup, String, Vec<Value>) {
    let setup = setup();
    let audit = setup.audit(&[check]).await;
    setup.record(&[check], &audit, setup.function.service.clock.now());
    for (name, params) in [
        ("off", json!({"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})),
        ("blank", json!({"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}})),
        ("tell", json!({"publishFindingToSnsParams": {"topicArn": "arn:aws:sns:us-east-1:123456789012:t"}})),
    ] {
        let make = json!({"command": "CreateMitigationAction", "actionName": name, "roleArn": ROLE, "actionParams": params});
        setup.ok(make).await;
    }
    let found = findings(&setup, &audit, check, 20).await;
    (setup, audit, found)
}

fn mitigate(task: &str, target: &Value, check: &str, action: &str, devices: Value) -> Value {
    let mut event = json!({
        "command": "StartAuditMitigationActionsTask", "taskId": task, "target": target,
        "auditCheckToActionsMapping": {check: [action]},
    });
    if !devices.is_null() {
        event["devices"] = devices;
    }
    event
}

/// A finding whose certificate so many things use.
async fn with_things(setup: &Setup, findings: &[Value], count: usize) -> (Value, Vec<String>) {
    for finding in findings {
        let id = &finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"];
        let principal = format!("arn:aws:iot:us-east-1:{ACCOUNT}:cert/{}", id.as_str().unwrap());
        let listed = setup.shared.iot().list_principal_things().principal(principal).send().await.unwrap();
        let things = listed.things.unwrap();
        if things.len() == count {
            return (finding.clone(), things);
        }
    }
    panic!("no certificate has {count} things");
}

/// A finding about a policy that can take another version, with the policy's name.
async fn with_room(setup: &Setup, findings: &[Value]) -> (Value, String) {
    for finding in findings {
        let of = &finding["nonCompliantResource"]["resourceIdentifier"]["policyVersionIdentifier"];
        let name = of["policyName"].as_str().unwrap().to_owned();
        let listed = setup.shared.iot().list_policy_versions().policy_name(&name).send().await.unwrap();
        if listed.policy_versions().len() < 5 {
            return (finding.clone(), name);
        }
    }
    panic!("all policies are full");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_several_devices_use_needs_a_number() {
    let (setup, _, found) = found(SHARED).await;
    let (one, _) = with_things(&setup, &found, 1).await;
    setup.ok(mitigate("one", &by_id(&[one]), SHARED, "off", Value::Null)).await;
    let (two, things) = with_things(&setup, &found, 2).await;
    let target = by_id(&[two]);
    let told = setup.fails(mitigate("two", &target, SHARED, "off", Value::Null)).await;
    assert!(
        told.starts_with("TooManyDevices\n$.target.findingIds[0]: 2 devices stand behind certificate '"),
        "{told}"
    );
    assert!(told.ends_with("and at most 1 may"), "{told}");
    // What changes no device needs none.
    let mut tell = mitigate("told", &target, SHARED, "tell", Value::Null);
    tell["dryRun"] = true.into();
    assert_eq!(setup.ok(tell).await["impact"], Value::Null);
    for thing in &things {
        setup.control("POST", "connections", &json!({"thingName": thing, "connected": true}));
    }
    let connected = |most: u64| json!({"most": 2, "connected": most});
    let told = setup.fails(mitigate("two", &target, SHARED, "off", connected(1))).await;
    assert!(told.ends_with("' 2 are connected, and at most 1 may be"), "{told}");
    setup.control("POST", "connections", &json!({"thingName": things[0], "connected": false}));
    let mut dry = mitigate("two", &target, SHARED, "off", connected(1));
    dry["dryRun"] = true.into();
    let would = setup.ok(dry).await;
    assert_eq!(would["impact"]["devices"], json!({"count": 2}));
    assert_eq!(would["impact"]["connected"], json!({"devices": {"count": 1}}));
    setup.control(
        "POST",
        "faults",
        &json!({"faults": [{"operation": "GetThingConnectivityData", "kind": "throttle"}]}),
    );
    let told = setup.fails(mitigate("two", &target, SHARED, "off", connected(0))).await;
    assert!(told.starts_with("ThrottlingException\n"), "{told}");
    setup.control("DELETE", "faults", &Value::Null);
    setup.ok(mitigate("two", &target, SHARED, "off", connected(1))).await;
    let guards = setup.cloud.item("mitigation#two", "task").unwrap()["guards"].as_str().unwrap().to_owned();
    assert!(guards.contains(r#"{"guard":"devices","passed":true,"reason":"2 in all"#), "{guards}");
    assert!(
        guards.contains(r#"{"guard":"connections","passed":true,"reason":"1 behind one finding"#),
        "{guards}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_and_a_whole_check_need_a_number_however_few_there_are() {
    let (setup, audit, found) = found(POLICY).await;
    let (free, name) = with_room(&setup, &found).await;
    let target = by_id(&[free]);
    let told = setup.fails(mitigate("m", &target, POLICY, "blank", Value::Null)).await;
    let said = format!("devices stand behind policy '{name}', and 'devices' does not say how many may");
    assert!(told.starts_with("TooManyDevices\n") && told.ends_with(&said), "{told}");
    setup.ok(mitigate("m", &target, POLICY, "blank", json!({"most": 500}))).await;
    let whole = json!({"auditTaskId": audit});
    let told = setup.fails(mitigate("w", &whole, POLICY, "blank", json!({"most": 5000}))).await;
    assert!(told.starts_with("TooManyDevices\n$.target: how many devices"), "{told}");
    setup.ok(mitigate("t", &whole, POLICY, "tell", Value::Null)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_devices_is_one_thing() {
    let (setup, _, found) = found(SHARED).await;
    let target = by_id(&found[..1]);
    let told = [
        json!({}),
        json!({"connected": 1}),
        json!({"any": false}),
        json!({"any": true, "most": 1}),
        json!({"most": 0}),
        json!({"most": 1, "conected": 1}),
        json!("any"),
    ];
    let mut all = Vec::new();
    for devices in told {
        all.push(setup.fails(mitigate("m", &target, SHARED, "off", devices)).await);
    }
    insta::assert_snapshot!(all.join("\n\n"));
}
