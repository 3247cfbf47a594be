//! What travels on the queues about alarms. All of it is JSON.

use serde::Deserialize;
use serde::Serialize;

use super::mitigation::Origin;
use super::mitigation::Round;
use crate::digest::Digest;
use crate::ids::names::is_name;
use crate::ids::names::is_thing_name;
use crate::ids::names::is_violation_id;
use crate::model::alarm::AlarmEvent;
use crate::policy::Mode;
use crate::timestamp::Millis;
use crate::untrusted::shown;

/// Alarm queue: what Fleetwarden's own functions put there, beside what comes by SNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "one is made at a time, to be written or read")]
pub enum AlarmMessage {
    /// An event that no message told of: the watch found it at the service.
    Found(AlarmEvent),
    /// A violation has settled, or an incident that held it is over: decide on it.
    Settle(Settle),
}

/// A violation to decide on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settle {
    /// Which violation.
    pub violation_id: String,
    /// Which of its raises, should the service use an id again.
    pub raised_at: Millis,
    /// Not before this moment: a longer wait than one message's delay takes several messages.
    pub not_before: Millis,
    /// Which message of its chain this is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round: Option<Round>,
}

/// Mitigation queue: violations to mitigate, told from a [`MitigationMessage`](crate::message::MitigationMessage) by its
/// member `alarms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmMitigationMessage {
    /// What is to be mitigated, and how.
    pub alarms: AlarmMitigationRequest,
    /// What comes next.
    pub step: AlarmStep,
    /// How often this step has been put off.
    #[serde(default)]
    pub waits: u32,
    /// Since when this step is put off. None: it has not been.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Millis>,
    /// Which message of its chain this is, if the step sent it to itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round: Option<Round>,
}

impl AlarmMitigationMessage {
    /// A message that nothing has put off.
    pub const fn new(alarms: AlarmMitigationRequest, step: AlarmStep) -> Self {
        Self { alarms, step, waits: 0, since: None, round: None }
    }
}

/// A mitigation of violations of one behavior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmMitigationRequest {
    /// 12 digits.
    pub account: String,
    /// As `us-east-1`.
    pub region: String,
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// Who asks for it: a member of its own, `rule` or `command`.
    #[serde(flatten)]
    pub origin: Origin,
    /// The policy's mode when it was decided.
    pub mode: Mode,
    /// The hash of the policy by which a rule decided. None of a command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// One to five mitigation actions, in order.
    pub actions: Vec<String>,
    /// Of which violations, 1 to 25.
    pub violations: Vec<ViolationRef>,
    /// Release what was added to a group when the alarm has been clear for so many seconds. None: never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub release_after_seconds: Option<i64>,
}

/// A violation and its device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViolationRef {
    /// Its id.
    pub violation_id: String,
    /// The thing's name, or a client id.
    pub thing: String,
    /// Which of its raises.
    pub raised_at: Millis,
}

/// What is to be done with a mitigation of alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AlarmStep {
    /// Start the task.
    Start,
    /// Start the task: it came outside of the policy's windows and has been held.
    Held {
        /// Since when.
        since: Millis,
        /// Until when, as the ledger has it.
        until: Millis,
    },
    /// See whether the task has ended.
    Follow,
    /// See whether things can be released that the task has put into groups.
    Release,
}

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
