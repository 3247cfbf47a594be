//! Who answers for suppressions, in the operator's original words: Device Defender has them in ASCII.
//!
//! Everything is compared by what Device Defender has, so that another spelling in the policy modifies no suppression.
//! Only alerts, counts by owner and answers have the original words.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::original_words;
use fleetwarden_aws::original_words::Originals;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;

use crate::drift::Drift;
use crate::plan;
use crate::snapshot::Names;
use crate::snapshot::Source;
use crate::state::State;

/// The owners of makers as the operator wrote them.
#[derive(Debug, Default)]
pub(crate) struct Owners(Originals);

/// Finds the owners of all sources.
pub(crate) async fn find<const N: usize>(ledger: &Ledger, names: [&Names; N]) -> Result<Owners, Error> {
    let sources = names.into_iter().flat_map(|names| &names.sources);
    let owned = sources.filter_map(|source| Some((source.by.clone(), source.owner.clone()?)));
    let owned: BTreeSet<(String, String)> = owned.collect();
    Ok(Owners(original_words::find(ledger, &owned).await?))
}

/// Saves the words of the standing suppressions that this review reconciles, before any suppression has them.
pub(crate) async fn save_words(ledger: &Ledger, policy: &Policy, state: &State) -> Result<(), Error> {
    if state.reconciler.is_some() || policy.mode() != Mode::Enforce {
        return Ok(());
    }
    for target in plan::targets(policy) {
        if target.acts(policy.mode(), state.dry_run) {
            original_words::keep(ledger, &target.written).await?;
        }
    }
    Ok(())
}

impl Owners {
    /// Sets the owners of modified suppressions.
    pub(crate) fn put_into(&self, drift: &mut [Drift]) {
        for Drift { by, owner, .. } in drift {
            self.put(by, owner);
        }
    }

    /// The names of sources with their owners.
    pub(crate) fn names(&self, names: &Names) -> Names {
        let mut names = names.clone();
        for Source { by, owner } in &mut names.sources {
            self.put(by, owner);
        }
        names
    }

    fn put(&self, by: &str, owner: &mut Option<String>) {
        if let Some(owner) = owner {
            *owner = self.0.of(by, owner).to_owned();
        }
    }
}
