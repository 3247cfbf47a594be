//! Budgets of a thing group: only what is in the group counts, and what is not known is in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use apply_mitigations::ApplyMitigations;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::Spend;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use serde_json::Value;
use serde_json::json;
use tokio::task::JoinSet;

use crate::service::Service;
use crate::service::finding;
use crate::setup::ACTIONS;
use crate::setup::CHECK;
use crate::setup::FAR;
use crate::setup::findings;
use crate::setup::id;
use crate::setup::ledger;
use crate::setup::message;
use crate::setup::on;

const TWO: &str = "[{ most: 2, within: 1h, group: pumps }]";

fn policy(mode: Mode, budgets: &str) -> String {
    let mode = if mode == Mode::Enforce { "enforce" } else { "observe" };
    let rule = format!("name: expiring, match: {{ check: {CHECK} }}, mitigate: {{ actions: {ACTIONS:?} }}");
    format!("version: 1\nmode: {mode}\nbudgets: {budgets}\nrules:\n  - {{ {rule} }}\n")
}

/// A service whose registry may be out of order.
#[derive(Clone, Default)]
struct Fleet {
    service: Service,
    is_broken: Arc<AtomicBool>,
}

impl Fleet {
    /// The thing of each certificate with an even number is in a group below `pumps`, which has four things.
    fn registry(&self, call: &Call) -> Option<Answer> {
        let (_, path) = call.operation.split_once(' ')?;
        if path.starts_with("/thing-groups/pumps/things") {
            return Some(Answer::ok(json!({"things": ["thing-2", "thing-4", "thing-6", "thing-8"]})));
        }
        if path.starts_with("/thing-groups/") {
            let above = json!([{"groupName": "plant"}, {"groupName": "pumps"}]);
            return Some(Answer::ok(json!({"thingGroupMetadata": {"rootToParentThingGroups": above}})));
        }
        let number: u32 = path.strip_prefix("/things/thing-")?.strip_suffix("/thing-groups")?.parse().ok()?;
        if self.is_broken.load(Ordering::Relaxed) {
            return Some(Answer::error(400, "InvalidRequestException", "{}"));
        }
        let group = if number.is_multiple_of(2) { "bench" } else { "lamps" };
        self.service.state().calls.push("groups".into());
        Some(Answer::ok(json!({"thingGroups": [{"groupName": group}]})))
    }

    fn under(&self, mode: Mode, budgets: &str) -> ApplyMitigations {
        let own = self.clone();
        let answer = move |call: Call| {
            let lamps = call.operation.ends_with("/thing-groups/lamps");
            let of_lamps = || Answer::ok(json!({"thingGroupMetadata": {}}));
            let registry = if lamps { Some(of_lamps()) } else { own.registry(&call) };
            registry.unwrap_or_else(|| own.service.answer(&call))
        };
        on(&self.service.cloud, answer, &policy(mode, budgets))
    }

    async fn deliver(&self, budgets: &str, message: &Value) {
        self.under(Mode::Enforce, budgets).message(&message.to_string(), FAR).await.unwrap();
    }

    /// What is spent of the first budget: the count of each task.
    async fn spent(&self, budgets: &str) -> Vec<u64> {
        let policy = Policy::parse(policy(Mode::Enforce, budgets).as_bytes()).unwrap();
        let mitigations = Mitigations::new(ledger(&self.service.cloud));
        let now = self.service.cloud.clock().now();
        let spent = mitigations.spent(policy.budgets(), now).await.unwrap();
        spent[0].entries.iter().map(|entry| entry.count).collect()
    }

    fn of_task(&self, asked: &Value, name: &str) -> String {
        self.service.attribute(&format!("mitigation#{}", id(asked)), "task", name)
    }

