//! Behaviors of a security profile: read from the service's JSON, and valid once they exist.
//!
//! Where AWS does not say whether a combination is legal, it is refused here if it has no meaning (a behavior
//! without a metric, a value beside a percentile) and accepted if it has one (an empty set).

use std::collections::HashSet;
use std::ops::Deref;
use std::time::Duration;

use fleetwarden_core::untrusted::shown;
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::criteria::{Criteria, ElementSet, Expectation};
use crate::error::{Invalid, Problems};
use crate::metric::{CustomMetricType, Dimension, DurationRule, Kind, Metric, Stream};
use crate::operator::{Comparison, Operator};
use crate::set::{AddressSet, Finite, Set, network};
use crate::value::{MetricValue, Quantity, member};
use crate::wire::{WireBehavior, WireCriteria, WireDimension};

/// Behaviors a security profile has at most (AWS IoT Device Defender quotas).
pub const MOST_BEHAVIORS: usize = 100;
/// Elements that the values of all its criteria have at most (same page).
pub const MOST_VALUE_ELEMENTS: usize = 1000;
/// The windows that criteria may have, in seconds.
pub const DURATIONS: [u64; 5] = [300, 600, 900, 1800, 3600];

/// A behavior.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    name: String,
    stream: Stream,
    criteria: Option<Criteria>,
    suppress_alerts: bool,
    export_metric: Option<bool>,
    /// What it is known by: its name, since events carry no other id.
    pub(crate) identity: u32,
    /// What it asks, so that a change of it is seen.
    pub(crate) question: u32,
    /// What a percentile or a model learns from: the same for another confidence or another count of datapoints.
    pub(crate) subject: u32,
}

impl Behavior {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which datapoints it looks at.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What it expects; without criteria the metric is only collected.
    pub fn criteria(&self) -> Option<&Criteria> {
        self.criteria.as_ref()
    }

    /// If its alarms are not sent to SNS. They are listed all the same.
    pub fn suppresses_alerts(&self) -> bool {
        self.suppress_alerts
    }

    fn to_wire(&self) -> WireBehavior {
        WireBehavior {
            name: Some(self.name.clone()),
            metric: Some(metric_name(&self.stream.metric)),
            metric_dimension: self.stream.dimension.as_ref().map(WireDimension::from),
            criteria: self.criteria.as_ref().map(WireCriteria::from),
            suppress_alerts: Some(self.suppress_alerts),
            export_metric: self.export_metric,
        }
    }
}

/// As the service writes it.
impl Serialize for Behavior {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_wire().serialize(serializer)
    }
}

/// The behaviors of a security profile, each with a name of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Behaviors(Vec<Behavior>);

impl Deref for Behaviors {
    type Target = [Behavior];

    fn deref(&self) -> &[Behavior] {
        &self.0
    }
}

impl Behaviors {
    /// Reads the list that `CreateSecurityProfile` takes and `DescribeSecurityProfile` gives. `custom` gives the
    /// type of each custom metric that is defined.
    ///
    /// # Errors
    /// Every field that is wrong; only the first when a field has the wrong type.
    pub fn parse(
        json: &str,
        custom: impl Fn(&str) -> Option<CustomMetricType>,
    ) -> Result<Self, Vec<Invalid>> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let wire: Vec<WireBehavior> = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let within = if path == "." { String::new() } else { path };
            let reason = shown(&error.into_inner().to_string());
            vec![Invalid { path: format!("behaviors{within}"), behavior: None, reason }]
        })?;
        let mut invalid = Vec::new();
        if wire.len() > MOST_BEHAVIORS {
            invalid.push(of_the_list(format!(
                "behaviors has {} elements, at most {MOST_BEHAVIORS}",
                wire.len()
            )));
        }
        let values = wire.iter().filter_map(|behavior| behavior.criteria.as_ref()?.value.as_ref());
        let elements: usize = values.map(MetricValue::elements).sum();
        if elements > MOST_VALUE_ELEMENTS {
            invalid
                .push(of_the_list(format!("values have {elements} elements, at most {MOST_VALUE_ELEMENTS}")));
        }
        let mut names = HashSet::new();
        let mut behaviors = Vec::with_capacity(wire.len());
        for (at, behavior) in wire.iter().enumerate() {
            let mut problems = Problems::of(format!("behaviors[{at}]"));
            let read = read(behavior, &custom, &mut problems);
            if behavior.name.as_deref().is_some_and(|name| !names.insert(name)) {
                problems.add("name", "name is that of another behavior");
            }
            invalid.extend(problems.into_vec());
            behaviors.extend(read);
        }
        if invalid.is_empty() { Ok(Self(behaviors)) } else { Err(invalid) }
    }
}

fn of_the_list(reason: String) -> Invalid {
    Invalid { path: "behaviors".into(), behavior: None, reason }
}

/// `[a-zA-Z0-9:_-]{1,128}`: behaviors, dimensions, metrics.
fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-'))
}

