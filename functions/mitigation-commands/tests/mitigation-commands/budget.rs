//! `MitigationBudget`.

use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::Spend;
use fleetwarden_aws::mitigations::State;
use fleetwarden_core::policy::Policy;
use serde_json::json;

use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::findings;
use crate::setup::request;

#[tokio::test(start_paused = true)]
async fn each_budget_is_told_with_its_tasks_and_when_there_is_room() {
    let setup = Setup::default();
    let request = request(SHARED, "r", &findings(&["f-1", "f-2"]));
    setup.task(&request, State::Held, None).await;
    let policy = b"version: 1\nbudgets: [{ most: 10, within: 1h }]\nrules: []\n";
    let policy = Policy::parse(policy).unwrap();
    let spends: Vec<Spend> = policy.budgets().iter().map(|budget| Spend::new(budget, None)).collect();
    let settled = Settled { spends: &spends, ..Settled::new(&request, State::Claimed) };
    setup.mitigations.claim(&request, &settled, setup.now()).await.unwrap();
    let told = setup.ok(json!({"command": "MitigationBudget"})).await;
    insta::assert_json_snapshot!(told);
    let shown = setup.ok(json!({"command": "MitigationShow", "taskId": request.task_id()})).await;
    insta::assert_json_snapshot!(shown["task"]["guards"]);
    setup.cloud.pass_seconds(3600);
    let told = setup.ok(json!({"command": "MitigationBudget"})).await;
    assert_eq!(told["budgets"][0], json!({"budget": "10 in 1h", "limit": 10, "used": 0}));
}
