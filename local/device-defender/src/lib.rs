//! A local endpoint that speaks the audit API of AWS Device Defender over a simulated fleet.
//!
//! Device Defender exists only in AWS, and no emulator does its audits. This crate answers the 30 audit
//! operations, and those of the AWS IoT registry that tell what is behind a finding and what there is, as the Rust
//! SDK, boto3 and the AWS CLI expect them (REST-JSON, service model 2015-05-28), runs audits that find what is
//! wrong in a fleet made from a seed, honours suppressions, lets mitigation tasks change the fleet, publishes
//! to SNS, keeps AWS's limits, and misbehaves when told to. Point `AWS_ENDPOINT_URL_IOT` at [`Endpoint::url`].
//!
//! The path of a request: [`server`](Endpoint) → [`service`](DeviceDefender) (signature, route, fault, rate)
//! → `validate` (by the constraints in `inputs`) → `operations` → `world` and `fleet`. Without a socket,
//! [`DeviceDefender`] answers in the same process, and on a [`Clock::manual`] every run is repeatable.

mod actions;
mod args;
mod audits;
mod calls;
mod checks;
mod clock;
mod configuration;
mod control;
mod detect;
mod failure;
mod faults;
mod findings;
mod fleet;
#[cfg(test)]
mod harness;
mod mitigation;
mod operations;
mod paging;
mod publisher;
mod random;
mod resource;
mod schedules;
mod server;
mod service;
mod settings;
mod suppressions;
mod throttle;
mod uri;
mod validate;
mod world;

pub use clock::Clock;
pub use publisher::{BadEndpoint, HttpPublisher, NoPublisher, Publisher, Publishing};
pub use server::Endpoint;
pub use service::{Answer, DeviceDefender, Request};
pub use settings::{FleetSpec, Settings};
pub use world::Message;
