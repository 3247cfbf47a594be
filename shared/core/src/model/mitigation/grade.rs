//! How hard it is to take a mitigation action back. Pure: from the action as `DescribeMitigationAction` gives it.
//!
//! Device Defender takes nothing back by itself. What counts is what a person, or an undo, has to know and to call.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::model::action::ActionKind;

/// How hard it is to take back what an action does, the easiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// One call on the resource, which needs nothing that is not known after the action.
    Reversible,
    /// It takes the state from before the action, which nothing has afterwards.
    Hard,
    /// It cannot be taken back, or nobody can say how.
    Irreversible,
}

/// What of an action's parameters its grade depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'p> {
    /// The `action` of a certificate's parameters: the status that a certificate gets.
    pub certificate: Option<&'p str>,
    /// Whether `overrideDynamicGroups` is set.
    pub overrides_dynamic_groups: bool,
    /// The `templateName` of the policy's new version.
    pub policy_template: Option<&'p str>,
}

impl Grade {
    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reversible => "reversible",
            Self::Hard => "hard",
            Self::Irreversible => "irreversible",
        }
    }

    /// The grade of an action, by its type and parameters. A type or a parameter that is not known here is irreversible.
    ///
    /// | type | grade | why |
    /// |---|---|---|
    /// | `PUBLISH_FINDING_TO_SNS` | reversible | it changes no resource |
    /// | `UPDATE_DEVICE_CERTIFICATE` with `DEACTIVATE` | reversible | `UpdateCertificate` sets it `ACTIVE` again |
    /// | `UPDATE_CA_CERTIFICATE` with `DEACTIVATE` | reversible | `UpdateCACertificate` sets it `ACTIVE` again |
    /// | `ADD_THINGS_TO_THING_GROUP` | reversible | `RemoveThingFromThingGroup` |
    /// | the same with `overrideDynamicGroups` | hard | a thing can leave a dynamic group for it ("can move the things … even if they are part of one or more dynamic thing groups", `AddThingsToThingGroupParams`) |
    /// | `REPLACE_DEFAULT_POLICY_VERSION` with `BLANK_POLICY` | hard | `SetDefaultPolicyVersion` needs the version that was the default |
    /// | `ENABLE_IOT_LOGGING` | hard | role and level from before are written over (`SetV2LoggingOptions`) |
    ///
    /// Source: `MitigationActionParams` of the AWS IoT API reference, and "Mitigation actions" of the developer guide.
    ///
    /// Nothing here revokes a certificate: `DEACTIVATE` is the one value of both parameters, and what creates an action
    /// refuses any other ([`api`](crate::api)). Were there another, it would be irreversible.
    #[must_use]
    pub fn of(kind: Option<ActionKind>, params: Params<'_>) -> Self {
        match kind {
            Some(ActionKind::PublishFindingToSns) => Self::Reversible,
            Some(ActionKind::UpdateDeviceCertificate | ActionKind::UpdateCaCertificate) => {
                if params.certificate == Some("DEACTIVATE") { Self::Reversible } else { Self::Irreversible }
            }
            Some(ActionKind::AddThingsToThingGroup) => {
                if params.overrides_dynamic_groups {
                    Self::Hard
                } else {
                    Self::Reversible
                }
            }
            Some(ActionKind::ReplaceDefaultPolicyVersion) => {
                if params.policy_template == Some("BLANK_POLICY") { Self::Hard } else { Self::Irreversible }
            }
            Some(ActionKind::EnableIotLogging) => Self::Hard,
            None => Self::Irreversible,
        }
    }

    /// The grade of an action as `DescribeMitigationAction` answers: `actionType` and `actionParams`.
    #[must_use]
    pub fn of_described(described: &Value) -> Self {
        let kind = described.get("actionType").and_then(Value::as_str).unwrap_or_default();
        let param = |pointer: &str| described.pointer(&format!("/actionParams/{pointer}"));
        let text = |pointer| param(pointer).and_then(Value::as_str);
        let overrides = param("addThingsToThingGroupParams/overrideDynamicGroups");
        let params = Params {
            certificate: text("updateDeviceCertificateParams/action")
                .or_else(|| text("updateCACertificateParams/action")),
            overrides_dynamic_groups: overrides.and_then(Value::as_bool).unwrap_or_default(),
            policy_template: text("replaceDefaultPolicyVersionParams/templateName"),
        };
        Self::of(ActionKind::of(kind), params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_the_grade_of_its_type_and_parameters() {
        let deactivate = Params { certificate: Some("DEACTIVATE"), ..Params::default() };
        let blank = Params { policy_template: Some("BLANK_POLICY"), ..Params::default() };
        let overrides = Params { overrides_dynamic_groups: true, ..Params::default() };
        let of = |kind, params| Grade::of(Some(kind), params);
        assert_eq!(of(ActionKind::UpdateDeviceCertificate, deactivate), Grade::Reversible);
        assert_eq!(of(ActionKind::UpdateCaCertificate, deactivate), Grade::Reversible);
        assert_eq!(of(ActionKind::AddThingsToThingGroup, Params::default()), Grade::Reversible);
        assert_eq!(of(ActionKind::PublishFindingToSns, Params::default()), Grade::Reversible);
        assert_eq!(of(ActionKind::AddThingsToThingGroup, overrides), Grade::Hard);
        assert_eq!(of(ActionKind::ReplaceDefaultPolicyVersion, blank), Grade::Hard);
        assert_eq!(of(ActionKind::EnableIotLogging, Params::default()), Grade::Hard);
    }

    #[test]
    fn what_the_service_describes_has_the_same_grade() {
        let of = |kind: &str, params: Value| {
            Grade::of_described(&serde_json::json!({"actionType": kind, "actionParams": params}))
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let deactivate = json(r#"{"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}"#);
        assert_eq!(of("UPDATE_DEVICE_CERTIFICATE", deactivate), Grade::Reversible);
        let authority = json(r#"{"updateCACertificateParams": {"action": "DEACTIVATE"}}"#);
        assert_eq!(of("UPDATE_CA_CERTIFICATE", authority), Grade::Reversible);
        let groups = json(
            r#"{"addThingsToThingGroupParams": {"thingGroupNames": ["q"], "overrideDynamicGroups": true}}"#,
        );
        assert_eq!(of("ADD_THINGS_TO_THING_GROUP", groups), Grade::Hard);
        let blank = json(r#"{"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}}"#);
        assert_eq!(of("REPLACE_DEFAULT_POLICY_VERSION", blank), Grade::Hard);
        assert_eq!(of("SOMETHING_NEW", json("{}")), Grade::Irreversible);
        assert_eq!(Grade::of_described(&Value::Null), Grade::Irreversible);
    }

    #[test]
    fn what_is_not_known_is_irreversible() {
        assert_eq!(Grade::of(None, Params::default()), Grade::Irreversible);
        for certificate in [None, Some("REVOKED"), Some("deactivate")] {
            let params = Params { certificate, ..Params::default() };
            for kind in [ActionKind::UpdateDeviceCertificate, ActionKind::UpdateCaCertificate] {
                assert_eq!(Grade::of(Some(kind), params), Grade::Irreversible, "{certificate:?}");
            }
        }
        let kind = Some(ActionKind::ReplaceDefaultPolicyVersion);
        assert_eq!(Grade::of(kind, Params::default()), Grade::Irreversible);
        assert!(Grade::Reversible < Grade::Hard && Grade::Hard < Grade::Irreversible);
    }
}
