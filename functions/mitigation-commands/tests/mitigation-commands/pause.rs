//! `MitigationPause` and `MitigationResume`.

use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use serde_json::Value;
use serde_json::json;

use crate::setup::LOGGING;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::alarms;
use crate::setup::findings;
use crate::setup::request;

fn pause(reason: &str) -> Value {
    json!({"command": "MitigationPause", "reason": reason, "by": "mia"})
}

#[tokio::test(start_paused = true)]
async fn a_pause_says_what_waits_and_how_to_cancel_what_runs() {
    let setup = Setup::default();
    setup.ended(&request(SHARED, "over", &findings(&["f-0"])), State::Completed, &json!({})).await;
    setup.task(&request(SHARED, "observed", &findings(&["f-1"])), State::Observed, None).await;
    setup.task(&request(SHARED, "held", &findings(&["f-2"])), State::Held, Some("a window")).await;
    setup.task(&request(LOGGING, "claimed", &findings(&["f-3"])), State::Claimed, None).await;
    let runs = setup.task(&request(SHARED, "runs", &findings(&["f-4", "f-5"])), State::Claimed, None).await;
    setup.mitigations.started(&runs, setup.now()).await.unwrap();
    let of_alarms = alarms(&["lamp-1"]);
    setup
        .mitigations
        .claim(&of_alarms, &Settled::new(&of_alarms, State::Claimed), setup.now())
        .await
        .unwrap();
    setup.mitigations.started(&of_alarms.task_id(), setup.now()).await.unwrap();

    let mut dry = pause("bad rollout");
    dry["dryRun"] = true.into();
    let would = setup.ok(dry).await;
    assert_eq!(setup.mitigations.pause().await.unwrap(), None);
    let mut paused = setup.ok(pause("bad rollout")).await;
    assert_eq!((&would["dryRun"], &would["waiting"]), (&json!(true), &paused["waiting"]));
    assert!(setup.mitigations.pause().await.unwrap().is_some());
    // Tasks of one second stand in the order of their ids.
    for list in ["waiting", "running"] {
        paused[list].as_array_mut().unwrap().sort_by_key(|task| task["rule"].to_string());
    }
    for task in ["waiting", "running"].iter().flat_map(|list| paused[list].as_array().unwrap()) {
        let (id, cancel) = (task["taskId"].as_str().unwrap(), task["cancel"].as_str());
        assert!(cancel.is_none_or(|cancel| cancel.ends_with(id)), "{task}");
    }
    insta::assert_json_snapshot!(paused, {".**.taskId" => "fw-…", ".**.cancel" => insta::dynamic_redaction(|cancel, _| {
        cancel.as_str().unwrap().rsplit_once(' ').unwrap().0.to_owned()
    })});
    let resumed = setup.ok(json!({"command": "MitigationResume"})).await;
    assert_eq!((&resumed["paused"], &resumed["pause"]), (&json!(false), &paused["pause"]));
    let again = setup.ok(json!({"command": "MitigationResume"})).await;
    assert_eq!(again.get("pause"), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_claims_nothing_and_what_is_resumed_does() {
    let setup = Setup::default();
    let request = request(SHARED, "rule", &findings(&["f-1"]));
    setup.task(&request, State::Held, None).await;
    setup.ok(pause("bad rollout")).await;
    let claimed = Settled::new(&request, State::Claimed);
    let claim = setup.mitigations.claim(&request, &claimed, setup.now()).await.unwrap();
    let Claim::Stopped(stop) = claim else { panic!("{claim:?}") };
    assert_eq!(stop.reason(), "mitigation is paused since 2026-11-23T00:00:00Z by mia: bad rollout");
    let of_alarms = alarms(&["lamp-1"]);
    let settled = Settled::new(&of_alarms, State::Claimed);
    let claim = setup.mitigations.claim(&of_alarms, &settled, setup.now()).await.unwrap();
    assert!(matches!(claim, Claim::Stopped(_)), "{claim:?}");
    setup.ok(json!({"command": "MitigationResume", "reason": "fixed"})).await;
    let claim = setup.mitigations.claim(&request, &claimed, setup.now()).await.unwrap();
    assert_eq!(claim, Claim::Taken(request.target.clone()));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_full_says_that_there_is_more() {
    let setup = Setup::default();
    for n in 0..260 {
        setup
            .task(&request(SHARED, &format!("rule-{n}"), &findings(&[&format!("f-{n}")])), State::Held, None)
            .await;
    }
    let paused = setup.ok(pause("bad rollout")).await;
    assert_eq!((paused["waiting"].as_array().unwrap().len(), &paused["more"]), (250, &json!(true)));
}
