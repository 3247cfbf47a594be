//! The gate before a mitigation that somebody asks for: what it has to pass before anything is claimed.

use fleetwarden_aws::testing::Answer;
use fleetwarden_commands::testing::AnswerInstead;
use fleetwarden_core::api;
use serde_json::Value;
use serde_json::json;

use crate::mitigations::action;
use crate::mitigations::by_id;
use crate::mitigations::claim;
use crate::mitigations::findings;
use crate::mitigations::follow_ups;
use crate::mitigations::mitigate;
use crate::mitigations::task_item;
use crate::setup::ACCOUNT;
use crate::setup::LOGGING;
use crate::setup::POLICY;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;
use crate::setup::setup_with;

#[tokio::test(start_paused = true)]
async fn each_finding_is_looked_at_before_the_start() {
    let setup = setup();
    let task = setup.audit(&[SHARED, LOGGING]).await;
    action(&setup).await;
    let mut found = findings(&setup, &task, SHARED, 2).await;
    setup.calls();
    assert_eq!(setup.ok(mitigate(&by_id(&found), &[SHARED])).await, json!({"taskId": "m"}));
    let calls = setup.calls();
    assert_eq!(calls.lines().filter(|call| call.starts_with("GET /audit/findings/")).count(), 2, "{calls}");
    assert!(calls.ends_with("\nPOST /audit/mitigationactions/tasks/m"), "{calls}");

    found.extend(findings(&setup, &task, LOGGING, 1).await);
    found.push(json!({"findingId": "none"}));
    let mut event = mitigate(&by_id(&found), &[SHARED]);
    event["taskId"] = "other".into();
    insta::assert_snapshot!(setup.fails(event).await, @r"
    InvalidInput
    $.target.findingIds[2]: auditCheckToActionsMapping has no actions for LOGGING_DISABLED_CHECK, the check of the finding
    $.target.findingIds[3]: there is no such finding
    ");
}

#[tokio::test(start_paused = true)]
async fn in_observe_nothing_starts() {
    for (policy, dry) in [("observe", false), ("observe", true), ("enforce", true)] {
        let setup = setup_with(match policy {
            "observe" => "version: 1\nbudgets: none\nmode: observe\nrules: []\n",
            _ => "version: 1\nbudgets: none\nmode: enforce\nrules: []\n",
        });
        let task = setup.audit(&[LOGGING]).await;
        action(&setup).await;
        let found = findings(&setup, &task, LOGGING, 1).await;
        let mut event = mitigate(&by_id(&found), &[LOGGING]);
        event["dryRun"] = dry.into();
        setup.calls();
        let answer = setup.ok(event).await;
        assert_eq!(answer["observed"], policy == "observe");
        assert_eq!(answer["mitigates"][0]["findingId"], found[0]["findingId"]);
        assert_eq!(answer["mitigates"][0]["actions"], json!(["tell"]));
        let starts = if dry { &answer["changes"][0]["to"] } else { &answer["wouldStart"] };
        assert_eq!((&starts["taskId"], &starts["target"]), (&json!("m"), &by_id(&found)));
        assert!(!setup.calls().contains("POST"));
        let written = if dry { Value::Null } else { json!("observed") };
        assert_eq!((task_item(&setup, "m")["state"].clone(), follow_ups(&setup).len()), (written, 0));
        assert_eq!(claim(&setup, &found[0]).1, Value::Null, "nothing is held");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_protected_is_not_mitigated() {
    let setup =
        setup_with("version: 1\nbudgets: none\nmode: enforce\nprotect: { policies: ['*'] }\nrules: []\n");
    let task = setup.audit(&[POLICY, SHARED, LOGGING]).await;
    action(&setup).await;
    let protected = findings(&setup, &task, POLICY, 1).await;
    let name = &protected[0]["nonCompliantResource"]["resourceIdentifier"]["policyVersionIdentifier"];
    let label =
        format!("{}:{}", name["policyName"].as_str().unwrap(), name["policyVersionId"].as_str().unwrap());
    assert_eq!(
        setup.fails(mitigate(&by_id(&protected), &[POLICY])).await,
        format!("Protected\n$.target.findingIds[0]: {label} is protected, by '*' of policies")
    );
    let whole = json!({"auditTaskId": task});
    assert_eq!(
        setup.fails(mitigate(&whole, &[LOGGING, POLICY])).await,
        "Protected\n$.target: protect of the policy may concern resources of IOT_POLICY_OVERLY_PERMISSIVE_CHECK; \
         name the findings"
    );
    assert!(!setup.calls().contains("mitigationactions/tasks"));
    // Whether a filter leaves out a check that has actions, AWS does not say.
    let filtered =
        json!({"auditTaskId": task, "auditCheckToReasonCodeFilter": {LOGGING: ["LOGGING_DISABLED"]}});
    assert!(setup.fails(mitigate(&filtered, &[LOGGING, POLICY])).await.starts_with("Protected\n"));
    setup.ok(mitigate(&filtered, &[LOGGING])).await;
}

/// The names of the things behind a finding's certificate.
async fn things(setup: &Setup, finding: &Value) -> Vec<String> {
    let id = &finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"];
    let principal = format!("arn:aws:iot:us-east-1:{ACCOUNT}:cert/{}", id.as_str().unwrap());
    let list = api::REGISTRY.iter().find(|operation| operation.name == "ListPrincipalThings").unwrap();
    let input = json!({ "principal": principal });
    let answer = setup.function.service.iot.call(list, input.as_object().unwrap()).await.unwrap();
    let answer: Value = serde_json::from_str(answer.get()).unwrap();
    serde_json::from_value(answer["things"].clone()).unwrap()
}

/// A setup in which this is protected, with an audit and some of its findings on shared certificates.
async fn protecting(protect: &str) -> (Setup, Vec<Value>) {
    let policy = format!("version: 1\nbudgets: none\nmode: enforce\nprotect: {{ {protect} }}\nrules: []\n");
    let setup = setup_with(policy.leak());
    let task = setup.audit(&[SHARED]).await;
    action(&setup).await;
    let found = findings(&setup, &task, SHARED, 5).await;
    setup.calls();
    (setup, found)
}

#[tokio::test(start_paused = true)]
async fn of_several_things_behind_a_certificate_one_that_is_protected_is_enough() {
    let (setup, found) = protecting("things: [none]").await;
    let behind = things(&setup, &found[1]).await;
    assert!(behind.len() > 1, "{behind:?}");
    for thing in behind {
        let (setup, found) = protecting(&format!("things: ['{thing}']")).await;
        let id = found[1]["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"].as_str();
        let error = setup.fails(mitigate(&by_id(&found[..2]), &[SHARED])).await;
        let says = format!("{} is protected, by '{thing}' of things", id.unwrap());
        assert_eq!(error, format!("Protected\n$.target.findingIds[1]: {says}"));
        assert!(!setup.calls().contains("mitigationactions/tasks"));
        setup.ok(mitigate(&by_id(&found[..1]), &[SHARED])).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_thing_of_a_protected_group_or_of_one_below_it_is_not_mitigated() {
    let (setup, found) = protecting("groups: [production]").await;
    let one = by_id(&found[..1]);
    let error = setup.fails(mitigate(&one, &[SHARED])).await;
    assert!(error.starts_with("Protected\n$.target.findingIds[0]: "), "{error}");
    assert!(error.ends_with(" is protected, by 'production' of groups"), "{error}");
    let calls = setup.calls();
    assert!(
        calls.contains("/thing-groups/production-") && !calls.contains("mitigationactions/tasks"),
        "{calls}"
    );
    // Where no thing is in such a group, it starts.
    let (setup, found) = protecting("groups: [museum]").await;
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    let calls = setup.calls();
    let principals = calls.lines().filter(|call| call.starts_with("GET /principals/things")).count();
    assert_eq!(principals, found.len(), "{calls}");
    assert!(!calls.contains("GET /things/thing"), "nobody asks for types: {calls}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_up_that_no_protection_asks_for() {
    let (setup, found) = protecting(&format!("certificates: {}, policies: [none]", "f".repeat(64))).await;
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    let calls = setup.calls();
    assert!(!calls.contains("/principals") && !calls.contains("/things"), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_up_is_no_consent_and_says_why() {
    let denied = |path: &str| {
        let answer = Answer::error(403, "AccessDeniedException", json!({"message": "no (request 4711)"}));
        path.contains("/thing-groups").then_some(answer)
    };
    let many = |path: &str| {
        let things: Vec<String> = (0..26).map(|number| format!("thing-{number}")).collect();
        path.starts_with("/principals").then(|| Answer::ok(json!({ "things": things })))
    };
    let instead: [(AnswerInstead, &str); 2] = [
        (denied, "ListThingGroupsForThing: AccessDeniedException"),
        (many, "the certificate is attached to more than 25 things"),
    ];
    for (answer, why) in instead {
        let (setup, found) = protecting("groups: [museum]").await;
        *setup.instead.lock().unwrap() = Some(answer);
        let error = setup.fails(mitigate(&by_id(&found[..1]), &[SHARED])).await;
        assert!(
            error.starts_with("ProtectionUnknown\n$.target.findingIds[0]: it is unknown whether"),
            "{error}"
        );
        assert!(error.ends_with(&format!(" is protected: {why}")), "{error}");
        assert!(!setup.calls().contains("mitigationactions/tasks"));
        assert_eq!(claim(&setup, &found[0]).0, Value::Null, "nothing is held");
    }
    let (setup, found) = protecting("groups: [museum]").await;
    for (operation, kind, code) in [
        ("ListPrincipalThings", "internal-failure", "InternalFailureException"),
        ("DescribeThingGroup", "internal-failure", "InternalFailureException"),
        ("ListThingGroupsForThing", "nulls", "an answer without content"),
    ] {
        setup.order(operation, kind, 3, 0);
        let error = setup.fails(mitigate(&by_id(&found[..1]), &[SHARED])).await;
        assert!(error.ends_with(&format!(" is protected: {operation}: {code}")), "{error}");
        setup.control("DELETE", "faults", &Value::Null);
    }
    // What is protected for certain is told as that.
    let (setup, found) = protecting("groups: [production]").await;
    setup.order("ListPrincipalThings", "internal-failure", 3, 1);
    let error = setup.fails(mitigate(&by_id(&found[..2]), &[SHARED])).await;
    assert!(error.starts_with("Protected\n") && error.lines().count() == 3, "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_throttled_is_asked_a_few_times() {
    let (setup, found) = protecting("groups: [museum]").await;
    setup.order("ListPrincipalThings", "throttle", 3, 0);
    let error = setup.fails(mitigate(&by_id(&found[..1]), &[SHARED])).await;
    assert!(error.ends_with("is protected: ListPrincipalThings: ThrottlingException"), "{error}");
    assert!(!setup.calls().contains("mitigationactions/tasks"));
    setup.order("ListPrincipalThings", "throttle", 2, 0);
    setup.ok(mitigate(&by_id(&found[..1]), &[SHARED])).await;
}

#[tokio::test(start_paused = true)]
async fn what_has_no_things_behind_it_is_not_held_and_what_names_nothing_is() {
    let setup = setup_with(
        "version: 1\nbudgets: none\nmode: enforce\nprotect: { groups: [production] }\nrules: []\n",
    );
    let task = setup.audit(&[SHARED, LOGGING]).await;
    action(&setup).await;
    let logging = findings(&setup, &task, LOGGING, 1).await;
    setup.ok(mitigate(&by_id(&logging), &[LOGGING])).await;
    let found = findings(&setup, &task, SHARED, 1).await;
    setup.order("DescribeAuditFinding", "no-resource", 1, 0);
    let error = setup.fails(mitigate(&by_id(&found), &[SHARED])).await;
    assert!(
        error.starts_with("ProtectionUnknown\n") && error.contains("names no resource that is known"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_windows_nothing_starts() {
    // It is Monday, midnight.
    for (policy, says) in [
        (
            "version: 1\nbudgets: none\nmode: enforce\nwindows: { zone: Europe/Berlin, open: [{ days: [Tue], hours: 08:00-10:00 }] }\nrules: []\n",
            "OutsideWindow\noutside of the policy's windows until 2026-11-24T08:00:00+01:00 (Europe/Berlin)",
        ),
        (
            "version: 1\nbudgets: none\nmode: enforce\nactions: { tell: { windows: { zone: UTC, freeze: [{ from: 11-23, to: 11-24 }] } } }\nrules: []\n",
            "OutsideWindow\noutside of the windows of action tell until 2026-11-25T00:00:00+00:00 (UTC)",
        ),
        ("version: 1\nbudgets: none\nmode: enforce\nrules: [", "Fleetwarden.Policy\n"),
    ] {
        let setup = setup_with(policy);
        let task = setup.audit(&[LOGGING]).await;
        action(&setup).await;
        let target = json!({"auditTaskId": task});
        let error = setup.fails(mitigate(&target, &[LOGGING])).await;
        assert!(error.starts_with(says), "{error}");
        assert!(!setup.calls().contains("mitigationactions/tasks"));
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_whole_check_a_dry_run_has_the_counts() {
    let setup = setup();
    let task = setup.audit(&[SHARED, LOGGING]).await;
    action(&setup).await;
    let mut event = mitigate(&json!({"auditTaskId": task}), &[SHARED]);
    event["dryRun"] = true.into();
    let found = findings(&setup, &task, SHARED, 9999).await.len();
    let answer = setup.ok(event).await;
    assert_eq!(answer["mitigates"][0]["nonCompliantResourcesCount"], found);
    assert_eq!(answer["mitigates"][0]["actions"], json!(["tell"]));
}