const NAME_RULE: &str = "1 to 128 of a-z, A-Z, 0-9, ':', '_' and '-'";

/// Reads one behavior. What is wrong goes to the problems; with one there is no behavior.
fn read(
    wire: &WireBehavior,
    custom: &impl Fn(&str) -> Option<CustomMetricType>,
    problems: &mut Problems,
) -> Option<Behavior> {
    let name = wire.name.as_deref().unwrap_or_default();
    if is_name(name) {
        problems.name(name);
    } else {
        problems.add("name", format!("name should be {NAME_RULE}"));
    }
    let Some(metric) = wire.metric.as_deref() else {
        problems.add("metric", "metric is missing");
        return None;
    };
    let Some(metric) = Metric::named(metric, custom) else {
        problems.add("metric", "metric is neither built in nor a defined custom metric");
        return None;
    };
    let dimension = wire.metric_dimension.as_ref().map(|dimension| {
        let name = dimension.dimension_name.as_deref().unwrap_or_default();
        if !is_name(name) {
            let reason = format!("dimensionName should be {NAME_RULE}");
            problems.add("metricDimension.dimensionName", reason);
        }
        if !metric.takes_dimension() {
            problems.add("metricDimension", "metricDimension is not for this metric");
        }
        Dimension { name: name.into(), operator: dimension.operator.unwrap_or_default() }
    });
    let criteria = wire.criteria.as_ref().map(|criteria| read_criteria(&metric, criteria, problems));
    if !problems.is_empty() {
        return None;
    }
    let criteria = criteria.flatten();
    let mut behavior = Behavior {
        name: name.into(),
        identity: hash(&[name]),
        question: 0,
        subject: 0,
        stream: Stream { metric, dimension },
        criteria,
        suppress_alerts: wire.suppress_alerts.unwrap_or_default(),
        export_metric: wire.export_metric,
    };
    let wire = behavior.to_wire();
    let text = |part: serde_json::Result<String>| part.unwrap_or_default();
    let dimension = text(serde_json::to_string(&wire.metric_dimension));
    let metric = wire.metric.unwrap_or_default();
    behavior.question = hash(&[&metric, &dimension, &text(serde_json::to_string(&wire.criteria))]);
    // Percentiles live for two windows, so they may begin again with any change; a model is kept if it can be.
    let is_model = behavior.criteria.as_ref().is_some_and(|criteria| criteria.expectation.is_model());
    let learned = if is_model { String::new() } else { behavior.question.to_string() };
    behavior.subject = hash(&[name, &metric, &dimension, &learned]);
    Some(behavior)
}

/// The first bits of a hash that stays the same from one release to the next: states are stored.
fn hash(parts: &[&str]) -> u32 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(4).fold(0, |bits, byte| bits << 8 | u32::from(*byte))
}

fn metric_name(metric: &Metric) -> String {
    match metric {
        Metric::Custom { name, .. } => name.as_ref().into(),
        Metric::BuiltIn(metric) => match serde_json::to_value(metric) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        },
    }
}

fn read_criteria(metric: &Metric, wire: &WireCriteria, problems: &mut Problems) -> Option<Criteria> {
    let mut consecutive = |field: &str, value: Option<i64>| match value.unwrap_or(1) {
        value @ 1..=10 => u8::try_from(value).unwrap_or(1),
        value => {
            problems.add(&format!("criteria.{field}"), format!("{field} {value} should be in range[1,10]"));
            1
        }
    };
    let to_alarm = consecutive("consecutiveDatapointsToAlarm", wire.consecutive_datapoints_to_alarm);
    let to_clear = consecutive("consecutiveDatapointsToClear", wire.consecutive_datapoints_to_clear);
    let expectation = match (&wire.ml_detection_config, &wire.statistical_threshold, &wire.value) {
        (Some(_), ..) => read_model(metric, wire, problems),
        (None, Some(_), Some(_)) => {
            problems.add("criteria.statisticalThreshold", "statisticalThreshold excludes value");
            None
        }
        (None, Some(_), None) => read_percentile(metric, wire, problems),
        (None, None, Some(value)) => read_static(metric, wire, value, problems),
        (None, None, None) => {
            problems.add("criteria", "criteria need value, statisticalThreshold or mlDetectionConfig");
            None
        }
    };
    let duration = read_duration(metric, wire, problems);
    expectation.map(|expectation| Criteria { expectation, duration, to_alarm, to_clear })
}

