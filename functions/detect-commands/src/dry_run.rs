//! A dry run: what a change would change, from what is there now to what would be.

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::diff::change;
use fleetwarden_commands::dry_run::described;
use fleetwarden_commands::target::Target;
use fleetwarden_commands::target::Verb;
use fleetwarden_core::api::input::TOKEN;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::preconditions::Checked;
use crate::profile::CONFLICT;
use crate::profile::VERSION;
use crate::profile::attaches;
use crate::profile::is_attached;

/// Describes what a command would change.
pub(crate) async fn dry_run(
    service: &Service,
    command: &Command,
    checked: &Checked,
) -> Result<Box<RawValue>, Failure> {
    described(command, changes(service, command, checked).await?, checked.loses())
}

async fn changes(service: &Service, command: &Command, checked: &Checked) -> Result<Vec<Value>, Failure> {
    match command.operation.name {
        "AttachSecurityProfile" | "DetachSecurityProfile" => {
            let target = Value::from(command.text("securityProfileTargetArn"));
            let (is, becomes) = (is_attached(service, command).await?, attaches(command));
            let of = |attached: bool| if attached { &target } else { &Value::Null };
            let change = change("$.securityProfileTarget", of(is), of(becomes));
            return Ok(if is == becomes { Vec::new() } else { vec![change] });
        }
        "PutVerificationStateOnViolation" => return verification(service, command).await,
        _ => {}
    }
    is_version(command, checked.profile.as_ref())?;
    let Some(target) = Target::of(service.family, command)? else { return Ok(Vec::new()) };
    let there = match (&checked.profile, target.kind) {
        (Some(profile), "SecurityProfile") => Some(profile.clone()),
        _ => service.there(&target).await?,
    };
    let is_repeated = |there: &Value| is_repeated(command, &target, there, service.family);
    if target.verb == Verb::Create && there.as_ref().is_some_and(is_repeated) {
        return Ok(Vec::new());
    }
    service.changes(command, &target, there.as_ref())
}

/// The verification of an active alarm; the service does not list that of others.
async fn verification(service: &Service, command: &Command) -> Result<Vec<Value>, Failure> {
    let active = service.ask_all("ListActiveViolations", json!({})).await?;
    let id = command.input.get("violationId");
    let now = active.iter().find(|violation| violation.get("violationId") == id);
    let members = ["verificationState", "verificationStateDescription"].into_iter();
    let changes = members.filter_map(|member| {
        let to = command.input.get(member)?;
        let from = now.and_then(|violation| violation.get(member)).unwrap_or(&Value::Null);
        (from != to).then(|| change(&format!("$.{member}"), from, to))
    });
    Ok(changes.collect())
}

/// Whether what is there was made by an earlier try of the same command: where a token tells a repeat.
pub(crate) fn is_repeated(
    command: &Command,
    target: &Target,
    there: &Value,
    family: &fleetwarden_commands::Family,
) -> bool {
    let has_token = command.operation.members.iter().any(|member| member.name == TOKEN);
    has_token && !command.input.contains_key(TOKEN) && target.is_done(family, Some(there))
}

/// A change is of the version that it names.
fn is_version(command: &Command, profile: Option<&Value>) -> Result<(), Failure> {
    let (Some(wanted), Some(profile)) = (command.input.get(VERSION), profile) else { return Ok(()) };
    let version = profile.get("version").cloned().unwrap_or_default();
    if version == *wanted {
        return Ok(());
    }
    let what = format!("{}: it is version {version}, not {wanted}", command.operation.name);
    Err(Failure::Refused { name: CONFLICT, what })
}
