//! An incident is one alert.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use super::Known;
use crate::judge::Judge;
use crate::judge::text;

/// Since when an alert says that its device is in alarm. A device can be in alarm again as a member of an incident, and
/// what is told of the first time is none of it.
fn raised(alert: &Value) -> Option<i64> {
    let (_, since) = text(alert, "/content/description").split_once("In alarm since ")?;
    Millis::parse(&since[..=since.find('Z')?]).map(|at| at.0)
}

/// How long after the report in the ledger an alert is published at most, in milliseconds.
const UNDER_WAY_MS: i64 = 60_000;

impl Judge<'_> {
    /// Which raise of a violation was reported at a time, by the ledger: an alert of one that flaps does not say it.
    fn reported(&self, violation: &str, at: i64) -> Option<i64> {
        let item = self.world.cloud.item(&format!("alarm#{violation}"), "life")?;
        let life: Value = serde_json::from_str(item.get("life")?.as_str()?).ok()?;
        let is_it = |of: &&Value| {
            of["what"] == "report"
                && of["at"].as_i64().is_some_and(|told| (told..told + UNDER_WAY_MS).contains(&at))
        };
        life["actions"].as_array()?.iter().find(is_it)?["raisedAt"].as_i64()
    }

    /// One alert for each incident, and none of a device of it while it lasts.
    pub(super) fn incidents_are_alerted_once(&mut self, known: &Known) {
        let alerts = self.world.state().alerts.clone();
        let mut alerted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut ended = BTreeSet::new();
        for (at, alert) in &alerts {
            let about = |name: &str| text(alert, &format!("/metadata/additionalContext/{name}")).to_owned();
            match text(alert, "/metadata/eventType") {
                "alarm-incident" => {
                    alerted.entry(about("incidentId")).or_default().insert(text(alert, "/id").to_owned());
                }
                "alarm-incident-over" => {
                    ended.insert(about("incidentId"));
                }
                "alarm-raised" | "alarm-flapping" => {
                    let violation = about("violationId");
                    let raised = raised(alert).or_else(|| self.reported(&violation, at.0));
                    let holds = known.incidents.iter().find(|incident| {
                        incident.members.contains(&violation)
                            && incident.lasted(at.0)
                            && raised.is_none_or(|raised| incident.first.is_none_or(|first| raised >= first))
                    });
                    self.unless(holds.is_none(), || {
                        let id = holds.map(|incident| incident.id.as_str()).unwrap_or_default();
                        format!("an alert of violation {violation} came while incident {id} lasted: {alert}")
                    });
                }
                _ => {}
            }
        }
        // What was over before its alert could be raised has the alert of its end alone.
        let is_due = |id: &&String| alerted.contains_key(*id) || !ended.contains(*id);
        let expected: BTreeSet<&String> =
            known.incidents.iter().map(|incident| &incident.id).filter(is_due).collect();
        self.unless(alerted.keys().collect::<BTreeSet<_>>() == expected, || {
            format!("the incidents are {expected:?} and those alerted {:?}", alerted.keys())
        });
        for (incident, ids) in alerted {
            self.unless(ids.len() == 1, || format!("incident {incident} has {} alerts", ids.len()));
        }
    }
}
