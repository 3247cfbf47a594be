//! Messages that are not from where they say: a message is a request and no permission.

use aws_sdk_iot::types::DetectMitigationActionsTaskTarget;
use fleetwarden_aws::mitigations::Guarded;
use fleetwarden_aws::mitigations::WholeClaim;
use fleetwarden_aws::mitigations::before::BeforeRead;
use fleetwarden_aws::states::States;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::model::mitigation::before::Befores;

use super::*;

fn request(message: &Value) -> AlarmMitigationRequest {
    serde_json::from_value(message["alarms"].clone()).unwrap()
}

/// As a command asks.
fn command(violations: impl IntoIterator<Item = u32>) -> Value {
    let mut asked = message(violations);
    let alarms = asked["alarms"].as_object_mut().unwrap();
    alarms.remove("rule");
    alarms.remove("policy");
    alarms.insert("command".into(), json!("by-hand"));
    asked
}

/// Starts a task as a command does.
async fn start_task(detect: &Detect, request: &AlarmMitigationRequest) {
    let ids = request.violations.iter().map(|violation| violation.violation_id.clone()).collect();
    let target = DetectMitigationActionsTaskTarget::builder().set_violation_ids(Some(ids)).build();
    let iot = detect.iot();
    let start = iot
        .start_detect_mitigation_actions_task()
        .task_id(request.task_id())
        .client_request_token(request.task_id())
        .target(target)
        .set_actions(Some(request.actions.clone()))
        .include_only_active_violations(true)
        .include_suppressed_alerts(true);
    Box::pin(start.send()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_ours_is_refused_and_parked() {
    let many: Vec<u32> = (1..=26).collect();
    for wrong in [
        with(message([1]), "/alarms/account", "210987654321"),
        with(message([1]), "/alarms/region", "eu-west-1"),
        with(message([1]), "/alarms/violations/0/violationId", "v#1"),
        with(message([1]), "/alarms/violations", json!([])),
        with(message([1]), "/alarms/actions", json!([])),
        with(message([1]), "/alarms/actions", json!(["a/b"])),
        message(many),
        command([1]),
        json!({"alarms": {}, "step": "start"}),
    ] {
        let detect = Detect::with_alarms(1).await;
        let refused = deliver(&detect, &wrong).await.unwrap_err();
        assert!(refused.is_permanent(), "{wrong}");
        assert!(detect.starts().is_empty() && detect.claim("v-1").1.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_ledger_does_not_say_is_not_mitigated() {
    for wrong in [
        with(message([1]), "/alarms/violations/0/violationId", "v-7"),
        with(message([1]), "/alarms/violations/0/thing", "camera-2"),
        with(message([1]), "/alarms/violations/0/raisedAt", START.0 + 1),
        with(message([1]), "/alarms/behavior", "offline"),
        with(message([1]), "/alarms/profile", "all"),
        with(message([1]), "/alarms/rule", "offline"),
        with(message([1]), "/alarms/actions", json!(["Quarantine"])),
    ] {
        let detect = Detect::with_alarms(2).await;
        deliver(&detect, &wrong).await.unwrap();
        assert!(detect.starts().is_empty(), "{wrong}");
        // What is true is not in its way.
        deliver(&detect, &message([1])).await.unwrap();
        assert_eq!(detect.starts(), [id(&message([1]))], "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_follow_up_or_release_of_what_was_not_started_changes_nothing() {
    let detect = Detect::with_alarms(1).await;
    for step_of in ["follow", "release"] {
        deliver(&detect, &step(&message([1]), step_of)).await.unwrap();
    }
    // The claim of a command may come after its follow-up, and not after a release.
    deliver(&detect, &step(&command([1]), "follow")).await.unwrap();
    assert_eq!(detect.take_queue().len(), 1);
    assert!(deliver(&detect, &step(&command([1]), "release")).await.unwrap_err().is_permanent());
    assert!(detect.take_queue().is_empty() && detect.task_state(&id(&message([1]))).is_empty());
    // Nor one that says otherwise what is to be released when.
    let asked = with(message([1]), "/alarms/releaseAfterSeconds", 0);
    let release = detect.mitigate(&asked).await.unwrap();
    detect.clear("v-1", "camera-1", "messages").await;
    let release = with(release, "/alarms/violations/0/thing", "camera-2");
    deliver(&detect, &release).await.unwrap();
    assert!(detect.state().removals.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_command_has_claimed_is_followed_and_released_as_it_said() {
    let detect = Detect::with_alarms(2).await;
    let (mitigations, states) =
        (detect.mitigations(), States::new(detect.iot(), "123456789012", "us-east-1"));
    let asked = with(command([1]), "/alarms/releaseAfterSeconds", 600);
    let (request, rules) = (request(&asked), request(&message([1, 2])));
    let changes = states.changes(&request.actions).await.unwrap().unwrap();
    let mut befores = Befores::default();
    assert!(states.read_thing(&mut befores, "v-1", "camera-1", &changes).await.unwrap());
    let read = BeforeRead { complete: true, ..BeforeRead::default() };
    mitigations.put_before("by-hand", &befores.all(), &read, detect.now()).await.unwrap();
    let claim = async |hash: &str| {
        mitigations.claim_violations(&request, hash, Guarded::default(), detect.now()).await.unwrap()
    };
    assert_eq!(claim("hash").await, WholeClaim::Taken);
    assert_eq!((claim("hash").await, claim("other").await), (WholeClaim::TakenAgain, WholeClaim::Other));
    // A rule leaves it alone, and takes the rest.
    deliver(&detect, &message([1, 2])).await.unwrap();
    assert_eq!(detect.violations_of(&rules.task_id()), ["v-2"]);
    detect.take_queue();
    let holders = mitigations.violation_holders(&rules).await.unwrap();
    let holders: Vec<(&str, &str)> = holders.iter().map(|of| (of.id.as_str(), of.task_id.as_str())).collect();
    assert_eq!(holders, [("v-1", "by-hand")]);
    // The command starts its task, and has it followed.
    start_task(&detect, &request).await;
    mitigations.started("by-hand", detect.now()).await.unwrap();
    assert_eq!(claim("hash").await, WholeClaim::Repeated);
    detect.run("by-hand");
    let false_follow = with(step(&asked, "follow"), "/alarms/actions", json!(["Mark"]));
    assert!(deliver(&detect, &false_follow).await.unwrap_err().is_permanent());
    deliver(&detect, &step(&asked, "follow")).await.unwrap();
    assert_eq!(detect.task_state("by-hand"), "completed");
    detect.clear("v-1", "camera-1", "messages").await;
    detect.cloud.pass_seconds(600);
    let release = detect.take_queue().remove(0).1;
    deliver(&detect, &release).await.unwrap();
    assert_eq!(detect.groups_of("camera-1"), ["site-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_command_claimed_and_did_not_start_is_given_back() {
    let detect = Detect::with_alarms(1).await;
    let mitigations = detect.mitigations();
    let asked = command([1]);
    mitigations.claim_violations(&request(&asked), "hash", Guarded::default(), detect.now()).await.unwrap();
    deliver(&detect, &step(&asked, "follow")).await.unwrap();
    assert_eq!(detect.claim("v-1"), ("by-hand".into(), "claimed".into()), "it may be about to start");
    let follow = detect.take_queue().remove(0).1;
    detect.cloud.pass_seconds(901);
    deliver(&detect, &follow).await.unwrap();
    assert_eq!((detect.task_state("by-hand"), detect.claim("v-1").1), ("refused".into(), "refused".into()));
    deliver(&detect, &message([1])).await.unwrap();
    assert_eq!(detect.starts().len(), 1);
}
