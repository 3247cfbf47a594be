//! Every branch: created, updated, left alone, refused, retried.

use crate::service::Service;
use crate::setup::END;
use crate::setup::FAR;
use crate::setup::LAB;
use crate::setup::NOW;
use crate::setup::OURS;
use crate::setup::at;
use crate::setup::calls;
use crate::setup::certificate;
use crate::setup::deliver;
use crate::setup::existing;
use crate::setup::forever;
use crate::setup::message;
use crate::setup::other;
use crate::setup::under;
use crate::setup::with;
use aws_lambda_events::sqs::SqsEvent;
use aws_lambda_events::sqs::SqsMessage;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::testing::Answer;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_new_suppression_costs_one_call_and_is_exact() {
    let service = Service::default();
    let policy = json!({"policyVersionIdentifier": {"policyName": "p", "policyVersionId": "3"}});
    let issuer =
        json!({"issuerCertificateIdentifier": {"issuerId": "ab", "issuerCertificateSubject": "CN=x"}});
    let first = json!({"deviceCertificateId": format!("{:064x}", 1)});
    let findings =
        [certificate(1), other(&service, "finding-p", &policy), other(&service, "finding-i", &issuer)];
    assert_eq!(calls(&service, &message(&findings)).await, "create create create");
    assert_eq!(service.state().calls.iter().filter(|call| *call == "finding").count(), 3);
    let state = service.state();
    let made: Vec<&Value> = state.suppressions.values().collect();
    for (made, resource) in made.iter().zip([&first, &issuer, &policy]) {
        assert_eq!(&made["resourceIdentifier"], resource);
        assert_eq!(made["expirationDate"], json!(END));
        assert_eq!(made["suppressIndefinitely"], json!(false));
        assert_eq!(made["description"], json!(OURS));
    }
}

