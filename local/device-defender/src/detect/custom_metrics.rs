//! Custom metrics: what devices report beside the metrics that AWS defines.

use fleetwarden_behaviors::CustomMetricType;
use serde_json::{Map, Value, json};

use crate::clock::seconds;

/// Device Defender quotas: custom metrics.
pub(crate) const MOST_CUSTOM_METRICS: usize = 100;

/// A custom metric. Its name and its type never change.
#[derive(Debug, Clone)]
pub(crate) struct CustomMetric {
    /// Its place in the order of creation.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) kind: CustomMetricType,
    pub(crate) display_name: Option<String>,
    /// The `clientRequestToken` that it was created with.
    pub(crate) token: String,
    /// Epoch milliseconds.
    pub(crate) created: i64,
    /// Epoch milliseconds.
    pub(crate) modified: i64,
}

impl CustomMetric {
    /// The answer of `DescribeCustomMetric`.
    pub(crate) fn describe(&self) -> Value {
        let mut described = Map::new();
        let mut put = |name: &str, value: Value| described.insert(name.to_owned(), value);
        put("metricName", self.name.as_str().into());
        put("metricArn", self.arn.as_str().into());
        put("metricType", json!(self.kind));
        if let Some(name) = &self.display_name {
            put("displayName", name.as_str().into());
        }
        put("creationDate", seconds(self.created).into());
        put("lastModifiedDate", seconds(self.modified).into());
        Value::Object(described)
    }
}
