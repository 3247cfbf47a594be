//! `fleetwarden suppression`: puts suppressions back that the rules of a stack have made, in AWS or on this machine.
//!
//! It asks the function `mitigation-commands`, page by page until all is done. [`undone`] is what people read.

#[cfg(test)]
mod tests;
mod undone;

use super::mitigation::{Pages, print};
use crate::commands::answer::Common;
use crate::commands::audit::value;
use crate::exit::Exit;
use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use fleetwarden_core::api;
use fleetwarden_core::model::suppression::undo::{Undone, UndoneSuppression};
use serde_json::{Map, Value, json};

/// The command of the function.
const UNDO: &str = "SuppressionUndo";
/// The member that has a structure.
const RESOURCE: &str = "resourceIdentifier";

/// Arguments of `suppression`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden suppression undo --rule lab --reason 'wrong devices' --dry-run
  fleetwarden suppression undo --since 2026-11-23 --reason 'wrong policy'")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put back what rules have done to suppressions, as it was before
    Undo(Undo),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden suppression undo \\
      --audit-task-id 8850eced986ec360f9b350835a621bcf --reason 'many' --dry-run
  fleetwarden suppression undo --rule lab --since 2026-11-23 --reason 'ours'
  fleetwarden suppression undo --check-name CONFLICTING_CLIENT_IDS_CHECK \\
      --resource-identifier clientId=lamp-1 --reason 'lamp-1 is ours'")]
struct Undo {
    /// Only what rules did to suppressions in this audit
    #[arg(long, value_name = "ID", required_unless_present_any = ["rule", "check_name", "since"])]
    audit_task_id: Option<String>,
    /// Only what this rule did
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only suppressions for this check
    #[arg(long, value_name = "CHECK")]
    check_name: Option<String>,
    /// Only the suppression of this resource, such as deviceCertificateId=…
    #[arg(long, value_name = "a=b", requires = "check_name")]
    resource_identifier: Option<String>,
    /// Only what was done since this time, such as 2026-11-23 or 2026-11-23T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Why: the ledger keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Put back also what was changed since. What people made is never touched
    #[arg(long)]
    force: bool,
    /// Show what would be put back, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Undoes.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let Command::Undo(undo) = &arguments.command;
    print::<Undone>(&arguments.common, event(undo)?, usize::MAX, undone::text).await
}

/// The event for the function.
fn event(undo: &Undo) -> Result<Map<String, Value>> {
    let flag = |given: bool| given.then_some(true);
    let resource = undo.resource_identifier.as_deref().map(resource).transpose()?;
    let members = json!({
        "command": UNDO, "auditTaskId": undo.audit_task_id, "rule": undo.rule, "checkName": undo.check_name,
        RESOURCE: resource, "since": undo.since, "reason": undo.reason, "force": flag(undo.force),
        "dryRun": flag(undo.dry_run),
    });
    let Value::Object(mut members) = members else { return Ok(Map::new()) };
    members.retain(|_, value| !value.is_null());
    Ok(members)
}

/// A resource as the AWS CLI writes one.
fn resource(word: &str) -> Result<Value> {
    let operation = api::mitigation(UNDO).map_err(|error| anyhow!(error))?;
    let member = operation.members.iter().find(|member| member.name == RESOURCE);
    let shape = member.ok_or_else(|| anyhow!("{UNDO} has no {RESOURCE}"))?.shape;
    value::read("--resource-identifier", shape, &[word])
}

impl Pages for Undone {
    fn count(&self) -> usize {
        self.suppressions.len()
    }

    fn token(&mut self) -> &mut Option<String> {
        &mut self.next_token
    }

    fn add(&mut self, page: Self) {
        self.suppressions.extend(page.suppressions);
        for next in page.next_audit {
            if self.next_audit.iter().all(|known| known.rule != next.rule) {
                self.next_audit.push(next);
            }
        }
        self.next_token = page.next_token;
    }

    fn is_good(&self) -> bool {
        self.suppressions.iter().all(UndoneSuppression::is_good)
    }
}
