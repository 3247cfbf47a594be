//! The operator's policy: ordered rules, first match wins, one outcome a rule.
//!
//! [`Policy::parse`] reads the file and refuses it as a whole if anything in it is wrong; what exists as a
//! [`Policy`] is valid. [`Policy::decide`] is pure: the same policy and subject give the same bytes again.
//!
//! A file goes through the modules: `node` (YAML with places) → `de` and `file` (the types of the language) →
//! `read` (everything that is wrong, at once) → `matcher`, `protect` and [`windows`](Windows) (made ready to be
//! asked) → `decision` (and why). `lint` finds what is valid and still not what its author meant.

mod alarm;
pub mod approval;
mod budget;
mod canary;
mod de;
mod decision;
mod devices;
mod diagnostic;
mod file;
mod glob;
mod groups;
mod legal;
mod lint;
mod matcher;
mod mitigation;
mod node;
mod protect;
mod read;
mod shape;
mod standing;
mod subject;
mod windows;
pub mod yaml;

pub use alarm::AlarmDecision;
pub use alarm::AlarmEffect;
pub use alarm::AlarmHold;
pub use alarm::AlarmMitigate;
pub use alarm::AlarmOutcome;
pub use alarm::AlarmRule;
pub use alarm::AlarmSettings;
pub use alarm::AlarmShadow;
pub use alarm::AlarmSubject;
pub use alarm::Verify;
pub use alarm::length::lasting;
pub use alarm::length::seconds;
pub use approval::Approval;
pub use budget::Budget;
pub use budget::BudgetKey;
pub use canary::Canary;
pub use canary::First;
pub use canary::StopIf;
pub use decision::Decision;
pub use decision::Hold;
pub use decision::Kind;
pub use decision::Outcome;
pub use decision::Shadow;
pub use devices::DeviceLimit;
pub use devices::DeviceLimits;
pub use diagnostic::Diagnostic;
pub use diagnostic::Level;
pub use diagnostic::Place;
pub use diagnostic::PolicyErrors;
pub use file::Day;
#[cfg(feature = "schema")]
pub use file::schema::schema;
#[cfg(feature = "schema")]
pub use file::schema::schema_of;
pub use groups::InGroups;
pub use groups::used_by_many;
pub use lint::Actions;
pub use lint::Deployment;
pub use lint::Inventory;
pub use lint::Known;
pub use matcher::Condition;
pub use protect::Protection;
pub use standing::MAX_STANDING;
pub use standing::Members;
pub use standing::Patterns;
pub use standing::Standing;
pub use subject::Subject;
pub use windows::Calendar;
pub use windows::Closed;
pub use windows::Windows;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::ids::CheckName;
use crate::ids::check;
use crate::model::resource::ResourceIdentifier;
use crate::model::severity::AlertSeverity;
use crate::model::suppression::Terms;
use crate::model::suppression::Words;
use crate::model::thing::Things;
use crate::model::thing::Wanted;
use crate::timestamp::Millis;
use matcher::Matcher;
use matcher::Quantifier;
use matcher::Verdict;
use protect::Protected;
use protect::Protections;
use subject::Label;

/// The newest version of the language, and the only one so far.
pub const VERSION: u32 = 1;
/// A file larger than this is refused (bytes).
pub const MAX_BYTES: usize = 1 << 20;
/// A policy with more rules is refused.
pub const MAX_RULES: usize = 2000;

/// Whether Fleetwarden may change anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Mode {
    /// Do everything up to the last call that would change something, and say what it would have done.
    #[default]
    Observe,
    /// Act.
    Enforce,
}

impl Mode {
    /// The safer of two modes. A message decided in one mode and handled in another acts only if both allow it.
    #[must_use]
    pub fn safer(self, other: Self) -> Self {
        self.min(other)
    }
}

/// A valid policy.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    hash: String,
    rules: Vec<Rule>,
    alarm_rules: Vec<AlarmRule>,
    alarms: AlarmSettings,
    standing: Vec<Standing>,
    /// For each check that the service has, the rules that may take its findings.
    index: Vec<Box<[u16]>>,
    protect: Protections,
    windows: Option<Windows>,
    /// The windows of single mitigation actions, by their names.
    actions: BTreeMap<String, Windows>,
    budgets: Vec<Budget>,
    two_persons: bool,
    /// What its author hardly meant, as far as the file alone says it.
    doubts: Box<[Diagnostic]>,
}

/// One rule on findings: what it matches and what then happens.
#[derive(Debug)]
pub struct Rule {
    name: String,
    place: Place,
    live: bool,
    matcher: Matcher,
    /// Apart, so that the rules that are asked one after the other lie close together.
    except: Option<Box<Matcher>>,
    effect: Effect,
    /// Of a mitigation, where each action stands; of a suppression, where it begins, where its end is said, and where
    /// its reason, owner and ticket stand.
    places: Box<[Place]>,
}

