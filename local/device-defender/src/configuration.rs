//! What is configured for an account's audits: role, notification target, which checks are enabled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::args::known_check;
use crate::checks::Check;
use crate::failure::Failure;

/// The range of both thresholds, in days ("Audit checks" in the Device Defender guide).
const THRESHOLD_DAYS: std::ops::RangeInclusive<i64> = 30..=3652;

/// What is configured. Without a role nothing is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    pub(crate) role: Option<String>,
    pub(crate) targets: BTreeMap<String, Target>,
    pub(crate) checks: BTreeMap<Check, CheckConfiguration>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
pub(crate) struct Target {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CheckConfiguration {
    pub(crate) enabled: Option<bool>,
    pub(crate) configuration: BTreeMap<String, String>,
}

impl Configuration {
    pub(crate) fn enabled(&self, check: Check) -> bool {
        self.checks.get(&check).and_then(|check| check.enabled).unwrap_or(false)
    }

    /// The check's threshold in days, as configured or as AWS's default.
    pub(crate) fn threshold(&self, check: Check) -> i64 {
        let Some((name, default)) = check.threshold() else { return 30 };
        let configured = self.checks.get(&check).and_then(|check| check.configuration.get(name));
        configured.and_then(|days| days.parse().ok()).unwrap_or(default)
    }

    /// The topic that wants notifications.
    pub(crate) fn topic(&self) -> Option<String> {
        let target = self.targets.get("SNS")?;
        target.target_arn.clone().filter(|_| target.enabled == Some(true))
    }

    /// Takes an update. Refused, it may be half done.
    pub(crate) fn apply(&mut self, update: Update) -> Result<(), Failure> {
        let first = self.role.is_none();
        if let Some(role) = update.role {
            self.role = Some(role);
        } else if first {
            return Err(Failure::invalid("roleArn is required on the first call"));
        }
        for (kind, given) in update.targets {
            let target = self.targets.entry(kind).or_default();
            target.target_arn = given.target_arn.or_else(|| target.target_arn.take());
            target.role_arn = given.role_arn.or_else(|| target.role_arn.take());
            target.enabled = given.enabled.or(target.enabled);
            if target.enabled == Some(true) && (target.target_arn.is_none() || target.role_arn.is_none()) {
                return Err(Failure::invalid(
                    "auditNotificationTargetConfigurations.SNS: targetArn and roleArn are required when enabled is true",
                ));
            }
        }
        for (name, given) in update.checks {
            let check = known_check(&name, "auditCheckConfigurations")?;
            check_thresholds(check, &given.configuration)?;
            let configured = self.checks.entry(check).or_default();
            configured.enabled = given.enabled.or(configured.enabled);
            configured.configuration.extend(given.configuration);
        }
        if first && !Check::ALL.iter().any(|check| self.enabled(*check)) {
            return Err(Failure::invalid(
                "auditCheckConfigurations must enable at least one check on the first call",
            ));
        }
        Ok(())
    }
}

/// What an update names.
pub(crate) struct Update {
    pub(crate) role: Option<String>,
    pub(crate) targets: BTreeMap<String, Target>,
    pub(crate) checks: BTreeMap<String, CheckConfiguration>,
}

fn check_thresholds(check: Check, given: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, days) in given {
        let path = format!("auditCheckConfigurations.{}.configuration.{name}", check.name());
        if check.threshold().is_none_or(|(allowed, _)| allowed != name) {
            return Err(Failure::invalid(format!("{path}: this check has no such configuration")));
        }
        if !days.parse().is_ok_and(|days: i64| THRESHOLD_DAYS.contains(&days)) {
            return Err(Failure::invalid(format!("{path}: must be a number from 30 to 3652")));
        }
    }
    Ok(())
}
