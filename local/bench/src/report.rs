//! The figures: a table for people, one flat JSON object for everything else.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    Exactly(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::Exactly(wanted) => (value - wanted).abs() < 1e-9,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::Exactly(wanted) => format!("= {wanted}"),
        }
    }
}

/// The figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    summary: Map<String, Value>,
    rows: Vec<[String; 4]>,
    /// Counts that miss their targets.
    missed: Vec<String>,
}

impl Report {
    /// A figure with its target.
    pub(crate) fn row(&mut self, key: &str, what: &str, value: f64, target: Target) {
        self.note(key, value);
        let mark = if target.is_met(value) { "✓" } else { "✗" };
        self.rows.push([what.to_owned(), format!("{value:.2}"), target.words(), mark.to_owned()]);
    }

    /// A figure that is counted and not timed, with its target: a miss fails the run.
    pub(crate) fn count(&mut self, key: &str, what: &str, value: f64, target: Target) {
        self.row(key, what, value, target);
        if !target.is_met(value) {
            self.missed.push(format!("{key} is {value:.2}, not {}", target.words()));
        }
    }

    /// A figure without a target.
    pub(crate) fn note(&mut self, key: &str, value: f64) {
        self.summary.insert(key.to_owned(), json!((value * 1e4).round() / 1e4));
    }

    /// What the figures depend on, in words.
    pub(crate) fn word(&mut self, key: &str, text: &str) {
        self.summary.insert(key.to_owned(), text.into());
    }

    /// Writes the summary and prints the table. Fails if a count misses its target.
    pub(crate) fn finish(&self, summary: &Path) -> Result<()> {
        if let Some(folder) = summary.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(summary, serde_json::to_string_pretty(&self.summary)? + "\n")?;
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["", "measured", "target", ""]);
        table.add_rows(&self.rows);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{table}")?;
        writeln!(out, "{}", summary.display())?;
        ensure!(self.missed.is_empty(), "{}", self.missed.join("; "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_or_not() {
        assert!(Target::AtMost(2.0).is_met(2.0) && !Target::AtMost(2.0).is_met(2.01));
        assert!(Target::Exactly(1.0).is_met(1.0) && !Target::Exactly(1.0).is_met(1.1));
        assert!(Target::AtLeast(2.0).is_met(2.0) && !Target::AtLeast(2.0).is_met(1.99));
        assert!(!Target::AtMost(2.0).is_met(f64::NAN));
    }

    #[test]
    fn the_summary_is_flat() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench/summary.json");
        let mut report = Report::default();
        report.row("start_ratio", "start", 1.234_56, Target::AtMost(2.0));
        report.word("cpu", "some");
        report.finish(&path).unwrap();
        let summary: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(summary, json!({ "start_ratio": 1.2346, "cpu": "some" }));
    }

    #[test]
    fn a_count_that_misses_its_target_fails_the_run_and_a_time_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        let mut report = Report::default();
        report.count("calls", "calls", 1.0, Target::Exactly(1.0));
        report.row("start_ratio", "start", 3.0, Target::AtMost(2.0));
        report.finish(&path).unwrap();
        report.count("more_calls", "more calls", 2.5, Target::AtMost(2.0));
        let missed = report.finish(&path).unwrap_err().to_string();
        assert_eq!(missed, "more_calls is 2.50, not ≤ 2");
        assert!(fs::read_to_string(path).unwrap().contains("more_calls"));
    }
}
