//! Right before a start: what starts still, what does not, and what people are alerted of, whatever a message says.

use std::time::Duration;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;
use crate::service::certificate;
use crate::service::finding;
use crate::setup::CHECK;
use crate::setup::FAR;
use crate::setup::deliver;
use crate::setup::findings;
use crate::setup::follow;
use crate::setup::id;
use crate::setup::message;
use crate::setup::under;
use crate::setup::whole_check;
use crate::setup::with;
use crate::windows::TWO_WEEKS;

const LIKE_BEFORE: &str = "{ name: now, match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }, mitigate: { actions: [QuarantineThing, TellOwner], devices: any } }";

/// A policy that enforces, with these protections and rules, one a line.
fn other(protect: &str, rules: &[&str]) -> String {
    let protect = if protect.is_empty() { String::new() } else { format!("protect: {{ {protect} }}\n") };
    let rules = rules.join("\n  - ");
    format!("version: 1\nbudgets: none\nmode: enforce\n{protect}rules:\n  - {rules}\n")
}

async fn deliver_under(service: &Service, policy: &str, message: &Value) {
    under(service, policy).message(&message.to_string(), FAR).await.unwrap();
}

impl Service {
    fn reason(&self, message: &Value) -> String {
        self.attribute(&format!("mitigation#{}", id(message)), "task", "reason")
    }