/// What a rule does with a finding that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Have Device Defender pass over the resource in the audits to come.
    Suppress(Suppress),
    /// Apply mitigation actions.
    Mitigate(Mitigate),
    /// Say it and do nothing.
    Report(Report),
}

/// How to suppress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppress {
    /// For how long.
    pub end: SuppressEnd,
    /// What people read in the suppression's description: why, who answers for it, where it was agreed.
    pub words: Words,
}

/// When a suppression ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressEnd {
    /// This long after the audit in which the finding was first suppressed on the same terms.
    After {
        /// How long.
        seconds: i64,
        /// The words on which it is suppressed.
        terms: Terms,
    },
    /// At this second since the epoch.
    At(i64),
    /// Never, until someone deletes it.
    Never,
}

/// How to mitigate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mitigate {
    /// One to five names of mitigation actions, applied in this order (`StartAuditMitigationActionsTask`).
    pub actions: Vec<String>,
    /// When it waits for the approval of a person.
    pub approval: Option<Approval>,
    /// The first few go alone. None: all at once.
    pub canary: Option<Canary>,
    /// How many devices may stand behind a finding.
    pub devices: DeviceLimits,
    /// When it may start, within the policy's windows.
    pub windows: Option<Box<Windows>>,
}

/// How loud a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Counted and exported, no alert.
    Silent,
    /// Counted, exported, and part of the check's alert, as severe as this or else as the finding.
    Alert(Option<AlertSeverity>),
}

/// What was found in a policy file.
#[derive(Debug)]
pub struct Checked {
    /// How many rules and standing suppressions it has, unless it is refused.
    pub size: Option<(usize, usize)>,
    /// Everything that is wrong or doubtful, in the order of the file.
    pub found: Vec<Diagnostic>,
    /// What could not be looked at, because of an error before it.
    pub unseen: Option<Unseen>,
}

