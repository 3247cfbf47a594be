//! `fleetwarden audit` and `fleetwarden detect`: a command as the AWS CLI spells it, done by a stack in AWS or on this
//! machine.
//!
//! [`mod@line`] makes the event of the command line ([`value`], [`shorthand`]), the functions `audit-commands` and
//! `detect-commands` do the rest, a list by [`pages`]; a list is shown by [`table`]. A [`skeleton`] asks nobody.

mod about;
mod columns;
mod examples;
mod line;
mod pages;
mod shorthand;
mod skeleton;
mod table;
pub(super) mod value;

use self::line::{Line, Pages};
use crate::aws::Again;
use crate::aws::function::{Answer, Function};
use crate::aws::settings::Settings;
use crate::commands::answer::{self, Format, View};
use crate::exit::Exit;
use crate::output::{Painted, line, note, waiting};
use anyhow::{Context as _, Result};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use fleetwarden_core::api::{self, Operation, hyphenated, input::TOKEN};
use serde_json::{Map, Value};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::marker::PhantomData;

/// What AWS has no token for, and `audit-commands` has one.
const START_AUDIT: &str = "StartOnDemandAuditTask";

/// Commands that one function does.
#[derive(Debug)]
pub(crate) struct Commands {
    /// What the command line calls them.
    pub(crate) family: &'static str,
    /// The function.
    pub(crate) function: &'static str,
    /// The commands.
    pub(crate) all: fn() -> Vec<&'static Operation>,
    /// Commands that the function knows a repeat of without a token.
    pub(crate) repeated: &'static [&'static str],
    /// The parameter of the template without which a stack does not have the function.
    pub(crate) parameter: Option<&'static str>,
}

impl Commands {
    /// Why the function was not found, with what to do if the stack is there and was deployed without it.
    fn missing(&self, error: anyhow::Error, stack: &str) -> anyhow::Error {
        let why = format!("{error:#}");
        // CloudFormation says "Resource DetectCommandsFunction does not exist for stack fleetwarden".
        match self.parameter.filter(|_| why.contains("Resource") && why.contains("does not exist")) {
            Some(parameter) => error.context(format!(
                "the stack {stack} was deployed without {parameter}; to turn it on: sam deploy --parameter-overrides \
                 {parameter}=true, beside the parameters that the stack has"
            )),
            None => error,
        }
    }
}

/// Whose commands a command line has.
pub(crate) trait Family {
    /// The commands.
    const COMMANDS: &'static Commands;
}

/// The command line of a family.
#[derive(Debug)]
pub(crate) struct Arguments<F>(Line, PhantomData<F>);

/// The commands on audits.
static AUDIT: Commands = Commands {
    family: "audit",
    function: "audit-commands",
    all: || api::audit_commands().collect(),
    repeated: &[START_AUDIT],
    parameter: None,
};

/// The family of the commands on audits.
#[derive(Debug)]
pub(crate) struct Audit;

impl Family for Audit {
    const COMMANDS: &'static Commands = &AUDIT;
}

