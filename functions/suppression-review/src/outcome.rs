//! What a review found, from what it saw and what the one before remembers. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::debt::Debt;
use fleetwarden_core::model::debt::Owned;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::compared::Compared;
use crate::compared::compare;
use crate::memory::ENDED;
use crate::memory::Header;
use crate::memory::Known;
use crate::memory::Memory;
use crate::memory::NOTED;
use crate::memory::Names;
use crate::memory::Source;
use crate::memory::TOLD;
use crate::memory::WARNINGS;
use crate::memory::day;
use crate::memory::seconds;
use crate::owners::Owners;
use crate::plan::BY_HAND;
use crate::state::LastAudit;
use crate::state::Listing;
use crate::state::State;

/// The days that make a suppression one that ends soon.
const SOON: u32 = 30;
/// For how many days after its end a suppression is remembered that no audit has come after.
const REMEMBERED: u32 = 40;
/// How many owners are kept by name.
const OWNERS: usize = 200;
const DAY: u32 = 86_400;

/// What a review found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// When the review began that told before.
    pub(crate) since: Millis,
    pub(crate) debt: Debt,
    /// By maker and owner, the most first.
    pub(crate) tallies: Vec<Tally>,
    pub(crate) ending: Vec<Ending>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) by_hand: ByHand,
    /// What the next review is to know.
    pub(crate) memory: Memory,
}

/// The suppressions of one maker and owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    pub(crate) by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) suppressions: u64,
    pub(crate) indefinite: u64,
    pub(crate) idle: u64,
    /// Some that are idle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) idle_examples: Vec<String>,
}

/// Suppressions that end soon, all on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ending {
    pub(crate) by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// The day of the end, as `2026-11-23`.
    pub(crate) on: String,
    /// In so many days or less.
    pub(crate) within_days: u32,
    pub(crate) suppressions: u64,
    pub(crate) checks: BTreeMap<CheckName, u64>,
    pub(crate) examples: Vec<String>,
    /// Of how many people have not been warned.
    #[serde(skip)]
    pub(crate) untold: u64,
}

/// Suppressions that have ended, all on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended {
    pub(crate) by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) on: String,
    pub(crate) suppressions: u64,
    pub(crate) checks: BTreeMap<CheckName, u64>,
    /// How many of what they hid the audits after the end found again; none if these are still to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) back: Option<u64>,
    /// Of how many people have not been told.
    #[serde(skip)]
    pub(crate) untold: u64,
    /// Whether each of the checks has been audited since.
    #[serde(skip)]
    pub(crate) audited: bool,
    #[serde(skip)]
    pub(crate) keys: Vec<u128>,
}

/// Suppressions that people made by hand since the last review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByHand {
    pub(crate) suppressions: u64,
    pub(crate) indefinite: u64,
    pub(crate) examples: Vec<String>,
}

/// What is put together to an outcome.
pub(crate) struct Facts<'a> {
    /// Its list of suppressions is sorted by key.
    pub(crate) state: &'a State,
    pub(crate) policy: &'a Policy,
    /// When all was listed and changed, which may be hours after the review began.
    pub(crate) now: Millis,
    /// What was known before: nothing at the first review.
    pub(crate) before: Memory,
    /// The keys of the findings that were hidden, sorted; none if they are not known.
    pub(crate) hidden: Option<&'a [u128]>,
    /// Who answers for them, in the operator's words.
    pub(crate) owners: &'a Owners,
}

impl Facts<'_> {
    /// Puts it together.
    pub(crate) fn outcome(self) -> Outcome {
        let Self { state, policy, before, hidden, owners, .. } = self;
        let (now, since) = (seconds(self.now), before.header.told);
        let Compared { names, mut there, mut gone, .. } = compare(state, policy, before, now);
        let shown = owners.names(&names);
        let view = View { state, names: &shown, now, hidden, first: since == Millis(0) };
        let (debt, tallies) = view.debt(&there);
        let (ending, ended) = (view.ending(&there), view.ended(&there, &gone));
        let by_hand = view.by_hand(&there);
        // All of this is told before it is remembered.
        for known in there.iter_mut().chain(&mut gone) {
            known.flags |= view.told(known);
        }
        gone.retain(|known| !known.is(TOLD) && now.saturating_sub(known.end) < REMEMBERED * DAY);
        there.extend(gone);
        there.sort_unstable_by_key(|known| known.key);
        let (read_at, told, policy) = (state.read_at, state.began, state.policy.clone());
        let header = Header { read_at, told, policy, names };
        let memory = Memory { header, known: there };
        Outcome { since, debt, tallies, ending, ended, by_hand, memory }
    }
}

