//! What a review found, from what it saw and what the one before remembers. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::check::CheckName;
use fleetwarden_core::debt::Debt;
use fleetwarden_core::debt::Owned;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::memory::DELETED;
use crate::memory::Header;
use crate::memory::Known;
use crate::memory::Memory;
use crate::memory::Names;
use crate::memory::Source;
use crate::memory::TOLD;
use crate::memory::day;
use crate::memory::seconds;
use crate::plan::BY_HAND;
use crate::plan::standing_of;
use crate::state::LastAudit;
use crate::state::Listing;
use crate::state::State;

/// How many days before the end people are warned.
const WARNINGS: [u32; 3] = [1, 7, 30];
/// The days that make a suppression one that ends soon.
const SOON: u32 = 30;
/// For how many days after its end a suppression is remembered that no audit has come after.
const REMEMBERED: u32 = 40;
/// By how many seconds the service's clock may be ahead: what it lists no longer may have ended there and not here.
const SKEW: u32 = 300;
/// How many owners are kept by name.
const OWNERS: usize = 200;
const DAY: u32 = 86_400;

/// What a review found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) debt: Debt,
    /// By maker and owner, the most first.
    pub(crate) tallies: Vec<Tally>,
    pub(crate) ending: Vec<Ending>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) drift: Vec<Drift>,
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
    /// Whether each of the checks has been audited since.
    #[serde(skip)]
    pub(crate) audited: bool,
    #[serde(skip)]
    pub(crate) keys: Vec<u128>,
}

/// What somebody did to suppressions of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drift {
    pub(crate) by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// `deleted` or `changed`.
    pub(crate) what: &'static str,
    pub(crate) suppressions: u64,
}

/// What is put together to an outcome.
pub(crate) struct Facts<'a> {
    /// Its list of suppressions is sorted by key.
    pub(crate) state: &'a State,
    /// When all was listed and changed, which may be hours after the review began.
    pub(crate) now: Millis,
    /// None at the first review.
    pub(crate) before: Option<Memory>,
    /// The names of the standing suppressions of the policy.
    pub(crate) standing: BTreeSet<&'a str>,
    /// The keys of the findings that were hidden, sorted; none if they are not known.
    pub(crate) hidden: Option<&'a [u128]>,
}

/// What became of each suppression since the review before, sorted by key.
#[derive(Default)]
struct Compared {
    /// Those that there are now.
    there: Vec<Known>,
    /// Those that have ended and are no longer listed.
    gone: Vec<Known>,
    /// What somebody did to ours, by source.
    drift: BTreeMap<(u16, &'static str), u64>,
}

/// Gives sources and checks of a memory the numbers that they have in other names.
fn renumber(memory: &mut Memory, names: &mut Names) {
    let Names { sources, checks } = &memory.header.names;
    let sources: Vec<u16> = sources.iter().map(|source| names.source(source)).collect();
    let checks: Vec<u8> = checks.iter().map(|check| names.check(check)).collect();
    for known in &mut memory.known {
        known.source = sources.get(usize::from(known.source)).copied().unwrap_or_default();
        known.check = checks.get(usize::from(known.check)).copied().unwrap_or_default();
    }
}

impl Facts<'_> {
    /// Puts it together.
    pub(crate) fn outcome(mut self) -> Outcome {
        let state = self.state;
        let mut names = state.listing.names.clone();
        let before = self.before.take();
        let first = before.is_none();
        let mut before = before.unwrap_or_default();
        renumber(&mut before, &mut names);
        let now = seconds(self.now);
        let Compared { mut there, mut gone, drift } = self.compare(&names, &before, now);

        let view = View { state, names: &names, now, hidden: self.hidden, first };
        let drift = drift.into_iter().map(|((source, what), suppressions)| {
            let Source { by, owner } = view.source(source);
            Drift { by, owner, what, suppressions }
        });
        let drift = drift.collect();
        let (debt, tallies) = view.debt(&there);
        let (ending, ended) = (view.ending(&there), view.ended(&there, &gone));
        gone.retain(|known| !known.is(TOLD) && now.saturating_sub(known.end) < REMEMBERED * DAY);
        there.extend(gone);
        there.sort_unstable_by_key(|known| known.key);
        let header = Header { began: state.began, policy: state.policy.clone(), names: names.clone() };
        Outcome { debt, tallies, ending, ended, drift, memory: Memory { header, known: there } }
    }

