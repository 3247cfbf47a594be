//! What a policy asks of the AWS IoT registry: the things behind a resource, their types, attributes, groups.
//!
//! Whoever decides asks the policy what it wants to know, has it looked up here, and asks the policy again. Nothing
//! is looked up that no decision wants, and nothing twice by one registry. Whatever keeps an answer away becomes
//! [`Things::Unknown`], which lets nothing happen; it fails nothing, because all that needs no answer is still to be
//! done.

mod answer;
mod cache;
mod denials;

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fleetwarden_core::names::is_thing_name;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::resource::ResourceIdentifier;
use fleetwarden_core::thing::Behind;
use fleetwarden_core::thing::Description;
use fleetwarden_core::thing::Thing;
use fleetwarden_core::thing::Things;
use fleetwarden_core::thing::Wanted;
use fleetwarden_core::untrusted::shown;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::Error;
use crate::iot_api::IotApi;
use crate::iot_api::UNREADABLE;
use crate::iot_api::known;
use crate::registry::answer::GroupAnswer;
use crate::registry::answer::GroupsPage;
use crate::registry::answer::ThingAnswer;
use crate::registry::answer::ThingsPage;
use crate::registry::answer::names_of;
use crate::registry::cache::Cache;
use crate::registry::denials::Denials;

/// More things behind one certificate are not looked up: that is no device, and costs 50 calls and more.
const MAX_THINGS: usize = 25;
/// Names, descriptions and groups: no decision has more to ask.
const STEPS: usize = 3;
/// The error codes of what is not permitted.
const DENIED: [&str; 2] = ["AccessDeniedException", "UnauthorizedException"];
/// The error code of what does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";
/// In place of an error code, when an answer lacks what it is for: that is no proof that there is nothing.
const NOTHING: &str = "an answer without content";

/// How calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the service takes many, however long that is.
    Patient,
    /// As any other call, because a person waits for the answer.
    Prompt,
}

/// The registry, as far as one message or command has asked it.
pub struct Registry {
    iot: IotApi,
    pace: Pace,
    /// An ARN of a device certificate up to its id.
    certificates: String,
    principals: Cache<Vec<String>>,
    things: Cache<Option<Description>>,
    groups: Cache<Vec<String>>,
    above: Cache<Vec<String>>,
    denials: Mutex<HashMap<&'static str, Denials>>,
    calls: AtomicU64,
    unknown: AtomicU64,
    /// The reasons that were logged.
    logged: Mutex<BTreeSet<String>>,
}

/// Why the answer is unknown: the same text for the same cause, so that the same inputs give the same bytes.
type Unknown = String;

/// The time is up before the answer is there.
#[derive(Clone, Copy, Debug)]
pub struct OutOfTime;

