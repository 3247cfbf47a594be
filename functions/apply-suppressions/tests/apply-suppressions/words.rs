//! Device Defender gets the operator's words in ASCII, and the ledger keeps them as they were written.

use serde_json::Value;
use serde_json::json;

use crate::service::Service;
use crate::setup::FAR;
use crate::setup::LAB;
use crate::setup::certificate;
use crate::setup::message;
use crate::setup::under;
use crate::setup::with;

const DESCRIBED: &str = "Fleetwarden: rule lab; owner jurgen.muller@example.com; She Bei Jiang Geng Huan";

fn policy() -> String {
    LAB.replace("reason: devices are replaced", "reason: 设备将更换, owner: jürgen.müller@example.com")
}

fn asked() -> Value {
    let words = json!({"reason": "设备将更换", "owner": "jürgen.müller@example.com"});
    with(message(&[certificate(1), certificate(2)]), "words", words)
}

async fn deliver(service: &Service, policy: &str) {
    under(service, policy).message(&asked().to_string(), FAR).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn words_are_transliterated_and_kept_before_the_first_suppression() {
    let service = Service::default();
    deliver(&service, &policy()).await;
    let original = |text: &str| {
        let item = service.cloud.item("suppression-words#rule lab", text)?;
        Some(item["original"].as_str().unwrap().to_owned())
    };
    assert_eq!(original("jurgen.muller@example.com").as_deref(), Some("jürgen.müller@example.com"));
    assert_eq!(original("She Bei Jiang Geng Huan").as_deref(), Some("设备将更换"));
    let state = service.state();
    assert!(
        state.suppressions.values().all(|made| made["description"] == DESCRIBED),
        "{:?}",
        state.suppressions
    );
    let calls: Vec<&str> =
        state.calls.iter().map(String::as_str).filter(|call| ["PutItem", "create"].contains(call)).collect();
    assert_eq!(calls, ["PutItem", "PutItem", "PutItem", "create", "PutItem", "create"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_so_is_found_again_and_left() {
    let service = Service::default();
    for _ in 0..3 {
        deliver(&service, &policy()).await;
    }
    assert_eq!(service.state().changes, 2);
    // Whoever answers for it now has a name that reads alike in ASCII, and is another in the message's words.
    deliver(&service, &policy().replace("jürgen", "jurgén")).await;
    assert_eq!(service.state().changes, 2);
}

#[tokio::test(start_paused = true)]
async fn no_words_are_kept_of_what_is_not_made() {
    for policy in [policy().replace("enforce", "observe"), policy().replace("30d", "7d")] {
        let service = Service::default();
        deliver(&service, &policy).await;
        assert_eq!(service.cloud.items("suppression-words#").len(), 0);
    }
    let service = Service::default();
    crate::setup::deliver(&service, &message(&[certificate(1)])).await.unwrap();
    assert_eq!((service.state().changes, service.cloud.items("suppression-words#").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_leaves_no_suppression_without_its_words() {
    for (death, done) in (0..8).flat_map(|call| [(call, false), (call, true)]) {
        let service = Service::default();
        service.state().dies = Some((death, done));
        let function = under(&service, &policy());
        let (message, soon) = (asked().to_string(), FAR);
        let work = function.message(&message, soon);
        let _ = tokio::time::timeout(std::time::Duration::from_mins(1), work).await;
        let kept = service.cloud.items("suppression-words#").len();
        assert!(service.state().suppressions.is_empty() || kept == 2, "{death} {done}");
        service.state().dies = None;
        deliver(&service, &policy()).await;
        assert_eq!((service.state().changes, service.cloud.items("suppression-words#").len()), (2, 2));
    }
}