    /// Goes through what is remembered and what is listed side by side, both sorted by key.
    fn compare(&self, names: &Names, before: &Memory, now: u32) -> Compared {
        let seen = &self.state.listing.seen;
        let same_policy = before.header.policy == self.state.policy;
        let mut made: Vec<Known> = self.state.listing.made.clone();
        made.sort_unstable_by_key(|known| known.key);
        let made_of =
            |key| made.binary_search_by_key(&key, |known: &Known| known.key).ok().and_then(|at| made.get(at));
        let keep = |known: &Known, there: &mut Vec<Known>, first_seen| {
            if !known.is(DELETED) {
                let now = made_of(known.key).unwrap_or(known);
                there.push(Known { first_seen, flags: known.flags, ..*now });
            }
        };
        let Compared { mut there, mut gone, mut drift } = Compared::default();
        let mut listed = seen.iter().peekable();
        for old in &before.known {
            while let Some(known) = listed.next_if(|known| known.key < old.key) {
                keep(known, &mut there, known.first_seen);
            }
            let Some(known) = listed.next_if(|known| known.key == old.key) else {
                if old.has_lapsed(now.saturating_add(SKEW)) {
                    gone.push(*old);
                } else if self.is_ours(names, old) {
                    *drift.entry((old.source, "deleted")).or_default() += 1;
                }
                continue;
            };
            if self.has_drifted(names, old, known, same_policy) {
                *drift.entry((old.source, "changed")).or_default() += 1;
            }
            let told = if known.end == old.end { old.flags & TOLD } else { 0 };
            keep(&Known { flags: known.flags | told, ..*known }, &mut there, old.first_seen);
        }
        for known in listed {
            keep(known, &mut there, known.first_seen);
        }
        let is_new = |known: &&Known| seen.binary_search_by_key(&known.key, |known| known.key).is_err();
        there.extend(made.iter().filter(is_new));
        there.sort_unstable_by_key(|known| known.key);
        Compared { there, gone, drift }
    }

    /// Whether a suppression is of a rule, or of a standing suppression that is still in the policy.
    fn is_ours(&self, names: &Names, known: &Known) -> bool {
        let Some(Source { by, .. }) = names.source_of(known) else { return false };
        by.starts_with("rule ") || standing_of(by).is_some_and(|name| self.standing.contains(name))
    }

    /// Whether somebody changed a suppression of ours. Rules move their ends from audit to audit themselves.
    fn has_drifted(&self, names: &Names, old: &Known, known: &Known, same_policy: bool) -> bool {
        if !self.is_ours(names, old) {
            return false;
        }
        let of_hand = names.source_of(known).is_some_and(|source| source.by == BY_HAND);
        let standing = names.source_of(old).is_some_and(|source| standing_of(&source.by).is_some());
        of_hand || (standing && same_policy && old.source == known.source && old.end != known.end)
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
    fn warning(&self, known: &Known) -> Option<u32> {
        let left = self.left(known).filter(|left| *left > 0)?;
        let within = WARNINGS.into_iter().find(|days| left <= days * DAY)?;
        let lived = known.end.saturating_sub(known.first_seen);
        (self.first || within == 1 || lived > within * DAY).then_some(within)
    }

    fn ending(&self, there: &[Known]) -> Vec<Ending> {
        let mut groups: BTreeMap<(u32, u32, u16), Ending> = BTreeMap::new();
        for known in there {
            let Some(within) = self.warning(known) else { continue };
            let ending = groups.entry((day(known.end), within, known.source)).or_default();
            ending.suppressions += 1;
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
        let lapsed = there.iter().filter(|known| known.has_lapsed(self.now)).chain(gone);
        let recent =
            lapsed.filter(|known| self.now.saturating_sub(known.end) < REMEMBERED * DAY && !known.is(TOLD));
        for known in recent {
            let new = || Ended { audited: true, ..Ended::default() };
            let ended = groups.entry((day(known.end), known.source)).or_insert_with(new);
            ended.suppressions += 1;
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
