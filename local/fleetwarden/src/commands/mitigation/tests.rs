use super::*;
use crate::aws::settings::tests::at;
use crate::aws::stand_in::{found, said, serve};
use clap::Parser;
use fleetwarden_core::untrusted::is_unseen;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn event_of(words: &[&str]) -> (Value, usize) {
    let line = Line::try_parse_from([&["mitigation"], words].concat()).unwrap_or_else(|e| panic!("{e}"));
    let (event, most) = event(&line.arguments.command);
    (event.into(), most)
}

#[test]
fn what_is_given_becomes_members_and_nothing_else_does() {
    let shown = json!({"command": "MitigationShow", "taskId": "fw-1"});
    assert_eq!(event_of(&["show", "fw-1"]), (shown.clone(), 1000));
    assert_eq!(event_of(&["show", "fw-1", "--max-items", "0"]), (shown, 1));
    assert_eq!(event_of(&["list"]), (json!({"command": "MitigationList"}), 50));
    let of_all = [
        "list",
        "--audit-task-id=a",
        "--state=failed",
        "--start-time=2026-11-23",
        "--end-time=2026-11-24",
        "--max-items=7",
    ];
    let expected = json!({
        "command": "MitigationList", "auditTaskId": "a", "state": "failed", "startTime": "2026-11-23",
        "endTime": "2026-11-24",
    });
    assert_eq!(event_of(&of_all), (expected, 7));
    assert!(Line::try_parse_from(["mitigation", "list", "--state", "broken"]).is_err());
}

#[tokio::test]
async fn each_command_comes_by_the_alias_that_takes_it() {
    for (words, expected) in [
        (&["list"][..], "read"),
        (&["budget"], "read"),
        (&["approve", "fw-1", "--reason=x"], "approve"),
        (&["pause", "x"], "operate"),
        (&["undo", "fw-1", "--reason=x"], "operate"),
    ] {
        let endpoint = serve(|request| {
            if request.uri() == "/" {
                return Some(found("f"));
            }
            let query = request.uri().query().unwrap_or_default().to_owned();
            Some(said(200, json!({"tasks": [], "nextToken": null, "by": query}).to_string()))
        })
        .await;
        let (event, _) = event_of(words);
        let event = event.as_object().unwrap();
        let function = Function::find(at(&endpoint), "s", FUNCTION).await.unwrap().by(alias(event));
        let answer = function.invoke("{}".into(), Again::Always).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["by"], format!("Qualifier={expected}"), "{words:?}");
    }
}

#[test]
fn a_pause_has_its_reason_and_who_pauses() {
    let (event, _) = event_of(&["pause", "bad rollout", "--by", "mia", "--suppressions"]);
    let expected = json!({"command": "MitigationPause", "reason": "bad rollout", "by": "mia", "suppressions": true,
        "dryRun": false});
    assert_eq!(event, expected);
    let (event, _) = event_of(&["resume", "--by", "", "--dry-run"]);
    assert_eq!(event, json!({"command": "MitigationResume", "dryRun": true}));
    assert!(Line::try_parse_from(["mitigation", "pause"]).is_err(), "a pause without a reason");
}

#[test]
fn a_word_on_a_task_has_who_says_it_and_why() {
    let (event, _) =
        event_of(&["approve", "fw-1", "--by=mia", "--reason=ours", "--explanation=d768d276a387"]);
    let expected = json!({"command": "MitigationApprove", "by": "mia", "reason": "ours",
        "explanation": "d768d276a387"});
    assert_eq!(event, expected);
    let (event, _) = event_of(&["cancel", "fw-1", "fw-2", "--by=mia", "--reason=ours", "--dry-run"]);
    let expected = json!({"command": "MitigationCancel", "by": "mia", "reason": "ours", "dryRun": true});
    assert_eq!(event, expected);
    for wrong in [&["reject", "--reason=ours"][..], &["reject", "fw-1"], &["approve", "fw-1"]] {
        assert!(Line::try_parse_from([&["mitigation"], wrong].concat()).is_err(), "{wrong:?}");
    }
}

