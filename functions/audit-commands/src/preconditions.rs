//! What AWS demands of a change, as far as only the account shows it. Each change costs the calls that it needs.

use fleetwarden_aws::Error;
use fleetwarden_aws::iot_api::UNREADABLE;
use fleetwarden_core::api::input::Fault;
use serde_json::Value;
use serde_json::json;

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;

/// "Device Defender endpoints and quotas": scheduled audits.
const MOST_SCHEDULES: usize = 5;

/// Checks changes against the account.
#[derive(Clone, Copy)]
pub(crate) struct Preconditions<'a>(pub(crate) &'a Service);

impl Preconditions<'_> {
    /// Checks whether a change can be made. Gives what it would destroy, if it would destroy something.
    pub(crate) async fn check(&self, command: &Command) -> Result<Option<String>, Failure> {
        match command.operation.name {
            "CreateScheduledAudit" => {
                self.checks_are_enabled(command).await?;
                self.there_is_room(command).await?;
                Ok(None)
            }
            "UpdateScheduledAudit" => {
                if command.input.contains_key("targetCheckNames") {
                    self.checks_are_enabled(command).await?;
                }
                self.day_fits(command).await?;
                Ok(None)
            }
            "StartOnDemandAuditTask" => {
                self.checks_are_enabled(command).await?;
                Ok(None)
            }
            "UpdateAccountAuditConfiguration" => {
                let now = self.configuration().await?;
                is_complete(&now, command)?;
                self.disabling(&now, command).await
            }
            "DeleteAccountAuditConfiguration" => self.deleting(command).await,
            _ => Ok(None),
        }
    }

    /// "Checks must be enabled for your account."
    async fn checks_are_enabled(&self, command: &Command) -> Result<(), Failure> {
        let configuration = self.configuration().await?;
        let checks = target_checks(command).into_iter().enumerate();
        let faults =
            checks.filter(|(_, check)| !is_enabled(&configuration, check)).map(|(at, check)| Fault {
                path: format!("$.targetCheckNames[{at}]"),
                what: format!(
                    "{check} is not enabled for the account; UpdateAccountAuditConfiguration enables it"
                ),
            });
        none_of(faults.collect())
    }

    async fn there_is_room(&self, command: &Command) -> Result<(), Failure> {
        let names = self.schedules().await?;
        // Of a name that is taken the service says so.
        if names.len() < MOST_SCHEDULES || names.iter().any(|name| name == command.text("scheduledAuditName"))
        {
            return Ok(());
        }
        let what = format!(
            "an account has {MOST_SCHEDULES} scheduled audits at most, and has {}; delete one first",
            quoted(&names)
        );
        Err(Failure::Refused { name: "LimitExceededException", what })
    }

    /// A day that is given without its frequency has to fit the one that the scheduled audit has.
    async fn day_fits(&self, command: &Command) -> Result<(), Failure> {
        let given = ["dayOfWeek", "dayOfMonth"].into_iter().find(|day| command.input.contains_key(*day));
        let (Some(day), false) = (given, command.input.contains_key("frequency")) else { return Ok(()) };
        let name = command.text("scheduledAuditName");
        let schedule = self.0.ask("DescribeScheduledAudit", json!({"scheduledAuditName": name})).await?;
        let frequency = schedule.get("frequency").and_then(Value::as_str).unwrap_or_default();
        let fits = match frequency {
            "WEEKLY" | "BIWEEKLY" => day == "dayOfWeek",
            "MONTHLY" => day == "dayOfMonth",
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let what = format!("is not for the frequency {frequency} that the scheduled audit has");
        Err(Failure::fault(format!("$.{day}"), what))
    }

    /// "You cannot disable a check if it's used by any scheduled audit"; "When a check is disabled, any data
    /// collected so far in relation to the check is deleted."
    async fn disabling(&self, now: &Value, command: &Command) -> Result<Option<String>, Failure> {
        let given = command.input.get("auditCheckConfigurations").and_then(Value::as_object);
        // What AWS takes a check for of which nothing is said, it does not say.
        let stays = |configured: &Value| configured.get("enabled") == Some(&Value::Bool(true));
        let going = given.into_iter().flatten().filter(|(_, configured)| !stays(configured));
        let mut going: Vec<(&String, bool)> =
            going.map(|(check, configured)| (check, configured.get("enabled").is_some())).collect();
        going.retain(|(check, _)| is_enabled(now, check));
        if going.is_empty() {
            return Ok(None);
        }
        let mut schedules: Vec<(String, Value)> = Vec::new();
        for name in self.schedules().await? {
            let schedule = json!({"scheduledAuditName": name});
            // It may be deleted since it was listed.
            let schedule = self.0.ask_if_there("DescribeScheduledAudit", schedule).await?;
            schedules.extend(schedule.map(|schedule| (name, schedule)));
        }
        let faults = going.iter().filter(|(_, said)| *said).filter_map(|(check, _)| {
            let has = |schedule: &Value| {
                let checks = schedule.get("targetCheckNames").and_then(Value::as_array);
                checks.is_some_and(|checks| checks.iter().any(|used| used == check.as_str()))
            };
            let named = schedules.iter().filter(|(_, schedule)| has(schedule)).map(|(name, _)| name.clone());
            let named: Vec<String> = named.collect();
            (!named.is_empty()).then(|| Fault {
                path: format!("$.auditCheckConfigurations.{check}.enabled"),
                what: format!(
                    "scheduled audits use the check: {}; take it out of them first",
                    quoted(&named)
                ),
            })
        });
        none_of(faults.collect())?;
        let checks: Vec<&str> = going.iter().map(|(check, _)| check.as_str()).collect();
        let unsaid = if going.iter().all(|(_, said)| *said) {
            ""
        } else {
            ", and to leave 'enabled' out may disable it"
        };
        Ok(Some(format!("to disable {} deletes what was collected for it{unsaid}", checks.join(", "))))
    }

    /// "Any configuration data you entered is deleted and all audit checks are reset to disabled."
    async fn deleting(&self, command: &Command) -> Result<Option<String>, Failure> {
        if command.is_confirmed(&self.0.account) && !command.dry_run {
            return Ok(None);
        }
        let now = self.configuration().await?;
        let checks = now.get("auditCheckConfigurations").and_then(Value::as_object);
        let enabled = checks.into_iter().flatten().filter(|(check, _)| is_enabled(&now, check)).count();
        let schedules = self.schedules().await?;
        let with = command.input.get("deleteScheduledAudits") == Some(&Value::Bool(true));
        let schedules = match (with, schedules.len()) {
            (_, 0) => String::new(),
            (true, 1) => format!(", and deletes 1 scheduled audit: {}", quoted(&schedules)),
            (true, many) => format!(", and deletes {many} scheduled audits: {}", quoted(&schedules)),
            (false, _) => {
                format!("; scheduled audits stay and find their checks disabled: {}", quoted(&schedules))
            }
        };
        Ok(Some(format!(
            "to delete the audit configuration disables {enabled} checks and deletes what was collected for them, \
             the audit's role and its notification target{schedules}"
        )))
    }

    /// The configuration. The service describes every check, enabled or not: without them it is unknown.
    async fn configuration(&self) -> Result<Value, Failure> {
        let name = "DescribeAccountAuditConfiguration";
        let now = self.0.ask(name, json!({})).await?;
        if now.get("auditCheckConfigurations").is_some_and(Value::is_object) {
            return Ok(now);
        }
        let (on, code) = (String::new(), UNREADABLE.to_owned());
        let message = "the answer has no auditCheckConfigurations".to_owned();
        Err(Error::Aws { operation: name, on, code, message }.into())
    }

    /// The names of the scheduled audits.
    pub(crate) async fn schedules(&self) -> Result<Vec<String>, Failure> {
        let schedules = self.0.ask_all("ListScheduledAudits", json!({})).await?;
        let name = |schedule: &Value| Some(schedule.get("scheduledAuditName")?.as_str()?.to_owned());
        Ok(schedules.iter().filter_map(name).collect())
    }
}

