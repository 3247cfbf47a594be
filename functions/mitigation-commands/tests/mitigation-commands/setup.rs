//! The function, and the ledger as the other functions write it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::Cloud;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use lambda_runtime::Diagnostic;
use mitigation_commands::Failure;
use mitigation_commands::MitigationCommands;
use serde_json::Value;
use serde_json::json;

pub(crate) const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
pub(crate) const LOGGING: &str = "LOGGING_DISABLED_CHECK";
pub(crate) const AUDIT: &str = "8850eced986ec360f9b350835a621bcf";

pub(crate) const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/1/mitigation";

/// The ids of the tasks that run at the service.
pub(crate) type Tasks = Arc<Mutex<BTreeSet<String>>>;

/// AWS IoT, as far as it cancels tasks.
fn iot(cloud: &Cloud, tasks: &Tasks) -> aws_sdk_iot::Client {
    let (memory, tasks) = (cloud.clone(), Arc::clone(tasks));
    let answer = move |call: Call| {
        let Some(path) = call.operation.strip_prefix("PUT ") else { return memory.answer(call) };
        let id = path.trim_end_matches("/cancel").rsplit('/').next().unwrap_or_default().to_owned();
        match id.as_str() {
            "unknown" => Answer::error(404, "ResourceNotFoundException", "{}"),
            _ if tasks.lock().unwrap().remove(&id) => Answer::ok(json!({})),
            _ => Answer::error(400, "InvalidRequestException", "{}"),
        }
    };
    cloud.clients_with(answer).iot()
}

/// The function and its ledger.
pub(crate) struct Setup {
    pub(crate) cloud: Cloud,
    pub(crate) ledger: Ledger,
    pub(crate) mitigations: Mitigations,
    /// The tasks that run at the service.
    pub(crate) tasks: Tasks,
    function: MitigationCommands,
}

impl Default for Setup {
    fn default() -> Self {
        let cloud = Cloud::default();
        let ledger = Ledger::new(cloud.clients().dynamodb(), "ledger".into());
        let (sqs, tasks) = (cloud.clients().sqs(), Tasks::default());
        let function = MitigationCommands {
            ledger: ledger.clone(),
            policy: Arc::new(|| {
                Ok(Policy::parse(b"version: 1\nbudgets: [{ most: 10, within: 1h }, { most: 2, within: 1d, rules: r }]\nrules: [{ name: r, report: {} }]\n").unwrap())
            }),
            queue: Arc::new(move || Ok(Queue::new(sqs.clone(), QUEUE.into()))),
            iot: iot(&cloud, &tasks),
            account: "123456789012".into(),
            region: "us-east-1".into(),
            clock: cloud.clock(),
        };
        Self { mitigations: Mitigations::new(ledger.clone()), ledger, cloud, tasks, function }
    }
}

/// What a rule asks for, on these findings of a check.
pub(crate) fn request(check: &str, rule: &str, target: &Value) -> MitigationRequest {
    let audit = json!({"account": "123456789012", "region": "us-east-1", "taskId": AUDIT, "startedAt": 1});
    let request = json!({
        "audit": audit, "check": check, "rule": rule, "mode": "enforce", "policy": "5f0c1d8e6a7b42939c0e1f2a3b4c5d6e",
        "actions": ["Quarantine", "Tell"], "target": target,
    });
    serde_json::from_value(request).unwrap()
}

/// Findings by their ids.
pub(crate) fn findings(ids: &[&str]) -> Value {
    let finding = |(n, id): (usize, &&str)| json!({"findingId": id, "key": format!("{n:032x}")});
    json!({"findings": ids.iter().enumerate().map(finding).collect::<Vec<_>>()})
}

/// What a rule asks for, on the violations of these things.
pub(crate) fn alarms(things: &[&str]) -> AlarmMitigationRequest {
    // Of the thing's name only what an id may have.
    let id = |thing: &str| format!("v-{}", thing.split('\u{1b}').next().unwrap_or_default());
    let violation =
        |thing: &&str| json!({"violationId": id(thing), "thing": thing, "raisedAt": 1_795_337_100_000_i64});
    let request = json!({
        "account": "123456789012", "region": "us-east-1", "profile": "Lamps", "behavior": "Failures",
        "rule": "quarantine", "mode": "enforce", "actions": ["Quarantine"], "releaseAfterSeconds": 86_400,
        "violations": things.iter().map(violation).collect::<Vec<_>>(),
    });
    serde_json::from_value(request).unwrap()
}

impl Setup {
    pub(crate) fn now(&self) -> Millis {
        self.cloud.clock().now()
    }

