//! What a change would change, without making it: from what is there now to what would be.

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::diff::change;
use fleetwarden_commands::dry::told;
use fleetwarden_commands::subject::Subject;
use fleetwarden_commands::subject::Verb;
use fleetwarden_core::api::input::TOKEN;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::DetectCommands;
use crate::account::Look;
use crate::profile::CONFLICT;
use crate::profile::VERSION;
use crate::profile::attaches;

impl DetectCommands {
    /// Tells what a command would change.
    pub(crate) async fn dry_run(&self, command: &Command, look: &Look) -> Result<Box<RawValue>, Failure> {
        told(command, self.changes(command, look).await?, look.loses())
    }

    async fn changes(&self, command: &Command, look: &Look) -> Result<Vec<Value>, Failure> {
        match command.operation.name {
            "AttachSecurityProfile" | "DetachSecurityProfile" => {
                let target = Value::from(command.text("securityProfileTargetArn"));
                let (is, becomes) = (self.is_attached(command).await?, attaches(command));
                let of = |attached: bool| if attached { &target } else { &Value::Null };
                let change = change("$.securityProfileTarget", of(is), of(becomes));
                return Ok(if is == becomes { Vec::new() } else { vec![change] });
            }
            "PutVerificationStateOnViolation" => return self.verification(command).await,
            _ => {}
        }
        is_version(command, look.profile.as_ref())?;
        let Some(subject) = Subject::of(self.service.family, command)? else { return Ok(Vec::new()) };
        let there = match (&look.profile, subject.kind) {
            (Some(profile), "SecurityProfile") => Some(profile.clone()),
            _ => self.service.there(&subject).await?,
        };
        let is_repeated = |there: &Value| is_repeated(command, &subject, there, self.service.family);
        if subject.verb == Verb::Create && there.as_ref().is_some_and(is_repeated) {
            return Ok(Vec::new());
        }
        self.service.changes(command, &subject, there.as_ref())
    }

    /// The verification of an alarm that lasts; of others nobody says what it is now.
    async fn verification(&self, command: &Command) -> Result<Vec<Value>, Failure> {
        let active = self.service.ask_all("ListActiveViolations", json!({})).await?;
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
}

/// Whether what is there was made by an earlier try of the same command: where a token tells a repeat.
pub(crate) fn is_repeated(
    command: &Command,
    subject: &Subject,
    there: &Value,
    family: &fleetwarden_commands::Family,
) -> bool {
    let has_token = command.operation.members.iter().any(|member| member.name == TOKEN);
    has_token && !command.input.contains_key(TOKEN) && subject.is_done(family, Some(there))
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