#[tokio::test(start_paused = true)]
async fn without_end_it_is_indefinite_and_has_no_date() {
    let service = Service::default();
    let never = with(message(&[certificate(1)]), "expiresAt", Value::Null);
    under(&service, &forever()).message(&never.to_string(), FAR).await.unwrap();
    let state = service.state();
    let made = state.suppressions.values().next().unwrap();
    assert_eq!((&made["suppressIndefinitely"], made.get("expirationDate")), (&json!(true), None));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_changes_nothing() {
    let service = Service::default();
    let message = message(&[certificate(1), certificate(2)]);
    for _ in 0..3 {
        deliver(&service, &message).await.unwrap();
    }
    assert_eq!(service.state().changes, 2);
}

#[tokio::test(start_paused = true)]
async fn what_exists_just_so_is_left() {
    assert_eq!(calls(&existing(OURS, Some(END)), &message(&[certificate(1)])).await, "create describe");
    let (service, never) = (existing(OURS, None), with(message(&[certificate(1)]), "expiresAt", Value::Null));
    under(&service, &forever()).message(&never.to_string(), FAR).await.unwrap();
    assert_eq!(service.calls(), "create describe");
}

#[tokio::test(start_paused = true)]
async fn ours_that_differs_is_brought_up_to_date() {
    for service in [
        existing(OURS, Some(END - 86_400)),
        existing(OURS, None),
        existing("Fleetwarden: rule old; x", Some(END)),
    ] {
        assert_eq!(calls(&service, &message(&[certificate(1)])).await, "create describe update");
        assert_eq!(service.state().suppressions.values().next().unwrap()["expirationDate"], json!(END));
    }
}

#[tokio::test(start_paused = true)]
async fn by_hand_and_in_force_is_left_alone() {
    for end in [None, Some(NOW + 1)] {
        let service = existing("by Kim", end);
        assert_eq!(calls(&service, &message(&[certificate(1)])).await, "create describe");
        assert_eq!(service.state().changes, 0);
    }
}

/// Peer defect 16: "already exists" was taken as success although the old suppression had lapsed.
#[tokio::test(start_paused = true)]
async fn defect_16_a_lapsed_suppression_is_no_success() {
    for description in ["by Kim", OURS] {
        let service = existing(description, Some(NOW - 1));
        assert_eq!(calls(&service, &message(&[certificate(1)])).await, "create describe update");
        assert_eq!(service.state().suppressions.values().next().unwrap()["expirationDate"], json!(END));
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_deletes_meanwhile_is_made_again() {
    let old = || existing(OURS, Some(END - 1));
    for (before, calls_made) in
        [("describe", "create describe create"), ("update", "create describe update describe create")]
    {
        let service = old();
        service.state().deleted_before.push(before);
        assert_eq!(calls(&service, &message(&[certificate(1)])).await, calls_made);
        assert_eq!(service.state().suppressions.len(), 1);
    }
    let service = old();
    service.state().deleted_before = vec!["describe"];
    service.state().faults =
        vec![("create", String::new(), Answer::error(409, "ResourceAlreadyExistsException", "{}"))];
    let error = deliver(&service, &message(&[certificate(1)])).await.unwrap_err();
    assert!(matches!(error, Error::Later(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_between_deliveries_is_made_again_although_its_token_is_spent() {
    let service = Service::default();
    let message = message(&[certificate(1)]);
    for delivery in 0..5 {
        at(&service, LAB, Clock::new(move || Millis::from_seconds(NOW + delivery)))
            .message(&message.to_string(), FAR)
            .await
            .unwrap();
        assert_eq!(service.state().suppressions.len(), 1);
        service.state().suppressions.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_past_is_not_made() {
    let service = Service::default();
    assert_eq!(calls(&service, &with(message(&[certificate(1)]), "expiresAt", NOW)).await, "");
}

#[tokio::test(start_paused = true)]
async fn one_refused_resource_is_parked_alone() {
    let service = Service::default();
    let refused = Answer::error(400, "InvalidRequestException", r#"{"message": "no such resource"}"#);
    service.state().faults.push(("create", format!("{:064x}", 2), refused));
    let unknown = other(&service, "finding-u", &json!({"someNewKindOfId": "x"}));
    deliver(&service, &message(&[certificate(1), certificate(2), unknown.clone(), certificate(3)]))
        .await
        .unwrap();
    let state = service.state();
    assert_eq!(state.suppressions.len(), 2);
    let [(parked, reason)] = &state.parked[..] else { panic!("{:?}", state.parked) };
    assert_eq!(parked["findings"], json!([certificate(2), unknown]));
    assert_eq!(parked["rule"], "lab");
    assert!(reason.contains("no such resource") && reason.contains("CreateAuditSuppression"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn all_refused_is_a_record_that_is_parked_whole() {
    let service = Service::default();
    let refused = Answer::error(400, "InvalidRequestException", r#"{"message": "no"}"#);
    service.state().faults.push(("create", String::new(), refused));
    let error = deliver(&service, &message(&[certificate(1)])).await.unwrap_err();
    assert!(error.is_permanent() && service.state().parked.is_empty(), "{error}");
}

/// Peer defect 14: errors were swallowed, so that nothing was ever retried or parked.
#[tokio::test(start_paused = true)]
async fn defect_14_a_failure_is_retried_and_takes_no_other_resource_along() {
    for (code, status) in
        [("ThrottlingException", 400), ("InternalFailureException", 500), ("AccessDeniedException", 403)]
    {
        let service = Service::default();
        service.state().faults.push(("create", format!("{:064x}", 1), Answer::error(status, code, "{}")));
        let resources = [certificate(1), certificate(2)];
        let error = deliver(&service, &message(&resources)).await.unwrap_err();
        assert!(!error.is_permanent() && error.to_string().contains(code), "{error}");
        assert_eq!(service.state().suppressions.len(), 1);
        service.state().faults.clear();
        deliver(&service, &message(&resources)).await.unwrap();
        assert_eq!(service.state().suppressions.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_beside_a_failure_is_parked_once_only() {
    let service = Service::default();
    let refused = Answer::error(400, "InvalidRequestException", r#"{"message": "no"}"#);
    let broken = Answer::error(503, "ServiceUnavailable", "{}");
    service.state().faults =
        vec![("create", format!("{:064x}", 1), refused), ("create", format!("{:064x}", 2), broken)];
    let message = message(&[certificate(1), certificate(2), certificate(3)]);
    deliver(&service, &message).await.unwrap_err();
    assert!(service.state().parked.is_empty());
    service.state().faults.pop();
    deliver(&service, &message).await.unwrap();
    assert_eq!(service.state().parked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_account_says_what_to_do_and_is_asked_once() {
    let service = Service::default();
    service.state().faults.push((
        "create",
        String::new(),
        Answer::error(410, "LimitExceededException", "{}"),
    ));
    let error = deliver(&service, &message(&[certificate(1)])).await.unwrap_err();
    assert!(!error.is_permanent() && error.to_string().contains("ask AWS Support"), "{error}");
    assert_eq!(service.calls(), "create");
}

/// Peer defect 19: a dry run that did not apply to what came in as an event.
#[tokio::test(start_paused = true)]
async fn defect_19_observe_in_policy_or_message_changes_nothing() {
    let asked = message(&[certificate(1), certificate(2)]);
    let decided_in_observe = with(asked.clone(), "mode", "observe");
    let observe = LAB.replace("enforce", "observe");
    for (policy, message) in [(observe.as_str(), &asked), (LAB, &decided_in_observe)] {
        let service = existing(OURS, Some(END - 1));
        under(&service, policy).message(&message.to_string(), FAR).await.unwrap();
        assert_eq!(service.calls(), "describe describe");
        assert_eq!(service.state().changes, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn without_time_the_message_comes_again() {
    let service = Service::default();
    let soon = Millis::from_seconds(NOW + 1);
    let body = message(&[certificate(1)]).to_string();
    let error = under(&service, LAB).message(&body, soon).await.unwrap_err();
    assert!(matches!(error, Error::Later(_)) && service.state().calls.is_empty(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn members_to_come_are_passed_over() {
    let message = with(message(&[certificate(1)]), "somethingNew", json!({"deep": [1]}));
    deliver(&Service::default(), &message).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn hostile_values_are_parked_and_nothing_else() {
    let good = message(&[certificate(1)]);
    for (member, value) in [
        ("audit", json!({"account": "210987654321", "region": "r", "taskId": "t", "startedAt": 0})),
        ("check", json!("../../CHECK")),
        ("expiresAt", json!("tomorrow")),
        ("findings", json!("all")),
        ("mode", json!("force")),
    ] {
        let service = Service::default();
        let error = deliver(&service, &with(good.clone(), member, value)).await.unwrap_err();
        assert!(error.is_permanent() && service.state().calls.is_empty(), "{member}: {error}");
    }
    for end in [i64::MAX, i64::MIN] {
        let _ = deliver(&Service::default(), &with(good.clone(), "expiresAt", end)).await;
    }
    deliver(&Service::default(), &with(good, "findings", json!([]))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bad_record_takes_no_other_along() {
    let service = Service::default();
    let record = |id: &str, body: String| {
        let mut record = SqsMessage::default();
        record.message_id = Some(id.into());
        record.body = Some(body);
        record
    };
    let mut event = SqsEvent::default();
    event.records = vec![record("bad", "{".into()), record("good", message(&[certificate(1)]).to_string())];
    let mut context = Context::default();
    context.deadline = u64::try_from(FAR.0).unwrap();
    let response = under(&service, LAB).handle(LambdaEvent::new(event, context)).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    let state = service.state();
    assert_eq!((state.parked.len(), state.suppressions.len()), (1, 1));
}

/// The process dies at each call in turn, before or after the call takes effect, and the message comes again.
#[tokio::test(start_paused = true)]
async fn whenever_it_dies_the_end_is_the_same() {
    let refused = Answer::error(400, "InvalidRequestException", r#"{"message": "no"}"#);
    let message = message(&[certificate(1), certificate(2), certificate(3)]);
    let all = {
        let service = existing(OURS, Some(NOW - 1));
        service.state().faults.push(("create", format!("{:064x}", 3), refused.clone()));
        deliver(&service, &message).await.unwrap();
        service.state().calls.len()
    };
    for call in 0..all + 2 {
        for after in [false, true] {
            let service = existing(OURS, Some(NOW - 1));
            service.state().faults.push(("create", format!("{:064x}", 3), refused.clone()));
            service.state().dies = Some((call, after));
            let died = tokio::time::timeout(Duration::from_secs(2), deliver(&service, &message)).await;
            assert_eq!(died.is_err(), call < all, "{call}");
            service.state().dies = None;
            deliver(&service, &message).await.unwrap();
            let state = service.state();
            assert_eq!(state.suppressions.len(), 2);
            assert!(state.suppressions.values().all(|s| s["expirationDate"] == json!(END)));
            assert_eq!(state.changes, 2, "each is changed once");
            assert!((1..=2).contains(&state.parked.len()));
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_overlap_and_order_of_messages_makes_each_suppression_once(
        deliveries in proptest::collection::vec(proptest::collection::vec(0_u32..6, 1..5), 1..8)
    ) {
        let service = Service::default();
        let run = async {
            for resources in &deliveries {
                let findings: Vec<Value> = resources.iter().copied().map(certificate).collect();
                deliver(&service, &message(&findings)).await.unwrap();
            }
        };
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run);
        let distinct: std::collections::BTreeSet<&u32> = deliveries.iter().flatten().collect();
        let state = service.state();
        assert_eq!((state.changes, state.suppressions.len()), (distinct.len(), distinct.len()));
    }
}
