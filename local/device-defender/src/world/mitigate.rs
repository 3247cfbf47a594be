//! Mitigation tasks at work: what is due is done, finding by finding.

use crate::actions::MitigationAction;
use crate::audits::Status;
use crate::checks::Action;
use crate::findings::{Finding, Times};
use crate::fleet::change::Trouble;
use crate::fleet::examine::Entry;
use crate::mitigation::{Outcome, Task};
use crate::world::World;

impl World {
    /// Deals with the findings of running tasks that are due by `at`.
    pub(crate) fn progress_tasks(&mut self, at: i64) {
        for number in self.running.clone() {
            let Some(mut task) = self.tasks.remove(&number) else { continue };
            for position in task.outcomes.len()..task.due(at) {
                let outcome = match task.findings.get(position) {
                    Some(finding) => self.mitigate(*finding, &task, task.time_of(position)),
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

    fn mitigate(&mut self, finding: Finding, task: &Task, at: i64) -> Outcome {
        let found = self.audits.get(&finding.audit).and_then(|audit| audit.checks.get(&finding.check));
        let Some((entry, suppressed)) = found.and_then(|run| run.finding(finding.position)) else {
            return Outcome::Failed(0, Trouble::NoSuchResource);
        };
        if suppressed {
            return Outcome::Skipped;
        }
        for (applied, action) in task.actions.get(&finding.check).into_iter().flatten().enumerate() {
            if let Err(trouble) = self.apply(finding, entry, action, at) {
                return Outcome::Failed(applied, trouble);
            }
            let effect = (finding.check, entry.resource, action.kind);
            *self.effects.entry(effect).or_default() += 1;
        }
        Outcome::Succeeded
    }

    fn apply(
        &mut self,
        finding: Finding,
        entry: Entry,
        action: &MitigationAction,
        at: i64,
    ) -> Result<(), Trouble> {
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
                let (role, level) = action.logging();
                self.fleet.enable_logging(role, level);
            }
            Action::ReplacePolicy => {
                self.fleet.replace_policy(entry, at)?;
            }
            Action::AddThings => {
                for group in action.groups() {
                    if self.settings.thing_groups.is_some() && !self.fleet.has_group(&group) {
                        return Err(Trouble::NoSuchGroup);
                    }
                    self.fleet.add_things(check, entry, &group, action.overrides())?;
                }
            }
            Action::Publish => {
                let message = self.finding(finding, Times::Millis).ok_or(Trouble::NoSuchResource)?;
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
