//! The registry of AWS IoT: lists of an account, at a rate that leaves others some of what the account has.

use super::settings::Settings;
use anyhow::{Error, anyhow};
use aws_sdk_iot::Client;
use aws_sdk_iot::config::retry::RetryConfig;
use aws_sdk_iot::config::timeout::TimeoutConfig;
use aws_sdk_iot::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use fleetwarden_core::pages::Pages;
use fleetwarden_core::untrusted::shown;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often a call is tried. The client slows down by itself when the service says that it is asked too often.
const TRIES: u32 = 10;
/// What hangs for so long is tried again.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The error code of what does not exist, as a thing that was deleted a moment ago.
const NOT_FOUND: &str = "ResourceNotFoundException";

/// The registry of an account and region.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The SDK's client.
    pub(crate) iot: Client,
    apart: Duration,
    /// When the next call of an operation may be made: the account has a rate for each.
    next: Mutex<HashMap<&'static str, Instant>>,
}

/// Why a call has no good answer.
#[derive(Debug)]
pub(crate) struct Refused {
    code: Option<String>,
    words: String,
}

/// A page of a list: its items, and the token for the next one.
pub(crate) type Page<T> = Result<(Vec<T>, Option<String>), Refused>;

/// A list, and how far it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pages: Pages,
    ended: bool,
}

impl Registry {
    /// The registry that this machine's settings lead to, asked so often a second for each operation.
    pub(crate) fn new(settings: &Settings, per_second: NonZeroU32) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TIMEOUT).build();
        let config = aws_sdk_iot::config::Builder::from(settings.config())
            .retry_config(RetryConfig::adaptive().with_max_attempts(TRIES))
            .timeout_config(timeouts);
        Self {
            iot: Client::from_conf(config.build()),
            apart: Duration::from_secs(1) / per_second.get(),
            next: Mutex::default(),
        }
    }

    /// Makes a call of an operation when it is its turn. None if what it asks for does not exist.
    pub(crate) async fn ask<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, Refused>>,
    ) -> Result<Option<T>, Error> {
        let turn = self.turn(operation);
        tokio::time::sleep_until(turn).await;
        match call.await {
            Ok(answer) => Ok(Some(answer)),
            Err(Refused { code: Some(code), .. }) if code == NOT_FOUND => Ok(None),
            Err(refused) => Err(anyhow!("{operation}: {refused}")),
        }
    }

    /// The next page of a list. None at its end, or if what it lists does not exist.
    pub(crate) async fn page<T, C>(
        &self,
        operation: &'static str,
        listing: &mut Listing,
        call: impl FnOnce(Option<String>) -> C,
    ) -> Result<Option<Vec<T>>, Error>
    where
        C: Future<Output = Page<T>>,
    {
        if listing.ended {
            return Ok(None);
        }
        let token = listing.pages.token().map(str::to_owned);
        let Some((items, next)) = self.ask(operation, call(token)).await? else { return Ok(None) };
        let more = listing.pages.turn(next).map_err(|endless| anyhow!("{operation}: {endless}"))?;
        listing.ended = !more;
        Ok(Some(items))
    }

    fn turn(&self, operation: &'static str) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let next = next.entry(operation).or_insert_with(Instant::now);
        let turn = (*next).max(Instant::now());
        *next = turn + self.apart;
        turn
    }
}

impl Refused {
    /// An answer lacks what it is for: that is no proof that there is nothing.
    pub(crate) fn without(member: &str) -> Self {
        Self { code: None, words: format!("the answer has no {member}") }
    }
}

impl<E, R> From<SdkError<E, R>> for Refused
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: fmt::Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        let code = error.code().map(str::to_owned);
        let words = error.message().map(str::to_owned);
        Self { code, words: words.unwrap_or_else(|| DisplayErrorContext(&error).to_string()) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{}: {}", shown(code), shown(&self.words)),
            None => write!(f, "{}", shown(&self.words)),
        }
    }
}