#[test]
fn an_approval_is_told_with_what_it_is_for_and_what_comes_next() {
    let text = |value: &Value| {
        approval::text(&serde_json::from_value(value.clone()).unwrap(), Layout::Columns(80)).plain()
    };
    let explanation = json!({
        "reasons": [{"need": "always", "why": "the rule asks for an approval always"}],
        "actions": [{"name": "Quarantine", "does": "ADD_THINGS_TO_THING_GROUP thingGroupNames=q\u{1b}[2J",
            "grade": "reversible"}],
        "parts": ["f-1", "f-2"], "count": 2, "devices": 7, "connected": 3,
    });
    let waits = json!({"state": "waiting", "explanationId": "d768d276a387", "explanation": explanation,
        "until": "2026-11-24T00:00:00Z"});
    let mut approved = waits.clone();
    approved["state"] = "approved".into();
    approved["by"] = "mia\u{1b}[2J".into();
    approved["at"] = "2026-11-23T00:10:00Z".into();
    approved["reason"] = "these are ours".into();
    let id = "fw-4e2bcd1ccbc2a5dd15292a82ab80c380";
    let all = [
        json!({"taskId": id, "state": "held", "approval": approved, "next": "it starts within a minute"}),
        json!({"taskId": id, "state": "held", "approval": waits, "next": "it starts within a minute", "dryRun": true}),
        json!({"taskId": id, "state": "canceling", "next": "its follow-up writes how it ended", "repeated": true}),
    ];
    let all = all.each_ref().map(text).join("\n\n----\n\n");
    assert!(!all.replace('\n', "").contains(is_unseen));
    insta::assert_snapshot!(all);
}

#[test]
fn a_pause_is_told_with_what_waits_and_how_to_cancel_what_runs() {
    let text = |value: &Value, columns| {
        pause::text(&serde_json::from_value(value.clone()).unwrap(), Layout::Columns(columns)).plain()
    };
    let by = "mia\u{1b}[2J";
    let pause =
        json!({"reason": "bad rollout", "by": by, "since": "2026-11-23T00:00:00Z", "suppressions": true});
    let waits = json!({"taskId": "fw-4e2bcd1ccbc2a5dd15292a82ab80c380", "state": "held", "rule": "quarantine-shared",
        "about": "DEVICE_CERTIFICATE_SHARED_CHECK", "count": 25, "decidedAt": "2026-11-23T00:00:01Z"});
    let runs = json!({"taskId": "by-hand", "state": "started", "about": "Lamps, Failures", "count": 1,
        "cancel": "fleetwarden detect cancel-detect-mitigation-actions-task --task-id by-hand"});
    let all = [
        json!({"paused": true, "pause": pause, "waiting": [waits], "running": [runs], "more": true}),
        json!({"paused": false, "pause": pause, "waiting": [waits]}),
        json!({"paused": true, "dryRun": true, "pause": pause}),
        json!({"paused": false}),
    ];
    let all = all.each_ref().map(|switched| text(switched, 80)).join("\n\n----\n\n");
    assert!(!all.replace('\n', "").contains(is_unseen));
    insta::assert_snapshot!(all);
}

#[test]
fn budgets_are_told_with_their_tasks() {
    let text =
        |value: Value| budget::text(&serde_json::from_value(value).unwrap(), Layout::Columns(80)).plain();
    let task = json!({"taskId": "fw-4e2bcd1ccbc2a5dd15292a82ab80c380", "count": 7, "since": "2026-11-23T00:00:00Z",
        "until": "2026-11-23T01:00:00Z"});
    let used = json!({"budget": "10 or 1% of the fleet in 1h", "limit": 25, "used": 7,
        "roomFrom": "2026-11-23T01:00:00Z", "tasks": [task]});
    let all = [
        json!({"fleet": 2500, "budgets": [used, {"budget": "2 in 1d, of Deactivate", "limit": 2, "used": 0}],
            "pause": {"reason": "bad rollout", "since": "2026-11-23T00:00:00Z"}}),
        json!({"budgets": []}),
    ];
    assert_eq!(event_of(&["budget"]).0, json!({"command": "MitigationBudget"}));
    insta::assert_snapshot!(all.map(text).join("\n\n----\n\n"));
}

#[test]
fn an_undo_names_a_task_or_a_time_and_why() {
    let undo = json!({"command": "MitigationUndo", "taskId": "fw-1", "reason": "wrong"});
    assert_eq!(event_of(&["undo", "fw-1", "--reason", "wrong"]), (undo, usize::MAX));
    let since = ["undo", "--since", "2026-11-23", "--reason=r", "--force", "--dry-run"];
    let expected = json!({"command": "MitigationUndo", "since": "2026-11-23", "reason": "r", "force": true, "dryRun": true});
    assert_eq!(event_of(&since).0, expected);
    for bad in [
        &["undo", "fw-1"][..],
        &["undo", "--reason", "r"],
        &["undo", "fw-1", "--since", "2026-11-23", "--reason", "r"],
        &["undo", "fw-1", "--finding-id", "f", "--resource", "x", "--reason", "r"],
    ] {
        assert!(Line::try_parse_from([&["mitigation"], bad].concat()).is_err(), "{bad:?}");
    }
}

