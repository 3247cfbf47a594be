//! The command line of the commands of one function, made from the table of their operations: what the AWS CLI calls a
//! command and an option has the same name here.

use super::about::about;
use super::examples::example;
use super::{Commands, value};
use crate::commands::answer::Common;
use anyhow::{Result, ensure};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches as _};
use fleetwarden_core::api::shape::{Member, Shape};
use fleetwarden_core::api::{self, Operation, hyphenated};
use fleetwarden_core::untrusted::shown;
use serde_json::{Map, Value};

/// Our members of an event.
const DRY_RUN: &str = "dryRun";
const CONFIRM: &str = "confirm";
const ALL: &str = "all";
/// Options of the AWS CLI that are no members.
const INPUT: &str = "cli-input-json";
const SKELETON: &str = "generate-cli-skeleton";
const PAGE_SIZE: &str = "page-size";
const MAX_ITEMS: &str = "max-items";
const STARTING_TOKEN: &str = "starting-token";
const NO_PAGINATE: &str = "no-paginate";
/// The members of a list that ask for one page of it.
pub(super) const TOKEN: &str = "nextToken";
pub(super) const SIZE: &str = "maxResults";

/// A command line that was read.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) commands: &'static Commands,
    pub(super) operation: &'static Operation,
    pub(super) common: Common,
    matches: ArgMatches,
}

/// How much of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// One page; so of what is no list.
    One,
    /// All of them.
    All,
    /// As many as so many entries need, each of at most so many.
    Most { entries: usize, page: usize },
}

/// Puts the commands of a function below the name of their family.
pub(super) fn augment(family: Command, commands: &Commands) -> Command {
    let all = (commands.all)().into_iter().map(|operation| command(operation, commands.family));
    Common::augment_args(family).subcommand_required(true).arg_required_else_help(true).subcommands(all)
}

fn command(operation: &'static Operation, family: &str) -> Command {
    let members = members(operation).flat_map(options);
    let command = Command::new(operation.command()).about(about(operation.name)).args(members);
    let command = command.after_help(example(family, operation));
    let command = if operation.changes() { command.args(of_change()) } else { command };
    let command = if operation.is_list() { command.args(of_list()) } else { command };
    command.args(of_any())
}

/// Our options of what changes something.
fn of_change() -> [Arg; 2] {
    let confirm = valued(CONFIRM, "ACCOUNT").help("Account for which a loss is accepted");
    [flag(DRY_RUN).help("Only say what would change"), confirm]
}

/// The AWS CLI's options of what has pages.
fn of_list() -> [Arg; 4] {
    let count = |name| valued(name, "ENTRIES").value_parser(clap::value_parser!(u32).range(1..));
    let [size, most, token] = [
        count(PAGE_SIZE).help("Entries of a page, of which all are asked for"),
        count(MAX_ITEMS).help("Entries to show at most"),
        valued(STARTING_TOKEN, "TOKEN").help("Where to go on: a nextToken"),
    ]
    .map(|option| option.conflicts_with_all([TOKEN, SIZE, NO_PAGINATE]));
    [size, most, token, flag(NO_PAGINATE).help("Ask for one page, as with --max-results and --next-token")]
}

/// The AWS CLI's options of any command.
fn of_any() -> [Arg; 2] {
    let input = valued(INPUT, "JSON").allow_hyphen_values(true);
    let skeleton = valued(SKELETON, "OF").num_args(0..=1).default_missing_value("input");
    [
        input.help(
            "Members as JSON, of a file for file://PATH, of standard input for -; options are stronger",
        ),
        skeleton
            .value_parser(["input", "output"])
            .help("Print an input to fill in, or what an answer has, and do nothing"),
    ]
}

fn valued(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value)
}

/// All members that a command has.
fn members(operation: &Operation) -> impl Iterator<Item = &'static Member> {
    operation.members.iter().chain(operation.own_members())
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(hyphenated(name)).action(ArgAction::SetTrue)
}

/// The options that a member is.
fn options(member: &'static Member) -> Vec<Arg> {
    let name = hyphenated(member.name);
    if matches!(member.shape, Shape::Flag) {
        let yes = flag(member.name).help(format!("{} is true", member.name));
        let no = Arg::new(no(member)).long(no(member)).action(ArgAction::SetTrue);
        let no = no.help(format!("{} is false", member.name));
        return vec![yes.conflicts_with(format!("no-{name}")), no];
    }
    let kind = match member.shape {
        Shape::Whole { .. } | Shape::Number => "NUMBER",
        Shape::Time => "TIME",
        Shape::Text { .. } | Shape::Choice(_) => "TEXT",
        _ => "VALUE",
    };
    let option = Arg::new(member.name).long(name).value_name(kind).allow_negative_numbers(true);
    let option = match member.shape {
        Shape::List { .. } => option.num_args(0..).action(ArgAction::Append),
        _ => option,
    };
    // A token that is left out is made.
    let is_wanted = member.required && member.name != api::input::TOKEN;
    let option = if is_wanted { option.required_unless_present_any([INPUT, SKELETON]) } else { option };
    vec![option.help(value::described(member.shape, is_wanted))]
}

