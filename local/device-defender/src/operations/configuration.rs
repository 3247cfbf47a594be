//! The account's audit configuration: role, notification target, which checks are enabled.

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::audits::Status;
use crate::checks::Check;
use crate::configuration::{Configuration, Update};
use crate::failure::Failure;
use crate::operations::{EMPTY, Outcome};
use crate::world::World;

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
