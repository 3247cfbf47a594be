//! One task for a whole check, beside tasks for some of its findings: no finding is in both, whatever policy comes in between.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::policy::Policy;
use serde_json::json;

use crate::pages::POLICY;
use crate::schedules::assert_decided_once;
use crate::schedules::drain;
use crate::schedules::three_pages;

/// A policy under which one task takes the whole check.
const WHOLE: &str = "version: 1\nbudgets: none\nmode: enforce\nrules: [{ name: all, match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }, mitigate: { actions: Deactivate, devices: any } }]";

#[tokio::test]
async fn one_task_for_the_whole_check_takes_nothing_that_another_policy_has_decided_otherwise_on() {
    let (mut fixture, body, task, count) = three_pages();
    fixture.handler.policy = Policy::parse(WHOLE.as_bytes()).unwrap();
    fixture.step.store(100_000, Ordering::Relaxed);
    fixture.deliver(&body).await.unwrap();
    let rest = fixture.sent("check").pop().unwrap();
    assert!(!rest["resume"]["reasonCodes"].as_array().unwrap().is_empty());
    // Another policy is deployed, and then the first one again.
    fixture.handler.policy = Policy::parse(POLICY.as_bytes()).unwrap();
    fixture.deliver(&rest.to_string()).await.unwrap();
    let restarted = fixture.sent("check").pop().unwrap();
    assert_eq!((&restarted["resume"]["byId"], &restarted["resume"]["page"]), (&json!(true), &json!(0)));
    fixture.handler.policy = Policy::parse(WHOLE.as_bytes()).unwrap();
    fixture.step.store(0, Ordering::Relaxed);
    drain(&fixture, &restarted.to_string()).await;
    assert_decided_once(&fixture, &task, count, "");
    let named: BTreeSet<String> = fixture
        .sent("mitigation")
        .iter()
        .flat_map(|message| message["request"]["target"]["findings"].as_array().unwrap().clone())
        .map(|finding| finding["findingId"].to_string())
        .collect();
    assert_eq!(named.len() as u64, count, "each goes by its id");
}

#[tokio::test]
async fn what_a_task_for_the_whole_check_may_have_is_not_mitigated_by_id_by_a_repeat_under_another_policy() {
    let other = format!("{WHOLE}\n# Another one, which decides alike.");
    // The first policy has decided on all pages; or the second one has on the last, so that the check is restarted.
    for (first, second) in [(WHOLE, other.as_str()), (other.as_str(), WHOLE)] {
        for at in Moment::all() {
            let (mut fixture, body, _, count) = three_pages();
            fixture.handler.policy = Policy::parse(WHOLE.as_bytes()).unwrap();
            fixture.step.store(100_000, Ordering::Relaxed);
            fixture.deliver(&body).await.unwrap();
            fixture.step.store(0, Ordering::Relaxed);
            let rest = fixture.sent("check").pop().unwrap().to_string();
            fixture.handler.policy = Policy::parse(first.as_bytes()).unwrap();
            let ended = fixture.cloud.kill(at.clone(), fixture.deliver(&rest)).await;
            fixture.handler.policy = Policy::parse(second.as_bytes()).unwrap();
            fixture.cloud.pass_seconds(600);
            drain(&fixture, &rest).await;
            let mut named = BTreeSet::new();
            let mut is_whole = false;
            for message in fixture.sent("mitigation") {
                let target = &message["request"]["target"];
                is_whole |= !target["findings"].is_array();
                for finding in target["findings"].as_array().into_iter().flatten() {
                    named.insert(finding["findingId"].to_string());
                }
            }
            assert!(
                !is_whole || named.is_empty(),
                "{at:?}: one task has all, and others {} of it",
                named.len()
            );
            assert!(is_whole || named.len() as u64 == count || named.is_empty(), "{at:?}");
            if ended.is_some() {
                break;
            }
        }
    }
}

/// Tasks of some findings are full, and sent, before their page counts as done.
#[tokio::test]
async fn what_was_sent_by_id_is_not_in_a_task_for_the_whole_check_of_a_repeat_under_another_policy() {
    let by_id = WHOLE.replace("budgets: none", "budgets: [{ most: 10, within: 1h }]");
    // Right after a call is right before the next one.
    for at in Moment::all().step_by(2) {
        let (mut fixture, body, _, count) = three_pages();
        fixture.handler.policy = Policy::parse(by_id.as_bytes()).unwrap();
        let ended = fixture.cloud.kill(at.clone(), fixture.deliver(&body)).await;
        let is_sent = !fixture.sent("mitigation").is_empty();
        fixture.handler.policy = Policy::parse(WHOLE.as_bytes()).unwrap();
        fixture.cloud.pass_seconds(600);
        drain(&fixture, &body).await;
        let sent = fixture.sent("mitigation");
        let targets = sent.iter().map(|message| &message["request"]["target"]);
        let (some, whole): (Vec<_>, Vec<_>) = targets.partition(|target| target["findings"].is_array());
        assert!(
            some.is_empty() || whole.is_empty(),
            "{at:?}: one task has all, and {} some of it",
            some.len()
        );
        let named = some.iter().flat_map(|target| target["findings"].as_array().unwrap());
        let named: BTreeSet<String> = named.map(|finding| finding["findingId"].to_string()).collect();
        assert!(!whole.is_empty() || named.len() as u64 == count, "{at:?}");
        assert!(!is_sent || whole.is_empty(), "{at:?}");
        if ended.is_some() {
            break;
        }
    }
}
