//! Budgets that no mitigation of the policy counts in.

use super::super::AlarmEffect;
use super::super::Diagnostic;
use super::super::Effect;
use super::super::Policy;
use crate::nearest::did_you_mean;

impl Policy {
    pub(super) fn lint_budgets(&self, found: &mut Vec<Diagnostic>) {
        let of_findings = self.rules.iter().filter_map(|rule| match &rule.effect {
            Effect::Mitigate(mitigate) => Some((rule.name.as_str(), mitigate.actions.as_slice())),
            Effect::Suppress(_) | Effect::Report(_) => None,
        });
        let of_alarms = self.alarm_rules.iter().filter_map(|rule| match rule.effect() {
            AlarmEffect::Mitigate(mitigate) => Some((rule.name(), mitigate.actions.as_slice())),
            AlarmEffect::Verify(_) | AlarmEffect::Report(_) => None,
        });
        let mitigating: Vec<(&str, &[String])> = of_findings.chain(of_alarms).collect();
        for budget in &self.budgets {
            if mitigating.iter().any(|(rule, actions)| budget.concerns(Some(rule), actions)) {
                continue;
            }
            let (what, wanted, known): (_, _, Vec<&str>) = if budget.rules.is_empty() {
                let actions = mitigating.iter().flat_map(|(_, actions)| *actions).map(String::as_str);
                ("action", &budget.actions, actions.collect())
            } else {
                ("rule", &budget.rules, mitigating.iter().map(|(rule, _)| *rule).collect())
            };
            let Some(name) = wanted.first() else { continue };
            let said = format!(
                "no rule mitigates by this budget, which names the {what} '{name}'{}",
                did_you_mean(name, known.into_iter().filter(|known| known != name))
            );
            found.push(Diagnostic::warning(budget.place, said));
        }
    }
}
