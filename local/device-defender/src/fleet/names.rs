//! What a resource is called, what is said about it, and which resource a name belongs to.
//!
//! Names hold the resource's number (sealed, for certificates), so looking one up costs nothing and needs no
//! index: suppressions and filters find their resource in a fleet of millions at once.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::checks::{Check, Kind};
use crate::fleet::examine::Entry;
use crate::fleet::things::device_name;
use crate::fleet::{Fleet, Policy};
use crate::random::{domain, draw, uuid};

/// What the name of every policy begins with.
const POLICY: &str = "device-policy-";

/// The name of a policy.
pub(crate) fn policy_name(index: u32) -> String {
    format!("{POLICY}{index}")
}

fn alias_name(unused: bool, index: u32) -> String {
    let kind = if unused { "unused" } else { "fleet" };
    format!("{kind}-role-alias-{index}")
}

const MAGIC: u64 = 0xde_fe_4d_e7;
const DAY_MS: u64 = 86_400_000;

impl Fleet {
    /// The id of a device certificate: 64 hexadecimal digits.
    pub(crate) fn device_id(&self, index: u32) -> String {
        self.certificate_id(domain::DEVICE, index)
    }

    /// The id of a CA certificate.
    pub(crate) fn authority_id(&self, index: u32) -> String {
        self.certificate_id(domain::AUTHORITY, index)
    }

    fn certificate_id(&self, kind: u64, index: u32) -> String {
        let low = (kind << 32) | u64::from(index);
        let mut id = self.ids.seal(MAGIC, low);
        for half in 0..2 {
            let _ =
                write!(id, "{:016x}", draw(self.seed, domain::CERTIFICATE ^ (kind << 8), (low << 1) | half));
        }
        id
    }

    fn pool_id(&self, check: Check, index: u32) -> String {
        let region = self.arn_prefix.split(':').nth(3).unwrap_or("us-east-1");
        let id = uuid(self.seed, domain::POOL ^ (u64::from(check.number()) << 8), index.into());
        format!("{region}:{id}")
    }

    fn alias_arn(&self, check: Check, index: u32) -> String {
        format!("{}:rolealias/{}", self.arn_prefix, alias_name(check == Check::AliasUnused, index))
    }

    /// The names of all role aliases.
    pub(crate) fn aliases(&self) -> Vec<String> {
        let fleet = (0..self.permissive_aliases.total).map(|index| alias_name(false, index));
        fleet.chain((0..self.unused_aliases.total).map(|index| alias_name(true, index))).collect()
    }

    /// The policy with a name, if there is one.
    pub(crate) fn policy_named(&self, name: &str) -> Option<(u32, Policy)> {
        let index: u32 = name.strip_prefix(POLICY)?.parse().ok()?;
        let policy = self.policies.get(usize::try_from(index).ok()?)?;
        (policy_name(index) == name).then_some((index, *policy))
    }

    /// The id of one of the clients that connect under it.
    pub(crate) fn client_id(&self, index: u32) -> String {
        format!("sensor-{:04x}-{index}", draw(self.seed, domain::CLIENT, index.into()) & 0xffff)
    }

    fn issuer(&self, index: u32) -> Value {
        let id = self.certificate_id(domain::ISSUER, index);
        let serial: Vec<&str> =
            id.as_bytes().chunks(2).take(6).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
        json!({
            "issuerCertificateSubject": format!("CN=Intermediate CA {index},O=Example Devices"),
            "issuerCertificateSerialNumber": serial.join(":"),
            "issuerId": id,
        })
    }

