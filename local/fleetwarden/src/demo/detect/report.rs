//! The report of alarms, from the function that people ask, beside the figures.

use crate::demo::invoke::invoke;
use crate::stack::Stack;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// How far back the report goes: over all scenarios.
const HOURS: u64 = 4;

/// The report in its three forms.
#[derive(Debug)]
pub(super) struct AlarmPages {
    /// As JSON.
    pub(super) told: Value,
    markdown: String,
    html: String,
}

impl AlarmPages {
    /// Asks for the report of the last hours.
    pub(super) async fn ask(stack: &Stack) -> Result<Self> {
        let ask = async |format: &str| {
            let event = json!({ "command": "AlarmReport", "hours": HOURS, "format": format });
            invoke(stack, "DetectCommandsFunctionName", &event).await
        };
        let body = |answer: Value| {
            let body = answer.get("body").and_then(Value::as_str).map(str::to_owned);
            body.context("the report of alarms has no body")
        };
        Ok(Self {
            told: ask("json").await?,
            markdown: body(ask("markdown").await?)?,
            html: body(ask("html").await?)?,
        })
    }

    /// Writes it beside a file, and gives the place of the page.
    pub(super) fn write(&self, beside: &Path) -> Result<PathBuf> {
        let page = beside.with_file_name("alarms.html");
        let json = serde_json::to_string_pretty(&self.told)? + "\n";
        for (extension, text) in [("json", &json), ("md", &self.markdown), ("html", &self.html)] {
            let path = page.with_extension(extension);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(page)
    }
}
