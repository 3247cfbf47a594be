//! The 30 audit operations and the five of the registry that tell what things are behind a finding: name,
//! route, calls per second, input, and what answers.
//!
//! Routes and inputs are those of the service model (`iot`, 2015-05-28, REST-JSON); rates are those of "Device
//! Defender endpoints and quotas", those of the registry are the default rates of an account in "AWS IoT Core
//! endpoints and quotas". `ListRelatedResourcesForAuditFinding` has no published rate.

pub(crate) mod actions;
pub(crate) mod audits;
pub(crate) mod configuration;
pub(crate) mod findings;
pub(crate) mod groups;
pub(crate) mod schedules;
pub(crate) mod suppressions;
pub(crate) mod tasks;
pub(crate) mod things;

use crate::args::Args;
use crate::failure::Failure;
use crate::inputs;
use crate::shape::Member;
use crate::world::World;

/// What an operation answers: the body, or a refusal.
pub(crate) type Outcome = Result<String, Failure>;

/// An operation without an output answers this.
pub(crate) const EMPTY: &str = "{}";

/// An operation of the API.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    method: &'static str,
    path: &'static str,
    pub(crate) per_second: u32,
    pub(crate) members: &'static [Member],
    pub(crate) run: fn(&mut World, &Args) -> Outcome,
}

macro_rules! operations {
    ($($name:ident $method:ident $path:literal $rate:literal $input:ident $run:path;)*) => {
        &[$(Operation {
            name: stringify!($name),
            method: stringify!($method),
            path: $path,
            per_second: $rate,
            members: &inputs::$input,
            run: $run,
        }),*]
    };
}

/// Every operation.
#[rustfmt::skip]
static OPERATIONS: &[Operation] = operations! {
    UpdateAccountAuditConfiguration PATCH "/audit/configuration" 5 UPDATE_CONFIGURATION configuration::update;
    DescribeAccountAuditConfiguration GET "/audit/configuration" 5 NOTHING configuration::describe;
    DeleteAccountAuditConfiguration DELETE "/audit/configuration" 5 DELETE_CONFIGURATION configuration::delete;
    CreateScheduledAudit POST "/audit/scheduledaudits/{scheduledAuditName}" 5 CREATE_SCHEDULE schedules::create;
    UpdateScheduledAudit PATCH "/audit/scheduledaudits/{scheduledAuditName}" 5 UPDATE_SCHEDULE schedules::update;
    DescribeScheduledAudit GET "/audit/scheduledaudits/{scheduledAuditName}" 5 ONE_SCHEDULE schedules::describe;
    ListScheduledAudits GET "/audit/scheduledaudits" 5 PAGES schedules::list;
    DeleteScheduledAudit DELETE "/audit/scheduledaudits/{scheduledAuditName}" 5 ONE_SCHEDULE schedules::delete;
    StartOnDemandAuditTask POST "/audit/tasks" 10 START_AUDIT audits::start;
    DescribeAuditTask GET "/audit/tasks/{taskId}" 25 ONE_AUDIT audits::describe;
    ListAuditTasks GET "/audit/tasks" 10 LIST_AUDITS audits::list;
    CancelAuditTask PUT "/audit/tasks/{taskId}/cancel" 10 ONE_AUDIT audits::cancel;
    ListAuditFindings POST "/audit/findings" 10 LIST_FINDINGS findings::list;
    DescribeAuditFinding GET "/audit/findings/{findingId}" 25 ONE_FINDING findings::describe;
    ListRelatedResourcesForAuditFinding GET "/audit/relatedResources" 10 LIST_RELATED findings::related;
    CreateAuditSuppression POST "/audit/suppressions/create" 10 CREATE_SUPPRESSION suppressions::create;
    DescribeAuditSuppression POST "/audit/suppressions/describe" 10 ONE_SUPPRESSION suppressions::describe;
    UpdateAuditSuppression PATCH "/audit/suppressions/update" 10 UPDATE_SUPPRESSION suppressions::update;
    ListAuditSuppressions POST "/audit/suppressions/list" 10 LIST_SUPPRESSIONS suppressions::list;
    DeleteAuditSuppression POST "/audit/suppressions/delete" 10 ONE_SUPPRESSION suppressions::delete;
    CreateMitigationAction POST "/mitigationactions/actions/{actionName}" 10 CREATE_ACTION actions::create;
    UpdateMitigationAction PATCH "/mitigationactions/actions/{actionName}" 10 UPDATE_ACTION actions::update;
    DescribeMitigationAction GET "/mitigationactions/actions/{actionName}" 25 ONE_ACTION actions::describe;
    ListMitigationActions GET "/mitigationactions/actions" 10 LIST_ACTIONS actions::list;
    DeleteMitigationAction DELETE "/mitigationactions/actions/{actionName}" 10 ONE_ACTION actions::delete;
    StartAuditMitigationActionsTask POST "/audit/mitigationactions/tasks/{taskId}" 10 START_TASK tasks::start;
    DescribeAuditMitigationActionsTask GET "/audit/mitigationactions/tasks/{taskId}" 25 ONE_TASK tasks::describe;
    ListAuditMitigationActionsTasks GET "/audit/mitigationactions/tasks" 10 LIST_TASKS tasks::list;
    ListAuditMitigationActionsExecutions GET "/audit/mitigationactions/executions" 10 LIST_EXECUTIONS tasks::executions;
    CancelAuditMitigationActionsTask PUT "/audit/mitigationactions/tasks/{taskId}/cancel" 10 ONE_TASK tasks::cancel;
    ListPrincipalThings GET "/principals/things" 10 LIST_PRINCIPAL_THINGS things::of_principal;
    DescribeThing GET "/things/{thingName}" 350 ONE_THING things::describe;
    ListThingGroupsForThing GET "/things/{thingName}/thing-groups" 100 LIST_GROUPS_OF_THING things::groups;
    DescribeThingGroup GET "/thing-groups/{thingGroupName}" 100 ONE_GROUP groups::describe;
    ListThingsInThingGroup GET "/thing-groups/{thingGroupName}/things" 25 LIST_THINGS_IN_GROUP groups::things;
};

/// The operation at a route, and the members of its path, still encoded.
pub(crate) fn route<'a>(
    method: &str,
    path: &'a str,
) -> Option<(&'static Operation, Vec<(&'static str, &'a str)>)> {
    OPERATIONS
        .iter()
        .filter(|operation| operation.method == method)
        .find_map(|operation| Some((operation, matched(operation.path, path)?)))
}

fn matched<'a>(template: &'static str, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let mut members = Vec::new();
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(members),
            (Some(wanted), Some(given)) => {
                match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) if !given.is_empty() => members.push((name, given)),
                    None if wanted == given => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

/// Whether an operation has this name.
pub(crate) fn exists(name: &str) -> bool {
    OPERATIONS.iter().any(|operation| operation.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_leads_to_its_own() {
        assert_eq!(OPERATIONS.len(), 35);
        for operation in OPERATIONS {
            let path = operation.path.replace('{', "a").replace('}', "b");
            let (found, _) = route(operation.method, &path).unwrap();
            assert_eq!(found.name, operation.name);
        }
        assert!(route("GET", "/things").is_none());
        assert!(route("GET", "/audit/tasks/").is_none());
        assert!(route("TRACE", "/audit/tasks").is_none());
    }
}
