//! What rules have done to a suppression, and what was there before: so that it can be undone.

use serde::Deserialize;
use serde::Serialize;

/// How many changes of one suppression are remembered: the last ones.
const REMEMBERED: usize = 10;

/// A suppression as Device Defender has it, without its check and its resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// When it ends, in seconds since the epoch. None: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Its description.
    pub description: String,
}

/// What a rule has done to a suppression in an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The audit.
    pub audit_task_id: String,
    /// The rule.
    pub rule: String,
    /// When it was written down, which is right before it was done: RFC 3339.
    pub at: String,
    /// What was there before. None: no suppression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<State>,
    /// What the rule made of it.
    pub after: State,
    /// Who has undone it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<UndoneBy>,
}

/// Who has undone a change, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UndoneBy {
    /// When: RFC 3339.
    pub at: String,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl State {
    /// Whether it suppresses something at a moment, in seconds since the epoch.
    #[must_use]
    pub fn is_in_force(&self, at: i64) -> bool {
        self.expires_at.is_none_or(|end| end > at)
    }
}

impl Change {
    /// Whether it is what another try of the same message has written down.
    #[must_use]
    pub fn is_another_try_of(&self, other: &Self) -> bool {
        self.undone.is_none()
            && self.audit_task_id == other.audit_task_id
            && self.rule == other.rule
            && self.after == other.after
    }

    /// Adds it to the changes of a suppression, the newest last; in place of what another try has written down.
    pub fn add_to(self, changes: &mut Vec<Self>) {
        match changes.last_mut().filter(|last| last.is_another_try_of(&self)) {
            Some(last) => last.before = self.before,
            None => changes.push(self),
        }
        let surplus = changes.len().saturating_sub(REMEMBERED);
        changes.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(audit: &str, before: Option<&str>) -> Change {
        let state = |description: &str| State { expires_at: Some(1), description: description.to_owned() };
        Change {
            audit_task_id: audit.to_owned(),
            rule: "lab".to_owned(),
            before: before.map(state),
            after: state("after"),
            ..Change::default()
        }
    }

    #[test]
    fn another_try_corrects_what_was_there_before_and_another_audit_adds_a_change() {
        let mut changes = Vec::new();
        change("a", None).add_to(&mut changes);
        change("a", Some("x")).add_to(&mut changes);
        assert_eq!(changes, [change("a", Some("x"))]);
        change("b", None).add_to(&mut changes);
        assert_eq!(changes.len(), 2);
        changes.last_mut().unwrap().undone = Some(UndoneBy::default());
        change("b", None).add_to(&mut changes);
        assert_eq!(changes.len(), 3, "what is undone is over");
        for n in 0..20 {
            change(&format!("c{n}"), None).add_to(&mut changes);
        }
        assert_eq!((changes.len(), &*changes[0].audit_task_id), (REMEMBERED, "c10"));
    }
}