fn read_duration(metric: &Metric, wire: &WireCriteria, problems: &mut Problems) -> Option<Duration> {
    let mut add = |reason: String| problems.add("criteria.durationSeconds", reason);
    if wire.ml_detection_config.is_some() {
        if wire.duration_seconds.is_some() {
            add("durationSeconds is not for mlDetectionConfig".into());
        }
        return None;
    }
    let is_required = match metric.duration() {
        DurationRule::Required => true,
        DurationRule::Optional => wire.statistical_threshold.is_some(),
        DurationRule::Refused => {
            if wire.duration_seconds.is_some() {
                add("durationSeconds is not for this metric".into());
            }
            return None;
        }
    };
    let Some(seconds) = wire.duration_seconds else {
        if is_required {
            add("durationSeconds is missing".into());
        }
        return None;
    };
    let known = u64::try_from(seconds).ok().filter(|seconds| DURATIONS.contains(seconds));
    if known.is_none() {
        add(format!("durationSeconds {seconds} should be one of {DURATIONS:?}"));
    }
    known.map(Duration::from_secs)
}

fn read_model(metric: &Metric, wire: &WireCriteria, problems: &mut Problems) -> Option<Expectation> {
    let others = [
        ("comparisonOperator", wire.comparison_operator.is_some()),
        ("value", wire.value.is_some()),
        ("statisticalThreshold", wire.statistical_threshold.is_some()),
    ];
    for (field, _) in others.into_iter().filter(|(_, is_there)| *is_there) {
        problems.add(&format!("criteria.{field}"), format!("{field} is not for mlDetectionConfig"));
    }
    if !metric.takes_fleet_threshold() {
        problems.add("criteria.mlDetectionConfig", "mlDetectionConfig is not for this metric");
    }
    let confidence = wire.ml_detection_config.as_ref().and_then(|config| config.confidence_level);
    if confidence.is_none() {
        problems.add("criteria.mlDetectionConfig.confidenceLevel", "confidenceLevel is missing");
    }
    confidence.map(|confidence| Expectation::Model { confidence })
}

fn read_percentile(metric: &Metric, wire: &WireCriteria, problems: &mut Problems) -> Option<Expectation> {
    if !metric.takes_fleet_threshold() {
        problems.add("criteria.statisticalThreshold", "statisticalThreshold is not for this metric");
    }
    let statistic = wire.statistical_threshold.as_ref().and_then(|threshold| threshold.statistic);
    if statistic.is_none() {
        problems.add("criteria.statisticalThreshold.statistic", "statistic is missing");
    }
    match read_operator(metric, wire, problems)? {
        Operator::Compare(comparison) => {
            statistic.map(|statistic| Expectation::Percentile { comparison, statistic })
        }
        Operator::Member(_) => None,
    }
}

fn read_operator(metric: &Metric, wire: &WireCriteria, problems: &mut Problems) -> Option<Operator> {
    let Some(operator) = wire.comparison_operator else {
        problems.add("criteria.comparisonOperator", "comparisonOperator is missing");
        return None;
    };
    let on = operator.on(metric.kind());
    if on.is_none() {
        problems.add("criteria.comparisonOperator", "comparisonOperator is not for this metric");
    }
    on
}

fn read_static(
    metric: &Metric,
    wire: &WireCriteria,
    value: &MetricValue,
    problems: &mut Problems,
) -> Option<Expectation> {
    let kind = metric.kind();
    let wanted = member(kind);
    if !value.members().eq([wanted]) {
        problems.add("criteria.value", format!("value should have {wanted} and no other member"));
    }
    match read_operator(metric, wire, problems)? {
        Operator::Compare(comparison) => read_limit(kind, comparison, value),
        Operator::Member(membership) => {
            let set = read_set(kind, value, problems)?;
            Some(Expectation::Members { membership, set, value: value.clone() })
        }
    }
}

fn read_limit(kind: Kind, comparison: Comparison, value: &MetricValue) -> Option<Expectation> {
    let value = if kind == Kind::Number {
        Quantity::Number(Finite::new(value.number?)?.get())
    } else {
        Quantity::Count(value.count?)
    };
    let limit = match value {
        Quantity::Count(minutes) if kind == Kind::Disconnected => Quantity::Count(minutes.saturating_mul(60)),
        other => other,
    };
    Some(Expectation::Limit { comparison, value, limit })
}

fn read_set(kind: Kind, value: &MetricValue, problems: &mut Problems) -> Option<ElementSet> {
    match kind {
        Kind::Addresses => {
            let mut networks = Vec::new();
            for (at, text) in value.cidrs.iter().flatten().enumerate() {
                match network(text) {
                    Some(network) => networks.push(network),
                    None => {
                        problems.add(&format!("criteria.value.cidrs[{at}]"), "cidrs has an invalid network");
                    }
                }
            }
            Some(ElementSet::Addresses(AddressSet::new(&networks)))
        }
        Kind::Ports => Some(ElementSet::Ports(Set::new(value.ports.clone()?))),
        Kind::Strings => Some(ElementSet::Strings(Set::new(value.strings.clone()?))),
        _ => {
            let numbers: Option<Vec<Finite>> =
                value.numbers.as_ref()?.iter().map(|n| Finite::new(*n)).collect();
            Some(ElementSet::Numbers(Set::new(numbers?)))
        }
    }
}
