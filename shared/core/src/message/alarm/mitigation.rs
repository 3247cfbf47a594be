//! The identity of a mitigation of alarms.

use super::AlarmMitigationRequest;
use crate::digest::Digest;
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

    /// Checks that it is of this account and region.
    ///
    /// # Errors
    /// If it is of another.
    pub fn check_place(&self, account: &str, region: &str) -> Result<(), String> {
        if self.account != account {
            return Err(format!("alarms.account: this is account {account}, not '{}'", shown(&self.account)));
        }
        if self.region != region {
            return Err(format!("alarms.region: this is region {region}, not '{}'", shown(&self.region)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::AlarmMitigationMessage;
    use super::*;
    use crate::ids::names::is_name;
    use crate::json;

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
    fn what_is_of_another_account_or_region_is_named() {
        let request = alarms();
        assert_eq!(request.check_place("123456789012", "us-east-1"), Ok(()));
        let wrong = [("210987654321", "us-east-1"), ("123456789012", "eu-west-1")]
            .map(|(account, region)| request.check_place(account, region).unwrap_err());
        insta::assert_snapshot!(wrong.join("\n"));
    }

    #[test]
    fn what_could_not_have_come_from_the_service_is_named() {
        let error = |member: &str, value: &str| {
            let mut message = json!({"alarms": alarms(), "step": "start"});
            *message.pointer_mut(member).unwrap() = value.into();
            json::read::<AlarmMitigationMessage>(&message.to_string()).unwrap_err().to_string()
        };
        let mut of_command = json!(alarms());
        let members = of_command.as_object_mut().unwrap();
        members.remove("rule");
        members.insert("command".into(), "a/b".into());
        let of_command =
            json::read::<AlarmMitigationRequest>(&of_command.to_string()).unwrap_err().to_string();
        let wrong = [
            error("/alarms/account", "me"),
            error("/alarms/region", "eu-west-1\u{1b}[2J"),
            error("/alarms/profile", "a b"),
            error("/alarms/behavior", ""),
            error("/alarms/violations/1/violationId", "v#2"),
            of_command,
        ];
        insta::assert_snapshot!(wrong.join("\n"));
    }
}
