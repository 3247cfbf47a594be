//! One suppression as the policy wants it, against the one that exists. Pure.

use aws_sdk_iot::operation::describe_audit_suppression::DescribeAuditSuppressionOutput;
use aws_sdk_iot::primitives::DateTime;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::suppression::Described;
use fleetwarden_core::model::suppression::MARK;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;

/// One suppression as it should be.
pub(crate) struct Wish<'m> {
    pub(crate) message: &'m SuppressionMessage,
    pub(crate) resource: &'m ResourceIdentifier,
    pub(crate) description: String,
}

/// What to do about a suppression that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing: it is as it should be.
    Keep,
    /// Bring it up to date.
    Update,
    /// Nothing: it is in force, and no rule may replace it.
    LeaveAlone,
}

impl Wish<'_> {
    /// Compares it with the suppression that exists, under the policy of now.
    pub(crate) fn compare(
        &self,
        current: &DescribeAuditSuppressionOutput,
        policy: &Policy,
        now: Millis,
    ) -> Existing {
        let indefinite = current.suppress_indefinitely() == Some(true);
        // The service keeps seconds; a fraction that comes back says nothing.
        let end = current.expiration_date().map(DateTime::secs).filter(|_| !indefinite);
        let description = current.description().unwrap_or_default();
        let same_end = match self.message.expires_at {
            None => indefinite,
            wanted => !indefinite && end == wanted,
        };
        if same_end && description == self.description {
            return Existing::Keep;
        }
        // One without any end is taken as in force: nothing says that it is not.
        let in_force = indefinite || end.is_none_or(|end| end > now.seconds());
        if in_force && !may_replace(description, policy) { Existing::LeaveAlone } else { Existing::Update }
    }

    /// The check and resource as people read them.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.message.check, shown(&self.resource.label()))
    }
}

/// Whether a rule may replace the suppression with this description. A standing suppression of the policy is the more
/// exact statement.
fn may_replace(description: &str, policy: &Policy) -> bool {
    match Described::read(description).map(|described| described.maker) {
        Some(Maker::Standing(name)) => {
            !policy.standing().iter().any(|standing| standing.name() == name && standing.is_live())
        }
        _ => description.starts_with(MARK),
    }
}
