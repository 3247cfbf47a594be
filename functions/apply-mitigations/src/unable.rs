//! What cannot start while stack and policy are as they are: the function has no permission, or an action is none.
//!
//! Each audit would have it refused again. So people are told when it begins and every 30 days, until a task of the rule
//! starts. Nothing of an audit is parked, since the next audit finds again what is still there.

use fleetwarden_aws::Error;
use fleetwarden_aws::kept::HasNotices;
use fleetwarden_aws::kept::Kept;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::about;
use fleetwarden_aws::thing_groups::ThingGroups;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::alert::notices::Due;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;
use serde::Deserialize;
use serde::Serialize;

use crate::ApplyMitigations;
use crate::alerts::actions as listed;

/// What was not refused for so long was mended, or its rule is gone. Longer than a month, the longest time between two
/// runs of a scheduled audit.
const FORGOTTEN_SECONDS: i64 = 40 * 86_400;

/// Unable no task of a rule can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unable {
    /// The function may not start one.
    Denied,
    /// An action of the rule is none.
    Action,
}

/// What the tasks of the rule work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Findings: the next audit finds again what is still there, so that their messages are done.
    Findings,
    /// Alarms: each is decided on once, so that their messages are parked.
    Alarms,
}

/// The rules that are refused, as far as people know.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Refusals {
    notices: Notices,
}

impl HasNotices for Refusals {
    fn notices(&mut self) -> &mut Notices {
        &mut self.notices
    }
}

impl Unable {
    const ALL: [Self; 2] = [Self::Denied, Self::Action];

    const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Action => "action",
        }
    }
}

impl ApplyMitigations {
    /// Tells people that the tasks of a rule cannot start, unless they know.
    ///
    /// # Errors
    /// If ledger or topic do not answer: the next try tells.
    pub(crate) async fn notify_unable(
        &self,
        rule: &str,
        actions: &[String],
        why: Unable,
        work: Work,
        reason: &str,
    ) -> Result<(), Error> {
        let (now, key) = (self.consumer.clock.now(), key(rule, actions, why));
        let kept = self.refusals();
        let mut refusals = kept
            .change(now, |refusals: &mut Refusals| {
                refusals.notices.forget(now, FORGOTTEN_SECONDS);
                if let Some(due) = refusals.notices.notice(&key, now) {
                    refusals.notices.tell(alert(rule, actions, (why, work), reason, due));
                }
            })
            .await?;
        kept.tell(&self.alerts, &mut refusals, now).await?;
        tracing::error!(
            rule,
            actions = actions.join(", "),
            reason,
            "the mitigation is refused: no task of the rule can start"
        );
        Ok(())
    }

    /// Forgets that the tasks of a rule could not start: one has. The next refusal is told.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub(crate) async fn forget_unable(&self, rule: Option<&str>, actions: &[String]) -> Result<(), Error> {
        let Some(rule) = rule else { return Ok(()) };
        let keys = Unable::ALL.map(|why| key(rule, actions, why));
        let is_of_rule = |key: &str| keys.iter().any(|own| own == key);
        let kept = self.refusals();
        let refusals: Refusals = kept.read().await?;
        if !keys.iter().any(|key| refusals.notices.is_standing(key)) {
            return Ok(());
        }
        let now = self.consumer.clock.now();
        let forget = |refusals: &mut Refusals| drop(refusals.notices.over(now.plus_seconds(1), is_of_rule));
        kept.change(now, forget).await.map(drop)
    }

    fn refusals(&self) -> Kept {
        let ledger: Ledger = self.alarms.ledger().clone();
        Kept::new(ledger, about::refusals())
    }
}

/// The first of these actions that there is not, if the service says so.
pub(crate) async fn missing(groups: &ThingGroups, actions: &[String]) -> Result<Option<String>, Error> {
    for action in actions {
        match groups.exists(action).await {
            Ok(true) => {}
            Ok(false) => return Ok(Some(format!("there is no mitigation action '{action}'"))),
            // Who may not ask does not know.
            Err(Error::Aws { code, .. })
                if ["AccessDeniedException", "UnauthorizedException"].contains(&code.as_str()) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn key(rule: &str, actions: &[String], why: Unable) -> String {
    let digest = Digest::new("refusal").part(rule).part(&actions.join(","));
    digest.part(why.word()).hex()
}

fn alert(rule: &str, actions: &[String], (why, work): (Unable, Work), reason: &str, due: Due) -> Alert {
    let (parked, after) = match work {
        Work::Findings => (
            "Nothing is parked.",
            "Nothing has to be redriven: the next audit decides on what is still there. To mitigate at once, start an audit \
             then.",
        ),
        Work::Alarms => (
            "Each message is parked, since an alarm is decided on once.",
            "Then redrive the mitigation dead-letter queue: a task starts if its alarm still lasts.",
        ),
    };
    let (title, step) = match why {
        Unable::Denied => (
            "apply-mitigations may not start tasks",
            "Deploy the stack with CreateMitigationActions=true, or with AllowMitigation=true if the policy names actions of \
             your own. If it is, see whether a service control policy or a permissions boundary denies \
             iot:StartAuditMitigationActionsTask or iot:StartDetectMitigationActionsTask.",
        ),
        Unable::Action => (
            "a mitigation action is missing or does not fit",
            "If it is an action of the template (Fleetwarden…), deploy the stack with CreateMitigationActions=true. Else \
             create the action in this account and region, or name another one in the policy.",
        ),
    };
    Alert {
        kind: Kind::MitigationRefused,
        severity: AlertSeverity::High,
        about: format!("{rule} {} {} since {}, month {}", actions.join(","), why.word(), due.since.0, due.months),
        thread: format!("mitigations of {rule}"),
        title: text!("Rule {} cannot mitigate: {}", rule, Text::own(title)),
        description: text!(
            "Rule `{}`, actions {}.\nNothing was changed. `{}` The policy's mode is `enforce`, and every task of this \
             rule is refused until this is mended. {} It is told again every 30 days while it lasts.",
            rule,
            listed(actions),
            reason,
            Text::own(parked)
        ),
        next_steps: vec![
            step.into(),
            after.into(),
            "If nothing is to be mitigated, set `mode: observe` in the policy file and deploy it. `fleetwarden policy check` \
             compares the policy with the stack's parameters."
                .into(),
        ],
        subject: Subject::Log,
    }
}
