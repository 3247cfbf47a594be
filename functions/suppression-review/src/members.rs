//! Who the members of the standing suppressions are: which suppressions are wanted.
//!
//! If the members of one cannot be found out, nothing of it is touched: a group that cannot be listed is not an empty
//! one.

use std::collections::HashMap;
use std::collections::HashSet;

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::policy::Members;
use fleetwarden_core::policy::Standing;
use fleetwarden_core::policy::SuppressEnd;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::SuppressionReview;
use crate::calls::Budget;
use crate::calls::List;
use crate::memory::seconds;
use crate::resources::Kind;
use crate::resources::key;
use crate::state::Is;
use crate::state::Progress;
use crate::state::State;
use crate::state::Want;

/// How many things are looked behind side by side; the pace of the calls is kept all the same.
const PARALLEL: usize = 8;

/// Why a list is given up.
const TOO_MANY: &str = "it has more members than one invocation can list";

const THINGS: List = List { operation: "ListThings", entries: "things", marked: false };
const THINGS_OF_GROUP: List = List { operation: "ListThingsInThingGroup", entries: "things", marked: false };
const PRINCIPALS: List = List { operation: "ListThingPrincipals", entries: "principals", marked: false };
const THINGS_OF_PRINCIPAL: List = List { operation: "ListPrincipalThings", entries: "things", marked: false };
const CERTIFICATES: List = List { operation: "ListCertificates", entries: "certificates", marked: true };
const AUTHORITIES: List = List { operation: "ListCACertificates", entries: "certificates", marked: true };
const POLICIES: List = List { operation: "ListPolicies", entries: "policies", marked: true };
const ROLE_ALIASES: List = List { operation: "ListRoleAliases", entries: "roleAliases", marked: true };

/// The certificates behind a thing, and how many of them are attached to others, too.
struct Behind {
    certificates: Vec<String>,
    shared: u64,
}

