//! Creates, updates and deletes what the plan says.
//!
//! All suppressions are listed already, so each creation is one call. What is there is looked at right before it is
//! updated or deleted, because somebody may have changed it since it was listed.

use std::collections::BTreeMap;
use std::collections::HashSet;

use fleetwarden_aws::Error;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::policy::Members;
use fleetwarden_core::policy::Mode;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;
use serde_json::json;

use crate::SuppressionReview;
use crate::calls::Budget;
use crate::look::Found;
use crate::look::Listed;
use crate::memory::DELETED;
use crate::memory::Known;
use crate::memory::NEVER;
use crate::memory::seconds;
use crate::plan;
use crate::plan::Target;
use crate::resources::Kind;
use crate::resources::key;
use crate::state::Is;
use crate::state::Kept;
use crate::state::State;
use crate::state::Surplus;
use crate::state::Want;

/// How many changes are made side by side.
const PARALLEL: usize = 8;

/// What came of a change.
enum Made {
    /// It was made, or would have been, or an earlier try had made it.
    Done,
    /// The suppression is otherwise than it was listed, or gone: it stays so.
    LeftAlone(Option<Found>),
}

/// A change that was made, or was not.
struct Change {
    key: u128,
    made: Result<Made, Error>,
}

impl Change {
    /// Whether all that are still to be made would be refused, too.
    fn is_refused(&self) -> bool {
        let codes = ["LimitExceededException", "AccessDeniedException"];
        self.made.as_ref().is_err_and(|error| codes.iter().any(|code| error.is_code(code)))
    }
}

impl SuppressionReview {
    /// Makes the changes. False if the next invocation has to go on.
    pub(crate) async fn change(&self, state: &mut State, budget: &Budget) -> bool {
        let targets = plan::targets(&self.policy);
        self.delete(state, &targets, budget).await && self.put(state, &targets, budget).await
    }

    /// The keys of what is there and will be changed or deleted.
    pub(crate) fn in_hand(&self, state: &State) -> HashSet<u128> {
        let targets = plan::targets(&self.policy);
        let wanted = state.listing.wanted.iter().filter(|(_, want)| {
            let target = targets.get(usize::from(want.standing));
            want.is == Is::Stale
                && target.is_some_and(|target| target.acts(self.policy.mode(), state.dry_run))
        });
        let surplus =
            state.listing.surplus.iter().filter(|surplus| self.deletes(surplus, &targets, state.dry_run));
        let surplus = surplus.map(|Surplus { check, resource, .. }| key(check, resource));
        wanted.map(|(key, _)| *key).chain(surplus).collect()
    }

