//! Mitigation tasks: applying actions to findings, one finding after the other over the task's duration.
//!
//! From "Mitigation actions" in the Device Defender guide: actions apply in the order given; when one fails,
//! the later ones are skipped for that finding only; one failure makes the task FAILED; canceling takes
//! nothing back. Suppressed findings are never mitigated: they count as skipped.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::audits::Status;
use crate::checks::{Action, Check};
use crate::findings::{Finding, Times, describe};
use crate::fleet::change::Trouble;
use crate::fleet::examine::Entry;
use crate::operations::actions::MitigationAction;
use crate::world::World;

/// What became of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All actions were applied.
    Succeeded,
    /// So many actions were applied, and the next one failed.
    Failed(usize, Trouble),
    /// The finding is suppressed.
    Skipped,
    /// The task was canceled first.
    Canceled,
}

/// A mitigation task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) token: String,
    /// The request's target and mapping as they came, for answers and to recognise a replay.
    pub(crate) target: Value,
    pub(crate) mapping: Value,
    pub(crate) started: i64,
    pub(crate) duration: i64,
    pub(crate) ended: Option<i64>,
    pub(crate) status: Status,
    pub(crate) findings: Vec<Finding>,
    /// The outcomes of the first findings; the others wait.
    pub(crate) outcomes: Vec<Outcome>,
    /// The actions as they were when the task started.
    pub(crate) actions: BTreeMap<Check, Vec<MitigationAction>>,
}

impl Task {
    /// How many findings have been dealt with by `at`.
    fn due(&self, at: i64) -> usize {
        let elapsed = at.saturating_sub(self.started).max(0);
        if elapsed >= self.duration {
            return self.findings.len();
        }
        let part = i128::from(elapsed) * self.findings.len() as i128 / i128::from(self.duration.max(1));
        usize::try_from(part).unwrap_or(0)
    }

    /// When the finding at a position is, or was, dealt with.
    pub(crate) fn time_of(&self, position: usize) -> i64 {
        let count = self.findings.len().max(1) as i128;
        let part = i128::from(self.duration) * (position as i128 + 1) / count;
        self.started.saturating_add(i64::try_from(part).unwrap_or(0))
    }

    /// Stops the task. What was applied stays.
    pub(crate) fn cancel(&mut self, now: i64) {
        self.outcomes.resize(self.findings.len(), Outcome::Canceled);
        self.status = Status::Canceled;
        self.ended = Some(now);
    }

    /// `taskStatistics`: counts by check.
    pub(crate) fn statistics(&self) -> Value {
        let mut counts: BTreeMap<Check, [u64; 5]> = BTreeMap::new();
        for (position, finding) in self.findings.iter().enumerate() {
            let [total, failed, succeeded, skipped, canceled] = counts.entry(finding.check).or_default();
            *total += 1;
            match self.outcomes.get(position) {
                Some(Outcome::Succeeded) => *succeeded += 1,
                Some(Outcome::Failed(..)) => *failed += 1,
                Some(Outcome::Skipped) => *skipped += 1,
                Some(Outcome::Canceled) => *canceled += 1,
                None => {}
            }
        }
        let by_check = counts.into_iter().map(|(check, [total, failed, succeeded, skipped, canceled])| {
            let counts = json!({
                "totalFindingsCount": total,
                "failedFindingsCount": failed,
                "succeededFindingsCount": succeeded,
                "skippedFindingsCount": skipped,
                "canceledFindingsCount": canceled,
            });
            (check.name().to_owned(), counts)
        });
        Value::Object(by_check.collect::<Map<_, _>>())
    }
}

