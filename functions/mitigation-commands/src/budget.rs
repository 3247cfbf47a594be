//! `MitigationBudget`: each budget of the policy, what is used of it now, by which tasks, and when there is room again.

use fleetwarden_aws::fleet;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Entry;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_commands::Failure;
use fleetwarden_core::model::mitigation::budget::Budgets;
use fleetwarden_core::model::mitigation::budget::Part;
use fleetwarden_core::model::mitigation::budget::Used;
use fleetwarden_core::policy::Budget;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

use crate::ReadPolicy;

/// `MitigationBudget`.
pub(crate) async fn budget(ledger: &Ledger, policy: &ReadPolicy, now: Millis) -> Result<Budgets, Failure> {
    let policy: Policy = policy()?;
    let mitigations = Mitigations::new(ledger.clone());
    let pause = mitigations.pause().await?;
    let sizes = fleet::known(ledger, policy.budgets().iter(), now).await?;
    let spent = mitigations.spent(policy.budgets(), now).await?;
    let budgets = policy
        .budgets()
        .iter()
        .zip(spent)
        .map(|(budget, spent)| used(budget, sizes.of(budget), &spent.entries));
    Ok(Budgets { pause, fleet: sizes.fleet(), budgets: budgets.collect() })
}

/// What is used of a budget, by the tasks that count in it, the oldest first. Pure.
fn used(budget: &Budget, things: Option<u64>, entries: &[Entry]) -> Used {
    let end = |entry: &Entry| entry.at.plus_seconds(budget.within_seconds).rfc3339();
    Used {
        budget: budget.label(),
        limit: budget.limit(things),
        used: entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.count)),
        room_from: entries.first().map(end),
        tasks: entries
            .iter()
            .map(|entry| Part {
                task_id: entry.task.clone(),
                count: entry.count,
                since: entry.at.rfc3339(),
                until: end(entry),
            })
            .collect(),
    }
}
