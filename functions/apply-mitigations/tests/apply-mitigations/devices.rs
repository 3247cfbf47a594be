//! The guard of devices: what too many devices stand behind, or too many connected ones, is left out or refused, and what
//! nobody can count does not start.

use std::time::Duration;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_core::policy::Mode;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;
use crate::service::certificate;
use crate::service::finding;
use crate::setup::ACTIONS;
use crate::setup::CHECK;
use crate::setup::FAR;
use crate::setup::findings;
use crate::setup::id;
use crate::setup::message;
use crate::setup::on;

/// A policy whose rule says this of devices.
fn policy(mode: Mode, devices: &str) -> String {
    let mode = if mode == Mode::Enforce { "enforce" } else { "observe" };
    let mitigate = format!("mitigate: {{ actions: {ACTIONS:?}{devices} }}");
    let rule = format!("name: expiring, match: {{ check: {CHECK} }}, {mitigate}");
    format!("version: 1\nbudgets: none\nmode: {mode}\nrules:\n  - {{ {rule} }}\n")
}

/// What stands in the fleet: the certificate of finding 2 has three things, one of them not connected and one of which
/// nothing is known. All others have one, which is connected.
fn fleet(call: &Call) -> Option<Answer> {
    let (_, path) = call.operation.split_once(' ')?;
    if path.starts_with("/principals/") {
        let (_, principal) = call.headers.iter().find(|(name, _)| name == "x-amzn-principal")?;
        if principal.ends_with(&certificate(2)) {
            return Some(Answer::ok(json!({"things": ["off", "on", "unknown"]})));
        }
    }
    let thing = path.strip_prefix("/things/")?.strip_suffix("/connectivity-data")?;
    Some(Answer::ok(match thing {
        "unknown" => json!({"thingName": thing, "connected": false}),
        thing => json!({"thingName": thing, "connected": thing != "off", "timestamp": 1}),
    }))
}

/// Delivers a message under a policy, where calls are answered so before the service is asked.
async fn deliver(
    service: &Service,
    answers: fn(&Call) -> Option<Answer>,
    policy: &str,
    message: &Value,
) -> Vec<String> {
    let (answering, seen) = (service.clone(), service.clone());
    seen.state().calls.clear();
    let function = on(
        &service.cloud,
        move |call| match answers(&call) {
            Some(answer) => {
                let path = call.operation.split_once(' ').unwrap().1;
                let name = path.rsplit('/').next().unwrap();
                let name = if path.starts_with("/principals/") { "principals" } else { name };
                answering.state().calls.push(name.to_owned());
                answer
            }
            None => answering.answer(&call),
        },
        policy,
    );
    function.message(&message.to_string(), FAR).await.unwrap();
    std::mem::take(&mut service.state().calls)
}

fn of_task(service: &Service, message: &Value, name: &str) -> String {
    service.attribute(&format!("mitigation#{}", id(message)), "task", name)
}

