//! Findings, audit suppressions and a dead-letter queue, in memory, as the services behave; the ledger is a cloud's.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

#[derive(Clone, Default)]
pub(crate) struct Service {
    state: Arc<Mutex<State>>,
    pub(crate) cloud: Cloud,
}

#[derive(Default)]
pub(crate) struct State {
    /// By check and resource.
    pub(crate) suppressions: BTreeMap<String, Value>,
    tokens: BTreeSet<String>,
    /// The operations that were called, in order.
    pub(crate) calls: Vec<String>,
    /// How often the state was changed.
    pub(crate) changes: usize,
    /// What was parked, with its reason.
    pub(crate) parked: Vec<(Value, String)>,
    /// An operation that answers with this when its body or its path contains that.
    pub(crate) faults: Vec<(&'static str, String, Answer)>,
    /// Operations that somebody else precedes with a deletion of everything.
    pub(crate) deleted_before: Vec<&'static str>,
    /// An operation that a later audit of the check precedes.
    pub(crate) overtaken_before: Option<&'static str>,
    /// The process dies at this call, before or after it takes effect.
    pub(crate) dies: Option<(usize, bool)>,
    /// Findings that are otherwise than [`finding`] says, by id; none if it is gone.
    pub(crate) findings: BTreeMap<String, Option<Value>>,
    /// How many calls of each operation of AWS IoT a second the account may make; then each call takes 0.1 s.
    pub(crate) per_second: Option<usize>,
    recent: BTreeMap<String, Vec<Instant>>,
}

/// A finding of the audit is about the certificate of its number.
pub(crate) fn finding(n: u32) -> Value {
    let resource = json!({"resourceIdentifier": {"deviceCertificateId": format!("{n:064x}")}});
    json!({
        "findingId": format!("finding-{n}"), "taskId": "4e2b", "taskStartTime": crate::setup::NOW, "checkName": crate::setup::CHECK,
        "severity": "MEDIUM", "isSuppressed": false, "findingTime": crate::setup::NOW, "nonCompliantResource": resource,
    })
}

impl Service {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A later audit has looked at the check.
    pub(crate) fn overtake(&self) {
        self.cloud.put_item(json!({
            "pk": {"S": format!("history#{}", crate::setup::CHECK)}, "sk": {"S": "audit"},
            "task_id": {"S": "later"}, "started_at": {"N": (crate::setup::NOW * 1000 + 1).to_string()},
        }));
    }

    /// The calls about suppressions, and those that park, in order.
    pub(crate) fn calls(&self) -> String {
        let calls = self.state().calls.clone();
        let looks = ["GetItem", "PutItem", "finding"];
        calls.into_iter().filter(|call| !looks.contains(&call.as_str())).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn answer(&self, call: Call) -> Answer {
        let mut state = self.state();
        let at = state.calls.len();
        let finding = call.operation.strip_prefix("GET /audit/findings/").map(ToOwned::to_owned);
        let operation = match &finding {
            Some(_) => "finding".to_owned(),
            None => call.operation.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        state.calls.push(operation.clone());
        if state.overtaken_before.is_some_and(|before| before == operation) {
            self.overtake();
        }
        let of_iot = !matches!(operation.as_str(), "GetItem" | "PutItem" | "SendMessage");
        if of_iot && state.throttles(&operation) {
            return Answer::error(400, "ThrottlingException", "{}");
        }
        let dies = state.dies;
        let perform = || match finding {
            Some(id) => state.finding(&id),
            None if operation.ends_with("Item") => self.cloud.answer(call),
            None => state.perform(&operation, &call.json()),
        };
        let answer = match dies {
            Some((death, _)) if at > death => Answer::Never,
            Some((death, false)) if at == death => Answer::Never,
            Some((death, true)) if at == death => {
                perform();
                Answer::Never
            }
            _ => perform(),
        };
        match state.per_second {
            Some(_) => Answer::Late(Duration::from_millis(100), Box::new(answer)),
            None => answer,
        }
    }
}

impl State {
    fn throttles(&mut self, operation: &str) -> bool {
        let (Some(most), now) = (self.per_second, Instant::now()) else { return false };
        let recent = self.recent.entry(operation.to_owned()).or_default();
        recent.retain(|at| *at + Duration::from_secs(1) > now);
        let full = recent.len() >= most;
        if !full {
            recent.push(now);
        }
        full
    }

    fn fault(&self, operation: &str, text: &str) -> Option<Answer> {
        let fault = self.faults.iter().find(|(o, t, _)| *o == operation && text.contains(t))?;
        Some(fault.2.clone())
    }

    fn finding(&self, id: &str) -> Answer {
        if let Some(answer) = self.fault("finding", id) {
            return answer;
        }
        let number = id.rsplit('-').next().and_then(|number| number.parse().ok());
        match self.findings.get(id).cloned().unwrap_or_else(|| number.map(finding)) {
            Some(finding) => Answer::ok(json!({ "finding": finding })),
            None => Answer::error(404, "ResourceNotFoundException", "{}"),
        }
    }

    fn perform(&mut self, operation: &str, body: &Value) -> Answer {
        if let Some(at) = self.deleted_before.iter().position(|o| *o == operation) {
            self.deleted_before.remove(at);
            self.suppressions.clear();
        }
        if let Some(answer) = self.fault(operation, &body.to_string()) {
            return answer;
        }
        let key = format!("{} {}", body["checkName"], body["resourceIdentifier"]);
        let exists = self.suppressions.contains_key(&key);
        match operation {
            "create" => {
                let token = body["clientRequestToken"].as_str().unwrap().to_owned();
                assert!(token.len() <= 64, "{token}");
                if exists || !self.tokens.insert(token) {
                    return Answer::error(409, "ResourceAlreadyExistsException", "{}");
                }
                self.write(key, body)
            }
            "update" if exists => self.write(key, body),
            "describe" if exists => Answer::ok(&self.suppressions[&key]),
            "update" | "describe" => Answer::error(404, "ResourceNotFoundException", "{}"),
            "SendMessage" => {
                let parked = serde_json::from_str(body["MessageBody"].as_str().unwrap()).unwrap_or_default();
                let reason = &body["MessageAttributes"]["reason"]["StringValue"];
                self.parked.push((parked, reason.as_str().unwrap().to_owned()));
                Answer::ok(json!({"MessageId": "m", "MD5OfMessageBody": "x"}))
            }
            other => panic!("{other} is not expected here"),
        }
    }

    fn write(&mut self, key: String, body: &Value) -> Answer {
        let mut kept = body.clone();
        kept.as_object_mut().unwrap().remove("clientRequestToken");
        self.suppressions.insert(key, kept);
        self.changes += 1;
        Answer::ok("{}")
    }
}