/// What all counts look at.
struct View<'a> {
    state: &'a State,
    names: &'a Names,
    now: u32,
    hidden: Option<&'a [u128]>,
    first: bool,
}

impl View<'_> {
    fn source(&self, source: u16) -> Source {
        self.names.sources.get(usize::from(source)).cloned().unwrap_or_default()
    }

    fn audit(&self, known: &Known) -> Option<&LastAudit> {
        self.names.check_of(known).and_then(|check| self.state.audits.get(check))
    }

    /// Whether a suppression hid nothing in the last audit, before which it was there.
    fn is_idle(&self, known: &Known) -> bool {
        let (Some(hidden), Some(audit)) = (self.hidden, self.audit(known)) else { return false };
        !known.has_lapsed(self.now)
            && known.first_seen < seconds(audit.started)
            && hidden.binary_search(&known.key).is_err()
    }

    fn debt(&self, there: &[Known]) -> (Debt, Vec<Tally>) {
        let mut debt = Debt { reviewed_at: self.state.began, ..Debt::default() };
        let mut tallies: BTreeMap<u16, Tally> = BTreeMap::new();
        let mut idle: BTreeSet<u128> = BTreeSet::new();
        let mut owners: BTreeMap<String, Owned> = BTreeMap::new();
        let sources: Vec<&Source> = self.names.sources.iter().collect();
        for known in there {
            let Some(source) = sources.get(usize::from(known.source)) else { continue };
            let (indefinite, is_idle) = (u64::from(known.is_indefinite()), self.is_idle(known));
            let first_seen = Millis::from_seconds(known.first_seen.into());
            let oldest =
                |oldest: Option<Millis>| Some(oldest.map_or(first_seen, |oldest| oldest.min(first_seen)));
            let lapsed = known.has_lapsed(self.now);
            debt.suppressions += 1;
            debt.indefinite += indefinite;
            debt.lapsed += u64::from(lapsed);
            debt.ending += u64::from(!lapsed && self.left(known).is_some_and(|left| left <= SOON * DAY));
            debt.ownerless += u64::from(source.owner.is_none());
            debt.by_hand += u64::from(source.by == BY_HAND);
            debt.idle += u64::from(is_idle);
            debt.oldest = oldest(debt.oldest);
            let owner = source.owner.as_deref().unwrap_or_default();
            if !owners.contains_key(owner) {
                owners.insert(owner.to_owned(), Owned::default());
            }
            if let Some(owned) = owners.get_mut(owner) {
                owned.suppressions += 1;
                owned.indefinite += indefinite;
                owned.oldest = oldest(owned.oldest);
            }
            let tally = tallies.entry(known.source).or_default();
            tally.suppressions += 1;
            tally.indefinite += indefinite;
            tally.idle += u64::from(is_idle);
            if is_idle && tally.idle <= 1_000 {
                idle.insert(known.key);
            }
        }
        for audit in self.state.audits.values() {
            debt.non_compliant += audit.non_compliant + audit.suppressed;
            debt.hidden += audit.suppressed;
        }
        let mut largest: Vec<_> = owners.into_iter().collect();
        largest.sort_by_key(|(_, owned)| std::cmp::Reverse(owned.suppressions));
        debt.owners = largest.into_iter().take(OWNERS).collect();
        let mut tallies: Vec<Tally> = tallies
            .into_iter()
            .map(|(number, tally)| {
                let Source { by, owner } = self.source(number);
                Tally {
                    by,
                    owner,
                    idle_examples: self.examples(number, None, |key| idle.contains(&key)),
                    ..tally
                }
            })
            .collect();
        tallies.sort_by(|a, b| b.suppressions.cmp(&a.suppressions).then_with(|| a.by.cmp(&b.by)));
        (debt, tallies)
    }

    /// Some names of a source's suppressions.
    fn examples(&self, source: u16, on: Option<u32>, wanted: impl Fn(u128) -> bool) -> Vec<String> {
        let Listing { samples, .. } = &self.state.listing;
        let days = on.map_or((0, u32::MAX), |day| (day, day));
        let alike = samples.range((source, days.0)..=(source, days.1)).flat_map(|(_, samples)| samples);
        let wanted = alike.filter(|sample| u128::from_str_radix(&sample.key, 16).is_ok_and(&wanted));
        wanted.take(5).map(|sample| sample.name.clone()).collect()
    }

    /// The seconds that are left of what has an end.
    fn left(&self, known: &Known) -> Option<u32> {
        (!known.is_indefinite()).then(|| known.end.saturating_sub(self.now))
    }

    /// The warning that a suppression needs now. What lived for less than that from the beginning needs none so
    /// early: a suppression of two weeks ends within a month on the day on which it is made.
    fn warning(&self, known: &Known) -> Option<(u32, u8)> {
        let left = self.left(known).filter(|left| *left > 0)?;
        let (within, flag) = WARNINGS.into_iter().find(|(days, _)| left <= days * DAY)?;
        let lived = known.end.saturating_sub(known.first_seen);
        (self.first || within == 1 || lived > within * DAY).then_some((within, flag))
    }

    /// Whether a suppression has ended so lately that people are to know.
    fn has_just_ended(&self, known: &Known) -> bool {
        known.has_lapsed(self.now) && self.now.saturating_sub(known.end) < REMEMBERED * DAY
    }

    /// The flags of what people know of a suppression when the outcome is told.
    fn told(&self, known: &Known) -> u8 {
        let warned = self.warning(known).map_or(0, |(_, flag)| flag);
        let ended = if self.has_just_ended(known) { ENDED } else { 0 };
        let by_hand = self.names.source_of(known).is_some_and(|source| source.by == BY_HAND);
        let noted = if by_hand { NOTED } else { 0 };
        warned | ended | noted
    }

    /// At the first review all are new; the digest has them.
    fn by_hand(&self, there: &[Known]) -> ByHand {
        let mut by_hand = ByHand::default();
        let number = self.names.sources.iter().position(|source| source.by == BY_HAND);
        let Some(number) = number.and_then(|number| u16::try_from(number).ok()).filter(|_| !self.first)
        else {
            return by_hand;
        };
        let mut new = BTreeSet::new();
        for known in there.iter().filter(|known| known.source == number && !known.is(NOTED)) {
            by_hand.suppressions += 1;
            by_hand.indefinite += u64::from(known.is_indefinite());
            if new.len() < 1_000 {
                new.insert(known.key);
            }
        }
        by_hand.examples = self.examples(number, None, |key| new.contains(&key));
        by_hand
    }

    fn ending(&self, there: &[Known]) -> Vec<Ending> {
        let mut groups: BTreeMap<(u32, u32, u16), Ending> = BTreeMap::new();
        for known in there {
            let Some((within, flag)) = self.warning(known) else { continue };
            let ending = groups.entry((day(known.end), within, known.source)).or_default();
            ending.suppressions += 1;
            ending.untold += u64::from(!known.is(flag));
            if let Some(check) = self.names.check_of(known) {
                *ending.checks.entry(check.clone()).or_default() += 1;
            }
        }
        let name = |((on, within_days, source), ending)| {
            let Source { by, owner } = self.source(source);
            let examples = self.examples(source, Some(on), |_| true);
            Ending { by, owner, on: named_day(on), within_days, examples, ..ending }
        };
        groups.into_iter().map(name).collect()
    }

    fn ended(&self, there: &[Known], gone: &[Known]) -> Vec<Ended> {
        let mut groups: BTreeMap<(u32, u16), Ended> = BTreeMap::new();
        let recent = there.iter().chain(gone).filter(|known| self.has_just_ended(known) && !known.is(TOLD));
        for known in recent {
            let new = || Ended { audited: true, ..Ended::default() };
            let ended = groups.entry((day(known.end), known.source)).or_insert_with(new);
            ended.suppressions += 1;
            ended.untold += u64::from(!known.is(ENDED));
            ended.keys.push(known.key);
            let after = (day(known.end) + 1) * DAY;
            ended.audited &= self.audit(known).is_some_and(|audit| seconds(audit.started) >= after);
            if let Some(check) = self.names.check_of(known) {
                *ended.checks.entry(check.clone()).or_default() += 1;
            }
        }
        let name = |((on, source), ended)| {
            let Source { by, owner } = self.source(source);
            Ended { by, owner, on: named_day(on), ..ended }
        };
        groups.into_iter().map(name).collect()
    }
}

fn named_day(day: u32) -> String {
    Millis::from_seconds(i64::from(day) * i64::from(DAY)).day()
}
