//! Whether a stack can do what a policy in mode `enforce` has it do, by the parameters that it is deployed with.

use super::Actions;
use crate::policy::AlarmEffect;
use crate::policy::Diagnostic;
use crate::policy::Effect;
use crate::policy::Mode;
use crate::policy::Place;
use crate::policy::Policy;

/// The parameters by which a stack may mitigate. None: nobody said what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// `CreateMitigationActions`: it has the actions of the template, and may start tasks.
    pub creates_actions: Option<bool>,
    /// `AllowMitigation`: it may start tasks.
    pub allows_mitigation: Option<bool>,
}

impl Policy {
    /// What a stack would refuse of this policy, in the order of the file. `actions` are those of its template. A policy
    /// that observes asks nothing of it.
    pub fn lint_deployment(&self, actions: &Actions, deployment: Deployment) -> Vec<Diagnostic> {
        if self.mode() == Mode::Observe {
            return vec![];
        }
        let of_findings = self.rules.iter().filter(|rule| rule.live).filter_map(|rule| match &rule.effect {
            Effect::Mitigate(mitigate) => Some((&mitigate.actions, &rule.places)),
            _ => None,
        });
        let of_alarms =
            self.alarm_rules.iter().filter(|rule| rule.live).filter_map(|rule| match &rule.effect {
                AlarmEffect::Mitigate(mitigate) => Some((&mitigate.actions, &rule.places)),
                _ => None,
            });
        let named = of_findings.chain(of_alarms).flat_map(|(names, places)| names.iter().zip(places.iter()));
        let mut found: Vec<Diagnostic> = named
            .filter_map(|(name, place)| {
                if actions.kinds.contains_key(name) {
                    deployment.of_template(name, *place)
                } else {
                    deployment.of_others(name, *place)
                }
            })
            .collect();
        found.sort();
        found
    }
}

impl Deployment {
    fn of_template(self, name: &str, place: Place) -> Option<Diagnostic> {
        let Self { creates_actions, allows_mitigation } = self;
        Some(match (creates_actions, allows_mitigation) {
            (Some(true), _) => return None,
            (Some(false), Some(true)) => Diagnostic::warning(
                place,
                format!(
                    "the stack does not make '{name}': CreateMitigationActions is false, so each task of the rule is \
                     refused, unless you made an action of this name yourself"
                ),
            ),
            (Some(false), _) => Diagnostic::error(
                place,
                format!(
                    "the stack does not have '{name}': each task of the rule is refused; deploy with \
                     CreateMitigationActions=true, or set 'mode: observe'"
                ),
            ),
            (None, _) => Diagnostic::warning(
                place,
                format!(
                    "a stack has '{name}' only if it is deployed with CreateMitigationActions=true, else it refuses each \
                     task of the rule; if it is, say so: --parameter CreateMitigationActions=true"
                ),
            ),
        })
    }

    fn of_others(self, name: &str, place: Place) -> Option<Diagnostic> {
        let Self { creates_actions, allows_mitigation } = self;
        match (creates_actions, allows_mitigation) {
            (Some(true), _) | (_, Some(true)) => None,
            (Some(false), Some(false)) => Some(Diagnostic::error(
                place,
                format!(
                    "the stack may not start '{name}': each task of the rule is refused; deploy with AllowMitigation=true, \
                     or set 'mode: observe'"
                ),
            )),
            _ => Some(Diagnostic::warning(
                place,
                format!(
                    "a stack may start '{name}' only if it is deployed with AllowMitigation=true, else it refuses each task \
                     of the rule; if it is, say so: --parameter AllowMitigation=true"
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Level;

    const POLICY: &str = "version: 1\nmode: enforce\nrules:\n\
        \x20 - { name: a, match: { check: LOGGING_DISABLED_CHECK }, mitigate: { actions: Ours } }\n\
        \x20 - { name: b, match: { check: DEVICE_CERTIFICATE_SHARED_CHECK }, mitigate: { actions: Theirs } }\n\
        \x20 - { name: c, stage: shadow, match: { check: CA_CERTIFICATE_EXPIRING_CHECK }, mitigate: { actions: Ours } }\n\
        \x20 - { name: d, alarm: { profile: p }, mitigate: { actions: Ours } }\n";

    fn found(
        policy: &str,
        creates_actions: Option<bool>,
        allows_mitigation: Option<bool>,
    ) -> Vec<(u32, Level)> {
        let actions = Actions { kinds: [("Ours".to_owned(), None)].into(), more: false };
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        let found = policy.lint_deployment(&actions, Deployment { creates_actions, allows_mitigation });
        found.iter().map(|found| (found.place.line, found.level)).collect()
    }

    #[test]
    fn what_a_stack_would_refuse_is_said_where_the_action_stands() {
        use Level::{Error, Warning};
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(found(POLICY, None, None), [(4, Warning), (5, Warning), (7, Warning)]);
        assert_eq!(found(POLICY, no, no), [(4, Error), (5, Error), (7, Error)]);
        assert_eq!(found(POLICY, no, yes), [(4, Warning), (7, Warning)]);
        assert_eq!(found(POLICY, yes, no), []);
        assert_eq!(found(&POLICY.replace("mode: enforce", "mode: observe"), no, no), []);
    }
}
