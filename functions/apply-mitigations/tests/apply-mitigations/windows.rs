//! When mitigation may happen: what is asked, what is said, and what a wrong zone does.

use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::policy::load_file_with_windows;
use fleetwarden_core::policy::Mode;
use serde_json::Value;

use crate::service::Service;
use crate::setup::ALERTS;
use crate::setup::FAR;
use crate::setup::deliver;
use crate::setup::findings;
use crate::setup::function;
use crate::setup::id;
use crate::setup::ledger;
use crate::setup::message;
use crate::setup::policy;
use crate::setup::under;
use crate::setup::whole_check;
use crate::setup::with;
use fleetwarden_aws::testing::cloud::START;

/// On Mondays from 2 to 4 in Berlin, which is from 1 to 3 in UTC.
pub(super) const OPENS_IN_AN_HOUR: &str =
    "windows: { zone: Europe/Berlin, open: [{ days: [Mon], hours: 02:00-04:00 }] }";
/// Until the 6th of December.
pub(super) const TWO_WEEKS: &str = "windows: { zone: UTC, freeze: [{ from: 2026-11-23, to: 2026-12-06 }] }";
const OPEN: &str = "windows: { zone: UTC, open: [{ hours: 00:00-06:00 }] }";
const NEVER: &str = "windows: { zone: UTC, freeze: [{ from: 2026-01-01, to: 2099-12-31 }] }";

#[tokio::test(start_paused = true)]
async fn inside_of_a_window_nothing_is_otherwise() {
    let ends = ["", OPEN].map(async |windows| {
        let service = Service::default();
        let function = under(&service, &policy(Mode::Enforce, windows));
        for message in [message(findings([1, 2])), whole_check()] {
            let message = with(message, "/request/policy", function.policy().hash());
            function.message(&message.to_string(), FAR).await.unwrap();
        }
        let queue = service.take_queue().into_iter();
        let queue: Vec<_> =
            queue.map(|(delay, next)| (delay, with(next, "/request/policy", Value::Null))).collect();
        (service.calls(), service.ledger(), queue)
    });
    let [without, inside] = ends;
    assert_eq!(without.await, inside.await);
}

/// A policy that enforces with these lines about windows and actions, whose rule has windows of its own.
fn with_own(head: &str, own: &str) -> String {
    policy(Mode::Enforce, head).replace("devices: any", &format!("devices: any, windows: {own}"))
}

