//! What a record may be, and what becomes of the rest of its batch.

use std::collections::BTreeSet;

use fleetwarden_aws::testing;
use fleetwarden_aws::testing::cloud::START;
use serde_json::json;

use crate::service::Service;
use crate::setup::ACCOUNT;
use crate::setup::REGION;
use crate::setup::enforcing;
use crate::setup::far;
use crate::setup::notified;
use crate::setup::violation;

#[tokio::test(start_paused = true)]
async fn a_bad_record_is_parked_with_its_reason_and_the_rest_is_done() {
    let service = Service::new();
    let function = enforcing(&service);
    let good = violation("v", "cam", "ports", "in-alarm", 0);
    let elsewhere = notified(&good).replace(ACCOUNT, "210987654321");
    let bad = [
        "{".to_owned(),
        json!({"behavior": 7}).to_string(),
        elsewhere,
        json!({"violationId": "v"}).to_string(),
    ];
    service.put(bad.iter().cloned().chain([notified(&good)])).await;
    service.run(&function, 130).await;
    let parked: BTreeSet<_> = service.parked().into_iter().collect();
    assert_eq!(parked, bad.into_iter().collect());
    assert_eq!(service.mitigations().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn alarms_of_every_source_and_found_ones_take_the_same_way() {
    let service = Service::new();
    let function = enforcing(&service);
    let bare = violation("bare", "cam-1", "a", "in-alarm", 0);
    let own = json!({"schema": "fleetwarden.alarm/1", "profile": "p", "behavior": "b", "thing": "cam-2",
        "event": "in-alarm", "at": START.0});
    let cloudwatch = json!({"AlarmName": "c", "NewStateValue": "ALARM", "StateChangeTime": "2026-11-23T00:00:00.000+0000",
        "AlarmDescription": null, "Trigger": {"Dimensions": [{"name": "ThingName", "value": "cam-3"}]}});
    let found = json!({"found": {"source": "deviceDefender", "account": ACCOUNT, "region": REGION, "violationId": "found",
        "profile": "p", "behavior": "d", "thing": "cam-4", "criteria": "STATIC", "event": "in-alarm", "at": START.0}});
    let unknown = violation("odd", "cam-5", "e", "alarm-snoozed", 0);
    service.put([bare, own, cloudwatch, found, unknown].map(|body| body.to_string())).await;
    service.run(&function, 130).await;
    assert_eq!(
        service.alerts(),
        [
            "alarm-raised: `cam-1` is in alarm: `a`",
            "alarm-raised: `cam-2` is in alarm: `b`",
            "alarm-raised: `cam-3` is in alarm: `c`",
            "alarm-raised: `cam-4` is in alarm: `d`",
        ]
    );
    let records = service.records();
    assert_eq!(records.len(), 5);
    assert!(records.contains(&"odd alarm-snoozed -".to_owned()), "kept and reported: {records:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_to_decide_is_a_request_and_no_authority() {
    let service = Service::new();
    let function = enforcing(&service);
    let settle = |id: &str, raised_at: i64| {
        json!({"settle": {"violationId": id, "raisedAt": START.0 + raised_at, "notBefore": START.0}})
            .to_string()
    };
    service.put([settle("nobody", 0), notified(&violation("v", "cam", "ports", "in-alarm", 0))]).await;
    service.drain(&function).await;
    service.put([settle("v", -1), settle("v", 1)]).await;
    service.drain(&function).await;
    assert_eq!((service.mitigations().len(), service.alerts().len(), service.parked().len()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn events_that_are_news_have_metrics() {
    let service = Service::new();
    let function = enforcing(&service);
    testing::emitted();
    let begin = notified(&violation("v", "cam", "ports", "in-alarm", 0));
    service.put([begin.clone(), begin, notified(&violation("v", "cam", "ports", "alarm-cleared", 60))]).await;
    service.drain(&function).await;
    let lines = testing::emitted();
    let sum = |name: &str| lines.iter().filter_map(|line| line.get(name)?.as_i64()).sum::<i64>();
    assert_eq!((sum("AlarmsRaised"), sum("AlarmsCleared"), sum("TimeToClearSeconds")), (1, 1, 60));
}

#[tokio::test(start_paused = true)]
async fn the_sample_events_are_handled() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let mut handled = 0;
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if !name.starts_with("sqs-alarm") {
            continue;
        }
        let service = Service::new();
        let event = serde_json::from_str(&std::fs::read_to_string(file.path()).unwrap()).unwrap();
        let response = enforcing(&service).handle(event, &far()).await.unwrap();
        assert!(response.batch_item_failures.is_empty(), "{name}");
        let bad = ["other-account", "no-json", "many-records"].iter().any(|bad| name.contains(bad));
        assert_eq!(service.parked().len(), usize::from(bad), "{name}");
        handled += 1;
    }
    assert!(handled >= 7, "{handled}");
}
