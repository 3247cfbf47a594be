//! Waits until every queue is empty, and shows how they empty.

use super::exported::Exported;
use crate::cloud::sqs::Depth;
use crate::stack::{QUEUES, Stack};
use anyhow::{Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(250);
/// Between two queues a message is in none: empty counts only when it lasts.
const QUIET: Duration = Duration::from_secs(2);
/// When findings are missing although all is quiet, this long may still pass until they come.
const PATIENCE: Duration = Duration::from_secs(15);

/// One bar a queue, on standard error and only for people.
#[derive(Debug)]
struct Bars {
    _all: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>12} {bar:40} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bars = QUEUES.iter().map(|name| {
            let bar = all.add(ProgressBar::new(1).with_style(style.clone()));
            bar.set_prefix(name.to_lowercase());
            bar
        });
        let bars = bars.collect();
        Self { _all: all, bars }
    }

    /// The fullest that a queue was seen is the bar's length; what has left since then is its filled part.
    fn show(&self, depths: &[Depth]) {
        for (bar, depth) in self.bars.iter().zip(depths) {
            let length = bar.length().unwrap_or(1).max(depth.total());
            bar.set_length(length);
            bar.set_position(length - depth.total());
            bar.set_message(format!(
                "{} waiting, {} in work, {} delayed",
                depth.visible, depth.in_flight, depth.delayed
            ));
        }
    }

    fn done(&self) {
        self.bars.iter().for_each(ProgressBar::finish);
    }
}

/// Waits until nothing of an audit is under way and returns what its findings log says.
///
/// `expected` is how many findings the audit has. It is not the condition (then a lost finding would be an
/// endless wait) but saves patience when all are there.
pub(crate) async fn drained(stack: &Stack, task: &str, expected: u64, limit: Duration) -> Result<Exported> {
    let group = stack.output("FindingsLogGroupName")?.to_owned();
    let bars = Bars::new();
    let started = Instant::now();
    let mut quiet_since: Option<Instant> = None;
    loop {
        let depths = depths(stack).await?;
        bars.show(&depths);
        let full = depths.iter().any(|depth| depth.total() > 0);
        if full || stack.defender.busy().await? {
            quiet_since = None;
        } else {
            let quiet = quiet_since.get_or_insert_with(Instant::now).elapsed();
            if quiet >= QUIET {
                let exported = stack.cloud().exported(&group, task).await?;
                if exported.sum().all() >= expected || quiet >= PATIENCE {
                    bars.done();
                    return Ok(exported);
                }
            }
        }
        if started.elapsed() >= limit {
            let left: Vec<_> =
                QUEUES.iter().zip(&depths).map(|(name, depth)| format!("{name} {depth:?}")).collect();
            bail!("the queues are not empty after {} s: {}", limit.as_secs(), left.join(", "));
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn depths(stack: &Stack) -> Result<Vec<Depth>> {
    let mut depths = Vec::with_capacity(QUEUES.len());
    for name in QUEUES {
        depths.push(stack.cloud().depth(stack.queue(name)?).await?);
    }
    Ok(depths)
}