/// The option that makes a flag false.
fn no(member: &Member) -> String {
    format!("no-{}", hyphenated(member.name))
}

impl Line {
    /// The command below its family.
    pub(super) fn read(commands: &'static Commands, family: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::raw(ErrorKind::MissingSubcommand, "a command is missing");
        let (name, matches) = family.subcommand().ok_or_else(missing)?;
        let operation = (commands.all)().into_iter().find(|operation| operation.command() == name);
        let operation = operation.ok_or_else(missing)?;
        Ok(Self { commands, operation, common: Common::from_arg_matches(matches)?, matches: matches.clone() })
    }

    /// Of what a skeleton is wanted, if one is.
    pub(super) fn skeleton(&self) -> Option<&str> {
        self.text(SKELETON)
    }

    /// The event for the function, and how much of a list is asked for.
    pub(super) fn event(&self) -> Result<(Map<String, Value>, Pages)> {
        let Self { operation, .. } = self;
        let mut event = match self.text(INPUT) {
            Some(text) => value::members("--cli-input-json", text)?,
            None => Map::new(),
        };
        if let Some(other) = event.insert("command".to_owned(), operation.name.into()) {
            let is_same = other == operation.name || other == operation.command();
            ensure!(is_same, "--cli-input-json is of another command, {}", shown(&other.to_string()));
        }
        for member in members(operation) {
            if let Some(value) = self.member(member)? {
                event.insert(member.name.to_owned(), value);
            }
        }
        if self.flag(DRY_RUN) {
            event.insert(DRY_RUN.to_owned(), true.into());
        }
        if let Some(account) = self.text(CONFIRM) {
            event.insert(CONFIRM.to_owned(), account.into());
        }
        let is_report = [api::REPORT.name, api::ALARM_REPORT.name].contains(&operation.name);
        if is_report && self.common.output.is_none() && self.common.query.is_none() {
            event.entry("format").or_insert_with(|| "markdown".into());
        }
        let pages = if operation.is_list() { self.pages(&mut event) } else { Pages::One };
        Ok((event, pages))
    }

    /// The value of a member, if it is given.
    fn member(&self, member: &Member) -> Result<Option<Value>> {
        if matches!(member.shape, Shape::Flag) {
            let no = self.flag(&no(member)).then_some(false);
            return Ok(self.flag(member.name).then_some(true).or(no).map(Value::Bool));
        }
        let Some(words) = self.matches.get_many::<String>(member.name) else { return Ok(None) };
        let words: Vec<&str> = words.map(String::as_str).collect();
        value::read(&format!("--{}", hyphenated(member.name)), member.shape, &words).map(Some)
    }

    /// Who names a page gets that page; all of a list is what everyone else wants, as with the AWS CLI.
    fn pages(&self, event: &mut Map<String, Value>) -> Pages {
        let count = |name: &str| self.matches.get_one::<u32>(name).copied();
        let (size, entries) = (count(PAGE_SIZE), count(MAX_ITEMS));
        if let Some(size) = size {
            event.insert(SIZE.to_owned(), size.into());
        }
        let names_a_page = event.contains_key(TOKEN) || (size.is_none() && event.contains_key(SIZE));
        if let Some(token) = self.text(STARTING_TOKEN) {
            event.insert(TOKEN.to_owned(), token.into());
        }
        let usize = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        if let Some(entries) = entries {
            let page = usize(size.unwrap_or_else(|| self.largest_page()));
            return Pages::Most { entries: usize(entries), page };
        }
        if self.flag(NO_PAGINATE) || (names_a_page && self.text(STARTING_TOKEN).is_none()) {
            return Pages::One;
        }
        event.insert(ALL.to_owned(), true.into());
        Pages::All
    }

    fn largest_page(&self) -> u32 {
        let size = self.operation.members.iter().find(|member| member.name == SIZE);
        match size.map(|member| member.shape) {
            Some(Shape::Whole { max, .. }) => u32::try_from(*max).unwrap_or(u32::MAX),
            _ => u32::MAX,
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
    }
}
