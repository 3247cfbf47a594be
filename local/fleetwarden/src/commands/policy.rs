//! `fleetwarden policy`: what an operator does with a policy before it is deployed.

mod check;
mod deployment;
mod explain;
mod explanation;
mod guards;
#[cfg(test)]
pub(crate) mod hostile_tests;
mod reference;
mod replay;
mod schema;
mod short;
mod test;
mod things;

use crate::exit::Exit;
use crate::output::{BAD, DOUBTFUL, Painted, counted, note};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use fleetwarden_core::model::action::ActionKind;
use fleetwarden_core::policy::{Actions, Diagnostic, Level, MAX_BYTES, Policy};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Arguments of `policy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden policy check
  fleetwarden policy explain -f finding.json
  fleetwarden policy test
  fleetwarden policy replay --archive s3://BUCKET --since 2026-11-01")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a policy file for errors and likely mistakes
    Check(check::Arguments),
    /// Show what a policy decides on a finding or an alarm, and why
    Explain(explain::Arguments),
    /// Run your own cases: findings and alarms with the decision that you expect
    Test(test::Arguments),
    /// Print the reference of the policy file, in Markdown
    #[command(after_help = "Example:\n  fleetwarden policy reference > policy-reference.md")]
    Reference,
    /// Print the JSON Schema of the policy file
    #[command(after_help = "Example:\n  fleetwarden policy schema > policy.schema.json")]
    Schema,
    /// Decide again on past findings and alarms by a policy, or compare two policies
    Replay(replay::Arguments),
}

/// Runs a subcommand.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    match arguments.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Reference => Ok(reference::run()),
        Command::Schema => schema::run(),
        Command::Replay(arguments) => replay::run(arguments).await,
    }
}

/// A policy file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) policy: Policy,
    /// The mitigation actions of the nearest template, if somebody has asked for them.
    actions: OnceLock<Actions>,
}

impl Source {
    /// A policy that stands in a file.
    pub(crate) fn new(path: PathBuf, policy: Policy) -> Self {
        Self { path, policy, actions: OnceLock::new() }
    }

    /// What a mitigation action does. None: the nearest template does not define it.
    pub(crate) fn kind(&self, action: &str) -> Option<ActionKind> {
        let read = || check::actions_near(&self.path).unwrap_or_default();
        self.actions.get_or_init(read).kinds.get(action).copied().flatten()
    }

    /// Reads a policy file. The errors of one that is refused go to standard error.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = read_bytes(path)?;
        match Policy::parse(&bytes) {
            Ok(policy) => Ok(Self::new(path.to_owned(), policy)),
            Err(errors) => {
                let text = String::from_utf8_lossy(&bytes);
                for error in errors.all() {
                    note(painted(error, &shown.to_string(), &text));
                }
                bail!("{shown} is not a valid policy: {}", counted(errors.all().len() as u64, "error"))
            }
        }
    }
}

/// What is wrong at a place of a file, with its level in color.
fn painted(diagnostic: &Diagnostic, file: &str, text: &str) -> Painted {
    let rendered = diagnostic.render(file, text);
    let (level, style) = match diagnostic.level {
        Level::Error => ("error", BAD),
        Level::Warning => ("warning", DOUBTFUL),
        Level::Note => return rendered.into(),
    };
    let Some((place, what)) = rendered.split_once(&format!(": {level}: ")) else { return rendered.into() };
    let mut painted = Painted::from(place);
    painted.push(": ").push_styled(style, level).push(": ").push(what);
    painted
}

/// The bytes of a policy file, as far as one may reach and a byte more.
fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(cannot)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).with_context(cannot)?;
    Ok(bytes)
}
