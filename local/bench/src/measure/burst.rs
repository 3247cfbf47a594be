//! How much memory `detect-alarm` takes in a burst, and how many calls of the ledger an alarm costs it.
//!
//! 100,000 devices alarm on one behavior within twenty minutes, which is an incident. The alarms come as Lambda delivers
//! them, ten at a time and all to one process, as fast as it takes them: their times are twenty minutes apart from first
//! to last, and what the function sends to itself waits as long by that clock as the policy lets alarms settle. The
//! ledger keeps everything; it is in the benchmark's process, as are the queues.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Bench;
use crate::cloud::Services;
use crate::fleet::batch;
use crate::lambda::Function;
use crate::ledger::Ledger;
use crate::report::Target;
use crate::sink::PUBLISHED;

const ALARMS: u32 = 100_000;
const MINUTES: i64 = 20;
/// How many messages SQS hands to the function at a time.
const BATCH: u32 = 10;
const MEMORY: f64 = 32.0;
/// Of the ledger, for an alarm.
const CALLS: f64 = 3.0;
const OPERATIONS: [&str; 8] = [
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "TransactWriteItems",
    "UpdateItem",
];
/// How long the policy lets alarms settle: what it does if it says nothing.
const SETTLE_MS: i64 = 120_000;
/// What would be done to each device, were it alone.
const POLICY: &str = "\
version: 1
mode: enforce
rules:
  - name: cameras
    alarm: { profile: cameras, confidence: HIGH }
    mitigate: { actions: FleetwardenQuarantineThings, release: after 24h }
";

/// A burst on its way.
struct Burst<'b> {
    function: Function,
    services: &'b Services,
    /// When the first device alarms; the last does now.
    began: Millis,
    /// What the function sent to itself, each with the moment at which it is seen.
    settling: VecDeque<(Millis, String)>,
    /// The violations of which there is a record to export.
    recorded: HashSet<String>,
}

/// A message to export, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    violation_id: String,
}

/// Measures, and sees that nothing is lost, that people are told once, and that nothing is done to any device.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let services = bench.cloud.services.clone();
    let ledger = Ledger::default();
    services.sink.reset(true);
    services.sink.keep(ledger.clone());
    services.recorder.reset(false);
    let mut burst = Burst::start(bench, &services).await?;
    let bar = Bench::bar("burst of alarms", usize::try_from(ALARMS)?)?;
    let started = Instant::now();
    for first in (0..ALARMS).step_by(BATCH as usize) {
        let alarms: Vec<String> = (first..first + BATCH).map(|number| burst.notice(number)).collect();
        burst.deliver(&alarms, first).await?;
        ledger.set_time(at(first).0);
        bar.inc(u64::from(BATCH));
    }
    burst.settle(None).await?;
    let seconds = started.elapsed().as_secs_f64();
    let peak = burst.function.peak_megabytes()?;
    burst.check(&ledger)?;
    let calls: u64 = OPERATIONS.iter().map(|operation| services.recorder.count(operation)).sum();
    let calls = f64::from(u32::try_from(calls)?) / f64::from(ALARMS);
    services.sink.reset(false);
    let report = &mut bench.report;
    report.note("detect_burst_alarms", f64::from(ALARMS));
    report.note("detect_burst_alarms_per_second", f64::from(ALARMS) / seconds);
    report.row("detect_burst_rss_mb", "burst of 100,000 alarms, MB", peak, Target::AtMost(MEMORY));
    let what = "… calls of the ledger for an alarm";
    report.count("detect_burst_calls_per_alarm", what, calls, Target::AtMost(CALLS));
    Ok(())
}

impl<'b> Burst<'b> {
    async fn start(bench: &Bench, services: &'b Services) -> Result<Self> {
        let policy = bench.folder.path().join("burst.yaml");
        fs::write(&policy, POLICY)?;
        let mut environment = bench.places.environment(&bench.cloud);
        environment.push(("POLICY_PATH", policy.to_string_lossy().into_owned()));
        let mut function = Function::start(&bench.places.binary("detect-alarm"), &environment, None).await?;
        function.asked().await?;
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let began = Millis(now - MINUTES * 60_000);
        Ok(Self { function, services, began, settling: VecDeque::new(), recorded: HashSet::new() })
    }

    /// Has the function hear of alarms, and then decide on those that have settled by then.
    async fn deliver(&mut self, alarms: &[String], first: u32) -> Result<()> {
        self.invoke(alarms, at(first)).await?;
        self.settle(Some(at(first))).await
    }

    /// Delivers what the function sent to itself and is seen by a moment, in full batches; or all of it, at the end.
    async fn settle(&mut self, until: Option<Millis>) -> Result<()> {
        loop {
            let most = self.settling.len().min(BATCH as usize);
            let due = |(seen, _): &(Millis, String)| until.is_none_or(|until| *seen <= until);
            let count = self.settling.iter().take(most).take_while(|message| due(message)).count();
            if count == 0 || (until.is_some() && count < BATCH as usize) {
                return Ok(());
            }
            let bodies: Vec<String> = self.settling.drain(..count).map(|(_, body)| body).collect();
            self.invoke(&bodies, until.unwrap_or(at(ALARMS))).await?;
        }
    }

