//! The operations of AWS IoT that have to do with audits and with Detect: routes, call rates, and what their inputs
//! must be.
//!
//! It is the service model's own description (`iot`, 2015-05-28, REST-JSON), as data: whoever sends a request and
//! whoever answers one judge it alike. Rates are those of "Device Defender endpoints and quotas" and, for the
//! registry, of "AWS IoT Core endpoints and quotas"; `ListRelatedResourcesForAuditFinding`,
//! `CreateDimension` and `GetBehaviorModelTrainingSummaries` have no published rate. For the lists of things, principals, certificates, policies and role aliases, and for `GetPolicy`, only an older edition of
//! that page was at hand; for what reads and puts back what mitigation changes, the rates of their neighbors are taken, and
//! two a second for logging.

pub mod alias;
mod detect;
pub mod input;
mod inputs;
mod judge;
pub mod listing;
mod mitigation;
pub mod notification;
pub mod own;
mod rules;
pub mod shape;
pub mod time;

use shape::Member;

use crate::nearest::did_you_mean;
use crate::untrusted::shown;

/// An operation.
#[derive(Debug)]
pub struct Operation {
    /// Its name, such as `ListAuditFindings`.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, in which `{member}` stands for a member of the input.
    pub path: &'static str,
    /// Calls a second, for the whole account.
    pub per_second: u32,
    /// The members of the input.
    pub members: &'static [Member],
}

impl Operation {
    /// Whether it gives a list, page by page.
    pub fn is_list(&self) -> bool {
        self.members.iter().any(|member| matches!(member.name, "nextToken" | "marker"))
    }

    /// Whether it changes something.
    pub fn changes(&self) -> bool {
        let looks = ["List", "Describe", "Get", "Validate"].iter().any(|verb| self.name.starts_with(verb));
        !looks && self.method != "GET"
    }

    /// Its name as a command of the AWS CLI, such as `list-audit-findings`.
    pub fn command(&self) -> String {
        hyphenated(self.name)
    }
}

/// A name as the AWS CLI writes it: of an operation as a command, of a member as an option without its hyphens.
pub fn hyphenated(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// The commands on audits: the operations, and [`REPORT`].
pub fn audit_commands() -> impl Iterator<Item = &'static Operation> + Clone {
    AUDIT.iter().chain([&REPORT])
}

/// The commands of Detect: the operations, [`INCIDENT`] and [`ALARM_REPORT`].
pub fn detect_commands() -> impl Iterator<Item = &'static Operation> + Clone {
    DETECT.iter().chain([&INCIDENT, &ALARM_REPORT])
}

/// The operation on audits with this name, or [`REPORT`]. The name may be written as the AWS CLI writes it.
///
/// # Errors
/// What is wrong with the name, and which is nearest.
pub fn audit(name: &str) -> Result<&'static Operation, String> {
    named(name, "audit", audit_commands())
}

/// The operation of Detect with this name, [`INCIDENT`] or [`ALARM_REPORT`]. The name may be written as the AWS CLI writes it.
///
/// # Errors
/// What is wrong with the name, and which is nearest.
pub fn detect(name: &str) -> Result<&'static Operation, String> {
    named(name, "Detect", detect_commands())
}

/// The command of our own on mitigations and suppressions with this name. The name may be written as the AWS CLI would write it.
///
/// # Errors
/// What is wrong with the name, and which is nearest.
pub fn mitigation(name: &str) -> Result<&'static Operation, String> {
    named(name, "mitigation", MITIGATION.iter())
}

fn named(
    name: &str,
    family: &str,
    mut all: impl Iterator<Item = &'static Operation> + Clone,
) -> Result<&'static Operation, String> {
    let names: Vec<&str> = all.clone().map(|operation| operation.name).collect();
    all.find(|operation| operation.name == name || operation.command() == name).ok_or_else(|| {
        format!("'{}' is no {family} command{}", shown(name), near_or_all(&name.replace('-', ""), &names))
    })
}

/// The name that somebody may have meant, or all that there are.
fn near_or_all(name: &str, all: &[&str]) -> String {
    let near = did_you_mean(&shown(name), all.iter().copied());
    if near.is_empty() { format!("; there are {}", all.join(", ")) } else { near }
}

