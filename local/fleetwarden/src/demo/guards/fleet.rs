//! The fleet as the endpoint has it, field by field, to be compared with what it was.

use crate::defender::Defender;
use anyhow::Result;
use hyper::Method;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// All of the fleet that a mitigation can change, at a moment.
#[derive(Debug, Clone, Default)]
pub(super) struct State(pub(super) Value);

impl Defender {
    /// The fleet now. Asked of the controls: the truth, and no call of the service.
    pub(super) async fn state_of_fleet(&self) -> Result<State> {
        Ok(State(self.call(Method::GET, "/_control/fleet", &Value::Null).await?))
    }
}

impl State {
    /// The status of a certificate, or nothing if there is no such certificate.
    pub(super) fn status(&self, certificate: &str) -> &str {
        self.certificate(certificate, "status").and_then(Value::as_str).unwrap_or_default()
    }

    /// The things that have a certificate.
    pub(super) fn things(&self, certificate: &str) -> Vec<String> {
        let things = self.certificate(certificate, "things").and_then(Value::as_array).into_iter().flatten();
        things.filter_map(|thing| thing.as_str().map(str::to_owned)).collect()
    }

    /// In how many groups a thing is.
    pub(super) fn groups_of(&self, thing: &str) -> usize {
        let groups = self.0.get("thingGroups").and_then(Value::as_object).into_iter().flatten();
        let has = |members: &Value| members.as_array().is_some_and(|all| all.iter().any(|of| of == thing));
        groups.filter(|(_, members)| has(members)).count()
    }

    /// Whether there is a thing group of this name.
    pub(super) fn has_group(&self, name: &str) -> bool {
        self.0.get("thingGroups").is_some_and(|groups| groups.get(name).is_some())
    }

    /// The statuses of certificates, each with how many have it: `3 ACTIVE, 1 INACTIVE`.
    pub(super) fn statuses<'c>(&self, certificates: impl IntoIterator<Item = &'c str>) -> String {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for certificate in certificates {
            *counts.entry(self.status(certificate)).or_default() += 1;
        }
        counts.iter().map(|(status, count)| format!("{count} {status}")).collect::<Vec<_>>().join(", ")
    }

    /// The places of the fields that are not what they are in another state.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        differences(&self.0, &other.0, "", &mut found);
        found
    }

    fn certificate(&self, certificate: &str, member: &str) -> Option<&Value> {
        self.0.get("certificates")?.get(certificate)?.get(member)
    }
}

fn differences(one: &Value, other: &Value, place: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let more = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(more) {
                let of = |members: &'_ Map<String, Value>| members.get(name).cloned().unwrap_or_default();
                if one.get(name) != other.get(name) {
                    differences(&of(one), &of(other), &format!("{place}/{name}"), found);
                }
            }
        }
        _ if one != other => found.push(place.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_field_that_differs_is_named_once() {
        let before = State(json!({
            "certificates": { "a": { "status": "ACTIVE", "things": ["t", "u"] }, "b": { "status": "ACTIVE" } },
            "thingGroups": { "g": ["t"], "h": ["t", "u"] }, "logging": { "version2": null },
        }));
        let after = State(json!({
            "certificates": { "a": { "status": "INACTIVE", "things": ["t", "u"] }, "b": { "status": "ACTIVE" } },
            "thingGroups": { "g": ["t"], "h": ["t", "u"], "i": [] }, "logging": { "version2": { "level": "INFO" } },
        }));
        assert_eq!(before.differences(&before), [""; 0]);
        let places = ["/certificates/a/status", "/logging/version2", "/thingGroups/i"];
        assert_eq!(before.differences(&after), places);
        let mut back = after.differences(&before);
        back.sort();
        assert_eq!(back, places);
        assert_eq!(after.statuses(["a", "b"]), "1 ACTIVE, 1 INACTIVE");
        assert_eq!((before.has_group("i"), after.has_group("i")), (false, true));
        assert_eq!((before.things("a").len(), before.groups_of("t"), before.groups_of("u")), (2, 2, 1));
    }
}
