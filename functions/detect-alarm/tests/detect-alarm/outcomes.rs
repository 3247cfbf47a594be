//! One alarm from its begin to what the policy decides.

use std::collections::BTreeSet;

use fleetwarden_aws::testing::cloud::START;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;
use crate::setup::FINDINGS;
use crate::setup::MITIGATIONS;
use crate::setup::OWN;
use crate::setup::enforcing;
use crate::setup::notified;
use crate::setup::policy;
use crate::setup::text;
use crate::setup::under;
use crate::setup::violation;

#[tokio::test(start_paused = true)]
async fn a_compromised_device_is_mitigated_and_alerted_after_the_settling_time() {
    let service = Service::new();
    let function = enforcing(&service);
    service.put([notified(&violation("v-1", "cam-1", "ports", "in-alarm", 0))]).await;
    service.run(&function, 110).await;
    assert_eq!((service.alerts().len(), service.mitigations().len()), (0, 0), "it settles");
    service.run(&function, 10).await;
    assert_eq!(service.records(), ["v-1 in-alarm mitigate"]);
    assert_eq!(service.life("v-1").await.actions.len(), 1);
    let told = (service.mitigations(), service.alert_messages());
    insta::assert_json_snapshot!(told, {"[0][].alarms.policy" => "[hash]"});
    service.put([notified(&violation("v-1", "cam-1", "ports", "in-alarm", 0))]).await;
    service.run(&function, 300).await;
    assert_eq!((service.cloud.sent_to(MITIGATIONS).len(), service.alert_messages().len()), (1, 1), "once");
}

#[tokio::test(start_paused = true)]
async fn what_is_cleared_while_it_settles_is_reported_and_not_mitigated() {
    let service = Service::new();
    let function = enforcing(&service);
    let (begin, end) = ("in-alarm", "alarm-cleared");
    service.put([begin, end].map(|event| notified(&violation("v", "cam", "ports", event, 0)))).await;
    service.run(&function, 200).await;
    assert_eq!(
        (service.mitigations().len(), service.records()),
        (0, vec!["v alarm-cleared -".into(), "v in-alarm report".into()])
    );
    assert_eq!(service.alerts(), ["alarm-raised: `cam` was in alarm: `ports`"]);
    assert_eq!(service.life("v").await.actions[0].reason.as_deref(), Some("the alarm has ended"));
}

#[tokio::test(start_paused = true)]
async fn what_is_raised_again_while_it_settles_is_recorded_each_time() {
    let service = Service::new();
    let function = enforcing(&service);
    let plain = |event: &str, second: i64| {
        let at = START.plus_seconds(second).0;
        let alarm = json!({"schema": "fleetwarden.alarm/1", "profile": "p", "behavior": "b", "event": event, "at": at});
        notified(&alarm)
    };
    service.put([plain("in-alarm", 0), plain("alarm-cleared", 20), plain("in-alarm", 40)]).await;
    service.run(&function, 200).await;
    assert_eq!(records(&service), ["alarm-cleared 20 ", "in-alarm 0 ", "in-alarm 40 report"]);
    // The first is decided on when the second has begun and was not heard of yet.
    service.put([plain("in-alarm", 200)]).await;
    service.run(&function, 150).await;
    service.put([plain("in-alarm", 240)]).await;
    service.run(&function, 150).await;
    assert_eq!(records(&service)[3..], ["in-alarm 200 report", "in-alarm 240 report"]);
}

