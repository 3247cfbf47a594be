//! What came out of each scene, and whether that is what it had to show.

use super::cast::Cast;
use super::fleet::State;
use super::play::{APPROVAL, BUDGET, CANARY, OPERATOR, Observed};
use fleetwarden_core::model::mitigation::view::{ActionResult, Task};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many findings the budget has room for, by the policy.
const ROOM: usize = 2;

/// The account of the scenes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// The audit.
    audit_task_id: String,
    /// The scenes.
    pub(super) scenes: Vec<Scene>,
    /// How long they took.
    seconds: f64,
}

/// One scene.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scene {
    /// Its name.
    name: &'static str,
    /// What it shows, in a sentence.
    pub(super) shows: String,
    /// What happened.
    pub(super) steps: Vec<Step>,
    /// What the operator typed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) commands: Vec<String>,
    /// What people were alerted of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alert: Option<String>,
    /// What should have been otherwise.
    pub(super) faults: Vec<String>,
}

/// One step of a scene.
#[derive(Debug, Default, Serialize)]
pub(super) struct Step {
    /// When, or of what.
    pub(super) when: String,
    /// The state of the mitigation task.
    pub(super) state: String,
    /// How many certificates have which status.
    pub(super) certificates: String,
    /// Why.
    pub(super) why: String,
}

/// Collects what is wrong.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, holds: bool, fault: impl Into<String>) {
        if !holds {
            self.0.push(fault.into());
        }
    }
}

impl Account {
    /// Judges what was seen.
    pub(super) fn of(observed: &Observed, took: Duration) -> Self {
        Self {
            audit_task_id: observed.audit.clone(),
            scenes: vec![observed.approval(), observed.canary(), observed.budget(), observed.undo()],
            seconds: took.as_secs_f64(),
        }
    }

    /// What ended otherwise than it should, with the name of its scene.
    pub(crate) fn faults(&self) -> Vec<String> {
        let of = |scene: &Scene| {
            let name = scene.name;
            scene.faults.iter().map(move |fault| format!("{name}: {fault}")).collect::<Vec<_>>()
        };
        self.scenes.iter().flat_map(of).collect()
    }
}

impl Observed {
    /// The alerts of a kind about a rule.
    fn alerts(&self, kind: &str, rule: &str) -> Vec<String> {
        let is = |text: &str| text.contains(rule);
        let of = self.alerts.iter().filter(|alert| alert.kind == kind);
        of.filter(|alert| is(&alert.title) || is(&alert.description))
            .map(|alert| alert.title.clone())
            .collect()
    }

    fn approval(&self) -> Scene {
        let shared = self.cast.shared.as_str();
        let held: Vec<&Task> = self.of(APPROVAL).collect();
        let approval = self.approved.approval.clone().unwrap_or_default();
        let alerts = self.alerts("mitigation-approval", APPROVAL);
        let after = &self.approved.task.state;
        let mut faults = Faults::default();
        let is_held = held.len() == 1 && held.iter().all(|task| task.state == "held");
        faults.unless(is_held, format!("its tasks before the approval: {}", states(&held)));
        faults.unless(
            self.stopped.status(shared) == "ACTIVE",
            "its certificate was changed before the approval",
        );
        faults.unless(alerts.len() == 1, format!("alerts: {alerts:?}"));
        faults
            .unless(self.approve.failure.is_none(), failure("the approval", self.approve.failure.as_deref()));
        let by = approval.by.as_deref().unwrap_or_default();
        faults.unless(by == OPERATOR, format!("approved by {by:?}"));
        faults.unless(after == "completed", format!("after the approval its task is {after}"));
        let status = self.mitigated.status(shared);
        faults.unless(status == "INACTIVE", format!("after the approval its certificate is {status}"));
        Scene {
            name: "approval",
            shows: format!(
                "1. A mitigation waits for a person. The certificate is used by {} devices, and nothing changes before a person \
                 approves it.",
                self.before.things(shared).len()
            ),
            steps: vec![
                step("after the audit", &state(&held), &self.stopped, [shared], &why(&held)),
                step(
                    "after the approval",
                    after,
                    &self.mitigated,
                    [shared],
                    &format!("{by}: {}", approval.reason.unwrap_or_default()),
                ),
            ],
            commands: vec![self.approve.line.clone()],
            alert: alerts.into_iter().next(),
            faults: faults.0,
        }
    }

