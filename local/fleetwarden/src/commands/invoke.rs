//! `fleetwarden invoke`: one function, one event, its answer on standard output and its log on standard error.
//!
//! Alone, the function's release binary runs against a Runtime API made for it. With a stack up and its
//! variables in the shell, it has the environment of that stack's function. Without, what the template puts
//! into its environment gets a placeholder, and its calls to AWS are refused by [`no_stack`](crate::no_stack): an event tried
//! at a desk must not act on an account by accident.

use super::{Places, pair};
use crate::aws::Again;
use crate::aws::function::Function;
use crate::aws::settings::Settings;
use crate::cloud::{ACCOUNT, REGION};
use crate::exit::Exit;
use crate::input::{self, Input};
use crate::no_stack::{HINT, NoStack};
use crate::output::{line, note};
use crate::process::Guarded;
use crate::runtime::{Outcome, RuntimeApi};
use crate::shell;
use crate::stack;
use crate::template::{package::binary_name, yaml};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use fleetwarden_core::nearest::did_you_mean;
use fleetwarden_core::untrusted::shown;
use hyper::body::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Arguments of `invoke`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden invoke triage-findings -e events/sqs-check.json
  fleetwarden invoke alarm-watch -e events/invoke-alarm-watch.json --deployed")]
pub(crate) struct Arguments {
    /// The function's name, such as triage-findings
    function: String,
    /// File with the event; - reads standard input
    #[arg(short, long)]
    event: PathBuf,
    /// Variable for the function's environment; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    environment: Vec<(String, String)>,
    /// File of NAME=VALUE lines for the function's environment, also as a shell takes them
    #[arg(long)]
    env_file: Option<PathBuf>,
    /// Policy file; policies/deployed/policy.yaml below the root if left out
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Seconds that the function has
    #[arg(long, default_value_t = 60)]
    timeout_seconds: u64,
    /// Invoke the function of the stack that answers at `AWS_ENDPOINT_URL`, not a process of its own
    #[arg(long)]
    deployed: bool,
    #[command(flatten)]
    places: Places,
}

