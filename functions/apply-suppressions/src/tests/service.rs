//! Audit suppressions and a dead-letter queue, in memory, as the services behave.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use serde_json::Value;
use serde_json::json;

#[derive(Clone, Default)]
pub(super) struct Service(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    /// By check and resource.
    pub(super) suppressions: BTreeMap<String, Value>,
    tokens: BTreeSet<String>,
    /// The operations that were called, in order.
    pub(super) calls: Vec<String>,
    /// How often the state was changed.
    pub(super) changes: usize,
    /// What was parked, with its reason.
    pub(super) parked: Vec<(Value, String)>,
    /// An operation that answers with this when its body contains that.
    pub(super) faults: Vec<(&'static str, String, Answer)>,
    /// Operations that somebody else precedes with a deletion of everything.
    pub(super) deleted_before: Vec<&'static str>,
    /// The process dies at this call, before or after it takes effect.
    pub(super) dies: Option<(usize, bool)>,
}

impl Service {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn answer(&self, call: &Call) -> Answer {
        let mut state = self.state();
        let at = state.calls.len();
        let operation = call.operation.rsplit('/').next().unwrap_or_default().to_owned();
        state.calls.push(operation.clone());
        match state.dies {
            Some((death, _)) if at > death => Answer::Never,
            Some((death, false)) if at == death => Answer::Never,
            Some((death, true)) if at == death => {
                state.perform(&operation, &call.json());
                Answer::Never
            }
            _ => state.perform(&operation, &call.json()),
        }
    }
}

impl State {
    fn perform(&mut self, operation: &str, body: &Value) -> Answer {
        let text = body.to_string();
        if let Some(at) = self.deleted_before.iter().position(|o| *o == operation) {
            self.deleted_before.remove(at);
            self.suppressions.clear();
        }
        if let Some((_, _, answer)) = self.faults.iter().find(|(o, t, _)| *o == operation && text.contains(t))
        {
            return answer.clone();
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
