//! Metrics in the embedded metric format: lines that CloudWatch Logs turns into metrics, without a call.
//!
//! A metric stands in one place: the record that has its value also gives its name and its unit ([`Record`]), and
//! [`line()`] writes any record. Records by what they measure: [`check`]s of an audit, [`mitigations`] of a check, the
//! [`approvals`] of people, the [`debt`] of suppressions, [`invocation`]s, [`alarms`], [`models`], and what the schedules see of audits
//! ([`audit_watch`]) and alarms ([`alarm_watch`]).

pub mod alarm_watch;
pub mod alarms;
pub mod approvals;
pub mod audit_watch;
pub mod check;
pub mod debt;
pub mod invocation;
pub mod mitigations;
pub mod models;

use serde::Serialize;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use serde_json::json;

use crate::timestamp::Millis;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Fleetwarden";

/// What is measured at one moment: one line.
pub trait Record {
    /// The moment that the values are of.
    fn at(&self) -> Millis;

    /// The metrics.
    fn metrics(&self) -> Vec<Metric>;

    /// What the metrics are of; nothing for those of the whole account and region.
    fn dimensions(&self) -> Dimensions<'_> {
        Dimensions::default()
    }

    /// Members of the line that are neither metric nor dimension: for people who read the line.
    fn properties(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}

/// The dimensions of a record, each with its value.
#[derive(Debug, Default)]
pub struct Dimensions<'r> {
    /// The dimensions.
    pub by: Vec<(&'static str, &'r str)>,
    /// Whether the metrics also stand without dimensions.
    pub total: bool,
}

impl<'r> Dimensions<'r> {
    /// By these dimensions together.
    pub fn by<const N: usize>(by: [(&'static str, &'r str); N]) -> Self {
        Self { by: by.to_vec(), total: false }
    }
}

/// A metric with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    name: &'static str,
    unit: Unit,
    value: Number,
}

/// The unit of a metric (`MetricDatum`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// How many.
    Count,
    /// Seconds.
    Seconds,
    /// 0 to 100.
    Percent,
    /// No unit: a share, a state, days.
    None,
}

impl Metric {
    /// A number of things.
    pub fn count(name: &'static str, value: impl Into<Number>) -> Self {
        Self { name, unit: Unit::Count, value: value.into() }
    }

    /// A length of time in seconds.
    pub fn seconds(name: &'static str, value: impl Into<Number>) -> Self {
        Self { name, unit: Unit::Seconds, value: value.into() }
    }

    /// A share of 100. What is not a number is 0.
    pub fn percent(name: &'static str, value: f64) -> Self {
        Self { name, unit: Unit::Percent, value: number(value) }
    }

    /// A number without a unit.
    pub fn plain(name: &'static str, value: impl Into<Number>) -> Self {
        Self { name, unit: Unit::None, value: value.into() }
    }

    /// A fraction without a unit. What is not a number is 0.
    pub fn fraction(name: &'static str, value: f64) -> Self {
        Self { name, unit: Unit::None, value: number(value) }
    }
}

fn number(value: f64) -> Number {
    Number::from_f64(value).unwrap_or_else(|| 0.into())
}

/// The line of a record.
pub fn line(record: &impl Record) -> String {
    let (Dimensions { by, total }, metrics) = (record.dimensions(), record.metrics());
    let declared: Vec<Value> =
        metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit})).collect();
    let names: Vec<&str> = by.iter().map(|(name, _)| *name).collect();
    let sets: Vec<Vec<&str>> = [names].into_iter().chain(total.then(Vec::new)).collect();
    let directive = json!({
        "Timestamp": record.at().0,
        "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": sets, "Metrics": declared}],
    });
    let mut members = Map::from_iter([("_aws".to_owned(), directive)]);
    members.extend(record.properties().into_iter().map(|(name, value)| (name.to_owned(), value)));
    members.extend(by.into_iter().map(|(name, value)| (name.to_owned(), value.into())));
    members.extend(metrics.into_iter().map(|metric| (metric.name.to_owned(), metric.value.into())));
    Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Share(f64);

    impl Record for Share {
        fn at(&self) -> Millis {
            Millis(7)
        }

        fn metrics(&self) -> Vec<Metric> {
            vec![Metric::fraction("Share", self.0), Metric::count("Things", 2)]
        }

        fn dimensions(&self) -> Dimensions<'_> {
            Dimensions { total: true, ..Dimensions::by([("Place", "here")]) }
        }
    }

    #[test]
    fn a_line_declares_each_metric_that_it_has() {
        let line: Value = serde_json::from_str(&line(&Share(0.5))).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["Place"], []]));
        assert_eq!(
            directive["Metrics"],
            json!([{"Name": "Share", "Unit": "None"}, {"Name": "Things", "Unit": "Count"}])
        );
        assert_eq!(
            (&line["Share"], &line["Things"], &line["Place"]),
            (&json!(0.5), &json!(2), &json!("here"))
        );
    }

    #[test]
    fn what_is_no_number_is_zero() {
        let line: Value = serde_json::from_str(&line(&Share(f64::NAN))).unwrap();
        assert_eq!(line["Share"], 0);
    }
}
