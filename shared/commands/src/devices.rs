//! How many devices may stand behind what a command mitigates: its member `devices`.

use fleetwarden_aws::impact::guard::Asked;
use fleetwarden_core::api::own::DEVICES;
use fleetwarden_core::policy::DeviceLimits;
use serde_json::Value;

use crate::Command;
use crate::Failure;
use crate::gate::Blocked;

/// The name of a failure: more devices stand behind it than the command says, or it does not say how many may.
pub const TOO_MANY: &str = "TooManyDevices";

/// What a command says of devices. Without a word it is as a rule that says nothing.
///
/// # Errors
/// If it says two things, or nothing of how many.
pub fn limits(command: &Command) -> Result<DeviceLimits, Failure> {
    let Some(said) = command.own.get(DEVICES) else { return Ok(DeviceLimits::Default) };
    let number = |name: &str| said.get(name).and_then(Value::as_u64);
    let any = said.get("any") == Some(&Value::Bool(true));
    match (any, number("most"), number("connected")) {
        (true, None, None) => Ok(DeviceLimits::Any),
        (false, Some(most), connected) => Ok(DeviceLimits::AtMost { most, connected }),
        (true, ..) => Err(Failure::fault("$.devices", "give numbers or any: true, not both")),
        (false, None, _) => Err(Failure::fault(
            "$.devices",
            "give most, the number of devices that may stand behind a finding, or any: true",
        )),
    }
}

/// What blocks a mitigation, if the guard of devices does. `path`: which finding or violation it is.
pub fn blocked(path: &str, asked: Asked) -> Option<Blocked> {
    match asked {
        Asked::Passes(_) => None,
        Asked::Over(why) | Asked::NotSaid(why) => {
            Some(Blocked { name: TOO_MANY, why: format!("{path}: {why}") })
        }
    }
}
