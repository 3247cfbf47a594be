//! The function, the endpoint behind its IoT calls, and a cloud in memory behind those of the ledger and the queues.

use std::ops::Deref;
use std::sync::Arc;

use detect_commands::DetectCommands;
use detect_commands::Failure;
use fleetwarden_aws::Error;
use fleetwarden_aws::clients;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::profile_devices::ProfileDevices;
use fleetwarden_aws::queue::Queue;
use fleetwarden_commands::testing::LocalServices;
use fleetwarden_core::policy::Policy;
use lambda_runtime::Context;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use serde_json::json;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/DetectRole";
pub(crate) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/1/mitigation";
pub(crate) const ALARMS: &str = "https://sqs.us-east-1.amazonaws.com/1/alarm";
/// A group of the endpoint's fleet that has things.
pub(crate) const GROUP: &str = "arn:aws:iot:us-east-1:123456789012:thinggroup/lab";

/// The function and all around it.
pub(crate) struct Setup {
    services: LocalServices,
    pub(crate) function: DetectCommands,
}

impl Deref for Setup {
    type Target = LocalServices;

    fn deref(&self) -> &LocalServices {
        &self.services
    }
}

/// A setup whose policy is this.
pub(crate) fn setup_with(policy: &'static str) -> Setup {
    let services = LocalServices::default();
    let shared = &services.shared;
    let queue = |url: &'static str| -> Arc<dyn Fn() -> Queue + Send + Sync> {
        let shared = shared.clone();
        Arc::new(move || Queue::new(shared.sqs(), url.into()))
    };
    let dynamodb = shared.clone();
    let function = DetectCommands {
        service: DetectCommands::service(ACCOUNT.into(), shared.iot_api(), services.cloud.clock()),
        registry: shared.registry(clients::Pace::Prompt),
        iot: shared.iot(),
        devices: ProfileDevices::new(shared.iot(), Pace::new(None)),
        ledger: Arc::new(move || Ledger::new(dynamodb.dynamodb(), "ledger".into())),
        policy: Arc::new(move || {
            let wrong = |e: fleetwarden_core::policy::PolicyErrors| Error::Policy {
                path: "policy.yaml".into(),
                what: e.to_string(),
            };
            Policy::parse(policy.as_bytes()).map_err(wrong)
        }),
        mitigation_queue: queue(QUEUE),
        alarm_queue: queue(ALARMS),
        follow_up_seconds: 60,
    };
    Setup { services, function }
}

/// A setup whose policy enforces and has nothing else to say.
pub(crate) fn setup() -> Setup {
    setup_with("version: 1\nbudgets: none\nmode: enforce\nrules: []\n")
}

impl Setup {
    /// Invokes the function, with a minute to go.
    pub(crate) async fn invoke(&self, event: Value) -> Result<Value, Failure> {
        self.invoke_within(60, event).await
    }

    /// Invokes the function, with so many seconds to go.
    pub(crate) async fn invoke_within(&self, seconds: i64, event: Value) -> Result<Value, Failure> {
        let mut context = Context::default();
        context.deadline = u64::try_from(self.function.service.clock.now().plus_seconds(seconds).0).unwrap();
        let answer = self.function.handle(event, &context).await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    /// Invokes the function, which must succeed.
    pub(crate) async fn ok(&self, event: Value) -> Value {
        let told = event.to_string();
        self.invoke(event).await.unwrap_or_else(|failure| panic!("{told}: {}: {failure}", failure.name()))
    }

    /// Invokes the function, which must fail: its error as a workflow sees it.
    pub(crate) async fn fails(&self, event: Value) -> String {
        let told = event.to_string();
        let failure = self.invoke(event).await.err().unwrap_or_else(|| panic!("{told} succeeded"));
        let Diagnostic { error_type, error_message } = failure.into();
        format!("{error_type}\n{error_message}")
    }

    /// Makes a security profile.
    pub(crate) async fn profile(&self, name: &str, behaviors: &Value) {
        let event =
            json!({"command": "CreateSecurityProfile", "securityProfileName": name, "behaviors": behaviors});
        self.ok(event).await;
        self.calls();
    }

    /// Attaches a security profile to a target.
    pub(crate) async fn attach(&self, name: &str, target: &str) {
        let event = json!({
            "command": "AttachSecurityProfile", "securityProfileName": name, "securityProfileTargetArn": target,
        });
        self.ok(event).await;
        self.calls();
    }

    /// Makes a mitigation action that adds things to a group.
    pub(crate) fn quarantine_action(&self, name: &str) {
        let params = json!({"addThingsToThingGroupParams": {"thingGroupNames": ["quarantine"]}});
        self.action(name, &params);
    }

    /// Makes a mitigation action at the endpoint itself: it is none of Detect's operations.
    pub(crate) fn action(&self, name: &str, params: &Value) {
        let body = json!({"roleArn": ROLE, "actionParams": params}).to_string();
        let path = format!("/mitigationactions/actions/{name}");
        self.post(&path, &body);
    }

    fn post(&self, path: &str, body: &str) {
        let request = device_defender::Request {
            method: "POST",
            path,
            query: "",
            authorization: Some(
                "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=h, Signature=0",
            ),
            body: body.as_bytes(),
        };
        let answer = self.endpoint.answer(&request);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// The violations that are active, by the order of their ids.
    pub(crate) async fn active(&self) -> Vec<Value> {
        let mut listed = self.ok(json!({"command": "ListActiveViolations", "all": true})).await;
        let Value::Array(mut active) = listed["activeViolations"].take() else { panic!("{listed}") };
        active.sort_by_key(|violation| violation["violationId"].to_string());
        self.calls();
        active
    }
}

/// A behavior on the messages that a thing sends in five minutes.
pub(crate) fn messages(name: &str, less_than: u64) -> Value {
    json!({
        "name": name, "metric": "aws:num-messages-sent",
        "criteria": {
            "comparisonOperator": "less-than", "value": {"count": less_than}, "durationSeconds": 300,
            "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1,
        },
    })
}

/// A behavior that a model judges.
pub(crate) fn model(name: &str) -> Value {
    json!({
        "name": name, "metric": "aws:num-messages-sent",
        "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}},
    })
}
