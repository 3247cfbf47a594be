//! Approvals: when a mitigation waits for a person. Who has approved what is in the ledger; here is what asks for it.

use super::AlarmEffect;
use super::Effect;
use super::Place;
use super::Policy;
use crate::model::mitigation::approval::ExplainedAction;
use crate::model::mitigation::approval::Need;
use crate::model::mitigation::approval::Reason;
use crate::model::mitigation::grade::Grade;
use crate::model::severity::Severity;

/// After how many seconds without an approval a mitigation is rejected, where the policy does not say.
const DEFAULT_WITHIN_SECONDS: i64 = 86_400;

/// When the mitigations of a rule wait for the approval of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Whatever it is.
    pub always: bool,
    /// If any of its findings is at least this severe.
    pub severity: Option<Severity>,
    /// If more devices than these stand behind it.
    pub devices: Option<u64>,
    /// If more devices than these are connected.
    pub connected: Option<u64>,
    /// To start outside of the windows of the policy, of the rule or of an action.
    pub outside_of_window: bool,
    /// To go over a budget.
    pub over_budget: bool,
    /// After how many seconds without an approval it is rejected.
    pub within_seconds: i64,
    /// Where it stands in the file.
    pub place: Place,
}

impl Default for Approval {
    /// Nothing asks for an approval.
    fn default() -> Self {
        Self {
            always: false,
            severity: None,
            devices: None,
            connected: None,
            outside_of_window: false,
            over_budget: false,
            within_seconds: DEFAULT_WITHIN_SECONDS,
            place: Place::default(),
        }
    }
}

/// What is known of a mitigation when its approval is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'f> {
    /// Its actions.
    pub actions: &'f [ExplainedAction],
    /// The worst severity of its findings. None: unknown.
    pub severity: Option<Severity>,
    /// How many devices stand behind it. None: unknown.
    pub devices: Option<u64>,
    /// How many of these are connected. None: unknown.
    pub connected: Option<u64>,
    /// Why no window is open, if none is.
    pub outside_of_window: Option<&'f str>,
    /// Why a budget has no room, if none has.
    pub over_budget: Option<&'f str>,
}

/// Why a mitigation waits for an approval, by what its rule says, if it says something. Empty: it does not wait. What is
/// unknown asks for an approval wherever a rule depends on it.
#[must_use]
pub fn needs(approval: Option<&Approval>, facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut reason = |need, why: String| reasons.push(Reason { need, why });
    for action in facts.actions.iter().filter(|action| action.grade == Grade::Irreversible) {
        reason(Need::Irreversible, format!("nobody can say how action {} is taken back", action.name));
    }
    let Some(approval) = approval else { return reasons };
    if approval.always {
        reason(Need::Always, "the rule asks for an approval always".to_owned());
    }
    if let Some(least) = approval.severity {
        match facts.severity {
            // The worst comes first.
            Some(severity) if severity != Severity::Unknown && severity > least => {}
            Some(severity) => {
                reason(Need::Severity, format!("a finding is {severity}: the rule says {least}"));
            }
            None => reason(
                Need::Severity,
                format!("how severe its findings are is unknown: the rule says {least}"),
            ),
        }
    }
    let mut number = |need, most: Option<u64>, is: Option<u64>, what: &str| match (most, is) {
        (None, _) => {}
        (Some(most), Some(is)) if is <= most => {}
        (Some(most), Some(is)) => reason(need, format!("{is} devices {what}: more than {most}")),
        (Some(most), None) => {
            reason(need, format!("how many devices {what} is unknown: the rule says {most}"));
        }
    };
    number(Need::Devices, approval.devices, facts.devices, "stand behind it");
    number(Need::Connected, approval.connected, facts.connected, "are connected");
    if let Some(why) = facts.outside_of_window.filter(|_| approval.outside_of_window) {
        reason(Need::OutsideOfWindow, why.to_owned());
    }
    if let Some(why) = facts.over_budget.filter(|_| approval.over_budget) {
        reason(Need::OverBudget, why.to_owned());
    }
    reasons
}

