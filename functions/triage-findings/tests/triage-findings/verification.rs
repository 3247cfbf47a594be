//! What the next audit of a check says of mitigated findings.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::before::BeforeRead;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::emitted;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::mitigation::before::Before;
use fleetwarden_core::model::mitigation::before::State;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::pages::EXPIRING;
use crate::setup::ALERTS;
use crate::setup::Fixture;
use crate::setup::check_message;
use crate::setup::fixture;

const REPORTS: &str = "version: 1\nmode: enforce\nrules:\n  - { name: all, report: { silent: true } }\n";
const DAY: i64 = 86_400;
/// The key of a finding that no audit has.
const GONE: &str = "00112233445566778899aabbccddeeff";

/// A certificate, as it was before a task.
fn certificate() -> State {
    State::Certificate { status: "ACTIVE".to_owned() }
}

/// A task on findings with these keys that has ended at a moment, as `apply-mitigations` leaves it in the ledger. Gives its
/// id.
async fn ended(fixture: &Fixture, keys: &[&str], state: State, at: Millis) -> String {
    let message: CheckMessage = serde_json::from_value(check_message("first", EXPIRING, 1, START)).unwrap();
    let findings = keys.iter().map(|key| FindingRef {
        finding_id: format!("finding-{key}"),
        key: key.parse().unwrap(),
        past: None,
    });
    let request = MitigationRequest {
        canary: None,
        audit: message.audit,
        check: message.check,
        origin: Origin::Rule("cut-off".to_owned()),
        mode: Mode::Enforce,
        policy: None,
        actions: vec!["Deactivate".to_owned()],
        target: Target::Findings(findings.collect()),
    };
    let (task, mitigations) = (request.task_id(), Mitigations::new(fixture.handler.ledger.clone()));
    let before = Before { name: "cert".to_owned(), state, parts: BTreeSet::new() };
    mitigations.put_before(&task, &[before], &BeforeRead::default(), at).await.unwrap();
    for key in keys {
        fixture.cloud.put_item(json!({
            "pk": {"S": format!("mitigation#{task}")}, "sk": {"S": format!("finding#finding-{key}")},
            "finding_id": {"S": format!("finding-{key}")}, "finding_key": {"S": key}, "check": {"S": EXPIRING},
            "state": {"S": "completed"},
        }));
    }
    mitigations.put_to_verify(&request, at, at).await.unwrap();
    task
}

/// A fleet whose first audit is triaged, and the keys of its findings.
async fn audited() -> (Fixture, Vec<String>, u64) {
    let fixture = fixture(120, REPORTS);
    let task = fixture.audit(&[EXPIRING]);
    let (count, _) = fixture.count(&task, EXPIRING);
    assert_eq!(fixture.deliver(&check_message(&task, EXPIRING, count, START).to_string()).await.unwrap(), 0);
    let keys = fixture.records().iter().map(|record| record["key"].as_str().unwrap().to_owned()).collect();
    (fixture, keys, count)
}

/// The message of another audit of the check, which began days after the start.
fn again(fixture: &Fixture, count: u64, days: i64) -> String {
    let task = fixture.audit(&[EXPIRING]);
    check_message(&task, EXPIRING, count, START.plus_seconds(days * DAY)).to_string()
}

/// The alerts on what is still there. One whose process dies before it knows that the topic has it comes again, with the
/// same id.
fn alerts(fixture: &Fixture) -> Vec<String> {
    let of = |text: &String| {
        let alert: Value = serde_json::from_str(text).unwrap();
        let of = |path: &str| alert.pointer(path).unwrap().as_str().unwrap().to_owned();
        (of("/metadata/eventType") == "mitigation-not-verified").then(|| (of("/id"), of("/content/title")))
    };
    let by_id: BTreeMap<_, _> = fixture.cloud.published_to(ALERTS).iter().filter_map(of).collect();
    by_id.into_values().collect()
}

/// How many are verified and how many are not, by each metric line.
fn counted() -> Vec<(u64, u64)> {
    let of =
        |line: &Value| Some((line["MitigationVerified"].as_u64()?, line["MitigationNotVerified"].as_u64()?));
    emitted().iter().filter_map(of).collect()
}

fn verdict(fixture: &Fixture, task: &str, key: &str) -> Value {
    let item = fixture.cloud.item(&format!("mitigation#{task}"), &format!("finding#finding-{key}")).unwrap();
    item.get("verdict").cloned().map_or(Value::Null, |of| serde_json::to_value(of).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_next_audit_says_what_is_gone_and_what_is_still_there_wherever_its_triage_dies() {
    for at in Moment::all() {
        let (fixture, keys, count) = audited().await;
        emitted();
        let task = ended(&fixture, &[&keys[0], &keys[1], GONE], certificate(), START.plus_seconds(600)).await;
        let body = again(&fixture, count, 1);
        let done = fixture.cloud.kill(at.clone(), fixture.deliver(&body)).await;
        if done.is_none() {
            // Its claim ends with its deadline.
            fixture.cloud.pass_seconds(130);
            while fixture.deliver(&body).await.is_err() {
                fixture.cloud.pass_seconds(60);
            }
        }
        assert_eq!(
            alerts(&fixture),
            [format!("2 mitigated findings of {EXPIRING} are still there")],
            "{at:?}"
        );
        let counted = counted();
        assert!(!counted.is_empty() && counted.iter().all(|of| *of == (1, 2)), "{at:?}: {counted:?}");
        let verdicts = [&keys[0], &keys[1], GONE].map(|key| verdict(&fixture, &task, key));
        assert_eq!(verdicts, ["still-there", "still-there", "gone"], "{at:?}");
        // The audit after that says nothing more of it.
        assert_eq!(fixture.deliver(&again(&fixture, count, 2)).await.unwrap(), 0);
        assert_eq!((alerts(&fixture).len(), self::counted().len()), (1, 0), "{at:?}");
        if done.is_some() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_expected_to_be_gone_is_not_looked_at() {
    let (fixture, keys, count) = audited().await;
    let soon = START.plus_seconds(600);
    // Its task ended while the next audit ran: the audit may have looked before.
    let late = ended(&fixture, &[&keys[0]], certificate(), START.plus_seconds(DAY + 5)).await;
    // A group repairs nothing.
    let groups = State::Thing { groups: BTreeSet::new(), adds: [].into(), overrides: false };
    ended(&fixture, &[&keys[1]], groups, soon).await;
    // Somebody took it back.
    let undone = ended(&fixture, &[&keys[2]], certificate(), soon).await;
    fixture.cloud.put_item(json!({"pk": {"S": format!("mitigation#{undone}")}, "sk": {"S": "undo"}}));
    emitted();
    assert_eq!(fixture.deliver(&again(&fixture, count, 1)).await.unwrap(), 0);
    assert_eq!((alerts(&fixture), counted()), (vec![], vec![]));
    // The audit after that looks at what was too late for this one.
    assert_eq!(fixture.deliver(&again(&fixture, count, 2)).await.unwrap(), 0);
    assert_eq!(alerts(&fixture), [format!("1 mitigated finding of {EXPIRING} is still there")]);
    assert_eq!((counted(), verdict(&fixture, &late, &keys[0])), (vec![(0, 1)], json!("still-there")));
}
