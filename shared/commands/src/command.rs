//! What was asked for, judged before any call is made.

use fleetwarden_core::api::Operation;
use fleetwarden_core::api::input;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;

use crate::Commands;
use crate::failure::Failure;

/// The members of any command that are ours and none of the operation's.
const OURS: [&str; 4] = ["command", "confirm", "dryRun", "all"];

/// A command whose input the service would take.
#[derive(Debug)]
pub struct Command {
    /// What to do.
    pub operation: &'static Operation,
    /// The operation's members.
    pub input: Map<String, Value>,
    /// The members that are ours and only some commands have.
    pub own: Map<String, Value>,
    /// Whether only to say what would change.
    pub dry_run: bool,
    /// Whether all pages are wanted.
    pub all: bool,
    /// The account for which the loss is accepted.
    confirm: Option<String>,
}

impl Command {
    /// Reads an event.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(commands: &Commands, event: Value, now: Millis) -> Result<Self, Failure> {
        let Value::Object(mut members) = event else {
            return Err(Failure::fault("$", "must be an object with the name of a command and its members"));
        };
        let example = commands.example;
        let operation = match members.remove("command") {
            Some(Value::String(name)) => {
                (commands.find)(&name).map_err(|what| Failure::fault("$.command", what))?
            }
            Some(_) => {
                return Err(Failure::fault("$.command", format!("must be a string, such as {example}")));
            }
            None => {
                return Err(Failure::fault("$.command", format!("is missing: a name such as {example}")));
            }
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
        let own = operation.own_members();
        let (taken, members) = members.into_iter().partition(|(name, _)| own.iter().any(|m| m.name == name));
        // They are judged as members are, by no operation's rules.
        let beside = Operation { name: "", method: "", path: "", per_second: 1, members: own };
        let own_names = own.iter().map(|member| member.name);
        let all_ours: Vec<&str> = OURS.into_iter().chain(own_names).collect();
        let mut take = |read: Result<Map<String, Value>, Vec<Fault>>| {
            read.unwrap_or_else(|more| {
                faults.extend(more);
                Map::new()
            })
        };
        let own = take(input::read(&beside, taken, &[], now));
        let input = take(input::read(operation, members, &all_ours, now));
        if faults.is_empty() {
            Ok(Self { operation, input, own, dry_run, all, confirm })
        } else {
            Err(Failure::Input(faults))
        }
    }

    /// Lets what destroys something pass only if the account is named.
    ///
    /// # Errors
    /// `ConfirmationRequired`, with what is lost.
    pub fn confirmed(&self, account: &str, loses: &str) -> Result<(), Failure> {
        match self.confirm.as_deref() {
            Some(named) if named == account => Ok(()),
            Some(_) => Err(Failure::confirmation(format!(
                "{loses}. confirm names another account than this one, {account}"
            ))),
            None => Err(Failure::confirmation(format!(
                "{loses}. Confirm with --confirm {account} (in an event: \"confirm\": \"{account}\")"
            ))),
        }
    }

    /// Whether the account is named, so that what is lost need not be said.
    pub fn is_confirmed(&self, account: &str) -> bool {
        self.confirm.as_deref() == Some(account)
    }

    /// A member as text; nothing if it is not there.
    pub fn text(&self, member: &str) -> &str {
        self.input.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// A flag; false if it is not there.
    pub fn flag(&self, member: &str) -> bool {
        self.input.get(member) == Some(&Value::Bool(true))
    }
}
