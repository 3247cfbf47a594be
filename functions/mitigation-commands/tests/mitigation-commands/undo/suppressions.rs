//! `SuppressionUndo`: suppressions that a rule has made on the emulated fleet, and then their undo, which leaves them as they
//! were.

use apply_suppressions::Handler;
use fleetwarden_aws::pace;
use fleetwarden_core::api::listing::Listed;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::policy::Effect;
use fleetwarden_core::policy::SuppressEnd;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize as _;

use super::*;

const LAB: &str = "version: 1\nmode: enforce\nrules:\n  - name: lab\n    match: { check: DEVICE_CERTIFICATE_SHARED_CHECK }\n    \
                   suppress: { until: 2027-03-01, reason: devices are replaced }\n";

/// Another rule for the same findings.
fn other() -> String {
    LAB.replace("name: lab", "name: annex").replace("2027-03-01", "2027-02-01").replace("replaced", "moved")
}

/// One without an end.
fn always() -> String {
    LAB.replace("name: lab", "name: always").replace("until: 2027-03-01", "indefinitely: true")
}

/// A message as another policy's rule would have it, with some of its findings.
fn by(message: &Value, policy: &str, findings: std::ops::Range<usize>) -> Value {
    let parsed = Policy::parse(policy.as_bytes()).unwrap();
    let rule = parsed.rules().first().unwrap();
    let Effect::Suppress(suppress) = rule.effect() else { panic!("it does not suppress") };
    let end = match suppress.end {
        SuppressEnd::At(end) => json!(end),
        _ => Value::Null,
    };
    let mut message = message.clone();
    message["rule"] = rule.name().into();
    message["expiresAt"] = end;
    message["words"] = serde_json::to_value(&suppress.words).unwrap();
    message["findings"] = message["findings"].as_array().unwrap()[findings].to_vec().into();
    message
}

impl Fleet {
    /// All suppressions, field by field.
    fn suppressions(&self) -> Vec<Value> {
        let list = self.iot("POST", "/audit/suppressions/list", &json!({"maxResults": 250})).1;
        list["suppressions"].as_array().unwrap().clone()
    }

    /// Runs an audit, and makes the message by which a rule suppresses so many of its findings.
    async fn message(&self, token: &str, policy: &str, count: usize) -> Value {
        let (audit, ids) = self.find(token, SHARED, count).await;
        let mut started = Millis(0);
        let mut findings = Vec::new();
        for id in &ids {
            let found = self.get(&format!("/audit/findings/{id}"))["finding"].clone();
            started = millis(&found["taskStartTime"]).unwrap();
            let finding = Listed::deserialize(&found).unwrap();
            let key = finding.into_finding(&CheckName::new(SHARED), || id.clone()).key();
            let past = json!({"firstSeen": started.0, "timesSeen": 1});
            findings.push(json!({"findingId": id, "key": key, "past": past}));
        }
        let message = json!({
            "audit": {"account": ACCOUNT, "region": "us-east-1", "taskId": audit, "startedAt": started.0},
            "check": SHARED, "policy": "p", "mode": "enforce", "findings": findings,
        });
        by(&message, policy, 0..count)
    }

    fn suppressing(&self, policy: &str) -> Handler {
        let shared = &self.services.shared;
        let clock = self.services.cloud.clock();
        let parking = Queue::new(shared.sqs(), "dead".into());
        Handler {
            account: ACCOUNT.into(),
            iot: shared.iot(),
            registry: shared.registry(Pace::Patient),
            pace: pace::Pace::new(None),
            ledger: Ledger::new(shared.dynamodb(), "ledger".into()),
            policy: Policy::parse(policy.as_bytes()).unwrap(),
            consumer: Consumer { function: "apply-suppressions", parking, clock, parallel: 1 },
        }
    }

    async fn apply(&self, policy: &str, message: &Value) -> Result<(), Error> {
        let far = self.services.cloud.clock().now().plus_seconds(300);
        self.suppressing(policy).message(&message.to_string(), far).await
    }

    /// Has a rule suppress findings of a new audit. Gives the message.
    async fn suppress(&self, token: &str, policy: &str, count: usize) -> Value {
        let message = self.message(token, policy, count).await;
        self.apply(policy, &message).await.unwrap();
        // What an invocation has written down it makes within five minutes.
        self.services.pass(600);
        message
    }