#[tokio::test(start_paused = true)]
async fn it_starts_when_the_windows_of_the_policy_of_the_rule_and_of_each_action_are_open() {
    const FROM_ONE: &str = "{ zone: UTC, open: [{ hours: 01:00-03:00 }] }";
    let action = |windows: &str| format!("actions: {{ TellOwner: {{ windows: {windows} }} }}");
    let all = format!("{OPEN}\n{}", action("{ open: [{ hours: 02:00-04:00 }] }"));
    let other = action(FROM_ONE).replace("TellOwner", "Revoke");
    let cases = [
        (policy(Mode::Enforce, &other), "", 0),
        (policy(Mode::Enforce, &action(FROM_ONE)), "the windows of action TellOwner", 1),
        (with_own("", FROM_ONE), "the windows of rule expiring", 1),
        (with_own(OPEN, FROM_ONE), "the windows of rule expiring", 1),
        (with_own(&all, FROM_ONE), "the windows of rule expiring and the windows of action TellOwner", 2),
    ];
    for (policy, whose, hour) in cases {
        for asked in [message(findings([1, 2])), whole_check()] {
            let service = Service::default();
            let function = under(&service, &policy);
            let mut next = asked.clone();
            let opens = START.plus_seconds(hour * 3600);
            while service.starts().is_empty() {
                function.message(&next.to_string(), FAR).await.unwrap();
                if service.starts().is_empty() {
                    let reason = service.attribute(&format!("mitigation#{}", id(&asked)), "task", "reason");
                    assert_eq!(
                        reason,
                        format!("outside of {whose} until 2026-11-23T0{hour}:00:00+00:00 (UTC)")
                    );
                    assert!(service.cloud.clock().now() < opens, "{policy}");
                    let (delay, held) = service.take_queue().remove(0);
                    service.cloud.pass_seconds(delay.try_into().unwrap());
                    next = held;
                }
            }
            assert!(service.cloud.clock().now() >= opens, "{policy}");
            assert_eq!((service.starts(), service.alerts().len()), (vec![id(&asked)], 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn windows_that_are_never_open_together_refuse() {
    let service = Service::default();
    let never = with_own(OPEN, "{ open: [{ hours: 06:00-20:00 }] }");
    let asked = message(findings([1]));
    let error = under(&service, &never).message(&asked.to_string(), FAR).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    let says = "the windows of the policy and rule expiring are not open together for over a year";
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!((service.task_state(&id(&asked)), service.alerts().len()), ("refused".into(), 1));
}

/// A message that names a rule whose windows are open, for what another rule mitigates with the same actions.
#[tokio::test(start_paused = true)]
async fn what_another_rule_mitigates_now_keeps_the_windows_of_that_rule() {
    let later = "{ zone: UTC, open: [{ hours: 01:00-03:00 }] }";
    for (own, starts) in [(later, false), ("{ zone: UTC, open: [{ hours: 00:00-03:00 }] }", true)] {
        let text = with_own("", own).replace("name: expiring", "name: now");
        for asked in [message(findings([1])), whole_check()] {
            let service = Service::default();
            under(&service, &text).message(&asked.to_string(), FAR).await.unwrap();
            assert_eq!(service.starts().len(), usize::from(starts), "{text}");
            let reason = service.attribute(&format!("mitigation#{}", id(&asked)), "task", "reason");
            let says = "rule now mitigates it now, and it is outside of the windows of rule now until 2026-11-23T01:00:00+00:00 (UTC)";
            assert_eq!(reason.contains(says), !starts, "{reason}");
        }
    }
}

/// A message that names a rule without guards, for what another rule mitigates with the same actions and guards of its own.
#[tokio::test(start_paused = true)]
async fn what_another_rule_mitigates_now_is_not_let_past_the_guards_of_that_rule() {
    let guards = [
        ("an approval", "approval: always", ""),
        ("a canary", "canary: { first: 1, watch: 15m }", ""),
        ("a budget", "devices: any", ", { most: 5, within: 1h, rules: [now] }"),
    ];
    for (guard, line, budget) in guards {
        let text = with_own("", "{ zone: UTC, open: [{ hours: 00:00-03:00 }] }")
            .replace("name: expiring", "name: now");
        let text = text.replace("budgets: none", &format!("budgets: [{{ most: 99, within: 1h }}{budget}]"));
        let text = if line == "devices: any" {
            text
        } else {
            text.replace("devices: any", &format!("devices: any, {line}"))
        };
        let service = Service::default();
        let asked = message(findings([1]));
        under(&service, &text).message(&asked.to_string(), FAR).await.unwrap();
        let reason = service.attribute(&format!("mitigation#{}", id(&asked)), "task", "reason");
        let says = format!("rule now mitigates it now, and has {guard} of its own");
        assert!(service.starts().is_empty() && reason.contains(&says), "{reason}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn observing_says_that_it_would_wait_and_does_not() {
    let asked = message(findings([1]));
    let in_observe = with(asked.clone(), "/request/mode", "observe");
    for (mode, asked) in [(Mode::Observe, &asked), (Mode::Enforce, &in_observe)] {
        for (windows, says) in [
            (
                OPENS_IN_AN_HOUR,
                "would wait: outside of the policy's windows until 2026-11-23T02:00:00+01:00 (Europe/Berlin)",
            ),
            (NEVER, "would be refused: no window of the policy opens for over a year"),
        ] {
            let service = Service::default();
            let function = under(&service, &policy(mode, windows));
            for _ in 0..2 {
                function.message(&asked.to_string(), FAR).await.unwrap();
            }
            let task = format!("mitigation#{}", id(asked));
            assert_eq!(
                (service.task_state(&id(asked)), service.attribute(&task, "task", "reason")),
                ("observed".into(), says.into())
            );
            assert!(
                service.take_queue().is_empty() && service.alerts().is_empty() && service.parked().is_empty()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_observed_when_the_mode_changes() {
    let service = Service::default();
    let asked = message(findings([1]));
    let enforce = under(&service, &policy(Mode::Enforce, OPENS_IN_AN_HOUR));
    enforce.message(&asked.to_string(), FAR).await.unwrap();
    let (_, held) = service.take_queue().remove(0);
    function(&service, Mode::Observe).message(&held.to_string(), FAR).await.unwrap();
    assert_eq!((service.task_state(&id(&asked)), service.claim(1).1), ("observed".into(), "observed".into()));
    assert!(service.take_queue().is_empty());
}

#[tokio::test(start_paused = true)]
async fn windows_that_never_open_refuse_and_are_told_once() {
    let service = Service::default();
    let function = under(&service, &policy(Mode::Enforce, NEVER));
    for n in [1, 2] {
        let asked = message(findings([n]));
        let error = function.message(&asked.to_string(), FAR).await.unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains("no window"), "{error}");
        assert_eq!(service.task_state(&id(&asked)), "refused");
    }
    assert_eq!(service.alerts().len(), 1);
    insta::assert_json_snapshot!(service.alerts()[0]);
    // Parked until the policy is corrected.
    deliver(&service, &message(findings([1]))).await.unwrap();
    assert_eq!(service.starts(), [id(&message(findings([1])))]);
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_the_limits_is_refused_and_not_held() {
    let service = Service::default();
    let function = under(&service, &policy(Mode::Enforce, OPENS_IN_AN_HOUR));
    let bad = message(findings(0..26)).to_string();
    assert!(function.message(&bad, FAR).await.unwrap_err().is_permanent());
    assert!(service.take_queue().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_does_not_exist_refuses_the_start_with_an_alert() {
    let service = Service::default();
    let (sns, clock) = (service.cloud.clients().sns(), service.cloud.clock());
    let alerts = &Alerts::new(sns, ALERTS.into(), ledger(&service.cloud), clock);
    let folder = std::env::temp_dir().join(format!("apply-mitigations-windows-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("policy.yaml");
    let load = async |windows: &str| {
        std::fs::write(&path, policy(Mode::Enforce, windows)).unwrap();
        load_file_with_windows(path.to_str().unwrap(), alerts).await
    };
    for good in ["", OPEN, OPENS_IN_AN_HOUR] {
        load(good).await.unwrap();
    }
    assert!(service.alerts().is_empty());
    let bad = "windows: { zone: Europe/Berln }";
    let error = load(bad).await.unwrap_err();
    assert!(error.to_string().ends_with("policy.yaml: policy:4:18: 'Europe/Berln' is not a time zone; did you mean 'Europe/Berlin'? (a name such as Europe/Berlin)"), "{error}");
    load(bad).await.unwrap_err();
    let alerts: Vec<Value> = service.alerts();
    assert_eq!(alerts.len(), 1, "one alert a day");
    service.cloud.pass_seconds(86_400);
    for _ in 0..2 {
        load(bad).await.unwrap_err();
    }
    assert_eq!(service.alerts().len(), 2, "it lasts, or is back");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(alerts[0]["content"]["title"], "The policy cannot be used: nothing is mitigated");
}
