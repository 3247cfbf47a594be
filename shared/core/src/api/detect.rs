//! The inputs of the operations of Detect, as the service model (`iot`, 2015-05-28) constrains them.
//!
//! One is wider than the model: `ValidateSecurityProfileBehaviors` takes a count of datapoints out of its range and
//! answers with what is wrong, as the AWS CLI's example of it shows.

use super::inputs::ACTION_NAMES;
use super::inputs::ANY;
use super::inputs::DESCRIPTION;
use super::inputs::FLAG;
use super::inputs::MAX_RESULTS;
use super::inputs::NAME as TASK_ID;
use super::inputs::NEXT_TOKEN;
pub(super) use super::inputs::PAGES;
use super::inputs::ROLE_ARN;
use super::inputs::TAGS;
use super::inputs::TIME;
use super::inputs::TOKEN;
use super::shape;
use super::shape::Member;
use super::shape::Shape;
use super::shape::may;
use super::shape::must;
use super::shape::pattern;
use super::shape::text;

/// The name of a profile, a behavior, a dimension or a custom metric.
static NAME: Shape = pattern(1, 128, &shape::NAME_WITH_COLON);
/// What the model leaves without a range.
static INTEGER: Shape = Shape::Whole { min: i32::MIN as i64, max: i32::MAX as i64 };
static LONG: Shape = Shape::Whole { min: i64::MIN, max: i64::MAX };

static BEHAVIORS: Shape = Shape::List { of: &BEHAVIOR, min: 0, max: 100 };
static BEHAVIOR: Shape = Shape::Record(&behavior(&CRITERIA));
static CRITERIA: Shape = Shape::Record(&criteria(&DATAPOINTS));
static DATAPOINTS: Shape = Shape::Whole { min: 1, max: 10 };

static UNJUDGED_BEHAVIORS: Shape = Shape::List { of: &UNJUDGED_BEHAVIOR, min: 0, max: 100 };
static UNJUDGED_BEHAVIOR: Shape = Shape::Record(&behavior(&UNJUDGED_CRITERIA));
static UNJUDGED_CRITERIA: Shape = Shape::Record(&criteria(&INTEGER));

const fn behavior(criteria: &'static Shape) -> [Member; 6] {
    [
        must("name", &NAME),
        may("metric", &ANY),
        may("metricDimension", &METRIC_DIMENSION),
        may("criteria", criteria),
        may("suppressAlerts", &FLAG),
        may("exportMetric", &FLAG),
    ]
}

const fn criteria(datapoints: &'static Shape) -> [Member; 7] {
    [
        may("comparisonOperator", &OPERATOR),
        may("value", &VALUE),
        may("durationSeconds", &INTEGER),
        may("consecutiveDatapointsToAlarm", datapoints),
        may("consecutiveDatapointsToClear", datapoints),
        may("statisticalThreshold", &THRESHOLD),
        may("mlDetectionConfig", &DETECTION),
    ]
}

static METRIC_DIMENSION: Shape =
    Shape::Record(&[must("dimensionName", &NAME), may("operator", &DIMENSION_OPERATOR)]);
static DIMENSION_OPERATOR: Shape = Shape::Choice(&["IN", "NOT_IN"]);
static OPERATOR: Shape = Shape::Choice(&[
    "less-than",
    "less-than-equals",
    "greater-than",
    "greater-than-equals",
    "in-cidr-set",
    "not-in-cidr-set",
    "in-port-set",
    "not-in-port-set",
    "in-set",
    "not-in-set",
]);
static VALUE: Shape = Shape::Record(&[
    may("count", &COUNT),
    may("cidrs", &CIDRS),
    may("ports", &PORTS),
    may("number", &Shape::Number),
    may("numbers", &NUMBERS),
    may("strings", &STRINGS),
]);
static COUNT: Shape = Shape::Whole { min: 0, max: i64::MAX };
static CIDRS: Shape = Shape::List { of: &CIDR, min: 0, max: usize::MAX };
static CIDR: Shape = pattern(2, 43, &shape::CIDR);
static PORTS: Shape = Shape::List { of: &PORT, min: 0, max: usize::MAX };
static PORT: Shape = Shape::Whole { min: 0, max: 65_535 };
static NUMBERS: Shape = Shape::List { of: &Shape::Number, min: 0, max: usize::MAX };
static STRINGS: Shape = Shape::List { of: &ANY, min: 0, max: usize::MAX };
static THRESHOLD: Shape = Shape::Record(&[may("statistic", &STATISTIC)]);
static STATISTIC: Shape = pattern(0, usize::MAX, &shape::STATISTIC);
static DETECTION: Shape = Shape::Record(&[must("confidenceLevel", &CONFIDENCE)]);
static CONFIDENCE: Shape = Shape::Choice(&["LOW", "MEDIUM", "HIGH"]);

