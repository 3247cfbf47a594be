//! The two lists of Device Defender Detect, page by page, each call in its turn.

use aws_sdk_iot::Client;
use aws_sdk_iot::primitives::DateTime;
use aws_sdk_iot::types::ActiveViolation;
use aws_sdk_iot::types::ViolationEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::pace::Pace;
use fleetwarden_core::api::Operation;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;

/// The largest page of a list.
const PAGE: i32 = 250;

/// An operation with its rate, as far as waiting for a turn needs it.
const fn rate(name: &'static str) -> Operation {
    Operation { name, method: "GET", path: "", per_second: 10, members: &[] }
}

static EVENTS: Operation = rate("ListViolationEvents");
static ACTIVE: Operation = rate("ListActiveViolations");

/// Asks Detect, until it is time to stop.
pub(crate) struct Detect<'a> {
    pub(crate) iot: &'a Client,
    pub(crate) pace: &'a Pace,
    pub(crate) clock: &'a Clock,
    pub(crate) stop_at: Millis,
}

/// Which active violations are listed. AWS does not document what `listSuppressedAlerts` does when it is absent: to miss
/// none, ask both ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'p> {
    pub(crate) profile: Option<&'p str>,
    pub(crate) suppressed: Option<bool>,
}

impl Detect<'_> {
    /// Lists the events from one moment to another, page by page. False if there was no time for all of them.
    pub(crate) async fn violation_events(
        &self,
        (from, to): (Millis, Millis),
        take: impl AsyncFnMut(Vec<ViolationEvent>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let page = async |token: Option<String>| {
            let list = self.iot.list_violation_events().max_results(PAGE).set_next_token(token);
            let list = list.start_time(time(from)).end_time(time(to));
            let page = list.send().await.map_err(Error::aws(EVENTS.name, "the account"))?;
            Ok((page.violation_events.unwrap_or_default(), page.next_token))
        };
        self.pages(&EVENTS, page, take).await
    }

    /// Lists the active violations, page by page. False if there was no time for all of them.
    pub(crate) async fn active_violations(
        &self,
        filter: Filter<'_>,
        take: impl AsyncFnMut(Vec<ActiveViolation>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let page = async |token: Option<String>| {
            let list = self.iot.list_active_violations().max_results(PAGE).set_next_token(token);
            let list = list.set_security_profile_name(filter.profile.map(ToOwned::to_owned));
            let page = list.set_list_suppressed_alerts(filter.suppressed).send().await;
            let page = page.map_err(Error::aws(ACTIVE.name, filter.profile.unwrap_or("the account")))?;
            Ok((page.active_violations.unwrap_or_default(), page.next_token))
        };
        match self.pages(&ACTIVE, page, take).await {
            // A profile that does not exist has none.
            Err(error) if filter.profile.is_some() && error.is_code("ResourceNotFoundException") => Ok(true),
            answer => answer,
        }
    }

    async fn pages<T>(
        &self,
        operation: &'static Operation,
        page: impl AsyncFn(Option<String>) -> Result<(Vec<T>, Option<String>), Error>,
        mut take: impl AsyncFnMut(Vec<T>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let mut pages = Pages::default();
        loop {
            if self.clock.now() >= self.stop_at {
                return Ok(false);
            }
            let call = async || page(pages.token().map(ToOwned::to_owned)).await;
            let (entries, token) = self.pace.call(operation, call).await?;
            take(entries).await?;
            let endless = |endless| Error::Later(format!("{}: {endless}", operation.name));
            if !pages.turn(token).map_err(endless)? {
                return Ok(true);
            }
        }
    }
}

fn time(at: Millis) -> DateTime {
    DateTime::from_secs(at.seconds())
}
