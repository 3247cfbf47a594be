//! Logs and metrics, both as lines on standard output.

use std::io;
use std::io::Write;

use fleetwarden_core::untrusted::visible_lines;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging, as Lambda's `LoggingConfig` wishes: flat JSON or text; and from the level in `LOG_LEVEL` on.
pub fn init() {
    // A level for all, not a filter by module: that would be a regex engine in every binary.
    let level = std::env::var("LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    // CloudWatch stamps each line, so a time of our own would only cost.
    let lines = tracing_subscriber::fmt().with_max_level(level).with_target(false).without_time();
    let lines = lines.with_writer(|| Seen(io::stdout()));
    if std::env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
    } else {
        lines.with_ansi(false).init();
    }
}

/// Writes log lines so that no value of them commands the terminal of a reader. JSON stays the same JSON.
struct Seen<W>(W);

impl<W: Write> Write for Seen<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line comes whole, and is UTF-8.
        match str::from_utf8(line) {
            Ok(text) => self.0.write_all(visible_lines(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Prints a line, whatever the level: of metrics, which CloudWatch takes from nothing else, or of an alert.
pub fn emit(line: &str) {
    #[cfg(any(test, feature = "testing"))]
    if crate::testing::environment::emit(line) {
        return;
    }
    let mut out = io::stdout().lock();
    // Standard output is a pipe to the Lambda service: if it is gone, nothing can be reported.
    let _ = writeln!(out, "{}", visible_lines(line));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::sync::PoisonError;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_value_of_a_log_line_commands_a_terminal_and_its_json_stays() {
        for name in fleetwarden_hostile::TEXTS {
            for json in [true, false] {
                let written = Lines::default();
                let lines = written.clone();
                let log = tracing_subscriber::fmt().without_time().with_writer(move || Seen(lines.clone()));
                let log: Box<dyn tracing::Subscriber + Send + Sync> = if json {
                    Box::new(log.json().finish())
                } else {
                    Box::new(log.with_ansi(false).finish())
                };
                tracing::subscriber::with_default(log, || {
                    tracing::warn!(thing = name, error = %crate::Error::Input(name.to_owned()), "{name}");
                });
                let bytes = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let line = String::from_utf8(bytes).unwrap();
                fleetwarden_hostile::assert_seen(&line);
                if json {
                    assert_eq!(line.lines().count(), 1, "{line}");
                    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                    assert_eq!([&line["fields"]["thing"], &line["fields"]["message"]], [name, name]);
                }
            }
        }
    }
}
