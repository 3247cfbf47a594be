//! What became of one finding, and its item in the ledger.

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::mitigation::view::ActionResult;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::timestamp::Millis;

/// What became of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FindingResult {
    /// Its id in the audit.
    pub(crate) finding_id: String,
    /// Its identity across audits.
    pub(crate) key: Option<FindingKey>,
    /// What it is about. None if it is gone, or names nothing.
    pub(crate) resource: Option<ResourceIdentifier>,
    /// The names of the things behind it. None if they are not known.
    pub(crate) things: Option<Vec<String>>,
    /// What became of each action.
    pub(crate) actions: Vec<ActionResult>,
}

impl FindingResult {
    /// The state of the finding's mitigation: one failed action makes it failed (developer guide, "Mitigation
    /// actions"), and what the service did not tell is its own word.
    pub(crate) fn state(&self) -> &'static str {
        let any = |word: &str| self.actions.iter().any(|action| action.status == word);
        let all_completed = self.actions.iter().all(|action| action.status == "COMPLETED");
        match () {
            () if self.actions.is_empty() => "unknown",
            () if all_completed => "completed",
            () if any("FAILED") => "failed",
            () if any("CANCELED") => "canceled",
            () if any("SKIPPED") => "skipped",
            () => "unknown",
        }
    }

    /// Its item.
    pub(super) fn item(&self, request: &MitigationRequest, ended_at: Millis, now: Millis) -> Item {
        let id = request.task_id();
        let sk = format!("finding#{}", self.finding_id);
        let mut item = Item::new(&keys::mitigation(&id), &sk, now)
            .text(attribute::TASK_ID, &id)
            .text(attribute::FINDING_ID, &self.finding_id)
            .text(attribute::CHECK, request.check.as_str())
            .text(attribute::STATE, self.state())
            .text(attribute::ENDED_AT, ended_at.rfc3339())
            .json(attribute::ACTIONS, &self.actions);
        if let Some(key) = &self.key {
            item = item.text(attribute::FINDING_KEY, key.to_string());
        }
        if let Some(resource) = &self.resource {
            item = item.json(attribute::RESOURCE, resource);
        }
        if let Some(things) = &self.things {
            item = item.json(attribute::THINGS, things);
        }
        item
    }

    /// What an item says.
    pub(super) fn read(item: &Item) -> Option<Self> {
        Some(Self {
            finding_id: item.get_text(attribute::FINDING_ID)?.to_owned(),
            key: None,
            resource: item.get_json(attribute::RESOURCE),
            things: item.get_json(attribute::THINGS),
            actions: item.get_json(attribute::ACTIONS).unwrap_or_default(),
        })
    }
}