static ALERT_TARGETS: Shape = Shape::Map { key: &Shape::Choice(&["SNS"]), value: &ALERT_TARGET };
static ALERT_TARGET: Shape = Shape::Record(&[must("alertTargetArn", &ANY), must("roleArn", &ROLE_ARN)]);
static RETAINED: Shape = Shape::List { of: &ANY, min: 0, max: usize::MAX };
static RETAINED_V2: Shape = Shape::List { of: &RETAIN, min: 0, max: usize::MAX };
static RETAIN: Shape = Shape::Record(&[
    must("metric", &ANY),
    may("metricDimension", &METRIC_DIMENSION),
    may("exportMetric", &FLAG),
]);
static EXPORT: Shape = Shape::Record(&[must("mqttTopic", &MQTT_TOPIC), must("roleArn", &ROLE_ARN)]);
static MQTT_TOPIC: Shape = text(1, 512);

static THING: Shape = text(1, 128);
static CRITERIA_TYPE: Shape = Shape::Choice(&["STATIC", "STATISTICAL", "MACHINE_LEARNING"]);
static VERIFICATION: Shape =
    Shape::Choice(&["FALSE_POSITIVE", "BENIGN_POSITIVE", "TRUE_POSITIVE", "UNKNOWN"]);
static VERIFICATION_DESCRIPTION: Shape = pattern(0, 1000, &shape::NO_CONTROLS);
static VIOLATION_ID: Shape = pattern(1, 128, &shape::TASK_ID);
static FEW: Shape = Shape::Whole { min: 1, max: 10 };

static TARGET: Shape = Shape::Record(&[
    may("violationIds", &VIOLATION_IDS),
    may("securityProfileName", &NAME),
    may("behaviorName", &NAME),
]);
static VIOLATION_IDS: Shape = Shape::List { of: &VIOLATION_ID, min: 1, max: 25 };
static RANGE: Shape = Shape::Record(&[must("startTime", &TIME), must("endTime", &TIME)]);

static DISPLAY_NAME: Shape = pattern(0, 128, &shape::GRAPHIC);
static METRIC_TYPE: Shape = Shape::Choice(&["string-list", "ip-address-list", "number-list", "number"]);
static DIMENSION_TYPE: Shape = Shape::Choice(&["TOPIC_FILTER"]);
static TOPIC_FILTERS: Shape = Shape::List { of: &TOPIC_FILTER, min: 1, max: 100 };
static TOPIC_FILTER: Shape = text(1, 256);

const PROFILE_IN_PATH: Member = must("securityProfileName", &NAME).in_path();
const PROFILE_DESCRIPTION: Member = may("securityProfileDescription", &DESCRIPTION);
const EXPECTED_VERSION: Member = may("expectedVersion", &LONG).in_query();
const TARGET_ARN: Member = must("securityProfileTargetArn", &ANY).in_query();
const METRIC_IN_PATH: Member = must("metricName", &NAME).in_path();
const DIMENSION_IN_PATH: Member = must("name", &NAME).in_path();
const TASK_IN_PATH: Member = must("taskId", &TASK_ID).in_path();

pub(super) static CREATE_PROFILE: [Member; 8] = [
    PROFILE_IN_PATH,
    PROFILE_DESCRIPTION,
    may("behaviors", &BEHAVIORS),
    may("alertTargets", &ALERT_TARGETS),
    may("additionalMetricsToRetain", &RETAINED),
    may("additionalMetricsToRetainV2", &RETAINED_V2),
    may("tags", &TAGS),
    may("metricsExportConfig", &EXPORT),
];
pub(super) static UPDATE_PROFILE: [Member; 12] = [
    PROFILE_IN_PATH,
    PROFILE_DESCRIPTION,
    may("behaviors", &BEHAVIORS),
    may("alertTargets", &ALERT_TARGETS),
    may("additionalMetricsToRetain", &RETAINED),
    may("additionalMetricsToRetainV2", &RETAINED_V2),
    may("deleteBehaviors", &FLAG),
    may("deleteAlertTargets", &FLAG),
    may("deleteAdditionalMetricsToRetain", &FLAG),
    EXPECTED_VERSION,
    may("metricsExportConfig", &EXPORT),
    may("deleteMetricsExportConfig", &FLAG),
];
pub(super) static ONE_PROFILE: [Member; 1] = [PROFILE_IN_PATH];
pub(super) static LIST_PROFILES: [Member; 4] = [
    NEXT_TOKEN.in_query(),
    MAX_RESULTS.in_query(),
    may("dimensionName", &NAME).in_query(),
    may("metricName", &NAME).in_query(),
];
pub(super) static DELETE_PROFILE: [Member; 2] = [PROFILE_IN_PATH, EXPECTED_VERSION];
pub(super) static VALIDATE_BEHAVIORS: [Member; 1] = [must("behaviors", &UNJUDGED_BEHAVIORS)];
pub(super) static PROFILE_AND_TARGET: [Member; 2] = [PROFILE_IN_PATH, TARGET_ARN];
pub(super) static LIST_PROFILES_FOR_TARGET: [Member; 4] =
    [NEXT_TOKEN.in_query(), MAX_RESULTS.in_query(), may("recursive", &FLAG).in_query(), TARGET_ARN];
