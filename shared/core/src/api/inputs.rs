//! The inputs of the operations on audits and of the registry's, as the service model (`iot`, 2015-05-28) constrains them.

use super::shape;
use super::shape::Member;
use super::shape::Shape;
use super::shape::TEXT;
use super::shape::may;
use super::shape::must;
use super::shape::pattern;
use super::shape::text;

pub(super) static NAME: Shape = pattern(1, 128, &shape::NAME);
static ACTION_NAME: Shape = pattern(0, 128, &shape::NAME);
static FINDING_ID: Shape = pattern(1, 128, &shape::NAME);
pub(super) static AUDIT_ID: Shape = pattern(1, 40, &shape::TASK_ID);
pub(super) static TOKEN: Shape = pattern(1, 64, &shape::NAME);
pub(super) static ROLE_ARN: Shape = text(20, 2048);
static CERTIFICATE_ID: Shape = pattern(64, 64, &shape::HEXADECIMAL);
pub(super) static ANY: Shape = TEXT;
pub(super) static FLAG: Shape = Shape::Flag;
pub(super) static TIME: Shape = Shape::Time;
pub(super) static PAGE: Shape = Shape::Whole { min: 1, max: 250 };
pub(super) static DESCRIPTION: Shape = pattern(0, 1000, &shape::GRAPHIC);
static CHECKS: Shape = Shape::List { of: &ANY, min: 0, max: usize::MAX };
static AUDIT_STATUS: Shape = Shape::Choice(&["IN_PROGRESS", "COMPLETED", "FAILED", "CANCELED"]);

pub(super) static TAGS: Shape = Shape::List { of: &TAG, min: 0, max: usize::MAX };
static TAG: Shape = Shape::Record(&[must("Key", &TAG_KEY), may("Value", &TAG_VALUE)]);
static TAG_KEY: Shape = pattern(1, 128, &shape::TAG_KEY);
static TAG_VALUE: Shape = text(0, 256);

pub(super) static RESOURCE: Shape = Shape::Record(&[
    may("deviceCertificateId", &CERTIFICATE_ID),
    may("caCertificateId", &CERTIFICATE_ID),
    may("cognitoIdentityPoolId", &ANY),
    may("clientId", &ANY),
    may("policyVersionIdentifier", &POLICY_VERSION),
    may("account", &ACCOUNT),
    may("iamRoleArn", &ROLE_ARN),
    may("roleAliasArn", &ALIAS_ARN),
    may("issuerCertificateIdentifier", &ISSUER),
    may("deviceCertificateArn", &ANY),
]);
static POLICY_VERSION: Shape =
    Shape::Record(&[may("policyName", &POLICY_NAME), may("policyVersionId", &POLICY_VERSION_ID)]);
static POLICY_NAME: Shape = pattern(1, 128, &shape::POLICY_NAME);
static POLICY_VERSION_ID: Shape = pattern(0, usize::MAX, &shape::DIGITS);
static ACCOUNT: Shape = pattern(12, 12, &shape::DIGITS);
static ALIAS_ARN: Shape = text(1, 2048);
static ISSUER: Shape = Shape::Record(&[
    may("issuerCertificateSubject", &DESCRIPTION),
    may("issuerId", &ISSUER_ID),
    may("issuerCertificateSerialNumber", &SERIAL),
]);
static ISSUER_ID: Shape = pattern(0, 64, &shape::HEXADECIMAL);
static SERIAL: Shape = pattern(0, 20, &shape::HEXADECIMAL_WITH_COLON);

static NOTIFICATION_TARGETS: Shape =
    Shape::Map { key: &Shape::Choice(&["SNS"]), value: &NOTIFICATION_TARGET };
static NOTIFICATION_TARGET: Shape =
    Shape::Record(&[may("targetArn", &TARGET_ARN), may("roleArn", &ROLE_ARN), may("enabled", &FLAG)]);
static TARGET_ARN: Shape = text(0, 2048);
static CHECK_CONFIGURATIONS: Shape = Shape::Map { key: &ANY, value: &CHECK_CONFIGURATION };
static CHECK_CONFIGURATION: Shape =
    Shape::Record(&[may("enabled", &FLAG), may("configuration", &THRESHOLDS)]);
static THRESHOLDS: Shape = Shape::Map { key: &THRESHOLD_NAME, value: &THRESHOLD };
static THRESHOLD_NAME: Shape =
    Shape::Choice(&["CERT_AGE_THRESHOLD_IN_DAYS", "CERT_EXPIRATION_THRESHOLD_IN_DAYS"]);
