//! Many devices at once: one alert, and none of them is mitigated while it lasts.

use std::collections::BTreeSet;

use detect_alarm::DetectAlarm;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_aws::testing::queues::Source;
use serde_json::Value;
use serde_json::json;

use crate::service::Service;
use crate::setup::FINDINGS;
use crate::setup::MITIGATIONS;
use crate::setup::OWN;
use crate::setup::SOURCE;
use crate::setup::enforcing;
use crate::setup::far;
use crate::setup::notified;
use crate::setup::policy;
use crate::setup::text;
use crate::setup::under;
use crate::setup::violation;

fn raised(devices: std::ops::Range<i64>, second: i64) -> Vec<String> {
    devices
        .map(|n| notified(&violation(&format!("v-{n}"), &format!("thing-{n}"), "ports", "in-alarm", second)))
        .collect()
}

fn alarms(service: &Service) -> Alarms {
    Alarms::new(Ledger::new(service.cloud.clients().dynamodb(), "ledger".into()))
}

#[tokio::test(start_paused = true)]
async fn an_incident_without_a_settling_time_is_alerted_wherever_its_process_is_killed() {
    let source = Source { visibility_seconds: 360, ..SOURCE };
    for at in Moment::all() {
        let service = Service::new();
        service.put(raised(0..3, 0)).await;
        let work = async || {
            let function = under(&service, &policy("enforce", "settle: 0m, incidents: { devices: 2 }"));
            let context = &far();
            while service.cloud.deliver(source, async |event| function.handle(event, context).await).await > 0
            {
            }
        };
        let ended = service.cloud.kill(at.clone(), work()).await;
        for _ in 0..4 {
            service.cloud.pass_seconds(360);
            work().await;
        }
        let alerts = service.alerts();
        assert_eq!(alerts.iter().filter(|alert| alert.starts_with("alarm-incident:")).count(), 1, "{at:?}");
        if ended.is_some() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_opened_an_incident_is_not_done_while_another_worker_raises_its_alert() {
    let service = Service::new();
    let function = under(&service, &policy("enforce", "settle: 0m, incidents: { devices: 2 }"));
    let handle = async |bodies: Vec<String>| {
        let records: Vec<Value> = bodies
            .iter()
            .map(|body| json!({"messageId": "m", "body": body, "attributes": {}, "messageAttributes": {}}))
            .collect();
        let event = serde_json::from_value(json!({ "Records": records })).unwrap();
        function.handle(event, &far()).await
    };
    handle(raised(0..2, 0)).await.unwrap();
    // The message comes twice at once. If the second copy counted as done, the queue would delete both, and were the first
    // worker to die now, nobody would raise the alert.
    let second = handle(raised(2..3, 0));
    let first = handle(raised(2..3, 0));
    let (first, second) = service.cloud.interleave(Moment::before("Publish", 0), first, second).await;
    let error = second.unwrap().unwrap_err();
    assert_eq!(error.name(), "Fleetwarden.Later", "{error}");
    assert!(first.unwrap().batch_item_failures.is_empty());
    let alerts = service.alerts();
    assert_eq!(alerts.iter().filter(|alert| alert.starts_with("alarm-incident:")).count(), 1);
    // What joins the incident meanwhile is done: whatever opened it comes again until the alert is raised.
    handle(raised(3..4, 0)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn members_that_alarm_within_the_settling_time_are_never_mitigated() {
    let service = Service::new();
    let function = enforcing(&service);
    for step in 0..12 {
        service.put(raised(step * 3..step * 3 + 3, step * 10)).await;
        service.run(&function, 10).await;
    }
    service.run(&function, 300).await;
    assert_eq!((service.mitigations().len(), service.parked().len()), (0, 0));
    let alerts = service.alert_messages();
    assert_eq!(alerts.len(), 1);
    let incident = alarms(&service).incidents(START).await.unwrap().remove(0);
    insta::assert_json_snapshot!(alerts[0]);
    assert_eq!((incident.devices, alarms(&service).members(&incident.id).await.unwrap().len()), (36, 36));
    assert_eq!(service.records().len(), 36, "each is recorded as one of the incident");
    assert!(service.records().iter().all(|record| record.ends_with("in-alarm -")));

    let again = async |ids: &[&str]| {
        let settle = |id: &&str| {
            let at = START.plus_seconds(if *id == "v-0" { 0 } else { 110 }).0;
            json!({"settle": {"violationId": id, "raisedAt": at, "notBefore": at}}).to_string()
        };
        service.put(ids.iter().map(settle)).await;
        service.run(&function, 10).await;
    };
    again(&["v-0"]).await;
    assert_eq!(service.mitigations().len(), 0, "it lasts");
    let now = service.cloud.clock().now();
    alarms(&service).end_incident(&incident.id, Some("mitigate"), now).await.unwrap();
    service.put([notified(&violation("v-35", "thing-35", "ports", "alarm-cleared", 200))]).await;
    again(&["v-0", "v-35"]).await;
    assert_eq!(service.mitigations().len(), 1, "one of them has ended");
    assert_eq!(
        alarms(&service).incidents(START).await.unwrap().len(),
        1,
        "no new incident of the same alarms"
    );
}

/// A behavior's devices, of which the first alone alarms and is decided on before the others do: an incident. Gives its
/// id.
async fn incident_after_a_decision(service: &Service, behavior: &str) -> String {
    let function = enforcing(service);
    let raise =
        |n: i64, at| notified(&violation(&format!("v-{n}"), &format!("thing-{n}"), behavior, "in-alarm", at));
    service.put([raise(0, 0)]).await;
    service.run(&function, 200).await;
    assert!(service.life("v-0").await.is_decided(None));
    service.put((1..21).map(|n| raise(n, 200))).await;
    service.run(&function, 200).await;
    let incident = alarms(service).incidents(START).await.unwrap().remove(0);
    assert_eq!(service.life("v-0").await.incident.as_ref(), Some(&incident.id));
    incident.id
}

fn settle_first() -> String {
    json!({"settle": {"violationId": "v-0", "raisedAt": START.0, "notBefore": START.0}}).to_string()
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_before_an_incident_is_decided_again_when_it_is_over() {
    let service = Service::new();
    let id = incident_after_a_decision(&service, "ports").await;
    let asked = || service.cloud.sent_to(MITIGATIONS).len();
    assert_eq!(asked(), 1, "and apply-mitigations has dropped it, since it is part of an incident");
    let function = enforcing(&service);
    alarms(&service).end_incident(&id, None, service.cloud.clock().now()).await.unwrap();
    for _ in 0..3 {
        service.put([settle_first(), settle_first()]).await;
        service.run(&function, 60).await;
    }
    let notes: Vec<String> = service.life("v-0").await.actions.iter().map(|a| a.what.clone()).collect();
    assert_eq!(notes, ["mitigate", "mitigate"]);
    assert_eq!((service.mitigations().len(), asked() > 1, service.parked().len()), (1, true, 0));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_waits_to_be_long_waits_again_when_its_incident_is_over() {
    let service = Service::new();
    let id = incident_after_a_decision(&service, "slow").await;
    let function = enforcing(&service);
    service.run(&function, 3_600).await;
    assert_eq!((service.mitigations().len(), service.cloud.waiting(OWN).len()), (0, 0), "it is held");
    alarms(&service).end_incident(&id, None, service.cloud.clock().now()).await.unwrap();
    service.put([settle_first()]).await;
    service.run(&function, 200).await;
    assert_eq!(service.mitigations().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_left_is_not_decided_on() {
    for behavior in ["ports", "slow"] {
        let service = Service::new();
        let id = incident_after_a_decision(&service, behavior).await;
        let function = enforcing(&service);
        alarms(&service).end_incident(&id, Some("leave"), service.cloud.clock().now()).await.unwrap();
        let (before, asked) = (service.alerts(), service.mitigations());
        service.put([settle_first()]).await;
        service.run(&function, 4_000).await;
        assert_eq!((service.alerts(), service.mitigations()), (before, asked), "{behavior}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_left_is_not_taken_in_by_the_next_incident() {
    let service = Service::new();
    let first = incident_after_a_decision(&service, "ports").await;
    let function = enforcing(&service);
    alarms(&service).end_incident(&first, Some("leave"), service.cloud.clock().now()).await.unwrap();
    // One more device within the window: so many alarm at once.
    service.put([notified(&violation("v-21", "thing-21", "ports", "in-alarm", 500))]).await;
    service.run(&function, 200).await;
    let second = service.life("v-21").await.incident.unwrap();
    assert_ne!(second, first);
    service.put([notified(&violation("v-0", "thing-0", "ports", "in-alarm", 0)), settle_first()]).await;
    service.run(&function, 200).await;
    for id in ["v-0", "v-20"] {
        assert_eq!(service.life(id).await.incident.as_ref(), Some(&first), "{id}");
    }
    let member = alarms(&service).members(&second).await.unwrap();
    assert_eq!(member.len(), 1);
    assert_eq!(service.mitigations().len(), 1, "the one of before the first");
}

#[tokio::test(start_paused = true)]
async fn a_share_of_what_the_profile_watches_is_an_incident() {
    for (things, incident) in [(49, true), (50, false), (5_000, false)] {
        let service = Service::with_group(things);
        let function = enforcing(&service);
        service.put(raised(0..5, 0)).await;
        service.run(&function, 300).await;
        assert_eq!(service.mitigations().is_empty(), incident, "{things}");
        let asked = service
            .cloud
            .calls("GET")
            .iter()
            .filter(|call| call.operation.contains("thing-groups/cameras"))
            .count();
        assert_eq!(
            asked, 1,
            "{things}: no more of a large fleet is listed than matters, and it is listed once"
        );
        let other = enforcing(&service);
        service.put(raised(5..6, 205)).await;
        service.run(&other, 200).await;
        let asked = service
            .cloud
            .calls("GET")
            .iter()
            .filter(|call| call.operation.contains("thing-groups/cameras"))
            .count();
        assert_eq!(asked, 1, "{things}: another process finds it in the ledger");
        if incident {
            let told = service.alert_messages().remove(0);
            assert!(text(&told, "/content/description").contains("5 devices of 49 or more"), "{told}");
            assert!(text(&told, "/content/description").contains("`thinggroup/cameras`"), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_fleet_leaves_the_absolute_limit() {
    let service = Service::new();
    let function = enforcing(&service);
    service.put(raised(0..20, 0)).await;
    service.run(&function, 300).await;
    assert_eq!((service.mitigations().len(), service.alerts().len()), (20, 20));
    service.put(raised(20..21, 205)).await;
    service.run(&function, 200).await;
    assert_eq!((service.mitigations().len(), service.alerts().len()), (20, 21));
    let told = service.alert_messages().remove(20);
    assert!(
        text(&told, "/content/description").contains("Decided before, to be mitigated: `thing-"),
        "{told}"
    );
    let incident = alarms(&service).incidents(START).await.unwrap().remove(0);
    assert_eq!(
        alarms(&service).members(&incident.id).await.unwrap().len(),
        21,
        "also those decided on before"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_heard_an_hour_late_is_no_less_of_an_incident() {
    let service = Service::new();
    let function = enforcing(&service);
    service.cloud.pass_seconds(3_600);
    service.put(raised(0..400, 0)).await;
    service.run(&function, 200).await;
    assert_eq!((service.mitigations().len(), service.alerts().len()), (0, 1));
}

/// The messages come slowly: from a service or through a topic that is behind, or to functions that are.
async fn heard_slowly(devices: i64, per_minute: i64) -> Service {
    let service = Service::new();
    let function = enforcing(&service);
    let all = raised(0..devices, 0);
    for minute in 0..30 {
        let (from, to) = (minute * per_minute, (minute + 1) * per_minute);
        let due = |at: i64| usize::try_from(at.min(devices)).unwrap();
        service.put(all[due(from)..due(to)].iter().cloned()).await;
        service.run(&function, 60).await;
    }
    assert_eq!((service.cloud.waiting(OWN).len(), service.parked().len()), (0, 0));
    service
}

#[tokio::test(start_paused = true)]
async fn an_incident_whose_alarms_are_heard_slowly_takes_the_first_of_them_too() {
    for per_minute in [6, 8, 11, 60] {
        let service = heard_slowly(60, per_minute).await;
        assert_eq!((service.mitigations().len(), service.alerts().len()), (0, 1), "{per_minute} a minute");
        let incident = alarms(&service).incidents(START).await.unwrap().remove(0);
        assert_eq!(alarms(&service).members(&incident.id).await.unwrap().len(), 60);
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_becomes_an_incident_is_decided_on_when_no_more_devices_come() {
    let service = heard_slowly(18, 6).await;
    assert_eq!((service.mitigations().len(), service.alerts().len()), (18, 18));
}

#[tokio::test(start_paused = true)]
async fn of_workers_that_notice_it_at_once_one_tells() {
    let service = Service::new();
    let functions: Vec<DetectAlarm> = (0..5).map(|_| enforcing(&service)).collect();
    service.put(raised(0..50, 0)).await;
    service.run(&functions[0], 110).await;
    service.cloud.pass_seconds(20);
    let context = &far();
    let deliveries = functions
        .iter()
        .map(|function| service.cloud.deliver(SOURCE, async |event| function.handle(event, context).await));
    futures_util::future::join_all(deliveries).await;
    service.run(&functions[0], 300).await;
    assert_eq!(
        (service.alert_messages().len(), service.mitigations().len(), service.parked().len()),
        (1, 0, 0)
    );
    assert_eq!(alarms(&service).incidents(START).await.unwrap().len(), 1);
}

/// The begins of which there is a record: the violation and its second.
fn begins(service: &Service) -> BTreeSet<(String, i64)> {
    let records = service.cloud.sent_to(FINDINGS).into_iter();
    let records = records.map(|body| serde_json::from_str::<Value>(&body).unwrap());
    records
        .filter(|record| record["event"] == "in-alarm")
        .map(|record| {
            let at = record["at"].as_i64().unwrap();
            (text(&record, "/violationId").to_owned(), (at - START.0) / 1_000)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_begin_is_recorded_whenever_its_violation_is_raised_again() {
    for at in Moment::all() {
        let service = Service::new();
        let function = under(&service, &policy("enforce", "settle: 0m, incidents: { devices: 2 }"));
        for body in raised(0..2, 0) {
            function.message(&body).await.unwrap();
        }
        let (first, again) = (raised(2..3, 0).remove(0), raised(2..3, 300).remove(0));
        let (first, again) =
            service.cloud.interleave(at.clone(), function.message(&first), function.message(&again)).await;
        first.unwrap();
        let Some(again) = again else { break };
        // What meets another worker comes again.
        if again.is_err() {
            function.message(&raised(2..3, 300).remove(0)).await.unwrap();
        }
        let expected = [("v-0", 0), ("v-1", 0), ("v-2", 0), ("v-2", 300)];
        let expected = expected.map(|(id, second)| (id.to_owned(), second)).into();
        assert_eq!(begins(&service), expected, "{at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_begin_is_recorded_although_a_person_left_its_incident_before_it_settled() {
    let service = Service::new();
    let function = under(&service, &policy("enforce", "settle: 2m, incidents: { devices: 2 }"));
    service.put(raised(0..3, 0)).await;
    service.run(&function, 100).await;
    service.put(raised(3..4, 100)).await;
    service.run(&function, 40).await;
    assert!(service.life("v-3").await.incident.is_some(), "it is marked before it settles");
    let id = alarms(&service).incidents(START).await.unwrap().remove(0).id;
    alarms(&service).end_incident(&id, Some("leave"), service.cloud.clock().now()).await.unwrap();
    service.run(&function, 600).await;
    let expected = [("v-0", 0), ("v-1", 0), ("v-2", 0), ("v-3", 100)];
    assert_eq!(begins(&service), expected.map(|(id, second)| (id.to_owned(), second)).into());
}
