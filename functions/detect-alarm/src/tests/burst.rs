//! A burst: half of the fleet alarms within twenty minutes, and fifty deliveries run at once.

use futures_util::future::join_all;

use super::*;

const LEDGER: [&str; 7] =
    ["BatchGetItem", "TransactWriteItems", "GetItem", "PutItem", "UpdateItem", "Query", "BatchWriteItem"];
const SECONDS: i64 = 1_200;

async fn burst(alarms: i64) {
    let service = Service::new();
    let function = &enforcing(&service);
    let context = &far();
    let (mut sent, step) = (0, 10);
    for second in (0..SECONDS + 300).step_by(step) {
        let due = (alarms * (second + 10).min(SECONDS) / SECONDS).min(alarms);
        let bodies = (sent..due).map(|n| {
            let at = (n * SECONDS / alarms).min(SECONDS);
            notified(&violation(&format!("v-{n}"), &format!("thing-{n}"), "ports", "in-alarm", at))
        });
        service.put(bodies).await;
        sent = due;
        loop {
            let deliver =
                || service.cloud.deliver(SOURCE, async |event| function.handle(event, context).await);
            if join_all((0..50).map(|_| deliver())).await.iter().sum::<usize>() == 0 {
                break;
            }
        }
        service.cloud.pass_seconds(10);
    }
    let ledger: usize = LEDGER.iter().map(|name| service.cloud.calls(name).len()).sum();
    let count = usize::try_from(alarms).unwrap();
    assert_eq!((service.parked().len(), service.cloud.waiting(OWN).len()), (0, 0));
    assert_eq!(
        (service.records().len(), service.mitigations().len()),
        (count, 0),
        "nothing is lost or mitigated"
    );
    assert_eq!(service.alert_messages().len(), 1, "one incident");
    assert!(ledger <= 3 * count, "{ledger} calls of the ledger for {count} alarms");
    let all = Alarms::new(Ledger::new(service.cloud.clients().dynamodb(), "ledger".into()));
    let incident = all.incidents(START).await.unwrap().remove(0);
    assert_eq!((incident.devices, all.members(&incident.id).await.unwrap().len()), (alarms as u64, count));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_burst_is_lost() {
    burst(2_000).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes long: with optimization only"]
async fn nothing_of_a_large_burst_is_lost() {
    burst(100_000).await;
}
