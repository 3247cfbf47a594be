//! No finding is mitigated behind which more devices stand than the policies of the run let through. How many there are says
//! the endpoint: what a thing is attached to does not change in a run. What the product counts is not looked at.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use super::Judge;
use super::Records;
use super::list;
use super::text;
use crate::policies;

/// The largest number that a rule can say.
const ANY: u64 = u64::MAX;

/// How many devices a policy lets stand behind a finding of a check that is mitigated by these actions. None: it has no such
/// rule.
fn most(policy: &Value, check: &str, actions: &Value) -> Option<u64> {
    let of_rule = |rule: &Value| {
        let mitigate = &rule["mitigate"];
        if mitigate["actions"] != *actions {
            return None;
        }
        let has = |name: &str| list(actions, "").any(|action| action == name);
        Some(match &mitigate["devices"] {
            Value::Null if has("BlankPolicy") || has("DeactivateCa") => 0,
            Value::Null if has("Deactivate") => 1,
            Value::Object(limits) if has("Deactivate") || has("Quarantine") => {
                limits.get("most").and_then(Value::as_u64).unwrap_or_default()
            }
            _ => ANY,
        })
    };
    policies::rules(policy, check).filter_map(of_rule).max()
}

impl Judge<'_> {
    /// How many things each certificate has, by its id.
    fn things_by_certificate(&self) -> BTreeMap<String, u64> {
        let (mut counts, mut token) = (BTreeMap::new(), String::new());
        loop {
            let query = format!("maxResults=250{token}");
            let Ok(page) = self.world.ask("GET", "/things", &query, &Value::Null) else { return counts };
            for thing in list(&page, "/things") {
                let path = format!("/things/{}/principals", text(thing, "/thingName"));
                let principals = self.world.ask("GET", &path, "", &json!(null)).unwrap_or_default();
                for principal in list(&principals, "/principals").filter_map(Value::as_str) {
                    let id = principal.rsplit('/').next().unwrap_or_default();
                    *counts.entry(id.to_owned()).or_default() += 1;
                }
            }
            let Some(next) = page["nextToken"].as_str() else { return counts };
            token = format!("&nextToken={next}");
        }
    }

    /// No task of a rule has a finding with more devices than the most that any policy of the run lets through.
    pub(super) fn no_finding_has_too_many_devices(&mut self, records: &Records) {
        let policies: Vec<Value> =
            self.played.policies.iter().filter_map(|policy| serde_json::from_str(policy).ok()).collect();
        let mut things = None;
        for ((pk, sk), task) in self.world.cloud.items("mitigation#") {
            let of = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let has_started =
                ["started", "completed", "failed", "canceled", "lost"].contains(&of("state").as_str());
            if sk != "task" || of("origin") != "rule" || !has_started {
                continue;
            }
            let (audit, check) = (of("audit_task_id"), of("check"));
            let json = |name: &str| serde_json::from_str::<Value>(&of(name)).unwrap_or_default();
            let (actions, target) = (json("actions"), json("target"));
            let limit = policies.iter().filter_map(|policy| most(policy, &check, &actions[&check])).max();
            let Some(limit) = limit.filter(|limit| *limit < ANY) else { continue };
            let things = things.get_or_insert_with(|| self.things_by_certificate());
            let mut over = Vec::new();
            for finding in list(&target[&check], "/findings") {
                let id = text(finding, "/findingId").to_owned();
                let record = records.get(&(audit.clone(), id.clone())).and_then(|of| of.first());
                let resource = record.map(|(record, _)| &record["resource"]["resourceIdentifier"]);
                let certificate = resource.and_then(|of| of["deviceCertificateId"].as_str());
                // Behind a policy and a CA certificate there are some, and only a number lets them be mitigated.
                let devices = match certificate {
                    Some(certificate) => things.get(certificate).copied().unwrap_or_default().max(1),
                    None => 1,
                };
                if devices > limit {
                    over.push(format!("{id} ({devices})"));
                }
            }
            self.unless(over.is_empty(), || {
                format!("{pk} has findings with more devices than {limit}: {over:?}")
            });
        }
    }
}
