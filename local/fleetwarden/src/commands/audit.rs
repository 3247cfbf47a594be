//! `fleetwarden audit`: an audit command by its name and members, done by the stack that is up.
//!
//! It makes the event, the function `audit-commands` does the rest; a list is shown as a table, a report as it is
//! written.

use super::invoke::Deployed;
use super::pair;
use crate::output::{line, note};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use comfy_table::{Table, presets};
use fleetwarden_core::api::{self, shape::Shape};
use hyper::body::Bytes;
use serde_json::{Map, Value};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The command, such as list-audit-findings
    command: String,
    /// Member of the input: text, or JSON where the operation wants no text; may be repeated
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    members: Vec<(String, String)>,
    /// File with the members as JSON; - reads standard input
    #[arg(long)]
    input: Option<PathBuf>,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// List all pages
    #[arg(long)]
    all: bool,
    /// Account for which a loss is accepted
    #[arg(long, value_name = "ACCOUNT")]
    confirm: Option<String>,
    /// Print the answer as it is
    #[arg(long)]
    json: bool,
}

/// Has the command done.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let event = event(&arguments)?;
    let url = std::env::var("AWS_ENDPOINT_URL");
    let url =
        url.context("there is no AWS_ENDPOINT_URL, as fleetwarden up prints it; in AWS, aws lambda invoke")?;
    let deployed = Deployed::find(url, "audit-commands").await?;
    let answer = deployed.invoke(Bytes::from(event.to_string())).await?;
    let value: Value = serde_json::from_slice(&answer).context("the answer is no JSON")?;
    if let Some(error) = value.get("errorType").and_then(Value::as_str) {
        let why = value.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
        note(format!("fleetwarden: {error}\n{why}"));
        return Ok(ExitCode::FAILURE);
    }
    let written = value.get("contentType").and_then(|_| value.get("body")).and_then(Value::as_str);
    match (written, table(&value)) {
        _ if arguments.json => line(String::from_utf8_lossy(&answer)),
        (Some(written), _) => line(written),
        (None, Some(table)) => line(table),
        (None, None) => line(serde_json::to_string_pretty(&value)?),
    }
    if let Some(token) = value.get("nextToken").and_then(Value::as_str).filter(|_| !arguments.json) {
        note(format!("there is more: nextToken={token}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The event for the function.
fn event(arguments: &Arguments) -> Result<Value> {
    let operation = api::audit(&arguments.command).map_err(anyhow::Error::msg)?;
    let mut event = match &arguments.input {
        Some(path) => read(path)?,
        None => Map::new(),
    };
    for (name, text) in &arguments.members {
        let member = operation.members.iter().find(|member| member.name == name);
        let is_text =
            member.is_some_and(|member| matches!(member.shape, Shape::Text { .. } | Shape::Choice(_)));
        let json = if is_text { None } else { serde_json::from_str(text).ok() };
        event.insert(name.clone(), json.unwrap_or_else(|| text.as_str().into()));
    }
    event.insert("command".to_owned(), operation.name.into());
    if operation.name == api::REPORT.name && !arguments.json {
        event.entry("format").or_insert_with(|| "markdown".into());
    }
    for (name, given) in [("dryRun", arguments.dry_run), ("all", arguments.all)] {
        if given {
            event.insert(name.to_owned(), true.into());
        }
    }
    if let Some(account) = &arguments.confirm {
        event.insert("confirm".to_owned(), account.as_str().into());
    }
    Ok(Value::Object(event))
}

fn read(path: &Path) -> Result<Map<String, Value>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text)?;
    } else {
        text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    match serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))? {
        Value::Object(members) => Ok(members),
        _ => bail!("{} holds no JSON object", path.display()),
    }
}

/// The entries of a list, a row each; nothing if the answer is no list. A resource is shown by its identifier, and
/// what else has members of its own is left out.
fn table(answer: &Value) -> Option<String> {
    let answer = answer.as_object()?;
    let mut lists =
        answer.iter().filter(|(name, _)| *name != "changes").filter_map(|(_, value)| value.as_array());
    let (Some(entries), None) = (lists.next(), lists.next()) else { return None };
    let rows: Vec<Vec<(&str, String)>> = entries.iter().map(row).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !columns.contains(name) {
            columns.push(name);
        }
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(&columns);
    for row in &rows {
        let cell =
            |column: &&str| row.iter().find(|(name, _)| name == column).map_or("", |(_, text)| text.as_str());
        table.add_row(columns.iter().map(cell));
    }
    Some(table.to_string())
}

fn row(entry: &Value) -> Vec<(&str, String)> {
    let Some(members) = entry.as_object() else { return vec![("name", shown(entry))] };
    let mut row: Vec<(&str, String)> = members
        .iter()
        .filter(|(_, value)| !value.is_object() && !value.is_array())
        .map(|(name, value)| (name.as_str(), shown(value)))
        .collect();
    let within = entry.get("nonCompliantResource").or_else(|| entry.get("relatedResource")).unwrap_or(entry);
    if let Some(resource) = within.get("resourceIdentifier") {
        row.push(("resource", shown(resource)));
    }
    row
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn event_of(words: &[&str]) -> Result<Value> {
        event(&Line::parse_from([&["audit"], words].concat()).arguments)
    }

    #[test]
    fn members_are_of_the_type_that_the_operation_wants() {
        let schedule = [
            "create-scheduled-audit",
            "scheduledAuditName=7",
            "frequency=MONTHLY",
            "dayOfMonth=1",
            "targetCheckNames=[\"LOGGING_DISABLED_CHECK\"]",
            "--dry-run",
        ];
        let expected = json!({
            "command": "CreateScheduledAudit", "scheduledAuditName": "7", "frequency": "MONTHLY", "dayOfMonth": "1",
            "targetCheckNames": ["LOGGING_DISABLED_CHECK"], "dryRun": true,
        });
        assert_eq!(event_of(&schedule).unwrap(), expected);
        let list = [
            "ListAuditTasks",
            "startTime=2026-11-01T00:00:00Z",
            "endTime=1795392000",
            "maxResults=5",
            "--all",
        ];
        let expected = json!({
            "command": "ListAuditTasks", "startTime": "2026-11-01T00:00:00Z", "endTime": 1_795_392_000,
            "maxResults": 5, "all": true,
        });
        assert_eq!(event_of(&list).unwrap(), expected);
        let report = |words: &[&str]| event_of(&[&["audit-report"], words].concat()).unwrap();
        assert_eq!(report(&[]), json!({"command": "AuditReport", "format": "markdown"}));
        assert_eq!(report(&["--json"]), json!({"command": "AuditReport"}));
        let page = json!({"command": "AuditReport", "taskId": "7", "format": "html"});
        assert_eq!(report(&["taskId=7", "format=html"]), page);
        let unknown = event_of(&["list-audit-finding"]).unwrap_err().to_string();
        assert!(unknown.contains("did you mean 'ListAuditFindings'?"), "{unknown}");
    }

    #[test]
    fn a_list_is_a_table_and_nothing_else_is() {
        let listed = json!({"suppressions": [
            {"checkName": "A", "resourceIdentifier": {"clientId": "c"}, "suppressIndefinitely": true},
            {"checkName": "B", "resourceIdentifier": {"account": "1"}, "description": "why"},
        ]});
        insta::assert_snapshot!(table(&listed).unwrap());
        assert_eq!(table(&json!({"roleArn": "r", "checks": {}})), None);
        assert_eq!(table(&json!({"dryRun": true, "changes": []})), None);
    }
}
