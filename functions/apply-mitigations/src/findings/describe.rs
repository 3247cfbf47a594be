//! A finding as Device Defender has it now (`DescribeAuditFinding`), for whoever may not believe what a message says of it.

use aws_sdk_iot::Client;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::millis;
use fleetwarden_aws::findings;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::timestamp::Millis;

/// What the service says of a finding that a request names.
pub(super) enum Described {
    /// The finding, and when its audit began, if that is said.
    Found(Box<Finding>, Option<Millis>),
    /// Why it is none of the request's.
    Not(&'static str),
}

/// A finding of a request's audit and check.
///
/// # Errors
/// If the service does not answer.
pub(super) async fn describe_finding(
    iot: &Client,
    request: &MitigationRequest,
    finding_id: &str,
) -> Result<Described, Error> {
    let described = iot.describe_audit_finding().finding_id(finding_id).send().await;
    let described = match described.map_err(Error::aws("DescribeAuditFinding", finding_id)) {
        Err(error) if error.is_code("ResourceNotFoundException") => {
            return Ok(Described::Not("it is gone"));
        }
        described => described?,
    };
    let Some(finding) = described.finding else { return Ok(Described::Not("it is not of this audit")) };
    if finding.task_id() != Some(&request.audit.task_id) {
        return Ok(Described::Not("it is not of this audit"));
    }
    let began = finding.task_start_time().map(millis);
    let found = findings::finding(finding, &request.check, finding_id);
    if found.check != request.check {
        return Ok(Described::Not("it is of another check"));
    }
    Ok(Described::Found(Box::new(found), began))
}
