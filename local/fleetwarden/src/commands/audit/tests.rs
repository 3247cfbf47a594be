use super::*;
use crate::aws::settings::tests::at;
use crate::aws::stand_in::{found, said, serve};
use crate::commands::detect::Detect;
use clap::Parser;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

#[derive(Debug, Parser)]
struct Of<F: Family + Send + Sync> {
    #[command(flatten)]
    arguments: Arguments<F>,
}

pub(super) fn parsed<F: Family + Send + Sync>(words: &[&str]) -> Result<Line, clap::Error> {
    let of = Of::<F>::try_parse_from([&["fleetwarden"], words].concat())?;
    Ok(of.arguments.0)
}

fn event_of<F: Family + Send + Sync>(words: &[&str]) -> Value {
    Value::Object(parsed::<F>(words).unwrap().event().unwrap().0)
}

fn refused(words: &[&str]) -> String {
    match parsed::<Audit>(words) {
        Ok(line) => format!("{:#}", line.event().unwrap_err()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_command_and_option_stands_under_its_own_name() {
    for mut command in [
        line::augment(Command::new("audit"), Audit::COMMANDS),
        line::augment(Command::new("detect"), Detect::COMMANDS),
    ] {
        let without_words = command
            .get_subcommands()
            .find(|command| command.get_about().is_none_or(|about| about.to_string().is_empty()));
        assert_eq!(without_words.map(Command::get_name), None);
        command.build();
        command.debug_assert();
    }
}

#[test]
fn members_are_of_the_type_that_the_operation_wants() {
    let schedule = [
        "create-scheduled-audit",
        "--scheduled-audit-name",
        "7",
        "--frequency",
        "MONTHLY",
        "--day-of-month=1",
        "--target-check-names",
        "LOGGING_DISABLED_CHECK",
        "CA_CERTIFICATE_EXPIRING_CHECK",
        "--dry-run",
        "--tags",
        "Key=a,Value=1",
        "Key=b",
    ];
    let expected = json!({
        "command": "CreateScheduledAudit", "scheduledAuditName": "7", "frequency": "MONTHLY", "dayOfMonth": "1",
        "targetCheckNames": ["LOGGING_DISABLED_CHECK", "CA_CERTIFICATE_EXPIRING_CHECK"], "dryRun": true,
        "tags": [{"Key": "a", "Value": "1"}, {"Key": "b"}],
    });
    assert_eq!(event_of::<Audit>(&schedule), expected);
    let list = ["list-audit-tasks", "--start-time", "2026-11-01T00:00:00Z", "--end-time", "1795392000"];
    let expected = json!({
        "command": "ListAuditTasks", "startTime": "2026-11-01T00:00:00Z", "endTime": 1_795_392_000, "all": true,
    });
    assert_eq!(event_of::<Audit>(&list), expected);
    let suppression = [
        "create-audit-suppression",
        "--check-name",
        "C",
        "--resource-identifier",
        "policyVersionIdentifier={policyName=p,policyVersionId=3}",
        "--no-suppress-indefinitely",
        "--confirm",
        "1",
    ];
    let expected = json!({
        "command": "CreateAuditSuppression", "checkName": "C", "suppressIndefinitely": false, "confirm": "1",
        "resourceIdentifier": {"policyVersionIdentifier": {"policyName": "p", "policyVersionId": "3"}},
    });
    assert_eq!(event_of::<Audit>(&suppression), expected);
    let profile = [
        "attach-security-profile",
        "--security-profile-name=p",
        "--security-profile-target-arn=a",
        "--try-on",
        "x",
        "y",
        "--try-hours",
        "3",
    ];
    let expected = json!({
        "command": "AttachSecurityProfile", "securityProfileName": "p", "securityProfileTargetArn": "a",
        "tryOn": ["x", "y"], "tryHours": 3,
    });
    assert_eq!(event_of::<Detect>(&profile), expected);
    assert_eq!(
        event_of::<Audit>(&["start-on-demand-audit-task", "--target-check-names"])["targetCheckNames"],
        json!([])
    );
    let behaviors = [
        "validate-security-profile-behaviors",
        "--behaviors",
        "name=b,criteria={value={ports=[80,443],number=1.5,count=5},durationSeconds=300},suppressAlerts=true",
        r#"{"name": "c"}"#,
    ];
    let expected = json!({"command": "ValidateSecurityProfileBehaviors", "behaviors": [
        {"name": "b", "criteria": {"value": {"ports": [80, 443], "number": 1.5, "count": 5}, "durationSeconds": 300},
            "suppressAlerts": true},
        {"name": "c"},
    ]});
    assert_eq!(event_of::<Detect>(&behaviors), expected);
}

#[test]
fn a_report_is_markdown_unless_its_form_is_named() {
    let report = |words: &[&str]| event_of::<Audit>(&[&["audit-report"], words].concat());
    assert_eq!(report(&[]), json!({"command": "AuditReport", "format": "markdown"}));
    assert_eq!(report(&["--output", "json"]), json!({"command": "AuditReport"}));
    assert_eq!(report(&["--query", "taskId"]), json!({"command": "AuditReport"}));
    let page = json!({"command": "AuditReport", "taskId": "7", "format": "html"});
    assert_eq!(report(&["--task-id", "7", "--format", "html"]), page);
}

#[test]
fn members_come_from_files_too_and_options_are_stronger() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        format!("file://{}", path.display())
    };
    let utf_16: Vec<u8> = "\u{feff}{\"taskId\": \"é\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let input = path("input", &utf_16);
    let describe = |words: &[&str]| event_of::<Audit>(&[&["describe-audit-task"], words].concat());
    assert_eq!(
        describe(&["--cli-input-json", &input]),
        json!({"command": "DescribeAuditTask", "taskId": "é"})
    );
    let both = ["--cli-input-json", &input, "--task-id", "7"];
    assert_eq!(describe(&both), json!({"command": "DescribeAuditTask", "taskId": "7"}));
    let task = path("task", b"9");
    assert_eq!(describe(&["--task-id", &task])["taskId"], "9");
    let own = r#"{"command": "describe-audit-task", "taskId": "7"}"#;
    assert_eq!(describe(&["--cli-input-json", own]), json!({"command": "DescribeAuditTask", "taskId": "7"}));
    let checks = path("checks", br#"["A", "B"]"#);
    let started = event_of::<Audit>(&["start-on-demand-audit-task", "--target-check-names", &checks]);
    assert_eq!(started["targetCheckNames"], json!(["A", "B"]));
}

#[test]
fn what_is_wrong_on_the_line_is_told_before_any_call() {
    let told = [
        &["describe-audit-task"][..],
        &["describe-audit-task", "--task-id", "1", "--task-id", "2"],
        &["describe-audit-task", "--task", "1"],
        &["describe-audit-task", "taskId=1"],
        &["list-audit-finding"],
        &["list-audit-findings", "--max-results", "many"],
        &["list-audit-findings", "--max-results", "5", "--page-size", "5"],
        &["list-audit-findings", "--list-suppressed-findings", "--no-list-suppressed-findings"],
        &["list-audit-findings", "--resource-identifier", "{\"account\": 1"],
        &["list-audit-findings", "--resource-identifier", "account"],
        &["start-on-demand-audit-task", "--target-check-names", "[\"A\""],
        &["describe-audit-task", "--cli-input-json", "file::params.json"],
        &["describe-audit-task", "--cli-input-json", "params.json"],
        &["describe-audit-task", "--cli-input-json", "taskId=1"],
        &["describe-audit-task", "--cli-input-json", "[]"],
        &["describe-audit-task", "--cli-input-json", "{\"command\": \"ListAuditTasks\"}"],
        &["describe-audit-task", "--task-id", "file:///no/such"],
        &["list-audit-tasks", "--dry-run"],
    ]
    .map(|words| format!("{}\n{}", words.join(" "), refused(words)));
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn a_list_is_listed_to_its_end_unless_a_page_is_named() {
    let pages = |words: &[&str]| {
        let (mut event, pages) =
            parsed::<Audit>(&[&["list-audit-findings"], words].concat()).unwrap().event().unwrap();
        event.remove("command");
        (Value::Object(event), pages)
    };
    assert_eq!(pages(&[]), (json!({"all": true}), Pages::All));
    assert_eq!(pages(&["--page-size", "7"]), (json!({"all": true, "maxResults": 7}), Pages::All));
    assert_eq!(pages(&["--starting-token", "t"]), (json!({"all": true, "nextToken": "t"}), Pages::All));
    assert_eq!(pages(&["--max-results", "5"]), (json!({"maxResults": 5}), Pages::One));
    assert_eq!(pages(&["--next-token", "t"]), (json!({"nextToken": "t"}), Pages::One));
    assert_eq!(pages(&["--cli-input-json", r#"{"maxResults": 5}"#]), (json!({"maxResults": 5}), Pages::One));
    assert_eq!(pages(&["--no-paginate"]), (json!({}), Pages::One));
    assert_eq!(pages(&["--max-items", "300"]), (json!({}), Pages::Most { entries: 300, page: 250 }));
    let few = json!({"maxResults": 7});
    assert_eq!(pages(&["--max-items", "9", "--page-size", "7"]), (few, Pages::Most { entries: 9, page: 7 }));
    let (event, none) = parsed::<Audit>(&["describe-audit-task", "--task-id", "1"]).unwrap().event().unwrap();
    assert_eq!((event.get("all"), none), (None, Pages::One));
}

#[test]
fn a_skeleton_fits_its_operation() {
    let skeleton = |name: &str| skeleton::of(api::audit(name).unwrap());
    assert_eq!(
        skeleton("update-account-audit-configuration"),
        json!({
            "roleArn": "",
            "auditNotificationTargetConfigurations": {"SNS": {"targetArn": "", "roleArn": "", "enabled": true}},
            "auditCheckConfigurations": {"KeyName": {
                "enabled": true, "configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": ""},
            }},
        })
    );
    assert_eq!(
        parsed::<Audit>(&["describe-audit-task", "--generate-cli-skeleton"]).unwrap().skeleton(),
        Some("input")
    );
    for operation in api::AUDIT.iter().chain(&api::DETECT) {
        assert!(skeleton::of_answer(operation).unwrap().is_object(), "{}", operation.name);
    }
    assert!(skeleton::of_answer(&api::REPORT).unwrap_err().to_string().contains("AuditReport"));
}

fn request(words: &[&str]) -> Request {
    let line = parsed::<Audit>(words).unwrap();
    Request::new(line.commands, line.operation, line.event().unwrap().0)
}

/// A command without its members.
pub(super) fn bare<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [words, &["--cli-input-json", "{}"]].concat()
}

const START: &str = "start-on-demand-audit-task";

#[test]
fn only_what_does_nothing_twice_may_be_sent_twice() {
    let twice = |words: &[&str]| request(&bare(words)).again() == Again::Always;
    for safe in ["list-audit-tasks", "audit-report", START, "create-audit-suppression"] {
        assert!(twice(&[safe]), "{safe}");
    }
    assert!(twice(&["start-audit-mitigation-actions-task"]));
    for changes in ["update-scheduled-audit", "delete-audit-suppression", "cancel-audit-task"] {
        assert!(!twice(&[changes]), "{changes}");
        assert!(twice(&[changes, "--dry-run"]), "{changes}");
        assert!(
            request(&[changes, "--cli-input-json", r#"{"dryRun": true}"#]).again() == Again::Always,
            "{changes}"
        );
    }
}

#[test]
fn an_audit_is_started_under_a_token_of_its_own_unless_there_is_one() {
    let [one, other] = [request(&bare(&[START])), request(&bare(&[START]))];
    assert_eq!(one.event[TOKEN], json!(one.token));
    assert_ne!(one.token, other.token);
    assert!(request(&[START, "--cli-input-json", r#"{"clientRequestToken": null}"#]).token.is_some());
    let given = request(&bare(&[START, "--client-request-token", "7"]));
    assert_eq!((given.event[TOKEN].as_str(), &given.token), (Some("7"), &None));
    for none in [&[START, "--dry-run"][..], &["create-audit-suppression"]] {
        assert!(!request(&bare(none)).event.contains_key(TOKEN));
    }
}

/// A stack whose function cannot be invoked without something going wrong.
async fn failing(answer: fn() -> Option<Response<Full<Bytes>>>) -> String {
    serve(move |request| if request.uri() == "/" { Some(found("f")) } else { answer() }).await
}

#[tokio::test]
async fn what_may_have_been_done_is_told_with_how_to_repeat_it() {
    let lost = failing(|| None).await;
    let denied = failing(|| Some(said(403, r#"{"Message":"not authorized"}"#))).await;
    let mut told = String::new();
    for (words, endpoint) in [
        (&["update-scheduled-audit"][..], &lost),
        (&["update-scheduled-audit", "--dry-run"], &lost),
        (&["create-audit-suppression"], &lost),
        (&[START], &lost),
        (&[START], &denied),
    ] {
        let request = request(&bare(words));
        let error = format!("{:#}", request.send(at(endpoint), "s", Pages::One).await.unwrap_err());
        let error = error.replace(endpoint.trim_start_matches("http://"), "HOST");
        let error = error.replace(request.token.as_deref().unwrap_or("no token"), "TOKEN");
        let _ = writeln!(told, "{}\n  {error}", words.join(" "));
    }
    insta::assert_snapshot!(told);
}

/// A stack whose function lists the numbers up to ten, and what it was asked.
async fn listing() -> (String, Arc<Mutex<Vec<Value>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&asked);
    let endpoint = serve(move |request| {
        if request.uri() == "/" {
            return Some(found("f"));
        }
        let event: Value = serde_json::from_slice(request.body()).unwrap();
        let from = event.get("nextToken").map_or(0, |token| token.as_str().unwrap().parse().unwrap());
        // No page has more than three, as a page may have fewer than were asked for.
        let to = 10.min(from + event.get("maxResults").map_or(3, |size| size.as_u64().unwrap().min(3)));
        let mut page = json!({"metricNames": (from..to).collect::<Vec<_>>()});
        if to < 10 {
            page["nextToken"] = to.to_string().into();
        }
        events.lock().unwrap().push(event);
        Some(said(200, page.to_string()))
    })
    .await;
    (endpoint, asked)
}

#[tokio::test]
async fn pages_are_one_list() {
    let (endpoint, asked) = listing().await;
    for (words, listed, next, calls) in [
        (&["--max-results", "2"][..], 2, Some("2"), 1),
        (&["--no-paginate"], 3, Some("3"), 1),
        (&[], 10, None, 4),
        (&["--starting-token", "6"], 4, None, 2),
        (&["--max-items", "7"], 7, Some("7"), 3),
        (&["--max-items", "50"], 10, None, 4),
    ] {
        let line = parsed::<Detect>(&[&["list-custom-metrics"], words].concat()).unwrap();
        let (event, pages) = line.event().unwrap();
        let request = Request::new(line.commands, line.operation, event);
        let answer = request.send(at(&endpoint), "s", pages).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let next_token = answer.get("nextToken").and_then(Value::as_str);
        assert_eq!(
            (answer["metricNames"].as_array().unwrap().len(), next_token),
            (listed, next),
            "{words:?}"
        );
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()).len(), calls, "{words:?}");
    }
}

#[tokio::test]
async fn a_list_that_never_ends_ends() {
    let endpoint = serve(|request| {
        if request.uri() == "/" {
            return Some(found("f"));
        }
        Some(said(200, r#"{"metricNames": [], "nextToken": "t"}"#))
    })
    .await;
    let line = parsed::<Detect>(&["list-custom-metrics"]).unwrap();
    let request = Request::new(line.commands, line.operation, line.event().unwrap().0);
    let error = request.send(at(&endpoint), "s", Pages::All).await.unwrap_err();
    assert_eq!(error.to_string(), "the service gave the same nextToken twice");
}

#[test]
fn why_a_function_failed_is_told_whatever_it_answers() {
    let told = [
        r#"{"errorType":"NoAudit","errorMessage":"there is none"}"#,
        r#"{"errorMessage":"2026-11-23 1-2-3 Task timed out after 60.00 seconds"}"#,
        r#"{"errorType":"Runtime.ExitError"}"#,
        "no JSON",
    ];
    insta::assert_snapshot!(told.map(|body| why("audit-commands", body.as_bytes())).join("\n"));
}

#[tokio::test]
async fn a_stack_without_detect_is_told_with_how_to_turn_it_on() {
    let missing = r"<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Resource
        DetectCommandsFunction does not exist for stack s</Message></Error></ErrorResponse>";
    let endpoint = serve(move |_| Some(said(400, missing))).await;
    let line = parsed::<Detect>(&["list-custom-metrics"]).unwrap();
    let request = Request::new(line.commands, line.operation, line.event().unwrap().0);
    let error = format!("{:#}", request.send(at(&endpoint), "s", Pages::One).await.unwrap_err());
    assert!(error.starts_with("the stack s was deployed without EnableDetect"), "{error}");
    let audit = request_of_audit(&endpoint).await;
    assert!(!audit.contains("EnableDetect"), "{audit}");
}

async fn request_of_audit(endpoint: &str) -> String {
    format!(
        "{:#}",
        request(&["list-scheduled-audits"]).send(at(endpoint), "s", Pages::One).await.unwrap_err()
    )
}
