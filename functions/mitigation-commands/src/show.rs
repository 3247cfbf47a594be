//! `MitigationShow`: a task, and what became of each of its findings or violations.
//!
//! A task for a whole check can have any number of findings, so they come page by page: first those that did not
//! succeed, then those that did, then those that have no result (yet). Each of the first two parts is one pass over the
//! results, which stand in the order of their ids.

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::CANARY;
use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::RESULTS;
use fleetwarden_aws::mitigations::Stage;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::ids::names::is_name;
use fleetwarden_core::model::mitigation::view;
use fleetwarden_core::model::mitigation::view::Finding;
use fleetwarden_core::model::mitigation::view::Shown;
use fleetwarden_core::model::mitigation::view::Task;
use fleetwarden_core::model::mitigation::view::Violation;
use serde::Serialize;

use crate::page::Room;
use crate::page::foreign;
use crate::results;
use crate::task;

/// How many results one call reads at most, where all that it reads have room.
const READ: i32 = 1000;

/// What a task works on, with what became of it: a finding or a violation.
trait Target: Serialize + Sized {
    /// Its results' sort keys: what they begin with, and what comes after all of them.
    const KEYS: (&'static str, &'static str);

    /// From the item of its result.
    fn of_result(item: &Item) -> Self;

    /// All that the task names, in this state.
    fn named(task: &Item, state: &str) -> Vec<Self>;

    /// Its id.
    fn id(&self) -> &str;
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    part: Part,
    /// After which id. None: at the beginning.
    after: Option<String>,
}

/// The parts of an answer, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Results of what did not succeed.
    Bad,
    /// Results of what succeeded.
    Good,
    /// What the task names and has no result of.
    Waiting,
}

/// `MitigationShow`.
pub(crate) async fn show(ledger: &Ledger, command: &Command, mut room: Room<'_>) -> Result<Shown, Failure> {
    let id = command.text("taskId");
    let begin = Place::read(command.text("nextToken"))?;
    let pk = keys::mitigation(id);
    let Some(item) = ledger.get(&pk, "task").await? else {
        let what = format!("the ledger has no mitigation task '{id}': MitigationList has those of 400 days");
        return Err(Failure::Refused { name: "NoMitigation", what });
    };
    let approval = Mitigations::new(ledger.clone()).approval(id).await?;
    let approval = approval.as_ref().map(KnownApproval::view);
    let mut shown = Shown { task: task::task(&item), approval, ..Shown::default() };
    shown.task.canary = canary(ledger, &shown.task).await?;
    let next = if shown.task.profile.is_some() {
        let next = fill(ledger, &pk, &item, begin, &mut room, &mut shown.violations).await?;
        add_releases(ledger, &pk, &mut shown.violations).await?;
        next
    } else {
        fill(ledger, &pk, &item, begin, &mut room, &mut shown.findings).await?
    };
    shown.next_token = next.map(|place| place.token());
    Ok(shown)
}

/// The canary of a task that has a part in one.
async fn canary(ledger: &Ledger, task: &Task) -> Result<Option<view::Canary>, Failure> {
    let has_part = task.guards.iter().any(|guard| guard.guard == CANARY);
    let (Some(audit), Some(rule), Some(check)) = (&task.audit_task_id, &task.rule, task.checks.keys().next())
    else {
        return Ok(None);
    };
    if !has_part {
        return Ok(None);
    }
    let known = Mitigations::new(ledger.clone()).canary_of(audit, check, rule).await?;
    Ok(known.map(|known| view::Canary {
        state: known.stage.as_str().to_owned(),
        task_id: known.task_id,
        first: known.first,
        of: known.of,
        reason: known.reason,
        undo: (known.stage == Stage::Stopped).then(|| known.undo.as_str().to_owned()),
    }))
}

/// Fills a page, and says where the next one begins.
async fn fill<T: Target>(
    ledger: &Ledger,
    pk: &str,
    task: &Item,
    mut place: Place,
    room: &mut Room<'_>,
    page: &mut Vec<T>,
) -> Result<Option<Place>, Failure> {
    while !room.is_closed() {
        let (found, more) = match place.part {
            Part::Waiting => (read_waiting(ledger, pk, task, place.after.as_deref()).await?, false),
            part => read_results(ledger, pk, part, place.after.as_deref(), room.limit(READ)).await?,
        };
        for (id, target) in found {
            if let Some(target) = target {
                if !room.take(&target) {
                    return Ok(Some(place));
                }
                page.push(target);
            }
            place.after = Some(id);
        }
        if !more {
            let Some(part) = place.part.next() else { return Ok(None) };
            place = Place { part, after: None };
        }
    }
    Ok(Some(place))
}

