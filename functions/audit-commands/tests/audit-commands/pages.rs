//! All pages as one answer.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::clients;
use serde_json::Value;
use serde_json::json;

use crate::setup::SHARED;
use crate::setup::Setup;
use crate::setup::setup;

const REVOKED: &str = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK";

fn ids(answer: &Value) -> Vec<&str> {
    answer["findings"].as_array().unwrap().iter().map(|f| f["findingId"].as_str().unwrap()).collect()
}

async fn audited() -> (Setup, String) {
    let setup = setup();
    let task = setup.audit(&[SHARED, REVOKED, crate::setup::POLICY]).await;
    (setup, task)
}

#[tokio::test(start_paused = true)]
async fn all_gives_every_entry_once() {
    let (setup, task) = audited().await;
    let mut token = Value::Null;
    let mut by_page = Vec::new();
    loop {
        let page = setup
            .ok(json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "nextToken": token}))
            .await;
        by_page.extend(page["findings"].as_array().unwrap().clone());
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    setup.calls();
    let all =
        setup.ok(json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true})).await;
    assert_eq!(all["findings"], Value::from(by_page.clone()));
    assert_eq!(all.get("nextToken"), None);
    assert_eq!(setup.calls().lines().count(), by_page.len().div_ceil(7));
    // Without a size of its own a page is as large as it may be.
    let all = setup.ok(json!({"command": "ListAuditFindings", "taskId": task, "all": true})).await;
    assert_eq!(
        (ids(&all).len(), setup.calls().lines().count()),
        (by_page.len(), by_page.len().div_ceil(250))
    );
    let none = setup.ok(json!({"command": "ListAuditSuppressions", "all": true})).await;
    assert_eq!(none, json!({"suppressions": []}));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_repeats_is_an_error() {
    let (setup, task) = audited().await;
    setup.order("ListAuditFindings", "repeat-token", 99, 0);
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    assert_eq!(
        setup.fails(event).await,
        "RepeatedToken\nListAuditFindings: the service gave the same nextToken twice"
    );
}

#[tokio::test(start_paused = true)]
async fn when_time_is_nearly_over_the_rest_has_its_token() {
    let (setup, task) = audited().await;
    // Pages that do not come: the third is given up, and is the first of the rest.
    setup.order("ListAuditFindings", "reset", 99, 2);
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(setup.function.service.clock.now().plus_seconds(14).0).unwrap();
    let answer = setup.function.handle(event.clone(), &context).await.unwrap();
    let first: Value = serde_json::from_str(answer.get()).unwrap();
    assert_eq!(ids(&first).len(), 14);
    setup.control("DELETE", "faults", &Value::Null);
    let all = setup.ok(event.clone()).await;
    let mut rest = event;
    rest["nextToken"] = first["nextToken"].clone();
    let rest = setup.ok(rest).await;
    assert_eq!([ids(&first), ids(&rest)].concat(), ids(&all));
    // With less than that, one page is all that is asked for.
    context.deadline = u64::try_from(setup.function.service.clock.now().plus_seconds(9).0).unwrap();
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    let answer = setup.function.handle(event, &context).await.unwrap();
    assert_eq!(ids(&serde_json::from_str(answer.get()).unwrap()).len(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_would_be_too_large_has_the_token_of_the_rest() {
    let mut setup = setup();
    let page = |call: Call| {
        let at: u32 = call.json()["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let entry = format!("{at}{}", "x".repeat(1_100_000));
        Answer::ok(json!({"suppressions": [{"description": entry}], "nextToken": (at + 1).to_string()}))
    };
    setup.function.service.iot = clients(page).iot_api();
    let event = json!({"command": "ListAuditSuppressions", "all": true});
    let answer = setup.ok(event.clone()).await;
    assert_eq!((answer["suppressions"].as_array().unwrap().len(), &answer["nextToken"]), (4, &json!("4")));
    let mut rest = event;
    rest["nextToken"] = "4".into();
    let rest = setup.ok(rest).await;
    assert!(rest["suppressions"][0]["description"].as_str().unwrap().starts_with("4x"));
}

#[tokio::test(start_paused = true)]
async fn what_was_listed_before_a_throttle_is_given_with_the_token_of_the_rest() {
    let (setup, task) = audited().await;
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    let all = setup.ok(event.clone()).await;
    setup.order("ListAuditFindings", "throttle", 3, 2);
    let some = setup.ok(event.clone()).await;
    assert_eq!(ids(&some).len(), 14);
    let mut rest = event.clone();
    rest["nextToken"] = some["nextToken"].clone();
    let rest = setup.ok(rest).await;
    assert_eq!([ids(&some), ids(&rest)].concat(), ids(&all));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_fails_the_whole() {
    let (setup, task) = audited().await;
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    setup.order("ListAuditFindings", "internal-failure", 3, 2);
    assert!(setup.fails(event.clone()).await.starts_with("InternalFailureException\n"));
    setup.order("ListAuditFindings", "throttle", 3, 0);
    assert!(setup.fails(event.clone()).await.starts_with("ThrottlingException\n"));
    setup.order("ListAuditFindings", "nulls", 1, 0);
    assert_eq!(setup.ok(event).await, json!({"findings": []}));
}
