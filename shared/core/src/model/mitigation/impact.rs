//! The impact of a mitigation: how many devices stand behind what its actions change, and how many of them are connected.
//!
//! A device is a thing, or a principal that has none: a certificate without a thing can be the one of a device that nobody
//! registered. A device whose connection is not known counts as connected.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::untrusted::shown;

/// A device behind a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// A thing, by its name.
    Thing(String),
    /// A device certificate without a thing, or one whose things were not looked up, by its id.
    Certificate(String),
    /// Any other principal, as an Amazon Cognito identity.
    Principal(String),
    /// A client whose id can be no thing's name.
    Client(String),
}

/// A number of devices, as far as it was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Number {
    /// How many were counted.
    pub count: u64,
    /// Whether there are more, or may be.
    #[serde(skip_serializing_if = "is_false")]
    pub or_more: bool,
}

/// How many devices are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connected {
    /// How many are, or may be.
    pub devices: Number,
    /// Of how many of these the connection is not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown: u64,
}

/// What stands behind one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceImpact {
    /// `certificate`, `ca-certificate`, `issuer`, `policy`, `client`, or of an alarm `thing`.
    pub kind: String,
    /// The id of a certificate or client, the name of a policy or thing, or what names an issuer.
    pub name: String,
    /// The findings or violations that it belongs to, by their ids.
    pub parts: BTreeSet<String>,
    /// The devices behind it.
    pub devices: Number,
    /// Those that are connected. None: nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<Connected>,
}

/// The impact of a mitigation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Impact {
    /// The devices in all, each once.
    pub devices: Number,
    /// Those that are connected. None: nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<Connected>,
    /// Resource by resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceImpact>,
}

/// The devices behind a resource, as they were looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceDevices {
    /// As [`ResourceImpact::kind`].
    pub kind: &'static str,
    /// As [`ResourceImpact::name`].
    pub name: String,
    /// The devices.
    pub devices: BTreeSet<Device>,
    /// Whether there are more, or may be.
    pub or_more: bool,
}

/// The connected ones of some devices, as they were looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Those that are connected.
    pub connected: BTreeSet<Device>,
    /// Those of which it is not known.
    pub unknown: BTreeSet<Device>,
    /// Whether more may be connected: not all were asked about.
    pub or_more: bool,
}

/// An impact that is added up resource by resource.
#[derive(Clone, Debug, Default)]
pub struct Adding {
    devices: BTreeSet<Device>,
    or_more: bool,
    connections: Option<Connections>,
    resources: Vec<ResourceImpact>,
}

impl Number {
    /// Just so many.
    pub const fn exactly(count: u64) -> Self {
        Self { count, or_more: false }
    }

    /// Whether it is more than so many, as far as anybody can say: what was not counted to its end is.
    #[must_use]
    pub const fn is_over(self, limit: u64) -> bool {
        self.or_more || self.count > limit
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, or_more } = self;
        if *or_more { write!(f, "{count} or more") } else { write!(f, "{count}") }
    }
}

impl fmt::Display for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { devices, unknown } = self;
        match unknown {
            0 => write!(f, "{devices}"),
            unknown => write!(f, "{devices} (of {unknown} it is not known)"),
        }
    }
}