impl<F: Family> Args for Arguments<F> {
    fn augment_args(command: Command) -> Command {
        line::augment(command, F::COMMANDS)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: Family> FromArgMatches for Arguments<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Line::read(F::COMMANDS, matches).map(|line| Self(line, PhantomData))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What is sent to the function.
#[derive(Debug)]
struct Request {
    commands: &'static Commands,
    operation: &'static Operation,
    event: Map<String, Value>,
    /// The token under which an audit is started if none is given.
    token: Option<String>,
}

/// Has a command done.
pub(crate) async fn run<F: Family>(Arguments(given, _): Arguments<F>) -> Result<Exit> {
    let Line { operation, common, .. } = &given;
    if given.skeleton() == Some("input") {
        line(serde_json::to_string_pretty(&skeleton::of(operation))?);
        return Ok(Exit::Done);
    }
    // Whether the query is an expression is told before anything is done.
    let view = common.view()?;
    let (event, pages) = given.event()?;
    if given.skeleton().is_some() {
        let view = view.or(Format::Json);
        shown(&view, operation, &skeleton::of_answer(operation)?)?.into_iter().for_each(line);
        return Ok(Exit::Done);
    }
    let request = Request::new(given.commands, given.operation, event);
    let settings = Settings::of(&common.aws).await?;
    let spinner = waiting(format!("{} in {}", operation.name, settings.region()));
    let answer = request.send(settings, &common.stack, pages).await;
    spinner.finish_and_clear();
    show(&view, &request, &answer?)
}

impl Request {
    /// Gives the event a token where only a token tells a repeat from a second wish: each invocation would start an
    /// audit. The other tokens the function makes of what is asked for.
    fn new(commands: &'static Commands, operation: &'static Operation, event: Map<String, Value>) -> Self {
        let mut request = Self { commands, operation, event, token: None };
        let is_given = request.event.get(TOKEN).is_some_and(|token| !token.is_null());
        if operation.name == START_AUDIT && request.changes() && !is_given {
            // The keys of hashers are random, and all that is wanted of a token is that nobody else has it.
            let [one, other] = ["one", "other"].map(|half| RandomState::new().hash_one(half));
            let token = format!("fleetwarden-{one:016x}{other:016x}");
            request.event.insert(TOKEN.to_owned(), token.clone().into());
            request.token = Some(token);
        }
        request
    }

    async fn send(&self, settings: Settings, stack: &str, pages: Pages) -> Result<Answer> {
        let found = Function::find(settings, stack, self.commands.function).await;
        let function = found.map_err(|error| self.commands.missing(error, stack))?;
        let function = function.by(self.operation.alias());
        self.answer(&function, pages).await
    }

    async fn invoke(&self, function: &Function, event: &Map<String, Value>) -> Result<Answer> {
        let event = serde_json::to_string(event)?;
        let answer = function.invoke(event.into(), self.again()).await;
        answer.map_err(|failure| {
            let in_doubt = failure.is_unknown() && self.changes();
            let error =
                anyhow::Error::new(failure).context(format!("cannot invoke {}", self.commands.function));
            if in_doubt { error.context(self.doubt()) } else { error }
        })
    }

    /// Whether something changes if all goes well.
    fn changes(&self) -> bool {
        self.operation.changes() && self.event.get("dryRun") != Some(&Value::Bool(true))
    }

    /// Whether it may be sent again when it is unknown what became of it: if it changes nothing, or the function
    /// knows a repeat by a token.
    fn again(&self) -> Again {
        let Operation { name, members, .. } = self.operation;
        let has_token = members.iter().any(|member| member.name == TOKEN);
        if has_token || self.commands.repeated.contains(name) || !self.changes() {
            Again::Always
        } else {
            Again::Unharmed
        }
    }

    /// The error when it is unknown what became of it.
    fn doubt(&self) -> String {
        let repeat = match (self.once(), self.again()) {
            (Some(once), _) => once,
            (None, Again::Always) => "it is safe to repeat the command".to_owned(),
            (None, Again::Unharmed) => "check before you repeat the command".to_owned(),
        };
        format!("it is unknown whether {} was done; {repeat}", self.operation.name)
    }

    /// How to repeat a command that was given no token.
    fn once(&self) -> Option<String> {
        let token = self.token.as_ref()?;
        Some(format!("to repeat the command without a second audit, add --{} {token}", hyphenated(TOKEN)))
    }
}

/// Shows an answer.
fn show(view: &View, request: &Request, answer: &Answer) -> Result<Exit> {
    if answer.failed {
        let why = why(request.commands.function, &answer.body);
        note(format!("fleetwarden: {why}"));
        // An input that has to be mended is none to repeat.
        let once = request.once().filter(|_| !why.starts_with("InvalidInput\n"));
        once.into_iter().for_each(note);
        return Ok(Exit::Failed);
    }
    let value: Value = serde_json::from_slice(&answer.body).context("the answer is not JSON")?;
    shown(view, request.operation, &value)?.into_iter().for_each(line);
    if let Some(token) = value.get(line::TOKEN).and_then(Value::as_str) {
        note(format!("there is more: continue with --starting-token {token}"));
    }
    Ok(Exit::Done)
}

/// What is shown of an answer: a report as it is written, a list as a table, all else as JSON, unless the view is of
/// another kind.
fn shown(view: &View, operation: &Operation, answer: &Value) -> Result<Option<Painted>> {
    let usual = |layout| {
        let body = answer.get("contentType").and_then(|_| answer.get("body")).and_then(Value::as_str);
        match body.map(Painted::from).or_else(|| table::table(operation, answer, layout)) {
            Some(shown) => Ok(shown),
            None => answer::json(answer),
        }
    };
    view.show(answer, usual, |layout| table::table(operation, answer, layout))
}

/// Why a function failed: the name of it, and the words below.
pub(super) fn why(function: &str, body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    match (text("errorType"), text("errorMessage")) {
        (None, None) => format!("{function} failed: {}", String::from_utf8_lossy(body)),
        // Lambda itself names no type for a function that ran out of time.
        (None, Some(words)) => format!("{function} failed\n{words}"),
        (Some(name), words) => format!("{name}\n{}", words.unwrap_or_default()),
    }
}

#[cfg(test)]
mod example_tests;
#[cfg(test)]
mod tests;
