//! `fleetwarden policy explain`: what a policy decides on a finding or an alarm, and why.

mod alarms;
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
    /// The finding or the alarm, as the archive, the log group, the AWS CLI or a case of `policy test` has it, or an alarm
    /// as SNS delivers it; `-` for standard input
    #[arg(short, long, value_name = "FILE", alias = "alarm")]
    finding: PathBuf,
    /// File with the things behind the resource, or the thing of the device: a list of name, type, groups and attributes,
    /// or unknown; or with the things and groups of the fleet, as `policy check --inventory` takes it
    #[arg(long, value_name = "FILE")]
    things: Option<PathBuf>,
    /// Decide as if the audit had begun then (RFC 3339); left out, it began when the finding says so. On an alarm, decide
    /// then; left out, when it has settled
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Millis>,
    /// When the finding was first seen (RFC 3339), if the finding does not say so
    #[arg(long, value_name = "TIME", value_parser = time)]
    first_seen: Option<Millis>,
    /// In how many audits it was seen, if the finding does not say so
    #[arg(long, value_name = "TIMES")]
    seen: Option<u32>,
    /// Account of the audit or the alarm, if it does not say so
    #[arg(long)]
    account: Option<String>,
    /// Region of the audit or the alarm, if it does not say so
    #[arg(long)]
    region: Option<String>,
    /// Print each decision as the functions log it, one JSON object a line
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Millis, String> {
    Millis::parse(text).ok_or_else(|| "a time is written as 2026-11-23T08:00:00Z".to_owned())
}

/// Explains a file's findings, or its alarms.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let source = Source::read(&arguments.policy)?;
    let Input { name, text } = crate::input::read(&arguments.finding)?;
    let now = now();
    let things = arguments.things.as_deref().map(GivenThings::read).transpose()?;
    let place = [arguments.account.as_deref(), arguments.region.as_deref()];
    let around = alarms::Around::new(now, arguments.at, place, &source.policy);
    let found = alarms::read(&text, around).with_context(|| format!("{name} holds no alarm"))?;
    if let Some(mut found) = found {
        if let Some(things) = &things {
            for given in &mut found {
                given.complete(things);
            }
        }
        return explain_alarms(&source, &found, arguments);
    }
    let around = Around { now, account: arguments.account.as_deref(), policy: &source.policy };
    let mut findings =
        input::read(&text, around).with_context(|| format!("{name} holds no finding and no alarm"))?;
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

fn explain_alarms(source: &Source, found: &[alarms::Given], arguments: &Arguments) -> Result<ExitCode> {
    for (at, given) in found.iter().enumerate() {
        let subject = given.subject();
        let decision = source.policy.decide_alarm(&subject);
        if arguments.json {
            line(serde_json::to_string(&decision)?);
            continue;
        }
        if at > 0 {
            line("");
        }
        line(told_of_alarm(source, given, subject.at)?.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// The explanation of an alarm for people.
fn told_of_alarm(source: &Source, given: &alarms::Given, now: Millis) -> Result<String> {
    let subject = given.subject();
    let decision = source.policy.decide_alarm(&subject);
    let opening = explanation::opening(&source.policy, now)?;
    let assumed = given.assumed();
    Ok(explanation::alarm::text(&explanation::alarm::Explained {
        source,
        subject: &subject,
        decision: &decision,
        opening,
        recorded: given.recorded.as_ref(),
        assumed: &assumed,
    }))
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
mod alarm_tests;
#[cfg(test)]
mod tests;
