//! The target of a change: how the service describes it, and what it is to become.
//!
//! Each operation that changes something has one that describes it, and the members of that one are its key.

use fleetwarden_core::api::Operation;
use fleetwarden_core::api::input::TOKEN;
use serde_json::Map;
use serde_json::Value;

use crate::Family;
use crate::Service;
use crate::command::Command;
use crate::diff::updated;
use crate::failure::Failure;

/// What is done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// It is a task, and is canceled.
    Cancel,
}

/// The target of a change.
#[derive(Debug)]
pub struct Target {
    /// What is done to it.
    pub verb: Verb,
    /// What it is, as the operations name it.
    pub kind: &'static str,
    describe: &'static Operation,
    key: Map<String, Value>,
    /// The members that it is to have.
    pub wanted: Map<String, Value>,
}

impl Target {
    /// The target of a command. None if the command is about no one thing that can be described.
    ///
    /// # Errors
    /// If the family cannot describe it.
    pub fn of(family: &Family, command: &Command) -> Result<Option<Self>, Failure> {
        let verbs = [
            ("Create", Verb::Create),
            ("Update", Verb::Update),
            ("Delete", Verb::Delete),
            ("Cancel", Verb::Cancel),
        ];
        let name = command.operation.name;
        let found = verbs.into_iter().find_map(|(word, verb)| Some((verb, name.strip_prefix(word)?)));
        let Some((verb, kind)) = found else { return Ok(None) };
        let describe = (family.commands.find)(&format!("Describe{kind}"));
        let describe = describe.map_err(|what| Failure::Refused { name: "UnknownCommand", what })?;
        let is_key = |name: &str| describe.members.iter().any(|member| member.name == name);
        let named = command.input.clone().into_iter().filter(|(name, _)| name != TOKEN);
        let (key, wanted) = named.partition(|(name, _)| is_key(name));
        Ok(Some(Self { verb, kind, describe, key, wanted }))
    }

    /// Its key and what it is to have, as one.
    pub fn whole(&self) -> Value {
        Value::Object(self.key.clone().into_iter().chain(self.wanted.clone()).collect())
    }

    /// Whether it is what the command asks for. No description has tags.
    pub fn is_done(&self, family: &Family, there: Option<&Value>) -> bool {
        match (self.verb, there) {
            (Verb::Delete, there) => there.is_none(),
            (Verb::Cancel, Some(there)) => there.get("taskStatus").is_some_and(|status| status == "CANCELED"),
            (Verb::Create | Verb::Update, Some(there)) => {
                let mut wanted = (family.becomes)(self, there);
                wanted.remove("tags");
                updated(there, &wanted).is_empty()
            }
            (_, None) => false,
        }
    }
}

impl Service {
    /// The target as it is now, if it is there.
    ///
    /// # Errors
    /// The service's.
    pub async fn there(&self, target: &Target) -> Result<Option<Value>, Failure> {
        let key = Value::Object(target.key.clone());
        let there = self.ask_if_there(target.describe.name, key).await?;
        Ok(there.and_then(|there| (self.family.described)(target.kind, target.verb, there)))
    }
}