    fn canary(&self) -> Scene {
        let Cast { canary, first, .. } = &self.cast;
        let task = &self.first.task;
        let stands = task.canary.clone().unwrap_or_default();
        let rest: Vec<&Task> = self.of(CANARY).filter(|of| of.task_id != task.task_id).collect();
        let alerts = self.alerts("canary-stopped", CANARY);
        let went: Vec<&str> = self
            .first
            .findings
            .iter()
            .filter_map(|of| of.resource.as_ref()?.device_certificate_id.as_deref())
            .collect();
        let results: Vec<&ActionResult> = self.first.findings.iter().flat_map(|of| &of.actions).collect();
        let statuses: Vec<&str> = results.iter().map(|result| result.status.as_str()).collect();
        let mut faults = Faults::default();
        faults.unless(
            went == [first.as_str()],
            format!("{went:?} went first, not the device that is not connected"),
        );
        faults.unless(task.state == "failed", format!("what went first is {}", task.state));
        faults.unless(statuses == ["COMPLETED", "FAILED"], format!("its actions: {statuses:?}"));
        let undo = stands.undo.unwrap_or_default();
        faults.unless(stands.state == "stopped", format!("the canary is {}", stands.state));
        faults.unless(undo == "done", format!("its undo is {undo:?}"));
        // By then what has room in the budget may be off.
        let is_other = |place: &String| self.cast.budget.iter().any(|id| place.contains(id.as_str()));
        let mut differs = self.before.differences(&self.stopped);
        differs.retain(|place| !is_other(place));
        faults.unless(differs.is_empty(), format!("not as before: {differs:?}"));
        let waits =
            |task: &&Task| ["held", "refused"].contains(&task.state.as_str()) && task.started_at.is_none();
        let count: u64 = rest.iter().filter_map(|task| task.count).sum();
        let all_wait = rest.iter().all(waits) && count + 1 == canary.len() as u64;
        faults.unless(all_wait, format!("the rest, of {count}: {}", states(&rest)));
        faults.unless(alerts.len() == 1, format!("alerts: {alerts:?}"));
        let results = results.iter().map(|result| match &result.error_code {
            Some(code) => format!("{} {}: {code}", result.action, result.status),
            None => format!("{} {}", result.action, result.status),
        });
        let others = canary.iter().filter(|id| *id != first).map(String::as_str);
        let stopped = format!("canary {}: {}", stands.state, stands.reason.unwrap_or_default());
        Scene {
            name: "canary",
            shows: format!(
                "2. One of {} devices goes first: the one that is not connected. Its second action fails. So the canary is stopped, \
                 what its first action changed is undone, and the others are left as they are.",
                canary.len()
            ),
            steps: vec![
                step(
                    "first",
                    &task.state,
                    &self.stopped,
                    [first.as_str()],
                    &format!("{}\n{stopped}; undo {undo}", results.collect::<Vec<_>>().join("\n")),
                ),
                step("the rest", &state(&rest), &self.stopped, others, &why(&rest)),
            ],
            commands: Vec::new(),
            alert: alerts.into_iter().next(),
            faults: faults.0,
        }
    }

