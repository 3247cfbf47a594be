//! Which findings go first: those of whose devices none is connected, and else in the order of triage, the lowest severity
//! first. Where the loss of a connection stops the rest, those with a connected device: the others can lose none. Asked once for a canary, of at most 25 findings: a call for the things of a certificate, and one for each thing.
//!
//! What is not known counts as connected, as for every guard. Nothing more depends on it than the order, so a service that does
//! not answer changes the order and stops nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::impact::Impacts;
use fleetwarden_aws::states::About;
use fleetwarden_aws::states::Changes;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::mitigation::before::Before;
use fleetwarden_core::model::mitigation::before::State;
use fleetwarden_core::model::mitigation::impact::Device;
use fleetwarden_core::model::mitigation::impact::ResourceDevices;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::timestamp::Millis;

use crate::findings::Findings;
use crate::work::time_left;

/// Which findings go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// Those of whose devices none is connected, or may be.
    NotConnected,
    /// Those with a device that is.
    Connected,
}

/// Whether a device of a finding is connected, or may be.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    is: bool,
    may_be: bool,
}

/// Puts some findings first by the connections of their devices. `befores` are the states that their mitigation changes.
pub(super) async fn by_connection(
    findings: &Findings,
    request: &MitigationRequest,
    (mut wanted, first): (Vec<FindingRef>, Goes),
    befores: &[Before],
    deadline: Millis,
) -> Vec<FindingRef> {
    let Ok(Ok(changes)) = findings.states.changes(&request.actions).await else { return wanted };
    let mut connected = BTreeMap::new();
    let left = time_left(deadline, findings.clock.now());
    let asked = tokio::time::timeout(left, Box::pin(ask(findings, befores, &changes, &mut connected))).await;
    if !matches!(asked, Ok(Ok(()))) {
        tracing::warn!(
            mitigation.task_id = request.task_id(),
            "which devices are connected is not known of all"
        );
    }
    wanted.sort_by_key(|finding| {
        let found = connected.get(&finding.finding_id);
        match first {
            Goes::NotConnected => found.is_none_or(|found| found.may_be),
            Goes::Connected => found.is_none_or(|found| !found.is),
        }
    });
    wanted
}

/// Asks of each finding whether a device behind it is connected, or may be.
async fn ask(
    findings: &Findings,
    befores: &[Before],
    changes: &Changes,
    connected: &mut BTreeMap<String, Found>,
) -> Result<(), Error> {
    let registry = &findings.registry;
    let mut impacts = Impacts::new(registry.iot.client().clone(), &registry.account, &registry.region);
    for before in befores {
        let Some(devices) = devices(&mut impacts, before, changes).await? else { continue };
        let found = impacts.connections(&devices, 0).await?;
        let is = !found.connected.is_empty();
        let may_be = is || found.or_more || !found.unknown.is_empty();
        for part in &before.parts {
            let of_part = connected.entry(part.clone()).or_default();
            of_part.is |= is;
            of_part.may_be |= may_be;
        }
    }
    Ok(())
}

/// The devices of a certificate or a thing. None: of others there may be too many to ask.
async fn devices(
    impacts: &mut Impacts,
    before: &Before,
    changes: &Changes,
) -> Result<Option<ResourceDevices>, Error> {
    let name = before.name.clone();
    match before.state {
        State::Certificate { .. } => {
            let resource =
                ResourceIdentifier { device_certificate_id: Some(name), ..ResourceIdentifier::default() };
            let about = About { finding_id: "", resource: Some(&resource), things: None };
            impacts.behind(about, changes, None).await
        }
        State::Thing { .. } => {
            let devices = BTreeSet::from([Device::Thing(name.clone())]);
            Ok(Some(ResourceDevices { kind: "client", name, devices, or_more: false }))
        }
        State::CaCertificate { .. } | State::Policy { .. } | State::Logging { .. } => Ok(None),
    }
}
