//! Where a report comes from: calls at half of the rate that AWS allows an account, so that triage has the other
//! half, until a moment; and what could not be had.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use fleetwarden_core::api::Operation;
use fleetwarden_core::pages::Pages;
use serde_json::Map;
use serde_json::Value;
use tokio::time::Instant;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::timeout_at;

use crate::Service;
use crate::calls::PAGE;
use crate::calls::members;
use crate::calls::value;
use crate::failure::Failure;
use crate::pages::turn;

/// The longest error that a gap tells, in characters.
const TOLD: usize = 300;

/// All that a report asks.
pub struct Sources<'c> {
    service: &'c Service,
    until: Instant,
    /// Why, and for what.
    gaps: RefCell<BTreeMap<String, Vec<String>>>,
}

impl<'c> Sources<'c> {
    /// Sources that have this much time.
    pub fn new(service: &'c Service, left: Duration) -> Self {
        Self { service, until: Instant::now() + left, gaps: RefCell::default() }
    }

    /// Does the work that tells `what`. If it fails, the report has a gap.
    pub async fn tell(&self, what: impl Into<String>, work: impl Future<Output = Result<(), Failure>>) {
        let outcome = timeout_at(self.until, work).await.unwrap_or_else(|_| Err(Failure::out_of_time()));
        if let Err(failure) = outcome {
            let todo = match failure.name() {
                "OutOfTime" => "ask again when less is going on",
                name if name.contains("AccessDenied") => {
                    &format!("let the role of {} do that", self.service.family.commands.function)
                }
                _ => "ask again later",
            };
            self.gap(what, format!("{}; {todo}", cut(&failure.to_string(), TOLD)));
        }
    }

    /// Notes what is not known, and why.
    pub fn gap(&self, what: impl Into<String>, why: impl Into<String>) {
        self.gaps.borrow_mut().entry(why.into()).or_default().push(what.into());
    }

    /// A line for each reason.
    pub fn into_gaps(self) -> Vec<String> {
        let gaps = self.gaps.into_inner().into_iter();
        gaps.map(|(why, what)| format!("{}: {why}", what.join(", "))).collect()
    }

    /// Calls of an operation.
    ///
    /// # Errors
    /// If the family has no such operation.
    pub fn calls(&self, name: &str) -> Result<Calls<'c>, Failure> {
        let operation = self.service.operation(name)?;
        let mut ticks = interval(Duration::from_secs(2) / operation.per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Calls { service: self.service, operation, ticks })
    }
}

/// Calls of one operation, one after the other.
pub struct Calls<'c> {
    service: &'c Service,
    operation: &'static Operation,
    ticks: Interval,
}

impl Calls<'_> {
    /// One call.
    ///
    /// # Errors
    /// The service's.
    pub async fn ask(&mut self, input: Value) -> Result<Value, Failure> {
        self.call(&members(input)).await
    }

    /// Full pages to the end, or until there are no pages left to ask for, or who takes them has enough. Says whether
    /// it came to the end.
    ///
    /// # Errors
    /// The service's, and a token that comes twice.
    pub async fn pages(
        &mut self,
        input: Value,
        left: &mut u32,
        mut take: impl FnMut(Vec<Value>) -> bool,
    ) -> Result<bool, Failure> {
        let name = self.operation.name;
        let (mut input, mut pages) = (members(input), Pages::default());
        input.insert("maxResults".to_owned(), PAGE.into());
        let mut wanted = true;
        while wanted && *left > 0 {
            *left -= 1;
            let mut page = self.call(&input).await?;
            if let Some(Value::Array(entries)) =
                page.get_mut((self.service.family.entries)(name)).map(Value::take)
            {
                wanted = take(entries);
            }
            let token = text(&page, "nextToken").map(ToOwned::to_owned);
            if !turn(name, &mut pages, &mut input, token)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn call(&mut self, input: &Map<String, Value>) -> Result<Value, Failure> {
        self.ticks.tick().await;
        Ok(value(&self.service.iot.call(self.operation, input).await?))
    }
}

/// A text of an answer; nothing if it is not there.
pub fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The start of a text that may be of any length.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