    /// Whether what nobody wants any more may be deleted.
    fn deletes(&self, surplus: &Surplus, targets: &[Target<'_>], dry_run: bool) -> bool {
        let mode = self.policy.mode();
        match surplus.standing {
            Some(at) => targets.get(usize::from(at)).is_some_and(|target| target.acts(mode, dry_run)),
            None => mode == Mode::Enforce && !dry_run,
        }
    }

    async fn delete(&self, state: &mut State, targets: &[Target<'_>], budget: &Budget) -> bool {
        loop {
            if state.listing.surplus.is_empty() {
                return true;
            }
            if budget.is_over() {
                return false;
            }
            let rest = state.listing.surplus.len().saturating_sub(PARALLEL);
            let chunk = state.listing.surplus.split_off(rest);
            let chunk = chunk.iter().map(|surplus| {
                let key = key(&surplus.check, &surplus.resource);
                let acts = self.deletes(surplus, targets, state.dry_run);
                (surplus, acts, key, state.listing.listed(key))
            });
            let changes: Vec<(&Surplus, bool, Change)> = stream::iter(chunk)
                .map(|(surplus, acts, key, listed)| async move {
                    let made =
                        if acts { self.delete_one(surplus, listed.as_ref()).await } else { Ok(Made::Done) };
                    (surplus, acts, Change { key, made })
                })
                .buffered(PARALLEL)
                .collect()
                .await;
            if changes.iter().any(|(_, _, change)| change.is_refused()) {
                state.listing.surplus.clear();
            }
            for (surplus, acts, Change { key, made }) in changes {
                let kept = surplus.standing.and_then(|at| state.standing.get_mut(usize::from(at)));
                match (made, kept) {
                    (Ok(Made::Done), kept) => {
                        let count = kept.map_or(&mut state.orphans, |kept| &mut kept.deleted);
                        *count += 1;
                        if acts {
                            state.listing.mark(key, |known| known.flags |= DELETED);
                        }
                    }
                    (Ok(Made::LeftAlone(found)), _) => state.note_modified(key, found),
                    (Err(error), Some(kept)) => failed(kept, &error),
                    (Err(error), None) => state.gaps.push(format!("what is gone from the policy: {error}")),
                }
            }
        }
    }

    async fn delete_one(&self, surplus: &Surplus, listed: Option<&Listed>) -> Result<Made, Error> {
        let Surplus { check, resource, .. } = surplus;
        match self.look(check, resource).await? {
            None => return Ok(Made::Done),
            Some(found) if !found.is_as(listed) => return Ok(Made::LeftAlone(Some(found))),
            Some(_) => {}
        }
        let input = json!({"checkName": check, "resourceIdentifier": resource});
        match self.paced::<Value>("DeleteAuditSuppression", input).await {
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(Made::Done),
            deleted => deleted.map(|_| Made::Done),
        }
    }

    async fn put(&self, state: &mut State, targets: &[Target<'_>], budget: &Budget) -> bool {
        let open = |want: &Want| matches!(want.is, Is::Missing | Is::Stale);
        let work = state.listing.wanted.iter().filter(|(_, want)| open(want));
        // What is there comes first: an account that is full still takes updates. Else the same order whenever it is
        // repeated.
        let mut work: Vec<(bool, u128)> = work.map(|(key, want)| (want.is == Is::Missing, *key)).collect();
        work.sort_unstable();
        let work: Vec<u128> = work.into_iter().map(|(_, key)| key).collect();
        let mut refused = false;
        for chunk in work.chunks(PARALLEL) {
            if budget.is_over() {
                return false;
            }
            // Its end may come while changes are made: what is over by then is never made.
            let now = seconds(self.clock.now());
            for (target, kept) in targets.iter().zip(&mut state.standing) {
                kept.lapsed |= target.end <= now;
            }
            let wants = chunk.iter().filter_map(|key| Some((*key, state.listing.wanted.get(key)?)));
            let wants: Vec<_> = wants
                .filter_map(|(key, want)| Some((key, want, targets.get(usize::from(want.standing))?)))
                .filter(|(_, _, target)| target.end > now)
                .collect();
            let changes: Vec<(Change, bool)> = stream::iter(wants)
                .map(|(key, want, target)| {
                    let (listed, dry_run) = (state.listing.listed(key), state.dry_run);
                    async move {
                        let acts = target.acts(self.policy.mode(), dry_run);
                        let made = match acts {
                            false => self.would_put(want, target).await,
                            true if refused => Err(Error::Later("others were refused".into())),
                            true => self.put_one(want, target, listed.as_ref()).await,
                        };
                        (Change { key, made }, acts)
                    }
                })
                .buffered(PARALLEL)
                .collect()
                .await;
            refused |= changes.iter().any(|(change, _)| change.is_refused());
            for (change, acts) in changes {
                settle(state, targets, change, acts);
            }
        }
        true
    }

    /// Whether a change would be made. What the policy names may be nothing that Device Defender knows: it is asked,
    /// without a change. What was listed it knows.
    async fn would_put(&self, want: &Want, target: &Target<'_>) -> Result<Made, Error> {
        let named_by_policy = matches!(target.standing.members(), Members::Resources(_))
            && target.standing.members().literals().is_some();
        if let (true, Is::Missing, Some((check, resource))) = (named_by_policy, want.is, named(want, target))
        {
            match self.look(&check, &resource).await {
                Err(error) if error.is_code("InvalidRequestException") => return Err(error),
                Err(error) => tracing::info!(%check, %error, "not known whether it would be refused"),
                Ok(_) => {}
            }
        }
        Ok(Made::Done)
    }

    async fn put_one(
        &self,
        want: &Want,
        target: &Target<'_>,
        listed: Option<&Listed>,
    ) -> Result<Made, Error> {
        let Some((check, resource)) = named(want, target) else { return Ok(Made::Done) };
        let mut input = json!({
            "checkName": check, "resourceIdentifier": resource, "description": target.description,
            "suppressIndefinitely": target.end == NEVER,
        });
        let Some(members) = input.as_object_mut() else { return Ok(Made::Done) };
        if target.end != NEVER {
            members.insert("expirationDate".into(), target.end.into());
        }
        if want.is == Is::Stale {
            match self.look(&check, &resource).await? {
                Some(found) if found.fulfils(target) => return Ok(Made::Done),
                Some(found) if found.is_as(listed) => {}
                found => return Ok(Made::LeftAlone(found)),
            }
            return match self.paced::<Value>("UpdateAuditSuppression", input).await {
                Err(error) if error.is_code("ResourceNotFoundException") => Ok(Made::LeftAlone(None)),
                updated => updated.map(|_| Made::Done),
            };
        }
        // A token that was used can never be used again, so the time is part of it: what was deleted meanwhile can be
        // created again.
        let token = Digest::new("standing").part(check.as_str()).part(&self.clock.now().0.to_string());
        members.insert("clientRequestToken".into(), resource.add_to(token).hex().into());
        match self.paced::<Value>("CreateAuditSuppression", input).await {
            Err(error) if error.is_code("ResourceAlreadyExistsException") => {
                // It may be our own, of a try whose answer was lost.
                let found = self.look(&check, &resource).await?;
                let ours = found.as_ref().is_some_and(|found| found.fulfils(target));
                Ok(if ours { Made::Done } else { Made::LeftAlone(found) })
            }
            created => created.map(|_| Made::Done),
        }
    }
}

fn named(want: &Want, target: &Target<'_>) -> Option<(CheckName, ResourceIdentifier)> {
    let check = target.standing.checks().get(usize::from(want.check))?;
    Some((check.clone(), Kind::of(check)?.identifier(&want.name)))
}

/// Notes what came of a wanted suppression.
fn settle(state: &mut State, targets: &[Target<'_>], change: Change, acts: bool) {
    let Change { key, made } = change;
    let now = seconds(state.began);
    let Some(want) = state.listing.wanted.get_mut(&key) else { return };
    let was = std::mem::replace(&mut want.is, Is::Done);
    let at = usize::from(want.standing);
    let (Some(target), Some(kept)) = (targets.get(at), state.standing.get_mut(at)) else { return };
    match made {
        Ok(Made::Done) => {}
        Ok(Made::LeftAlone(found)) => {
            state.note_modified(key, found);
            return;
        }
        Err(error) => {
            failed(kept, &error);
            return;
        }
    }
    let count = if was == Is::Stale { &mut kept.updated } else { &mut kept.created };
    *count += 1;
    if !acts {
        return;
    }
    let check = target.standing.checks().get(usize::from(want.check));
    let check = check.map(|check| state.listing.names.check(check)).unwrap_or_default();
    let source = state.listing.names.source(&target.source);
    let known = Known { key, first_seen: now, end: target.end, source, check, flags: 0 };
    let name = want.name.clone();
    let check = state.listing.names.check_of(&known).map(ToString::to_string).unwrap_or_default();
    state.listing.sample(&known, || format!("{check} {name}"));
    // What was listed stays as it was found: what somebody changed by hand is told, though it is mended now.
    state.listing.made.push(known);
}

fn failed(kept: &mut Kept, error: &Error) {
    kept.failed += 1;
    kept.error.get_or_insert_with(|| {
        if error.is_code("LimitExceededException") {
            return "the account holds as many audit suppressions as it may; delete some that nobody needs, or ask AWS \
                    Support for more"
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
        if let Some(kept) = state.standing.get_mut(usize::from(at)) {
            (kept.wanted, kept.unchanged, kept.by_hand) = (wanted, fine, by_hand);
        }
    }
}