    /// The findings of a task that was started.
    fn started(&self, message: &Value) -> Value {
        self.state().tasks[&id(message)]["target"]["findingIds"].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn by_the_policy_that_decided_each_finding_is_asked_about_once() {
    let service = Service::default();
    deliver(&service, &message(findings([1, 2]))).await.unwrap();
    assert_eq!(
        service.calls(),
        "finding action action certificate finding certificate action action TransactWriteItems describe BatchWriteItem \
         PutItem GetItem start SendMessageBatch GetItem UpdateItem"
    );
}

/// A message that says the hash of this very policy, as a forged one would, passes nothing by it.
#[tokio::test(start_paused = true)]
async fn the_hash_of_the_policy_in_a_message_is_no_permission() {
    let protects = other("things: [thing-1]", &[LIKE_BEFORE]);
    let reports = other(
        "",
        &["{ name: now, match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }, report: { silent: true } }"],
    );
    let waits = format!("{}{TWO_WEEKS}\n", other("", &[LIKE_BEFORE]));
    let observes = other("", &[LIKE_BEFORE]).replace("mode: enforce", "mode: observe");
    for (policy, state) in
        [(protects, "superseded"), (reports, "superseded"), (waits, "held"), (observes, "observed")]
    {
        for asked in [message(findings([1])), whole_check()] {
            let service = Service::default();
            let function = under(&service, &policy);
            let forged = with(asked, "/request/policy", function.policy().hash());
            function.message(&forged.to_string(), FAR).await.unwrap();
            assert!(service.starts().is_empty(), "{policy}");
            assert_eq!(service.task_state(&id(&forged)), state, "{policy}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_of_another_audit_or_check_does_not_start() {
    let policy = other("", &[LIKE_BEFORE]);
    for (member, value, why) in [
        ("taskId", json!("3a1f"), "it is not of this audit"),
        ("taskId", Value::Null, "it is not of this audit"),
        ("checkName", json!("LOGGING_DISABLED_CHECK"), "it is of another check"),
        ("nonCompliantResource", Value::Null, "no rule takes it"),
    ] {
        let service = Service::default();
        let asked = message(findings([1]));
        let mut found = finding("finding-1");
        found[member] = value;
        service.state().findings.insert("finding-1".into(), Some(found));
        deliver_under(&service, &policy, &asked).await;
        assert!(
            service.starts().is_empty() && service.reason(&asked).contains(why),
            "{}",
            service.reason(&asked)
        );
    }
}

/// The age of a finding goes by the audit as the service knows it.
#[tokio::test(start_paused = true)]
async fn a_message_cannot_make_an_audit_later() {
    let older = LIKE_BEFORE.replace("CHECK }", "CHECK, olderThan: 30d }");
    let service = Service::default();
    let asked = with(message(findings([1])), "/request/audit/startedAt", START.plus_seconds(365 * 86_400).0);
    deliver_under(&service, &other("", &[&older]), &asked).await;
    assert!(service.starts().is_empty(), "it was first seen at its audit");
}

#[tokio::test(start_paused = true)]
async fn a_command_has_nothing_started_by_a_message() {
    for step in [json!("start"), json!({"held": {"since": START.0, "until": START.0}})] {
        let service = Service::default();
        let mut forged = with(message(findings([1])), "/step", step);
        let request = forged["request"].as_object_mut().unwrap();
        request.remove("rule");
        request.insert("command".into(), json!("by-hand"));
        // The item that a command wrote stays as it is.
        service.cloud.put_item(json!({
            "pk": {"S": "mitigation#by-hand"}, "sk": {"S": "task"}, "state": {"S": "claimed"}, "origin": {"S": "command"},
        }));
        let before = service.ledger();
        let function = under(&service, &other("", &[LIKE_BEFORE]));
        let error = function.message(&forged.to_string(), FAR).await.unwrap_err();
        assert!(
            error.is_permanent() && error.to_string().contains("a command starts its task itself"),
            "{error}"
        );
        assert_eq!((service.ledger(), service.starts().len(), service.alerts().len()), (before, 0, 1));
    }
}

/// While there is no room, what waits does not ask about each of its findings.
#[tokio::test(start_paused = true)]
async fn after_a_full_service_others_wait_without_asking() {
    let service = Service::default();
    service.state().faults.insert("start".into(), Answer::error(410, "LimitExceededException", "{}"));
    let function = under(&service, &other("", &[LIKE_BEFORE]));
    for n in 1..=3 {
        function.message(&message(findings([n])).to_string(), FAR).await.unwrap();
    }
    assert_eq!(service.calls().matches("finding").count(), 1);
    assert_eq!(service.take_queue().len(), 3);
    service.cloud.pass_seconds(10);
    service.state().faults.clear();
    function.message(&message(findings([2])).to_string(), FAR).await.unwrap();
    assert_eq!(service.starts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_another_policy_mitigates_alike_starts_as_it_was_asked_for() {
    let service = Service::default();
    let asked = message(findings([1, 2]));
    for _ in 0..2 {
        deliver_under(&service, &other("things: [museum]", &[LIKE_BEFORE]), &asked).await;
    }
    assert_eq!(service.starts(), [id(&asked)]);
    assert_eq!(service.started(&asked), json!(["finding-1", "finding-2"]));
    assert!(service.alerts().is_empty() && service.reason(&asked).is_empty());
    assert!(service.calls().starts_with(
        "finding principals action action certificate finding principals certificate action action TransactWriteItems describe"
    ));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_mitigated_alike_does_not_start_and_is_told_once() {
    let elsewhere = LIKE_BEFORE.replace("TellOwner", "Revoke");
    let reports =
        "{ name: tells, match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }, report: { severity: high } }";
    let older = LIKE_BEFORE.replace("CHECK }", "CHECK, olderThan: 30d }");
    let cases: [(String, &[&str], &str); 7] = [
        ("things: [thing-1]".into(), &[LIKE_BEFORE], "it is protected by 'thing-1' of things"),
        (format!("certificates: ['{}']", certificate(1)), &[LIKE_BEFORE], "it is protected by '"),
        (
            "groups: [critical]".into(),
            &[LIKE_BEFORE],
            "whether it is protected is unknown: ListThingGroupsForThing: AccessDeniedException",
        ),
        (String::new(), &[], "no rule takes it"),
        (String::new(), &[&elsewhere], "rule now mitigates it with other actions"),
        (String::new(), &[reports, LIKE_BEFORE], "rule tells says report now"),
        (String::new(), &[&older], "no rule takes it"),
    ];
    for (protect, rules, why) in cases {
        let policy = if rules.is_empty() {
            "version: 1\nbudgets: none\nmode: enforce\nrules: []\n".to_owned()
        } else {
            other(&protect, rules)
        };
        let service = Service::default();
        service.state().faults.insert("groups".into(), Answer::error(403, "AccessDeniedException", "{}"));
        let asked = message(findings([1]));
        for _ in 0..2 {
            deliver_under(&service, &policy, &asked).await;
        }
        // Another one of the rule and audit is set aside as well, and no news.
        deliver_under(&service, &policy, &message(findings([1, 2]))).await;
        assert_eq!(service.task_state(&id(&asked)), "superseded", "{why}");
        assert!(service.reason(&asked).contains(&format!("finding-1: {why}")), "{}", service.reason(&asked));
        assert_eq!(service.claim(1).1, "superseded");
        assert_eq!(service.alerts().len(), 1, "{why}");
        assert!(service.take_queue().iter().all(|(_, message)| message["step"] == "follow"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_past_that_a_rule_asks_for_is_in_the_message() {
    let older = LIKE_BEFORE.replace("CHECK }", "CHECK, olderThan: 30d, seenAtLeast: 3 }");
    let policy = other("", &[&older]);
    let day = 86_400_000;
    for (days, times, starts) in [(31, 3, true), (29, 3, false), (31, 2, false)] {
        let service = Service::default();
        let past = json!({"firstSeen": START.0 - days * day, "timesSeen": times});
        let asked = with(message(findings([1])), "/request/target/findings/0/past", past);
        deliver_under(&service, &policy, &asked).await;
        assert_eq!(service.starts().len(), usize::from(starts), "{days} {times}");
    }
    let service = Service::default();
    let asked = with(message(findings([1])), "/request/target/findings/0/past", Value::Null);
    deliver_under(&service, &policy, &asked).await;
    assert!(service.reason(&asked).contains("finding-1: its past is not known"));
}

#[tokio::test(start_paused = true)]
async fn of_some_findings_the_rest_starts() {
    let service = Service::default();
    let asked = message(findings([1, 2, 3, 4]));
    service.state().findings.insert("finding-3".into(), None);
    let suppressed =
        json!({"findingId": "finding-4", "taskId": "4e2b", "checkName": CHECK, "isSuppressed": true});
    service.state().findings.insert("finding-4".into(), Some(suppressed));
    // A finding that names no check is of the one that it was asked for with, as in triage.
    let resource = json!({"resourceIdentifier": {"deviceCertificateId": certificate(2)}});
    let bare = json!({"findingId": "finding-2", "taskId": "4e2b", "nonCompliantResource": resource});
    service.state().findings.insert("finding-2".into(), Some(bare));
    let policy = other("things: [thing-1]", &[LIKE_BEFORE]);
    deliver_under(&service, &policy, &asked).await;
    assert_eq!(service.started(&asked), json!(["finding-2"]));
    assert_eq!(service.task_state(&id(&asked)), "started");
    let reason = service.reason(&asked);
    let (_, why) = reason.split_once(" does not ").unwrap();
    assert_eq!(
        why,
        "mitigate 3 of 4 in this way: finding-1: it is protected by 'thing-1' of things; finding-3: it is gone; \
         finding-4: it is suppressed"
    );
    assert_eq!([1, 2, 3].map(|n| service.claim(n).1), ["superseded", "claimed", "superseded"]);
    let [alert] = &service.alerts()[..] else { panic!("one alert") };
    let mut alert = alert.clone();
    let told = alert["content"]["description"].as_str().unwrap_or_default().to_owned();
    let hash = under(&service, &policy).policy().hash().to_owned();
    assert!(told.is_empty() || told.contains(&hash));
    alert["content"]["description"] = told.replace(&hash, "HASH").into();
    insta::assert_json_snapshot!(alert);
    // It ends as any other.
    service.end(&id(&asked), "COMPLETED", [1, 0, 0, 0]);
    deliver_under(&service, &policy, &follow(&asked)).await;
    assert_eq!(service.task_state(&id(&asked)), "completed");
}

#[tokio::test(start_paused = true)]
async fn a_whole_check_starts_only_if_the_whole_check_is_still_mitigated_alike() {
    let narrower = LIKE_BEFORE.replace("CHECK }", "CHECK, severity: HIGH }");
    for (policy, starts) in [
        (other("policies: [p]", &[LIKE_BEFORE]), true),
        (other("things: [p]", &[LIKE_BEFORE]), false),
        (other("policies: [p]", &[&narrower]), false),
        (other("policies: [p]", &[&LIKE_BEFORE.replace("TellOwner", "Revoke")]), false),
    ] {
        let service = Service::default();
        deliver_under(&service, &policy, &whole_check()).await;
        assert_eq!(
            (service.starts().len(), service.alerts().len()),
            (usize::from(starts), usize::from(!starts))
        );
        let calls = service.calls();
        assert!(!calls.split(' ').any(|call| call == "finding" || call == "principals"), "{calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_started_is_followed_whatever_a_later_policy_says() {
    let policy = other("things: ['*']", &[LIKE_BEFORE]);
    // It dies right before the start, and right after it.
    for (after, state, follow_ups) in [(false, "superseded", 0), (true, "started", 1)] {
        let service = Service::default();
        let asked = message(findings([1]));
        service.state().dies = Some((11, after));
        let died = tokio::time::timeout(Duration::from_secs(2), deliver(&service, &asked)).await;
        assert!(died.is_err());
        service.state().dies = None;
        // Until then another worker could still start it.
        service.cloud.pass_seconds(900);
        deliver_under(&service, &policy, &asked).await;
        let found = (service.task_state(&id(&asked)), service.take_queue().len(), service.alerts().len());
        assert_eq!(found, (state.to_owned(), follow_ups, 1 - follow_ups));
        assert_eq!(service.starts().len(), follow_ups);
    }
    // Of one that started and was not written down, nothing is left out any more.
    let service = Service::default();
    let asked = message(findings([1, 2]));
    service.state().dies = Some((13, true));
    let died = tokio::time::timeout(Duration::from_secs(2), deliver(&service, &asked)).await;
    assert!(died.is_err());
    service.state().dies = None;
    deliver_under(&service, &other("things: [thing-1]", &[LIKE_BEFORE]), &asked).await;
    assert_eq!([1, 2].map(|n| service.claim(n).1), ["claimed", "claimed"]);
    assert_eq!((service.task_state(&id(&asked)).as_str(), service.alerts().len()), ("started", 0));
    assert_eq!((service.take_queue().len(), service.starts().len()), (1, 1));
    // A second copy of one that has started changes nothing.
    let service = Service::default();
    let asked = message(findings([1, 2]));
    deliver(&service, &asked).await.unwrap();
    let before = service.ledger();
    for policy in [&policy, &other("things: [thing-1]", &[LIKE_BEFORE])] {
        deliver_under(&service, policy, &asked).await;
    }
    assert_eq!((service.ledger(), service.alerts().len(), service.starts().len()), (before, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn who_dies_at_any_call_is_made_good_by_the_next_delivery() {
    let asked = message(findings([1, 2]));
    for (protect, left, state) in [("things: [thing-1]", 1, "started"), ("things: ['*']", 0, "superseded")] {
        let policy = other(protect, &[LIKE_BEFORE]);
        for at in 0.. {
            let mut died = false;
            for after in [false, true] {
                let service = Service::default();
                service.state().dies = Some((at, after));
                let deliver = deliver_under(&service, &policy, &asked);
                died |= tokio::time::timeout(Duration::from_secs(2), deliver).await.is_err();
                service.state().dies = None;
                // Whoever comes next waits until the dead one's lease is over.
                service.cloud.pass_seconds(3600);
                for _ in 0..2 {
                    deliver_under(&service, &policy, &asked).await;
                }
                assert_eq!(
                    (service.task_state(&id(&asked)), service.starts().len()),
                    (state.to_owned(), left)
                );
                // Who dies right after telling tells the same again, under the same id.
                let alerts = service.alerts();
                assert!(!alerts.is_empty() && alerts.iter().all(|alert| *alert == alerts[0]), "call {at}");
                assert_eq!(service.claim(1).1, "superseded");
            }
            if !died {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_up_comes_again() {
    let service = Service::default();
    let asked = message(findings([1]));
    let policy = other("", &[LIKE_BEFORE]);
    service.state().faults.insert("finding".into(), Answer::error(400, "ThrottlingException", "{}"));
    let error = under(&service, &policy).message(&asked.to_string(), FAR).await.unwrap_err();
    assert!(!error.is_permanent() && error.to_string().starts_with("DescribeAuditFinding"), "{error}");
    assert!(service.starts().is_empty() && service.task_state(&id(&asked)).is_empty());
    service.state().faults.clear();
    service.state().faults.insert("finding".into(), Answer::Never);
    let soon = START.plus_seconds(12);
    under(&service, &policy).message(&asked.to_string(), soon).await.unwrap();
    service.state().faults.clear();
    let [(60, next)] = &service.take_queue()[..] else { panic!("it is put off") };
    deliver_under(&service, &policy, next).await;
    assert_eq!(service.starts(), [id(&asked)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_decided_on_when_its_window_opens_and_not_before() {
    let service = Service::default();
    let asked = message(findings([1]));
    let windows = format!("windows: {}", crate::windows::OPENS_IN_AN_HOUR.trim_start_matches("windows: "));
    let policy = format!("{}{windows}\n", other("things: [thing-1]", &[LIKE_BEFORE]));
    let mut next = asked.clone();
    for _ in 0..4 {
        deliver_under(&service, &policy, &next).await;
        assert!(!service.calls().contains("finding"));
        let (delay, again) = service.take_queue().remove(0);
        service.cloud.pass_seconds(i64::try_from(delay).unwrap());
        next = again;
    }
    deliver_under(&service, &policy, &next).await;
    assert_eq!((service.task_state(&id(&asked)), service.alerts().len()), ("superseded".into(), 1));
    assert!(service.starts().is_empty() && service.take_queue().is_empty());
}
