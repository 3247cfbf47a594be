//! The scenes: one audit under a policy with guards, a person's approval, and an undo.
//!
//! Nothing is waited for longer than [`PATIENCE`]: what has not happened by then is what the judge finds missing.

use super::cast::Cast;
use super::fleet::State;
use super::operator::{Given, mitigation};
use crate::demo::inbox::{Alert, Inbox};
use crate::demo::invoke::invoke;
use crate::output::note;
use crate::stack::Stack;
use anyhow::{Context as _, Result};
use fleetwarden_core::model::mitigation::budget::Budgets;
use fleetwarden_core::model::mitigation::view::{Listed, Shown, Task};
use hyper::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
const EXPIRING: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
/// The rules of the policy.
pub(super) const APPROVAL: &str = "a-person-approves";
pub(super) const CANARY: &str = "one-goes-first";
pub(super) const BUDGET: &str = "two-an-hour";
/// Who approves and undoes.
pub(super) const OPERATOR: &str = "demo";
/// The group that the template's action adds to.
const QUARANTINE: &str = "FleetwardenQuarantine";
/// A thing is in at most so many groups ("Thing groups" in the IoT guide).
const MOST_GROUPS: usize = 10;
const PATIENCE: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_millis(250);

/// Everything that was seen, on both sides.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) cast: Cast,
    /// The audit.
    pub(super) audit: String,
    /// Before the audit.
    pub(super) before: State,
    /// When the canary was stopped, and nobody had approved yet.
    pub(super) stopped: State,
    /// Right before the undo.
    pub(super) mitigated: State,
    /// At the end.
    pub(super) undone: State,
    /// The audit's mitigation tasks when the canary was stopped.
    pub(super) tasks: Vec<Task>,
    /// What went first.
    pub(super) first: Shown,
    /// What a person approved, at the end.
    pub(super) approved: Shown,
    /// What was used of the budgets.
    pub(super) budgets: Budgets,
    /// The alerts, in the order of their arrival.
    pub(super) alerts: Vec<Alert>,
    /// The approval, and then an undo for each task.
    pub(super) approve: Given,
    pub(super) undo: Vec<Given>,
}

impl Observed {
    /// The tasks of a rule.
    pub(super) fn of<'o>(&'o self, rule: &'o str) -> impl Iterator<Item = &'o Task> {
        self.tasks.iter().filter(move |task| task.rule.as_deref() == Some(rule))
    }
}

/// Plays the scenes with the certificates that an audit has found. None: the fleet has too few of them.
pub(super) async fn play(stack: &Stack, last_audit: &str, policy: &Path) -> Result<Option<Observed>> {
    let shared = found(stack, last_audit, SHARED).await?;
    let expiring = found(stack, last_audit, EXPIRING).await?;
    let Some(cast) = Cast::of(&stack.defender.state_of_fleet().await?, &shared, &expiring) else {
        return Ok(None);
    };
    let inbox = Inbox::open(stack.cloud(), stack.output("AlertTopicArn")?).await?;
    prepare(stack, &cast).await?;
    fs::write(policy, cast.policy()).with_context(|| format!("cannot write {}", policy.display()))?;
    stack.deploy_policy(policy).await?;
    let mut seen = Observed { before: stack.defender.state_of_fleet().await?, cast, ..Observed::default() };

    note(format!("fleetwarden: one more audit, under a policy with guards: {}", policy.display()));
    seen.audit = stack.defender.start_audit(&[SHARED, EXPIRING].map(str::to_owned)).await?;
    settle(stack, &mut seen).await?;
    seen.stopped = stack.defender.state_of_fleet().await?;
    let budgets = json!({ "command": "MitigationBudget" });
    seen.budgets = ask(stack, &budgets).await?;

    note("fleetwarden: a person approves what waits, and then has all of it undone");
    let waits = id(seen.of(APPROVAL).next());
    let approve = ["approve", waits.as_str(), "--by", OPERATOR, "--reason", "these devices are replaced"];
    seen.approve = mitigation(stack, &approve).await?;
    if seen.approve.failure.is_none() {
        seen.approved = completed(stack, &waits).await?;
    }
    seen.mitigated = stack.defender.state_of_fleet().await?;
    let budget = id(seen.of(BUDGET).find(|task| task.state == "completed"));
    for task in [&budget, &waits] {
        let given = mitigation(stack, &["undo", task.as_str(), "--reason", "they are still needed"]).await?;
        seen.undo.push(given);
    }
    seen.undone = stack.defender.state_of_fleet().await?;
    inbox.read(&mut seen.alerts).await?;
    Ok(Some(seen))
}

