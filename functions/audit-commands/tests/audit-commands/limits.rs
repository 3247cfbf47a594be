//! What stops a mitigation that a person asks for: a pause, a budget, a second person.

use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::pause;
use fleetwarden_commands::testing::person_says;
use fleetwarden_core::model::mitigation::pause::Pause;
use serde_json::Value;
use serde_json::json;

use crate::mitigations::action;
use crate::mitigations::by_id;
use crate::mitigations::claim;
use crate::mitigations::findings;
use crate::mitigations::follow_ups;
use crate::mitigations::found;
use crate::mitigations::mitigate;
use crate::mitigations::task_item;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup_with;

#[tokio::test(start_paused = true)]
async fn what_is_paused_is_refused_and_a_repeat_of_what_has_started_is_not() {
    let (setup, found) = found(2).await;
    let (one, other) = (mitigate(&by_id(&found[..1]), &[SHARED]), mitigate(&by_id(&found[1..]), &[SHARED]));
    let started = setup.ok(one.clone()).await;
    let ledger = Ledger::new(setup.shared.dynamodb(), "ledger".into());
    let since = setup.cloud.clock().now().rfc3339();
    let paused = Pause { reason: "a bad rollout".into(), since, ..Pause::default() };
    pause::set(&ledger, &paused).await.unwrap();
    assert_eq!(setup.ok(one).await, started);
    for dry_run in [false, true] {
        let mut other = other.clone();
        other["taskId"] = "m-2".into();
        other["dryRun"] = dry_run.into();
        let told = setup.fails(other).await;
        assert!(told.starts_with("Paused\nmitigation is paused since 2026-11-23T"), "{told}");
        assert!(told.ends_with("a bad rollout. MitigationResume ends the pause"), "{told}");
    }
    let claim =
        ledger.get(&format!("finding#{}", found[1]["findingId"].as_str().unwrap()), "mitigation").await;
    assert_eq!(claim.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_goes_over_a_budget_is_refused_and_a_repeat_of_what_has_started_is_not() {
    let setup = setup_with("version: 1\nmode: enforce\nbudgets: [{ most: 2, within: 1h }]\nrules: []\n");
    let audit = setup.audit(&[SHARED]).await;
    setup.record(&[SHARED], &audit, setup.function.service.clock.now());
    action(&setup).await;
    let found = findings(&setup, &audit, SHARED, 3).await;
    let (one, other) = (mitigate(&by_id(&found[..2]), &[SHARED]), mitigate(&by_id(&found[2..]), &[SHARED]));
    let started = setup.ok(one.clone()).await;
    assert_eq!(setup.ok(one).await, started, "it counts once");
    for dry_run in [false, true] {
        let mut other = other.clone();
        other["taskId"] = "m-2".into();
        other["dryRun"] = dry_run.into();
        let told = setup.fails(other).await;
        assert!(
            told.starts_with("OverBudget\nover the budget of 2 in 1h: 2 of 2 are used, and this is for 1"),
            "{told}"
        );
    }
    setup.cloud.pass_seconds(3600);
    let mut other = other;
    other["taskId"] = "m-2".into();
    setup.ok(other).await;
}

#[tokio::test(start_paused = true)]
async fn the_ledger_has_how_hard_each_action_is_to_take_back() {
    let (setup, found) = found(1).await;
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    let ledger = Ledger::new(setup.shared.dynamodb(), "ledger".into());
    let task = ledger.get("mitigation#m", "task").await.unwrap().unwrap();
    assert_eq!(task.get_text("grades"), Some(r#"{"tell":"reversible"}"#));
}

/// A person's word on a task: approved, or rejected.
async fn say(setup: &Setup, task: &str, by: &str, approves: bool) {
    let mitigations = Mitigations::new(Ledger::new(setup.shared.dynamodb(), "ledger".into()));
    person_says(&mitigations, task, by, approves, setup.cloud.clock().now()).await;
}

#[tokio::test(start_paused = true)]
async fn with_two_persons_a_command_waits_for_another_and_is_given_again() {
    let setup = setup_with("version: 1\nmode: enforce\nbudgets: none\ntwoPersons: true\nrules: []\n");
    let audit = setup.audit(&[SHARED]).await;
    setup.record(&[SHARED], &audit, setup.function.service.clock.now());
    action(&setup).await;
    let found = findings(&setup, &audit, SHARED, 2).await;
    let mut event = mitigate(&by_id(&found[..1]), &[SHARED]);
    let told = setup.fails(event.clone()).await;
    assert!(told.starts_with("InvalidInput\n$.by: is missing: who asks"), "{told}");
    event["by"] = "mia".into();
    let mut dry = event.clone();
    dry["dryRun"] = true.into();
    assert_eq!(setup.ok(dry).await["needsApproval"][0]["need"], "two-persons");
    assert!(task_item(&setup, "m").is_null(), "a dry run asks nobody");
    for _ in 0..2 {
        let told = setup.fails(event.clone()).await;
        assert!(
            told.starts_with("NeedsApproval\nthe task 'm' waits for another person until 2026-11-24T"),
            "{told}"
        );
        assert_eq!(task_item(&setup, "m")["state"], "held");
    }
    assert!(!setup.calls().contains("POST /audit/mitigationactions/tasks/m"));
    assert_eq!(follow_ups(&setup).len(), 2, "each tells people, and ends what nobody approves");
    assert_eq!(claim(&setup, &found[0]).1, Value::Null, "nothing is claimed meanwhile");
    say(&setup, "m", "kim", true).await;
    // What was approved is not another command's, nor the approver's own.
    let mut more = event.clone();
    more["target"] = by_id(&found);
    let mut own = event.clone();
    own["by"] = "kim".into();
    for other in [own, more] {
        let told = setup.fails(other).await;
        assert!(told.starts_with("NeedsApproval\n"), "{told}");
    }
    setup.fails(event.clone()).await;
    say(&setup, "m", "kim", true).await;
    let sent = follow_ups(&setup).len();
    assert_eq!(setup.ok(event.clone()).await, json!({"taskId": "m"}));
    assert_eq!(
        (task_item(&setup, "m")["state"].clone(), follow_ups(&setup).len()),
        (json!("started"), sent + 1)
    );
    assert_eq!(setup.ok(event.clone()).await, json!({"taskId": "m"}), "a repeat is the same");
    // After a rejection the same command never starts, and another can.
    let mut other = mitigate(&by_id(&found[1..]), &[SHARED]);
    (other["taskId"], other["by"]) = ("m-2".into(), "mia".into());
    setup.fails(other.clone()).await;
    say(&setup, "m-2", "kim", false).await;
    assert!(setup.fails(other.clone()).await.starts_with("Rejected\n"));
    other["taskId"] = "m-3".into();
    setup.fails(other.clone()).await;
    // Nobody approves in time.
    setup.cloud.pass_seconds(86_400);
    assert!(setup.fails(other.clone()).await.starts_with("Rejected\n"));
    assert_eq!(task_item(&setup, "m-3")["state"], "rejected");
}
