//! The report of an audit.

use std::collections::BTreeMap;

use fleetwarden_aws::original_words;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::clients;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::model::suppression::Words;
use fleetwarden_core::model::suppression::Written;
use serde_json::Value;
use serde_json::json;

use crate::setup::LOGGING;
use crate::setup::POLICY;
use crate::setup::ROLE;
use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;

const EXPIRING: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";

async fn report(setup: &Setup, members: Value) -> Value {
    let Value::Object(mut event) = members else { panic!("{members}") };
    event.insert("command".to_owned(), "AuditReport".into());
    setup.ok(event.into()).await
}

fn check<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap()
}

fn gaps(report: &Value) -> Vec<&str> {
    report["gaps"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// An item of the ledger with texts.
fn put(setup: &Setup, pk: &str, sk: &str, texts: &[(&str, String)]) {
    let texts = texts.iter().map(|(name, text)| (*name, text.clone()));
    let all = [("pk", pk.to_owned()), ("sk", sk.to_owned())].into_iter().chain(texts);
    setup.cloud.put_item(all.map(|(name, text)| (name.to_owned(), json!({"S": text}))).collect());
}

/// What audit-notification leaves behind.
fn notified(setup: &Setup, task: &str) {
    put(setup, &format!("audit#{task}"), "audit", &[]);
}

/// What export-findings leaves behind.
fn triaged(setup: &Setup, task: &str, check: &str, tally: &Value) {
    let texts = [("check", check.to_owned()), ("tally", tally.to_string())];
    put(setup, &format!("audit#{task}"), &format!("check#{check}"), &texts);
}

async fn found(setup: &Setup, task: &str, check: &str) -> Vec<Value> {
    let list = json!({"command": "ListAuditFindings", "taskId": task, "checkName": check, "all": true});
    let listed = setup.ok(list).await;
    setup.calls();
    listed["findings"].as_array().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn what_triage_counted_needs_no_listing() {
    let setup = setup();
    let task = setup.audit(&[SHARED, LOGGING, EXPIRING]).await;
    let (shared, expiring) =
        (found(&setup, &task, SHARED).await.len(), found(&setup, &task, EXPIRING).await.len());
    notified(&setup, &task);
    let of = |count: usize, more: Value| {
        let mut counts = json!({"nonCompliant": count});
        counts.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        json!({"CRITICAL": counts, "LOW": {"fixed": 4, "suppressed": 2}})
    };
    let decisions = json!([
        {"rule": "cut-shared", "outcome": "mitigate", "mode": "observe", "findings": 5},
        {"rule": "cut-shared", "outcome": "mitigate", "mode": "enforce", "findings": 2},
        {"outcome": "report", "mode": "enforce", "findings": 1},
    ]);
    let more = json!({
        "new": 2, "returned": 1, "oldest": 1_790_000_000_000_i64, "reasons": {"A": 1, "B": 7},
        "decisions": decisions,
    });
    triaged(&setup, &task, SHARED, &of(shared, more));
    triaged(&setup, &task, EXPIRING, &of(expiring, json!({"new": 1})));
    triaged(&setup, &task, LOGGING, &of(1, json!({"reasons": {"LOGGING_DISABLED": 1}})));
    let debt = json!({"suppressions": 7, "hidden": 3, "nonCompliant": 30});
    put(&setup, "debt", "latest", &[("debt", debt.to_string())]);
    let report = report(&setup, json!({"taskId": task})).await;
    // One page of each check for the examples, and no suppression to ask for.
    insta::assert_snapshot!(setup.calls().replace(&task, "TASK"), @"
    GET /audit/tasks/TASK
    POST /audit/findings
    GET /audit/mitigationactions/tasks?auditTaskId=TASK&maxResults=250&startTime=2026-11-23T00%3A00%3A00Z&endTime=2026-11-23T00%3A01%3A02Z
    POST /audit/findings
    POST /audit/findings
    ");
    let of_shared = check(&report, SHARED);
    assert_eq!(of_shared["severities"], json!({"CRITICAL": shared}));
    assert_eq!(
        (&of_shared["reasons"], &of_shared["nonCompliant"]),
        (&json!({"A": 1, "B": 7}), &json!(shared))
    );
    assert_eq!(of_shared["changes"], json!({"new": 2, "fixed": 4, "returned": 1}));
    assert_eq!(of_shared["oldest"], 1_790_000_000_000_i64);
    assert_eq!(of_shared["decisions"], decisions);
    let effects = json!({
        "suppressDecided": 0, "suppressObserved": 0, "mitigateDecided": 7, "mitigateObserved": 5, "mitigated": 0,
        "mitigateFailed": 0,
    });
    assert_eq!(report["totals"]["effects"], effects, "what would be and what was done are apart");
    assert_eq!(of_shared["examples"].as_array().unwrap().len(), shared.min(20));
    insta::assert_json_snapshot!("example", check(&report, LOGGING)["examples"], {"[].findingId" => "ID"});
    let totals = &report["totals"];
    assert_eq!(
        (&totals["verdict"], &totals["checks"]),
        (&json!("NON_COMPLIANT"), &json!({"NON_COMPLIANT": 3}))
    );
    assert_eq!(totals["nonCompliant"], shared + expiring + 1);
    assert_eq!(totals["changes"], json!({"new": 3, "fixed": 12, "returned": 1}));
    assert_eq!((&report["debt"]["suppressions"], gaps(&report)), (&json!(7), vec![]));
    assert_eq!((&report["region"], &report["taskStatus"]), (&json!("us-east-1"), &json!("COMPLETED")));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_triaged_is_counted_from_its_findings() {
    let setup = setup();
    let task = setup.audit(&[SHARED, LOGGING, POLICY]).await;
    notified(&setup, &task);
    triaged(&setup, &task, LOGGING, &json!({"LOW": {"nonCompliant": 1}}));
    let findings = found(&setup, &task, POLICY).await;
    let report_of = report(&setup, json!({"taskId": task})).await;
    let policy = check(&report_of, POLICY);
    let (mut severities, mut reasons) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for finding in &findings {
        *severities.entry(finding["severity"].as_str().unwrap()).or_default() += 1;
        *reasons.entry(finding["reasonForNonComplianceCode"].as_str().unwrap()).or_default() += 1;
    }
    assert_eq!((&policy["severities"], &policy["reasons"]), (&json!(severities), &json!(reasons)));
    assert_eq!((&policy["changes"], &policy["oldest"]), (&Value::Null, &Value::Null));
    assert_eq!(policy["examples"][0]["findingId"], findings[0]["findingId"]);
    assert_eq!(setup.calls().lines().filter(|call| call.contains("/audit/findings")).count(), 3);
    insta::assert_snapshot!(gaps(&report_of).join("\n"), @"DEVICE_CERTIFICATE_SHARED_CHECK, IOT_POLICY_OVERLY_PERMISSIVE_CHECK: its triage has not ended, so that what is new is not known; ask again");
    // Where nobody was notified, nobody triaged.
    let other = setup.audit_again("another", &[LOGGING]).await;
    let report = report(&setup, json!({"taskId": other})).await;
    insta::assert_snapshot!(gaps(&report).join("\n"), @"what is new, fixed or returned: audit-notification has not heard that the audit ended, so that it was not triaged");
    assert_eq!(check(&report, LOGGING)["reasons"], json!({"LOGGING_DISABLED": 1}));
}

#[tokio::test(start_paused = true)]
async fn what_is_suppressed_has_a_section_of_its_own() {
    let setup = setup();
    let first = setup.audit(&[SHARED, LOGGING, EXPIRING]).await;
    let findings = found(&setup, &first, EXPIRING).await;
    for (at, finding) in findings.iter().take(6).enumerate() {
        let (end, description) = match at {
            0..3 => (
                "2026-12-24T00:00:00Z",
                "Fleetwarden: rule legacy; owner fleet; ticket T-1; until they are replaced",
            ),
            3 => ("2026-12-24T00:00:00Z", "Fleetwarden: standing lab; they are the lab's"),
            4 => ("2027-12-24T00:00:00Z", "looked at by Kim"),
            // It ends before the next audit begins.
            _ => ("2026-11-23T00:10:00Z", "for a moment"),
        };
        setup
            .ok(json!({
                "command": "CreateAuditSuppression", "checkName": EXPIRING, "expirationDate": end,
                "resourceIdentifier": finding["nonCompliantResource"]["resourceIdentifier"], "description": description,
            }))
            .await;
    }
    setup.pass(3600);
    let second = setup.audit_again("another", &[SHARED, LOGGING, EXPIRING]).await;
    notified(&setup, &second);
    let report = report(&setup, json!({"taskId": second})).await;
    assert_eq!(check(&report, EXPIRING)["nonCompliant"], findings.len() - 5);
    assert_eq!(gaps(&report).len(), 1, "no check of it is triaged: {report}");
    assert_eq!(
        (&check(&report, EXPIRING)["suppressed"], &report["totals"]["suppressed"]),
        (&json!(5), &json!(5))
    );
    insta::assert_json_snapshot!("suppressed", report["suppressed"]);
    let calls = setup.calls();
    assert_eq!(calls.matches("/audit/suppressions/list").count(), 1, "only of the check that has some");
}

#[tokio::test(start_paused = true)]
async fn what_suppresses_is_told_in_the_operators_words() {
    let setup = setup();
    let first = setup.audit(&[SHARED]).await;
    let words = Words {
        reason: "设备将更换".into(),
        owner: Some("jürgen.müller@example.com".into()),
        ticket: Some("SEC-7".into()),
    };
    let written = Written::new(Maker::Rule("lab"), &words);
    original_words::keep(&(setup.function.ledger)(), &written).await.unwrap();
    // Two that a rule made, and one of a rule whose words the ledger does not have.
    let other = "Fleetwarden: rule other; owner jurgen.muller@example.com; x";
    let descriptions = [written.description(), written.description(), other.into()];
    for (finding, description) in found(&setup, &first, SHARED).await.iter().zip(&descriptions) {
        setup
            .ok(json!({
                "command": "CreateAuditSuppression", "checkName": SHARED, "suppressIndefinitely": true,
                "resourceIdentifier": finding["nonCompliantResource"]["resourceIdentifier"],
                "description": description,
            }))
            .await;
    }
    setup.pass(3600);
    let second = setup.audit_again("another", &[SHARED]).await;
    let of = async |setup: &Setup| report(setup, json!({"taskId": second})).await;
    let suppressed = of(&setup).await["suppressed"]["suppressions"].clone();
    insta::assert_json_snapshot!("original_words", suppressed);
    let page = report(&setup, json!({"taskId": second, "format": "html"})).await.to_string();
    assert!(page.contains("jürgen.müller@example.com") && page.contains("设备将更换"), "{page}");
    // Without the ledger it is what Device Defender has, and the report says that something is missing.
    let denied = json!({"__type": "AccessDeniedException", "message": "not authorized"});
    setup.cloud.fail("BatchGetItem", 9, Answer::error(400, "AccessDeniedException", denied));
    let blind = of(&setup).await;
    assert_eq!(blind["suppressed"]["suppressions"][0]["owner"], "jurgen.muller@example.com");
    assert!(gaps(&blind).iter().any(|gap| gap.contains("words of suppressions")), "{blind}");
}

#[tokio::test(start_paused = true)]
async fn mitigations_are_told_with_who_asked_and_their_outcome() {
    let setup = setup();
    let task = setup.audit(&[SHARED, LOGGING]).await;
    let params = json!({"publishFindingToSnsParams": {"topicArn": "arn:aws:sns:us-east-1:123456789012:t"}});
    let action = json!({"command": "CreateMitigationAction", "actionName": "tell", "roleArn": ROLE, "actionParams": params});
    setup.ok(action).await;
    let findings = found(&setup, &task, SHARED).await;
    for (id, finding) in [("by-command", &findings[0]), ("by-rule", &findings[1])] {
        setup
            .ok(json!({
                "command": "StartAuditMitigationActionsTask", "taskId": id,
                "target": {"findingIds": [finding["findingId"]]}, "auditCheckToActionsMapping": {SHARED: ["tell"]},
            }))
            .await;
        setup.pass(60);
    }
    put(&setup, "mitigation#by-rule", "task", &[("rule", "cut-shared".to_owned())]);
    setup.calls();
    let report = report(&setup, json!({"taskId": task})).await;
    insta::assert_json_snapshot!("mitigations", report["mitigations"]);
    assert_eq!(setup.calls().matches("/audit/mitigationactions/tasks").count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_audit_is_named_or_the_latest_that_ended() {
    let setup = setup();
    let none = setup.fails(json!({"command": "AuditReport"})).await;
    assert_eq!(none, "NoAudit\nthere is no audit in the 90 days that Device Defender keeps them");
    let old = setup.audit(&[LOGGING]).await;
    setup.schedule("nightly", &[LOGGING]).await;
    let run = |name: &str| {
        let started = setup.control("POST", "run-schedule", &json!({"scheduledAuditName": name}));
        started["taskId"].as_str().unwrap().to_owned()
    };
    let first = run("nightly");
    setup.pass(60);
    let nightly = run("nightly");
    setup.pass(2);
    setup.ok(json!({"command": "DeleteScheduledAudit", "scheduledAuditName": "nightly"})).await;
    setup.pass(40 * 86_400);
    // One that only runs is the latest of its schedule when none has ended.
    setup.schedule("weekly", &[LOGGING]).await;
    let latest = setup.audit_again("latest", &[LOGGING]).await;
    let running = run("weekly");
    let id = async |members: Value| report(&setup, members).await["taskId"].as_str().unwrap().to_owned();
    assert_eq!(id(json!({})).await, latest);
    assert_eq!(id(json!({"latest": true})).await, latest);
    assert_eq!(id(json!({"taskId": old})).await, old);
    assert_eq!(id(json!({"taskId": first})).await, first);
    setup.calls();
    assert_eq!(id(json!({"scheduledAuditName": "nightly"})).await, nightly);
    let calls = setup.calls();
    let listed: Vec<&str> = calls.lines().filter(|call| call.starts_with("GET /audit/tasks?")).collect();
    assert_eq!(listed.len(), 1, "so few audits are looked at together: {listed:#?}");
    let weekly = report(&setup, json!({"scheduledAuditName": "weekly"})).await;
    assert_eq!((&weekly["taskId"], &weekly["taskStatus"]), (&json!(running), &json!("IN_PROGRESS")));
    assert_eq!(
        (&weekly["schedule"], &weekly["totals"]["verdict"]),
        (&json!("weekly"), &json!("IN_PROGRESS"))
    );
    assert_eq!(gaps(&weekly), Vec::<&str>::new(), "that it is not triaged is no gap");
    let none = setup.fails(json!({"command": "AuditReport", "scheduledAuditName": "other"})).await;
    assert_eq!(none, "NoAudit\nthere is no audit of 'other' in the 90 days that Device Defender keeps them");
    let unknown = setup.fails(json!({"command": "AuditReport", "taskId": "unknown"})).await;
    assert!(unknown.starts_with("ResourceNotFoundException\n"), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn each_format_has_the_same_report() {
    let setup = setup();
    let task = setup.audit(&[SHARED, LOGGING]).await;
    let json = report(&setup, json!({"format": "json"})).await;
    for (format, content_type, begins) in
        [("markdown", "text/markdown", "# "), ("html", "text/html", "<!doctype html>")]
    {
        let written = report(&setup, json!({"format": format})).await;
        assert_eq!((&written["taskId"], &written["contentType"]), (&json!(task), &json!(content_type)));
        let body = written["body"].as_str().unwrap();
        assert!(body.starts_with(begins), "{}", &body[..100]);
        assert!(body.contains(&task), "{body}");
        assert!(body.contains(json["checks"][0]["examples"][0]["resource"].as_str().unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_had_is_a_gap_and_no_error() {
    let setup = setup();
    let first = setup.audit(&[SHARED, LOGGING]).await;
    let findings = found(&setup, &first, SHARED).await;
    setup
        .ok(json!({
            "command": "CreateAuditSuppression", "checkName": SHARED, "suppressIndefinitely": true,
            "resourceIdentifier": findings[0]["nonCompliantResource"]["resourceIdentifier"],
        }))
        .await;
    let task = setup.audit_again("another", &[SHARED, LOGGING]).await;
    let denied = json!({"__type": "AccessDeniedException", "message": "not authorized to perform dynamodb:BatchGetItem"});
    setup.cloud.fail("BatchGetItem", 9, Answer::error(400, "AccessDeniedException", denied));
    setup.order("ListAuditFindings", "throttle", 99, 0);
    setup.order("ListAuditMitigationActionsTasks", "internal-failure", 99, 0);
    setup.order("ListAuditSuppressions", "reset", 99, 0);
    let report_of = report(&setup, json!({"taskId": task})).await;
    insta::assert_snapshot!("gaps", gaps(&report_of).join("\n"));
    assert_eq!(check(&report_of, SHARED)["nonCompliant"], findings.len() - 1);
    assert_eq!(
        (&report_of["suppressed"]["findings"], &report_of["suppressed"]["more"]),
        (&json!(1), &json!(true))
    );
    // Without the audit itself there is nothing to report.
    setup.order("DescribeAuditTask", "throttle", 99, 0);
    let error = setup.fails(json!({"command": "AuditReport", "taskId": task})).await;
    assert!(error.starts_with("ThrottlingException\n"), "{error}");
    setup.control("DELETE", "faults", &Value::Null);
    setup.order("ListAuditFindings", "repeat-token", 99, 0);
    let looping = report(&setup, json!({"taskId": task})).await;
    assert!(gaps(&looping).iter().any(|gap| gap.contains("same nextToken twice")), "{looping}");
    // A word that is new, and an answer of nulls.
    setup.order("DescribeAuditTask", "unknown-enum", 1, 0);
    report(&setup, json!({"taskId": task})).await;
    setup.order("DescribeAuditTask", "nulls", 1, 0);
    assert_eq!(report(&setup, json!({"taskId": task})).await["taskStatus"], "UNKNOWN");
}

#[tokio::test(start_paused = true)]
async fn wrong_input_of_a_report_is_told_before_any_call() {
    let setup = setup();
    let told = [
        json!({"command": "AuditReport", "taskId": "t", "scheduledAuditName": "n"}),
        json!({"command": "audit-report", "latest": true, "taskId": "a b", "format": "pdf"}),
        json!({"command": "AuditReport", "all": true, "dryRun": true, "formt": "html", "latest": 1}),
        json!({"command": "AuditRepord"}),
    ];
    let mut all = Vec::new();
    for event in told {
        all.push(setup.fails(event).await);
    }
    assert_eq!(setup.calls(), "");
    insta::assert_snapshot!("wrong_report", all.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn who_canceled_is_asked_also_where_the_service_says_a_word() {
    let mut setup = setup();
    let check = json!({"checkRunStatus": "CANCELED", "message": "stopped"});
    let task =
        json!({"taskStatus": "CANCELED", "taskStartTime": 1_795_000_000, "auditDetails": {LOGGING: check}});
    setup.function.service.iot = clients(move |_| Answer::ok(task.clone())).iot_api();
    let written = report(&setup, json!({"taskId": "t", "format": "markdown"})).await;
    let row = "| Logging disabled | Canceled | none given | stopped | Somebody canceled it: CloudTrail says";
    assert!(written["body"].as_str().unwrap().contains(row), "{written}");
}

/// A service that has more of everything than anybody can read.
fn endless(call: &Call) -> Answer {
    let long = "x".repeat(1000);
    let at: usize =
        call.json()["nextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or_default();
    let next = (at + 1).to_string();
    let (path, many) = (call.operation.split_once(' ').map_or("", |(_, path)| path), 0..20);
    let answer = match path {
        "/audit/tasks/t" => {
            let names = fleetwarden_core::ids::check::KNOWN.into_iter();
            let check = json!({
                "checkRunStatus": "COMPLETED_NON_COMPLIANT", "nonCompliantResourcesCount": 1_000_000,
                "suppressedNonCompliantResourcesCount": 1_000_000, "errorCode": "E", "message": long,
            });
            let details: BTreeMap<&str, &Value> = names.map(|name| (name, &check)).collect();
            json!({"taskStatus": "COMPLETED", "taskStartTime": 1_795_000_000, "auditDetails": details})
        }
        "/audit/findings" => {
            let finding = |n| {
                json!({
                    "findingId": long, "severity": "HIGH", "reasonForNonCompliance": long,
                    "reasonForNonComplianceCode": format!("{at}-{n}-{long}"),
                    "nonCompliantResource": {"resourceType": long, "resourceIdentifier": {"roleAliasArn": long}},
                })
            };
            json!({"findings": many.map(finding).collect::<Vec<_>>(), "nextToken": next})
        }
        "/audit/suppressions/list" => {
            let suppression =
                |n| json!({"description": format!("{at}-{n}-{long}"), "suppressIndefinitely": true});
            json!({"suppressions": many.map(suppression).collect::<Vec<_>>(), "nextToken": next})
        }
        "/audit/mitigationactions/tasks" => {
            let at: usize = call
                .query
                .split_once("nextToken=")
                .map_or(0, |(_, rest)| rest.split('&').next().unwrap().parse().unwrap());
            let task = |n| json!({"taskId": format!("m-{at}-{n}"), "startTime": 1_795_000_000 + at, "taskStatus": "COMPLETED"});
            json!({"tasks": many.map(task).collect::<Vec<_>>(), "nextToken": (at + 1).to_string()})
        }
        _ => json!({"taskStatus": "COMPLETED", "auditCheckToActionsMapping": {SHARED: ["a".repeat(128)]}}),
    };
    Answer::ok(answer)
}

#[tokio::test(start_paused = true)]
async fn a_report_is_bounded_in_time_and_size() {
    let mut setup = setup();
    let calls = std::sync::Arc::new(std::sync::Mutex::new(BTreeMap::<String, usize>::new()));
    let seen = std::sync::Arc::clone(&calls);
    let service = clients(move |call: Call| {
        let path =
            call.operation.split_once("/m-").map_or(call.operation.as_str(), |(path, _)| path).to_owned();
        *seen.lock().unwrap().entry(path).or_default() += 1;
        endless(&call)
    });
    setup.function.service.iot = service.iot_api();
    let started = tokio::time::Instant::now();
    let json = report(&setup, json!({"taskId": "t"})).await;
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    insta::assert_json_snapshot!("endless_calls", *calls.lock().unwrap());
    insta::assert_snapshot!("endless_gaps", gaps(&json).join("\n"));
    assert!(json.to_string().len() < 2_000_000, "{}", json.to_string().len());
    assert_eq!(json["mitigations"].as_array().unwrap().len(), 50);
    assert_eq!(json["mitigations"][0]["by"], "others", "the ledger does not know it");
    assert_eq!(json["mitigations"][0]["startedAt"], 1_795_000_007_000_i64, "the newest");
    let suppressed = &json["suppressed"];
    assert_eq!(
        (suppressed["suppressions"].as_array().unwrap().len(), &suppressed["more"]),
        (200, &json!(true))
    );
    for format in ["markdown", "html"] {
        let written = report(&setup, json!({"taskId": "t", "format": format})).await.to_string();
        assert!(written.len() < 5_000_000, "{format}: {}", written.len());
    }
}