impl Registry {
    /// The registry of an account and region.
    pub fn new(iot: IotApi, pace: Pace, account: &str, region: &str) -> Self {
        Self {
            iot,
            pace,
            certificates: format!("arn:{}:iot:{region}:{account}:cert/", partition(region)),
            principals: Cache::default(),
            things: Cache::default(),
            groups: Cache::default(),
            above: Cache::default(),
            denials: Mutex::default(),
            calls: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            logged: Mutex::default(),
        }
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Of how many findings the things stayed unknown.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Looks up what is wanted to be known of the things behind a resource, step by step: `wants` says what that is
    /// when this much is known.
    pub async fn look_up(
        &self,
        identifier: Option<&ResourceIdentifier>,
        wants: impl Fn(&Things) -> Wanted,
    ) -> Things {
        self.learn(identifier, wants).await.unwrap_or_else(|unknown| self.give_up(unknown))
    }

    /// As [`look_up`](Self::look_up), within a time.
    ///
    /// # Errors
    /// If the time is up.
    pub async fn look_up_within(
        &self,
        within: Duration,
        identifier: Option<&ResourceIdentifier>,
        wants: impl Fn(&Things) -> Wanted,
    ) -> Result<Things, OutOfTime> {
        if within.is_zero() {
            return Err(OutOfTime);
        }
        tokio::time::timeout(within, self.look_up(identifier, wants)).await.map_err(|_| OutOfTime)
    }

    /// The things are not known, for this reason. It is logged once, whatever the number of findings.
    pub fn give_up(&self, unknown: impl Into<String>) -> Things {
        let unknown = unknown.into();
        self.unknown.fetch_add(1, Ordering::Relaxed);
        if self.logged.lock().unwrap_or_else(PoisonError::into_inner).insert(unknown.clone()) {
            tracing::warn!(reason = unknown, "the things behind a resource stay unknown");
        }
        Things::Unknown { unknown }
    }

    async fn learn(
        &self,
        identifier: Option<&ResourceIdentifier>,
        wants: impl Fn(&Things) -> Wanted,
    ) -> Result<Things, Unknown> {
        let mut things = Things::NotAsked;
        for _ in 0..STEPS {
            let wanted = wants(&things);
            if wanted.is_nothing() {
                break;
            }
            let Things::Known(known) = &mut things else {
                let identifier = identifier.ok_or("the finding names no resource")?;
                things = Things::Known(self.behind(identifier.behind()).await?);
                continue;
            };
            for thing in known {
                if wanted.descriptions && thing.described.is_none() {
                    let described = self.describe(&thing.name).await?;
                    thing.described = Some(described.ok_or_else(|| failed("DescribeThing", NOT_FOUND))?);
                }
                if wanted.groups && thing.groups.is_none() {
                    thing.groups = Some(self.groups(&thing.name).await?);
                }
            }
        }
        Ok(things)
    }

    /// The things behind a resource, by name and in its order.
    async fn behind(&self, behind: Behind<'_>) -> Result<Vec<Thing>, Unknown> {
        match behind {
            Behind::Nothing => Ok(Vec::new()),
            Behind::Many => Err("the resource stands for too many things to look up".to_owned()),
            Behind::Client(client) => {
                if !is_thing_name(client) {
                    return Err("the client id can be no thing's name".to_owned());
                }
                let described = self.describe(client).await?;
                let thing = described.map(|described| Thing {
                    name: client.to_owned(),
                    described: Some(described),
                    groups: None,
                });
                Ok(thing.into_iter().collect())
            }
            Behind::Certificate(certificate) => {
                let own = certificate.strip_prefix(&self.certificates).unwrap_or(certificate);
                if own.len() != 64 || !own.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err("the certificate is none of this account and region".to_owned());
                }
                let names = self.principals.get(own, self.list_things(own)).await?;
                let thing = |name| Thing { name, ..Thing::default() };
                Ok(names.into_iter().map(thing).collect())
            }
        }
    }

    /// `ListPrincipalThings`: the things that a certificate is attached to.
    async fn list_things(&self, id: &str) -> Result<Vec<String>, Unknown> {
        let operation = "ListPrincipalThings";
        let principal = format!("{}{id}", self.certificates);
        let (mut names, mut pages) = (BTreeSet::new(), Pages::default());
        loop {
            let input = json!({"principal": principal, "maxResults": MAX_THINGS + 1});
            let page: ThingsPage = self.ask(operation, paged(input, pages.token())).await?;
            names.extend(page.things.ok_or_else(|| failed(operation, NOTHING))?);
            if names.len() > MAX_THINGS {
                return Err(format!("the certificate is attached to more than {MAX_THINGS} things"));
            }
            if !turn(&mut pages, operation, page.next_token)? {
                return Ok(names.into_iter().collect());
            }
        }
    }

    /// `DescribeThing`: what a thing says of itself. None if there is no such thing.
    async fn describe(&self, name: &str) -> Result<Option<Description>, Unknown> {
        let describe = async {
            let operation = "DescribeThing";
            let described = self.ask_if_there(operation, json!({"thingName": name})).await?;
            let Some(described) = described else { return Ok(None) };
            let ThingAnswer { thing_name, thing_type_name, attributes } = described;
            thing_name.ok_or_else(|| failed(operation, NOTHING))?;
            Ok(Some(Description { thing_type: thing_type_name, attributes: attributes.unwrap_or_default() }))
        };
        self.things.get(name, describe).await
    }

