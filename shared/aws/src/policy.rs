//! The policy of a function that acts, read once at start from the layer.
//!
//! A policy that cannot be used keeps the function from starting: what waits on its queue stays there, and
//! people are told.

use std::io::Read as _;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::AlertSeverity;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::policy::MAX_BYTES;
use fleetwarden_core::policy::Policy;

use crate::Error;
use crate::alerts::Alerts;
use crate::settings::optional;

/// Where the layer puts the file.
const LAYER: &str = "/opt/policy.yaml";

/// Reads the policy from `POLICY_PATH`, or from the layer.
///
/// # Errors
/// If the file is missing or anything in it is wrong; then an alert has gone out, if it could.
pub async fn load(alerts: &Alerts) -> Result<Policy, Error> {
    let path = optional("POLICY_PATH").unwrap_or_else(|| LAYER.to_owned());
    let error = match read(&path) {
        Ok(policy) => return Ok(policy),
        Err(error) => error,
    };
    let alert = Alert {
        kind: Kind::PolicyRefused,
        severity: AlertSeverity::Critical,
        about: Digest::new("policy error").part(&error.to_string()).hex(),
        thread: "policy".into(),
        title: "The policy cannot be used: nothing is suppressed or mitigated".into(),
        description: format!(
            "`{error}`\n\nNotifications and findings wait on their queues until a good policy is deployed."
        ),
        next_steps: vec![
            "Mend the policy file and deploy it; it is a layer, nothing is compiled.".into(),
            "If records have reached a dead-letter queue meanwhile, redrive it.".into(),
        ],
    };
    if let Err(untold) = alerts.raise(&alert).await {
        tracing::error!(error = %untold, "the alert on the policy could not be sent");
    }
    Err(error)
}

fn read(path: &str) -> Result<Policy, Error> {
    let wrong = |what: String| Error::Policy { path: path.to_owned(), what };
    let unreadable = |e: std::io::Error| wrong(format!("cannot be read: {e}"));
    let mut bytes = Vec::new();
    // One byte more than a policy may have tells that there are too many, without reading them all.
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Policy::parse(&bytes).map_err(|e| wrong(e.to_string()))
}
