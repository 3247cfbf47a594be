//! Finds the members of the standing suppressions: which suppressions are wanted.
//!
//! If the members of one are unknown, its suppressions stay as they are: a group that cannot be listed is not empty.

mod resource_names;

use std::collections::HashSet;

use fleetwarden_aws::Error;
use fleetwarden_core::policy::Members;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Standing;
use fleetwarden_core::policy::SuppressEnd;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::iot::Budget;
use crate::iot::Iot;
use crate::iot::List;
use crate::members::resource_names::ResourceNames;
use crate::resources::Kind;
use crate::resources::key;
use crate::snapshot::seconds;
use crate::state::Is;
use crate::state::Progress;
use crate::state::State;
use crate::state::Want;

/// How many things are looked up side by side, at the pace of the calls.
const PARALLEL: usize = 8;

/// Why the members in a list are unknown.
const TOO_MANY: &str = "it has more members than one invocation can list";

const THINGS: List = List { operation: "ListThings", entries: "things", marked: false };
const THINGS_OF_GROUP: List = List { operation: "ListThingsInThingGroup", entries: "things", marked: false };
const PRINCIPALS: List = List { operation: "ListThingPrincipals", entries: "principals", marked: false };
const THINGS_OF_PRINCIPAL: List = List { operation: "ListPrincipalThings", entries: "things", marked: false };

/// The certificates of a thing, and how many of them are attached to other things too.
struct Behind {
    certificates: Vec<String>,
    shared: u64,
}

/// Finds the members of the standing suppressions.
pub(crate) struct Finder<'a> {
    pub(crate) iot: Iot<'a>,
    pub(crate) budget: Budget<'a>,
    /// 12 digits.
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) policy: &'a Policy,
}