impl Approval {
    /// The shortest and the longest time in which a person approves.
    pub const WITHIN_SECONDS: (i64, i64) = (15 * 60, 7 * 86_400);

    /// Whether it depends on what the findings are: a task of a whole check does not know them.
    #[must_use]
    pub const fn looks_at_findings(&self) -> bool {
        self.severity.is_some() || self.devices.is_some() || self.connected.is_some()
    }

    /// Whether nothing asks for an approval.
    pub(super) const fn is_empty(&self) -> bool {
        !self.always && !self.looks_at_findings() && !self.outside_of_window && !self.over_budget
    }
}

impl Policy {
    /// When the mitigations of a rule, on findings or on alarms, wait for an approval. None: the rule says nothing of it.
    pub fn approval_of(&self, rule: Option<&str>) -> Option<&Approval> {
        let rule = rule?;
        let of_findings = self.rules.iter().find(|of| of.name == rule).and_then(|of| match &of.effect {
            Effect::Mitigate(mitigate) => mitigate.approval.as_ref(),
            Effect::Suppress(_) | Effect::Report(_) => None,
        });
        of_findings.or_else(|| {
            self.alarm_rules.iter().find(|of| of.name() == rule).and_then(|of| match of.effect() {
                AlarmEffect::Mitigate(mitigate) => mitigate.approval.as_ref(),
                AlarmEffect::Verify(_) | AlarmEffect::Report(_) => None,
            })
        })
    }

    /// Whether a mitigation that a command asks for needs the approval of another person.
    pub const fn asks_for_two_persons(&self) -> bool {
        self.two_persons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(grade: Grade) -> ExplainedAction {
        ExplainedAction { name: "Off".into(), does: "UPDATE_DEVICE_CERTIFICATE".into(), grade }
    }

    fn asked(approval: Option<&Approval>, facts: &Facts<'_>) -> Vec<Need> {
        needs(approval, facts).into_iter().map(|reason| reason.need).collect()
    }

    #[test]
    fn what_cannot_be_taken_back_waits_whatever_the_rule_says() {
        let (back, never) = ([action(Grade::Hard)], [action(Grade::Reversible), action(Grade::Irreversible)]);
        assert_eq!(asked(None, &Facts { actions: &back, ..Facts::default() }), []);
        assert_eq!(asked(None, &Facts { actions: &never, ..Facts::default() }), [Need::Irreversible]);
    }

    #[test]
    fn a_threshold_asks_from_its_value_on_and_where_nothing_is_known() {
        let approval = Approval {
            severity: Some(Severity::High),
            devices: Some(5),
            connected: Some(0),
            ..Approval::default()
        };
        let facts = |severity, devices, connected| Facts { severity, devices, connected, ..Facts::default() };
        let of = |severity, devices, connected| asked(Some(&approval), &facts(severity, devices, connected));
        assert_eq!(of(Some(Severity::Medium), Some(5), Some(0)), []);
        assert_eq!(
            of(Some(Severity::High), Some(6), Some(1)),
            [Need::Severity, Need::Devices, Need::Connected]
        );
        assert_eq!(of(Some(Severity::Critical), Some(0), Some(0)), [Need::Severity]);
        assert_eq!(of(Some(Severity::Unknown), Some(0), Some(0)), [Need::Severity]);
        assert_eq!(of(None, None, None), [Need::Severity, Need::Devices, Need::Connected]);
    }

    #[test]
    fn a_window_and_a_budget_ask_only_where_the_rule_says_so() {
        let facts = Facts {
            outside_of_window: Some("outside"),
            over_budget: Some("over"),
            severity: Some(Severity::Low),
            ..Facts::default()
        };
        let both = Approval { outside_of_window: true, over_budget: true, ..Approval::default() };
        assert_eq!(asked(Some(&both), &facts), [Need::OutsideOfWindow, Need::OverBudget]);
        assert_eq!(asked(Some(&Approval { always: true, ..Approval::default() }), &facts), [Need::Always]);
        assert_eq!(asked(Some(&both), &Facts::default()), []);
    }
}
