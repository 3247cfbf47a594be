//! Logs and metrics, both as lines on standard output.

use std::io::Write as _;

use tracing_subscriber::EnvFilter;

/// Starts logging, as Lambda's `LoggingConfig` wishes: flat JSON or text, and its level.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    let filter = EnvFilter::try_new(level.unwrap_or_else(|_| "info".into()))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    // CloudWatch stamps each line, so a time of our own would only cost.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).without_time();
    if std::env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
    } else {
        lines.with_ansi(false).init();
    }
}

/// Prints a metric line. It stands alone on its line: CloudWatch takes metrics from nothing else.
pub fn emit(line: &str) {
    let mut out = std::io::stdout().lock();
    // Standard output is a pipe to the Lambda service: if it is gone, so is everyone who could be told.
    let _ = writeln!(out, "{line}");
}
