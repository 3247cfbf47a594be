//! All of the fleet that a mitigation can change, field by field: to be compared with what it was.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::fleet::Fleet;
use crate::fleet::examine::has;
use crate::fleet::flag;
use crate::fleet::names::policy_name;
use crate::operations::resources::status;

/// Certificates with their things, CA certificates, policies with their versions, thing groups, and logging options.
pub(super) fn shown(fleet: &Fleet) -> Value {
    json!({
        "certificates": certificates(fleet),
        "caCertificates": authorities(fleet),
        "policies": policies(fleet),
        "thingGroups": groups(fleet),
        "logging": logging(fleet),
    })
}

fn numbers(count: usize) -> std::ops::Range<u32> {
    0..u32::try_from(count).unwrap_or(u32::MAX)
}

fn certificates(fleet: &Fleet) -> Map<String, Value> {
    let shown = |index: u32| {
        let things: Vec<String> = fleet.things_of(index).map(|thing| fleet.thing_name(thing)).collect();
        (fleet.device_id(index), json!({ "status": status(&fleet.devices, index), "things": things }))
    };
    numbers(fleet.devices.len()).map(shown).collect()
}

fn authorities(fleet: &Fleet) -> Map<String, Value> {
    let shown = |index: u32| {
        let registers = has(&fleet.authorities, index, flag::REGISTERS);
        let shown = json!({
            "status": status(&fleet.authorities, index),
            "autoRegistrationStatus": if registers { "ENABLE" } else { "DISABLE" },
            "registrationConfig": fleet.registrations.get(&index),
        });
        (fleet.authority_id(index), shown)
    };
    numbers(fleet.authorities.len()).map(shown).collect()
}

fn policies(fleet: &Fleet) -> Map<String, Value> {
    let shown = |(index, policy): (u32, &crate::fleet::Policy)| {
        let versions = fleet.versions_of(index).map(|versions| versions.all).unwrap_or_default();
        let documents: BTreeMap<String, String> =
            versions.iter().map(|(number, version)| (number.to_string(), fleet.document(version))).collect();
        (policy_name(index), json!({ "defaultVersionId": policy.default_version, "versions": documents }))
    };
    numbers(fleet.policies.len()).zip(&fleet.policies).map(shown).collect()
}

fn groups(fleet: &Fleet) -> Map<String, Value> {
    let shown = |name: &str| {
        let members = fleet.members(name, false, None).map(|thing| fleet.thing_name(thing));
        (name.to_owned(), members.collect::<Vec<_>>().into())
    };
    fleet.group_names().into_iter().map(shown).collect()
}

fn logging(fleet: &Fleet) -> Value {
    let options = fleet.logging.options.as_ref().map(|options| {
        json!({
            "roleArn": options.role, "defaultLogLevel": options.level, "disableAllLogs": options.disabled,
            "eventConfigurations": options.events,
        })
    });
    let first = json!({ "roleArn": fleet.logging.first.role, "logLevel": fleet.logging.first.level });
    json!({ "version2": options, "version1": first })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::{Desk, ROLE, deactivate};

    /// The places of what differs.
    fn differing(one: &Value, other: &Value, at: &str, found: &mut Vec<String>) {
        match (one, other) {
            (Value::Object(one), Value::Object(other)) => {
                for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                    let of = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                    differing(&of(one), &of(other), &format!("{at}/{name}"), found);
                }
            }
            _ if one != other => found.push(at.to_owned()),
            _ => {}
        }
    }

    /// Each kind of action changes what it is known to change and no other field.
    #[test]
    fn a_mitigation_shows_in_just_the_fields_that_it_changes() {
        let logging = json!({ "enableIoTLoggingParams": { "roleArnForLogging": ROLE, "logLevel": "INFO" } });
        let blank = json!({ "replaceDefaultPolicyVersionParams": { "templateName": "BLANK_POLICY" } });
        let group = json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["quarantine"] } });
        let authority = json!({ "updateCACertificateParams": { "action": "DEACTIVATE" } });
        for (check, action, fields) in [
            (Check::DeviceRevoked, deactivate(), &["/certificates/ID/status"][..]),
            (Check::CaRevoked, authority, &["/caCertificates/ID/status"]),
            (Check::PolicyPermissive, blank, &["/policies/ID/defaultVersionId", "/policies/ID/versions/N"]),
            (Check::DeviceExpiring, group, &["/thingGroups/quarantine"]),
            (Check::LoggingDisabled, logging, &["/logging/version2"]),
        ] {
            let desk = Desk::new(400);
            let seen = || desk.ok("GET", "/_control/fleet", &Value::Null);
            let findings = desk.audit(check);
            desk.action("act", &action);
            let free = |finding: &&Value| {
                let name = &finding["nonCompliantResource"]["resourceIdentifier"]["policyVersionIdentifier"];
                let seen = seen();
                let policy = &seen["policies"][name["policyName"].as_str().unwrap_or_default()];
                policy["versions"].as_object().is_none_or(|versions| versions.len() < 5)
            };
            let finding = findings.iter().find(free).unwrap().clone();
            let before = seen();
            desk.mitigate("t", &[finding], check, &["act"]);
            desk.advance(1_000);
            let mut found = Vec::new();
            differing(&before, &seen(), "", &mut found);
            let plain = |at: &String| {
                let mut parts: Vec<&str> = at.split('/').collect();
                if ["certificates", "caCertificates", "policies"].contains(&parts[1]) {
                    parts[2] = "ID";
                }
                if parts.get(3) == Some(&"versions") {
                    parts[4] = "N";
                }
                parts.join("/")
            };
            assert_eq!(found.iter().map(plain).collect::<Vec<_>>(), fields, "{check:?}");
        }
    }
}
