//! Canaries that never start, watches that outlast an audit's turn, and what is looked at in vain.

use super::super::Budget;
use super::super::Diagnostic;
use super::super::Effect;
use super::super::Mitigate;
use super::super::Policy;
use super::super::canary::First;
use super::super::canary::StopIf;
use super::Actions;
use crate::model::action::ActionKind;
use crate::model::mitigation::MAX_FINDINGS;

/// Audits run once a day at the most often (`CreateScheduledAudit`).
const BETWEEN_AUDITS_SECONDS: i64 = 86_400;

impl Policy {
    pub(super) fn lint_canaries(&self, actions: Option<&Actions>, found: &mut Vec<Diagnostic>) {
        for rule in &self.rules {
            let Effect::Mitigate(mitigate) = &rule.effect else { continue };
            let Some(canary) = &mitigate.canary else { continue };
            let mut budgets = self.budgets_of(Some(&rule.name), &mitigate.actions);
            if let First::Count(first) = canary.first
                && let Some(budget) = budgets.find(|budget| budget.most < u64::from(first))
            {
                let then = match budget.or_share {
                    None => "it never starts",
                    Some(_) => "it starts only if the share of the fleet is as large",
                };
                let what = format!(
                    "the canary has {first} findings, and the budget of {} has room for {}: {then}, and the rest waits \
                     for it",
                    budget.label(),
                    budget.most
                );
                found.push(Diagnostic::warning(canary.place, what));
            }
            if let First::Share(share) = canary.first {
                let mut budgets = self.budgets_of(Some(&rule.name), &mitigate.actions);
                let is_smaller = |budget: &&Budget| {
                    budget.most < MAX_FINDINGS as u64 && budget.or_share.unwrap_or_default() < share
                };
                if let Some(budget) = budgets.find(is_smaller) {
                    let from = budget.most * 10_000 / u64::from(share) + 1;
                    let what = format!(
                        "from {from} findings on the canary has more than {}, the room of the budget of {}: then it never \
                         starts, and the rest waits for it; write a number in place of the share",
                        budget.most,
                        budget.label()
                    );
                    found.push(Diagnostic::warning(canary.place, what));
                }
            }
            if let (true, Some(actions)) = (canary.stop_if.contains(&StopIf::Disconnected), actions) {
                found.extend(doubt(mitigate, actions).map(|what| Diagnostic::warning(canary.place, what)));
            }
            if canary.watch_seconds >= BETWEEN_AUDITS_SECONDS {
                let what = "the canary is watched for a day or longer: an audit that runs every day comes before the end, \
                            supersedes the rest, and begins with a canary again, so that the rest never starts";
                found.push(Diagnostic::warning(canary.place, what));
            }
        }
    }
}

/// Why `disconnected` is looked at in vain with these actions.
fn doubt(mitigate: &Mitigate, actions: &Actions) -> Option<String> {
    let kinds = mitigate.actions.iter().map(|name| Some((name, actions.kinds.get(name).copied().flatten()?)));
    let kinds: Vec<(&String, ActionKind)> = kinds.collect::<Option<_>>()?;
    if let Some((name, _)) = kinds.iter().find(|(_, kind)| kind.cuts_off()) {
        return Some(format!(
            "'{name}' cuts devices off, so that they are disconnected as it means: 'disconnected' is not looked at; leave \
             it out"
        ));
    }
    let concerns = kinds.iter().any(|(_, kind)| *kind == ActionKind::AddThingsToThingGroup);
    (!concerns).then(|| {
        "no action of the rule changes anything of a device: 'disconnected' never stops it; leave it out"
            .to_owned()
    })
}