macro_rules! operations {
    ($inputs:ident: $($name:ident $method:ident $path:literal $rate:literal $input:ident;)*) => {
        [$(Operation {
            name: stringify!($name),
            method: stringify!($method),
            path: $path,
            per_second: $rate,
            members: &$inputs::$input,
        }),*]
    };
}

/// The operations on audits.
#[rustfmt::skip]
pub static AUDIT: [Operation; 30] = operations! { inputs:
    UpdateAccountAuditConfiguration PATCH "/audit/configuration" 5 UPDATE_CONFIGURATION;
    DescribeAccountAuditConfiguration GET "/audit/configuration" 5 NOTHING;
    DeleteAccountAuditConfiguration DELETE "/audit/configuration" 5 DELETE_CONFIGURATION;
    CreateScheduledAudit POST "/audit/scheduledaudits/{scheduledAuditName}" 5 CREATE_SCHEDULE;
    UpdateScheduledAudit PATCH "/audit/scheduledaudits/{scheduledAuditName}" 5 UPDATE_SCHEDULE;
    DescribeScheduledAudit GET "/audit/scheduledaudits/{scheduledAuditName}" 5 ONE_SCHEDULE;
    ListScheduledAudits GET "/audit/scheduledaudits" 5 PAGES;
    DeleteScheduledAudit DELETE "/audit/scheduledaudits/{scheduledAuditName}" 5 ONE_SCHEDULE;
    StartOnDemandAuditTask POST "/audit/tasks" 10 START_AUDIT;
    DescribeAuditTask GET "/audit/tasks/{taskId}" 25 ONE_AUDIT;
    ListAuditTasks GET "/audit/tasks" 10 LIST_AUDITS;
    CancelAuditTask PUT "/audit/tasks/{taskId}/cancel" 10 ONE_AUDIT;
    ListAuditFindings POST "/audit/findings" 10 LIST_FINDINGS;
    DescribeAuditFinding GET "/audit/findings/{findingId}" 25 ONE_FINDING;
    ListRelatedResourcesForAuditFinding GET "/audit/relatedResources" 10 LIST_RELATED;
    CreateAuditSuppression POST "/audit/suppressions/create" 10 CREATE_SUPPRESSION;
    DescribeAuditSuppression POST "/audit/suppressions/describe" 10 ONE_SUPPRESSION;
    UpdateAuditSuppression PATCH "/audit/suppressions/update" 10 UPDATE_SUPPRESSION;
    ListAuditSuppressions POST "/audit/suppressions/list" 10 LIST_SUPPRESSIONS;
    DeleteAuditSuppression POST "/audit/suppressions/delete" 10 ONE_SUPPRESSION;
    CreateMitigationAction POST "/mitigationactions/actions/{actionName}" 10 CREATE_ACTION;
    UpdateMitigationAction PATCH "/mitigationactions/actions/{actionName}" 10 UPDATE_ACTION;
    DescribeMitigationAction GET "/mitigationactions/actions/{actionName}" 25 ONE_ACTION;
    ListMitigationActions GET "/mitigationactions/actions" 10 LIST_ACTIONS;
    DeleteMitigationAction DELETE "/mitigationactions/actions/{actionName}" 10 ONE_ACTION;
    StartAuditMitigationActionsTask POST "/audit/mitigationactions/tasks/{taskId}" 10 START_TASK;
    DescribeAuditMitigationActionsTask GET "/audit/mitigationactions/tasks/{taskId}" 25 ONE_TASK;
    ListAuditMitigationActionsTasks GET "/audit/mitigationactions/tasks" 10 LIST_TASKS;
    ListAuditMitigationActionsExecutions GET "/audit/mitigationactions/executions" 10 LIST_EXECUTIONS;
    CancelAuditMitigationActionsTask PUT "/audit/mitigationactions/tasks/{taskId}/cancel" 10 ONE_TASK;
};

