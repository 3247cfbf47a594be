//! The devices behind what a mitigation changes, and which of them are connected.
//!
//! | what an action changes | where its devices are found |
//! |---|---|
//! | a device certificate, or the groups of its things | `ListPrincipalThings` |
//! | the certificates of an issuer | `ListRelatedResourcesForAuditFinding`, then each certificate |
//! | a CA certificate | `ListCertificatesByCA`, then each certificate that is not off already |
//! | a policy | `ListTargetsForPolicy`, then each certificate, and `ListThingsInThingGroup` for each group |
//! | the groups of a client's thing | the client itself |
//!
//! A certificate without a thing is a device, too: nobody registered it, but it may connect. Of many certificates each counts
//! as a device without a look at its things where their number alone says that there are too many. A list is read no further
//! than that, and what was not read to its end is more than any limit.
//!
//! Whether a thing is connected says `GetThingConnectivityData`, thing by thing: 350 calls a second for an account, and an
//! answer that is a second old. `SearchIndex` would take several names a query, but answers from the index, which follows later. Both need fleet indexing with connectivity, and each call of either costs as one search query. Nothing is
//! asked where all devices together are no more than may be connected.
//!
//! What is not known counts as connected: a thing without an entry, one whose connection the index has never seen (a client
//! that connects under another id than its thing's name is not in the index), and each principal without a thing.
//!
//! A value of this module lives as long as one message or command, and asks nothing twice.

pub mod guard;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use aws_sdk_iot::Client;
use aws_sdk_iot::types::Certificate;
use aws_sdk_iot::types::CertificateStatus;
use fleetwarden_core::ids::names::is_thing_name;
use fleetwarden_core::model::mitigation::impact::Connections;
use fleetwarden_core::model::mitigation::impact::Device;
use fleetwarden_core::model::mitigation::impact::ResourceDevices;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::untrusted::visible;
use futures_util::future::join_all;

use crate::Error;
use crate::registry::certificates_of;
use crate::states::About;
use crate::states::Change;
use crate::states::Changes;
use crate::states::States;

/// How many entries of a list are asked for at once.
const PAGE: i32 = 250;
/// How many devices behind one resource are counted at most.
pub const MOST_DEVICES: u64 = 5_000;
/// Of how many certificates behind one resource the things are looked up at most: ten a second for the account.
pub const MOST_CERTIFICATES: u64 = 250;
/// How many things are asked about side by side.
const SIDE_BY_SIDE: usize = 8;
/// The error code of what does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";
/// The error codes by which the index says that it knows nothing of a thing.
const UNINDEXED: [&str; 3] = [NOT_FOUND, "IndexNotReadyException", "InvalidRequestException"];

/// Looks up devices and their connections, each once.
#[derive(Debug)]
pub struct Impacts {
    iot: Client,
    states: States,
    /// An ARN of a device certificate up to its id.
    certificates: String,
    resources: BTreeMap<(String, Option<u64>), ResourceDevices>,
    things: HashMap<String, Found>,
    /// Whether a thing is connected. None: it is not known.
    connected: HashMap<String, Option<bool>>,
}

/// What is read of a list.
#[derive(Clone, Debug, Default)]
struct Found {
    names: BTreeSet<String>,
    or_more: bool,
}

impl Impacts {
    /// By this client, in this account and region.
    pub fn new(iot: Client, account: &str, region: &str) -> Self {
        let states = States::new(iot.clone(), account, region);
        Self {
            iot,
            states,
            certificates: certificates_of(account, region),
            resources: BTreeMap::new(),
            things: HashMap::new(),
            connected: HashMap::new(),
        }
    }