/// The records, by event, second and outcome, each once.
fn records(service: &Service) -> Vec<String> {
    let records: BTreeSet<String> = service.cloud.sent_to(FINDINGS).into_iter().collect();
    records
        .iter()
        .map(|body| {
            let record: Value = serde_json::from_str(body).unwrap();
            let second = (record["at"].as_i64().unwrap() - START.0) / 1_000;
            format!("{} {second} {}", text(&record, "/event"), text(&record, "/alarmRecord/decision/outcome"))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn without_a_settling_time_it_is_decided_on_at_once() {
    let service = Service::new();
    let function = under(&service, &policy("enforce", "settle: 0m"));
    service.put([notified(&violation("v", "cam", "ports", "in-alarm", 0))]).await;
    service.drain(&function).await;
    assert_eq!((service.mitigations().len(), service.alerts().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_verification_state_is_set_in_enforce_and_said_in_observe() {
    for (mode, id, calls, reason) in [
        ("enforce", "v", 1, None),
        ("observe", "v", 0, Some("observed: the state would be FALSE_POSITIVE")),
        ("enforce", "gone", 1, Some("not set: ")),
    ] {
        let service = Service::new();
        let function = under(&service, &policy(mode, ""));
        service.put([notified(&violation(id, "cam", "noise", "in-alarm", 0))]).await;
        service.run(&function, 130).await;
        let put: Vec<_> = service
            .cloud
            .calls("POST")
            .into_iter()
            .filter(|call| call.operation.contains("/violations/"))
            .collect();
        assert_eq!(put.len(), calls);
        assert!(put.iter().all(|call| call.body.contains("known noise")), "{put:?}");
        let life = service.life(id).await;
        assert_eq!(life.verification.is_some(), reason.is_none());
        assert_eq!(life.actions[0].what, "verify");
        assert!(
            life.actions[0].reason.as_deref().unwrap_or_default().starts_with(reason.unwrap_or_default())
        );
        assert_eq!((service.alerts().len(), service.parked().len()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_verification_state_that_is_throttled_is_set_later() {
    let service = Service::new();
    let function = enforcing(&service);
    service.cloud.fail(
        "POST /violations/verification-state/v",
        12,
        fleetwarden_aws::testing::Answer::error(429, "ThrottlingException", r#"{"message": "slow down"}"#),
    );
    service.put([notified(&violation("v", "cam", "noise", "in-alarm", 0))]).await;
    service.run(&function, 130).await;
    let life = service.life("v").await;
    assert_eq!((life.verification, life.actions.len()), (None, 0), "nothing is noted that is not done");
    service.run(&function, 300).await;
    let life = service.life("v").await;
    assert!(life.verification.is_some() && life.has("verify", None));
    assert_eq!(service.parked().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn in_observe_a_mitigation_is_asked_for_as_observed() {
    let service = Service::new();
    let function = under(&service, &policy("observe", ""));
    service.put([notified(&violation("v", "cam", "ports", "in-alarm", 0))]).await;
    service.run(&function, 130).await;
    assert_eq!(text(&service.mitigations()[0], "/alarms/mode"), "observe");
    assert!(text(&service.alert_messages()[0], "/content/description").contains("would be asked for"));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_lasts_is_decided_on_again_when_a_rule_would_match() {
    let service = Service::new();
    let function = enforcing(&service);
    let lasts = violation("lasts", "cam-1", "slow", "in-alarm", 0);
    service.put([&lasts, &lasts, &violation("ends", "cam-2", "slow", "in-alarm", 0)].map(notified)).await;
    service.run(&function, 3_000).await;
    assert_eq!((service.mitigations().len(), service.records().len()), (0, 2));
    service.put([notified(&violation("ends", "cam-2", "slow", "alarm-cleared", 3_000))]).await;
    service.run(&function, 1_000).await;
    let mitigated = service.cloud.sent_to(MITIGATIONS);
    assert_eq!(mitigated.len(), 1);
    assert!(mitigated[0].contains("lasts"));
    assert_eq!(service.cloud.waiting(OWN).len(), 0, "no message goes on for ever");
    let words = service.life("lasts").await.actions.into_iter().map(|action| action.what);
    assert_eq!(words.collect::<Vec<_>>(), ["report", "mitigate"]);
    let rounds = service.cloud.sent_to(OWN).iter().filter(|body| body.contains("round")).count();
    assert!(rounds <= 12, "{rounds}: a copy does not multiply");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_flaps_is_one_alert_until_it_is_quiet() {
    let service = Service::new();
    let function = enforcing(&service);
    for n in 0..6 {
        let second = n * 600;
        let events = [("in-alarm", 0), ("alarm-cleared", 200)].map(|(event, after)| {
            notified(&violation(&format!("v-{n}"), "cam", "unknown", event, second + after))
        });
        service.put(events).await;
        service.run(&function, 600).await;
    }
    let kinds = |service: &Service| {
        service.alert_messages().iter().map(|a| text(a, "/metadata/eventType").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&service), ["alarm-raised", "alarm-raised", "alarm-flapping"]);
    insta::assert_json_snapshot!(service.alert_messages()[2]);
    assert_eq!(service.records().len(), 12, "each is recorded");
    service.run(&function, 7_200).await;
    service.put([notified(&violation("w", "cam", "unknown", "in-alarm", 10_800))]).await;
    service.run(&function, 130).await;
    assert_eq!(kinds(&service).len(), 4, "it was quiet");
}

#[tokio::test(start_paused = true)]
async fn a_silent_rule_alerts_nobody_and_is_recorded() {
    let service = Service::new();
    let function = enforcing(&service);
    service.put([notified(&violation("v", "cam", "hum", "in-alarm", 0))]).await;
    service.run(&function, 130).await;
    assert_eq!((service.alerts().len(), service.records()), (0, vec!["v in-alarm report".into()]));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_registered_is_not_mitigated() {
    let service = Service::new();
    let function = enforcing(&service);
    let names = ["ghost", "кот 😀\u{202e}`*[x](y)<!here>"];
    service
        .put(
            names
                .iter()
                .enumerate()
                .map(|(n, name)| notified(&violation(&format!("v-{n}"), name, "ports", "in-alarm", 0))),
        )
        .await;
    service.run(&function, 130).await;
    assert_eq!((service.mitigations().len(), service.alerts().len()), (0, 2));
    insta::assert_json_snapshot!(
        service.alert_messages().iter().find(|alert| !alert.to_string().contains("ghost"))
    );
}

#[tokio::test(start_paused = true)]
async fn no_name_of_a_device_or_behavior_reaches_a_path_or_means_anything_to_a_reader() {
    let emoji = "\u{1f980}".repeat(32);
    let names = [
        "\0\u{7}\u{1b}[31m\r\n# heading\n- item",
        "`*bold* [link](https://example.com) ```",
        "<!channel> <@U1> @everyone <https://example.com|x>",
        emoji.as_str(),
        "../../policies/x?force=true#",
        "%2e%2e%2fcam",
        "\u{202e}mac\u{200b}\u{2028}",
        " ",
    ];
    let service = Service::new();
    let function = under(&service, &policy("enforce", "incidents: { devices: 12 }"));
    for (n, name) in names.iter().enumerate() {
        // One that is to be mitigated, one that flaps, and a behavior of that name at so many that it is an incident.
        let flaps =
            (0..3).map(|raise| violation(&format!("f-{n}-{raise}"), name, "x", "in-alarm", raise * 60));
        let alone = [violation(&format!("v-{n}"), name, "ports", "in-alarm", 0)];
        service.put(alone.into_iter().chain(flaps).map(|event| notified(&event))).await;
    }
    let many = (0..13).map(|n| {
        let name = format!("{}{n}", names[n % names.len()]);
        notified(&violation(&format!("i-{n}"), &name, names[2], "in-alarm", 0))
    });
    service.put(many).await;
    service.run(&function, 400).await;
    assert_eq!((service.parked().len(), service.mitigations().len()), (0, 0));
    let kinds: BTreeSet<String> =
        service.alert_messages().iter().map(|alert| text(alert, "/metadata/eventType").to_owned()).collect();
    assert_eq!(kinds, ["alarm-flapping", "alarm-incident", "alarm-raised"].map(String::from).into());
    for alert in service.alert_messages() {
        for part in ["/content/title", "/content/description"] {
            let words = text(&alert, part);
            let outside: String = words.split('`').step_by(2).collect();
            assert!(words.chars().all(|c| c == '\n' || !c.is_control()), "{words:?}");
            assert!(!words.contains(['<', '>', '@', '\u{202e}', '\u{200b}', '\u{2028}']), "{words:?}");
            assert_eq!(words.matches('`').count() % 2, 0, "{words:?}");
            assert!(!outside.contains(['*', '[', '%', '#']), "{words:?}");
        }
    }
    let asked: Vec<_> = service.cloud.calls("GET").into_iter().map(|call| call.operation).collect();
    assert!(asked.iter().all(|path| !path.starts_with("GET /things")), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_heard_after_sixty_days_is_told_and_nothing_is_done() {
    let service = Service::new();
    let function = enforcing(&service);
    service.put([notified(&violation("old", "cam", "ports", "in-alarm", -60 * 86_400))]).await;
    service.put([notified(&violation("new", "cam-2", "ports", "in-alarm", 60 * 86_400))]).await;
    service.run(&function, 130).await;
    let mitigated = service.cloud.sent_to(MITIGATIONS);
    assert_eq!((mitigated.len(), service.alerts().len()), (1, 2));
    assert!(mitigated[0].contains("new"), "a time to come is taken as it is");
    assert!(service.life("old").await.actions[0].reason.as_deref().unwrap().contains("30 days"));
}
