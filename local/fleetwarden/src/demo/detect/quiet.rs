//! Waits until nothing of an alarm is under way: not at the endpoint, and not in a queue.

use crate::demo::inbox::{Alert, Inbox};
use crate::output::waiting;
use crate::stack::Stack;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// The queues that an alarm and what comes of it go through.
const QUEUES: [&str; 3] = ["Alarm", "Mitigation", "Finding"];
const EVERY: Duration = Duration::from_millis(500);
/// Between two queues a message is in none: empty counts only when it lasts.
const LASTS: Duration = Duration::from_secs(2);

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// That every alarm is decided on.
    Decided,
    /// That nothing is left which is due by now. What is still in alarm when an incident is over settles for ten minutes:
    /// some devices go offline by themselves, and an alarm without datapoints does not clear.
    NothingDue,
}

/// Waits, and reads the alerts meanwhile.
pub(super) async fn quiet(
    stack: &Stack,
    inbox: &Inbox,
    alerts: &mut Vec<Alert>,
    (until, limit): (Until, Duration),
) -> Result<()> {
    let spinner = waiting("");
    let started = Instant::now();
    let mut since: Option<Instant> = None;
    loop {
        let mut waits = Vec::new();
        let mut total = 0;
        for name in QUEUES {
            let depth = stack.cloud().depth(stack.queue(name)?).await?;
            let (now, later) = (depth.visible + depth.in_flight, depth.delayed);
            total += now + if until == Until::Decided { later } else { 0 };
            waits.push(format!("{} {now} now, {later} later", name.to_lowercase()));
        }
        spinner.set_message(waits.join("; "));
        inbox.read(alerts).await?;
        if total > 0 || stack.defender.busy().await? {
            since = None;
        } else if since.get_or_insert_with(Instant::now).elapsed() >= LASTS {
            spinner.finish_and_clear();
            return inbox.read(alerts).await;
        }
        if started.elapsed() >= limit {
            bail!("the queues are not empty after {} s: {}", limit.as_secs(), waits.join("; "));
        }
        tokio::time::sleep(EVERY).await;
    }
}