    /// Every group that a thing is in, with those above them.
    async fn groups(&self, name: &str) -> Result<Vec<String>, Unknown> {
        let list = async {
            let direct = self.list_groups(name).await?;
            let mut groups = BTreeSet::new();
            for group in direct {
                groups.extend(self.above.get(&group, self.list_above(&group)).await?);
                groups.insert(group);
            }
            Ok(groups.into_iter().collect())
        };
        self.groups.get(name, list).await
    }

    /// `ListThingGroupsForThing`: the groups that a thing is in directly.
    async fn list_groups(&self, name: &str) -> Result<BTreeSet<String>, Unknown> {
        let operation = "ListThingGroupsForThing";
        let (mut groups, mut pages) = (BTreeSet::new(), Pages::default());
        loop {
            let input = json!({"thingName": name, "maxResults": 250});
            let page: GroupsPage = self.ask(operation, paged(input, pages.token())).await?;
            let named = page.thing_groups.and_then(names_of);
            groups.extend(named.ok_or_else(|| failed(operation, NOTHING))?);
            if !turn(&mut pages, operation, page.next_token)? {
                return Ok(groups);
            }
        }
    }

    /// `DescribeThingGroup`: the groups above a group, up to the root.
    async fn list_above(&self, name: &str) -> Result<Vec<String>, Unknown> {
        let operation = "DescribeThingGroup";
        let described: GroupAnswer = self.ask(operation, json!({"thingGroupName": name})).await?;
        let path = described.thing_group_metadata.map(|m| m.root_to_parent_thing_groups.unwrap_or_default());
        path.and_then(names_of).ok_or_else(|| failed(operation, NOTHING))
    }

    /// Makes one call for what must be there.
    async fn ask<T: DeserializeOwned>(&self, name: &'static str, input: Value) -> Result<T, Unknown> {
        self.ask_if_there(name, input).await?.ok_or_else(|| failed(name, NOT_FOUND))
    }

    /// Makes one call. None if what it asks for does not exist.
    async fn ask_if_there<T: DeserializeOwned>(
        &self,
        name: &'static str,
        input: Value,
    ) -> Result<Option<T>, Unknown> {
        let (operation, input) = known(name, input).map_err(|unknown| unknown.to_string())?;
        if let Some(denied) = self.with_denials(name, Denials::for_all) {
            return Err(denied);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let answer = match self.pace {
            Pace::Patient => self.iot.call_patiently(operation, &input).await,
            Pace::Prompt => self.iot.call(operation, &input).await,
        };
        let answer = match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::Aws { code, .. }) if code == NOT_FOUND => Ok(None),
            Err(Error::Aws { code, .. }) => {
                let why = failed(name, &code);
                if DENIED.contains(&code.as_str()) {
                    self.with_denials(name, |denials| denials.add(&why));
                }
                Err(why)
            }
            Err(other) => Err(other.to_string()),
        }?;
        self.with_denials(name, |denials| denials.answered = true);
        let read = |answer: Box<RawValue>| serde_json::from_str(answer.get());
        answer.map(read).transpose().map_err(|_| failed(name, UNREADABLE))
    }

    fn with_denials<T>(&self, operation: &'static str, act: impl FnOnce(&mut Denials) -> T) -> T {
        act(self.denials.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default())
    }
}

/// An input that asks for the page of a token.
fn paged(mut input: Value, token: Option<&str>) -> Value {
    if let (Value::Object(members), Some(token)) = (&mut input, token) {
        members.insert("nextToken".to_owned(), token.into());
    }
    input
}

/// The partition of a region, as it stands in ARNs.
fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// A failure in words that are the same each time: without request ids and what else the service says.
fn failed(operation: &str, code: &str) -> Unknown {
    format!("{operation}: {}", shown(code))
}

/// Takes the token that came with a page, and says whether there is another page.
fn turn(pages: &mut Pages, operation: &str, token: Option<String>) -> Result<bool, Unknown> {
    pages.turn(token).map_err(|endless| format!("{operation}: {endless}"))
}

#[cfg(test)]
mod tests;