/// What could not be looked at in a policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// All that the one error hides: the file could not be read.
    Rest,
    /// So many rules and standing suppressions with errors, which were not compared with the others.
    Compared(usize),
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyErrors> {
        read::policy(read::text(bytes)?)
    }

    /// Looks at everything in a file that can be looked at, also if it is refused: rules with an error are left out of
    /// what is found by [`Policy::lint`].
    pub fn check(bytes: &[u8], known: &Known<'_>) -> Checked {
        match read::text(bytes).map_err(PolicyErrors::from).and_then(read::partial) {
            Err(PolicyErrors(found)) => Checked { size: None, found, unseen: Some(Unseen::Rest) },
            Ok(read::Partial { policy, errors, left_out }) => {
                let good = errors.is_empty();
                let mut found = errors;
                found.extend(policy.lint(known));
                if let (true, Some(actions), Some(deployment)) = (good, known.actions, known.deployment) {
                    found.extend(policy.lint_deployment(actions, deployment));
                }
                found.sort();
                Checked {
                    size: good
                        .then(|| (policy.rules.len() + policy.alarm_rules.len(), policy.standing.len())),
                    found,
                    unseen: (left_out > 0).then_some(Unseen::Compared(left_out)),
                }
            }
        }
    }

    fn new(
        mode: Mode,
        hash: String,
        (rules, alarm_rules): (Vec<Rule>, Vec<AlarmRule>),
        standing: Vec<Standing>,
        protect: Protections,
        windows: Option<Windows>,
    ) -> Self {
        let of_check = |name: &&str| {
            let check = CheckName::new(name);
            let takes = |(at, rule): (u16, &Rule)| rule.matcher.may_take(&check).then_some(at);
            (0..).zip(&rules).filter_map(takes).collect()
        };
        let index = check::KNOWN.iter().map(of_check).collect();
        Self {
            mode,
            hash,
            rules,
            alarm_rules,
            alarms: AlarmSettings::default(),
            standing,
            index,
            protect,
            windows,
            actions: BTreeMap::new(),
            budgets: vec![Budget::default()],
            two_persons: false,
            doubts: Box::default(),
        }
    }

    /// What the operator allows.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The identity of the file's text: 32 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The rules on findings, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The standing suppressions, in order.
    pub fn standing(&self) -> &[Standing] {
        &self.standing
    }

    /// The rules that may take findings of a check, in order.
    fn rules_for(&self, check: &CheckName) -> impl Iterator<Item = &Rule> {
        let known = check::KNOWN.iter().position(|known| *known == check.as_str());
        let listed = known.and_then(|at| self.index.get(at)).map(AsRef::as_ref);
        let rest = if listed.is_none() { self.rules.as_slice() } else { &[] };
        let listed = listed.unwrap_or_default().iter().filter_map(|at| self.rules.get(usize::from(*at)));
        listed.chain(rest.iter().filter(|rule| rule.matcher.may_take(check)))
    }

    /// What each rule says of a finding, in order.
    ///
    /// Where a rule's suppression has lapsed, no later rule suppresses the finding for a length of time either: two
    /// rules would renew it in turns.
    fn verdicts<'p>(
        &'p self,
        subject: &Subject<'_>,
        label: Option<&Label<'_>>,
    ) -> impl Iterator<Item = (&'p Rule, Verdict)> {
        let mut lapsed = false;
        self.rules_for(&subject.finding.check).map(move |rule| {
            let verdict = match rule.judge(subject, label) {
                Verdict::Holds | Verdict::Unknown(_) if lapsed && rule.terms().is_some() => {
                    Verdict::Fails(Condition::For)
                }
                verdict => verdict,
            };
            lapsed |= rule.live && verdict == Verdict::Fails(Condition::For);
            (rule, verdict)
        })
    }

    /// Decides on one finding. Nothing is allocated.
    ///
    /// A rule that nobody can say whether it matches lets no later rule act: the finding might have been its.
    pub fn decide<'p, 's>(&'p self, subject: &'s Subject<'s>) -> Decision<'p, 's> {
        let default = Outcome::Report(Report::Alert(None));
        let mut decision = Decision {
            outcome: default,
            rule: None,
            held: None,
            shadow: None,
            wanted: Wanted::default(),
            overtaken: false,
            asks: None,
            brief: false,
            policy: self,
            subject,
        };
        if subject.finding.suppressed {
            decision.outcome = Outcome::Suppressed;
            return decision;
        }
        let identifier = subject.finding.identifier();
        let label = identifier.map(Label::new);
        let (mut unknown, mut decides) = (None, None);
        for (rule, verdict) in self.verdicts(subject, label.as_ref()) {
            match verdict {
                Verdict::Unknown(condition) => {
                    let wanted = condition.wanted(subject.things);
                    if decision.wanted.is_nothing() {
                        decision.wanted = wanted;
                    }
                    if !wanted.is_nothing() && decision.asks.is_none_or(|asks| rule.live && !asks.live) {
                        decision.asks = Some(rule);
                    }
                    if rule.live {
                        unknown = unknown.or(Some(rule.name.as_str()));
                    }
                }
                Verdict::Holds if rule.live => {
                    decision.rule = Some(&rule.name);
                    decision.outcome = Outcome::from(&rule.effect);
                    decides = Some(rule);
                    break;
                }
                Verdict::Holds if decision.shadow.is_none() => {
                    // Nothing is looked up only to say what a trial would have been kept from.
                    let (held, _) = self.held(Outcome::from(&rule.effect), unknown, subject);
                    decision.shadow = Some(Shadow { rule, held });
                }
                // It fails, or would have decided after another one in shadow.
                Verdict::Fails(_) | Verdict::Holds => {}
            }
        }
        let (held, wanted) = self.held(decision.outcome, unknown, subject);
        if held.is_some() {
            (decision.held, decision.outcome) = (held, default);
        }
        if !wanted.is_nothing() {
            (decision.wanted, decision.asks) = (wanted, decides);
        }
        decision
    }

    /// What keeps an outcome from happening, and what would have to be known to say more. `unknown` is the earlier
    /// rule of which nobody can say whether it matches.
    fn held<'p>(
        &'p self,
        outcome: Outcome<'_>,
        unknown: Option<&'p str>,
        subject: &Subject<'_>,
    ) -> (Option<Hold<'p>>, Wanted) {
        let held = match (outcome, unknown, subject.finding.identifier()) {
            (Outcome::Suppress(_) | Outcome::Mitigate(_), Some(rule), _) => Some(Hold::RuleUnknown(rule)),
            (Outcome::Mitigate(_), None, Some(identifier)) => {
                match self.protection(identifier, subject.things) {
                    Ok(protection) => protection.map(Hold::ProtectedBy),
                    Err(wanted) => return (Some(Hold::ProtectionUnknown), wanted),
                }
            }
            _ => None,
        };
        (held, Wanted::default())
    }

    /// What keeps every mitigation from a resource, given what is known of the things behind it; none if nothing
    /// does.
    ///
    /// # Errors
    /// What has to be looked up first: without it nobody can say, and nothing may be mitigated.
    pub fn protection(
        &self,
        identifier: &ResourceIdentifier,
        things: &Things,
    ) -> Result<Option<Protection<'_>>, Wanted> {
        match self.protect.judge(identifier, things) {
            Protected::No => Ok(None),
            Protected::By(protection) => Ok(Some(protection)),
            Protected::Unknown(wanted) => Err(wanted),
        }
    }

    /// Whether some resource of a check could be protected.
    pub fn may_protect(&self, check: &CheckName) -> bool {
        self.protect.may_concern(check)
    }

    /// The mitigation that takes every finding of a check that is not suppressed, if there is one: then the
    /// whole set can be mitigated as one task instead of 25 findings at a time.
    pub fn takes_whole_check(&self, check: &CheckName) -> Option<(&str, &Mitigate)> {
        if self.protect.may_concern(check) {
            return None;
        }
        let rule = self.rules_for(check).find(|rule| rule.live)?;
        match &rule.effect {
            // How many findings a check has is known too late for a budget, and nobody counts all their devices.
            Effect::Mitigate(mitigate)
                if rule.matcher.is_only_check()
                    // A task of a whole check cannot let some go first.
                    && mitigate.canary.is_none()
                    && mitigate.devices == DeviceLimits::Any
                    && rule.except.is_none()
                    && self.budgets_of(Some(&rule.name), &mitigate.actions).next().is_none()
                    && !mitigate.approval.as_ref().is_some_and(Approval::looks_at_findings) =>
            {
                Some((&rule.name, mitigate))
            }
            _ => None,
        }
    }
}

