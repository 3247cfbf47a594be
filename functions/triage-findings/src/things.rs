//! What a decision asks of the AWS IoT registry: the things behind a resource, their types, attributes, groups.
//!
//! Before it, a policy that said what it wants; after it, the same policy, asked again. Nothing is looked up
//! that no decision wants, and nothing twice for one message. Whatever keeps an answer away becomes
//! [`Things::Unknown`], which lets nothing happen; it never fails a check, because all that needs no answer is
//! still to be done.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_iot::Client;
use aws_sdk_iot::config::retry::RetryConfig;
use aws_sdk_iot::config::retry::RetryPartition;
use aws_sdk_iot::config::retry::TokenBucket;
use aws_sdk_iot::error::ProvideErrorMetadata;
use aws_sdk_iot::error::SdkError;
use aws_sdk_iot::types::GroupNameAndArn;
use fleetwarden_aws::Error;
use fleetwarden_core::message::Audit;
use fleetwarden_core::names::is_thing_name;
use fleetwarden_core::names::shown;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::thing::Behind;
use fleetwarden_core::thing::Description;
use fleetwarden_core::thing::Thing;
use fleetwarden_core::thing::Things;
use tokio::sync::OnceCell;

/// More things behind one certificate are not looked up: that is no device, and costs 50 calls and more.
const MAX_THINGS: usize = 25;
/// A cache with so many entries is emptied: some megabytes.
const FULL: usize = 10_000;
/// Of things whose names are known, descriptions and groups: no decision has more to ask.
const STEPS: usize = 2;
/// How often one call is tried.
const ATTEMPTS: u32 = 6;
/// How long the first pause is after a failure other than throttling; the next are twice as long each.
const BACKOFF: Duration = Duration::from_millis(100);
/// The error code of what does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";
/// In place of an error code, when an answer lacks what it is for: that is no proof that there is nothing.
const NOTHING: &str = "an answer without content";

/// The registry, as far as one message has asked it.
pub(crate) struct Registry {
    plain: Client,
    patient: OnceLock<Client>,
    /// An ARN of a device certificate up to its id.
    certificates: String,
    principals: Cache<Vec<String>>,
    things: Cache<Option<Description>>,
    groups: Cache<Vec<String>>,
    above: Cache<Vec<String>>,
    calls: AtomicU64,
    unknown: AtomicU64,
    told: Mutex<BTreeSet<String>>,
}

/// Why nobody can say: the same words for the same cause, so that the same inputs give the same bytes.
type Unknown = String;

/// The time is up before the answer is there.
pub(crate) struct OutOfTime;