    /// One event, and what the function has sent then.
    async fn invoke(&mut self, bodies: &[String], now: Millis) -> Result<()> {
        self.function.invoke(&batch(bodies)).await?;
        for message in self.services.sink.take_messages("alarm") {
            self.settling.push_back((Millis(now.0 + SETTLE_MS), settled(&message)?));
        }
        for message in self.services.sink.take_messages("finding") {
            self.recorded.insert(serde_json::from_str::<Record>(&message)?.violation_id);
        }
        Ok(())
    }

    /// An alarm as Device Defender tells of it, in the envelope that the queue gets from the topic.
    fn notice(&self, number: u32) -> String {
        let behavior = json!({
            "name": "messages", "metric": "aws:num-messages-sent", "suppressAlerts": false,
            "criteria": {
                "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1,
                "mlDetectionConfig": { "confidenceLevel": "HIGH" },
            },
        });
        let alarm = json!({
            "violationEventTime": self.began.0 + at(number).0, "thingName": format!("camera-{number:06}"),
            "behavior": behavior, "violationEventType": "in-alarm", "metricValue": { "count": 4711 + number },
            "violationId": violation(number), "securityProfileName": "cameras",
        });
        json!({
            "Type": "Notification", "MessageId": "5b0a8a9e-8f4c-5a8e-9d5c-d0a1f5b0c0de",
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:alarms", "Message": alarm.to_string(),
            "Timestamp": "2026-11-23T00:00:00.000Z", "SignatureVersion": "1", "Signature": "c2lnbmF0dXJl",
        })
        .to_string()
    }

    /// Whether all violations are in the ledger, each one of the one incident, that people were told of once.
    fn check(&self, ledger: &Ledger) -> Result<()> {
        let all = ALARMS as usize;
        ensure!(self.recorded.len() == all, "{} of {all} alarms have a record", self.recorded.len());
        for queue in ["dead-letter", "mitigation"] {
            let messages = self.services.sink.take_messages(queue);
            ensure!(
                messages.is_empty(),
                "{} messages for {queue}, as {:?}",
                messages.len(),
                messages.first()
            );
        }
        let told = self.services.sink.take_messages(PUBLISHED);
        let one = told.len() == 1 && told.iter().all(|alert| alert.contains("alarm-incident"));
        ensure!(one, "people were told {} times: {:?}", told.len(), told.first());
        let mut members = HashSet::new();
        let mut incidents = HashSet::new();
        ledger.each("life", |item| {
            let life = item.get("life").and_then(|text| text.get("S")).and_then(Value::as_str);
            let life: Life = serde_json::from_str(life.context("a life without its text")?)?;
            let id = life.alarm.violation_id;
            ensure!(life.raised_at.is_some() && life.actions.is_empty(), "{id}: {:?}", life.actions);
            incidents.insert(life.incident.with_context(|| format!("{id} is of no incident"))?);
            members.insert(id);
            Ok(())
        })?;
        let kept = (0..ALARMS).all(|number| members.contains(&violation(number)));
        ensure!(kept && members.len() == all, "{} of {all} alarms are in the ledger", members.len());
        ensure!(incidents.len() == 1, "{} incidents", incidents.len());
        Ok(())
    }
}

/// How long after the first a device alarms.
fn at(number: u32) -> Millis {
    Millis(i64::from(number) * MINUTES * 60_000 / i64::from(ALARMS))
}

/// An odd multiplier spreads the numbers over all digits.
fn violation(number: u32) -> String {
    format!("{:032x}", u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

/// A message that the function sent to itself, whose time has come by the clock of the burst.
fn settled(message: &str) -> Result<String> {
    let mut message: AlarmMessage = serde_json::from_str(message)?;
    if let AlarmMessage::Settle(settle) = &mut message {
        settle.not_before = settle.raised_at;
    }
    Ok(serde_json::to_string(&message)?)
}

#[cfg(test)]
mod tests {
    use fleetwarden_core::policy::Policy;

    use super::*;

    #[test]
    fn the_policy_lets_alarms_settle_as_long_as_the_burst_does() {
        let policy = Policy::parse(POLICY.as_bytes()).unwrap();
        assert_eq!(policy.alarms().settle_seconds * 1000, SETTLE_MS);
    }

    #[test]
    fn a_burst_lasts_twenty_minutes_and_has_no_violation_twice() {
        assert_eq!((at(0), at(ALARMS)), (Millis(0), Millis(MINUTES * 60_000)));
        let ids: HashSet<String> = (0..ALARMS).map(violation).collect();
        assert_eq!(ids.len(), ALARMS as usize);
    }
}
