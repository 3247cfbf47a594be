//! `fleetwarden policy explain`: what a policy decides on a finding, and why.

mod input;

use super::Source;
use super::explanation::{self, Explained};
use super::things::Given as GivenThings;
use crate::input::Input;
use crate::output::line;
use anyhow::{Context as _, Result};
use clap::Args;
use fleetwarden_core::timestamp::Millis;
use input::{Around, Given};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `policy explain`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The policy file
    #[arg(long, default_value = "policies/policy.yaml")]
    policy: PathBuf,
    /// The finding, as the archive, the log group, the AWS CLI or a case of `policy test` has it; `-` for standard
    /// input
    #[arg(short, long, value_name = "FILE")]
    finding: PathBuf,
    /// File with the things behind the resource: a list of name, type, groups and attributes, or unknown; or with the
    /// things and groups of the fleet, as `policy check --inventory` takes it
    #[arg(long, value_name = "FILE")]
    things: Option<PathBuf>,
    /// Decide as if the audit had begun then (RFC 3339); left out, it began when the finding says so
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Millis>,
    /// When the finding was first seen (RFC 3339), if the finding does not say so
    #[arg(long, value_name = "TIME", value_parser = time)]
    first_seen: Option<Millis>,
    /// In how many audits it was seen, if the finding does not say so
    #[arg(long, value_name = "TIMES")]
    seen: Option<u32>,
    /// Account of the audit, if the finding does not say so
    #[arg(long)]
    account: Option<String>,
    /// Region of the audit, if the finding does not say so
    #[arg(long)]
    region: Option<String>,
    /// Print each decision as the functions log it, one JSON object a line
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Millis, String> {
    Millis::parse(text).ok_or_else(|| "a time is written as 2026-11-23T08:00:00Z".to_owned())
}

/// Explains a file's findings.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let source = Source::read(&arguments.policy)?;
    let Input { name, text } = crate::input::read(&arguments.finding)?;
    let now = now();
    let around = Around { now, account: arguments.account.as_deref(), policy: &source.policy };
    let mut findings = input::read(&text, around).with_context(|| format!("{name} holds no finding"))?;
    let things = arguments.things.as_deref().map(GivenThings::read).transpose()?;
    for given in &mut findings {
        arguments.complete(given);
        if let Some(things) = &things {
            given.things = Some(things.behind(given.finding.identifier(), given.things.take()));
        }
    }
    for (at, given) in findings.iter().enumerate() {
        if arguments.json {
            line(serde_json::to_string(&source.policy.decide(&given.subject()))?);
            continue;
        }
        if at > 0 {
            line("");
        }
        line(told(&source, given, arguments.at.unwrap_or(now))?.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// What the operator says of a finding is so, whatever the finding says.
    fn complete(&self, given: &mut Given) {
        given.at = self.at.unwrap_or(given.at);
        given.first_seen = self.first_seen.or(given.first_seen);
        given.seen = self.seen.or(given.seen);
        given.account = self.account.clone().or(given.account.take());
        given.region = self.region.clone().or(given.region.take());
    }
}

/// The explanation of a finding for people.
fn told(source: &Source, given: &Given, now: Millis) -> Result<String> {
    let subject = given.subject();
    let decision = source.policy.decide(&subject);
    let opening = explanation::opening(&source.policy, now)?;
    let assumed = given.assumed();
    Ok(explanation::text(&Explained {
        source,
        subject: &subject,
        decision: &decision,
        opening,
        recorded: given.recorded.as_ref(),
        assumed: &assumed,
    }))
}

fn now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