impl World {
    /// Deals with the findings of running tasks that are due by `at`.
    pub(crate) fn progress_tasks(&mut self, at: i64) {
        for number in self.running.clone() {
            let Some(mut task) = self.tasks.remove(&number) else { continue };
            for position in task.outcomes.len()..task.due(at) {
                let outcome = match task.findings.get(position) {
                    Some(finding) => self.mitigate(*finding, &task),
                    None => Outcome::Skipped,
                };
                task.outcomes.push(outcome);
            }
            if at >= task.started.saturating_add(task.duration) {
                let failed = task.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(..)));
                task.status = if failed { Status::Failed } else { Status::Completed };
                task.ended = Some(task.started.saturating_add(task.duration));
                self.running.remove(&number);
            }
            self.tasks.insert(number, task);
        }
    }

    fn mitigate(&mut self, finding: Finding, task: &Task) -> Outcome {
        let found = self.audits.get(&finding.audit).and_then(|audit| audit.checks.get(&finding.check));
        let Some((entry, suppressed)) = found.and_then(|run| run.finding(finding.position)) else {
            return Outcome::Failed(0, Trouble::NoSuchResource);
        };
        if suppressed {
            return Outcome::Skipped;
        }
        for (applied, action) in task.actions.get(&finding.check).into_iter().flatten().enumerate() {
            if let Err(trouble) = self.apply(finding, entry, action) {
                return Outcome::Failed(applied, trouble);
            }
            let effect = (finding.check, entry.resource, action.kind);
            *self.effects.entry(effect).or_default() += 1;
        }
        Outcome::Succeeded
    }

    fn apply(&mut self, finding: Finding, entry: Entry, action: &MitigationAction) -> Result<(), Trouble> {
        let check = finding.check;
        if !check.allows(action.kind) {
            return Err(Trouble::NotApplicable);
        }
        match action.kind {
            Action::DeviceCertificate => {
                self.fleet.deactivate_devices(check, entry);
            }
            Action::CaCertificate => {
                self.fleet.deactivate_authority(entry);
            }
            Action::EnableLogging => {
                self.fleet.enable_logging();
            }
            Action::ReplacePolicy => {
                self.fleet.replace_policy(entry)?;
            }
            Action::AddThings => {
                for group in action.groups() {
                    if self.settings.thing_groups.is_some() && !self.fleet.has_group(&group) {
                        return Err(Trouble::NoSuchGroup);
                    }
                    self.fleet.add_things(check, entry, &group)?;
                }
            }
            Action::Publish => {
                let message = describe(self, finding, Times::Millis).ok_or(Trouble::NoSuchResource)?;
                self.publish(action.topic(), message.to_string());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::{Desk, TOPIC, deactivate};

    fn counts(desk: &Desk, task: &str, check: Check) -> [u64; 5] {
        let statistics = desk.task(task)["taskStatistics"][check.name()].clone();
        ["total", "failed", "succeeded", "skipped", "canceled"]
            .map(|word| statistics[format!("{word}FindingsCount")].as_u64().unwrap())
    }

    #[test]
    fn findings_are_dealt_with_over_time_and_canceling_takes_nothing_back() {
        let desk = Desk::new(400);
        let findings = desk.audit(Check::DeviceRevoked);
        desk.action("off", &deactivate());
        desk.mitigate("t", &findings[..10], Check::DeviceRevoked, &["off"]);
        desk.advance(500);
        assert_eq!(counts(&desk, "t", Check::DeviceRevoked), [10, 0, 5, 0, 0]);
        desk.ok("PUT", "/audit/mitigationactions/tasks/t/cancel", &Value::Null);
        desk.advance(5_000);
        assert_eq!(counts(&desk, "t", Check::DeviceRevoked), [10, 0, 5, 0, 5]);
        assert_eq!(desk.task("t")["taskStatus"], "CANCELED");
        assert_eq!(desk.state()["fleet"]["inactiveDeviceCertificates"], 5);
        assert_eq!(desk.audit(Check::DeviceRevoked).len(), findings.len() - 5);
    }

    #[test]
    fn a_suppressed_finding_is_never_mitigated() {
        let desk = Desk::new(100);
        desk.enable();
        desk.action("off", &deactivate());
        let first = desk.audit(Check::DeviceShared);
        let body = json!({
            "checkName": Check::DeviceShared.name(),
            "resourceIdentifier": first[0]["nonCompliantResource"]["resourceIdentifier"],
            "suppressIndefinitely": true,
            "clientRequestToken": "a",
        });
        desk.ok("POST", "/audit/suppressions/create", &body);
        let second = desk.audit(Check::DeviceShared);
        let suppressed: Vec<Value> =
            second.into_iter().filter(|finding| finding["isSuppressed"] == true).collect();
        desk.mitigate("t", &suppressed, Check::DeviceShared, &["off"]);
        desk.advance(1_000);
        assert_eq!(counts(&desk, "t", Check::DeviceShared), [1, 0, 0, 1, 0]);
        assert_eq!(desk.state()["fleet"]["changes"], 0);
    }

    #[test]
    fn a_full_policy_fails_and_the_others_are_cured() {
        let desk = Desk::new(2_000);
        let findings = desk.audit(Check::PolicyPermissive);
        desk.action(
            "blank",
            &json!({ "replaceDefaultPolicyVersionParams": { "templateName": "BLANK_POLICY" } }),
        );
        desk.mitigate("t", &findings[..25], Check::PolicyPermissive, &["blank"]);
        desk.advance(1_000);
        let [total, failed, succeeded, ..] = counts(&desk, "t", Check::PolicyPermissive);
        assert!(failed > 0 && succeeded > failed && failed + succeeded == total);
        assert_eq!(desk.task("t")["taskStatus"], "FAILED");
        let left = desk.audit(Check::PolicyPermissive).len() as u64;
        assert_eq!(left, findings.len() as u64 - succeeded);
    }

    #[test]
    fn groups_and_topics() {
        let desk = Desk::new(100);
        let findings = desk.audit(Check::DeviceShared);
        desk.service.take_messages();
        desk.action("tell", &json!({ "publishFindingToSnsParams": { "topicArn": TOPIC } }));
        desk.action("move", &json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["quarantine"] } }));
        desk.mitigate("t", &findings[..2], Check::DeviceShared, &["tell", "move"]);
        desk.advance(1_000);
        let messages = desk.service.take_messages();
        assert_eq!(messages.len(), 2);
        let message: Value = serde_json::from_str(&messages[0].body).unwrap();
        assert_eq!(message["findingId"], findings[0]["findingId"]);
        assert_eq!(message["findingTime"], 1_700_000_001_000_i64);
        let moved = desk.state()["fleet"]["groups"]["quarantine"].as_u64().unwrap();
        assert!((2..=6).contains(&moved), "{moved}");
        assert_eq!(desk.audit(Check::DeviceShared).len(), findings.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn however_time_passes_the_books_balance(steps in prop::collection::vec((0_u8..3, 0_u64..700, 0_usize..9), 1..25)) {
            let desk = Desk::new(200);
            let findings = desk.audit(Check::DeviceExpiring);
            desk.action("off", &deactivate());
            let mut started = 0;
            for (step, ms, which) in steps {
                match step {
                    0 => desk.advance(ms),
                    1 if desk.state()["mitigationTasks"]["IN_PROGRESS"].as_u64().unwrap_or(0) < 10 => {
                        let task = format!("t{started}");
                        desk.mitigate(&task, &findings[which..which + 5], Check::DeviceExpiring, &["off"]);
                        started += 1;
                    }
                    _ => {
                        let task = format!("/audit/mitigationactions/tasks/t{which}/cancel");
                        desk.call("PUT", &task, &Value::Null);
                    }
                }
            }
            desk.advance(10_000);
            let mut succeeded = 0;
            for number in 0..started {
                let [total, failed, done, skipped, canceled] = counts(&desk, &format!("t{number}"), Check::DeviceExpiring);
                prop_assert_eq!(total, failed + done + skipped + canceled);
                prop_assert_eq!(failed, 0);
                succeeded += done;
            }
            let calls = desk.ok("GET", "/_control/calls", &Value::Null);
            prop_assert_eq!(calls["effects"]["total"].as_u64(), Some(succeeded));
            prop_assert_eq!(&calls["effects"]["distinct"], &desk.state()["fleet"]["changes"]);
        }
    }
}
