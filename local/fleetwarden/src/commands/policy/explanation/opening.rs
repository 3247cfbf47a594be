//! When windows let a mitigation begin: those of the policy, of its rule and of its actions.

use anyhow::{Result, anyhow};
use fleetwarden_core::policy::{AlarmDecision, AlarmEffect, AlarmOutcome, Decision, Effect, Outcome, Policy};
use fleetwarden_core::timestamp::Millis;

/// When mitigation can begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// There are no windows.
    AtOnce,
    /// All windows are open.
    Open,
    /// They open then.
    At {
        /// When it can begin.
        opens: Millis,
        /// Why not before.
        why: String,
    },
    /// No window opens for over a year, for this reason.
    Never(String),
}

/// When the mitigation that was decided can begin, and that of the rule in shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Openings {
    /// Of what was decided. At once, if it is no mitigation.
    pub(crate) decided: Opening,
    /// Of what the rule in shadow would have decided.
    pub(crate) shadow: Opening,
}

/// When what was decided on a finding can begin, asked at a moment.
///
/// # Errors
/// If the policy names a time zone that does not exist.
pub(crate) fn openings(policy: &Policy, decision: &Decision<'_, '_>, asked: Millis) -> Result<Openings> {
    let decided = match decision.outcome {
        Outcome::Mitigate(mitigate) => opening(policy, decision.rule, &mitigate.actions, asked)?,
        _ => Opening::AtOnce,
    };
    let shadow = decision.shadow.map(|shadow| shadow.rule);
    let shadow = match shadow.map(|rule| (rule.name(), rule.effect())) {
        Some((rule, Effect::Mitigate(mitigate))) => opening(policy, Some(rule), &mitigate.actions, asked)?,
        _ => Opening::AtOnce,
    };
    Ok(Openings { decided, shadow })
}

/// When what was decided on an alarm can begin, asked at a moment.
///
/// # Errors
/// If the policy names a time zone that does not exist.
pub(crate) fn alarm_openings(
    policy: &Policy,
    decision: &AlarmDecision<'_, '_>,
    asked: Millis,
) -> Result<Openings> {
    let decided = match decision.outcome {
        AlarmOutcome::Mitigate(mitigate) => opening(policy, decision.rule, &mitigate.actions, asked)?,
        _ => Opening::AtOnce,
    };
    let shadow = decision.shadow.map(|shadow| shadow.rule);
    let shadow = match shadow.map(|rule| (rule.name(), rule.effect())) {
        Some((rule, AlarmEffect::Mitigate(mitigate))) => {
            opening(policy, Some(rule), &mitigate.actions, asked)?
        }
        _ => Opening::AtOnce,
    };
    Ok(Openings { decided, shadow })
}

fn opening(policy: &Policy, rule: Option<&str>, actions: &[String], asked: Millis) -> Result<Opening> {
    let calendar = policy.calendar_of(rule, actions);
    let Some(calendar) = calendar.map_err(|error| anyhow!("the policy's windows: {}", error.what))? else {
        return Ok(Opening::AtOnce);
    };
    Ok(match calendar.closed(asked) {
        None => Opening::Open,
        Some(closed) => match closed.opens {
            Some(opens) => Opening::At { opens, why: closed.reason },
            None => Opening::Never(closed.reason),
        },
    })
}
