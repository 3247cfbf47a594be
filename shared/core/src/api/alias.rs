//! The aliases by which the functions of commands are invoked. IAM cannot tell the commands of one function apart, and it
//! can tell its aliases apart: so who may invoke an alias may give the commands of that alias and no others.

use super::MITIGATION;
use super::Operation;

/// Of commands that change nothing.
pub const READ: &str = "read";
/// Of a person's word on what waits for it.
pub const APPROVE: &str = "approve";
/// Of what stops mitigation, lets it go on, ends it and puts it back.
pub const OPERATE: &str = "operate";
/// The name of a function's code as it is now, which is no alias.
const LATEST: &str = "$LATEST";

impl Operation {
    /// The alias that takes it. None: only the function itself does.
    #[must_use]
    pub fn alias(&self) -> Option<&'static str> {
        match self.name {
            "MitigationApprove" | "MitigationReject" => Some(APPROVE),
            _ if !self.changes() => Some(READ),
            name => MITIGATION.iter().any(|own| own.name == name).then_some(OPERATE),
        }
    }
}

/// The alias or version in the ARN by which a function was invoked. None: the function itself.
#[must_use]
pub fn of_arn(arn: &str) -> Option<&str> {
    arn.splitn(8, ':').nth(7).filter(|qualifier| *qualifier != LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::audit_commands;
    use crate::api::detect_commands;

    #[test]
    fn each_command_has_the_alias_of_what_it_does() {
        let of_mitigation: Vec<String> =
            MITIGATION.iter().map(|own| format!("{} {}", own.name, own.alias().unwrap())).collect();
        insta::assert_snapshot!(of_mitigation.join("\n"), @r"
        MitigationApprove approve
        MitigationBudget read
        MitigationCancel operate
        MitigationList read
        MitigationPause operate
        MitigationReject approve
        MitigationResume operate
        MitigationShow read
        MitigationUndo operate
        SuppressionUndo operate
        ");
        for operation in audit_commands().chain(detect_commands()) {
            let expected = (!operation.changes()).then_some(READ);
            assert_eq!(operation.alias(), expected, "{}", operation.name);
        }
    }

    #[test]
    fn an_arn_says_by_which_alias_it_was_invoked() {
        let function = "arn:aws:lambda:us-east-1:123456789012:function:f";
        assert_eq!(of_arn(function), None);
        assert_eq!(of_arn(&format!("{function}:$LATEST")), None);
        assert_eq!(of_arn(&format!("{function}:read")), Some("read"));
        assert_eq!(of_arn(&format!("{function}:read:x")), Some("read:x"));
        assert_eq!(of_arn(&format!("{function}:")), Some(""));
        assert_eq!(of_arn(""), None);
    }
}
