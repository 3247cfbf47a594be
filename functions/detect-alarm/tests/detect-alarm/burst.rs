//! A burst: half of the fleet alarms within twenty minutes, and fifty deliveries run at once.

use std::collections::BTreeSet;

use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::START;
use futures_util::future::join_all;
use serde_json::Value;

use crate::service::Service;
use crate::setup::FINDINGS;
use crate::setup::MITIGATIONS;
use crate::setup::OWN;
use crate::setup::SOURCE;
use crate::setup::enforcing;
use crate::setup::far;
use crate::setup::notified;
use crate::setup::text;
use crate::setup::violation;

const LEDGER: [&str; 7] =
    ["BatchGetItem", "TransactWriteItems", "GetItem", "PutItem", "UpdateItem", "Query", "BatchWriteItem"];
const SECONDS: i64 = 1_200;
const STEP: i64 = 10;

/// What the function did, counted as it goes.
#[derive(Default)]
struct Done {
    ledger: usize,
    mitigations: usize,
    alerts: usize,
    recorded: BTreeSet<String>,
}

impl Done {
    fn count(&mut self, calls: &[Call]) {
        for call in calls {
            self.ledger += usize::from(LEDGER.contains(&call.operation.as_str()));
            self.alerts += usize::from(call.operation == "Publish");
            let body = call.json();
            let entries = body["Entries"].as_array().into_iter().flatten();
            match text(&body, "/QueueUrl") {
                MITIGATIONS => self.mitigations += 1,
                FINDINGS => self.recorded.extend(entries.map(|entry| {
                    let record: Value = serde_json::from_str(text(entry, "/MessageBody")).unwrap();
                    text(&record, "/violationId").to_owned()
                })),
                _ => {}
            }
        }
    }
}

async fn burst(alarms: i64) {
    let service = Service::new();
    let function = &enforcing(&service);
    let context = &far();
    let (mut sent, mut done) = (0, Done::default());
    for step in 0..(SECONDS + 300) / STEP {
        let due = (alarms * (step + 1) * STEP / SECONDS).min(alarms);
        let bodies = (sent..due).map(|n| {
            let at = n * SECONDS / alarms;
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
        done.count(&service.cloud.take_calls());
        service.cloud.pass_seconds(STEP);
    }
    let count = usize::try_from(alarms).unwrap();
    assert_eq!((service.parked().len(), service.cloud.waiting(OWN).len()), (0, 0));
    assert_eq!((done.recorded.len(), done.mitigations), (count, 0), "nothing is lost or mitigated");
    assert_eq!(done.alerts, 1, "one incident");
    assert!(done.ledger <= 3 * count, "{} calls of the ledger for {count} alarms", done.ledger);
    let all = Alarms::new(Ledger::new(service.cloud.clients().dynamodb(), "ledger".into()));
    let incident = all.incidents(START).await.unwrap().remove(0);
    assert_eq!(
        (incident.devices, all.members(&incident.id).await.unwrap().len()),
        (alarms.cast_unsigned(), count)
    );
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