    /// The devices behind what actions change of a finding's resource. None: they change nothing of a device. `limit` is how
    /// many may be there, so that no list is read much further; None: none may, and only what lists say is counted.
    ///
    /// # Errors
    /// If the service does not answer, or with nothing.
    pub async fn behind(
        &mut self,
        about: About<'_>,
        changes: &Changes,
        limit: Option<u64>,
    ) -> Result<Option<ResourceDevices>, Error> {
        let Some(resource) = about.resource else { return Ok(None) };
        let Some((kind, name)) = changed(resource, changes) else { return Ok(None) };
        let key = (format!("{kind}#{name}"), limit);
        if let Some(known) = self.resources.get(&key) {
            return Ok(Some(known.clone()));
        }
        let up_to = limit.unwrap_or_default().min(MOST_DEVICES);
        let (devices, or_more) = match kind {
            "certificate" => self.of_certificate(&name, about.things).await?,
            "client" => (BTreeSet::from([client(&name)]), false),
            "issuer" => {
                let ids = self.states.certificates(about, resource).await?;
                let ids = Found { names: ids.into_iter().collect(), or_more: false };
                self.of_certificates(ids, up_to).await?
            }
            "ca-certificate" => {
                let ids = self.signed_by(&name, up_to).await?;
                self.of_certificates(ids, up_to).await?
            }
            _ => self.of_policy(&name, up_to).await?,
        };
        let found = ResourceDevices { kind, name, devices, or_more };
        self.resources.insert(key, found.clone());
        Ok(Some(found))
    }

    /// Which of some devices are connected. Nobody needs to know more than that it are more than `limit`.
    ///
    /// # Errors
    /// If the service does not answer, or with nothing.
    pub async fn connections(&mut self, of: &ResourceDevices, limit: u64) -> Result<Connections, Error> {
        let mut found = Connections { or_more: of.or_more, ..Connections::default() };
        let mut things = Vec::new();
        for device in &of.devices {
            match device {
                Device::Thing(name) => things.push(name),
                other => drop(found.unknown.insert(other.clone())),
            }
        }
        for some in things.chunks(SIDE_BY_SIDE) {
            if found.number().devices.is_over(limit) {
                found.or_more = true;
                break;
            }
            let asked: Vec<_> = some.iter().filter(|name| !self.connected.contains_key(**name)).collect();
            let answers = join_all(asked.iter().map(|name| is_connected(&self.iot, name))).await;
            for (name, answer) in asked.into_iter().zip(answers) {
                self.connected.insert((*name).clone(), answer?);
            }
            for name in some {
                let device = Device::Thing((*name).clone());
                match self.connected.get(*name).copied().flatten() {
                    Some(true) => drop(found.connected.insert(device)),
                    Some(false) => {}
                    None => drop(found.unknown.insert(device)),
                }
            }
        }
        Ok(found)
    }

    /// The things of a certificate, or itself. `known`: its things, if somebody knows them.
    async fn of_certificate(
        &mut self,
        id: &str,
        known: Option<&[String]>,
    ) -> Result<(BTreeSet<Device>, bool), Error> {
        let Found { names, or_more } = match known {
            Some(names) => Found { names: names.iter().cloned().collect(), or_more: false },
            None => self.things_of(id).await?,
        };
        if names.is_empty() {
            return Ok((BTreeSet::from([Device::Certificate(id.to_owned())]), or_more));
        }
        Ok((names.into_iter().map(Device::Thing).collect(), or_more))
    }

    /// The devices of certificates. Where there are too many, each certificate is one and may be more.
    async fn of_certificates(&mut self, ids: Found, up_to: u64) -> Result<(BTreeSet<Device>, bool), Error> {
        let Found { names, or_more } = ids;
        if or_more || names.len() as u64 > up_to.min(MOST_CERTIFICATES) {
            return Ok((names.into_iter().map(Device::Certificate).collect(), true));
        }
        let (mut devices, mut or_more) = (BTreeSet::new(), false);
        for id in names {
            if devices.len() as u64 > up_to {
                or_more = true;
                break;
            }
            let (own, more) = self.of_certificate(&id, None).await?;
            devices.extend(own);
            or_more |= more;
        }
        Ok((devices, or_more))
    }

