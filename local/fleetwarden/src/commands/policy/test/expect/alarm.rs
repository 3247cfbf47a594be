//! What a policy decides on an alarm, compared with what a case expects.

use super::super::super::Source;
use super::super::super::explanation::alarm::{self, Explained};
use super::super::super::explanation::{self, OF_TEST, Opening};
use super::super::case::Case;
use super::{Failure, Key, differences, opens, protected_by, stop};
use anyhow::Context as _;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::policy::{
    AlarmDecision, AlarmHold, AlarmOutcome, AlarmRule, AlarmSubject, Report, lasting,
};

/// Compares a decision with what a case expects.
///
/// # Errors
/// If the policy names a time zone that does not exist.
pub(in super::super) fn compare(
    source: &Source,
    case: &Case,
    subject: &AlarmSubject<'_>,
    decision: &AlarmDecision<'_, '_>,
) -> anyhow::Result<Option<Failure>> {
    let openings = explanation::alarm_openings(&source.policy, decision, subject.at)?;
    let rules: Vec<_> = source.policy.alarm_rules().iter().map(AlarmRule::name).collect();
    let around = &case.around;
    around.check(&source.policy).with_context(|| format!("line {}: budgetUsed", case.place.line))?;
    let told = Explained { source, subject, decision, openings, recorded: None, assumed: "", around };
    let differences = differences(case, &rules, |key| match key {
        Key::Guard => stop(told.guards()),
        key => got(key, decision, subject, &told.openings.decided),
    });
    if differences.is_empty() {
        return Ok(None);
    }
    Ok(Some(Failure { differences, why: alarm::text(&told, OF_TEST) }))
}

/// What came out, in the words of `expect`.
fn got(key: Key, decision: &AlarmDecision<'_, '_>, subject: &AlarmSubject<'_>, opening: &Opening) -> String {
    let none = || "none".to_owned();
    let length = |seconds: i64| lasting(seconds.saturating_mul(1000));
    match (key, decision.outcome) {
        (Key::Rule, _) => decision.rule.map_or_else(none, str::to_owned),
        (Key::Outcome, outcome) => outcome.word().to_owned(),
        (Key::Actions, AlarmOutcome::Mitigate(mitigate)) => mitigate.actions.join(", "),
        (Key::Release, AlarmOutcome::Mitigate(mitigate)) => {
            mitigate.release_after_seconds.map_or_else(none, length)
        }
        (Key::State, AlarmOutcome::Verify(verify)) => verify.state.as_str().to_owned(),
        (Key::Alert, AlarmOutcome::Report(Report::Silent)) => "silent".to_owned(),
        // The alert of a behavior has a severity of its own where a rule says none.
        (Key::Alert, AlarmOutcome::Report(Report::Alert(severity))) => {
            severity.map_or("usual", AlertSeverity::as_str).to_owned()
        }
        (Key::Held, _) => decision.held.as_ref().map_or_else(none, why_held),
        (Key::Shadow, _) => decision.shadow.map_or_else(none, |shadow| shadow.rule.name().to_owned()),
        (Key::Opens, AlarmOutcome::Mitigate(_)) => opens(opening),
        (Key::Again, _) => {
            let begin = subject.life.raised_at;
            let after = decision.again_at.zip(begin).map(|(at, begin)| lasting(at.0.saturating_sub(begin.0)));
            after.unwrap_or_else(none)
        }
        (Key::Actions | Key::Release | Key::State | Key::Alert | Key::Guard | Key::Opens | Key::Until, _) => {
            none()
        }
    }
}

fn why_held(held: &AlarmHold<'_>) -> String {
    match held {
        AlarmHold::ProtectedBy(by) => protected_by(by),
        AlarmHold::ProtectionUnknown => "protectionUnknown".to_owned(),
        AlarmHold::RegistrationUnknown => "registrationUnknown".to_owned(),
        AlarmHold::RuleUnknown(rule) => format!("ruleUnknown {rule}"),
        AlarmHold::Ended => "ended".to_owned(),
        AlarmHold::NothingToMitigate => "nothingToMitigate".to_owned(),
        AlarmHold::NothingToVerify => "nothingToVerify".to_owned(),
        AlarmHold::Verified(state) => format!("verified {}", state.as_str()),
    }
}
