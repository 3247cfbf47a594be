//! `fleetwarden audit` and `fleetwarden detect`: a command by its name and members, done by a stack in AWS or on this
//! machine.
//!
//! It makes the event, the functions `audit-commands` and `detect-commands` do the rest; a list is shown as a table, a
//! report as it is written.

use super::pair;
use crate::aws::Again;
use crate::aws::function::{Answer, Function};
use crate::aws::settings::Settings;
use crate::input::{self, Input};
use crate::output::{line, note, waiting};
use crate::stack;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use comfy_table::{Table, presets};
use fleetwarden_core::api::{self, Operation, input::TOKEN, shape::Shape};
use fleetwarden_core::untrusted::visible;
use serde_json::{Map, Value};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What AWS has no token for, and `audit-commands` has one.
const START_AUDIT: &str = "StartOnDemandAuditTask";
/// Members with a value that was measured.
const MEASURED: [&str; 3] = ["value", "metricValue", "lastViolationValue"];

/// Commands that one function does.
#[derive(Debug)]
pub(crate) struct Commands {
    /// The function.
    pub(crate) function: &'static str,
    /// The command of a name, or what is wrong with the name.
    pub(crate) find: fn(&str) -> Result<&'static Operation, String>,
    /// Commands that the function knows a repeat of without a token.
    pub(crate) repeated: &'static [&'static str],
}

/// The commands on audits.
static AUDIT: Commands = Commands { function: "audit-commands", find: api::audit, repeated: &[START_AUDIT] };

/// Arguments of `audit` and `detect`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The command, such as list-audit-findings or list-active-violations
    command: String,
    /// Member of the input: text, or JSON where the operation wants no text; may be repeated
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    members: Vec<(String, String)>,
    /// The stack: in the account and region that the AWS CLI would use, or at `AWS_ENDPOINT_URL`
    #[arg(long, env = "FLEETWARDEN_STACK", default_value = stack::NAME, hide_env_values = true,
        value_parser = stack::name)]
    stack: String,
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

/// What is sent to the function.
#[derive(Debug)]
struct Request {
    commands: &'static Commands,
    operation: &'static Operation,
    event: Map<String, Value>,
    /// The token that nobody gave and that an audit is started under.
    token: Option<String>,
}

/// Has an audit command done.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    run_of(&AUDIT, arguments).await
}

/// Has one of some commands done.
pub(crate) async fn run_of(commands: &'static Commands, arguments: Arguments) -> Result<ExitCode> {
    let operation = (commands.find)(&arguments.command).map_err(anyhow::Error::msg)?;
    let request = Request::new(commands, operation, event(operation, &arguments)?);
    let settings = Settings::find().await?;
    let spinner = waiting(format!("{} in {}", operation.name, settings.region()));
    let answer = request.send(settings, &arguments.stack).await;
    spinner.finish_and_clear();
    show(&arguments, &request, &answer?)
}

impl Request {
    /// Gives the event a token where only a token tells a repeat from a second wish: each invocation would start an
    /// audit. The other tokens the function makes of what is asked for.
    fn new(commands: &'static Commands, operation: &'static Operation, event: Map<String, Value>) -> Self {
        let mut request = Self { commands, operation, event, token: None };
        let is_given = request.event.get(TOKEN).is_some_and(|token| !token.is_null());
        if operation.name == START_AUDIT && request.changes() && !is_given {
            // The keys of hashers are random, and all that is wanted of a token is that nobody else has it.
            let [one, other] = ["one", "other"].map(|half| RandomState::new().hash_one(half));
            let token = format!("fleetwarden-{one:016x}{other:016x}");
            request.event.insert(TOKEN.to_owned(), token.clone().into());
            request.token = Some(token);
        }
        request
    }

    async fn send(&self, settings: Settings, stack: &str) -> Result<Answer> {
        let function = Function::find(settings, stack, self.commands.function).await?;
        let event = Value::Object(self.event.clone()).to_string();
        let answer = function.invoke(event.into(), self.again()).await;
        answer.map_err(|failure| {
            let in_doubt = failure.is_unknown() && self.changes();
            let error =
                anyhow::Error::new(failure).context(format!("cannot invoke {}", self.commands.function));
            if in_doubt { error.context(self.doubt()) } else { error }
        })
    }

    /// Whether something changes if all goes well.
    fn changes(&self) -> bool {
        self.operation.changes() && self.event.get("dryRun") != Some(&Value::Bool(true))
    }

    /// Whether it may be sent again when nobody knows what became of it: if it changes nothing, or the function
    /// knows a repeat by a token.
    fn again(&self) -> Again {
        let Operation { name, members, .. } = self.operation;
        let has_token = members.iter().any(|member| member.name == TOKEN);
        if has_token || self.commands.repeated.contains(name) || !self.changes() {
            Again::Always
        } else {
            Again::Unharmed
        }
    }

    /// What is said when nobody knows what became of it.
    fn doubt(&self) -> String {
        let repeat = match (self.once(), self.again()) {
            (Some(once), _) => once,
            (None, Again::Always) => "the same command again does nothing twice".to_owned(),
            (None, Again::Unharmed) => "look before you repeat it".to_owned(),
        };
        format!("nobody knows whether {} was done; {repeat}", self.operation.name)
    }

