//! All pages as one answer.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::clients;
use serde_json::Value;
use serde_json::json;

use crate::house::House;
use crate::house::SHARED;
use crate::house::house;

const REVOKED: &str = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK";

fn ids(answer: &Value) -> Vec<&str> {
    answer["findings"].as_array().unwrap().iter().map(|f| f["findingId"].as_str().unwrap()).collect()
}

async fn audited() -> (House, String) {
    let house = house();
    let task = house.audit(&[SHARED, REVOKED, crate::house::POLICY]).await;
    (house, task)
}

#[tokio::test(start_paused = true)]
async fn all_gives_every_entry_once() {
    let (house, task) = audited().await;
    let mut token = Value::Null;
    let mut by_page = Vec::new();
    loop {
        let page = house
            .ok(json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "nextToken": token}))
            .await;
        by_page.extend(page["findings"].as_array().unwrap().clone());
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    house.calls();
    let all =
        house.ok(json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true})).await;
    assert_eq!(all["findings"], Value::from(by_page.clone()));
    assert_eq!(all.get("nextToken"), None);
    assert_eq!(house.calls().lines().count(), by_page.len().div_ceil(7));
    // Without a size of its own a page is as large as it may be.
    let all = house.ok(json!({"command": "ListAuditFindings", "taskId": task, "all": true})).await;
    assert_eq!(
        (ids(&all).len(), house.calls().lines().count()),
        (by_page.len(), by_page.len().div_ceil(250))
    );
    let none = house.ok(json!({"command": "ListAuditSuppressions", "all": true})).await;
    assert_eq!(none, json!({"suppressions": []}));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_repeats_is_an_error() {
    let (house, task) = audited().await;
    house.order("ListAuditFindings", "repeat-token", 99, 0);
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    assert_eq!(
        house.fails(event).await,
        "RepeatedToken\nListAuditFindings: the service gave the same nextToken twice"
    );
}

#[tokio::test(start_paused = true)]
async fn when_time_is_nearly_over_the_rest_has_its_token() {
    let (house, task) = audited().await;
    // Pages that do not come: the third is given up, and is the first of the rest.
    house.order("ListAuditFindings", "reset", 99, 2);
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    let mut context = lambda_runtime::Context::default();
    context.deadline = u64::try_from(house.function.service.clock.now().plus_seconds(14).0).unwrap();
    let answer = house.function.handle(event.clone(), &context).await.unwrap();
    let first: Value = serde_json::from_str(answer.get()).unwrap();
    assert_eq!(ids(&first).len(), 14);
    house.control("DELETE", "faults", &Value::Null);
    let all = house.ok(event.clone()).await;
    let mut rest = event;
    rest["nextToken"] = first["nextToken"].clone();
    let rest = house.ok(rest).await;
    assert_eq!([ids(&first), ids(&rest)].concat(), ids(&all));
    // With less than that, one page is all that is asked for.
    context.deadline = u64::try_from(house.function.service.clock.now().plus_seconds(9).0).unwrap();
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    let answer = house.function.handle(event, &context).await.unwrap();
    assert_eq!(ids(&serde_json::from_str(answer.get()).unwrap()).len(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_would_be_too_large_has_the_token_of_the_rest() {
    let mut house = house();
    let page = |call: Call| {
        let at: u32 = call.json()["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let entry = format!("{at}{}", "x".repeat(1_100_000));
        Answer::ok(json!({"suppressions": [{"description": entry}], "nextToken": (at + 1).to_string()}))
    };
    house.function.service.iot = clients(page).iot_api();
    let event = json!({"command": "ListAuditSuppressions", "all": true});
    let answer = house.ok(event.clone()).await;
    assert_eq!((answer["suppressions"].as_array().unwrap().len(), &answer["nextToken"]), (4, &json!("4")));
    let mut rest = event;
    rest["nextToken"] = "4".into();
    let rest = house.ok(rest).await;
    assert!(rest["suppressions"][0]["description"].as_str().unwrap().starts_with("4x"));
}

#[tokio::test(start_paused = true)]
async fn what_was_listed_before_a_throttle_is_given_with_the_token_of_the_rest() {
    let (house, task) = audited().await;
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    let all = house.ok(event.clone()).await;
    house.order("ListAuditFindings", "throttle", 3, 2);
    let some = house.ok(event.clone()).await;
    assert_eq!(ids(&some).len(), 14);
    let mut rest = event.clone();
    rest["nextToken"] = some["nextToken"].clone();
    let rest = house.ok(rest).await;
    assert_eq!([ids(&some), ids(&rest)].concat(), ids(&all));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_fails_the_whole() {
    let (house, task) = audited().await;
    let event = json!({"command": "ListAuditFindings", "taskId": task, "maxResults": 7, "all": true});
    house.order("ListAuditFindings", "internal-failure", 3, 2);
    assert!(house.fails(event.clone()).await.starts_with("InternalFailureException\n"));
    house.order("ListAuditFindings", "throttle", 3, 0);
    assert!(house.fails(event.clone()).await.starts_with("ThrottlingException\n"));
    house.order("ListAuditFindings", "nulls", 1, 0);
    assert_eq!(house.ok(event).await, json!({"findings": []}));
}
