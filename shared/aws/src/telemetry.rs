//! Logs and metrics, both as lines on standard output.

use std::io::Write as _;

use tracing_subscriber::filter::LevelFilter;

/// Starts logging, as Lambda's `LoggingConfig` wishes: flat JSON or text; and from the level in `LOG_LEVEL` on.
pub fn init() {
    // A level for all, not a filter by module: that would be a regex engine in every binary.
    let level = std::env::var("LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    // CloudWatch stamps each line, so a time of our own would only cost.
    let lines = tracing_subscriber::fmt().with_max_level(level).with_target(false).without_time();
    if std::env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
    } else {
        lines.with_ansi(false).init();
    }
}

/// Prints a line as it is, whatever the level: of metrics, which CloudWatch takes from nothing else, or of an alert.
pub fn emit(line: &str) {
    let mut out = std::io::stdout().lock();
    // Standard output is a pipe to the Lambda service: if it is gone, so is everyone who could be told.
    let _ = writeln!(out, "{line}");
}
