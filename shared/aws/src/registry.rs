//! What a policy asks of the AWS IoT registry: the things behind a resource, their types, attributes, groups.
//!
//! Whoever decides asks the policy what it wants to know, has it looked up here, and asks the policy again. Nothing
//! is looked up that no decision wants, and nothing twice by one registry. Whatever keeps an answer away becomes
//! [`Things::Unknown`], which lets nothing happen; it fails nothing, because all that needs no answer is still to be
//! done.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_iot::types::GroupNameAndArn;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fleetwarden_core::ids::names::is_thing_name;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Behind;
use fleetwarden_core::model::thing::Description;
use fleetwarden_core::model::thing::Thing;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::model::thing::Wanted;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::untrusted::shown;
use tokio::sync::OnceCell;

use crate::Error;
use crate::clients::RegistryClient;

/// More things behind one certificate are not looked up: that is no device, and costs 50 calls and more.
const MAX_THINGS: usize = 25;
/// How many things of a certificate are asked for at once: one more shows that there are too many.
const THINGS_PAGE: i32 = 26;
/// How many groups of a thing are asked for at once.
const GROUPS_PAGE: i32 = 250;
/// A cache with so many entries is emptied: some megabytes.
const FULL: usize = 10_000;
/// Names, descriptions and groups: no decision has more to ask.
const STEPS: usize = 3;
/// An operation that was denied so often, and never answered, is denied for all resources: it is not asked again. A
/// few are asked about before that, because one resource can be denied by itself.
const DENIALS: u32 = 10;
/// The error codes of what is not permitted.
const DENIED: [&str; 2] = ["AccessDeniedException", "UnauthorizedException"];
/// The error code of what does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";
/// In place of an error code, when an answer lacks what it is for: that is no proof that there is nothing.
const NOTHING: &str = "an answer without content";

/// The registry, as far as one message or command has asked it.
pub struct Registry {
    iot: RegistryClient,
    /// An ARN of a device certificate up to its id.
    certificates: String,
    principals: Cache<Vec<String>>,
    things: Cache<Option<Description>>,
    groups: Cache<Vec<String>>,
    above: Cache<Vec<String>>,
    denials: Mutex<HashMap<&'static str, Denials>>,
    calls: AtomicU64,
    unknown: AtomicU64,
    told: Mutex<BTreeSet<String>>,
}

/// Why nobody can say: the same words for the same cause, so that the same inputs give the same bytes.
type Unknown = String;

/// How often an operation was denied.
#[derive(Debug, Default)]
struct Denials {
    count: u32,
    /// In words.
    last: Unknown,
    /// It was answered for some resource, so that each may be worth a call.
    answered: bool,
}

/// The time is up before the answer is there.
#[derive(Clone, Copy, Debug)]
pub struct OutOfTime;

