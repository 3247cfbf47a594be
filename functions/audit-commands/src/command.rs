//! What was asked for, judged before any call is made.

use fleetwarden_core::api;
use fleetwarden_core::api::Operation;
use fleetwarden_core::api::input;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::api::shape::NAME;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;

use crate::failure::Failure;

/// The members of a command that are ours and none of the operation's.
const OURS: [&str; 4] = ["command", "confirm", "dryRun", "all"];
/// The longest token. It is ours, and long enough for the name of any execution of a workflow.
const MAX_TOKEN: usize = 128;

/// A command whose input the service would take.
#[derive(Debug)]
pub(crate) struct Command {
    /// What to do.
    pub(crate) operation: &'static Operation,
    /// The operation's members.
    pub(crate) input: Map<String, Value>,
    /// Whether only to say what would change.
    pub(crate) dry_run: bool,
    /// Whether all pages are wanted.
    pub(crate) all: bool,
    /// The account for which the loss is accepted.
    confirm: Option<String>,
    /// The token of an operation that has none in AWS.
    pub(crate) token: Option<String>,
}

impl Command {
    /// Reads an event.
    pub(crate) fn read(event: Value, now: Millis) -> Result<Self, Failure> {
        let Value::Object(mut members) = event else {
            return Err(Failure::fault("$", "must be an object with the name of a command and its members"));
        };
        let operation = match members.remove("command") {
            Some(Value::String(name)) => {
                api::audit(&name).map_err(|what| Failure::fault("$.command", what))?
            }
            Some(_) => {
                return Err(Failure::fault("$.command", "must be a string, such as ListAuditFindings"));
            }
            None => return Err(Failure::fault("$.command", "is missing: a name such as ListAuditFindings")),
        };
        let mut faults = Vec::new();
        let mut fault = |path: &str, what: &str| {
            faults.push(Fault { path: path.to_owned(), what: what.to_owned() });
        };
        let mut flag = |name: &str, fits: bool, why: &str| match members.remove(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Bool(true)) => {
                if !fits {
                    fault(&format!("$.{name}"), &format!("{} {why}", operation.name));
                }
                true
            }
            Some(_) => {
                fault(&format!("$.{name}"), "must be true or false");
                false
            }
        };
        let dry_run = flag("dryRun", operation.changes(), "changes nothing: there is nothing to try");
        let all = flag("all", operation.is_list(), "gives no pages");
        let confirm = match members.remove("confirm") {
            None | Some(Value::Null) => None,
            Some(Value::String(account)) => Some(account),
            Some(_) => {
                fault("$.confirm", "must be a string: the id of the account");
                None
            }
        };
        let own_token = operation.name == "StartOnDemandAuditTask";
        let token = if own_token { members.remove(TOKEN).filter(|token| !token.is_null()) } else { None };
        let token = match token {
            None => None,
            Some(Value::String(token)) if token.len() <= MAX_TOKEN && (NAME.matches)(&token) => Some(token),
            Some(_) => {
                fault("$.clientRequestToken", "must be a string of 1 to 128 characters of [a-zA-Z0-9_-]");
                None
            }
        };
        match input::read(operation, members, &OURS, now) {
            Ok(input) if faults.is_empty() => Ok(Self { operation, input, dry_run, all, confirm, token }),
            Ok(_) => Err(Failure::Input(faults)),
            Err(more) => Err(Failure::Input(faults.into_iter().chain(more).collect())),
        }
    }

    /// Lets what destroys something pass only if the account is named.
    pub(crate) fn confirmed(&self, account: &str, loses: &str) -> Result<(), Failure> {
        match self.confirm.as_deref() {
            Some(named) if named == account => Ok(()),
            Some(_) => Err(Failure::confirmation(format!(
                "{loses}. confirm names another account than this one, {account}"
            ))),
            None => Err(Failure::confirmation(format!("{loses}. Confirm with \"confirm\": \"{account}\""))),
        }
    }

    /// Whether the account is named, so that nobody has to be told what is lost.
    pub(crate) fn is_confirmed(&self, account: &str) -> bool {
        self.confirm.as_deref() == Some(account)
    }

    /// A member as text; nothing if it is not there.
    pub(crate) fn text(&self, member: &str) -> &str {
        self.input.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// The checks that an audit is to make.
    pub(crate) fn target_checks(&self) -> Vec<&str> {
        let checks = self.input.get("targetCheckNames").and_then(Value::as_array);
        checks.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}