/// "On the first call to `UpdateAccountAuditConfiguration`, this parameter is required", of the role, and "must specify at
/// least one enabled check", of the checks. An enabled target has both of its members.
fn is_complete(now: &Value, command: &Command) -> Result<(), Failure> {
    let mut faults = Vec::new();
    let mut fault = |path: &str, what: &str| {
        faults.push(Fault { path: path.to_owned(), what: what.to_owned() });
    };
    if now.get("roleArn").is_none() {
        if !command.input.contains_key("roleArn") {
            fault("$.roleArn", "is missing: nothing is configured yet");
        }
        let given = command.input.get("auditCheckConfigurations").and_then(Value::as_object);
        let mut enabled = given.into_iter().flatten().filter_map(|(_, check)| check.get("enabled"));
        if !enabled.any(|enabled| enabled == true) {
            fault("$.auditCheckConfigurations", "must enable a check: nothing is configured yet");
        }
    }
    let name = "auditNotificationTargetConfigurations";
    let targets = [command.input.get(name), now.get(name)];
    let becomes = |member: &str| targets.into_iter().flatten().find_map(|of| of.get("SNS")?.get(member));
    if becomes("enabled") == Some(&Value::Bool(true)) {
        for member in ["targetArn", "roleArn"].into_iter().filter(|member| becomes(member).is_none()) {
            let path = format!("$.auditNotificationTargetConfigurations.SNS.{member}");
            fault(&path, "is missing: the target is enabled");
        }
    }
    none_of(faults)
}

/// The checks that an audit is to make.
pub(crate) fn target_checks(command: &Command) -> Vec<&str> {
    let checks = command.input.get("targetCheckNames").and_then(Value::as_array);
    checks.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn is_enabled(configuration: &Value, check: &str) -> bool {
    let check = configuration.get("auditCheckConfigurations").and_then(|checks| checks.get(check));
    check.and_then(|check| check.get("enabled")) == Some(&Value::Bool(true))
}

fn none_of(faults: Vec<Fault>) -> Result<(), Failure> {
    if faults.is_empty() { Ok(()) } else { Err(Failure::Input(faults)) }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}
