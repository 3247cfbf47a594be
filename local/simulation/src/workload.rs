//! What happens to the stack in a run, drawn from the seed: audits, policies, people and schedules, one after the other
//! with minutes or days in between, and at the end a time in which nothing goes wrong any more.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;
use tokio::time::sleep;

use crate::alarms::Alarms;
use crate::alarms::Told;
use crate::connections;
use crate::guards::Guards;
use crate::judge::budgets;
use crate::lambda::Ambush;
use crate::lambda::Ended;
use crate::lambda::Lambda;
use crate::lambda::Surprise;
use crate::operators::Operators;
use crate::policies;
use crate::policies::CHECKS;
use crate::stack;
use crate::stack::AUDIT_TOPIC;
use crate::undoers;
use crate::undoers::Undoers;
use crate::weather::Weather;
use crate::world::Lineage;
use crate::world::World;

const ROLE: &str = "arn:aws:iam::123456789012:role/audit";
/// How many hours a run has at most to come to an end, once nothing goes wrong any more.
const LAST_HOURS: u32 = 24 * 9;

/// What was done to the stack, for the judge.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// The audits that were started, each with its checks, in order.
    pub(crate) audits: Vec<(String, Vec<&'static str>)>,
    /// The policies that were deployed, the first one included.
    pub(crate) policies: Vec<String>,
    /// What can never be handled, each with the queue on which it has to end.
    pub(crate) poison: Vec<(&'static str, String)>,
    /// When parked suppressions were moved back.
    pub(crate) late_suppressions: Vec<Millis>,
    /// How many changes people made to the fleet.
    pub(crate) moves: u64,
    /// What the operator's own tool has told of.
    pub(crate) told: Vec<Told>,
    /// What the last run of `alarm-watch` said, if the run has alarms.
    pub(crate) alarm_watch: Option<Value>,
    /// Whether all came to an end in time.
    pub(crate) is_quiet: bool,
}

impl Played {
    /// The audits of a check, in the order of their start.
    pub(crate) fn audits_of(&self, check: &str) -> Vec<String> {
        self.audits
            .iter()
            .filter(|(_, checks)| checks.contains(&check))
            .map(|(task, _)| task.clone())
            .collect()
    }

    /// Whether a later audit has looked at a check.
    pub(crate) fn is_overtaken(&self, task: &str, check: &str) -> bool {
        self.audits_of(check).last().is_none_or(|last| last != task)
    }
}

/// The workload of a run.
pub(crate) struct Workload {
    pub(crate) world: Arc<World>,
    pub(crate) lambda: Rc<Lambda>,
    /// What the workload draws from: its own, so that what is done does not depend on which faults strike.
    pub(crate) rng: Rng,
    pub(crate) alarms: Alarms,
    pub(crate) guards: Guards,
    pub(crate) operators: Operators,
    pub(crate) undoers: Undoers,
    pub(crate) played: Played,
}

impl Workload {
    /// Sets the account up: the audit's topic and checks, and the mitigation actions.
    ///
    /// # Errors
    /// What Device Defender refuses.
    pub(crate) fn set_up(&mut self) -> Result<(), String> {
        let checks: Value =
            CHECKS.iter().map(|(check, _)| ((*check).to_owned(), json!({"enabled": true}))).collect();
        let target = json!({"SNS": {"targetArn": AUDIT_TOPIC, "roleArn": ROLE, "enabled": true}});
        let configuration = json!({
            "roleArn": ROLE,
            "auditCheckConfigurations": checks,
            "auditNotificationTargetConfigurations": target,
        });
        self.world.ask("PATCH", "/audit/configuration", "", &configuration)?;
        for (name, parameters) in policies::actions() {
            let body = json!({"roleArn": ROLE, "actionParams": parameters});
            self.world.ask("POST", &format!("/mitigationactions/actions/{name}"), "", &body)?;
        }
        self.alarms.set_up(&self.world)
    }

    /// Plays it to its end.
    pub(crate) async fn play(&mut self, steps: usize) {
        if self.alarms.is_on {
            // The stack has run for a while: what is lost from now on is for the watch, which goes on where it ended.
            let weather = std::mem::take(&mut self.world.state().weather);
            self.lambda.invoke(&stack::ALARM_WATCH, json!({}), Lineage::new()).await;
            self.world.state().weather = weather;
        }
        for _ in 0..steps {
            if self.alarms.is_on {
                self.alarms();
            }
            match self.rng.u8(..28) {
                20..27 => self.ambush(),
                27 => self.poison(),
                0..9 => self.audit(&[]),
                9..11 => self.deploy(),
                11..13 => self.review(),
                13..15 => self.watch(),
                15..17 => self.redrive(),
                17 => self.cancel(),
                _ => self.move_things(),
            }
            self.operators.step(&self.world, &self.lambda);
            self.undoers.step(&self.world, &self.lambda);
            let rng = &mut self.rng;
            let gap = match rng.u8(..12) {
                0..3 => rng.u64(0..10),
                3..6 => rng.u64(10..900),
                6..9 => rng.u64(900..4 * 3_600),
                9..11 => rng.u64(3_600..2 * 86_400),
                _ => rng.u64(86_400..4 * 86_400),
            };
            sleep(Duration::from_secs(gap)).await;
        }
        self.world.note("nothing goes wrong any more");
        self.world.state().weather = Weather::default();
        // What still lies in wait would be deployed after the last policy.
        *self.lambda.ambush.borrow_mut() = None;
        self.world.state().doomed = None;
        self.end_alarms();
        self.lift_budgets();
        connections::make_known(&self.world, &self.played.policies);
        self.played.is_quiet = self.end().await;
        if self.alarms.is_on {
            let seen = self.lambda.invoke(&stack::ALARM_WATCH, json!({}), Lineage::new()).await;
            self.played.alarm_watch = match seen {
                Ended::Answered(answer) => Some(answer),
                other => Some(json!(format!("{other:?}"))),
            };
        }
    }

    /// Lets all that is under way come to its end, and moves back what was parked.
    async fn end(&mut self) -> bool {
        let mut calm = 0;
        for hour in 0..LAST_HOURS {
            if hour % 6 == 0 {
                // Lambda may have tried a pause again since.
                self.operators.end(&self.world, &self.lambda).await;
                self.redrive();
                self.watch();
                if self.alarms.is_on {
                    self.watch_alarms(Duration::ZERO);
                }
            }
            sleep(Duration::from_hours(1)).await;
            calm = if self.lambda.is_quiet() { calm + 1 } else { 0 };
            if calm >= 8 {
                return true;
            }
        }
        false
    }

    /// An audit of some checks, these among them.
    fn audit(&mut self, wanted: &[&'static str]) {
        let mut checks: Vec<&'static str> = CHECKS.iter().map(|(check, _)| *check).collect();
        self.rng.shuffle(&mut checks);
        checks.sort_by_key(|check| (Some(*check) != self.guards.check(), !wanted.contains(check)));
        checks.truncate(self.rng.usize(1..6));
        match self.world.ask("POST", "/audit/tasks", "", &json!({"targetCheckNames": checks})) {
            Ok(started) => {
                let task = started["taskId"].as_str().unwrap_or_default().to_owned();
                self.world.note(&format!("an audit starts: {task} {checks:?}"));
                self.played.audits.push((task, checks));
            }
            Err(refused) => self.world.note(&format!("no audit starts: {refused}")),
        }
        self.world.changed.notify_one();
    }

    fn cancel(&self) {
        let Some((task, _)) = self.played.audits.last() else { return };
        let canceled = self.world.ask("PUT", &format!("/audit/tasks/{task}/cancel"), "", &Value::Null);
        self.world.note(&format!(
            "a person cancels {task}: {}",
            if canceled.is_ok() { "done" } else { "too late" }
        ));
        self.world.changed.notify_one();
    }

    fn deploy(&mut self) {
        let before = self.played.policies.last().cloned().unwrap_or_default();
        let policy = if self.rng.bool() {
            policies::variant(&mut self.rng, &before)
        } else {
            self.guards.policy(self.alarms.policy(policies::draw(&mut self.rng)))
        };
        self.world.note(&format!("a policy is deployed: {policy}"));
        self.lambda.deploy(policy.clone());
        self.played.policies.push(policy);
    }

    /// An audit, and something that happens between a decision on its findings and what follows from it.
    fn ambush(&mut self) {
        let before = self.played.policies.last().cloned().unwrap_or_default();
        let policy: Value = serde_json::from_str(&before).unwrap_or_default();
        let mitigation = ("mitigation", &stack::MITIGATIONS, "mitigate");
        let suppression = ("suppression", &stack::SUPPRESSIONS, "suppress");
        let places = [mitigation, mitigation, suppression, ("check", &stack::TRIAGE, "mitigate")];
        let (queue, function, outcome) = places[self.rng.usize(..4)];
        // Before the first try of a check nothing is decided yet that could be decided otherwise.
        let is_at_retry = queue == "check" || self.rng.u8(..3) == 0;
        let decides = |check: &str| policies::rules(&policy, check).any(|rule| rule.get(outcome).is_some());
        let wanted: Vec<_> = CHECKS.iter().map(|(check, _)| *check).filter(|check| decides(check)).collect();
        self.audit(&wanted);
        let what = if queue == "mitigation" && self.rng.bool() {
            Surprise::Command
        } else {
            let policy = policies::variant(&mut self.rng, &before);
            self.played.policies.push(policy.clone());
            Surprise::Deploy(policy)
        };
        let doomed = is_at_retry.then(|| (function.name, self.rng.u32(1..40)));
        self.world.state().doomed = doomed;
        if outcome == "suppress"
            && is_at_retry
            && let Some((audit, _)) = self.played.audits.last()
        {
            undoers::undo_after_death(&self.world, &self.lambda, audit);
        }
        *self.lambda.ambush.borrow_mut() = Some(Ambush { queue, is_at_retry, what });
    }

    /// Somebody sends what no function can handle.
    fn poison(&mut self) {
        for function in stack::FUNCTIONS {
            let stack::Trigger::Queue(source) = &function.trigger else { continue };
            let body = format!("poison {}", self.played.poison.len());
            self.world.cloud.send_to(source.queue, &body);
            self.played.poison.push((function.dead_letters, body));
        }
        self.world.note("what no function can handle is on every queue");
        self.world.changed.notify_one();
    }

    fn review(&mut self) {
        let at = self.world.now().rfc3339();
        let (is_scheduled, is_repeated) = (self.rng.bool(), self.rng.u8(..4) == 0);
        self.world.note("the suppressions are reviewed");
        let event = if is_scheduled { json!({"scheduledAt": at}) } else { json!({}) };
        self.lambda.send(&stack::REVIEW, event.clone(), Duration::ZERO);
        if is_repeated {
            self.lambda.send(&stack::REVIEW, event, Duration::from_secs(7));
        }
    }

    fn watch(&self) {
        let at = self.world.now().rfc3339();
        self.lambda.send(&stack::AUDIT_WATCH, json!({"scheduledAt": at}), Duration::ZERO);
    }

    /// What happens with alarms beside all else.
    fn alarms(&mut self) {
        if self.world.draw(fastrand::Rng::bool) {
            self.alarms.step(&self.world);
        }
        for hour in 0..self.world.draw(|rng| rng.u64(..3)) {
            self.watch_alarms(Duration::from_hours(hour));
        }
    }

    /// The schedules of alarms, sometimes twice.
    fn watch_alarms(&self, after: Duration) {
        let event = json!({"scheduledAt": self.world.now().plus(after).rfc3339()});
        let repeats = self.world.state().weather.repeats;
        let (is_repeated, is_daily) = self.world.draw(|rng| (rng.f64() < repeats, rng.u8(..12) == 0));
        let daily = is_daily.then_some(&stack::MODEL_STATUS);
        for function in [Some(&stack::ALARM_WATCH), daily].into_iter().flatten() {
            self.lambda.send(function, event.clone(), after);
            if is_repeated {
                self.lambda.send(function, event.clone(), after + Duration::from_secs(5));
            }
        }
    }

    /// All alarms end, and a policy is deployed under which everything that waits to be released is.
    fn end_alarms(&mut self) {
        self.alarms.end(&self.world);
        self.played.told = self.alarms.told();
        if let Some(policy) = self.alarms.last_policy(&self.played.policies) {
            self.deploy_last(policy);
        }
    }

    /// A task is as large as the budgets let it be when it was made. If they are smaller by now, it would wait for the next
    /// audit, and there is none.
    fn lift_budgets(&mut self) {
        let most: BTreeSet<Option<u64>> =
            self.played.policies.iter().map(|policy| budgets::smallest(policy)).collect();
        if most.len() > 1 {
            let last = self.played.policies.last().cloned().unwrap_or_default();
            let mut policy: Value = serde_json::from_str(&last).unwrap_or_default();
            policy["budgets"] = json!("none");
            self.deploy_last(policy.to_string());
        }
    }

    fn deploy_last(&mut self, policy: String) {
        self.world.note(&format!("the last policy is deployed: {policy}"));
        self.lambda.deploy(policy.clone());
        self.played.policies.push(policy);
    }

    /// A person moves back what was parked.
    fn redrive(&mut self) {
        for function in stack::FUNCTIONS {
            if let stack::Trigger::Queue(source) = &function.trigger {
                let moved = self.world.cloud.redrive(function.dead_letters, source.queue);
                if moved > 0 {
                    if source.queue == "suppression" {
                        self.played.late_suppressions.push(self.world.now());
                    }
                    self.world
                        .note(&format!("{moved} messages are moved back from {}", function.dead_letters));
                }
            }
        }
        let given_up = std::mem::take(&mut *self.lambda.given_up.borrow_mut());
        // What a person asked for is not asked for again.
        let again = |(function, _): &(&stack::Function, Value)| function.dead_letters != "dead-command";
        for (function, event) in given_up.into_iter().filter(again) {
            self.lambda.send(function, event, Duration::ZERO);
        }
        self.world.changed.notify_one();
    }

    /// A person moves things between groups.
    fn move_things(&mut self) {
        let groups = ["production", "lab", "spare", "plant"];
        let thing = format!("device-{:07}", self.rng.u32(..40));
        let (group, member) = (groups[self.rng.usize(..groups.len())], self.rng.bool());
        let order = json!({"thingName": thing, "thingGroupName": group, "member": member});
        let moved = self.world.ask("POST", "/_control/membership", "", &order);
        self.played.moves += u64::from(moved.as_ref().is_ok_and(|moved| moved["changed"] == true));
        self.world.note(&format!(
            "{thing} is {} {group}: {moved:?}",
            if member { "added to" } else { "removed from" }
        ));
    }
}
