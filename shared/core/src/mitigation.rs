//! The identity of a mitigation, the kinds of action that there are, and a task as the ledger has it ([`view`]).

pub mod view;

use std::fmt;

use crate::alarm::message::AlarmMitigationRequest;
use crate::digest::Digest;
use crate::message::MitigationRequest;
use crate::message::Origin;
use crate::message::Target;
use crate::names::is_name;
use crate::names::is_thing_name;
use crate::names::is_violation_id;
use crate::untrusted::shown;

/// How many finding ids one task takes (`AuditMitigationActionsTaskTarget.findingIds`).
pub const MAX_FINDINGS: usize = 25;
/// How many violations one task takes (`DetectMitigationActionsTaskTarget.violationIds`).
pub const MAX_VIOLATIONS: usize = 25;
/// How many reason codes a check can be filtered by (`auditCheckToReasonCodeFilter`).
pub const MAX_REASON_CODES: usize = 25;

/// The states of a mitigation task in the ledger. docs/operate.md says what they mean.
pub const STATES: [&str; 11] = [
    "claimed",
    "observed",
    "held",
    "superseded",
    "started",
    "completed",
    "failed",
    "canceled",
    "lost",
    "refused",
    "given-up",
];

/// What a mitigation action does.
///
/// Source: `MitigationActionType` of `ListMitigationActions`, and `ActionParams` of `AWS::IoT::MitigationAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// Publish the finding to an SNS topic.
    PublishFindingToSns,
    /// Set device certificates inactive.
    UpdateDeviceCertificate,
    /// Set CA certificates inactive.
    UpdateCaCertificate,
    /// Add the things behind a certificate to thing groups.
    AddThingsToThingGroup,
    /// Make a blank version of an AWS IoT policy its default.
    ReplaceDefaultPolicyVersion,
    /// Switch AWS IoT logging on.
    EnableIotLogging,
}

impl ActionKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::PublishFindingToSns,
        Self::UpdateDeviceCertificate,
        Self::UpdateCaCertificate,
        Self::AddThingsToThingGroup,
        Self::ReplaceDefaultPolicyVersion,
        Self::EnableIotLogging,
    ];

    /// The API's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublishFindingToSns => "PUBLISH_FINDING_TO_SNS",
            Self::UpdateDeviceCertificate => "UPDATE_DEVICE_CERTIFICATE",
            Self::UpdateCaCertificate => "UPDATE_CA_CERTIFICATE",
            Self::AddThingsToThingGroup => "ADD_THINGS_TO_THING_GROUP",
            Self::ReplaceDefaultPolicyVersion => "REPLACE_DEFAULT_POLICY_VERSION",
            Self::EnableIotLogging => "ENABLE_IOT_LOGGING",
        }
    }

    /// From the one member of a template's `ActionParams`, such as `UpdateCACertificateParams`.
    pub fn of_params(member: &str) -> Option<Self> {
        let bare = member.strip_suffix("Params")?;
        let plain = |kind: &Self| kind.as_str().split('_').collect::<String>();
        Self::ALL.into_iter().find(|kind| plain(kind).eq_ignore_ascii_case(bare))
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl MitigationRequest {
    /// The mitigation task's id. What a rule asks for has one that is also the token of the call that starts it:
    /// made from audit, check, rule, actions and findings, so that a repeat names the same task. 35 characters of
    /// `[a-z0-9-]`.
    pub fn task_id(&self) -> String {
        let rule = match &self.origin {
            Origin::Rule(rule) => rule,
            Origin::Command(task_id) => return task_id.clone(),
        };
        let digest = Digest::new("mitigation")
            .part(&self.audit.account)
            .part(&self.audit.region)
            .part(&self.audit.task_id)
            .part(self.check.as_str())
            .part(rule)
            .parts(self.actions.iter().map(String::as_str));
        let digest = match &self.target {
            Target::Findings(findings) => {
                let mut ids: Vec<&str> = findings.iter().map(|f| f.finding_id.as_str()).collect();
                ids.sort_unstable();
                digest.parts(ids.into_iter())
            }
            Target::WholeCheck { reason_codes, .. } => {
                digest.part("whole check").parts(reason_codes.iter().map(String::as_str))
            }
        };
        format!("fw-{}", digest.hex())
    }

    /// Finds what is wrong with its names, as [`Audit::verify`](crate::message::Audit::verify) does.
    ///
    /// # Errors
    /// The first member whose value could not have come from the service, or is of another account.
    pub fn verify(&self, account: &str) -> Result<(), String> {
        self.audit.verify(account, &self.check)?;
        match &self.origin {
            Origin::Command(id) if !is_name(id) => {
                Err(format!("command: '{}' is no id of a mitigation task", shown(id)))
            }
            _ => Ok(()),
        }
    }

    /// How many findings the mitigation is for.
    pub fn count(&self) -> u64 {
        self.target.count()
    }
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

impl Target {
    /// How many findings that is.
    pub fn count(&self) -> u64 {
        match self {
            Self::Findings(findings) => findings.len() as u64,
            Self::WholeCheck { count, .. } => *count,
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

    #[test]
    fn a_template_names_each_kind() {
        let members = [
            "PublishFindingToSnsParams",
            "UpdateDeviceCertificateParams",
            "UpdateCACertificateParams",
            "AddThingsToThingGroupParams",
            "ReplaceDefaultPolicyVersionParams",
            "EnableIoTLoggingParams",
        ];
        assert_eq!(members.map(ActionKind::of_params), ActionKind::ALL.map(Some));
        assert_eq!(ActionKind::of_params("UpdateCACertificate"), None);
    }
}
