//! Metric values of things, page by page, within the rate that the account has and the time that there is.

use std::time::Duration;

use fleetwarden_behaviors::Behavior;
use fleetwarden_behaviors::Datapoint;
use fleetwarden_behaviors::DimensionOperator;
use fleetwarden_behaviors::Measured;
use fleetwarden_behaviors::Metric;
use fleetwarden_behaviors::MetricValue;
use fleetwarden_behaviors::Stream;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::calls::PAGE;
use fleetwarden_commands::calls::is;
use fleetwarden_commands::calls::members;
use fleetwarden_commands::calls::value;
use fleetwarden_commands::pages::turn;
use fleetwarden_core::api::Operation;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;

use crate::trial::KEPT_HOURS;

/// What is kept of the time for the change itself, in milliseconds.
const LAST_MS: i64 = 15_000;
/// Values that are just not too old when the period begins are when they are asked for.
const MARGIN_SECONDS: i64 = 60;

/// Reads metric values.
pub(super) struct Reader<'c> {
    service: &'c Service,
    operation: &'static Operation,
    ticks: Interval,
    from: Millis,
    to: Millis,
    until: Millis,
    complete: bool,
}

impl<'c> Reader<'c> {
    /// Reads those of the last hours.
    pub(super) fn new(service: &'c Service, hours: i64, deadline: Millis) -> Result<Self, Failure> {
        let operation = service.operation("ListMetricValues")?;
        let mut ticks = interval(Duration::from_secs(1) / operation.per_second.max(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let to = service.clock.now();
        let seconds = (hours.min(KEPT_HOURS) * 3600).min(KEPT_HOURS * 3600 - MARGIN_SECONDS);
        let from = to.plus_seconds(-seconds);
        let until = Millis(deadline.0.saturating_sub(LAST_MS));
        Ok(Self { service, operation, ticks, from, to, until, complete: true })
    }

    /// Whether there was time for all that was asked for.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The datapoints of a behavior's metric, of each thing, oldest first.
    pub(super) async fn values(
        &mut self,
        behavior: &Behavior,
        things: &[String],
    ) -> Result<Vec<Vec<Datapoint>>, Failure> {
        let mut values = Vec::new();
        for thing in things {
            values.push(self.of_thing(behavior.stream(), thing).await?);
        }
        Ok(values)
    }

    async fn of_thing(&mut self, stream: &Stream, thing: &str) -> Result<Vec<Datapoint>, Failure> {
        let mut input = self.input(stream, thing);
        let mut datapoints = Vec::new();
        let mut pages = Pages::default();
        loop {
            if self.service.clock.now() > self.until {
                self.complete = false;
                break;
            }
            self.ticks.tick().await;
            let page = match self.service.iot.call(self.operation, &input).await {
                Ok(page) => value(&page),
                // There is no such thing: it has no values.
                Err(error) if is(&error, "ResourceNotFoundException") => break,
                Err(error) => return Err(error.into()),
            };
            let values = page.get("metricDatumList").and_then(Value::as_array).into_iter().flatten();
            datapoints.extend(values.filter_map(|value| datapoint(stream, value)));
            let token = page.get("nextToken").and_then(Value::as_str).map(ToOwned::to_owned);
            if !turn(self.operation.name, &mut pages, &mut input, token)? {
                break;
            }
        }
        datapoints.sort_by_key(Datapoint::at);
        Ok(datapoints)
    }

    fn input(&self, stream: &Stream, thing: &str) -> Map<String, Value> {
        let mut input = json!({
            "thingName": thing, "metricName": name(&stream.metric), "startTime": self.from.seconds(),
            "endTime": self.to.seconds(), "maxResults": PAGE,
        });
        if let (Some(dimension), Some(input)) = (&stream.dimension, input.as_object_mut()) {
            let operator = match dimension.operator {
                DimensionOperator::In => "IN",
                DimensionOperator::NotIn => "NOT_IN",
            };
            input.insert("dimensionName".to_owned(), dimension.name.as_ref().into());
            input.insert("dimensionValueOperator".to_owned(), operator.into());
        }
        members(input)
    }
}

/// The name of a metric, as the API has it.
fn name(metric: &Metric) -> Value {
    match metric {
        Metric::Custom { name, .. } => name.as_ref().into(),
        Metric::BuiltIn(metric) => serde_json::to_value(metric).unwrap_or_default(),
    }
}

/// A datapoint. What is not of the metric's type is none: the service lists what it retained before, too.
fn datapoint(stream: &Stream, value: &Value) -> Option<Datapoint> {
    let at = millis(value.get("timestamp")?)?;
    let value: MetricValue = serde_json::from_value(value.get("value")?.clone()).ok()?;
    let measured = Measured::read(&stream.metric, &value).ok()?;
    Datapoint::new(stream.clone(), at, measured).ok()
}
