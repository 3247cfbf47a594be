//! The approval of a command's task by another person: asked for before the task is claimed, and found by the same command
//! when it is given again.
//!
//! The task is held in the ledger meanwhile, under its own id. Nothing starts it but the command itself, which passes the
//! whole gate again: so the one who asks is there when it starts, and what stops it is told to somebody.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Approved;
use fleetwarden_aws::mitigations::Asking;
use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::telemetry;
use fleetwarden_core::metrics::approvals;
use fleetwarden_core::metrics::approvals::Event;
use fleetwarden_core::model::mitigation::approval::ExplainedAction;
use fleetwarden_core::model::mitigation::approval::Explanation;
use fleetwarden_core::model::mitigation::approval::Need;
use fleetwarden_core::model::mitigation::approval::Reason;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::policy::Approval;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::approval::Facts;
use fleetwarden_core::policy::approval::needs;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use crate::command::Command;
use crate::failure::Failure;
use crate::gate::check_pause;
use crate::gate::rejected;

/// The name of a failure: another person has to approve it first.
pub const NEEDS_APPROVAL: &str = "NeedsApproval";
/// How often an approval is read again that others write meanwhile.
const ROUNDS: u32 = 8;

/// Why a command's task needs the approval of another person. Empty: it does not.
#[must_use]
pub fn reasons(policy: &Policy, actions: &[ExplainedAction]) -> Vec<Reason> {
    let mut reasons = needs(None, &Facts { actions, ..Facts::default() });
    if policy.asks_for_two_persons() {
        let why = "a command asks for it, and the policy wants a second person".to_owned();
        reasons.push(Reason { need: Need::TwoPersons, why });
    }
    reasons
}

/// A command's task that needs an approval.
struct Wanted<'a> {
    /// Its id.
    id: &'a str,
    /// What is explained.
    explanation: Explanation,
    /// Who asks, as the command says.
    by: &'a str,
}

/// The approval of a command's task, if it needs one. Without it the task is asked for, and `hold` writes that it is held
/// for a reason until a moment. While mitigation is paused, nobody is asked.
///
/// # Errors
/// `NeedsApproval`, with how to approve it; `Rejected`; the failure of a pause; if the command does not say who asks; or if
/// the ledger does not answer.
pub async fn approved(
    command: &Command,
    explanation: Explanation,
    (mitigations, now): (&Mitigations, Millis),
    hold: impl AsyncFn(&str, Millis) -> Result<(), Failure>,
) -> Result<Option<Approved>, Failure> {
    let Some(wanted) = Wanted::of(command, explanation)? else { return Ok(None) };
    check_pause(mitigations).await?;
    wanted.check(mitigations, now, hold).await.map(Some)
}

impl<'a> Wanted<'a> {
    /// The task of a command, if it needs an approval. Then the command has to say who asks.
    ///
    /// # Errors
    /// If it does not say so.
    fn of(command: &'a Command, explanation: Explanation) -> Result<Option<Self>, Failure> {
        if explanation.reasons.is_empty() {
            return Ok(None);
        }
        let by = command.own.get("by").and_then(Value::as_str).unwrap_or_default();
        if by.is_empty() {
            let what = format!(
                "is missing: who asks, because another person has to approve it ({})",
                explanation.why()
            );
            return Err(Failure::fault("$.by", what));
        }
        Ok(Some(Self { id: command.text("taskId"), explanation, by }))
    }

    /// Lets a command pass whose task another person has approved as it is now. Else it is asked for, and `hold` writes
    /// that the task is held for a reason until a moment.
    ///
    /// # Errors
    /// `NeedsApproval`, with how to approve it; `Rejected`; or if the ledger does not answer.
    async fn check(
        &self,
        mitigations: &Mitigations,
        now: Millis,
        hold: impl AsyncFn(&str, Millis) -> Result<(), Failure>,
    ) -> Result<Approved, Failure> {
        let Self { id, explanation, by } = self;
        let asking = Asking {
            explanation: explanation.clone(),
            within_seconds: Approval::default().within_seconds,
            requested_by: Some((*by).to_owned()),
            message: None,
        };
        for _ in 0..ROUNDS {
            let known = mitigations.approval(id).await?;
            if let Some(known) = &known {
                if matches!(known.standing, Standing::Rejected | Standing::Lapsed) {
                    return Err(rejected(id));
                }
                if known.is_over(now) {
                    let word = known.lapse();
                    mitigations.reject(id, Some(known), (Standing::Lapsed, &word), now).await?;
                    return Err(rejected(id));
                }
                let covers = explanation.beyond(&known.asking.explanation).is_none();
                // Who asks now is not the one who has approved it.
                let is_other = known.word.as_ref().is_none_or(|(word, _)| word.by.as_deref() != Some(*by));
                match known.standing {
                    Standing::Approved if covers && is_other => return Ok(known.approved()),
                    Standing::Waiting if covers && known.asking.requested_by.as_deref() == Some(*by) => {
                        hold(&explanation.why(), known.until).await?;
                        return Err(self.refused(known));
                    }
                    _ => {}
                }
            }
            if mitigations.ask(id, &asking, known.as_ref(), now).await? {
                telemetry::emit(&approvals::Approval { event: Event::Requested, at: now }.line());
            }
        }
        Err(Error::Later(format!("{id}: others still write its approval after {ROUNDS} tries")).into())
    }

    fn refused(&self, known: &KnownApproval) -> Failure {
        let (id, why) = (self.id, self.explanation.why());
        let (explanation, until) = (known.asking.explanation.id(), known.until.rfc3339());
        let what = format!(
            "the task '{id}' waits for another person until {until}: {why}. \
             Approve: fleetwarden mitigation approve {id} --explanation {explanation} --reason …; \
             then give the same command again"
        );
        Failure::Refused { name: NEEDS_APPROVAL, what }
    }
}
