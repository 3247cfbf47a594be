//! What the functions that do Device Defender's operations for people and workflows have in common.
//!
//! `audit-commands` and `detect-commands` take one command an invocation: the name of an operation and its members.
//!
//! - [`invoke`](Service::handle): the invocation's time and metrics, and whether its alias takes the command;
//! - [`command`]: judged before any call;
//! - [`target`]: what a change is about, with [`dry_run`] (what would change, by [`diff`]) or [`repeat`] (the call, which a
//!   repeat does not do twice);
//! - [`gate`]: what a mitigation has to pass before its [`task`] starts, with the [`approval`] of another person;
//! - [`pages`]: lists; [`calls`]: other calls; [`sources`]: those of a report;
//! - [`failure`]: why a command is not done.
//!
//! What differs between the two functions is a [`Family`]. `mitigation-commands` asks no service but the ledger: it shares
//! how [`Commands`] are read and done in time.

pub mod approval;
pub mod calls;
pub mod command;
pub mod devices;
pub mod diff;
pub mod dry_run;
pub mod failure;
pub mod gate;
mod invoke;
pub mod pages;
pub mod repeat;
pub mod sources;
pub mod target;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;

use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_core::api::Operation;
use serde_json::Map;
use serde_json::Value;

pub use crate::command::Command;
pub use crate::failure::Failure;
use crate::target::Target;
use crate::target::Verb;

/// The commands that a function takes.
#[derive(Debug)]
pub struct Commands {
    /// The function's name: in its metrics, and in the tokens that it makes.
    pub function: &'static str,
    /// One of its commands, for an error about an event without one.
    pub example: &'static str,
    /// The operation of a name, or what is wrong with the name.
    pub find: fn(&str) -> Result<&'static Operation, String>,
}

/// Operations of Device Defender that belong together, and what is special about some of them.
#[derive(Debug)]
pub struct Family {
    /// The commands that they are.
    pub commands: Commands,
    /// The member of a list's answer that has the entries.
    pub entries: fn(&str) -> &'static str,
    /// Operations that the service refuses when they are done already: what became of a try is looked up.
    pub refused_twice: &'static [&'static str],
    /// Kinds that can be deleted when they are not there.
    pub deleted_quietly: &'static [&'static str],
    /// The members of a description that the operation which makes the thing answers with.
    pub made: &'static [&'static str],
    /// What of a description is the thing, if there is one: by its kind and what is done to it.
    pub described: fn(&str, Verb, Value) -> Option<Value>,
    /// The members that a thing has after a change, as far as the change says: by the change and what is there.
    pub becomes: fn(&Target, &Value) -> Map<String, Value>,
}

/// A family of operations, at the service.
#[derive(Clone)]
pub struct Service {
    /// Which operations.
    pub family: &'static Family,
    /// The account that they act on: 12 digits. To confirm is to name it.
    pub account: String,
    /// AWS IoT.
    pub iot: IotApi,
    /// The function's clock.
    pub clock: Clock,
}