/// The operations of Detect.
#[rustfmt::skip]
pub static DETECT: [Operation; 30] = operations! { detect:
    CreateSecurityProfile POST "/security-profiles/{securityProfileName}" 10 CREATE_PROFILE;
    UpdateSecurityProfile PATCH "/security-profiles/{securityProfileName}" 10 UPDATE_PROFILE;
    DescribeSecurityProfile GET "/security-profiles/{securityProfileName}" 25 ONE_PROFILE;
    ListSecurityProfiles GET "/security-profiles" 10 LIST_PROFILES;
    DeleteSecurityProfile DELETE "/security-profiles/{securityProfileName}" 10 DELETE_PROFILE;
    ValidateSecurityProfileBehaviors POST "/security-profile-behaviors/validate" 10 VALIDATE_BEHAVIORS;
    AttachSecurityProfile PUT "/security-profiles/{securityProfileName}/targets" 10 PROFILE_AND_TARGET;
    DetachSecurityProfile DELETE "/security-profiles/{securityProfileName}/targets" 10 PROFILE_AND_TARGET;
    ListSecurityProfilesForTarget GET "/security-profiles-for-target" 10 LIST_PROFILES_FOR_TARGET;
    ListTargetsForSecurityProfile GET "/security-profiles/{securityProfileName}/targets" 10 LIST_TARGETS_FOR_PROFILE;
    ListActiveViolations GET "/active-violations" 10 LIST_ACTIVE_VIOLATIONS;
    ListViolationEvents GET "/violation-events" 10 LIST_VIOLATION_EVENTS;
    PutVerificationStateOnViolation POST "/violations/verification-state/{violationId}" 10 VERIFY_VIOLATION;
    ListMetricValues GET "/metric-values" 15 LIST_METRIC_VALUES;
    GetBehaviorModelTrainingSummaries GET "/behavior-model-training/summaries" 10 TRAINING_SUMMARIES;
    StartDetectMitigationActionsTask PUT "/detect/mitigationactions/tasks/{taskId}" 10 START_TASK;
    DescribeDetectMitigationActionsTask GET "/detect/mitigationactions/tasks/{taskId}" 10 ONE_TASK;
    ListDetectMitigationActionsTasks GET "/detect/mitigationactions/tasks" 10 LIST_TASKS;
    ListDetectMitigationActionsExecutions GET "/detect/mitigationactions/executions" 10 LIST_EXECUTIONS;
    CancelDetectMitigationActionsTask PUT "/detect/mitigationactions/tasks/{taskId}/cancel" 10 ONE_TASK;
    CreateCustomMetric POST "/custom-metric/{metricName}" 10 CREATE_METRIC;
    UpdateCustomMetric PATCH "/custom-metric/{metricName}" 10 UPDATE_METRIC;
    DescribeCustomMetric GET "/custom-metric/{metricName}" 25 ONE_METRIC;
    ListCustomMetrics GET "/custom-metrics" 10 PAGES;
    DeleteCustomMetric DELETE "/custom-metric/{metricName}" 10 ONE_METRIC;
    CreateDimension POST "/dimensions/{name}" 10 CREATE_DIMENSION;
    UpdateDimension PATCH "/dimensions/{name}" 10 UPDATE_DIMENSION;
    DescribeDimension GET "/dimensions/{name}" 10 ONE_DIMENSION;
    ListDimensions GET "/dimensions" 10 PAGES;
    DeleteDimension DELETE "/dimensions/{name}" 10 ONE_DIMENSION;
};

