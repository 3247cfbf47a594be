//! `fleetwarden policy explain`: what a policy decides on a finding or an alarm, and why.

mod alarms;
mod input;

use super::Source;
use super::explanation::{self, Explained};
use super::guards::{self, Used};
use super::test::about::{About, Instead};
use super::test::case::{self, ToExplain};
use super::things::Given as GivenThings;
use crate::exit::Exit;
use crate::input::Input;
use crate::output::{Layout, line};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use fleetwarden_core::policy::{AlarmSubject, Subject};
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use input::{Around, Given, wrong};
use std::path::PathBuf;

/// Arguments of `policy explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden policy explain -f finding.json
  fleetwarden policy explain -f finding.json --at 2026-11-23T08:00:00Z
  fleetwarden policy explain -f - --things things.json < finding.json")]
pub(crate) struct Arguments {
    /// The policy file
    #[arg(long, default_value = "policies/deployed/policy.yaml")]
    policy: PathBuf,
    /// The finding or the alarm, as the archive, the log group or the AWS CLI has it, or an alarm as SNS delivers it; or
    /// a case of `policy test`, its finding or alarm alone, or a whole file of cases; `-` for standard input
    #[arg(short, long, value_name = "FILE", alias = "alarm")]
    finding: PathBuf,
    /// File with the things and groups of the fleet, as `fleetwarden things export` makes it; or a list of the things behind
    /// this resource, or unknown
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
    /// A thing that is connected; none, with `none`. Left out, all count as connected
    #[arg(long, value_name = "THING", value_delimiter = ',')]
    connected: Vec<String>,
    /// How much is used of each budget, or of one, as `mitigation budget` names it
    #[arg(long, value_name = "[BUDGET=]COUNT", value_parser = used)]
    budget_used: Vec<(Option<String>, u64)>,
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

/// How much is used of all budgets, or of the one before the last `=`.
fn used(text: &str) -> Result<(Option<String>, u64), String> {
    let (budget, count) = match text.rsplit_once('=') {
        Some((budget, count)) => (Some(budget.to_owned()), count),
        None => (None, text),
    };
    let wrong = || "a count, as 9, or a budget with one, as '10 in 1h=9'".to_owned();
    count.parse().map(|count| (budget, count)).map_err(|_| wrong())
}

/// Explains a file's findings, or its alarms.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let source = Source::read(&arguments.policy)?;
    let Input { name, text } = crate::input::read(&arguments.finding)?;
    let now = now();
    if let Some(cases) = case::read_to_explain(&text)
        .map_err(|errors| wrong(&errors).context(format!("{name} holds no case")))?
    {
        return explain_cases(&source, cases, arguments);
    }
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
    let guards = arguments.guards(&source, &guards::Around::default())?;
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
        let at = arguments.at.unwrap_or(now);
        line(told(&source, given, (at, &guards), Layout::of_terminal())?.trim_end());
    }
    Ok(Exit::Done)
}

/// Explains cases of `policy test`, whatever they expect.
fn explain_cases(source: &Source, cases: ToExplain, arguments: &Arguments) -> Result<Exit> {
    let named = cases.things_of(&arguments.finding);
    let fleet = match arguments.things.as_deref().or(named.as_deref()) {
        Some(path) => Some(GivenThings::read(path)?.into_fleet().with_context(|| {
            format!("{} lists the things behind one resource, which a case says itself", path.display())
        })?),
        None => None,
    };
    let instead = arguments.instead();
    for (at, (name, mut about, around)) in cases.cases.into_iter().enumerate() {
        let around = arguments.guards(source, &around)?;
        about.settle(fleet.as_ref());
        about.say(&instead);
        if at > 0 && !arguments.json {
            line("");
        }
        if let Some(name) = name.filter(|_| !arguments.json) {
            line(format!("{}:", shown(&name)));
        }
        line(match &about {
            About::Finding(finding) => {
                told_of_case(source, &finding.subject(&source.policy)?, &around, arguments.json)?
            }
            About::Alarm(alarm) => alarm.decided(&source.policy, |subject| {
                told_of_alarm_case(source, subject, &around, arguments.json)
            })?,
        });
    }
    Ok(Exit::Done)
}