impl ResourceDevices {
    /// The resource in words, as `policy 'P'`.
    #[must_use]
    pub fn label(&self) -> String {
        let name = shown(&self.name);
        match self.kind {
            "ca-certificate" => format!("CA certificate '{name}'"),
            "issuer" => format!("the certificates of issuer '{name}'"),
            kind => format!("{kind} '{name}'"),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn number(&self) -> Number {
        Number { count: self.devices.len() as u64, or_more: self.or_more }
    }

    /// The names of the things, if there is nothing else.
    #[must_use]
    pub fn things(&self) -> Option<Vec<String>> {
        let name = |device: &Device| match device {
            Device::Thing(name) => Some(name.clone()),
            _ => None,
        };
        self.devices.iter().map(name).collect::<Option<Vec<_>>>().filter(|_| !self.or_more)
    }
}

impl Connections {
    /// How many there are.
    #[must_use]
    pub fn number(&self) -> Connected {
        let unknown = self.unknown.len() as u64;
        let count = (self.connected.len() as u64).saturating_add(unknown);
        Connected { devices: Number { count, or_more: self.or_more }, unknown }
    }
}

impl Adding {
    /// Adds what stands behind a resource that belongs to a finding or violation.
    pub fn add(&mut self, behind: &ResourceDevices, part: &str, connections: Option<&Connections>) {
        let ResourceDevices { kind, name, devices, or_more } = behind;
        let known = self.resources.iter_mut().find(|of| of.kind == *kind && of.name == *name);
        if let Some(known) = known {
            known.parts.insert(part.to_owned());
            return;
        }
        self.devices.extend(devices.iter().cloned());
        self.or_more |= or_more;
        if let Some(Connections { connected, unknown, or_more }) = connections {
            let all = self.connections.get_or_insert_default();
            all.connected.extend(connected.iter().cloned());
            all.unknown.extend(unknown.iter().cloned());
            all.or_more |= or_more;
        }
        self.resources.push(ResourceImpact {
            kind: (*kind).to_owned(),
            name: name.clone(),
            parts: BTreeSet::from([part.to_owned()]),
            devices: behind.number(),
            connected: connections.map(Connections::number),
        });
    }

    /// The impact in all.
    #[must_use]
    pub fn sum(self) -> Impact {
        let Self { devices, or_more, connections, resources } = self;
        // Where nobody asked about one of the resources, there may be more.
        let asked = resources.iter().all(|of| of.connected.is_some());
        let connected = connections.map(|connections| {
            Connections { or_more: connections.or_more || !asked, ..connections }.number()
        });
        Impact { devices: Number { count: devices.len() as u64, or_more }, connected, resources }
    }
}

impl Impact {
    /// The impact as far as it is about some of the findings or violations. The numbers in all are added up: a device
    /// behind two resources counts twice, because nothing says any more that it is the same.
    #[must_use]
    pub fn of(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let of = |resource: &&ResourceImpact| resource.parts.iter().any(|part| wanted(part));
        let resources: Vec<ResourceImpact> = self.resources.iter().filter(of).cloned().collect();
        if resources.len() == self.resources.len() {
            return self.clone();
        }
        let add = |sum: Number, of: Number| Number {
            count: sum.count.saturating_add(of.count),
            or_more: sum.or_more || of.or_more,
        };
        let devices = resources.iter().map(|of| of.devices).fold(Number::default(), add);
        let connected = resources.iter().map(|of| of.connected).try_fold(Connected::default(), |sum, of| {
            let of = of?;
            let unknown = sum.unknown.saturating_add(of.unknown);
            Some(Connected { devices: add(sum.devices, of.devices), unknown })
        });
        Self { devices, connected: connected.filter(|_| self.connected.is_some()), resources }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn things(names: &[&str]) -> BTreeSet<Device> {
        names.iter().map(|name| Device::Thing((*name).to_owned())).collect()
    }

    fn behind(name: &str, of: &[&str]) -> ResourceDevices {
        ResourceDevices { kind: "certificate", name: name.to_owned(), devices: things(of), or_more: false }
    }

    #[test]
    fn a_device_behind_two_resources_is_one_and_a_resource_of_two_findings_is_one() {
        let mut adding = Adding::default();
        let connections =
            Connections { connected: things(&["lamp"]), unknown: things(&["pump"]), or_more: false };
        adding.add(&behind("a", &["lamp", "pump"]), "f-1", Some(&connections));
        adding.add(&behind("a", &["lamp", "pump"]), "f-2", Some(&connections));
        adding.add(&behind("b", &["lamp"]), "f-3", Some(&Connections::default()));
        let impact = adding.sum();
        assert_eq!((impact.devices, impact.resources.len()), (Number::exactly(2), 2));
        assert_eq!(impact.resources[0].parts, BTreeSet::from(["f-1".to_owned(), "f-2".to_owned()]));
        let connected = impact.connected.unwrap();
        assert_eq!((connected.devices, connected.unknown), (Number::exactly(2), 1));
        assert_eq!(connected.to_string(), "2 (of 1 it is not known)");
        let of_one = impact.of(|part| part == "f-3");
        assert_eq!((of_one.devices, of_one.connected.unwrap().devices.count), (Number::exactly(1), 0));
        assert_eq!(impact.of(|_| true), impact);
    }

    #[test]
    fn what_is_not_counted_to_its_end_is_over_any_limit() {
        let many = Number { count: 250, or_more: true };
        assert!(many.is_over(u64::MAX) && Number::exactly(3).is_over(2) && !Number::exactly(2).is_over(2));
        assert_eq!((many.to_string(), Number::exactly(7).to_string()), ("250 or more".into(), "7".into()));
        // Nobody asked about the second one.
        let mut adding = Adding::default();
        adding.add(&behind("a", &["lamp"]), "f-1", Some(&Connections::default()));
        adding.add(&behind("b", &["pump"]), "f-2", None);
        assert!(adding.sum().connected.unwrap().devices.is_over(99));
    }

    #[test]
    fn it_is_read_as_it_was_written_and_says_no_more_than_is_known() {
        let mut adding = Adding::default();
        adding.add(&behind("a", &["lamp"]), "f-1", None);
        let impact = adding.sum();
        let text = serde_json::to_string(&impact).unwrap();
        let resource = r#"{"kind":"certificate","name":"a","parts":["f-1"],"devices":{"count":1}}"#;
        assert_eq!(text, format!(r#"{{"devices":{{"count":1}},"resources":[{resource}]}}"#));
        assert_eq!(serde_json::from_str::<Impact>(&text).unwrap(), impact);
    }
}
