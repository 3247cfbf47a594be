//! The function, the endpoint behind its IoT calls, and a cloud in memory behind those of the ledger.

use std::ops::Deref;
use std::sync::Arc;

use apply_mitigations::ApplyMitigations;
use apply_mitigations::Services;
use audit_commands::AuditCommands;
use audit_commands::Failure;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::emit;
use fleetwarden_commands::testing::LocalServices;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use serde_json::json;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/AuditRole";
pub(crate) const LOGGING: &str = "LOGGING_DISABLED_CHECK";
pub(crate) const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
pub(crate) const POLICY: &str = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK";
pub(crate) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/1/mitigation";

/// The function and all around it.
pub(crate) struct Setup {
    services: LocalServices,
    pub(crate) function: AuditCommands,
    /// Who follows the mitigation tasks.
    pub(crate) apply_mitigations: ApplyMitigations,
}

impl Deref for Setup {
    type Target = LocalServices;

    fn deref(&self) -> &LocalServices {
        &self.services
    }
}

/// A setup whose policy is this.
pub(crate) fn setup_with(policy: &'static str) -> Setup {
    let local = LocalServices::default();
    let (shared, cloud) = (&local.shared, &local.cloud);
    let (dynamodb, sqs) = (shared.clone(), shared.clone());
    let function = AuditCommands {
        service: AuditCommands::service(ACCOUNT.into(), shared.iot_api(), cloud.clock()),
        registry: shared.registry(Pace::Prompt),
        iot: shared.iot(),
        ledger: Arc::new(move || Ledger::new(dynamodb.dynamodb(), "ledger".into())),
        policy: Arc::new(move || {
            let wrong = |e: fleetwarden_core::policy::PolicyErrors| Error::Policy {
                path: "policy.yaml".into(),
                what: e.to_string(),
            };
            Policy::parse(policy.as_bytes()).map_err(wrong)
        }),
        mitigation_queue: Arc::new(move || Queue::new(sqs.sqs(), QUEUE.into())),
        follow_up_seconds: 60,
    };
    let ledger = Ledger::new(shared.dynamodb(), "ledger".into());
    let parking = Queue::new(shared.sqs(), "dead-letters".into());
    let rule = format!("{{ name: rule, match: {{ check: {SHARED} }}, mitigate: {{ actions: [tell] }} }}");
    let policy =
        Policy::parse(format!("version: 1\nbudgets: none\nmode: enforce\nrules: [{rule}]\n").as_bytes())
            .unwrap();
    let consumer = Consumer { function: "apply-mitigations", parking, clock: cloud.clock(), parallel: 1 };
    let services = Services {
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
        iot: shared.iot(),
        registry: shared.registry(Pace::Patient),
        queue: Queue::new(shared.sqs(), QUEUE.into()),
        alerts: Alerts::new(shared.sns(), "arn:topic".into(), ledger.clone(), cloud.clock()),
        ledger,
        follow_up_seconds: 60,
        emit,
    };
    let apply_mitigations = ApplyMitigations::new(services, policy, consumer);
    Setup { services: local, function, apply_mitigations }
}

/// A setup whose policy enforces and has nothing else to say.
pub(crate) fn setup() -> Setup {
    setup_with("version: 1\nbudgets: none\nmode: enforce\nrules: []\n")
}

impl Setup {
    /// Invokes the function under a request id, with a minute to go.
    pub(crate) async fn invoke_as(&self, id: &str, event: Value) -> Result<Value, Failure> {
        let mut context = Context::default();
        context.request_id = id.to_owned();
        context.deadline = u64::try_from(self.function.service.clock.now().plus_seconds(60).0).unwrap();
        let answer = self.function.handle(event, &context).await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    /// Invokes the function.
    pub(crate) async fn invoke(&self, event: Value) -> Result<Value, Failure> {
        self.invoke_as("request-1", event).await
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

    /// Enables checks.
    pub(crate) async fn enable(&self, checks: &[&str]) {
        let checks: Value =
            checks.iter().map(|check| ((*check).to_owned(), json!({"enabled": true}))).collect();
        let event = json!({
            "command": "UpdateAccountAuditConfiguration", "roleArn": ROLE, "auditCheckConfigurations": checks,
        });
        assert_eq!(self.ok(event).await, json!({}));
        self.calls.lock().unwrap().clear();
    }

    /// Enables checks, runs an audit of them to its end, and gives its task id.
    pub(crate) async fn audit(&self, checks: &[&str]) -> String {
        self.enable(checks).await;
        self.audit_again("of-the-setup", checks).await
    }

    /// Runs an audit of enabled checks to its end under a token, and gives its task id.
    pub(crate) async fn audit_again(&self, token: &str, checks: &[&str]) -> String {
        let event = json!({
            "command": "StartOnDemandAuditTask", "targetCheckNames": checks, "clientRequestToken": token,
        });
        let started = self.ok(event).await;
        self.pass(2);
        self.calls.lock().unwrap().clear();
        started["taskId"].as_str().unwrap().to_owned()
    }

    /// Makes a scheduled audit.
    pub(crate) async fn schedule(&self, name: &str, checks: &[&str]) {
        let event = json!({
            "command": "CreateScheduledAudit", "scheduledAuditName": name, "frequency": "DAILY",
            "targetCheckNames": checks,
        });
        self.ok(event).await;
        self.calls.lock().unwrap().clear();
    }

    /// The ledger has this audit as the one that has looked at checks last.
    pub(crate) fn record(&self, checks: &[&str], task_id: &str, began: Millis) {
        for check in checks {
            self.cloud.put_item(json!({
                "pk": {"S": format!("history#{check}")},
                "sk": {"S": "audit"},
                "task_id": {"S": task_id},
                "started_at": {"N": began.0.to_string()},
            }));
        }
    }

    /// How many audits the endpoint has run or runs.
    pub(crate) fn audits(&self) -> usize {
        self.control("GET", "state", &Value::Null)["audits"].as_array().unwrap().len()
    }
}
