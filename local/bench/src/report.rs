//! The figures: a table for people, one flat JSON object for everything else.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
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
}

impl Report {
    /// A figure with its target.
    pub(crate) fn row(&mut self, key: &str, what: &str, value: f64, target: Target) {
        self.note(key, value);
        let mark = if target.is_met(value) { "✓" } else { "✗" };
        self.rows.push([what.to_owned(), format!("{value:.2}"), target.words(), mark.to_owned()]);
    }

    /// A figure without a target.
    pub(crate) fn note(&mut self, key: &str, value: f64) {
        self.summary.insert(key.to_owned(), json!((value * 1e4).round() / 1e4));
    }

    /// What the figures depend on, in words.
    pub(crate) fn word(&mut self, key: &str, text: &str) {
        self.summary.insert(key.to_owned(), text.into());
    }

    /// Writes the summary and prints the table.
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
}
