//! `MitigationApprove`, `MitigationReject` and `MitigationCancel`: what each answers in every state, once and again.

use fleetwarden_aws::mitigations::Asking;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::model::mitigation::approval::ExplainedAction;
use fleetwarden_core::model::mitigation::approval::Explanation;
use fleetwarden_core::model::mitigation::approval::Need;
use fleetwarden_core::model::mitigation::approval::Reason;
use fleetwarden_core::model::mitigation::grade::Grade;
use serde_json::Value;
use serde_json::json;

use crate::setup::QUEUE;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::alarms;
use crate::setup::findings;
use crate::setup::request;

fn explanation(parts: &[&str]) -> Explanation {
    Explanation {
        reasons: vec![Reason { need: Need::Always, why: "the rule asks for an approval always".into() }],
        actions: vec![ExplainedAction {
            name: "Quarantine".into(),
            does: "ADD_THINGS_TO_THING_GROUP thingGroupNames=q overrideDynamicGroups=false".into(),
            grade: Grade::Reversible,
        }],
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        count: parts.len() as u64,
        policy: Some("5f0c1d8e6a7b42939c0e1f2a3b4c5d6e".into()),
        ..Explanation::default()
    }
}

fn asked() -> MitigationRequest {
    request(SHARED, "rule", &findings(&["f-1", "f-2"]))
}

impl Setup {
    /// A rule's task that waits for an approval for an hour.
    async fn waiting(&self, request: &MitigationRequest) -> String {
        let id = request.task_id();
        let message = MitigationMessage::new(request.clone(), Step::Start);
        self.ask(&id, Some(serde_json::to_string(&message).unwrap()), None).await;
        self.task(request, State::Held, Some("waits for approval")).await
    }

    async fn ask(&self, id: &str, message: Option<String>, requested_by: Option<&str>) {
        let asking = Asking {
            explanation: explanation(&["f-1", "f-2"]),
            within_seconds: 3600,
            requested_by: requested_by.map(ToOwned::to_owned),
            message,
        };
        assert!(self.mitigations.ask(id, &asking, None, self.now()).await.unwrap());
    }

    fn state(&self, id: &str, sk: &str) -> String {
        let item = self.cloud.item(&format!("mitigation#{id}"), sk).unwrap();
        item["state"].as_str().unwrap().to_owned()
    }

    fn sent(&self) -> Vec<Value> {
        self.cloud.sent_to(QUEUE).iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }
}

