//! Creates, updates and deletes suppressions as the plan says.
//!
//! All suppressions are listed already, so each creation is one call. What exists is described again right before it is
//! updated or deleted, because somebody may have modified it since it was listed.

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

use crate::iot::Budget;
use crate::iot::Iot;
use crate::plan;
use crate::plan::Target;
use crate::resources::Kind;
use crate::resources::key;
use crate::revalidate::Found;
use crate::revalidate::Listed;
use crate::revalidate::describe;
use crate::settle;
use crate::snapshot::NEVER;
use crate::snapshot::seconds;
use crate::state::Is;
use crate::state::State;
use crate::state::Surplus;
use crate::state::Want;

/// How many changes are made side by side.
const PARALLEL: usize = 8;

/// What came of a change.
pub(crate) enum Made {
    /// It was made, or would have been, or an earlier try had made it.
    Done,
    /// The suppression differs from the list, or is gone: it stays so.
    LeftAlone(Option<Found>),
}

/// A change that was made, or was not.
pub(crate) struct Change {
    pub(crate) key: u128,
    pub(crate) made: Result<Made, Error>,
    /// Whether it was to be made, and not only reported.
    pub(crate) acts: bool,
}

impl Change {
    /// Whether every further change would be refused too.
    fn is_refused(&self) -> bool {
        let codes = ["LimitExceededException", "AccessDeniedException"];
        self.made.as_ref().is_err_and(|error| codes.iter().any(|code| error.is_code(code)))
    }
}

/// Makes changes.
pub(crate) struct Applier<'a> {
    pub(crate) iot: Iot<'a>,
    pub(crate) budget: Budget<'a>,
    pub(crate) mode: Mode,
    pub(crate) targets: &'a [Target<'a>],
}

impl Applier<'_> {
    /// Makes the changes. False if the next invocation has to continue.
    pub(crate) async fn apply(&self, state: &mut State) -> bool {
        self.delete(state).await && self.put(state).await
    }

    async fn delete(&self, state: &mut State) -> bool {
        while !state.listing.surplus.is_empty() {
            if self.budget.is_over() {
                return false;
            }
            let rest = state.listing.surplus.len().saturating_sub(PARALLEL);
            let chunk = state.listing.surplus.split_off(rest);
            let chunk = chunk.iter().map(|surplus| {
                let key = key(&surplus.check, &surplus.resource);
                let acts = plan::deletes(surplus, self.targets, self.mode, state.dry_run);
                (surplus, acts, key, state.listing.listed(key))
            });
            let changes: Vec<(&Surplus, Change)> = stream::iter(chunk)
                .map(|(surplus, acts, key, listed)| async move {
                    let made =
                        if acts { self.delete_one(surplus, listed.as_ref()).await } else { Ok(Made::Done) };
                    (surplus, Change { key, made, acts })
                })
                .buffered(PARALLEL)
                .collect()
                .await;
            if changes.iter().any(|(_, change)| change.is_refused()) {
                state.listing.surplus.clear();
            }
            for (surplus, change) in changes {
                settle::deletion(state, surplus, change);
            }
        }
        true
    }

    async fn delete_one(&self, surplus: &Surplus, listed: Option<&Listed>) -> Result<Made, Error> {
        let Surplus { check, resource, .. } = surplus;
        match describe(self.iot, check, resource).await? {
            None => return Ok(Made::Done),
            Some(found) if !found.is_as(listed) => return Ok(Made::LeftAlone(Some(found))),
            Some(_) => {}
        }
        let input = json!({"checkName": check, "resourceIdentifier": resource});
        match self.iot.ask::<Value>("DeleteAuditSuppression", input).await {
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(Made::Done),
            deleted => deleted.map(|_| Made::Done),
        }
    }

    async fn put(&self, state: &mut State) -> bool {
        let work = plan::to_put(state);
        let mut refused = false;
        for chunk in work.chunks(PARALLEL) {
            if self.budget.is_over() {
                return false;
            }
            // Its end may come while changes are made: what is over by then is never made.
            let now = seconds(self.budget.clock.now());
            for (target, status) in self.targets.iter().zip(&mut state.standing) {
                status.lapsed |= target.end <= now;
            }
            let wants = chunk.iter().filter_map(|key| Some((*key, state.listing.wanted.get(key)?)));
            let wants: Vec<_> = wants
                .filter_map(|(key, want)| Some((key, want, self.targets.get(usize::from(want.standing))?)))
                .filter(|(_, _, target)| target.end > now)
                .collect();
            let changes: Vec<Change> = stream::iter(wants)
                .map(|(key, want, target)| {
                    let (listed, acts) = (state.listing.listed(key), target.acts(self.mode, state.dry_run));
                    async move {
                        let made = match acts {
                            false => self.would_put(want, target).await,
                            true if refused => Err(Error::Later("others were refused".into())),
                            true => self.put_one(want, target, listed.as_ref()).await,
                        };
                        Change { key, made, acts }
                    }
                })
                .buffered(PARALLEL)
                .collect()
                .await;
            refused |= changes.iter().any(Change::is_refused);
            for change in changes {
                settle::creation_or_update(state, self.targets, change);
            }
        }
        true
    }

    /// Whether a change would be made. What the policy names may be unknown to Device Defender, so it is asked, without a
    /// change. What was listed is known.
    async fn would_put(&self, want: &Want, target: &Target<'_>) -> Result<Made, Error> {
        let named_by_policy = matches!(target.standing.members(), Members::Resources(_))
            && target.standing.members().literals().is_some();
        if let (true, Is::Missing, Some((check, resource))) = (named_by_policy, want.is, named(want, target))
        {
            match describe(self.iot, &check, &resource).await {
                Err(error) if error.is_code("InvalidRequestException") => return Err(error),
                Err(error) => tracing::info!(%check, %error, "unknown whether it would be refused"),
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
            return self.update_one(target, listed, (&check, &resource), input).await;
        }
        // A token that was used can never be used again, so the time is part of it: what was deleted meanwhile can be
        // created again.
        let time = self.budget.clock.now().0.to_string();
        let token = Digest::new("standing").part(check.as_str()).part(&time);
        members.insert("clientRequestToken".into(), resource.add_to(token).hex().into());
        match self.iot.ask::<Value>("CreateAuditSuppression", input).await {
            Err(error) if error.is_code("ResourceAlreadyExistsException") => {
                // It may be our own, of a try whose answer was lost.
                let found = describe(self.iot, &check, &resource).await?;
                let ours = found.as_ref().is_some_and(|found| found.fulfils(target));
                Ok(if ours { Made::Done } else { Made::LeftAlone(found) })
            }
            created => created.map(|_| Made::Done),
        }
    }

    async fn update_one(
        &self,
        target: &Target<'_>,
        listed: Option<&Listed>,
        (check, resource): (&CheckName, &ResourceIdentifier),
        input: Value,
    ) -> Result<Made, Error> {
        match describe(self.iot, check, resource).await? {
            Some(found) if found.fulfils(target) => return Ok(Made::Done),
            Some(found) if found.is_as(listed) => {}
            found => return Ok(Made::LeftAlone(found)),
        }
        match self.iot.ask::<Value>("UpdateAuditSuppression", input).await {
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(Made::LeftAlone(None)),
            updated => updated.map(|_| Made::Done),
        }
    }
}

/// Check and resource of a wanted suppression.
fn named(want: &Want, target: &Target<'_>) -> Option<(CheckName, ResourceIdentifier)> {
    let check = target.standing.checks().get(usize::from(want.check))?;
    Some((check.clone(), Kind::of(check)?.identifier(&want.name)))
}