    async fn command(&self, event: Value) -> Result<Value, Failure> {
        let mut event = event;
        event["command"] = "SuppressionUndo".into();
        event["reason"] = "a test".into();
        let answer = self.undo.handle(event, &self.context()).await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    async fn taken_back(&self, event: Value) -> Value {
        self.command(event).await.unwrap_or_else(|failure| panic!("{}: {failure}", failure.name()))
    }

    async fn refuses(&self, event: Value) -> String {
        let failure = self.command(event).await.unwrap_err();
        format!("{}: {failure}", failure.name())
    }
}

fn of_each(undone: &Value) -> Vec<&str> {
    undone["suppressions"].as_array().unwrap().iter().map(|of| of["result"].as_str().unwrap()).collect()
}

fn audit_of(message: &Value) -> &str {
    message["audit"]["taskId"].as_str().unwrap()
}

/// The one suppression of a message, as a command names it.
fn one_of(fleet: &Fleet) -> Value {
    let first = fleet.suppressions()[0].clone();
    json!({"checkName": first["checkName"], "resourceIdentifier": first["resourceIdentifier"]})
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_has_made_is_deleted_and_stays_so_in_its_audit() {
    let mut fleet = Fleet::default();
    fleet.undo.policy = Arc::new(|| Ok(Policy::parse(LAB.as_bytes()).unwrap()));
    let by_hand = json!({
        "checkName": LOGGING, "resourceIdentifier": {"account": ACCOUNT}, "suppressIndefinitely": true,
        "description": "by Kim", "clientRequestToken": "kim",
    });
    fleet.iot("POST", "/audit/suppressions/create", &by_hand);
    let before = fleet.suppressions();
    let message = fleet.suppress("one", LAB, 3).await;
    let left = fleet.suppressions();
    assert_eq!((before.len(), left.len()), (1, 4));
    let event = json!({"auditTaskId": audit_of(&message)});
    let would = fleet.taken_back(json!({"auditTaskId": audit_of(&message), "dryRun": true})).await;
    assert_eq!(of_each(&would), ["would-undo"; 3], "{would}");
    assert_eq!(fleet.suppressions(), left, "a dry run changes nothing");
    let undone = fleet.taken_back(event.clone()).await;
    assert_eq!(of_each(&undone), ["undone"; 3], "{undone}");
    assert_eq!(undone["suppressions"][0]["step"], "DeleteAuditSuppression");
    assert_eq!(
        (&undone["nextAudit"][0]["rule"], &undone["nextAudit"][0]["suppressesAgain"]),
        (&json!("lab"), &json!(true))
    );
    assert_eq!(fleet.suppressions(), before);
    assert_eq!(of_each(&fleet.taken_back(event.clone()).await), ["as-before"; 3]);
    // A delivery of the same message that comes late, as from a dead-letter queue, makes nothing again.
    fleet.apply(LAB, &message).await.unwrap();
    assert_eq!(fleet.suppressions(), before);
    // The next audit does, and that is another change.
    let again = fleet.suppress("two", LAB, 3).await;
    assert_eq!(fleet.suppressions().len(), 4);
    let refused = fleet.taken_back(event).await;
    assert_eq!(of_each(&refused), ["refused"; 3]);
    let why = refused["suppressions"][0]["reason"].as_str().unwrap();
    assert!(why.contains("rule 'lab' made it again in audit") && why.contains(audit_of(&again)), "{why}");
    assert!(refused.get("nextAudit").is_none(), "{refused}");
    assert_eq!(of_each(&fleet.taken_back(json!({"rule": "lab"})).await), ["undone"; 3]);
    assert_eq!(fleet.suppressions(), before);
    assert_eq!(fleet.taken_back(json!({"rule": "none"})).await["suppressions"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_has_changed_has_its_former_end_and_words_again() {
    let fleet = Fleet::default();
    let first = fleet.suppress("one", LAB, 2).await;
    let former = fleet.suppressions();
    fleet.apply(&other(), &by(&first, &other(), 0..2)).await.unwrap();
    fleet.services.pass(600);
    assert!(fleet.suppressions().iter().all(|of| of["description"].as_str().unwrap().contains("rule annex")));
    let of_lab = fleet.taken_back(json!({"rule": "lab"})).await;
    assert_eq!(of_each(&of_lab), ["refused"; 2]);
    assert!(of_lab.to_string().contains("rule 'annex' has changed it since"), "{of_lab}");
    let undone = fleet.taken_back(json!({"rule": "annex"})).await;
    assert_eq!(of_each(&undone), ["undone"; 2], "{undone}");
    assert_eq!(undone["suppressions"][0]["step"], "UpdateAuditSuppression, ends 2027-03-01T00:00:00Z");
    assert_eq!(fleet.suppressions(), former);
    assert_eq!(of_each(&fleet.taken_back(json!({"rule": "lab"})).await), ["undone"; 2]);
    assert_eq!(fleet.suppressions(), Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn everything_since_a_time_is_as_before_it() {
    let fleet = Fleet::default();
    fleet.suppress("one", &always(), 1).await;
    let before = fleet.suppressions();
    let since = fleet.services.cloud.clock().now().rfc3339();
    // The audit finds the first one suppressed, which is left as it is.
    fleet.suppress("two", LAB, 4).await;
    let made = fleet.suppressions().len() - 1;
    assert!(made >= 3, "{made}");
    let (mut event, mut count) =
        (json!({"command": "SuppressionUndo", "since": since, "reason": "a test"}), 0);
    let mut context = fleet.context();
    // An invocation that has little time does one and says where the next one goes on.
    context.deadline = u64::try_from(fleet.services.cloud.clock().now().plus_seconds(10).0).unwrap();
    loop {
        let undone = fleet.undo.handle(event.clone(), &context).await.unwrap();
        let undone: Value = serde_json::from_str(undone.get()).unwrap();
        assert_eq!(of_each(&undone), ["undone"], "{undone}");
        count += 1;
        let Some(next) = undone.get("nextToken") else { break };
        event["nextToken"] = next.clone();
    }
    assert_eq!((count, fleet.suppressions()), (made, before));
}

#[tokio::test(start_paused = true)]
async fn what_others_have_made_or_changed_is_left_alone() {
    let fleet = Fleet::default();
    let nothing = json!({"checkName": SHARED, "resourceIdentifier": {"deviceCertificateId": "a".repeat(64)}});
    assert!(fleet.refuses(nothing.clone()).await.starts_with("NoSuppression: there is no suppression of"));
    for (description, name) in [
        ("by Kim", "NotOurs"),
        ("Fleetwarden: rule lab; x", "NoStateBefore"),
        ("Fleetwarden: standing presses; x", "StandingSuppression"),
    ] {
        let mut made = nothing.clone();
        made["suppressIndefinitely"] = true.into();
        made["description"] = description.into();
        made["clientRequestToken"] = name.into();
        fleet.iot("POST", "/audit/suppressions/create", &made);
        let why = fleet.refuses(nothing.clone()).await;
        assert!(why.starts_with(name), "{why}");
        fleet.iot("POST", "/audit/suppressions/delete", &nothing);
    }

    fleet.suppress("one", LAB, 1).await;
    let mut event = one_of(&fleet);
    let mut change = event.clone();
    let end = fleet.suppressions()[0]["expirationDate"].as_f64().unwrap();
    change["expirationDate"] = json!(end + 86_400.0);
    fleet.iot("PATCH", "/audit/suppressions/update", &change);
    let changed = fleet.suppressions();
    let refused = fleet.taken_back(event.clone()).await;
    assert_eq!(refused["suppressions"][0]["reason"], "it was changed since: it ends 2027-03-02T00:00:00Z");
    assert_eq!(fleet.suppressions(), changed);
    change["description"] = "by Kim".into();
    fleet.iot("PATCH", "/audit/suppressions/update", &change);
    for force in [false, true] {
        event["force"] = force.into();
        let refused = fleet.taken_back(event.clone()).await;
        assert_eq!(of_each(&refused), ["refused"], "{refused}");
    }
    assert_eq!(fleet.suppressions()[0]["description"], "by Kim");
    change["description"] = "Fleetwarden: rule lab; devices are replaced".into();
    fleet.iot("PATCH", "/audit/suppressions/update", &change);
    assert_eq!(of_each(&fleet.taken_back(event).await), ["undone"]);
    assert_eq!(fleet.suppressions(), Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn a_selection_is_judged_before_any_change() {
    let fleet = Fleet::default();
    assert!(fleet.refuses(json!({})).await.starts_with("InvalidInput: $.auditTaskId: give auditTaskId"));
    let resource = json!({"rule": "lab", "resourceIdentifier": {"clientId": "lamp"}});
    assert!(fleet.refuses(resource).await.starts_with("InvalidInput: $.checkName: is missing"));
    for token in ["x", "2026-11-23T00:00:00Z/mitigation#fw-1", "2026-11-23T00:00:00Z/suppression#../x"] {
        let wrong = fleet.refuses(json!({"rule": "lab", "nextToken": token})).await;
        assert!(wrong.starts_with("InvalidInput: $.nextToken"), "{wrong}");
    }
    fleet.suppress("one", LAB, 2).await;
    assert_eq!(fleet.taken_back(json!({"checkName": LOGGING})).await["suppressions"], json!([]));
    let mut one = one_of(&fleet);
    one["rule"] = "other".into();
    assert!(fleet.refuses(one).await.starts_with("NothingToUndo"));
    assert_eq!(of_each(&fleet.taken_back(one_of(&fleet)).await), ["undone"]);
    assert_eq!(fleet.suppressions().len(), 1);
}

/// The process dies at each call of the undo; then the command comes again.
#[tokio::test(start_paused = true)]
async fn wherever_an_undo_of_suppressions_dies_a_repeat_ends_it() {
    let mut deaths = 0;
    for at in Moment::all() {
        let fleet = Fleet::default();
        let message = fleet.message("one", LAB, 2).await;
        fleet.apply(LAB, &by(&message, LAB, 0..1)).await.unwrap();
        let former = fleet.suppressions();
        // One that is changed, and one that is new.
        fleet.apply(&other(), &by(&message, &other(), 0..2)).await.unwrap();
        fleet.services.pass(600);
        let event = json!({"rule": "annex"});
        if fleet.services.cloud.kill(at, fleet.command(event.clone())).await.is_some() {
            break;
        }
        deaths += 1;
        let undone = fleet.taken_back(event).await;
        assert!(of_each(&undone).iter().all(|result| matches!(*result, "undone" | "as-before")), "{undone}");
        assert_eq!(fleet.suppressions(), former);
    }
    assert!(deaths >= 8, "{deaths}");
}

/// The process dies at each call of `apply-suppressions`, or an answer is lost; then the message comes again.
#[tokio::test(start_paused = true)]
async fn wherever_a_suppression_was_interrupted_its_undo_knows_what_was_there() {
    let mut deaths = 0;
    for at in Moment::all() {
        let fleet = Fleet::default();
        let message = fleet.message("one", LAB, 2).await;
        fleet.apply(&always(), &by(&message, &always(), 0..1)).await.unwrap();
        let former = fleet.suppressions();
        // One that is changed, and one that is new.
        let killed = fleet.services.cloud.kill(at.clone(), fleet.apply(LAB, &message)).await;
        fleet.services.pass(600);
        if deaths % 2 == 0 {
            fleet.apply(LAB, &message).await.unwrap();
            fleet.services.pass(600);
        }
        let undone = fleet.taken_back(json!({"rule": "lab"})).await;
        assert!(of_each(&undone).iter().all(|result| matches!(*result, "undone" | "as-before")), "{undone}");
        assert_eq!(fleet.suppressions(), former, "{at:?}");
        if killed.is_some() {
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 16, "{deaths}");
    for operation in ["CreateAuditSuppression", "UpdateAuditSuppression", "DeleteAuditSuppression"] {
        let fleet = Fleet::default();
        fleet.services.order(operation, "lost-answer", 1, 0);
        let message = fleet.suppress("one", LAB, 2).await;
        fleet.taken_back(json!({"auditTaskId": audit_of(&message)})).await;
        assert_eq!(fleet.suppressions(), Vec::<Value>::new(), "{operation}");
    }
}

/// Another undo, or the message again, comes between any two calls.
#[tokio::test(start_paused = true)]
async fn whatever_comes_between_a_second_look_finds_it_as_before() {
    for at in Moment::all() {
        let fleet = Fleet::default();
        let message = fleet.suppress("one", LAB, 1).await;
        let event = || json!({"auditTaskId": audit_of(&message)});
        let (_, second) =
            fleet.services.cloud.interleave(at, fleet.command(event()), fleet.command(event())).await;
        let Some(second) = second else { break };
        assert!(second.is_ok());
        assert_eq!(fleet.suppressions(), Vec::<Value>::new());
    }
    for at in Moment::all() {
        let fleet = Fleet::default();
        let message = fleet.message("one", LAB, 1).await;
        let event = || json!({"auditTaskId": audit_of(&message)});
        let (applied, undone) = fleet
            .services
            .cloud
            .interleave(at.clone(), fleet.apply(LAB, &message), fleet.command(event()))
            .await;
        let Some(undone) = undone else { break };
        let is_done =
            of_each(&undone.unwrap()).iter().all(|result| matches!(*result, "undone" | "as-before"));
        if applied.is_err() || !is_done || !fleet.suppressions().is_empty() {
            fleet.services.pass(600);
            // A message that failed comes again, and an undo that was not done is given again.
            fleet.apply(LAB, &message).await.unwrap();
            fleet.services.pass(600);
            fleet.taken_back(event()).await;
        }
        assert_eq!(fleet.suppressions(), Vec::<Value>::new(), "{at:?}");
    }
}
