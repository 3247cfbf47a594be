//! The account's audit configuration: role, notification target, which checks are enabled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::args::{Args, known_check};
use crate::audits::Status;
use crate::checks::Check;
use crate::failure::Failure;
use crate::operations::{EMPTY, Outcome};
use crate::world::World;

/// The range of both thresholds, in days ("Audit checks" in the Device Defender guide).
const THRESHOLD_DAYS: std::ops::RangeInclusive<i64> = 30..=3652;

/// What is configured. Without a role nothing is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    role: Option<String>,
    targets: BTreeMap<String, Target>,
    checks: BTreeMap<Check, CheckConfiguration>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct Target {
    #[serde(skip_serializing_if = "Option::is_none")]
    target_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct CheckConfiguration {
    enabled: Option<bool>,
    configuration: BTreeMap<String, String>,
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

    fn apply(&mut self, update: Update) -> Result<(), Failure> {
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

struct Update {
    role: Option<String>,
    targets: BTreeMap<String, Target>,
    checks: BTreeMap<String, CheckConfiguration>,
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

/// `UpdateAccountAuditConfiguration`. Only what is given changes; a refused update changes nothing.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let update = Update {
        role: args.text("roleArn").map(str::to_owned),
        targets: args.read("auditNotificationTargetConfigurations")?.unwrap_or_default(),
        checks: args.read("auditCheckConfigurations")?.unwrap_or_default(),
    };
    let mut changed = world.configuration.clone();
    changed.apply(update)?;
    for (name, schedule) in &world.schedules {
        let disabled = schedule
            .checks
            .iter()
            .find(|check| world.configuration.enabled(**check) && !changed.enabled(**check));
        if let Some(check) = disabled {
            return Err(Failure::invalid(format!(
                "auditCheckConfigurations: {} is used by scheduled audit {name} and cannot be disabled",
                check.name()
            )));
        }
    }
    put(world, changed);
    Ok(EMPTY.to_owned())
}

/// "When a check is disabled, any data collected so far in relation to the check is deleted": the findings here, since
/// nothing else is kept of it.
fn put(world: &mut World, changed: Configuration) {
    let before = std::mem::replace(&mut world.configuration, changed);
    for audit in world.audits.values_mut().filter(|audit| audit.status != Status::InProgress) {
        for (check, run) in &mut audit.checks {
            run.deleted |= before.enabled(*check) && !world.configuration.enabled(*check);
        }
    }
}

/// `DescribeAccountAuditConfiguration`. Every check is there, also when nothing is configured.
#[expect(clippy::unnecessary_wraps, reason = "every operation has this signature")]
pub(crate) fn describe(world: &mut World, _: &Args) -> Outcome {
    let configuration = &world.configuration;
    let checks = Check::ALL.into_iter().map(|check| {
        let mut described = json!({ "enabled": configuration.enabled(check) });
        let set = configuration.checks.get(&check).map(|check| &check.configuration);
        if let (Some(set), Some(described)) = (set.filter(|set| !set.is_empty()), described.as_object_mut()) {
            described.insert("configuration".to_owned(), json!(set));
        }
        (check.name().to_owned(), described)
    });
    let mut described = Map::new();
    described.insert("auditCheckConfigurations".to_owned(), Value::Object(checks.collect()));
    if let Some(role) = &configuration.role {
        described.insert("roleArn".to_owned(), role.as_str().into());
    }
    if !configuration.targets.is_empty() {
        described.insert("auditNotificationTargetConfigurations".to_owned(), json!(configuration.targets));
    }
    Ok(Value::Object(described).to_string())
}

/// `DeleteAccountAuditConfiguration`. Schedules that are left find their checks disabled when they run.
pub(crate) fn delete(world: &mut World, args: &Args) -> Outcome {
    if world.configuration.role.is_none() {
        return Err(Failure::not_found("The account has no audit configuration"));
    }
    put(world, Configuration::default());
    if args.flag("deleteScheduledAudits") == Some(true) {
        world.schedules.clear();
    }
    Ok(EMPTY.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::checks::Check;
    use crate::harness::Desk;

    #[test]
    fn disabling_a_check_deletes_its_findings_and_no_others() {
        let desk = Desk::new(200);
        let task = desk.start(&[Check::DeviceShared, Check::DeviceRevoked]);
        desk.advance(1_000);
        let all = desk.findings(&task);
        let (gone, stay): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|finding| finding["checkName"] == Check::DeviceShared.name());
        assert!(!gone.is_empty() && !stay.is_empty());
        let off = json!({ "auditCheckConfigurations": { Check::DeviceShared.name(): { "enabled": false } } });
        desk.ok("PATCH", "/audit/configuration", &off);
        assert_eq!(desk.findings(&task), stay);
        let one = format!("/audit/findings/{}", gone[0]["findingId"].as_str().unwrap());
        assert_eq!(desk.call("GET", &one, &serde_json::Value::Null).0, 404);
        let described = desk.ok("GET", &format!("/audit/tasks/{task}"), &serde_json::Value::Null);
        let details = &described["auditDetails"][Check::DeviceShared.name()];
        assert_eq!(details["nonCompliantResourcesCount"], gone.len());
        desk.enable();
        assert_eq!(desk.findings(&task), stay);
        assert_eq!(desk.audit(Check::DeviceShared).len(), gone.len());
    }
}
