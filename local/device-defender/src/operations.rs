//! What answers each of the operations that the API describes: those on audits, those of Detect, and those that tell what
//! is behind a finding, and read and put back what mitigation changes.

pub(crate) mod actions;
pub(crate) mod audits;
pub(crate) mod certificates;
pub(crate) mod configuration;
pub(crate) mod detect_dimensions;
pub(crate) mod detect_metrics;
pub(crate) mod detect_profiles;
#[cfg(test)]
mod detect_stores_tests;
pub(crate) mod detect_targets;
pub(crate) mod detect_tasks;
pub(crate) mod detect_training;
pub(crate) mod detect_violations;
pub(crate) mod findings;
pub(crate) mod groups;
pub(crate) mod logging;
pub(crate) mod policies;
pub(crate) mod reach;
pub(crate) mod resources;
pub(crate) mod schedules;
pub(crate) mod suppressions;
pub(crate) mod tasks;
pub(crate) mod things;

use crate::args::Args;
use crate::failure::Failure;
use crate::world::World;
use fleetwarden_core::api::{self, Operation};

/// What an operation answers: the body, or a refusal.
pub(crate) type Outcome = Result<String, Failure>;

/// An operation without an output answers this.
pub(crate) const EMPTY: &str = "{}";

/// What answers an operation.
pub(crate) type Run = fn(&mut World, &Args) -> Outcome;

macro_rules! answers {
    ($($name:ident $run:path;)*) => {
        &[$((stringify!($name), $run)),*]
    };
}

/// What answers each operation, by its name.
#[rustfmt::skip]
static ANSWERS: &[(&str, Run)] = answers! {
    UpdateAccountAuditConfiguration configuration::update;
    DescribeAccountAuditConfiguration configuration::describe;
    DeleteAccountAuditConfiguration configuration::delete;
    CreateScheduledAudit schedules::create;
    UpdateScheduledAudit schedules::update;
    DescribeScheduledAudit schedules::describe;
    ListScheduledAudits schedules::list;
    DeleteScheduledAudit schedules::delete;
    StartOnDemandAuditTask audits::start;
    DescribeAuditTask audits::describe;
    ListAuditTasks audits::list;
    CancelAuditTask audits::cancel;
    ListAuditFindings findings::list;
    DescribeAuditFinding findings::describe;
    ListRelatedResourcesForAuditFinding findings::related;
    CreateAuditSuppression suppressions::create;
    DescribeAuditSuppression suppressions::describe;
    UpdateAuditSuppression suppressions::update;
    ListAuditSuppressions suppressions::list;
    DeleteAuditSuppression suppressions::delete;
    CreateMitigationAction actions::create;
    UpdateMitigationAction actions::update;
    DescribeMitigationAction actions::describe;
    ListMitigationActions actions::list;
    DeleteMitigationAction actions::delete;
    StartAuditMitigationActionsTask tasks::start;
    DescribeAuditMitigationActionsTask tasks::describe;
    ListAuditMitigationActionsTasks tasks::list;
    ListAuditMitigationActionsExecutions tasks::executions;
    CancelAuditMitigationActionsTask tasks::cancel;
    CreateSecurityProfile detect_profiles::create;
    UpdateSecurityProfile detect_profiles::update;
    DescribeSecurityProfile detect_profiles::describe;
    ListSecurityProfiles detect_profiles::list;
    DeleteSecurityProfile detect_profiles::delete;
    ValidateSecurityProfileBehaviors detect_profiles::validate;
    AttachSecurityProfile detect_targets::attach;
    DetachSecurityProfile detect_targets::detach;
    ListSecurityProfilesForTarget detect_targets::profiles;
    ListTargetsForSecurityProfile detect_targets::list;
    ListActiveViolations detect_violations::active;
    ListViolationEvents detect_violations::events;
    PutVerificationStateOnViolation detect_violations::verify;
    ListMetricValues detect_violations::values;
    GetBehaviorModelTrainingSummaries detect_training::summaries;
    StartDetectMitigationActionsTask detect_tasks::start;
    DescribeDetectMitigationActionsTask detect_tasks::describe;
    ListDetectMitigationActionsTasks detect_tasks::list;
    ListDetectMitigationActionsExecutions detect_tasks::executions;
    CancelDetectMitigationActionsTask detect_tasks::cancel;
    CreateCustomMetric detect_metrics::create;
    UpdateCustomMetric detect_metrics::update;
    DescribeCustomMetric detect_metrics::describe;
    ListCustomMetrics detect_metrics::list;
    DeleteCustomMetric detect_metrics::delete;
    CreateDimension detect_dimensions::create;
    UpdateDimension detect_dimensions::update;
    DescribeDimension detect_dimensions::describe;
    ListDimensions detect_dimensions::list;
    DeleteDimension detect_dimensions::delete;
    ListPrincipalThings things::of_principal;
    DescribeThing things::describe;
    ListThingGroupsForThing things::groups;
    DescribeThingGroup groups::describe;
    ListThingGroups groups::list;
    ListThingsInThingGroup groups::things;
    AddThingToThingGroup groups::add;
    RemoveThingFromThingGroup groups::remove;
    ListThings things::list;
    ListThingPrincipals things::principals;
    ListCertificates resources::certificates;
    ListCACertificates resources::authorities;
    ListPolicies resources::policies;
    GetPolicy policies::get;
    ListRoleAliases resources::aliases;
    DescribeCertificate certificates::describe;
    UpdateCertificate certificates::update;
    DescribeCACertificate certificates::describe_authority;
    UpdateCACertificate certificates::update_authority;
    UpdateThingGroupsForThing groups::update;
    ListPolicyVersions policies::versions;
    CreatePolicyVersion policies::create_version;
    SetDefaultPolicyVersion policies::set_default;
    DeletePolicyVersion policies::delete_version;
    ListTargetsForPolicy reach::targets;
    ListCertificatesByCA reach::signed;
    GetThingConnectivityData reach::connectivity;
    GetV2LoggingOptions logging::get;
    SetV2LoggingOptions logging::set;
    GetLoggingOptions logging::get_first;
    SetLoggingOptions logging::set_first;
};

/// What is at a route.
pub(crate) struct Route<'a> {
    /// The operation.
    pub(crate) operation: &'static Operation,
    /// What answers it.
    pub(crate) run: Run,
    /// The members of its path, still encoded.
    pub(crate) path: Vec<(&'static str, &'a str)>,
}

fn operations() -> impl Iterator<Item = &'static Operation> {
    api::AUDIT.iter().chain(&api::DETECT).chain(&api::REGISTRY)
}

/// The operation at a route.
pub(crate) fn route<'a>(method: &str, path: &'a str) -> Option<Route<'a>> {
    let mut of_method = operations().filter(|operation| operation.method == method);
    let (operation, path) =
        of_method.find_map(|operation| Some((operation, matched(operation.path, path)?)))?;
    let (_, run) = ANSWERS.iter().find(|(name, _)| *name == operation.name)?;
    Some(Route { operation, run: *run, path })
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
    operations().any(|operation| operation.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_leads_to_its_own() {
        assert_eq!(ANSWERS.len(), operations().count());
        for operation in operations() {
            let path = operation.path.replace('{', "a").replace('}', "b");
            assert_eq!(route(operation.method, &path).unwrap().operation.name, operation.name);
        }
        assert!(route("POST", "/things").is_none());
        assert!(route("GET", "/audit/tasks/").is_none());
        assert!(route("TRACE", "/audit/tasks").is_none());
    }
}
