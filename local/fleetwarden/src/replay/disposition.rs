//! What a policy makes of a finding or an alarm, and what another policy changes about it.

use clap::ValueEnum;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::policy::{
    AlarmDecision, AlarmHold, AlarmOutcome, AlarmRule, Decision, Hold, Outcome, Report, Rule,
};
use serde::Serialize;

/// What becomes of a finding or an alarm. Each has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Disposition {
    /// Device Defender had suppressed it: no rule is asked.
    AlreadySuppressed,
    /// Its resource would be suppressed.
    Suppress,
    /// It would be mitigated.
    Mitigate,
    /// Of an alarm: its verification state would be set.
    Verify,
    /// It would be reported and weigh on an alert.
    Report,
    /// It would be reported and weigh on none.
    Silent,
    /// A rule would act, and the resource is protected: it is reported.
    Protected,
    /// Of an alarm: a rule would act, and there is nothing to do any more, or nothing that can be done: it is reported.
    Held,
    /// A rule would act, and what has to be known for that was looked up in vain: it is reported.
    Unknown,
    /// What the policy asks of things is not in the record: the functions would look it up.
    NeedsLookup,
}

impl Disposition {
    /// How many there are.
    pub(crate) const COUNT: usize = 10;

    /// Those of findings.
    pub(crate) const OF_FINDINGS: [Self; 8] = [
        Self::AlreadySuppressed,
        Self::Suppress,
        Self::Mitigate,
        Self::Report,
        Self::Silent,
        Self::Protected,
        Self::Unknown,
        Self::NeedsLookup,
    ];

    /// Those of alarms.
    pub(crate) const OF_ALARMS: [Self; 8] = [
        Self::Mitigate,
        Self::Verify,
        Self::Report,
        Self::Silent,
        Self::Protected,
        Self::Held,
        Self::Unknown,
        Self::NeedsLookup,
    ];

    /// The disposition of a finding by the decision on it.
    pub(crate) fn of(decision: &Decision<'_, '_>) -> Self {
        match (decision.outcome, decision.held) {
            (Outcome::Suppressed, _) => Self::AlreadySuppressed,
            // What only a rule in shadow asks for changes nothing.
            _ if decision.asks.is_some_and(Rule::is_live) => Self::NeedsLookup,
            (_, Some(Hold::ProtectedBy(_))) => Self::Protected,
            (_, Some(Hold::ProtectionUnknown | Hold::RuleUnknown(_))) => Self::Unknown,
            (Outcome::Suppress(_), None) => Self::Suppress,
            (Outcome::Mitigate(_), None) => Self::Mitigate,
            (Outcome::Report(Report::Silent), None) => Self::Silent,
            (Outcome::Report(Report::Alert(_)), None) => Self::Report,
        }
    }

    /// The disposition of what a rule takes, if nothing holds it.
    pub(crate) fn meant_by(rule: &Rule) -> Self {
        match Outcome::from(rule.effect()) {
            Outcome::Suppressed => Self::AlreadySuppressed,
            Outcome::Suppress(_) => Self::Suppress,
            Outcome::Mitigate(_) => Self::Mitigate,
            Outcome::Report(Report::Silent) => Self::Silent,
            Outcome::Report(Report::Alert(_)) => Self::Report,
        }
    }

    /// The disposition of an alarm by the decision on it.
    pub(crate) fn of_alarm(decision: &AlarmDecision<'_, '_>) -> Self {
        match (decision.outcome, decision.held) {
            // What only a rule in shadow asks for changes nothing.
            _ if decision.asks.is_some_and(AlarmRule::is_live) => Self::NeedsLookup,
            (_, Some(AlarmHold::ProtectedBy(_))) => Self::Protected,
            (
                _,
                Some(
                    AlarmHold::ProtectionUnknown | AlarmHold::RegistrationUnknown | AlarmHold::RuleUnknown(_),
                ),
            ) => Self::Unknown,
            (
                _,
                Some(
                    AlarmHold::Ended
                    | AlarmHold::NothingToMitigate
                    | AlarmHold::NothingToVerify
                    | AlarmHold::Verified(_),
                ),
            ) => Self::Held,
            (outcome, None) => Self::meant(outcome),
        }
    }

    /// The disposition of the alarms that a rule takes, if nothing holds it.
    pub(crate) fn meant_by_alarm(rule: &AlarmRule) -> Self {
        Self::meant(AlarmOutcome::from(rule.effect()))
    }

    const fn meant(outcome: AlarmOutcome<'_>) -> Self {
        match outcome {
            AlarmOutcome::Mitigate(_) => Self::Mitigate,
            AlarmOutcome::Verify(_) => Self::Verify,
            AlarmOutcome::Report(Report::Silent) => Self::Silent,
            AlarmOutcome::Report(Report::Alert(_)) => Self::Report,
        }
    }

    /// The words for it in a table.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::AlreadySuppressed => "already suppressed",
            Self::Suppress => "suppress",
            Self::Verify => "verify",
            Self::Held => "held",
            Self::Mitigate => "mitigate",
            Self::Report => "report",
            Self::Silent => "silent",
            Self::Protected => "protected",
            Self::Unknown => "unknown",
            Self::NeedsLookup => "needs a lookup",
        }
    }
}

