//! Counts what came of each change. Pure.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;

use crate::apply::Change;
use crate::apply::Made;
use crate::plan::Target;
use crate::snapshot::DELETED;
use crate::snapshot::Entry;
use crate::snapshot::seconds;
use crate::state::Is;
use crate::state::StandingStatus;
use crate::state::State;
use crate::state::Surplus;

/// Notes what came of a deletion.
pub(crate) fn deletion(state: &mut State, surplus: &Surplus, change: Change) {
    let Change { key, made, acts } = change;
    let status = surplus.standing.and_then(|at| state.standing.get_mut(usize::from(at)));
    match (made, status) {
        (Ok(Made::Done), status) => {
            let count = status.map_or(&mut state.orphans, |status| &mut status.deleted);
            *count += 1;
            if acts {
                state.listing.mark(key, |entry| entry.flags |= DELETED);
            }
        }
        (Ok(Made::LeftAlone(found)), _) => state.note_modified(key, found),
        (Err(error), Some(status)) => fail(status, &error),
        (Err(error), None) => state.gaps.push(format!("what is gone from the policy: {error}")),
    }
}

/// Notes what came of a wanted suppression.
pub(crate) fn creation_or_update(state: &mut State, targets: &[Target<'_>], change: Change) {
    let Change { key, made, acts } = change;
    let now = seconds(state.began);
    let Some(want) = state.listing.wanted.get_mut(&key) else { return };
    let was = std::mem::replace(&mut want.is, Is::Done);
    let at = usize::from(want.standing);
    let (Some(target), Some(status)) = (targets.get(at), state.standing.get_mut(at)) else { return };
    match made {
        Ok(Made::Done) => {}
        Ok(Made::LeftAlone(found)) => {
            state.note_modified(key, found);
            return;
        }
        Err(error) => {
            fail(status, &error);
            return;
        }
    }
    let count = if was == Is::Stale { &mut status.updated } else { &mut status.created };
    *count += 1;
    if !acts {
        return;
    }
    let check = target.standing.checks().get(usize::from(want.check));
    let check = check.map(|check| state.listing.names.check(check)).unwrap_or_default();
    let source = state.listing.names.source(&target.source);
    let entry = Entry { key, first_seen: now, end: target.end, source, check, flags: 0 };
    let name = want.name.clone();
    let check = state.listing.names.check_of(&entry).map(ToString::to_string).unwrap_or_default();
    state.listing.sample(&entry, || format!("{check} {name}"));
    // What was listed stays as it was found: what somebody modified by hand is reported, though it is fixed now.
    state.listing.made.push(entry);
}

fn fail(status: &mut StandingStatus, error: &Error) {
    status.failed += 1;
    status.error.get_or_insert_with(|| {
        if error.is_code("LimitExceededException") {
            return "the account has reached its limit of audit suppressions; delete some that are not needed, or ask AWS \
                    Support for a higher limit"
                .to_owned();
        }
        error.to_string()
    });
}

/// Counts what needs no change.
pub(crate) fn count(state: &mut State) {
    let mut counts: BTreeMap<u16, [u64; 3]> = BTreeMap::new();
    for want in state.listing.wanted.values() {
        let [wanted, fine, by_hand] = counts.entry(want.standing).or_default();
        *wanted += 1;
        *fine += u64::from(want.is == Is::Fine);
        *by_hand += u64::from(want.is == Is::ByHand);
    }
    for (at, [wanted, fine, by_hand]) in counts {
        if let Some(status) = state.standing.get_mut(usize::from(at)) {
            (status.wanted, status.unchanged, status.by_hand) = (wanted, fine, by_hand);
        }
    }
}
