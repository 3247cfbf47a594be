//! Calls of AWS IoT, each in its turn, and lists page by page.

use aws_sdk_iot::operation::describe_security_profile::DescribeSecurityProfileOutput;
use aws_sdk_iot::types::BehaviorModelTrainingSummary;
use fleetwarden_aws::Error;
use fleetwarden_core::api::Operation;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;

use crate::MlModelStatus;

/// The largest page of a list, and that of training summaries.
const PAGE: i32 = 250;
const SUMMARIES: i32 = 10;
/// Of a group with more pages of things nobody counts the devices.
const GROUP_PAGES: usize = 80;

/// An operation with its rate, as far as waiting for a turn needs it. For training summaries no rate is published: half
/// of the usual one.
const fn rate(name: &'static str, per_second: u32) -> Operation {
    Operation { name, method: "GET", path: "", per_second, members: &[] }
}

static PROFILES: Operation = rate("ListSecurityProfiles", 10);
static SUMMARY: Operation = rate("GetBehaviorModelTrainingSummaries", 5);
static DESCRIBE: Operation = rate("DescribeSecurityProfile", 25);
static TARGETS: Operation = rate("ListTargetsForSecurityProfile", 10);
static GROUP: Operation = rate("ListThingsInThingGroup", 25);
static STATISTICS: Operation = rate("GetStatistics", 20);

/// A list, as far as there was time for it.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) entries: Vec<T>,
    /// Whether these are all.
    pub(crate) are_all: bool,
}

impl MlModelStatus {
    /// The names of all security profiles.
    pub(crate) async fn profiles(&self, stop_at: Millis) -> Result<Listed<String>, Error> {
        self.pages(&PROFILES, stop_at, async |token| {
            let list = self.iot.list_security_profiles().max_results(PAGE).set_next_token(token);
            let page = list.send().await.map_err(Error::aws(PROFILES.name, "the account"))?;
            let names = page.security_profile_identifiers.unwrap_or_default().into_iter();
            Ok((names.map(|profile| profile.name).collect(), page.next_token))
        })
        .await
    }

    /// The training summaries of all behaviors that a model judges.
    pub(crate) async fn summaries(
        &self,
        stop_at: Millis,
    ) -> Result<Listed<BehaviorModelTrainingSummary>, Error> {
        self.pages(&SUMMARY, stop_at, async |token| {
            let get = self.iot.get_behavior_model_training_summaries().max_results(SUMMARIES);
            let page = get.set_next_token(token).send().await;
            let page = page.map_err(Error::aws(SUMMARY.name, "the account"))?;
            Ok((page.summaries.unwrap_or_default(), page.next_token))
        })
        .await
    }

    /// A security profile; none if it is gone by now.
    pub(crate) async fn describe(
        &self,
        profile: &str,
    ) -> Result<Option<DescribeSecurityProfileOutput>, Error> {
        let describe = self.iot.describe_security_profile().security_profile_name(profile);
        let call = async || describe.clone().send().await.map_err(Error::aws(DESCRIBE.name, profile));
        if_there(self.pace.call(&DESCRIBE, call).await)
    }

    /// The ARNs of the targets of a security profile; none if it is gone by now.
    pub(crate) async fn targets(&self, profile: &str) -> Result<Option<Vec<String>>, Error> {
        let targets = self.pages(&TARGETS, Millis(i64::MAX), async |token| {
            let list = self.iot.list_targets_for_security_profile().security_profile_name(profile);
            let page = list.max_results(PAGE).set_next_token(token).send().await;
            let page = page.map_err(Error::aws(TARGETS.name, profile))?;
            let arns = page.security_profile_targets.unwrap_or_default().into_iter();
            Ok((arns.map(|target| target.arn).collect(), page.next_token))
        });
        Ok(if_there(targets.await)?.map(|targets| targets.entries))
    }

    /// How many things are in a group and the groups below it. None: the group is gone, or very large.
    pub(crate) async fn things_in(&self, group: &str) -> Result<Option<u64>, Error> {
        let (mut count, mut pages) = (0, Pages::default());
        for _ in 0..GROUP_PAGES {
            let list = self.iot.list_things_in_thing_group().thing_group_name(group).recursive(true);
            let list = list.max_results(PAGE).set_next_token(pages.token().map(ToOwned::to_owned));
            let call = async || list.clone().send().await.map_err(Error::aws(GROUP.name, group));
            let Some(page) = if_there(self.pace.call(&GROUP, call).await)? else { return Ok(None) };
            count += page.things().len() as u64;
            if !turn(&GROUP, &mut pages, page.next_token)? {
                return Ok(Some(count));
            }
        }
        Ok(None)
    }

    /// How many things there are, if the fleet index says so.
    pub(crate) async fn all_things(&self) -> Result<Option<u64>, Error> {
        let get = self.iot.get_statistics().query_string("thingName:*");
        let call = async || get.clone().send().await.map_err(Error::aws(STATISTICS.name, "all things"));
        let answer = self.pace.call(&STATISTICS, call).await?;
        Ok(answer.statistics.and_then(|all| u64::try_from(all.count).ok()))
    }

    async fn pages<T>(
        &self,
        operation: &'static Operation,
        stop_at: Millis,
        page: impl AsyncFn(Option<String>) -> Result<(Vec<T>, Option<String>), Error>,
    ) -> Result<Listed<T>, Error> {
        let (mut entries, mut pages) = (Vec::new(), Pages::default());
        loop {
            if self.clock.now() >= stop_at {
                return Ok(Listed { entries, are_all: false });
            }
            let call = async || page(pages.token().map(ToOwned::to_owned)).await;
            let (more, token) = self.pace.call(operation, call).await?;
            entries.extend(more);
            if !turn(operation, &mut pages, token)? {
                return Ok(Listed { entries, are_all: true });
            }
        }
    }
}

fn turn(operation: &Operation, pages: &mut Pages, token: Option<String>) -> Result<bool, Error> {
    pages.turn(token).map_err(|endless| Error::Later(format!("{}: {endless}", operation.name)))
}

fn if_there<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
        answer => answer.map(Some),
    }
}