/// Looks at the mitigations of the audit until the canary is stopped and undone, the budget is used, and a person is asked.
async fn settle(stack: &Stack, seen: &mut Observed) -> Result<()> {
    let started = Instant::now();
    let list = json!({ "command": "MitigationList", "auditTaskId": seen.audit, "all": true });
    loop {
        seen.tasks = ask::<Listed>(stack, &list).await?.tasks;
        // Each task of the rule says which one goes first.
        let any = seen.of(CANARY).next().map(|task| task.task_id.clone());
        if let Some(any) = any {
            let shown = show(stack, &any).await?;
            let first = shown.task.canary.as_ref().map(|canary| canary.task_id.clone());
            seen.first = match first {
                Some(first) if first != any => show(stack, &first).await?,
                _ => shown,
            };
        }
        let states = |rule: &'static str| seen.of(rule).map(|task| task.state.as_str()).collect::<Vec<_>>();
        let canary = seen.first.task.canary.as_ref();
        let is_settled = states(APPROVAL).contains(&"held")
            && states(CANARY).len() > 1
            && canary.is_some_and(|canary| canary.undo.as_deref() == Some("done"))
            && ["completed", "held"].iter().all(|state| states(BUDGET).contains(state));
        if is_settled || started.elapsed() >= PATIENCE {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Looks at a task until it is completed.
async fn completed(stack: &Stack, task: &str) -> Result<Shown> {
    let started = Instant::now();
    loop {
        let shown = show(stack, task).await?;
        if shown.task.state == "completed" || started.elapsed() >= PATIENCE {
            return Ok(shown);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The certificates that a check has found in an audit and that nothing suppresses.
async fn found(stack: &Stack, audit: &str, check: &str) -> Result<Vec<String>> {
    let body = json!({ "taskId": audit, "checkName": check, "maxResults": 250 });
    let page = stack.defender.call(Method::POST, "/audit/findings", &body).await?;
    let findings = page.get("findings").and_then(Value::as_array).into_iter().flatten();
    let id = |finding: &Value| {
        let is_suppressed = finding.get("isSuppressed").and_then(Value::as_bool) == Some(true);
        let id = finding.pointer("/nonCompliantResource/resourceIdentifier/deviceCertificateId")?.as_str()?;
        (!is_suppressed).then(|| id.to_owned())
    };
    Ok(findings.filter_map(id).collect())
}

/// One device of the canary is not connected, and the others are, so that it goes first. It is in as many thing groups as
/// a thing can be in: so its quarantine fails, after its certificate was deactivated.
async fn prepare(stack: &Stack, cast: &Cast) -> Result<()> {
    let fleet = stack.defender.state_of_fleet().await?;
    let order = async |control: &str, body: Value| {
        stack.defender.call(Method::POST, &format!("/_control/{control}"), &body).await
    };
    for certificate in &cast.canary {
        for thing in fleet.things(certificate) {
            let is_first = *certificate == cast.first;
            order("connections", json!({ "thingName": thing, "connected": !is_first })).await?;
            let room = if is_first { MOST_GROUPS.saturating_sub(fleet.groups_of(&thing)) } else { 0 };
            for number in 0..room {
                let group = format!("fleetwarden-demo-{number}");
                let body = json!({ "thingName": thing, "thingGroupName": group, "member": true });
                order("membership", body).await?;
            }
        }
    }
    if fleet.has_group(QUARANTINE) {
        return Ok(());
    }
    // An empty one, as an account has it: here, a mitigation action would make it.
    let thing =
        fleet.things(&cast.shared).into_iter().next().context("the shared certificate has no thing")?;
    for member in [true, false] {
        let body = json!({ "thingName": thing, "thingGroupName": QUARANTINE, "member": member });
        order("membership", body).await?;
    }
    Ok(())
}

/// A mitigation task as it is now.
async fn show(stack: &Stack, task: &str) -> Result<Shown> {
    ask(stack, &json!({ "command": "MitigationShow", "taskId": task })).await
}

/// What `mitigation-commands` answers.
async fn ask<T: serde::de::DeserializeOwned>(stack: &Stack, event: &Value) -> Result<T> {
    let answer = invoke(stack, "MitigationCommandsFunctionName", event).await?;
    serde_json::from_value(answer).with_context(|| format!("the answer to {event} has another shape"))
}

/// The id of a task. A name that no task has, if there is none: then the command fails, and says so.
fn id(task: Option<&Task>) -> String {
    task.map_or_else(|| "fw-none".to_owned(), |task| task.task_id.clone())
}
