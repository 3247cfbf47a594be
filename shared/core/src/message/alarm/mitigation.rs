//! The identity of a mitigation of alarms.

use super::AlarmMitigationRequest;
use crate::digest::Digest;
use crate::ids::names::is_name;
use crate::ids::names::is_thing_name;
use crate::ids::names::is_violation_id;
use crate::message::Origin;
use crate::untrusted::shown;

impl AlarmMitigationRequest {
    /// The mitigation task's id. What a rule asks for has one that is also the token of the call that starts it: made
    /// from account, region, profile, behavior, rule, actions and violations, each with the raise that it is about, so
    /// that a repeat names the same task. 35 characters of `[a-z0-9-]`.
    pub fn task_id(&self) -> String {
        let rule = match &self.origin {
            Origin::Rule(rule) => rule,
            Origin::Command(task_id) => return task_id.clone(),
        };
        let mut raises: Vec<String> =
            self.violations.iter().map(|of| format!("{} {}", of.violation_id, of.raised_at.0)).collect();
        raises.sort_unstable();
        raises.dedup();
        let digest = Digest::new("alarm mitigation")
            .part(&self.account)
            .part(&self.region)
            .part(&self.profile)
            .part(&self.behavior)
            .part(rule)
            .parts(self.actions.iter().map(String::as_str))
            .parts(raises.iter().map(String::as_str));
        format!("fw-{}", digest.hex())
    }

    /// Finds what is wrong with its names.
    ///
    /// # Errors
    /// The first member whose value could not have come from the service, or is of another account or region.
    pub fn verify(&self, account: &str, region: &str) -> Result<(), String> {
        let alarms = |what: String| Err(format!("alarms.{what}"));
        if self.account != account {
            return alarms(format!("account: this is account {account}, not '{}'", shown(&self.account)));
        }
        if self.region != region {
            return alarms(format!("region: this is region {region}, not '{}'", shown(&self.region)));
        }
        for (member, name) in [("profile", &self.profile), ("behavior", &self.behavior)] {
            // A profile and a behavior are named as things are.
            if !is_thing_name(name) {
                return alarms(format!("{member}: '{}' is no name of the service", shown(name)));
            }
        }
        if let Origin::Command(id) = &self.origin
            && !is_name(id)
        {
            return alarms(format!("command: '{}' is no id of a mitigation task", shown(id)));
        }
        match self.violations.iter().position(|violation| !is_violation_id(&violation.violation_id)) {
            Some(bad) => alarms(format!("violations[{bad}] has no violation id of the service")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alarms() -> AlarmMitigationRequest {
        let violation = |id: &str, at| json!({"violationId": id, "thing": "t", "raisedAt": at});
        serde_json::from_value(json!({
            "account": "123456789012", "region": "us-east-1", "profile": "all:things", "behavior": "messages",
            "rule": "quarantine", "mode": "enforce", "actions": ["A", "B"],
            "violations": [violation("v-1", 5), violation("v-2", 6)],
        }))
        .unwrap()
    }

    #[test]
    fn a_repeat_names_the_same_task_and_everything_else_another() {
        let mut repeat = alarms();
        repeat.violations.reverse();
        assert_eq!(repeat.task_id(), alarms().task_id());
        assert!(is_name(&alarms().task_id()) && alarms().task_id().len() == 35);
        let changes: [fn(&mut AlarmMitigationRequest); 8] = [
            |of| of.account = "210987654321".into(),
            |of| of.region = "eu-west-1".into(),
            |of| of.profile = "other".into(),
            |of| of.behavior = "other".into(),
            |of| of.origin = Origin::Rule("other".into()),
            |of| of.actions.reverse(),
            |of| of.violations.truncate(1),
            |of| of.violations[1].raised_at.0 += 1,
        ];
        let mut ids: Vec<String> = changes
            .iter()
            .map(|change| {
                let mut other = alarms();
                change(&mut other);
                other.task_id()
            })
            .collect();
        ids.push(alarms().task_id());
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 9);
    }

    #[test]
    fn what_could_not_have_come_from_the_service_is_named() {
        let verify = |change: fn(&mut AlarmMitigationRequest)| {
            let mut request = alarms();
            change(&mut request);
            request.verify("123456789012", "us-east-1")
        };
        assert_eq!(verify(|_| ()), Ok(()));
        let wrong = [
            verify(|of| of.account = "210987654321".into()),
            verify(|of| of.region = "eu-west-1\u{1b}[2J".into()),
            verify(|of| of.profile = "a b".into()),
            verify(|of| of.behavior = String::new()),
            verify(|of| of.origin = Origin::Command("a/b".into())),
            verify(|of| of.violations[1].violation_id = "v#2".into()),
        ];
        insta::assert_debug_snapshot!(wrong);
    }
}