    /// The `resourceIdentifier` of a non-compliant resource.
    pub(crate) fn identifier(&self, check: Check, entry: Entry) -> Value {
        let index = entry.resource;
        match check.facts().kind {
            Kind::Device => json!({ "deviceCertificateId": self.device_id(index) }),
            Kind::Authority => json!({ "caCertificateId": self.authority_id(index) }),
            Kind::Policy => json!({ "policyVersionIdentifier": {
                "policyName": policy_name(index),
                "policyVersionId": entry.version.to_string(),
            } }),
            Kind::Pool => json!({ "cognitoIdentityPoolId": self.pool_id(check, index) }),
            Kind::Client => json!({ "clientId": self.client_id(index) }),
            Kind::Account => json!({ "account": self.account }),
            Kind::RoleAlias => json!({ "roleAliasArn": self.alias_arn(check, index) }),
            Kind::Issuer => json!({ "issuerCertificateIdentifier": self.issuer(index) }),
        }
    }

    /// The resource that a key (see [`crate::resource::ResourceIdentifier::key`]) names, with the version of
    /// a policy. None when this fleet has no such resource.
    pub(crate) fn resolve(&self, check: Check, key: &str) -> Option<(u32, u16)> {
        let last_number = |separator| key.rsplit(separator).next().and_then(|text| text.parse::<u32>().ok());
        let (index, version) = match check.facts().kind {
            Kind::Device => (self.certificate(domain::DEVICE, key)?, 0),
            Kind::Authority => (self.certificate(domain::AUTHORITY, key)?, 0),
            Kind::Issuer => (self.certificate(domain::ISSUER, key)?, 0),
            Kind::Client | Kind::RoleAlias => (last_number('-')?, 0),
            Kind::Account => (0, 0),
            Kind::Policy => {
                let (name, version) = key.rsplit_once(':')?;
                (name.strip_prefix(POLICY)?.parse().ok()?, version.parse().ok()?)
            }
            // Their ids are one-way and there are at most a handful.
            Kind::Pool => ((0..32).find(|index| self.pool_id(check, *index) == key)?, 0),
        };
        let entry = Entry { resource: index, version, reason: 0 };
        let identifier: crate::resource::ResourceIdentifier =
            serde_json::from_value(self.identifier(check, entry)).ok()?;
        (identifier.key(check.facts().kind).ok()? == key).then_some((index, version))
    }

    /// The device certificate with an id, if there is one.
    pub(crate) fn device(&self, id: &str) -> Option<u32> {
        let index = self.certificate(domain::DEVICE, id)?;
        let exists = usize::try_from(index).is_ok_and(|at| at < self.devices.len());
        (exists && self.device_id(index) == id).then_some(index)
    }

    /// The CA certificate with an id, if there is one.
    pub(crate) fn authority(&self, id: &str) -> Option<u32> {
        let index = self.certificate(domain::AUTHORITY, id)?;
        let exists = usize::try_from(index).is_ok_and(|at| at < self.authorities.len());
        (exists && self.authority_id(index) == id).then_some(index)
    }

    fn certificate(&self, kind: u64, key: &str) -> Option<u32> {
        let (high, low) = self.ids.open(key.get(..32)?)?;
        (high == MAGIC && low >> 32 == kind).then(|| u32::try_from(low & 0xffff_ffff).ok())?
    }

    /// The `additionalInfo` of a non-compliant resource, for the checks that say more.
    pub(crate) fn additional_info(&self, check: Check, entry: Entry) -> Option<Value> {
        let expiry = match check {
            Check::DeviceExpiring => self.device_expiry(entry.resource),
            Check::CaExpiring => self.authority_expiry(entry.resource),
            _ => return None,
        };
        Some(json!({ "EXPIRATION_TIME": expiry.to_string() }))
    }

    /// How many resources are related to a finding.
    pub(crate) fn related_count(&self, check: Check, entry: Entry) -> u32 {
        let drawn = draw(self.seed, domain::CONNECTIONS, entry.resource.into()) >> 40;
        match check {
            Check::DeviceShared | Check::ConflictingClients => {
                // One in twenty has more than the ten that a finding shows.
                let most = if drawn.is_multiple_of(20) { 14 } else { 3 };
                2 + u32::try_from((drawn >> 8) % most).unwrap_or(0)
            }
            Check::AliasPermissive | Check::AliasUnused => 1,
            Check::IntermediateRevoked => usize::try_from(entry.resource)
                .ok()
                .and_then(|index| self.intermediates.get(index))
                .map_or(0, |issuer| issuer.count),
            _ => 0,
        }
    }