    /// The devices of all that a policy is attached to.
    async fn of_policy(&mut self, name: &str, up_to: u64) -> Result<(BTreeSet<Device>, bool), Error> {
        let targets = self.targets_of(name, up_to).await?;
        let (mut certificates, mut devices) = (Found::default(), BTreeSet::new());
        let mut or_more = targets.or_more;
        for target in targets.names {
            let resource = target.splitn(6, ':').nth(5).filter(|_| target.starts_with("arn:"));
            match resource.and_then(|resource| resource.split_once('/')) {
                Some(("cert", id)) => drop(certificates.names.insert(id.to_owned())),
                Some(("thinggroup", group)) => {
                    if devices.len() as u64 > up_to {
                        or_more = true;
                        continue;
                    }
                    let things = self.things_in(group, up_to).await?;
                    or_more |= things.or_more;
                    devices.extend(things.names.into_iter().map(Device::Thing));
                }
                // An Amazon Cognito identity, or a target that is new here.
                _ => drop(devices.insert(Device::Principal(target))),
            }
        }
        let left = up_to.saturating_sub(devices.len() as u64);
        let (own, more) = self.of_certificates(certificates, left).await?;
        devices.extend(own);
        Ok((devices, or_more || more))
    }

    /// `ListPrincipalThings`. A certificate that is gone has none.
    async fn things_of(&mut self, id: &str) -> Result<Found, Error> {
        if let Some(known) = self.things.get(id) {
            return Ok(known.clone());
        }
        let operation = "ListPrincipalThings";
        let principal = format!("{}{id}", self.certificates);
        let (mut found, mut pages) = (Found::default(), Pages::default());
        loop {
            let list = self.iot.list_principal_things().principal(&principal).max_results(PAGE);
            let list = list.set_next_token(pages.token().map(ToOwned::to_owned));
            let page = match list.send().await.map_err(Error::aws(operation, &visible(id))) {
                Err(error) if error.is_code(NOT_FOUND) => break,
                page => page?,
            };
            found.names.extend(page.things.ok_or_else(|| without_content(operation, id))?);
            if !found.goes_on(turn(&mut pages, operation, page.next_token)?, MOST_DEVICES) {
                break;
            }
        }
        self.things.insert(id.to_owned(), found.clone());
        Ok(found)
    }

    /// `ListThingsInThingGroup`: also those of the groups below it, to which its policies apply.
    async fn things_in(&self, group: &str, up_to: u64) -> Result<Found, Error> {
        let operation = "ListThingsInThingGroup";
        let (mut found, mut pages) = (Found::default(), Pages::default());
        loop {
            let list = self.iot.list_things_in_thing_group().thing_group_name(group).recursive(true);
            let list = list.max_results(PAGE).set_next_token(pages.token().map(ToOwned::to_owned));
            let page = match list.send().await.map_err(Error::aws(operation, &visible(group))) {
                Err(error) if error.is_code(NOT_FOUND) => return Ok(found),
                page => page?,
            };
            found.names.extend(page.things.ok_or_else(|| without_content(operation, group))?);
            if !found.goes_on(turn(&mut pages, operation, page.next_token)?, up_to) {
                return Ok(found);
            }
        }
    }

    /// `ListTargetsForPolicy`. A policy that is gone has none.
    async fn targets_of(&self, policy: &str, up_to: u64) -> Result<Found, Error> {
        let operation = "ListTargetsForPolicy";
        let (mut found, mut pages) = (Found::default(), Pages::default());
        loop {
            let list = self.iot.list_targets_for_policy().policy_name(policy).page_size(PAGE);
            let list = list.set_marker(pages.token().map(ToOwned::to_owned));
            let page = match list.send().await.map_err(Error::aws(operation, &visible(policy))) {
                Err(error) if error.is_code(NOT_FOUND) => return Ok(found),
                page => page?,
            };
            found.names.extend(page.targets.ok_or_else(|| without_content(operation, policy))?);
            if !found.goes_on(turn(&mut pages, operation, page.next_marker)?, up_to) {
                return Ok(found);
            }
        }
    }

