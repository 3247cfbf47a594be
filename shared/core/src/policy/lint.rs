//! What is valid in a policy and still not what its author meant.
//!
//! [`Policy::parse`] refuses what cannot be used, from the file alone. Lint comes after it, at a desk and in CI,
//! and knows more: what time it is, which mitigation actions there are, what the fleet looks like. The functions
//! never ask it.

mod actions;
mod alarm;
mod approval;
mod budget;
mod canary;
mod cover;
mod cover_alarm;
mod deployment;
mod devices;
mod inventory;
mod standing;
mod windows;
mod words;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Diagnostic;
use super::Effect;
use super::Policy;
use super::Rule;
use super::Suppress;
use super::SuppressEnd;
use super::glob::Glob;
use crate::ids::check;
use crate::model::action::ActionKind;
use crate::model::suppression::Maker;
use crate::model::suppression::Written;
use crate::timestamp::Millis;
use cover::Leaves;
pub use deployment::Deployment;
use words::lint_words;

/// How many days before its end a suppression is worth a word.
const SOON_DAYS: i64 = 30;
const DAY_SECONDS: i64 = 86_400;

/// What is known around a policy when it is looked through.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// The time.
    pub at: Millis,
    /// The mitigation actions that there are. None: what a rule names is not looked at.
    pub actions: Option<&'k Actions>,
    /// What is in the fleet. None: names are not looked for in it.
    pub inventory: Option<&'k Inventory>,
    /// What the stack may do, to find what it would refuse. None: it is not looked for.
    pub deployment: Option<Deployment>,
}

/// The mitigation actions that a template defines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// The kind of each, by its name; None if that cannot be known.
    pub kinds: BTreeMap<String, Option<ActionKind>>,
    /// Whether there are others whose names are not known here: then no name is called undefined.
    pub more: bool,
}

/// What is in a fleet. A list that is None is not known, and nothing is said of what it would hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Names of things.
    pub things: Option<BTreeSet<String>>,
    /// Names of thing groups.
    pub groups: Option<BTreeSet<String>>,
    /// Ids of device and CA certificates.
    pub certificates: Option<BTreeSet<String>>,
    /// Names of AWS IoT policies.
    pub policies: Option<BTreeSet<String>>,
}

impl Policy {
    /// What is wrong with a policy that can be used, in the order of the file. Errors are what Device Defender
    /// would refuse, or what stops every mitigation; warnings are what its author hardly meant; notes are what the policy
    /// cannot see to.
    pub fn lint(&self, known: &Known<'_>) -> Vec<Diagnostic> {
        let mut found = self.doubts.to_vec();
        self.lint_windows(known.at, &mut found);
        self.lint_action_settings(known.actions, &mut found);
        self.lint_approvals(known, &mut found);
        self.lint_budgets(&mut found);
        self.lint_canaries(known.actions, &mut found);
        self.lint_devices(known.actions, &mut found);
        if let Some(inventory) = known.inventory {
            self.lint_inventory(inventory, &mut found);
        }
        let dead = self.lint_reach(known.at, &mut found);
        for (index, rule) in self.rules.iter().enumerate() {
            found.extend(rule.matcher.checks.iter().flatten().filter_map(unheard));
            match &rule.effect {
                Effect::Suppress(suppress) => suppression(rule, suppress, known.at, &mut found),
                Effect::Mitigate(mitigate) => {
                    self.lint_actions(index, rule, mitigate, known.actions, &mut found);
                    if !dead.contains(&index) {
                        found.extend(self.lint_hidden(index, rule, &dead));
                    }
                }
                Effect::Report(_) => {}
            }
        }
        self.lint_alarms(known.actions, &mut found);
        self.lint_standing(known.at, &mut found);
        found.sort();
        found
    }

