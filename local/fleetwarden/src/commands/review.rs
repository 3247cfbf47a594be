//! `fleetwarden review`: the review of suppressions that a schedule does, now; or what it would do.

mod table;

use crate::aws::Again;
use crate::aws::function::Function;
use crate::aws::settings::Settings;
use crate::commands::answer::Common;
use crate::exit::Exit;
use crate::output::{line, note, waiting};
use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

/// The function.
const FUNCTION: &str = "suppression-review";

/// Arguments of `review`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden review --dry-run
  fleetwarden review --dry-run --query 'ending[].[on, owner]' --output text
  fleetwarden review --stack fleetwarden-eu --region eu-central-1")]
pub(crate) struct Arguments {
    /// Change nothing and send no alert: only show what the review would do
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

/// Has the suppressions of a stack reviewed.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let Arguments { dry_run, common } = &arguments;
    let view = common.view()?;
    let settings = Settings::of(&common.aws).await?;
    let spinner = waiting(format!("{FUNCTION} in {}", settings.region()));
    let function = Function::find(settings, &common.stack, FUNCTION).await?;
    // Each invocation is a review of its own, and what one has done the next finds done.
    let answer = function.invoke(json!({"dryRun": dry_run}).to_string().into(), Again::Always).await;
    spinner.finish_and_clear();
    let answer = answer.with_context(|| format!("cannot invoke {FUNCTION}"))?;
    if answer.failed {
        note(format!("fleetwarden: {}", super::audit::why(FUNCTION, &answer.body)));
        return Ok(Exit::Failed);
    }
    let answer: Value = serde_json::from_slice(&answer.body).context("the answer is not JSON")?;
    let shown = view.show(
        &answer,
        |layout| table::text(&answer, layout),
        |layout| table::text(&answer, layout).ok(),
    )?;
    shown.into_iter().for_each(line);
    Ok(Exit::Done)
}