static THRESHOLD: Shape = text(1, 64);

static FREQUENCY: Shape = Shape::Choice(&["DAILY", "WEEKLY", "BIWEEKLY", "MONTHLY"]);
static DAY_OF_WEEK: Shape = Shape::Choice(&["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]);
static DAY_OF_MONTH: Shape = pattern(0, usize::MAX, &shape::DAY_OF_MONTH);

static PARAMS: Shape = Shape::Record(&[
    may("updateDeviceCertificateParams", &DEACTIVATE),
    may("updateCACertificateParams", &DEACTIVATE),
    may("addThingsToThingGroupParams", &ADD_THINGS),
    may("replaceDefaultPolicyVersionParams", &REPLACE_POLICY),
    may("enableIoTLoggingParams", &ENABLE_LOGGING),
    may("publishFindingToSnsParams", &PUBLISH),
]);
static DEACTIVATE: Shape = Shape::Record(&[must("action", &Shape::Choice(&["DEACTIVATE"]))]);
static ADD_THINGS: Shape =
    Shape::Record(&[must("thingGroupNames", &GROUPS), may("overrideDynamicGroups", &FLAG)]);
static GROUPS: Shape = Shape::List { of: &GROUP, min: 1, max: 10 };
pub(super) static GROUP: Shape = pattern(1, 128, &shape::NAME_WITH_COLON);
pub(super) static THING: Shape = pattern(1, 128, &shape::NAME_WITH_COLON);
static ATTRIBUTE_NAME: Shape = pattern(0, 128, &shape::ATTRIBUTE_NAME);
static ATTRIBUTE_VALUE: Shape = pattern(0, 800, &shape::ATTRIBUTE_VALUE);
static TEMPLATE_NAME: Shape = pattern(1, 36, &shape::NAME);
static MARKER_TEXT: Shape = pattern(0, 1024, &shape::MARKER);
static REPLACE_POLICY: Shape = Shape::Record(&[must("templateName", &Shape::Choice(&["BLANK_POLICY"]))]);
static ENABLE_LOGGING: Shape =
    Shape::Record(&[must("roleArnForLogging", &ROLE_ARN), must("logLevel", &LOG_LEVEL)]);
static LOG_LEVEL: Shape = Shape::Choice(&["DEBUG", "INFO", "ERROR", "WARN", "DISABLED"]);
static PUBLISH: Shape = Shape::Record(&[must("topicArn", &TOPIC_ARN)]);
static TOPIC_ARN: Shape = text(0, 350);
static ACTION_TYPE: Shape = Shape::Choice(&[
    "UPDATE_DEVICE_CERTIFICATE",
    "UPDATE_CA_CERTIFICATE",
    "ADD_THINGS_TO_THING_GROUP",
    "REPLACE_DEFAULT_POLICY_VERSION",
    "ENABLE_IOT_LOGGING",
    "PUBLISH_FINDING_TO_SNS",
]);

static CERTIFICATE_STATUS: Shape = Shape::Choice(&[
    "ACTIVE",
    "INACTIVE",
    "REVOKED",
    "PENDING_TRANSFER",
    "REGISTER_INACTIVE",
    "PENDING_ACTIVATION",
]);
static REGISTRATION: Shape = Shape::Record(&[
    may("templateBody", &TEMPLATE_BODY),
    may("roleArn", &ROLE_ARN),
    may("templateName", &TEMPLATE_NAME),
]);
static TEMPLATE_BODY: Shape = text(0, 10_240);
static GROUPS_OF_THING: Shape = Shape::List { of: &GROUP, min: 0, max: usize::MAX };
static POLICY_DOCUMENT: Shape = text(0, 404_600);
static LOG_EVENTS: Shape = Shape::List { of: &LOG_EVENT, min: 0, max: usize::MAX };
static LOG_EVENT: Shape = Shape::Record(&[
    must("eventType", &EVENT_TYPE),
    may("logLevel", &LOG_LEVEL),
    may("logDestination", &LOG_DESTINATION),
]);
static EVENT_TYPE: Shape = text(1, 512);
static LOG_DESTINATION: Shape = pattern(1, 512, &shape::LOG_DESTINATION);

static TARGET: Shape = Shape::Record(&[
    may("auditTaskId", &AUDIT_ID),
    may("findingIds", &FINDING_IDS),
    may("auditCheckToReasonCodeFilter", &REASON_FILTER),
]);
static FINDING_IDS: Shape = Shape::List { of: &FINDING_ID, min: 1, max: 25 };
static REASON_FILTER: Shape = Shape::Map { key: &ANY, value: &REASONS };
static REASONS: Shape = Shape::List { of: &ANY, min: 1, max: 25 };
static MAPPING: Shape = Shape::Map { key: &ANY, value: &ACTION_NAMES };
pub(super) static ACTION_NAMES: Shape = Shape::List { of: &ACTION_NAME, min: 1, max: 5 };

pub(super) const NEXT_TOKEN: Member = may("nextToken", &ANY);
pub(super) const MAX_RESULTS: Member = may("maxResults", &PAGE);
const ACTION_IN_PATH: Member = must("actionName", &ACTION_NAME).in_path();
const SCHEDULE_IN_PATH: Member = must("scheduledAuditName", &NAME).in_path();
const THING_IN_PATH: Member = must("thingName", &THING).in_path();
const GROUP_IN_PATH: Member = must("thingGroupName", &GROUP).in_path();
const CERTIFICATE_IN_PATH: Member = must("certificateId", &CERTIFICATE_ID).in_path();
const PAGE_SIZE: Member = may("pageSize", &PAGE).in_query();
const MARKER: Member = may("marker", &MARKER_TEXT).in_query();
const ASCENDING: Member = may("ascendingOrder", &FLAG).in_query_as("isAscendingOrder");
const CHECK_NAME: Member = must("checkName", &ANY);
const RESOURCE_OF_CHECK: Member = must("resourceIdentifier", &RESOURCE);

pub(super) static NOTHING: [Member; 0] = [];
pub(super) static UPDATE_CONFIGURATION: [Member; 3] = [
    may("roleArn", &ROLE_ARN),
    may("auditNotificationTargetConfigurations", &NOTIFICATION_TARGETS),
    may("auditCheckConfigurations", &CHECK_CONFIGURATIONS),
];
pub(super) static DELETE_CONFIGURATION: [Member; 1] = [may("deleteScheduledAudits", &FLAG).in_query()];
pub(super) static CREATE_SCHEDULE: [Member; 6] = [
    must("frequency", &FREQUENCY),
    may("dayOfMonth", &DAY_OF_MONTH),
    may("dayOfWeek", &DAY_OF_WEEK),
    must("targetCheckNames", &CHECKS),
    SCHEDULE_IN_PATH,
    may("tags", &TAGS),
];
pub(super) static UPDATE_SCHEDULE: [Member; 5] = [
    may("frequency", &FREQUENCY),
    may("dayOfMonth", &DAY_OF_MONTH),
    may("dayOfWeek", &DAY_OF_WEEK),
    may("targetCheckNames", &CHECKS),
    SCHEDULE_IN_PATH,
];
pub(super) static ONE_SCHEDULE: [Member; 1] = [SCHEDULE_IN_PATH];
pub(super) static PAGES: [Member; 2] = [NEXT_TOKEN.in_query(), MAX_RESULTS.in_query()];
pub(super) static START_AUDIT: [Member; 1] = [must("targetCheckNames", &CHECKS)];
pub(super) static ONE_AUDIT: [Member; 1] = [must("taskId", &AUDIT_ID).in_path()];
pub(super) static LIST_AUDITS: [Member; 6] = [
    must("startTime", &TIME).in_query(),
    must("endTime", &TIME).in_query(),
    may("taskType", &Shape::Choice(&["ON_DEMAND_AUDIT_TASK", "SCHEDULED_AUDIT_TASK"])).in_query(),
    may("taskStatus", &AUDIT_STATUS).in_query(),
    NEXT_TOKEN.in_query(),
    MAX_RESULTS.in_query(),
];
pub(super) static LIST_FINDINGS: [Member; 8] = [
    may("taskId", &AUDIT_ID),
    may("checkName", &ANY),
    may("resourceIdentifier", &RESOURCE),
    MAX_RESULTS,
    NEXT_TOKEN,
    may("startTime", &TIME),
    may("endTime", &TIME),
    may("listSuppressedFindings", &FLAG),
];
pub(super) static ONE_FINDING: [Member; 1] = [must("findingId", &FINDING_ID).in_path()];
pub(super) static LIST_RELATED: [Member; 3] =
    [must("findingId", &FINDING_ID).in_query(), NEXT_TOKEN.in_query(), MAX_RESULTS.in_query()];
pub(super) static CREATE_SUPPRESSION: [Member; 6] = [
    CHECK_NAME,
    RESOURCE_OF_CHECK,
    may("expirationDate", &TIME),
    may("suppressIndefinitely", &FLAG),
    may("description", &DESCRIPTION),
    must("clientRequestToken", &TOKEN),
];
pub(super) static UPDATE_SUPPRESSION: [Member; 5] = [
    CHECK_NAME,
    RESOURCE_OF_CHECK,
    may("expirationDate", &TIME),
    may("suppressIndefinitely", &FLAG),
    may("description", &DESCRIPTION),
];
pub(super) static ONE_SUPPRESSION: [Member; 2] = [CHECK_NAME, RESOURCE_OF_CHECK];
pub(super) static LIST_SUPPRESSIONS: [Member; 5] = [
    may("checkName", &ANY),
    may("resourceIdentifier", &RESOURCE),
    may("ascendingOrder", &FLAG),
    NEXT_TOKEN,
    MAX_RESULTS,
];
pub(super) static CREATE_ACTION: [Member; 4] =
    [ACTION_IN_PATH, must("roleArn", &ROLE_ARN), must("actionParams", &PARAMS), may("tags", &TAGS)];
pub(super) static UPDATE_ACTION: [Member; 3] =
    [ACTION_IN_PATH, may("roleArn", &ROLE_ARN), may("actionParams", &PARAMS)];
pub(super) static ONE_ACTION: [Member; 1] = [ACTION_IN_PATH];
pub(super) static LIST_ACTIONS: [Member; 3] =
    [may("actionType", &ACTION_TYPE).in_query(), MAX_RESULTS.in_query(), NEXT_TOKEN.in_query()];
pub(super) static START_TASK: [Member; 4] = [
    must("taskId", &NAME).in_path(),
    must("target", &TARGET),
    must("auditCheckToActionsMapping", &MAPPING),
    must("clientRequestToken", &TOKEN),
];
pub(super) static ONE_TASK: [Member; 1] = [must("taskId", &NAME).in_path()];
pub(super) static LIST_TASKS: [Member; 7] = [
    may("auditTaskId", &AUDIT_ID).in_query(),
    may("findingId", &FINDING_ID).in_query(),
    may("taskStatus", &AUDIT_STATUS).in_query(),
    MAX_RESULTS.in_query(),
    NEXT_TOKEN.in_query(),
    must("startTime", &TIME).in_query(),
    must("endTime", &TIME).in_query(),
];
pub(super) static LIST_EXECUTIONS: [Member; 5] = [
    must("taskId", &NAME).in_query(),
    may(
        "actionStatus",
        &Shape::Choice(&["IN_PROGRESS", "COMPLETED", "FAILED", "CANCELED", "SKIPPED", "PENDING"]),
    )
    .in_query(),
    must("findingId", &FINDING_ID).in_query(),
    MAX_RESULTS.in_query(),
    NEXT_TOKEN.in_query(),
];
pub(super) static REPORT: [Member; 4] = [
    may("taskId", &AUDIT_ID),
    may("scheduledAuditName", &NAME),
    may("latest", &FLAG),
    may("format", &Shape::Choice(&["json", "markdown", "html"])),
];
pub(super) static LIST_PRINCIPAL_THINGS: [Member; 3] =
    [NEXT_TOKEN.in_query(), MAX_RESULTS.in_query(), must("principal", &ANY).in_header("x-amzn-principal")];
pub(super) static ONE_THING: [Member; 1] = [THING_IN_PATH];
pub(super) static LIST_GROUPS_OF_THING: [Member; 3] =
    [THING_IN_PATH, NEXT_TOKEN.in_query(), MAX_RESULTS.in_query()];
pub(super) static ONE_GROUP: [Member; 1] = [GROUP_IN_PATH];
pub(super) static LIST_GROUPS: [Member; 5] = [
    NEXT_TOKEN.in_query(),
    MAX_RESULTS.in_query(),
    may("parentGroup", &GROUP).in_query(),
    may("namePrefixFilter", &GROUP).in_query(),
    may("recursive", &FLAG).in_query(),
];
pub(super) static LIST_THINGS_IN_GROUP: [Member; 4] =
    [GROUP_IN_PATH, may("recursive", &FLAG).in_query(), NEXT_TOKEN.in_query(), MAX_RESULTS.in_query()];
pub(super) static REMOVE_THING: [Member; 4] = [
    may("thingGroupName", &GROUP),
    may("thingGroupArn", &ANY),
    may("thingName", &THING),
    may("thingArn", &ANY),
];
pub(super) static ADD_THING: [Member; 5] = [
    may("thingGroupName", &GROUP),
    may("thingGroupArn", &ANY),
    may("thingName", &THING),
    may("thingArn", &ANY),
    may("overrideDynamicGroups", &FLAG),
];
pub(super) static LIST_PRINCIPALS_OF_THING: [Member; 3] =
    [NEXT_TOKEN.in_query(), MAX_RESULTS.in_query(), THING_IN_PATH];
pub(super) static LIST_THINGS: [Member; 6] = [
    NEXT_TOKEN.in_query(),
    MAX_RESULTS.in_query(),
    may("attributeName", &ATTRIBUTE_NAME).in_query(),
    may("attributeValue", &ATTRIBUTE_VALUE).in_query(),
    may("thingTypeName", &THING).in_query(),
    may("usePrefixAttributeValue", &FLAG).in_query(),
];
pub(super) static MARKED_PAGES: [Member; 3] = [PAGE_SIZE, MARKER, ASCENDING];
pub(super) static LIST_AUTHORITIES: [Member; 4] =
    [PAGE_SIZE, MARKER, ASCENDING, may("templateName", &TEMPLATE_NAME).in_query()];
pub(super) static ONE_POLICY: [Member; 1] = [must("policyName", &POLICY_NAME).in_path()];
pub(super) static ONE_CERTIFICATE: [Member; 1] = [CERTIFICATE_IN_PATH];
pub(super) static LIST_TARGETS_FOR_POLICY: [Member; 3] =
    [must("policyName", &POLICY_NAME).in_path(), MARKER, PAGE_SIZE];
pub(super) static LIST_CERTIFICATES_BY_CA: [Member; 4] =
    [must("caCertificateId", &CERTIFICATE_ID).in_path(), PAGE_SIZE, MARKER, ASCENDING];
pub(super) static THING_CONNECTIVITY: [Member; 2] = [THING_IN_PATH, may("includeSocketInformation", &FLAG)];
pub(super) static UPDATE_CERTIFICATE: [Member; 2] =
    [CERTIFICATE_IN_PATH, must("newStatus", &CERTIFICATE_STATUS).in_query()];
pub(super) static UPDATE_AUTHORITY: [Member; 5] = [
    CERTIFICATE_IN_PATH,
    may("newStatus", &Shape::Choice(&["ACTIVE", "INACTIVE"])).in_query(),
    may("newAutoRegistrationStatus", &Shape::Choice(&["ENABLE", "DISABLE"])).in_query(),
    may("registrationConfig", &REGISTRATION),
    may("removeAutoRegistration", &FLAG),
];
pub(super) static UPDATE_GROUPS_OF_THING: [Member; 4] = [
    may("thingName", &THING),
    may("thingGroupsToAdd", &GROUPS_OF_THING),
    may("thingGroupsToRemove", &GROUPS_OF_THING),
    may("overrideDynamicGroups", &FLAG),
];
pub(super) static CREATE_POLICY_VERSION: [Member; 3] = [
    must("policyName", &POLICY_NAME).in_path(),
    must("policyDocument", &POLICY_DOCUMENT),
    may("setAsDefault", &FLAG).in_query(),
];
pub(super) static ONE_POLICY_VERSION: [Member; 2] =
    [must("policyName", &POLICY_NAME).in_path(), must("policyVersionId", &POLICY_VERSION_ID).in_path()];
pub(super) static GET_LOGGING: [Member; 1] = [may("verbose", &FLAG).in_query()];
pub(super) static SET_LOGGING: [Member; 4] = [
    may("roleArn", &ANY),
    may("defaultLogLevel", &LOG_LEVEL),
    may("disableAllLogs", &FLAG),
    may("eventConfigurations", &LOG_EVENTS),
];
/// The members of `loggingOptionsPayload`, which is the whole body.
pub(super) static SET_V1_LOGGING: [Member; 2] = [must("roleArn", &ANY), may("logLevel", &LOG_LEVEL)];
