//! Which things behind what goes first are connected, and which of them are not any more.
//!
//! Only where no action cuts devices off: else a lost connection is what the action means. Asked thing by thing
//! (`GetThingConnectivityData`), right before the claim and at each look.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::impact::Impacts;
use fleetwarden_aws::mitigations::ConnectedThings;
use fleetwarden_aws::states::Change;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::action::ActionKind;
use fleetwarden_core::model::mitigation::before::Before;
use fleetwarden_core::model::mitigation::before::State;
use fleetwarden_core::model::mitigation::impact::Connections;
use fleetwarden_core::model::mitigation::impact::Device;
use fleetwarden_core::model::mitigation::impact::ResourceDevices;
use fleetwarden_core::untrusted::shown;

use crate::findings::Findings;

/// How many things are watched at most: so many stand in one item, and are asked about at each look.
const MOST: usize = 100;

/// The things that are connected, by the finding that they stand behind. None: a lost connection says nothing. `parts` are
/// the findings that go first, and `befores` the states that their mitigation changes.
pub(super) async fn connected(
    findings: &Findings,
    request: &MitigationRequest,
    parts: &BTreeSet<String>,
    befores: &[Before],
) -> Result<Option<ConnectedThings>, Error> {
    // What is missing is refused by its own step.
    let Ok(changes) = findings.states.changes(&request.actions).await? else { return Ok(None) };
    if changes.values().map(Change::kind).any(ActionKind::cuts_off) {
        return Ok(None);
    }
    let is_thing = |before: &&Before| matches!(before.state, State::Thing { .. });
    let things: BTreeSet<&String> =
        befores.iter().filter(is_thing).map(|before| &before.name).take(MOST).collect();
    let found = ask(findings, things.iter().map(|thing| (*thing).clone())).await?;
    if !things.is_empty() && found.unknown.len() == things.len() {
        let what = "fleet indexing knows none of the things behind what goes first: turn it on with connectivity, or take \
                    'disconnected' out of stopIf";
        return Err(Error::Later(what.to_owned()));
    }
    let mut connected = ConnectedThings::new();
    for before in befores.iter().filter(is_thing) {
        if found.connected.contains(&Device::Thing(before.name.clone())) {
            for part in before.parts.intersection(parts) {
                connected.entry(part.clone()).or_default().insert(before.name.clone());
            }
        }
    }
    Ok(Some(connected))
}

/// What is to be said of things that were connected and are not any more. None: all are.
pub(crate) async fn lost(findings: &Findings, connected: &BTreeSet<String>) -> Result<Option<String>, Error> {
    let found = ask(findings, connected.iter().cloned()).await?;
    let is_lost = |thing: &&String| {
        let device = Device::Thing((*thing).clone());
        !found.connected.contains(&device) && !found.unknown.contains(&device)
    };
    let lost: Vec<&String> = connected.iter().filter(is_lost).collect();
    match (lost.split_first(), found.unknown.first()) {
        (Some((first, more)), _) => {
            let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
            let of = connected.len();
            Ok(Some(format!(
                "thing '{}'{more} of {of} that were connected at the start are not any more",
                shown(first)
            )))
        }
        (None, Some(Device::Thing(unknown))) => {
            Err(Error::Later(format!("the connection of thing '{}' is not known any more", shown(unknown))))
        }
        (None, _) => Ok(None),
    }
}

async fn ask(findings: &Findings, things: impl Iterator<Item = String>) -> Result<Connections, Error> {
    let registry = &findings.registry;
    let mut impacts = Impacts::new(registry.iot.client().clone(), &registry.account, &registry.region);
    let devices =
        ResourceDevices { devices: things.map(Device::Thing).collect(), ..ResourceDevices::default() };
    impacts.connections(&devices, u64::MAX).await
}
