//! Detect: security profiles and what they are made of, and which devices each watches.
//!
//! Here is what an account defines. What comes of it (metrics, violations) is made from it, and never changes it.

pub(crate) mod collection;
pub(crate) mod control;
pub(crate) mod custom_metrics;
pub(crate) mod dimensions;
pub(crate) mod mitigation;
pub(crate) mod profiles;
mod reports;
mod rhythm;
pub(crate) mod scenario;
pub(crate) mod simulate;
pub(crate) mod switches;
pub(crate) mod targets;
#[cfg(test)]
mod tests;
mod topic;
pub(crate) mod violations;
pub(crate) mod watch;
pub(crate) mod watching;

use std::collections::BTreeMap;

use fleetwarden_behaviors::{Behaviors, CustomMetricType, Dimension as Narrowed, Metric, Stream};
use serde::Deserialize;
use serde_json::Value;

use custom_metrics::CustomMetric;
use dimensions::Dimension;
use profiles::Profile;

/// What an account defines.
#[derive(Debug, Default)]
pub(crate) struct Detect {
    /// Security profiles by name.
    pub(crate) profiles: BTreeMap<String, Profile>,
    /// Custom metrics by name.
    pub(crate) custom_metrics: BTreeMap<String, CustomMetric>,
    /// Dimensions by name.
    pub(crate) dimensions: BTreeMap<String, Dimension>,
}

/// `MetricToRetain`, as far as it says what is retained.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retained {
    metric: String,
    metric_dimension: Option<MetricDimension>,
}

/// `MetricDimension`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricDimension {
    dimension_name: String,
    #[serde(default)]
    operator: fleetwarden_behaviors::DimensionOperator,
}

impl Detect {
    /// The type of a custom metric, if it is defined.
    pub(crate) fn metric_type(&self, name: &str) -> Option<CustomMetricType> {
        self.custom_metrics.get(name).map(|metric| metric.kind)
    }

    /// Reads behaviors.
    ///
    /// # Errors
    /// What is wrong with them, in the words of the service.
    pub(crate) fn behaviors(&self, given: &[Value]) -> Result<Behaviors, Vec<String>> {
        let json = Value::from(given).to_string();
        let behaviors = Behaviors::parse(&json, |name| self.metric_type(name)).map_err(|wrong| {
            wrong.iter().map(fleetwarden_behaviors::Invalid::service_message).collect::<Vec<_>>()
        })?;
        let unknown = |behavior: &fleetwarden_behaviors::Behavior| {
            let dimension = behavior.stream().dimension.as_ref()?;
            let exists = self.dimensions.contains_key(&*dimension.name);
            let name = behavior.name();
            (!exists).then(|| {
                format!("Behavior {name} is malformed. dimensionName {} is not a dimension", dimension.name)
            })
        };
        let wrong: Vec<String> = behaviors.iter().filter_map(unknown).collect();
        if wrong.is_empty() { Ok(behaviors) } else { Err(wrong) }
    }

    /// Reads the metrics to retain: names, and those that may have a dimension.
    ///
    /// # Errors
    /// The first that is not there, in words.
    pub(crate) fn retained(&self, names: &[String], narrowed: &[Value]) -> Result<Vec<Stream>, String> {
        let mut streams = Vec::new();
        for name in names {
            streams.push(Stream { metric: self.metric(name)?, dimension: None });
        }
        for one in narrowed {
            let one = Retained::deserialize(one).map_err(|error| error.to_string())?;
            let dimension = one.metric_dimension.map(|dimension| Narrowed {
                name: dimension.dimension_name.into(),
                operator: dimension.operator,
            });
            let missing = dimension.as_ref().filter(|own| !self.dimensions.contains_key(&*own.name));
            if let Some(missing) = missing {
                return Err(format!("additionalMetricsToRetainV2: {} is not a dimension", missing.name));
            }
            streams.push(Stream { metric: self.metric(&one.metric)?, dimension });
        }
        Ok(streams)
    }

    fn metric(&self, name: &str) -> Result<Metric, String> {
        let words =
            || format!("additionalMetricsToRetain: {name} is neither built in nor a defined custom metric");
        Metric::named(name, |name| self.metric_type(name)).ok_or_else(words)
    }

    /// The profiles that use a custom metric.
    pub(crate) fn users_of_metric<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = &'a Profile> {
        self.users(move |stream| matches!(&stream.metric, Metric::Custom { name, .. } if **name == *metric))
    }

    /// The profiles that use a dimension.
    pub(crate) fn users_of_dimension<'a>(&'a self, dimension: &'a str) -> impl Iterator<Item = &'a Profile> {
        self.users(move |stream| stream.dimension.as_ref().is_some_and(|own| *own.name == *dimension))
    }

    fn users<'a>(&'a self, uses: impl Fn(&Stream) -> bool + 'a) -> impl Iterator<Item = &'a Profile> {
        self.profiles.values().filter(move |profile| profile.streams().any(&uses))
    }
}
