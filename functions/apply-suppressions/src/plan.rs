//! One suppression as the policy wants it, against the one that exists. Pure.

use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::suppression::Described;
use fleetwarden_core::model::suppression::MARK;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::model::suppression::change::Change;
use fleetwarden_core::model::suppression::change::State;
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
    pub(crate) fn compare(&self, current: &State, policy: &Policy, now: Millis) -> Existing {
        // One without any end is taken as one that never ends: nothing says that it does.
        let State { expires_at, description } = current;
        if *expires_at == self.message.expires_at && *description == self.description {
            return Existing::Keep;
        }
        let in_force = current.is_in_force(now.seconds());
        if in_force && !may_replace(description, policy) { Existing::LeaveAlone } else { Existing::Update }
    }

    /// What is done to the suppression, with what was there before.
    pub(crate) fn change(&self, before: Option<State>, now: Millis) -> Change {
        let after = State { expires_at: self.message.expires_at, description: self.description.clone() };
        Change {
            audit_task_id: self.message.audit.task_id.to_string(),
            rule: self.message.rule.clone(),
            at: now.rfc3339(),
            before,
            after,
            undone: None,
        }
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