    fn budget(&self) -> Scene {
        let all = &self.cast.budget;
        let (held, fits): (Vec<&Task>, Vec<&Task>) = self.of(BUDGET).partition(|task| task.state == "held");
        let alerts = self.alerts("mitigation-held", BUDGET);
        let count = |tasks: &[&Task]| tasks.iter().filter_map(|task| task.count).sum::<u64>();
        let (off, on): (Vec<&str>, Vec<&str>) =
            all.iter().map(String::as_str).partition(|id| self.mitigated.status(id) == "INACTIVE");
        let used: Vec<String> =
            self.budgets.budgets.iter().map(|of| format!("{} of {} used", of.used, of.limit)).collect();
        let mut faults = Faults::default();
        let are_done = fits.iter().all(|task| task.state == "completed") && count(&fits) == ROOM as u64;
        faults.unless(are_done, format!("what has room, {} findings: {}", count(&fits), states(&fits)));
        let over = all.len().saturating_sub(ROOM) as u64;
        faults.unless(
            count(&held) == over,
            format!("what goes over, {} findings: {}", count(&held), states(&held)),
        );
        faults.unless(off.len() == ROOM, format!("{} certificates are off", off.len()));
        faults.unless(used == ["2 of 2 used"], format!("budgets: {used:?}"));
        faults.unless(alerts.len() == 1, format!("alerts: {alerts:?}"));
        Scene {
            name: "budget",
            shows: format!(
                "3. A budget of {ROOM} an hour, and {} findings: what goes over it is held as a whole.",
                all.len()
            ),
            steps: vec![
                step("has room", &state(&fits), &self.mitigated, off, &used.join(", ")),
                step("goes over", &state(&held), &self.mitigated, on, &why(&held)),
            ],
            commands: Vec::new(),
            alert: alerts.into_iter().next(),
            faults: faults.0,
        }
    }

    fn undo(&self) -> Scene {
        let cast = &self.cast;
        let mitigated: BTreeSet<String> = self.before.differences(&self.mitigated).into_iter().collect();
        let off = cast.all().filter(|id| self.mitigated.status(id) == "INACTIVE");
        let expected: BTreeSet<String> = off.map(|id| format!("/certificates/{id}/status")).collect();
        let left = self.before.differences(&self.undone);
        let mut faults = Faults::default();
        faults.unless(expected.len() == ROOM + 1, format!("{} certificates were off", expected.len()));
        faults.unless(mitigated == expected, format!("fields that the mitigations changed: {mitigated:?}"));
        for given in &self.undo {
            faults.unless(given.failure.is_none(), failure("the undo", given.failure.as_deref()));
        }
        faults.unless(left.is_empty(), format!("not as before: {left:?}"));
        let fields = |count: usize| match count {
            0 => "the fleet is as before, field by field".to_owned(),
            1 => "1 field of the fleet is not as before".to_owned(),
            count => format!("{count} fields of the fleet are not as before"),
        };
        Scene {
            name: "undo",
            shows: "4. The operator takes back what was mitigated.".to_owned(),
            steps: vec![
                step("before the undo", "", &self.mitigated, cast.all(), &fields(mitigated.len())),
                step("after it", "", &self.undone, cast.all(), &fields(left.len())),
            ],
            commands: self.undo.iter().map(|given| given.line.clone()).collect(),
            alert: None,
            faults: faults.0,
        }
    }
}

fn step<'c>(
    when: &str,
    state: &str,
    fleet: &State,
    certificates: impl IntoIterator<Item = &'c str>,
    why: &str,
) -> Step {
    Step {
        when: when.to_owned(),
        state: state.to_owned(),
        certificates: fleet.statuses(certificates),
        why: why.to_owned(),
    }
}

/// The state that tasks have.
fn state(tasks: &[&Task]) -> String {
    let states: BTreeSet<&str> = tasks.iter().map(|task| task.state.as_str()).collect();
    states.into_iter().collect::<Vec<_>>().join(", ")
}

/// Each task and its state.
fn states(tasks: &[&Task]) -> String {
    let of = |task: &&Task| format!("{} {}", task.task_id, task.state);
    if tasks.is_empty() { "none".to_owned() } else { tasks.iter().map(of).collect::<Vec<_>>().join(", ") }
}

/// Why tasks are in their state: the first that says so.
fn why(tasks: &[&Task]) -> String {
    tasks.iter().find_map(|task| task.reason.clone()).unwrap_or_default()
}

fn failure(what: &str, why: Option<&str>) -> String {
    format!("{what} failed: {}", why.unwrap_or_default())
}

#[cfg(test)]
mod tests;