impl Registry {
    /// The registry of an account and region.
    pub fn new(iot: RegistryClient, account: &str, region: &str) -> Self {
        Self {
            iot,
            certificates: certificates_of(account, region),
            principals: Cache::default(),
            things: Cache::default(),
            groups: Cache::default(),
            above: Cache::default(),
            denials: Mutex::default(),
            calls: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            told: Mutex::default(),
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
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(unknown.clone()) {
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
            let list =
                self.iot.client().list_principal_things().principal(&principal).max_results(THINGS_PAGE);
            let list = list.set_next_token(pages.token().map(ToOwned::to_owned));
            let page = self.ask(operation, Box::pin(list.send())).await?;
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
            let describe = self.iot.client().describe_thing().thing_name(name).send();
            let Some(described) = self.ask_if_there(operation, Box::pin(describe)).await? else {
                return Ok(None);
            };
            described.thing_name.ok_or_else(|| failed(operation, NOTHING))?;
            let attributes = described.attributes.into_iter().flatten().collect();
            Ok(Some(Description { thing_type: described.thing_type_name, attributes }))
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
            let list =
                self.iot.client().list_thing_groups_for_thing().thing_name(name).max_results(GROUPS_PAGE);
            let list = list.set_next_token(pages.token().map(ToOwned::to_owned));
            let page = self.ask(operation, Box::pin(list.send())).await?;
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
        let describe = self.iot.client().describe_thing_group().thing_group_name(name).send();
        let described = self.ask(operation, Box::pin(describe)).await?;
        let path = described.thing_group_metadata.map(|m| m.root_to_parent_thing_groups.unwrap_or_default());
        path.and_then(names_of).ok_or_else(|| failed(operation, NOTHING))
    }

    /// Makes one call for what must be there.
    async fn ask<T, E, R>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, Unknown>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug,
    {
        self.ask_if_there(operation, call).await?.ok_or_else(|| failed(operation, NOT_FOUND))
    }

    /// Makes one call. None if what it asks for does not exist.
    async fn ask_if_there<T, E, R>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<Option<T>, Unknown>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug,
    {
        if let Some(denied) = self.with_denials(operation, Denials::for_all) {
            return Err(denied);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let answer = match call.await.map_err(Error::aws(operation, "")) {
            Ok(answer) => Some(answer),
            Err(Error::Aws { code, .. }) if code == NOT_FOUND => None,
            Err(Error::Aws { code, .. }) => {
                let why = failed(operation, &code);
                if DENIED.contains(&code.as_str()) {
                    self.with_denials(operation, |denials| denials.add(&why));
                }
                return Err(why);
            }
            Err(other) => return Err(other.to_string()),
        };
        self.with_denials(operation, |denials| denials.answered = true);
        Ok(answer)
    }

    fn with_denials<T>(&self, operation: &'static str, act: impl FnOnce(&mut Denials) -> T) -> T {
        act(self.denials.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default())
    }
}

impl Denials {
    fn add(&mut self, why: &Unknown) {
        self.count += 1;
        self.last.clone_from(why);
    }

    /// Why no resource is worth a call, if it is so.
    fn for_all(&mut self) -> Option<Unknown> {
        (self.count >= DENIALS && !self.answered).then(|| self.last.clone())
    }
}

/// An ARN of a device certificate of an account and region up to its id.
pub(crate) fn certificates_of(account: &str, region: &str) -> String {
    format!("arn:{}:iot:{region}:{account}:cert/", partition(region))
}

/// The partition of a region, as it stands in ARNs.
fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The names of groups. None if one has no name.
fn names_of(groups: Vec<GroupNameAndArn>) -> Option<Vec<String>> {
    groups.into_iter().map(|group| group.group_name).collect()
}

/// A failure in words that are the same each time: without request ids and what else the service says.
fn failed(operation: &str, code: &str) -> Unknown {
    format!("{operation}: {}", shown(code))
}

/// Takes the token that came with a page, and says whether there is another page.
fn turn(pages: &mut Pages, operation: &str, token: Option<String>) -> Result<bool, Unknown> {
    pages.turn(token).map_err(|endless| format!("{operation}: {endless}"))
}

/// Answers by what was asked. Who asks while another waits for the same answer waits too; a failure is no answer.
struct Cache<V>(Mutex<HashMap<String, Arc<OnceCell<V>>>>);

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Cache<V> {
    async fn get(&self, key: &str, ask: impl Future<Output = Result<V, Unknown>>) -> Result<V, Unknown> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if cells.len() >= FULL && !cells.contains_key(key) {
                cells.clear();
            }
            Arc::clone(cells.entry(key.to_owned()).or_default())
        };
        // On the heap: an answer often needs others, and each call is large.
        cell.get_or_try_init(|| Box::pin(ask)).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clients::Pace;
    use crate::testing::Answer;
    use crate::testing::clients;

    /// A registry of a region in which every certificate has one thing, and the principals that it was asked for.
    fn registry(region: &str) -> (Registry, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let principals = Arc::clone(&asked);
        let shared = clients(move |call| {
            let mut headers = call.headers.into_iter();
            let principal = headers.find(|(name, _)| name == "x-amzn-principal").unwrap().1;
            principals.lock().unwrap().push(principal);
            Answer::ok(json!({"things": ["pump"]}))
        });
        (Registry::new(shared.registry(Pace::Prompt), "123456789012", region), asked)
    }

    #[tokio::test]
    async fn a_certificate_is_the_same_by_id_and_by_arn() {
        let id = "a".repeat(64);
        for (region, partition) in
            [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
        {
            let (registry, asked) = registry(region);
            let arn = format!("arn:{partition}:iot:{region}:123456789012:cert/{id}");
            for certificate in [&id, &arn] {
                let things = registry.behind(Behind::Certificate(certificate)).await.unwrap();
                assert_eq!(things, [Thing { name: "pump".into(), ..Thing::default() }]);
            }
            assert_eq!((asked.lock().unwrap().as_slice(), registry.calls()), ([arn].as_slice(), 1));
        }
    }

    #[tokio::test]
    async fn what_can_be_no_name_is_not_asked_for() {
        let (registry, asked) = registry("us-east-1");
        let elsewhere = format!("arn:aws:iot:eu-west-1:123456789012:cert/{}", "a".repeat(64));
        let long = "a".repeat(129);
        for behind in [
            Behind::Certificate(""),
            Behind::Certificate("../things"),
            Behind::Certificate(&elsewhere),
            Behind::Client(""),
            Behind::Client("a/b"),
            Behind::Client("ä"),
            Behind::Client(&long),
            Behind::Many,
        ] {
            assert!(registry.behind(behind).await.is_err(), "{behind:?}");
        }
        assert_eq!(registry.behind(Behind::Nothing).await.unwrap(), []);
        assert!(asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_cache_never_holds_more_than_it_may_and_no_failure() {
        let cache = Cache::default();
        for number in 0..=FULL {
            cache.get(&number.to_string(), async { Ok(number) }).await.unwrap();
        }
        assert_eq!(cache.0.lock().unwrap().len(), 1);
        assert!(cache.get("new", async { Err("no".into()) }).await.is_err());
        assert_eq!(cache.get("new", async { Ok(7) }).await, Ok(7));
        assert_eq!(cache.get("new", async { Ok(8) }).await, Ok(7));
    }

    #[tokio::test]
    async fn pages_that_come_again_are_no_answer() {
        let calls = Arc::new(Mutex::new(0));
        let shared = clients(move |_| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            assert!(*calls < 100, "it goes round for ever");
            Answer::ok(json!({"things": ["pump"], "nextToken": (*calls % 3).to_string()}))
        });
        let registry = Registry::new(shared.registry(Pace::Prompt), "123456789012", "us-east-1");
        let unknown = registry.behind(Behind::Certificate(&"a".repeat(64))).await.unwrap_err();
        assert!(
            unknown.starts_with("ListPrincipalThings: the service gave the same token twice"),
            "{unknown}"
        );
    }

    #[tokio::test]
    async fn what_is_denied_for_all_is_not_asked_for_ever() {
        let certificate = |number: u32| format!("{number:064x}");
        // Denied for the first so many.
        for (denied, calls) in [(u32::MAX, DENIALS), (DENIALS - 1, 50)] {
            let shared = clients(move |call| {
                let principal =
                    call.headers.into_iter().find(|(name, _)| name == "x-amzn-principal").unwrap().1;
                let (_, number) = principal.rsplit_once('/').unwrap();
                if u32::from_str_radix(number, 16).unwrap() < denied {
                    return Answer::error(403, "AccessDeniedException", "{}");
                }
                Answer::ok(json!({"things": []}))
            });
            let registry = Registry::new(shared.registry(Pace::Prompt), "123456789012", "us-east-1");
            for number in 0..50 {
                let things = registry.behind(Behind::Certificate(&certificate(number))).await;
                let wanted = if number < denied {
                    Err("ListPrincipalThings: AccessDeniedException".to_owned())
                } else {
                    Ok(Vec::new())
                };
                assert_eq!(things, wanted);
            }
            assert_eq!(registry.calls(), u64::from(calls));
        }
    }
}