    /// One of the resources related to a finding.
    pub(crate) fn related(&self, check: Check, entry: Entry, position: u32) -> Value {
        let resource = entry.resource;
        match check {
            Check::AliasPermissive | Check::AliasUnused => json!({
                "resourceType": "IAM_ROLE",
                "resourceIdentifier": {
                    "iamRoleArn": format!(
                        "{}role/role-alias-role-{resource}",
                        self.arn_prefix.replacen(":iot:", ":iam:", 1).split(':').take(3)
                            .fold(String::new(), |arn, part| arn + part + ":") + ":" + &self.account + ":"
                    ),
                },
            }),
            Check::IntermediateRevoked => {
                let first = usize::try_from(resource)
                    .ok()
                    .and_then(|index| self.intermediates.get(index))
                    .map_or(0, |issuer| issuer.first);
                let id = self.device_id(first.saturating_add(position));
                let arn = format!("{}:cert/{id}", self.arn_prefix);
                json!({
                    "resourceType": "DEVICE_CERTIFICATE",
                    "resourceIdentifier": { "deviceCertificateId": id, "deviceCertificateArn": arn },
                })
            }
            _ => {
                let drawn = draw(
                    self.seed,
                    domain::CONNECTIONS ^ 0x100,
                    (u64::from(resource) << 8) | u64::from(position),
                );
                let connected =
                    self.epoch_ms.saturating_sub(i64::try_from(drawn % (30 * DAY_MS)).unwrap_or(0));
                let times = json!({
                    "CONNECTION_TIME": connected.to_string(),
                    "DISCONNECTION_TIME": connected.saturating_add(i64::try_from(drawn >> 44).unwrap_or(0)).to_string(),
                });
                if check == Check::DeviceShared {
                    let client = format!("{}-{position}", device_name(resource));
                    json!({ "resourceType": "CLIENT_ID", "resourceIdentifier": { "clientId": client }, "additionalInfo": times })
                } else {
                    let devices = u64::try_from(self.devices.len()).unwrap_or(1).max(1);
                    let id = self.device_id(u32::try_from(drawn % devices).unwrap_or(0));
                    json!({ "resourceType": "DEVICE_CERTIFICATE", "resourceIdentifier": { "deviceCertificateId": id }, "additionalInfo": times })
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::sample;
    use crate::resource::ResourceIdentifier;

    #[test]
    fn every_name_leads_back_to_its_resource() {
        let fleet = sample(500);
        for check in Check::ALL {
            for entry in fleet.examine(check, fleet.epoch_ms, 30).defects {
                let identifier: ResourceIdentifier =
                    serde_json::from_value(fleet.identifier(check, entry)).unwrap();
                let key = identifier.key(check.facts().kind).unwrap();
                assert_eq!(fleet.resolve(check, &key), Some((entry.resource, entry.version)), "{key}");
            }
        }
    }

    #[test]
    fn names_of_others_lead_nowhere() {
        let fleet = sample(50);
        assert_eq!(fleet.resolve(Check::DeviceExpiring, &"a".repeat(64)), None);
        assert_eq!(fleet.resolve(Check::DeviceExpiring, "é"), None);
        assert_eq!(fleet.resolve(Check::PolicyPermissive, "device-policy-x:1"), None);
        assert_eq!(fleet.resolve(Check::LoggingDisabled, "000000000000"), None);
    }

    #[test]
    fn a_role_arn_is_global() {
        let fleet = sample(50);
        let entry = Entry { resource: 0, version: 0, reason: 0 };
        assert_eq!(
            fleet.related(Check::AliasPermissive, entry, 0)["resourceIdentifier"]["iamRoleArn"],
            "arn:aws:iam::123456789012:role/role-alias-role-0"
        );
    }
}
