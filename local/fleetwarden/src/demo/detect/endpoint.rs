//! What the endpoint is told to do, and what it says has really happened.

use crate::cloud::{ACCOUNT, REGION};
use crate::defender::Defender;
use anyhow::{Context as _, Result};
use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// An event of a violation, as the service lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    /// The violation.
    pub(super) violation: String,
    /// `in-alarm`, `alarm-cleared` or `alarm-invalidated`.
    pub(super) kind: String,
    /// The thing.
    pub(super) thing: String,
    /// The security profile.
    pub(super) profile: String,
    /// The behavior.
    pub(super) behavior: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    violation_id: String,
    violation_event_type: String,
    thing_name: String,
    security_profile_name: String,
    behavior: Named,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

impl Defender {
    /// Moves the endpoint's clock forward, and has everything evaluated up to then.
    pub(super) async fn advance(&self, by: Duration) -> Result<()> {
        let body = json!({ "advanceMs": u64::try_from(by.as_millis()).unwrap_or(u64::MAX) });
        self.call(Method::POST, "/_control/clock", &body).await?;
        self.call(Method::GET, "/_control/detect/state", &Value::Null).await?;
        Ok(())
    }

    /// The endpoint's clock, epoch milliseconds.
    pub(super) async fn now_ms(&self) -> Result<i64> {
        let answer = self.call(Method::GET, "/_control/clock", &Value::Null).await?;
        answer.get("nowMs").and_then(Value::as_i64).context("the endpoint has no clock")
    }

    /// Begins a scenario, and gives its number.
    pub(super) async fn begin(&self, order: &Value) -> Result<i64> {
        let answer = self.call(Method::POST, "/_control/detect/scenarios", order).await?;
        answer.get("scenario").and_then(Value::as_i64).context("the scenario has no number")
    }

    /// Ends a scenario.
    pub(super) async fn end(&self, scenario: i64) -> Result<()> {
        let path = format!("/_control/detect/scenarios/{scenario}");
        self.call(Method::DELETE, &path, &Value::Null).await?;
        Ok(())
    }

    /// Makes a security profile with models of two metrics, for the things of a group.
    pub(super) async fn watch_by_models(&self, profile: &str, group: &str) -> Result<()> {
        let model = |name: &str, metric: &str| {
            let criteria = json!({ "MlDetectionConfig": { "ConfidenceLevel": "HIGH" } });
            json!({ "Name": name, "Metric": metric, "Criteria": criteria })
        };
        let properties = json!({
            "SecurityProfileName": profile,
            "TargetArns": [format!("arn:aws:iot:{REGION}:{ACCOUNT}:thinggroup/{group}")],
            "Behaviors": [
                model("SentModel", "aws:num-messages-sent"),
                model("ReceivedModel", "aws:num-messages-received"),
            ],
        });
        self.create("AWS::IoT::SecurityProfile", &properties).await
    }

    /// The things of the registry.
    pub(super) async fn things(&self) -> Result<BTreeSet<String>> {
        let things = self.all("/things?maxResults=250", "things").await?;
        Ok(things.iter().filter_map(|thing| thing.get("thingName")?.as_str().map(str::to_owned)).collect())
    }

    /// The things in a group and in those below it. A group that is not there has none.
    pub(super) async fn members(&self, group: &str) -> Result<BTreeSet<String>> {
        let path = format!("/thing-groups/{group}/things?recursive=true&maxResults=250");
        let things = match self.all(&path, "things").await {
            Err(error) if format!("{error:#}").contains("404") => Vec::new(),
            things => things?,
        };
        Ok(things.iter().filter_map(|thing| thing.as_str().map(str::to_owned)).collect())
    }

    /// All events between two moments, epoch milliseconds (`ListViolationEvents`).
    pub(super) async fn events(&self, from: i64, to: i64) -> Result<Vec<Event>> {
        let time = |ms: i64| -> Result<String> {
            let time = Timestamp::from_second(ms / 1_000)?.to_string();
            Ok(form_urlencoded::byte_serialize(time.as_bytes()).collect())
        };
        let path =
            format!("/violation-events?startTime={}&endTime={}&maxResults=250", time(from)?, time(to)?);
        let listed = self.all(&path, "violationEvents").await?;
        listed.into_iter().map(event).collect()
    }

    /// All pages of a list.
    async fn all(&self, path: &str, member: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let page = self.call(Method::GET, &format!("{path}{token}"), &Value::Null).await?;
            all.extend(page.get(member).and_then(Value::as_array).into_iter().flatten().cloned());
            let Some(next) = page.get("nextToken").and_then(Value::as_str) else { return Ok(all) };
            let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
            token = format!("&nextToken={next}");
        }
    }
}

fn event(listed: Value) -> Result<Event> {
    let listed: Listed =
        serde_json::from_value(listed).context("an event of a violation has another shape")?;
    Ok(Event {
        violation: listed.violation_id,
        kind: listed.violation_event_type,
        thing: listed.thing_name,
        profile: listed.security_profile_name,
        behavior: listed.behavior.name,
    })
}
