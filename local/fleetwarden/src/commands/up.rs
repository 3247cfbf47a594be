//! `fleetwarden up`: one machine instead of AWS, until it is stopped.

use super::Local;
use crate::exit::Exit;
use crate::output::{self, line, note};
use crate::shell;
use crate::stack::Stack;
use anyhow::{Context as _, Result};
use clap::Args;
use std::fs;
use std::path::PathBuf;

/// Arguments of `up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden up --env-file env
  fleetwarden up --detect --policy policies/deployed/policy.yaml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    local: Local,
    /// Policy file that the functions read; policies/deployed/policy.yaml below the root if left out
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Port of the emulator; a free one if left out
    #[arg(long)]
    port: Option<u16>,
    /// Port of the Device Defender endpoint; a free one if left out
    #[arg(long, default_value_t = 0)]
    defender_port: u16,
    /// File that gets the variables, for a shell (`. FILE`) and for --env-file of `invoke`
    #[arg(long)]
    env_file: Option<PathBuf>,
}

/// Brings the stack up, says where it is and keeps it until it is stopped.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let root = arguments.local.places.root()?;
    let policy = arguments.policy.unwrap_or_else(|| root.join("policies/deployed/policy.yaml"));
    let plan = arguments.local.plan(&policy, arguments.port, arguments.defender_port)?;
    note("fleetwarden: bringing the stack up");
    let stack = Stack::up(&plan).await?;
    let variables = stack.variables();
    for (name, value) in &variables {
        line(shell::export(name, value));
    }
    for (name, value) in &stack.outputs {
        line(format!("# {name}: {value}"));
    }
    if let Some(path) = &arguments.env_file {
        let text: String = variables.iter().map(|(name, value)| shell::export(name, value) + "\n").collect();
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // Nobody who could not read where the stack is has a use for it.
    output::finish()?;
    note(format!("fleetwarden: the stack is up (emulator's log: {}); Ctrl-C ends it", stack.log().display()));
    std::future::pending().await
}
