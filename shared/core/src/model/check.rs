//! What AWS says of each check: the mitigation actions that it takes, its findings, and how to comply.

pub mod advice;
mod facts;

use super::action::ActionKind;
use crate::ids::CheckName;
use crate::ids::check::KNOWN;

/// The kinds of mitigation action that each check of [`KNOWN`] takes, in its order.
///
/// Source: the developer guide's page "Mitigation actions", table "Audit check to mitigation action mapping", and
/// its sentence that all checks support publishing findings. The table has no row for
/// `DEVICE_CERTIFICATE_AGE_CHECK`: see [`UNDOCUMENTED`].
const TAKES: [&[ActionKind]; 17] = {
    use ActionKind::AddThingsToThingGroup as Group;
    use ActionKind::EnableIotLogging as Logging;
    use ActionKind::PublishFindingToSns as Sns;
    use ActionKind::ReplaceDefaultPolicyVersion as Policy;
    use ActionKind::UpdateCaCertificate as Ca;
    use ActionKind::UpdateDeviceCertificate as Device;
    [
        &[Sns],
        &[Sns, Ca],
        &[Sns, Ca],
        &[Sns],
        &[Sns],
        &[Sns, Device, Group],
        &[Sns, Device, Group],
        &[Sns, Device, Group],
        &[Sns, Device, Group],
        &[Sns, Policy],
        &[Sns, Policy],
        &[Sns],
        &[Sns],
        &[Sns, Logging],
        &[Sns, Ca],
        &[Sns, Device, Group],
        &[Sns],
    ]
};

/// A check, and kinds of action of which AWS says neither that it takes them nor that it does not.
const UNDOCUMENTED: (&str, [ActionKind; 2]) =
    (KNOWN[4], [ActionKind::UpdateDeviceCertificate, ActionKind::AddThingsToThingGroup]);

impl CheckName {
    /// The kinds of mitigation action that AWS documents for the check; none for an unknown check.
    pub fn actions(&self) -> &'static [ActionKind] {
        let at = KNOWN.iter().position(|known| *known == self.as_str());
        at.and_then(|at| TAKES.get(at)).copied().unwrap_or_default()
    }

    /// Whether a finding of the check can be mitigated by a kind of action. None if AWS does not say.
    pub fn takes(&self, kind: ActionKind) -> Option<bool> {
        let (check, kinds) = UNDOCUMENTED;
        let said = self.is_known() && !(self.as_str() == check && kinds.contains(&kind));
        said.then(|| self.actions().contains(&kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_takes_the_actions_that_aws_lists_for_it() {
        let takes = |check: &str, kind| CheckName::new(check).takes(kind);
        assert_eq!(takes("REVOKED_CA_CERT_CHECK", ActionKind::UpdateCaCertificate), Some(true));
        assert_eq!(takes("REVOKED_CA_CERT_CHECK", ActionKind::UpdateDeviceCertificate), Some(false));
        assert_eq!(takes("LOGGING_DISABLED_CHECK", ActionKind::EnableIotLogging), Some(true));
        assert_eq!(takes("DEVICE_CERTIFICATE_AGE_CHECK", ActionKind::UpdateDeviceCertificate), None);
        assert_eq!(takes("DEVICE_CERTIFICATE_AGE_CHECK", ActionKind::UpdateCaCertificate), Some(false));
        assert_eq!(takes("QUANTUM_CHECK", ActionKind::PublishFindingToSns), None);
        for check in KNOWN {
            assert_eq!(takes(check, ActionKind::PublishFindingToSns), Some(true), "{check}");
            let concerns = |kind| CheckName::new(check).actions().contains(&kind);
            assert_eq!(
                concerns(ActionKind::UpdateDeviceCertificate),
                concerns(ActionKind::AddThingsToThingGroup)
            );
            let policies = check.starts_with("IOT_POLICY");
            assert_eq!(concerns(ActionKind::ReplaceDefaultPolicyVersion), policies, "{check}");
        }
    }
}