impl Registry {
    /// The registry of the audit's account and region.
    pub(crate) fn new(iot: &Client, audit: &Audit) -> Self {
        let (region, account) = (&audit.region, &audit.account);
        Self {
            plain: iot.clone(),
            patient: OnceLock::new(),
            certificates: format!("arn:{}:iot:{region}:{account}:cert/", partition(region)),
            principals: Cache::default(),
            things: Cache::default(),
            groups: Cache::default(),
            above: Cache::default(),
            calls: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }

    /// How many calls were made.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Of how many findings the things stayed unknown.
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Looks up what decisions on the subject want, step by step, within a time.
    ///
    /// # Errors
    /// If the time is up.
    pub(crate) async fn look_up(
        &self,
        policy: &Policy,
        subject: &Subject<'_>,
        within: Duration,
    ) -> Result<Things, OutOfTime> {
        if within.is_zero() {
            return Err(OutOfTime);
        }
        match tokio::time::timeout(within, self.learn(policy, subject)).await {
            Err(_) => Err(OutOfTime),
            Ok(Ok(things)) => Ok(things),
            Ok(Err(unknown)) => Ok(self.give_up(unknown)),
        }
    }

    /// The things are not known, for this reason. It is logged once, whatever the number of findings.
    pub(crate) fn give_up(&self, unknown: impl Into<String>) -> Things {
        let unknown = unknown.into();
        self.unknown.fetch_add(1, Ordering::Relaxed);
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(unknown.clone()) {
            tracing::warn!(reason = unknown, "the things behind a resource stay unknown");
        }
        Things::Unknown { unknown }
    }

    async fn learn(&self, policy: &Policy, subject: &Subject<'_>) -> Result<Things, Unknown> {
        let behind = subject.finding.identifier().map(|identifier| identifier.behind());
        let mut things = match behind {
            Some(behind) => Things::Known(self.behind(behind).await?),
            None => return Err("the finding names no resource".to_owned()),
        };
        for _ in 0..STEPS {
            let wanted = policy.decide(&Subject { things: &things, ..subject.clone() }).wanted;
            let Things::Known(known) = &mut things else { break };
            if wanted.is_nothing() {
                break;
            }
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
        let principal = format!("{}{id}", self.certificates);
        let most = i32::try_from(MAX_THINGS + 1).ok();
        let (mut names, mut token) = (BTreeSet::new(), None);
        loop {
            let list = self.client().list_principal_things().principal(&principal).set_max_results(most);
            let page = list.set_next_token(token.clone()).send().await;
            let page = page.map_err(failure("ListPrincipalThings"))?;
            names.extend(page.things.ok_or_else(|| failed("ListPrincipalThings", NOTHING))?);
            if names.len() > MAX_THINGS {
                return Err(format!("the certificate is attached to more than {MAX_THINGS} things"));
            }
            match following("ListPrincipalThings", token.as_ref(), page.next_token)? {
                None => return Ok(names.into_iter().collect()),
                next => token = next,
            }
        }
    }

    /// `DescribeThing`: what a thing says of itself. None if there is no such thing.
    async fn describe(&self, name: &str) -> Result<Option<Description>, Unknown> {
        let describe = async {
            let described = self.client().describe_thing().thing_name(name).send().await;
            match described {
                Ok(described) if described.thing_name.is_none() => Err(failed("DescribeThing", NOTHING)),
                Ok(described) => Ok(Some(Description {
                    thing_type: described.thing_type_name,
                    attributes: described.attributes.unwrap_or_default().into_iter().collect(),
                })),
                Err(error) if error.code() == Some(NOT_FOUND) => Ok(None),
                Err(error) => Err(failure("DescribeThing")(error)),
            }
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
        let (mut groups, mut token) = (BTreeSet::new(), None);
        loop {
            let list = self.client().list_thing_groups_for_thing().thing_name(name).max_results(250);
            let page = list.set_next_token(token.clone()).send().await;
            let page = page.map_err(failure("ListThingGroupsForThing"))?;
            let named = page.thing_groups.and_then(names_of);
            groups.extend(named.ok_or_else(|| failed("ListThingGroupsForThing", NOTHING))?);
            match following("ListThingGroupsForThing", token.as_ref(), page.next_token)? {
                None => return Ok(groups),
                next => token = next,
            }
        }
    }

    /// `DescribeThingGroup`: the groups above a group, up to the root.
    async fn list_above(&self, name: &str) -> Result<Vec<String>, Unknown> {
        let described = self.client().describe_thing_group().thing_group_name(name).send().await;
        let described = described.map_err(failure("DescribeThingGroup"))?;
        let path = described.thing_group_metadata.map(|m| m.root_to_parent_thing_groups.unwrap_or_default());
        path.and_then(names_of).ok_or_else(|| failed("DescribeThingGroup", NOTHING))
    }

    /// A client for one more call. It finds out by itself how fast it may ask: the service takes 10 of the
    /// slowest operation a second from the whole account, others ask too, and an operator can have that raised.
    fn client(&self) -> &Client {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.patient.get_or_init(|| {
            // The quota of retries is against storms on a service that is down; here each attempt is paced.
            let pace = RetryPartition::custom("registry").token_bucket(TokenBucket::unlimited()).build();
            let config = self.plain.config().to_builder().retry_partition(pace);
            let retries = RetryConfig::adaptive().with_max_attempts(ATTEMPTS).with_initial_backoff(BACKOFF);
            Client::from_conf(config.retry_config(retries).build())
        })
    }
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

fn failed(operation: &str, code: &str) -> Unknown {
    format!("{operation}: {}", shown(code))
}

/// A failure in words that are the same each time: without request ids and what else the service says.
fn failure<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> Unknown
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    move |error| match Error::aws(operation, "")(error) {
        Error::Aws { code, .. } => failed(operation, &code),
        other => other.to_string(),
    }
}

/// The token of the page after this one. The service could give one page for ever.
fn following(
    operation: &str,
    asked: Option<&String>,
    next: Option<String>,
) -> Result<Option<String>, Unknown> {
    let next = next.filter(|token| !token.is_empty());
    if next.is_some() && next.as_ref() == asked {
        return Err(format!("{operation}: the page token repeats"));
    }
    Ok(next)
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
    use std::sync::Arc;

    use fleetwarden_aws::testing::Answer;
    use fleetwarden_aws::testing::clients;
    use fleetwarden_core::timestamp::Millis;
    use serde_json::json;

    use super::*;

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
        let audit = Audit {
            account: "123456789012".into(),
            region: region.into(),
            task_id: "t".into(),
            schedule: None,
            started_at: Millis(0),
        };
        (Registry::new(&shared.iot(), &audit), asked)
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
}
