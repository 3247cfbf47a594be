//! What was decided on a finding, and why.

use serde::Serialize;
use serde::ser::SerializeMap as _;
use serde::ser::Serializer;

use super::Effect;
use super::Mitigate;
use super::Mode;
use super::Policy;
use super::Report;
use super::Rule;
use super::Suppress;
use super::SuppressEnd;
use super::matcher::Condition;
use super::matcher::Saw;
use super::matcher::Verdict;
use super::protect::Protection;
use super::subject::Label;
use super::subject::Subject;
use crate::model::suppression::FirstSuppressed;
use crate::model::thing::Things;
use crate::model::thing::Wanted;
use crate::timestamp::Millis;

/// A decision. Making one allocates nothing; its explanation is worked out when it is written.
///
/// Written as JSON it is the same object everywhere, in logs, in the archive and on the command line:
/// `outcome`, `rule`, what the outcome needs (`actions` and `when`, `until`, `alert`), `resource`, `held`, `shadow`,
/// `passedOver` (the earlier rules for this check, each with the first condition that it failed on and the value
/// seen), `mode` and the hash of the `policy`.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'p, 's> {
    /// What happens.
    pub outcome: Outcome<'p>,
    /// The rule that decided. None if Device Defender had suppressed the finding, or if no rule matched.
    pub rule: Option<&'p str>,
    /// What keeps the rule from acting, if something does: then the outcome is a report.
    pub held: Option<Hold<'p>>,
    /// The first rule in shadow that would have decided.
    pub shadow: Option<Shadow<'p>>,
    /// What has to be looked up before this decision is final. Decide again with it, or take it as it is: what is
    /// not known never lets anything happen.
    pub wanted: Wanted,
    pub(super) overtaken: bool,
    /// The rule that wants it: the first live one that nobody can say whether it matches, or else the first in shadow;
    /// or the one that decides, if it is a protection that nobody can say whether it holds.
    pub asks: Option<&'p Rule>,
    pub(super) brief: bool,
    pub(super) policy: &'p Policy,
    pub(super) subject: &'s Subject<'s>,
}

impl Decision<'_, '_> {
    /// The same decision, written without the rules that were passed over: for a record that they make too large.
    #[must_use]
    pub const fn brief(self) -> Self {
        Self { brief: true, ..self }
    }

    /// The same decision for an audit that a later one of the check has overtaken: what would suppress or mitigate is
    /// held, and reported without an alert, because the later audit decides.
    #[must_use]
    pub const fn overtaken(self) -> Self {
        match self.outcome {
            Outcome::Suppress(_) | Outcome::Mitigate(_) => {
                Self { overtaken: true, outcome: Outcome::Report(Report::Silent), ..self }
            }
            Outcome::Suppressed | Outcome::Report(_) => self,
        }
    }

    /// The end of the suppression that was decided, in seconds since the epoch. None if it has none, or if something
    /// else was decided.
    pub fn ends_at(&self) -> Option<i64> {
        if let Outcome::Suppress(suppress) = self.outcome { suppress.ends_at(self.subject) } else { None }
    }

    /// What the next audit has to know of the suppressions of this finding. Only what was decided to be done counts:
    /// an audit in observe mode leaves it as it was.
    pub fn first_suppressed(&self) -> Option<FirstSuppressed> {
        match self.outcome {
            Outcome::Suppress(Suppress { end: SuppressEnd::After { terms, .. }, .. })
                if self.policy.mode == Mode::Enforce =>
            {
                Some(self.subject.suppressed_since(*terms))
            }
            _ => self.subject.first_suppressed,
        }
    }
}

/// What happens with a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'p> {
    /// A suppression was in force when the audit ran: nothing to decide.
    Suppressed,
    /// Suppress the resource.
    Suppress(&'p Suppress),
    /// Mitigate the finding.
    Mitigate(&'p Mitigate),
    /// Say it.
    Report(Report),
}

/// What kind of outcome it is: all that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// See [`Outcome::Suppressed`].
    Suppressed,
    /// See [`Outcome::Suppress`].
    Suppress,
    /// See [`Outcome::Mitigate`].
    Mitigate,
    /// See [`Outcome::Report`].
    Report(Report),
}

impl Kind {
    /// The outcome's word, as it stands in records and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::Suppress => "suppress",
            Self::Mitigate => "mitigate",
            Self::Report(_) => "report",
        }
    }
}

/// A rule in shadow that would have decided.
#[derive(Clone, Copy, Debug)]
pub struct Shadow<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// What would have kept it from acting.
    pub held: Option<Hold<'p>>,
}

/// Why a rule that would suppress or mitigate does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold<'p> {
    /// The resource is protected from mitigation.
    ProtectedBy(Protection<'p>),
    /// Things or groups are protected, and nobody could say what is behind the resource.
    ProtectionUnknown,
    /// Nobody could say whether this earlier rule matches.
    RuleUnknown(&'p str),
}

impl Outcome<'_> {
    /// What kind of outcome it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Suppressed => Kind::Suppressed,
            Self::Suppress(_) => Kind::Suppress,
            Self::Mitigate(_) => Kind::Mitigate,
            Self::Report(report) => Kind::Report(*report),
        }
    }

    /// The outcome's word, as it stands in records and logs.
    pub const fn word(&self) -> &'static str {
        self.kind().word()
    }
}

