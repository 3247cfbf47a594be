//! Rules whose tasks cannot start while stack and policy are as they are: the function has no permission, or an action is
//! missing.
//!
//! Each audit would have such a task refused again. So people are alerted when it begins and every 30 days, until a task of
//! the rule starts. Nothing of an audit is parked, since the next audit finds again what is still there.

use fleetwarden_aws::Error;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::state_item::HasNotices;
use fleetwarden_aws::state_item::StateItem;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::digest::Digest;
use serde::Deserialize;
use serde::Serialize;

use crate::alerts::refusals::alert;

/// What was not refused for so long was fixed, or its rule is gone. Longer than a month, the longest time between two
/// runs of a scheduled audit.
const FORGOTTEN_SECONDS: i64 = 40 * 86_400;

/// Why no task of a rule can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unable {
    /// The function may not start one.
    Denied,
    /// An action of the rule is missing, or of the wrong type.
    Action,
    /// The rule does not say how many devices its actions may concern.
    Devices,
}

/// The rules whose tasks cannot start, as far as people know.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Refused {
    notices: Notices,
}

impl HasNotices for Refused {
    fn notices(&mut self) -> &mut Notices {
        &mut self.notices
    }
}

impl Unable {
    const ALL: [Self; 3] = [Self::Denied, Self::Action, Self::Devices];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Action => "action",
            Self::Devices => "devices",
        }
    }
}

/// Alerts people of rules whose tasks cannot start.
#[derive(Clone)]
pub(crate) struct Refusals {
    kept: StateItem,
    alerts: Alerts,
    clock: Clock,
}

impl Refusals {
    pub(crate) fn new(ledger: Ledger, alerts: Alerts, clock: Clock) -> Self {
        Self { kept: StateItem::new(ledger, keys::refusals()), alerts, clock }
    }

    /// Alerts people that the tasks of a rule cannot start, unless they know. Whether the rule's messages are parked is
    /// part of the alert.
    ///
    /// # Errors
    /// If ledger or topic do not answer: the next try alerts.
    pub(crate) async fn notify(
        &self,
        rule: &str,
        actions: &[String],
        (why, is_parked): (Unable, bool),
        reason: &str,
    ) -> Result<(), Error> {
        let (now, key) = (self.clock.now(), key(rule, actions, why));
        let mut refused = self
            .kept
            .change(now, |refused: &mut Refused| {
                refused.notices.forget(now, FORGOTTEN_SECONDS);
                if let Some(due) = refused.notices.notice(&key, now) {
                    refused.notices.add(alert(rule, actions, (why, is_parked), reason, due));
                }
            })
            .await?;
        self.kept.raise_pending(&self.alerts, &mut refused, now).await?;
        tracing::error!(
            rule,
            actions = actions.join(", "),
            reason,
            "the mitigation is refused: no task of the rule can start"
        );
        Ok(())
    }

    /// Forgets that the tasks of a rule could not start: one has. The next refusal raises an alert.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub(crate) async fn forget(&self, rule: Option<&str>, actions: &[String]) -> Result<(), Error> {
        let Some(rule) = rule else { return Ok(()) };
        let keys = Unable::ALL.map(|why| key(rule, actions, why));
        let is_of_rule = |key: &str| keys.iter().any(|own| own == key);
        let refused: Refused = self.kept.read().await?;
        if !keys.iter().any(|key| refused.notices.is_standing(key)) {
            return Ok(());
        }
        let now = self.clock.now();
        let forget = |refused: &mut Refused| drop(refused.notices.over(now.plus_seconds(1), is_of_rule));
        self.kept.change(now, forget).await.map(drop)
    }
}

fn key(rule: &str, actions: &[String], why: Unable) -> String {
    let digest = Digest::new("refusal").part(rule).part(&actions.join(","));
    digest.part(why.word()).hex()
}
