//! Which changes of a suppression are undone, and what that takes. Pure.
//!
//! As of mitigations: what is as before, there is nothing to do; what is as the rule left it, is put back; and what is
//! neither was changed since, which only force puts back. What no rule made is left alone, forced or not.

use fleetwarden_core::model::suppression::Described;
use fleetwarden_core::model::suppression::MARK;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::model::suppression::change::Change;
use fleetwarden_core::model::suppression::change::State;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;

/// Which changes are to be undone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'c> {
    /// Only those in this audit.
    pub(crate) audit: Option<&'c str>,
    /// Only those of this rule.
    pub(crate) rule: Option<&'c str>,
    /// Only those since this time: RFC 3339.
    pub(crate) since: Option<&'c str>,
    /// Also what was changed since.
    pub(crate) force: bool,
}

/// What of a suppression's changes is to be undone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Nothing was wanted.
    Nothing,
    /// All from this one on.
    From(usize),
    /// Not even the last one that was wanted, and why.
    Refused(usize, String),
}

/// The one call that puts a suppression back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create(State),
    Update(State),
    Delete,
}

/// What is to be done about a suppression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing: it is as it was before.
    Same,
    /// One call.
    Step(Step),
    /// Nothing, and why.
    Refused(String),
}

impl Wanted<'_> {
    fn takes(&self, change: &Change) -> bool {
        self.audit.is_none_or(|audit| audit == change.audit_task_id)
            && self.rule.is_none_or(|rule| rule == change.rule)
            && self.since.is_none_or(|since| since <= change.at.as_str())
    }

    /// Chooses among the changes of a suppression, the newest of which is the last: those that are wanted, if nothing has
    /// come after them.
    pub(crate) fn choose(&self, changes: &[Change]) -> Choice {
        let Some(last_wanted) = changes.iter().rposition(|change| self.takes(change)) else {
            return Choice::Nothing;
        };
        let after = changes.get(last_wanted + 1..).unwrap_or_default();
        let Some(later) = after.iter().rfind(|change| change.undone.is_none()).filter(|_| !self.force) else {
            let before = changes.get(..last_wanted).unwrap_or_default();
            let run = before.iter().rev().take_while(|change| self.takes(change)).count();
            return Choice::From(last_wanted - run);
        };
        let (rule, audit) = (shown(&later.rule), shown(&later.audit_task_id));
        let undone = changes.get(last_wanted).and_then(|change| change.undone.as_ref());
        let why = match undone {
            Some(undone) => {
                format!("it was undone at {}, and rule '{rule}' made it again in audit {audit}", undone.at)
            }
            None => format!("rule '{rule}' has changed it since, in audit {audit}: undo that first"),
        };
        Choice::Refused(last_wanted, why)
    }
}

impl Step {
    /// In words: the operation, and what it sets.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Create(state) => format!("CreateAuditSuppression, {}", ends(state)),
            Self::Update(state) => format!("UpdateAuditSuppression, {}", ends(state)),
            Self::Delete => "DeleteAuditSuppression".to_owned(),
        }
    }
}

/// What puts a suppression back into its state before a change. One that would have ended by now is none.
pub(crate) fn plan(
    before: Option<&State>,
    after: &State,
    now: Option<&State>,
    at: Millis,
    force: bool,
) -> Plan {
    let before = before.filter(|before| before.is_in_force(at.seconds()));
    let Some(current) = now else {
        return match before {
            None => Plan::Same,
            Some(before) if force => Plan::Step(Step::Create(before.clone())),
            Some(_) => Plan::Refused("it was deleted since".to_owned()),
        };
    };
    if before == Some(current) {
        return Plan::Same;
    }
    if let Some(Described { maker: Maker::Standing(name), .. }) = Described::read(&current.description) {
        return Plan::Refused(format!(
            "the standing suppression '{}' has it now: take the resource out of that in the policy, and deploy",
            shown(name)
        ));
    }
    if !current.description.starts_with(MARK) {
        return Plan::Refused(
            "a person has made it, or changed it since: it is not Fleetwarden's".to_owned(),
        );
    }
    if current != after && !force {
        return Plan::Refused(format!("it was changed since: it {}", ends(current)));
    }
    Plan::Step(before.map_or(Step::Delete, |before| Step::Update(before.clone())))
}

