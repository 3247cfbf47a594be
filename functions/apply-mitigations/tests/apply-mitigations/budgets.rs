//! Budgets: what goes over one is held as a whole, and no order of invocations and deaths spends more than there is.

use std::time::Duration;

use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::Spend;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::service::Service;
use crate::setup::ACTIONS;
use crate::setup::CHECK;
use crate::setup::FAR;
use crate::setup::findings;
use crate::setup::follow;
use crate::setup::id;
use crate::setup::ledger;
use crate::setup::message;
use crate::setup::under;

/// A policy with these budgets.
fn policy(mode: Mode, budgets: &str) -> String {
    let mode = if mode == Mode::Enforce { "enforce" } else { "observe" };
    let rule = format!(
        "name: expiring, match: {{ check: {CHECK} }}, mitigate: {{ actions: {ACTIONS:?}, devices: any }}"
    );
    format!("version: 1\nmode: {mode}\nbudgets: {budgets}\nrules:\n  - {{ {rule} }}\n")
}

const TEN: &str = "[{ most: 10, within: 1h }]";

async fn deliver(service: &Service, budgets: &str, message: &Value) {
    let function = under(service, &policy(Mode::Enforce, budgets));
    function.message(&message.to_string(), FAR).await.unwrap();
}

/// What is spent of the first budget of a policy: the count of each task.
async fn spent(service: &Service, budgets: &str) -> Vec<u64> {
    let policy = Policy::parse(policy(Mode::Enforce, budgets).as_bytes()).unwrap();
    let mitigations = Mitigations::new(ledger(&service.cloud));
    let spent = mitigations.spent(policy.budgets(), service.cloud.clock().now()).await.unwrap();
    spent[0].entries.iter().map(|entry| entry.count).collect()
}

fn reason(service: &Service, asked: &Value) -> String {
    service.attribute(&format!("mitigation#{}", id(asked)), "task", "reason")
}

