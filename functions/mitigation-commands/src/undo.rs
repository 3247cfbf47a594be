//! `MitigationUndo`: one task, a part of one, or all since a time; a part of them an invocation. Each task is undone by
//! [`fleetwarden_aws::undo`].

use fleetwarden_aws::ledger::IndexKey;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::MITIGATIONS;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::mitigations::before::BEFORE;
use fleetwarden_aws::undo::MARGIN_SECONDS;
use fleetwarden_aws::undo::MOST;
use fleetwarden_aws::undo::Undoing;
use fleetwarden_aws::undo::Wanted;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::names::is_name;
use fleetwarden_core::model::mitigation::undo::Undone;
use fleetwarden_core::model::mitigation::undo::UndoneTask;
use fleetwarden_core::timestamp::Millis;

use crate::page::foreign;

/// The sort key of a task's item.
const TASK: &str = "task";
/// How many tasks are read at a time.
const READ: i32 = 25;

/// The command, in one invocation.
pub(crate) struct UndoCommand<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) undoing: Undoing<'a>,
}

/// Where an invocation begins: a task that was decided on at a moment, after a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    decided_at: String,
    task_id: String,
    after: Option<String>,
}

impl UndoCommand<'_> {
    /// `MitigationUndo`.
    pub(crate) async fn undo(&self, command: &Command) -> Result<Undone, Failure> {
        let given = |member| Some(command.text(member)).filter(|text| !text.is_empty());
        let wanted = Wanted {
            force: command.flag("force"),
            dry_run: command.dry_run,
            reason: command.text("reason"),
            part: given("findingId").or(given("violationId")),
            resource: given("resource"),
        };
        let place = given("nextToken").map(Place::read).transpose()?;
        let mut undone = Undone { dry_run: command.dry_run, ..Undone::default() };
        match (given("taskId"), command.input.get("since").and_then(millis)) {
            (Some(id), None) => {
                let selections = ["findingId", "violationId", "resource"];
                if selections.into_iter().filter_map(given).count() > 1 {
                    return Err(Failure::fault(
                        "$.findingId",
                        "give one of findingId, violationId and resource",
                    ));
                }
                let after = place.filter(|place| place.task_id == id).and_then(|place| place.after);
                let (task, next) = self.undoing.task(id, &wanted, after).await?;
                undone.tasks.push(task);
                undone.next_token = next.map(|after| {
                    Place { task_id: id.to_owned(), after: Some(after), ..Place::default() }.token()
                });
            }
            (None, Some(since)) => {
                if wanted.part.is_some() || wanted.resource.is_some() {
                    return Err(Failure::fault(
                        "$.since",
                        "undoes whole tasks: give taskId for a part of one",
                    ));
                }
                undone.next_token = self.since(since, &wanted, place, &mut undone.tasks).await?;
            }
            _ => return Err(Failure::fault("$.taskId", "give taskId, or since for all since a time")),
        }
        Ok(undone)
    }

    /// Undoes all tasks since a time, the newest first: an older one's state before is what the newer one found.
    async fn since(
        &self,
        since: Millis,
        wanted: &Wanted<'_>,
        mut place: Option<Place>,
        tasks: &mut Vec<UndoneTask>,
    ) -> Result<Option<String>, Failure> {
        let first = since.rfc3339();
        let ledger = self.ledger;
        if let Some(place) = place.as_ref().filter(|place| place.after.is_some()) {
            let next = self.one_of(place, wanted, tasks).await?;
            if let Some(after) = next {
                return Ok(Some(Place { after: Some(after), ..place.clone() }.token()));
            }
        }
        loop {
            let pk = place.as_ref().map(|place| keys::mitigation(&place.task_id));
            let before = place.as_ref().zip(pk.as_ref());
            let before = before.map(|(place, pk)| IndexKey { pk, sk: TASK, range: &place.decided_at });
            let page = ledger.query_index(MITIGATIONS, TASK, (&first, "9"), before, READ).await?;
            for item in &page.items {
                let text = |name| item.get_text(name).unwrap_or_default();
                let task_id = text("pk").strip_prefix(&keys::mitigation("")).unwrap_or_default().to_owned();
                let next = Place { decided_at: text(attribute::DECIDED_AT).to_owned(), task_id, after: None };
                if self.is_closed(tasks) {
                    return Ok(Some(Place::token_before(place, next)));
                }
                if let Some(after) = self.one_of(&next, wanted, tasks).await? {
                    return Ok(Some(Place { after: Some(after), ..next }.token()));
                }
                place = Some(next);
            }
            if !page.more || page.items.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Undoes one of many tasks. Why it is not undone is no failure of the others.
    async fn one_of(
        &self,
        place: &Place,
        wanted: &Wanted<'_>,
        tasks: &mut Vec<UndoneTask>,
    ) -> Result<Option<String>, Failure> {
        match self.undoing.task(&place.task_id, wanted, place.after.clone()).await.map_err(Failure::from) {
            Ok((task, next)) => {
                tasks.push(task);
                Ok(next)
            }
            Err(Failure::Refused { name: "NotStarted", .. }) => Ok(None),
            Err(Failure::Refused { name, what }) => {
                let reason = Some(format!("{name}: {what}"));
                tasks.push(UndoneTask { task_id: place.task_id.clone(), reason, resources: Vec::new() });
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Whether nothing more should be begun.
    fn is_closed(&self, tasks: &[UndoneTask]) -> bool {
        let count: usize = tasks.iter().map(|task| task.resources.len()).sum();
        count >= MOST || self.undoing.deadline.plus_seconds(-MARGIN_SECONDS) <= self.undoing.clock.now()
    }
}

impl Place {
    /// From a token.
    fn read(token: &str) -> Result<Self, Failure> {
        let mut parts = token.splitn(3, '/');
        let (decided_at, task_id) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(foreign)?);
        let after = parts.next().filter(|after| !after.is_empty());
        let fits = (decided_at.is_empty() || Millis::parse(decided_at).is_some())
            && is_name(task_id)
            && after.is_none_or(|after| after.starts_with(BEFORE.0) && after.len() <= 1024);
        if !fits {
            return Err(foreign());
        }
        Ok(Self {
            decided_at: decided_at.to_owned(),
            task_id: task_id.to_owned(),
            after: after.map(ToOwned::to_owned),
        })
    }

    fn token(&self) -> String {
        format!("{}/{}/{}", self.decided_at, self.task_id, self.after.as_deref().unwrap_or_default())
    }

    /// The token of a list that goes on with a task: after the one before it, or at its own beginning.
    fn token_before(before: Option<Self>, next: Self) -> String {
        match before {
            Some(before) => Self { after: None, ..before }.token(),
            None => Self { after: Some(BEFORE.0.to_owned()), ..next }.token(),
        }
    }
}
