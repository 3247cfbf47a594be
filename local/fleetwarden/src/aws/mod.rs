//! AWS, as far as the command line speaks to it: the SDK's clients, with what this machine says of AWS.
//!
//! [`settings`] finds credentials, region and endpoints as all AWS tools do. An endpoint of one's own
//! (`AWS_ENDPOINT_URL`) changes the address and nothing else, so that a stack on this machine is reached the same way
//! as one in AWS. [`failure`] says why a call failed and whether it may have had an effect.

pub(crate) mod connection;
pub(crate) mod failure;
pub(crate) mod function;
pub(crate) mod registry;
pub(crate) mod settings;
#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(test)]
mod tests;

pub(crate) use self::failure::{Again, Failure};