/// The operations that tell what things are behind a finding, and which resources there are, and those that read and put
/// back what mitigation actions change: certificates, policies and their versions, thing groups, and logging. Also those that
/// tell which devices are behind a policy or a CA certificate, and whether a thing is connected.
#[rustfmt::skip]
pub static REGISTRY: [Operation; 31] = operations! { inputs:
    ListPrincipalThings GET "/principals/things" 10 LIST_PRINCIPAL_THINGS;
    DescribeThing GET "/things/{thingName}" 350 ONE_THING;
    ListThingGroupsForThing GET "/things/{thingName}/thing-groups" 100 LIST_GROUPS_OF_THING;
    DescribeThingGroup GET "/thing-groups/{thingGroupName}" 100 ONE_GROUP;
    ListThingGroups GET "/thing-groups" 10 LIST_GROUPS;
    ListThingsInThingGroup GET "/thing-groups/{thingGroupName}/things" 25 LIST_THINGS_IN_GROUP;
    AddThingToThingGroup PUT "/thing-groups/addThingToThingGroup" 60 ADD_THING;
    RemoveThingFromThingGroup PUT "/thing-groups/removeThingFromThingGroup" 60 REMOVE_THING;
    ListThings GET "/things" 10 LIST_THINGS;
    ListThingPrincipals GET "/things/{thingName}/principals" 10 LIST_PRINCIPALS_OF_THING;
    ListCertificates GET "/certificates" 10 MARKED_PAGES;
    ListCACertificates GET "/cacertificates" 10 LIST_AUTHORITIES;
    ListPolicies GET "/policies" 10 MARKED_PAGES;
    GetPolicy GET "/policies/{policyName}" 10 ONE_POLICY;
    ListRoleAliases GET "/role-aliases" 10 MARKED_PAGES;
    DescribeCertificate GET "/certificates/{certificateId}" 10 ONE_CERTIFICATE;
    UpdateCertificate PUT "/certificates/{certificateId}" 10 UPDATE_CERTIFICATE;
    DescribeCACertificate GET "/cacertificate/{certificateId}" 10 ONE_CERTIFICATE;
    UpdateCACertificate PUT "/cacertificate/{certificateId}" 10 UPDATE_AUTHORITY;
    UpdateThingGroupsForThing PUT "/thing-groups/updateThingGroupsForThing" 10 UPDATE_GROUPS_OF_THING;
    ListPolicyVersions GET "/policies/{policyName}/version" 10 ONE_POLICY;
    CreatePolicyVersion POST "/policies/{policyName}/version" 10 CREATE_POLICY_VERSION;
    SetDefaultPolicyVersion PATCH "/policies/{policyName}/version/{policyVersionId}" 10 ONE_POLICY_VERSION;
    DeletePolicyVersion DELETE "/policies/{policyName}/version/{policyVersionId}" 10 ONE_POLICY_VERSION;
    ListTargetsForPolicy POST "/policy-targets/{policyName}" 10 LIST_TARGETS_FOR_POLICY;
    ListCertificatesByCA GET "/certificates-by-ca/{caCertificateId}" 10 LIST_CERTIFICATES_BY_CA;
    GetThingConnectivityData POST "/things/{thingName}/connectivity-data" 350 THING_CONNECTIVITY;
    GetV2LoggingOptions GET "/v2LoggingOptions" 2 GET_LOGGING;
    SetV2LoggingOptions POST "/v2LoggingOptions" 2 SET_LOGGING;
    GetLoggingOptions GET "/loggingOptions" 2 NOTHING;
    SetLoggingOptions POST "/loggingOptions" 2 SET_V1_LOGGING;
};

/// Commands of our own, judged as operations are: what the ledger knows of mitigation tasks, the switch that stops them, and
/// their undo, and that of suppressions. They have no route, because they are no operations of the service; `mitigation-commands` does them.
#[rustfmt::skip]
pub static MITIGATION: [Operation; 10] = operations! { mitigation:
    MitigationApprove PUT "" 10 APPROVE;
    MitigationBudget GET "" 10 NOTHING;
    MitigationCancel PUT "" 10 CANCEL;
    MitigationList GET "" 10 LIST;
    MitigationPause PUT "" 10 PAUSE;
    MitigationReject PUT "" 10 CANCEL;
    MitigationResume PUT "" 10 RESUME;
    MitigationShow GET "" 10 SHOW;
    MitigationUndo PUT "" 10 UNDO;
    SuppressionUndo PUT "" 10 UNDO_SUPPRESSIONS;
};

/// A command of our own, judged as an operation is: the report of an audit. It has no route, because it is no
/// operation of the service; `audit-commands` makes it of many.
pub static REPORT: Operation =
    Operation { name: "AuditReport", method: "GET", path: "", per_second: 10, members: &inputs::REPORT };

/// A command of our own, judged as an operation is: the report of alarms. It has no route, because it is no operation of
/// the service; `detect-commands` makes it of many.
pub static ALARM_REPORT: Operation =
    Operation { name: "AlarmReport", method: "GET", path: "", per_second: 10, members: &detect::REPORT };

/// A command of our own, judged as an operation is: a person ends an incident of alarms. It has no route, because it is
/// no operation of the service; `detect-commands` does it in the ledger.
pub static INCIDENT: Operation =
    Operation { name: "AlarmIncident", method: "PUT", path: "", per_second: 10, members: &detect::INCIDENT };
