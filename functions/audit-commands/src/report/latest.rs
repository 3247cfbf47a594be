//! Which audit is the latest, found in few calls.
//!
//! Device Defender lists the audits of a period in no order that it promises, and tells when one began only of one at a
//! time. So the period is halved, the newer half first, until the audits in it are few, or the ledger knows them: there
//! `audit-notification` writes each that it heard of, with its start and its schedule. By which of its times an audit
//! belongs to a period AWS does not say; among those of one period the start decides.

use std::collections::BTreeMap;

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::report::audit::Task;
use crate::report::sources::Sources;
use fleetwarden_commands::Failure;
use fleetwarden_commands::calls::PAGE;
use fleetwarden_commands::calls::is;
use fleetwarden_commands::calls::members;
use fleetwarden_commands::sources::Calls;
use fleetwarden_commands::sources::text;

/// How far back it looks, in seconds: the service keeps audits for 90 days, and refuses to be asked for more.
const KEPT_SECONDS: i64 = 89 * 86_400;
/// How many calls it may cost, at half of the service's rate: 40 seconds.
const CALLS: u32 = 200;
/// Audits that the ledger does not know are described, if they are not more than these: else half of them may do.
const FEW: usize = 16;

/// From when to when, in seconds, both included.
#[derive(Clone, Copy)]
struct Period {
    from: i64,
    to: i64,
}

impl Period {
    /// The newer half and the older one, which share a second. None if it is too short for that.
    fn halves(self) -> Option<[Self; 2]> {
        let middle = self.from + (self.to - self.from) / 2;
        let splits = self.from < middle && middle < self.to;
        splits.then_some([Self { from: middle, ..self }, Self { to: middle, ..self }])
    }
}

/// Whether an audit has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Ended,
    Running,
}

/// When an audit began, its id, and its description if there was need for one.
type Candidate = (Option<Millis>, String, Option<Value>);

struct Search<'s> {
    sources: &'s Sources<'s>,
    schedule: Option<&'s str>,
    list: Calls<'s>,
    describe: Calls<'s>,
    /// Whether the ledger has answered so far.
    has_ledger: bool,
    /// How many calls are left.
    left: u32,
}

impl Sources<'_> {
    /// The latest audit that has ended, or the latest at all if none has.
    pub(super) async fn latest(&self, schedule: Option<&str>) -> Result<Task, Failure> {
        let (list, describe) = (self.calls("ListAuditTasks")?, self.calls("DescribeAuditTask")?);
        let mut search = Search { sources: self, schedule, list, describe, has_ledger: true, left: CALLS };
        for stage in [Stage::Ended, Stage::Running] {
            // On the heap, with the table's client in it.
            if let Some(task) = Box::pin(search.latest(stage)).await? {
                return Ok(task);
            }
        }
        let what = format!("there is no audit{} in the 90 days that Device Defender keeps them", search.of());
        Err(Failure::Refused { name: "NoAudit", what })
    }
}

impl Search<'_> {
    /// Of whose audits, for people.
    fn of(&self) -> String {
        self.schedule.map(|name| format!(" of '{name}'")).unwrap_or_default()
    }

    async fn latest(&mut self, stage: Stage) -> Result<Option<Task>, Failure> {
        let now = self.sources.service.clock.now();
        // Clocks differ.
        let kept = Period { from: now.seconds() - KEPT_SECONDS, to: now.seconds() + 60 };
        let mut periods = vec![kept];
        while let Some(period) = periods.pop() {
            let halves = period.halves();
            let (ids, all) = self.listed(period, stage).await?;
            if let (false, Some([newer, older])) = (all, halves) {
                periods.extend([older, newer]);
                continue;
            }
            let known = if stage == Stage::Ended { self.known(&ids).await } else { BTreeMap::new() };
            let unknown = ids.len() - known.len();
            if let (true, Some([newer, older])) = (unknown > FEW, halves) {
                periods.extend([older, newer]);
                continue;
            }
            if let Some(task) = self.newest(ids, &known).await? {
                return Ok(Some(task));
            }
        }
        Ok(None)
    }

    /// The ids of the audits of a period, and whether these are all.
    async fn listed(&mut self, period: Period, stage: Stage) -> Result<(Vec<String>, bool), Failure> {
        let mut input = members(json!({"startTime": period.from, "endTime": period.to}));
        if self.schedule.is_some() {
            input.insert("taskType".to_owned(), "SCHEDULED_AUDIT_TASK".into());
        }
        if stage == Stage::Running {
            input.insert("taskStatus".to_owned(), "IN_PROGRESS".into());
        }
        let mut ids = Vec::new();
        let take = |tasks: Vec<Value>| {
            for task in tasks {
                let running = text(&task, "taskStatus") == Some("IN_PROGRESS");
                if running == (stage == Stage::Running) {
                    ids.extend(text(&task, "taskId").map(ToOwned::to_owned));
                }
            }
            ids.len() < PAGE as usize
        };
        let all = self.list.pages(input.into(), &mut self.left, take).await?;
        if self.left == 0 {
            return Err(self.too_many());
        }
        Ok((ids, all))
    }

    /// What the ledger knows of audits, if it answers: a report does without.
    async fn known(&mut self, ids: &[String]) -> BTreeMap<String, Item> {
        if ids.is_empty() || !self.has_ledger {
            return BTreeMap::new();
        }
        let keys: Vec<(String, &str)> = ids.iter().map(|id| (keys::audit_task(id), "audit")).collect();
        let items = (self.sources.ledger)().get_all(&keys).await.unwrap_or_else(|error| {
            tracing::warn!(error.name = error.name(), %error, "the latest audit is found without the ledger");
            self.has_ledger = false;
            Vec::new()
        });
        let known = items.into_iter().filter(|item| item.get_number("started_at").is_some());
        known.filter_map(|item| Some((item.get_text("task_id")?.to_owned(), item))).collect()
    }

    /// Of these audits, the one that began last.
    async fn newest(
        &mut self,
        ids: Vec<String>,
        known: &BTreeMap<String, Item>,
    ) -> Result<Option<Task>, Failure> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for id in ids {
            if let Some(item) = known.get(&id) {
                if self.schedule.is_none_or(|name| item.get_text("schedule") == Some(name)) {
                    candidates.push((item.get_number("started_at").map(Millis), id, None));
                }
            } else if let Some(task) = self.described(&id).await?
                && self.schedule.is_none_or(|name| text(&task, "scheduledAuditName") == Some(name))
            {
                candidates.push((task.get("taskStartTime").and_then(millis), id, Some(task)));
            }
        }
        candidates.sort_by_key(|(at, _, _)| *at);
        while let Some((_, id, task)) = candidates.pop() {
            let task = match task {
                Some(task) => Some(task),
                None => self.described(&id).await?,
            };
            if let Some(task) = task {
                return Ok(Some((id, task)));
            }
        }
        Ok(None)
    }

    /// What the service says of an audit. None if its 90 days ended since it was listed.
    async fn described(&mut self, id: &str) -> Result<Option<Value>, Failure> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.too_many())?;
        match self.describe.ask(json!({"taskId": id})).await {
            Err(Failure::Aws(error)) if is(&error, "ResourceNotFoundException") => Ok(None),
            task => task.map(Some),
        }
    }

    fn too_many(&self) -> Failure {
        let what = format!(
            "no audit{} was found in {CALLS} calls; ListAuditTasks has them all: give the taskId of one",
            self.of()
        );
        Failure::Refused { name: "NoAudit", what }
    }
}
