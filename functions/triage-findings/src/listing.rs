//! The pages of a check's findings (`ListAuditFindings`).

use fleetwarden_aws::Error;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_core::api;
use fleetwarden_core::api::listing::Listing;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use serde_json::Map;

/// The most findings of a page.
const PAGE: u32 = 250;

/// Reads the page of a token, or the first.
///
/// # Errors
/// What the service said, or that its answer is not a page.
pub(crate) async fn list(
    iot: &IotApi,
    audit: &Audit,
    check: &CheckName,
    token: Option<String>,
) -> Result<Listing, Error> {
    let operation = api::audit("ListAuditFindings").map_err(Error::Input)?;
    let mut input = Map::from_iter([
        ("taskId".to_owned(), audit.task_id.as_str().into()),
        ("checkName".to_owned(), check.as_str().into()),
        ("maxResults".to_owned(), PAGE.into()),
    ]);
    input.extend(token.map(|token| ("nextToken".to_owned(), token.into())));
    let answer = iot.call(operation, &input).await?;
    let unreadable =
        |e| Error::Later(format!("ListAuditFindings on {check}: the answer is not a page of findings: {e}"));
    Listing::read(answer.get()).map_err(unreadable)
}
