//! The two clocks: that of the endpoint is behind the system's, and is moved forward step by step.

use crate::stack::Stack;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For how long the fleet is watched before anything happens: a model takes 14 days, and is then refreshed each day.
pub(super) const TRAINING: Duration = Duration::from_hours(21 * 24);
/// How far the endpoint's clock is behind when the scenarios begin: they take less.
pub(super) const LEAD: Duration = Duration::from_hours(3);
/// How far the endpoint's clock is behind when the stack comes up.
pub(crate) const BEHIND: Duration = Duration::from_hours(21 * 24 + 3);
/// Datapoints come so often.
pub(super) const STEP: Duration = Duration::from_mins(5);
/// What is moved in one go: the endpoint evaluates all of it within one request.
const STRIDE: Duration = Duration::from_hours(4);

/// Epoch milliseconds of the system's clock, by which the functions go.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Moves the endpoint's clock forward, a few hours at a time, and shows how far it is.
pub(super) async fn train(stack: &Stack, by: Duration, what: &'static str) -> Result<()> {
    let bar = bar(by.as_secs() / 3_600, "hours", what);
    let mut left = by;
    while !left.is_zero() {
        let stride = left.min(STRIDE);
        stack.defender.advance(stride).await?;
        left -= stride;
        bar.inc(stride.as_secs() / 3_600);
    }
    bar.finish();
    Ok(())
}

/// A bar on standard error, for people.
pub(super) fn bar(length: u64, unit: &str, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{msg:>30}} {{bar:30}} {{pos}}/{{len}} {unit}"));
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(what)
}
