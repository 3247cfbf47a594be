//! `fleetwarden things`: the file of things and groups that the commands of `policy` take.

use crate::aws::registry::Registry;
use crate::aws::settings::Settings;
use crate::exit::Exit;
use crate::fleet::export::{Counts, Wanted, export};
use crate::fleet::schema;
use crate::output::line;
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Arguments of `things`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden things export
  fleetwarden things schema > things.schema.json")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the things and groups of an account to a file, for --things of the commands of `policy`
    Export(Export),
    /// Print the JSON Schema of the file
    #[command(after_help = "Example:\n  fleetwarden things schema > things.schema.json")]
    Schema,
}

/// Arguments of `things export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden things export
  fleetwarden things export --without-certificates --per-second 2 -o fleet.json")]
struct Export {
    /// The file. Until it is complete it is FILE.part, with which the same command continues
    #[arg(short, long, default_value = "things.json", value_name = "FILE")]
    output: PathBuf,
    /// Leave out certificates, which take a call for each thing: the things behind a certificate stay unknown
    #[arg(long)]
    without_certificates: bool,
    /// Calls of each operation a second. The limit of the account is 10 for the slowest ones
    #[arg(long, default_value = "5", value_name = "CALLS")]
    per_second: NonZeroU32,
    /// Start from the beginning, even if an earlier export was stopped halfway
    #[arg(long)]
    restart: bool,
}

/// Runs a subcommand.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    match arguments.command {
        Command::Export(arguments) => run_export(arguments).await,
        Command::Schema => {
            line(serde_json::to_string_pretty(&schema())?);
            Ok(Exit::Done)
        }
    }
}

async fn run_export(arguments: Export) -> Result<Exit> {
    let Export { output, without_certificates, per_second, restart } = arguments;
    let registry = Registry::new(&Settings::find().await?, per_second);
    let wanted = Wanted { certificates: !without_certificates, restart };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).rfc3339();
    let Counts { things, groups } = export(&registry, &output, wanted, now)
        .await
        .with_context(|| format!("{} is not complete; the same command continues it", output.display()))?;
    line(format!("{}: {things} things, {groups} groups", shown(&output.display().to_string())));
    Ok(Exit::Done)
}
