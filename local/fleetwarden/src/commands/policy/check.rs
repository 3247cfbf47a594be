//! `fleetwarden policy check`: everything that is wrong with a policy file, as an editor shows it.

use super::Source;
use crate::output::line;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `policy check`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The policy file
    #[arg(default_value = "policies/policy.yaml")]
    policy: PathBuf,
}

/// Checks a policy file.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let source = Source::read(&arguments.policy)?;
    line(format!("{}: {} rules, good", source.path.display(), source.policy.rules().len()));
    Ok(ExitCode::SUCCESS)
}
