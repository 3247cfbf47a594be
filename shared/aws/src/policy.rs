//! The policy of a function that acts, read once at start from the layer.
//!
//! A policy that cannot be used keeps the function from starting: messages stay on its queue, and an alert goes out.

use std::io::Read as _;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::policy::MAX_BYTES;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::PolicyErrors;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

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
    load_from(&path(), alerts, |_| Ok(())).await
}

/// As [`load`], for a function that asks the policy's windows: their time zones exist.
///
/// The rules of all time zones are large, and only who calls this has them in its binary.
///
/// # Errors
/// As [`load`], and if there is no such zone as one of them.
pub async fn load_with_windows(alerts: &Alerts) -> Result<Policy, Error> {
    load_file_with_windows(&path(), alerts).await
}

/// As [`load_with_windows`], from a file.
///
/// # Errors
/// As [`load_with_windows`].
pub async fn load_file_with_windows(path: &str, alerts: &Alerts) -> Result<Policy, Error> {
    load_from(path, alerts, Policy::check_zones).await
}

/// As [`load_with_windows`], for a function that answers its caller: no alert goes out.
///
/// # Errors
/// As [`load_with_windows`].
pub fn read_with_windows() -> Result<Policy, Error> {
    let path = path();
    let policy = read(&path)?;
    policy.check_zones().map_err(|errors| Error::Policy { path, what: errors.to_string() })?;
    Ok(policy)
}

fn path() -> String {
    optional("POLICY_PATH").unwrap_or_else(|| LAYER.to_owned())
}

async fn load_from(
    path: &str,
    alerts: &Alerts,
    check: impl FnOnce(&Policy) -> Result<(), PolicyErrors>,
) -> Result<Policy, Error> {
    let wrong = |e: PolicyErrors| Error::Policy { path: path.to_owned(), what: e.to_string() };
    let (error, stopped) = match read(path) {
        Ok(policy) => match check(&policy) {
            Ok(()) => return Ok(policy),
            Err(errors) => (wrong(errors), "nothing is mitigated"),
        },
        Err(error) => (error, "nothing is suppressed or mitigated"),
    };
    let alert = Alert {
        kind: Kind::PolicyRefused,
        severity: AlertSeverity::Critical,
        // While it lasts, and when it comes back after a fix, it is alerted again each day: until then nothing acts.
        about: Digest::new("policy error").part(&error.to_string()).part(&alerts.now().day()).hex(),
        thread: "policy".into(),
        title: text!("The policy cannot be used: {}", Text::own(stopped)),
        description: text!(
            "{}\n\nNotifications and findings wait on their queues until a good policy is deployed.",
            Text::listed(&error.to_string())
        ),
        next_steps: vec![
            "Fix the policy file and deploy it; it is a layer, nothing is compiled.".into(),
            "If records have reached a dead-letter queue meanwhile, redrive it.".into(),
        ],
        subject: Subject::Log,
    };
    if let Err(unsent) = alerts.raise(&alert).await {
        tracing::error!(error = %unsent, "the alert on the policy could not be sent");
    }
    Err(error)
}

fn read(path: &str) -> Result<Policy, Error> {
    let wrong = |what: String| Error::Policy { path: path.to_owned(), what };
    let unreadable = |e: std::io::Error| wrong(format!("cannot be read: {e}"));
    #[cfg(any(test, feature = "testing"))]
    if let Some(of_test) = crate::testing::environment::policy() {
        return Policy::parse(&of_test).map_err(|e| wrong(e.to_string()));
    }
    let mut bytes = Vec::new();
    // One byte more than a policy may have tells that there are too many, without reading them all.
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Policy::parse(&bytes).map_err(|e| wrong(e.to_string()))
}