    /// How to repeat what nobody gave a token.
    fn once(&self) -> Option<String> {
        let token = self.token.as_ref()?;
        Some(format!("the same command with {TOKEN}={token} starts no second audit"))
    }
}

/// Shows an answer.
fn show(arguments: &Arguments, request: &Request, answer: &Answer) -> Result<ExitCode> {
    if answer.failed {
        let why = why(request.commands.function, &answer.body);
        note(format!("fleetwarden: {why}"));
        // An input that has to be mended is none to repeat.
        let once = request.once().filter(|_| !why.starts_with("InvalidInput\n"));
        once.into_iter().for_each(note);
        return Ok(ExitCode::FAILURE);
    }
    let value: Value = serde_json::from_slice(&answer.body).context("the answer is no JSON")?;
    let written = value.get("contentType").and_then(|_| value.get("body")).and_then(Value::as_str);
    match (written, table(request.operation, &value)) {
        _ if arguments.json => line(String::from_utf8_lossy(&answer.body)),
        (Some(written), _) => line(written),
        (None, Some(table)) => line(table),
        (None, None) => line(serde_json::to_string_pretty(&value)?),
    }
    if let Some(token) = value.get("nextToken").and_then(Value::as_str).filter(|_| !arguments.json) {
        note(format!("there is more: nextToken={token}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Why a function failed: the name of it, and the words below.
fn why(function: &str, body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    match (text("errorType"), text("errorMessage")) {
        (None, None) => format!("{function} failed: {}", String::from_utf8_lossy(body)),
        // Lambda itself names no type for a function that ran out of time.
        (None, Some(words)) => format!("{function} failed\n{words}"),
        (Some(name), words) => format!("{name}\n{}", words.unwrap_or_default()),
    }
}

/// The event for the function.
fn event(operation: &Operation, arguments: &Arguments) -> Result<Map<String, Value>> {
    let mut event = match &arguments.input {
        Some(path) => members(path)?,
        None => Map::new(),
    };
    for (name, text) in &arguments.members {
        let member = operation.members.iter().find(|member| member.name == name);
        let is_text = member
            .is_some_and(|member| matches!(member.shape, Shape::Text { .. } | Shape::Choice(_)))
            || [TOKEN, "confirm"].contains(&name.as_str());
        let json = if is_text { None } else { serde_json::from_str(text).ok() };
        event.insert(name.clone(), json.unwrap_or_else(|| text.as_str().into()));
    }
    event.insert("command".to_owned(), operation.name.into());
    if [api::REPORT.name, api::ALARM_REPORT.name].contains(&operation.name) && !arguments.json {
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
    Ok(event)
}

/// The members of an input that a file holds.
fn members(path: &Path) -> Result<Map<String, Value>> {
    let Input { name, text } = input::read(path)?;
    match serde_json::from_str(&text).with_context(|| format!("{name} is not valid JSON"))? {
        Value::Object(members) => Ok(members),
        _ => bail!("{name} is not a JSON object"),
    }
}

/// The entries of a list, a row each; nothing if the operation is no list. A resource is shown by its identifier, what
/// has a name or an ARN by that, and what else has members of its own is left out.
fn table(operation: &Operation, answer: &Value) -> Option<String> {
    if !operation.is_list() {
        return None;
    }
    let entries = answer.as_object()?.values().find_map(Value::as_array)?;
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
    row.extend(members.iter().filter_map(|(member, value)| {
        let name = value.get("name").or_else(|| value.get("arn"));
        let value = if MEASURED.contains(&member.as_str()) { Some(value) } else { name };
        value.map(|value| (member.as_str(), shown(value)))
    }));
    let within = entry.get("nonCompliantResource").or_else(|| entry.get("relatedResource")).unwrap_or(entry);
    if let Some(resource) = within.get("resourceIdentifier") {
        row.push(("resource", shown(resource)));
    }
    row
}

/// A value as people see it: names of devices are any text.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| visible(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::settings::tests::at;
    use crate::aws::stand_in::{said, serve};
    use clap::Parser;
    use http_body_util::Full;
    use hyper::Response;
    use hyper::body::Bytes;
    use serde_json::json;
    use std::fmt::Write as _;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn event_of(words: &[&str]) -> Result<Value> {
        let arguments = Line::parse_from([&["audit"], words].concat()).arguments;
        let operation = api::audit(&arguments.command).map_err(anyhow::Error::msg)?;
        event(operation, &arguments).map(Value::Object)
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

    fn request(words: &[&str]) -> Request {
        let Value::Object(event) = event_of(words).unwrap() else { unreachable!() };
        Request::new(&AUDIT, api::audit(words[0]).unwrap(), event)
    }

    #[test]
    fn only_what_does_nothing_twice_may_be_sent_twice() {
        let twice = |words: &[&str]| request(words).again() == Again::Always;
        for safe in ["list-audit-tasks", "audit-report", START_AUDIT, "create-audit-suppression"] {
            assert!(twice(&[safe]), "{safe}");
        }
        assert!(twice(&["start-audit-mitigation-actions-task"]));
        for changes in ["update-scheduled-audit", "delete-audit-suppression", "cancel-audit-task"] {
            assert!(!twice(&[changes]), "{changes}");
            assert!(twice(&[changes, "--dry-run"]), "{changes}");
            assert!(twice(&[changes, "dryRun=true"]), "{changes}");
        }
    }

    #[test]
    fn an_audit_is_started_under_a_token_of_its_own_unless_there_is_one() {
        let [one, other] = [request(&[START_AUDIT]), request(&[START_AUDIT])];
        assert_eq!(one.event[TOKEN], json!(one.token));
        assert_ne!(one.token, other.token);
        let Value::Object(null) = json!({(TOKEN): null}) else { unreachable!() };
        assert!(Request::new(&AUDIT, api::audit(START_AUDIT).unwrap(), null).token.is_some());
        let given = request(&[START_AUDIT, "clientRequestToken=7"]);
        assert_eq!((given.event[TOKEN].as_str(), &given.token), (Some("7"), &None));
        for none in [&[START_AUDIT, "--dry-run"][..], &["create-audit-suppression"]] {
            assert!(!request(none).event.contains_key(TOKEN));
        }
    }

    /// A stack whose function cannot be invoked without something going wrong.
    async fn failing(answer: fn() -> Option<Response<Full<Bytes>>>) -> String {
        let found = "<R><PhysicalResourceId>f</PhysicalResourceId></R>";
        serve(move |request| if request.uri() == "/" { Some(said(200, found)) } else { answer() }).await
    }

    #[tokio::test]
    async fn what_may_have_been_done_is_told_with_how_to_repeat_it() {
        let lost = failing(|| None).await;
        let denied = failing(|| Some(said(403, r#"{"Message":"not authorized"}"#))).await;
        let mut told = String::new();
        for (words, endpoint) in [
            (&["update-scheduled-audit"][..], &lost),
            (&["update-scheduled-audit", "--dry-run"], &lost),
            (&["create-audit-suppression"], &lost),
            (&[START_AUDIT], &lost),
            (&[START_AUDIT], &denied),
        ] {
            let request = request(words);
            let error = format!("{:#}", request.send(at(endpoint), "s").await.unwrap_err());
            let error = error.replace(endpoint.trim_start_matches("http://"), "HOST");
            let error = error.replace(request.token.as_deref().unwrap_or("no token"), "TOKEN");
            let _ = writeln!(told, "{}\n  {error}", words.join(" "));
        }
        insta::assert_snapshot!(told);
    }

    #[test]
    fn why_a_function_failed_is_told_whatever_it_answers() {
        let told = [
            r#"{"errorType":"NoAudit","errorMessage":"there is none"}"#,
            r#"{"errorMessage":"2026-11-23 1-2-3 Task timed out after 60.00 seconds"}"#,
            r#"{"errorType":"Runtime.ExitError"}"#,
            "no JSON",
        ];
        insta::assert_snapshot!(told.map(|body| why("audit-commands", body.as_bytes())).join("\n"));
    }

    #[test]
    fn a_list_is_a_table_and_nothing_else_is() {
        let listed = json!({"suppressions": [
            {"checkName": "A", "resourceIdentifier": {"clientId": "c"}, "suppressIndefinitely": true},
            {"checkName": "B", "resourceIdentifier": {"account": "1"}, "description": "why"},
        ]});
        let shown = |name: &str, answer: &Value| table(api::audit(name).unwrap(), answer);
        insta::assert_snapshot!(shown("list-audit-suppressions", &listed).unwrap());
        for (name, answer) in [
            ("describe-account-audit-configuration", json!({"roleArn": "r", "checks": {}})),
            ("describe-scheduled-audit", json!({"frequency": "DAILY", "targetCheckNames": ["A"]})),
            ("update-scheduled-audit", json!({"dryRun": true, "changes": []})),
            (
                "start-audit-mitigation-actions-task",
                json!({"observed": true, "mitigates": [{"findingId": "f"}]}),
            ),
        ] {
            assert_eq!(shown(name, &answer), None, "{name}");
        }
    }

    #[test]
    fn what_is_nested_is_shown_by_its_name_and_names_of_devices_are_visible() {
        let violation = json!({"activeViolations": [{
            "violationId": "v", "thingName": "a\u{1b}[2J", "behavior": {"name": "sent", "metric": "m"},
            "lastViolationValue": {"count": 7}, "violationStartTime": 1,
        }]});
        let mapping = json!({"securityProfileTargetMappings": [
            {"securityProfileIdentifier": {"name": "p", "arn": "arn:p"}, "target": {"arn": "arn:t"}},
        ]});
        let shown = |name: &str, answer: &Value| table(api::detect(name).unwrap(), answer).unwrap();
        let tables = [
            shown("list-active-violations", &violation),
            shown("list-security-profiles-for-target", &mapping),
            shown("list-dimensions", &json!({"dimensionNames": ["admin"]})),
        ];
        insta::assert_snapshot!(tables.join("\n"));
    }
}
