//! Which review reconciles standing suppressions, while one takes several invocations.
//!
//! Two reviews would share the account's rates, and with a million members neither would end before the next one begins.
//! So a review that is continued holds a lease in the ledger, and other reviews read and report only.

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::timestamp::Millis;

use crate::state::State;

/// How long a lease lasts after the last checkpoint, in milliseconds: a message comes back five times, 90 minutes apart.
const LEASE_MS: i64 = 8 * 3_600_000;

/// The lease on reconciling.
pub(crate) struct Lease<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) clock: &'a Clock,
}

impl Lease<'_> {
    /// The other review that holds the lease, by its slot.
    pub(crate) async fn other_holder(&self, slot: &str) -> Result<Option<String>, Error> {
        let item = self.ledger.get(&keys::keeping_review(), "latest").await?;
        let held =
            item.and_then(|item| Some((item.get_text("slot")?.to_owned(), item.get_number("step_at")?)));
        let lasts = |at: i64| self.clock.now().0 < at.saturating_add(LEASE_MS);
        Ok(held.filter(|(other, at)| other != slot && lasts(*at)).map(|(other, _)| other))
    }

    /// Takes the lease or extends it, at a checkpoint of a review that reconciles.
    pub(crate) async fn extend(&self, state: &State) -> Result<(), Error> {
        self.write(state, self.clock.now()).await
    }

    /// Ends the lease with the review. One without a checkpoint never took it, and leaves the lease of another.
    pub(crate) async fn release(&self, state: &State) -> Result<(), Error> {
        if state.step > 0 { self.write(state, Millis(0)).await } else { Ok(()) }
    }

    async fn write(&self, state: &State, at: Millis) -> Result<(), Error> {
        if state.dry_run || state.reconciler.is_some() {
            return Ok(());
        }
        let item = Item::new(&keys::keeping_review(), "latest", self.clock.now());
        self.ledger.put(item.text("slot", &state.slot).number("step_at", at.0)).await
    }
}