fn started(service: &Service, message: &Value) -> Value {
    let task = service.state().tasks.get(&id(message)).cloned().unwrap_or_default();
    task["target"]["findingIds"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_several_devices_use_is_left_out_unless_the_rule_says_so() {
    let asked = message(findings([1, 2, 3]));
    let service = Service::default();
    deliver(&service, fleet, &policy(Mode::Enforce, ""), &asked).await;
    assert_eq!(started(&service, &asked), json!(["finding-1", "finding-3"]));
    let reason = of_task(&service, &asked, "reason");
    let why = format!("3 devices stand behind certificate '{}', and at most 1 may", certificate(2));
    assert!(reason.ends_with(&format!("1 of 3 in this way: finding-2: {why}")), "{reason}");
    let guards = of_task(&service, &asked, "guards");
    assert_eq!(
        guards,
        r#"[{"guard":"pause","passed":true},{"guard":"devices","passed":true,"reason":"2 in all, 1 behind one finding; at most 1 may be"}]"#
    );
    let impact: Value = serde_json::from_str(&of_task(&service, &asked, "impact")).unwrap();
    assert_eq!(
        (&impact["devices"], impact["resources"].as_array().unwrap().len()),
        (&json!({"count": 2}), 2)
    );
    let alerts = service.alerts();
    assert_eq!(alerts.len(), 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&alerts[0]).unwrap());
    // A repeat says and starts nothing more.
    deliver(&service, fleet, &policy(Mode::Enforce, ""), &asked).await;
    assert_eq!((service.starts().len(), service.alerts().len()), (1, 1));
    for (devices, wanted) in
        [(", devices: { most: 2 }", 2), (", devices: { most: 3 }", 3), (", devices: any", 3)]
    {
        let service = Service::default();
        deliver(&service, fleet, &policy(Mode::Enforce, devices), &asked).await;
        assert_eq!(started(&service, &asked).as_array().unwrap().len(), wanted, "{devices}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_connected_counts_and_so_does_what_nobody_knows() {
    let asked = message(findings([2]));
    for (connected, starts) in [(0, false), (1, false), (2, true), (3, true)] {
        let service = Service::default();
        let devices = format!(", devices: {{ most: 9, connected: {connected} }}");
        let calls = deliver(&service, fleet, &policy(Mode::Enforce, &devices), &asked).await;
        assert_eq!(service.starts().len() == 1, starts, "{connected}");
        let state = if starts { "started" } else { "superseded" };
        assert_eq!(service.task_state(&id(&asked)), state);
        let looks = calls.iter().filter(|name| *name == "connectivity-data").count();
        // All three may be: then nobody has to know.
        assert_eq!(looks, if connected == 3 { 0 } else { 3 }, "{connected}: {calls:?}");
        if !starts {
            let why = format!(
                "of the devices behind certificate '{}' 2 (of 1 it is not known) are connected, and at most {connected} may be",
                certificate(2)
            );
            assert!(of_task(&service, &asked, "reason").ends_with(&why));
            let guards = of_task(&service, &asked, "guards");
            assert_eq!(guards, format!(r#"[{{"guard":"connections","passed":false,"reason":"{why}"}}]"#));
            assert_eq!(service.alerts().len(), 1);
        }
    }
}

/// The action replaces the default version of a policy, which is attached to two certificates.
fn blank(call: &Call) -> Option<Answer> {
    let (_, path) = call.operation.split_once(' ')?;
    let of = |name: &str| path == format!("/mitigationactions/actions/{name}");
    let target = |number| format!("arn:aws:iot:us-east-1:123456789012:cert/{}", certificate(number));
    Some(Answer::ok(match path {
        _ if of("QuarantineThing") => json!({
            "actionType": "REPLACE_DEFAULT_POLICY_VERSION",
            "actionParams": {"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}},
        }),
        "/policy-targets/P" => json!({"targets": [target(1), target(3)]}),
        "/policies/P" => json!({"policyName": "P", "defaultVersionId": "1"}),
        "/policies/P/version" => json!({"policyVersions": [{"versionId": "1", "isDefaultVersion": true}]}),
        _ => return fleet(call),
    }))
}

/// A service with a finding that is about a policy.
fn with_policy() -> Service {
    let service = Service::default();
    let mut of_policy = finding("finding-1");
    of_policy["nonCompliantResource"]["resourceIdentifier"] =
        json!({"policyVersionIdentifier": {"policyName": "P", "policyVersionId": "1"}});
    service.state().findings.insert("finding-1".into(), Some(of_policy));
    service
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_replaced_only_if_the_rule_says_how_many_devices_it_may_concern() {
    let asked = message(findings([1]));
    let service = with_policy();
    deliver(&service, blank, &policy(Mode::Enforce, ""), &asked).await;
    let why = "2 or more devices stand behind policy 'P', and 'devices' does not say how many may";
    assert_eq!(
        (service.task_state(&id(&asked)), of_task(&service, &asked, "reason")),
        ("refused".into(), why.into())
    );
    assert_eq!(
        of_task(&service, &asked, "guards"),
        format!(r#"[{{"guard":"devices","passed":false,"reason":"{why}"}}]"#)
    );
    let alerts = service.alerts();
    assert_eq!(alerts.len(), 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&alerts[0]).unwrap());
    // The same message comes again: people know.
    deliver(&service, blank, &policy(Mode::Enforce, ""), &asked).await;
    assert_eq!((service.starts().len(), service.alerts().len(), service.parked().len()), (0, 1, 0));
    for (devices, starts) in [(", devices: { most: 1 }", 0), (", devices: { most: 2 }", 1)] {
        let service = with_policy();
        deliver(&service, blank, &policy(Mode::Enforce, devices), &asked).await;
        assert_eq!(service.starts().len(), starts, "{devices}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_policy_is_seen_before_the_call_and_left_out() {
    fn full(call: &Call) -> Option<Answer> {
        if call.operation.ends_with(" /policies/P/version") {
            let versions: Vec<Value> =
                (1..=5).map(|version| json!({"versionId": version.to_string()})).collect();
            return Some(Answer::ok(json!({"policyVersions": versions})));
        }
        blank(call)
    }
    let (service, asked) = (with_policy(), message(findings([1])));
    deliver(&service, full, &policy(Mode::Enforce, ", devices: { most: 5 }"), &asked).await;
    let reason = of_task(&service, &asked, "reason");
    assert!(reason.ends_with("so that no blank one can be made: delete one"), "{reason}");
    assert_eq!((service.starts().len(), service.alerts().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_that_nobody_can_count_and_people_are_told_after_a_day() {
    let faults: [fn(&Call) -> Option<Answer>; 4] = [
        |call| of_devices(call).then(|| Answer::error(400, "ThrottlingException", "{}")),
        |call| of_devices(call).then(Answer::broken),
        |call| of_devices(call).then(|| Answer::ok(json!({}))),
        |call| of_devices(call).then_some(Answer::Never),
    ];
    let asked = message(findings([1, 3]));
    for (number, fault) in faults.into_iter().enumerate() {
        let service = Service::default();
        let policy = policy(Mode::Enforce, ", devices: { most: 1, connected: 0 }");
        deliver(&service, fault, &policy, &asked).await;
        let waits = service.take_queue();
        assert_eq!((service.starts().len(), waits.len(), service.alerts().len()), (0, 1, 0), "{number}");
        service.cloud.pass_seconds(86_401);
        deliver(&service, fault, &policy, &waits[0].1).await;
        assert_eq!((service.starts().len(), service.take_queue().len()), (0, 0), "{number}");
        assert_eq!((service.task_state(&id(&asked)), service.parked().len()), ("given-up".into(), 1));
        let reason = of_task(&service, &asked, "reason");
        assert!(
            reason.starts_with("not started within a day: how many devices stand behind it is not known: "),
            "{reason}"
        );
        assert_eq!(service.alerts().len(), 1);
    }
    // Who may not ask will not learn it.
    let service = Service::default();
    let denied: fn(&Call) -> Option<Answer> = |call| of_devices(call).then(Answer::refused);
    deliver(&service, denied, &policy(Mode::Enforce, ""), &asked).await;
    assert_eq!((service.starts().len(), service.task_state(&id(&asked))), (0, "refused".into()));
}

fn of_devices(call: &Call) -> bool {
    call.operation.contains("/principals/") || call.operation.ends_with("/connectivity-data")
}

#[tokio::test(start_paused = true)]
async fn who_observes_says_what_would_be() {
    let asked = message(findings([1, 2]));
    let said = async |service: &Service, answers: fn(&Call) -> Option<Answer>, devices: &str| {
        deliver(service, answers, &policy(Mode::Observe, devices), &asked).await;
        assert_eq!((service.starts().len(), service.task_state(&id(&asked))), (0, "observed".into()));
        assert_eq!(service.alerts().len(), 0);
        (of_task(service, &asked, "reason"), of_task(service, &asked, "guards"))
    };
    let (reason, _) = said(&Service::default(), fleet, "").await;
    let why = format!("3 devices stand behind certificate '{}', and at most 1 may", certificate(2));
    assert_eq!(reason, format!("would leave out 1 of 2: finding-2: {why}"));
    let (reason, guards) = said(&Service::default(), fleet, ", devices: { most: 3, connected: 2 }").await;
    assert_eq!(reason, "");
    assert_eq!(
        guards,
        r#"[{"guard":"devices","passed":true,"reason":"4 in all, 3 behind one finding; at most 3 may be"},{"guard":"connections","passed":true,"reason":"2 behind one finding; at most 2 may be"}]"#
    );
    let (reason, _) = said(&with_policy(), blank, "").await;
    assert!(reason.starts_with("would be refused: 2 or more devices stand behind policy 'P'"), "{reason}");
    let never: fn(&Call) -> Option<Answer> = |call| of_devices(call).then_some(Answer::refused());
    let (reason, guards) = said(&Service::default(), never, "").await;
    assert!(reason.starts_with("would wait: how many devices stand behind it is not known"), "{reason}");
    assert!(guards.contains(r#""passed":false"#), "{guards}");
    // Where any number may be, nobody asks.
    let service = Service::default();
    let calls = deliver(&service, fleet, &policy(Mode::Observe, ", devices: any"), &asked).await;
    assert!(!calls.iter().any(|call| ["finding", "principals"].contains(&call.as_str())), "{calls:?}");
}

/// Calls of AWS IoT for a task of 25 findings: no guard is paid for that no rule needs. Per mitigated finding these are 2.24,
/// 3.24, 3.24 and 4.24 calls.
#[tokio::test(start_paused = true)]
async fn a_guard_costs_the_calls_that_it_needs() {
    // Nothing is connected.
    fn off(call: &Call) -> Option<Answer> {
        let is_look = call.operation.ends_with("/connectivity-data");
        is_look.then(|| Answer::ok(json!({"connected": false, "timestamp": 1})))
    }
    let asked = message(findings([1].into_iter().chain(3..=26)));
    for (devices, wanted, all) in [
        (", devices: any", [25, 25, 0, 0], 56),
        (", devices: { most: 5, connected: 1 }", [25, 25, 25, 0], 81),
        ("", [25, 25, 25, 0], 81),
        (", devices: { most: 1, connected: 0 }", [25, 25, 25, 25], 106),
    ] {
        let service = Service::default();
        let calls = deliver(&service, off, &policy(Mode::Enforce, devices), &asked).await;
        let of = |name: &str| calls.iter().filter(|call| *call == name).count();
        let counts = ["finding", "certificate", "principals", "connectivity-data"].map(of);
        assert_eq!((counts, service.starts().len()), (wanted, 1), "{devices}: {calls:?}");
        // Those of other services have names in capitals.
        let of_iot = |call: &&String| !call.chars().any(char::is_uppercase);
        assert_eq!(calls.iter().filter(of_iot).count(), all, "{devices}: {calls:?}");
    }
}

/// A look that takes long is cut off, and the message goes on later.
#[tokio::test(start_paused = true)]
async fn no_time_is_no_answer() {
    let service = Service::default();
    let asked = message(findings([1]));
    let slow: fn(&Call) -> Option<Answer> = |call| {
        let late =
            || Answer::Late(Duration::from_hours(1), Box::new(Answer::ok(json!({"things": ["thing-1"]}))));
        of_devices(call).then(late)
    };
    deliver(&service, slow, &policy(Mode::Enforce, ""), &asked).await;
    assert_eq!((service.starts().len(), service.take_queue().len()), (0, 1));
}