/// Runs the function once.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit> {
    let event = Bytes::from(input::read(&arguments.event)?.text);
    if !arguments.deployed {
        let given = if at_endpoint() { of_stack(&arguments).await? } else { BTreeMap::new() };
        return alone(&arguments, event, given).await;
    }
    if !at_endpoint() {
        bail!("--deployed needs AWS_ENDPOINT_URL, as fleetwarden up prints it");
    }
    let answer = deployed(&arguments).await?.invoke(event, Again::Unharmed).await?;
    line(String::from_utf8_lossy(&answer.body));
    if answer.failed {
        note(format!("fleetwarden: {} failed", arguments.function));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// Whether the shell names an endpoint of AWS.
fn at_endpoint() -> bool {
    std::env::var("AWS_ENDPOINT_URL").is_ok_and(|url| !url.is_empty())
}

/// The function of the stack on this machine.
async fn deployed(arguments: &Arguments) -> Result<Function> {
    Function::find(Settings::find().await?, stack::NAME, &arguments.function).await
}

/// The environment that the function has in the stack that is up. Where none is, it runs with placeholders.
async fn of_stack(arguments: &Arguments) -> Result<BTreeMap<String, String>> {
    let settings = Settings::find().await?;
    match Function::find(settings, stack::NAME, &arguments.function).await {
        Ok(function) => function.environment().await,
        Err(error) => {
            note(format!("fleetwarden: {error:#}; its environment has placeholders"));
            Ok(BTreeMap::new())
        }
    }
}

async fn alone(arguments: &Arguments, event: Bytes, given: BTreeMap<String, String>) -> Result<Exit> {
    let root = arguments.places.root()?;
    let binary = arguments.places.binaries(&root).join(&arguments.function);
    let no_stack = NoStack::start().await?;
    let environment = environment(arguments, &root, given, &no_stack.url())?;
    if !binary.exists() {
        bail!("no function binary at {}: build it with cargo build --release", binary.display());
    }
    let timeout = Duration::from_secs(arguments.timeout_seconds);
    let mut api = RuntimeApi::start(&arguments.function, event, timeout).await?;
    let mut command = Command::new(&binary);
    command
        .envs(environment)
        .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
        .stdin(Stdio::null())
        // The log of a function is its standard output; the answer comes by the Runtime API.
        .stdout(std::io::stderr());
    let mut process = Guarded::spawn(&mut command)?;
    let ended = async {
        loop {
            if let Some(status) = process.ended()? {
                return anyhow::Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::select! {
        biased;
        outcome = api.outcome() => match outcome {
            Some(Outcome::Answer(answer)) => {
                line(String::from_utf8_lossy(&answer));
                Ok(Exit::Done)
            }
            Some(Outcome::Failure(failure)) => {
                line(String::from_utf8_lossy(&failure));
                note(format!("fleetwarden: {} failed", arguments.function));
                Ok(Exit::Failed)
            }
            None => bail!("the runtime API ended"),
        },
        status = ended => bail!("{} ended without an answer: {}", arguments.function, status?),
        () = tokio::time::sleep(timeout) => {
            bail!("{} did not answer in {} s", arguments.function, arguments.timeout_seconds)
        }
    };
    if no_stack.was_asked() {
        note(format!("fleetwarden: {} asked AWS, and {HINT}", arguments.function));
    }
    done
}

/// The function's environment beside this process's own. `given` is what the function has in a stack that is up,
/// `endpoint` is where it asks AWS without one; what the caller says is stronger.
fn environment(
    arguments: &Arguments,
    root: &Path,
    given: BTreeMap<String, String>,
    endpoint: &str,
) -> Result<BTreeMap<String, String>> {
    let policy = arguments.policy.clone().unwrap_or_else(|| root.join("policies/deployed/policy.yaml"));
    let policy = std::path::absolute(policy)?.to_string_lossy().into_owned();
    let mut all = placeholders(root, &arguments.function, endpoint)?;
    for (name, value) in [
        ("ACCOUNT_ID", ACCOUNT),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_LAMBDA_FUNCTION_NAME", &arguments.function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("POLICY_PATH", &policy),
    ] {
        all.insert(name.to_owned(), value.to_owned());
    }
    // What the caller's shell says of AWS holds only together with its endpoint: no event tried here is to act on an
    // account.
    let at_endpoint = at_endpoint();
    all.retain(|name, _| {
        let from_shell = at_endpoint || !name.starts_with("AWS_");
        !(from_shell && std::env::var_os(name).is_some())
    });
    all.extend(given);
    if let Some(path) = &arguments.env_file {
        let Input { name, text } = input::read(path)?;
        all.extend(shell::variables(&text).with_context(|| format!("cannot read {name}"))?);
    }
    all.extend(arguments.environment.iter().cloned());
    Ok(all)
}

/// A value for every variable that the template gives the function.
fn placeholders(root: &Path, function: &str, endpoint: &str) -> Result<BTreeMap<String, String>> {
    let path = root.join("template.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let template = yaml::read(&text)?;
    let resources = template.get("Resources").and_then(Value::as_object);
    let functions: BTreeMap<String, &Value> = resources
        .into_iter()
        .flatten()
        .filter(|(_, resource)| {
            resource.get("Type").and_then(Value::as_str) == Some("AWS::Serverless::Function")
        })
        .map(|(id, resource)| (binary_name(id, resource), resource))
        .collect();
    let Some(resource) = functions.get(function) else {
        let all: Vec<&str> = functions.keys().map(String::as_str).collect();
        let near = did_you_mean(&shown(function), all.iter().copied());
        bail!("the template has no function {}{near}; there are {}", shown(function), all.join(", "))
    };
    let of_all = template.pointer("/Globals/Function/Environment/Variables");
    let of_this = resource.pointer("/Properties/Environment/Variables");
    let variables = [of_all, of_this].into_iter().flatten().filter_map(Value::as_object).flatten();
    let given = |name: &str, value: &Value| {
        default(&template, value).unwrap_or_else(|| placeholder(name, value, endpoint))
    };
    Ok(variables.map(|(name, value)| (name.clone(), given(name, value))).collect())
}

/// The default of the parameter that a variable is.
fn default(template: &Value, value: &Value) -> Option<String> {
    let parameter = value.get("Ref")?.as_str()?;
    match template.get("Parameters")?.get(parameter)?.get("Default")? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn placeholder(name: &str, value: &Value, endpoint: &str) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let word = name.to_ascii_lowercase().replace('_', "-");
    match () {
        () if name.ends_with("_URL") => format!("{endpoint}/{ACCOUNT}/{word}"),
        () if name.ends_with("_ARN") => format!("arn:aws:sns:{REGION}:{ACCOUNT}:{word}"),
        () if name.ends_with("_SECONDS") => "60".to_owned(),
        () => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_that_nobody_gave_get_a_placeholder_of_their_kind() {
        let root = tempfile::tempdir().unwrap();
        let template = "
Parameters: { Percent: { Type: Number, Default: 20 } }
Globals: { Function: { Environment: { Variables: { LEDGER_TABLE: !Ref T } } } }
Resources:
  ExportFindingsFunction:
    Type: AWS::Serverless::Function
    Properties: { Environment: { Variables: { QUEUE_URL: !Ref Q, FIXED: x, SHARE: !Ref Percent } } }
";
        fs::write(root.path().join("template.yaml"), template).unwrap();
        let given = placeholders(root.path(), "export-findings", "http://endpoint").unwrap();
        assert_eq!(given["LEDGER_TABLE"], "ledger-table");
        assert_eq!((given["FIXED"].as_str(), given["SHARE"].as_str()), ("x", "20"));
        assert!(given["QUEUE_URL"].starts_with("http://endpoint/"));
        let wrong = |function: &str| placeholders(root.path(), function, "").unwrap_err().to_string();
        assert_eq!(
            [wrong("export"), wrong("x\u{1b}")],
            [
                "the template has no function export; there are export-findings",
                "the template has no function x\\u001b; there are export-findings",
            ]
        );
        assert_eq!(
            placeholder("ALERT_TOPIC_ARN", &json!({}), ""),
            "arn:aws:sns:us-east-1:123456789012:alert-topic-arn"
        );
    }
}