/// Reads some results: the id of each, with what it is if it is of this part. Says whether there may be more.
async fn read_results<T: Target>(
    ledger: &Ledger,
    pk: &str,
    part: Part,
    after: Option<&str>,
    limit: i32,
) -> Result<(Vec<(String, Option<T>)>, bool), Failure> {
    let after = after.map(|id| format!("{}{id}", T::KEYS.0));
    // Of what did not succeed there is little among much.
    let limit = (part == Part::Good).then_some(limit);
    let read = ledger.query_page(pk, T::KEYS, after.as_deref(), limit).await?;
    let found = read.items.iter().filter_map(|item| {
        let id = item.get_text("sk")?.strip_prefix(T::KEYS.0)?.to_owned();
        let is_of_part = results::is_good(item) == (part == Part::Good);
        Some((id, is_of_part.then(|| T::of_result(item))))
    });
    Ok((found.collect(), read.more))
}

/// What the task names after an id and has no result of.
async fn read_waiting<T: Target>(
    ledger: &Ledger,
    pk: &str,
    task: &Item,
    after: Option<&str>,
) -> Result<Vec<(String, Option<T>)>, Failure> {
    let state = State::of(task);
    let word = if state.is_some_and(State::has_ended) { "unknown" } else { state.map_or("", State::as_str) };
    let mut named = T::named(task, word);
    named.retain(|target| after.is_none_or(|after| target.id() > after));
    named.sort_by(|one, other| one.id().cmp(other.id()));
    let keys: Vec<String> = named.iter().map(|target| format!("{}{}", T::KEYS.0, target.id())).collect();
    let keys: Vec<(String, &str)> = keys.iter().map(|sk| (pk.to_owned(), sk.as_str())).collect();
    let results = ledger.get_all(&keys).await?;
    named.retain(|target| {
        let is_its =
            |item: &Item| item.get_text("sk").and_then(|sk| sk.strip_prefix(T::KEYS.0)) == Some(target.id());
        !results.iter().any(is_its)
    });
    Ok(named.into_iter().map(|target| (target.id().to_owned(), Some(target))).collect())
}

/// Adds what came of the release from the groups that the task has put things into.
async fn add_releases(ledger: &Ledger, pk: &str, violations: &mut [Violation]) -> Result<(), Failure> {
    let put = violations.iter().filter(|violation| !violation.groups.is_empty());
    let keys: Vec<String> = put.map(|violation| format!("release#{}", violation.violation_id)).collect();
    let keys: Vec<(String, &str)> = keys.iter().map(|sk| (pk.to_owned(), sk.as_str())).collect();
    for item in ledger.get_all(&keys).await? {
        let id = item.get_text(attribute::VIOLATION_ID);
        let of_item = violations.iter_mut().find(|violation| Some(violation.violation_id.as_str()) == id);
        if let Some(violation) = of_item {
            violation.release = item.get_text(attribute::RELEASE).map(ToOwned::to_owned);
        }
    }
    Ok(())
}

impl Target for Finding {
    const KEYS: (&'static str, &'static str) = RESULTS;

    fn of_result(item: &Item) -> Self {
        results::finding(item)
    }

    fn named(task: &Item, state: &str) -> Vec<Self> {
        task::named_findings(task, state)
    }

    fn id(&self) -> &str {
        &self.finding_id
    }
}

impl Target for Violation {
    const KEYS: (&'static str, &'static str) = ("violation#", "violation$");

    fn of_result(item: &Item) -> Self {
        results::violation(item)
    }

    fn named(task: &Item, state: &str) -> Vec<Self> {
        task::named_violations(task, state)
    }

    fn id(&self) -> &str {
        &self.violation_id
    }
}

impl Part {
    const ALL: [Self; 3] = [Self::Bad, Self::Good, Self::Waiting];

    const fn word(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
            Self::Waiting => "waiting",
        }
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::Bad => Some(Self::Good),
            Self::Good => Some(Self::Waiting),
            Self::Waiting => None,
        }
    }
}

impl Place {
    /// From a token; without one, the beginning.
    fn read(token: &str) -> Result<Self, Failure> {
        if token.is_empty() {
            return Ok(Self { part: Part::Bad, after: None });
        }
        let (word, id) = token.split_once(':').ok_or_else(foreign)?;
        let part = Part::ALL.into_iter().find(|part| part.word() == word).ok_or_else(foreign)?;
        if !id.is_empty() && !is_name(id) {
            return Err(foreign());
        }
        Ok(Self { part, after: Some(id.to_owned()).filter(|id| !id.is_empty()) })
    }

    fn token(&self) -> String {
        format!("{}:{}", self.part.word(), self.after.as_deref().unwrap_or_default())
    }
}
