//! `fleetwarden detect`: a command of Detect, done as an audit command is.

use super::audit::{Commands, Family};
use fleetwarden_core::api;

/// The commands of Detect.
static DETECT: Commands = Commands {
    family: "detect",
    function: "detect-commands",
    all: || api::detect_commands().collect(),
    repeated: &["AlarmIncident"],
    parameter: Some("EnableDetect"),
};

/// The family of the commands of Detect.
#[derive(Debug)]
pub(crate) struct Detect;

impl Family for Detect {
    const COMMANDS: &'static Commands = &DETECT;
}
