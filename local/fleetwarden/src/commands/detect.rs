//! `fleetwarden detect`: a command of Detect by its name and members, done as an audit command is.

use super::audit::{self, Commands};
use anyhow::Result;
use fleetwarden_core::api;
use std::process::ExitCode;

/// The commands of Detect.
static DETECT: Commands =
    Commands { function: "detect-commands", find: api::detect, repeated: &["AlarmIncident"] };

/// Has the command done.
pub(crate) async fn run(arguments: audit::Arguments) -> Result<ExitCode> {
    audit::run_of(&DETECT, arguments).await
}