impl SuppressionReview {
    /// Finds the members of the standing suppressions. False if the next invocation has to go on.
    pub(crate) async fn find_members(&self, state: &mut State, budget: &Budget) -> bool {
        while let Some(standing) = self.policy.standing().get(state.members.standing) {
            let at = state.members.standing;
            if has_lapsed(standing, seconds(state.began)) {
                state.standing.get_mut(at).into_iter().for_each(|kept| kept.lapsed = true);
            } else {
                match self.find(standing, state, budget).await {
                    Ok(true) => {}
                    Ok(false) => return false,
                    // What was found out in hours is not thrown away for one failure.
                    Err(error) if state.members.position > state.members.failed_at => {
                        tracing::warn!(standing = standing.name(), %error, "it is tried again from here");
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

    async fn find(&self, standing: &Standing, state: &mut State, budget: &Budget) -> Result<bool, Error> {
        if let Members::Resources(_) = standing.members() {
            let Some(found) = self.resources(standing, state.members.again, budget).await else {
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
            state.members.things = self.things(standing.members(), budget).await?;
        }
        let Some(things) = state.members.things.take() else { return given_up(&mut state.members) };
        let done = self.look_behind(standing, &things, state, budget).await;
        state.members.things = Some(things);
        done
    }

    /// Leaves alone the checks of whose members nothing is known. If only what is behind the things is not known, the
    /// things themselves are.
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
    async fn things(&self, members: &Members, budget: &Budget) -> Result<Option<Vec<String>>, Error> {
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
            if !self.each(list, object(input), budget, take).await? {
                return Ok(None);
            }
        }
        let mut things: Vec<String> = things.into_iter().collect();
        things.sort_unstable();
        Ok(Some(things))
    }

    /// Wants what is behind the things: their certificates, or they themselves as clients.
    async fn look_behind(
        &self,
        standing: &Standing,
        things: &[String],
        state: &mut State,
        budget: &Budget,
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
            if budget.is_over() {
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
                state.standing.get_mut(at).into_iter().for_each(|kept| kept.shared += shared);
            }
            for thing in chunk {
                of(Kind::ClientId).for_each(|(check, _)| self.want(state, check, thing));
            }
            state.members.position += chunk.len();
        }
    }

    async fn behind(&self, thing: &str, members: &HashSet<&str>) -> Result<Behind, Error> {
        let mut certificates = Vec::new();
        let unlimited = self.unlimited();
        let take = |principal: &Value| {
            // A Cognito identity is a principal as well, and no check looks at one.
            certificates
                .extend(principal.as_str().filter(|arn| arn.contains(":cert/")).map(ToOwned::to_owned));
        };
        match self.each(PRINCIPALS, object(json!({"thingName": thing})), &unlimited, take).await {
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
            match self.each(THINGS_OF_PRINCIPAL, object(json!({"principal": arn})), &unlimited, take).await {
                // It was deleted since it was listed.
                Err(error) if error.is_code("ResourceNotFoundException") => continue,
                listed => listed?,
            };
            let id = arn.rsplit_once(":cert/").map(|(_, id)| id.to_owned());
            if own { behind.certificates.extend(id) } else { behind.shared += 1 }
        }
        Ok(behind)
    }

    /// The names of the resources that are members, by the place of their check, or why they are not known; none if
    /// there was no time for all and there may be another time (`again`).
    async fn resources(
        &self,
        standing: &Standing,
        again: bool,
        budget: &Budget,
    ) -> Option<Vec<(usize, Result<Vec<String>, String>)>> {
        let members = standing.members();
        let mut found = Vec::with_capacity(standing.checks().len());
        // Two checks may look at the same kind of resource.
        let mut listed: HashMap<&'static str, Result<Vec<String>, String>> = HashMap::new();
        for (at, check) in standing.checks().iter().enumerate() {
            let names = match (members.literals(), list_of(check)) {
                (_, Err(why)) => Err(why),
                (Some(names), _) => Ok(names.into_iter().map(ToOwned::to_owned).collect()),
                (None, Ok(Listed::Account)) => {
                    Ok(Some(self.account.clone()).into_iter().filter(|name| members.matches(name)).collect())
                }
                (None, Ok(Listed::Nowhere)) => {
                    Err(format!("no list has what {check} looks at; write whole names instead of patterns"))
                }
                (None, Ok(Listed::In(list, member))) => {
                    if !listed.contains_key(list.operation) {
                        let names = match self.names(list, member, members, budget).await {
                            Ok(None) if !again => return None,
                            Ok(names) => names.ok_or_else(|| TOO_MANY.to_owned()),
                            Err(error) => Err(error.to_string()),
                        };
                        listed.insert(list.operation, names);
                    }
                    listed.get(list.operation).cloned().unwrap_or_else(|| Ok(Vec::new()))
                }
            };
            found.push((at, names));
        }
        Some(found)
    }

    /// The names in a list that are members'.
    async fn names(
        &self,
        list: List,
        member: &str,
        members: &Members,
        budget: &Budget,
    ) -> Result<Option<Vec<String>>, Error> {
        let mut names = Vec::new();
        let aliases =
            format!("arn:{}:iot:{}:{}:rolealias/", partition(&self.region), self.region, self.account);
        let take = |entry: &Value| match entry.as_str() {
            Some(alias) => names.push(format!("{aliases}{alias}")),
            None => names.extend(entry.get(member).and_then(Value::as_str).map(ToOwned::to_owned)),
        };
        if !self.each(list, Map::new(), budget, take).await? {
            return Ok(None);
        }
        if list.operation == POLICIES.operation {
            for name in &mut names {
                if budget.is_over() {
                    return Ok(None);
                }
                let policy: Value = self.paced("GetPolicy", json!({"policyName": name})).await?;
                let version = policy.get("defaultVersionId").and_then(Value::as_str).unwrap_or_default();
                *name = format!("{name}:{version}");
            }
        }
        names.retain(|name| members.matches(name));
        Ok(Some(names))
    }

    /// Wants a suppression for the standing one whose members are being found. Of two that want the same, the first
    /// has it, and one in shadow takes nothing from one that is kept.
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

    /// A budget for what is small: its end is looked at elsewhere.
    fn unlimited(&self) -> Budget {
        Budget { clock: self.clock.clone(), stop_at: fleetwarden_core::timestamp::Millis(i64::MAX) }
    }
}

/// Whether a standing suppression has ended by a second.
pub(crate) fn has_lapsed(standing: &Standing, now: u32) -> bool {
    matches!(standing.suppress().end, SuppressEnd::At(end) if end <= i64::from(now))
}

/// Leaves alone what the standing suppression whose members are being found has for one of its checks.
fn leave_alone(standing: &Standing, state: &mut State, place: usize, why: &str) {
    let Some(check) = standing.checks().get(place) else { return };
    tracing::warn!(
        standing = standing.name(), %check, error = why,
        "its members are not known: it stays as it is"
    );
    state.leave_alone(state.members.standing, (place, check), why);
}

/// Where the resources are listed at which a check looks.
enum Listed {
    /// In a list, whose entries have the name in this member.
    In(List, &'static str),
    /// It is the account itself.
    Account,
    /// In none.
    Nowhere,
}

fn list_of(check: &CheckName) -> Result<Listed, String> {
    let kind = Kind::of(check)
        .ok_or_else(|| format!("what {check} looks at cannot be named; let a rule suppress it"))?;
    Ok(match kind {
        Kind::DeviceCertificate => Listed::In(CERTIFICATES, "certificateId"),
        Kind::CaCertificate => Listed::In(AUTHORITIES, "certificateId"),
        Kind::PolicyVersion => Listed::In(POLICIES, "policyName"),
        Kind::RoleAlias => Listed::In(ROLE_ALIASES, ""),
        Kind::ClientId => Listed::In(THINGS, "thingName"),
        Kind::Account => Listed::Account,
        Kind::IdentityPool => Listed::Nowhere,
    })
}

/// A list that a whole invocation cannot go through is given up.
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

/// The partition that a region is in.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
