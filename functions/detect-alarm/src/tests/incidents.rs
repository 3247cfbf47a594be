//! Many devices at once: one alert, and none of them is mitigated while it lasts.

use super::*;

fn raised(devices: std::ops::Range<i64>, second: i64) -> Vec<String> {
    devices
        .map(|n| notified(&violation(&format!("v-{n}"), &format!("thing-{n}"), "ports", "in-alarm", second)))
        .collect()
}

fn alarms(service: &Service) -> Alarms {
    Alarms::new(Ledger::new(service.cloud.clients().dynamodb(), "ledger".into()))
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

#[tokio::test(start_paused = true)]
async fn a_share_of_what_the_profile_watches_is_an_incident() {
    for (things, incident) in [(49, true), (50, false), (5_000, false)] {
        let service = Service::with_group(things);
        let function = enforcing(&service);
        service.put(raised(0..5, 0)).await;
        service.run(&function, 200).await;
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
    service.run(&function, 200).await;
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
    service.put(raised(0..30, 0)).await;
    service.run(&function, 200).await;
    assert_eq!((service.mitigations().len(), service.alerts().len()), (0, 1));
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