fn say(command: &str, id: &str, by: &str) -> Value {
    json!({"command": format!("Mitigation{command}"), "taskId": id, "by": by, "reason": "I know these"})
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_written_and_its_message_goes_on_at_once() {
    let setup = Setup::default();
    let id = setup.waiting(&asked()).await;
    let mut dry = say("Approve", &id, "mia");
    dry["dryRun"] = true.into();
    assert_eq!(
        (setup.ok(dry).await["dryRun"].clone(), setup.state(&id, "approval")),
        (json!(true), "waiting".into())
    );
    assert!(setup.sent().is_empty());
    let approved = setup.ok(say("Approve", &id, "mia")).await;
    insta::assert_json_snapshot!(approved, {".taskId" => "fw-…"});
    assert_eq!((setup.state(&id, "approval"), setup.state(&id, "task")), ("approved".into(), "held".into()));
    let sent = setup.sent();
    assert_eq!((&sent[0]["step"], &sent[0]["round"]["number"]), (&json!("start"), &json!(1)));
    let message: MitigationMessage = serde_json::from_value(sent[0].clone()).unwrap();
    assert_eq!(message.request.task_id(), id);
    // The same words again, as after a lost answer: the same, and the message is sent again.
    let again = setup.ok(say("Approve", &id, "mia")).await;
    assert_eq!(
        (&again["repeated"], &again["approval"], setup.sent().len()),
        (&json!(true), &approved["approval"], 2)
    );
    let other = setup.fails(say("Approve", &id, "kim")).await;
    let told = format!(
        "AlreadyApproved\nmitigation task '{id}' is approved already: at 2026-11-23T00:00:00Z, by mia, because: I know these"
    );
    assert_eq!(other, told);
    let shown = setup.ok(json!({"command": "MitigationShow", "taskId": id})).await;
    assert_eq!(shown["approval"], approved["approval"]);
}

#[tokio::test(start_paused = true)]
async fn each_wrong_moment_has_its_own_answer() {
    let setup = Setup::default();
    let name = |failure: String| failure.lines().next().unwrap().to_owned();
    let of = async |command, id: &str| name(setup.fails(say(command, id, "mia")).await);
    assert_eq!(of("Approve", "fw-unknown").await, "NoMitigation");
    assert_eq!(of("Reject", "fw-unknown").await, "NoMitigation");
    // Held by a window.
    let held = setup.task(&request(SHARED, "held", &findings(&["f-7"])), State::Held, Some("a window")).await;
    assert_eq!(of("Approve", &held).await, "NotWaiting");
    for state in [State::Observed, State::Superseded, State::Refused] {
        let id = setup
            .task(
                &request(SHARED, state.as_str(), &findings(&[&format!("f-{}", state.as_str())])),
                state,
                None,
            )
            .await;
        assert_eq!(
            (of("Approve", &id).await, of("Reject", &id).await),
            ("NotWaiting".into(), "NotWaiting".into())
        );
        assert_eq!(of("Cancel", &id).await, "NothingToCancel");
    }
    let runs = setup.task(&request(SHARED, "runs", &findings(&["f-9"])), State::Claimed, None).await;
    assert_eq!(of("Reject", &runs).await, "MitigationRuns");
    // After a rejection.
    let id = setup.waiting(&asked()).await;
    setup.ok(say("Reject", &id, "mia")).await;
    assert_eq!(of("Approve", &id).await, "AlreadyRejected");
    assert_eq!(name(setup.fails(say("Reject", &id, "kim")).await), "AlreadyRejected");
    assert_eq!(setup.ok(say("Reject", &id, "mia")).await["repeated"], true);
    // What was explained has changed since it was read.
    let id = setup.waiting(&request(SHARED, "changed", &findings(&["f-21", "f-22"]))).await;
    let mut approve = say("Approve", &id, "mia");
    approve["explanation"] = "0123456789ab".into();
    assert_eq!(name(setup.fails(approve.clone()).await), "ExplanationChanged");
    approve["explanation"] = explanation(&["f-1", "f-2"]).id().into();
    assert_eq!(setup.ok(approve).await["state"], "held");
    assert_eq!(
        name(setup.fails(json!({"command": "MitigationApprove", "taskId": id})).await),
        "InvalidInput"
    );
}

#[tokio::test(start_paused = true)]
async fn after_its_time_an_approval_comes_too_late_and_says_so_again() {
    let setup = Setup::default();
    let id = setup.waiting(&asked()).await;
    setup.cloud.pass_seconds(3600);
    for _ in 0..2 {
        let failed = setup.fails(say("Approve", &id, "mia")).await;
        assert!(failed.starts_with("ApprovalLapsed\n") && failed.ends_with("it is rejected"), "{failed}");
        assert_eq!(
            (setup.state(&id, "approval"), setup.state(&id, "task")),
            ("lapsed".into(), "rejected".into())
        );
    }
    assert!(setup.fails(say("Reject", &id, "mia")).await.starts_with("ApprovalLapsed\n"));
    assert!(setup.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_it_is_paused_an_approval_counts_and_says_what_stops_it() {
    let setup = Setup::default();
    let id = setup.waiting(&asked()).await;
    setup.ok(json!({"command": "MitigationPause", "reason": "a bad rollout"})).await;
    let approved = setup.ok(say("Approve", &id, "mia")).await;
    assert_eq!(approved["pause"]["reason"], "a bad rollout");
    assert!(approved["next"].as_str().unwrap().ends_with("it starts when it is resumed"));
}

#[tokio::test(start_paused = true)]
async fn who_asked_for_a_commands_task_cannot_approve_it() {
    let setup = Setup::default();
    let id = setup.task(&asked(), State::Held, None).await;
    setup.ask(&id, None, Some("mia")).await;
    let failed = setup.fails(say("Approve", &id, "mia")).await;
    assert!(failed.starts_with("SamePerson\n"), "{failed}");
    let approved = setup.ok(say("Approve", &id, "kim")).await;
    assert!(approved["next"].as_str().unwrap().starts_with("give the command again"));
    assert!(setup.sent().is_empty(), "no message starts what a command asks for");
}

#[tokio::test(start_paused = true)]
async fn a_task_on_alarms_goes_on_in_its_own_chain() {
    let setup = Setup::default();
    let request: AlarmMitigationRequest = alarms(&["lamp-1"]);
    let id = request.task_id();
    let message = AlarmMitigationMessage::new(request.clone(), AlarmStep::Start);
    setup.ask(&id, Some(serde_json::to_string(&message).unwrap()), None).await;
    let held = fleetwarden_aws::mitigations::Settled::new(&request, State::Held);
    setup.mitigations.set_aside(&request, &held, setup.now()).await.unwrap();
    setup.ok(say("Approve", &id, "mia")).await;
    let sent: AlarmMitigationMessage = serde_json::from_value(setup.sent()[0].clone()).unwrap();
    assert_eq!((sent.alarms.task_id(), sent.round.unwrap().number.get()), (id, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_canceled_by_a_rejection_and_what_runs_at_the_service() {
    let setup = Setup::default();
    let held = setup.task(&request(SHARED, "held", &findings(&["f-7"])), State::Held, Some("a window")).await;
    let canceled = setup.ok(say("Cancel", &held, "mia")).await;
    assert_eq!((&canceled["state"], setup.state(&held, "task")), (&json!("rejected"), "rejected".into()));
    assert_eq!(setup.ok(say("Cancel", &held, "mia")).await["repeated"], true);
    let shown = setup.ok(json!({"command": "MitigationShow", "taskId": held})).await;
    assert_eq!((&shown["approval"]["by"], &shown["task"]["reason"]), (&json!("mia"), &json!("I know these")));
    let of_alarms = alarms(&["lamp-1"]);
    let claimed = fleetwarden_aws::mitigations::Settled::new(&of_alarms, State::Claimed);
    setup.mitigations.claim(&of_alarms, &claimed, setup.now()).await.unwrap();
    let runs = setup.task(&request(SHARED, "runs", &findings(&["f-9"])), State::Claimed, None).await;
    let about_to = setup.fails(say("Cancel", "unknown", "mia")).await;
    assert!(about_to.starts_with("NoMitigation"));
    for id in [runs, of_alarms.task_id()] {
        setup.mitigations.started(&id, setup.now()).await.unwrap();
        setup.tasks.lock().unwrap().insert(id.clone());
        let mut dry = say("Cancel", &id, "mia");
        dry["dryRun"] = true.into();
        assert_eq!(setup.ok(dry).await["dryRun"], true);
        assert!(setup.tasks.lock().unwrap().contains(&id));
        let canceled = setup.ok(say("Cancel", &id, "mia")).await;
        assert_eq!((&canceled["state"], canceled.get("repeated")), (&json!("canceling"), None));
        assert!(!setup.tasks.lock().unwrap().contains(&id));
        let again = setup.ok(say("Cancel", &id, "mia")).await;
        assert_eq!((&again["state"], &again["repeated"]), (&json!("canceling"), &json!(true)));
        let record = setup.cloud.item(&format!("mitigation#{id}"), "cancel").unwrap();
        assert_eq!((&record["by"], &record["reason"]), (&json!("mia"), &json!("I know these")));
    }
    // It has ended, and nobody has written that yet.
    let ended = setup.task(&request(SHARED, "ended", &findings(&["f-10"])), State::Claimed, None).await;
    setup.mitigations.started(&ended, setup.now()).await.unwrap();
    assert!(setup.fails(say("Cancel", &ended, "mia")).await.starts_with("NothingToCancel\n"));
}

/// Schedule: the process dies at any call, and the person says it again.
#[tokio::test(start_paused = true)]
async fn a_death_at_any_call_and_the_same_words_again_are_one_word() {
    for command in ["Approve", "Reject", "Cancel"] {
        for (at, moment) in Moment::all().enumerate() {
            let setup = Setup::default();
            let id = setup.waiting(&asked()).await;
            let died =
                setup.cloud.kill(moment, Box::pin(setup.invoke_for(60, say(command, &id, "mia")))).await;
            if died.is_some() {
                assert!(at > 4, "{command}");
                break;
            }
            let answer = setup.ok(say(command, &id, "mia")).await;
            let (state, standing) =
                if command == "Approve" { ("held", "approved") } else { ("rejected", "rejected") };
            assert_eq!(
                (answer["state"].as_str().unwrap(), setup.state(&id, "approval")),
                (state, standing.into())
            );
            assert_eq!(setup.state(&id, "task"), state);
            assert!(command != "Approve" || !setup.sent().is_empty(), "{at}: its message goes on");
        }
    }
    // A lost answer is no second word.
    let setup = Setup::default();
    let id = setup.waiting(&asked()).await;
    setup.cloud.lose("TransactWriteItems", Answer::broken());
    let approved = setup.ok(say("Approve", &id, "mia")).await;
    assert_eq!((approved.get("repeated"), setup.sent().len()), (None, 1));
}

/// Schedule: two persons at once, at any call.
#[tokio::test(start_paused = true)]
async fn of_two_words_at_once_one_counts() {
    for other in ["Approve", "Reject"] {
        for moment in Moment::all() {
            let setup = Setup::default();
            let id = setup.waiting(&asked()).await;
            let first = Box::pin(setup.invoke_for(60, say("Approve", &id, "mia")));
            let second = Box::pin(setup.invoke_for(60, say(other, &id, "kim")));
            let (first, second) = setup.cloud.interleave(moment, first, second).await;
            let Some(second) = second else { break };
            let approved = first.is_ok();
            if other == "Approve" {
                assert_eq!(u8::from(approved) + u8::from(second.is_ok()), 1, "one of two approves");
                assert_eq!(setup.state(&id, "approval"), "approved");
            } else {
                // What is approved and has not started can be taken back.
                assert!(second.is_ok());
                assert_eq!(setup.state(&id, "task"), "rejected");
            }
        }
    }
}
