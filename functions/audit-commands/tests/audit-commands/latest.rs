//! Which audit a report without a task id is of, and what finding it costs, with far more audits than anybody has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::clients;
use fleetwarden_aws::testing::cloud::START;
use serde_json::Value;
use serde_json::json;

use crate::setup::Setup;
use crate::setup::setup;

const DAY: i64 = 86_400;

/// An audit, in seconds before now.
#[derive(Clone)]
struct Past {
    id: String,
    began: i64,
    /// None while it runs.
    ended: Option<i64>,
    schedule: Option<&'static str>,
}

/// By what an audit belongs to a period: AWS does not say.
#[derive(Clone, Copy, Debug)]
enum By {
    Start,
    End,
    Both,
}

/// A service with these audits, which lists them as they stand there, an empty page before each full one.
fn service(audits: &[Past], by: By, call: &Call) -> Answer {
    let path = call.operation.split_once(' ').map_or("", |(_, path)| path);
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
    if let Some(id) = path.strip_prefix("/audit/tasks/") {
        let audit = audits.iter().find(|audit| audit.id == id).unwrap();
        let status = if audit.ended.is_some() { "COMPLETED" } else { "IN_PROGRESS" };
        let mut task = json!({
            "taskStatus": status, "taskStartTime": START.seconds() - audit.began, "auditDetails": {},
        });
        if let Some(schedule) = audit.schedule {
            task["scheduledAuditName"] = schedule.into();
        }
        return Answer::ok(task);
    }
    if path != "/audit/tasks" {
        return Answer::ok(json!({}));
    }
    let ago = |name: &str| {
        START.seconds() - fleetwarden_core::timestamp::Millis::parse(&query[name]).unwrap().seconds()
    };
    let (from, to) = (ago("startTime"), ago("endTime"));
    let belongs = |audit: &&Past| match by {
        By::Start => (to..=from).contains(&audit.began),
        By::End => (to..=from).contains(&audit.ended.unwrap_or_default()),
        By::Both => audit.began >= to && audit.ended.unwrap_or_default() <= from,
    };
    let of_type = |audit: &&Past| !query.contains_key("taskType") || audit.schedule.is_some();
    let of_status = |audit: &&Past| !query.contains_key("taskStatus") || audit.ended.is_none();
    let at: usize = query.get("nextToken").map_or(0, |token| token.parse().unwrap());
    let empty = at.is_multiple_of(2);
    let tasks: Vec<Value> = audits
        .iter()
        .filter(belongs)
        .filter(of_type)
        .filter(of_status)
        .map(|audit| {
            let status = if audit.ended.is_some() { "COMPLETED" } else { "IN_PROGRESS" };
            json!({"taskId": audit.id, "taskStatus": status, "taskType": "ON_DEMAND_AUDIT_TASK"})
        })
        .collect();
    let page: Vec<&Value> =
        if empty { Vec::new() } else { tasks.iter().skip(at / 2 * 250).take(250).collect() };
    let more = empty || tasks.len() > (at / 2 + 1) * 250;
    Answer::ok(json!({"tasks": page, "nextToken": more.then(|| (at + 1).to_string())}))
}

/// Asks for a report of the latest: what it is of, and how many calls of which kind finding it cost.
async fn latest(
    setup: &mut Setup,
    audits: &[Past],
    by: By,
    members: Value,
) -> (String, BTreeMap<&'static str, usize>) {
    let calls: Arc<Mutex<BTreeMap<&'static str, usize>>> = Arc::default();
    let (seen, audits) = (Arc::clone(&calls), Arc::new(audits.to_vec()));
    let answers = clients(move |call: Call| {
        let kind = match call.operation.as_str() {
            "GET /audit/tasks" => "lists",
            name if name.starts_with("GET /audit/tasks/") => "descriptions",
            _ => "others",
        };
        *seen.lock().unwrap().entry(kind).or_default() += 1;
        service(&audits, by, &call)
    });
    setup.function.service.iot = answers.iot_api();
    let asked = setup.cloud.calls("BatchGetItem").len();
    let Value::Object(mut event) = members else { panic!("{members}") };
    event.insert("command".to_owned(), "AuditReport".into());
    let of = match setup.invoke(event.into()).await {
        Ok(report) => report["taskId"].as_str().unwrap().to_owned(),
        Err(failure) => format!("{}: {failure}", failure.name()),
    };
    let mut calls = std::mem::take(&mut *calls.lock().unwrap());
    calls.remove("others");
    calls.insert("ledger", setup.cloud.calls("BatchGetItem").len() - asked);
    (of, calls)
}

/// What audit-notification leaves behind.
fn heard(setup: &Setup, audit: &Past) {
    let text = |text: &str| json!({"S": text});
    let mut item = json!({
        "pk": text(&format!("audit#{}", audit.id)), "sk": text("audit"), "task_id": text(&audit.id),
        "started_at": {"N": (START.0 - audit.began * 1000).to_string()},
    });
    if let Some(schedule) = audit.schedule {
        item["schedule"] = text(schedule);
    }
    setup.cloud.put_item(item);
}

