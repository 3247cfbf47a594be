//! Budgets of a thing group: what a command asks for counts as what rules do.

use fleetwarden_aws::testing::Answer;
use serde_json::Value;

use crate::mitigations::action;
use crate::mitigations::by_id;
use crate::mitigations::findings;
use crate::mitigations::mitigate;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup_with;

/// A setup with a budget of one in a group, and findings whose things are all in a group below `production`.
async fn with(group: &str) -> (Setup, Vec<Value>) {
    let budget = format!("budgets: [{{ most: 1, within: 1h, group: {group} }}]");
    let setup = setup_with(format!("version: 1\nmode: enforce\n{budget}\nrules: []\n").leak());
    let audit = setup.audit(&[SHARED]).await;
    setup.record(&[SHARED], &audit, setup.function.service.clock.now());
    action(&setup).await;
    let found = findings(&setup, &audit, SHARED, 3).await;
    setup.calls();
    (setup, found)
}

#[tokio::test(start_paused = true)]
async fn a_command_counts_what_is_in_the_group_and_what_nobody_can_look_up() {
    // The first finding that `production` protects is in the group.
    let (setup, found) = with("production").await;
    setup.ok(mitigate(&by_id(&found[..1]), &[SHARED])).await;
    let mut again = mitigate(&by_id(&found[..1]), &[SHARED]);
    again["taskId"] = "m-2".into();
    again["dryRun"] = true.into();
    let told = setup.fails(again).await;
    assert!(
        told.starts_with(
            "OverBudget\nover the budget of 1 of group production in 1h: 1 of 1 are used, and this is for 1"
        ),
        "{told}"
    );
    let (setup, found) = with("museum").await;
    setup.ok(mitigate(&by_id(&found), &[SHARED])).await;
    let (setup, found) = with("museum").await;
    *setup.instead.lock().unwrap() = Some(|path| {
        path.contains("/thing-groups").then(|| Answer::error(403, "AccessDeniedException", "{}"))
    });
    let told = setup.fails(mitigate(&by_id(&found), &[SHARED])).await;
    assert!(told.contains("of group museum in 1h: 0 of 1 are used, and this is for 3"), "{told}");
}
