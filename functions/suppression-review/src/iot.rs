//! Calls of AWS IoT at the account's pace and within the time of an invocation, and lists page by page.

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::pace::Pace;
use fleetwarden_core::pages::Endless;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;

/// The largest page of a list.
pub(crate) const PAGE: u32 = 250;

/// What is left of an invocation.
#[derive(Clone, Copy)]
pub(crate) struct Budget<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) stop_at: Millis,
}

impl Budget<'_> {
    /// Whether the next invocation should continue.
    pub(crate) fn is_over(&self) -> bool {
        self.clock.now() >= self.stop_at
    }

    /// The same without an end: for what is small, and bounded by its caller.
    pub(crate) fn unlimited(self) -> Self {
        Self { stop_at: Millis(i64::MAX), ..self }
    }
}

/// A list of AWS IoT.
#[derive(Clone, Copy)]
pub(crate) struct List {
    pub(crate) operation: &'static str,
    /// The member of the answer that has the entries.
    pub(crate) entries: &'static str,
    /// Whether its pages are `marker` and `pageSize`, as those of older lists.
    pub(crate) marked: bool,
}

/// AWS IoT at the account's pace.
#[derive(Clone, Copy)]
pub(crate) struct Iot<'a> {
    pub(crate) api: &'a IotApi,
    pub(crate) pace: &'a Pace,
}

impl Iot<'_> {
    /// Makes a call when it is its turn.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        name: &'static str,
        input: Value,
    ) -> Result<T, Error> {
        self.pace.ask(self.api, name, input).await
    }

    /// Takes every entry of a list. False if there was no time for all of them.
    pub(crate) async fn list(
        &self,
        list: List,
        mut input: Map<String, Value>,
        budget: &Budget<'_>,
        mut take: impl FnMut(&Value),
    ) -> Result<bool, Error> {
        let (size, from, next) = if list.marked {
            ("pageSize", "marker", "nextMarker")
        } else {
            ("maxResults", "nextToken", "nextToken")
        };
        input.insert(size.to_owned(), PAGE.into());
        let mut pages = Pages::default();
        loop {
            if budget.is_over() {
                return Ok(false);
            }
            let page: Value = self.ask(list.operation, Value::Object(input.clone())).await?;
            // An answer without the list says nothing: as an empty list it would cost every member its suppression.
            let entries = page.get(list.entries).and_then(Value::as_array).ok_or_else(|| {
                Error::Later(format!("{}: the answer has no {}", list.operation, list.entries))
            })?;
            entries.iter().for_each(&mut take);
            let token = page.get(next).and_then(Value::as_str).map(ToOwned::to_owned);
            pages.turn(token).map_err(endless(list.operation))?;
            let Some(token) = pages.token() else { return Ok(true) };
            input.insert(from.to_owned(), token.into());
        }
    }
}

/// Why a list is not read to its end.
pub(crate) fn endless(list: &str) -> impl FnOnce(Endless) -> Error {
    move |endless| Error::Later(format!("{list}: {endless}"))
}
