//! `MitigationShow`.

use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::testing::Answer;
use serde_json::Value;
use serde_json::json;

use crate::setup::LOGGING;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::alarms;
use crate::setup::findings;
use crate::setup::request;

fn show(id: &str) -> Value {
    json!({"command": "MitigationShow", "taskId": id})
}

#[tokio::test(start_paused = true)]
async fn of_a_failed_task_every_finding_is_told_and_those_first_that_did_not_succeed() {
    let setup = Setup::default();
    let request = request(SHARED, "quarantine-shared", &findings(&["f-1", "f-2", "f-3", "f-4"]));
    let outcomes = json!({SHARED: {"total": 4, "succeeded": 2, "failed": 1, "skipped": 0, "canceled": 1}});
    let id = setup.ended(&request, State::Failed, &outcomes).await;
    for (finding, state) in [("f-1", "completed"), ("f-2", "completed"), ("f-3", "failed")] {
        setup.result(&id, SHARED, finding, state).await;
    }
    let shown = setup.ok(show(&id)).await;
    insta::assert_json_snapshot!(shown, {".task.taskId" => "fw-…"});
    assert_eq!(shown["task"]["taskId"], id);
}

#[tokio::test(start_paused = true)]
async fn of_a_whole_check_every_result_comes_once_page_by_page() {
    let setup = Setup::default();
    let target = json!({"wholeCheck": {"reasonCodes": ["LOGGING_DISABLED"], "count": 260}});
    let id = setup.ended(&request(LOGGING, "log", &target), State::Failed, &json!({})).await;
    for n in 0..260 {
        let state = if n % 100 == 7 { "failed" } else { "completed" };
        setup.result(&id, LOGGING, &format!("f-{n:03}"), state).await;
    }
    for size in [1, 2, 100, 250] {
        let mut event = show(&id);
        event["maxResults"] = size.into();
        let pages = setup.pages(event, "findings", "findingId").await;
        assert!(pages.iter().all(|page| page.len() <= size), "{size}");
        let all = pages.concat();
        assert_eq!(all[..3], ["f-007", "f-107", "f-207"], "{size}");
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!((all.len(), once.len()), (260, 260), "{size}");
    }
    let all = setup.ok(json!({"command": "mitigation-show", "taskId": id, "all": true})).await;
    assert_eq!((all["findings"].as_array().unwrap().len(), all.get("nextToken")), (260, None));
    assert_eq!(all["task"]["checks"][LOGGING]["wholeCheck"], true);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_did_not_start_names_its_findings_and_why() {
    let setup = Setup::default();
    for (state, reason) in [
        (State::Observed, None),
        (State::Held, Some("the window is shut")),
        (State::Superseded, Some("audit 2 is later")),
        (State::Refused, Some("no such action")),
    ] {
        let [one, two] = ["1", "2"].map(|n| format!("{}-{n}", state.as_str()));
        let request = request(SHARED, "rule", &findings(&[&two, &one]));
        let id = setup.task(&request, state, reason).await;
        let shown = setup.ok(show(&id)).await;
        assert_eq!(shown["task"]["state"], state.as_str());
        assert_eq!(shown["task"].get("reason").and_then(Value::as_str), reason);
        let told: Vec<_> =
            shown["findings"].as_array().unwrap().iter().map(|of| (&of["findingId"], &of["state"])).collect();
        let state = json!(state.as_str());
        assert_eq!(told, [(&json!(one), &state), (&json!(two), &state)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_result_is_paged_as_well_and_is_unknown_once_the_task_has_ended() {
    let setup = Setup::default();
    let request = request(SHARED, "quarantine", &findings(&["f-3", "f-1", "f-2"]));
    let id = setup.ended(&request, State::Completed, &json!({})).await;
    setup.result(&id, SHARED, "f-2", "completed").await;
    let mut event = show(&id);
    event["maxResults"] = 1.into();
    assert_eq!(setup.pages(event.clone(), "findings", "findingId").await.concat(), ["f-2", "f-1", "f-3"]);
    assert_eq!(setup.pages(event, "findings", "state").await.concat(), ["completed", "unknown", "unknown"]);
}

#[tokio::test(start_paused = true)]
async fn of_alarms_each_thing_is_told_with_its_groups_and_their_release() {
    let setup = Setup::default();
    let id = setup.failed_alarms(&alarms(&["lamp-1", "lamp-2", "lamp\u{1b}[2J"])).await;
    for (thing, state, status) in [("lamp-1", "completed", "SUCCESSFUL"), ("lamp-2", "failed", "FAILED")] {
        let groups: &[&str] = if state == "completed" { &["quarantine"] } else { &[] };
        let violation = format!("v-{thing}");
        let error = (state == "failed").then_some("ThrottlingException");
        let item = setup
            .item(&id, &format!("violation#{violation}"))
            .text(attribute::VIOLATION_ID, &violation)
            .text(attribute::THING, thing)
            .number(attribute::RAISED_AT, 1_795_337_100_000)
            .text(attribute::STATE, state)
            .json(
                attribute::ACTIONS,
                &json!([{"action": "Quarantine", "status": status, "errorCode": error}]),
            )
            .json(attribute::GROUPS, &groups);
        setup.ledger.put(item).await.unwrap();
    }
    let release = setup.item(&id, "release#v-lamp-1").text(attribute::VIOLATION_ID, "v-lamp-1");
    setup.ledger.put(release.text(attribute::RELEASE, "released")).await.unwrap();
    insta::assert_json_snapshot!(setup.ok(show(&id)).await, {".task.taskId" => "fw-…"});
}

#[tokio::test(start_paused = true)]
async fn a_short_time_gives_what_there_is_and_a_token() {
    let setup = Setup::default();
    let target = json!({"wholeCheck": {"reasonCodes": [], "count": 5}});
    let id = setup.ended(&request(LOGGING, "log", &target), State::Completed, &json!({})).await;
    for n in 0..5 {
        setup.result(&id, LOGGING, &format!("f-{n}"), "completed").await;
    }
    let short = setup.invoke_for(9, show(&id)).await.unwrap();
    assert_eq!((short.get("findings"), short["nextToken"].as_str()), (None, Some("bad:")));
    let mut rest = show(&id);
    rest["nextToken"] = short["nextToken"].clone();
    assert_eq!(setup.ok(rest).await["findings"].as_array().unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_there_and_a_ledger_that_does_not_answer_have_names() {
    let setup = Setup::default();
    let none = setup.fails(show("fw-none")).await;
    assert!(none.starts_with("NoMitigation\nthe ledger has no mitigation task 'fw-none'"), "{none}");
    setup.cloud.fail("GetItem", 3, Answer::broken());
    assert!(setup.fails(show("fw-none")).await.starts_with("InternalServerError\n"));
}
