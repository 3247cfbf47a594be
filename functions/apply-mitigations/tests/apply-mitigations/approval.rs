//! What waits for a person: it is explained and alerted once, starts only as it was approved, and never after a rejection.

use std::time::Duration;

use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Rejection;
use fleetwarden_aws::mitigations::Word;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use serde_json::Value;
use serde_json::json;

use crate::pause;
use crate::service::Service;
use crate::service::finding as found;
use crate::setup::ACTIONS;
use crate::setup::CHECK;
use crate::setup::FAR;
use crate::setup::findings;
use crate::setup::id;
use crate::setup::ledger;
use crate::setup::message;
use crate::setup::under;
use crate::setup::whole_check;
use crate::setup::with;
use crate::windows::OPENS_IN_AN_HOUR;

const ALWAYS: &str = "always";
const DAY: i64 = 86_400;

/// A policy whose rule asks for approvals, with these lines about budgets and windows.
fn policy(mode: Mode, approval: &str, lines: &str) -> String {
    let mode = if mode == Mode::Enforce { "enforce" } else { "observe" };
    let devices =
        if approval.contains("devices") || approval.contains("connected") { "{ most: 9 }" } else { "any" };
    let mitigate = format!("{{ actions: {ACTIONS:?}, devices: {devices}, approval: {approval} }}");
    let rule = format!("name: expiring, match: {{ check: {CHECK} }}, mitigate: {mitigate}");
    format!("version: 1\nmode: {mode}\n{lines}\nrules:\n  - {{ {rule} }}\n")
}

fn enforced(approval: &str) -> String {
    policy(Mode::Enforce, approval, "budgets: none")
}

async fn deliver(service: &Service, policy: &str, message: &Value) {
    // What all steps together need is too much for the stack of a test.
    Box::pin(under(service, policy).message(&message.to_string(), FAR)).await.unwrap();
}

fn mitigations(service: &Service) -> Mitigations {
    Mitigations::new(ledger(&service.cloud))
}

async fn known(service: &Service, asked: &Value) -> KnownApproval {
    mitigations(service).approval(&id(asked)).await.unwrap().unwrap()
}

async fn approve(service: &Service, asked: &Value) -> bool {
    let now = service.cloud.clock().now();
    let known = known(service, asked).await;
    let word = Word { by: Some("mia".into()), reason: "known".into(), request_id: None };
    mitigations(service).approve(&id(asked), &known, &word, now).await.unwrap().is_some()
}

async fn reject(service: &Service, asked: &Value) -> Rejection {
    let known = mitigations(service).approval(&id(asked)).await.unwrap();
    let word = Word { by: Some("mia".into()), reason: "no".into(), request_id: None };
    let now = service.cloud.clock().now();
    let rejected = (Standing::Rejected, &word);
    mitigations(service).reject(&id(asked), known.as_ref(), rejected, now).await.unwrap()
}

fn reason(service: &Service, asked: &Value) -> String {
    service.attribute(&format!("mitigation#{}", id(asked)), "task", "reason")
}

/// The one message on the queue, when it is seen again.
fn next(service: &Service) -> Value {
    let [(delay, next)] = &service.take_queue()[..] else { panic!("one message") };
    service.cloud.pass_seconds(i64::try_from(*delay).unwrap());
    next.clone()
}

fn state(service: &Service, asked: &Value) -> String {
    service.task_state(&id(asked))
}