fn ends(state: &State) -> String {
    match state.expires_at {
        Some(at) => format!("ends {}", Millis::from_seconds(at).rfc3339()),
        None => "never ends".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use fleetwarden_core::model::suppression::change::UndoneBy;

    use super::*;

    const NOW: Millis = Millis::from_seconds(1_000);

    fn state(description: &str, expires_at: Option<i64>) -> State {
        State { expires_at, description: description.to_owned() }
    }

    #[test]
    fn what_was_there_is_put_back_and_what_is_not_ours_is_left_alone() {
        let after = state("Fleetwarden: rule lab; x", Some(5_000));
        let former = state("Fleetwarden: rule old; y", Some(3_000));
        let lapsed = state("by Kim", Some(900));
        let plan = |before: Option<&State>, now: Option<&State>, force| plan(before, &after, now, NOW, force);
        assert_eq!(plan(None, Some(&after), false), Plan::Step(Step::Delete));
        assert_eq!(plan(None, None, false), Plan::Same);
        assert_eq!(plan(Some(&former), Some(&after), false), Plan::Step(Step::Update(former.clone())));
        assert_eq!(plan(Some(&former), Some(&former), false), Plan::Same);
        // The service takes no end in the past, and one that has ended suppresses nothing.
        assert_eq!(plan(Some(&lapsed), Some(&after), false), Plan::Step(Step::Delete));
        let refused = |before, now: Option<&State>, force| match plan(before, now, force) {
            Plan::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(Some(&former), None, false), "it was deleted since");
        assert_eq!(plan(Some(&former), None, true), Plan::Step(Step::Create(former.clone())));
        let changed = state("Fleetwarden: rule lab; x", None);
        assert_eq!(refused(None, Some(&changed), false), "it was changed since: it never ends");
        assert_eq!(plan(None, Some(&changed), true), Plan::Step(Step::Delete));
        for force in [false, true] {
            let by_hand = state("by Kim", None);
            assert!(refused(None, Some(&by_hand), force).starts_with("a person has made it"));
            let standing = state("Fleetwarden: standing presses; z", None);
            assert!(refused(None, Some(&standing), force).contains("'presses' has it now"));
        }
    }

    #[test]
    fn the_newest_changes_are_undone_and_what_has_come_after_them_comes_first() {
        let change = |audit: &str, rule: &str, undone: bool| Change {
            audit_task_id: audit.to_owned(),
            rule: rule.to_owned(),
            at: format!("2026-11-2{}T00:00:00Z", audit.len()),
            undone: undone.then(UndoneBy::default),
            ..Change::default()
        };
        let of_audit = |audit| Wanted { audit: Some(audit), ..Wanted::default() };
        let three = [change("a", "r", false), change("bb", "r", false), change("ccc", "s", false)];
        assert_eq!(of_audit("ccc").choose(&three), Choice::From(2));
        assert_eq!(of_audit("x").choose(&three), Choice::Nothing);
        let since = Wanted { since: Some("2026-11-22T00:00:00Z"), ..Wanted::default() };
        assert_eq!(since.choose(&three), Choice::From(1));
        let of_rule = Wanted { rule: Some("r"), ..Wanted::default() };
        assert!(
            matches!(of_rule.choose(&three), Choice::Refused(1, why) if why.contains("rule 's' has changed it"))
        );
        assert_eq!(Wanted { force: true, ..of_rule }.choose(&three), Choice::From(0));
        let undone = [change("a", "r", false), change("bb", "s", true)];
        assert_eq!(of_rule.choose(&undone), Choice::From(0), "what came after it is undone");
        let again = [change("a", "r", true), change("bb", "r", false)];
        assert!(
            matches!(of_audit("a").choose(&again), Choice::Refused(0, why) if why.contains("made it again"))
        );
    }
}
