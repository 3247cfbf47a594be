//! Commands that a repeat does not do twice. Where AWS takes a token, it is made from what they ask for; where it takes
//! none, what became of a try without an answer is looked up before the next.

use fleetwarden_aws::Error;
use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::digest::Digest;
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Family;
use crate::Service;
use crate::calls::answer;
use crate::calls::is;
use crate::calls::members;
use crate::command::Command;
use crate::failure::Failure;
use crate::target::Target;
use crate::target::Verb;

/// How often a change without an answer is made, at most.
pub const TRIES: u32 = 3;

/// The input with a token: the caller's own, or one that the same input has again. `round` tells tokens of one
/// input apart. None if the caller gave one.
pub fn tokened(family: &Family, command: &Command, round: &str) -> Option<Map<String, Value>> {
    if command.input.contains_key(TOKEN) {
        return None;
    }
    let mut input = command.input.clone();
    // The members of a map stand in one order.
    let text = Value::Object(input.clone()).to_string();
    let token =
        Digest::new(family.commands.function).part(command.operation.name).part(&text).part(round).hex();
    input.insert(TOKEN.to_owned(), token.into());
    Some(input)
}

/// Whether the service itself has said no: then nothing was done.
pub fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Aws { code, .. } if code.ends_with("Exception") && code != "InternalFailureException")
}

impl Service {
    /// A change without a token. Of some a second try is refused if the first was done and only its answer was lost.
    ///
    /// # Errors
    /// The service's.
    pub async fn change(&self, command: &Command) -> Result<Box<RawValue>, Failure> {
        self.change_with(command, &command.input).await
    }

    /// As [`change`](Self::change), with another input than the command has.
    ///
    /// # Errors
    /// The service's.
    pub async fn change_with(
        &self,
        command: &Command,
        input: &Map<String, Value>,
    ) -> Result<Box<RawValue>, Failure> {
        let operation = command.operation;
        let target = Target::of(self.family, command)?;
        let Some(target) = target.filter(|_| self.family.refused_twice.contains(&operation.name)) else {
            return Ok(self.iot.call(operation, input).await?);
        };
        let mut tries = 1;
        let there = loop {
            let error = match self.iot.call_once(operation, input).await {
                Err(error) if !is_refusal(&error) => error,
                answered => return Ok(answered?),
            };
            tracing::warn!(%error, "it is unknown whether the change was made");
            match self.there(&target).await {
                Ok(there) if target.is_done(self.family, there.as_ref()) => break there,
                Ok(_) if tries < TRIES => tries += 1,
                // The look-up's own failure would be taken for the change's.
                _ => return Err(error.into()),
            }
        };
        self.made(&target, there)
    }

    /// An operation that creates something, with a token. What exists just so, by `is_repeated`, was made by an
    /// earlier try of the same.
    ///
    /// # Errors
    /// The service's.
    pub async fn create(
        &self,
        command: &Command,
        is_repeated: impl Fn(&Value) -> bool,
    ) -> Result<Box<RawValue>, Failure> {
        let operation = command.operation;
        let target = Target::of(self.family, command)?;
        let (Some(input), Some(target)) = (tokened(self.family, command, ""), target) else {
            return Ok(self.iot.call(operation, &command.input).await?);
        };
        let error = match self.iot.call(operation, &input).await {
            Err(error) if is(&error, "ResourceAlreadyExistsException") => error,
            done => return Ok(done?),
        };
        match self.there(&target).await? {
            Some(there) if is_repeated(&there) => self.made(&target, Some(there)),
            Some(_) => Err(error.into()),
            // It was deleted since, and only its token is spent.
            None => {
                let again = tokened(self.family, command, "again").unwrap_or(input);
                Ok(self.iot.call(operation, &again).await?)
            }
        }
    }

    /// The answer to a change that an earlier try has made.
    fn made(&self, target: &Target, there: Option<Value>) -> Result<Box<RawValue>, Failure> {
        let mut made = members(there.filter(|_| target.verb == Verb::Create).unwrap_or_default());
        made.retain(|name, _| self.family.made.contains(&name.as_str()));
        answer(&Value::Object(made))
    }
}
