//! Whether mitigation helped: the next audit of a check says which of its mitigated findings are still there.
//!
//! | `pk` | `sk` | what it is |
//! |---|---|---|
//! | `verification#CHECK` | `TASK` | a task on findings of the check that has ended, and the audit that has looked since |
//!
//! The item is written before the end of its task, so that no ended task is without one. An audit looks at the tasks that
//! ended before it began: what an audit lists that began earlier can be of before the mitigation. What it finds is written
//! to the items of the findings first, then here; a repeat of the same audit looks again and finds the same.

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::mitigation::verification::Verdict;
use fleetwarden_core::timestamp::Millis;

use super::Mitigations;
use super::before::BEFORE;
use super::before::before;
use super::item::RESULTS;
use super::item::attribute;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::Range;
use crate::ledger::keys;
use crate::undo::UNDO;

/// For how long it stays known that an audit has looked, in seconds: for the repeats of that audit's triage.
const LOOKED_SECONDS: i64 = 7 * 86_400;

/// A mitigated finding of a task that has ended.
#[derive(Debug)]
pub struct Mitigated {
    item: Item,
    /// Its id in the audit that found it.
    pub finding_id: String,
    /// Its identity across audits.
    pub key: FindingKey,
}

/// A task that an audit has to look at.
#[derive(Debug)]
pub struct EndedTask {
    item: Item,
    /// The mitigation task.
    pub task_id: String,
    /// Its findings on which every action succeeded, if they are expected to be gone. None are if its actions repair
    /// nothing, and if somebody has undone it.
    pub mitigated: Vec<Mitigated>,
}

impl Mitigations {
    /// Writes that the next audit of a check has to look at a task that has ended.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn put_to_verify(
        &self,
        request: &MitigationRequest,
        ended_at: Millis,
        now: Millis,
    ) -> Result<(), Error> {
        let id = request.task_id();
        let item = Item::new(&keys::verification(&request.check), &id, now)
            .text(attribute::TASK_ID, &id)
            .text(attribute::AUDIT_TASK_ID, &request.audit.task_id)
            .text(attribute::ENDED_AT, ended_at.rfc3339());
        self.ledger.put(item).await
    }

    /// The tasks that an audit of a check has to look at: those that ended before it began, and that no other audit has
    /// looked at.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn to_verify(&self, audit: &Audit, check: &CheckName) -> Result<Vec<EndedTask>, Error> {
        let items = self.ledger.query(&keys::verification(check), Range::All).await?;
        let mut tasks = Vec::new();
        for item in items {
            let ended_at = item.get_text(attribute::ENDED_AT).and_then(Millis::parse);
            let others = item.get_text(attribute::VERIFIED_BY).is_some_and(|by| by != audit.task_id);
            if others || ended_at.is_none_or(|at| at >= audit.started_at) {
                continue;
            }
            let Some(task_id) = item.get_text(attribute::TASK_ID).map(ToOwned::to_owned) else { continue };
            let mitigated = self.mitigated(&task_id, check).await?;
            tasks.push(EndedTask { item, task_id, mitigated });
        }
        Ok(tasks)
    }

    /// The findings of a check on which every action of a task succeeded, if they are expected to be gone.
    async fn mitigated(&self, task_id: &str, check: &CheckName) -> Result<Vec<Mitigated>, Error> {
        let items = self.ledger.query(&keys::mitigation(task_id), Range::All).await?;
        let (mut repairs, mut undone) = (false, false);
        for item in &items {
            let sk = item.get_text("sk").unwrap_or_default();
            repairs |= sk.starts_with(BEFORE.0) && before(item)?.state.is_repaired();
            undone |= sk == UNDO;
        }
        if !repairs || undone {
            return Ok(Vec::new());
        }
        let completed = items.into_iter().filter(|item| {
            item.get_text("sk").is_some_and(|sk| sk.starts_with(RESULTS.0))
                && item.get_text(attribute::STATE) == Some("completed")
                && item.get_text(attribute::CHECK) == Some(check.as_str())
        });
        Ok(completed
            .filter_map(|item| {
                let finding_id = item.get_text(attribute::FINDING_ID)?.to_owned();
                let key = item.get_text(attribute::FINDING_KEY)?.parse().ok()?;
                Some(Mitigated { item, finding_id, key })
            })
            .collect())
    }

    /// Writes what an audit has found of the findings of tasks.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn verified(
        &self,
        audit: &Audit,
        tasks: Vec<EndedTask>,
        verdict: impl Fn(&Mitigated) -> Verdict,
        now: Millis,
    ) -> Result<(), Error> {
        let (mut findings, mut looked) = (Vec::new(), Vec::new());
        for EndedTask { item, mitigated, .. } in tasks {
            findings.extend(mitigated.into_iter().map(|finding| {
                let verdict = verdict(&finding);
                finding
                    .item
                    .text(attribute::VERDICT, verdict.as_str())
                    .text(attribute::VERIFIED_BY, &audit.task_id)
            }));
            let item = item.text(attribute::VERIFIED_BY, &audit.task_id);
            looked.push(item.until(now.plus_seconds(LOOKED_SECONDS)));
        }
        self.ledger.put_all(findings).await?;
        self.ledger.put_all(looked).await
    }
}