impl<'p> From<&'p Effect> for Outcome<'p> {
    fn from(effect: &'p Effect) -> Self {
        match effect {
            Effect::Suppress(suppress) => Self::Suppress(suppress),
            Effect::Mitigate(mitigate) => Self::Mitigate(mitigate),
            Effect::Report(report) => Self::Report(*report),
        }
    }
}

/// What an outcome needs to be carried out, written into an object.
fn details<M: serde::ser::SerializeMap>(
    out: &mut M,
    outcome: Outcome<'_>,
    subject: &Subject<'_>,
    policy: &Policy,
) -> Result<(), M::Error> {
    match outcome {
        Outcome::Suppressed | Outcome::Report(Report::Alert(None)) => Ok(()),
        Outcome::Report(Report::Alert(Some(severity))) => out.serialize_entry("alert", &severity),
        Outcome::Report(Report::Silent) => out.serialize_entry("alert", "silent"),
        Outcome::Suppress(suppress) => {
            let end = suppress.ends_at(subject);
            let end = end.map(|at| Millis::from_seconds(at).rfc3339());
            out.serialize_entry("until", &end)
        }
        Outcome::Mitigate(mitigate) => {
            out.serialize_entry("actions", &mitigate.actions)?;
            let waits = policy.has_windows(mitigate.windows.as_deref(), &mitigate.actions);
            out.serialize_entry("when", if waits { "in a window" } else { "at once" })
        }
    }
}

impl Serialize for Decision<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("outcome", self.outcome.word())?;
        out.serialize_entry("rule", &self.rule)?;
        details(&mut out, self.outcome, self.subject, self.policy)?;
        if !matches!(self.outcome, Outcome::Report(_)) {
            out.serialize_entry("resource", &self.subject.finding.identifier().map(|id| id.label()))?;
        }
        if self.overtaken {
            out.serialize_entry("held", "overtaken")?;
        } else if let Some(held) = &self.held {
            out.serialize_entry("held", held)?;
        }
        if let Some(shadow) = self.shadow {
            out.serialize_entry("shadow", &Would { shadow, subject: self.subject, policy: self.policy })?;
        }
        if !self.brief {
            out.serialize_entry("passedOver", &PassedOver(self))?;
        }
        out.serialize_entry("mode", &self.policy.mode)?;
        out.serialize_entry("policy", &self.policy.hash)?;
        out.end()
    }
}

/// What a rule in shadow would have decided.
struct Would<'p, 's> {
    shadow: Shadow<'p>,
    subject: &'s Subject<'s>,
    policy: &'p Policy,
}

impl Serialize for Would<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Shadow { rule, held } = self.shadow;
        let outcome = Outcome::from(&rule.effect);
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("rule", &rule.name)?;
        out.serialize_entry("outcome", outcome.word())?;
        details(&mut out, outcome, self.subject, self.policy)?;
        if let Some(held) = held {
            out.serialize_entry("held", &held)?;
        }
        out.end()
    }
}

/// The rules that were asked before the one that decided. Those for other checks are not worth a word: nobody
/// expects them to match.
struct PassedOver<'d>(&'d Decision<'d, 'd>);

impl Serialize for PassedOver<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Decision { policy, subject, rule, .. } = *self.0;
        let asked = if matches!(self.0.outcome, Outcome::Suppressed) { 0 } else { usize::MAX };
        let label = subject.finding.identifier().map(Label::new);
        let before = policy
            .verdicts(subject, label.as_ref())
            .take(asked)
            .take_while(|(candidate, _)| rule != Some(candidate.name.as_str()));
        let passed = before.filter(|(_, verdict)| *verdict != Verdict::Holds);
        serializer.collect_seq(passed.map(|(rule, verdict)| Passed { rule, verdict, subject }))
    }
}

struct Passed<'d> {
    rule: &'d Rule,
    verdict: Verdict,
    subject: &'d Subject<'d>,
}

impl Serialize for Passed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { rule, verdict, subject } = self;
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("rule", &rule.name)?;
        match *verdict {
            Verdict::Holds => {}
            Verdict::Fails(condition @ Condition::For) => {
                out.serialize_entry("failedOn", &condition)?;
                out.serialize_entry("saw", &rule.lapsed_at(subject).map(Millis::day))?;
            }
            Verdict::Fails(condition) => {
                out.serialize_entry("failedOn", &condition)?;
                out.serialize_entry("saw", &Saw { condition, subject })?;
            }
            Verdict::Unknown(condition) => {
                out.serialize_entry("failedOn", &condition)?;
                let why = match subject.things {
                    Things::Unknown { unknown } => unknown,
                    Things::Known(_) | Things::NotAsked => "nobody looked it up",
                };
                out.serialize_entry("unknown", why)?;
            }
        }
        out.end()
    }
}
