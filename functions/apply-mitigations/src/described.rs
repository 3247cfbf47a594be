//! A finding as Device Defender has it now (`DescribeAuditFinding`), for whoever may not believe what a message says of it.

use fleetwarden_aws::Error;
use fleetwarden_core::api::listing::Listed;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize as _;
use serde_json::Value;
use serde_json::json;

use crate::ApplyMitigations;

/// What the service says of a finding that a request names.
pub(crate) enum Described {
    /// The finding, and when its audit began, if that is said.
    Found(Box<Finding>, Option<Millis>),
    /// Why it is none of the request's.
    Not(&'static str),
}

impl ApplyMitigations {
    /// A finding of a request's audit and check.
    ///
    /// # Errors
    /// If the service does not answer.
    pub(crate) async fn describe_finding(
        &self,
        request: &MitigationRequest,
        finding_id: &str,
    ) -> Result<Described, Error> {
        let described: Value =
            match self.iot.ask("DescribeAuditFinding", json!({"findingId": finding_id})).await {
                Err(Error::Aws { code, .. }) if code == "ResourceNotFoundException" => {
                    return Ok(Described::Not("it is gone"));
                }
                described => described?,
            };
        let of = |member: &str| described.get("finding").and_then(|finding| finding.get(member));
        if of("taskId").and_then(Value::as_str) != Some(&request.audit.task_id) {
            return Ok(Described::Not("it is not of this audit"));
        }
        let listed = described.get("finding").map(Listed::deserialize);
        let Some(Ok(listed)) = listed else { return Ok(Described::Not("it cannot be read")) };
        let found = listed.into_finding(&request.check, || finding_id.to_owned());
        if found.check != request.check {
            return Ok(Described::Not("it is of another check"));
        }
        Ok(Described::Found(Box::new(found), of("taskStartTime").and_then(millis)))
    }
}
