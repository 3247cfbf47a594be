//! The guard of devices in mode `observe`: each finding is looked up, and nothing is decided again.

use fleetwarden_aws::Error;
use fleetwarden_aws::impact::guard::Asked;
use fleetwarden_aws::impact::guard::DeviceGuard;
use fleetwarden_aws::states::About;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::policy::DeviceLimit;
use fleetwarden_core::policy::DeviceLimits;
use fleetwarden_core::timestamp::Millis;

use super::Findings;
use super::describe::Described;
use super::describe::describe_finding;
use crate::devices::Devices;
use crate::work::time_left;

/// Asks about the devices of all findings, as far as there is time.
pub(super) async fn ask_devices(
    findings: &Findings,
    request: &MitigationRequest,
    deadline: Millis,
) -> Result<Devices, Error> {
    let left = time_left(deadline, findings.clock.now());
    let asked = match tokio::time::timeout(left, Box::pin(ask(findings, request))).await {
        Ok(asked) => asked,
        Err(_) => Ok(Devices::waits("no time is left to ask")),
    };
    // Who only observes waits for nothing.
    Ok(asked.unwrap_or_else(|error| Devices::waits(&error.to_string())))
}

async fn ask(findings: &Findings, request: &MitigationRequest) -> Result<Devices, Error> {
    let limits = findings.policy.device_limits_of(request.origin.rule());
    let (Target::Findings(parts), false) = (&request.target, limits == DeviceLimits::Any) else {
        return Ok(Devices::default());
    };
    let changes = match findings.states.changes(&request.actions).await? {
        Ok(changes) => changes,
        Err(why) => return Ok(Devices::refused(&why)),
    };
    if limits.of(changes.values().map(|change| change.kind())) == DeviceLimit::Any {
        return Ok(Devices::default());
    }
    let (mut guard, mut left_out) = (DeviceGuard::new(findings.registry.impacts()), Vec::new());
    for part in parts {
        let finding_id = part.finding_id.as_str();
        let described = describe_finding(&findings.iot, request, finding_id).await?;
        let Described::Found(found, _) = described else { continue };
        let about = About { finding_id, resource: found.identifier(), things: None };
        match guard.ask(about, &changes, limits).await? {
            Asked::Passes(_) => {}
            Asked::Over(why) => left_out.push(format!("{finding_id}: {why}")),
            Asked::NotSaid(why) => return Ok(Devices::refused(&why)),
        }
    }
    Ok(Devices::of(guard, &left_out, parts.len()))
}