#[test]
fn what_is_not_as_before_comes_first() {
    let undone: Undone = serde_json::from_value(json!({"dryRun": true, "tasks": [
        {"taskId": "fw-1", "resources": [
            {"kind": "thing", "name": "lamp-1", "result": "undone", "steps": ["RemoveThingFromThingGroup quarantine"]},
            {"kind": "certificate", "name": CERTIFICATE, "result": "refused", "reason": "it was revoked since\u{1b}[2J"},
            {"kind": "logging", "name": "", "result": "as-before"},
        ]},
        {"taskId": "fw-2", "reason": "MitigationRuns: mitigation task 'fw-2' still runs"},
    ]}))
    .unwrap();
    assert!(!undone.is_good());
    insta::assert_snapshot!(undone::text(&undone, Layout::Columns(80)).plain());
}

const CERTIFICATE: &str = "9449c7f3a93cf0c55a675ddf1c83732d87d56255e70b150d9e6f3cf863bb7fc1";

fn shown() -> Value {
    let outcomes = json!({"total": 4, "succeeded": 2, "failed": 1, "skipped": 0, "canceled": 0});
    let action = |status: &str| json!({"action": "FleetwardenQuarantineThings", "status": status});
    json!({
        "task": {
            "taskId": "fw-4e2bcd1ccbc2a5dd15292a82ab80c380", "state": "failed", "origin": "rule",
            "rule": "quarantine-shared", "auditTaskId": "8850eced986ec360f9b350835a621bcf", "count": 4,
            "checks": {"DEVICE_CERTIFICATE_SHARED_CHECK": {
                "actions": ["FleetwardenQuarantineThings"], "wholeCheck": false, "count": 4, "outcomes": outcomes,
            }},
            "grades": {"FleetwardenQuarantineThings": "reversible"},
            "guards": [{"guard": "pause", "passed": true},
                {"guard": "budget of 10 or 1% of the fleet in 1h", "passed": true, "reason": "4 of 10 are used with this task"},
                {"guard": "devices", "passed": true, "reason": "6 in all, 3 behind one finding; at most 5 may be"}],
            "canary": {"state": "stopped", "taskId": "fw-4e2bcd1ccbc2a5dd15292a82ab80c380", "first": ["f-1", "f-2", "f-3", "f-4"], "of": 31,
                "reason": "a new alarm on 'sent' about thing 'lamp-1'", "undo": "done"},
            "impact": {"devices": {"count": 6}, "connected": {"devices": {"count": 2}, "unknown": 1}},
            "outcomes": outcomes, "decidedAt": "2026-11-23T00:00:00Z", "startedAt": "2026-11-23T00:00:01Z",
            "endedAt": "2026-11-23T00:01:01Z",
        },
        "findings": [
            {"findingId": "f-1", "state": "completed", "resource": {"deviceCertificateId": CERTIFICATE},
                "things": ["lamp-1", "lamp-2"], "actions": [action("COMPLETED")]},
            {"findingId": "f-4", "state": "unknown"},
            {"findingId": "f-3", "state": "failed", "resource": {"clientId": "lamp\u{1b}[2J\u{202e}"}, "things": [],
                "actions": [{"action": "FleetwardenQuarantineThings", "status": "FAILED",
                    "errorCode": "LimitExceededException", "message": "Rate exceeded\r\nfor the account; and this goes on for more than a line has"}]},
            {"findingId": "f-2", "state": "completed", "resource": {"policyVersionIdentifier":
                {"policyName": "all", "policyVersionId": "2"}}, "actions": [action("COMPLETED")]},
        ],
    })
}

fn of_alarms() -> Value {
    json!({
        "task": {
            "taskId": "by-hand", "state": "failed", "origin": "command", "profile": "Lamps", "behavior": "Failures",
            "actions": ["Quarantine"], "releaseAfterSeconds": 86_400, "count": 3, "decidedAt": "2026-11-23T00:00:00Z",
        },
        "violations": [
            {"violationId": "v-1", "thing": "lamp-1", "state": "completed", "groups": ["quarantine"],
                "release": "kept", "actions": [{"action": "Quarantine", "status": "SUCCESSFUL"}]},
            {"violationId": "v-2", "thing": "泵-2", "state": "failed",
                "actions": [{"action": "Quarantine", "status": "FAILED", "errorCode": "ThrottlingException"}]},
            {"violationId": "v-3", "thing": "lamp-3", "state": "not-in-alarm"},
        ],
    })
}

