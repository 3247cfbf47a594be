//! `MitigationList`: tasks, newest first; of one audit, by check.
//!
//! All tasks are found by an index of the table, those of an audit by the items that stand with the audit. Both say only
//! which tasks there are; each page reads the tasks' own items, so that a state is the one of now.

use std::collections::BTreeMap;

use fleetwarden_aws::ledger::IndexKey;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::MITIGATIONS;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::OF_AUDIT;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::names::is_name;
use fleetwarden_core::model::mitigation::view::Listed;
use fleetwarden_core::model::mitigation::view::Task;
use fleetwarden_core::timestamp::Millis;

use crate::page::Room;
use crate::page::foreign;
use crate::task::task;

/// How many tasks are read at a time: as many as one call gives (`BatchGetItem`).
const READ: i32 = 100;
/// The sort key of a task's item.
const TASK: &str = "task";
/// The longest sort key of DynamoDB, in bytes.
const LONGEST_KEY: usize = 1024;

/// Which tasks are wanted.
struct Wanted<'c> {
    audit: Option<&'c str>,
    state: Option<&'c str>,
    /// From when to when they were decided on, both included.
    period: (String, String),
}

/// A task that there is, before it is read.
struct Found {
    /// Where it stands in the list.
    place: String,
    task_id: String,
    /// By which of its checks it was found.
    check: Option<String>,
}

/// `MitigationList`.
pub(crate) async fn list(ledger: &Ledger, command: &Command, mut room: Room<'_>) -> Result<Listed, Failure> {
    let wanted = Wanted::of(command);
    let mut after = wanted.place(command.text("nextToken"))?;
    let mut tasks = Vec::new();
    while !room.is_closed() {
        let limit = if wanted.has_filter() { READ } else { room.limit(READ) };
        let (found, more) = find(ledger, &wanted, after.as_deref(), limit).await?;
        let by_id = items(ledger, &found).await?;
        for Found { place, task_id, check } in found {
            let of_task = by_id.get(&task_id).map(task).map(outline);
            if let Some(task) = of_task.filter(|task| wanted.takes(task, check.as_deref())) {
                if !room.take(&task) {
                    return Ok(Listed { tasks, next_token: after });
                }
                tasks.push(task);
            }
            after = Some(place);
        }
        if !more {
            return Ok(Listed { tasks, next_token: None });
        }
    }
    // Without a place, nothing says that there is more.
    let place = after.ok_or_else(Failure::out_of_time)?;
    Ok(Listed { tasks, next_token: Some(place) })
}

/// A task without its resources, which are many.
fn outline(mut task: Task) -> Task {
    if let Some(impact) = &mut task.impact {
        impact.resources.clear();
    }
    task
}

