//! What becomes of a suppression that there is. Pure.

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::suppression::Described;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::model::suppression::Written;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Standing;
use fleetwarden_core::policy::SuppressEnd;

use crate::memory::NEVER;
use crate::memory::Source;
use crate::state::Is;
use crate::state::Kept;
use crate::state::Want;

/// A standing suppression as it is to stand in the service.
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
            // The language has no other end for them.
            SuppressEnd::Never | SuppressEnd::After { .. } => NEVER,
        };
        let written = Written::new(Maker::Standing(standing.name()), &suppress.words);
        let description = written.description();
        let source = source(&description);
        Self { standing, written, description, end, source }
    }

    /// Whether what it wants may be done.
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

/// The maker of what people made.
pub(crate) const BY_HAND: &str = "by hand";

/// The name of the standing suppression that made something.
pub(crate) fn standing_of(by: &str) -> Option<&str> {
    by.strip_prefix("standing ")
}

/// What is to happen to a suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Somebody wants it, and so it is.
    Wanted(Is),
    /// It is of this standing suppression, which no longer wants it.
    Left(u16),
    /// It is of a standing suppression that is gone from the policy.
    Orphaned,
    /// It is nobody's here.
    Other,
}

/// Decides on a suppression that is there.
pub(crate) fn judge(
    targets: &[Target<'_>],
    kept: &[Kept],
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
    let stays = |at: usize| kept.get(at).is_none_or(|kept| kept.is_unknown(check) || kept.lapsed);
    if let Some((want, target)) =
        wanted.and_then(|want| Some((want, targets.get(usize::from(want.standing))?)))
    {
        let other = own.filter(|own| *own != usize::from(want.standing));
        return Verdict::Wanted(match maker {
            _ if description == target.description && end == target.end => Is::Fine,
            // Whose members are not known keeps what it has.
            _ if other.is_some_and(|other| kept.get(other).is_some_and(|kept| kept.is_unknown(check))) => {
                Is::Taken
            }
            None if !target.standing.adopts() && (end == NEVER || end > now) => Is::ByHand,
            _ => Is::Stale,
        });
    }
    match (maker, own) {
        // Under another name it may be one's whose members are not known now.
        (Some(Maker::Standing(_)), None) if kept.iter().all(|kept| !kept.is_unknown(check)) => {
            Verdict::Orphaned
        }
        (Some(Maker::Standing(_)), Some(at)) if !stays(at) => {
            Verdict::Left(u16::try_from(at).unwrap_or_default())
        }
        _ => Verdict::Other,
    }
}
