//! What a message does that is held: it waits, is written and told once, and is started once or superseded.

use std::time::Duration;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;
use crate::service::finding;
use crate::setup::FAR;
use crate::setup::findings;
use crate::setup::follow;
use crate::setup::hash;
use crate::setup::id;
use crate::setup::message;
use crate::setup::policy;
use crate::setup::under;
use crate::setup::whole_check;
use crate::setup::with;
use crate::windows::OPENS_IN_AN_HOUR;
use crate::windows::TWO_WEEKS;

async fn deliver(service: &Service, windows: &str, message: &Value) {
    let function = under(service, &policy(Mode::Enforce, windows));
    function.message(&message.to_string(), FAR).await.unwrap();
}

/// Delivers to a process that dies at a call, before or after it takes effect. Says whether it came to that.
async fn dies(service: &Service, windows: &str, message: &Value, at: (usize, bool)) -> bool {
    service.state().calls.clear();
    service.state().dies = Some(at);
    let deliver = deliver(service, windows, message);
    let died = tokio::time::timeout(Duration::from_secs(2), deliver).await.is_err();
    service.state().dies = None;
    died
}

fn now(service: &Service) -> Millis {
    service.cloud.clock().now()
}

impl Service {
    /// The one message on the queue, when it is seen again.
    fn next(&self) -> Value {
        let [(delay, next)] = &self.take_queue()[..] else { panic!("one message") };
        self.cloud.pass_seconds(i64::try_from(*delay).unwrap());
        next.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_until_a_window_opens_and_then_starts_once() {
    let service = Service::default();
    let asked = message(findings([1, 2]));
    let mut next = asked.clone();
    let mut delays = vec![];
    while now(&service) < START.plus_seconds(3600) {
        deliver(&service, OPENS_IN_AN_HOUR, &next).await;
        assert!(service.starts().is_empty());
        delays.push(service.state().queue[0].0);
        next = service.next();
    }
    assert_eq!(delays, [900, 900, 900, 900]);
    assert_eq!(
        service.calls(),
        "TransactWriteItems GetItem SendMessageBatch".to_owned()
            + &" TransactWriteItems SendMessageBatch".repeat(3)
    );
    let task = format!("mitigation#{}", id(&asked));
    let of = |name| service.attribute(&task, "task", name);
    assert_eq!((of("state"), of("until")), ("held".into(), "2026-11-23T01:00:00Z".into()));
    assert_eq!(
        of("reason"),
        "outside of the policy's windows until 2026-11-23T02:00:00+01:00 (Europe/Berlin)"
    );
    assert_eq!(service.claim(2), (id(&asked), "held".into()));
    deliver(&service, OPENS_IN_AN_HOUR, &next).await;
    assert_eq!((service.starts(), service.task_state(&id(&asked))), (vec![id(&asked)], "started".into()));
    assert_eq!((of("until"), service.claim(2).1), (String::new(), "claimed".into()));
    let mut follow_up = follow(&asked);
    follow_up["waits"] = json!(0);
    assert_eq!(service.take_queue(), [(60, follow_up)]);
    assert!(service.alerts().is_empty(), "an hour is no news");
    for again in [&next, &asked] {
        deliver(&service, OPENS_IN_AN_HOUR, again).await;
    }
    assert!(service.starts().len() == 1 && service.take_queue().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_weeks_are_no_retries_and_are_written_and_told_once() {
    let service = Service::default();
    let asked = message(findings([1]));
    let mut next = asked.clone();
    let mut rounds = 0;
    let function = under(&service, &policy(Mode::Enforce, TWO_WEEKS));
    while service.starts().is_empty() {
        function.message(&next.to_string(), FAR).await.unwrap();
        next = service.next();
        rounds += 1;
        if rounds == 1 {
            // Another task of the same rule and audit is no news.
            deliver(&service, TWO_WEEKS, &message(findings([2]))).await;
            service.take_queue();
        }
    }
    assert_eq!(rounds, 14 * 96 + 1);
    assert_eq!(next["step"], "follow");
    let calls = service.calls();
    // One for each hold, one for each round after the first, and one for the start.
    assert_eq!(calls.matches("TransactWriteItems").count(), 3 + rounds - 1);
    // The start asks whether mitigation is paused, and whether it was refused before.
    assert_eq!(calls.matches("GetItem").count(), 2 + 2, "each chain of messages begins once");
    assert!(service.parked().is_empty());
    assert_eq!(service.alerts().len(), 1);
    insta::assert_json_snapshot!(service.alerts()[0]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_twice_yields_one_task() {
    let service = Service::default();
    let asked = message(findings([1]));
    for _ in 0..2 {
        deliver(&service, OPENS_IN_AN_HOUR, &asked).await;
    }
    let copies = service.take_queue();
    assert_eq!(copies.len(), 2);
    service.cloud.pass_seconds(3600);
    for (_, copy) in &copies {
        deliver(&service, OPENS_IN_AN_HOUR, copy).await;
    }
    assert_eq!((service.starts(), service.take_queue().len()), (vec![id(&asked)], 1));
}

#[tokio::test(start_paused = true)]
async fn a_later_audit_supersedes_what_waits() {
    let service = Service::default();
    let asked = message(findings([1]));
    deliver(&service, OPENS_IN_AN_HOUR, &asked).await;
    let mut next = service.next();
    for _ in 0..2 {
        deliver(&service, OPENS_IN_AN_HOUR, &next).await;
        assert_eq!(service.task_state(&id(&asked)), "held");
        next = service.next();
    }
    service.looked_at("5c3d", START.plus_seconds(60));
    for seconds in [0, 3600] {
        service.cloud.pass_seconds(seconds);
        deliver(&service, OPENS_IN_AN_HOUR, &next).await;
        // A late copy of the first message changes nothing either.
        deliver(&service, OPENS_IN_AN_HOUR, &asked).await;
        assert_eq!(
            (service.task_state(&id(&asked)), service.claim(1).1),
            ("superseded".into(), "superseded".into())
        );
    }
    assert!(service.starts().is_empty() && service.take_queue().is_empty() && service.alerts().is_empty());
    // The later audit's own mitigation of the same resource, under its new id.
    let later = with(
        with(message(findings([7])), "/request/audit/taskId", "5c3d"),
        "/request/audit/startedAt",
        START.0 + 60_000,
    );
    let found = with(finding("finding-7"), "/taskId", "5c3d");
    service.state().findings.insert("finding-7".into(), Some(found));
    deliver(&service, OPENS_IN_AN_HOUR, &later).await;
    assert_eq!(service.starts(), [id(&later)]);
}

/// Schedule: a process dies between its claim and its start, a later audit looks, and another policy is deployed.
#[tokio::test(start_paused = true)]
async fn what_was_claimed_and_is_overtaken_is_given_back_under_any_policy() {
    let asked = message(findings([1]));
    let mut claimed = 0;
    for (mode, windows) in [(Mode::Observe, ""), (Mode::Enforce, OPENS_IN_AN_HOUR), (Mode::Enforce, "")] {
        for call in 0..20 {
            let service = Service::default();
            if !dies(&service, "", &asked, (call, false)).await {
                break;
            }
            if service.task_state(&id(&asked)) != "claimed" || !service.starts().is_empty() {
                continue;
            }
            claimed += 1;
            service.looked_at("5c3d", START.plus_seconds(60));
            let function = under(&service, &policy(mode, windows));
            service.cloud.pass_seconds(120);
            // Another worker could still start it.
            let error = function.message(&asked.to_string(), FAR).await.unwrap_err();
            assert!(error.to_string().contains("another worker may start it until"), "{error}");
            assert_eq!(service.task_state(&id(&asked)), "claimed", "{call} {mode:?}");
            service.cloud.pass_seconds(900);
            function.message(&asked.to_string(), FAR).await.unwrap();
            let (state, of_finding) = (service.task_state(&id(&asked)), service.claim(1).1);
            assert_eq!((state, of_finding), ("superseded".into(), "superseded".into()), "{call} {mode:?}");
            assert!(service.starts().is_empty() && service.take_queue().is_empty());
        }
    }
    assert!(claimed >= 3, "{claimed}");
}

/// Schedule: audit 2 is triaged while audit 1's messages wait for room or on a dead-letter queue.
#[tokio::test(start_paused = true)]
async fn what_a_later_audit_overtakes_never_starts() {
    let (of_findings, of_check) = (message(findings([1])), whole_check());
    for asked in [&of_findings, &of_check] {
        let reason =
            |service: &Service| service.attribute(&format!("mitigation#{}", id(asked)), "task", "reason");
        for mode in [Mode::Enforce, Mode::Observe] {
            let service = Service::default();
            service.looked_at("5c3d", START.plus_seconds(60));
            let function = under(&service, &policy(mode, ""));
            // What the message says of the time of its audit does not count.
            for began in [START.0, FAR.0] {
                let late = with(asked.clone(), "/request/audit/startedAt", began);
                function.message(&late.to_string(), FAR).await.unwrap();
            }
            assert!(service.starts().is_empty() && service.take_queue().is_empty());
            assert_eq!(service.task_state(&id(asked)), "superseded");
            assert_eq!(reason(&service), "audit 5c3d is later and has decided on what is still there");
        }
        // An audit that the ledger does not know is not one of this stack.
        let service = Service::without_audit();
        deliver(&service, "", asked).await;
        assert_eq!(
            (service.starts().len(), reason(&service)),
            (0, "the ledger has no audit of the check".into())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_room_ends_when_a_later_audit_has_looked() {
    let service = Service::default();
    let asked = message(findings([1]));
    service.state().faults.insert("start".into(), Answer::error(410, "LimitExceededException", "{}"));
    deliver(&service, "", &asked).await;
    let next = service.next();
    assert_eq!(service.claim(1).1, "claimed");
    service.looked_at("5c3d", START.plus_seconds(60));
    service.state().faults.clear();
    // Until then another worker could still start it.
    service.cloud.pass_seconds(900);
    deliver(&service, "", &next).await;
    assert_eq!(
        (service.task_state(&id(&asked)), service.claim(1).1),
        ("superseded".into(), "superseded".into())
    );
    assert!(service.starts().is_empty() && service.take_queue().is_empty());
}

/// The audit is recorded between the question to the service and the claim.
#[tokio::test(start_paused = true)]
async fn an_audit_that_is_recorded_right_before_the_claim_overtakes() {
    let service = Service::default();
    let asked = message(findings([1]));
    service.state().on_finding = Some(("5c3d".to_owned(), START.plus_seconds(60)));
    deliver(&service, "", &asked).await;
    assert!(service.starts().is_empty());
    assert_eq!(service.task_state(&id(&asked)), "superseded");
}

#[tokio::test(start_paused = true)]
async fn copies_of_a_held_message_merge() {
    let service = Service::default();
    let asked = message(findings([1]));
    // Two triages, or one message that is delivered twice.
    for _ in 0..2 {
        deliver(&service, TWO_WEEKS, &asked).await;
    }
    let copies = service.take_queue();
    assert_eq!(copies.len(), 2);
    service.cloud.pass_seconds(900);
    for (_, copy) in &copies {
        deliver(&service, TWO_WEEKS, copy).await;
    }
    let [(_, next)] = &service.take_queue()[..] else { panic!("one of two goes on") };
    // A copy that comes late, and the first message again, end or join.
    deliver(&service, TWO_WEEKS, &copies[1].1).await;
    deliver(&service, TWO_WEEKS, &copies[0].1).await;
    deliver(&service, TWO_WEEKS, &asked).await;
    let joined = service.take_queue();
    service.cloud.pass_seconds(900);
    for copy in joined.iter().map(|(_, copy)| copy).chain([next]) {
        deliver(&service, TWO_WEEKS, copy).await;
    }
    assert_eq!(service.take_queue().len(), 1);
    assert_eq!(service.task_state(&id(&asked)), "held");
}

/// Two workers have two copies of a message that waits: the second one runs at each moment of the first.
#[tokio::test(start_paused = true)]
async fn copies_beside_each_other_merge() {
    let asked = message(findings([1]));
    for at in Moment::all() {
        let service = Service::default();
        for _ in 0..2 {
            deliver(&service, TWO_WEEKS, &asked).await;
        }
        let copies = service.take_queue();
        service.cloud.pass_seconds(900);
        let (one, other) =
            (deliver(&service, TWO_WEEKS, &copies[0].1), deliver(&service, TWO_WEEKS, &copies[1].1));
        let ((), second) = service.cloud.interleave(at.clone(), one, other).await;
        assert_eq!(service.take_queue().len(), 1, "{at:?}");
        if second.is_none() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_that_dies_at_any_call_goes_on_when_it_is_delivered_again() {
    let asked = message(findings([1]));
    for call in 0..3 {
        for after in [false, true] {
            let service = Service::default();
            deliver(&service, TWO_WEEKS, &asked).await;
            let held = service.next();
            assert_eq!(dies(&service, TWO_WEEKS, &held, (call, after)).await, call < 2, "{call}");
            deliver(&service, TWO_WEEKS, &held).await;
            let sent = service.take_queue();
            assert!(!sent.is_empty(), "{call}");
            service.cloud.pass_seconds(900);
            for (_, copy) in &sent {
                deliver(&service, TWO_WEEKS, copy).await;
            }
            assert_eq!(service.take_queue().len(), 1, "{call}");
        }
    }
}

/// A message with a number of its own choice must not end the chain that waits.
#[tokio::test(start_paused = true)]
async fn a_forged_round_takes_nothing() {
    let service = Service::default();
    let asked = message(findings([1]));
    deliver(&service, TWO_WEEKS, &asked).await;
    let held = service.next();
    let nought = with(held.clone(), "/round/number", 0).to_string();
    let function = under(&service, &policy(Mode::Enforce, TWO_WEEKS));
    assert!(function.message(&nought, FAR).await.unwrap_err().is_permanent());
    for number in [2, 7, u32::MAX] {
        let forged = with(held.clone(), "/round", json!({"number": number, "id": "forged"}));
        deliver(&service, TWO_WEEKS, &forged).await;
        assert!(service.take_queue().is_empty(), "{number}");
    }
    deliver(&service, TWO_WEEKS, &held).await;
    assert_eq!(service.take_queue().len(), 1);
}

/// A message with a false mode observes, and must not have the true one end as its copy.
#[tokio::test(start_paused = true)]
async fn a_forged_mode_does_not_end_the_chain() {
    let service = Service::default();
    let asked = message(findings([1]));
    deliver(&service, TWO_WEEKS, &asked).await;
    let held = service.next();
    let forged = with(with(held.clone(), "/request/mode", "observe"), "/round/id", "forged");
    for _ in 0..2 {
        deliver(&service, TWO_WEEKS, &forged).await;
        assert!(service.take_queue().is_empty());
    }
    deliver(&service, TWO_WEEKS, &held).await;
    let again = service.next();
    deliver(&service, "", &again).await;
    assert_eq!((service.task_state(&id(&asked)).as_str(), service.starts().len()), ("started", 1));
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_after_90_days() {
    let service = Service::default();
    let asked = message(findings([1]));
    let windows = "windows: { zone: UTC, freeze: [{ from: 2026-11-23, to: 2027-06-30 }] }";
    let mut next = asked.clone();
    let mut days = 0;
    loop {
        deliver(&service, windows, &next).await;
        service.cloud.pass_seconds(86_400);
        let Some((_, again)) = service.take_queue().pop() else { break };
        (next, days) = (again, days + 1);
    }
    assert_eq!(
        (days, service.task_state(&id(&asked)), service.claim(1).1),
        (90, "given-up".into(), "given-up".into())
    );
    assert_eq!((service.alerts().len(), service.parked().len()), (2, 1));
    // A time to come does not make it longer.
    let service = Service::default();
    deliver(&service, windows, &asked).await;
    let held = service.next();
    deliver(&service, windows, &with(held, "/step/held/since", FAR.0)).await;
    let since = service.next()["step"]["held"]["since"].as_i64().unwrap();
    assert!(since <= now(&service).0);
}

#[tokio::test(start_paused = true)]
async fn other_windows_are_obeyed_at_the_next_look() {
    let service = Service::default();
    let asked = message(findings([1]));
    let until = || service.attribute(&format!("mitigation#{}", id(&asked)), "task", "until");
    deliver(&service, TWO_WEEKS, &asked).await;
    assert_eq!(until(), "2026-12-07T00:00:00Z");
    deliver(&service, OPENS_IN_AN_HOUR, &service.next()).await;
    assert_eq!(until(), "2026-11-23T01:00:00Z");
    deliver(&service, "", &service.next()).await;
    assert_eq!((service.starts(), service.task_state(&id(&asked))), (vec![id(&asked)], "started".into()));
}

#[tokio::test(start_paused = true)]
async fn what_wakes_when_ten_run_waits_for_room_and_for_the_next_window() {
    let service = Service::default();
    let asked = message(findings([1]));
    for n in 0..10 {
        service.state().tasks.insert(n.to_string(), json!({"taskStatus": "IN_PROGRESS"}));
    }
    let mut next = asked.clone();
    let mut states = vec![];
    // The window is two hours long, and the next one is a week later.
    while now(&service) < START.plus_seconds(4 * 3600) {
        deliver(&service, OPENS_IN_AN_HOUR, &next).await;
        states.push(service.task_state(&id(&asked)));
        next = service.next();
    }
    states.dedup();
    assert_eq!(states, ["held", "claimed", "held"]);
    assert_eq!(service.claim(1).1, "held", "nothing is claimed while it is held");
    assert_eq!(
        service.attribute(&format!("mitigation#{}", id(&asked)), "task", "until"),
        "2026-11-30T01:00:00Z"
    );
    assert_eq!(service.alerts().len(), 1, "a week is told");
    for task in service.state().tasks.values_mut() {
        task["taskStatus"] = json!("COMPLETED");
    }
    service.cloud.pass_seconds(7 * 86_400 - 3 * 3600 + 60);
    deliver(&service, OPENS_IN_AN_HOUR, &next).await;
    assert_eq!(service.starts(), [id(&asked)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_started_right_before_the_window_closed_is_followed() {
    for (windows, later) in [(OPENS_IN_AN_HOUR, None), ("", Some("5c3d"))] {
        let service = Service::default();
        let decided_by = hash(&policy(Mode::Enforce, OPENS_IN_AN_HOUR));
        let asked = with(message(findings([1])), "/request/policy", decided_by);
        deliver(&service, OPENS_IN_AN_HOUR, &asked).await;
        let (_, held) = service.take_queue().remove(0);
        service.cloud.pass_seconds(3600);
        assert!(dies(&service, OPENS_IN_AN_HOUR, &held, (12, true)).await);
        assert_eq!((service.starts().len(), service.task_state(&id(&asked))), (1, "claimed".into()));
        service.cloud.pass_seconds(2 * 3600);
        if let Some(task_id) = later {
            service.looked_at(task_id, START.plus_seconds(60));
        }
        deliver(&service, windows, &held).await;
        assert_eq!(
            (service.task_state(&id(&asked)), service.next()["step"].clone()),
            ("started".into(), json!("follow"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_other_tasks_have_when_it_opens_is_superseded() {
    let service = Service::default();
    let (inside, all) = (message(findings([2])), message(findings([1, 2])));
    deliver(&service, OPENS_IN_AN_HOUR, &inside).await;
    let (_, held) = service.take_queue().remove(0);
    service.cloud.pass_seconds(3600);
    deliver(&service, OPENS_IN_AN_HOUR, &all).await;
    deliver(&service, OPENS_IN_AN_HOUR, &held).await;
    assert_eq!(service.starts(), [id(&all)]);
    assert_eq!((service.task_state(&id(&inside)), service.claim(2).0), ("superseded".into(), id(&all)));
}

#[tokio::test(start_paused = true)]
async fn whenever_holding_dies_it_is_written_told_and_comes_again() {
    let asked = message(findings([1]));
    for call in 0..=6 {
        for after in [false, true] {
            let service = Service::default();
            let died = dies(&service, TWO_WEEKS, &asked, (call, after)).await;
            assert_eq!(died, call < 6, "{call}");
            service.cloud.pass_seconds(61);
            deliver(&service, TWO_WEEKS, &asked).await;
            assert_eq!(service.task_state(&id(&asked)), "held");
            assert!((1..=2).contains(&service.alerts().len()) && !service.take_queue().is_empty(), "{call}");
        }
    }
}
