//! The gate before a mitigation that a person or a workflow asks for, as far as it is the same for whatever is mitigated.

use fleetwarden_aws::Error;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Windows;
use fleetwarden_core::timestamp::Millis;

use crate::failure::Failure;

/// The name of a failure: something of it is protected.
pub const PROTECTED: &str = "Protected";
/// The name of a failure: nobody can say whether something of it is protected.
pub const UNKNOWN: &str = "ProtectionUnknown";

/// What keeps something from being mitigated.
#[derive(Debug)]
pub struct Held {
    /// The failure's name.
    pub name: &'static str,
    /// Why, for people.
    pub why: String,
}

/// Keeps a resource from being mitigated, unless it is known that nothing protects it. `nameless_may_be` says whether one
/// that names nothing may be protected.
///
/// # Errors
/// What keeps it.
pub async fn unprotected(
    policy: &Policy,
    identifier: &ResourceIdentifier,
    registry: &Registry,
    nameless_may_be: bool,
) -> Result<(), Held> {
    let unknown = |why: String| Err(Held { name: UNKNOWN, why });
    if identifier.is_empty() {
        return if nameless_may_be {
            unknown("the finding names no resource that is known, so that it may be protected".to_owned())
        } else {
            Ok(())
        };
    }
    let wants = |things: &Things| policy.protection(identifier, things).err().unwrap_or_default();
    unprotected_by(policy, identifier, &registry.look_up(Some(identifier), wants).await)
}

/// As [`unprotected`], with what is known of the things behind the resource.
///
/// # Errors
/// What keeps it.
pub fn unprotected_by(policy: &Policy, identifier: &ResourceIdentifier, things: &Things) -> Result<(), Held> {
    let label = identifier.label();
    match policy.protection(identifier, things) {
        Ok(None) => Ok(()),
        Ok(Some(protection)) => {
            Err(Held { name: PROTECTED, why: format!("{label} is protected, by {protection}") })
        }
        Err(_) => {
            let why = if let Things::Unknown { unknown } = things { unknown } else { "nobody asked" };
            let why = format!("nobody can say whether what is behind {label} is protected: {why}");
            Err(Held { name: UNKNOWN, why })
        }
    }
}

/// Refuses a command because of what is held, if anything is.
///
/// # Errors
/// Everything that is held, under one name.
pub fn refuse_held(held: &[Held]) -> Result<(), Failure> {
    // What is protected stays so, whatever is known another time.
    let Some(Held { name, .. }) = held.iter().find(|held| held.name == PROTECTED).or(held.first()) else {
        return Ok(());
    };
    let what = held.iter().map(|held| held.why.as_str()).collect::<Vec<_>>().join("\n");
    Err(Failure::Refused { name, what })
}

/// Lets it pass only in a window of the policy.
///
/// # Errors
/// `OutsideWindow`, with the time of the next opening.
pub fn within_windows(policy: &Policy, now: Millis) -> Result<(), Failure> {
    let Some(windows) = policy.windows() else { return Ok(()) };
    let calendar = Windows::calendar(windows);
    let calendar = calendar.map_err(|unknown| Error::Later(unknown.what))?;
    match calendar.closed(now) {
        None => Ok(()),
        Some(closed) => Err(Failure::Refused { name: "OutsideWindow", what: closed.reason }),
    }
}