    /// `ListCertificatesByCA`: the ids of the certificates that a CA certificate has signed and that are not off already.
    async fn signed_by(&self, id: &str, up_to: u64) -> Result<Found, Error> {
        let operation = "ListCertificatesByCA";
        let (mut found, mut pages) = (Found::default(), Pages::default());
        let is_off = |certificate: &Certificate| {
            let status = certificate.status.as_ref();
            matches!(status, Some(CertificateStatus::Inactive | CertificateStatus::Revoked))
        };
        loop {
            let list = self.iot.list_certificates_by_ca().ca_certificate_id(id).page_size(PAGE);
            let list = list.set_marker(pages.token().map(ToOwned::to_owned));
            let page = match list.send().await.map_err(Error::aws(operation, &visible(id))) {
                Err(error) if error.is_code(NOT_FOUND) => return Ok(found),
                page => page?,
            };
            let signed = page.certificates.ok_or_else(|| without_content(operation, id))?;
            let on = signed.into_iter().filter(|certificate| !is_off(certificate));
            found.names.extend(on.filter_map(|certificate| certificate.certificate_id));
            if !found.goes_on(turn(&mut pages, operation, page.next_marker)?, up_to) {
                return Ok(found);
            }
        }
    }
}

impl Found {
    /// Whether the next page is to be read, if there is one: up to the number that matters.
    fn goes_on(&mut self, is_next: bool, up_to: u64) -> bool {
        self.or_more = is_next && self.names.len() as u64 > up_to;
        is_next && !self.or_more
    }
}

/// Which resource actions change, of those that devices stand behind.
fn changed(resource: &ResourceIdentifier, changes: &Changes) -> Option<(&'static str, String)> {
    let any = |of: fn(&Change) -> bool| changes.values().any(of);
    if any(|change| matches!(change, Change::Certificates | Change::Groups { .. })) {
        if let Some(id) = &resource.device_certificate_id {
            return Some(("certificate", id.clone()));
        }
        if let Some(arn) = &resource.device_certificate_arn {
            return Some(("certificate", arn.rsplit('/').next().unwrap_or_default().to_owned()));
        }
        if resource.issuer_certificate_identifier.is_some() {
            return Some(("issuer", resource.label().into_owned()));
        }
        if let Some(id) = &resource.client_id {
            return Some(("client", id.clone()));
        }
    }
    if any(|change| matches!(change, Change::CaCertificates))
        && let Some(id) = &resource.ca_certificate_id
    {
        return Some(("ca-certificate", id.clone()));
    }
    let policy = resource.policy_version_identifier.as_ref().and_then(|of| of.policy_name.clone());
    policy.filter(|_| any(|change| matches!(change, Change::Policies))).map(|name| ("policy", name))
}

/// The device of a client id.
fn client(id: &str) -> Device {
    if is_thing_name(id) { Device::Thing(id.to_owned()) } else { Device::Client(id.to_owned()) }
}

/// `GetThingConnectivityData`: whether a thing is connected. None: it is not known.
async fn is_connected(iot: &Client, thing: &str) -> Result<Option<bool>, Error> {
    let operation = "GetThingConnectivityData";
    let answer = iot.get_thing_connectivity_data().thing_name(thing).send().await;
    let answer = match answer.map_err(Error::aws(operation, &visible(thing))) {
        Err(error) if UNINDEXED.iter().any(|code| error.is_code(code)) => return Ok(None),
        answer => answer?,
    };
    let connected = answer.connected.ok_or_else(|| without_content(operation, thing))?;
    // What was never seen says that it is not connected, and when it came or went only of what was.
    Ok(Some(connected).filter(|connected| *connected || answer.timestamp.is_some()))
}

fn without_content(operation: &str, on: &str) -> Error {
    Error::Later(format!("{operation} on {}: an answer without content", visible(on)))
}

/// Takes the token that came with a page, and says whether there is another page.
fn turn(pages: &mut Pages, operation: &str, token: Option<String>) -> Result<bool, Error> {
    pages.turn(token).map_err(|endless| Error::Later(format!("{operation}: {endless}")))
}

#[cfg(test)]
mod tests;
