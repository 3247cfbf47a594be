//! The kinds of mitigation action.

use std::fmt;

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

    /// Whether it ends connections of devices by itself. Things that join a group lose theirs only by a policy of the group.
    #[must_use]
    pub const fn cuts_off(self) -> bool {
        match self {
            Self::UpdateDeviceCertificate | Self::UpdateCaCertificate | Self::ReplaceDefaultPolicyVersion => {
                true
            }
            Self::PublishFindingToSns | Self::AddThingsToThingGroup | Self::EnableIotLogging => false,
        }
    }

    /// From the API's word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
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

#[cfg(test)]
mod tests {
    use super::*;

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
