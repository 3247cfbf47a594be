//! The service's JSON of a behavior: every member optional, unknown members ignored, null taken for missing.

use serde::{Deserialize, Serialize};

use crate::criteria::{Confidence, Criteria, Expectation, Statistic};
use crate::metric::{Dimension, DimensionOperator};
use crate::operator::{Comparison, ComparisonOperator, Membership};
use crate::value::MetricValue;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WireBehavior {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metric: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metric_dimension: Option<WireDimension>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) criteria: Option<WireCriteria>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suppress_alerts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) export_metric: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WireDimension {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dimension_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<DimensionOperator>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WireCriteria {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comparison_operator: Option<ComparisonOperator>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<MetricValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consecutive_datapoints_to_alarm: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consecutive_datapoints_to_clear: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statistical_threshold: Option<WireStatistic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ml_detection_config: Option<WireDetection>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WireStatistic {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statistic: Option<Statistic>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WireDetection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confidence_level: Option<Confidence>,
}

impl From<&Dimension> for WireDimension {
    fn from(dimension: &Dimension) -> Self {
        Self { dimension_name: Some(dimension.name.as_ref().into()), operator: Some(dimension.operator) }
    }
}

impl From<&Criteria> for WireCriteria {
    fn from(criteria: &Criteria) -> Self {
        let mut wire = Self {
            duration_seconds: criteria.duration.and_then(|duration| i64::try_from(duration.as_secs()).ok()),
            consecutive_datapoints_to_alarm: Some(criteria.to_alarm.into()),
            consecutive_datapoints_to_clear: Some(criteria.to_clear.into()),
            ..Self::default()
        };
        match &criteria.expectation {
            Expectation::Limit { comparison, value, .. } => {
                wire.comparison_operator = Some((*comparison).into());
                wire.value = Some(value.to_value());
            }
            Expectation::Members { membership, value, .. } => {
                wire.comparison_operator = Some(set_operator(*membership, value));
                wire.value = Some(value.clone());
            }
            Expectation::Percentile { comparison, statistic } => {
                wire.comparison_operator = Some((*comparison).into());
                wire.statistical_threshold = Some(WireStatistic { statistic: Some(*statistic) });
            }
            Expectation::Model { confidence } => {
                wire.ml_detection_config = Some(WireDetection { confidence_level: Some(*confidence) });
            }
        }
        wire
    }
}

impl From<Comparison> for ComparisonOperator {
    fn from(comparison: Comparison) -> Self {
        match comparison {
            Comparison::LessThan => Self::LessThan,
            Comparison::LessThanEquals => Self::LessThanEquals,
            Comparison::GreaterThan => Self::GreaterThan,
            Comparison::GreaterThanEquals => Self::GreaterThanEquals,
        }
    }
}

fn set_operator(membership: Membership, value: &MetricValue) -> ComparisonOperator {
    match (membership, value.cidrs.is_some(), value.ports.is_some()) {
        (Membership::Inside, true, _) => ComparisonOperator::InCidrSet,
        (Membership::Outside, true, _) => ComparisonOperator::NotInCidrSet,
        (Membership::Inside, _, true) => ComparisonOperator::InPortSet,
        (Membership::Outside, _, true) => ComparisonOperator::NotInPortSet,
        (Membership::Inside, ..) => ComparisonOperator::InSet,
        (Membership::Outside, ..) => ComparisonOperator::NotInSet,
    }
}
