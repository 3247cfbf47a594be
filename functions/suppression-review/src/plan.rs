//! What becomes of each suppression. Pure.

use std::collections::HashSet;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::suppression::Described;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::model::suppression::Written;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Standing;
use fleetwarden_core::policy::SuppressEnd;

use crate::resources::key;
use crate::snapshot::NEVER;
use crate::snapshot::Source;
use crate::state::Is;
use crate::state::StandingStatus;
use crate::state::State;
use crate::state::Surplus;
use crate::state::Want;

/// A standing suppression as Device Defender should have it.
#[derive(Debug)]
pub(crate) struct Target<'p> {
    pub(crate) standing: &'p Standing,
    /// Its words as Device Defender has them.
    pub(crate) written: Written<'p>,
    pub(crate) description: String,
    /// In seconds since the epoch, or [`NEVER`].
    pub(crate) end: u32,
    pub(crate) source: Source,
}

/// Each standing suppression of a policy, in its order.
pub(crate) fn targets(policy: &Policy) -> Vec<Target<'_>> {
    policy.standing().iter().map(Target::new).collect()
}

impl<'p> Target<'p> {
    fn new(standing: &'p Standing) -> Self {
        let suppress = standing.suppress();
        let end = match suppress.end {
            SuppressEnd::At(end) => u32::try_from(end).unwrap_or(NEVER - 1),
            // The policy language has no other end for standing suppressions.
            SuppressEnd::Never | SuppressEnd::After { .. } => NEVER,
        };
        let written = Written::new(Maker::Standing(standing.name()), &suppress.words);
        let description = written.description();
        let source = source(&description);
        Self { standing, written, description, end, source }
    }

    /// Whether its changes may be made.
    pub(crate) fn acts(&self, mode: Mode, dry_run: bool) -> bool {
        mode == Mode::Enforce && self.standing.is_live() && !dry_run
    }
}

/// Whose a suppression is, by its description.
pub(crate) fn source(description: &str) -> Source {
    match Described::read(description) {
        Some(Described { maker, owner, .. }) => {
            Source { by: maker.to_string(), owner: owner.map(ToOwned::to_owned) }
        }
        None => Source { by: BY_HAND.into(), owner: None },
    }
}

/// The maker of what was made by hand.
pub(crate) const BY_HAND: &str = "by hand";

/// The name of the standing suppression that made something.
pub(crate) fn standing_of(by: &str) -> Option<&str> {
    by.strip_prefix("standing ")
}

/// What is to happen to a suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A standing suppression wants it, and it is so.
    Wanted(Is),
    /// It is of this standing suppression, which no longer wants it.
    Left(u16),
    /// It is of a standing suppression that is gone from the policy.
    Orphaned,
    /// No standing suppression made it.
    Other,
}

/// Decides on a suppression that exists.
pub(crate) fn judge(
    targets: &[Target<'_>],
    statuses: &[StandingStatus],
    wanted: Option<&Want>,
    check: &CheckName,
    (description, end): (&str, u32),
    now: u32,
) -> Verdict {
    let maker = Described::read(description).map(|described| described.maker);
    let own = match maker {
        Some(Maker::Standing(name)) => targets.iter().position(|target| target.standing.name() == name),
        _ => None,
    };
    let stays = |at: usize| statuses.get(at).is_none_or(|status| status.is_unknown(check) || status.lapsed);
    if let Some((want, target)) =
        wanted.and_then(|want| Some((want, targets.get(usize::from(want.standing))?)))
    {
        let other = own.filter(|own| *own != usize::from(want.standing));
        return Verdict::Wanted(match maker {
            _ if description == target.description && end == target.end => Is::Fine,
            // One with unknown members keeps what it has.
            _ if other
                .is_some_and(|other| statuses.get(other).is_some_and(|status| status.is_unknown(check))) =>
            {
                Is::Taken
            }
            None if !target.standing.adopts() && (end == NEVER || end > now) => Is::ByHand,
            _ => Is::Stale,
        });
    }
    match (maker, own) {
        // It may be, under an old name, of one with unknown members.
        (Some(Maker::Standing(_)), None) if statuses.iter().all(|status| !status.is_unknown(check)) => {
            Verdict::Orphaned
        }
        (Some(Maker::Standing(_)), Some(at)) if !stays(at) => {
            Verdict::Left(u16::try_from(at).unwrap_or_default())
        }
        _ => Verdict::Other,
    }
}

/// The wanted suppressions that are to be created or updated, by their keys. What exists comes first: an account that is
/// full still accepts updates. Otherwise the order is the same whenever it is repeated.
pub(crate) fn to_put(state: &State) -> Vec<u128> {
    let open = |want: &Want| matches!(want.is, Is::Missing | Is::Stale);
    let wanted = state.listing.wanted.iter().filter(|(_, want)| open(want));
    let mut keys: Vec<(bool, u128)> = wanted.map(|(key, want)| (want.is == Is::Missing, *key)).collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, key)| key).collect()
}

/// The keys of what exists and will be updated or deleted.
pub(crate) fn in_flight(policy: &Policy, state: &State) -> HashSet<u128> {
    let (targets, mode) = (targets(policy), policy.mode());
    let updates = state.listing.wanted.iter().filter(|(_, want)| {
        let target = targets.get(usize::from(want.standing));
        want.is == Is::Stale && target.is_some_and(|target| target.acts(mode, state.dry_run))
    });
    let deletions = state.listing.surplus.iter();
    let deletions = deletions.filter(|surplus| deletes(surplus, &targets, mode, state.dry_run));
    let deletions = deletions.map(|Surplus { check, resource, .. }| key(check, resource));
    updates.map(|(key, _)| *key).chain(deletions).collect()
}

/// Whether what nobody wants any more may be deleted.
pub(crate) fn deletes(surplus: &Surplus, targets: &[Target<'_>], mode: Mode, dry_run: bool) -> bool {
    match surplus.standing {
        Some(at) => targets.get(usize::from(at)).is_some_and(|target| target.acts(mode, dry_run)),
        None => mode == Mode::Enforce && !dry_run,
    }
}
