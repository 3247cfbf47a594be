//! The lists of Device Defender Detect, page by page, and its security profiles, each call in its turn.

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_security_profile::DescribeSecurityProfileOutput;
use aws_sdk_iot::types::BehaviorModelTrainingSummary;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::pace::Pace;
use fleetwarden_core::api::Operation;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;

/// The largest page of a list, and that of training summaries.
const PAGE: i32 = 250;
const SUMMARIES: i32 = 10;
/// An operation with its rate, as far as waiting for a turn needs it. For training summaries no rate is published: half
/// of the usual one.
const fn rate(name: &'static str, per_second: u32) -> Operation {
    Operation { name, method: "GET", path: "", per_second, members: &[] }
}

static PROFILES: Operation = rate("ListSecurityProfiles", 10);
static SUMMARY: Operation = rate("GetBehaviorModelTrainingSummaries", 5);
static DESCRIBE: Operation = rate("DescribeSecurityProfile", 25);

/// A list, as far as there was time for it.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) entries: Vec<T>,
    /// Whether these are all.
    pub(crate) are_all: bool,
}

/// Asks Detect, until it is time to stop.
pub(crate) struct Detect<'a> {
    pub(crate) iot: &'a Client,
    pub(crate) pace: &'a Pace,
    pub(crate) clock: &'a Clock,
    pub(crate) stop_at: Millis,
}

impl Detect<'_> {
    /// The names of all security profiles.
    pub(crate) async fn profiles(&self) -> Result<Listed<String>, Error> {
        self.pages(&PROFILES, async |token| {
            let list = self.iot.list_security_profiles().max_results(PAGE).set_next_token(token);
            let page = list.send().await.map_err(Error::aws(PROFILES.name, "the account"))?;
            let names = page.security_profile_identifiers.unwrap_or_default().into_iter();
            Ok((names.map(|profile| profile.name).collect(), page.next_token))
        })
        .await
    }

    /// The training summaries of all behaviors that a model judges.
    pub(crate) async fn summaries(&self) -> Result<Listed<BehaviorModelTrainingSummary>, Error> {
        self.pages(&SUMMARY, async |token| {
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

    async fn pages<T>(
        &self,
        operation: &'static Operation,
        page: impl AsyncFn(Option<String>) -> Result<(Vec<T>, Option<String>), Error>,
    ) -> Result<Listed<T>, Error> {
        let (mut entries, mut pages) = (Vec::new(), Pages::default());
        loop {
            if self.clock.now() >= self.stop_at {
                return Ok(Listed { entries, are_all: false });
            }
            let call = async || page(pages.token().map(ToOwned::to_owned)).await;
            let (more, token) = self.pace.call(operation, call).await?;
            entries.extend(more);
            let endless = |endless| Error::Later(format!("{}: {endless}", operation.name));
            if !pages.turn(token).map_err(endless)? {
                return Ok(Listed { entries, are_all: true });
            }
        }
    }
}

/// None if the service has no such thing.
pub(crate) fn if_there<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
        answer => answer.map(Some),
    }
}
