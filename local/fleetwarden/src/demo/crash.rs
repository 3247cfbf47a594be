//! Kills functions in the middle of their work, one kind after the other, as a crash would.
//!
//! A function counts as busy while its queue has messages in flight. `audit-notification` has no queue: it is
//! killed as soon as its process is there, which the first event starts. Lambda would try that event again;
//! the emulator gives SNS one try, so whoever orders crashes lets the endpoint publish a second time.

use crate::process::{Bootstrap, bootstraps, crash};
use crate::stack::{CONSUMERS, QUEUES, Stack};
use anyhow::Result;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(5);

/// Kills every kind of function once, as soon as each is at work. Ends when all were killed: race it against
/// the end of the work. The names of those that were killed go into `killed`.
pub(crate) async fn each_once(stack: &Stack, killed: &mut Vec<String>) -> Result<()> {
    let mut left: Vec<(&str, Option<&str>)> = vec![("AuditNotification", None)];
    left.extend(CONSUMERS.into_iter().zip(QUEUES.map(Some)));
    while !left.is_empty() {
        let running = bootstraps(stack.process());
        let mut still = Vec::new();
        for (function, queue) in left {
            let name = stack.output(&format!("{function}FunctionName"))?;
            let of_this: Vec<&Bootstrap> =
                running.iter().filter(|process| process.function == name).collect();
            let busy = !of_this.is_empty()
                && match queue {
                    Some(queue) => stack.cloud().depth(stack.queue(queue)?).await?.in_flight > 0,
                    None => true,
                };
            // All processes of the function: one of them has the message that is in flight.
            if busy && of_this.iter().filter(|process| crash(process.pid)).count() > 0 {
                killed.push(function.to_owned());
            } else {
                still.push((function, queue));
            }
        }
        left = still;
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}
