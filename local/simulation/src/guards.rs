//! Mitigation behind guards: in eleven of twelve seeds each policy has a rule on one check that mitigates all that is found,
//! with an approval, a canary, limits of devices, a budget or none of them, and audits look at that check.
//!
//! It is drawn apart from the rest, so that a seed's other draws do not depend on it.

use fastrand::Rng;
use fleetwarden_core::policy::Policy;
use serde_json::Value;
use serde_json::json;

use crate::policies;
use crate::policies::CHECKS;

/// The guarded rules of a run.
#[derive(Debug)]
pub(crate) struct Guards {
    rng: Rng,
    /// The check with the actions of the rule. None: the run has no such rule.
    on: Option<(&'static str, &'static str)>,
}

impl Guards {
    /// Those of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x6775_6172_6473);
        let is_on = rng.u8(..3) > 0 || !seed.is_multiple_of(4);
        let takes = |action| CHECKS.iter().filter(move |(_, actions)| actions.contains(&action));
        let action = ["Deactivate", "Quarantine"][rng.usize(..2)];
        let checks: Vec<_> = takes(action).map(|(check, _)| *check).collect();
        let check = checks[rng.usize(..checks.len())];
        Self { rng, on: is_on.then_some((check, action)) }
    }

    /// The check that audits look at.
    pub(crate) fn check(&self) -> Option<&'static str> {
        self.on.map(|(check, _)| check)
    }

    /// A policy with the rule before its own, if the run has one.
    pub(crate) fn policy(&mut self, policy: String) -> String {
        while let Some((check, action)) = self.on {
            let guarded = self.with_rule(&policy, check, action).to_string();
            if Policy::parse(guarded.as_bytes()).is_ok() {
                return guarded;
            }
        }
        policy
    }

    fn with_rule(&mut self, policy: &str, check: &str, action: &str) -> Value {
        let rng = &mut self.rng;
        let mut policy: Value = serde_json::from_str(policy).unwrap_or_default();
        let mut mitigate = json!({"actions": [action]});
        mitigate["devices"] = match rng.u8(..4) {
            0 => json!({"most": 3, "connected": rng.u8(..3)}),
            _ => json!("any"),
        };
        let guards = [0, 1, 2, 3, 3, 3, 4, 4, 7][rng.usize(..9)];
        if guards == 0 {
            // Nothing stands in the way of one task for the whole check.
            mitigate["devices"] = json!("any");
            policy["budgets"] = json!("none");
            policy["protect"] = json!({});
        }
        if guards & 1 > 0 {
            mitigate["approval"] = policies::approval(rng);
        }
        if guards & 2 > 0 {
            mitigate["canary"] = policies::canary(rng);
        }
        if guards & 4 > 0 && policy.get("windows").is_none() {
            policy["budgets"] = json!([{"most": rng.u8(1..6), "within": "1h"}]);
        }
        if policy.get("windows").is_some() && rng.bool() {
            mitigate["windows"] = policies::own_windows(rng);
        }
        if rng.u8(..8) > 0 {
            policy["mode"] = json!("enforce");
        }
        let rule = json!({"name": "guarded", "match": {"check": check}, "mitigate": mitigate});
        if let Some(rules) = policy["rules"].as_array_mut() {
            rules.insert(0, rule);
        }
        policy
    }
}
