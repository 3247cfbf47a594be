//! Budgets that no mitigation of the policy counts in, and those that never hold one.

use super::super::Budget;
use super::super::Diagnostic;
use super::super::Policy;
use crate::nearest::did_you_mean;

impl Policy {
    pub(super) fn lint_budgets(&self, found: &mut Vec<Diagnostic>) {
        let mitigating: Vec<(&str, &[String])> = self.mitigations().map(|of| (of.rule, of.actions)).collect();
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
        for budget in &self.budgets {
            if let Some(tighter) = self.budgets.iter().find(|other| is_reached_first(other, budget)) {
                let said = format!(
                    "the budget never holds anything: that of {} in line {} counts all that it counts, and lets no more \
                     through in no shorter a time",
                    tighter.label(),
                    tighter.place.line
                );
                found.push(Diagnostic::warning(budget.place, said));
            }
        }
    }
}

/// Whether what goes over a budget goes over another one in any case, by a fleet of any size.
fn is_reached_first(one: &Budget, other: &Budget) -> bool {
    let counts_all = |of: &[String], names: &[String]| {
        of.is_empty() || (!names.is_empty() && names.iter().all(|name| of.contains(name)))
    };
    one.place != other.place
        && counts_all(&one.actions, &other.actions)
        && counts_all(&one.rules, &other.rules)
        && one.group == other.group
        && one.within_seconds >= other.within_seconds
        && one.most <= other.most
        && one.or_share.unwrap_or_default() <= other.or_share.unwrap_or_default()
}
