//! AWS IoT as far as the function asks it, beside the cloud in memory.

use std::sync::Arc;
use std::sync::Mutex;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use serde_json::json;

/// The services. Its clones are the same ones.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) cloud: Cloud,
    /// How many things the group has that the profile watches; none: the profile watches all things.
    pub(crate) group: Arc<Mutex<Option<usize>>>,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self { cloud: Cloud::default(), group: Arc::default() }
    }

    pub(crate) fn with_group(things: usize) -> Self {
        let service = Self::new();
        *service.group.lock().unwrap() = Some(things);
        service
    }

    /// Answers a call.
    pub(crate) fn answer(&self, call: Call) -> Answer {
        let Some((method, path)) = call.operation.split_once(' ') else { return self.cloud.answer(call) };
        let group = *self.group.lock().unwrap();
        let answer = match (method, path.split('/').skip(1).collect::<Vec<_>>().as_slice()) {
            ("GET", ["security-profiles", _, "targets"]) => {
                let target = if group.is_some() { "thinggroup/cameras" } else { "all/things" };
                let arn = format!("arn:aws:iot:us-east-1:123456789012:{target}");
                Answer::ok(json!({"securityProfileTargets": [{"arn": arn}]}))
            }
            ("GET", ["thing-groups", _, "things"]) => {
                let from: usize = call.query.split_once("nextToken=").map_or(0, |(_, rest)| {
                    rest.split('&').next().unwrap_or_default().parse().unwrap_or_default()
                });
                let (all, to) = (group.unwrap_or_default(), from + 250);
                let things: Vec<String> = (from..all.min(to)).map(|n| format!("thing-{n}")).collect();
                Answer::ok(json!({"things": things, "nextToken": (to < all).then(|| to.to_string())}))
            }
            ("GET", ["things", name, "thing-groups"]) => {
                Answer::ok(json!({"thingGroups": [{"groupName": name}]}))
            }
            ("GET", ["things", name]) if name.starts_with("ghost") => {
                Answer::error(404, "ResourceNotFoundException", "{}")
            }
            ("GET", ["things", name]) => Answer::ok(json!({"thingName": name, "attributes": {}})),
            ("POST", ["violations", "verification-state", id]) if id.starts_with("gone") => {
                Answer::error(400, "InvalidRequestException", r#"{"message": "no such violation"}"#)
            }
            ("POST", ["violations", "verification-state", _]) => Answer::ok("{}"),
            _ => return self.cloud.answer(call),
        };
        // The cloud notes the call, and has no answer of its own.
        let _ = self.cloud.answer(call);
        answer
    }
}
