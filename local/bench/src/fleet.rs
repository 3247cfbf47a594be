//! Fleets of a wanted size, their audits, and the events that come of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use device_defender::{Clock, DeviceDefender, FleetSpec, Request, Settings};
use hyper::body::Bytes;
use serde_json::{Value, json};

/// The check that is the largest in a simulated fleet.
pub(crate) const LARGEST: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
const ACCOUNT: &str = "123456789012";
const ROLE: &str = "arn:aws:iam::123456789012:role/audit";
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0";
const MINUTE: Duration = Duration::from_mins(1);

/// A fleet behind its endpoint's service.
pub(crate) struct Fleet(pub(crate) DeviceDefender);

/// An audit that has ended.
pub(crate) struct Audit {
    pub(crate) task: String,
    /// When it began, epoch milliseconds.
    pub(crate) started_ms: i64,
    /// Findings by check; checks without any are not in it.
    pub(crate) checks: BTreeMap<String, u64>,
}

impl Fleet {
    /// A fleet whose audit has this many findings.
    pub(crate) fn of(findings: u32) -> Result<Self> {
        let settings = Settings {
            fleet: FleetSpec { findings, ..FleetSpec::default() },
            rate_scale: None,
            audit_duration: MINUTE,
            clock: Clock::manual(1_800_000_000_000),
            ..Settings::default()
        };
        let fleet = Self(DeviceDefender::new(settings));
        let configuration = fleet.call("GET", "/audit/configuration", &Value::Null)?;
        let checks = configuration.get("auditCheckConfigurations").and_then(Value::as_object);
        let enabled: BTreeMap<&String, Value> =
            checks.into_iter().flatten().map(|(name, _)| (name, json!({ "enabled": true }))).collect();
        let body = json!({ "roleArn": ROLE, "auditCheckConfigurations": enabled });
        fleet.call("PATCH", "/audit/configuration", &body)?;
        Ok(fleet)
    }

    /// A fleet of which one check has exactly this many findings, with its audit.
    ///
    /// Of one finding more in the fleet, the largest check gets one more at most: so between a fleet where it
    /// has too few and one where it has enough, there is one where it has as many as wanted.
    pub(crate) fn with_largest(wanted: u64) -> Result<(Self, Audit)> {
        let (mut few, mut enough) = (0, u32::try_from(wanted)?.saturating_mul(4) + 100);
        loop {
            let findings = few + (enough - few) / 2;
            let fleet = Self::of(findings)?;
            let audit = fleet.audit()?;
            let count = audit.checks.get(LARGEST).copied().unwrap_or(0);
            if count == wanted {
                return Ok((fleet, audit));
            }
            ensure!(enough - few > 1, "no fleet has exactly {wanted} findings of {LARGEST}");
            if count < wanted { few = findings } else { enough = findings }
        }
    }

    /// Runs an audit of all checks.
    pub(crate) fn audit(&self) -> Result<Audit> {
        let configuration = self.call("GET", "/audit/configuration", &Value::Null)?;
        let checks = configuration.get("auditCheckConfigurations").and_then(Value::as_object);
        let names: Vec<&String> = checks.into_iter().flatten().map(|(name, _)| name).collect();
        let started = self.call("POST", "/audit/tasks", &json!({ "targetCheckNames": names }))?;
        let task = started.get("taskId").and_then(Value::as_str).context("an audit without id")?.to_owned();
        let started_ms = self.0.clock().now_ms();
        self.0.clock().advance(MINUTE + MINUTE);
        let counts = self.call("GET", &format!("/_control/findings-count?taskId={task}"), &Value::Null)?;
        let checks = counts.get("checks").and_then(Value::as_object).into_iter().flatten();
        let checks = checks
            .filter_map(|(name, counts)| Some((name.clone(), counts.get("unsuppressed")?.as_u64()?)))
            .filter(|(_, count)| *count > 0);
        Ok(Audit { task, started_ms, checks: checks.collect() })
    }

    pub(crate) fn call(&self, method: &str, target: &str, body: &Value) -> Result<Value> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request =
            Request { method, path, query, authorization: Some(AUTHORIZATION), body: body.as_bytes() };
        let answer = self.0.answer(&request);
        ensure!(answer.status == 200, "{method} {target}: {}", answer.body);
        serde_json::from_str(&answer.body).context("the endpoint's answer")
    }
}

impl Audit {
    /// The event of a check, as the check queue hands it to triage.
    pub(crate) fn event(&self, check: &str) -> Bytes {
        let count = self.checks.get(check).copied().unwrap_or(0);
        let audit = json!({
            "account": ACCOUNT, "region": "us-east-1", "taskId": self.task, "startedAt": self.started_ms,
        });
        let message = json!({ "audit": audit, "check": check, "nonCompliant": count, "suppressed": 0 });
        batch(&[message.to_string()])
    }
}

/// An event of these messages, as SQS hands them to a function.
pub(crate) fn batch(bodies: &[String]) -> Bytes {
    let record = |(at, body): (usize, &String)| {
        json!({
            "messageId": format!("471a641b-c090-0b4b-eafe-{at:012}"),
            "receiptHandle": "AQEB8fee33a368e6e3e0f1c09d76a3f90b8bf2a7c2e4594fa09741e9ae9bc52d34cb",
            "body": body,
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1795316681700" },
            "messageAttributes": {},
            "md5OfBody": "af60d4e869525c2d0aa601740a408871",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
            "awsRegion": "us-east-1",
        })
    };
    let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
    json!({ "Records": records }).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_has_as_many_findings_as_wanted() {
        for wanted in [1, 2, 249, 250, 251, 999, 10_000] {
            let (_, audit) = Fleet::with_largest(wanted).unwrap();
            assert_eq!(audit.checks[LARGEST], wanted);
        }
    }
}
