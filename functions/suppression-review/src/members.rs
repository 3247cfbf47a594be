//! Who the members of the standing suppressions are: which suppressions are wanted.
//!
//! If the members of one cannot be found out, nothing of it is touched: a group that cannot be listed is not an empty
//! one.

use std::collections::HashMap;
use std::collections::HashSet;

use fleetwarden_aws::Error;
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
            let failed = if has_lapsed(standing, seconds(state.began)) {
                state.standing.get_mut(at).into_iter().for_each(|kept| kept.lapsed = true);
                None
            } else {
                match self.find(standing, state, budget).await {
                    Ok(true) => None,
                    Ok(false) => return false,
                    // What was found out in hours is not thrown away for one failure.
                    Err(error) if state.members.position > state.members.failed_at => {
                        tracing::warn!(standing = standing.name(), %error, "it is tried again from here");
                        state.members.failed_at = state.members.position;
                        return false;
                    }
                    Err(error) => Some(error.to_string()),
                }
            };
            if let Some(error) = failed {
                tracing::warn!(
                    standing = standing.name(),
                    error,
                    "its members are not known: it stays as it is"
                );
                state.listing.wanted.retain(|_, want| usize::from(want.standing) != at);
                if let Some(kept) = state.standing.get_mut(at) {
                    (kept.unknown, kept.error) = (true, Some(error));
                }
            }
            state.members = Progress { standing: at + 1, ..Progress::default() };
        }
        true
    }

    async fn find(&self, standing: &Standing, state: &mut State, budget: &Budget) -> Result<bool, Error> {
        if let Members::Resources(_) = standing.members() {
            let found = self.resources(standing, budget).await?;
            let Some(found) = found else { return given_up(&mut state.members) };
            for (check, name) in found {
                self.want(state, check, &name);
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

    /// The names of the resources that are members, by the place of their check; none if there was no time for all.
    async fn resources(
        &self,
        standing: &Standing,
        budget: &Budget,
    ) -> Result<Option<Vec<(usize, String)>>, Error> {
        let (members, mut found) = (standing.members(), Vec::new());
        // Two checks may look at the same kind of resource.
        let mut listed: HashMap<&'static str, Vec<String>> = HashMap::new();
        for (at, check) in standing.checks().iter().enumerate() {
            let Some(kind) = Kind::of(check) else {
                return Err(Error::Input(format!(
                    "what {check} looks at cannot be named; let a rule suppress it"
                )));
            };
            if let Some(names) = members.literals() {
                found.extend(names.into_iter().map(|name| (at, name.to_owned())));
                continue;
            }
            let (list, member) = match kind {
                Kind::DeviceCertificate => (CERTIFICATES, "certificateId"),
                Kind::CaCertificate => (AUTHORITIES, "certificateId"),
                Kind::PolicyVersion => (POLICIES, "policyName"),
                Kind::RoleAlias => (ROLE_ALIASES, ""),
                Kind::ClientId => (THINGS, "thingName"),
                Kind::Account => {
                    found.extend(members.matches(&self.account).then(|| (at, self.account.clone())));
                    continue;
                }
                Kind::IdentityPool => {
                    return Err(Error::Input(format!(
                        "no list has what {check} looks at; write whole names instead of patterns"
                    )));
                }
            };
            if !listed.contains_key(list.operation) {
                let Some(names) = self.names(list, member, members, budget).await? else { return Ok(None) };
                listed.insert(list.operation, names);
            }
            found.extend(listed.get(list.operation).into_iter().flatten().map(|name| (at, name.clone())));
        }
        Ok(Some(found))
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

/// A list that a whole invocation cannot go through is given up.
fn given_up(progress: &mut Progress) -> Result<bool, Error> {
    if progress.again {
        return Err(Error::Input("it has more members than one invocation can list".into()));
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