#[tokio::test(start_paused = true)]
async fn what_goes_over_is_held_as_a_whole_and_starts_when_there_is_room() {
    let service = Service::default();
    let (one, other) = (message(findings(1..=6)), message(findings(7..=12)));
    deliver(&service, TEN, &one).await;
    service.cloud.pass_seconds(60);
    deliver(&service, TEN, &other).await;
    assert_eq!((service.starts(), service.task_state(&id(&other))), (vec![id(&one)], "held".into()));
    let why = "over the budget of 10 in 1h: 6 of 10 are used, and this is for 6; there is room from \
               2026-11-23T01:00:00Z on";
    assert_eq!(reason(&service, &other), why);
    let guards = service.attribute(&format!("mitigation#{}", id(&other)), "task", "guards");
    assert_eq!(guards, format!(r#"[{{"guard":"budget of 10 in 1h","passed":false,"reason":"{why}"}}]"#));
    let guards = service.attribute(&format!("mitigation#{}", id(&one)), "task", "guards");
    let answer = r#"{"guard":"budget of 10 in 1h","passed":true,"reason":"6 of 10 are used with this task"}"#;
    assert_eq!(guards, format!(r#"[{{"guard":"pause","passed":true}},{answer}]"#));
    assert_eq!(service.alerts().len(), 1);
    // A smaller one has room meanwhile.
    let small = message(findings(13..=16));
    deliver(&service, TEN, &small).await;
    assert_eq!(service.starts(), [id(&one), id(&small)]);
    let mut waits = service.take_queue().into_iter().find(|(_, waits)| waits["step"] != "follow").unwrap();
    while service.starts().len() == 2 {
        service.calls();
        service.cloud.pass_seconds(i64::try_from(waits.0).unwrap());
        deliver(&service, TEN, &waits.1).await;
        waits = service.take_queue().pop().unwrap();
        if service.starts().len() == 2 {
            // It takes its round, asks the switch and the budget, and sends itself.
            let calls = "TransactWriteItems GetItem BatchGetItem SendMessageBatch";
            assert_eq!(service.calls(), calls, "no finding is looked up");
        }
    }
    let now = service.cloud.clock().now();
    assert!(now >= START.plus_seconds(3600) && now <= START.plus_seconds(3600 + 60), "{now:?}");
    assert_eq!((service.starts().len(), service.alerts().len()), (3, 1), "people are told once");
    assert_eq!(spent(&service, TEN).await, [4, 6]);
}

/// Schedule: six invocations with three findings each, of which each dies at some call and comes again.
#[tokio::test(start_paused = true)]
async fn no_order_and_no_death_spends_more_than_there_is() {
    for round in 0..12 {
        let service = Service::default();
        let asked: Vec<Value> = (0..6).map(|n| message(findings(3 * n + 1..=3 * n + 3))).collect();
        for (n, message) in asked.iter().enumerate() {
            let (at, before) = ((round + n) % 12, (round + n) % 2 == 0);
            service.state().calls.clear();
            service.state().dies = Some((at, before));
            let function = under(&service, &policy(Mode::Enforce, TEN));
            let body = message.to_string();
            // Who dies answers nothing, and who meets what a dead one holds comes again.
            let _ = tokio::time::timeout(Duration::from_secs(9), function.message(&body, FAR)).await;
            service.state().dies = None;
            assert!(service.starts().len() <= 3);
        }
        // What a dead one holds is free again.
        service.cloud.pass_seconds(120);
        for message in asked.iter().rev() {
            deliver(&service, TEN, message).await;
        }
        assert_eq!(service.starts().len(), 3, "{round}: ten hold three times three");
        assert_eq!(spent(&service, TEN).await, [3, 3, 3]);
        // Each other one waits, and none is lost.
        let states: Vec<String> = asked.iter().map(|asked| service.task_state(&id(asked))).collect();
        let of = |state: &str| states.iter().filter(|of| *of == state).count();
        assert_eq!((of("started"), of("held")), (3, 3), "{states:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_second_worker_at_any_call_the_budget_holds() {
    let (one, other) = (message(findings(1..=6)), message(findings(7..=12)));
    for moment in Moment::all() {
        let service = Service::default();
        let function = under(&service, &policy(Mode::Enforce, TEN));
        let bodies = (one.to_string(), other.to_string());
        let (first, second) = service
            .cloud
            .interleave(moment, function.message(&bodies.0, FAR), function.message(&bodies.1, FAR))
            .await;
        first.unwrap();
        let Some(second) = second else { break };
        second.unwrap();
        assert_eq!((service.starts().len(), spent(&service, TEN).await), (1, vec![6]));
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_claims_at_once_spend_ten_and_none_more() {
    let service = Service::default();
    let mitigations = Mitigations::new(ledger(&service.cloud));
    let policy = Policy::parse(policy(Mode::Enforce, TEN).as_bytes()).unwrap();
    let spends: Vec<Spend> = policy.budgets().iter().map(|budget| Spend::new(budget, None)).collect();
    let mut claims = JoinSet::new();
    for n in 1..=50 {
        let request: MitigationRequest =
            serde_json::from_value(message(findings([n]))["request"].clone()).unwrap();
        let (mitigations, spends) = (mitigations.clone(), spends.clone());
        claims.spawn(async move {
            let settled = Settled { spends: &spends, ..Settled::new(&request, State::Claimed) };
            mitigations.claim(&request, &settled, START).await
        });
    }
    let claims = claims.join_all().await;
    let of = |is: fn(&Claim<Target>) -> bool| claims.iter().flatten().filter(|claim| is(claim)).count();
    let taken = of(|claim| matches!(claim, Claim::Taken(_)));
    let held = of(|claim| matches!(claim, Claim::Stopped(_)));
    assert_eq!((taken, held, spent(&service, TEN).await.len()), (10, 40, 10));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_effect_is_given_back() {
    let service = Service::default();
    let asked = message(findings(1..=6));
    deliver(&service, TEN, &asked).await;
    assert_eq!(spent(&service, TEN).await, [6]);
    // A repeat counts once.
    deliver(&service, TEN, &asked).await;
    assert_eq!(spent(&service, TEN).await, [6]);
    // Another process dies right before its start; then its rule is gone.
    let other = message(findings(7..=9));
    service
        .cloud
        .kill(Moment::after("TransactWriteItems", 0), async {
            deliver(&service, TEN, &other).await;
        })
        .await;
    assert_eq!((spent(&service, TEN).await, service.starts().len()), (vec![6, 3], 1));
    let without = "version: 1\nmode: enforce\nbudgets: [{ most: 10, within: 1h }]\nrules: []\n";
    service.cloud.pass_seconds(901);
    under(&service, without).message(&other.to_string(), FAR).await.unwrap();
    assert_eq!((service.task_state(&id(&other)), spent(&service, TEN).await), ("superseded".into(), vec![6]));
    deliver(&service, TEN, &follow(&asked)).await;
    assert_eq!(spent(&service, TEN).await, [6], "what runs is spent");
}

/// The second of two workers with the same message has a policy without the rule. It gives nothing back that the first one may
/// be about to start.
#[tokio::test(start_paused = true)]
async fn what_starts_is_spent_although_a_second_worker_does_not_want_it() {
    let asked = message(findings(1..=6));
    let without = "version: 1\nmode: enforce\nbudgets: [{ most: 10, within: 1h }]\nrules: []\n";
    let mut ended = [0, 0];
    for at in Moment::all() {
        let service = Service::default();
        let function = under(&service, without);
        let body = asked.to_string();
        let second = Box::pin(function.message(&body, FAR));
        let ((), second) =
            service.cloud.interleave(at, Box::pin(deliver(&service, TEN, &asked)), second).await;
        let Some(second) = second else { break };
        assert!(second.is_ok() || service.starts().len() == 1);
        let started = service.starts().len();
        let of_task = u64::try_from(started).unwrap() * 6;
        assert_eq!(spent(&service, TEN).await.iter().sum::<u64>(), of_task);
        ended[started] += 1;
    }
    assert!(ended[0] > 0 && ended[1] > 3, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn observing_says_what_would_be_held_and_spends_nothing() {
    let service = Service::default();
    deliver(&service, TEN, &message(findings(1..=6))).await;
    let asked = message(findings(7..=12));
    let observes = under(&service, &policy(Mode::Observe, TEN));
    observes.message(&asked.to_string(), FAR).await.unwrap();
    assert!(
        reason(&service, &asked).starts_with("would be held: over the budget of 10 in 1h: 6 of 10 are used")
    );
    assert_eq!(spent(&service, TEN).await, [6]);
}

#[tokio::test(start_paused = true)]
async fn what_no_budget_can_hold_says_so_and_what_lifts_them_starts_all() {
    let service = Service::default();
    let asked = message(findings(1..=11));
    deliver(&service, TEN, &asked).await;
    let why =
        "over the budget of 10 in 1h: 0 of 10 are used, and this is for 11; it never has room for so many";
    assert_eq!((service.task_state(&id(&asked)), reason(&service, &asked)), ("held".into(), why.into()));
    deliver(&service, "none", &service.take_queue()[0].1).await;
    assert_eq!(service.starts(), [id(&asked)]);
    // Other actions are of no concern.
    let service = Service::default();
    deliver(&service, "[{ most: 1, within: 1h, actions: Deactivate }]", &asked).await;
    assert_eq!(service.starts(), [id(&asked)]);
}

#[tokio::test(start_paused = true)]
async fn what_no_budget_can_hold_ends_when_the_policy_does_not_want_it_any_more() {
    let service = Service::default();
    let asked = message(findings(1..=11));
    deliver(&service, TEN, &asked).await;
    let mitigates = format!("mitigate: {{ actions: {ACTIONS:?}, devices: any }}");
    let reports = policy(Mode::Enforce, TEN).replace(&mitigates, "report: { silent: true }");
    assert_ne!(reports, policy(Mode::Enforce, TEN));
    under(&service, &reports).message(&service.take_queue()[0].1.to_string(), FAR).await.unwrap();
    assert_eq!(service.task_state(&id(&asked)), "superseded");
    assert_eq!(service.take_queue(), []);
}
