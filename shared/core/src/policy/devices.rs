//! How many devices may stand behind what a mitigation changes, and how many of them may be connected. How many do is asked
//! of the service; here is what may be, and what is said of it.

use super::AlarmEffect;
use super::Effect;
use super::Policy;
use crate::model::action::ActionKind;
use crate::model::mitigation::impact::Connected;
use crate::model::mitigation::impact::Impact;
use crate::model::mitigation::impact::Number;
use crate::model::mitigation::view::GuardAnswer;

/// The names of the guards.
const DEVICES: &str = "devices";
const CONNECTED: &str = "connections";

/// How many devices a rule or a command lets a finding's mitigation concern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceLimits {
    /// It says nothing: a certificate that one device uses may be switched off, and no more.
    #[default]
    Default,
    /// Any number.
    Any,
    /// At most these.
    AtMost {
        /// How many devices.
        most: u64,
        /// How many of them may be connected. None: all.
        connected: Option<u64>,
    },
}

/// How many devices actions may concern, by their kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceLimit {
    /// Nobody has to know.
    Any,
    /// None, however many there are: the rule has to say a number.
    NotSaid,
    /// At most so many, and so many of them connected.
    AtMost(u64, Option<u64>),
}

impl Policy {
    /// How many devices a mitigation of a rule may concern. What is of no rule has the default.
    pub fn device_limits_of(&self, rule: Option<&str>) -> DeviceLimits {
        let of_findings = self.rules.iter().filter_map(|of| match of.effect() {
            Effect::Mitigate(mitigate) => Some((of.name(), mitigate.devices)),
            Effect::Suppress(_) | Effect::Report(_) => None,
        });
        let of_alarms = self.alarm_rules.iter().filter_map(|of| match of.effect() {
            AlarmEffect::Mitigate(mitigate) => Some((of.name(), mitigate.devices)),
            AlarmEffect::Verify(_) | AlarmEffect::Report(_) => None,
        });
        let mut all = of_findings.chain(of_alarms);
        all.find(|(name, _)| Some(*name) == rule).map(|(_, limits)| limits).unwrap_or_default()
    }
}

impl DeviceLimits {
    /// The limit of a finding that actions of these kinds mitigate. What changes nothing of a device has none.
    #[must_use]
    pub fn of(self, kinds: impl IntoIterator<Item = ActionKind>) -> DeviceLimit {
        let (mut concerns, mut one, mut none) = (false, false, false);
        for kind in kinds {
            match kind {
                ActionKind::PublishFindingToSns | ActionKind::EnableIotLogging => {}
                ActionKind::AddThingsToThingGroup => concerns = true,
                ActionKind::UpdateDeviceCertificate => (concerns, one) = (true, true),
                ActionKind::UpdateCaCertificate | ActionKind::ReplaceDefaultPolicyVersion => {
                    (concerns, none) = (true, true);
                }
            }
        }
        match self {
            Self::AtMost { most, connected } if concerns => DeviceLimit::AtMost(most, connected),
            Self::Default if none => DeviceLimit::NotSaid,
            Self::Default if one => DeviceLimit::AtMost(1, None),
            Self::Any | Self::AtMost { .. } | Self::Default => DeviceLimit::Any,
        }
    }
}

impl DeviceLimit {
    /// How many devices there may be. None: none, or nobody has to know.
    #[must_use]
    pub const fn most(self) -> Option<u64> {
        match self {
            Self::AtMost(most, _) => Some(most),
            Self::Any | Self::NotSaid => None,
        }
    }

    /// Why so many devices are too many, if they are. `on`: what they stand behind, as `policy 'P'`.
    #[must_use]
    pub fn over(self, on: &str, devices: Number) -> Option<String> {
        match self {
            Self::NotSaid => {
                Some(format!("{devices} {} {on}, and 'devices' does not say how many may", stand(devices)))
            }
            Self::AtMost(most, _) if devices.is_over(most) => {
                Some(format!("{devices} {} {on}, and at most {most} may", stand(devices)))
            }
            Self::Any | Self::AtMost(..) => None,
        }
    }

    /// How many devices may be connected, if somebody has to ask: all together are more than that.
    #[must_use]
    pub fn asks_connections(self, devices: Number) -> Option<u64> {
        match self {
            Self::AtMost(_, Some(connected)) if devices.is_over(connected) => Some(connected),
            Self::Any | Self::NotSaid | Self::AtMost(..) => None,
        }
    }

    /// Why so many connected devices are too many, if they are.
    #[must_use]
    pub fn over_connected(self, on: &str, connected: Connected) -> Option<String> {
        let limit = self.asks_connections(connected.devices)?;
        let are = if connected.devices == Number::exactly(1) { "is" } else { "are" };
        Some(format!("of the devices behind {on} {connected} {are} connected, and at most {limit} may be"))
    }

