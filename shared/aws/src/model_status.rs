//! The status of all models of ML Detect, as `ml-model-status` leaves it in the ledger for reports.

use fleetwarden_core::model::ml::ModelsStatus;

use crate::Error;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;

const LATEST: &str = "latest";
const STATUS: &str = "status";

/// Writes the status in place of the one before.
///
/// # Errors
/// If the table does not answer.
pub async fn keep(ledger: &Ledger, status: &ModelsStatus) -> Result<(), Error> {
    ledger.put(Item::new(&keys::model_status(), LATEST, status.at).json(STATUS, status)).await
}

/// The status of the last look; none if there was no look, or one of another version.
///
/// # Errors
/// If the table does not answer.
pub async fn latest(ledger: &Ledger) -> Result<Option<ModelsStatus>, Error> {
    let item = ledger.get(&keys::model_status(), LATEST).await?;
    Ok(item.and_then(|item| item.get_json(STATUS)))
}
