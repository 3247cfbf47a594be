//! An example of each command, for its `--help` and its manual page.

use fleetwarden_core::api::Operation;

/// The columns that a line of an example has at most, so that no help breaks it.
const LINE: usize = 78;
/// Before an option on a line of its own.
const INDENT: &str = "      ";

/// The example of a command of a family.
pub(super) fn example(family: &str, operation: &Operation) -> String {
    let options =
        EXAMPLES.iter().find(|(name, _)| *name == operation.name).map_or("", |(_, options)| options);
    let mut lines = vec![format!("  fleetwarden {family} {}", operation.command())];
    // An option and its value stay together.
    for option in options.split("--").map(str::trim).filter(|option| !option.is_empty()) {
        let option = format!("--{option}");
        match lines.last_mut() {
            Some(line) if line.len() + option.len() + " ".len() + " \\".len() <= LINE => {
                line.push(' ');
                line.push_str(&option);
            }
            _ => lines.push(format!("{INDENT}{option}")),
        }
    }
    format!("Example:\n{}", lines.join(" \\\n"))
}

/// The options of an example, by operation.
#[rustfmt::skip]
const EXAMPLES: [(&str, &str); 63] = [
    ("UpdateAccountAuditConfiguration", "--audit-check-configurations LOGGING_DISABLED_CHECK={enabled=true} --dry-run"),
    ("DescribeAccountAuditConfiguration", "--query roleArn"),
    ("DeleteAccountAuditConfiguration", "--dry-run"),
    ("CreateScheduledAudit", "--scheduled-audit-name nightly --frequency DAILY --target-check-names LOGGING_DISABLED_CHECK DEVICE_CERTIFICATE_AGE_CHECK"),
    ("UpdateScheduledAudit", "--scheduled-audit-name nightly --frequency WEEKLY --day-of-week SUN --dry-run"),
    ("DescribeScheduledAudit", "--scheduled-audit-name nightly"),
    ("ListScheduledAudits", ""),
    ("DeleteScheduledAudit", "--scheduled-audit-name nightly --dry-run"),
    ("StartOnDemandAuditTask", "--target-check-names REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK"),
    ("DescribeAuditTask", "--task-id 8850eced986ec360f9b350835a621bcf --output table"),
    ("ListAuditTasks", "--start-time 2026-11-16 --end-time 2026-11-23"),
    ("CancelAuditTask", "--task-id 8850eced986ec360f9b350835a621bcf"),
    ("ListAuditFindings", "--task-id 8850eced986ec360f9b350835a621bcf --check-name DEVICE_CERTIFICATE_SHARED_CHECK"),
    ("DescribeAuditFinding", "--finding-id d1bd2b08-5a1c-4f4e-9d2b-4f0a1b2c3d4e"),
    ("ListRelatedResourcesForAuditFinding", "--finding-id d1bd2b08-5a1c-4f4e-9d2b-4f0a1b2c3d4e"),
    ("CreateAuditSuppression", "--check-name LOGGING_DISABLED_CHECK --resource-identifier account=123456789012 --expiration-date 2027-06-30 --description 'logging costs too much until June'"),
    ("DescribeAuditSuppression", "--check-name LOGGING_DISABLED_CHECK --resource-identifier account=123456789012"),
    ("UpdateAuditSuppression", "--check-name LOGGING_DISABLED_CHECK --resource-identifier account=123456789012 --expiration-date 2027-09-30 --dry-run"),
    ("ListAuditSuppressions", "--check-name LOGGING_DISABLED_CHECK"),
    ("DeleteAuditSuppression", "--check-name LOGGING_DISABLED_CHECK --resource-identifier account=123456789012"),
    ("CreateMitigationAction", "--action-name Deactivate --role-arn arn:aws:iam::123456789012:role/Deactivate --action-params updateDeviceCertificateParams={action=DEACTIVATE}"),
    ("UpdateMitigationAction", "--action-name Deactivate --role-arn arn:aws:iam::123456789012:role/Deactivate --dry-run"),
    ("DescribeMitigationAction", "--action-name Deactivate"),
    ("ListMitigationActions", ""),
    ("DeleteMitigationAction", "--action-name Deactivate --dry-run"),
    ("StartAuditMitigationActionsTask", "--task-id by-hand-1 --target findingIds=d1bd2b08-5a1c-4f4e-9d2b-4f0a1b2c3d4e --audit-check-to-actions-mapping LOGGING_DISABLED_CHECK=EnableLogging --dry-run"),
    ("DescribeAuditMitigationActionsTask", "--task-id fw-4e2bcd1ccbc2a5dd15292a82ab80c380"),
    ("ListAuditMitigationActionsTasks", "--start-time 2026-11-16 --end-time 2026-11-23"),
    ("ListAuditMitigationActionsExecutions", "--task-id fw-4e2bcd1ccbc2a5dd15292a82ab80c380 --finding-id d1bd2b08-5a1c-4f4e-9d2b-4f0a1b2c3d4e"),
    ("CancelAuditMitigationActionsTask", "--task-id fw-4e2bcd1ccbc2a5dd15292a82ab80c380"),
    ("AuditReport", "--scheduled-audit-name nightly --format html"),
    ("CreateSecurityProfile", "--security-profile-name lamps --behaviors file://behaviors.json"),
    ("UpdateSecurityProfile", "--security-profile-name lamps --behaviors file://behaviors.json --dry-run"),
    ("DescribeSecurityProfile", "--security-profile-name lamps"),
    ("ListSecurityProfiles", ""),
    ("DeleteSecurityProfile", "--security-profile-name lamps --dry-run"),
    ("ValidateSecurityProfileBehaviors", "--behaviors file://behaviors.json"),
    ("AttachSecurityProfile", "--security-profile-name lamps --security-profile-target-arn ARN --try-on lamp-1 lamp-2 --dry-run"),
    ("DetachSecurityProfile", "--security-profile-name lamps --security-profile-target-arn ARN --dry-run"),
    ("ListSecurityProfilesForTarget", "--security-profile-target-arn ARN"),
    ("ListTargetsForSecurityProfile", "--security-profile-name lamps"),
    ("ListActiveViolations", "--security-profile-name lamps --query 'activeViolations[].thingName' --output text"),
    ("ListViolationEvents", "--start-time 2026-11-22 --end-time 2026-11-23 --thing-name lamp-1"),
    ("PutVerificationStateOnViolation", "--violation-id d1bd2b08-5a1c-4f4e-9d2b-4f0a1b2c3d4e --verification-state FALSE_POSITIVE"),
    ("ListMetricValues", "--thing-name lamp-1 --metric-name aws:num-authorization-failures --start-time 2026-11-22 --end-time 2026-11-23"),
    ("GetBehaviorModelTrainingSummaries", "--security-profile-name lamps"),
    ("StartDetectMitigationActionsTask", "--task-id by-hand-2 --target violationIds=d1bd2b08-5a1c-4f4e-9d2b-4f0a1b2c3d4e --actions FleetwardenQuarantineThings --dry-run"),
    ("DescribeDetectMitigationActionsTask", "--task-id by-hand-2"),
    ("ListDetectMitigationActionsTasks", "--start-time 2026-11-16 --end-time 2026-11-23"),
    ("ListDetectMitigationActionsExecutions", "--task-id by-hand-2"),
    ("CancelDetectMitigationActionsTask", "--task-id by-hand-2"),
    ("CreateCustomMetric", "--metric-name battery --metric-type number --display-name 'Battery, percent'"),
    ("UpdateCustomMetric", "--metric-name battery --display-name 'Battery in percent'"),
    ("DescribeCustomMetric", "--metric-name battery"),
    ("ListCustomMetrics", ""),
    ("DeleteCustomMetric", "--metric-name battery --dry-run"),
    ("CreateDimension", "--name admin --type TOPIC_FILTER --string-values device/+/admin"),
    ("UpdateDimension", "--name admin --string-values device/+/admin device/+/root"),
    ("DescribeDimension", "--name admin"),
    ("ListDimensions", ""),
    ("DeleteDimension", "--name admin --dry-run"),
    ("AlarmIncident", "--incident-id 4e2bcd1ccbc2a5dd --decision leave"),
    ("AlarmReport", "--security-profile-name lamps --hours 24 --format html"),
];