    /// The message of a start that waits.
    fn waits(&self) -> (u64, Value) {
        let queue = self.service.take_queue();
        queue.into_iter().find(|(_, message)| message["step"] != "follow").unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_is_in_the_group_counts_and_the_rest_of_the_fleet_goes_on() {
    let fleet = Fleet::default();
    let (one, other) = (message(findings(1..=4)), message(findings([5, 7])));
    fleet.deliver(TWO, &one).await;
    let calls = fleet.service.calls();
    let count = |calls: &str, name: &str| calls.split(' ').filter(|call| *call == name).count();
    assert_eq!(
        (count(&calls, "principals"), count(&calls, "groups")),
        (4, 4),
        "nothing is asked twice: {calls}"
    );
    fleet.service.cloud.pass_seconds(60);
    fleet.deliver(TWO, &other).await;
    assert_eq!((fleet.service.starts().len(), fleet.spent(TWO).await), (2, vec![2]));
    fleet.service.take_queue();
    let third = message(findings([6, 9]));
    fleet.deliver(TWO, &third).await;
    let why = "over the budget of 2 of group pumps in 1h: 2 of 2 are used, and this is for 1; there is room from \
               2026-11-23T01:00:00Z on";
    assert_eq!(
        (fleet.service.task_state(&id(&third)), fleet.of_task(&third, "reason")),
        ("held".into(), why.into())
    );
    let (mut delay, mut waiting) = fleet.waits();
    assert_eq!(waiting["step"]["held"]["inGroup"]["count"], 1);
    while fleet.service.starts().len() == 2 {
        fleet.service.calls();
        fleet.service.cloud.pass_seconds(i64::try_from(delay).unwrap());
        fleet.deliver(TWO, &waiting).await;
        if fleet.service.starts().len() == 2 {
            let calls = "TransactWriteItems GetItem BatchGetItem SendMessageBatch";
            assert_eq!(fleet.service.calls(), calls, "nothing is looked up");
            (delay, waiting) = fleet.waits();
        }
    }
    let now = fleet.service.cloud.clock().now();
    assert!(now >= START.plus_seconds(3600) && now <= START.plus_seconds(3600 + 60), "{now:?}");
    assert_eq!((fleet.service.alerts().len(), fleet.spent(TWO).await), (1, vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_no_budget_names_costs_no_call() {
    let fleet = Fleet::default();
    let of_others = "[{ most: 9, within: 1h }, { most: 1, within: 1h, group: pumps, actions: Other }]";
    fleet.deliver(of_others, &message(findings([2, 4]))).await;
    assert_eq!(fleet.service.starts().len(), 1);
    assert!(!fleet.service.calls().contains("groups"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_up_counts_and_people_are_told_and_it_is_asked_again() {
    let fleet = Fleet::default();
    fleet.is_broken.store(true, Ordering::Relaxed);
    let asked = message(findings([1, 3, 5]));
    fleet.deliver(TWO, &asked).await;
    let why = "over the budget of 2 of group pumps in 1h: 0 of 2 are used, and this is for 3; it never has room for so many; \
               of 3 it is not known, so that they count: ListThingGroupsForThing: InvalidRequestException";
    assert_eq!(
        (fleet.service.task_state(&id(&asked)), fleet.of_task(&asked, "reason")),
        ("held".into(), why.into())
    );
    assert!(fleet.service.starts().is_empty());
    let alerts = fleet.service.alerts();
    assert_eq!(alerts.len(), 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&alerts[0]).unwrap());
    let (_, waiting) = fleet.waits();
    fleet.deliver(TWO, &waiting).await;
    assert!(fleet.service.starts().is_empty());
    let (_, waiting) = fleet.waits();
    fleet.is_broken.store(false, Ordering::Relaxed);
    fleet.deliver(TWO, &waiting).await;
    assert_eq!((fleet.service.starts(), fleet.service.alerts().len()), (vec![id(&asked)], 1));
    assert!(fleet.spent(TWO).await.is_empty(), "none of them is in the group");
}

#[tokio::test(start_paused = true)]
async fn a_finding_about_a_policy_counts_in_each_group() {
    let fleet = Fleet::default();
    let mut of_policy = finding("finding-1");
    of_policy["nonCompliantResource"]["resourceIdentifier"] =
        json!({"policyVersionIdentifier": {"policyName": "P", "policyVersionId": "1"}});
    fleet.service.state().findings.insert("finding-1".into(), Some(of_policy));
    let asked = message(findings([1, 3]));
    fleet.deliver("[{ most: 2, within: 1h, group: pumps }]", &asked).await;
    assert_eq!((fleet.service.starts().len(), fleet.spent(TWO).await), (1, vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_share_is_one_of_the_group() {
    for (share, starts) in [("49%", false), ("50%", true)] {
        let fleet = Fleet::default();
        let budgets = format!("[{{ most: 1, orShare: {share}, within: 1h, group: pumps }}]");
        fleet.deliver(&budgets, &message(findings([2, 4]))).await;
        assert_eq!(fleet.service.starts().len() == 1, starts, "{share}");
    }
}

#[tokio::test(start_paused = true)]
async fn observing_counts_only_what_is_in_the_group() {
    let fleet = Fleet::default();
    fleet.deliver(TWO, &message(findings([2]))).await;
    let (fits, over) = (message(findings([1, 3, 4])), message(findings([5, 6, 8])));
    for asked in [&fits, &over] {
        fleet.under(Mode::Observe, TWO).message(&asked.to_string(), FAR).await.unwrap();
    }
    assert_eq!(fleet.of_task(&fits, "reason"), "");
    let why =
        "would be held: over the budget of 2 of group pumps in 1h: 1 of 2 are used, and this is for 2; there";
    assert!(fleet.of_task(&over, "reason").starts_with(why), "{}", fleet.of_task(&over, "reason"));
    assert_eq!(fleet.spent(TWO).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn beside_a_second_worker_at_any_call_the_group_is_safe() {
    let (one, other) = (message(findings(1..=4)), message(findings(5..=8)));
    for moment in Moment::all() {
        let fleet = Fleet::default();
        let function = fleet.under(Mode::Enforce, TWO);
        let bodies = (one.to_string(), other.to_string());
        let (first, second) = fleet
            .service
            .cloud
            .interleave(moment, function.message(&bodies.0, FAR), function.message(&bodies.1, FAR))
            .await;
        first.unwrap();
        let Some(second) = second else { break };
        second.unwrap();
        assert_eq!((fleet.service.starts().len(), fleet.spent(TWO).await), (1, vec![2]));
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_claims_at_once_spend_ten_of_the_group_and_none_more() {
    let service = Service::default();
    let mitigations = Mitigations::new(ledger(&service.cloud));
    let text = policy(Mode::Enforce, "[{ most: 10, within: 1h, group: pumps }]");
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let in_group: BTreeSet<String> =
        (1..=50).filter(|n| n % 2 == 0).map(|n| format!("finding-{n}")).collect();
    let spends: Vec<Spend> = policy
        .budgets()
        .iter()
        .map(|budget| Spend::new(budget, None).among(in_group.clone(), None))
        .collect();
    let mut claims = JoinSet::new();
    for n in 1..=50_u32 {
        let request: MitigationRequest =
            serde_json::from_value(message(findings([n]))["request"].clone()).unwrap();
        let (mitigations, spends) = (mitigations.clone(), spends.clone());
        claims.spawn(async move {
            let settled = Settled { spends: &spends, ..Settled::new(&request, State::Claimed) };
            (n % 2 == 0, mitigations.claim(&request, &settled, START).await.unwrap())
        });
    }
    let claims = claims.join_all().await;
    let of = |inside: bool, is: fn(&Claim<Target>) -> bool| {
        claims.iter().filter(|(of, claim)| *of == inside && is(claim)).count()
    };
    let taken = |claim: &Claim<Target>| matches!(claim, Claim::Taken(_));
    let held = |claim: &Claim<Target>| matches!(claim, Claim::Stopped(_));
    assert_eq!((of(true, taken), of(true, held), of(false, taken)), (10, 15, 25));
    let spent = mitigations.spent(policy.budgets(), START).await.unwrap();
    assert_eq!(spent[0].entries.iter().map(|entry| entry.count).sum::<u64>(), 10);
}
