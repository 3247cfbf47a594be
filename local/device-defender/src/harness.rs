//! For tests: a service on a manual clock, called as a client calls it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::checks::Check;
use crate::clock::Clock;
use crate::service::{DeviceDefender, Request};
use crate::settings::{FleetSpec, Settings};

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/AuditRole";
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:audits";
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// A service whose audits and mitigation tasks take a second.
pub(crate) struct Desk {
    pub(crate) service: DeviceDefender,
}

impl Desk {
    pub(crate) fn new(findings: u32) -> Self {
        Self::with(Settings { fleet: FleetSpec { findings, seed: 5 }, ..Settings::default() })
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let second = Duration::from_secs(1);
        Self {
            service: DeviceDefender::new(Settings {
                rate_scale: None,
                audit_duration: second,
                mitigation_duration: second,
                clock: Clock::manual(START_MS),
                ..settings
            }),
        }
    }

    pub(crate) fn call(&self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        self.call_with(method, target, body, &[])
    }

    /// `ListPrincipalThings`, whose principal is a header.
    pub(crate) fn principal_things(&self, principal: &str, query: &str) -> (u16, Value) {
        let headers = [("x-amzn-principal", principal)];
        self.call_with("GET", &format!("/principals/things?{query}"), &Value::Null, &headers)
    }

    fn call_with(&self, method: &str, target: &str, body: &Value, headers: &[(&str, &str)]) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let authorization = Some(
            "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0",
        );
        let request = Request { method, path, query, authorization, body: body.as_bytes() };
        let answer = self.service.answer_with_headers(&request, headers);
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    /// A call that must succeed.
    pub(crate) fn ok(&self, method: &str, target: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, target, body);
        assert_eq!(status, 200, "{method} {target}: {answer}");
        answer
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.service.clock().advance(Duration::from_millis(ms));
    }

    pub(crate) fn enable(&self) {
        let checks: serde_json::Map<String, Value> =
            Check::ALL.iter().map(|check| (check.name().to_owned(), json!({ "enabled": true }))).collect();
        let targets = json!({ "SNS": { "targetArn": TOPIC, "roleArn": ROLE, "enabled": true } });
        let body = json!({
            "roleArn": ROLE,
            "auditCheckConfigurations": checks,
            "auditNotificationTargetConfigurations": targets,
        });
        self.ok("PATCH", "/audit/configuration", &body);
    }

    /// Starts an audit of some checks and gives its id.
    pub(crate) fn start(&self, checks: &[Check]) -> String {
        self.enable();
        let names: Vec<&str> = checks.iter().map(|check| check.name()).collect();
        let started = self.ok("POST", "/audit/tasks", &json!({ "targetCheckNames": names }));
        started["taskId"].as_str().unwrap().to_owned()
    }

    /// The findings of a finished audit of one check.
    pub(crate) fn audit(&self, check: Check) -> Vec<Value> {
        let task = self.start(&[check]);
        self.advance(1_000);
        self.findings(&task)
    }

    pub(crate) fn findings(&self, task: &str) -> Vec<Value> {
        self.posted("/audit/findings", json!({ "taskId": task, "maxResults": 250 }), "findings")
    }

    /// All pages of a list that is asked for with a body.
    pub(crate) fn posted(&self, path: &str, mut body: Value, member: &str) -> Vec<Value> {
        let mut items = Vec::new();
        loop {
            let mut page = self.ok("POST", path, &body);
            items.extend(page[member].as_array().unwrap().clone());
            body["nextToken"] = page["nextToken"].take();
            if body["nextToken"].is_null() {
                return items;
            }
        }
    }

    /// All pages of a list that is asked for with a query.
    pub(crate) fn listed(&self, path: &str, query: &str, member: &str) -> Vec<Value> {
        let (mut items, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.ok("GET", &format!("{path}?{query}{token}"), &Value::Null);
            items.extend(page[member].as_array().unwrap().clone());
            token = match (page["nextToken"].as_str(), page["nextMarker"].as_str()) {
                (Some(next), _) => format!("&nextToken={next}"),
                (_, Some(next)) => format!("&marker={next}"),
                _ => return items,
            };
        }
    }

    /// Defines an action.
    pub(crate) fn action(&self, name: &str, params: &Value) {
        let body = json!({ "roleArn": ROLE, "actionParams": params });
        self.ok("POST", &format!("/mitigationactions/actions/{name}"), &body);
    }

    /// Starts a mitigation task on findings of one check.
    pub(crate) fn mitigate(&self, task: &str, findings: &[Value], check: Check, actions: &[&str]) {
        let ids: Vec<&Value> = findings.iter().map(|finding| &finding["findingId"]).collect();
        let body = json!({
            "target": { "findingIds": ids },
            "auditCheckToActionsMapping": { check.name(): actions },
            "clientRequestToken": task,
        });
        self.ok("POST", &format!("/audit/mitigationactions/tasks/{task}"), &body);
    }

    pub(crate) fn task(&self, task: &str) -> Value {
        self.ok("GET", &format!("/audit/mitigationactions/tasks/{task}"), &Value::Null)
    }

    pub(crate) fn state(&self) -> Value {
        self.ok("GET", "/_control/state", &Value::Null)
    }
}

/// Parameters that deactivate device certificates.
pub(crate) fn deactivate() -> Value {
    json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } })
}