/// How a finding's disposition differs under another policy, most consequential first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Change {
    NewlyMitigated,
    NoLongerMitigated,
    /// With other actions, or released otherwise.
    MitigatedOtherwise,
    /// It may be mitigated now, or no longer: things have to be looked up for one of the policies.
    NeedsLookup,
    NewlySuppressed,
    NoLongerSuppressed,
    /// Until another time.
    SuppressedOtherwise,
    NewlyVerified,
    NoLongerVerified,
    /// As another state.
    VerifiedOtherwise,
    NewlySilent,
    /// Aloud where it was silent, or as another severity.
    Alert,
    /// Another rule, or another reason to hold one, with the same effect.
    RuleOnly,
}

/// From which change on a comparison fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// What is mitigated, or how, changes or may change
    Mitigate,
    /// The same, or what is suppressed changes
    Suppress,
    /// Anything changes, also only the rule
    Any,
}

impl FailOn {
    /// Whether a change is one of these.
    pub(crate) fn concerns(self, change: Change) -> bool {
        change
            <= match self {
                Self::Mitigate => Change::NeedsLookup,
                Self::Suppress => Change::SuppressedOtherwise,
                Self::Any => Change::RuleOnly,
            }
    }
}

impl Change {
    /// The words for it in a table.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::NewlyMitigated => "newly mitigated",
            Self::NoLongerMitigated => "no longer mitigated",
            Self::MitigatedOtherwise => "mitigated otherwise",
            Self::NeedsLookup => "needs a lookup",
            Self::NewlySuppressed => "newly suppressed",
            Self::NoLongerSuppressed => "no longer suppressed",
            Self::SuppressedOtherwise => "suppressed otherwise",
            Self::NewlyVerified => "newly verified",
            Self::NoLongerVerified => "no longer verified",
            Self::VerifiedOtherwise => "verified otherwise",
            Self::NewlySilent => "newly silent",
            Self::Alert => "alert changed",
            Self::RuleOnly => "rule changed only",
        }
    }

    /// What changes from one decision on a finding to another, if anything does.
    ///
    /// `own` is how the finding would be told without a word in the policy. Where both need a lookup nobody can say:
    /// that is no change, and counted by whoever asks.
    pub(crate) fn between(
        from: &Decision<'_, '_>,
        to: &Decision<'_, '_>,
        own: AlertSeverity,
    ) -> Option<Self> {
        let (before, after) = (Disposition::of(from), Disposition::of(to));
        let found = match (before, after) {
            (Disposition::AlreadySuppressed, _) | (Disposition::NeedsLookup, Disposition::NeedsLookup) => {
                return None;
            }
            (Disposition::Mitigate, Disposition::Mitigate) => {
                (actions(from) != actions(to)).then_some(Self::MitigatedOtherwise)
            }
            // Nothing unknown lets anything happen, but what is known here does.
            (_, Disposition::Mitigate) => Some(Self::NewlyMitigated),
            (Disposition::NeedsLookup, _) | (_, Disposition::NeedsLookup) => Some(Self::NeedsLookup),
            (Disposition::Mitigate, _) => Some(Self::NoLongerMitigated),
            (Disposition::Suppress, Disposition::Suppress) => {
                (from.ends_at() != to.ends_at()).then_some(Self::SuppressedOtherwise)
            }
            (_, Disposition::Suppress) => Some(Self::NewlySuppressed),
            (Disposition::Suppress, _) => Some(Self::NoLongerSuppressed),
            (Disposition::Silent, Disposition::Silent) => None,
            (_, Disposition::Silent) => Some(Self::NewlySilent),
            (Disposition::Silent, _) => Some(Self::Alert),
            _ => (alert(from, own) != alert(to, own)).then_some(Self::Alert),
        };
        found.or((before != after || from.rule != to.rule).then_some(Self::RuleOnly))
    }

    /// What changes from one decision on an alarm to another, if anything does. Where both need a lookup nobody can say:
    /// that is no change, and counted by whoever asks.
    pub(crate) fn between_alarms(from: &AlarmDecision<'_, '_>, to: &AlarmDecision<'_, '_>) -> Option<Self> {
        let (before, after) = (Disposition::of_alarm(from), Disposition::of_alarm(to));
        let otherwise = from.outcome != to.outcome;
        let found = match (before, after) {
            (Disposition::NeedsLookup, Disposition::NeedsLookup) => return None,
            (Disposition::Mitigate, Disposition::Mitigate) => otherwise.then_some(Self::MitigatedOtherwise),
            // Nothing unknown lets anything happen, but what is known here does.
            (_, Disposition::Mitigate) => Some(Self::NewlyMitigated),
            (Disposition::NeedsLookup, _) | (_, Disposition::NeedsLookup) => Some(Self::NeedsLookup),
            (Disposition::Mitigate, _) => Some(Self::NoLongerMitigated),
            (Disposition::Verify, Disposition::Verify) => otherwise.then_some(Self::VerifiedOtherwise),
            (_, Disposition::Verify) => Some(Self::NewlyVerified),
            (Disposition::Verify, _) => Some(Self::NoLongerVerified),
            (Disposition::Silent, Disposition::Silent) => None,
            (_, Disposition::Silent) => Some(Self::NewlySilent),
            // Both are reported: what holds a rule changes no alert, only why there is one.
            _ => otherwise.then_some(Self::Alert),
        };
        found.or((before != after || from.rule != to.rule).then_some(Self::RuleOnly))
    }
}

fn actions<'p>(decision: &Decision<'p, '_>) -> &'p [String] {
    if let Outcome::Mitigate(mitigate) = decision.outcome { &mitigate.actions } else { &[] }
}

fn alert(decision: &Decision<'_, '_>, own: AlertSeverity) -> AlertSeverity {
    match decision.outcome {
        Outcome::Report(Report::Alert(Some(severity))) => severity,
        _ => own,
    }
}