#[test]
fn a_task_is_told_with_its_devices_and_those_first_that_failed() {
    let text = |value: &Value, columns| {
        task::text(&serde_json::from_value(value.clone()).unwrap(), Layout::Columns(columns)).plain()
    };
    let refused = json!({"task": {
        "taskId": "fw-2", "state": "refused", "origin": "rule", "rule": "log", "decidedAt": "2026-11-23T00:00:00Z",
        "reason": "the stack may not start mitigations: deploy it with AllowMitigation=true, then move the message back to its queue",
        "checks": {"LOGGING_DISABLED_CHECK": {
            "actions": ["EnableLogging", "Tell"], "wholeCheck": true, "reasonCodes": ["LOGGING_DISABLED"], "count": 1}},
    }});
    let all = [shown(), of_alarms(), refused];
    for columns in [80, 120] {
        let all = all.each_ref().map(|task| text(task, columns)).join("\n\n----\n\n");
        assert!(all.lines().all(|line| line.chars().count() <= columns.into()), "{all}");
        insta::assert_snapshot!(format!("task_{columns}"), all);
    }
}

#[test]
fn tasks_are_listed_with_who_asked_for_what() {
    let malformed =
        json!({"taskId": "fw-3", "state": "refused", "reason": "malformed", "decidedAt": "today"});
    let tasks = json!({"tasks": [shown()["task"], of_alarms()["task"], malformed]});
    let tasks: Listed = serde_json::from_value(tasks).unwrap();
    let listed = [80, 120].map(|columns| list::text(&tasks, Layout::Columns(columns)).plain());
    insta::assert_snapshot!(listed.join("\n\n"));
    let none = list::text(&Listed::default(), Layout::Wide);
    assert_eq!(none.plain(), "There are no such mitigations.");
}

/// A stack whose function answers one page after the other, by the token.
async fn paging() -> String {
    serve(|request| {
        if request.uri() == "/" {
            return Some(found("f"));
        }
        let event: Value = serde_json::from_slice(request.body()).unwrap();
        let page = event["nextToken"].as_str().map_or(0, |token| token.parse::<u64>().unwrap());
        assert!(event["maxResults"].as_u64().unwrap() <= 250);
        let findings: Vec<Value> = (0..2).map(|n| json!({"findingId": format!("f-{page}-{n}")})).collect();
        let next = (page < 3).then(|| (page + 1).to_string());
        let page = json!({"task": {"taskId": "fw-1"}, "findings": findings, "nextToken": next});
        Some(said(200, page.to_string()))
    })
    .await
}

#[tokio::test]
async fn as_many_pages_are_asked_for_as_are_wanted() {
    let endpoint = paging().await;
    for (most, count, is_more) in [(1000, 8, false), (3, 4, true), (8, 8, false), (1, 2, true)] {
        let function = Function::find(at(&endpoint), "s", FUNCTION).await.unwrap();
        let shown =
            all::<Shown>(&function, event_of(&["show", "fw-1"]).0.as_object().unwrap().clone(), most).await;
        let shown = shown.unwrap().unwrap();
        assert_eq!((shown.findings.len(), shown.next_token.is_some()), (count, is_more), "{most}");
    }
}

#[tokio::test]
async fn a_token_that_comes_twice_ends_in_an_error() {
    let endpoint = serve(|request| {
        if request.uri() == "/" {
            return Some(found("f"));
        }
        Some(said(200, r#"{"tasks": [], "nextToken": "t"}"#))
    });
    let function = Function::find(at(&endpoint.await), "s", FUNCTION).await.unwrap();
    let error = all::<Listed>(&function, Map::new(), 9).await.unwrap_err().to_string();
    assert_eq!(error, "mitigation-commands gave the same nextToken twice");
}

#[test]
fn whatever_stands_in_the_ledger_commands_no_terminal() {
    let all =
        (0..=0x000e_007f).filter_map(char::from_u32).filter(|c| is_unseen(*c)).map(|c| format!("a{c}b"));
    for text in all.chain(["\u{1b}]8;;https://example.com\u{7}x".to_owned(), "泵 lamp".repeat(30)]) {
        let mut answers = [shown(), of_alarms()];
        for answer in &mut answers {
            replace(answer, &text);
            let answer: Shown = serde_json::from_value(answer.clone()).unwrap();
            let tasks = Listed { tasks: vec![answer.task.clone()], next_token: None };
            let layout = Layout::Columns(80);
            for told in [task::text(&answer, layout).plain(), list::text(&tasks, layout).plain()] {
                assert!(!told.replace('\n', "").contains(is_unseen), "{told:?}");
            }
        }
    }
}

/// Puts a text in place of every text but the names of members.
fn replace(value: &mut Value, text: &str) {
    match value {
        Value::String(old) => text.clone_into(old),
        Value::Array(all) => all.iter_mut().for_each(|one| replace(one, text)),
        Value::Object(all) => all.values_mut().for_each(|one| replace(one, text)),
        _ => {}
    }
}
