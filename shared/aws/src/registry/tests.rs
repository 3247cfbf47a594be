//! What is asked of the registry, and what is not.

use std::sync::Arc;

use super::cache::FULL;
use super::denials::DENIALS;
use super::*;
use crate::testing::Answer;
use crate::testing::clients;

/// A registry of a region in which every certificate has one thing, and the principals that it was asked for.
fn registry(region: &str) -> (Registry, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let principals = Arc::clone(&asked);
    let shared = clients(move |call| {
        let mut headers = call.headers.into_iter();
        let principal = headers.find(|(name, _)| name == "x-amzn-principal").unwrap().1;
        principals.lock().unwrap().push(principal);
        Answer::ok(json!({"things": ["pump"]}))
    });
    (Registry::new(shared.iot_api(), Pace::Prompt, "123456789012", region), asked)
}

#[tokio::test]
async fn a_certificate_is_the_same_by_id_and_by_arn() {
    let id = "a".repeat(64);
    for (region, partition) in
        [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
    {
        let (registry, asked) = registry(region);
        let arn = format!("arn:{partition}:iot:{region}:123456789012:cert/{id}");
        for certificate in [&id, &arn] {
            let things = registry.behind(Behind::Certificate(certificate)).await.unwrap();
            assert_eq!(things, [Thing { name: "pump".into(), ..Thing::default() }]);
        }
        assert_eq!((asked.lock().unwrap().as_slice(), registry.calls()), ([arn].as_slice(), 1));
    }
}

#[tokio::test]
async fn what_can_be_no_name_is_not_asked_for() {
    let (registry, asked) = registry("us-east-1");
    let elsewhere = format!("arn:aws:iot:eu-west-1:123456789012:cert/{}", "a".repeat(64));
    let long = "a".repeat(129);
    for behind in [
        Behind::Certificate(""),
        Behind::Certificate("../things"),
        Behind::Certificate(&elsewhere),
        Behind::Client(""),
        Behind::Client("a/b"),
        Behind::Client("ä"),
        Behind::Client(&long),
        Behind::Many,
    ] {
        assert!(registry.behind(behind).await.is_err(), "{behind:?}");
    }
    assert_eq!(registry.behind(Behind::Nothing).await.unwrap(), []);
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_cache_never_holds_more_than_it_may_and_no_failure() {
    let cache = Cache::default();
    for number in 0..=FULL {
        cache.get(&number.to_string(), async { Ok(number) }).await.unwrap();
    }
    assert_eq!(cache.0.lock().unwrap().len(), 1);
    assert!(cache.get("new", async { Err("no".into()) }).await.is_err());
    assert_eq!(cache.get("new", async { Ok(7) }).await, Ok(7));
    assert_eq!(cache.get("new", async { Ok(8) }).await, Ok(7));
}

#[tokio::test]
async fn pages_that_come_again_are_no_answer() {
    let calls = Arc::new(Mutex::new(0));
    let shared = clients(move |_| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        assert!(*calls < 100, "it goes round for ever");
        Answer::ok(json!({"things": ["pump"], "nextToken": (*calls % 3).to_string()}))
    });
    let registry = Registry::new(shared.iot_api(), Pace::Prompt, "123456789012", "us-east-1");
    let unknown = registry.behind(Behind::Certificate(&"a".repeat(64))).await.unwrap_err();
    assert!(unknown.starts_with("ListPrincipalThings: the service gave the same token twice"), "{unknown}");
}

#[tokio::test]
async fn what_is_denied_for_all_is_not_asked_for_ever() {
    let certificate = |number: u32| format!("{number:064x}");
    // Denied for the first so many.
    for (denied, calls) in [(u32::MAX, DENIALS), (DENIALS - 1, 50)] {
        let shared = clients(move |call| {
            let principal = call.headers.into_iter().find(|(name, _)| name == "x-amzn-principal").unwrap().1;
            let (_, number) = principal.rsplit_once('/').unwrap();
            if u32::from_str_radix(number, 16).unwrap() < denied {
                return Answer::error(403, "AccessDeniedException", "{}");
            }
            Answer::ok(json!({"things": []}))
        });
        let registry = Registry::new(shared.iot_api(), Pace::Prompt, "123456789012", "us-east-1");
        for number in 0..50 {
            let things = registry.behind(Behind::Certificate(&certificate(number))).await;
            let wanted = if number < denied {
                Err("ListPrincipalThings: AccessDeniedException".to_owned())
            } else {
                Ok(Vec::new())
            };
            assert_eq!(things, wanted);
        }
        assert_eq!(registry.calls(), u64::from(calls));
    }
}