/// A thousand audits a day for a month, at no even pace, in no order, each a few minutes long.
fn thousands() -> Vec<Past> {
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((random >> 33) % below).unwrap()
    };
    (0..30_000)
        .map(|n| {
            let began = 300 + next(30 * 86_400);
            Past { id: format!("audit-{n}"), began, ended: Some(began - next(300)), schedule: None }
        })
        .collect()
}

fn newest(audits: &[Past]) -> &Past {
    audits.iter().filter(|audit| audit.ended.is_some()).min_by_key(|audit| audit.began).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_latest_of_a_thousand_audits_a_day_is_found_in_few_calls() {
    let audits = thousands();
    let mut setup = setup();
    let (of, calls) = latest(&mut setup, &audits, By::Start, json!({})).await;
    assert_eq!(of, newest(&audits).id);
    insta::assert_json_snapshot!("thousand_without_ledger", calls);
    // AWS may go by another time: then it is one that ended within the same minutes.
    for by in [By::End, By::Both] {
        let (of, calls) = latest(&mut setup, &audits, by, json!({})).await;
        let found = audits.iter().find(|audit| audit.id == of).unwrap();
        assert!(found.began - newest(&audits).began < 600, "{by:?}: {}", found.began);
        assert!(calls.values().sum::<usize>() < 80, "{by:?}: {calls:?}");
    }
    for audit in &audits {
        heard(&setup, audit);
    }
    let (of, calls) = latest(&mut setup, &audits, By::Start, json!({"latest": true})).await;
    assert_eq!(of, newest(&audits).id);
    insta::assert_json_snapshot!("thousand_with_ledger", calls);
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_the_ledger_does_not_know_may_be_the_latest() {
    let mut setup = setup();
    let audits: Vec<Past> = thousands().into_iter().take(200).collect();
    let newest = newest(&audits).clone();
    for audit in audits.iter().filter(|audit| audit.id != newest.id) {
        heard(&setup, audit);
    }
    assert_eq!(latest(&mut setup, &audits, By::Start, json!({})).await.0, newest.id);
    let denied = json!({"__type": "AccessDeniedException", "message": "not authorized"});
    setup.cloud.fail("BatchGetItem", 1, Answer::error(400, "AccessDeniedException", denied));
    let (of, calls) = latest(&mut setup, &audits, By::Start, json!({})).await;
    assert_eq!((of, calls["ledger"]), (newest.id, 2), "it is asked once for audits, and once for the report");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_is_found_beside_others_and_thousands_on_demand() {
    let mut setup = setup();
    let mut audits = thousands();
    let run = |name, at: i64| {
        let began = at * DAY + 3_600;
        let id = format!("{name}-{at}");
        Past { id, began, ended: Some(began - 60), schedule: Some(name) }
    };
    for day in 0..88 {
        audits.extend(["a", "b", "c", "d"].map(|name| run(name, day)));
    }
    audits.push(run("monthly", 30));
    let of = |name: &str| json!({"scheduledAuditName": name});
    assert_eq!(latest(&mut setup, &audits, By::Start, of("a")).await.0, "a-0");
    let (found, calls) = latest(&mut setup, &audits, By::Start, of("monthly")).await;
    assert_eq!(found, "monthly-30");
    insta::assert_json_snapshot!("monthly_without_ledger", calls);
    let (found, calls) = latest(&mut setup, &audits, By::Start, of("never")).await;
    assert!(found.starts_with("NoAudit: no audit of 'never' was found in 200 calls; "), "{found}");
    assert!(calls.values().sum::<usize>() < 300, "{calls:?}");
    for audit in audits.iter().filter(|audit| audit.schedule.is_some()) {
        heard(&setup, audit);
    }
    let (found, calls) = latest(&mut setup, &audits, By::Start, of("monthly")).await;
    assert_eq!(found, "monthly-30");
    insta::assert_json_snapshot!("monthly_with_ledger", calls);
    let (found, _) = latest(&mut setup, &audits, By::Start, of("never")).await;
    assert_eq!(found, "NoAudit: there is no audit of 'never' in the 90 days that Device Defender keeps them");
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_the_latest_only_if_nothing_has_ended() {
    let mut setup = setup();
    let running = |id: &str, began| Past { id: id.to_owned(), began, ended: None, schedule: None };
    let mut audits = vec![running("older", 9_000), running("newer", 300)];
    assert_eq!(latest(&mut setup, &audits, By::Start, json!({})).await.0, "newer");
    audits.push(Past { id: "ended".to_owned(), began: 80 * DAY, ended: Some(80 * DAY - 60), schedule: None });
    assert_eq!(latest(&mut setup, &audits, By::Start, json!({})).await.0, "ended");
}