pub(super) static LIST_TARGETS_FOR_PROFILE: [Member; 3] =
    [PROFILE_IN_PATH, NEXT_TOKEN.in_query(), MAX_RESULTS.in_query()];

pub(super) static LIST_ACTIVE_VIOLATIONS: [Member; 7] = [
    may("thingName", &THING).in_query(),
    may("securityProfileName", &NAME).in_query(),
    may("behaviorCriteriaType", &CRITERIA_TYPE).in_query(),
    may("listSuppressedAlerts", &FLAG).in_query(),
    may("verificationState", &VERIFICATION).in_query(),
    NEXT_TOKEN.in_query(),
    MAX_RESULTS.in_query(),
];
pub(super) static LIST_VIOLATION_EVENTS: [Member; 9] = [
    must("startTime", &TIME).in_query(),
    must("endTime", &TIME).in_query(),
    may("thingName", &THING).in_query(),
    may("securityProfileName", &NAME).in_query(),
    may("behaviorCriteriaType", &CRITERIA_TYPE).in_query(),
    may("listSuppressedAlerts", &FLAG).in_query(),
    may("verificationState", &VERIFICATION).in_query(),
    NEXT_TOKEN.in_query(),
    MAX_RESULTS.in_query(),
];
pub(super) static VERIFY_VIOLATION: [Member; 3] = [
    must("violationId", &VIOLATION_ID).in_path(),
    must("verificationState", &VERIFICATION),
    may("verificationStateDescription", &VERIFICATION_DESCRIPTION),
];
pub(super) static LIST_METRIC_VALUES: [Member; 8] = [
    must("thingName", &THING).in_query(),
    must("metricName", &ANY).in_query(),
    may("dimensionName", &NAME).in_query(),
    may("dimensionValueOperator", &DIMENSION_OPERATOR).in_query(),
    must("startTime", &TIME).in_query(),
    must("endTime", &TIME).in_query(),
    MAX_RESULTS.in_query(),
    NEXT_TOKEN.in_query(),
];
pub(super) static TRAINING_SUMMARIES: [Member; 3] =
    [may("securityProfileName", &NAME).in_query(), may("maxResults", &FEW).in_query(), NEXT_TOKEN.in_query()];

pub(super) static START_TASK: [Member; 7] = [
    TASK_IN_PATH,
    must("target", &TARGET),
    must("actions", &ACTION_NAMES),
    may("violationEventOccurrenceRange", &RANGE),
    may("includeOnlyActiveViolations", &FLAG),
    may("includeSuppressedAlerts", &FLAG),
    must("clientRequestToken", &TOKEN),
];
pub(super) static ONE_TASK: [Member; 1] = [TASK_IN_PATH];
pub(super) static LIST_TASKS: [Member; 4] = [
    MAX_RESULTS.in_query(),
    NEXT_TOKEN.in_query(),
    must("startTime", &TIME).in_query(),
    must("endTime", &TIME).in_query(),
];
pub(super) static LIST_EXECUTIONS: [Member; 7] = [
    may("taskId", &TASK_ID).in_query(),
    may("violationId", &VIOLATION_ID).in_query(),
    may("thingName", &THING).in_query(),
    may("startTime", &TIME).in_query(),
    may("endTime", &TIME).in_query(),
    MAX_RESULTS.in_query(),
    NEXT_TOKEN.in_query(),
];

pub(super) static CREATE_METRIC: [Member; 5] = [
    METRIC_IN_PATH,
    may("displayName", &DISPLAY_NAME),
    must("metricType", &METRIC_TYPE),
    may("tags", &TAGS),
    must("clientRequestToken", &TOKEN),
];
pub(super) static UPDATE_METRIC: [Member; 2] = [METRIC_IN_PATH, must("displayName", &DISPLAY_NAME)];
pub(super) static ONE_METRIC: [Member; 1] = [METRIC_IN_PATH];
pub(super) static CREATE_DIMENSION: [Member; 5] = [
    DIMENSION_IN_PATH,
    must("type", &DIMENSION_TYPE),
    must("stringValues", &TOPIC_FILTERS),
    may("tags", &TAGS),
    must("clientRequestToken", &TOKEN),
];
pub(super) static UPDATE_DIMENSION: [Member; 2] = [DIMENSION_IN_PATH, must("stringValues", &TOPIC_FILTERS)];
pub(super) static ONE_DIMENSION: [Member; 1] = [DIMENSION_IN_PATH];

pub(super) static INCIDENT: [Member; 2] = [
    must("incidentId", &pattern(1, 128, &shape::NAME_WITH_COLON)),
    must("decision", &Shape::Choice(&["mitigate", "leave"])),
];
