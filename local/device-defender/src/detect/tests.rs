//! Detect as a client sees it, on a manual clock.

mod alarms;
mod changes;
mod control;
mod mitigation;
mod repeatable;
mod training;
mod values;

use serde_json::{Value, json};

use crate::harness::{Desk, ROLE, START_MS};
use crate::settings::{FleetSpec, Settings};

pub(super) const ALARMS: &str = "arn:aws:sns:us-east-1:123456789012:alarms";
pub(super) const MINUTE: u64 = 60_000;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

pub(super) fn arn(target: &str) -> String {
    format!("arn:aws:iot:us-east-1:123456789012:{target}")
}

/// A behavior of a count over 300 seconds.
pub(super) fn less_than(name: &str, metric: &str, count: u64) -> Value {
    json!({ "name": name, "metric": metric, "criteria": {
        "comparisonOperator": "less-than", "value": { "count": count }, "durationSeconds": 300,
        "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1,
    } })
}

pub(super) fn model(name: &str, metric: &str) -> Value {
    json!({ "name": name, "metric": metric, "criteria": {
        "mlDetectionConfig": { "confidenceLevel": "HIGH" },
        "consecutiveDatapointsToAlarm": 3, "consecutiveDatapointsToClear": 3,
    } })
}

pub(super) fn percentile(name: &str, metric: &str, statistic: &str) -> Value {
    json!({ "name": name, "metric": metric, "criteria": {
        "comparisonOperator": "less-than-equals", "statisticalThreshold": { "statistic": statistic },
        "durationSeconds": 300,
    } })
}

/// A small fleet with Detect.
pub(super) struct Floor(pub(super) Desk);

impl Floor {
    pub(super) fn new() -> Self {
        Self::of(20)
    }

    pub(super) fn of(findings: u32) -> Self {
        Self(Desk::with(Settings { fleet: FleetSpec { findings, seed: 5 }, ..Settings::default() }))
    }

    /// Makes a profile and attaches it.
    pub(super) fn profile(&self, name: &str, target: &str, behaviors: &[Value]) {
        let body = json!({
            "behaviors": behaviors,
            "alertTargets": { "SNS": { "alertTargetArn": ALARMS, "roleArn": ROLE } },
        });
        self.0.ok("POST", &format!("/security-profiles/{name}"), &body);
        self.attach(name, target);
    }

    fn target(name: &str, target: &str) -> String {
        let target = arn(target).replace(':', "%3A").replace('/', "%2F");
        format!("/security-profiles/{name}/targets?securityProfileTargetArn={target}")
    }

    pub(super) fn attach(&self, name: &str, target: &str) {
        self.0.ok("PUT", &Self::target(name, target), &Value::Null);
    }

    pub(super) fn detach(&self, name: &str, target: &str) {
        self.0.ok("DELETE", &Self::target(name, target), &Value::Null);
    }

    /// Begins a scenario and gives the names of the things in it.
    pub(super) fn script(&self, order: &Value) -> Vec<String> {
        let begun = self.0.ok("POST", "/_control/detect/scenarios", order);
        serde_json::from_value(begun["thingNames"].clone()).unwrap()
    }

    pub(super) fn switch(&self, switches: &Value) {
        self.0.ok("POST", "/_control/detect/switches", switches);
    }

    pub(super) fn active(&self, query: &str) -> Vec<Value> {
        self.0.listed("/active-violations", &format!("maxResults=250&{query}"), "activeViolations")
    }

    /// The events of the last 30 days, the newest first.
    pub(super) fn events(&self, query: &str) -> Vec<Value> {
        let times = "startTime=2020-01-01T00:00:00Z&endTime=2040-01-01T00:00:00Z";
        self.0.listed("/violation-events", &format!("{times}&maxResults=250&{query}"), "violationEvents")
    }

    /// The alerts that were published since they were taken last.
    pub(super) fn alerts(&self) -> Vec<Value> {
        let messages = self.0.service.take_messages();
        let of_detect = messages.into_iter().filter(|message| message.topic_arn == ALARMS);
        of_detect.map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }

    pub(super) fn values(&self, thing: &str, metric: &str, query: &str) -> Vec<Value> {
        let start = (self.now() - 14 * DAY.cast_signed()) / 1_000 + 1;
        let times = format!("startTime={}&endTime=2040-01-01T00:00:00Z", rfc3339(start));
        let query = format!("thingName={thing}&metricName={metric}&{times}&maxResults=250&{query}");
        self.0.listed("/metric-values", &query, "metricDatumList")
    }

    pub(super) fn now(&self) -> i64 {
        self.0.service.clock().now_ms()
    }

    pub(super) fn advance(&self, ms: u64) {
        self.0.advance(ms);
    }

    /// The name of a thing in a group.
    pub(super) fn thing_of(&self, group: &str) -> String {
        let things = self.0.listed(&format!("/thing-groups/{group}/things"), "recursive=true", "things");
        things[0].as_str().unwrap().to_owned()
    }
}

pub(super) fn rfc3339(seconds: i64) -> String {
    fleetwarden_core::timestamp::Millis::from_seconds(seconds).rfc3339()
}

pub(super) fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["violationEventType"].as_str().unwrap()).collect()
}

/// Epoch milliseconds of a listed time.
pub(super) fn millis(time: &Value) -> i64 {
    crate::clock::from_seconds(time.as_f64().unwrap())
}

/// The first boundary of five minutes after the start.
pub(super) const GRID: i64 = (START_MS / 300_000 + 1) * 300_000;