fn told_of_case(
    source: &Source,
    subject: &Subject<'_>,
    around: &guards::Around,
    json: bool,
) -> Result<String> {
    let layout = Layout::of_terminal();
    let decision = source.policy.decide(subject);
    if json {
        return Ok(serde_json::to_string(&decision)?);
    }
    let openings = explanation::openings(&source.policy, &decision, subject.at)?;
    let decision = &decision;
    let told = Explained { source, subject, decision, openings, recorded: None, assumed: "", around };
    Ok(explanation::text(&told, layout).trim_end().to_owned())
}

fn told_of_alarm_case(
    source: &Source,
    subject: &AlarmSubject<'_>,
    around: &guards::Around,
    json: bool,
) -> Result<String> {
    let layout = Layout::of_terminal();
    let decision = source.policy.decide_alarm(subject);
    if json {
        return Ok(serde_json::to_string(&decision)?);
    }
    let openings = explanation::alarm_openings(&source.policy, &decision, subject.at)?;
    let told = explanation::alarm::Explained {
        source,
        subject,
        decision: &decision,
        openings,
        recorded: None,
        assumed: "",
        around,
    };
    Ok(explanation::alarm::text(&told, layout).trim_end().to_owned())
}

fn explain_alarms(source: &Source, found: &[alarms::Given], arguments: &Arguments) -> Result<Exit> {
    let around = arguments.guards(source, &guards::Around::default())?;
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
        line(told_of_alarm(source, given, (subject.at, &around), Layout::of_terminal())?.trim_end());
    }
    Ok(Exit::Done)
}

/// The explanation of an alarm for people.
fn told_of_alarm(
    source: &Source,
    given: &alarms::Given,
    (now, around): (Millis, &guards::Around),
    layout: Layout,
) -> Result<String> {
    let subject = given.subject();
    let decision = source.policy.decide_alarm(&subject);
    let openings = explanation::alarm_openings(&source.policy, &decision, now)?;
    let assumed = given.assumed();
    let told = explanation::alarm::Explained {
        source,
        subject: &subject,
        decision: &decision,
        openings,
        recorded: given.recorded.as_ref(),
        assumed: &assumed,
        around,
    };
    Ok(explanation::alarm::text(&told, layout))
}

impl Arguments {
    /// What the operator says.
    fn instead(&self) -> Instead {
        let Self { at, first_seen, seen, account, region, .. } = self;
        Instead {
            at: *at,
            first_seen: *first_seen,
            seen: *seen,
            account: account.clone(),
            region: region.clone(),
        }
    }

    /// What the operator says for the guards, or else a case.
    fn guards(&self, source: &Source, of_case: &guards::Around) -> Result<guards::Around> {
        let mut around = of_case.clone();
        if !self.connected.is_empty() {
            let names = self.connected.iter().filter(|name| *name != "none");
            around.connected = Some(names.cloned().collect());
        }
        if !self.budget_used.is_empty() {
            let each = self.budget_used.iter().find(|(budget, _)| budget.is_none());
            let by = self.budget_used.iter().filter_map(|(budget, used)| Some((budget.clone()?, *used)));
            around.used = Some(match each {
                Some((_, used)) if self.budget_used.len() == 1 => Used::Each(*used),
                Some(_) => bail!("--budget-used is given once for all budgets, or for each one by its name"),
                None => Used::By(by.collect()),
            });
        }
        around.check(&source.policy)?;
        Ok(around)
    }

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
fn told(
    source: &Source,
    given: &Given,
    (now, around): (Millis, &guards::Around),
    layout: Layout,
) -> Result<String> {
    let subject = given.subject();
    let decision = source.policy.decide(&subject);
    let openings = explanation::openings(&source.policy, &decision, now)?;
    let assumed = given.assumed();
    let told = Explained {
        source,
        subject: &subject,
        decision: &decision,
        openings,
        recorded: given.recorded.as_ref(),
        assumed: &assumed,
        around,
    };
    Ok(explanation::text(&told, layout))
}

fn now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod alarm_tests;
#[cfg(test)]
mod tests;