impl Rule {
    /// Its name, which no other rule of the policy has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in the file.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Whether it decides, or is in shadow.
    pub const fn is_live(&self) -> bool {
        self.live
    }

    /// What it does.
    pub const fn effect(&self) -> &Effect {
        &self.effect
    }

    /// How many of the things behind a resource its match and its exception must hold for.
    ///
    /// A rule that acts must mean each, and one that tells people any: so neither is surprised by the thing that it
    /// did not mean. An exception is the other way round.
    const fn quantifiers(&self) -> (Quantifier, Quantifier) {
        match self.effect {
            Effect::Report(Report::Alert(_)) => (Quantifier::Any, Quantifier::Every),
            _ => (Quantifier::Every, Quantifier::Any),
        }
    }

    /// The words on which it suppresses for a length of time, if it does that.
    pub const fn terms(&self) -> Option<Terms> {
        match self.effect {
            Effect::Suppress(Suppress { end: SuppressEnd::After { terms, .. }, .. }) => Some(terms),
            _ => None,
        }
    }

    /// When its suppression of a finding lapsed, if it has.
    fn lapsed_at(&self, subject: &Subject<'_>) -> Option<Millis> {
        let Effect::Suppress(suppress) = &self.effect else { return None };
        let end = self.terms().and_then(|_| suppress.ends_at(subject));
        end.filter(|end| *end <= subject.at.seconds()).map(Millis::from_seconds)
    }

    /// Whether it matches. Its check is known to fit.
    fn judge(&self, subject: &Subject<'_>, label: Option<&Label<'_>>) -> Verdict {
        let (meant, spared) = self.quantifiers();
        let verdict = self.matcher.judge(subject, label, meant);
        if let Verdict::Fails(_) = verdict {
            return verdict;
        }
        let except = self.except.as_ref().filter(|except| except.may_take(&subject.finding.check));
        let except = except.map(|except| except.judge(subject, label, spared));
        match (&self.effect, except) {
            (_, Some(Verdict::Holds)) => Verdict::Fails(Condition::Except),
            // What names no resource can only be reported: there is nothing to suppress or to mitigate.
            (Effect::Suppress(_) | Effect::Mitigate(_), _) if label.is_none() => {
                Verdict::Fails(Condition::Resource)
            }
            (Effect::Suppress(Suppress { end: SuppressEnd::At(end), .. }), _)
                if *end <= subject.at.seconds() =>
            {
                Verdict::Fails(Condition::Until)
            }
            (Effect::Suppress(_), _) if self.lapsed_at(subject).is_some() => Verdict::Fails(Condition::For),
            (_, Some(Verdict::Unknown(condition))) if verdict == Verdict::Holds => {
                Verdict::Unknown(condition)
            }
            _ => verdict,
        }
    }
}

impl Suppress {
    /// The end of the suppression of a finding, in seconds since the epoch. None if it has none.
    pub fn ends_at(&self, subject: &Subject<'_>) -> Option<i64> {
        match self.end {
            SuppressEnd::After { seconds, terms } => {
                Some(subject.suppressed_since(terms).at.seconds().saturating_add(seconds))
            }
            SuppressEnd::At(at) => Some(at),
            SuppressEnd::Never => None,
        }
    }
}

#[cfg(test)]
mod tests;
