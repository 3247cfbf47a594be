//! `MitigationUndo`: a mitigation on the emulated fleet, and then its undo, which leaves the fleet as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use apply_mitigations::ApplyMitigations;
use apply_mitigations::Services;
use audit_commands::AuditCommands;
use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clients::Pace;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::emit;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_commands::Failure;
use fleetwarden_commands::testing::LocalServices;
use fleetwarden_core::policy::Policy;
use lambda_runtime::Context;
use mitigation_commands::MitigationCommands;
use serde_json::Value;
use serde_json::json;

mod canary;
mod suppressions;

const ACCOUNT: &str = "123456789012";
const ROLE: &str = "arn:aws:iam::123456789012:role/AuditRole";
const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/1/mitigation";
const REVOKED: &str = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK";
const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
const CA: &str = "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK";
const POLICY: &str = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK";
const LOGGING: &str = "LOGGING_DISABLED_CHECK";
const ISSUER: &str = "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK";

/// The action types that change something, each with a check and how many of its findings are mitigated.
fn kinds() -> Vec<(&'static str, Value, usize)> {
    let off = json!({"action": "DEACTIVATE"});
    let groups = json!({"thingGroupNames": ["quarantine"]});
    let logging = json!({"roleArnForLogging": ROLE, "logLevel": "INFO"});
    vec![
        (REVOKED, json!({"updateDeviceCertificateParams": off}), 3),
        (ISSUER, json!({"updateDeviceCertificateParams": off}), 1),
        (CA, json!({"updateCACertificateParams": off}), 1),
        (SHARED, json!({"addThingsToThingGroupParams": groups}), 3),
        (POLICY, json!({"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}}), 2),
        (LOGGING, json!({"enableIoTLoggingParams": logging}), 1),
    ]
}

/// The functions around one fleet.
struct Fleet {
    services: LocalServices,
    audits: AuditCommands,
    apply: ApplyMitigations,
    undo: MitigationCommands,
}

impl Default for Fleet {
    fn default() -> Self {
        Self::under("version: 1\nmode: enforce\nbudgets: none\nrules: []\n")
    }
}

impl Fleet {
    /// A fleet whose mitigations are under a policy.
    fn under(policy: &str) -> Self {
        let services = LocalServices::default();
        let (shared, cloud) = (&services.shared, &services.cloud);
        let (dynamodb, sqs) = (shared.clone(), shared.clone());
        let ledger = Ledger::new(shared.dynamodb(), "ledger".into());
        let text = policy.to_owned();
        let policy = move || Policy::parse(text.as_bytes()).unwrap();
        let of_audits = policy.clone();
        let audits = AuditCommands {
            service: AuditCommands::service(ACCOUNT.into(), shared.iot_api(), cloud.clock()),
            registry: shared.registry(Pace::Prompt),
            iot: shared.iot(),
            ledger: Arc::new(move || Ledger::new(dynamodb.dynamodb(), "ledger".into())),
            policy: Arc::new(move || Ok(of_audits())),
            mitigation_queue: Arc::new(move || Queue::new(sqs.sqs(), QUEUE.into())),
            follow_up_seconds: 60,
        };
        let consumer = Consumer {
            function: "apply-mitigations",
            parking: Queue::new(shared.sqs(), "dead".into()),
            clock: cloud.clock(),
            parallel: 1,
        };
        let of_apply = Services {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            iot: shared.iot(),
            registry: shared.registry(Pace::Patient),
            queue: Queue::new(shared.sqs(), QUEUE.into()),
            alerts: Alerts::new(shared.sns(), "arn:topic".into(), ledger.clone(), cloud.clock()),
            ledger: ledger.clone(),
            follow_up_seconds: 60,
            emit,
        };
        let undo = MitigationCommands {
            policy: Arc::new(|| Ok(Policy::parse(b"version: 1\nrules: []\n").unwrap())),
            ledger,
            queue: Arc::new(|| Err(Error::Later("nothing is approved here".into()))),
            iot: shared.iot(),
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            clock: cloud.clock(),
        };
        let apply = ApplyMitigations::new(of_apply, policy(), consumer);
        let fleet = Self { services, audits, apply, undo };
        // Logging was on once and is off, so that it can be as it was again.
        fleet.iot(
            "POST",
            "/v2LoggingOptions",
            &json!({"roleArn": format!("{ROLE}Old"), "defaultLogLevel": "WARN", "disableAllLogs": true}),
        );
        fleet
    }
}

impl Fleet {
    /// Asks the endpoint itself.
    fn iot(&self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let authorization = Some(
            "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0",
        );
        let request = device_defender::Request { method, path, query, authorization, body: body.as_bytes() };
        let answer = self.services.endpoint.answer(&request);
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    fn get(&self, target: &str) -> Value {
        self.iot("GET", target, &Value::Null).1
    }

    fn list(&self, path: &str, member: &str, name: &str) -> Vec<String> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let size = if path.starts_with("/things") { "maxResults=250" } else { "pageSize=250" };
            let page = self.get(&format!("{path}?{size}{token}"));
            all.extend(
                page[member].as_array().unwrap().iter().map(|of| of[name].as_str().unwrap().to_owned()),
            );
            token = match (page["nextToken"].as_str(), page["nextMarker"].as_str()) {
                (Some(next), _) => format!("&nextToken={}", encode(next)),
                (_, Some(next)) => format!("&marker={}", encode(next)),
                _ => return all,
            };
        }
    }

    /// Everything that can be asked of the fleet, field by field.
    fn state(&self) -> BTreeMap<String, Value> {
        let mut state = BTreeMap::new();
        let mut ask = |target: String| drop(state.insert(target.clone(), self.get(&target)));
        for id in self.list("/certificates", "certificates", "certificateId") {
            ask(format!("/certificates/{id}"));
        }
        for id in self.list("/cacertificates", "certificates", "certificateId") {
            ask(format!("/cacertificate/{id}"));
        }
        for name in self.list("/policies", "policies", "policyName") {
            ask(format!("/policies/{name}"));
            ask(format!("/policies/{name}/version"));
        }
        for name in self.list("/things", "things", "thingName") {
            ask(format!("/things/{name}/thing-groups"));
        }
        ask("/v2LoggingOptions".to_owned());
        ask("/loggingOptions".to_owned());
        state
    }

    async fn audit(&self, event: Value) -> Value {
        let told = event.to_string();
        let answer = self.audits.handle(event, &self.context()).await;
        let answer = answer.unwrap_or_else(|failure| panic!("{told}: {}: {failure}", failure.name()));
        serde_json::from_str(answer.get()).unwrap()
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        "request-1".clone_into(&mut context.request_id);
        context.deadline = u64::try_from(self.services.cloud.clock().now().plus_seconds(60).0).unwrap();
        context
    }

    /// Mitigates findings of a check by an action, to the end unless it is to run on.
    async fn mitigate(&self, task: &str, check: &str, params: &Value, count: usize) {
        let (_, ids) = self.find(task, check, count).await;
        let action = self.define(task, params).await;
        self.audit(json!({
            "command": "StartAuditMitigationActionsTask", "taskId": task, "target": {"findingIds": ids}, "devices": {"any": true},
            "auditCheckToActionsMapping": {check: [action]},
        }))
        .await;
    }

    /// Makes a mitigation action, and gives its name.
    async fn define(&self, task: &str, params: &Value) -> String {
        let action = format!("act-{task}");
        self.audit(json!({"command": "CreateMitigationAction", "actionName": action, "roleArn": ROLE, "actionParams": params})).await;
        action
    }

    /// Runs an audit of a check. Gives its task, and the ids of so many findings that can be mitigated.
    async fn find(&self, task: &str, check: &str, count: usize) -> (String, Vec<String>) {
        let enable = json!({"enabled": true});
        self.audit(json!({
            "command": "UpdateAccountAuditConfiguration", "roleArn": ROLE, "auditCheckConfigurations": {check: enable},
        }))
        .await;
        let audit = self.audit(json!({"command": "StartOnDemandAuditTask", "targetCheckNames": [check], "clientRequestToken": task})).await;
        self.services.pass(1);
        let found =
            self.audit(json!({"command": "ListAuditFindings", "taskId": audit["taskId"], "all": true})).await;
        let is_free = |finding: &&Value| {
            let policy = finding
                .pointer("/nonCompliantResource/resourceIdentifier/policyVersionIdentifier/policyName");
            policy.is_none_or(|name| {
                let versions = self.get(&format!("/policies/{}/version", name.as_str().unwrap()));
                versions["policyVersions"].as_array().unwrap().len() < 5
            })
        };
        let ids: Vec<String> = found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(is_free)
            .map(|of| of["findingId"].as_str().unwrap().to_owned())
            .take(count)
            .collect();
        assert_eq!(ids.len(), count, "{check}");
        (audit["taskId"].as_str().unwrap().to_owned(), ids)
    }

    /// Lets the mitigation tasks end, and has them followed.
    async fn end(&self) {
        self.services.pass(60);
        for body in self.services.cloud.sent_to(QUEUE) {
            let far = self.services.cloud.clock().now().plus_seconds(600);
            self.apply.message(&body, far).await.unwrap();
        }
    }

    async fn undo(&self, event: Value) -> Result<Value, Failure> {
        let mut event = event;
        event["command"] = "MitigationUndo".into();
        if event["reason"].is_null() {
            event["reason"] = "a test".into();
        }
        let answer = self.undo.handle(event, &self.context()).await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    async fn undone(&self, event: Value) -> Value {
        self.undo(event).await.unwrap_or_else(|failure| panic!("{}: {failure}", failure.name()))
    }

    async fn fails(&self, event: Value) -> String {
        let failure = self.undo(event).await.unwrap_err();
        format!("{}: {failure}", failure.name())
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

/// The results of an undo's resources.
fn results(undone: &Value) -> Vec<&str> {
    let tasks = undone["tasks"].as_array().unwrap().iter();
    let resources = tasks.flat_map(|task| task["resources"].as_array().into_iter().flatten());
    resources.map(|resource| resource["result"].as_str().unwrap()).collect()
}

/// A fleet in which a mitigation of a kind has ended, with its state before.
async fn mitigated(check: &str, params: &Value, count: usize) -> (Fleet, BTreeMap<String, Value>) {
    let fleet = Fleet::default();
    let before = fleet.state();
    fleet.mitigate("m", check, params, count).await;
    fleet.end().await;
    assert!(fleet.state() != before, "{check}: nothing was changed");
    (fleet, before)
}

#[tokio::test(start_paused = true)]
async fn after_the_undo_of_each_kind_the_fleet_is_as_before() {
    for (check, params, count) in kinds() {
        let (fleet, before) = mitigated(check, &params, count).await;
        let left = fleet.state();
        let would = fleet.undone(json!({"taskId": "m", "dryRun": true})).await;
        assert!(results(&would).iter().all(|result| *result == "would-undo"), "{check}: {would}");
        assert_eq!(fleet.state(), left, "{check}: a dry run changes nothing");
        let undone = fleet.undone(json!({"taskId": "m"})).await;
        assert!(results(&undone).iter().all(|result| *result == "undone"), "{check}: {undone}");
        assert_eq!(fleet.state(), before, "{check}");
        let again = fleet.fails(json!({"taskId": "m"})).await;
        assert!(
            again.starts_with("AlreadyUndone: mitigation task 'm' is undone already: at 2026"),
            "{again}"
        );
        assert!(again.ends_with("by request request-1, because: a test"), "{again}");
        assert_eq!(fleet.state(), before);
        let forced = fleet.undone(json!({"taskId": "m", "force": true})).await;
        assert!(results(&forced).iter().all(|result| *result == "as-before"), "{forced}");
    }
}

/// The process dies at each call of the undo, or an answer of it is lost; then the command comes again.
#[tokio::test(start_paused = true)]
async fn wherever_an_undo_dies_a_repeat_ends_it() {
    for (check, params, count) in kinds() {
        let (mut deaths, count) = (0, count.min(2));
        // The first fleet says what to look at in all others, which are the same.
        let (first, all) = mitigated(check, &params, count).await;
        let left = first.state();
        let before: BTreeMap<String, Value> =
            all.into_iter().filter(|(target, was)| left[target] != *was).collect();
        let look = |fleet: &Fleet| -> BTreeMap<String, Value> {
            before.keys().map(|target| (target.clone(), fleet.get(target))).collect()
        };
        for at in Moment::all() {
            let fleet = Fleet::default();
            fleet.mitigate("m", check, &params, count).await;
            fleet.end().await;
            let killed = fleet.services.cloud.kill(at, fleet.undo(json!({"taskId": "m"}))).await;
            if killed.is_some() {
                break;
            }
            deaths += 1;
            fleet.services.pass(61);
            match fleet.undo(json!({"taskId": "m"})).await {
                Ok(undone) => {
                    let good = |result: &&str| matches!(*result, "undone" | "as-before");
                    assert!(results(&undone).iter().all(good), "{check}: {undone}");
                }
                Err(failure) => assert_eq!(failure.name(), "AlreadyUndone", "{failure}"),
            }
            assert_eq!(look(&fleet), before, "{check}");
            assert!(fleet.fails(json!({"taskId": "m"})).await.starts_with("AlreadyUndone"));
        }
        assert!(deaths > 8, "{check}: {deaths}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_no_failure() {
    for (check, params, count) in kinds() {
        for operation in [
            "UpdateCertificate",
            "UpdateCACertificate",
            "SetDefaultPolicyVersion",
            "DeletePolicyVersion",
            "RemoveThingFromThingGroup",
            "SetV2LoggingOptions",
        ] {
            let (fleet, before) = mitigated(check, &params, count.min(1)).await;
            fleet.services.order(operation, "lost-answer", 1, 0);
            fleet.undone(json!({"taskId": "m"})).await;
            assert_eq!(fleet.state(), before, "{check} {operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_by_hand_is_refused_unless_forced() {
    let (fleet, before) = mitigated(REVOKED, &kinds()[0].1, 2).await;
    let left = fleet.state();
    let changed: Vec<&String> = left.keys().filter(|key| left[*key] != before[*key]).collect();
    fleet.iot("PUT", &format!("{}?newStatus=REVOKED", changed[0]), &Value::Null);
    let undone = fleet.undone(json!({"taskId": "m"})).await;
    let mut found = results(&undone);
    found.sort_unstable();
    assert_eq!(found, ["refused", "undone"], "{undone}");
    let revoked = fleet.undone(json!({"taskId": "m", "force": true})).await;
    assert!(revoked.to_string().contains("revoked since"), "{revoked}");

    let (fleet, before) = mitigated(POLICY, &kinds()[4].1, 1).await;
    let left = fleet.state();
    let policy = left.keys().find(|key| left[*key] != before[*key] && !key.ends_with("version")).unwrap();
    fleet.services.pass(3600);
    let document = json!({"policyDocument": r#"{"Version":"2012-10-17","Statement":[]}"#});
    fleet.iot("POST", &format!("{policy}/version?setAsDefault=true"), &document);
    let refused = fleet.undone(json!({"taskId": "m"})).await;
    assert_eq!(results(&refused), ["refused"]);
    let why = refused["tasks"][0]["resources"][0]["reason"].as_str().unwrap();
    assert!(why.starts_with("it was changed since: its default is version"), "{why}");
    assert_eq!(results(&fleet.undone(json!({"taskId": "m", "force": true})).await), ["undone"]);
    assert_eq!(fleet.state()[policy], before[policy]);

    let (fleet, before) = mitigated(SHARED, &kinds()[3].1, 1).await;
    let left = fleet.state();
    let things: Vec<&String> = left.keys().filter(|key| left[*key] != before[*key]).collect();
    let thing = things[0].split('/').nth(2).unwrap();
    let group = before[things[0]]["thingGroups"][0]["groupName"].as_str();
    if let Some(group) = group {
        let out = json!({"thingName": thing, "thingGroupName": group});
        fleet.iot("PUT", "/thing-groups/removeThingFromThingGroup", &out);
        let refused = fleet.undone(json!({"taskId": "m"})).await;
        assert!(results(&refused).contains(&"refused"), "{refused}");
        fleet.undone(json!({"taskId": "m", "force": true})).await;
    } else {
        fleet.undone(json!({"taskId": "m"})).await;
    }
    assert_eq!(fleet.state(), before);
}

#[tokio::test(start_paused = true)]
async fn what_runs_or_never_started_is_not_undone() {
    let fleet = Fleet::default();
    fleet.mitigate("m", REVOKED, &kinds()[0].1, 1).await;
    let runs = fleet.fails(json!({"taskId": "m"})).await;
    assert!(
        runs.starts_with("MitigationRuns")
            && runs.contains("fleetwarden audit cancel-audit-mitigation-actions-task --task-id m"),
        "{runs}"
    );
    assert!(fleet.fails(json!({"taskId": "none"})).await.starts_with("NoMitigation"));
    let event = |more: Value| fleet.fails(more);
    assert!(event(json!({})).await.starts_with("InvalidInput: $.taskId"));
    assert!(event(json!({"taskId": "m", "since": "2026-11-23"})).await.starts_with("InvalidInput"));
    assert!(
        event(json!({"since": "2026-11-23", "findingId": "f"})).await.starts_with("InvalidInput: $.since")
    );
    assert!(event(json!({"taskId": "m", "nextToken": "x"})).await.starts_with("InvalidInput: $.nextToken"));
    fleet.end().await;
    let none = event(json!({"taskId": "m", "resource": "other"})).await;
    assert!(
        none.starts_with("InvalidInput: $.resource: mitigation task 'm' has changed no resource 'other'"),
        "{none}"
    );
    let known = fleet.services.cloud.items("mitigation#m");
    let ((_, sk), _) = known.iter().find(|((_, sk), _)| sk.starts_with("before#")).unwrap();
    let resource = sk.strip_prefix("before#").unwrap();
    assert_eq!(results(&fleet.undone(json!({"taskId": "m", "resource": resource})).await), ["undone"]);
    let again = event(json!({"taskId": "m", "resource": resource})).await;
    assert!(again.starts_with("AlreadyUndone"), "{again}");
}

#[tokio::test(start_paused = true)]
async fn everything_since_a_time_is_undone_the_newest_first() {
    let fleet = Fleet::default();
    let before = fleet.state();
    for (number, (check, params, count)) in kinds().into_iter().enumerate() {
        fleet.mitigate(&format!("m{number}"), check, &params, count).await;
        fleet.services.pass(60);
    }
    fleet.end().await;
    let mut event = json!({"since": "2026-11-23T00:00:00Z"});
    let mut tasks = Vec::new();
    loop {
        let undone = fleet.undone(event.clone()).await;
        tasks.extend(
            undone["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|task| task["taskId"].as_str().unwrap().to_owned()),
        );
        let Some(next) = undone.get("nextToken") else { break };
        event["nextToken"] = next.clone();
    }
    assert_eq!(tasks, ["m5", "m4", "m3", "m2", "m1", "m0"]);
    assert_eq!(fleet.state(), before);
    let again = fleet.undone(json!({"since": "2026-11-23T00:00:00Z"})).await;
    assert!(
        again["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|task| task["reason"].as_str().unwrap().starts_with("AlreadyUndone"))
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_at_once_each_resource_is_put_back_once() {
    for at in Moment::all() {
        let (fleet, before) = mitigated(REVOKED, &kinds()[0].1, 1).await;
        let undo = || fleet.undo(json!({"taskId": "m"}));
        let (first, second) = fleet.services.cloud.interleave(at, undo(), undo()).await;
        let Some(second) = second else { break };
        for outcome in [first, second] {
            if let Err(failure) = outcome {
                assert!(matches!(failure.name(), "UndoInProgress" | "AlreadyUndone"), "{failure}");
            }
        }
        assert_eq!(fleet.state(), before);
        let calls = fleet.services.calls();
        assert_eq!(calls.matches("newStatus=ACTIVE").count(), 1, "{calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_or_done_is_told_and_tried_again() {
    let (fleet, before) = mitigated(REVOKED, &kinds()[0].1, 2).await;
    let denied = |path: &str| {
        path.starts_with("/certificates/")
            .then(|| Answer::error(403, "AccessDeniedException", r#"{"message": "no"}"#))
    };
    *fleet.services.instead.lock().unwrap() = Some(denied);
    let failed = fleet.undone(json!({"taskId": "m"})).await;
    assert_eq!(results(&failed), ["failed", "failed"]);
    assert!(failed.to_string().contains("AccessDeniedException"), "{failed}");
    *fleet.services.instead.lock().unwrap() = None;
    assert_eq!(results(&fleet.undone(json!({"taskId": "m"})).await), ["undone", "undone"]);
    assert_eq!(fleet.state(), before);
}
