//! Which certificates of the fleet play in the scenes, and the policy that takes just these.

use super::fleet::State;
use serde_json::json;
use std::collections::BTreeSet;

/// How many certificates the canary is for, and how many go over the budget together with those that have room.
const MANY: usize = 4;
/// How many devices may stand behind the certificate that a person approves, by the policy.
const MOST_DEVICES: usize = 3;
/// The policy of the scenes.
const POLICY: &str = include_str!("policy.yaml");

/// The certificates of the scenes. All are active, and each plays once.
#[derive(Debug, Clone, Default)]
pub(super) struct Cast {
    /// Several devices share it. Its mitigation waits for a person.
    pub(super) shared: String,
    /// The canary is for these, each of one device.
    pub(super) canary: Vec<String>,
    /// The one of them whose device is made not to be connected: it goes first.
    pub(super) first: String,
    /// The budget has room for some of these only.
    pub(super) budget: Vec<String>,
}

impl Cast {
    /// Of the certificates that an audit found shared and found expiring. None: there are too few.
    pub(super) fn of(fleet: &State, shared: &[String], expiring: &[String]) -> Option<Self> {
        let devices = |certificate: &String| match fleet.status(certificate) {
            "ACTIVE" => fleet.things(certificate).len(),
            _ => 0,
        };
        let both: BTreeSet<&String> = shared.iter().filter(|id| expiring.contains(id)).collect();
        let alone = |certificate: &&String| !both.contains(*certificate);
        let found = shared.iter().filter(alone).find(|id| (2..=MOST_DEVICES).contains(&devices(id)))?;
        let singles: Vec<String> = expiring
            .iter()
            .filter(alone)
            .filter(|certificate| devices(certificate) == 1)
            .take(2 * MANY)
            .cloned()
            .collect();
        let (canary, budget) = singles.split_at_checked(MANY)?;
        if budget.len() < MANY {
            return None;
        }
        // Not the one that would go first by the order of its id.
        let first = canary.iter().max()?;
        Some(Self {
            shared: found.clone(),
            canary: canary.to_vec(),
            first: first.clone(),
            budget: budget.to_vec(),
        })
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let shared = std::iter::once(&self.shared);
        shared.chain(&self.canary).chain(&self.budget).map(String::as_str)
    }

    /// The policy with these certificates.
    pub(super) fn policy(&self) -> String {
        let parts =
            [("SHARED", json!(self.shared)), ("CANARY", json!(self.canary)), ("BUDGET", json!(self.budget))];
        parts.iter().fold(POLICY.to_owned(), |text, (part, certificates)| {
            text.replace(&format!("resource: {part} "), &format!("resource: {certificates} "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwarden_core::policy::Policy;
    use serde_json::{Map, Value};

    /// Certificates with so many things each; those with the letter `x` are off.
    fn fleet(certificates: &[(&str, usize)]) -> State {
        let of = |(id, things): &(&str, usize)| {
            let status = if id.starts_with('x') { "INACTIVE" } else { "ACTIVE" };
            let things: Vec<String> = (0..*things).map(|n| format!("{id}-{n}")).collect();
            ((*id).to_owned(), json!({ "status": status, "things": things }))
        };
        State(json!({ "certificates": certificates.iter().map(of).collect::<Map<String, Value>>() }))
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn each_certificate_plays_once_and_is_fit_for_its_part() {
        let mut all = vec![("s1", 1), ("s2", 2), ("s3", 2), ("x4", 1), ("e0", 0), ("e9", 2)];
        let singles: Vec<String> = (1..=8).map(|n| format!("e{n}-")).collect();
        all.extend(singles.iter().map(|id| (id.as_str(), 1)));
        let fleet = fleet(&all);
        let expiring = [ids(&["s2", "x4", "e0", "e9"]), singles.clone()].concat();
        let cast = Cast::of(&fleet, &ids(&["s1", "s2", "s3"]), &expiring).unwrap();
        assert_eq!((cast.shared.as_str(), cast.first.as_str()), ("s3", "e4-"));
        assert_eq!([cast.canary.clone(), cast.budget.clone()].concat(), singles);
        assert_eq!(cast.all().collect::<BTreeSet<_>>().len(), 9);
        assert!(Cast::of(&fleet, &ids(&["s1", "s2"]), &expiring).is_none());
        assert!(Cast::of(&fleet, &ids(&["s3"]), &expiring[..11]).is_none());
    }

    #[test]
    fn the_policy_is_good_and_takes_just_its_certificates() {
        let cast = Cast {
            shared: "0123e4".into(),
            canary: ids(&["11", "12"]),
            first: "12".into(),
            budget: ids(&["aa"]),
        };
        let policy = cast.policy();
        assert!(Policy::parse(policy.as_bytes()).is_ok(), "{policy}");
        assert!(policy.contains(r#"resource: "0123e4" }"#) && policy.contains(r#"resource: ["11","12"] }"#));
        assert!(!policy.contains("SHARED }") && !policy.contains("BUDGET"), "{policy}");
    }
}
