//! Limits of devices that nothing needs, and rules that need one.

use super::super::Diagnostic;
use super::super::Effect;
use super::super::Policy;
use super::super::devices::DeviceLimit;
use super::super::devices::DeviceLimits;
use super::Actions;
use crate::model::action::ActionKind;

impl Policy {
    pub(super) fn lint_devices(&self, actions: Option<&Actions>, found: &mut Vec<Diagnostic>) {
        let Some(actions) = actions else { return };
        for rule in &self.rules {
            let Effect::Mitigate(mitigate) = rule.effect() else { continue };
            let kinds = mitigate.actions.iter().map(|name| actions.kinds.get(name).copied().flatten());
            let Some(kinds) = kinds.collect::<Option<Vec<ActionKind>>>() else { continue };
            let what = match (mitigate.devices, mitigate.devices.of(kinds)) {
                (_, DeviceLimit::NotSaid) => {
                    "the rule mitigates nothing: its actions can cut off any number of devices; add how many may stand \
                     behind a finding, as 'devices: { most: 50 }'"
                }
                (DeviceLimits::AtMost { .. }, DeviceLimit::Any) => {
                    "no action of the rule changes anything of a device: 'devices' limits nothing"
                }
                _ => continue,
            };
            found.push(Diagnostic::warning(rule.place, what));
        }
    }
}