    /// Finds the rules that never match. Their places in the list come back.
    fn lint_reach(&self, at: Millis, found: &mut Vec<Diagnostic>) -> BTreeSet<usize> {
        let mut dead = BTreeSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let earlier = || self.rules.iter().take(index);
            let by = |leaves| earlier().find(|earlier| cover::leaves(earlier, rule) == leaves);
            let what = if has_ended(rule, at) {
                // Said where the end stands.
                dead.insert(index);
                continue;
            } else if cover::spares_all(rule) {
                "the rule never matches: its exception takes all that it would take".to_owned()
            } else if let Some(Rule { name, place, .. }) = by(Leaves::Nothing) {
                format!(
                    "the rule never matches: '{name}' in line {} takes all that it would take",
                    place.line
                )
            } else if let Some(Rule { name, place, .. }) = by(Leaves::Unnamed) {
                format!(
                    "the rule only matches findings that name no resource: '{name}' in line {} takes all others",
                    place.line
                )
            } else {
                continue;
            };
            dead.insert(index);
            found.push(Diagnostic::warning(rule.place, what));
        }
        dead
    }

    /// Says that a rule mitigates what another suppresses.
    fn lint_hidden(&self, index: usize, rule: &Rule, dead: &BTreeSet<usize>) -> Option<Diagnostic> {
        let suppressions = self.rules.iter().enumerate().filter(|(other, rule)| {
            *other != index && !dead.contains(other) && matches!(rule.effect, Effect::Suppress(_))
        });
        let mut hiding =
            suppressions.filter(|(other, suppress)| cover::hides(suppress, rule, *other < index));
        let (_, Rule { name, place, .. }) = hiding.next()?;
        let what = format!(
            "'{name}' in line {} suppresses the resources that this rule mitigates: a suppression hides a resource \
             from the whole check, whatever the severity, reason or age of its findings, so from the next audit on \
             this rule may get none",
            place.line
        );
        Some(Diagnostic::warning(rule.place, what))
    }
}

/// Names are refused if no check has them; a pattern may be meant for checks to come.
fn unheard(glob: &Glob) -> Option<Diagnostic> {
    let none = !check::KNOWN.iter().any(|known| glob.matches(known));
    none.then(|| {
        Diagnostic::warning(
            glob.place(),
            format!("no audit check of today has a name like '{}'", glob.text()),
        )
    })
}

/// Whether a rule suppresses, and the day on which it ends has come.
fn has_ended(rule: &Rule, at: Millis) -> bool {
    matches!(&rule.effect, Effect::Suppress(Suppress { end: SuppressEnd::At(end), .. }) if *end <= at.seconds())
}

fn suppression(rule: &Rule, suppress: &Suppress, at: Millis, found: &mut Vec<Diagnostic>) {
    let place = |which: usize| rule.places.get(which).copied().unwrap_or(rule.place);
    if suppress.words.owner.is_none() {
        let what = "the suppression has no owner: nobody will know whom to ask about it";
        found.push(Diagnostic::warning(place(0), what));
    }
    let written = Written::new(Maker::Rule(&rule.name), &suppress.words);
    lint_words(&written, [place(2), place(3), place(4)], found);
    let said = ending(suppress.end, at, "a 'for' or an 'until'", "the rule matches nothing");
    found.extend(said.map(|what| Diagnostic::warning(place(1), what)));
}

/// What there is to say of a suppression's end: what would give it one, and what is so after it.
fn ending(end: SuppressEnd, at: Millis, wants: &str, then: &str) -> Option<String> {
    let end = match end {
        SuppressEnd::After { .. } => return None,
        SuppressEnd::Never => {
            return Some(format!("a suppression without end is never looked at again; give it {wants}"));
        }
        SuppressEnd::At(end) => end,
    };
    let left = end - at.seconds();
    let day = Millis::from_seconds(end).day();
    if left <= 0 {
        Some(format!("this ended when {day} began: since then {then}"))
    } else if left <= SOON_DAYS * DAY_SECONDS {
        let days = (left + DAY_SECONDS - 1) / DAY_SECONDS;
        let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        Some(format!("this ends when {day} begins, in {days}: from then on {then}"))
    } else {
        None
    }
}