    /// Writes a rule's task in a state that it has before a start.
    pub(crate) async fn task(
        &self,
        request: &MitigationRequest,
        state: State,
        reason: Option<&str>,
    ) -> String {
        let audit = json!({
            "pk": {"S": format!("history#{}", request.check)}, "sk": {"S": "audit"},
            "task_id": {"S": AUDIT}, "started_at": {"N": "1"},
        });
        self.cloud.put_item(audit);
        let settled = Settled { reason, ..Settled::new(request, state) };
        match state {
            State::Claimed => drop(self.mitigations.claim(request, &settled, self.now()).await.unwrap()),
            State::Refused => drop(self.mitigations.settle(request, &settled, self.now()).await.unwrap()),
            _ => drop(self.mitigations.set_aside(request, &settled, self.now()).await.unwrap()),
        }
        let id = request.task_id();
        let found = Item::new(
            &keys::audit(&request.audit),
            &format!("mitigation#{}#{id}", request.check),
            self.now(),
        );
        let found = found.text(attribute::TASK_ID, &id).text(attribute::CHECK, request.check.as_str());
        self.ledger.put(found).await.unwrap();
        id
    }

    /// Writes a task that started a second after its claim and ended after a minute.
    pub(crate) async fn ended(
        &self,
        request: &MitigationRequest,
        state: State,
        statistics: &Value,
    ) -> String {
        let id = self.task(request, State::Claimed, None).await;
        self.end(&id, state, statistics).await;
        id
    }

    async fn end(&self, id: &str, state: State, statistics: &Value) {
        self.cloud.pass_seconds(1);
        self.mitigations.started(id, self.now()).await.unwrap();
        self.cloud.pass_seconds(60);
        let ended =
            [(attribute::ENDED_AT, self.now().rfc3339()), (attribute::STATISTICS, statistics.to_string())];
        self.mitigations.ended(id, state, &ended).await.unwrap();
    }

    /// Writes a task on alarms that failed.
    pub(crate) async fn failed_alarms(&self, request: &AlarmMitigationRequest) -> String {
        let settled = Settled::new(request, State::Claimed);
        self.mitigations.claim(request, &settled, self.now()).await.unwrap();
        self.end(&request.task_id(), State::Failed, &json!({"executed": 2, "skipped": 0, "failed": 1})).await;
        request.task_id()
    }

    /// An item of a task.
    pub(crate) fn item(&self, task_id: &str, sk: &str) -> Item {
        Item::new(&keys::mitigation(task_id), sk, self.now()).text(attribute::TASK_ID, task_id)
    }

    /// Writes what became of a finding.
    pub(crate) async fn result(&self, task_id: &str, check: &str, finding: &str, state: &str) {
        let status = if state == "completed" { "COMPLETED" } else { "FAILED" };
        let item = self
            .item(task_id, &format!("finding#{finding}"))
            .text(attribute::FINDING_ID, finding)
            .text(attribute::CHECK, check)
            .text(attribute::STATE, state)
            .json(attribute::ACTIONS, &json!([{"action": "Quarantine", "status": status}]))
            .json(attribute::RESOURCE, &json!({"deviceCertificateId": format!("certificate-of-{finding}")}))
            .json(attribute::THINGS, &json!([format!("thing-of-{finding}")]));
        self.ledger.put(item).await.unwrap();
    }

    /// Invokes the function with these seconds to go.
    pub(crate) async fn invoke_for(&self, seconds: i64, event: Value) -> Result<Value, Failure> {
        self.invoke(seconds, "", event).await
    }

    /// Invokes the function by an ARN of it.
    pub(crate) async fn invoke_by(&self, arn: &str, event: Value) -> Result<Value, Failure> {
        self.invoke(60, arn, event).await
    }

    async fn invoke(&self, seconds: i64, arn: &str, event: Value) -> Result<Value, Failure> {
        let mut context = Context::default();
        context.deadline = u64::try_from(self.now().plus_seconds(seconds).0).unwrap();
        arn.clone_into(&mut context.invoked_function_arn);
        let answer = self.function.handle(event, &context).await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    /// Invokes the function, which must succeed.
    pub(crate) async fn ok(&self, event: Value) -> Value {
        let told = event.to_string();
        let answer = self.invoke_for(60, event).await;
        answer.unwrap_or_else(|failure| panic!("{told}: {}: {failure}", failure.name()))
    }

    /// Invokes the function, which must fail: its error as a workflow sees it.
    pub(crate) async fn fails(&self, event: Value) -> String {
        let told = event.to_string();
        let failure = self.invoke_for(60, event).await.err().unwrap_or_else(|| panic!("{told} succeeded"));
        let Diagnostic { error_type, error_message } = failure.into();
        format!("{error_type}\n{error_message}")
    }

    /// All pages of a list, by the member that has its entries: what each has of a member.
    pub(crate) async fn pages(&self, event: Value, entries: &str, member: &str) -> Vec<Vec<String>> {
        let (mut pages, mut event) = (Vec::new(), event);
        loop {
            let page = self.ok(event.clone()).await;
            let of_page = page[entries].as_array().into_iter().flatten();
            pages.push(of_page.map(|entry| entry[member].as_str().unwrap().to_owned()).collect());
            let Some(token) = page.get("nextToken") else { return pages };
            assert_ne!(event.get("nextToken"), Some(token), "a token comes twice");
            event["nextToken"] = token.clone();
        }
    }
}
