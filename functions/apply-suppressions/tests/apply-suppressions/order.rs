//! Messages that come late, again, under another policy, after a later audit, from somebody else, or faster than the
//! account takes calls.

use std::cell::RefCell;
use std::collections::VecDeque;

use aws_lambda_events::sqs::SqsEvent;
use aws_lambda_events::sqs::SqsMessage;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pause;
use fleetwarden_aws::pause::Resume;
use fleetwarden_aws::testing::Answer;
use fleetwarden_core::model::mitigation::pause::Pause;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::service::Service;
use crate::setup::CHECK;
use crate::setup::DAY;
use crate::setup::END;
use crate::setup::FAR;
use crate::setup::LAB;
use crate::setup::NOW;
use crate::setup::OURS;
use crate::setup::about;
use crate::setup::at;
use crate::setup::certificate;
use crate::setup::deliver;
use crate::setup::existing;
use crate::setup::forever;
use crate::setup::message;
use crate::setup::under;
use crate::setup::with;

const NOTHING: &str = "version: 1\nmode: enforce\nrules: []\n";

async fn deliver_under(service: &Service, policy: &str, message: &Value) {
    under(service, policy).message(&message.to_string(), FAR).await.unwrap();
}

/// The only suppression that there is: its end and its description.
fn only(service: &Service) -> (Value, Value) {
    let state = service.state();
    assert_eq!(state.suppressions.len(), 1);
    let is = state.suppressions.values().next().unwrap();
    (is["expirationDate"].clone(), is["description"].clone())
}

#[tokio::test(start_paused = true)]
async fn what_another_policy_does_not_suppress_alike_is_left_to_the_next_audit() {
    let never = with(message(&[certificate(1)]), "expiresAt", Value::Null);
    let elsewhere = LAB.replace("name: lab", "name: laboratory");
    let reports = LAB.replace("suppress: { for: 30d, reason: devices are replaced }", "report: {}");
    let excepted = LAB.replace("_CHECK }", "_CHECK }\n    except: { resource: '*1' }");
    let in_shadow = LAB.replace("name: lab", "name: lab\n    stage: shadow");
    let shorter = LAB.replace("30d", "7d");
    for policy in [NOTHING, &shorter, &elsewhere, &reports, &excepted, &in_shadow] {
        // A later decision has given it seven days meanwhile; the message says that it never ends.
        for asked in [&never, &message(&[certificate(1)])] {
            let service = existing(OURS, Some(NOW + 7 * DAY));
            let before = only(&service);
            deliver_under(&service, policy, asked).await;
            assert_eq!((only(&service), service.calls()), (before, String::new()), "{policy}");
            assert!(service.state().parked.is_empty());
        }
    }
    let service = Service::default();
    deliver_under(&service, &forever(), &never).await;
    assert_eq!(service.state().changes, 1, "what it suppresses alike is suppressed");
}

#[tokio::test(start_paused = true)]
async fn of_some_findings_the_rest_is_suppressed() {
    let service = Service::default();
    service.state().findings.insert("finding-2".into(), None);
    let mut suppressed = crate::service::finding(3);
    suppressed["isSuppressed"] = true.into();
    service.state().findings.insert("finding-3".into(), Some(suppressed));
    deliver(&service, &message(&[1, 2, 3, 4].map(certificate))).await.unwrap();
    assert_eq!((service.calls().as_str(), service.state().parked.len()), ("create create", 0));
}

