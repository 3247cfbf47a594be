//! `template.yaml` on its way to the emulator: the template that ships stays the only place of wiring.
//!
//! Three steps, a module each: [`yaml`] reads it with CloudFormation's short tags, [`package`] puts the
//! functions' zips and the layers where their local paths stand (what `sam package` does), and [`iot`] takes
//! out the `AWS::IoT::*` resources, which the emulator does not know and the endpoint creates instead.
//!
//! Apart from that, [`actions`] says which mitigation actions it defines, for the check of a policy.

pub(crate) mod actions;
pub(crate) mod iot;
pub(crate) mod package;
pub(crate) mod yaml;