    /// What the guards say of a mitigation that they let pass.
    #[must_use]
    pub fn passed(self, impact: &Impact) -> Vec<GuardAnswer> {
        let Self::AtMost(most, connected) = self else { return Vec::new() };
        let passed = |guard: &str, reason: String| GuardAnswer {
            guard: guard.to_owned(),
            passed: true,
            reason: Some(reason),
        };
        let largest = impact.resources.iter().map(|of| of.devices.count).max().unwrap_or_default();
        let devices = impact.devices;
        let mut answers = vec![passed(
            DEVICES,
            format!("{devices} in all, {largest} behind one finding; at most {most} may be"),
        )];
        if let Some(limit) = connected {
            let largest =
                impact.resources.iter().filter_map(|of| of.connected).map(|of| of.devices.count).max();
            let said = match largest {
                Some(largest) => format!("{largest} behind one finding; at most {limit} may be"),
                None => format!("not asked: the devices are no more than {limit}, which may be"),
            };
            answers.push(passed(CONNECTED, said));
        }
        answers
    }

    /// What the guard says of a mitigation of which it lets nothing pass.
    #[must_use]
    pub fn stopped(why: &str, is_connections: bool) -> GuardAnswer {
        let guard = if is_connections { CONNECTED } else { DEVICES };
        GuardAnswer { guard: guard.to_owned(), passed: false, reason: Some(why.to_owned()) }
    }
}

/// The verb of a number of devices.
fn stand(devices: Number) -> &'static str {
    if devices == Number::exactly(1) { "device stands behind" } else { "devices stand behind" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: ActionKind = ActionKind::AddThingsToThingGroup;
    const CUT: ActionKind = ActionKind::UpdateDeviceCertificate;
    const BLANK: ActionKind = ActionKind::ReplaceDefaultPolicyVersion;
    const CA: ActionKind = ActionKind::UpdateCaCertificate;
    const TELL: ActionKind = ActionKind::PublishFindingToSns;

    #[test]
    fn who_says_nothing_may_switch_off_one_device_and_no_policy_or_ca() {
        let of = |kinds: &[ActionKind]| DeviceLimits::Default.of(kinds.iter().copied());
        assert_eq!(of(&[TELL, ActionKind::EnableIotLogging, GROUP]), DeviceLimit::Any);
        assert_eq!(of(&[GROUP, CUT]), DeviceLimit::AtMost(1, None));
        assert_eq!([of(&[BLANK]), of(&[TELL, CA])], [DeviceLimit::NotSaid; 2]);
        for kind in ActionKind::ALL {
            assert_eq!(DeviceLimits::Any.of([kind]), DeviceLimit::Any);
        }
        let limits = DeviceLimits::AtMost { most: 50, connected: Some(0) };
        for kind in [GROUP, CUT, BLANK, CA] {
            assert_eq!(limits.of([kind]), DeviceLimit::AtMost(50, Some(0)));
        }
        assert_eq!(limits.of([TELL]), DeviceLimit::Any);
    }

    #[test]
    fn what_is_too_much_says_how_much_it_is() {
        let many = Number { count: 250, or_more: true };
        let limit = DeviceLimit::AtMost(2, Some(1));
        assert_eq!(limit.over("policy 'P'", Number::exactly(2)), None);
        let said = [
            limit.over("policy 'P'", Number::exactly(3)),
            limit.over("policy 'P'", many),
            DeviceLimit::NotSaid.over("policy 'P'", Number::exactly(1)),
            DeviceLimit::NotSaid.over("policy 'P'", Number::exactly(0)),
            limit.over_connected("it", Connected { devices: Number::exactly(2), unknown: 1 }),
        ];
        insta::assert_snapshot!(said.map(Option::unwrap_or_default).join("\n"), @r"
        3 devices stand behind policy 'P', and at most 2 may
        250 or more devices stand behind policy 'P', and at most 2 may
        1 device stands behind policy 'P', and 'devices' does not say how many may
        0 devices stand behind policy 'P', and 'devices' does not say how many may
        of the devices behind it 2 (of 1 it is not known) are connected, and at most 1 may be
        ");
        assert_eq!(limit.over_connected("it", Connected { devices: Number::exactly(1), unknown: 1 }), None);
        assert_eq!(limit.asks_connections(Number::exactly(1)), None);
        assert_eq!(limit.asks_connections(Number::exactly(2)), Some(1));
        assert_eq!(DeviceLimit::AtMost(2, None).asks_connections(many), None);
        assert_eq!(DeviceLimit::Any.over("it", many), None);
    }
}
