//! The rules that mitigate, on findings and on alarms, with what both kinds have.

use super::AlarmEffect;
use super::Approval;
use super::DeviceLimits;
use super::Effect;
use super::Place;
use super::Policy;
use super::Rule;
use super::Windows;

/// A rule that mitigates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mitigation<'p> {
    /// The rule's name.
    pub(super) rule: &'p str,
    /// Where it stands.
    pub(super) place: Place,
    /// The rule on findings. None: it is on alarms.
    pub(super) of_findings: Option<&'p Rule>,
    pub(super) actions: &'p [String],
    pub(super) approval: Option<&'p Approval>,
    pub(super) devices: DeviceLimits,
    /// The rule's own windows.
    pub(super) windows: Option<&'p Windows>,
}

impl Policy {
    /// The rules that mitigate: on findings in order, then on alarms in order.
    pub(super) fn mitigations(&self) -> impl Iterator<Item = Mitigation<'_>> {
        let of_findings = self.rules.iter().filter_map(|rule| match &rule.effect {
            Effect::Mitigate(mitigate) => Some(Mitigation {
                rule: &rule.name,
                place: rule.place,
                of_findings: Some(rule),
                actions: &mitigate.actions,
                approval: mitigate.approval.as_ref(),
                devices: mitigate.devices,
                windows: mitigate.windows.as_deref(),
            }),
            Effect::Suppress(_) | Effect::Report(_) => None,
        });
        let of_alarms = self.alarm_rules.iter().filter_map(|rule| match rule.effect() {
            AlarmEffect::Mitigate(mitigate) => Some(Mitigation {
                rule: rule.name(),
                place: rule.place(),
                of_findings: None,
                actions: &mitigate.actions,
                approval: mitigate.approval.as_ref(),
                devices: mitigate.devices,
                windows: mitigate.windows.as_deref(),
            }),
            AlarmEffect::Verify(_) | AlarmEffect::Report(_) => None,
        });
        of_findings.chain(of_alarms)
    }
}
