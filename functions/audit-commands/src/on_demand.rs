//! `StartOnDemandAuditTask`, which has no token in AWS: a repeat would start a second audit.
//!
//! The token is Fleetwarden's. It is claimed in the ledger by one conditional write before the call, and the audit's id is
//! written after it. If a claim is found whose call may have had its effect, the audits since then are searched for one of
//! the same checks, and one is started only if there is none. An audit of just these checks that somebody else started
//! meanwhile is taken for it: it answers the same question.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::nonce;
use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::preconditions::target_checks;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::calls::is_not_started;
use fleetwarden_commands::calls::value;

/// How far the clocks of Lambda and of the service may be apart.
const SKEW_SECONDS: i64 = 2;
/// Of what began earlier the service may know nothing, and does not let itself be asked (90 days).
const KEPT_SECONDS: i64 = 89 * 86_400;
const SORT: &str = "claim";

/// A claim of ours.
struct Claim {
    about: String,
    checks: String,
    claimed_at: Millis,
    /// Whether an earlier try may have started an audit.
    uncertain: bool,
}

/// Starts on-demand audits, each once.
pub(crate) struct OnDemandAudits<'a> {
    pub(crate) service: &'a Service,
    pub(crate) ledger: &'a Ledger,
}

impl OnDemandAudits<'_> {
    /// Starts an audit, or gives the id of the one that was started under the same token.
    pub(crate) async fn start(
        &self,
        command: &Command,
        request_id: &str,
        deadline: Millis,
    ) -> Result<Box<RawValue>, Failure> {
        let checks: BTreeSet<&str> = target_checks(command).into_iter().collect();
        let token = command.own.get(TOKEN).and_then(Value::as_str).unwrap_or(request_id);
        let claim = match self.claim(token, &checks, deadline).await? {
            Ok(claim) => claim,
            Err(task) => return answer(&json!({"taskId": task})),
        };
        if claim.uncertain
            && let Some(task) = self.begun_since(claim.claimed_at, &checks).await?
        {
            self.settle(&claim, Some(&task)).await;
            return answer(&json!({"taskId": task}));
        }
        match self.service.iot.call_once(command.operation, &command.input).await {
            Ok(started) => {
                let task = value(&started).get("taskId").and_then(Value::as_str).map(ToOwned::to_owned);
                self.settle(&claim, task.as_deref()).await;
                Ok(started)
            }
            Err(error) => {
                // What an earlier try started may only not be listed yet.
                let certain = !claim.uncertain && is_not_started(&error);
                self.free(&claim, certain).await;
                Err(error.into())
            }
        }
    }

    /// Claims a token, or gives the id of the audit that was started under it.
    async fn claim(
        &self,
        token: &str,
        checks: &BTreeSet<&str>,
        deadline: Millis,
    ) -> Result<Result<Claim, String>, Failure> {
        let about = format!("on-demand-audit#{token}");
        let now = self.service.clock.now();
        let checks =
            Digest::new("checks").parts(checks.iter().copied().collect::<Vec<_>>().into_iter()).hex();
        let held = self.ledger.get(&about, SORT).await?;
        let mut claim = Claim { about, checks, claimed_at: now, uncertain: false };
        if let Some(held) = held {
            if held.get_text("checks") != Some(&claim.checks) {
                let what = format!("clientRequestToken: '{token}' was used for an audit of other checks");
                return Err(Failure::Refused { name: "TokenReused", what });
            }
            if let Some(task) = held.get_text("task_id") {
                return Ok(Err(task.to_owned()));
            }
            claim.claimed_at = held.get_number("claimed_at").map_or(now, Millis);
            claim.uncertain = held.get_text("outcome") != Some("none");
        }
        let (client, table) = self.ledger.client_and_table();
        let nonce = nonce();
        let item = claim.item(now).number("lease_until", deadline.0).text("nonce", &nonce).into_attributes();
        let put = client
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR (#state = :running AND lease_until < :now)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":running", AttributeValue::S("running".into()))
            .expression_attribute_values(":now", AttributeValue::N(now.0.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Ok(claim)) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let held = Item::from(failed.item().cloned().unwrap_or_default());
                if held.get_text("nonce") == Some(&nonce) {
                    // An answer was lost, and the SDK sent the claim again.
                    return Ok(Ok(claim));
                }
                let what = format!("the request '{token}' is being worked on; ask again in a minute");
                Err(Failure::Refused { name: "RequestInProgress", what })
            }
            _ => Err(Error::aws("PutItem", table)(error).into()),
        }
    }

    /// The first on-demand audit of just these checks that began since.
    async fn begun_since(&self, since: Millis, checks: &BTreeSet<&str>) -> Result<Option<String>, Failure> {
        let now = self.service.clock.now();
        let since = since.plus_seconds(-SKEW_SECONDS).max(now.plus_seconds(-KEPT_SECONDS));
        let period = json!({
            "startTime": since.seconds(),
            "endTime": now.plus_seconds(60).seconds(),
            "taskType": "ON_DEMAND_AUDIT_TASK",
        });
        let mut first: Option<(f64, String)> = None;
        for task in self.service.ask_all("ListAuditTasks", period).await? {
            let Some(id) = task.get("taskId").and_then(Value::as_str) else { continue };
            let task = self.service.ask("DescribeAuditTask", json!({"taskId": id})).await?;
            let details = task.get("auditDetails").and_then(Value::as_object);
            let audited: BTreeSet<&str> =
                details.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let at = task.get("taskStartTime").and_then(Value::as_f64).unwrap_or_default();
            if audited == *checks && first.as_ref().is_none_or(|(begun, _)| at < *begun) {
                first = Some((at, id.to_owned()));
            }
        }
        Ok(first.map(|(_, id)| id))
    }

    /// Writes which audit it is. If that fails, a repeat finds the audit by its checks.
    async fn settle(&self, claim: &Claim, task: Option<&str>) {
        let Some(task) = task else { return };
        let item = claim.item(self.service.clock.now()).text("state", "done").text("task_id", task);
        if let Err(error) = self.ledger.put(item).await {
            tracing::warn!(audit.task_id = task, %error, "the audit is started and not written down");
        }
    }

    /// Gives a claim back. `certain` is whether nothing was started.
    async fn free(&self, claim: &Claim, certain: bool) {
        let outcome = if certain { "none" } else { "unknown" };
        let item = claim.item(self.service.clock.now()).number("lease_until", 0).text("outcome", outcome);
        if let Err(error) = self.ledger.put(item).await {
            tracing::warn!(claim = claim.about, %error, "a claim could not be given back");
        }
    }
}

impl Claim {
    fn item(&self, now: Millis) -> Item {
        let item = Item::new(&self.about, SORT, now).text("state", "running").text("checks", &self.checks);
        item.number("claimed_at", self.claimed_at.0)
    }
}
