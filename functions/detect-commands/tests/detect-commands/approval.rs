//! With `twoPersons`, a mitigation that a command asks for waits for another person, and the command is given again.

use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_commands::testing::person_says;
use serde_json::Value;
use serde_json::json;

use crate::mitigations::alarmed;
use crate::mitigations::claim;
use crate::mitigations::follow_ups;
use crate::mitigations::start;
use crate::mitigations::started;
use crate::mitigations::task;
use crate::setup::Setup;

const TWO_PERSONS: &str = "version: 1\nbudgets: none\nmode: enforce\ntwoPersons: true\nrules: []\n";

/// A person's word on a task: approved, or rejected.
async fn say(setup: &Setup, task: &str, by: &str, approves: bool) {
    let mitigations = Mitigations::new(Ledger::new(setup.shared.dynamodb(), "ledger".into()));
    person_says(&mitigations, task, by, approves, setup.cloud.clock().now()).await;
}

/// The command of a person, for a task of this name.
fn asked(by: &str, task: &str, violations: &[&Value]) -> Value {
    let mut event = start(violations);
    (event["by"], event["taskId"]) = (by.into(), task.into());
    event
}

#[tokio::test(start_paused = true)]
async fn it_starts_when_another_person_has_approved_just_that() {
    let (setup, active) = alarmed(TWO_PERSONS).await;
    let told = setup.fails(start(&[&active[0]])).await;
    assert!(told.starts_with("InvalidInput\n$.by: is missing: who asks"), "{told}");
    let event = asked("mia", "m", &[&active[0]]);
    let mut dry = event.clone();
    dry["dryRun"] = true.into();
    assert_eq!(setup.ok(dry).await["needsApproval"][0]["need"], "two-persons");
    assert!(task(&setup).is_null(), "a dry run asks nobody");
    for _ in 0..2 {
        let told = setup.fails(event.clone()).await;
        assert!(told.starts_with("NeedsApproval\nthe task 'm' waits for another person until"), "{told}");
        assert_eq!(task(&setup)["state"], "held");
    }
    assert_eq!(
        (started(&setup), claim(&setup, &active[0])),
        (0, Value::Null),
        "nothing is claimed meanwhile"
    );
    say(&setup, "m", "kim", true).await;
    // What was approved is not the approver's own, nor a command's for more.
    for other in [asked("kim", "m", &[&active[0]]), asked("mia", "m", &[&active[0], &active[1]])] {
        let told = setup.fails(other).await;
        assert!(told.starts_with("NeedsApproval\n"), "{told}");
    }
    assert_eq!(started(&setup), 0);
    // Asking for something else has taken the approval away.
    setup.fails(event.clone()).await;
    say(&setup, "m", "kim", true).await;
    let sent = follow_ups(&setup).len();
    for _ in 0..2 {
        assert_eq!(setup.ok(event.clone()).await, json!({"taskId": "m"}), "a repeat is the same");
    }
    assert_eq!((&task(&setup)["state"], started(&setup)), (&json!("started"), 1));
    let followed = follow_ups(&setup).len() - sent;
    assert_eq!((followed, &claim(&setup, &active[0])["task_id"]), (1, &json!("m")));
}

#[tokio::test(start_paused = true)]
async fn after_a_rejection_or_a_lapse_the_same_command_never_starts() {
    let (setup, active) = alarmed(TWO_PERSONS).await;
    let event = asked("mia", "m", &[&active[0]]);
    setup.fails(event.clone()).await;
    say(&setup, "m", "kim", false).await;
    assert!(setup.fails(event).await.starts_with("Rejected\n"));
    let other = asked("mia", "m-2", &[&active[0]]);
    setup.fails(other.clone()).await;
    setup.cloud.pass_seconds(86_400);
    assert!(setup.fails(other).await.starts_with("Rejected\n"), "nobody approved it in time");
    assert_eq!(started(&setup), 0);
}