/// Reads the tasks that were decided on since a moment, newest first, until `take` has no room for one. Says whether there
/// may be more.
///
/// # Errors
/// If the table does not answer.
pub(crate) async fn read_since<'c>(
    ledger: &Ledger,
    since: &str,
    room: &mut Room<'c>,
    mut take: impl FnMut(&Item, &mut Room<'c>) -> bool,
) -> Result<bool, Failure> {
    let wanted = Wanted { audit: None, state: None, period: (since.to_owned(), "9".to_owned()) };
    let mut after: Option<String> = None;
    while !room.is_closed() {
        let (found, more) = find(ledger, &wanted, after.as_deref(), READ).await?;
        let by_id = items(ledger, &found).await?;
        for Found { place, task_id, .. } in found {
            if by_id.get(&task_id).is_some_and(|item| !take(item, room)) {
                return Ok(true);
            }
            after = Some(place);
        }
        if !more {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Some tasks after a place, and whether there may be more.
async fn find(
    ledger: &Ledger,
    wanted: &Wanted<'_>,
    after: Option<&str>,
    limit: i32,
) -> Result<(Vec<Found>, bool), Failure> {
    let page = if let Some(audit) = wanted.audit {
        ledger.query_page(&keys::audit_task(audit), OF_AUDIT, after, Some(limit)).await?
    } else {
        let place = after.and_then(|after| after.split_once('/'));
        let before = place.map(|(range, pk)| IndexKey { pk, sk: TASK, range });
        let (first, last) = &wanted.period;
        ledger.query_index(MITIGATIONS, TASK, (first, last), before, limit).await?
    };
    let found = page.items.iter().filter_map(|item| found(item, wanted.audit.is_some()));
    Ok((found.collect(), page.more))
}

/// The items of tasks, by task id.
async fn items(ledger: &Ledger, found: &[Found]) -> Result<BTreeMap<String, Item>, Failure> {
    // A command's task stands with its audit once for each check, and one call takes a key only once.
    let ids: BTreeMap<&str, String> =
        found.iter().map(|found| (found.task_id.as_str(), keys::mitigation(&found.task_id))).collect();
    let keys: Vec<(String, &str)> = ids.into_values().map(|pk| (pk, TASK)).collect();
    let items = ledger.get_all(&keys).await?;
    let by_id = |item: Item| Some((item.get_text(attribute::TASK_ID)?.to_owned(), item));
    Ok(items.into_iter().filter_map(by_id).collect())
}

/// What an item says of a task: the index has its keys, an audit has its id.
fn found(item: &Item, of_audit: bool) -> Option<Found> {
    let text = |name| item.get_text(name);
    if of_audit {
        return Some(Found {
            place: text("sk")?.to_owned(),
            task_id: text(attribute::TASK_ID).unwrap_or_default().to_owned(),
            check: text(attribute::CHECK).map(ToOwned::to_owned),
        });
    }
    let pk = text("pk")?;
    let task_id = pk.strip_prefix(&keys::mitigation("")).unwrap_or_default().to_owned();
    Some(Found { place: format!("{}/{pk}", text(attribute::DECIDED_AT)?), task_id, check: None })
}

impl<'c> Wanted<'c> {
    fn of(command: &'c Command) -> Self {
        let given = |member| Some(command.text(member)).filter(|text| !text.is_empty());
        let time = |member| command.input.get(member).and_then(millis).map(Millis::rfc3339);
        // As text, these are before and after every time.
        let period =
            (time("startTime").unwrap_or_else(|| "0".into()), time("endTime").unwrap_or_else(|| "9".into()));
        Self { audit: given("auditTaskId"), state: given("state"), period }
    }

    /// Whether some tasks that are read may not be wanted.
    const fn has_filter(&self) -> bool {
        self.audit.is_some() || self.state.is_some()
    }

    /// Whether a task is wanted that was found by this check. One that has several is listed by its first.
    fn takes(&self, task: &Task, check: Option<&str>) -> bool {
        let (first, last) = &self.period;
        let is_first = check.is_none()
            || task.checks.is_empty()
            || task.checks.keys().next().map(String::as_str) == check;
        let in_period = task.decided_at.as_ref().is_none_or(|at| first <= at && at <= last);
        is_first && in_period && self.state.is_none_or(|state| task.state == state)
    }

    /// From a token, where the list goes on.
    fn place(&self, token: &str) -> Result<Option<String>, Failure> {
        if token.is_empty() {
            return Ok(None);
        }
        let (first, last) = &self.period;
        let fits = if self.audit.is_some() {
            token.starts_with(OF_AUDIT.0) && token.len() <= LONGEST_KEY
        } else {
            let fits = |(at, pk): (&str, &str)| {
                let in_period = first.as_str() <= at && at <= last.as_str();
                let id = pk.strip_prefix(&keys::mitigation(""));
                Millis::parse(at).is_some() && in_period && id.is_some_and(is_name)
            };
            token.split_once('/').is_some_and(fits)
        };
        if fits { Ok(Some(token.to_owned())) } else { Err(foreign()) }
    }
}
