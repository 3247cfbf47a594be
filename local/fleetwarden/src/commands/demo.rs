//! spike
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;
/// x
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    local: super::Local,
}
pub(crate) async fn run(_: Arguments) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