#[tokio::test(start_paused = true)]
async fn it_waits_is_explained_once_and_starts_when_it_is_approved() {
    for asked in [message(findings([1, 2])), whole_check()] {
        let service = Service::default();
        let policy = enforced(ALWAYS);
        deliver(&service, &policy, &asked).await;
        assert_eq!(state(&service, &asked), "held");
        assert_eq!(reason(&service, &asked), "waits for approval: the rule asks for an approval always");
        let mut waits = next(&service);
        service.calls();
        for _ in 0..3 {
            deliver(&service, &policy, &waits).await;
            // It takes its round, reads its approval and sends itself: no finding is looked up.
            assert_eq!(service.calls(), "TransactWriteItems GetItem SendMessageBatch");
            waits = next(&service);
        }
        // A late copy changes nothing.
        deliver(&service, &policy, &asked).await;
        service.take_queue();
        assert_eq!((service.starts().len(), service.alerts().len()), (0, 1), "people are told once");
        assert!(approve(&service, &asked).await);
        deliver(&service, &policy, &waits).await;
        assert_eq!((service.starts(), state(&service, &asked)), (vec![id(&asked)], "started".into()));
        // Neither it nor a copy starts again.
        deliver(&service, &policy, &asked).await;
        assert_eq!((service.starts().len(), service.alerts().len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_alert_says_what_why_and_how_to_approve() {
    let service = Service::default();
    let asked = message(findings([1, 2]));
    deliver(&service, &enforced("{ severity: MEDIUM, within: 2h }"), &asked).await;
    insta::assert_json_snapshot!(service.alerts()[0]);
    let known = known(&service, &asked).await;
    assert_eq!(known.until, START.plus_seconds(2 * 3600));
    // What is less severe does not wait.
    let service = Service::default();
    deliver(&service, &enforced("{ severity: HIGH }"), &asked).await;
    assert_eq!(service.starts(), [id(&asked)]);
}

#[tokio::test(start_paused = true)]
async fn after_a_rejection_nothing_starts_it_again() {
    let (asked, other) = (message(findings([1, 2])), message(findings([2, 3])));
    let service = Service::default();
    let policy = enforced(ALWAYS);
    deliver(&service, &policy, &asked).await;
    let waits = next(&service);
    assert_eq!(reject(&service, &asked).await, Rejection::Done);
    assert_eq!((state(&service, &asked), service.claim(1).1), ("rejected".into(), "rejected".into()));
    // Twice, and by one who approves: neither changes anything.
    assert!(matches!(reject(&service, &asked).await, Rejection::NotHeld(_)));
    assert!(!approve(&service, &asked).await);
    // The message, a copy from a dead-letter queue days later, and one under a policy that asks for nothing any more.
    for (seconds, policy) in [(0, &policy), (5 * DAY, &policy), (0, &enforced("{ severity: CRITICAL }"))] {
        service.cloud.pass_seconds(seconds);
        for message in [&waits, &asked] {
            deliver(&service, policy, message).await;
        }
        assert!(service.starts().is_empty() && service.take_queue().is_empty());
        assert_eq!(state(&service, &asked), "rejected");
    }
    // Another packing of the same audit leaves out what was rejected.
    deliver(&service, &enforced("{ severity: CRITICAL }"), &other).await;
    assert_eq!(service.starts(), [id(&other)]);
    let findings = service.state().tasks[&id(&other)]["target"]["findingIds"].clone();
    assert_eq!(findings, json!(["finding-3"]));
}

#[tokio::test(start_paused = true)]
async fn what_waits_can_be_rejected_although_another_task_has_its_findings() {
    let (all, part) = (message(findings([1, 2])), message(findings([2])));
    let policy = enforced(ALWAYS);
    // The other one waits, too: the later one has the finding.
    let service = Service::default();
    for asked in [&all, &part] {
        deliver(&service, &policy, asked).await;
        assert_eq!(state(&service, asked), "held");
    }
    service.take_queue();
    assert_eq!(reject(&service, &part).await, Rejection::Done);
    assert_eq!((state(&service, &all), service.claim(2)), ("held".into(), (id(&part), "rejected".into())));
    assert!(approve(&service, &all).await);
    deliver(&service, &policy, &all).await;
    let started = service.state().tasks[&id(&all)]["target"]["findingIds"].clone();
    assert_eq!(started, json!(["finding-1"]));
    // The other one runs.
    let beside_what_runs = async || {
        let service = Service::default();
        deliver(&service, &enforced("{ severity: CRITICAL }"), &all).await;
        service.take_queue();
        deliver(&service, &policy, &part).await;
        assert_eq!((state(&service, &part), service.alerts().len()), ("held".into(), 1));
        service
    };
    // What is approved by a message that knows of no hold ends, too.
    let service = beside_what_runs().await;
    assert!(approve(&service, &part).await);
    deliver(&service, &policy, &part).await;
    assert_eq!((service.starts(), state(&service, &part)), (vec![id(&all)], "superseded".into()));
    let service = beside_what_runs().await;
    let waits = next(&service);
    service.cloud.pass_seconds(2 * DAY);
    deliver(&service, &policy, &waits).await;
    assert_eq!((state(&service, &part), service.claim(2).0), ("rejected".into(), id(&all)));
    assert!(service.take_queue().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_approves_lapses_and_what_is_approved_lapses_when_it_cannot_start() {
    let asked = message(findings([1]));
    for is_approved in [false, true] {
        let service = Service::default();
        let policy = enforced("{ always: true, within: 1h }");
        deliver(&service, &policy, &asked).await;
        let mut waits = next(&service);
        if is_approved {
            assert!(approve(&service, &asked).await);
            pause::set(&service).await;
        }
        for look in 0..6 {
            if is_approved && look == 5 {
                pause::resume(&service).await;
            }
            deliver(&service, &policy, &waits).await;
            let Some((delay, next)) = service.take_queue().pop() else { break };
            service.cloud.pass_seconds(i64::try_from(delay).unwrap());
            waits = next;
        }
        assert_eq!((state(&service, &asked), service.starts().len()), ("rejected".into(), 0));
        let why = if is_approved { "it was approved, and could not start" } else { "nobody approved it" };
        assert!(reason(&service, &asked).starts_with(why), "{}", reason(&service, &asked));
        assert_eq!(known(&service, &asked).await.standing, Standing::Lapsed);
        assert!(!approve(&service, &asked).await, "it comes too late");
        deliver(&service, &policy, &asked).await;
        assert!(service.starts().is_empty() && service.take_queue().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_what_is_approved_until_it_is_over() {
    let asked = message(findings([1]));
    let service = Service::default();
    let policy = enforced(ALWAYS);
    deliver(&service, &policy, &asked).await;
    let waits = next(&service);
    assert!(approve(&service, &asked).await);
    pause::set(&service).await;
    deliver(&service, &policy, &waits).await;
    assert!(reason(&service, &asked).starts_with("mitigation is paused since"));
    let waits = next(&service);
    pause::resume(&service).await;
    deliver(&service, &policy, &waits).await;
    assert_eq!((service.starts(), service.alerts().len()), (vec![id(&asked)], 1));
    // What comes while it is paused is not asked for yet.
    let service = Service::default();
    pause::set(&service).await;
    deliver(&service, &policy, &asked).await;
    assert!(service.alerts().is_empty() && reason(&service, &asked).starts_with("mitigation is paused"));
}

#[tokio::test(start_paused = true)]
async fn less_than_was_approved_starts_and_something_else_is_asked_for_again() {
    let asked = message(findings([1, 2]));
    // A finding is fixed meanwhile.
    let service = Service::default();
    deliver(&service, &enforced(ALWAYS), &asked).await;
    let waits = next(&service);
    assert!(approve(&service, &asked).await);
    service.state().findings.insert("finding-2".into(), None);
    deliver(&service, &enforced(ALWAYS), &waits).await;
    assert_eq!(service.state().tasks[&id(&asked)]["target"]["findingIds"], json!(["finding-1"]));
    // What an action does is changed, and the policy is another one.
    for change in ["action", "policy"] {
        let service = Service::default();
        deliver(&service, &enforced(ALWAYS), &asked).await;
        let waits = next(&service);
        assert!(approve(&service, &asked).await);
        let mut policy = enforced(ALWAYS);
        if change == "action" {
            service.state().changes_to = Some("REVOKE");
        } else {
            policy += "# another one\n";
        }
        deliver(&service, &policy, &waits).await;
        assert_eq!((state(&service, &asked), service.starts().len()), ("held".into(), 0), "{change}");
        assert_eq!(known(&service, &asked).await.standing, Standing::Waiting);
        assert_eq!(service.alerts().len(), 2, "{change}");
        let waits = next(&service);
        assert!(approve(&service, &asked).await);
        deliver(&service, &policy, &waits).await;
        assert_eq!(service.starts(), [id(&asked)], "{change}");
    }
    // While nobody has decided, another policy asks for the same, and no one is told again.
    let service = Service::default();
    deliver(&service, &enforced(ALWAYS), &asked).await;
    let until = known(&service, &asked).await.until;
    let policy = enforced(ALWAYS) + "# another one\n";
    deliver(&service, &policy, &next(&service)).await;
    assert_eq!((service.alerts().len(), known(&service, &asked).await.until), (1, until));
    let waits = next(&service);
    assert!(approve(&service, &asked).await);
    deliver(&service, &policy, &waits).await;
    assert_eq!(service.starts(), [id(&asked)]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_back_waits_whatever_the_rule_says() {
    let asked = message(findings([1]));
    let service = Service::default();
    service.state().changes_to = Some("REVOKE");
    let policy = crate::setup::policy(Mode::Enforce, "");
    deliver(&service, &policy, &asked).await;
    assert_eq!(
        reason(&service, &asked),
        "waits for approval: nobody can say how action QuarantineThing is taken back"
    );
    assert_eq!((service.starts().len(), service.alerts().len()), (0, 1));
    let waits = next(&service);
    assert!(approve(&service, &asked).await);
    deliver(&service, &policy, &waits).await;
    assert_eq!(service.starts(), [id(&asked)]);
    // What its actions do is not answered: nothing starts.
    let service = Service::default();
    service.state().faults.insert("action".into(), Answer::error(500, "InternalFailureException", "{}"));
    deliver(&service, &policy, &whole_check()).await;
    assert!(service.starts().is_empty() && service.alerts().is_empty());
    assert_eq!(service.take_queue().len(), 1, "it waits for an answer");
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_window_a_person_lets_it_start_or_the_window_does() {
    let asked = message(findings([1]));
    let of =
        |head: &str| policy(Mode::Enforce, "{ outsideOfWindow: true }", &format!("budgets: none\n{head}"));
    let own = ", windows: { zone: UTC, open: [{ hours: 01:00-03:00 }] }, approval:";
    let cases = [
        (of(OPENS_IN_AN_HOUR), "the policy's windows"),
        (of("").replace(", approval:", own), "the windows of rule "),
    ];
    for ((policy, whose), is_approved) in cases.iter().flat_map(|case| [(case, true), (case, false)]) {
        let service = Service::default();
        deliver(&service, policy, &asked).await;
        let says = reason(&service, &asked);
        assert!(says.starts_with(&format!("waits for approval: outside of {whose}")), "{says}");
        let mut waits = next(&service);
        if is_approved {
            assert!(approve(&service, &asked).await);
            deliver(&service, policy, &waits).await;
            assert!(service.cloud.clock().now() < START.plus_seconds(3600));
        } else {
            while service.starts().is_empty() {
                deliver(&service, policy, &waits).await;
                waits = next(&service);
            }
            assert!(service.cloud.clock().now() >= START.plus_seconds(3600));
        }
        assert_eq!((service.starts(), service.alerts().len()), (vec![id(&asked)], 1));
    }
}

#[tokio::test(start_paused = true)]
async fn over_a_budget_a_person_lets_it_through_once_and_it_counts() {
    const TEN: &str = "budgets: [{ most: 10, within: 1h }]";
    let policy = policy(Mode::Enforce, "{ overBudget: true }", TEN);
    let spent = async |service: &Service| {
        let budgets = Policy::parse(policy.as_bytes()).unwrap();
        let spent = mitigations(service).spent(budgets.budgets(), service.cloud.clock().now()).await.unwrap();
        spent[0].entries.iter().map(|entry| entry.count).collect::<Vec<_>>()
    };
    let (first, second) = (message(findings(1..=8)), message(findings(9..=14)));
    for is_approved in [true, false] {
        let service = Service::default();
        deliver(&service, &policy, &first).await;
        service.take_queue();
        deliver(&service, &policy, &second).await;
        assert!(reason(&service, &second).starts_with("waits for approval: over the budget of 10 in 1h"));
        let mut waits = next(&service);
        service.calls();
        deliver(&service, &policy, &waits).await;
        assert!(!service.calls().contains("finding"), "no finding is looked up while it waits");
        waits = next(&service);
        if is_approved {
            assert!(approve(&service, &second).await);
            deliver(&service, &policy, &waits).await;
            assert_eq!(spent(&service).await, [8, 6]);
            // The next one waits as well: it was let through once.
            let third = message(findings([20]));
            service.take_queue();
            deliver(&service, &policy, &third).await;
            assert_eq!((state(&service, &third), service.starts().len()), ("held".into(), 2));
        } else {
            while service.starts().len() < 2 {
                deliver(&service, &policy, &waits).await;
                waits = next(&service);
            }
            assert!(service.cloud.clock().now() >= START.plus_seconds(3600), "the budget has room");
        }
        assert_eq!(service.starts()[..2], [id(&first), id(&second)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_observes_starts_nothing_that_is_approved_and_says_what_would_wait() {
    let asked = message(findings([1]));
    let service = Service::default();
    deliver(&service, &enforced(ALWAYS), &asked).await;
    let waits = next(&service);
    assert!(approve(&service, &asked).await);
    let observes = |approval| policy(Mode::Observe, approval, "budgets: none");
    deliver(&service, &observes(ALWAYS), &waits).await;
    assert_eq!((state(&service, &asked), service.starts().len()), ("observed".into(), 0));
    let of = async |approval: &'static str| {
        let service = Service::default();
        deliver(&service, &observes(approval), &asked).await;
        assert!(service.starts().is_empty() && service.alerts().is_empty());
        reason(&service, &asked)
    };
    assert_eq!(of(ALWAYS).await, "would wait for approval: the rule asks for an approval always");
    assert_eq!(
        of("{ severity: LOW }").await,
        "would wait for approval: a finding is MEDIUM: the rule says LOW"
    );
    assert_eq!(of("{ severity: CRITICAL }").await, "");
}

#[tokio::test(start_paused = true)]
async fn a_later_audit_supersedes_what_waits_for_approval_or_is_approved() {
    let asked = message(findings([1]));
    for is_approved in [false, true] {
        let service = Service::default();
        deliver(&service, &enforced(ALWAYS), &asked).await;
        let waits = next(&service);
        if is_approved {
            assert!(approve(&service, &asked).await);
        }
        service.looked_at("5c3d", START.plus_seconds(60));
        deliver(&service, &enforced(ALWAYS), &waits).await;
        assert_eq!((state(&service, &asked), service.starts().len()), ("superseded".into(), 0));
        assert!(!approve(&service, &asked).await);
    }
}

/// Schedule: the process dies at each call of each step, and the same message comes again.
#[tokio::test(start_paused = true)]
async fn a_death_at_any_call_neither_loses_it_nor_starts_it_unapproved() {
    let asked = message(findings([1, 2]));
    let policy = enforced("{ always: true, within: 1h }");
    let calm = Service::default();
    deliver(&calm, &policy, &asked).await;
    let asks = calm.calls().split(' ').count();
    let waits = next(&calm);
    assert!(approve(&calm, &asked).await);
    calm.calls();
    deliver(&calm, &policy, &waits).await;
    let goes = calm.calls().split(' ').count();
    let steps = [("asks", asks, 120), ("asks", asks, 7_200), ("goes", goes, 120), ("lapses", 6, 120)];
    for (step, count, away) in steps {
        for (at, before) in (0..count).flat_map(|at| [(at, true), (at, false)]) {
            let service = Service::default();
            let mut waits = asked.clone();
            if step != "asks" {
                deliver(&service, &policy, &waits).await;
                waits = next(&service);
            }
            match step {
                "goes" => assert!(approve(&service, &asked).await),
                "lapses" => service.cloud.pass_seconds(3600),
                _ => {}
            }
            service.state().calls.clear();
            service.state().dies = Some((at, before));
            let dies = tokio::time::timeout(Duration::from_secs(2), deliver(&service, &policy, &waits)).await;
            service.state().dies = None;
            if dies.is_ok() {
                assert_eq!(step, "lapses");
                break;
            }
            let dead = service.take_queue();
            // What a dead process holds is free again. Who was not asked in time is asked again.
            service.cloud.pass_seconds(away);
            deliver(&service, &policy, &waits).await;
            let queue = service.take_queue();
            let (started, alerts) = (service.starts().len(), service.alerts().len());
            match step {
                "asks" => {
                    assert_eq!((state(&service, &asked), started), ("held".into(), 0), "{at}");
                    // Who dies after an alert went out and before that is written sends it again.
                    assert!((1..=2).contains(&alerts), "{at}");
                    assert!(queue.len() + dead.len() >= 1);
                    assert!(approve(&service, &asked).await);
                    for (delay, copy) in dead.into_iter().chain(queue) {
                        service.cloud.pass_seconds(i64::try_from(delay).unwrap() % 10);
                        deliver(&service, &policy, &copy).await;
                    }
                    assert_eq!(service.starts(), [id(&asked)], "{at}");
                }
                "goes" => {
                    assert_eq!((state(&service, &asked), started, alerts), ("started".into(), 1, 1), "{at}");
                }
                _ => {
                    assert_eq!((state(&service, &asked), started, alerts), ("rejected".into(), 0, 1), "{at}");
                    assert!(queue.is_empty(), "{at}");
                }
            }
        }
    }
}

/// Schedule: a person approves or rejects at any moment of a look, of its lapse, and of the start of what is approved.
#[tokio::test(start_paused = true)]
async fn beside_a_person_at_any_call_one_word_counts() {
    let asked = message(findings([1]));
    let policy = enforced("{ always: true, within: 1h }");
    let body = |message: &Value| message.to_string();
    for what in ["approve at lapse", "reject at lapse", "reject at start", "approve twice"] {
        for (at, moment) in Moment::all().enumerate() {
            let service = Service::default();
            deliver(&service, &policy, &asked).await;
            let waits = body(&next(&service));
            match what {
                "reject at start" => assert!(approve(&service, &asked).await),
                "approve at lapse" => service.cloud.pass_seconds(3599 - 900),
                "reject at lapse" => service.cloud.pass_seconds(3600),
                _ => {}
            }
            let function = under(&service, &policy);
            let look = async || function.message(&waits, FAR).await.is_ok();
            let first = async {
                if what.starts_with("approve") { approve(&service, &asked).await } else { look().await }
            };
            let second = async {
                match what {
                    "approve twice" => approve(&service, &asked).await,
                    "approve at lapse" => {
                        service.cloud.pass_seconds(1);
                        look().await
                    }
                    _ => reject(&service, &asked).await == Rejection::Done,
                }
            };
            let (one, other) = service.cloud.interleave(moment, Box::pin(first), Box::pin(second)).await;
            let Some(other) = other else { break };
            let word = if what == "approve at lapse" { one } else { other };
            // Whoever met the other comes again.
            let again = service.take_queue();
            if what != "approve twice" {
                deliver(&service, &policy, &serde_json::from_str(&waits).unwrap()).await;
            }
            for (_, copy) in again.into_iter().chain(service.take_queue()) {
                deliver(&service, &policy, &copy).await;
            }
            let started = service.starts().len();
            let standing = known(&service, &asked).await.standing;
            match what {
                "approve twice" => {
                    assert_eq!(u8::from(one) + u8::from(other), 1, "{at}: one of two writes it");
                    assert_eq!(standing, Standing::Approved);
                }
                "approve at lapse" if word => {
                    assert_eq!((started, standing), (1, Standing::Approved), "{at}");
                }
                "approve at lapse" => assert_eq!((started, standing), (0, Standing::Lapsed), "{at}"),
                "reject at lapse" => {
                    let word = if word { Standing::Rejected } else { Standing::Lapsed };
                    assert_eq!((started, standing, state(&service, &asked)), (0, word, "rejected".into()));
                }
                _ => {
                    assert_eq!(started, usize::from(!word), "{what} {at}: rejected or started");
                    let states = ["started", "rejected"].map(ToOwned::to_owned);
                    assert_eq!(state(&service, &asked), states[usize::from(word)]);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn from_a_number_of_devices_on_a_person_is_asked() {
    let asked = message(findings([1, 2]));
    let service = Service::default();
    deliver(&service, &enforced("{ devices: 1 }"), &asked).await;
    assert_eq!(reason(&service, &asked), "waits for approval: 2 devices stand behind it: more than 1");
    let explained = known(&service, &asked).await.asking.explanation;
    assert_eq!((explained.devices, explained.connected), (Some(2), None));
    let waits = next(&service);
    assert!(approve(&service, &asked).await);
    deliver(&service, &enforced("{ devices: 1 }"), &waits).await;
    assert_eq!(service.starts(), [id(&asked)]);
    // As many as may be do not wait; and where nobody asks who is connected, all may be.
    for (approval, starts) in [("{ devices: 2 }", 1), ("{ connected: 1 }", 0), ("{ connected: 2 }", 1)] {
        let service = Service::default();
        deliver(&service, &enforced(approval), &asked).await;
        assert_eq!(service.starts().len(), starts, "{approval}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_severity_that_is_not_known_waits() {
    let service = Service::default();
    let asked = message(findings([1]));
    let strange = with(found("finding-1"), "/severity", "EXTREME");
    service.state().findings.insert("finding-1".into(), Some(strange));
    deliver(&service, &enforced("{ severity: CRITICAL }"), &asked).await;
    assert!(reason(&service, &asked).starts_with("waits for approval: a finding is UNKNOWN"));
}