#[tokio::test(start_paused = true)]
async fn the_past_that_a_rule_asks_for_is_in_the_message() {
    let older = LAB.replace("_CHECK }", "_CHECK, olderThan: 30d, seenAtLeast: 3 }");
    for (days, times, made) in [(31, 3, 1), (29, 3, 0), (31, 2, 0)] {
        let service = Service::default();
        let mut finding = certificate(1);
        finding["past"] = json!({"firstSeen": (NOW - days * DAY) * 1000, "timesSeen": times});
        deliver_under(&service, &older, &message(&[finding])).await;
        assert_eq!(service.state().changes, made, "{days} {times}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_lapsed_is_not_renewed_by_a_late_message() {
    let policy = fleetwarden_core::policy::Policy::parse(LAB.as_bytes()).unwrap();
    let terms = policy.rules()[0].terms().unwrap();
    for (days, end, made) in [(10, NOW + 20 * DAY, 1), (10, END, 0), (31, END, 0)] {
        let service = Service::default();
        let mut finding = certificate(1);
        finding["past"]["firstSuppressed"] = json!({"at": (NOW - days * DAY) * 1000, "terms": terms});
        deliver(&service, &with(message(&[finding]), "expiresAt", end)).await.unwrap();
        assert_eq!(service.state().changes, made, "{days}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_no_authority_whatever_hash_it_carries() {
    let hash = under(&Service::default(), LAB).policy.hash().to_owned();
    let forged = with(message(&[certificate(1)]), "policy", hash);
    let mut other_check = crate::service::finding(1);
    other_check["checkName"] = "DEVICE_CERTIFICATE_SHARED_CHECK".into();
    let mut other_audit = crate::service::finding(1);
    other_audit["taskId"] = "older".into();
    let resource = about("finding-1", &json!({"deviceCertificateId": "b".repeat(64)}));
    let later = (NOW + 60) * 1000;
    let cases = [
        (forged.clone(), Some(other_check), "is not of the check and resource"),
        (forged.clone(), Some(other_audit), "is not of the audit"),
        (with(forged.clone(), "findings", json!([resource])), None, "is not of the check and resource"),
        (
            with(forged.clone(), "findings", json!([{"findingId": "finding-1", "key": resource["key"]}])),
            None,
            "no past",
        ),
        (
            {
                let mut forged = forged.clone();
                forged["audit"]["startedAt"] = later.into();
                forged
            },
            None,
            "is not of the audit",
        ),
    ];
    for (forged, finding, why) in cases {
        let service = Service::default();
        if let Some(finding) = finding {
            service.state().findings.insert("finding-1".into(), Some(finding));
        }
        let error = deliver(&service, &forged).await.unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains(why), "{error}");
        assert_eq!(service.calls(), "");
    }
    // What the policy says otherwise is not done as the message says.
    for (member, value) in [
        ("expiresAt", Value::Null),
        ("expiresAt", json!(END + 1)),
        ("words", json!({"reason": "a harmless reason"})),
        ("words", json!({"reason": "devices are replaced", "owner": "somebody"})),
        ("rule", json!("laboratory")),
    ] {
        let service = Service::default();
        deliver(&service, &with(forged.clone(), member, value)).await.unwrap();
        assert_eq!(service.calls(), "");
    }
}

#[tokio::test(start_paused = true)]
async fn an_overtaken_message_replaces_no_newer_decision() {
    let old = || existing(OURS, Some(NOW + 7 * DAY));
    let service = old();
    service.overtake();
    let before = only(&service);
    deliver(&service, &message(&[certificate(1), certificate(2)])).await.unwrap();
    assert_eq!((only(&service), service.state().calls.len()), (before.clone(), 1), "nothing else is asked");
    // The later audit comes between any two calls.
    for (call, calls) in [("finding", ""), ("create", "create describe"), ("describe", "create describe")] {
        let service = old();
        service.state().overtaken_before = Some(call);
        deliver(&service, &message(&[certificate(1), certificate(2)])).await.unwrap();
        assert_eq!((only(&service), service.calls().as_str()), (before.clone(), calls), "{call}");
    }
    // Of its own audit, or an earlier one, nothing is overtaken.
    let service = old();
    service.cloud.put_item(json!({
        "pk": {"S": format!("history#{CHECK}")}, "sk": {"S": "audit"},
        "task_id": {"S": "4e2b"}, "started_at": {"N": (NOW * 1000).to_string()},
    }));
    deliver(&service, &message(&[certificate(1)])).await.unwrap();
    assert_eq!(only(&service).0, json!(END));
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_has_standing_is_left_alone() {
    let standing = "suppressions:
  - name: presses
    check: DEVICE_CERTIFICATE_EXPIRING_CHECK
    match: { thingType: press }
    suppress: { indefinitely: true, reason: known, owner: lab }
";
    let policy = format!("{LAB}{standing}");
    let shadow = policy.replace("owner: lab }", "owner: lab }\n    stage: shadow");
    for (policy, end, updates) in [
        (policy.as_str(), None, false),
        (&policy, Some(NOW - 1), true),
        (&shadow, None, true),
        (LAB, None, true),
    ] {
        let service = existing("Fleetwarden: standing presses; owner lab; known", end);
        deliver_under(&service, policy, &message(&[certificate(1)])).await;
        assert_eq!(service.calls().contains("update"), updates, "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_up_comes_again() {
    let service = Service::default();
    service.state().faults.push(("finding", "finding-1".into(), Answer::refused()));
    let error = deliver(&service, &message(&[certificate(1), certificate(2)])).await.unwrap_err();
    assert!(!error.is_permanent() && error.to_string().starts_with("DescribeAuditFinding"), "{error}");
    assert_eq!(service.calls(), "create");
    service.state().faults.clear();
    service.state().faults.push(("finding", String::new(), Answer::ok("{}")));
    let error = deliver(&service, &message(&[certificate(1)])).await.unwrap_err();
    assert!(!error.is_permanent() && error.to_string().contains("the answer has no finding"), "{error}");
}

/// A number of the function in the template, below one line and after another.
fn in_template(name: &str) -> u64 {
    let template = include_str!("../../../../template.yaml");
    let (_, function) = template.split_once("  ApplySuppressionsFunction:\n").unwrap();
    let (function, _) = function.split_once("\n  ApplySuppressionsRole:").unwrap();
    let (_, globals) = template.split_once("\nGlobals:\n").unwrap();
    let value = [function, globals].iter().find_map(|text| text.split_once(&format!(" {name}: ")));
    let (_, value) = value.unwrap();
    value.split_whitespace().next().unwrap().parse().unwrap()
}

/// Ten messages whose suppressions exist already, two workers, and an account of whose calls others use the most.
#[tokio::test(start_paused = true)]
async fn what_exists_already_fits_into_an_invocation_while_others_call_too() {
    for per_second in [10, 2] {
        let service = Service::default();
        let policy = forever();
        let asked = |n: u32| {
            let findings: Vec<Value> = (n * 25..n * 25 + 25).map(certificate).collect();
            with(message(&findings), "expiresAt", Value::Null)
        };
        for n in 0..10 {
            deliver_under(&service, &policy, &asked(n)).await;
        }
        assert_eq!(service.state().suppressions.len(), 250);
        service.state().per_second = Some(per_second);
        let (timeout, batch) = (in_template("Timeout"), in_template("BatchSize"));
        let began = Instant::now();
        let clock =
            Clock::new(move || Millis(NOW * 1000 + i64::try_from(began.elapsed().as_millis()).unwrap()));
        let queue: RefCell<VecDeque<u32>> = RefCell::new((0..10).collect());
        // What comes back has used up one of its five receives, and meets the next messages in its next batch.
        let came_back = RefCell::new(Vec::new());
        let worker = async || {
            let function = at(&service, &policy, clock.clone());
            while !queue.borrow().is_empty() {
                let most = usize::try_from(batch).unwrap().min(queue.borrow().len());
                let taken: Vec<u32> = queue.borrow_mut().drain(..most).collect();
                let record = |n: u32| {
                    let mut record = SqsMessage::default();
                    record.message_id = Some(n.to_string());
                    record.body = Some(asked(n).to_string());
                    record
                };
                let mut event = SqsEvent::default();
                event.records = taken.iter().map(|n| record(*n)).collect();
                let mut context = Context::default();
                context.deadline = u64::try_from(clock.now().0).unwrap() + timeout * 1000;
                let failed: Vec<u32> = match function.handle(LambdaEvent::new(event, context)).await {
                    Ok(response) => response
                        .batch_item_failures
                        .iter()
                        .map(|failure| failure.item_identifier.parse().unwrap())
                        .collect(),
                    Err(_) => taken,
                };
                came_back.borrow_mut().extend(failed);
            }
        };
        tokio::join!(worker(), worker());
        assert_eq!(came_back.take(), [0_u32; 0], "at {per_second} calls a second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_suppressions_leaves_them_to_the_next_audit() {
    let service = Service::default();
    let ledger = Ledger::new(service.cloud.clients().dynamodb(), "ledger".into());
    let mut paused = Pause { reason: "a bad policy".into(), since: "2026-11-23".into(), ..Pause::default() };
    let asked = message(&[certificate(1)]);
    paused.suppressions = true;
    pause::set(&ledger, &paused).await.unwrap();
    deliver(&service, &asked).await.unwrap();
    assert!(service.state().suppressions.is_empty());
    pause::end(&ledger, Resume::default(), Millis(0)).await.unwrap();
    // A pause of mitigation alone stops none.
    paused.suppressions = false;
    pause::set(&ledger, &paused).await.unwrap();
    deliver(&service, &asked).await.unwrap();
    only(&service);
}
