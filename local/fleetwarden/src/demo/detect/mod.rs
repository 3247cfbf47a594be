//! The demonstration of Detect: five scenarios, and what came out of each, held against the endpoint.
//!
//! The functions run on the system's clock, so the endpoint's clock begins three weeks behind it ([`clock`]): models are
//! built on the way, and the scenarios are played in the last hours before now ([`play`]). What comes of it is on three
//! sides: the endpoint's own list of events and groups ([`endpoint`]), the findings log ([`records`]), and the alerts that
//! people got ([`inbox`](super::inbox)). [`quiet`] waits until the queues are empty, [`outcome`] judges, [`table`] shows, and [`report`]
//! asks the stack itself.

pub(crate) mod clock;
mod endpoint;
mod outcome;
mod play;
mod quiet;
mod records;
mod report;
mod table;

use super::inbox::Inbox;
use super::invoke::invoke;
use crate::output::{Layout, line, note};
use crate::stack::Stack;
use anyhow::{Context as _, Result};
use outcome::{Account, Observed};
use report::AlarmPages;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Plays the scenarios, and gives the account of them. `figures` gets it as JSON, and beside it stand the pages.
pub(crate) async fn run(stack: &Stack, figures: &Path, limit: Duration) -> Result<Account> {
    let started = Instant::now();
    let inbox = Inbox::open(stack.cloud(), stack.output("AlertTopicArn")?).await?;
    let mut alerts = Vec::new();
    let played = play::play(stack, &inbox, &mut alerts, limit).await?;
    note("fleetwarden: asking after the models, for what was not heard, and for the report");
    let models = invoke(stack, "MlModelStatusFunctionName", &json!({})).await?;
    let watch = invoke(stack, "AlarmWatchFunctionName", &json!({ "hours": 4 })).await?;
    quiet::quiet(stack, &inbox, &mut alerts, (quiet::Until::NothingDue, limit)).await?;
    let events = stack.defender.events(played.from_ms, clock::now_ms()).await?;
    let records = stack.cloud().alarm_records(stack.output("FindingsLogGroupName")?).await?;
    let pages = AlarmPages::ask(stack).await?;
    let observed = Observed {
        cast: played.cast,
        quarantined: played.quarantined,
        events,
        records,
        alerts,
        models,
        watch,
        report: pages.told.clone(),
    };
    let account = Account::of(&observed, started.elapsed());
    line(table::table(&account, Layout::of_terminal()));
    let text = serde_json::to_string_pretty(&account)?;
    fs::write(figures, text + "\n").with_context(|| format!("cannot write {}", figures.display()))?;
    line(format!("figures: {}", figures.display()));
    line(format!("report of alarms: {}", pages.write(figures)?.display()));
    Ok(account)
}
