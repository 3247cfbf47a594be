//! How far the results of an ended task are written, for the message that goes on.
//!
//! It stands in the ledger and not in the message: a false message could otherwise have results passed over. It is written
//! after the results that it stands for. A slow worker may put an older one in the place of a newer one: then some are
//! written again, and none is missed.

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

/// How far the results are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Mark {
    /// The page.
    pub(super) pages: Pages,
    /// How many of its findings are written.
    pub(super) done: u32,
    /// How often the list was begun again.
    pub(super) restarts: u32,
    /// The ids of some findings that did not succeed, for the alert.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) failures: Vec<String>,
}

impl Mark {
    /// Where the results of a request go on. The beginning, if there is none.
    pub(super) async fn read(ledger: &Ledger, request: &MitigationRequest) -> Result<Self, Error> {
        let item = ledger.get(&keys::mitigation(&request.task_id()), &sk(request)).await?;
        Ok(item.and_then(|item| item.get_json(attribute::MARK)).unwrap_or_default())
    }

    /// Writes where the results of a request go on.
    pub(super) async fn write(
        &self,
        ledger: &Ledger,
        request: &MitigationRequest,
        now: Millis,
    ) -> Result<(), Error> {
        let item = Item::new(&keys::mitigation(&request.task_id()), &sk(request), now);
        ledger.put(item.json(attribute::MARK, self)).await
    }
}

fn sk(request: &MitigationRequest) -> String {
    format!("results#{}", request.check)
}