impl Finder<'_> {
    /// Finds the members of all standing suppressions. False if the next invocation has to continue.
    pub(crate) async fn find_all(&self, state: &mut State) -> bool {
        while let Some(standing) = self.policy.standing().get(state.members.standing) {
            let at = state.members.standing;
            if has_lapsed(standing, seconds(state.began)) {
                state.standing.get_mut(at).into_iter().for_each(|status| status.lapsed = true);
            } else {
                match self.find(standing, state).await {
                    Ok(true) => {}
                    Ok(false) => return false,
                    // One failure does not discard what took hours to find.
                    Err(error) if state.members.position > state.members.failed_at => {
                        tracing::warn!(standing = standing.name(), %error, "its members are retried from here");
                        state.members.failed_at = state.members.position;
                        return false;
                    }
                    Err(error) => self.give_up(standing, state, &error.to_string()),
                }
            }
            state.members = Progress { standing: at + 1, ..Progress::default() };
        }
        true
    }

    async fn find(&self, standing: &Standing, state: &mut State) -> Result<bool, Error> {
        if let Members::Resources(_) = standing.members() {
            let Some(found) = self.resource_names().find(standing, state.members.again).await else {
                state.members.again = true;
                return Ok(false);
            };
            for (check, names) in found {
                match names {
                    Ok(names) => names.iter().for_each(|name| self.want(state, check, name)),
                    Err(why) => leave_alone(standing, state, check, &why),
                }
            }
            return Ok(true);
        }
        if state.members.things.is_none() {
            state.members.things = self.things(standing.members()).await?;
        }
        let Some(things) = state.members.things.take() else { return given_up(&mut state.members) };
        let done = self.want_things(standing, &things, state).await;
        state.members.things = Some(things);
        done
    }

    /// Leaves the checks with unknown members as they are. If only the certificates of the things are unknown, the things
    /// themselves are members.
    fn give_up(&self, standing: &Standing, state: &mut State, why: &str) {
        let things = state.members.things.take();
        for (place, check) in standing.checks().iter().enumerate() {
            match &things {
                Some(things) if Kind::of(check) == Some(Kind::ClientId) => {
                    for thing in things {
                        self.want(state, place, thing);
                    }
                }
                _ => leave_alone(standing, state, place, why),
            }
        }
    }

    /// The names of the things that are members; none if there was no time for all.
    async fn things(&self, members: &Members) -> Result<Option<Vec<String>>, Error> {
        let mut things: HashSet<String> = HashSet::new();
        let name = |thing: &Value| {
            let name = thing.get("thingName").unwrap_or(thing).as_str();
            name.map(ToOwned::to_owned)
        };
        let lists: Vec<(List, Value)> = match members {
            Members::Groups(groups) => {
                let input = |group| json!({"thingGroupName": group, "recursive": true});
                groups.iter().map(|group| (THINGS_OF_GROUP, input(group))).collect()
            }
            Members::Types(types) => types.iter().map(|of| (THINGS, json!({"thingTypeName": of}))).collect(),
            Members::Things(_) | Members::Resources(_) => match members.literals() {
                Some(names) => return Ok(Some(names.into_iter().map(ToOwned::to_owned).collect())),
                None => vec![(THINGS, json!({}))],
            },
        };
        let all = !matches!(members, Members::Things(_) | Members::Resources(_));
        for (list, input) in lists {
            let take = |thing: &Value| things.extend(name(thing).filter(|name| all || members.matches(name)));
            if !self.iot.list(list, object(input), &self.budget, take).await? {
                return Ok(None);
            }
        }
        let mut things: Vec<String> = things.into_iter().collect();
        things.sort_unstable();
        Ok(Some(things))
    }

    /// Wants a suppression for each thing: for its certificates, or for the thing itself as a client.
    async fn want_things(
        &self,
        standing: &Standing,
        things: &[String],
        state: &mut State,
    ) -> Result<bool, Error> {
        let of = |wanted: Kind| {
            standing.checks().iter().enumerate().filter(move |(_, check)| Kind::of(check) == Some(wanted))
        };
        let members: HashSet<&str> = things.iter().map(String::as_str).collect();
        let certificates = of(Kind::DeviceCertificate).next().is_some();
        loop {
            let rest = things.get(state.members.position..).unwrap_or_default();
            let chunk = rest.get(..PARALLEL.min(rest.len())).unwrap_or_default();
            if chunk.is_empty() {
                return Ok(true);
            }
            if self.budget.is_over() {
                return Ok(false);
            }
            let look = |thing: &String| {
                let (thing, members) = (thing.clone(), &members);
                async move { self.behind(&thing, members).await }
            };
            let behind: Vec<Behind> = if certificates {
                stream::iter(chunk).map(look).buffered(PARALLEL).try_collect().await?
            } else {
                Vec::new()
            };
            for Behind { certificates, shared } in behind {
                for certificate in certificates {
                    of(Kind::DeviceCertificate).for_each(|(check, _)| self.want(state, check, &certificate));
                }
                let at = state.members.standing;
                state.standing.get_mut(at).into_iter().for_each(|status| status.shared += shared);
            }
            for thing in chunk {
                of(Kind::ClientId).for_each(|(check, _)| self.want(state, check, thing));
            }
            state.members.position += chunk.len();
        }
    }

    async fn behind(&self, thing: &str, members: &HashSet<&str>) -> Result<Behind, Error> {
        let mut certificates = Vec::new();
        let unlimited = self.budget.unlimited();
        let take = |principal: &Value| {
            // A Cognito identity is a principal as well, and no check looks at one.
            certificates
                .extend(principal.as_str().filter(|arn| arn.contains(":cert/")).map(ToOwned::to_owned));
        };
        match self.iot.list(PRINCIPALS, object(json!({"thingName": thing})), &unlimited, take).await {
            // It was deleted since it was listed, or never was.
            Err(error) if error.is_code("ResourceNotFoundException") => {
                return Ok(Behind { certificates: Vec::new(), shared: 0 });
            }
            listed => listed?,
        };
        let mut behind = Behind { certificates: Vec::new(), shared: 0 };
        for arn in certificates {
            let mut own = true;
            let take = |thing: &Value| own &= thing.as_str().is_some_and(|thing| members.contains(thing));
            match self
                .iot
                .list(THINGS_OF_PRINCIPAL, object(json!({"principal": arn})), &unlimited, take)
                .await
            {
                // It was deleted since it was listed.
                Err(error) if error.is_code("ResourceNotFoundException") => continue,
                listed => listed?,
            };
            let id = arn.rsplit_once(":cert/").map(|(_, id)| id.to_owned());
            if own { behind.certificates.extend(id) } else { behind.shared += 1 }
        }
        Ok(behind)
    }

    fn resource_names(&self) -> ResourceNames<'_> {
        let Self { iot, budget, account, region, .. } = *self;
        ResourceNames { iot, budget, account, region }
    }

    /// Wants a suppression for the standing one whose members are being found. Of two that want the same, the first
    /// has it, and one in stage shadow takes nothing from a live one.
    fn want(&self, state: &mut State, check: usize, name: &str) {
        let all = self.policy.standing();
        let at = state.members.standing;
        let Some((checked, kind)) = all
            .get(at)
            .and_then(|standing| standing.checks().get(check))
            .and_then(|check| Some((check, Kind::of(check)?)))
        else {
            return;
        };
        let key = key(checked, &kind.identifier(name));
        let is_live = |at: usize| all.get(at).is_some_and(Standing::is_live);
        let has = state.listing.wanted.get(&key).map(|want| usize::from(want.standing));
        if has.is_none_or(|first| !is_live(first) && is_live(at)) {
            let (standing, check) =
                (u16::try_from(at).unwrap_or_default(), u8::try_from(check).unwrap_or_default());
            state.listing.wanted.insert(key, Want { standing, check, is: Is::Missing, name: name.into() });
        }
    }
}

/// Whether a standing suppression has ended by a second.
pub(crate) fn has_lapsed(standing: &Standing, now: u32) -> bool {
    matches!(standing.suppress().end, SuppressEnd::At(end) if end <= i64::from(now))
}

/// Leaves the suppressions for one check of the standing suppression whose members are being found as they are.
fn leave_alone(standing: &Standing, state: &mut State, place: usize, why: &str) {
    let Some(check) = standing.checks().get(place) else { return };
    tracing::warn!(
        standing = standing.name(), %check, error = why,
        "its members are unknown: its suppressions stay as they are"
    );
    state.leave_alone(state.members.standing, (place, check), why);
}

/// If a whole invocation cannot read a list, the members are unknown.
fn given_up(progress: &mut Progress) -> Result<bool, Error> {
    if progress.again {
        return Err(Error::Input(TOO_MANY.into()));
    }
    progress.again = true;
    Ok(false)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
