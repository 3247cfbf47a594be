//! `MitigationList`.

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::attribute;
use serde_json::Value;
use serde_json::json;

use crate::setup::AUDIT;
use crate::setup::LOGGING;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::alarms;
use crate::setup::findings;
use crate::setup::request;

/// A setup with a task each hour, from midnight on, in turn observed and refused; and one on alarms before them.
async fn setup(tasks: usize) -> (Setup, Vec<String>) {
    let setup = Setup::default();
    let mut ids = vec![setup.failed_alarms(&alarms(&["lamp-1"])).await];
    for n in 0..tasks {
        setup.cloud.pass_seconds(3600);
        let request = request(SHARED, &format!("rule-{n}"), &findings(&[&format!("f-{n}")]));
        let (state, reason) =
            if n % 2 == 0 { (State::Observed, None) } else { (State::Refused, Some("no such action")) };
        ids.push(setup.task(&request, state, reason).await);
    }
    ids.reverse();
    (setup, ids)
}

fn list(mut event: Value) -> Value {
    event["command"] = "MitigationList".into();
    event
}

#[tokio::test(start_paused = true)]
async fn the_newest_come_first_and_each_once_page_by_page() {
    let (setup, ids) = setup(5).await;
    for size in 1..=7 {
        let pages = setup.pages(list(json!({"maxResults": size})), "tasks", "taskId").await;
        assert!(pages.iter().all(|page| page.len() <= size), "{size}");
        assert_eq!(pages.concat(), ids, "{size}");
    }
    let listed = setup.ok(list(json!({"all": true}))).await;
    let newest = json!([listed["tasks"][0], listed["tasks"][1], listed["tasks"][5]]);
    insta::assert_json_snapshot!(newest, {"[].taskId" => "fw-…"});
}

#[tokio::test(start_paused = true)]
async fn a_state_and_a_period_choose() {
    let (setup, ids) = setup(5).await;
    let of = |more| setup.pages(list(more), "tasks", "taskId");
    let refused = of(json!({"state": "refused", "maxResults": 1})).await;
    assert_eq!(refused.concat(), [ids[1].clone(), ids[3].clone()]);
    let since =
        json!({"startTime": "2026-11-23T02:00:00Z", "endTime": "2026-11-23T03:30:00Z", "maxResults": 1});
    assert_eq!(of(since).await.concat(), ids[2..4]);
    assert_eq!(of(json!({"endTime": "2026-11-22"})).await.concat(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_decided_on_again_moves_to_its_new_moment() {
    let (setup, ids) = setup(2).await;
    setup.cloud.pass_seconds(7200);
    let again = request(SHARED, "rule-1", &findings(&["f-1"]));
    assert_eq!(setup.task(&again, State::Claimed, None).await, ids[0]);
    let listed = setup.ok(list(json!({}))).await;
    assert_eq!(
        (&listed["tasks"][0]["taskId"], &listed["tasks"][0]["state"]),
        (&json!(ids[0]), &json!("claimed"))
    );
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn of_an_audit_its_tasks_are_told_and_no_others() {
    let (setup, ids) = setup(4).await;
    let of = |more| setup.pages(list(more), "tasks", "taskId");
    let mut wanted = ids[..4].to_vec();
    wanted.sort_unstable();
    assert_eq!(of(json!({"auditTaskId": AUDIT, "maxResults": 3})).await.concat(), wanted);
    assert_eq!(of(json!({"auditTaskId": "another"})).await.concat(), [""; 0]);
    let mut refused = vec![ids[0].clone(), ids[2].clone()];
    refused.sort_unstable();
    assert_eq!(of(json!({"auditTaskId": AUDIT, "state": "refused"})).await.concat(), refused);
    let late = json!({"auditTaskId": AUDIT, "startTime": "2026-11-23T03:30:00Z"});
    assert_eq!(of(late).await.concat(), ids[..1]);
}

#[tokio::test(start_paused = true)]
async fn a_commands_task_on_two_checks_is_told_once() {
    let setup = Setup::default();
    let whole = json!({"wholeCheck": {"reasonCodes": [], "count": 1}});
    let id = setup.task(&request(LOGGING, "rule", &whole), State::Observed, None).await;
    let item = setup.ledger.get(&keys::mitigation(&id), "task").await.unwrap().unwrap();
    let target = json!({LOGGING: whole, SHARED: whole});
    setup.ledger.put(item.json(attribute::TARGET, &target)).await.unwrap();
    for check in [LOGGING, SHARED] {
        let found = Item::new(&keys::audit_task(AUDIT), &format!("mitigation#{check}#{id}"), setup.now());
        let found = found.text(attribute::TASK_ID, &id).text(attribute::CHECK, check);
        setup.ledger.put(found).await.unwrap();
    }
    for size in [1, 2] {
        let event = list(json!({"auditTaskId": AUDIT, "maxResults": size}));
        assert_eq!(setup.pages(event, "tasks", "taskId").await.concat(), std::slice::from_ref(&id), "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_names_no_task_is_passed_over() {
    let (setup, ids) = setup(2).await;
    let now = setup.now();
    for sk in ["mitigation#A", "mitigation#B"] {
        setup.ledger.put(Item::new(&keys::audit_task(AUDIT), sk, now)).await.unwrap();
    }
    let stranger = Item::new("stranger", "task", now).text(attribute::DECIDED_AT, "2026-11-23T01:30:00Z");
    setup.ledger.put(stranger).await.unwrap();
    for size in [1, 2, 3, 250] {
        let all = setup.pages(list(json!({"maxResults": size})), "tasks", "taskId").await;
        assert_eq!(all.concat(), ids, "{size}");
        let of_audit = list(json!({"auditTaskId": AUDIT, "maxResults": size}));
        assert_eq!(setup.pages(of_audit, "tasks", "taskId").await.concat().len(), 2, "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_time_it_says_so_and_never_that_there_is_no_more() {
    let (setup, _) = setup(2).await;
    let failure = setup.invoke_for(9, list(json!({}))).await.err().unwrap();
    assert_eq!(failure.name(), "OutOfTime");
}
