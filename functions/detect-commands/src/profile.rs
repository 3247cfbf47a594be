//! Changes of a security profile that a repeat does not do twice.
//!
//! An update names the version that it is of, so that two people do not undo each other's: without one it is the version
//! that was read. Each update makes a new version, so a second try of one that was done is refused; what became of it is
//! looked up. Targets have no version: there, too, it is looked up before the next try.

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::calls::is;
use fleetwarden_commands::repeat::TRIES;
use fleetwarden_commands::repeat::is_refusal;
use fleetwarden_commands::target::Target;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::models::targets;

/// The member of an update with the version that it is of.
pub(crate) const VERSION: &str = "expectedVersion";
/// What the service says to another version.
pub(crate) const CONFLICT: &str = "VersionConflictException";

/// `UpdateSecurityProfile`, of a profile as it is now.
pub(crate) async fn update_profile(
    service: &Service,
    command: &Command,
    now: Option<&Value>,
) -> Result<Box<RawValue>, Failure> {
    let input = versioned(command, now);
    let Some(target) = Target::of(service.family, command)? else {
        return Ok(service.iot.call(command.operation, &input).await?);
    };
    let of = input.get(VERSION).and_then(Value::as_i64);
    let mut tries = 1;
    loop {
        let error = match service.iot.call_once(command.operation, &input).await {
            Err(error) if is(&error, CONFLICT) || !is_refusal(&error) => error,
            answered => return Ok(answered?),
        };
        tracing::warn!(%error, "it is unknown whether the change was made");
        // The look-up's own failure would be taken for the change's.
        let Ok(Some(there)) = service.there(&target).await else { return Err(error.into()) };
        let version = there.get("version").and_then(Value::as_i64);
        let is_next = version.is_some() && version == of.and_then(|of| of.checked_add(1));
        if is_next && target.is_done(service.family, Some(&there)) {
            // It is described as an update answers.
            return answer(&there);
        }
        if is(&error, CONFLICT) || version != of || tries == TRIES {
            return Err(error.into());
        }
        tries += 1;
    }
}

/// `DeleteSecurityProfile`, of a profile as it is now.
pub(crate) async fn delete_profile(
    service: &Service,
    command: &Command,
    now: Option<&Value>,
) -> Result<Box<RawValue>, Failure> {
    service.change_with(command, &versioned(command, now)).await
}

/// `AttachSecurityProfile` or `DetachSecurityProfile`.
pub(crate) async fn change_target(service: &Service, command: &Command) -> Result<Box<RawValue>, Failure> {
    let mut tries = 1;
    loop {
        let error = match service.iot.call_once(command.operation, &command.input).await {
            Err(error) if !is_refusal(&error) => error,
            answered => return Ok(answered?),
        };
        tracing::warn!(%error, "it is unknown whether the change was made");
        let wanted = attaches(command);
        match is_attached(service, command).await {
            Ok(attached) if attached == wanted => return answer(&json!({})),
            Ok(_) if tries < TRIES => tries += 1,
            _ => return Err(error.into()),
        }
    }
}

/// Whether the profile of a command is attached to its target.
pub(crate) async fn is_attached(service: &Service, command: &Command) -> Result<bool, Failure> {
    let profile = json!({"securityProfileName": command.text("securityProfileName")});
    let targets = targets(service, &profile).await?;
    Ok(targets.iter().any(|target| target == command.text("securityProfileTargetArn")))
}

/// Whether a command attaches.
pub(crate) fn attaches(command: &Command) -> bool {
    command.operation.name == "AttachSecurityProfile"
}

/// The input with the version that the change is of: the caller's, or that of the profile as it was read.
fn versioned(command: &Command, now: Option<&Value>) -> Map<String, Value> {
    let mut input = command.input.clone();
    if let Some(version) = now.and_then(|profile| profile.get("version")).filter(|version| version.is_i64()) {
        input.entry(VERSION).or_insert_with(|| version.clone());
    }
    input
}
