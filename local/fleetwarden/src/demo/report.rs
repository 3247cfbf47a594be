//! The report of an audit, from the function that people ask for it, held against what the endpoint found.

use super::truth::Found;
use crate::output::{Kind, Layout, Painted, Table};
use crate::stack::Stack;
use anyhow::{Context as _, Result, bail};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const COLUMNS: [&str; 7] = ["check", "status", "not compliant", "suppressed", "new", "fixed", "returned"];

/// A report in each of its formats.
#[derive(Debug)]
pub(crate) struct Report {
    told: Told,
    json: String,
    markdown: String,
    html: String,
}

/// What of a report is held against the endpoint.
#[derive(Debug, Default, Deserialize)]
struct Told {
    checks: Vec<CheckTold>,
    #[serde(default)]
    gaps: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckTold {
    check: String,
    status: String,
    non_compliant: u64,
    suppressed: u64,
    changes: Option<Changes>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Changes {
    new: u64,
    fixed: u64,
    returned: u64,
}

#[derive(Debug, Deserialize)]
struct Written {
    body: String,
}

impl Report {
    /// Asks for the report of an audit.
    pub(crate) async fn ask(stack: &Stack, task: &str) -> Result<Self> {
        let function = stack.output("AuditCommandsFunctionName")?;
        let ask = async |format: &str| {
            let event = json!({"command": "AuditReport", "taskId": task, "format": format});
            let answer = stack.cloud().invoke(function, Bytes::from(event.to_string())).await?;
            let answer: Value = serde_json::from_slice(&answer).context("the report is not JSON")?;
            if answer.get("errorType").is_some() {
                bail!("there is no report of audit {task}: {answer}");
            }
            Ok(answer)
        };
        let json = ask("json").await?;
        let body = |answer| serde_json::from_value(answer).map(|Written { body }| body);
        Ok(Self {
            json: serde_json::to_string_pretty(&json)? + "\n",
            told: serde_json::from_value(json).context("the report has another shape")?,
            markdown: body(ask("markdown").await?)?,
            html: body(ask("html").await?)?,
        })
    }

    /// The checks in short.
    pub(crate) fn table(&self, layout: Layout) -> Painted {
        let mut table = Table::new(COLUMNS).with(Kind::Number, 2..COLUMNS.len());
        for check in &self.told.checks {
            let mut cells = vec![check.check.clone(), check.status.clone()];
            cells.extend([check.non_compliant, check.suppressed].map(|count| count.to_string()));
            let changes = check.changes.map(|Changes { new, fixed, returned }| [new, fixed, returned]);
            cells.extend(changes.into_iter().flatten().map(|count| count.to_string()));
            table.row(cells);
        }
        table.render(layout)
    }

    /// What the report says otherwise than the endpoint, and what it does not know. What is found was found before,
    /// or is new or back; what was found before and is not any more is fixed.
    pub(crate) fn faults(&self, before: &Found, found: &Found) -> Vec<String> {
        let mut faults: Vec<String> = self.told.gaps.iter().map(|gap| format!("the report: {gap}")).collect();
        for (name, truth) in &found.checks {
            let Some(told) = self.told.checks.iter().find(|told| told.check == *name) else {
                faults.push(format!("the report has no {name}"));
                continue;
            };
            let before = before.checks.get(name).copied().unwrap_or_default().all();
            let adds_up = told.changes.is_some_and(|Changes { new, fixed, returned }| {
                before + new + returned == truth.all() + fixed
            });
            let counts = (told.non_compliant, told.suppressed);
            if !adds_up || counts != (truth.unsuppressed, truth.suppressed) {
                faults.push(format!("the report has {told:?}; the endpoint has {truth:?}, and had {before}"));
            }
        }
        faults
    }

    /// Writes it beside a file, and gives the place of the page.
    pub(crate) fn write(&self, beside: &Path) -> Result<PathBuf> {
        let page = beside.with_file_name("report.html");
        for (extension, text) in [("json", &self.json), ("md", &self.markdown), ("html", &self.html)] {
            let path = page.with_extension(extension);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::super::truth::FoundByCheck;
    use super::*;

    fn report(checks: &Value) -> Report {
        let told = serde_json::from_value(json!({"checks": checks, "gaps": []})).unwrap();
        Report { told, json: String::new(), markdown: String::new(), html: String::new() }
    }

    fn found(unsuppressed: u64, suppressed: u64) -> Found {
        let by_check = FoundByCheck { unsuppressed, suppressed };
        Found { checks: [("C".to_owned(), by_check)].into(), ..Default::default() }
    }

    #[test]
    fn a_report_that_disagrees_with_the_endpoint_is_told() {
        let good = |changes: Value| {
            report(&json!([{
                "check": "C", "status": "NON_COMPLIANT", "nonCompliant": 4, "suppressed": 2, "changes": changes,
            }]))
        };
        let changes = json!({"new": 1, "fixed": 5, "returned": 0});
        let faults = |report: &Report, before, now| report.faults(&before, &now).len();
        assert_eq!(faults(&good(changes.clone()), found(10, 0), found(4, 2)), 0);
        assert_eq!(faults(&good(changes.clone()), found(10, 0), found(5, 1)), 1);
        assert_eq!(faults(&good(changes), found(9, 0), found(4, 2)), 1);
        assert_eq!(faults(&good(Value::Null), found(10, 0), found(4, 2)), 1);
        let none = report(&json!([])).faults(&found(10, 0), &found(4, 2));
        assert_eq!(none, ["the report has no C"]);
    }
}
