//! Who answers for suppressions, as the operator wrote it: Device Defender has it in ASCII.
//!
//! All comparing is done with what Device Defender has, so that what somebody writes otherwise in the policy is no change
//! of a suppression. Only what is told, counted by owner and answered has the words.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::original_words;
use fleetwarden_aws::original_words::Originals;
use fleetwarden_core::policy::Mode;

use crate::SuppressionReview;
use crate::drift::Drift;
use crate::plan;
use crate::snapshot::Names;
use crate::snapshot::Source;
use crate::state::State;

/// The owners of makers as the operator wrote them.
#[derive(Debug, Default)]
pub(crate) struct Owners(Originals);

impl SuppressionReview {
    /// Finds the owners of all sources.
    pub(crate) async fn owners<const N: usize>(&self, names: [&Names; N]) -> Result<Owners, Error> {
        let sources = names.into_iter().flat_map(|names| &names.sources);
        let owned = sources.filter_map(|source| Some((source.by.clone(), source.owner.clone()?)));
        let owned: BTreeSet<(String, String)> = owned.collect();
        Ok(Owners(original_words::find(&self.ledger, &owned).await?))
    }

    /// Keeps the words of the standing suppressions that are kept, before any suppression has them.
    pub(crate) async fn keep_words(&self, state: &State) -> Result<(), Error> {
        if state.kept_by.is_some() || self.policy.mode() != Mode::Enforce {
            return Ok(());
        }
        for target in plan::targets(&self.policy) {
            if target.acts(self.policy.mode(), state.dry_run) {
                original_words::keep(&self.ledger, &target.written).await?;
            }
        }
        Ok(())
    }
}

impl Owners {
    /// Whose suppressions somebody changed.
    pub(crate) fn put_into(&self, drift: &mut [Drift]) {
        for Drift { by, owner, .. } in drift {
            self.put(by, owner);
        }
    }

    /// What sources are called.
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
