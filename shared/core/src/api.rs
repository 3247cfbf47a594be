//! The operations of AWS IoT that have to do with audits: routes, call rates, and what their inputs must be.
//!
//! It is the service model's own description (`iot`, 2015-05-28, REST-JSON), as data: whoever sends a request and
//! whoever answers one judge it alike. Rates are those of "Device Defender endpoints and quotas" and, for the
//! registry, of "AWS IoT Core endpoints and quotas"; `ListRelatedResourcesForAuditFinding` has no published rate. For the
//! lists of things, principals, certificates, policies and role aliases, and for `GetPolicy`, only an older edition of
//! that page was at hand.

pub mod input;
mod inputs;
mod rules;
pub mod shape;

use shape::Member;

use crate::names::shown;
use crate::policy::did_you_mean;

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
        self.name.starts_with("List")
    }

    /// Whether it changes something.
    pub fn changes(&self) -> bool {
        let looks = ["List", "Describe", "Get"].iter().any(|verb| self.name.starts_with(verb));
        !looks && self.name != REPORT.name
    }

    /// Its name as a command of the AWS CLI, such as `list-audit-findings`.
    pub fn command(&self) -> String {
        let mut command = String::with_capacity(self.name.len() + 8);
        for letter in self.name.chars() {
            if letter.is_ascii_uppercase() && !command.is_empty() {
                command.push('-');
            }
            command.push(letter.to_ascii_lowercase());
        }
        command
    }
}

/// The operation on audits with this name, or [`REPORT`]. The name may be written as the AWS CLI writes it.
///
/// # Errors
/// What is wrong with the name, and which is nearest.
pub fn audit(name: &str) -> Result<&'static Operation, String> {
    let wanted = |operation: &&Operation| operation.name == name || operation.command() == name;
    let all = || AUDIT.iter().chain([&REPORT]);
    all().find(wanted).ok_or_else(|| {
        let names: Vec<&str> = all().map(|operation| operation.name).collect();
        format!("'{}' is no audit command{}", shown(name), near_or_all(&name.replace('-', ""), &names))
    })
}

/// The name that somebody may have meant, or all that there are.
fn near_or_all(name: &str, all: &[&str]) -> String {
    let near = did_you_mean(&shown(name), all.iter().copied());
    if near.is_empty() { format!("; there are {}", all.join(", ")) } else { near }
}

macro_rules! operations {
    ($($name:ident $method:ident $path:literal $rate:literal $input:ident;)*) => {
        [$(Operation {
            name: stringify!($name),
            method: stringify!($method),
            path: $path,
            per_second: $rate,
            members: &inputs::$input,
        }),*]
    };
}

/// The operations on audits.
#[rustfmt::skip]
pub static AUDIT: [Operation; 30] = operations! {
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

/// The operations of the registry that tell what things are behind a finding, and which resources there are.
#[rustfmt::skip]
pub static REGISTRY: [Operation; 12] = operations! {
    ListPrincipalThings GET "/principals/things" 10 LIST_PRINCIPAL_THINGS;
    DescribeThing GET "/things/{thingName}" 350 ONE_THING;
    ListThingGroupsForThing GET "/things/{thingName}/thing-groups" 100 LIST_GROUPS_OF_THING;
    DescribeThingGroup GET "/thing-groups/{thingGroupName}" 100 ONE_GROUP;
    ListThingsInThingGroup GET "/thing-groups/{thingGroupName}/things" 25 LIST_THINGS_IN_GROUP;
    ListThings GET "/things" 10 LIST_THINGS;
    ListThingPrincipals GET "/things/{thingName}/principals" 10 LIST_PRINCIPALS_OF_THING;
    ListCertificates GET "/certificates" 10 MARKED_PAGES;
    ListCACertificates GET "/cacertificates" 10 LIST_AUTHORITIES;
    ListPolicies GET "/policies" 10 MARKED_PAGES;
    GetPolicy GET "/policies/{policyName}" 10 ONE_POLICY;
    ListRoleAliases GET "/role-aliases" 10 MARKED_PAGES;
};

/// A command of our own, judged as an operation is: the report of an audit. It has no route, because it is no
/// operation of the service; `audit-commands` makes it of many.
pub static REPORT: Operation =
    Operation { name: "AuditReport", method: "GET", path: "", per_second: 10, members: &inputs::REPORT };
